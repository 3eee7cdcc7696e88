//! Containers: from a spec to a record, from an event to what its life decides.

use core::ffi::CStr;

use heapless::String;
use rustix::event::epoll::EventFlags;
use rustix::fd::{AsFd, OwnedFd};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, pidfd_send_signal};

use super::poll::{Token, watch};
use super::tables::{Kept, UnitId, UnitRecord, Whose, free, taken};
use super::{Init, boot, cgroup, shells};
use crate::format::ended::Ended;
use crate::format::fault::{Fault, OBJECT_MAX, Step};
use crate::format::message::{self, Refusal, State as Seen};
use crate::format::spec::{SPEC_MAX, Spec, TTY_AUTO, TTY_NONE, Tag, flags};
use crate::jail::{self, Plan, Report, Stdio};
use crate::policy::unit::{Action, Care, Event, State, Unit};
use crate::sys::{Errno, time};

/// Grace at stop unless something else is said.
const GRACE_MS: u64 = 2_000;
/// An unfinished clean-up is tried again after this.
const CLEAN_AGAIN_MS: u64 = 20;
/// The order in which `--tty auto` looks for a free slot.
const AUTO: [u8; 4] = [1, 2, 3, 0];

/// Why a launch could not even be tried.
type Unable = (Step, Errno, Option<String<OBJECT_MAX>>);

impl Init {
    /// The spec of a container, as it lies behind the tables.
    pub(super) fn spec_of(&self, id: UnitId) -> Option<Spec<'_>> {
        let len = usize::from(self.t.unit(id)?.spec_len);
        let at = usize::from(id) * SPEC_MAX;
        // It was checked when it came.
        Spec::parse(self.specs.get(at..at + len)?).ok()
    }

    /// The slot that a spec gets now.
    fn slot_for(&self, wanted: u8) -> Result<Option<u8>, Refusal<'_>> {
        match wanted {
            TTY_NONE => Ok(None),
            TTY_AUTO => Ok(AUTO.into_iter().find(|s| self.t.holder(*s).is_none())),
            slot => match self.t.holder(slot).and_then(|id| self.t.unit(id)) {
                Some(by) => Err(Refusal::SlotHeld {
                    slot,
                    by: by.name.as_bytes(),
                }),
                None => Ok(Some(slot)),
            },
        }
    }

    /// Takes a new container in and starts it. What it waits for is told by events.
    pub(super) fn unit_accept(
        &mut self,
        spec: Spec<'_>,
        care: Care,
        ppid: u32,
        owners: [Option<OwnedFd>; 2],
    ) -> Result<UnitId, Refusal<'_>> {
        let Ok(name) = spec.name().to_str() else {
            return Err(Refusal::BadMessage);
        };
        if self.t.ending.begun() {
            return Err(Refusal::GoingDown);
        }
        if self.t.named(name.as_bytes()).is_some() {
            return Err(Refusal::Exists);
        }
        let Some(id) = free(&self.t.units) else {
            return Err(Refusal::TableFull);
        };
        if self.slot_for(spec.tty()).is_err() {
            return self.slot_for(spec.tty()).map(|_| id);
        }
        let slot = self.slot_for(spec.tty()).unwrap_or(None);
        let bytes = spec.as_bytes();
        let at = usize::from(id) * SPEC_MAX;
        if let Some(room) = self.specs.get_mut(at..at + bytes.len()) {
            room.copy_from_slice(bytes);
        }
        let label = slot.and_then(slot_name).unwrap_or(name);
        let session = match self.session_new(Whose::Unit(id), label) {
            Ok(session) => session,
            Err(_) => return Err(Refusal::TableFull),
        };
        let now = time::now_ms();
        let (life, action) = Unit::new(now, care);
        let mut kept_name = String::new();
        let _ = kept_name.push_str(name);
        let record = UnitRecord {
            name: kept_name,
            life,
            spec_len: bytes.len() as u16,
            slot: None,
            session: Some(session),
            pid: 0,
            pidfd: None,
            ppid,
            owners,
            cgroup: None,
            events: None,
            report: None,
            listener: None,
            fault: None,
            clean_again: None,
        };
        for owner in record.owners.iter().flatten() {
            let _ = watch(&self.epoll, owner.as_fd(), Token::Owner, id, EventFlags::IN);
        }
        if let Some(place) = self.t.units.get_mut(usize::from(id)) {
            *place = Some(record);
        }
        self.slot_take(id, slot);
        self.unit_perform(id, Some(action));
        Ok(id)
    }

    /// A container of the kernel command line: kept when it fails, tried again by its policy.
    pub(super) fn define(&mut self, spec: Spec<'_>) {
        let care = care_of(spec, false);
        let mut words: String<300> = String::new();
        let name = crate::format::text::Plain(spec.name().to_bytes());
        match self.unit_accept(spec, care, 1, [None, None]) {
            Ok(_) => {
                let _ = ufmt::uwrite!(words, "Pouch: {} starting", name);
                log::info!("{}", words.as_str());
            }
            Err(refusal) => {
                let why = match refusal {
                    Refusal::Exists => "already exists",
                    Refusal::SlotHeld { .. } => "its slot is held by another",
                    Refusal::TableFull => "cannot create more containers",
                    _ => "cannot be started",
                };
                let _ = ufmt::uwrite!(words, "Pouch: {}: {}", name, why);
                log::error!("{}", words.as_str());
                self.tell_console(&words);
            }
        }
    }

    /// The slot is the container's until it ended for good.
    fn slot_take(&mut self, id: UnitId, slot: Option<u8>) {
        let Some(record) = self.t.unit_mut(id) else {
            return;
        };
        record.slot = slot;
        let session = record.session;
        let mut label: String<{ crate::format::name::NAME_MAX }> = String::new();
        let _ = label.push_str(slot.and_then(slot_name).unwrap_or(&record.name));
        let Some(session) = session else { return };
        if let Some(record) = self.t.session_mut(session) {
            record.label = label;
        }
        if let Some(slot) = slot {
            let actions = self.t.board.slot_taken(slot, session);
            self.board_perform(&actions);
        }
    }

    fn slot_free(&mut self, id: UnitId) {
        let Some(record) = self.t.unit_mut(id) else {
            return;
        };
        let name = record.name.clone();
        let session = record.session;
        if let Some(slot) = record.slot.take() {
            self.t.board.slot_freed(slot);
        }
        // Without a slot it is reached by its name.
        if let Some(record) = session.and_then(|s| self.t.session_mut(s)) {
            record.label = name;
        }
    }

    /// Something happened to a container: its life decides.
    pub(super) fn unit_event(&mut self, id: UnitId, event: Event) {
        let now = time::now_ms();
        let Some(record) = self.t.unit_mut(id) else {
            return;
        };
        let action = record.life.step(now, event);
        self.unit_perform(id, action);
        self.unit_file(id);
    }

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

    fn unit_launch(&mut self, id: UnitId) {
        if self.t.definitions_wait {
            return; // the modules first: whoever ends that wait launches it
        }
        if let Some(record) = self.t.unit_mut(id) {
            record.fault = None;
        }
        if let Err((step, errno, object)) = self.unit_try(id) {
            if let Some(record) = self.t.unit_mut(id) {
                let object = object.as_deref().unwrap_or(&record.name);
                let fault = Fault {
                    step,
                    errno: errno.raw_os_error() as u16,
                    object: object.as_bytes(),
                };
                record.fault = Some(Kept::of(fault));
            }
            self.unit_event(id, Event::NotLaunched);
        }
        self.unit_file(id);
    }

    fn unit_try(&mut self, id: UnitId) -> Result<(), Unable> {
        let unable = |step| move |e| (step, e, None);
        let record = self.t.unit(id).ok_or((Step::Clone, Errno::NOENT, None))?;
        let session = record.session.ok_or((Step::Clone, Errno::NOENT, None))?;
        let path = cgroup::path(&record.name);
        let cgroup_path = CStr::from_bytes_with_nul(path.as_bytes()).unwrap_or(c"");
        let tty = self.spec_of(id).map_or(TTY_AUTO, Spec::tty);
        let output = if tty == TTY_NONE {
            Some(self.session_pipe(session).map_err(unable(Step::Terminal))?)
        } else {
            self.session_open(session).map_err(unable(Step::Terminal))?;
            None
        };
        if self.t.config.cgroups {
            let name = self.spec_of(id).map_or(c"", Spec::name);
            let (folder, events) = cgroup::make(name)
                .map_err(|e| (Step::CgroupMake, e, text(cgroup_path.to_bytes())))?;
            let _ = watch(
                &self.epoll,
                events.as_fd(),
                Token::Cgroup,
                id,
                EventFlags::PRI,
            );
            if let Some(record) = self.t.unit_mut(id) {
                (record.cgroup, record.events) = (Some(folder), Some(events));
            }
            self.unit_limits(id)?;
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let listener = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
            .map_err(unable(Step::Socket))?;
        let (report, writing) =
            pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).map_err(unable(Step::Clone))?;
        let made = self
            .unit_clone(id, cgroup_path, &listener, &writing, output.as_ref())
            .map_err(unable(Step::Clone))?;
        let _ = watch(
            &self.epoll,
            report.as_fd(),
            Token::Report,
            id,
            EventFlags::IN,
        );
        if let Some(record) = self.t.unit_mut(id) {
            (record.pid, record.pidfd) = (made.0, Some(made.1));
            (record.report, record.listener) = (Some(report), Some(listener));
        }
        Ok(())
    }

    /// The cgroup's files, while it is still empty: a limit below what runs would kill at once.
    fn unit_limits(&mut self, id: UnitId) -> Result<(), Unable> {
        let (Some(spec), Some(record)) = (self.spec_of(id), self.t.unit(id)) else {
            return Ok(());
        };
        let Some(folder) = &record.cgroup else {
            return Ok(());
        };
        for (file, value) in spec.cgroup() {
            cgroup::write(folder.as_fd(), file, value.to_bytes())
                .map_err(|e| (Step::CgroupWrite, e, text(file.to_bytes())))?;
        }
        Ok(())
    }

    fn unit_clone(
        &self,
        id: UnitId,
        cgroup_path: &CStr,
        listener: &OwnedFd,
        report: &OwnedFd,
        output: Option<&OwnedFd>,
    ) -> Result<(i32, OwnedFd), Errno> {
        let spec = self.spec_of(id).ok_or(Errno::NOENT)?;
        let record = self.t.unit(id).ok_or(Errno::NOENT)?;
        let session = record
            .session
            .and_then(|s| self.t.session(s))
            .ok_or(Errno::NOENT)?;
        let mut room: String<32> = String::new();
        let _ = ufmt::uwrite!(room, "/dev/pts/{}\0", session.pts.unwrap_or(0));
        let path = CStr::from_bytes_with_nul(room.as_bytes()).unwrap_or(c"");
        let stdio = match (output, &session.slave) {
            (Some(output), _) => Stdio::Pipe {
                output: output.as_fd(),
            },
            (None, Some(slave)) => Stdio::Terminal {
                slave: slave.as_fd(),
                path,
            },
            (None, None) => return Err(Errno::NOENT),
        };
        // A slot with a VT of its own is the kernel's terminal; any other end is a wire.
        let vt = record.slot.is_some_and(|s| {
            self.t
                .lines
                .iter()
                .flatten()
                .any(|l| l.slot == Some(s) && l.vt)
        });
        jail::launch(&Plan {
            spec,
            cgroup: record.cgroup.as_ref().map(AsFd::as_fd),
            cgroup_path,
            stdio,
            report: report.as_fd(),
            listener: listener.as_fd(),
            binary: self.binary.as_fd(),
            term: shells::term(vt),
        })
    }

    /// Its launch was heard of.
    pub(super) fn report_ready(&mut self, id: UnitId) {
        let mut room = [0; OBJECT_MAX + 8];
        let Some(record) = self.t.unit_mut(id) else {
            return;
        };
        let Some(report) = &record.report else { return };
        let event = match jail::read_report(report, &mut room) {
            Report::Pending => return,
            Report::Execed => Event::Execed,
            Report::Fault(fault) => {
                record.fault = Some(Kept::of(fault));
                Event::LaunchFailed
            }
        };
        record.report = None;
        self.unit_event(id, event);
        if event == Event::Execed {
            self.unit_started(id);
        }
    }

    fn unit_started(&mut self, id: UnitId) {
        let Some(record) = self.t.unit(id) else {
            return;
        };
        log::info!("{}: started, pid {}", record.name.as_str(), record.pid);
        if let Some(listener) = &record.listener {
            // It is bound and listening by now: the child did that before execve.
            let _ = watch(
                &self.epoll,
                listener.as_fd(),
                Token::Listener,
                id,
                EventFlags::IN,
            );
        }
        self.tell_started(id);
    }

    /// TERM to its init, thawed first; one that has no handler for it would only ignore it.
    fn unit_term(&mut self, id: UnitId) {
        let Some(record) = self.t.unit(id) else {
            return;
        };
        if let Some(folder) = &record.cgroup {
            let _ = cgroup::write(folder.as_fd(), c"cgroup.freeze", b"0");
        }
        let heard = record
            .pidfd
            .as_ref()
            .is_some_and(|p| hears_term(record.pid) && pidfd_send_signal(p, Signal::TERM).is_ok());
        if !heard {
            self.unit_event(id, Event::Unheard);
        }
    }

    /// KILL to all it has.
    fn unit_kill(&mut self, id: UnitId) {
        let Some(record) = self.t.unit(id) else {
            return;
        };
        if let Some(folder) = &record.cgroup {
            let _ = cgroup::kill(folder.as_fd());
        }
        // The init too by itself: without a cgroup, or with a kernel that has no cgroup.kill, its PID namespace dies with it.
        if let Some(pidfd) = &record.pidfd {
            let _ = pidfd_send_signal(pidfd, Signal::KILL);
        }
        self.cgroup_ready(id);
    }

    /// cgroup.events changed (or it is asked for): is it empty?
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
        self.report_ready(id);
        let Some(record) = self.t.unit_mut(id) else {
            return;
        };
        record.pid = 0;
        record.pidfd = None;
        self.unit_event(id, Event::InitEnded(ended));
        self.cgroup_ready(id);
    }

    /// A process that it lives with is gone.
    pub(super) fn owner_gone(&mut self, id: UnitId) {
        let Some(record) = self.t.unit_mut(id) else {
            return;
        };
        record.owners = [None, None];
        self.unit_event(id, Event::OwnerGone);
    }

    /// Lets go what it held. All its processes are gone.
    fn unit_clean(&mut self, id: UnitId) {
        let Some(record) = self.t.unit_mut(id) else {
            return;
        };
        (record.report, record.listener, record.events) = (None, None, None);
        let made = record.cgroup.take().is_some() || record.clean_again.is_some();
        record.clean_again = None;
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
        let mut epitaph: String<200> = String::new();
        if let Some(record) = self.t.unit(id) {
            match (&record.fault, record.life.ended()) {
                (Some(kept), _) => {
                    let _ =
                        ufmt::uwrite!(epitaph, "Pouch: {}: {}", record.name.as_str(), kept.fault());
                }
                (None, Some(ended)) => {
                    let _ = ufmt::uwrite!(epitaph, "Pouch: {} {}", record.name.as_str(), ended);
                }
                (None, None) => {}
            }
            log::info!("{}", epitaph.get(7..).unwrap_or_default());
            if let Some(session) = record.session {
                self.session_end(session, &epitaph);
            }
        }
        self.unit_event(id, Event::Cleaned);
    }

    /// It stands still, for good or until its back-off is over.
    fn unit_settle(&mut self, id: UnitId) {
        match self.t.unit(id).map(|u| u.life.state()) {
            Some(State::Ended) => self.slot_free(id),
            Some(State::Waiting { until }) => {
                let wait = until.saturating_sub(time::now_ms());
                if let Some(record) = self.t.unit(id) {
                    log::info!("{}: starts again in {wait} ms", record.name.as_str());
                }
                // The slot is kept, and with it the idle line.
                self.slot_show_again(id);
            }
            _ => {}
        }
        self.tell_settled(id);
        self.unit_file(id);
        self.ending_check();
    }

    /// Its session ended for the lines, but the slot stays its own.
    fn slot_show_again(&mut self, id: UnitId) {
        let slot = self.t.unit(id).and_then(|u| u.slot);
        self.slot_take(id, slot);
    }

    /// It is no more.
    fn unit_forget(&mut self, id: UnitId) {
        self.slot_free(id);
        self.tell_forgotten(id);
        let mut path: String<96> = String::new();
        let session = self.t.unit(id).and_then(|u| u.session);
        if let Some(record) = self.t.unit(id) {
            file_path(&record.name, &mut path);
            log::info!("{}: destroyed", record.name.as_str());
        }
        let _ = rustix::fs::unlink(path.as_str());
        if let Some(place) = self.t.units.get_mut(usize::from(id)) {
            *place = None;
        }
        if let Some(session) = session {
            self.session_release(session, time::now_ms());
        }
        self.ending_check();
    }

    /// `restart`: an ended one retakes its slot first.
    pub(super) fn unit_restart(&mut self, id: UnitId) -> Result<(), Refusal<'_>> {
        let over = self.t.unit(id).is_some_and(|u| u.life.is_over());
        if over {
            let wanted = self.spec_of(id).map_or(TTY_AUTO, Spec::tty);
            if self.slot_for(wanted).is_err() {
                return self.slot_for(wanted).map(drop);
            }
            let slot = self.slot_for(wanted).unwrap_or(None);
            self.slot_take(id, slot);
        }
        self.unit_event(id, Event::Restart);
        Ok(())
    }

    /// What `list` and `info` show of it.
    pub(super) fn unit_view(&self, id: UnitId, now: u64) -> Option<message::Unit<'_>> {
        let record = self.t.unit(id)?;
        let spec = self.spec_of(id)?;
        let mut room = [0u8; 32];
        let memory = record.cgroup.as_ref().and_then(|c| {
            let text = cgroup::read(c.as_fd(), c"memory.current", &mut room).ok()?;
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
                State::Waiting { .. } => Seen::Waiting,
            },
            slot: record.slot,
            pid: u32::try_from(record.pid).unwrap_or(0),
            ppid: record.ppid,
            age_ms: now.saturating_sub(record.life.since()),
            memory,
            restarts: record.life.restarts(),
            ended: record.life.ended(),
            fault: record.fault.as_ref().map(Kept::fault),
        })
    }

    /// Writes /run/pouch/cont_NAME anew, whole or not at all.
    pub(super) fn unit_file(&self, id: UnitId) {
        let Some(view) = self.unit_view(id, 0) else {
            return;
        };
        let Some(record) = self.t.unit(id) else {
            return;
        };
        let (mut path, mut text): (String<96>, String<800>) = (String::new(), String::new());
        file_path(&record.name, &mut path);
        let _ = ufmt::uwrite!(text, "{}", crate::format::unit::File(view));
        let write = || -> Result<(), Errno> {
            use rustix::fs::{Mode, OFlags};
            let flags = OFlags::CREATE
                | OFlags::TRUNC
                | OFlags::WRONLY
                | OFlags::CLOEXEC
                | OFlags::NOFOLLOW;
            let fd = rustix::fs::open(c"/run/pouch/.new", flags, Mode::from_raw_mode(0o600))?;
            rustix::io::write(&fd, text.as_bytes())?;
            rustix::fs::rename(c"/run/pouch/.new", path.as_str())
        };
        if let Err(e) = write() {
            log::warn!(
                "unable to write {}: error {}",
                path.as_str(),
                e.raw_os_error()
            );
        }
    }

    /// Containers whose time has come.
    pub(super) fn units_due(&mut self, now: u64) {
        for id in taken(&self.t.units) {
            let Some(record) = self.t.unit(id) else {
                continue;
            };
            if record.clean_again.is_some_and(|at| now >= at) {
                self.unit_clean(id);
            } else if record.life.deadline().is_some_and(|at| now >= at) {
                self.unit_event(id, Event::Tick);
                self.cgroup_ready(id);
            }
        }
    }

    /// When [`Init::units_due`] has something to do.
    pub(super) fn units_deadline(&self) -> Option<u64> {
        self.t
            .units
            .iter()
            .flatten()
            .filter_map(|u| {
                [u.life.deadline(), u.clean_again]
                    .into_iter()
                    .flatten()
                    .min()
            })
            .min()
    }

    /// The modules are there: what waited for them is launched.
    pub(super) fn units_launch_waiting(&mut self) {
        self.t.definitions_wait = false;
        for id in taken(&self.t.units) {
            let waits = self
                .t
                .unit(id)
                .is_some_and(|u| u.pid == 0 && matches!(u.life.state(), State::Starting { .. }));
            if waits {
                self.unit_launch(id);
            }
        }
    }
}

/// How a spec wants to be looked after.
pub(super) fn care_of(spec: Spec<'_>, by_command: bool) -> Care {
    Care {
        restart: spec.restart(),
        grace_ms: spec.stop_timeout().map_or(GRACE_MS, u64::from),
        attached: spec.flags() & flags::ATTACHED != 0,
        forget_failed_start: by_command,
    }
}

/// The slot's name.
pub(super) fn slot_name(slot: u8) -> Option<&'static str> {
    ["tty0", "tty1", "tty2", "tty3"]
        .get(usize::from(slot))
        .copied()
}

fn file_path(name: &str, path: &mut String<96>) {
    let _ = ufmt::uwrite!(path, "/run/pouch/cont_{}", name);
}

fn text(bytes: &[u8]) -> Option<String<OBJECT_MAX>> {
    let mut text = String::new();
    text.push_str(core::str::from_utf8(bytes).ok()?).ok()?;
    Some(text)
}

/// Whether the process has a handler for TERM: SigCgt of proc_pid_status(5). Init of a PID namespace ignores the rest.
fn hears_term(pid: i32) -> bool {
    const TERM_BIT: u8 = 15 - 1;
    let (mut path, mut room): (String<32>, _) = (String::new(), [0u8; 2048]);
    let _ = ufmt::uwrite!(path, "/proc/{}/status\0", pid);
    let status = CStr::from_bytes_with_nul(path.as_bytes())
        .ok()
        .and_then(|p| boot::read_file(p, &mut room).ok());
    let line = status.and_then(|s| {
        s.split(|b| *b == b'\n')
            .find_map(|l| l.strip_prefix(b"SigCgt:"))
    });
    // Sixteen hexadecimal digits, the lowest signals last: TERM's bit is in the fourth from the end.
    let digit = line.and_then(|l| l.trim_ascii().iter().rev().nth(usize::from(TERM_BIT / 4)));
    digit
        .and_then(|d| (*d as char).to_digit(16))
        .is_some_and(|d| d & (1 << (TERM_BIT % 4)) != 0)
}
