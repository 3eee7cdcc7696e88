//! What commands ask, and who may ask it.

use rustix::fd::OwnedFd;
use rustix::process::{Signal, pidfd_send_signal};

use super::tables::{ClientId, EVENTS, SESSIONS, Session, UNITS, UnitId, Waits, Whose};
use super::words::Words;
use super::{Init, cgroup, files};
use crate::format::fault::Step;
use crate::format::message::{Refusal, Reply, Request};
use crate::format::name;
use crate::format::spec::{Spec, flags};
use crate::jail;
use crate::policy::size::MANY;
use crate::policy::unit::{Event, State};
use crate::sys::{Errno, device, file, lend, socket, time};

/// Major numbers of Unix98 pseudo-terminal slaves.
pub(super) const PTS_MAJORS: core::ops::RangeInclusive<u32> = 136..=143;

impl Init {
    /// Does what is asked, or refuses it by name.
    #[inline(never)] // its frame is not to be part of the caller's, which has the message's room
    pub(super) fn request(
        &mut self,
        id: ClientId,
        request: Request<'_>,
        handed: Option<OwnedFd>,
        more: [Option<OwnedFd>; 2],
    ) {
        let inside = self.t.client(id).and_then(|c| c.inside);
        // Those about one container, by its name.
        let name = match (inside, request) {
            (Some(unit), Request::Disconnect) => return self.ask_disconnect(id, unit),
            // Its own name says no more than none.
            (Some(unit), Request::Info { name })
                if name.is_empty() || self.t.named(name) == Some(unit) =>
            {
                return self.ask_info(id, unit);
            }
            (Some(_), _) => return self.refuse(id, Refusal::OutsideOnly),
            (None, Request::Disconnect) => return self.refuse(id, Refusal::InsideOnly),
            (None, Request::Start { spec }) => {
                let [output, error] = more;
                self.t.streams = [handed, output, error];
                self.ask_start(id, spec);
                self.t.streams = [None, None, None];
                return;
            }
            (None, Request::Connect { target, watch }) => {
                return self.ask_connect(id, target, watch, handed);
            }
            (None, Request::List) => return self.ask_list(id),
            (None, Request::Resize) => return self.done(id),
            (None, Request::Events { follow }) => return self.ask_ring(id, EVENTS, follow),
            (None, Request::Tell { text, loud }) => {
                self.say(text, loud);
                return self.done(id);
            }
            (None, Request::Reexec { .. }) => return self.ask_reexec(id, handed),
            (None, Request::Power { how }) => {
                self.done(id);
                return self.end_board(how, 0);
            }
            (
                None,
                Request::Info { name }
                | Request::Destroy { name }
                | Request::Stop { name }
                | Request::Restart { name }
                | Request::Kill { name, .. }
                | Request::Freeze { name }
                | Request::Thaw { name }
                | Request::Join { name }
                | Request::Logs { name, .. },
            ) => name,
        };
        let Some(unit) = self.t.named(name) else {
            return self.refuse(id, Refusal::NotFound);
        };
        match request {
            Request::Info { .. } => self.ask_info(id, unit),
            Request::Destroy { .. } => {
                self.wait_for(id, Waits::Forgotten(unit));
                self.unit_event(unit, Event::Destroy);
            }
            Request::Stop { .. } => {
                self.wait_for(id, Waits::Stopped(unit));
                self.unit_event(unit, Event::Stop);
            }
            Request::Restart { .. } => self.ask_restart(id, unit),
            Request::Kill { signal, .. } => self.ask_kill(id, unit, signal),
            Request::Freeze { .. } => self.ask_freeze(id, unit, true),
            Request::Thaw { .. } => self.ask_freeze(id, unit, false),
            Request::Logs { follow, .. } => self.ask_logs(id, unit, follow),
            Request::Join { .. } => self.ask_join(id, unit),
            // Answered above.
            _ => {}
        }
    }

    pub(super) fn wait_for(&mut self, id: ClientId, what: Waits) {
        if let Some(client) = self.t.client_mut(id) {
            client.waits = what;
        }
    }

    /// A refusal to start names who holds the slot.
    fn refuse_start_of(&mut self, id: ClientId, refusal: Refusal<'_>) {
        if let Refusal::SlotHeld { slot, .. } = refusal
            && let Some(record) = self.t.holder(slot).and_then(|unit| self.t.unit(unit))
        {
            let by = record.name.as_bytes();
            self.client_tell(id, &Reply::Refused(Refusal::SlotHeld { slot, by }));
            return self.client_close(id);
        }
        self.refuse(id, refusal);
    }

    fn ask_start(&mut self, id: ClientId, bytes: &[u8]) {
        let Ok(spec) = Spec::parse(bytes) else {
            return self.refuse(id, Refusal::BadMessage);
        };
        let pid = self.t.client(id).map_or(1, |c| c.pid);
        if self.is_definer(pid) {
            return match self.take_in(spec) {
                Ok(()) => self.done(id),
                Err(refusal) => self.refuse_start_of(id, refusal),
            };
        }
        let (ppid, owners) = match spec.flags() & (flags::ATTACHED | flags::RUN) {
            0 => (1, [None, None]),
            flags::ATTACHED => (pid as u32, owners(pid)),
            // Not with the shell: a script may leave it behind.
            _ => (pid as u32, [file::process(pid).ok(), None]),
        };
        let care = super::units::care_of(spec, true);
        if let Err(refusal) = self.unit_accept(spec, care, ppid, owners, Some(id)) {
            self.refuse_start_of(id, refusal);
        }
    }

    fn ask_restart(&mut self, id: ClientId, unit: UnitId) {
        if self.t.ending.begun() {
            return self.refuse(id, Refusal::GoingDown);
        }
        self.wait_for(id, Waits::Started(unit));
        if let Err(refusal) = self.unit_restart(unit) {
            self.refuse_start_of(id, refusal);
        }
    }

    fn ask_list(&mut self, id: ClientId) {
        if MANY && let Some(client) = self.t.client(id) {
            // All are on their way before the first is read, and the kernel counts more than a kilobyte for each.
            socket::send_room(lend(&client.fd), UNITS as u32 * 2048);
        }
        for unit in 0..UNITS as UnitId {
            self.tell_view(id, unit);
        }
        self.done(id);
    }

    fn ask_info(&mut self, id: ClientId, unit: UnitId) {
        self.tell_view(id, unit);
        self.done(id);
    }

    fn tell_view(&self, id: ClientId, unit: UnitId) {
        if let Some(view) = self.unit_view(unit, Some(time::now_ms())) {
            self.client_tell(id, &Reply::Unit(view));
        }
    }

    fn ask_kill(&mut self, id: ClientId, unit: UnitId, signal: u8) {
        let Some(pidfd) = self.t.unit(unit).and_then(|u| u.pidfd.as_ref()) else {
            return self.refuse(id, Refusal::NotRunning);
        };
        let sent = Signal::from_named_raw(i32::from(signal))
            .ok_or(Errno::INVAL)
            .and_then(|s| pidfd_send_signal(lend(pidfd), s));
        let lives_with = self.t.client(id).map(|c| c.pid as u32);
        if self.t.unit(unit).is_some_and(|u| {
            Some(u.ppid) == lives_with && !super::units::hears(u.pid, signal.into())
        }) {
            // It went through to a `run` that waits for it, and would be lost on an init without a handler.
            self.owner_gone(unit);
        }
        match sent {
            Ok(()) => {
                self.unit_tell(unit, "kill", crate::format::signal::name(signal));
                self.done(id);
            }
            Err(e) => self.refuse_fault(id, unit, Step::Signal, e),
        }
    }

    fn refuse_fault(&mut self, id: ClientId, unit: UnitId, step: Step, e: Errno) {
        if let Some(record) = self.t.unit(unit) {
            let fault = jail::unable(step, e, record.name.as_bytes());
            self.client_tell(id, &Reply::Refused(Refusal::Fault(fault)));
        }
        self.client_close(id);
    }

    fn ask_freeze(&mut self, id: ClientId, unit: UnitId, hold: bool) {
        let Some(record) = self
            .t
            .unit(unit)
            .filter(|u| matches!(u.life.state(), State::Running { .. }))
        else {
            return self.refuse(id, Refusal::NotRunning);
        };
        let value: &[u8] = if hold { b"1" } else { b"0" };
        let done = match &record.cgroup {
            Some(folder) => cgroup::write(folder, c"cgroup.freeze", value),
            None => Err(Errno::NOTSUP),
        };
        match done {
            Ok(()) => {
                self.unit_event(unit, if hold { Event::Frozen } else { Event::Thawed });
                self.done(id);
            }
            Err(e) => self.refuse_fault(id, unit, Step::CgroupWrite, e),
        }
    }

    fn ask_logs(&mut self, id: ClientId, unit: UnitId, follow: bool) {
        let Some(session) = self.t.unit_session(unit) else {
            return self.refuse(id, Refusal::NoSession);
        };
        self.session_drain(session);
        self.ask_ring(id, session, follow);
    }

    fn ask_ring(&mut self, id: ClientId, session: Session, follow: bool) {
        // What the ring lost before anybody asked is nobody's loss.
        let (from, _) = self.ring_read(session, 0);
        self.wait_for(id, Waits::Log { session, from });
        self.follower_pump(id);
        if !follow {
            // A ring is smaller than a socket's buffer, so all of it is on its way.
            self.done(id);
        }
    }

    fn ask_connect(&mut self, id: ClientId, target: &[u8], watch: bool, handed: Option<OwnedFd>) {
        let unit = match name::slot(target) {
            Some(slot) => match self.t.holder(slot) {
                Some(unit) => unit,
                None => return self.refuse(id, Refusal::SlotEmpty { slot }),
            },
            None => match self.t.named(target) {
                Some(unit) => unit,
                None => return self.refuse(id, Refusal::NotFound),
            },
        };
        let Some(session) = self.t.unit_session(unit) else {
            return self.refuse(id, Refusal::NoSession);
        };
        let line = match self.terminal_line(id, handed, session) {
            Ok(line) => line,
            Err(refusal) => return self.refuse(id, refusal),
        };
        let brought = self.t.line(line).is_some_and(|l| l.client == Some(id));
        if brought {
            self.wait_for(id, Waits::Line);
        }
        self.line_connect(line, session, watch);
        let over = self.t.unit(unit).is_some_and(|u| u.life.is_over());
        if over {
            // Its replay, how it ended, and back.
            self.line_tail(line, session);
            if let Some(record) = self.t.session(session) {
                let epitaph = Words::new(&record.epitaph);
                self.line_say(line, epitaph.as_str());
            }
            self.line_disconnect(line);
        }
        // Only now: the prompt that follows the command belongs behind the move. A command
        // that brought its terminal stays as long as that is a line.
        if !brought {
            self.done(id);
        }
    }

    fn ask_disconnect(&mut self, id: ClientId, unit: UnitId) {
        let session = self.t.unit_session(unit);
        // The line that typed it, whatever terminal the command has inside. One that nobody works
        // on shows what it shows: a program inside does not move it.
        if let Some(session) = session
            && let Some(line) = self.t.board.mover(session)
            && self.t.board.works(line)
        {
            self.session_drain(session);
            self.session_shown(session);
            self.line_disconnect(line);
        }
        // As for connect: the prompt is for when one comes back.
        self.done(id);
    }

    /// The session whose terminal this is.
    pub(super) fn session_of(&self, terminal: &OwnedFd) -> Option<Session> {
        // What stands behind /dev/tty, too.
        let (major, minor) = device::real_terminal(terminal).ok()?;
        if !PTS_MAJORS.contains(&major) {
            return None;
        }
        let number = Some(minor);
        (0..SESSIONS as Session).find(|id| {
            self.t
                .session(*id)
                .is_some_and(|s| s.pts == number && !matches!(s.whose, Whose::Closing { .. }))
        })
    }
}

/// pidfds of a process and of its parent. PID 1 as parent is no one to live with.
fn owners(pid: i32) -> [Option<OwnedFd>; 2] {
    let open = |pid: i32| file::process(pid).ok();
    let parent = parent_of(pid).filter(|p| *p > 1);
    [open(pid), parent.and_then(open)]
}

/// The fourth field of /proc/PID/stat, behind the name in its parentheses.
fn parent_of(pid: i32) -> Option<i32> {
    let mut room = [0u8; 512];
    let text = files::read_proc(pid, "/stat", &mut room);
    let behind = text.get(text.iter().rposition(|b| *b == b')')? + 1..)?;
    let parent = behind
        .split(|b| *b == b' ')
        .filter(|f| !f.is_empty())
        .nth(1)?;
    crate::format::number::u32(parent).and_then(|p| i32::try_from(p).ok())
}
