//! What commands ask, and who may ask it.

use rustix::fd::{AsFd, OwnedFd};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::tables::{ClientId, Line, Session, UnitId, Waits, Whose, taken};
use super::{Init, boot, cgroup};
use crate::format::fault::{Fault, Step};
use crate::format::message::{Refusal, Reply, Request};
use crate::format::name;
use crate::format::spec::{Spec, flags};
use crate::policy::shutdown;
use crate::policy::unit::{Event, State};
use crate::sys::{Errno, time};

/// Major numbers of Unix98 pseudo-terminal slaves.
const PTS_MAJORS: core::ops::RangeInclusive<u32> = 136..=143;

impl Init {
    /// Does what is asked, or refuses it by name.
    pub(super) fn request(&mut self, id: ClientId, request: Request<'_>, handed: Option<OwnedFd>) {
        let inside = self.t.client(id).and_then(|c| c.inside);
        match (inside, request) {
            (Some(unit), Request::Disconnect) => self.ask_disconnect(id, unit, handed),
            (Some(unit), Request::Info { name: b"" }) => self.ask_info(id, unit),
            (Some(_), _) => self.client_end(id, Reply::Refused(Refusal::OutsideOnly)),
            (None, Request::Disconnect) => self.client_end(id, Reply::Refused(Refusal::InsideOnly)),
            (None, Request::Start { spec }) => self.ask_start(id, spec),
            (None, Request::Connect { target, watch }) => {
                self.ask_connect(id, target, watch, handed)
            }
            (None, Request::List) => self.ask_list(id),
            (None, Request::Info { name }) => self.with_unit(id, name, Self::ask_info),
            (None, Request::Destroy { name }) => self.with_unit(id, name, |init, id, unit| {
                init.wait_for(id, Waits::Forgotten(unit));
                init.unit_event(unit, Event::Destroy);
            }),
            (None, Request::Stop { name }) => self.with_unit(id, name, |init, id, unit| {
                init.wait_for(id, Waits::Stopped(unit));
                init.unit_event(unit, Event::Stop);
            }),
            (None, Request::Restart { name }) => self.with_unit(id, name, Self::ask_restart),
            (None, Request::Kill { name, signal }) => {
                self.with_unit(id, name, |init, id, unit| init.ask_kill(id, unit, signal))
            }
            (None, Request::Freeze { name }) => {
                self.with_unit(id, name, |init, id, unit| init.ask_freeze(id, unit, true))
            }
            (None, Request::Thaw { name }) => {
                self.with_unit(id, name, |init, id, unit| init.ask_freeze(id, unit, false))
            }
            (None, Request::Logs { name, follow }) => {
                self.with_unit(id, name, |init, id, unit| init.ask_logs(id, unit, follow))
            }
            (None, Request::Power { how }) => {
                self.client_end(id, Reply::Done);
                self.end_board(how);
            }
        }
    }

    /// The container of that name, or the answer that there is none.
    fn with_unit(
        &mut self,
        id: ClientId,
        name: &[u8],
        then: impl FnOnce(&mut Self, ClientId, UnitId),
    ) {
        match self.t.named(name) {
            Some(unit) => then(self, id, unit),
            None => self.client_end(id, Reply::Refused(Refusal::NotFound)),
        }
    }

    fn wait_for(&mut self, id: ClientId, what: Waits) {
        if let Some(client) = self.t.client_mut(id) {
            client.waits = what;
        }
    }

    fn refuse(&mut self, id: ClientId, refusal: Refusal<'_>) {
        self.client_end(id, Reply::Refused(refusal));
    }

    fn ask_start(&mut self, id: ClientId, bytes: &[u8]) {
        let Ok(spec) = Spec::parse(bytes) else {
            return self.refuse(id, Refusal::BadMessage);
        };
        let attached = spec.flags() & flags::ATTACHED != 0;
        let pid = self.t.client(id).map_or(1, |c| c.pid);
        let (ppid, owners) = if attached {
            (pid as u32, owners(pid))
        } else {
            (1, [None, None])
        };
        let mut room = [0u8; 256];
        // The refusal may name another container, so it is written out before the tables change again.
        let refused = match self.unit_accept(spec, super::units::care_of(spec, true), ppid, owners)
        {
            Ok(unit) => Ok(unit),
            Err(refusal) => Err(Reply::Refused(refusal)
                .emit(&mut room)
                .map_or(0, <[u8]>::len)),
        };
        match refused {
            Ok(unit) if self.t.unit(unit).is_some() => {
                self.wait_for(id, Waits::Started(unit));
                // What failed before there was a process is known already.
                self.tell_if_over(unit);
            }
            Ok(_) => self.refuse(id, Refusal::Gone),
            Err(len) => match room.get(..len).and_then(Reply::parse) {
                Some(reply) => self.client_end(id, reply),
                None => self.refuse(id, Refusal::BadMessage),
            },
        }
    }

    /// For one who came to wait after it was over.
    fn tell_if_over(&mut self, unit: UnitId) {
        if self.t.unit(unit).is_some_and(|u| u.life.is_over()) {
            self.tell_settled(unit);
        }
    }

    fn ask_restart(&mut self, id: ClientId, unit: UnitId) {
        if self.t.ending.begun() {
            return self.refuse(id, Refusal::GoingDown);
        }
        self.wait_for(id, Waits::Started(unit));
        let mut room = [0u8; 256];
        let len = match self.unit_restart(unit) {
            Ok(()) => return,
            Err(refusal) => Reply::Refused(refusal)
                .emit(&mut room)
                .map_or(0, <[u8]>::len),
        };
        if let Some(reply) = room.get(..len).and_then(Reply::parse) {
            self.client_end(id, reply);
        }
    }

    fn ask_list(&mut self, id: ClientId) {
        let now = time::now_ms();
        for unit in taken(&self.t.units) {
            if let (Some(view), Some(client)) = (self.unit_view(unit, now), self.t.client(id)) {
                super::clients::reply_on(&client.fd, Reply::Unit(view));
            }
        }
        self.client_end(id, Reply::Done);
    }

    fn ask_info(&mut self, id: ClientId, unit: UnitId) {
        if let (Some(view), Some(client)) =
            (self.unit_view(unit, time::now_ms()), self.t.client(id))
        {
            super::clients::reply_on(&client.fd, Reply::Unit(view));
        }
        self.client_end(id, Reply::Done);
    }

    fn ask_kill(&mut self, id: ClientId, unit: UnitId, signal: u8) {
        let Some(pidfd) = self.t.unit(unit).and_then(|u| u.pidfd.as_ref()) else {
            return self.refuse(id, Refusal::NotRunning);
        };
        let sent = Signal::from_named_raw(i32::from(signal))
            .ok_or(Errno::INVAL)
            .and_then(|s| pidfd_send_signal(pidfd, s));
        match sent {
            Ok(()) => self.client_end(id, Reply::Done),
            Err(e) => self.refuse_fault(id, unit, Step::Signal, e),
        }
    }

    fn refuse_fault(&mut self, id: ClientId, unit: UnitId, step: Step, e: Errno) {
        let name = self
            .t
            .unit(unit)
            .map(|u| u.name.clone())
            .unwrap_or_default();
        self.refuse(
            id,
            Refusal::Fault(Fault {
                step,
                errno: e.raw_os_error() as u16,
                object: name.as_bytes(),
            }),
        );
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
            Some(folder) => cgroup::write(folder.as_fd(), c"cgroup.freeze", value),
            None => Err(Errno::NOTSUP),
        };
        match done {
            Ok(()) => {
                self.unit_event(unit, if hold { Event::Frozen } else { Event::Thawed });
                self.client_end(id, Reply::Done);
            }
            Err(e) => self.refuse_fault(id, unit, Step::CgroupWrite, e),
        }
    }

    fn ask_logs(&mut self, id: ClientId, unit: UnitId, follow: bool) {
        let Some(session) = self.t.unit(unit).and_then(|u| u.session) else {
            return self.refuse(id, Refusal::NoSession);
        };
        self.session_drain(session);
        self.wait_for(id, Waits::Log { session, from: 0 });
        self.follower_pump(id);
        if !follow {
            // A ring is smaller than a socket's buffer, so all of it is on its way.
            self.client_end(id, Reply::Done);
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
        let Some(session) = self.t.unit(unit).and_then(|u| u.session) else {
            return self.refuse(id, Refusal::NoSession);
        };
        let Some(line) = handed.and_then(|fd| self.line_of(&fd)) else {
            return self.refuse(id, Refusal::NotALine);
        };
        self.client_end(id, Reply::Done);
        self.line_connect(line, session, watch);
        let over = self.t.unit(unit).is_some_and(|u| u.life.is_over());
        if over {
            // Its replay, how it ended, and back.
            let epitaph = self
                .t
                .session(session)
                .map(|s| s.epitaph.clone())
                .unwrap_or_default();
            self.line_tail(line, session);
            self.line_say(line, &epitaph);
            self.line_disconnect(line);
        }
    }

    fn ask_disconnect(&mut self, id: ClientId, unit: UnitId, handed: Option<OwnedFd>) {
        let session = self.t.unit(unit).and_then(|u| u.session);
        // The line that typed it; a terminal inside that is no session of ours cannot tell, so the container's own is meant.
        let line = handed
            .and_then(|fd| self.line_of(&fd))
            .or_else(|| self.t.board.mover(session?));
        let line = line.filter(|l| self.t.board.shows(*l) == session);
        self.client_end(id, Reply::Done);
        if let (Some(line), Some(session)) = (line, session) {
            self.session_drain(session);
            self.session_shown(session);
            self.line_disconnect(line);
        }
    }

    /// The line on which somebody typed into the session whose terminal this is.
    fn line_of(&self, terminal: &OwnedFd) -> Option<Line> {
        let session = self.session_of(terminal)?;
        self.t.board.mover(session)
    }

    fn session_of(&self, terminal: &OwnedFd) -> Option<Session> {
        let rdev = rustix::fs::fstat(terminal).ok()?.st_rdev;
        if !PTS_MAJORS.contains(&rustix::fs::major(rdev)) {
            return None;
        }
        let number = Some(rustix::fs::minor(rdev));
        let ours = |s: &super::tables::SessionRecord| {
            s.pts == number && !matches!(s.whose, Whose::Closing { .. })
        };
        let at = self
            .t
            .sessions
            .iter()
            .position(|s| s.as_ref().is_some_and(ours))?;
        Session::try_from(at).ok()
    }

    /// The longest grace of a container that runs, in milliseconds.
    pub(super) fn longest_grace(&self) -> u64 {
        let grace = |id: UnitId| {
            self.spec_of(id)
                .map(|s| super::units::care_of(s, true).grace_ms)
        };
        taken(&self.t.units)
            .filter_map(grace)
            .max()
            .unwrap_or(0)
            .min(10 * shutdown::CONTAINERS_MS)
    }
}

/// pidfds of a process and of its parent. PID 1 as parent is no one to live with.
fn owners(pid: i32) -> [Option<OwnedFd>; 2] {
    let open = |pid: i32| Pid::from_raw(pid).and_then(|p| pidfd_open(p, PidfdFlags::empty()).ok());
    let parent = parent_of(pid).filter(|p| *p > 1);
    [open(pid), parent.and_then(open)]
}

/// The fourth field of /proc/PID/stat, behind the name in its parentheses.
fn parent_of(pid: i32) -> Option<i32> {
    let mut path: heapless::String<32> = heapless::String::new();
    let mut room = [0u8; 512];
    let _ = ufmt::uwrite!(path, "/proc/{}/stat\0", pid);
    let text = boot::read_file(
        core::ffi::CStr::from_bytes_with_nul(path.as_bytes()).ok()?,
        &mut room,
    )
    .ok()?;
    let behind = text.get(text.iter().rposition(|b| *b == b')')? + 1..)?;
    let parent = behind
        .split(|b| *b == b' ')
        .filter(|f| !f.is_empty())
        .nth(1)?;
    crate::format::number::u32(parent).and_then(|p| i32::try_from(p).ok())
}
