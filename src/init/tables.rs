//! The records of PID 1, all of fixed size, all in one place.
//!
//! They lie in memory that outlives the process image, so no record holds a pointer; a
//! descriptor in a record is a number that the next image finds open.

use heapless::{String, Vec};
use rustix::fd::OwnedFd;

use crate::format::cmdline::OnCrash;
use crate::format::ended::Ended;
use crate::format::fault::{Fault, OBJECT_MAX, Step};
use crate::format::inet::Cidr;
use crate::format::message::Hurt;
use crate::format::name::NAME_MAX;
use crate::policy::answers::Answers;
use crate::policy::backoff::Backoff;
use crate::policy::detach::Detach;
use crate::policy::health::Health;
use crate::policy::ranges::Ranges;
use crate::policy::ring::Ring;
use crate::policy::shutdown::Shutdown;
use crate::policy::size::Place;
pub(super) use crate::policy::size::UNITS;
use crate::policy::switchboard::Switchboard;
pub(super) use crate::policy::switchboard::{LINES, Line, SESSIONS, Session};
use crate::policy::unit::Unit;
use crate::sys::arena::Table;
use crate::sys::slots::Slots;

/// The most commands that are connected at once: one that each container may live with, and those of people.
pub(super) const CLIENTS: usize = UNITS + 32;
/// Bytes that PID 1 itself has to say to a line and that the line has not taken yet.
pub(super) const NOTICE: usize = 2048;
/// Keys typed that a session has not taken yet.
pub(super) const TYPED: usize = 512;
/// The longest path of a device or of the host's shell.
pub(super) const PATH: usize = 64;

/// The session that is the event log: the first that is made.
pub(super) const EVENTS: Session = 0;

/// A container's place in the table.
pub(super) type UnitId = Place;
/// A client's place in the table.
pub(super) type ClientId = Place;

/// A fault kept for whoever asks later.
#[derive(Clone)]
pub(super) struct Kept {
    step: Step,
    errno: u16,
    object: Vec<u8, OBJECT_MAX>,
}

impl Kept {
    /// Copies a fault; of too long an object the end is kept.
    pub(super) fn of(fault: Fault<'_>) -> Kept {
        let from = fault.object.len().saturating_sub(OBJECT_MAX);
        let mut object = Vec::new();
        let _ = object.extend_from_slice(fault.object.get(from..).unwrap_or_default());
        Kept {
            step: fault.step,
            errno: fault.errno,
            object,
        }
    }

    /// The fault.
    pub(super) fn fault(&self) -> Fault<'_> {
        Fault {
            step: self.step,
            errno: self.errno,
            object: &self.object,
        }
    }
}

/// One container.
#[repr(C)] // what is small and asked for often lies in front, where it is reached in fewer bytes
pub(super) struct UnitRecord {
    pub(super) pid: i32,
    pub(super) pidfd: Option<OwnedFd>,
    /// The process it lives with, 1 where it is PID 1 itself.
    pub(super) ppid: u32,
    pub(super) slot: Option<u8>,
    pub(super) session: Option<Session>,
    pub(super) spec_len: u16,
    /// The host's number for its root, 0 without a user namespace of its own.
    pub(super) owner: u32,
    /// Its cgroup's folder, and cgroup.events in it.
    pub(super) cgroup: Option<OwnedFd>,
    pub(super) events: Option<OwnedFd>,
    /// The launch's pipe, until execve.
    pub(super) report: Option<OwnedFd>,
    /// The socket that it reaches PID 1 by.
    pub(super) listener: Option<OwnedFd>,
    /// Files and pipes that came with it to be its streams (`run`).
    pub(super) streams: [Option<OwnedFd>; 3],
    /// The terminal of whoever runs it, until it shows the session.
    pub(super) terminal: Option<OwnedFd>,
    /// pidfds of the command that started it and of that command's parent.
    pub(super) owners: [Option<OwnedFd>; 2],
    /// Its link to a bridge, by the number in its name.
    pub(super) link: Option<u32>,
    /// The child that takes the link away, 0 where there is none.
    pub(super) releasing: i32,
    /// Its address.
    pub(super) address: Option<Cidr>,
    /// When an unfinished clean-up is tried again.
    pub(super) clean_again: Option<u64>,
    /// The pipe on which it says that it is ready.
    pub(super) ready: Option<OwnedFd>,
    /// The health command that runs in it.
    pub(super) asked: i32,
    pub(super) asked_fd: Option<OwnedFd>,
    pub(super) health: Health,
    /// What the kernel did to it the last time.
    pub(super) hurt: Hurt,
    pub(super) life: Unit,
    pub(super) fault: Option<Kept>,
    pub(super) name: String<NAME_MAX>,
}

/// Whose a session is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Whose {
    /// A container's.
    Unit(UnitId),
    /// The host shell of that line.
    Shell(Line),
    /// The event log, which is nobody's terminal.
    Events,
    /// Nobody's any more: it goes when the last line has shown the rest.
    Closing {
        /// ... or at this time.
        until: u64,
    },
}

/// One session: a pseudo-terminal and its ring.
#[repr(C)] // what is small and asked for often lies in front, where it is reached in fewer bytes
pub(super) struct SessionRecord {
    pub(super) whose: Whose,
    /// It is not read for now: a line that shows it, and moves, has yet to take what is in the ring.
    pub(super) held: bool,
    /// Whether the master is waited for to take keys.
    pub(super) wants_out: bool,
    pub(super) ring: Ring,
    /// The master, or the reading end of a pipe.
    pub(super) master: Option<OwnedFd>,
    /// The slave, kept open so that the master never says EIO between two programs.
    pub(super) slave: Option<OwnedFd>,
    /// The size that it was given; another is what somebody set inside.
    pub(super) size: (u16, u16),
    /// N of /dev/pts/N; `None` for a pipe.
    pub(super) pts: Option<u32>,
    /// What people call it: `tty1`, or the container's name; empty for a host shell.
    pub(super) label: String<NAME_MAX>,
    /// How it ended, in words, for lines that show it after that.
    pub(super) epitaph: String<160>,
}

/// One line: a physical terminal, or one that a command handed over.
#[repr(C)] // what is small and asked for often lies in front, where it is reached in fewer bytes
pub(super) struct LineRecord {
    pub(super) fd: Option<OwnedFd>,
    pub(super) slot: Option<u8>,
    /// Since when it has taken nothing, while something was there for it.
    pub(super) stuck: Option<u64>,
    /// It makes no progress: nobody waits for it any more, and it loses output.
    pub(super) stalled: bool,
    /// Bytes that it missed, and was not told of yet.
    pub(super) lost: u64,
    /// The line's writing side is waited for.
    pub(super) wants_out: bool,
    /// The last byte written was a line's end.
    pub(super) at_margin: bool,
    /// TERM for a shell here.
    pub(super) vt: bool,
    /// (major, minor), so that no device is two lines.
    pub(super) rdev: (u32, u32),
    /// Before anything else, the ring of the session that was left, up to there.
    pub(super) tail: Option<(Session, u64)>,
    /// The size of the terminal at its end, as far as somebody said.
    pub(super) size: rustix::termios::Winsize,
    /// When a line that is down is looked at again.
    pub(super) look_again: Option<u64>,
    /// The client that brought it, for as long as that is connected; `None` for the board's own.
    pub(super) client: Option<ClientId>,
    pub(super) detach: Detach,
    pub(super) answers: Answers,
    /// Keys that a session did not take, and that nobody was told of yet.
    pub(super) keys_lost: u32,
    /// Of a VT: the keyboard mode that it was found with.
    pub(super) keyboard: u32,
    pub(super) look_backoff: Backoff,
    pub(super) shell: ShellRecord,
    pub(super) device: String<PATH>,
    /// Up to where each session was shown.
    pub(super) shown: [u64; SESSIONS],
    /// Keys for the session it shows.
    pub(super) typed: Vec<u8, TYPED>,
    /// What PID 1 itself has to say.
    pub(super) notice: Vec<u8, NOTICE>,
}

/// A line's host shell.
pub(super) struct ShellRecord {
    pub(super) pid: i32,
    pub(super) pidfd: Option<OwnedFd>,
    pub(super) report: Option<OwnedFd>,
    pub(super) session: Option<Session>,
    pub(super) fault: Option<Kept>,
    pub(super) backoff: Backoff,
    /// When it is started.
    pub(super) due: Option<u64>,
    /// Not before this.
    pub(super) not_before: u64,
}

/// What a client waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Waits {
    /// Its next request.
    Request,
    /// That the container's execve succeeds.
    Started(UnitId),
    /// That it ends (`pouch_start` without --demonize).
    Ended(UnitId),
    /// That it stands still, with all it held let go.
    Stopped(UnitId),
    /// That it is no more.
    Forgotten(UnitId),
    /// More of a session's ring from there on.
    Log {
        /// The session.
        session: Session,
        /// The next byte's position.
        from: u64,
    },
    /// That the line which its terminal is comes to its end.
    Line,
    /// The same, and then it is told how the container ended.
    Last(Ended),
    /// That another image takes over.
    Reexec,
}

/// One command that is connected.
pub(super) struct ClientRecord {
    pub(super) fd: OwnedFd,
    /// The container it sits in.
    pub(super) inside: Option<UnitId>,
    pub(super) pid: i32,
    pub(super) waits: Waits,
}

/// What the kernel command line set.
pub(super) struct Config {
    /// The host shell; empty: locked.
    pub(super) shell: String<PATH>,
    pub(super) rescue: bool,
    /// The address of pouch0, from which containers get theirs.
    pub(super) bridge: Option<Cidr>,
    pub(super) crash_limit: u32,
    /// What a crash of PID 1 leads to.
    pub(super) on_crash: OnCrash,
    /// What goes to the log.
    pub(super) log: log::LevelFilter,
    /// The watchdog's device, and its time in seconds.
    pub(super) watchdog: Vec<u8, PATH>,
    pub(super) watchdog_seconds: Option<u32>,
    /// The size of the terminal at the system console, where the kernel line says it.
    pub(super) size: Option<rustix::termios::Winsize>,
    /// Whether PID 1 is that of a PID namespace.
    pub(super) nested: bool,
    /// /sys/fs/cgroup/pouch is there.
    pub(super) cgroups: bool,
}

/// All of it: what there is one of, and the records, for which [`lines`](Tables::lines) and its like are names.
pub(super) type Tables = Table<Board, Records>;

/// The records by their kind.
type Records = (
    Slots<LineRecord, LINES>,
    Slots<ClientRecord, CLIENTS>,
    Slots<SessionRecord, SESSIONS>,
    Slots<UnitRecord, UNITS>,
);

/// What there is one of.
pub(super) struct Board {
    /// Boot is over: a re-executed image goes on from here.
    pub(super) up: bool,
    /// PID 1 of a namespace is to exit with this.
    pub(super) exit: Option<u8>,
    /// The signal that asked for the board's end, 0 for a command.
    pub(super) ended_by: u8,
    /// Everything waits for the root, at most until then.
    pub(super) rooting: Option<u64>,
    /// The watchdog, when it is fed next, every how many milliseconds, and whether it is left hungry.
    pub(super) watchdog: Option<OwnedFd>,
    pub(super) watchdog_due: Option<u64>,
    pub(super) watchdog_every: u64,
    pub(super) watchdog_hungry: bool,
    /// Containers of the kernel command line wait for the modules.
    pub(super) definitions_wait: bool,
    /// The child that loads modules, syncs or calls reboot(2).
    pub(super) helper: Option<i32>,
    /// The children that read definitions in files, by what they read; 0: none.
    pub(super) definers: [i32; 2],
    pub(super) control: Option<OwnedFd>,
    /// Descriptors on their way from a request to the record that it makes.
    pub(super) streams: [Option<OwnedFd>; 3],
    /// The cgroup of host shells.
    pub(super) shell_cgroup: Option<OwnedFd>,
    pub(super) config: Config,
    pub(super) ending: Shutdown,
    pub(super) board: Switchboard,
    pub(super) ranges: Ranges,
}

impl Board {
    /// An empty board.
    pub(super) fn new() -> Board {
        Board {
            board: Switchboard::new(),
            ranges: Ranges::new(),
            ending: Shutdown::new(),
            config: Config {
                shell: String::new(),
                rescue: false,
                bridge: None,
                crash_limit: super::crash::LIMIT,
                on_crash: OnCrash::Reexec,
                log: log::LevelFilter::Info,
                watchdog: Vec::new(),
                watchdog_seconds: None,
                size: None,
                nested: false,
                cgroups: false,
            },
            control: None,
            streams: [None, None, None],
            shell_cgroup: None,
            helper: None,
            definers: [0; 2],
            definitions_wait: false,
            rooting: None,
            watchdog: None,
            watchdog_due: None,
            watchdog_every: 0,
            watchdog_hungry: false,
            up: false,
            exit: None,
            ended_by: 0,
        }
    }
}

impl Tables {
    /// The table of lines.
    pub(super) fn lines(&mut self) -> &mut Slots<LineRecord, LINES> {
        &mut self.records.0
    }

    /// The table of clients.
    pub(super) fn clients(&mut self) -> &mut Slots<ClientRecord, CLIENTS> {
        &mut self.records.1
    }

    /// The table of sessions.
    pub(super) fn sessions(&mut self) -> &mut Slots<SessionRecord, SESSIONS> {
        &mut self.records.2
    }

    /// The table of containers.
    pub(super) fn units(&mut self) -> &mut Slots<UnitRecord, UNITS> {
        &mut self.records.3
    }

    /// A container's record.
    #[inline(never)]
    pub(super) fn unit(&self, id: UnitId) -> Option<&UnitRecord> {
        self.records.3.get(id)
    }

    /// The same to change.
    #[inline(never)]
    pub(super) fn unit_mut(&mut self, id: UnitId) -> Option<&mut UnitRecord> {
        self.records.3.get_mut(id)
    }

    /// A session's record.
    #[inline(never)]
    pub(super) fn session(&self, id: Session) -> Option<&SessionRecord> {
        self.records.2.get(id)
    }

    /// The same to change.
    #[inline(never)]
    pub(super) fn session_mut(&mut self, id: Session) -> Option<&mut SessionRecord> {
        self.records.2.get_mut(id)
    }

    /// A line's record.
    #[inline(never)]
    pub(super) fn line(&self, id: Line) -> Option<&LineRecord> {
        self.records.0.get(id)
    }

    /// The same to change.
    #[inline(never)]
    pub(super) fn line_mut(&mut self, id: Line) -> Option<&mut LineRecord> {
        self.records.0.get_mut(id)
    }

    /// A client's record.
    #[inline(never)]
    pub(super) fn client(&self, id: ClientId) -> Option<&ClientRecord> {
        self.records.1.get(id)
    }

    /// The same to change.
    #[inline(never)]
    pub(super) fn client_mut(&mut self, id: ClientId) -> Option<&mut ClientRecord> {
        self.records.1.get_mut(id)
    }

    /// The session of a container.
    #[inline(never)]
    pub(super) fn unit_session(&self, id: UnitId) -> Option<Session> {
        self.unit(id)?.session
    }

    /// The descriptor of a session's own terminal or pipe.
    #[inline(never)]
    pub(super) fn master(&self, id: Session) -> Option<&OwnedFd> {
        self.session(id)?.master.as_ref()
    }

    /// The session that the line shows.
    #[inline(never)]
    pub(super) fn shows(&self, line: Line) -> Option<Session> {
        self.board.shows(line)
    }

    /// The container of that name.
    pub(super) fn named(&self, name: &[u8]) -> Option<UnitId> {
        self.find_unit(&|u| u.name.as_bytes() == name)
    }

    /// The container that holds the slot.
    #[inline(never)]
    pub(super) fn holder(&self, slot: u8) -> Option<UnitId> {
        self.find_unit(&|u| u.slot == Some(slot))
    }

    /// The first container that is so.
    #[inline(never)]
    pub(super) fn find_unit(&self, is_it: &dyn Fn(&UnitRecord) -> bool) -> Option<UnitId> {
        (0..UNITS as UnitId).find(|id| self.unit(*id).is_some_and(is_it))
    }

    /// The first line that is so.
    #[inline(never)]
    pub(super) fn find_line(&self, is_it: &dyn Fn(&LineRecord) -> bool) -> Option<Line> {
        (0..LINES as Line).find(|id| self.line(*id).is_some_and(is_it))
    }
}

/// Of two times the earlier; [`NEVER`] is later than any.
#[inline(never)]
pub(super) fn sooner(soonest: &mut u64, at: Option<u64>) {
    *soonest = at.unwrap_or(NEVER).min(*soonest);
}

/// The time of what is not due at all.
pub(super) const NEVER: u64 = u64::MAX;

/// Whether that time has come.
#[inline(never)]
pub(super) fn is_due(at: Option<u64>, now: u64) -> bool {
    at.is_some_and(|at| now >= at)
}
