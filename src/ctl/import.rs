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
use super::tree::Tree;
use super::unpack::{self, Pass, Unpack, attributes};
use crate::format::name;
use crate::format::sha256::{Hex, Sha256};
use crate::format::spec::{Spec, SpecBuf, Tag};
use crate::format::text::{Plain, Text, line, put};
use crate::sys::mount::{Within, place};
use crate::sys::{Errno, file, lend, signal};
use core::ffi::CStr;
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Mode, OFlags, mkdirat, renameat};

/// `pouch import NAME FILE|DIR`: its exit code.
///
/// # Errors
/// The words are no such line.
#[inline(never)]
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
    let mut unpack = Unpack::new(&signals, err);
    let done = images::store().map_err(Why::from).and_then(|store| {
        signal::block();
        let done = import(&store, name, from, &mut unpack);
        if done.is_err() {
            let _ = unpack::remove(lend(&store), NEW);
        }
        done
    });
    unpack.wipe();
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
    let (new, mut root) = begin(store)?;
    let mut config = SpecBuf::new();
    let _ = config.set_str(Tag::Name, name.to_bytes());
    let mut layout = None;
    let mut digest = [0; 64];
    let open = file::open_at(None, from, OFlags::NONBLOCK)?;
    let kind = FileType::from_raw_mode(rustix::fs::fstat(lend(&open))?.st_mode);
    if kind != FileType::Directory {
        let mut stream = Stream::open(open, None)?;
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
        let mut tree = Tree {
            unpack,
            sha: Sha256::new(),
            store,
            new: &new,
            ours: false,
        };
        tree.copy(&open, Some(&root))?;
        let head = tree.head(&rustix::fs::fstat(lend(&open))?, b'5');
        attributes(lend(&new), c"root", &head)?;
        digest = tree.sha.hex();
    }
    if let Some(layout) = layout {
        unpack.again();
        digest = layout::image(&layout, &root, unpack, &mut config)?;
        unpack::remove(lend(&new), LAYOUT)?;
    }
    let bytes = unpack.bytes;
    finish(store, &new, name, &config, &digest, bytes)?;
    Ok(digest)
}

/// The folder of an image that is not there yet, and its root.
///
/// # Errors
/// The kernel's.
pub fn begin(store: &OwnedFd) -> Result<(OwnedFd, OwnedFd), Errno> {
    mkdirat(lend(store), NEW, Mode::RWXU)?;
    let new = file::open_at(Some(lend(store)), NEW, OFlags::DIRECTORY)?;
    let root = folder(&new, c"root")?;
    Ok((new, root))
}

/// Says what it is, and gives it its name: from here on it is there.
///
/// # Errors
/// The kernel's, or [`Why::LONG`].
pub fn finish(
    store: &OwnedFd,
    new: &OwnedFd,
    name: &CStr,
    config: &SpecBuf,
    digest: &Hex,
    bytes: u64,
) -> Result<(), Why> {
    Spec::parse(config.as_bytes()).map_err(|_| Why::LONG)?;
    let mut text = Text::<96>::new();
    put!(&mut text, "sha256:{} {}\n", Plain(digest), bytes);
    for (name, bytes) in [(c"config", config.as_bytes()), (c"digest", text.as_bytes())] {
        file::write(&file::create_at(lend(new), name, 0o644)?, bytes)?;
    }
    // On the disk before it has its name: a board may lose its power at any time.
    rustix::fs::syncfs(lend(store))?;
    renameat(lend(store), NEW, lend(store), name)?;
    Ok(())
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
