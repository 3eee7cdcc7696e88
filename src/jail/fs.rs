//! Mounting by descriptor: no path is walked twice.
//!
//! Every place inside a container's root is opened once, beneath it, and used by that
//! descriptor, so that a symlink swapped in between leads nowhere (CVE-2021-30465,
//! CVE-2024-45310, CVE-2025-31133).

use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use crate::sys::Errno;

/// A place below `root` without following any symlink.
pub fn place(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat2(
        root,
        relative(path),
        flags,
        Mode::empty(),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
    )
}

/// The same for a folder, which is made if it is missing, parents included.
pub fn folder(root: BorrowedFd<'_>, path: &CStr, mode: u32) -> Result<OwnedFd, Errno> {
    let open = |at: BorrowedFd<'_>, name: &CStr| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat2(
            at,
            name,
            flags,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
        )
    };
    let mut here = openat(
        root,
        c".",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    for name in path
        .to_bytes()
        .split(|b| *b == b'/')
        .filter(|n| !n.is_empty() && *n != b".")
    {
        let mut room = [0u8; 256];
        let name = c_string(name, &mut room).ok_or(Errno::NAMETOOLONG)?;
        here = match open(here.as_fd(), name) {
            Err(Errno::NOENT) => {
                match mkdirat(&here, name, Mode::from_raw_mode(mode)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(e) => return Err(e),
                }
                open(here.as_fd(), name)?
            }
            other => other?,
        };
    }
    Ok(here)
}

/// An empty file to mount on, made if it is missing, its folders too; whatever is there stays.
pub fn file(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    if let Ok(there) = place(root, path) {
        return Ok(there);
    }
    let bytes = path.to_bytes();
    let cut = bytes.iter().rposition(|b| *b == b'/').unwrap_or(0);
    let mut room = [0u8; 1024];
    let parent =
        c_string(bytes.get(..cut).unwrap_or_default(), &mut room).ok_or(Errno::NAMETOOLONG)?;
    let parent = folder(root, parent, 0o755)?;
    let mut room = [0u8; 256];
    let name = bytes.get(cut..).unwrap_or_default();
    let name =
        c_string(name.strip_prefix(b"/").unwrap_or(name), &mut room).ok_or(Errno::NAMETOOLONG)?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    drop(openat(&parent, name, flags, Mode::from_raw_mode(0o644))?);
    place(parent.as_fd(), name)
}

/// An absolute path is one from the root's own top.
fn relative(path: &CStr) -> &CStr {
    let mut bytes = path.to_bytes_with_nul();
    while let Some(rest) = bytes.strip_prefix(b"/") {
        bytes = rest;
    }
    match CStr::from_bytes_with_nul(bytes) {
        Ok(rest) if !rest.is_empty() => rest,
        _ => c".",
    }
}

/// Bytes with a NUL behind them, in `room`.
pub fn c_string<'a>(bytes: &[u8], room: &'a mut [u8]) -> Option<&'a CStr> {
    let (text, rest) = room.split_at_mut_checked(bytes.len())?;
    text.copy_from_slice(bytes);
    *rest.first_mut()? = 0;
    CStr::from_bytes_with_nul(room.get(..=bytes.len())?).ok()
}

/// A new file system, not yet anywhere.
pub fn new(
    kind: &CStr,
    options: &[(&CStr, &CStr)],
    attributes: MountAttrFlags,
) -> Result<OwnedFd, Errno> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        fsconfig_set_string(&context, *key, *value)?;
    }
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Puts a detached mount onto an opened place.
pub fn put(mount: &OwnedFd, place: &OwnedFd) -> Result<(), Errno> {
    move_mount(
        mount,
        c"",
        place,
        c"",
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH,
    )
}

/// A copy of the mounts at a path of the host's (or, with an empty path, at `at`), detached.
pub fn clone_tree(at: BorrowedFd<'_>, path: &CStr, recursive: bool) -> Result<OwnedFd, Errno> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(at, path, flags)
}

/// The same by a path from the host's root.
pub fn clone_path(path: &CStr, recursive: bool) -> Result<OwnedFd, Errno> {
    clone_tree(CWD, path, recursive)
}
