//! How a process ended: by exiting, by a signal, or before it began.
//!
//! `{exited|signalled|dumped, value}` is kept apart all the way to the person, so
//! that exit 9 and signal 9 are never taken for each other.

use super::text::{Sink, put};
use super::wire::{Reader, Writer};

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// It called exit with this status.
    Exited(u8),
    /// A signal of this number ended it.
    Signalled(u8),
    /// A signal of this number ended it and it left a core.
    Dumped(u8),
}

impl Ended {
    /// What wait(2) says of a process that ended; `None` for one that only stopped.
    pub fn of_status(status: u32) -> Option<Ended> {
        let (low, high) = (status & 0x7f, (status >> 8) as u8);
        match low {
            0 => Some(Ended::Exited(high)),
            0x7f => None,
            _ if status & 0x80 != 0 => Some(Ended::Dumped(low as u8)),
            _ => Some(Ended::Signalled(low as u8)),
        }
    }

    /// The status a shell shows for it: the exit status, or 128 and the signal's number.
    pub fn status(self) -> u8 {
        match self {
            Ended::Exited(status) => status,
            Ended::Signalled(signal) | Ended::Dumped(signal) => 128u8.saturating_add(signal),
        }
    }

    /// Whether it counts as a success: exit status 0.
    pub fn is_success(self) -> bool {
        self == Ended::Exited(0)
    }

    /// Puts it into a message.
    pub fn emit(self, w: &mut Writer<'_>) {
        let (kind, value) = match self {
            Ended::Exited(v) => (0, v),
            Ended::Signalled(v) => (1, v),
            Ended::Dumped(v) => (2, v),
        };
        w.u8(kind);
        w.u8(value);
    }

    /// Takes it out of a message.
    #[inline(never)]
    pub fn parse(r: &mut Reader<'_>) -> Self {
        let (kind, value) = (r.u8(), r.u8());
        r.check(kind < 3);
        match kind {
            0 => Ended::Exited(value),
            1 => Ended::Signalled(value),
            _ => Ended::Dumped(value),
        }
    }
}

impl Ended {
    /// Writes it for people.
    pub fn show(self, sink: &mut Sink<'_>) {
        let (signal, core) = match self {
            Ended::Exited(status) => return put!(sink, "exited with status {}", status),
            Ended::Signalled(signal) => (signal, ""),
            Ended::Dumped(signal) => (signal, ", core dumped"),
        };
        let name = super::signal::name(signal);
        put!(sink, "killed by signal {} ({}){}", signal, name, core);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_9_and_signal_9_differ() {
        let words = |e: Ended| {
            let mut s = super::super::text::Text::<64>::new();
            put!(&mut s, "{}", e);
            s.as_str().to_owned()
        };
        assert_eq!(words(Ended::Exited(9)), "exited with status 9");
        assert_eq!(words(Ended::Signalled(9)), "killed by signal 9 (SIGKILL)");
        assert_eq!(
            words(Ended::Dumped(11)),
            "killed by signal 11 (SIGSEGV), core dumped"
        );
        assert_eq!(Ended::Exited(9).status(), 9);
        assert_eq!(Ended::Signalled(9).status(), 137);
    }

    #[test]
    fn it_crosses_the_wire() {
        for e in [Ended::Exited(0), Ended::Signalled(15), Ended::Dumped(6)] {
            let mut room = [0; 2];
            let mut w = Writer::new(&mut room);
            e.emit(&mut w);
            let mut r = Reader::new(w.finish().unwrap());
            assert_eq!(Ended::parse(&mut r), e);
            assert!(r.is_whole());
        }
        let mut r = Reader::new(&[3, 0]);
        let _ = Ended::parse(&mut r);
        assert!(!r.is_good());
    }
}
