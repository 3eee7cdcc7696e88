//! Kernel modules, with what they need, by modules.dep(5) and finit_module(2).
//!
//! A child does it: a module may take its time, and a disk may hang. No modprobe is
//! expected on the board.

use heapless::{String, Vec};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};

use super::Init;
use crate::format::fault::{Fault, Step};
use crate::sys::{self, Errno, process};

/// The longest line of modules.dep.
const LINE: usize = 4096;
/// The longest path of a module.
const PATH: usize = 256;

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
                        let mut words: String<200> = String::new();
                        let fault = Fault {
                            step: Step::Module,
                            errno: e.raw_os_error() as u16,
                            object: name,
                        };
                        let _ = ufmt::uwrite!(words, "{}", fault);
                        log::error!("{}", words.as_str());
                    }
                }
                sys::exit(0)
            }
            Err(e) => {
                log::error!("unable to load modules: error {}", e.raw_os_error());
                self.units_launch_waiting();
            }
        }
    }
}

/// Loads a module after what it depends on. One that is there already is a success.
fn load(name: &[u8]) -> Result<(), Errno> {
    let mut folder: String<PATH> = String::new();
    let release = rustix::system::uname();
    let release = release.release().to_str().map_err(|_| Errno::INVAL)?;
    let _ = ufmt::uwrite!(folder, "/lib/modules/{}/", release);
    let mut list: String<PATH> = folder.clone();
    list.push_str("modules.dep")
        .map_err(|_| Errno::NAMETOOLONG)?;
    let file = rustix::fs::open(
        list.as_str(),
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let line = find(&file, name)?;
    let colon = line.iter().position(|b| *b == b':').ok_or(Errno::INVAL)?;
    let own = line.get(..colon).unwrap_or_default();
    let needs = line.get(colon + 1..).unwrap_or_default();
    // modules.dep names the nearest need first, so the farthest is loaded first.
    for path in needs
        .rsplit(|b| *b == b' ')
        .filter(|p| !p.is_empty())
        .chain([own])
    {
        insert(&folder, path)?;
    }
    Ok(())
}

fn insert(folder: &str, path: &[u8]) -> Result<(), Errno> {
    let mut file: String<{ 2 * PATH }> = String::new();
    let path = core::str::from_utf8(path).map_err(|_| Errno::INVAL)?;
    file.push_str(folder)
        .and_then(|()| file.push_str(path))
        .map_err(|_| Errno::NAMETOOLONG)?;
    let fd = rustix::fs::open(
        file.as_str(),
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    // The kernel unpacks what it was built to unpack.
    let flags = if path.ends_with(".ko") {
        0
    } else {
        MODULE_INIT_COMPRESSED_FILE
    };
    match rustix::system::finit_module(&fd, c"", flags) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(e) => Err(e),
    }
}

/// finit_module(2): the file is compressed.
const MODULE_INIT_COMPRESSED_FILE: i32 = 4;

/// The line of modules.dep that begins with that module.
fn find(file: &OwnedFd, name: &[u8]) -> Result<Vec<u8, LINE>, Errno> {
    let mut piece = [0u8; 1024];
    let mut line: Vec<u8, LINE> = Vec::new();
    loop {
        let len = rustix::io::read(file, &mut piece[..])?;
        if len == 0 {
            return Err(Errno::NOENT);
        }
        for byte in piece.get(..len).unwrap_or_default() {
            if *byte != b'\n' {
                // A line that is too long can only be cut where its needs stand; that is noticed by what is missing.
                let _ = line.push(*byte);
                continue;
            }
            if is_module(&line, name) {
                return Ok(line);
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
