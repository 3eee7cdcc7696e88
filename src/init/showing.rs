//! What a line shows: its bytes move here.
//!
//! A line has three sources, in this order: the rest of a session that it left, what PID
//! 1 itself has to say, the ring of the session that it shows. PID 1 never waits for a
//! line: what it does not take stays in the ring, and what the ring loses is counted and
//! told.

use super::tables::{Line, Session, Whose};
use super::words::Words;
use super::{Init, files};
use crate::policy::detach::Detach;
use crate::policy::switchboard::{Action, Why};
use crate::sys::{Errno, time};

/// Bytes written to a line in one go, and how many goes in one turn.
const GO: u64 = 1024;
const GOES: usize = 8;

impl Init {
    /// Does what the switchboard decided.
    #[inline(never)]
    pub(super) fn board_perform(&mut self, actions: &[Action]) {
        for action in actions {
            let (line, words) = match *action {
                Action::Show { line, session, why } => {
                    self.line_show(line, session, why);
                    if matches!(why, Why::Connected | Why::Returned) {
                        self.session_tell(session, line, " joined");
                    }
                    continue;
                }
                Action::Release { line } => (line, "Console connected"),
                Action::OpenShell { line } => {
                    self.shell_wanted(line);
                    (line, "")
                }
                Action::Offer { line } => (line, "Press Enter to open the host shell."),
                Action::Lock { line } => (line, "This console is locked."),
            };
            self.line_tell(line, words);
        }
    }

    /// The line shows another session from now on.
    #[inline(never)]
    pub(super) fn line_show(&mut self, line: Line, session: Session, why: Why) {
        let mut start = 0;
        if let Some(record) = self.t.session(session) {
            start = record.ring.start(super::RING);
            if why != Why::Shell {
                let label = match record.whose {
                    Whose::Shell(_) => "Console",
                    _ => record.label.as_str(),
                };
                let mut words = Words::new(label);
                self.line_say(line, words.add(" connected").as_str());
            }
        }
        self.line_reset(line);
        if let Some(record) = self.t.line_mut(line) {
            record.typed.clear();
            record.keys_lost = 0;
            record.detach = Detach::default();
            record.answers.switched(time::now_ms());
            // What the ring lost before this line came is not this line's loss.
            if why != Why::Returned
                && let Some(shown) = record.shown.get_mut(usize::from(session))
            {
                *shown = (*shown).max(start);
            }
        }
        self.session_fit(session);
        self.line_pump(line);
    }

    /// What the session has in its ring by now is shown on this line before anything that comes after.
    #[inline(never)]
    pub(super) fn line_tail(&mut self, line: Line, session: Session) {
        let end = self.t.session(session).map_or(0, |s| s.ring.end());
        if let Some(record) = self.t.line_mut(line) {
            record.tail = Some((session, end));
        }
        self.line_pump(line);
    }

    /// PID 1 says something on the line, on a row of its own.
    #[inline(never)]
    pub(super) fn line_say(&mut self, line: Line, text: &str) {
        if let Some(record) = self.t.line_mut(line) {
            // What does not fit is lost: nobody reads this line.
            for piece in ["\r", text, "\r\n"] {
                if record.notice.extend_from_slice(piece.as_bytes()).is_err() {
                    return;
                }
            }
        }
    }

    /// The same at once; with nothing to say the line only goes on.
    #[inline(never)]
    pub(super) fn line_tell(&mut self, line: Line, text: &str) {
        if !text.is_empty() {
            self.line_say(line, text);
        }
        self.line_pump(line);
    }

    /// Says it on the system console.
    pub(super) fn tell_console(&mut self, text: &str) {
        if let Some(line) = self.t.find_line(&|l| l.slot == Some(0)) {
            self.line_tell(line, text);
        }
    }

    /// Moves bytes to the line until it takes no more, none are left, or its turn is over.
    #[inline(never)]
    pub(super) fn line_pump(&mut self, line: Line) {
        let (mut left, mut moved, mut stuck) = (true, false, None);
        for _ in 0..GOES {
            match self.line_go(line, &mut moved) {
                Ok(true) => {}
                Ok(false) => {
                    left = false;
                    break;
                }
                Err(Errno::AGAIN | Errno::INTR) => {
                    stuck = Some(time::now_ms());
                    break;
                }
                Err(_) => return self.line_down(line),
            }
        }
        if let Some(record) = self.t.line_mut(line) {
            match stuck {
                // It took nothing at all this time. What the ring lost is no progress.
                Some(now) if !moved => record.stuck = record.stuck.or(Some(now)),
                // Nobody may call again before it moves: the time runs from now on.
                stuck => (record.stuck, record.stalled) = (stuck, false),
            }
        }
        self.line_rearm(line, left);
        self.line_frees(line);
        if !left {
            self.line_let_go(line);
        }
    }

    /// What the line shows may be read again, if it was held for this line.
    #[inline(never)]
    pub(super) fn line_frees(&mut self, line: Line) {
        if let Some(session) = self.t.shows(line)
            && self.t.session(session).is_some_and(|s| s.held)
        {
            self.session_rearm(session);
        }
    }

    /// One write. `Ok(false)`: nothing is left to write.
    fn line_go(&mut self, line: Line, moved: &mut bool) -> Result<bool, Errno> {
        let Some(record) = self.t.line_mut(line) else {
            return Ok(false);
        };
        let Some(fd) = &record.fd else {
            return Ok(false);
        };
        // 0. What it missed, in one sum once it moves.
        if record.lost > 0 {
            let mut words = Words::new(if record.at_margin { "\r[" } else { "\r\n[" });
            let text = words.num(record.lost).add(" bytes lost]\r\n").as_str();
            let written = files::write(fd, text.as_bytes())?;
            let rest = text.as_bytes().get(written..).unwrap_or_default();
            let _ = record.notice.extend_from_slice(rest);
            (record.lost, record.at_margin, *moved) = (0, rest.is_empty(), true);
            return Ok(true);
        }
        // 1. The rest of what it left. 3. What it shows. Each from where this line has not seen it.
        let (session, until) = match record.tail {
            Some(tail) => tail,
            // 2. What PID 1 has to say.
            None if !record.notice.is_empty() => {
                let gone = self.line_go_notice(line);
                *moved |= gone.is_ok();
                return gone;
            }
            None => match self.t.shows(line) {
                Some(session) => (session, u64::MAX),
                None => return Ok(false),
            },
        };
        let place = usize::from(session);
        let Some(record) = self.t.line(line) else {
            return Ok(false);
        };
        let Some(fd) = &record.fd else {
            return Ok(false);
        };
        let from = record.shown.get(place).copied().unwrap_or(0);
        let (lost, piece) = self.ring_read(session, from);
        let most = until.saturating_sub(from + lost).min(GO) as usize;
        let piece = piece.get(..most).unwrap_or(piece);
        let mut written = 0;
        if lost == 0 && !piece.is_empty() {
            written = files::write(fd, piece)?;
            *moved = true;
        }
        let last = piece.get(written.wrapping_sub(1)).copied();
        let done = lost == 0 && piece.is_empty();
        if let Some(record) = self.t.line_mut(line) {
            if let Some(shown) = record.shown.get_mut(place) {
                *shown += lost + written as u64;
            }
            record.lost += lost;
            if let Some(last) = last {
                record.at_margin = last == b'\n';
            }
            if done && record.tail.is_some() {
                record.tail = None;
                return Ok(true);
            }
        }
        Ok(!done)
    }

    /// Writes what PID 1 has to say; a row of its own begins at the margin.
    fn line_go_notice(&mut self, line: Line) -> Result<bool, Errno> {
        let Some(record) = self.t.line_mut(line) else {
            return Ok(false);
        };
        let Some(fd) = &record.fd else {
            return Ok(false);
        };
        if !record.at_margin && record.notice.first() == Some(&b'\r') {
            files::write(fd, b"\r\n")?;
            record.at_margin = true;
        }
        let written = files::write(fd, &record.notice)?;
        record.at_margin = record.notice.get(written.wrapping_sub(1)) == Some(&b'\n');
        let rest = files::drop_front(&mut record.notice, written);
        record.notice.truncate(rest);
        Ok(true)
    }
}
