//! Lines: physical terminals, opened by PID 1 alone, raw and non-blocking.
//!
//! What a line shows is the switchboard's to say. Here lines come and go: those that the
//! kernel line names, the virtual terminals, one that hung up and is there again.

use heapless::String;
use log::Level;
use rustix::fd::OwnedFd;
use rustix::fs::OFlags;

use super::poll::{Token, unwatch, watch};
use super::tables::{LINES, Line, LineRecord, PATH, SESSIONS, Session, Whose, is_due, sooner};
use super::words::Words;
use super::{Init, files};
use crate::format::text::behind;
use crate::policy::answers::Passed;
use crate::policy::backoff::Backoff;
use crate::policy::switchboard::Home;
use crate::sys::{Errno, device, lend, terminal, time};

/// The major number of virtual terminals.
const VT_MAJOR: u32 = 4;
/// Virtual terminals have minors below this; serial ports of the same major above.
const VT_MINORS: u32 = 64;
/// The keyboard mode of a VT that was not there to be asked (linux/kd.h).
const K_UNICODE: u32 = 3;
/// The virtual terminals' devices, from slot 1 on.
const VTS: [&str; 3] = ["/dev/tty1", "/dev/tty2", "/dev/tty3"];

/// Opens a terminal anew: no controlling terminal, no waiting for a carrier. With its (major, minor).
#[inline(never)]
fn open(name: &str) -> Result<(OwnedFd, (u32, u32)), Errno> {
    if !has_hardware(name.strip_prefix("/dev/").unwrap_or(name)) {
        return Err(Errno::NXIO);
    }
    let fd = files::open(Words::new(name).path(), OFlags::RDWR | OFlags::NONBLOCK)?;
    terminal::raw(lend(&fd))?;
    let rdev = device::real_terminal(&fd)?;
    Ok((fd, rdev))
}

/// The 8250 driver makes ports without hardware; their type is 0.
fn has_hardware(name: &str) -> bool {
    let mut path = Words::new("/sys/class/tty/");
    path.add(name).add("/type");
    let mut room = [0u8; 8];
    let kind = files::read_file(path.path(), &mut room).unwrap_or_default();
    kind.trim_ascii() != b"0"
}

/// A line that takes nothing for so long is stalled: nobody reads it.
const STALL_MS: u64 = 1_000;

impl Init {
    /// Opens what the kernel line names.
    pub(super) fn open_lines(&mut self, consoles: &[&[u8]], extra: &[&[u8]]) {
        let nested = self.t.config.nested;
        // The last that is there is the system console, as the kernel has it too.
        for name in consoles.iter().rev() {
            self.line_named(name);
        }
        if !self.has_console() && !nested {
            self.line_add("/dev/console", Some(0), Home::Shell);
        } else if nested && rustix::termios::isatty(crate::sys::process::standard(0)) {
            self.line_add("/proc/self/fd/0", Some(0), Home::Shell);
        }
        for name in extra {
            self.line_named(name);
        }
    }

    /// Opens the virtual terminals: the kernel makes each when it is opened for the first time.
    pub(super) fn open_vts(&mut self) {
        if !self.t.config.nested {
            for vt in VTS {
                let mut path = Words::new(vt);
                if rustix::fs::access(path.path(), rustix::fs::Access::EXISTS).is_ok() {
                    self.line_add(vt, None, Home::Offer);
                }
            }
        }
    }

    fn has_console(&self) -> bool {
        self.t.find_line(&|l| l.slot == Some(0)).is_some()
    }

    fn line_named(&mut self, name: &[u8]) {
        // tty0 is the VT in front, which at boot is the first.
        let name = if name == b"tty0" { b"tty1" } else { name };
        let bare = behind(name, b"/dev/").unwrap_or(name);
        let Some(text) = crate::sys::letters::text(bare) else {
            return;
        };
        let mut device = Words::new("/dev/");
        device.add(text);
        if device.as_str().len() > PATH {
            device = Words::new("console ");
            device.add(text).add(": the name is too long");
            device.log(Level::Error);
        } else if self.has_console() {
            self.line_add(device.as_str(), None, Home::Offer);
        } else {
            self.line_add(device.as_str(), Some(0), Home::Shell);
        }
    }

    fn line_add(&mut self, device: &str, mut slot: Option<u8>, mut home: Home) {
        // A VT has its slot, whoever names it first, unless it is the system console.
        for (number, vt) in (1..).zip(VTS) {
            if slot.is_none() && device == vt {
                slot = Some(number);
            }
        }
        let mut words = Words::new("");
        let (fd, rdev) = match open(device) {
            Ok((fd, rdev)) => (Some(fd), rdev),
            Err(e) => {
                words.add(device).add(": unable to open").errno(e);
                words.add("; looked at again later").log(Level::Warn);
                (slot, home) = (None, Home::Offer);
                (None, (0, 0))
            }
        };
        // One device is one line, whatever its names.
        if fd.is_some() && self.t.find_line(&|l| l.rdev == rdev).is_some() {
            return;
        }
        let there = fd.is_some();
        let id = match self.line_new(device, fd, rdev, slot) {
            Ok(id) => id,
            Err(e) => {
                words = Words::new(device);
                return words.add(": no line").errno(e).log(Level::Error);
            }
        };
        words = Words::new("line ");
        words.add(device);
        if slot == Some(0) {
            words.add(" is the system console");
        }
        words.log(Level::Info);
        // Locked lines where there is no shell; in a rescue a shell on every line that is there.
        let home = match (
            self.t.config.shell.is_empty(),
            self.t.config.rescue && there,
        ) {
            (true, _) => Home::Locked,
            (_, true) => Home::Shell,
            _ => home,
        };
        let actions = self.t.board.line_up(id, home, slot);
        self.board_perform(&actions);
    }

    /// A place for a line, open or to be looked at again. The switchboard does not know it yet.
    ///
    /// # Errors
    /// ENFILE where no place is left, EMSGSIZE for too long a name, those of epoll_ctl(2).
    pub(super) fn line_new(
        &mut self,
        device: &str,
        fd: Option<OwnedFd>,
        rdev: (u32, u32),
        slot: Option<u8>,
    ) -> Result<Line, Errno> {
        let now = time::now_ms();
        let mut name = String::new();
        name.push_str(device).map_err(|_| Errno::MSGSIZE)?;
        let id = self.t.lines().free().ok_or(Errno::NFILE)? as Line;
        let mut look_backoff = Backoff::new();
        look_backoff.start(now);
        let look_again = match &fd {
            None => Some(now + u64::from(look_backoff.end(now))),
            Some(fd) => {
                watch(&self.epoll, fd, Token::Line, id)?;
                None
            }
        };
        let keyboard = fd.as_ref().map(device::keyboard_mode);
        let keyboard = keyboard.and_then(Result::ok).unwrap_or(K_UNICODE);
        let record = LineRecord {
            device: name,
            fd,
            slot,
            rdev,
            vt: rdev.0 == VT_MAJOR && rdev.1 < VT_MINORS,
            keyboard,
            size: self
                .t
                .config
                .size
                .filter(|_| slot == Some(0))
                .unwrap_or(super::sessions::SIZE),
            look_again,
            look_backoff,
            ..super::state::no_line()
        };
        self.t.lines().put(id, record);
        Ok(id)
    }

    /// Waits for the line's writing side only while something is left for it.
    pub(super) fn line_rearm(&mut self, line: Line, wants_out: bool) {
        if let Some(record) = self.t.line_mut(line)
            && record.wants_out != wants_out
        {
            record.wants_out = wants_out;
            if let Some(fd) = &record.fd {
                super::poll::rewatch(&self.epoll, fd, Token::Line, line, wants_out);
            }
        }
    }

    /// The line hung up or vanished: its sessions live, and it is looked at again.
    pub(super) fn line_down(&mut self, line: Line) {
        if self.t.line(line).is_some_and(|l| l.client.is_some()) {
            return self.line_remove(line);
        }
        let now = time::now_ms();
        if let Some(record) = self.t.line_mut(line) {
            unwatch(&self.epoll, &mut record.fd);
            record.wants_out = false;
            record.look_again = Some(now + u64::from(record.look_backoff.end(now)));
        }
        self.line_frees(line);
        if let Some(session) = self.t.shows(line) {
            self.session_fit(session);
            self.session_tell(session, line, " hung up");
        }
    }

    /// Looks again at lines that are down, and lets the detach key's time pass.
    pub(super) fn lines_due(&mut self, now: u64) {
        self.sessions_due(now);
        for line in 0..LINES as Line {
            let Some(record) = self.t.line_mut(line) else {
                continue;
            };
            let look = is_due(record.look_again, now);
            if !record.stalled && is_due(record.stuck.map(|at| at + STALL_MS), now) {
                record.stalled = true;
                self.line_frees(line);
                self.line_let_go(line);
            }
            let Some(record) = self.t.line_mut(line) else {
                continue;
            };
            let mut on = Passed::new();
            record.answers.due(now, &mut on);
            let verdict = record.detach.due(now);
            if verdict.detach || verdict.keys > 0 || !on.is_empty() {
                self.keys_take(line, verdict);
                self.keys_pass(line, now, &on);
                self.keys_flush(line);
            }
            if look {
                self.line_look(line, now);
            }
        }
    }

    fn line_look(&mut self, line: Line, now: u64) {
        let Some(record) = self.t.line_mut(line) else {
            return;
        };
        record.look_backoff.start(now);
        record.look_again = None;
        if let Ok((fd, rdev)) = open(&record.device)
            && watch(&self.epoll, &fd, Token::Line, line).is_ok()
        {
            record.rdev = rdev;
            files::keep(&mut record.fd, fd);
            let mut words = Words::new("line ");
            words.add(&record.device).add(" is back").log(Level::Info);
            if let Some(session) = self.t.shows(line) {
                self.session_fit(session);
            }
            self.line_pump(line);
        } else {
            record.look_again = Some(now + u64::from(record.look_backoff.end(now)));
        }
    }

    /// When [`Init::lines_due`], or what it calls, has something to do.
    pub(super) fn lines_deadline(&self, soonest: &mut u64) {
        for line in 0..LINES as Line {
            if let Some(record) = self.t.line(line) {
                sooner(soonest, record.detach.deadline());
                sooner(soonest, record.answers.deadline());
                let held = self.t.shows(line).and_then(|s| self.t.session(s));
                if !record.stalled && (held.is_some_and(|s| s.held) || record.client.is_some()) {
                    sooner(soonest, record.stuck.map(|at| at + STALL_MS));
                }
                sooner(soonest, record.look_again);
                sooner(soonest, record.shell.due);
            }
        }
        for id in 0..SESSIONS as Session {
            if let Some(Whose::Closing { until }) = self.t.session(id).map(|s| s.whose) {
                sooner(soonest, Some(until));
            }
        }
    }
}
