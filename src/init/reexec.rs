//! Another image of PID 1 in its place, with all that PID 1 knows and has open.
//!
//! First a child runs the new binary over the written state and says by its status
//! whether it can go on with it; PID 1 hears of that as of any child's end. Then the state
//! is written once more and the binary executed, with the dead man behind it.

use core::ffi::CStr;

use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::OFlags;

use super::tables::{CLIENTS, ClientId, Waits, is_due};
use super::words::Words;
use super::{Init, crash, files};
use crate::format::message::Refusal;
use crate::format::number;
use crate::format::text::cut;
use crate::sys::{self, Errno, lend, process, signal, time};

/// The binary is to judge the state within this.
const JUDGE_MS: u64 = 5_000;
/// The arguments that name the state: to judge it, and to go on with it and to end the dead man.
const JUDGE: &str = "--judge=";
const ADOPT: &str = "--adopt=";

/// A binary that is being tried.
pub(super) struct Trial {
    binary: OwnedFd,
    /// The child that judges.
    pid: i32,
    until: u64,
}

/// What stands behind the word, and the number behind its comma.
fn numbers(args: &[&CStr], word: &str) -> Option<(i32, i32)> {
    let rest = args.get(1)?.to_bytes().strip_prefix(word.as_bytes())?;
    let (first, second) = cut(rest, b',');
    let number = |text| number::u32(text).map(|n| n as i32);
    Some((number(first)?, number(second.unwrap_or(b"0"))?))
}

/// Whether this image is asked to judge a state: the exit status.
pub fn judge(args: &[&CStr]) -> Option<u8> {
    let (state, _) = numbers(args, JUDGE)?;
    let good = process::adopt_fd(state)
        .and_then(|state| Init::open(None).ok().map(|init| (state, init)))
        .is_some_and(|(state, mut init)| init.load(&state));
    // Its descriptors are numbers of another process: nothing is dropped.
    sys::exit(u8::from(!good))
}

/// The state that this image is to go on with, and the dead man's pid.
pub(super) fn adopted(args: &[&CStr]) -> Option<(OwnedFd, i32)> {
    let (state, dead_man) = numbers(args, ADOPT)?;
    Some((process::adopt_fd(state)?, dead_man))
}

impl Init {
    /// Somebody wants another binary in PID 1's place; without one, its own anew.
    pub(super) fn ask_reexec(&mut self, id: ClientId, handed: Option<OwnedFd>) {
        if self.t.ending.begun() {
            return self.refuse(id, Refusal::GoingDown);
        }
        if self.trial.is_some() {
            return self.refuse(id, Refusal::Busy);
        }
        match self.try_binary(handed) {
            Ok(trial) => {
                self.trial = Some(trial);
                self.wait_for(id, Waits::Reexec);
            }
            Err(_) => self.refuse(id, Refusal::NoTakeOver),
        }
    }

    fn try_binary(&mut self, handed: Option<OwnedFd>) -> Result<Trial, Errno> {
        let binary = match handed {
            Some(binary) => binary,
            None => files::open(c"/proc/self/exe", OFlags::RDONLY)?,
        };
        let state = self.save()?;
        match process::fork(0, None)? {
            process::Fork::Parent { pid, .. } => Ok(Trial {
                binary,
                pid,
                until: time::now_ms() + JUDGE_MS,
            }),
            process::Fork::Child => {
                sys::enter_child();
                let number = state.as_raw_fd();
                let mut arg = Words::new(JUDGE);
                arg.num(number as u64);
                let _ = process::give(lend(&state), number as u32);
                signal::unblock();
                // What it has to say is its status; a console is no place for more.
                if let Ok(null) = files::open(c"/dev/null", OFlags::RDWR) {
                    let _ = rustix::stdio::dup2_stdout(&null);
                    let _ = rustix::stdio::dup2_stderr(&null);
                }
                let _ = process::exec_fd(lend(&binary), &[c"init", arg.path()]);
                sys::exit(1)
            }
        }
    }

    /// A child ended: was it the one that judges?
    pub(super) fn judged(&mut self, pid: i32, good: bool) -> bool {
        let Some(trial) = self.trial.take_if(|t| t.pid == pid) else {
            return false;
        };
        if good {
            self.give_over(&trial.binary);
        }
        self.reexec_over(false);
        true
    }

    /// A binary that has not said anything in its time is none.
    pub(super) fn trial_due(&mut self, now: u64) {
        if let Some(trial) = self.trial.take_if(|t| is_due(Some(t.until), now)) {
            if let Some(pid) = rustix::process::Pid::from_raw(trial.pid) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
            self.reexec_over(false);
        }
    }

    /// When [`Init::trial_due`] has something to do.
    pub(super) fn trial_deadline(&self) -> Option<u64> {
        self.trial.as_ref().map(|t| t.until)
    }

    /// Executes it. Comes back only if that cannot be.
    fn give_over(&mut self, binary: &OwnedFd) {
        let Ok(state) = self.save() else {
            return;
        };
        let dead_man = crash::dead_man();
        let mut arg = Words::new(ADOPT);
        arg.num(state.as_raw_fd() as u64)
            .add(",")
            .num(dead_man as u64);
        process::keep_over_exec(crash::HIGHEST_FD);
        let _ = process::exec_fd(lend(binary), &[c"init", arg.path()]);
        let _ = process::close_on_exec_from(3);
        crash::end_dead_man(dead_man);
    }

    /// Takes over what another image wrote down.
    pub(super) fn adopt(&mut self, state: OwnedFd, dead_man: i32) -> Result<(), Errno> {
        let good = self.load(&state);
        // Before the numbers that no record names are closed: this is one of them.
        drop(state);
        if !good {
            return Err(Errno::INVAL);
        }
        self.resume("another image took over")?;
        crash::end_dead_man(dead_man);
        self.reexec_over(true);
        Ok(())
    }

    /// Whoever waits for it is told.
    pub(super) fn reexec_over(&mut self, done: bool) {
        for id in 0..CLIENTS as ClientId {
            if self.t.client(id).is_some_and(|c| c.waits == Waits::Reexec) {
                match done {
                    true => self.done(id),
                    false => self.refuse(id, Refusal::NoTakeOver),
                }
            }
        }
    }
}
