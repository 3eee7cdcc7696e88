//! Lines: physical terminals, opened by PID 1 alone, raw and non-blocking.
//!
//! What a line shows is the switchboard's to say; here its bytes move. A line has three
//! sources, in this order: the rest of a session that it left, what PID 1 itself has to
//! say, the ring of the session that it shows. PID 1 never waits for a line: what it
//! does not take stays in the ring, and what the ring loses is counted and told.

use heapless::{String, Vec};
use rustix::event::epoll::EventFlags;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::termios::{ControlModes, OptionalActions, SpecialCodeIndex};

use super::poll::{Token, rewatch, unwatch, watch};
use super::tables::{
    Line, LineRecord, PATH, SESSIONS, Session, ShellRecord, TYPED, Whose, free, taken,
};
use super::{Init, boot};
use crate::policy::backoff::Backoff;
use crate::policy::detach::{Detach, KEY, Verdict};
use crate::policy::switchboard::{Action, Actions, Home, Why};
use crate::sys::{Errno, device, time};

/// Bytes written to a line in one go, and how many goes in one turn.
const GO: usize = 1024;
const GOES: usize = 8;
/// Keys read from a line in one turn.
const KEYS: usize = 256;
/// The major number of virtual terminals.
const VT_MAJOR: u32 = 4;
/// Virtual terminals have minors below this; serial ports of the same major above.
const VT_MINORS: u32 = 64;

/// Opens a terminal anew: no controlling terminal, no waiting for a carrier.
fn open(device: &str) -> Result<OwnedFd, Errno> {
    let fd = rustix::fs::open(
        device,
        OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    raw(&fd)?;
    Ok(fd)
}

/// Raw, without flow control by keys, without hanging up. At once: nothing is drained first.
fn raw(fd: &OwnedFd) -> Result<(), Errno> {
    let mut t = rustix::termios::tcgetattr(fd)?;
    t.make_raw();
    t.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD;
    t.special_codes[SpecialCodeIndex::VMIN] = 1;
    t.special_codes[SpecialCodeIndex::VTIME] = 0;
    rustix::termios::tcsetattr(fd, OptionalActions::Now, &t)
}

/// The 8250 driver makes ports without hardware; their type is 0.
fn has_hardware(name: &[u8]) -> bool {
    let mut path: String<{ PATH + 32 }> = String::new();
    let _ = ufmt::uwrite!(
        path,
        "/sys/class/tty/{}/type\0",
        crate::format::text::Plain(name)
    );
    let mut room = [0u8; 8];
    let kind = core::ffi::CStr::from_bytes_with_nul(path.as_bytes())
        .ok()
        .and_then(|p| boot::read_file(p, &mut room).ok());
    kind.is_none_or(|k| k.trim_ascii() != b"0")
}

impl Init {
    /// Opens what the kernel line names, and the virtual terminals.
    pub(super) fn open_lines(&mut self, consoles: &[&[u8]], extra: &[&[u8]]) {
        let home = self.shell_home();
        match consoles.last() {
            Some(last) => self.line_named(last, Some(0), home(Home::Shell)),
            None if self.t.config.nested => {
                if rustix::termios::isatty(crate::sys::process::standard(0)) {
                    self.line_add("/proc/self/fd/0", Some(0), home(Home::Shell));
                }
            }
            None => self.line_add("/dev/console", Some(0), home(Home::Shell)),
        }
        let others = consoles.len().saturating_sub(1);
        for name in consoles.iter().take(others).chain(extra) {
            self.line_named(name, None, home(Home::Offer));
        }
        if !self.t.config.nested {
            for (slot, device) in [(1, "/dev/tty1"), (2, "/dev/tty2"), (3, "/dev/tty3")] {
                if rustix::fs::access(device, rustix::fs::Access::EXISTS).is_ok() {
                    self.line_add(device, Some(slot), home(Home::Offer));
                }
            }
        }
    }

    /// Locked lines where there is no shell; in a rescue a shell on every line.
    fn shell_home(&self) -> impl Fn(Home) -> Home + use<> {
        let (locked, rescue) = (self.t.config.shell.is_empty(), self.t.config.rescue);
        move |home| match (locked, rescue) {
            (true, _) => Home::Locked,
            (_, true) => Home::Shell,
            _ => home,
        }
    }

    fn line_named(&mut self, name: &[u8], slot: Option<u8>, home: Home) {
        let mut device: String<PATH> = String::new();
        // tty0 is the VT in front, which at boot is the first.
        let name = if name == b"tty0" { b"tty1" } else { name };
        let bare = name.strip_prefix(b"/dev/").unwrap_or(name);
        let Ok(text) = core::str::from_utf8(bare) else {
            return;
        };
        if device.push_str("/dev/").is_err() || device.push_str(text).is_err() {
            return log::error!("console {text}: the name is too long");
        }
        if has_hardware(bare) {
            self.line_add(&device, slot, home);
        } else {
            log::warn!("{device}: no hardware behind it; not used");
        }
    }

    fn line_add(&mut self, device: &str, slot: Option<u8>, home: Home) {
        let mut name = String::new();
        let Some(id) = free(&self.t.lines).filter(|_| name.push_str(device).is_ok()) else {
            return log::error!("{device}: no room for another line");
        };
        let now = time::now_ms();
        let (fd, rdev) =
            match open(device).and_then(|fd| device::real_terminal(&fd).map(|rdev| (fd, rdev))) {
                Ok((fd, rdev)) => (Some(fd), rdev),
                Err(e) => {
                    log::warn!(
                        "{device}: unable to open: error {}; looked at again later",
                        e.raw_os_error()
                    );
                    (None, (0, 0))
                }
            };
        // One device is one line, whatever its names.
        if fd.is_some() && self.t.lines.iter().flatten().any(|l| l.rdev == rdev) {
            return;
        }
        let mut look_backoff = Backoff::new();
        look_backoff.start(now);
        let look_again = fd.is_none().then(|| now + u64::from(look_backoff.end(now)));
        if let Some(fd) = &fd
            && let Err(e) = watch(&self.epoll, fd.as_fd(), Token::Line, id, EventFlags::IN)
        {
            return log::error!(
                "{device}: unable to wait for it: error {}",
                e.raw_os_error()
            );
        }
        let vt = rdev.0 == VT_MAJOR && rdev.1 < VT_MINORS;
        let shell = ShellRecord {
            pid: 0,
            pidfd: None,
            report: None,
            session: None,
            fault: None,
            backoff: Backoff::new(),
            due: None,
            not_before: 0,
        };
        if let Some(place) = self.t.lines.get_mut(usize::from(id)) {
            *place = Some(LineRecord {
                device: name,
                fd,
                slot,
                rdev,
                vt,
                notice: Vec::new(),
                shown: [0; SESSIONS],
                typed: Vec::new(),
                detach: Detach::default(),
                wants_out: false,
                at_margin: false,
                tail: None,
                size: None,
                look_again,
                look_backoff,
                shell,
            });
        }
        log::info!(
            "line {device}{}",
            if slot == Some(0) {
                " is the system console"
            } else {
                ""
            }
        );
        let actions = self.t.board.line_up(id, home, slot);
        self.board_perform(&actions);
    }

    /// Does what the switchboard decided.
    pub(super) fn board_perform(&mut self, actions: &Actions) {
        for action in actions {
            match *action {
                Action::Show { line, session, why } => self.line_show(line, session, why),
                Action::OpenShell { line } => self.shell_wanted(line),
                Action::Offer { line } => {
                    self.line_say(line, "Press Enter to open the host shell.")
                }
                Action::Lock { line } => self.line_say(line, "This console is locked."),
                Action::Release { line } => self.line_remove(line),
            }
            if let Action::Offer { line } | Action::Lock { line } | Action::OpenShell { line } =
                *action
            {
                self.line_pump(line);
            }
        }
    }

    /// The line shows another session from now on.
    fn line_show(&mut self, line: Line, session: Session, why: Why) {
        let mut words: String<100> = String::new();
        if let Some(record) = self.t.session(session) {
            let label = if matches!(record.whose, Whose::Shell(_)) {
                "Console"
            } else {
                record.label.as_str()
            };
            let _ = ufmt::uwrite!(words, "{} connected", label);
        }
        if why != Why::Shell {
            self.line_say(line, &words);
        }
        let start = self
            .t
            .session(session)
            .map_or(0, |s| s.ring.start(super::RING));
        let size = self.line_size(line);
        if let Some(record) = self.t.line_mut(line) {
            record.typed.clear();
            record.detach = Detach::default();
            // What the ring lost before this line came is not this line's loss.
            if let (true, Some(shown)) = (
                why != Why::Returned,
                record.shown.get_mut(usize::from(session)),
            ) {
                *shown = (*shown).max(start);
            }
        }
        if let (Some(size), Some(master)) = (
            size,
            self.t.session(session).and_then(|s| s.master.as_ref()),
        ) {
            // A program inside sees SIGWINCH only where the size really changes.
            let _ = rustix::termios::tcsetwinsize(master, size);
        }
        self.line_pump(line);
    }

    /// The size of the terminal at the line's end: a VT knows its own, another's is what the session that it left was told.
    fn line_size(&self, line: Line) -> Option<rustix::termios::Winsize> {
        let record = self.t.line(line)?;
        if record.vt {
            return rustix::termios::tcgetwinsize(record.fd.as_ref()?)
                .ok()
                .filter(|s| s.ws_row > 0);
        }
        record.size
    }

    /// Remembers what the session that the line is about to leave knows of its size.
    pub(super) fn line_note_size(&mut self, line: Line) {
        let Some(session) = self.t.board.shows(line) else {
            return;
        };
        let size = self
            .t
            .session(session)
            .and_then(|s| rustix::termios::tcgetwinsize(s.master.as_ref()?).ok());
        if let (Some(record), Some(size)) = (self.t.line_mut(line), size.filter(|s| s.ws_row > 0)) {
            record.size = Some(size);
        }
    }

    /// What the session has in its ring by now is shown on this line before anything that comes after.
    pub(super) fn line_tail(&mut self, line: Line, session: Session) {
        let end = self.t.session(session).map_or(0, |s| s.ring.end());
        if let Some(record) = self.t.line_mut(line) {
            record.tail = Some((session, end));
        }
        self.line_pump(line);
    }

    /// PID 1 says something on the line, on a row of its own.
    pub(super) fn line_say(&mut self, line: Line, text: &str) {
        let Some(record) = self.t.line_mut(line) else {
            return;
        };
        // What does not fit is lost: nobody reads this line.
        let mut put = |bytes: &[u8]| record.notice.extend_from_slice(bytes).is_ok();
        let _ = put(b"\r") && put(text.as_bytes()) && put(b"\r\n");
    }

    /// Says it on the system console.
    pub(super) fn tell_console(&mut self, text: &str) {
        let console =
            taken(&self.t.lines).find(|l| self.t.line(*l).is_some_and(|l| l.slot == Some(0)));
        if let Some(line) = console {
            self.line_say(line, text);
            self.line_pump(line);
        }
    }

    /// Moves bytes to the line until it takes no more, none are left, or its turn is over.
    pub(super) fn line_pump(&mut self, line: Line) {
        for _ in 0..GOES {
            match self.line_go(line) {
                Ok(true) => {}
                Ok(false) => return self.line_rearm(line, false),
                Err(Errno::AGAIN | Errno::INTR) => break,
                Err(_) => return self.line_down(line),
            }
        }
        self.line_rearm(line, true);
    }

    /// One write. `Ok(false)`: nothing is left to write.
    fn line_go(&mut self, line: Line) -> Result<bool, Errno> {
        let Some(record) = self.t.line(line) else {
            return Ok(false);
        };
        let Some(fd) = &record.fd else {
            return Ok(false);
        };
        // 1. The rest of what it left. 3. What it shows. Each from where this line has not seen it.
        let (session, until) = match (record.tail, record.notice.is_empty()) {
            (Some((session, end)), _) => (session, end),
            (None, true) => match self.t.board.shows(line) {
                Some(session) => (session, u64::MAX),
                None => return Ok(false),
            },
            // 2. What PID 1 has to say.
            (None, false) => return self.line_go_notice(line),
        };
        let from = record.shown.get(usize::from(session)).copied().unwrap_or(0);
        let (lost, piece) = self.ring_read(session, from);
        let piece = piece.get(..piece.len().min(GO)).unwrap_or_default();
        let room = usize::try_from(until.saturating_sub(from + lost)).unwrap_or(usize::MAX);
        let piece = piece.get(..piece.len().min(room)).unwrap_or_default();
        let written = if lost > 0 || piece.is_empty() {
            0
        } else {
            rustix::io::write(fd, piece)?
        };
        let margin = written
            .checked_sub(1)
            .and_then(|at| piece.get(at))
            .map(|b| *b == b'\n');
        let done = lost == 0 && piece.is_empty();
        let Some(record) = self.t.line_mut(line) else {
            return Ok(false);
        };
        if let Some(shown) = record.shown.get_mut(usize::from(session)) {
            *shown += lost + written as u64;
        }
        if let Some(margin) = margin {
            record.at_margin = margin;
        }
        if done && record.tail.is_some() {
            record.tail = None;
            return Ok(true);
        }
        if lost > 0 {
            let mut words: String<48> = String::new();
            let _ = ufmt::uwrite!(words, "[{} bytes lost]", lost);
            self.line_say(line, &words);
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
            rustix::io::write(fd, b"\r\n")?;
            record.at_margin = true;
        }
        let written = rustix::io::write(fd, &record.notice)?;
        record.at_margin =
            written.checked_sub(1).and_then(|at| record.notice.get(at)) == Some(&b'\n');
        let rest: Vec<u8, { super::tables::NOTICE }> =
            Vec::from_slice(record.notice.get(written..).unwrap_or_default()).unwrap_or_default();
        record.notice = rest;
        Ok(true)
    }

    /// Waits for the line's writing side only while something is left for it.
    fn line_rearm(&mut self, line: Line, wants_out: bool) {
        let Some(record) = self.t.line_mut(line) else {
            return;
        };
        if record.wants_out == wants_out {
            return;
        }
        record.wants_out = wants_out;
        let flags = if wants_out {
            EventFlags::IN | EventFlags::OUT
        } else {
            EventFlags::IN
        };
        if let Some(fd) = &record.fd {
            rewatch(&self.epoll, fd.as_fd(), Token::Line, line, flags);
        }
    }

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
        let len = match rustix::io::read(fd, &mut keys[..]) {
            Ok(0) => return self.line_down(line),
            Ok(len) => len,
            Err(Errno::AGAIN | Errno::INTR) => return,
            Err(_) => return self.line_down(line),
        };
        let now = time::now_ms();
        for byte in keys.get(..len).unwrap_or_default() {
            if self.t.board.shows(line).is_none() {
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
        self.keys_flush(line);
    }

    /// Enter on a line that shows nothing.
    fn line_enter(&mut self, line: Line, now: u64) {
        match self.t.board.enter(line) {
            Some(action) => {
                let mut actions = Actions::new();
                let _ = actions.push(action);
                self.board_perform(&actions);
            }
            None => self.shell_patience(line, now),
        }
    }

    /// Hands keys on, or leaves the session.
    fn keys_take(&mut self, line: Line, verdict: Verdict) {
        if verdict.detach {
            self.keys_flush(line);
            self.line_disconnect(line);
        }
        self.t.board.typed(line);
        if self.t.board.watches(line) {
            return;
        }
        let Some(record) = self.t.line_mut(line) else {
            return;
        };
        // A session that takes no keys loses those that do not fit, so that the detach key is always heard.
        for _ in 0..verdict.keys {
            let _ = record.typed.push(KEY);
        }
        if let Some(byte) = verdict.byte {
            let _ = record.typed.push(byte);
        }
        if record.typed.is_full() {
            self.keys_flush(line);
        }
    }

    /// Writes the keys to the session that the line shows, as far as it takes them.
    pub(super) fn keys_flush(&mut self, line: Line) {
        let Some(session) = self.t.board.shows(line) else {
            return;
        };
        let Some(record) = self.t.line(line).filter(|l| !l.typed.is_empty()) else {
            return;
        };
        let master = self
            .t
            .session(session)
            .filter(|s| s.pts.is_some())
            .and_then(|s| s.master.as_ref());
        let written = match master.map(|m| rustix::io::write(m, &record.typed)) {
            Some(Ok(written)) => written,
            Some(Err(Errno::AGAIN | Errno::INTR)) => 0,
            // No terminal there: nobody takes them.
            Some(Err(_)) | None => TYPED,
        };
        if let Some(record) = self.t.line_mut(line) {
            let rest: Vec<u8, TYPED> =
                Vec::from_slice(record.typed.get(written..).unwrap_or_default())
                    .unwrap_or_default();
            record.typed = rest;
        }
        self.session_rearm(session);
    }

    /// The person leaves the session.
    pub(super) fn line_disconnect(&mut self, line: Line) {
        self.line_note_size(line);
        let left = self.t.board.shows(line);
        if let Some(session) = left {
            // The rest of what it leaves comes before any word of where it goes.
            self.line_tail(line, session);
        }
        let actions = self.t.board.disconnect(line);
        if actions
            .iter()
            .any(|a| matches!(a, Action::OpenShell { .. }))
        {
            self.line_say(line, "Console connected");
        }
        self.board_perform(&actions);
        if let Some(session) = left {
            self.session_rearm(session);
        }
    }

    /// The person on the line goes to a session.
    pub(super) fn line_connect(&mut self, line: Line, session: Session, watch: bool) {
        self.line_note_size(line);
        if let Some(from) = self.t.board.shows(line).filter(|from| *from != session) {
            // What was typed there to get here is echoed before the line leaves.
            self.session_drain(from);
            self.session_shown(from);
            self.line_tail(line, from);
        }
        match self.t.board.connect(line, session, watch) {
            Some(action) => {
                let mut actions = Actions::new();
                let _ = actions.push(action);
                self.board_perform(&actions);
            }
            None => self.line_show(line, session, Why::Connected),
        }
    }

    /// The line hung up or vanished: its sessions live, and it is looked at again.
    fn line_down(&mut self, line: Line) {
        let now = time::now_ms();
        let Some(record) = self.t.line_mut(line) else {
            return;
        };
        if let Some(fd) = record.fd.take() {
            unwatch(&self.epoll, fd.as_fd());
        }
        record.wants_out = false;
        record.look_again = Some(now + u64::from(record.look_backoff.end(now)));
    }

    /// A handed line is let go.
    fn line_remove(&mut self, line: Line) {
        self.line_pump(line);
        let _ = self.t.board.line_down(line);
        if let Some(place) = self.t.lines.get_mut(usize::from(line)) {
            *place = None;
        }
    }

    /// Looks again at lines that are down, and lets the detach key's time pass.
    pub(super) fn lines_due(&mut self, now: u64) {
        self.sessions_due(now);
        for line in taken(&self.t.lines) {
            let Some(record) = self.t.line_mut(line) else {
                continue;
            };
            let verdict = record.detach.due(now);
            if verdict.detach || verdict.keys > 0 {
                self.keys_take(line, verdict);
                self.keys_flush(line);
            }
            let due = self
                .t
                .line(line)
                .and_then(|l| l.look_again)
                .is_some_and(|at| now >= at);
            if due {
                self.line_look(line, now);
            }
        }
    }

    fn line_look(&mut self, line: Line, now: u64) {
        let Some(record) = self.t.line_mut(line) else {
            return;
        };
        record.look_backoff.start(now);
        let there = open(&record.device).and_then(|fd| {
            let rdev = device::real_terminal(&fd)?;
            watch(&self.epoll, fd.as_fd(), Token::Line, line, EventFlags::IN)?;
            Ok((fd, rdev))
        });
        match there {
            Ok((fd, rdev)) => {
                record.fd = Some(fd);
                record.rdev = rdev;
                record.look_again = None;
                log::info!("line {} is back", record.device.as_str());
                self.line_pump(line);
            }
            Err(_) => record.look_again = Some(now + u64::from(record.look_backoff.end(now))),
        }
    }

    /// When [`Init::lines_due`] has something to do.
    pub(super) fn lines_deadline(&self) -> Option<u64> {
        let of_line = |l: &LineRecord| {
            [l.detach.deadline(), l.look_again]
                .into_iter()
                .flatten()
                .min()
        };
        self.t
            .lines
            .iter()
            .flatten()
            .filter_map(of_line)
            .chain(self.sessions_deadline())
            .min()
    }
}
