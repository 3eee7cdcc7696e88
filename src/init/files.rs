//! Files and descriptors, the few calls that PID 1 makes everywhere.
//!
//! Each is compiled once: a call of rustix is an inline function, and dozens of copies
//! of read(2) and close(2) are kilobytes.

use core::ffi::CStr;

use rustix::fd::OwnedFd;
use rustix::fs::OFlags;

use super::words::Words;
pub(super) use crate::format::text::line_of;
pub(super) use crate::sys::file::{read, write};
use crate::sys::{Errno, file};

/// open(2), close-on-exec, and never a controlling terminal.
#[inline(never)]
pub(super) fn open(path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    file::open_at(None, path, flags | OFlags::NOCTTY)
}

/// Closes what is open there.
#[inline(never)]
pub(super) fn close(fd: &mut Option<OwnedFd>) {
    *fd = None;
}

/// Puts a descriptor there; what was there is closed.
#[inline(never)]
pub(super) fn keep(place: &mut Option<OwnedFd>, fd: OwnedFd) {
    *place = Some(fd);
}

/// Writes a small file of the kernel's. What cannot be written is left.
#[inline(never)]
pub(super) fn write_file(path: &CStr, bytes: &[u8]) -> bool {
    open(path, OFlags::WRONLY | OFlags::NONBLOCK)
        .and_then(|fd| write(&fd, bytes))
        .is_ok()
}

/// Reads a file from its start into `room`, to its end or the room's.
#[inline(never)]
pub(super) fn read_file<'a>(path: &CStr, room: &'a mut [u8]) -> Result<&'a [u8], Errno> {
    let fd = open(path, OFlags::RDONLY)?;
    let mut len = 0;
    while let Some(rest) = room.get_mut(len..) {
        match read(&fd, rest)? {
            0 => break,
            n => len += n,
        }
    }
    Ok(room.get(..len).unwrap_or_default())
}

/// Reads /proc/PID/FILE; empty where it cannot be read.
#[inline(never)]
pub(super) fn read_proc<'a>(pid: i32, file: &str, room: &'a mut [u8]) -> &'a [u8] {
    let mut path = Words::new("/proc/");
    path.num(pid as u64).add(file);
    read_file(path.path(), room).unwrap_or_default()
}

/// Takes the first `taken` of the bytes away; the rest moves to the front. The new length.
#[inline(never)]
pub(super) fn drop_front(bytes: &mut [u8], taken: usize) -> usize {
    if taken >= bytes.len() {
        return 0;
    }
    // Byte by byte from the front, so that none is written over before it has moved.
    for at in taken..bytes.len() {
        if let Some(byte) = bytes.get(at).copied()
            && let Some(place) = bytes.get_mut(at - taken)
        {
            *place = byte;
        }
    }
    bytes.len() - taken
}
