//! The host shells: one a line, each on a session of its own, respawned ever more slowly.

use core::ffi::CStr;

use heapless::String;
use rustix::fd::AsFd;
use rustix::pipe::{PipeFlags, pipe_with};

use super::poll::{Token, watch};
use super::tables::{Kept, Line, PATH, Session, Whose, taken};
use super::{Init, sessions};
use crate::format::ended::Ended;
use crate::format::fault::{Fault, OBJECT_MAX, Step};
use crate::jail::{self, Report};
use crate::policy::switchboard::Actions;
use crate::sys::{Errno, time};

/// A host shell's environment: nothing of the kernel's words leaks into it.
const HOST_PATH: &CStr = c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// TERM of what runs on a line: the kernel's terminal on a VT, the least common denominator on a wire.
pub(super) fn term(vt: bool) -> &'static CStr {
    if vt { c"TERM=linux" } else { c"TERM=vt102" }
}

impl Init {
    /// The switchboard wants a host shell on the line: as soon as its back-off allows.
    pub(super) fn shell_wanted(&mut self, line: Line) {
        let now = time::now_ms();
        if let Some(record) = self.t.line_mut(line) {
            record.shell.due = Some(now.max(record.shell.not_before));
        }
    }

    /// Enter, while the shell's back-off runs.
    pub(super) fn shell_patience(&mut self, line: Line, now: u64) {
        let Some(due) = self.t.line(line).and_then(|l| l.shell.due) else {
            return;
        };
        let mut words: String<80> = String::new();
        let _ = ufmt::uwrite!(
            words,
            "Pouch: the host shell starts again in {} s",
            due.saturating_sub(now).div_ceil(1000)
        );
        self.line_say(line, &words);
        self.line_pump(line);
    }

    /// Starts the shells whose time has come.
    pub(super) fn shells_due(&mut self, now: u64) {
        for line in taken(&self.t.lines) {
            let due = self
                .t
                .line(line)
                .and_then(|l| l.shell.due)
                .is_some_and(|at| now >= at);
            if !due {
                continue;
            }
            if let Some(record) = self.t.line_mut(line) {
                record.shell.due = None;
            }
            if self.t.ending.begun() || !self.t.board.awaits_shell(line) {
                continue;
            }
            if let Some(record) = self.t.line_mut(line) {
                record.shell.backoff.start(now);
            }
            if let Err((step, errno)) = self.shell_start(line) {
                let fault = Fault {
                    step,
                    errno: errno.raw_os_error() as u16,
                    object: b"the host shell",
                };
                let mut words: String<200> = String::new();
                let _ = ufmt::uwrite!(words, "Pouch: {}", fault);
                log::error!("{}", words.as_str());
                self.line_say(line, &words);
                self.shell_again(line, now);
                self.shell_wanted(line);
            }
        }
    }

    fn shell_start(&mut self, line: Line) -> Result<(), (Step, Errno)> {
        let session = self
            .session_new(Whose::Shell(line), "")
            .map_err(|e| (Step::Terminal, e))?;
        let made = self
            .session_open(session)
            .map_err(|e| (Step::Terminal, e))
            .and_then(|()| self.shell_clone(line, session));
        if made.is_err() {
            self.session_release(session, 0);
            return made;
        }
        if let Some(action) = self.t.board.shell_up(line, session) {
            let mut actions = Actions::new();
            let _ = actions.push(action);
            self.board_perform(&actions);
        }
        Ok(())
    }

    fn shell_clone(&mut self, line: Line, session: Session) -> Result<(), (Step, Errno)> {
        let clone = |e| (Step::Clone, e);
        let (report, writing) =
            pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).map_err(clone)?;
        let mut path: String<{ PATH + 1 }> = String::new();
        let _ = path.push_str(&self.t.config.shell);
        // A dash before its name makes it a login shell.
        let mut argv0: String<{ PATH + 2 }> = String::new();
        let base = path.rsplit('/').next().unwrap_or("sh");
        let _ = ufmt::uwrite!(argv0, "-{}\0", base);
        let _ = path.push('\0');
        let (Ok(path), Ok(argv0)) = (
            CStr::from_bytes_with_nul(path.as_bytes()),
            CStr::from_bytes_with_nul(argv0.as_bytes()),
        ) else {
            return Err((Step::Exec, Errno::INVAL));
        };
        let record = self.t.line(line).ok_or(clone(Errno::NOENT))?;
        let env = [
            HOST_PATH,
            c"HOME=/root",
            c"USER=root",
            c"LOGNAME=root",
            c"SHELL=/bin/sh",
            term(record.vt),
        ];
        let slave = self
            .t
            .session(session)
            .and_then(|s| s.slave.as_ref())
            .ok_or(clone(Errno::NOENT))?;
        let cgroup = self.t.shell_cgroup.as_ref().map(AsFd::as_fd);
        let (pid, pidfd) =
            jail::host_shell(path, argv0, &env, cgroup, slave.as_fd(), writing.as_fd())
                .map_err(clone)?;
        let size = record.size.unwrap_or(sessions::SIZE);
        if let Some(master) = self.t.session(session).and_then(|s| s.master.as_ref()) {
            let _ = rustix::termios::tcsetwinsize(master, size);
        }
        let _ = watch(
            &self.epoll,
            report.as_fd(),
            Token::ShellReport,
            line,
            rustix::event::epoll::EventFlags::IN,
        );
        if let Some(record) = self.t.line_mut(line) {
            let shell = &mut record.shell;
            (
                shell.pid,
                shell.pidfd,
                shell.report,
                shell.session,
                shell.fault,
            ) = (pid, Some(pidfd), Some(report), Some(session), None);
        }
        log::info!(
            "host shell {} on {}: pid {pid}",
            self.t.config.shell.as_str(),
            self.t.line(line).map_or("", |l| l.device.as_str())
        );
        Ok(())
    }

    /// Its launch was heard of.
    pub(super) fn shell_report_ready(&mut self, line: Line) {
        let mut room = [0; OBJECT_MAX + 8];
        let Some(record) = self.t.line_mut(line) else {
            return;
        };
        let Some(report) = &record.shell.report else {
            return;
        };
        match jail::read_report(report, &mut room) {
            Report::Pending => return,
            Report::Execed => {}
            Report::Fault(fault) => record.shell.fault = Some(Kept::of(fault)),
        }
        record.shell.report = None;
    }

    /// The shell of a line was reaped.
    pub(super) fn shell_ended(&mut self, line: Line, ended: Ended, now: u64) {
        self.shell_report_ready(line);
        let Some(record) = self.t.line_mut(line) else {
            return;
        };
        record.shell.pid = 0;
        record.shell.pidfd = None;
        record.shell.report = None;
        let session = record.shell.session.take();
        let mut words: String<200> = String::new();
        match record.shell.fault.take() {
            Some(kept) => {
                let _ = ufmt::uwrite!(words, "Pouch: {}", kept.fault());
            }
            None => {
                let _ = ufmt::uwrite!(words, "Pouch: host shell {}", ended);
            }
        }
        let wait = self.shell_again(line, now);
        if !self.t.ending.begun() {
            let _ = ufmt::uwrite!(words, "; again in {}.{} s", wait / 1000, wait % 1000 / 100);
        }
        log::info!("{}", words.as_str());
        if let Some(session) = session {
            self.session_end(session, &words);
            self.session_release(session, now);
        }
    }

    /// The next start of the line's shell is not before its back-off is over. The wait in milliseconds.
    fn shell_again(&mut self, line: Line, now: u64) -> u32 {
        let Some(record) = self.t.line_mut(line) else {
            return 0;
        };
        let wait = record.shell.backoff.end(now);
        record.shell.not_before = now + u64::from(wait);
        wait
    }

    /// When [`Init::shells_due`] has something to do.
    pub(super) fn shells_deadline(&self) -> Option<u64> {
        self.t
            .lines
            .iter()
            .flatten()
            .filter_map(|l| l.shell.due)
            .min()
    }
}
