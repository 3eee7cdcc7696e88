//! Sessions: pseudo-terminals whose masters PID 1 holds, and their rings.
//!
//! The ring is always drained, whoever looks: a program never stops for want of a
//! reader. A turn takes a bounded piece of each, so no flood holds up a keystroke.

use heapless::String;
use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::termios::Winsize;

use super::poll::{Token, rewatch_held, unwatch, watch};
use super::tables::{LINES, Line, SESSIONS, Session, SessionRecord, Whose, is_due};
use super::{Init, RING, files};
use crate::sys::{Errno, device, file, lend};

/// Bytes read from a session in one turn.
const PIECE: usize = 4096;
/// Pieces read at most once its programs are gone: more than a ring is not kept anyhow.
const LAST_PIECES: usize = 64;
/// A line that moves may be so many bytes behind before the session is held: half a ring.
const BEHIND: u64 = (RING / 2) as u64;
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
    #[inline(never)]
    pub(super) fn session_new(&mut self, whose: Whose, label: &str) -> Result<Session, Errno> {
        let id = self.t.sessions().free().ok_or(Errno::NFILE)? as Session;
        let mut name = String::new();
        let _ = name.push_str(label);
        let record = SessionRecord {
            whose,
            label: name,
            ..super::state::no_session()
        };
        self.t.sessions().put(id, record);
        // A place that another session had before: no line has shown anything of this one.
        for line in 0..LINES as Line {
            if let Some(record) = self.t.line_mut(line)
                && let Some(shown) = record.shown.get_mut(usize::from(id))
            {
                *shown = 0;
            }
        }
        Ok(id)
    }

    /// Gives the session a fresh pseudo-terminal.
    pub(super) fn session_open(&mut self, id: Session) -> Result<(), Errno> {
        let master = files::open(c"/dev/ptmx", OFlags::RDWR)?;
        rustix::pty::unlockpt(lend(&master))?;
        fcntl_setfl(lend(&master), OFlags::RDWR | OFlags::NONBLOCK)?;
        let pts = device::pts_number(&master)?;
        let slave = file::slave(&master)?;
        self.session_take(id, master, Some(slave), Some(pts))?;
        self.session_size(id, SIZE);
        // A line may show the session already: one that is started again, or was accepted before.
        self.session_fit(id);
        Ok(())
    }

    /// Gives the session a pipe to read. The writing end is handed back.
    pub(super) fn session_pipe(&mut self, id: Session) -> Result<OwnedFd, Errno> {
        let (read, write) = file::pipe(OFlags::empty())?;
        fcntl_setfl(lend(&read), OFlags::NONBLOCK)?;
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
        watch(&self.epoll, &master, Token::Session, id)?;
        let record = self.t.session_mut(id).ok_or(Errno::NOENT)?;
        record.master = Some(master);
        record.size = (0, 0);
        record.slave = slave;
        record.pts = pts;
        (record.wants_out, record.held) = (false, false);
        record.epitaph.clear();
        Ok(())
    }

    /// Its master has bytes, takes keys again, or has been hung up.
    pub(super) fn session_ready(&mut self, id: Session, flags: EventFlags) {
        if flags.contains(EventFlags::OUT) {
            for line in 0..LINES as Line {
                if self.t.shows(line) == Some(id) {
                    self.keys_flush(line);
                }
            }
            self.session_rearm(id);
        }
        // A terminal that was hung up is read to its end: it would not stop to say so.
        let hung_up = flags.intersects(EventFlags::HUP | EventFlags::ERR);
        if hung_up || (flags.contains(EventFlags::IN) && !self.session_must_wait(id)) {
            self.session_drain(id);
            self.session_shown(id);
        }
        self.session_rearm(id);
    }

    /// Whether a line that shows the session, and moves, has so much left to take that reading
    /// on would overrun it. As on any terminal the program waits then; for a line that stalls
    /// nobody does.
    #[inline(never)]
    fn session_must_wait(&self, id: Session) -> bool {
        let end = self.t.session(id).map_or(0, |s| s.ring.end());
        let place = usize::from(id);
        (0..LINES as Line).any(|line| {
            self.t.shows(line) == Some(id)
                && self.t.line(line).is_some_and(|l| {
                    let shown = l.shown.get(place).copied().unwrap_or(end);
                    l.fd.is_some() && !l.stalled && end.saturating_sub(shown) > BEHIND
                })
        })
    }

    /// Reads one piece into the ring. False when there is no more for now.
    #[inline(never)]
    pub(super) fn session_drain(&mut self, id: Session) -> bool {
        let from = usize::from(id) * RING;
        let (Some(record), Some(room)) = (
            self.t.session_mut(id),
            self.rings.get_mut(from..from + RING),
        ) else {
            return false;
        };
        let Some(master) = &record.master else {
            return false;
        };
        // Into the ring itself: a copy on the way costs six instructions a byte.
        match files::read(master, record.ring.gap(room, PIECE)) {
            Ok(len) if len > 0 => {
                record.ring.put(len);
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
        files::close(&mut record.slave);
        if let (true, Some(master), Some(_)) = (alive, &record.master, record.pts) {
            record.slave = file::slave(master).ok();
        }
        if record.slave.is_none() {
            self.session_shut(id);
        }
    }

    /// Its terminal is closed; the ring stays.
    #[inline(never)]
    fn session_shut(&mut self, id: Session) {
        let Some(record) = self.t.session_mut(id) else {
            return;
        };
        unwatch(&self.epoll, &mut record.master);
        files::close(&mut record.slave);
        record.pts = None;
    }

    /// Waits for the master's writing side only while keys are left for it, and reads it only
    /// while there is room.
    #[inline(never)]
    pub(super) fn session_rearm(&mut self, id: Session) {
        let mut keys = false;
        for line in 0..LINES as Line {
            keys |= self.t.shows(line) == Some(id)
                && self.t.line(line).is_some_and(|l| !l.typed.is_empty());
        }
        let held = self.session_must_wait(id);
        if let Some(record) = self.t.session_mut(id)
            && (record.wants_out, record.held) != (keys, held)
        {
            (record.wants_out, record.held) = (keys, held);
            if let Some(master) = &record.master {
                rewatch_held(&self.epoll, master, Token::Session, id, keys, held);
            }
        }
    }

    /// New bytes are in the ring: every line and client that follows gets them.
    #[inline(never)]
    pub(super) fn session_shown(&mut self, id: Session) {
        for line in 0..LINES as Line {
            if self.t.shows(line) == Some(id) {
                self.line_pump(line);
            }
        }
        self.followers_pump(id);
    }

    /// Its programs are gone: the rest is read, the terminal closed, and each line that shows it says so and returns.
    #[inline(never)]
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
        for line in 0..LINES as Line {
            if self.t.shows(line) == Some(id) {
                self.line_tail(line, id);
                self.line_say(line, epitaph);
            }
        }
        let actions = self.t.board.session_gone(id);
        self.board_perform(&actions);
    }

    /// The session is nobody's any more; its place is free once no line has to show the rest of it.
    #[inline(never)]
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
        for id in 0..SESSIONS as Session {
            let Some(Whose::Closing { until }) = self.t.session(id).map(|s| s.whose) else {
                continue;
            };
            let tailed =
                |t: &super::tables::Tables| t.find_line(&|l| l.tail.is_some_and(|(s, _)| s == id));
            if tailed(self.t).is_some() && !is_due(Some(until), now) {
                continue;
            }
            while let Some(line) = tailed(self.t)
                && let Some(record) = self.t.line_mut(line)
            {
                record.tail = None;
            }
            self.t.sessions().vacate(id);
            self.ring_forget(id);
        }
    }

    /// Gives the ring's memory back to the kernel.
    fn ring_forget(&mut self, id: Session) {
        let start = crate::sys::arena::offset(self.rings.as_ptr() as usize)
            + (usize::from(id) * RING) as u64;
        let flags = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
        let _ = rustix::fs::fallocate(lend(&self.arena), flags, start, RING as u64);
    }

    /// The bytes of the ring from a position on, in one piece, and how many before are lost.
    #[inline(never)]
    pub(super) fn ring_read(&self, id: Session, from: u64) -> (u64, &[u8]) {
        let at = usize::from(id) * RING;
        match (self.t.session(id), self.rings.get(at..at + RING)) {
            (Some(record), Some(room)) => record.ring.read(room, from),
            _ => (0, &[]),
        }
    }
}
