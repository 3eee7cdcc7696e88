//! The watchdog: fed while the loop turns, the reaper reaps and what must be ready is.
//!
//! Its descriptor lives through re-execution, so that nothing is fed twice or missed, and
//! is never closed: the letter that would switch it off at that is never written.

use log::Level;
use rustix::fs::OFlags;
use rustix::process::{WaitId, WaitIdOptions, waitid};

use super::tables::is_due;
use super::words::Words;
use super::{Init, files};
use crate::sys::{Errno, device};

/// The board's end may take so long; the watchdog is stretched to this many seconds.
const END_S: u32 = 180;
/// It is fed this many times in its time.
const TIMES: u64 = 3;
/// Its time in seconds where it does not say its own.
const USUAL_S: u32 = 30;

impl Init {
    /// The modules of the kernel's words are there, and what they bring: what waited for them goes on.
    pub(super) fn modules_there(&mut self) {
        self.units_launch_waiting();
        if !self.t.config.watchdog.is_empty()
            && self.t.watchdog.is_none()
            && let Err(e) = self.watchdog_open()
        {
            let mut words = Words::new("Pouch: pouch.watchdog: unable to open ");
            words.plain(&self.t.config.watchdog).reason_of(e);
            words.log(Level::Error);
            self.tell_console(words.as_str());
        }
        self.tell_last_end();
    }

    /// Takes it over, with the seconds that the words give.
    fn watchdog_open(&mut self) -> Result<(), Errno> {
        let mut path = Words::new("");
        let path = path.plain(&self.t.config.watchdog).path();
        let fd = files::open(path, OFlags::WRONLY)?;
        if let Some(seconds) = self.t.config.watchdog_seconds {
            // One that takes no such time keeps its own, which is asked for next.
            let _ = device::watchdog(&fd, device::SET_TIMEOUT, seconds);
        }
        let time = device::watchdog(&fd, device::GET_TIMEOUT, 0);
        let time = time.unwrap_or(USUAL_S).max(1);
        self.t.watchdog_every = u64::from(time) * 1000 / TIMES;
        self.t.watchdog = Some(fd);
        self.t.watchdog_due = Some(0);
        Ok(())
    }

    /// Feeds it if its time has come and all is well.
    pub(super) fn watchdog_due(&mut self, now: u64) {
        if !is_due(self.t.watchdog_due, now) {
            return;
        }
        self.t.watchdog_due = Some(now + self.t.watchdog_every);
        self.reap();
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let zombie = matches!(waitid(WaitId::All, options), Ok(Some(_)));
        let well = self.t.ending.begun() || self.all_ready(now);
        if well && !zombie {
            self.watchdog_feed();
        } else if !well && !self.t.watchdog_hungry {
            self.tell(
                "hungry",
                "-",
                "no more food for the watchdog: what must be ready is not",
            );
        }
        self.t.watchdog_hungry = !well;
    }

    /// A byte that is no `V`.
    fn watchdog_feed(&self) {
        if let Some(fd) = &self.t.watchdog {
            let _ = files::write(fd, b"\0");
        }
    }

    /// The board ends: that may take long, and it is not to bite before.
    pub(super) fn watchdog_stretch(&mut self) {
        if let Some(fd) = &self.t.watchdog {
            let _ = device::watchdog(fd, device::SET_TIMEOUT, END_S);
        }
        self.watchdog_feed();
    }

    /// The last food; a board that is to stand still is not to be started again by it.
    pub(super) fn watchdog_last(&mut self, halts: bool) {
        self.watchdog_feed();
        if let (true, Some(fd)) = (halts, &self.t.watchdog) {
            let _ = device::watchdog(fd, device::SET_OPTIONS, device::DISABLE);
        }
    }
}
