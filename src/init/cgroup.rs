//! The cgroup v2 tree: /pouch/NAME a container, leaves for everything else.
//!
//! A cgroup that hands controllers down may hold no process (but the real root), so
//! PID 1 and the host shells sit in leaves of their own before controllers are enabled.

use core::ffi::CStr;

use log::Level;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, unlinkat};

use super::files;
use super::tables::Tables;
use super::words::Words;
use crate::format::number;
use crate::sys::{Errno, file, lend};

/// Where the tree is mounted.
const ROOT: &CStr = c"/sys/fs/cgroup";
/// The containers' folder in it.
const POUCH: &CStr = c"/sys/fs/cgroup/pouch";

/// Numbers of processes, of which the kernel has as many at first (PID_MAX_DEFAULT).
const PIDS: u32 = 32768;

/// openat(2), close-on-exec and never by a link.
#[inline(never)]
fn open(at: BorrowedFd<'_>, name: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    file::open_at(Some(at), name, flags | OFlags::NOFOLLOW)
}

/// Opens a folder to work below it.
fn folder(at: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    open(at, name, OFlags::DIRECTORY)
}

/// mkdirat(2).
#[inline(never)]
fn make_folder(at: &OwnedFd, name: &CStr) -> Result<(), Errno> {
    mkdirat(lend(at), name, Mode::from_raw_mode(0o755))
}

/// Writes a file of a cgroup.
#[inline(never)]
pub(super) fn write(cgroup: &OwnedFd, file: &CStr, value: &[u8]) -> Result<(), Errno> {
    let fd = open(lend(cgroup), file, OFlags::WRONLY)?;
    files::write(&fd, value).map(drop)
}

/// Reads a file of a cgroup, as far as the room goes.
#[inline(never)]
pub(super) fn read<'a>(
    cgroup: &OwnedFd,
    file: &CStr,
    room: &'a mut [u8],
) -> Result<&'a [u8], Errno> {
    let fd = open(lend(cgroup), file, OFlags::RDONLY)?;
    let len = files::read(&fd, room)?;
    Ok(room.get(..len).unwrap_or_default())
}

/// Makes the tree ready. Without cgroup v2 containers run, but without limits.
pub(super) fn prepare(t: &mut Tables) {
    let without = |what, e| {
        let mut words = Words::new("no cgroups: unable to ");
        words.add(what).errno(e).log(Level::Warn);
    };
    let root = match folder(rustix::fs::CWD, ROOT) {
        Ok(root) => root,
        Err(e) => return without("open /sys/fs/cgroup", e),
    };
    // Only a cgroup that is not the real root has a type, and must then be empty itself.
    if open(lend(&root), c"cgroup.type", OFlags::RDONLY).is_ok() {
        let _ = make_folder(&root, c"init");
        if let Ok(leaf) = folder(lend(&root), c"init") {
            let _ = write(&leaf, c"cgroup.procs", b"0");
        }
    }
    let _ = make_folder(&root, c"shell");
    t.shell_cgroup = folder(lend(&root), c"shell").ok();
    match make_folder(&root, c"pouch") {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(e) => return without("create /sys/fs/cgroup/pouch", e),
    }
    t.config.cgroups = true;
    if let Ok(pouch) = folder(lend(&root), c"pouch") {
        hand_down(&root, &pouch);
    }
}

/// Hands the controllers down to the containers' folder, and bounds it. While no process lives below the root that is
/// quick: later the kernel would wait for all that run. With a host shell on its way beside it an emulated board of two
/// processors even stood still, both in the kernel, once in some three hundred boots.
fn hand_down(root: &OwnedFd, pouch: &OwnedFd) {
    let mut room = [0u8; 256];
    let there = read(root, c"cgroup.controllers", &mut room).unwrap_or_default();
    let hand = |line: &Words| {
        let line = line.as_str().as_bytes();
        write(root, c"cgroup.subtree_control", line)?;
        write(pouch, c"cgroup.subtree_control", line)
    };
    let names = || {
        there
            .split(u8::is_ascii_whitespace)
            .filter(|name| !name.is_empty())
    };
    let mut all = Words::new("");
    for name in names() {
        all.add("+").plain(name).add(" ");
    }
    if hand(&all).is_err() {
        // One at a time: one that the kernel keeps must not cost the others.
        for name in names() {
            let _ = hand(Words::new("+").plain(name));
        }
    }
    // A few bombs, each within its own bound, leave an eighth of the processes that there can be to the host.
    let mut room = [0; 16];
    let most = files::read_file(c"/proc/sys/kernel/threads-max", &mut room);
    if let Some(most) = most.ok().and_then(|most| number::u32(most.trim_ascii())) {
        let mut share = Words::new("");
        share.num(u64::from(most.min(PIDS) / 8 * 7));
        let _ = write(pouch, c"pids.max", share.as_str().as_bytes());
    }
}

/// The path of a container's cgroup.
#[inline(never)]
pub(super) fn path(name: &str) -> Words {
    let mut path = Words::new("/sys/fs/cgroup/pouch/");
    path.add(name);
    path
}

/// Makes a container's cgroup; its folder and its cgroup.events.
///
/// # Errors
/// EEXIST where there is one of that name already.
pub(super) fn make(name: &str) -> Result<(OwnedFd, OwnedFd), Errno> {
    let mut path = path(name);
    let path = path.path();
    rustix::fs::mkdir(path, Mode::from_raw_mode(0o755))?;
    let opened = folder(rustix::fs::CWD, path).and_then(|cgroup| {
        let events = open(lend(&cgroup), c"cgroup.events", OFlags::RDONLY)?;
        Ok((cgroup, events))
    });
    if opened.is_err() {
        let _ = rmdir(rustix::fs::CWD, path);
    }
    opened
}

/// unlinkat(2) of a folder.
#[inline(never)]
fn rmdir(at: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    unlinkat(at, name, AtFlags::REMOVEDIR)
}

/// Whether any process lives in it, by the `populated` line of an open cgroup.events.
pub(super) fn populated(events: &OwnedFd) -> bool {
    let mut room = [0u8; 128];
    // An error: the cgroup is gone.
    let len = rustix::io::pread(lend(events), &mut room[..], 0).unwrap_or(0);
    let text = room.get(..len).unwrap_or_default();
    len > 0 && files::line_of(text, b"populated 0").is_none()
}

/// What the kernel did to it, each count in its file behind its word, in the order of
/// [`Hurt`](crate::format::message::Hurt).
pub(super) fn hurt(cgroup: &OwnedFd) -> [u32; 3] {
    const COUNTS: [(&CStr, &[u8]); 3] = [
        (c"memory.events", b"oom_kill "),
        (c"pids.events", b"max "),
        (c"cpu.stat", b"nr_throttled "),
    ];
    let mut counts = [0; 3];
    for (count, (file, word)) in counts.iter_mut().zip(COUNTS) {
        let mut room = [0u8; 512];
        let text = read(cgroup, file, &mut room).unwrap_or_default();
        *count = files::line_of(text, word)
            .and_then(crate::format::number::u32)
            .unwrap_or(0);
    }
    counts
}

/// How deep a container's own cgroups are followed when they are removed.
const DEPTH: u32 = 8;

/// Removes it and what the container made below it, depth first.
///
/// # Errors
/// EBUSY while something is still on its way out.
pub(super) fn remove(name: &CStr) -> Result<(), Errno> {
    let pouch = folder(rustix::fs::CWD, POUCH)?;
    remove_below(lend(&pouch), name, DEPTH)
}

fn remove_below(at: BorrowedFd<'_>, name: &CStr, depth: u32) -> Result<(), Errno> {
    match rmdir(at, name) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(e) if depth == 0 => return Err(e),
        Err(_) => {}
    }
    let here = folder(at, name)?;
    let _ = file::folders(&here, &mut |below| {
        let _ = remove_below(lend(&here), below, depth - 1);
    });
    rmdir(at, name)
}
