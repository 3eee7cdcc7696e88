//! How long what may take, by name
//!
//! Nothing sleeps for a guess: every wait is for an event and ends early. These are the times after which a
//! wait is a failure. They are generous because a board here is emulated on a machine that others use too;
//! `POUCH_DEADLINE_SCALE` (a number, default 1) stretches all of them.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// A time limit and what it is for; the name is part of the failure message.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    /// What is being waited for, as the end of "not within N s: ".
    pub name: &'static str,
    /// The limit before scaling, in seconds.
    pub seconds: u64,
}

/// From QEMU's start to the first prompt; an emulated armv7 wants 10 s on an idle machine.
pub const BOOT: Deadline = Deadline { name: "the board reaches its prompt", seconds: 180 };
/// One command's answer.
pub const ANSWER: Deadline = Deadline { name: "the answer is printed", seconds: 60 };
/// The terminal shows what was typed.
pub const ECHO: Deadline = Deadline { name: "the typed line is echoed", seconds: 30 };
/// After this an echo cut up by kernel messages is accepted too.
pub const WHOLE_ECHO: Deadline = Deadline { name: "the typed line is echoed in one piece", seconds: 5 };
/// From the command that ends the board to QEMU's end, containers' grace included.
pub const END: Deadline = Deadline { name: "the board is off", seconds: 90 };
/// QEMU's monitor answers.
pub const MONITOR: Deadline = Deadline { name: "QEMU's monitor answers", seconds: 30 };
/// Work that keeps the emulated board busy: thousands of processes, megabytes of output.
pub const HEAVY: Deadline = Deadline { name: "the heavy work is done", seconds: 240 };

static SCALE: LazyLock<f64> = LazyLock::new(|| {
    std::env::var("POUCH_DEADLINE_SCALE")
        .ok()
        .and_then(|text| text.parse().ok())
        .filter(|&scale| scale > 0.0)
        .unwrap_or(1.0)
});

impl Deadline {
    /// The limit after scaling.
    #[must_use]
    pub fn length(self) -> Duration {
        Duration::from_secs(self.seconds).mul_f64(*SCALE)
    }

    /// The moment it ends when it starts now.
    #[must_use]
    pub fn from_now(self) -> Instant {
        Instant::now() + self.length()
    }
}
