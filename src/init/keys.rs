//! Keys: from a line to the session that it shows, and the words that move the line.

use rustix::event::epoll::EventFlags;

use super::tables::{Line, Session, TYPED};
use super::words::Words;
use super::{Init, files};
use crate::policy::answers::Passed;
use crate::policy::detach::{KEY, Verdict};
use crate::policy::switchboard::{Action, Why};
use crate::sys::{Errno, time};

/// Keys read from a line in one turn.
const KEYS: usize = 256;

impl Init {
    /// Keys came, or the line takes bytes again, or it hung up.
    pub(super) fn line_ready(&mut self, line: Line, flags: EventFlags) {
        if flags.contains(EventFlags::OUT) {
            self.line_pump(line);
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            self.line_read(line);
        }
    }

    fn line_read(&mut self, line: Line) {
        let mut keys = [0u8; KEYS];
        let Some(fd) = self.t.line(line).and_then(|l| l.fd.as_ref()) else {
            return;
        };
        let len = match files::read(fd, &mut keys) {
            Err(Errno::AGAIN | Errno::INTR) => return,
            Ok(0) | Err(_) => return self.line_down(line),
            Ok(len) => len,
        };
        let now = time::now_ms();
        for byte in keys.iter().take(len) {
            let mut on = Passed::new();
            let asked = self.t.board.answers(line);
            if let Some(record) = self.t.line_mut(line) {
                record.answers.byte(now, *byte, asked, &mut on);
            }
            self.keys_pass(line, now, &on);
        }
        self.keys_flush(line);
    }

    /// Keys that are no terminal's answer.
    #[inline(never)]
    pub(super) fn keys_pass(&mut self, line: Line, now: u64, keys: &[u8]) {
        for byte in keys {
            if self.t.shows(line).is_none() {
                if matches!(byte, b'\r' | b'\n') {
                    self.line_enter(line, now);
                }
                continue;
            }
            let Some(record) = self.t.line_mut(line) else {
                return;
            };
            let verdict = record.detach.byte(now, *byte);
            self.keys_take(line, verdict);
        }
    }

    /// Enter on a line that shows nothing.
    fn line_enter(&mut self, line: Line, now: u64) {
        match self.t.board.enter(line) {
            Some(action) => self.board_perform(&[action]),
            None => self.shell_patience(line, now),
        }
    }

    /// Hands keys on, or leaves the session.
    #[inline(never)]
    pub(super) fn keys_take(&mut self, line: Line, verdict: Verdict) {
        if verdict.detach {
            self.keys_flush(line);
            self.line_disconnect(line);
        }
        if self.t.board.watches(line) {
            return;
        }
        if self.t.board.typed(line)
            && let Some(session) = self.t.shows(line)
        {
            self.session_fit(session);
        }
        let Some(record) = self.t.line_mut(line) else {
            return;
        };
        // A session that takes no keys loses those that do not fit, so that the detach key is always heard.
        for _ in 0..verdict.keys {
            record.keys_lost += u32::from(record.typed.push(KEY).is_err());
        }
        if let Some(byte) = verdict.byte {
            record.keys_lost += u32::from(record.typed.push(byte).is_err());
        }
        if record.typed.is_full() {
            self.keys_flush(line);
        }
    }

    /// Writes the keys to the session that the line shows, as far as it takes them.
    #[inline(never)]
    pub(super) fn keys_flush(&mut self, line: Line) {
        let Some(session) = self.t.shows(line) else {
            return;
        };
        let Some(record) = self.t.line(line).filter(|l| !l.typed.is_empty()) else {
            return;
        };
        // No terminal there: nobody takes them.
        let mut written = TYPED;
        if let Some(ours) = self.t.session(session)
            && ours.pts.is_some()
            && let Some(master) = &ours.master
        {
            match files::write(master, &record.typed) {
                Ok(len) => written = len,
                Err(Errno::AGAIN | Errno::INTR) => written = 0,
                Err(_) => {}
            }
        }
        if let Some(record) = self.t.line_mut(line) {
            let rest = files::drop_front(&mut record.typed, written);
            record.typed.truncate(rest);
            if rest == 0 && record.keys_lost > 0 {
                let mut words = Words::new("[");
                words.num(record.keys_lost.into()).add(" keys lost]");
                record.keys_lost = 0;
                self.line_tell(line, words.as_str());
            }
        }
        self.session_rearm(session);
    }

    /// The person leaves the session.
    #[inline(never)]
    pub(super) fn line_disconnect(&mut self, line: Line) {
        let left = self.t.shows(line);
        if let Some(session) = left {
            self.session_note_size(session);
            // The rest of what it leaves comes before any word of where it goes.
            self.line_tail(line, session);
        }
        let actions = self.t.board.disconnect(line);
        for action in &actions {
            if matches!(action, Action::OpenShell { .. }) {
                self.line_say(line, "Console connected");
            }
        }
        self.board_perform(&actions);
        if let Some(session) = left
            && self.t.shows(line) != left
        {
            self.session_left(session, line);
        }
    }

    /// The person on the line goes to a session.
    pub(super) fn line_connect(&mut self, line: Line, session: Session, watch: bool) {
        let from = self.t.shows(line).filter(|from| *from != session);
        if let Some(from) = from {
            self.session_note_size(from);
            // What was typed there to get here is echoed before the line leaves.
            self.session_drain(from);
            self.session_shown(from);
            self.line_tail(line, from);
        }
        match self.t.board.connect(line, session, watch) {
            Some(action) => self.board_perform(&[action]),
            None => self.line_show(line, session, Why::Connected),
        }
        if let Some(from) = from {
            self.session_left(from, line);
        }
    }
}
