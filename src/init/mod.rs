//! PID 1: owns every descriptor and the clock; wait, event, policy, perform.
//!
//! One loop. A turn waits for descriptors or the next deadline, hands what happened to
//! the machines of `policy`, and does what they answer. Nothing here blocks, allocates
//! or panics; no timer runs while nothing is due.

mod boot;
mod cause;
mod cgroup;
mod clients;
mod config;
pub mod crash;
mod define;
mod ending;
mod events;
mod files;
mod fleet;
mod handed;
mod health;
mod joining;
mod keys;
mod launch;
mod lines;
mod log;
mod marks;
mod modules;
mod network;
mod poll;
mod reexec;
mod requests;
mod root;
mod sessions;
mod shells;
mod showing;
mod sizes;
mod state;
mod tables;
mod units;
mod watchdog;
mod words;

use core::ffi::CStr;

use rustix::fd::OwnedFd;

use crate::sys::{self, arena, process, signal, time};
use marks::{Mark, mark};
use tables::{Board, Tables};

/// ETIMEDOUT.
const TIMED_OUT: u8 = 110;
/// Bytes of one session's ring.
const RING: usize = 16 * 1024;
/// The rings and specs behind the tables.
const BYTES: usize = tables::SESSIONS * RING + tables::UNITS * crate::format::spec::SPEC_MAX;

/// PID 1's whole state.
struct Init {
    /// Every record; it lies in the arena and so outlives a crash.
    t: &'static mut Tables,
    /// A ring for each session.
    rings: &'static mut [u8],
    /// A spec for each unit.
    specs: &'static mut [u8],
    /// The arena itself, for the next image.
    arena: OwnedFd,
    /// Every descriptor that is waited for.
    epoll: OwnedFd,
    /// Signals as descriptors.
    signals: OwnedFd,
    /// Answers when no descriptor is left.
    spare: Option<OwnedFd>,
    /// pouch's own binary.
    binary: OwnedFd,
    /// A copy of it lies where containers have it from.
    copied: bool,
    /// The device program of containers for which nothing else was said.
    judge: Option<OwnedFd>,
    /// Another one that is being tried.
    trial: Option<reexec::Trial>,
    /// When memory is given back that the way here needed; [`tables::NEVER`] when that is done.
    shrink_at: u64,
    /// An alarm ends what this turn waits for.
    guarded: bool,
    /// When it was last asked for whatever ended, and when it must be again.
    reaped_at: u64,
    reap_at: u64,
}

pub use reexec::judge;

/// What PID 1 does with its life. Returns only inside a PID namespace, at its end: the exit status.
pub fn run(args: &[&CStr]) -> u8 {
    mark(Mark::Unpacked);
    signal::block();
    crash::open_many();
    let resume = args.get(1).and_then(|a| crash::resume_fd(a));
    let adopted = reexec::adopted(args);
    if resume.is_none() && adopted.is_none() {
        // Whoever started this may have had signals ignored, and that goes on through execve to every child.
        signal::reset();
    }
    signal::ignore_pipe();
    signal::on_fault(crash::faulted);
    signal::let_alarm_interrupt();
    let nested = boot::nested();
    if resume.is_none() && adopted.is_none() {
        boot::mounts(nested);
        boot::standard_streams();
    }
    mark(Mark::Mounted);
    log::start();
    let mut init = match Init::open(resume) {
        Ok(init) => init,
        Err(e) => boot::last_resort(e),
    };
    mark(Mark::Tables);
    let begun = match adopted {
        Some((state, dead_man)) => init.adopt(state, dead_man),
        None if init.t.up => {
            let resumed = init.resume("PID 1 goes on after a crash");
            init.reexec_over(false);
            resumed
        }
        None => init.boot(nested),
    };
    mark(Mark::Up);
    // While the shell begins.
    init.make_common();
    if let Err(e) = begun {
        words::unable("start", e);
    }
    init.turn_until_the_end()
}

impl Init {
    /// Takes over or makes the arena and what is waited with.
    #[inline(never)] // its frame is not to be part of the loop's
    fn open(resume: Option<OwnedFd>) -> Result<Init, sys::Errno> {
        let (binary, digest) = crash::own_binary()?;
        let arena::Arena {
            fd, table, bytes, ..
        } = arena::open(resume, digest, BYTES, Board::new)?;
        crash::remember(&fd, &binary);
        let (rings, specs) = bytes
            .split_at_mut_checked(tables::SESSIONS * RING)
            .unwrap_or_default();
        Ok(Init {
            t: table,
            rings,
            specs,
            arena: fd,
            epoll: poll::new()?,
            signals: signal::signalfd()?,
            spare: clients::spare(&binary),
            binary,
            copied: false,
            judge: None,
            trial: None,
            shrink_at: time::now_ms() + poll::QUIET,
            guarded: true, // by an alarm that another image may have left
            reaped_at: 0,
            reap_at: 0,
        })
    }

    /// The loop.
    #[inline(never)] // its frame is not to be part of the loop's
    fn turn_until_the_end(&mut self) -> u8 {
        self.due(time::now_ms());
        marks::tell();
        loop {
            if let Some(status) = self.t.exit {
                return status;
            }
            self.wait();
            let now = time::now_ms();
            // What came was more than bytes to pass on: an idle PID 1 is to be small. Not between the turns of one
            // request, which would map each page again.
            if now >= self.shrink_at {
                self.shrink_at = tables::NEVER;
                process::shrink();
            }
            self.due(now);
            if let Some(number) = signal::sent() {
                crash::faulted(number);
            }
        }
    }

    /// Everything whose time has come.
    #[inline(never)]
    fn due(&mut self, now: u64) {
        self.reap_due(now);
        self.units_due(now);
        self.fleet_due(now);
        self.lines_due(now);
        self.shells_due(now);
        self.ending_due(now);
        self.watchdog_due(now);
        self.trial_due(now);
        if tables::is_due(self.t.rooting, now) {
            self.root_done(TIMED_OUT);
        }
    }

    /// The next time at which something is due.
    fn deadline(&self) -> u64 {
        let mut soonest = tables::NEVER;
        self.units_deadline(&mut soonest);
        self.fleet_deadline(&mut soonest);
        self.lines_deadline(&mut soonest);
        for at in [
            self.t.ending.deadline(),
            self.t.watchdog_due,
            self.t.rooting,
            self.trial_deadline(),
            Some(self.reap_at),
        ] {
            tables::sooner(&mut soonest, at);
        }
        soonest
    }
}
