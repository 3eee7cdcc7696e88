//! The event log: what happened to containers and to PID 1, a line each.
//!
//! `[12.345] exit web exited with status 1`: seconds of the monotonic clock, the event,
//! the container's name (`-` for PID 1 itself), the reason. In the kernel's log without
//! the clock, which has its own, and in a ring that is followed like a session's.

use log::Level;

use super::log::note;
use super::tables::{EVENTS, UnitId};
use super::words::Words;
use super::{Init, RING};
use crate::sys::time;

impl Init {
    /// Something happened to a container.
    #[inline(never)]
    pub(super) fn unit_tell(&mut self, id: UnitId, event: &str, why: &str) {
        let mut name = Words::new("");
        if let Some(record) = self.t.unit(id) {
            name.add(&record.name);
        }
        self.tell(event, name.as_str(), why);
    }

    /// Something happened.
    #[inline(never)]
    pub(super) fn tell(&mut self, event: &str, name: &str, why: &str) {
        let now = time::now_ms();
        let mut words = Words::new("[");
        words.num(now / 1000).add(".");
        let ms = now % 1000;
        if ms < 100 {
            words.add("0");
        }
        if ms < 10 {
            words.add("0");
        }
        words.num(ms).add("] ");
        let from = words.as_str().len();
        words.add(event).add(" ").add(name);
        if !why.is_empty() {
            words.add(" ").add(why);
        }
        note(Level::Info, words.as_str().get(from..).unwrap_or_default());
        words.add("\n");
        let at = usize::from(EVENTS) * RING;
        if let (Some(room), Some(record)) = (
            self.rings.get_mut(at..at + RING),
            self.t.session_mut(EVENTS),
        ) {
            record.ring.push(room, words.as_str().as_bytes());
        }
        self.followers_pump(EVENTS);
    }
}
