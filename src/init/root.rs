//! `pouch.root=`: another root, before anything else starts.
//!
//! A child does it all: modules and disks take their time, and mounts that it makes are
//! those of PID 1. pivot_root(2) takes PID 1's own root and folder along.

use core::ffi::CStr;

use log::Level;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, unlinkat};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_move, unmount};

use super::boot::{self, HOLD};
use super::words::Words;
use super::{Init, crash, files, modules};
use crate::format::text::nth;
use crate::jail;
use crate::sys::{self, Errno, file, lend, process, time};

/// A device may come so late: a bus is looked through, a card wakes up.
const DEVICE_MS: i64 = 30_000;
/// How often it is looked for.
const LOOK_MS: i64 = 50;
/// PID 1 goes on without the root after this: a disk may hang for ever.
const WHOLE_MS: u64 = 60_000;
/// What moves along.
const MOVED: [&CStr; 4] = [c"dev", c"proc", c"sys", c"run"];
/// How deep the old root's folders are followed when it is emptied.
const DEPTH: u32 = 64;

impl Init {
    /// Begins: what is configured further waits for its end.
    pub(super) fn root_begin(&mut self, device: &[u8], kind: Option<&[u8]>, names: &[&[u8]]) {
        match process::fork(0, None) {
            Ok(process::Fork::Parent { pid, .. }) => {
                self.t.helper = Some(pid);
                self.t.rooting = Some(time::now_ms() + WHOLE_MS);
            }
            Ok(process::Fork::Child) => {
                sys::enter_child();
                modules::load_all(names);
                let status = match switch(device, kind) {
                    Ok(()) => 0,
                    Err(e) => e.raw_os_error() as u8,
                };
                sys::exit(status)
            }
            Err(e) => self.root_done(e.raw_os_error() as u8),
        }
    }

    /// It is there, or not; an errno says why. Then the rest of the configuration.
    #[inline(never)]
    pub(super) fn root_done(&mut self, status: u8) {
        self.t.rooting = None;
        if let Some(late) = self.t.helper.take() {
            // It must not change the root under what is about to begin on this one.
            crash::end_dead_man(late);
        }
        if status == 0 {
            let _ = rustix::process::chdir(c"/");
            boot::root_again();
        }
        self.configure(Some(status));
    }
}

/// Mounts it, takes along what is mounted, makes it the root, empties the old one.
fn switch(device: &[u8], kind: Option<&[u8]>) -> Result<(), Errno> {
    let mut name = Words::new("");
    name.plain(device);
    let device = name.path();
    let mut left = DEVICE_MS;
    while rustix::fs::access(device, rustix::fs::Access::EXISTS).is_err() && left > 0 {
        crash::sleep(LOOK_MS);
        left -= LOOK_MS;
    }
    let _ = rustix::fs::mkdir(HOLD, Mode::from_raw_mode(0o700));
    match kind {
        Some(kind) => try_mount(device, kind)?,
        None => mount_any(device)?,
    }
    let in_memory = boot::root_in_memory();
    let old = files::open(c"/", OFlags::DIRECTORY)?;
    let new = files::open(HOLD, OFlags::DIRECTORY)?;
    for name in MOVED {
        let _ = rustix::fs::mkdirat(lend(&new), name, Mode::from_raw_mode(0o755));
        // Asked of all before the first moves: a root that lacks one is no root, and the old one is to stay whole.
        if let Err(e) = file::open_at(Some(lend(&new)), name, OFlags::DIRECTORY) {
            let _ = unmount(HOLD, UnmountFlags::DETACH);
            return Err(e);
        }
    }
    rustix::process::chdir(HOLD)?;
    for name in MOVED {
        let mut from = Words::new("/");
        mount_move(from.plain(name.to_bytes()).path(), name)?;
    }
    let _ = unmount(c"/tmp", UnmountFlags::DETACH);
    rustix::process::pivot_root(c".", c".")?;
    unmount(c".", UnmountFlags::DETACH)?;
    if in_memory {
        empty(&old, DEPTH);
    }
    Ok(())
}

/// Mounts it as that; what cannot be written is read.
#[inline(never)]
fn try_mount(device: &CStr, kind: &[u8]) -> Result<(), Errno> {
    let mut name = Words::new("");
    let kind_name = name.plain(kind).path();
    let mut flags = MountFlags::empty();
    let mut loaded = false;
    loop {
        match mount(device, HOLD, kind_name, flags, c"") {
            // ENOENT too: what ext4 sums up with is asked for by an alias.
            Err(Errno::NODEV | Errno::NOENT) if !loaded => {
                loaded = true;
                let _ = jail::load_module(kind);
                let _ = jail::load_module(b"crc32c_generic");
            }
            Err(Errno::ROFS | Errno::ACCESS) if flags.is_empty() => flags = MountFlags::RDONLY,
            other => return other,
        }
    }
}

/// Mounts it as whichever fits.
fn mount_any(device: &CStr) -> Result<(), Errno> {
    let mut number = 0;
    while let Some(kind) = nth(KINDS, b' ', number) {
        match try_mount(device, kind.as_bytes()) {
            // No such file system on it, or none that this kernel knows.
            Err(Errno::INVAL | Errno::NODEV) => number += 1,
            other => return other,
        }
    }
    Err(Errno::INVAL)
}

/// What a root may be.
const KINDS: &str = "ext4 squashfs erofs btrfs f2fs xfs vfat";

/// Removes what is in a folder of the old root, which nobody else sees any more: its memory comes back.
fn empty(folder: &OwnedFd, depth: u32) {
    let _ = file::entries(folder, &mut |name, is_folder| {
        if is_folder && depth > 0 {
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
            if let Ok(below) = file::open_at(Some(lend(folder)), name, flags) {
                empty(&below, depth - 1);
            }
        }
        let flags = match is_folder {
            true => AtFlags::REMOVEDIR,
            false => AtFlags::empty(),
        };
        let _ = unlinkat(folder.as_fd(), name, flags);
    });
}

/// What is said of a root that could not be switched to.
pub(super) fn failed(device: &[u8], status: u8) -> Words {
    let mut words = Words::new("Pouch: pouch.root: unable to switch to ");
    words
        .plain(device)
        .reason_of(Errno::from_raw_os_error(status.into()));
    words.add("; no containers, the rescue shell");
    words.log(Level::Error);
    words
}
