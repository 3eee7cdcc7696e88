//! Attributes of mounts by descriptor: mount_setattr(2), and mounting at one.

use linux_raw_sys::general::mount_attr;
use rustix::fd::{AsRawFd, BorrowedFd};

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
#[inline(never)]
pub fn set(fd: BorrowedFd<'_>, attributes: u32, recursive: bool) -> Result<(), Errno> {
    let attr = mount_attr {
        attr_set: attributes.into(),
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
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
