//! When boot came by where: marks that become its chart.
//!
//! Kept as microseconds of the monotonic clock and said in one go, with `pouch.log=debug`,
//! once the prompt is on its way: saying them at once would cost the time that they measure.

use core::sync::atomic::{AtomicU32, Ordering};

use log::{Level, LevelFilter};

use super::words::Words;
use crate::sys::time;

/// What is done at a mark, in this order.
#[derive(Clone, Copy)]
pub(super) enum Mark {
    /// The kernel's hand-over, the unpacking of the binary.
    Unpacked,
    /// The early file systems.
    Mounted,
    /// The tables, and what is waited with.
    Tables,
    /// The cgroups' tree.
    Cgroups,
    /// The control socket.
    Socket,
    /// The kernel's words, and what they define.
    Words,
    /// The system console and what the words name beside it.
    Console,
    /// The console's shell is on its way.
    Shell,
    /// The virtual terminals.
    Lines,
    /// The rest: the loop begins.
    Up,
    /// The first turn of the loop: host shells and containers are on their way.
    Turned,
}

const NAMES: [&str; Mark::Turned as usize + 1] = [
    "unpacked",
    "mounted",
    "tables",
    "cgroups",
    "socket",
    "words",
    "console",
    "shell",
    "terminals",
    "up",
    "turned",
];

/// Microseconds since the kernel's start; none after more than an hour.
static MARKS: [AtomicU32; NAMES.len()] = [const { AtomicU32::new(0) }; NAMES.len()];

/// Boot is there now.
pub(super) fn mark(mark: Mark) {
    if let Some(place) = MARKS.get(mark as usize) {
        let now = u32::try_from(time::now_us()).unwrap_or(0);
        place.store(now, Ordering::Relaxed);
    }
}

/// Says when it was where: a line each, `boot: NAME MICROSECONDS`, the last at its own time, by which the log's
/// clock and this one are told apart.
pub(super) fn tell() {
    if log::max_level() < LevelFilter::Debug {
        return;
    }
    mark(Mark::Turned);
    for (name, at) in NAMES.iter().zip(&MARKS).rev() {
        let mut words = Words::new("boot: ");
        words
            .add(name)
            .add(" ")
            .num(at.load(Ordering::Relaxed).into());
        words.log(Level::Debug);
    }
}
