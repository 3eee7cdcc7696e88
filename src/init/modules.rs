//! Kernel modules, with what they need, by modules.dep(5) and finit_module(2).
//!
//! A child does it: a module may take its time, and a disk may hang. No modprobe is
//! expected on the board.

use heapless::Vec;
use log::Level;
use rustix::fd::OwnedFd;
use rustix::fs::OFlags;

use super::words::{Words, unable};
use super::{Init, files};
use crate::format::fault::{Fault, Step};
use crate::sys::{self, Errno, lend, process};

/// The longest line of modules.dep.
const LINE: usize = 4096;

impl Init {
    /// Starts the child that loads them in this order. Containers wait for its end.
    pub(super) fn load_modules(&mut self, names: &[&[u8]]) {
        if !self.t.definitions_wait {
            return;
        }
        match process::fork(0, None) {
            Ok(process::Fork::Parent { pid, .. }) => self.t.helper = Some(pid),
            Ok(process::Fork::Child) => {
                sys::enter_child();
                for name in names {
                    if let Err(e) = load(name) {
                        let mut words = Words::new("");
                        words.fault(&Fault {
                            step: Step::Module,
                            errno: e.raw_os_error() as u16,
                            object: name,
                        });
                        words.log(Level::Error);
                    }
                }
                sys::exit(0)
            }
            Err(e) => {
                unable("load modules", e);
                self.units_launch_waiting();
            }
        }
    }
}

/// Loads a module after what it depends on. One that is there already is a success.
fn load(name: &[u8]) -> Result<(), Errno> {
    let release = rustix::system::uname();
    let mut folder = Words::new("/lib/modules/");
    folder.plain(release.release().to_bytes()).add("/");
    let mut list = Words::new(folder.as_str());
    let file = files::open(list.add("modules.dep").path(), OFlags::RDONLY)?;
    let mut line = Vec::new();
    find(&file, name, &mut line)?;
    let colon = line.iter().position(|b| *b == b':').ok_or(Errno::INVAL)?;
    let own = line.get(..colon).unwrap_or_default();
    let needs = line.get(colon + 1..).unwrap_or_default();
    // modules.dep names the nearest need first, so the farthest is loaded first.
    for path in needs.rsplit(|b| *b == b' ') {
        if !path.is_empty() {
            insert(&folder, path)?;
        }
    }
    insert(&folder, own)
}

#[inline(never)]
fn insert(folder: &Words, path: &[u8]) -> Result<(), Errno> {
    let mut file = Words::new(folder.as_str());
    let fd = files::open(file.plain(path).path(), OFlags::RDONLY)?;
    // The kernel unpacks what it was built to unpack.
    let flags = match path.ends_with(b".ko") {
        true => 0,
        false => MODULE_INIT_COMPRESSED_FILE,
    };
    match rustix::system::finit_module(lend(&fd), c"", flags) {
        Err(Errno::EXIST) => Ok(()),
        other => other,
    }
}

/// finit_module(2): the file is compressed.
const MODULE_INIT_COMPRESSED_FILE: i32 = 4;

/// The line of modules.dep that begins with that module.
fn find(file: &OwnedFd, name: &[u8], line: &mut Vec<u8, LINE>) -> Result<(), Errno> {
    let mut piece = [0u8; 1024];
    loop {
        let len = files::read(file, &mut piece)?;
        if len == 0 {
            return Err(Errno::NOENT);
        }
        for byte in piece.get(..len).unwrap_or_default() {
            if *byte != b'\n' {
                // A line that is too long can only be cut where its needs stand; that is noticed by what is missing.
                let _ = line.push(*byte);
                continue;
            }
            if is_module(line, name) {
                return Ok(());
            }
            line.clear();
        }
    }
}

/// Whether the line is `.../NAME.ko[.xz]: ...`; in names `-` and `_` are one letter.
fn is_module(line: &[u8], name: &[u8]) -> bool {
    let path = line.split(|b| *b == b':').next().unwrap_or_default();
    let file = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let base = file.split(|b| *b == b'.').next().unwrap_or_default();
    let same = |b: &u8| if *b == b'_' { b'-' } else { *b };
    base.len() == name.len() && base.iter().map(same).eq(name.iter().map(same))
}
