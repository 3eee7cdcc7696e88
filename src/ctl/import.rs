//! `import`: a root file system into the store, whole or not at all.
//!
//! It is made in a folder of its own and renamed at the end. What an import that was
//! killed left there goes with the next; a lock lets one at a time do its work. What
//! `docker save` writes, and an OCI layout, is unpacked first and then read as a folder.

use super::args::Usage;
use super::images::{self, NEW};
use super::layout;
use super::out::Out;
use super::say;
use super::stream::{Stream, WORDS, Why};
use super::unpack::{self, Pass, Unpack, attributes};
use crate::format::name;
use crate::format::sha256::{Hex, Sha256};
use crate::format::spec::{Spec, SpecBuf, Tag};
use crate::format::tar::Head;
use crate::format::text::{Plain, Text, line, put};
use crate::jail;
use crate::sys::mount::{Within, place};
use crate::sys::{Errno, file, lend, signal};
use core::ffi::CStr;
use heapless::Vec;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, mkdirat, renameat, statat, symlinkat};

/// `pouch import NAME FILE|DIR`: its exit code.
///
/// # Errors
/// The words are no such line.
pub fn command<'a>(words: &'a [&'a CStr], out: &mut Out, err: &mut Out) -> Result<u8, Usage<'a>> {
    let [name, from] = words else {
        return Err(Usage::Count);
    };
    if !name::is_valid(name.to_bytes()) {
        return Err(Usage::Bad {
            what: name.to_bytes(),
            value: None,
            reason: crate::format::reason::Reason::BadName,
        });
    }
    let signals = signal::signalfd().ok();
    let mut unpack = Unpack {
        signals: &signals,
        err,
        bytes: 0,
        name: Vec::new(),
    };
    let done = images::store().map_err(Why::from).and_then(|store| {
        signal::block();
        let done = import(&store, name, from, &mut unpack);
        if done.is_err() {
            let _ = unpack::remove(lend(&store), NEW);
        }
        done
    });
    let member = unpack.name;
    let (name, from) = (Plain(name.to_bytes()), Plain(from.to_bytes()));
    match done {
        Ok(digest) => {
            put!(out, "Pouch: {} imported sha256:{}\n", name, Plain(&digest));
            Ok(0)
        }
        Err(why) => {
            let colon = if member.is_empty() { "" } else { ": " };
            let values = (Plain(&member), colon);
            put!(err, "Pouch: {}: unable to import {}: ", name, from);
            put!(err, "{}{}", values.0, values.1);
            match why {
                Why::Kernel(errno) => put!(err, "{}\n", say::reason(errno)),
                Why::Own(own) => put!(err, "{}\n", line(WORDS, own.into()).unwrap_or_default()),
            }
            Ok(say::FAILED)
        }
    }
}

fn import(store: &OwnedFd, name: &CStr, from: &CStr, unpack: &mut Unpack<'_>) -> Result<Hex, Why> {
    if images::is_there(name.to_bytes()) {
        return Err(Why::EXISTS);
    }
    mkdirat(lend(store), NEW, Mode::RWXU)?;
    let new = file::open_at(Some(lend(store)), NEW, OFlags::DIRECTORY)?;
    let mut config = SpecBuf::new();
    let _ = config.set_str(Tag::Name, name.to_bytes());
    let mut root = folder(&new, c"root")?;
    let mut layout = None;
    let mut digest = [0; 64];
    let open = file::open_at(None, from, OFlags::NONBLOCK)?;
    let kind = FileType::from_raw_mode(rustix::fs::fstat(lend(&open))?.st_mode);
    if kind != FileType::Directory {
        let mut stream = Stream::open(open)?;
        unpack.archive(&mut stream, &root, Pass::All)?;
        digest = stream.end()?;
        if is_layout(&root) {
            renameat(lend(&new), c"root", lend(&new), LAYOUT)?;
            layout = Some(root);
            root = folder(&new, c"root")?;
        }
    } else if is_layout(&open) {
        layout = Some(open);
    } else {
        let mut sha = Sha256::new();
        copy(&open, &root, store, unpack, &mut sha)?;
        digest = sha.hex();
    }
    if let Some(layout) = layout {
        unpack.bytes = 0;
        digest = layout::image(&layout, &root, unpack, &mut config)?;
        unpack::remove(lend(&new), LAYOUT)?;
    }
    Spec::parse(config.as_bytes()).map_err(|_| Why::LONG)?;
    let mut text = Text::<96>::new();
    put!(&mut text, "sha256:{} {}\n", Plain(&digest), unpack.bytes);
    for (name, bytes) in [(c"config", config.as_bytes()), (c"digest", text.as_bytes())] {
        file::write(&file::create_at(lend(&new), name, 0o644)?, bytes)?;
    }
    // On the disk before it has its name: a board may lose its power at any time.
    rustix::fs::syncfs(lend(store))?;
    renameat(lend(store), NEW, lend(store), name)?;
    Ok(digest)
}

/// Where an archive that is no root itself waits to be read.
const LAYOUT: &CStr = c"layout";

/// A new folder.
fn folder(at: &OwnedFd, name: &CStr) -> Result<OwnedFd, Errno> {
    mkdirat(lend(at), name, Mode::from_raw_mode(0o755))?;
    file::open_at(Some(lend(at)), name, OFlags::DIRECTORY)
}

/// Whether a folder is what `docker save` writes, or an OCI layout.
fn is_layout(folder: &OwnedFd) -> bool {
    let there = |name| place(lend(folder), name, Within::Root).is_ok();
    there(c"manifest.json") || (there(c"oci-layout") && there(c"index.json"))
}

/// A folder's tree, within one file system, without the store itself.
fn copy(
    from: &OwnedFd,
    to: &OwnedFd,
    store: &OwnedFd,
    unpack: &mut Unpack<'_>,
    sha: &mut Sha256,
) -> Result<(), Why> {
    let (here, own) = (
        rustix::fs::fstat(lend(from))?,
        rustix::fs::fstat(lend(store))?,
    );
    let mut done = Ok(());
    let mut one = |name: &CStr| -> Result<(), Why> {
        unpack.go_on()?;
        unpack.name.clear();
        let _ = unpack.name.extend_from_slice(name.to_bytes());
        let stat = statat(lend(from), name, AtFlags::SYMLINK_NOFOLLOW)?;
        if (stat.st_dev, stat.st_ino) == (own.st_dev, own.st_ino) {
            return Ok(());
        }
        sha.take(name.to_bytes_with_nul());
        let mut kind = b'0';
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                kind = b'5';
                let to = folder(to, name)?;
                if stat.st_dev == here.st_dev {
                    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
                    let from = file::open_at(Some(lend(from)), name, flags)?;
                    copy(&from, &to, store, unpack, sha)?;
                }
            }
            FileType::RegularFile => {
                let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
                let from = file::open_at(Some(lend(from)), name, flags)?;
                let to = file::create_at(lend(to), name, 0o600)?;
                let mut stream = Stream::plain(from);
                loop {
                    let some = stream.some(u64::MAX)?;
                    if some.is_empty() {
                        break;
                    }
                    unpack.write(&to, some)?;
                    sha.take(some);
                }
            }
            FileType::Symlink => {
                kind = b'2';
                let mut room = [0; 4096];
                let len = file::link_at(lend(from), name, &mut room)?;
                let mut target = [0; 4097];
                let target = jail::c_string(&[room.get(..len).unwrap_or_default()], &mut target)?;
                sha.take(target.to_bytes_with_nul());
                symlinkat(target, lend(to), name)?;
            }
            _ => {
                unpack.left_out();
                return Ok(());
            }
        }
        let head = Head {
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: 0,
            time: stat.st_mtime as u64,
        };
        Ok(attributes(lend(to), name, &head)?)
    };
    file::entries(from, &mut |name, _| {
        if done.is_ok() {
            done = one(name);
        }
    })?;
    done
}
