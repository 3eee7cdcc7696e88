//! `nsinit exec COMMAND`: the command line of 2014, in the folder of a container.
//!
//! The folder's name is the container's. Where it lives the command joins it, else it is
//! started with that command, in the foreground. While it lives `.nspid` holds the pid of
//! its init: for people and old tools. The container can write there, so nothing here
//! reads it: who lives is PID 1's word.

use super::args::Usage;
use super::out::Out;
use super::socket::Room;
use super::start::{Path, absolute};
use super::{config, exec, run, say};
use crate::format::message::{MESSAGE_MAX, Reply, Request};
use crate::format::reason::Reason;
use crate::format::spec::{Spec, SpecBuf, Tag, flags};
use crate::format::text::{Plain, Text, decimal, put};
use crate::sys::{file, lend};
use core::ffi::CStr;
use rustix::fs::{AtFlags, OFlags, renameat, unlinkat};

const FILE: &[u8] = b"container.json";
/// The pid of its init, and that while it is being written.
const NSPID: &CStr = c".nspid";
const NEW: &CStr = c".nspid.new";

/// `nsinit exec COMMAND [ARG...]`: its exit code.
///
/// # Errors
/// The words are no such line, or the folder's name is none for a container.
#[inline(never)]
pub fn command<'a>(words: &'a [&'a CStr], err: &mut Out) -> Result<u8, Usage<'a>> {
    let (first, args) = words.split_first().ok_or(Usage::Count)?;
    if *first != c"exec" {
        return Err(Usage::UnknownCommand(first.to_bytes()));
    }
    if args.is_empty() {
        return Err(Usage::Count);
    }
    let (mut spec, mut room): (SpecBuf, Path) = (SpecBuf::new(), [0; 4095]);
    if !config::read(FILE, &mut spec, err) {
        return Ok(say::NOT_RUN);
    }
    // .../NAME/container.json
    let path = absolute(FILE, &mut room).unwrap_or_default();
    let name = path.rsplit(|b| *b == b'/').nth(1).unwrap_or_default();
    spec.remove(Tag::Arg);
    let mut set = spec.set_str(Tag::Name, name);
    for arg in args {
        set = set.and_then(|()| spec.push_str(Tag::Arg, arg.to_bytes()));
    }
    set = set.and_then(|()| spec.add_flags(flags::RUN));
    if let Err(bad) = set.and_then(|()| Spec::parse(spec.as_bytes()).map(drop)) {
        put!(err, "Pouch: {}: {}\n", Plain(name), Reason::from(bad));
        return Ok(say::NOT_RUN);
    }
    if lives(name, spec.view()) {
        return Ok(exec::exec(name, args, err));
    }
    let folder = file::open_at(None, c".", OFlags::PATH | OFlags::DIRECTORY);
    let started = &|pid: u32| {
        // What cannot be written is nobody's loss but an old tool's.
        if let Ok(folder) = &folder {
            let _ = write(lend(folder), pid);
        }
    };
    let code = run::run(name, &mut spec, started, err);
    if let Ok(folder) = &folder {
        let _ = unlinkat(lend(folder), NSPID, AtFlags::empty());
    }
    Ok(code)
}

/// Whether a container of that name and that root lives.
fn lives(name: &[u8], spec: Spec<'_>) -> bool {
    let mut room: Room = [0; MESSAGE_MAX];
    match config::ask(&Request::Info { name }, &mut room) {
        Some(Reply::Unit(unit)) => {
            let image = spec.string(Tag::Image).map_or(&b""[..], CStr::to_bytes);
            unit.pid != 0 && unit.image == image
        }
        _ => false,
    }
}

/// In one piece, and through no link that the container may have put there.
fn write(folder: rustix::fd::BorrowedFd<'_>, pid: u32) -> Result<(), rustix::io::Errno> {
    let _ = unlinkat(folder, NEW, AtFlags::empty());
    let new = file::create_at(folder, NEW, 0o644)?;
    let mut text = Text::<12>::new();
    decimal(&mut text, pid.into());
    file::write(&new, text.as_bytes())?;
    renameat(folder, NEW, folder, NSPID)
}
