//! Mounting by descriptor: open_tree(2), fsopen(2), move_mount(2), mount_setattr(2).

use core::ffi::CStr;

use linux_raw_sys::general::mount_attr;
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::file::own;
use super::{Errno, call, nr};

/// No set-user-ID bits take effect.
pub const NOSUID: u32 = nr::MOUNT_ATTR_NOSUID;
/// Read-only.
pub const RDONLY: u32 = nr::MOUNT_ATTR_RDONLY;
/// No device nodes.
pub const NODEV: u32 = nr::MOUNT_ATTR_NODEV;
/// No execution.
pub const NOEXEC: u32 = nr::MOUNT_ATTR_NOEXEC;

/// Sets attributes on the mount that `fd` is.
///
/// `recursive` takes the mounts below it too, which a remount does not.
///
/// # Errors
/// Those of mount_setattr(2); ENOSYS before Linux 5.12.
pub fn set(fd: BorrowedFd<'_>, attributes: u32, recursive: bool) -> Result<(), Errno> {
    change(fd, attributes, 0, 0, recursive)
}

/// Takes attributes off the mount that `fd` is.
///
/// # Errors
/// As for [`set`].
pub fn clear(fd: BorrowedFd<'_>, attributes: u32) -> Result<(), Errno> {
    change(fd, 0, attributes, 0, false)
}

/// Has files below the mount, which must not be anywhere yet, show owners as that user namespace maps them.
///
/// # Errors
/// EINVAL for a file system that cannot.
pub fn map_owners(fd: BorrowedFd<'_>, user: BorrowedFd<'_>, recursive: bool) -> Result<(), Errno> {
    change(
        fd,
        nr::MOUNT_ATTR_IDMAP,
        0,
        user.as_raw_fd() as u64,
        recursive,
    )
}

#[inline(never)]
fn change(
    fd: BorrowedFd<'_>,
    set: u32,
    clear: u32,
    userns_fd: u64,
    recursive: bool,
) -> Result<(), Errno> {
    let attr = mount_attr {
        attr_set: set.into(),
        attr_clr: clear.into(),
        propagation: 0,
        userns_fd,
    };
    let mut flags = nr::AT_EMPTY_PATH;
    if recursive {
        flags |= nr::AT_RECURSIVE;
    }
    // SAFETY: the empty path ends in NUL, attr lives over the call and its true size is given.
    unsafe {
        call(
            nr::__NR_mount_setattr,
            [
                fd.as_raw_fd() as usize,
                c"".as_ptr() as usize,
                flags as usize,
                &raw const attr as usize,
                size_of::<mount_attr>(),
            ],
        )
    }
    .map(drop)
}

/// A place below a root.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Within {
    /// The root is `/` to the path; its last part may be anything but a link.
    Root,
    /// The path is one name, of a folder.
    Folder,
    /// The root is `/` to the path and to every link on it, the last part's too.
    Follow,
    /// The same, of a file that is to be read.
    Read,
}

/// openat2(2) with O_PATH: opens a place to mount on, follows no symlink but where [`Within::Follow`]
/// says so, and never leaves `root`.
///
/// # Errors
/// Those of openat2(2); ELOOP for a symlink on the way, EXDEV for a way out.
#[inline(never)]
pub fn place(root: BorrowedFd<'_>, path: &CStr, within: Within) -> Result<OwnedFd, Errno> {
    /// struct open_how (linux/openat2.h).
    #[repr(C)]
    struct How {
        flags: u64,
        mode: u64,
        resolve: u64,
    }
    const NO_LINKS: u32 = nr::RESOLVE_NO_SYMLINKS;
    let (flags, resolve) = match within {
        Within::Root => (nr::O_PATH | nr::O_NOFOLLOW, nr::RESOLVE_IN_ROOT | NO_LINKS),
        Within::Folder => (
            nr::O_PATH | nr::O_NOFOLLOW | nr::O_DIRECTORY,
            nr::RESOLVE_BENEATH | NO_LINKS,
        ),
        Within::Follow => (nr::O_PATH, nr::RESOLVE_IN_ROOT),
        Within::Read => (
            nr::O_NONBLOCK | nr::O_NOCTTY | nr::O_LARGEFILE,
            nr::RESOLVE_IN_ROOT,
        ),
    };
    let how = How {
        flags: (flags | nr::O_CLOEXEC).into(),
        mode: 0,
        resolve: (resolve | nr::RESOLVE_NO_MAGICLINKS).into(),
    };
    // SAFETY: the path is NUL-ended, `how` is of its true size; a new descriptor.
    unsafe {
        let fd = call(
            nr::__NR_openat2,
            [
                root.as_raw_fd() as usize,
                path.as_ptr() as usize,
                &raw const how as usize,
                size_of::<How>(),
            ],
        )?;
        Ok(own(fd))
    }
}

/// open_tree(2): a copy of the mount at a path (an empty one means `at`), detached, with
/// those below it if `recursive`. What `at` is must be mounted in this mount namespace. A link at the path's end is
/// followed from the working directory alone, where paths are the host's.
///
/// # Errors
/// Those of open_tree(2); ENOSYS before Linux 5.2.
#[inline(never)]
pub fn copy(at: BorrowedFd<'_>, path: &CStr, recursive: bool) -> Result<OwnedFd, Errno> {
    let mut flags = nr::OPEN_TREE_CLONE | nr::OPEN_TREE_CLOEXEC | nr::AT_EMPTY_PATH;
    if recursive {
        flags |= nr::AT_RECURSIVE;
    }
    if at.as_raw_fd() != rustix::fs::CWD.as_raw_fd() {
        flags |= nr::AT_SYMLINK_NOFOLLOW;
    }
    // SAFETY: the path is NUL-ended; a new descriptor.
    unsafe {
        let at = at.as_raw_fd() as usize;
        let fd = call(
            nr::__NR_open_tree,
            [at, path.as_ptr() as usize, flags as usize],
        )?;
        Ok(own(fd))
    }
}

/// A file system being made, fsopen(2).
pub struct Context(OwnedFd);

impl Context {
    /// Begins one of that kind.
    ///
    /// # Errors
    /// ENODEV for a kind that the kernel has not, EPERM.
    pub fn new(kind: &CStr) -> Result<Context, Errno> {
        // SAFETY: the kind is NUL-ended; a new descriptor.
        unsafe {
            let flags = nr::FSOPEN_CLOEXEC as usize;
            let fd = call(nr::__NR_fsopen, [kind.as_ptr() as usize, flags])?;
            Ok(Context(own(fd)))
        }
    }

    /// fsconfig(2): an option, with its value or alone.
    ///
    /// # Errors
    /// EINVAL for one that the file system has not.
    #[inline(never)]
    pub fn set(&self, key: &CStr, value: Option<&CStr>) -> Result<(), Errno> {
        let (command, value) = match value {
            Some(value) => (nr::fsconfig_command::FSCONFIG_SET_STRING, value.as_ptr()),
            None => (nr::fsconfig_command::FSCONFIG_SET_FLAG, core::ptr::null()),
        };
        let words = [key.as_ptr() as usize, value as usize, 0];
        self.configure(command as usize, words)
    }

    fn configure(&self, command: usize, [key, value, aux]: [usize; 3]) -> Result<(), Errno> {
        let context = self.0.as_raw_fd() as usize;
        // SAFETY: key and value are NUL-ended words of `set`, or none.
        unsafe { call(nr::__NR_fsconfig, [context, command, key, value, aux]) }.map(drop)
    }

    /// Makes it, fsmount(2): a mount that is not yet anywhere.
    ///
    /// # Errors
    /// The file system's own.
    pub fn mount(self, attributes: u32) -> Result<OwnedFd, Errno> {
        let create = nr::fsconfig_command::FSCONFIG_CMD_CREATE as usize;
        self.configure(create, [0; 3])?;
        let context = self.0.as_raw_fd() as usize;
        // SAFETY: no pointer; a new descriptor.
        unsafe {
            let flags = nr::FSMOUNT_CLOEXEC as usize;
            let fd = call(nr::__NR_fsmount, [context, flags, attributes as usize])?;
            Ok(own(fd))
        }
    }
}

/// move_mount(2): puts a detached mount onto an opened place.
///
/// # Errors
/// Those of move_mount(2); EINVAL where one of the two is a folder and the other is none.
pub fn put(mount: BorrowedFd<'_>, place: BorrowedFd<'_>) -> Result<(), Errno> {
    put_at(mount, place, c"")
}

/// The same, onto what a path below `at` names; its last part is no link that is followed, so that a single name
/// never leads out of the folder.
///
/// # Errors
/// The same; ENOENT.
#[inline(never)]
pub fn put_at(mount: BorrowedFd<'_>, at: BorrowedFd<'_>, path: &CStr) -> Result<(), Errno> {
    let flags = nr::MOVE_MOUNT_F_EMPTY_PATH | nr::MOVE_MOUNT_T_EMPTY_PATH;
    let (mount, at) = (mount.as_raw_fd() as usize, at.as_raw_fd() as usize);
    let (empty, path) = (c"".as_ptr() as usize, path.as_ptr() as usize);
    // SAFETY: both paths are NUL-ended.
    unsafe {
        call(
            nr::__NR_move_mount,
            [mount, empty, at, path, flags as usize],
        )
    }
    .map(drop)
}

/// pivot_root(2) from the working directory onto itself, then lets the old root go.
///
/// The old root ends up stacked below the new one, so no folder for it is needed (manual page, NOTES).
///
/// # Errors
/// Those of pivot_root(2) and umount2(2).
pub fn pivot_here() -> Result<(), Errno> {
    // SAFETY: both paths are NUL-ended constants.
    unsafe {
        call(
            nr::__NR_pivot_root,
            [c".".as_ptr() as usize, c".".as_ptr() as usize],
        )
    }?;
    rustix::mount::unmount(c".", rustix::mount::UnmountFlags::DETACH)
}
