//! Sessions: pseudo-terminals whose masters PID 1 holds, and their rings.
//!
//! The ring is always drained, whoever looks: a program never stops for want of a
//! reader. A turn takes a bounded piece of each, so no flood holds up a keystroke.

use heapless::String;
use rustix::event::epoll::EventFlags;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use super::poll::{Token, rewatch, unwatch, watch};
use super::tables::{Session, SessionRecord, UNITS, Whose, free, taken};
use super::{Init, RING};
use crate::policy::ring::Ring;
use crate::sys::{Errno, device};

/// Bytes read from a session in one turn.
const PIECE: usize = 4096;
/// Pieces read at most once its programs are gone: more than a ring is not kept anyhow.
const LAST_PIECES: usize = 64;
/// A session that is no more is kept this long for lines that have not shown its end.
const CLOSING_MS: u64 = 5_000;
/// The size of a terminal that has not said its own (that of the VT100).
pub(super) const SIZE: Winsize = Winsize {
    ws_row: 24,
    ws_col: 80,
    ws_xpixel: 0,
    ws_ypixel: 0,
};

impl Init {
    /// A place for a session, without a terminal yet.
    pub(super) fn session_new(&mut self, whose: Whose, label: &str) -> Result<Session, Errno> {
        let id = free(&self.t.sessions).ok_or(Errno::NFILE)?;
        let mut name = String::new();
        let _ = name.push_str(label);
        if let Some(place) = self.t.sessions.get_mut(usize::from(id)) {
            *place = Some(SessionRecord {
                whose,
                label: name,
                ring: Ring::default(),
                master: None,
                slave: None,
                pts: None,
                epitaph: String::new(),
                wants_out: false,
            });
        }
        // A place that another session had before: no line has shown anything of this one.
        for line in self.t.lines.iter_mut().flatten() {
            if let Some(shown) = line.shown.get_mut(usize::from(id)) {
                *shown = 0;
            }
        }
        Ok(id)
    }

    /// Gives the session a fresh pseudo-terminal.
    pub(super) fn session_open(&mut self, id: Session) -> Result<(), Errno> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags)?;
        rustix::pty::unlockpt(&master)?;
        fcntl_setfl(&master, OFlags::RDWR | OFlags::NONBLOCK)?;
        let pts = device::pts_number(&master)?;
        let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags)?;
        rustix::termios::tcsetwinsize(&master, SIZE)?;
        self.session_take(id, master, Some(slave), Some(pts))
    }

    /// Gives the session a pipe to read. The writing end is handed back.
    pub(super) fn session_pipe(&mut self, id: Session) -> Result<OwnedFd, Errno> {
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        fcntl_setfl(&read, OFlags::NONBLOCK)?;
        self.session_take(id, read, None, None)?;
        Ok(write)
    }

    fn session_take(
        &mut self,
        id: Session,
        master: OwnedFd,
        slave: Option<OwnedFd>,
        pts: Option<u32>,
    ) -> Result<(), Errno> {
        watch(
            &self.epoll,
            master.as_fd(),
            Token::Session,
            id,
            EventFlags::IN,
        )?;
        let record = self.t.session_mut(id).ok_or(Errno::NOENT)?;
        record.master = Some(master);
        record.slave = slave;
        record.pts = pts;
        record.wants_out = false;
        record.epitaph.clear();
        Ok(())
    }

    /// Its master has bytes, takes keys again, or has been hung up.
    pub(super) fn session_ready(&mut self, id: Session, flags: EventFlags) {
        if flags.contains(EventFlags::OUT) {
            let lines = self
                .t
                .board
                .lines_showing(id)
                .collect::<heapless::Vec<_, 16>>();
            for line in lines {
                self.keys_flush(line);
            }
            self.session_rearm(id);
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            self.session_drain(id);
            self.session_shown(id);
        }
    }

    /// Reads one piece into the ring. False when there is no more for now.
    pub(super) fn session_drain(&mut self, id: Session) -> bool {
        let mut piece = [0u8; PIECE];
        let Some(record) = self.t.session_mut(id) else {
            return false;
        };
        let Some(master) = &record.master else {
            return false;
        };
        match rustix::io::read(master, &mut piece[..]) {
            Ok(len) if len > 0 => {
                let from = usize::from(id) * RING;
                if let (Some(room), Some(bytes)) =
                    (self.rings.get_mut(from..from + RING), piece.get(..len))
                {
                    record.ring.push(room, bytes);
                }
                true
            }
            Err(Errno::AGAIN | Errno::INTR) => false,
            // End of a pipe, or EIO: nobody has the slave open, or it was hung up.
            _ => {
                self.session_hung_up(id);
                false
            }
        }
    }

    /// A program may hang its terminal up and go on (getty does): then it gets a slave anew.
    fn session_hung_up(&mut self, id: Session) {
        let alive = match self.t.session(id).map(|s| s.whose) {
            Some(Whose::Unit(unit)) => self.t.unit(unit).is_some_and(|u| u.pid != 0),
            Some(Whose::Shell(line)) => self.t.line(line).is_some_and(|l| l.shell.pid != 0),
            _ => false,
        };
        let Some(record) = self.t.session_mut(id) else {
            return;
        };
        if let (true, Some(master), Some(_)) = (alive, &record.master, record.pts) {
            record.slave = None;
            let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
            record.slave = rustix::pty::ioctl_tiocgptpeer(master, flags).ok();
        }
        if record.slave.is_none() {
            self.session_shut(id);
        }
    }

    /// Its terminal is closed; the ring stays.
    fn session_shut(&mut self, id: Session) {
        let Some(record) = self.t.session_mut(id) else {
            return;
        };
        if let Some(master) = record.master.take() {
            unwatch(&self.epoll, master.as_fd());
        }
        record.slave = None;
        record.pts = None;
    }

    /// Waits for the master's writing side only while keys are left for it.
    pub(super) fn session_rearm(&mut self, id: Session) {
        let keys = self
            .t
            .board
            .lines_showing(id)
            .any(|l| self.t.line(l).is_some_and(|l| !l.typed.is_empty()));
        let Some(record) = self.t.session_mut(id) else {
            return;
        };
        if record.wants_out == keys {
            return;
        }
        record.wants_out = keys;
        let flags = if keys {
            EventFlags::IN | EventFlags::OUT
        } else {
            EventFlags::IN
        };
        if let Some(master) = &record.master {
            rewatch(&self.epoll, master.as_fd(), Token::Session, id, flags);
        }
    }

    /// New bytes are in the ring: every line and client that follows gets them.
    pub(super) fn session_shown(&mut self, id: Session) {
        let lines = self
            .t
            .board
            .lines_showing(id)
            .collect::<heapless::Vec<_, 16>>();
        for line in lines {
            self.line_pump(line);
        }
        self.followers_pump(id);
    }

    /// Its programs are gone: the rest is read, the terminal closed, and each line that shows it says so and returns.
    pub(super) fn session_end(&mut self, id: Session, epitaph: &str) {
        for _ in 0..LAST_PIECES {
            if !self.session_drain(id) {
                break;
            }
        }
        self.session_shown(id);
        self.session_shut(id);
        if let Some(record) = self.t.session_mut(id) {
            record.epitaph.clear();
            let _ = record.epitaph.push_str(epitaph);
        }
        let showing = self
            .t
            .board
            .lines_showing(id)
            .collect::<heapless::Vec<_, 16>>();
        for line in showing {
            self.line_tail(line, id);
            self.line_say(line, epitaph);
        }
        let actions = self.t.board.session_gone(id);
        self.board_perform(&actions);
    }

    /// The session is nobody's any more; its place is free once no line has to show the rest of it.
    pub(super) fn session_release(&mut self, id: Session, now: u64) {
        self.session_shut(id);
        if let Some(record) = self.t.session_mut(id) {
            record.whose = Whose::Closing {
                until: now + CLOSING_MS,
            };
        }
        self.sessions_due(now);
    }

    /// Frees the places of sessions that nobody waits for.
    pub(super) fn sessions_due(&mut self, now: u64) {
        for id in taken(&self.t.sessions) {
            let Some(Whose::Closing { until }) = self.t.session(id).map(|s| s.whose) else {
                continue;
            };
            let tailed = self
                .t
                .lines
                .iter()
                .flatten()
                .any(|l| l.tail.is_some_and(|(s, _)| s == id));
            if tailed && now < until {
                continue;
            }
            for line in self.t.lines.iter_mut().flatten() {
                if line.tail.is_some_and(|(s, _)| s == id) {
                    line.tail = None;
                }
            }
            if let Some(place) = self.t.sessions.get_mut(usize::from(id)) {
                *place = None;
            }
            self.ring_forget(id);
        }
    }

    /// When [`Init::sessions_due`] has something to do.
    pub(super) fn sessions_deadline(&self) -> Option<u64> {
        self.t
            .sessions
            .iter()
            .flatten()
            .filter_map(|s| match s.whose {
                Whose::Closing { until } => Some(until),
                _ => None,
            })
            .min()
    }

    /// Gives the ring's memory back to the kernel.
    fn ring_forget(&mut self, id: Session) {
        let start = crate::sys::arena::offset(self.rings.as_ptr() as usize)
            + (usize::from(id) * RING) as u64;
        let flags = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
        let _ = rustix::fs::fallocate(&self.arena, flags, start, RING as u64);
    }

    /// The bytes of the ring from a position on, in one piece, and how many before are lost.
    pub(super) fn ring_read(&self, id: Session, from: u64) -> (u64, &[u8]) {
        let at = usize::from(id) * RING;
        match (self.t.session(id), self.rings.get(at..at + RING)) {
            (Some(record), Some(room)) => record.ring.read(room, from),
            _ => (0, &[]),
        }
    }
}

const _: () = assert!(
    UNITS < super::tables::SESSIONS,
    "a session for each container, and for host shells beside them"
);
