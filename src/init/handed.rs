//! Handed lines: terminals that are no line of the board's, brought by a command.
//!
//! telnetd's pseudo-terminal, one of ssh or `script`, a serial port with a getty of its
//! own: the command hands a descriptor of it along with its request, opened anew by
//! itself, and the terminal is a line for as long as the connection lives. The command
//! keeps its modes, puts them back at the end, and tells when its size changes. PID 1
//! waits for neither.

use rustix::fd::OwnedFd;
use rustix::fs::{OFlags, fcntl_getfl};

use super::Init;
use super::poll::unwatch;
use super::requests::PTS_MAJORS;
use super::tables::{ClientId, LINES, Line, Session, Waits};
use super::words::Words;
use crate::format::message::{Refusal, Reply};
use crate::policy::switchboard::Home;
use crate::sys::{device, lend, terminal};

impl Init {
    /// The line on which a command's terminal is to show `session`, for [`Init::line_connect`]
    /// right after; what is asked of a command with a terminal goes this way (`connect`, `run`).
    ///
    /// A terminal of one of PID 1's own sessions: the line where that was typed, which is the
    /// board's, outlives the command and returns when the session ends (rules 3 and 8).
    ///
    /// Any other, where the command opened it anew with O_NONBLOCK: a line of its own (rule 9),
    /// whose `client` is the caller. The caller is told by [`Reply::Line`], held, and from then
    /// on keeps its connection open: with that the line is gone, at once. When the session
    /// ends, or the person leaves, the line shows the rest, the caller is told by
    /// [`Reply::Line`], not held, and, where it waits for [`Waits::Line`] alone, by
    /// [`Reply::Done`]; one that waits for more (`run`: the container's end) goes on waiting.
    ///
    /// # Errors
    /// `NotALine`: no terminal, one in use as a line, or one that its command was not in front
    /// of. `MovedOn`: the person on that line is elsewhere by now. `Busy`: no place is left.
    pub(super) fn terminal_line(
        &mut self,
        client: ClientId,
        handed: Option<OwnedFd>,
        session: Session,
    ) -> Result<Line, Refusal<'static>> {
        let fd = handed.ok_or(Refusal::NotALine)?;
        if let Some(from) = self.session_of(&fd) {
            let line = self.t.board.mover(from);
            let line = line.or_else(|| self.t.board.moved(from, session));
            return line.ok_or(Refusal::MovedOn);
        }
        let rdev = device::real_terminal(&fd).map_err(|_| Refusal::NotALine)?;
        // A description that others write by is not to be made non-blocking under them.
        let own = fcntl_getfl(lend(&fd)).is_ok_and(|flags| flags.contains(OFlags::NONBLOCK));
        // Before its modes are touched, which only one that is told has them puts back.
        if self.t.lines().free().is_none() {
            return Err(Refusal::Busy);
        }
        if !own
            || self.t.find_line(&|l| l.rdev == rdev).is_some()
            || terminal::raw(lend(&fd)).is_err()
        {
            return Err(Refusal::NotALine);
        }
        let mut name = Words::new("pts/");
        name.num(rdev.1.into());
        let line = self.line_new(name.as_str(), Some(fd), rdev, None);
        let line = line.map_err(|_| Refusal::Busy)?;
        if let Some(record) = self.t.line_mut(line) {
            record.client = Some(client);
        }
        let _ = self.t.board.line_up(line, Home::Release, None);
        self.client_tell(client, &Reply::Line { held: true });
        Ok(line)
    }

    /// A handed line that shows nothing any more is let go.
    #[inline(never)]
    pub(super) fn line_let_go(&mut self, line: Line) {
        if self.t.line(line).is_some_and(|l| l.client.is_some()) && self.t.shows(line).is_none() {
            self.line_remove(line);
        }
    }

    /// A handed line is no more: it was let go, hung up, or its command is gone.
    #[inline(never)]
    pub(super) fn line_remove(&mut self, line: Line) {
        let left = self.t.shows(line);
        let client = self.t.line_mut(line).and_then(|record| {
            unwatch(&self.epoll, &mut record.fd);
            record.client
        });
        if let Some(session) = left {
            self.session_tell(session, line, " left");
        }
        let _ = self.t.board.line_down(line);
        self.t.lines().vacate(line);
        if let Some(session) = left {
            self.session_rearm(session);
            self.session_fit(session);
        }
        if let Some(client) = client {
            self.client_tell(client, &Reply::Line { held: false });
            match self.t.client(client).map(|c| c.waits) {
                Some(Waits::Line) => self.done(client),
                Some(Waits::Last(ended)) => self.client_end(client, &Reply::Ended(ended)),
                _ => {}
            }
        }
    }

    /// A command went away; what it brought goes with it.
    ///
    /// Of one that is `dead` PID 1 may be the last who has it open, and waits for no port.
    pub(super) fn lines_of_client_gone(&mut self, client: ClientId, dead: bool) {
        for line in 0..LINES as Line {
            if let Some(record) = self.t.line_mut(line)
                && record.client == Some(client)
            {
                // A pseudo-terminal is not waited for, and what is on its way there is the shell's next words.
                let port = !PTS_MAJORS.contains(&record.rdev.0);
                if let (true, Some(fd)) = (dead && port, &record.fd) {
                    terminal::forget(lend(fd));
                }
                self.line_remove(line);
            }
        }
    }
}
