//! Mounting by descriptor: no path is walked twice.
//!
//! Every place inside a container's root is opened once, beneath it, and used by that
//! descriptor, so that a symlink swapped in between leads nowhere (CVE-2021-30465,
//! CVE-2024-45310, CVE-2025-31133).

use core::ffi::CStr;

use heapless::Vec;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, mkdirat};

use super::{Now, modules};
use crate::format::fault::Step;
use crate::format::text::{cut, pick};
use crate::format::wire::Writer;
use crate::sys::file::{create_at, open_at, read};
use crate::sys::mount::{Within, place, put, put_at};
use crate::sys::{Errno, lend, mount};

/// The longest name of a file, its NUL included.
type Name = [u8; 256];
/// The longest path that is put together here.
pub type Path = [u8; 1024];

/// A folder below `root`; it is made if it is missing, parents included. Either no symlink on the way is
/// followed ([`Within::Folder`]), or each within the root ([`Within::Follow`]).
pub fn folder(
    root: BorrowedFd<'_>,
    path: &[u8],
    mode: u32,
    links: Within,
) -> Result<OwnedFd, Errno> {
    let mut here = place(root, c".", Within::Root)?;
    let mut done = 0;
    while let Some(rest) = path.get(done..) {
        let name = cut(rest, b'/').0;
        done += name.len() + 1;
        if matches!(name, b"" | b".") {
            continue;
        }
        let (mut room, mut way): (Name, [u8; 4096]) = ([0; 256], [0; 4096]);
        let name = c_string(&[name], &mut room)?;
        // A link leads from the root on, so there the whole way is gone anew.
        let whole = match links {
            Within::Follow => c_string(&[path.get(..done - 1).unwrap_or_default()], &mut way)?,
            _ => name,
        };
        let start = match links {
            Within::Follow => root,
            _ => lend(&here),
        };
        let mut next = place(start, whole, links);
        if let Err(Errno::NOENT) = next {
            match mkdirat(lend(&here), name, Mode::from_raw_mode(mode)) {
                Ok(()) | Err(Errno::EXIST) => next = place(start, whole, links),
                Err(e) => return Err(e),
            }
        }
        here = next?;
    }
    Ok(here)
}

/// A path's folder, and its name: what stands behind the last slash.
pub fn apart(path: &[u8]) -> (&[u8], &[u8]) {
    let at = path.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
    path.split_at_checked(at).unwrap_or_default()
}

/// A path without its first so many bytes.
#[inline(never)]
pub fn tail(path: &CStr, from: usize) -> &CStr {
    let bytes = path.to_bytes_with_nul().get(from..).unwrap_or_default();
    CStr::from_bytes_with_nul(bytes).unwrap_or_default()
}

/// The folder that a file below `root` lies in, made if it is missing, and the file's name in it.
pub fn parent<'p>(root: BorrowedFd<'_>, path: &'p CStr) -> Result<(OwnedFd, &'p [u8]), Errno> {
    let (parent, name) = apart(path.to_bytes());
    Ok((folder(root, parent, 0o755, Within::Follow)?, name))
}

/// An empty file to mount on, made if it is missing, its folders too; whatever is there stays.
pub fn file(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    if let Ok(there) = place(root, path, Within::Follow) {
        return Ok(there);
    }
    let (parent, name) = parent(root, path)?;
    let mut room: Name = [0; 256];
    let name = c_string(&[name], &mut room)?;
    drop(create_at(lend(&parent), name, 0o644)?);
    place(lend(&parent), name, Within::Root)
}

/// A file's lines, one at a time. What is longer than the room is cut.
pub struct Lines {
    file: OwnedFd,
    piece: [u8; 1024],
    at: usize,
    len: usize,
    line: Vec<u8, 4096>,
}

impl Lines {
    /// Opens it; one that is no file and has nobody to write is empty.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn open(path: &CStr) -> Result<Lines, Errno> {
        Ok(Lines {
            file: open_at(None, path, OFlags::NONBLOCK | OFlags::NOCTTY)?,
            piece: [0; 1024],
            at: 0,
            len: 0,
            line: Vec::new(),
        })
    }

    /// The next line without its end.
    #[inline(never)]
    pub fn next(&mut self) -> Option<&[u8]> {
        self.line.clear();
        loop {
            if self.at == self.len {
                self.at = 0;
                self.len = read(&self.file, &mut self.piece).unwrap_or(0);
                if self.len == 0 {
                    return Some(&*self.line).filter(|l| !l.is_empty());
                }
            }
            let byte = self.piece.get(self.at).copied()?;
            self.at += 1;
            if byte == b'\n' {
                return Some(&self.line);
            }
            let _ = self.line.push(byte);
        }
    }
}

/// The parts behind one another with a NUL behind them, in `room`.
///
/// # Errors
/// ENAMETOOLONG if they do not fit, or hold a NUL.
#[inline(never)]
pub fn c_string<'a>(parts: &[&[u8]], room: &'a mut [u8]) -> Result<&'a CStr, Errno> {
    let mut text = Writer::new(room);
    for part in parts {
        text.raw(part);
    }
    text.u8(0);
    let bytes = text.finish().unwrap_or_default();
    CStr::from_bytes_with_nul(bytes).map_err(|_| Errno::NAMETOOLONG)
}

/// The next of strings that each end in NUL: a table without pointers.
#[inline(never)]
pub fn word(list: &mut &'static [u8]) -> Option<&'static CStr> {
    let len = list.iter().position(|b| *b == 0)? + 1;
    let (word, rest) = list.split_at_checked(len)?;
    *list = rest;
    CStr::from_bytes_with_nul(word).ok()
}

/// Beside the attributes that options of a mount can mean: the mounts below it too.
pub const RECURSIVE: u32 = 1 << 31;

/// What an option says of the mount itself; `None` for one of the file system's own.
#[inline(never)]
pub fn attribute(option: &[u8]) -> Option<u32> {
    const BITS: [u32; 7] = [
        mount::RDONLY,
        mount::NOSUID,
        mount::NODEV,
        mount::NOEXEC,
        RECURSIVE,
        0,
        0,
    ];
    match option {
        b"" => Some(0),
        _ => pick("ro nosuid nodev noexec rbind rw bind", &BITS, option),
    }
}

/// A file system of the container's own.
pub struct Fs {
    /// Where it lies: a folder, made if it is missing.
    pub path: &'static CStr,
    /// That folder's mode.
    pub mode: u32,
    /// Its kind.
    pub kind: &'static CStr,
    /// Its options, with commas between.
    pub options: &'static str,
    /// Attributes of the mount, those of [`mount`].
    pub attributes: u32,
}

/// Makes and mounts one below the folder that its path lies in. `more` are attributes beside its own.
#[inline(never)]
pub(super) fn mount(parent: BorrowedFd<'_>, fs: &'static Fs, more: u32, now: &Now<'_>) -> OwnedFd {
    let name = tail(fs.path, apart(fs.path.to_bytes()).0.len());
    now.at(Step::Make, fs.path);
    let place = match mkdirat(parent, name, Mode::from_raw_mode(fs.mode)) {
        Ok(()) => None,
        Err(Errno::EXIST) => Some(now.ok(place(parent, name, Within::Folder))),
        Err(e) => now.end(e),
    };
    now.at(Step::Mount, fs.path);
    let attributes = fs.attributes | more;
    let mount = now.ok(new(fs.kind, None, fs.options.as_bytes(), attributes));
    now.ok(match &place {
        Some(place) => put(lend(&mount), lend(place)),
        None => put_at(lend(&mount), parent, name),
    });
    mount
}

/// Begins a file system of that kind; the kernel's module for it is loaded if it must be.
pub fn context(kind: &CStr) -> Result<mount::Context, Errno> {
    match mount::Context::new(kind) {
        Err(Errno::NODEV) => {
            // What checks by it asks for it by an alias, which modules.dep does not know.
            let _ = modules::load(b"crc32c_generic");
            match modules::load(kind.to_bytes()) {
                Ok(()) => mount::Context::new(kind),
                Err(_) => Err(Errno::NODEV),
            }
        }
        other => other,
    }
}

/// A new file system, not yet anywhere. `source` is what it shows as its device.
#[inline(never)]
pub fn new(
    kind: &CStr,
    source: Option<&CStr>,
    options: &[u8],
    attributes: u32,
) -> Result<OwnedFd, Errno> {
    let context = context(kind)?;
    if let Some(source) = source {
        context.set(c"source", Some(source))?;
    }
    let mut rest = Some(options);
    while let Some(some) = rest {
        let (option, behind) = cut(some, b',');
        rest = behind;
        if attribute(option).is_some() {
            continue;
        }
        let (mut key_room, mut value_room): (Name, Name) = ([0; 256], [0; 256]);
        let (key, value) = cut(option, b'=');
        let key = c_string(&[key], &mut key_room)?;
        let value = match value {
            Some(value) => Some(c_string(&[value], &mut value_room)?),
            None => None,
        };
        context.set(key, value)?;
    }
    context.mount(attributes)
}

/// Whether it is a folder.
#[inline(never)]
pub fn is_folder(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode);
    Ok(kind == rustix::fs::FileType::Directory)
}
