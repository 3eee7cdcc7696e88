//! A folder's tree, copied into another by descriptors, or looked through for its digest.

use super::stream::{Stream, Why};
use super::unpack::{self, Unpack, attributes};
use crate::format::sha256::Sha256;
use crate::format::tar::Head;
use crate::format::text::{Text, put};
use crate::jail;
use crate::sys::{Errno, file, lend};
use core::ffi::CStr;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Stat, fgetxattr, fstat, linkat, mkdirat, statat, symlinkat,
    unlinkat,
};

/// Where a copy finds the first name of a file that has several: a folder beside the tree.
const LINKS: &CStr = c"links";

/// A copy in the making, or a look.
pub struct Tree<'t, 'a> {
    /// Counts the bytes and hears signals.
    pub unpack: &'t mut Unpack<'a>,
    /// Of all that was seen: names, kinds, owners, bytes.
    pub sha: Sha256,
    /// The store, which is part of no tree.
    pub store: &'t OwnedFd,
    /// The folder in it that all is made in.
    pub new: &'t OwnedFd,
    /// All of the copy is root's, as docker has it for COPY.
    pub ours: bool,
}

impl Tree<'_, '_> {
    /// Copies what is in a folder, within its file system, over what is in another; without another it is
    /// looked at. Names of one file stay names of one file, which is read once.
    ///
    /// # Errors
    /// The kernel's, ENOTDIR where a folder would take the place of something else, EISDIR the other way.
    pub fn copy(&mut self, from: &OwnedFd, to: Option<&OwnedFd>) -> Result<(), Why> {
        mkdirat(lend(self.new), LINKS, Mode::RWXU)?;
        let links = file::open_at(Some(lend(self.new)), LINKS, OFlags::DIRECTORY)?;
        self.walk(from, to, &links)?;
        Ok(unpack::remove(lend(self.new), LINKS)?)
    }

    fn walk(&mut self, from: &OwnedFd, to: Option<&OwnedFd>, links: &OwnedFd) -> Result<(), Why> {
        let (device, store) = (fstat(lend(from))?.st_dev, fstat(lend(self.store))?);
        let mut done = Ok(());
        let mut one = |name: &CStr| -> Result<(), Why> {
            self.unpack.go_on()?;
            self.unpack.named(name.to_bytes());
            let at = lend(from);
            let stat = statat(at, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if (stat.st_dev, stat.st_ino) == (store.st_dev, store.st_ino) {
                return Ok(());
            }
            let kind = FileType::from_raw_mode(stat.st_mode);
            if !matches!(
                kind,
                FileType::Directory | FileType::RegularFile | FileType::Symlink
            ) {
                if to.is_some() {
                    self.unpack.left_out();
                }
                return Ok(());
            }
            self.sha.take(name.to_bytes_with_nul());
            for number in [stat.st_mode, stat.st_uid, stat.st_gid] {
                self.sha.take(&number.to_le_bytes());
            }
            if kind != FileType::Directory {
                let mut room = [0; 48];
                let key = key(&stat, &mut room)?;
                let one_more = stat.st_nlink > 1;
                if one_more && linked(links, key, to, name) {
                    self.sha.take(&stat.st_size.to_le_bytes());
                    return Ok(());
                }
                self.file(at, name, to.map(|to| (lend(to), name)))?;
                if let (true, Some(to)) = (one_more, to) {
                    linkat(lend(to), name, lend(links), key, AtFlags::empty())?;
                }
                return Ok(());
            }
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
            let (mut inner, mut made) = (None, None);
            if let Some(to) = to {
                match mkdirat(lend(to), name, Mode::RWXU) {
                    Ok(()) => made = Some(lend(to)),
                    Err(Errno::EXIST) => {}
                    Err(e) => return Err(e.into()),
                }
                inner = Some(file::open_at(Some(lend(to)), name, flags)?);
            }
            if stat.st_dev == device {
                let from = file::open_at(Some(at), name, flags)?;
                self.walk(&from, inner.as_ref(), links)?;
            }
            // What was there before keeps what it is.
            if let Some(to) = made {
                attributes(to, name, &self.head(&stat, b'5'))?;
            }
            Ok(())
        };
        file::entries(from, &mut |name, _| {
            if done.is_ok() {
                done = one(name);
            }
        })?;
        done
    }

    /// Copies a file or a symbolic link, in the place of whatever file is there; without a place it is looked at.
    ///
    /// # Errors
    /// The kernel's.
    fn file(
        &mut self,
        at: BorrowedFd<'_>,
        name: &CStr,
        to: Option<(BorrowedFd<'_>, &CStr)>,
    ) -> Result<(), Why> {
        let stat = statat(at, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
            let mut room = [0; 4096];
            let len = file::link_at(at, name, &mut room)?;
            let mut target = [0; 4097];
            let target = jail::c_string(&[room.get(..len).unwrap_or_default()], &mut target)?;
            self.sha.take(target.to_bytes_with_nul());
            if let Some((folder, name)) = to {
                clear(folder, name)?;
                symlinkat(target, folder, name)?;
                attributes(folder, name, &self.head(&stat, b'2'))?;
            }
            return Ok(());
        }
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        self.regular(file::open_at(Some(at), name, flags)?, to)
    }

    /// The same of a file that is open.
    ///
    /// # Errors
    /// The kernel's.
    #[inline(never)]
    pub fn regular(
        &mut self,
        from: OwnedFd,
        to: Option<(BorrowedFd<'_>, &CStr)>,
    ) -> Result<(), Why> {
        let stat = fstat(lend(&from))?;
        let mut capability = [0; 64];
        let len = fgetxattr(
            lend(&from),
            c"security.capability",
            capability.as_mut_slice(),
        );
        let capability = capability.get(..len.unwrap_or(0)).unwrap_or_default();
        self.sha.take(capability);
        let copy = match to {
            Some((folder, name)) => {
                clear(folder, name)?;
                Some(file::create_at(folder, name, 0o600)?)
            }
            None => None,
        };
        let mut stream = Stream::plain(from);
        loop {
            self.unpack.go_on()?;
            let some = stream.some(u64::MAX)?;
            if some.is_empty() {
                break;
            }
            match &copy {
                Some(copy) => self.unpack.write(copy, some)?,
                None => self.unpack.count(some.len()),
            }
            self.sha.take(some);
        }
        self.sha.take(&(stat.st_size as u64).to_le_bytes());
        if let Some((folder, name)) = to {
            attributes(folder, name, &self.head(&stat, b'0'))?;
            unpack::give(folder, name, capability)?;
        }
        Ok(())
    }

    /// Owner, permissions and time of a copy.
    pub fn head(&self, stat: &Stat, kind: u8) -> Head {
        let (uid, gid) = match self.ours {
            true => (0, 0),
            false => (stat.st_uid, stat.st_gid),
        };
        Head {
            kind,
            mode: stat.st_mode & 0o7777,
            uid,
            gid,
            size: 0,
            time: stat.st_mtime as u64,
        }
    }
}

/// Removes whatever file is in the way of a copy.
fn clear(folder: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    match unlinkat(folder, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        done => done,
    }
}

/// Whether it is one more name of a file that was seen already; a copy has that name too then.
fn linked(links: &OwnedFd, key: &CStr, to: Option<&OwnedFd>, name: &CStr) -> bool {
    let Some(to) = to else {
        return file::create_at(lend(links), key, 0).is_err();
    };
    let _ = unlinkat(lend(to), name, AtFlags::empty());
    linkat(lend(links), key, lend(to), name, AtFlags::empty()).is_ok()
}

/// What the first name of a file is called among the links.
fn key<'r>(stat: &Stat, room: &'r mut [u8]) -> Result<&'r CStr, Errno> {
    let mut text = Text::<44>::new();
    put!(&mut text, "{}-{}", stat.st_dev, stat.st_ino);
    jail::c_string(&[text.as_bytes()], room)
}
