//! What a start needs to know of its caller: its folder, and whether it is in the background.

use crate::format::spec::{SpecBuf, Tag};
use crate::format::text::{behind, cut};
use crate::format::wire::Writer;
use crate::sys::file;
use core::ffi::CStr;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::Errno;

/// The longest path, the kernel's PATH_MAX.
const PATH_MAX: usize = 4096;

/// Room for a path.
pub type Path = [u8; PATH_MAX - 1];

/// Puts the root folder into the spec, made absolute, since PID 1 stands elsewhere.
///
/// # Errors
/// ENAMETOOLONG, EINVAL for a line's end in it, or why the working directory cannot be told.
pub fn set_root(spec: &mut SpecBuf, dir: &[u8]) -> Result<(), Errno> {
    let mut room: Path = [0; PATH_MAX - 1];
    let path = absolute(dir, &mut room)?;
    if spec.set_str(Tag::Root, path).is_ok() && spec.set_str(Tag::Image, path).is_ok() {
        Ok(())
    } else {
        Err(Errno::NAMETOOLONG)
    }
}

/// The path from the root on, since PID 1 stands elsewhere.
///
/// # Errors
/// ENAMETOOLONG, EINVAL for a line's end in it, or why the working directory cannot be told.
#[inline(never)]
pub fn absolute<'a>(dir: &[u8], room: &'a mut Path) -> Result<&'a [u8], Errno> {
    let (mut len, mut dir) = (0, dir);
    if dir.first() != Some(&b'/') {
        // getcwd(2) by its link: the same answer, without a heap.
        len = file::link(c"/proc/self/cwd", room)?;
        dir = behind(dir, b"./").unwrap_or(dir);
    }
    let mut path = Writer::new(room);
    path.skip(len);
    match dir.first() {
        Some(b'/') if len == 0 => {}
        // The root's own name ends in a slash already.
        _ if len == 1 => {}
        _ => path.u8(b'/'),
    }
    path.raw(dir);
    let path = path.finish().ok_or(Errno::NAMETOOLONG)?;
    // "(unreachable)" is no path.
    if path.first() != Some(&b'/') || cut(path, b'\n').1.is_some() {
        return Err(Errno::INVAL);
    }
    Ok(path)
}

/// Whether the caller has that terminal to itself, so that a shell waits for it: it is its
/// controlling terminal and its process group is the one in front.
pub fn in_front(terminal: BorrowedFd<'_>) -> bool {
    rustix::termios::isatty(terminal)
        && rustix::termios::tcgetpgrp(terminal) == Ok(rustix::process::getpgrp())
}

/// Opens a file by a word of the command line, to read.
///
/// # Errors
/// Those of open(2); ENAMETOOLONG.
pub fn open(path: &[u8]) -> Result<OwnedFd, Errno> {
    let mut room = [0; PATH_MAX];
    let mut w = Writer::new(&mut room);
    w.raw(path);
    w.u8(0);
    let path = w.finish().ok_or(Errno::NAMETOOLONG)?;
    let path = CStr::from_bytes_with_nul(path).map_err(|_| Errno::INVAL)?;
    file::open_at(None, path, OFlags::RDONLY)
}
