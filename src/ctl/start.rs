//! What a start needs to know of its caller: its folder, and whether it is in the background.

use crate::format::spec::{SPEC_MAX, SpecBuf, Tag};
use heapless::Vec;
use rustix::io::Errno;

/// The longest path, the kernel's PATH_MAX.
const PATH_MAX: usize = 4096;

/// Puts the root folder into the spec, made absolute, since PID 1 stands elsewhere.
///
/// # Errors
/// ENAMETOOLONG, EINVAL for a line's end in it, or why the working directory cannot be told.
pub fn set_root(spec: &mut SpecBuf, dir: &[u8]) -> Result<(), Errno> {
    let mut path: Vec<u8, SPEC_MAX> = Vec::new();
    let mut room = [0; PATH_MAX];
    let mut dir = dir;
    if dir.first() != Some(&b'/') {
        // getcwd(2) by its link: the same answer, without a heap.
        let link = rustix::fs::readlinkat_raw(rustix::fs::CWD, c"/proc/self/cwd", &mut room[..])?;
        let cwd = room.get(..link).unwrap_or_default();
        let cwd = cwd.strip_suffix(b"/").unwrap_or(cwd);
        dir = dir.strip_prefix(b"./").unwrap_or(dir);
        let _ = path.extend_from_slice(cwd);
        let _ = path.push(b'/');
    }
    let fits = path.extend_from_slice(dir).is_ok() && path.len() < PATH_MAX;
    if path.first() != Some(&b'/') || path.contains(&b'\n') {
        return Err(Errno::INVAL);
    }
    let set = |spec: &mut SpecBuf, tag| spec.set_str(tag, &path).is_ok();
    if fits && set(spec, Tag::Root) && set(spec, Tag::Image) {
        Ok(())
    } else {
        Err(Errno::NAMETOOLONG)
    }
}

/// Whether the caller has its terminal to itself, so that a shell waits for it: standard
/// input is its controlling terminal and its process group is the one in front.
pub fn in_foreground() -> bool {
    let stdin = crate::sys::stdio::stdin();
    rustix::termios::isatty(stdin)
        && rustix::termios::tcgetpgrp(stdin) == Ok(rustix::process::getpgrp())
}
