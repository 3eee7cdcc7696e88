//! The store of images: what is there, and what goes.

use super::args::Usage;
use super::out::Out;
use super::socket::{OUTSIDE, Room, Socket};
use super::{say, unpack};
use crate::format::message::{MESSAGE_MAX, Reply, Request};
use crate::format::number;
use crate::format::text::{Plain, cut, put};
use crate::format::unit;
use crate::jail::{self, IMAGES};
use crate::sys::mount::Within;
use crate::sys::{Errno, file, lend};
use core::ffi::CStr;
use rustix::fd::OwnedFd;
use rustix::fs::{Access, FlockOperation, OFlags, access, flock, renameat};

/// What is not whole yet, or not any more: no image's name begins like this.
pub const NEW: &CStr = c".new";

/// Whether the store has an image of that name.
pub fn is_there(image: &[u8]) -> bool {
    let mut room = [0; 128];
    let path = jail::c_string(&[IMAGES.to_bytes(), b"/", image, b"/root"], &mut room);
    path.is_ok_and(|path: &CStr| access(path, Access::EXISTS).is_ok())
}

/// The store, made if it is missing, for this process alone until it ends; what another left unfinished is gone.
///
/// # Errors
/// The kernel's.
pub fn store() -> Result<OwnedFd, Errno> {
    let root = file::open_at(None, c"/", OFlags::PATH)?;
    drop(jail::folder(
        lend(&root),
        IMAGES.to_bytes(),
        0o755,
        Within::Follow,
    )?);
    let store = file::open_at(None, IMAGES, OFlags::DIRECTORY)?;
    flock(lend(&store), FlockOperation::LockExclusive)?;
    unpack::remove(lend(&store), NEW)?;
    Ok(store)
}

/// `images`: a line each.
#[inline(never)]
pub fn list(out: &mut Out) -> u8 {
    let mut count = 0u32;
    if let Ok(store) = file::open_at(None, IMAGES, OFlags::DIRECTORY) {
        let _ = file::entries(&store, &mut |name, _| {
            if !is_there(name.to_bytes()) || name == NEW {
                return;
            }
            count += 1;
            if count == 1 {
                put!(out, "Pouch images:\n");
            }
            let mut room = [0; 512];
            // One that somebody put there by hand has none.
            let (path, mut text) = (&mut [0; 512], &b"-"[..]);
            let path = jail::c_string(
                &[IMAGES.to_bytes(), b"/", name.to_bytes(), b"/digest"],
                path,
            );
            if let Ok(len) = path.and_then(|path| {
                file::read(&file::open_at(None, path, OFlags::empty())?, &mut room)
            }) {
                text = room.get(..len).unwrap_or_default().trim_ascii_end();
            }
            let (digest, size) = cut(text, b' ');
            put!(out, "{}. {} : ", count, Plain(name.to_bytes()));
            match size.and_then(number::u64) {
                Some(size) => unit::size(out, size),
                None => put!(out, "-"),
            }
            put!(out, " {}\n", Plain(digest));
        });
    }
    if count == 0 {
        put!(out, "No images available.\n");
    }
    0
}

/// `rmi IMAGE`: its exit code.
///
/// # Errors
/// The words are no such line.
#[inline(never)]
pub fn remove<'a>(words: &'a [&'a CStr], out: &mut Out, err: &mut Out) -> Result<u8, Usage<'a>> {
    let [image] = words else {
        return Err(Usage::Count);
    };
    let name = image.to_bytes();
    if !crate::format::name::is_valid(name) || !is_there(name) {
        put!(err, "Pouch: no image {} in the store\n", Plain(name));
        return Ok(say::FAILED);
    }
    let socket = match Socket::connect(OUTSIDE) {
        Ok(socket) => socket,
        Err(error) => return Ok(say::unreachable(err, OUTSIDE.to_bytes(), error)),
    };
    let mut room: Room = [0; MESSAGE_MAX];
    if let Err(lost) = socket.send(&Request::List, &[]) {
        return Ok(say::lost(err, lost));
    }
    loop {
        match socket.receive(&mut room) {
            Ok(Reply::Unit(unit)) if unit.image == name => {
                put!(
                    err,
                    "Pouch: {}: in use by {}, pouch destroy it first\n",
                    Plain(name),
                    Plain(unit.name)
                );
                return Ok(say::FAILED);
            }
            Ok(Reply::Unit(_)) => {}
            Ok(_) => break,
            Err(lost) => return Ok(say::lost(err, lost)),
        }
    }
    let gone = store().and_then(|store| {
        renameat(lend(&store), *image, lend(&store), NEW)?;
        unpack::remove(lend(&store), NEW)
    });
    match gone {
        Ok(()) => put!(out, "Pouch: {} removed\n", Plain(name)),
        Err(error) => put!(
            err,
            "Pouch: unable to remove {}: {}\n",
            Plain(name),
            say::reason(error)
        ),
    }
    Ok(u8::from(gone.is_err()))
}
