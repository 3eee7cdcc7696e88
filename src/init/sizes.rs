//! How large a session is: the smallest of the terminals that type into it.
//!
//! A VT and a handed terminal know their size. What hangs on a serial line is 24 rows by
//! 80 columns until somebody says otherwise inside a session (resize and stty set its
//! terminal's size); the line takes that along. PID 1 asks no terminal.

use rustix::fd::OwnedFd;
use rustix::termios::{Winsize, tcgetwinsize, tcsetwinsize};

use super::Init;
use super::tables::{LINES, Line, Session};
use super::words::Words;
use crate::sys::{device, lend, terminal};

/// What a VT is told on each return: its own letters, no colours, a cursor, lines that wrap.
const PLAIN: &[u8] = b"\x1b(B\x0f\x1b[0;10m\x1b[?7;25h\x1b[4l";

impl Init {
    /// Tells a session its size.
    pub(super) fn session_size(&mut self, session: Session, size: Winsize) {
        let new = (size.ws_row, size.ws_col);
        if let Some(record) = self.t.session_mut(session)
            && let Some(master) = &record.master
            && record.size != new
        {
            let _ = tcsetwinsize(lend(master), size);
            record.size = new;
        }
    }

    /// The size of the terminal at the line's end.
    fn line_size(&self, line: Line) -> Option<Winsize> {
        let record = self.t.line(line)?;
        let fd = record.fd.as_ref()?;
        match record.vt || record.client.is_some() {
            true => size_of(fd),
            false => Some(record.size),
        }
    }

    /// Somebody set another size inside: it is that of the terminal where they typed it.
    #[inline(never)]
    pub(super) fn session_note_size(&mut self, session: Session) {
        let Some(size) = self.t.master(session).and_then(size_of) else {
            return;
        };
        let new = (size.ws_row, size.ws_col);
        let typist = self.t.board.mover(session);
        if let Some(record) = self.t.session_mut(session)
            && record.size != new
        {
            record.size = new;
            if let Some(record) = typist.and_then(|line| self.t.line_mut(line)) {
                record.size = size;
            }
        }
    }

    /// The session gets the smallest size of those who type into it; where nobody does yet, of those who show it.
    #[inline(never)]
    pub(super) fn session_fit(&mut self, session: Session) {
        self.session_note_size(session);
        let mut fit: Option<Winsize> = None;
        for works in [true, false] {
            for line in 0..LINES as Line {
                let counts = self.t.shows(line) == Some(session)
                    && !self.t.board.watches(line)
                    && (!works || self.t.board.works(line));
                if let Some(size) = self.line_size(line).filter(|_| counts) {
                    let mut least = fit.unwrap_or(size);
                    least.ws_row = least.ws_row.min(size.ws_row);
                    least.ws_col = least.ws_col.min(size.ws_col);
                    fit = Some(least);
                }
            }
            if fit.is_some() {
                break;
            }
        }
        if let Some(size) = fit {
            self.session_size(session, size);
        }
    }

    /// Terminals may have other sizes than before.
    pub(super) fn look_at_sizes(&mut self) {
        for line in 0..LINES as Line {
            if let Some(session) = self.t.shows(line) {
                self.session_fit(session);
            }
        }
    }

    /// A line has left the session: it may have been held for that line, or smaller.
    #[inline(never)]
    pub(super) fn session_left(&mut self, session: Session, line: Line) {
        self.session_rearm(session);
        self.session_fit(session);
        self.session_tell(session, line, " left");
    }

    /// The others on a session are told what the one on that line did.
    #[inline(never)]
    pub(super) fn session_tell(&mut self, session: Session, line: Line, what: &str) {
        let mut words = Words::new("[");
        if let Some(record) = self.t.line(line) {
            let device = record.device.as_str();
            words.add(device.strip_prefix("/dev/").unwrap_or(device));
        }
        words.add(what);
        if self.t.board.watches(line) {
            words.add(" to watch");
        }
        words.add("]");
        for other in 0..LINES as Line {
            if other != line && self.t.shows(other) == Some(session) {
                self.line_tell(other, words.as_str());
            }
        }
    }

    /// The line as PID 1 wants it, whatever the last program on the board did to it.
    pub(super) fn line_reset(&self, line: Line) {
        if let Some(record) = self.t.line(line)
            && let Some(fd) = &record.fd
        {
            let _ = terminal::raw(lend(fd));
            if record.vt {
                device::set_keyboard_mode(fd, record.keyboard);
                let _ = super::files::write(fd, PLAIN);
            }
        }
    }
}

/// The size of a terminal, if it says one.
#[inline(never)]
fn size_of(terminal: &OwnedFd) -> Option<Winsize> {
    tcgetwinsize(lend(terminal))
        .ok()
        .filter(|size| size.ws_row > 0)
}
