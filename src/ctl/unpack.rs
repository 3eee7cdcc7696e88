//! A tar archive into a folder, and never beside it.
//!
//! Each member's folder is opened within the root, where links lead within the root too,
//! and its name is made in that folder by calls that follow nothing. What was there goes
//! first, so that no second name of a file is written through.

use super::out::Out;
use super::stream::{Stream, Why};
use crate::format::tar::{self, BLOCK, Head};
use crate::format::text::{Plain, behind, cut, put};
use crate::format::unit;
use crate::jail;
use crate::sys::mount::{Within, place};
use crate::sys::{Errno, file, lend, signal, stdio};
use core::ffi::CStr;
use heapless::Vec;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat,
    fsetxattr, linkat, mkdirat, mknodat, symlinkat, unlinkat, utimensat,
};

/// The longest path, with a NUL.
const PATH: usize = 4096;
type Path = Vec<u8, PATH>;
/// The longest of the members that stand before one: attributes of files can be as long as 64 KiB.
const RECORD: usize = 128 * 1024;

/// A name in a folder.
pub type Name = [u8; 256];

/// What a walk through a layer is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// All of an archive that stands alone.
    All,
    /// What a layer takes away from those below it. It comes first, since it means none of the layer's own.
    Whiteouts,
    /// What a layer brings.
    Layer,
}

/// The work in hand.
pub struct Unpack<'a> {
    /// Ctrl-C and its like come here.
    pub signals: &'a Option<OwnedFd>,
    /// Where a person is told of what was left out.
    pub err: &'a mut Out,
    /// The bytes of all files so far.
    pub bytes: u64,
    /// The member that is at work.
    pub name: Path,
    /// How many bytes there are when a person is told next; never where nobody looks.
    next: u64,
    /// Something of it stands there.
    shown: bool,
}

/// How many bytes lie between two words about how far it is.
const STEP: u64 = 1 << 20;

impl<'a> Unpack<'a> {
    /// Before anything is done.
    pub fn new(signals: &'a Option<OwnedFd>, err: &'a mut Out) -> Self {
        Unpack {
            signals,
            err,
            bytes: 0,
            name: Vec::new(),
            next: match rustix::termios::isatty(stdio::stderr()) {
                true => STEP,
                false => u64::MAX,
            },
            shown: false,
        }
    }

    /// From here on the bytes are others'.
    pub fn again(&mut self) {
        self.bytes = 0;
        if self.next != u64::MAX {
            self.next = STEP;
        }
    }

    /// So many bytes more are done. A terminal's last line says so, and is written anew each time.
    pub fn count(&mut self, len: usize) {
        self.bytes += len as u64;
        if self.bytes >= self.next {
            self.next = self.bytes + STEP;
            put!(self.err, "\r");
            unit::size(self.err, self.bytes);
            self.err.flush();
            self.shown = true;
        }
    }

    /// Takes that line away, before others are written or at the end.
    pub fn wipe(&mut self) {
        if core::mem::take(&mut self.shown) {
            put!(self.err, "\r          \r");
            // Before the answer, which is not of this buffer.
            self.err.flush();
        }
    }

    /// Takes in an archive.
    ///
    /// # Errors
    /// The first thing that is wrong with it; [`Unpack::name`] is the member.
    pub fn archive(&mut self, from: &mut Stream, root: &OwnedFd, pass: Pass) -> Result<(), Why> {
        let mut link = Path::new();
        let mut capability: Vec<u8, 64> = Vec::new();
        let mut size = None;
        let (mut uid, mut gid) = (None, None);
        let mut first = true;
        loop {
            self.go_on()?;
            let mut block = [0; BLOCK];
            from.fill(&mut block).map_err(|why| {
                if first && why == Why::CUT {
                    Why::NO_TAR
                } else {
                    why
                }
            })?;
            if block.iter().all(|b| *b == 0) {
                return Ok(());
            }
            let mut head = tar::head(&block).ok_or(Why::NO_TAR)?;
            first = false;
            let padding = |size: u64| size.wrapping_neg() % BLOCK as u64;
            match head.kind {
                b'L' | b'K' | b'x' => {
                    let mut record: Vec<u8, RECORD> = Vec::new();
                    let len = usize::try_from(head.size).map_err(|_| Why::LONG)?;
                    record.resize(len, 0).map_err(|_| Why::LONG)?;
                    from.fill(&mut record)?;
                    from.skip(padding(head.size))?;
                    let mut rest = &record[..];
                    match head.kind {
                        b'L' => set_whole(&mut self.name, cut(rest, 0).0)?,
                        b'K' => set_whole(&mut link, cut(rest, 0).0)?,
                        _ => {
                            while let Some((key, value)) = tar::record(&mut rest) {
                                let number = crate::format::number::u64(value);
                                match key {
                                    b"path" => set_whole(&mut self.name, value)?,
                                    b"linkpath" => set_whole(&mut link, value)?,
                                    b"size" => size = number,
                                    b"uid" => uid = number,
                                    b"gid" => gid = number,
                                    b"SCHILY.xattr.security.capability" => {
                                        capability = Vec::from_slice(value).unwrap_or_default();
                                    }
                                    _ if key.starts_with(b"GNU.sparse.") => return Err(Why::KIND),
                                    _ => {}
                                }
                            }
                            if !rest.is_empty() {
                                return Err(Why::NO_TAR);
                            }
                        }
                    }
                    continue;
                }
                // A comment for all of the archive, a volume's name.
                b'g' | b'V' => {
                    from.skip(head.size)?;
                    from.skip(padding(head.size))?;
                    continue;
                }
                b'0'..=b'6' => {}
                _ => return Err(Why::KIND),
            }
            if self.name.is_empty() {
                let (prefix, name) = tar::name(&block);
                set(&mut self.name, prefix);
                if !prefix.is_empty() {
                    let _ = self.name.push(b'/');
                }
                let _ = self.name.extend_from_slice(name);
            }
            if link.is_empty() {
                set(&mut link, tar::link(&block));
            }
            head.size = size.take().unwrap_or(head.size);
            for (field, more) in [(&mut head.uid, uid.take()), (&mut head.gid, gid.take())] {
                *field = more
                    .map_or(Ok(*field), u32::try_from)
                    .map_err(|_| Why::NO_TAR)?;
            }
            if head.kind != b'0' {
                // Some write the size of what a link leads to; nothing follows.
                head.size = 0;
            }
            let left = self.member(from, root, &head, &link, &capability, pass)?;
            from.skip(left)?;
            from.skip(padding(head.size))?;
            self.name.clear();
            link.clear();
            capability.clear();
        }
    }

    /// # Errors
    /// [`Why::INTERRUPTED`].
    pub fn go_on(&self) -> Result<(), Why> {
        match signal::taken(self.signals) {
            0 | 17 | 18 | 28 => Ok(()), // CHLD CONT WINCH
            _ => Err(Why::INTERRUPTED),
        }
    }

    /// What is at work from here on.
    pub fn named(&mut self, name: &[u8]) {
        set(&mut self.name, name);
    }

    /// Bytes of a file.
    ///
    /// # Errors
    /// The kernel's.
    pub fn write(&mut self, file: &OwnedFd, bytes: &[u8]) -> Result<(), Errno> {
        self.count(bytes.len());
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = rest.get(file::write(file, rest)?..).unwrap_or_default();
        }
        Ok(())
    }

    /// A device is not made, as docker does where it may not: what a container may have of them, /dev has.
    pub fn left_out(&mut self) {
        self.wipe();
        put!(
            self.err,
            "Pouch: {}: a device or socket, left out\n",
            Plain(&self.name)
        );
    }

    /// One member; how many of its bytes are left to be passed.
    fn member(
        &mut self,
        from: &mut Stream,
        root: &OwnedFd,
        head: &Head,
        link: &[u8],
        capability: &[u8],
        pass: Pass,
    ) -> Result<u64, Why> {
        let (folder, name) = inside(&self.name)?;
        let white = behind(name, b".wh.").filter(|_| pass != Pass::All);
        if matches!(white, Some(b"." | b"..")) {
            return Err(Why::OUTSIDE);
        }
        if white.is_some() != (pass == Pass::Whiteouts) {
            return Ok(head.size);
        }
        let mut room: Name = [0; 256];
        if let Some(white) = white {
            let mut way = [0; PATH];
            let folder = jail::c_string(&[folder, b"."], &mut way)?;
            let Ok(folder) = place(lend(root), folder, Within::Read) else {
                return Ok(head.size);
            };
            if white == b".wh..opq" {
                empty(&folder)?;
            } else if !white.starts_with(b".wh.") {
                remove(lend(&folder), jail::c_string(&[white], &mut room)?)?;
            }
            return Ok(head.size);
        }
        // A file that was packed twice: the second is a link to the first, which is there.
        if head.kind == b'1' && inside(link)? == (folder, name) {
            return Ok(0);
        }
        let parent = jail::folder(lend(root), folder, 0o755, Within::Follow)?;
        // The root itself has its attributes from its own line.
        let name = if name.is_empty() {
            c"."
        } else {
            jail::c_string(&[name], &mut room)?
        };
        let at = lend(&parent);
        let is_folder = || {
            let stat = rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW);
            stat.is_ok_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::Directory)
        };
        if head.kind != b'5' || !is_folder() {
            remove(at, name)?;
        }
        let mut left = head.size;
        match head.kind {
            b'0' => {
                let file = file::create_at(at, name, 0o600)?;
                while left > 0 {
                    self.go_on()?;
                    let some = from.some(left)?;
                    if some.is_empty() {
                        return Err(Why::CUT);
                    }
                    left -= some.len() as u64;
                    self.write(&file, some)?;
                }
            }
            b'1' => {
                let (folder, target) = inside(link)?;
                let other = jail::folder(lend(root), folder, 0o755, Within::Follow)?;
                let mut room: Name = [0; 256];
                let target = jail::c_string(&[target], &mut room)?;
                // Its attributes are those of its first name.
                linkat(lend(&other), target, at, name, AtFlags::empty())?;
                return Ok(0);
            }
            b'2' => {
                let mut room = [0; PATH];
                symlinkat(jail::c_string(&[link], &mut room)?, at, name)?;
            }
            b'5' => match mkdirat(at, name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(e.into()),
            },
            b'6' => mknodat(at, name, FileType::Fifo, Mode::RUSR, 0)?,
            _ => {
                self.left_out();
                return Ok(0);
            }
        }
        attributes(at, name, head)?;
        if head.kind == b'0' {
            give(at, name, capability)?;
        }
        Ok(left)
    }
}

/// The capabilities of a file, if it has some; last, since a change of the owner takes them away.
///
/// # Errors
/// The kernel's.
pub fn give(at: BorrowedFd<'_>, name: &CStr, capability: &[u8]) -> Result<(), Errno> {
    if capability.is_empty() {
        return Ok(());
    }
    let file = file::open_at(Some(at), name, OFlags::NOFOLLOW)?;
    let flags = XattrFlags::empty();
    fsetxattr(file.as_fd(), c"security.capability", capability, flags)
}

/// Owner, permissions and time, in this order: a change of the owner takes set-ID bits away.
///
/// # Errors
/// The kernel's.
pub fn attributes(at: BorrowedFd<'_>, name: &CStr, head: &Head) -> Result<(), Errno> {
    let (uid, gid) = (Uid::from_raw(head.uid), Gid::from_raw(head.gid));
    chownat(at, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    if head.kind != b'2' {
        chmodat(at, name, Mode::from_raw_mode(head.mode), AtFlags::empty())?;
    }
    let time = Timespec {
        tv_sec: head.time.cast_signed(),
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(at, name, &times, AtFlags::SYMLINK_NOFOLLOW)
}

fn set(to: &mut Path, text: &[u8]) {
    to.clear();
    let _ = to.extend_from_slice(text);
}

/// The same of what must not be cut.
fn set_whole(to: &mut Path, text: &[u8]) -> Result<(), Why> {
    set(to, text);
    match to.len() == text.len() {
        true => Ok(()),
        false => Err(Why::LONG),
    }
}

/// A member's folder and its name in it, without slashes at the ends.
///
/// # Errors
/// [`Why::OUTSIDE`] where it climbs.
fn inside(path: &[u8]) -> Result<(&[u8], &[u8]), Why> {
    let mut path = path;
    loop {
        path = match path {
            [b'.'] => b"",
            [b'/', rest @ ..] | [b'.', b'/', rest @ ..] | [rest @ .., b'/'] => rest,
            [rest @ .., b'/', b'.'] => rest,
            _ => break,
        };
    }
    if path.split(|b| *b == b'/').any(|part| part == b"..") {
        return Err(Why::OUTSIDE);
    }
    Ok(jail::apart(path))
}

/// Removes what is there, a folder with all that is in it; nothing is as good.
///
/// # Errors
/// The kernel's.
#[inline(never)]
pub fn remove(at: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    match unlinkat(at, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
            empty(&file::open_at(Some(at), name, flags)?)?;
            unlinkat(at, name, AtFlags::REMOVEDIR)
        }
        Err(e) => Err(e),
    }
}

/// Removes all that is in a folder.
fn empty(folder: &OwnedFd) -> Result<(), Errno> {
    let mut done = Ok(());
    file::entries(folder, &mut |name, _| {
        done = done.and_then(|()| remove(lend(folder), name));
    })?;
    done
}
