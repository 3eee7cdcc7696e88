//! Containers: from a spec to a record, from an event to what its life decides.

use core::ffi::CStr;

use heapless::String;
use log::Level;
use rustix::fd::OwnedFd;
use rustix::fs::OFlags;
use rustix::process::{Signal, pidfd_send_signal};

use super::poll::{Token, unwatch, watch};
use super::tables::{
    ClientId, Kept, Session, Tables, UNITS, UnitId, UnitRecord, Waits, Whose, is_due, sooner,
};
use super::words::Words;
use super::{Init, cgroup, files};
use crate::format::ended::Ended;
use crate::format::message::{self, Refusal, State as Seen};
use crate::format::spec::{SPEC_MAX, Spec, TTY_AUTO, TTY_NONE, Tag, flags};
use crate::policy::unit::{Action, CHECKED, Care, Event, SAYS, State, Unit};
use crate::sys::{Errno, lend, letters, time};

/// Grace at stop unless something else is said.
const GRACE_MS: u64 = 2_000;
/// An unfinished clean-up is tried again after this.
const CLEAN_AGAIN_MS: u64 = 20;
/// The order in which `--tty auto` looks for a free slot.
const AUTO: [u8; 4] = [1, 2, 3, 0];

/// The spec of a container, as it lies behind the tables.
#[inline(never)]
pub(super) fn spec_in<'a>(specs: &'a [u8], t: &Tables, id: UnitId) -> Option<Spec<'a>> {
    let len = usize::from(t.unit(id)?.spec_len);
    let at = usize::from(id) * SPEC_MAX;
    // It was checked when it came.
    Spec::parse(specs.get(at..at + len)?).ok()
}

impl Init {
    /// The same.
    pub(super) fn spec_of(&self, id: UnitId) -> Option<Spec<'_>> {
        spec_in(self.specs, self.t, id)
    }

    /// The slot that a spec gets now. A refusal leaves out the holder's name, which the tables have.
    #[inline(never)]
    fn slot_for(&self, wanted: u8) -> Result<Option<u8>, Refusal<'static>> {
        match wanted {
            TTY_NONE => Ok(None),
            TTY_AUTO => Ok(AUTO.into_iter().find(|s| self.t.holder(*s).is_none())),
            slot if self.t.holder(slot).is_some() => Err(Refusal::SlotHeld { slot, by: b"" }),
            slot => Ok(Some(slot)),
        }
    }

    /// Takes a new container in and starts it. What it waits for is told by events.
    #[inline(never)]
    pub(super) fn unit_accept<'a>(
        &mut self,
        spec: Spec<'a>,
        care: Care,
        ppid: u32,
        owners: [Option<OwnedFd>; 2],
        client: Option<ClientId>,
    ) -> Result<(), Refusal<'a>> {
        let Some(text) = letters::text(spec.name().to_bytes()) else {
            return Err(Refusal::BadMessage);
        };
        if self.t.ending.begun() {
            return Err(Refusal::GoingDown);
        }
        if self.t.named(text.as_bytes()).is_some() {
            return Err(Refusal::Exists);
        }
        let Some(id) = self.t.units().free() else {
            return Err(Refusal::TableFull);
        };
        let id = id as UnitId;
        if care.after {
            // It takes reading every container's spec, which most need not wait for.
            self.no_circle(id, spec)?;
        }
        let slot = self.slot_for(spec.tty())?;
        let bytes = spec.as_bytes();
        let room = self.specs.get_mut(usize::from(id) * SPEC_MAX..);
        for (to, from) in room.unwrap_or_default().iter_mut().zip(bytes) {
            *to = *from;
        }
        let Ok(session) = self.session_new(Whose::Unit(id), "") else {
            return Err(Refusal::TableFull);
        };
        let mut streams = core::mem::take(&mut self.t.streams);
        let mut terminal = None;
        for (at, stream) in streams.iter_mut().enumerate() {
            // A terminal of the host's enters no container.
            if spec.flags() & flags::TERMINAL << at != 0 {
                terminal = stream.take();
            }
        }
        // There are as many ranges as places for containers.
        let owner = match spec.has_users() {
            true => self.t.ranges.take().unwrap_or_default(),
            false => 0,
        };
        let (life, action) = Unit::new(time::now_ms(), care);
        let mut name = String::new();
        let _ = name.push_str(text);
        for owner in owners.iter().flatten() {
            let _ = watch(&self.epoll, owner, Token::Owner, id);
        }
        let record = UnitRecord {
            name,
            life,
            spec_len: bytes.len() as u16,
            owner,
            session: Some(session),
            ppid,
            streams,
            terminal,
            owners,
            ..super::state::no_unit()
        };
        self.t.units().put(id, record);
        self.slot_take(id, slot);
        // Whoever waits does so before the launch: what fails without a process is over at once.
        if let Some(client) = client {
            self.wait_for(client, Waits::Started(id));
        }
        if action.is_none() {
            self.tell_wait(id);
        }
        self.unit_perform(id, action);
        self.unit_file(id);
        Ok(())
    }

    /// A container of the kernel command line: kept when it fails, tried again by its policy.
    pub(super) fn define(&mut self, spec: Spec<'_>) {
        let mut words = Words::new("Pouch: ");
        words.plain(spec.name().to_bytes());
        let why = match self.take_in(spec) {
            Ok(()) => return,
            Err(Refusal::Exists) => ": already exists",
            Err(Refusal::SlotHeld { slot, .. }) => {
                let by = self.t.holder(slot).and_then(|unit| self.t.unit(unit));
                words.add(": tty").num(slot.into()).add(" is held by ");
                by.map_or("another", |unit| &unit.name)
            }
            Err(Refusal::TableFull) => ": cannot create more containers",
            Err(Refusal::Circle { after }) => {
                words.add(": after ").plain(after);
                " goes in a circle"
            }
            Err(_) => ": cannot be started",
        };
        words.add(why).log(Level::Error);
        self.tell_console(words.as_str());
    }

    /// The slot is the container's until it ended for good.
    #[inline(never)]
    pub(super) fn slot_take(&mut self, id: UnitId, slot: Option<u8>) {
        if let Some(record) = self.t.unit_mut(id) {
            record.slot = slot;
        }
        self.unit_label(id);
        if let (Some(slot), Some(session)) = (slot, self.t.unit_session(id)) {
            self.slot_held(slot, Some(session));
        }
    }

    #[inline(never)]
    fn slot_held(&mut self, slot: u8, by: Option<Session>) {
        let actions = self.t.board.slot_held(slot, by);
        self.board_perform(&actions);
    }

    #[inline(never)]
    fn slot_free(&mut self, id: UnitId) {
        if let Some(record) = self.t.unit_mut(id)
            && let Some(slot) = record.slot.take()
        {
            self.slot_held(slot, None);
        }
        self.unit_label(id);
    }

    /// People call its session by its slot; without one, by its name.
    fn unit_label(&mut self, id: UnitId) {
        let Some(record) = self.t.unit(id) else {
            return;
        };
        let label = Words::new(record.slot.and_then(slot_name).unwrap_or(&record.name));
        if let Some(session) = record.session.and_then(|s| self.t.session_mut(s)) {
            session.label.clear();
            let _ = session.label.push_str(label.as_str());
        }
    }

    /// Something happened to a container: its life decides.
    #[inline(never)]
    pub(super) fn unit_event(&mut self, id: UnitId, event: Event) {
        let now = time::now_ms();
        let Some(record) = self.t.unit_mut(id) else {
            return;
        };
        let before = record.life;
        let action = record.life.step(now, event);
        self.unit_changed(id, before);
        self.unit_perform(id, action);
        self.unit_file(id);
    }

    #[inline(never)]
    fn unit_perform(&mut self, id: UnitId, action: Option<Action>) {
        match action {
            None => {}
            Some(Action::Launch) => self.unit_launch(id),
            Some(Action::Term) => self.unit_term(id),
            Some(Action::Kill) => self.unit_kill(id),
            Some(Action::Clean) => self.unit_clean(id),
            Some(Action::Settle) => self.unit_settle(id),
            Some(Action::Forget) => self.unit_forget(id),
        }
    }

    /// TERM to its init, thawed first; one that has no handler for it would only ignore it.
    fn unit_term(&mut self, id: UnitId) {
        let Some(record) = self.t.unit(id) else {
            return;
        };
        if let Some(folder) = &record.cgroup {
            let _ = cgroup::write(folder, c"cgroup.freeze", b"0");
        }
        let heard = record.pidfd.as_ref().is_some_and(|p| {
            hears(record.pid, 15) && pidfd_send_signal(lend(p), Signal::TERM).is_ok()
        });
        if heard {
            let mut words = Words::new("SIGTERM");
            if let Some(State::Stopping { until }) = self.t.unit(id).map(|u| u.life.state()) {
                let grace = until.saturating_sub(time::now_ms());
                words.add(", SIGKILL in ").num(grace).add(" ms");
            }
            self.unit_tell(id, "kill", words.as_str());
        } else {
            self.unit_event(id, Event::Unheard);
        }
    }

    /// KILL to all it has.
    fn unit_kill(&mut self, id: UnitId) {
        let Some(record) = self.t.unit(id) else {
            return;
        };
        if let Some(folder) = &record.cgroup {
            let _ = cgroup::write(folder, c"cgroup.kill", b"1");
        }
        // The init too by itself: without a cgroup, or with a kernel that has no cgroup.kill, its PID namespace dies with it.
        if let Some(pidfd) = &record.pidfd {
            let _ = pidfd_send_signal(lend(pidfd), Signal::KILL);
        }
        let never_was = record.pid == 0;
        if !never_was {
            self.unit_tell(id, "kill", "SIGKILL");
        }
        self.cgroup_ready(id);
        if never_was {
            // Nothing will be reaped: its launch still waited.
            self.unit_event(id, Event::NotLaunched);
        }
    }

    /// cgroup.events changed (or it is asked for): is it empty?
    #[inline(never)]
    pub(super) fn cgroup_ready(&mut self, id: UnitId) {
        let Some(record) = self.t.unit(id) else {
            return;
        };
        let empty = match &record.events {
            Some(events) => !cgroup::populated(events),
            None => record.pid == 0,
        };
        if empty && matches!(record.life.state(), State::Killing { .. }) {
            self.unit_event(id, Event::Emptied);
        }
    }

    /// Its init was reaped.
    pub(super) fn unit_ended(&mut self, id: UnitId, ended: Ended) {
        // What the launch said comes before what became of it.
        let pid = self.t.unit(id).map(|u| u.pid);
        self.report_ready(id);
        let Some(record) = self.t.unit_mut(id).filter(|u| Some(u.pid) == pid) else {
            return; // it made another in its place
        };
        record.pid = 0;
        files::close(&mut record.pidfd);
        self.unit_event(id, Event::InitEnded(ended));
        self.cgroup_ready(id);
    }

    /// A process that it lives with is gone.
    pub(super) fn owner_gone(&mut self, id: UnitId) {
        self.owners_leave(id);
        self.unit_event(id, Event::OwnerGone);
    }

    /// Nobody is waited for any more with whom it lives. Said to epoll, since closing is not enough: a child that was
    /// made meanwhile has the description open until its execve, and the next container in this place would be told
    /// of the end of somebody else's owner.
    fn owners_leave(&mut self, id: UnitId) {
        if let Some(record) = self.t.unit_mut(id) {
            for owner in &mut record.owners {
                unwatch(&self.epoll, owner);
            }
        }
    }

    /// Lets go what it held. All its processes are gone.
    #[inline(never)]
    pub(super) fn unit_clean(&mut self, id: UnitId) {
        if self.unit_release(id) {
            return;
        }
        self.guard();
        let Some(record) = self.t.unit_mut(id) else {
            return;
        };
        let made = record.cgroup.is_some() || record.clean_again.is_some();
        if let Some(cgroup) = &record.cgroup {
            record.hurt = cgroup::hurt(cgroup);
        }
        for fd in [
            &mut record.report,
            &mut record.listener,
            &mut record.events,
            &mut record.cgroup,
            &mut record.ready,
            &mut record.asked_fd,
        ] {
            files::close(fd);
        }
        record.clean_again = None;
        record.asked = 0;
        let removed = match self.spec_of(id) {
            Some(spec) if made => cgroup::remove(spec.name()),
            _ => Ok(()),
        };
        if removed.is_err() {
            let again = time::now_ms() + CLEAN_AGAIN_MS;
            if let Some(record) = self.t.unit_mut(id) {
                record.clean_again = Some(again);
            }
            return;
        }
        if let Some(record) = self.t.unit(id) {
            let mut epitaph = Words::new("Pouch: ");
            epitaph.add(&record.name);
            match (&record.fault, record.life.ended()) {
                (Some(kept), _) => epitaph.add(": ").fault(&kept.fault()),
                (None, Some(ended)) => epitaph.add(" ").ended(ended).hurt(&record.hurt),
                (None, None) => {
                    epitaph = Words::new("");
                    &mut epitaph
                }
            };
            let session = record.session;
            let failed = record.fault.is_some() && record.life.restarts() == 0;
            // What stands behind `Pouch: NAME`, and a colon if there is one.
            let why = epitaph.as_str().get(7 + record.name.len()..);
            let why = why.unwrap_or_default().trim_start_matches([':', ' ']);
            self.unit_tell(id, "exit", why);
            // Of the kernel command line's nobody waits for the answer: the first failure is said.
            if failed && self.waiting(0, &|w| w == Waits::Started(id)).is_none() {
                epitaph.log(Level::Error);
                self.tell_console(epitaph.as_str());
            }
            if let Some(session) = session {
                self.session_end(session, epitaph.as_str());
            }
        }
        self.unit_event(id, Event::Cleaned);
    }

    /// It stands still, for good or until its back-off is over.
    fn unit_settle(&mut self, id: UnitId) {
        match self.t.unit(id).map(|u| u.life.state()) {
            Some(State::Ended) => {
                if self.t.unit(id).is_some_and(|u| u.life.gave_up()) {
                    self.unit_tell(id, "give-up", "it failed too often in a row");
                }
                self.unit_leave(id);
                self.slot_free(id);
            }
            Some(State::Waiting { until }) => {
                // From its end on, not from now.
                let wait = until.saturating_sub(self.t.unit(id).map_or(0, |u| u.life.since()));
                let mut words = Words::new("in ");
                words.num(wait).add(" ms");
                self.unit_tell(id, "restart", words.as_str());
                // The slot is kept, and with it the idle line.
                let slot = self.t.unit(id).and_then(|u| u.slot);
                self.slot_take(id, slot);
            }
            _ => {}
        }
        self.tell_settled(id);
        self.unit_file(id);
        self.ending_check();
    }

    /// Lines may show one that waited to be started again: they return now, if they have not yet.
    #[inline(never)]
    fn unit_leave(&mut self, id: UnitId) {
        if let Some(session) = self.t.unit_session(id)
            && let Some(record) = self.t.session(session)
        {
            let epitaph = record.epitaph.clone();
            self.session_end(session, &epitaph);
        }
    }

    /// It is no more.
    fn unit_forget(&mut self, id: UnitId) {
        self.unit_leave(id);
        self.slot_free(id);
        // Before anybody hears that it is gone.
        if let Some(record) = self.t.unit(id) {
            let _ = rustix::fs::unlink(file_path(&record.name).path());
        }
        self.tell_forgotten(id);
        let session = self.t.unit_session(id);
        self.unit_tell(id, "destroy", "");
        let owner = self.t.unit(id).map_or(0, |u| u.owner);
        self.t.ranges.give(owner);
        self.owners_leave(id);
        self.t.units().vacate(id);
        if let Some(session) = session {
            self.session_release(session, time::now_ms());
        }
        self.ending_check();
    }

    /// `restart`: an ended one retakes its slot first.
    pub(super) fn unit_restart(&mut self, id: UnitId) -> Result<(), Refusal<'static>> {
        if self.t.unit(id).is_some_and(|u| u.life.is_over()) {
            let slot = self.slot_for(self.spec_of(id).map_or(TTY_AUTO, Spec::tty))?;
            self.slot_take(id, slot);
        }
        self.unit_event(id, Event::Restart);
        Ok(())
    }

    /// What `list` and `info` show of it at that time; without one, what its file does, which has no counts of what
    /// runs: to ask for those is a quarter of PID 1's work at a start.
    #[inline(never)]
    pub(super) fn unit_view(&self, id: UnitId, now: Option<u64>) -> Option<message::Unit<'_>> {
        let record = self.t.unit(id)?;
        let spec = self.spec_of(id)?;
        let mut room = [0u8; 32];
        let counted = record.cgroup.as_ref().filter(|_| now.is_some());
        let memory = counted.and_then(|c| {
            let text = cgroup::read(c, c"memory.current", &mut room).ok()?;
            crate::format::number::u64(text.trim_ascii())
        });
        Some(message::Unit {
            name: record.name.as_bytes(),
            image: spec
                .string(Tag::Image)
                .or(spec.string(Tag::Root))
                .map_or(&[], CStr::to_bytes),
            state: match record.life.state() {
                State::Starting { .. } => Seen::Starting,
                State::Running { frozen: false } => Seen::Started,
                State::Running { frozen: true } => Seen::Frozen,
                State::Stopping { .. } | State::Killing { .. } | State::Cleaning => Seen::Stopping,
                State::Ended => Seen::Ended,
                State::Held | State::Waiting { .. } => Seen::Waiting,
            },
            slot: record.slot,
            pid: record.pid as u32,
            ppid: record.ppid,
            age_ms: now.unwrap_or(0).saturating_sub(record.life.since()),
            memory,
            address: record.address.filter(|_| !record.life.is_over()),
            hurt: counted.map_or(record.hurt, cgroup::hurt),
            restarts: record.life.restarts(),
            owner: record.owner,
            ended: record.life.ended(),
            // One that has not been heard of yet is taken for silent, which is nobody else's business.
            fault: match record.life.state() {
                State::Starting { .. } => None,
                _ => record.fault.as_ref().map(Kept::fault),
            },
            waits: match record.life.state() {
                State::Held => self.waits_for(spec).map_or(b"", CStr::to_bytes),
                _ => b"",
            },
            ready: record.life.is_ready(),
            health: match (spec.string(Tag::Health), record.life.state()) {
                (None, _) => 0,
                (_, _) if record.life.is_unwell() => 3,
                (_, State::Running { .. }) if record.life.lacks() & CHECKED == 0 => 2,
                _ => 1,
            },
            reading: spec.reading(),
        })
    }

    /// Writes /run/pouch/cont_NAME anew, whole or not at all.
    #[inline(never)]
    pub(super) fn unit_file(&self, id: UnitId) {
        let Some(view) = self.unit_view(id, None) else {
            return;
        };
        let Some(record) = self.t.unit(id) else {
            return;
        };
        let mut text = Words::new("");
        text.unit(view);
        let mut path = file_path(&record.name);
        let path = path.path();
        let write = || -> Result<(), Errno> {
            let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY | OFlags::NOFOLLOW;
            let fd = files::open(c"/run/pouch/.new", flags)?;
            files::write(&fd, text.as_str().as_bytes())?;
            rustix::fs::rename(c"/run/pouch/.new", path)
        };
        if let Err(e) = write() {
            let mut words = Words::new("unable to write /run/pouch/cont_");
            words.add(&record.name).errno(e).log(Level::Warn);
        }
    }

    /// Containers whose time has come.
    pub(super) fn units_due(&mut self, now: u64) {
        for id in 0..UNITS as UnitId {
            let Some(record) = self.t.unit(id) else {
                continue;
            };
            if is_due(record.clean_again, now) {
                self.unit_clean(id);
            } else if is_due(record.life.deadline(), now) {
                self.unit_event(id, Event::Tick);
                self.cgroup_ready(id);
            }
        }
    }

    /// When [`Init::units_due`] has something to do.
    pub(super) fn units_deadline(&self, soonest: &mut u64) {
        for id in 0..UNITS as UnitId {
            if let Some(record) = self.t.unit(id) {
                sooner(soonest, record.life.deadline());
                sooner(soonest, record.clean_again);
            }
        }
    }

    /// The modules are there: what waited for them is launched.
    pub(super) fn units_launch_waiting(&mut self) {
        self.t.definitions_wait = false;
        for id in 0..UNITS as UnitId {
            let waits = self
                .t
                .unit(id)
                .is_some_and(|u| u.pid == 0 && matches!(u.life.state(), State::Starting { .. }));
            if waits {
                self.unit_launch(id);
                self.unit_file(id);
            }
        }
    }
}

/// How a spec wants to be looked after.
pub(super) fn care_of(spec: Spec<'_>, by_command: bool) -> Care {
    Care {
        restart: spec.restart(),
        grace_ms: spec.stop_timeout().map_or(GRACE_MS, u64::from),
        attached: spec.flags() & (flags::ATTACHED | flags::RUN) != 0,
        forget_failed_start: by_command,
        after: spec.string(Tag::After).is_some(),
        needs: needs_of(spec),
    }
}

/// What makes it ready.
pub(super) fn needs_of(spec: Spec<'_>) -> u8 {
    let says = if spec.ready().is_some() { SAYS } else { 0 };
    let checked = spec.string(Tag::Health).map_or(0, |_| CHECKED);
    says | checked
}

/// The slot's name.
pub(super) fn slot_name(slot: u8) -> Option<&'static str> {
    ["tty0", "tty1", "tty2", "tty3"]
        .get(usize::from(slot))
        .copied()
}

/// Where its state stands for programs to read.
fn file_path(name: &str) -> Words {
    let mut path = Words::new("/run/pouch/cont_");
    path.add(name);
    path
}

/// Whether the process has a handler for a signal: SigCgt of proc_pid_status(5). Init of a PID namespace ignores the rest, but KILL and STOP.
pub(super) fn hears(pid: i32, signal: usize) -> bool {
    let bit = signal.wrapping_sub(1);
    let mut room = [0u8; 2048];
    let status = files::read_proc(pid, "/status", &mut room);
    // One that blocks it takes it by signalfd or sigwait.
    [&b"SigCgt:"[..], b"SigBlk:"].iter().any(|key| {
        let set = files::line_of(status, key).unwrap_or_default();
        // Sixteen hexadecimal digits, the lowest signals last, four in each.
        let digits = set.trim_ascii();
        let digit = digits.get(digits.len().wrapping_sub(bit / 4 + 1));
        digit
            .and_then(|d| (*d as char).to_digit(16))
            .is_some_and(|d| d & (1 << (bit % 4)) != 0)
    })
}
