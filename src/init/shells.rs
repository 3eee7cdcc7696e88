//! The host shells: one a line, each on a session of its own, respawned ever more slowly.

use core::ffi::CStr;

use log::Level;

use super::poll::{Token, watch};
use super::tables::{LINES, Line, Session, Whose, is_due};
use super::words::Words;
use super::{Init, files, launch};
use crate::format::ended::Ended;
use crate::format::fault::Step;
use crate::jail;
use crate::sys::{Errno, lend, socket, time};

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
        let mut words = Words::new("Pouch: the host shell starts again in ");
        words.num(due.saturating_sub(now).div_ceil(1000)).add(" s");
        self.line_tell(line, words.as_str());
    }

    /// Starts the shells whose time has come.
    pub(super) fn shells_due(&mut self, now: u64) {
        for line in 0..LINES as Line {
            let Some(record) = self.t.line_mut(line) else {
                continue;
            };
            if !is_due(record.shell.due, now) {
                continue;
            }
            record.shell.due = None;
            if self.t.ending.begun() || !self.t.board.awaits_shell(line) {
                continue;
            }
            if let Some(record) = self.t.line_mut(line) {
                record.shell.backoff.start(now);
            }
            let mut step = Step::Terminal;
            if let Err(e) = self.shell_start(line, &mut step) {
                let mut words = Words::new("Pouch: ");
                words.fault(&jail::unable(step, e, b"the host shell"));
                words.log(Level::Error);
                self.line_say(line, words.as_str());
                self.shell_again(line, now);
                self.shell_wanted(line);
            }
        }
    }

    fn shell_start(&mut self, line: Line, step: &mut Step) -> Result<(), Errno> {
        let session = self.session_new(Whose::Shell(line), "")?;
        let mut made = self.session_open(session);
        if made.is_ok() {
            *step = Step::Clone;
            made = self.shell_clone(line, session);
        }
        if made.is_err() {
            self.session_release(session, 0);
            return made;
        }
        if let Some(action) = self.t.board.shell_up(line, session) {
            self.board_perform(&[action]);
        }
        Ok(())
    }

    fn shell_clone(&mut self, line: Line, session: Session) -> Result<(), Errno> {
        let (report, writing) = socket::pair()?;
        let shell = &self.t.config.shell;
        let mut path = Words::new(shell);
        // A dash before its name makes it a login shell.
        let mut argv0 = Words::new("-");
        let slash = shell.bytes().rposition(|b| b == b'/');
        argv0.add(shell.get(slash.map_or(0, |at| at + 1)..).unwrap_or("sh"));
        let record = self.t.line(line).ok_or(Errno::NOENT)?;
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
            .ok_or(Errno::NOENT)?;
        let cgroup = self.t.shell_cgroup.as_ref().map(lend);
        let (pid, pidfd) = jail::host_shell(
            path.path(),
            argv0.path(),
            &env,
            cgroup,
            lend(slave),
            lend(&writing),
        )?;
        let _ = watch(&self.epoll, &report, Token::ShellReport, line);
        let mut words = Words::new("host shell ");
        words.add(shell).add(" on ");
        if let Some(record) = self.t.line_mut(line) {
            let shell = &mut record.shell;
            shell.pid = pid;
            files::keep(&mut shell.pidfd, pidfd);
            files::keep(&mut shell.report, report);
            shell.session = Some(session);
            shell.fault = None;
            words.add(&record.device);
        }
        words.add(": pid ").num(pid as u64).log(Level::Info);
        Ok(())
    }

    /// Its launch was heard of.
    #[inline(never)]
    pub(super) fn shell_report_ready(&mut self, line: Line) {
        self.guard();
        if let Some(record) = self.t.line_mut(line) {
            let _ = launch::heard(&mut record.shell.report, &mut record.shell.fault, &mut None);
        }
    }

    /// The shell of a line was reaped.
    pub(super) fn shell_ended(&mut self, line: Line, ended: Ended, now: u64) {
        self.shell_report_ready(line);
        let Some(record) = self.t.line_mut(line) else {
            return;
        };
        record.shell.pid = 0;
        files::close(&mut record.shell.pidfd);
        files::close(&mut record.shell.report);
        let session = record.shell.session.take();
        let mut words = Words::new("Pouch: ");
        match &record.shell.fault {
            Some(kept) => words.fault(&kept.fault()),
            None => words.add("host shell ").ended(ended),
        };
        record.shell.fault = None;
        let wait = self.shell_again(line, now);
        if !self.t.ending.begun() {
            words.add("; again in ").num((wait / 1000).into());
            words.add(".").num((wait % 1000 / 100).into()).add(" s");
        }
        words.log(Level::Info);
        if let Some(session) = session {
            self.session_end(session, words.as_str());
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
}
