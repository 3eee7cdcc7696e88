//! The cgroup v2 tree: /pouch/NAME a container, leaves for everything else.
//!
//! A cgroup that hands controllers down may hold no process (but the real root), so
//! PID 1 and the host shells sit in leaves of their own before controllers are enabled.

use core::ffi::CStr;

use heapless::String;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, unlinkat};

use super::tables::Tables;
use crate::format::name::NAME_MAX;
use crate::sys::Errno;

/// Where the tree is mounted.
const ROOT: &CStr = c"/sys/fs/cgroup";
/// The containers' folder in it.
const POUCH: &CStr = c"/sys/fs/cgroup/pouch";
/// The longest path of a container's cgroup, its NUL included.
pub(super) const PATH_MAX: usize = 32 + NAME_MAX;

/// Opens a folder to work below it.
fn folder(at: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    openat(
        at,
        name,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW,
        Mode::empty(),
    )
}

/// Writes a file of a cgroup.
pub(super) fn write(cgroup: BorrowedFd<'_>, file: &CStr, value: &[u8]) -> Result<(), Errno> {
    let fd = openat(
        cgroup,
        file,
        OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW,
        Mode::empty(),
    )?;
    rustix::io::write(&fd, value).map(drop)
}

/// Reads a file of a cgroup, as far as the room goes.
pub(super) fn read<'a>(
    cgroup: BorrowedFd<'_>,
    file: &CStr,
    room: &'a mut [u8],
) -> Result<&'a [u8], Errno> {
    let fd = openat(
        cgroup,
        file,
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW,
        Mode::empty(),
    )?;
    let len = rustix::io::read(&fd, &mut *room)?;
    Ok(room.get(..len).unwrap_or_default())
}

/// Makes the tree ready. Without cgroup v2 containers run, but without limits.
pub(super) fn prepare(t: &mut Tables) {
    let root = match folder(rustix::fs::CWD, ROOT) {
        Ok(root) => root,
        Err(e) => {
            return log::warn!(
                "no cgroups: unable to open /sys/fs/cgroup: error {}",
                e.raw_os_error()
            );
        }
    };
    // Only a cgroup that is not the real root has a type, and must then be empty itself.
    if rustix::fs::accessat(
        &root,
        c"cgroup.type",
        rustix::fs::Access::EXISTS,
        AtFlags::empty(),
    )
    .is_ok()
    {
        let _ = mkdirat(&root, c"init", Mode::from_raw_mode(0o755));
        if let Ok(leaf) = folder(root.as_fd(), c"init") {
            let _ = write(leaf.as_fd(), c"cgroup.procs", b"0");
        }
    }
    let _ = mkdirat(&root, c"shell", Mode::from_raw_mode(0o755));
    t.shell_cgroup = folder(root.as_fd(), c"shell").ok();
    match mkdirat(&root, c"pouch", Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(e) => {
            return log::warn!(
                "no cgroups: unable to create /sys/fs/cgroup/pouch: error {}",
                e.raw_os_error()
            );
        }
    }
    t.config.cgroups = true;
    let Ok(pouch) = folder(root.as_fd(), c"pouch") else {
        return;
    };
    // One at a time: one that the kernel lacks must not cost the others.
    let mut room = [0u8; 256];
    let there = read(root.as_fd(), c"cgroup.controllers", &mut room).unwrap_or_default();
    for name in there
        .split(|b| b.is_ascii_whitespace())
        .filter(|n| !n.is_empty())
    {
        let mut line: heapless::Vec<u8, 64> = heapless::Vec::new();
        if line.push(b'+').is_ok() && line.extend_from_slice(name).is_ok() {
            let handed = write(root.as_fd(), c"cgroup.subtree_control", &line);
            let _ = handed.and_then(|()| write(pouch.as_fd(), c"cgroup.subtree_control", &line));
        }
    }
}

/// The path of a container's cgroup, with its NUL.
pub(super) fn path(name: &str) -> String<PATH_MAX> {
    let mut path = String::new();
    let _ = ufmt::uwrite!(path, "/sys/fs/cgroup/pouch/{}\0", name);
    path
}

/// Makes a container's cgroup; its folder and its cgroup.events.
///
/// # Errors
/// EEXIST where there is one of that name already.
pub(super) fn make(name: &CStr) -> Result<(OwnedFd, OwnedFd), Errno> {
    let pouch = folder(rustix::fs::CWD, POUCH)?;
    mkdirat(&pouch, name, Mode::from_raw_mode(0o755))?;
    let open = || -> Result<(OwnedFd, OwnedFd), Errno> {
        let cgroup = folder(pouch.as_fd(), name)?;
        let events = openat(
            &cgroup,
            c"cgroup.events",
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        Ok((cgroup, events))
    };
    open().inspect_err(|_| {
        let _ = unlinkat(&pouch, name, AtFlags::REMOVEDIR);
    })
}

/// Whether any process lives in it, by the `populated` line of an open cgroup.events.
pub(super) fn populated(events: &OwnedFd) -> bool {
    let mut room = [0u8; 128];
    match rustix::io::pread(events, &mut room[..], 0) {
        Ok(len) => !room
            .get(..len)
            .unwrap_or_default()
            .split(|b| *b == b'\n')
            .any(|l| l == b"populated 0"),
        // The cgroup is gone.
        Err(_) => false,
    }
}

/// Kills all that lives in it. Frozen processes die too.
pub(super) fn kill(cgroup: BorrowedFd<'_>) -> Result<(), Errno> {
    write(cgroup, c"cgroup.kill", b"1")
}

/// How deep a container's own cgroups are followed when they are removed.
const DEPTH: u32 = 8;

/// Removes it and what the container made below it, depth first.
///
/// # Errors
/// EBUSY while something is still on its way out.
pub(super) fn remove(name: &CStr) -> Result<(), Errno> {
    let pouch = folder(rustix::fs::CWD, POUCH)?;
    remove_below(pouch.as_fd(), name, DEPTH)
}

fn remove_below(at: BorrowedFd<'_>, name: &CStr, depth: u32) -> Result<(), Errno> {
    match unlinkat(at, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(e) if depth == 0 => return Err(e),
        Err(_) => {}
    }
    let here = folder(at, name)?;
    let mut room = [core::mem::MaybeUninit::uninit(); 1024];
    let mut entries = rustix::fs::RawDir::new(&here, &mut room);
    while let Some(entry) = entries.next() {
        let Ok(entry) = entry else { break };
        let dots = matches!(entry.file_name().to_bytes(), b"." | b"..");
        if entry.file_type() == rustix::fs::FileType::Directory && !dots {
            let _ = remove_below(here.as_fd(), entry.file_name(), depth - 1);
        }
    }
    unlinkat(at, name, AtFlags::REMOVEDIR)
}
