//! What a command and PID 1 say to each other.
//!
//! One packet of a SOCK_SEQPACKET socket is one message: a version, a number, a
//! payload. Numbers are never used again for another meaning. `emit` and `parse` are
//! inverse of each other; what cannot be parsed is answered by [`Refusal::BadMessage`].
//! A request is answered by any number of [`Reply::Unit`], [`Reply::Bytes`] and
//! [`Reply::Line`] and then by one last reply, which is any other.

use super::ended::Ended;
use super::fault::Fault;
use super::inet::Cidr;
use super::wire::{Reader, Writer};

/// The version this binary speaks; another is refused.
pub const VERSION: u8 = 1;
/// The longest message in bytes: a spec and its head.
pub const MESSAGE_MAX: usize = super::spec::SPEC_MAX + 256;
/// The most bytes of a ring in one [`Reply::Bytes`].
pub const CHUNK: usize = 4096;

/// How the board ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Power {
    /// Stop the processors, leave the power on.
    Halt = 0,
    /// Power off.
    PowerOff = 1,
    /// Start again.
    Reboot = 2,
}

/// What a command asks of PID 1.
///
/// `name` is a container's name, `spec` the bytes of a [`super::spec::Spec`].
#[allow(missing_docs)] // the fields are what the variant's line says
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request<'a> {
    /// Start a container from a spec. Answered by [`Reply::Started`] once its execve succeeded; with the ATTACHED flag, by [`Reply::Ended`] after that.
    Start { spec: &'a [u8] },
    /// Show a container's session, by NAME or ttyN, on the line that typed. The caller's terminal comes along as a descriptor.
    Connect { target: &'a [u8], watch: bool },
    /// Return the line to where it came from. Only inside a container.
    Disconnect,
    /// All containers: a [`Reply::Unit`] each, then [`Reply::Done`].
    List,
    /// One container; inside one, an empty name means itself.
    Info { name: &'a [u8] },
    /// Stop it, remove it and all it held.
    Destroy { name: &'a [u8] },
    /// Stop it; it keeps its name, ring and file.
    Stop { name: &'a [u8] },
    /// Stop it if it runs, start it again.
    Restart { name: &'a [u8] },
    /// Send a signal to its init.
    Kill { name: &'a [u8], signal: u8 },
    /// Hold all its processes.
    Freeze { name: &'a [u8] },
    /// Let them go on.
    Thaw { name: &'a [u8] },
    /// The ring: [`Reply::Bytes`], then [`Reply::Done`]; with follow, until the client goes or the container is destroyed.
    Logs { name: &'a [u8], follow: bool },
    /// End the board.
    Power { how: Power },
    /// What it takes to go into a container that runs: [`Reply::Started`] with its init's pidfd and its cgroup's folder (where it has one), [`Reply::Bytes`] of its spec, then [`Reply::Done`].
    Join { name: &'a [u8] },
    /// The caller's terminal may have another size now. A client whose terminal is a line sends it on its own connection and gets no answer; any other gets [`Reply::Done`].
    Resize,
    /// The event log: [`Reply::Bytes`], then [`Reply::Done`]; with follow, until the client goes.
    Events { follow: bool },
    /// Replace PID 1 in place by the binary whose descriptor comes along, its own where none does.
    Reexec { name: &'a [u8] },
    /// Say a line in the log, and on the console if it is loud.
    Tell { text: &'a [u8], loud: bool },
}

/// What a unit is doing, for lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum State {
    /// Its process is being made.
    Starting = 0,
    /// It runs.
    Started = 1,
    /// It was told to end.
    Stopping = 2,
    /// It ended and stays ended.
    Ended = 3,
    /// It ended and will be started again.
    Waiting = 4,
    /// Its processes are held.
    Frozen = 5,
}

impl State {
    /// The word in lists and files.
    pub fn word(self) -> &'static str {
        const WORDS: &str = "starting started stopping ended waiting frozen";
        super::text::nth(WORDS, b' ', self as usize).unwrap_or_default()
    }

    fn from_number(number: u8) -> Option<State> {
        [
            State::Starting,
            State::Started,
            State::Stopping,
            State::Ended,
            State::Waiting,
            State::Frozen,
        ]
        .get(usize::from(number))
        .copied()
    }
}

/// What the kernel did to a container's processes: how many it killed for want of memory, how
/// often it refused a new one for pids.max, in how many periods it held them for cpu.max.
pub type Hurt = [u32; 3];

/// A container's record in `list` and `info`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unit<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// What the person called its root; empty for the host's.
    pub image: &'a [u8],
    /// What it is doing.
    pub state: State,
    /// Its slot.
    pub slot: Option<u8>,
    /// The pid of its init as the host sees it, 0 when there is none.
    pub pid: u32,
    /// The process it lives with: 1, or that of `pouch_start` without --demonize.
    pub ppid: u32,
    /// Milliseconds since it was started or, ended, since it ended.
    pub age_ms: u64,
    /// Bytes of memory charged to its cgroup, where the kernel counts them.
    pub memory: Option<u64>,
    /// Its address in its bridge.
    pub address: Option<Cidr>,
    /// What the kernel did to its processes.
    pub hurt: Hurt,
    /// How often it was started again.
    pub restarts: u32,
    /// The host's number for its root, 0 where that is root.
    pub owner: u32,
    /// How its last process ended.
    pub ended: Option<Ended>,
    /// Why its last start failed.
    pub fault: Option<Fault<'a>>,
    /// Those it waits for before it starts, commas between.
    pub waits: &'a [u8],
    /// Whether it runs and is ready.
    pub ready: bool,
    /// What its health command says: none, starting, healthy, unhealthy.
    pub health: u8,
    /// How its list of capabilities was read: a value of [`super::spec::Tag::Reading`].
    pub reading: u8,
}

/// Why a request is not done.
#[allow(missing_docs)] // the fields are what the variant's line says
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal<'a> {
    /// The bytes are no request, or of another version.
    BadMessage,
    /// No container of that name.
    NotFound,
    /// The name is in use.
    Exists,
    /// A cgroup of that name exists that is none of ours.
    CgroupExists,
    /// The slot is held by that container.
    SlotHeld { slot: u8, by: &'a [u8] },
    /// No container holds that slot.
    SlotEmpty { slot: u8 },
    /// No room for another container.
    TableFull,
    /// Asked from inside a container, allowed outside only.
    OutsideOnly,
    /// Asked from outside, allowed inside a container only.
    InsideOnly,
    /// The container has no terminal to show.
    NoSession,
    /// The container is not running.
    NotRunning,
    /// The caller has no terminal, or one that cannot be a line.
    NotALine,
    /// The board is going down.
    GoingDown,
    /// The kernel refused.
    Fault(Fault<'a>),
    /// The container was destroyed or stopped before it came up.
    Gone,
    /// Too many clients wait at once.
    Busy,
    /// The caller's line shows another session by now.
    MovedOn,
    /// It is to be started after that one, which comes after it.
    Circle { after: &'a [u8] },
    /// The binary did not say in time that it can go on with what there is.
    NoTakeOver,
}

/// What PID 1 answers.
#[allow(missing_docs)] // the fields are what the variant's line says
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply<'a> {
    /// It is done.
    Done,
    /// The container runs; its init's pid as the host sees it.
    Started { pid: u32 },
    /// The container ended (for a caller that waits for it).
    Ended(Ended),
    /// A container's record; more may follow.
    Unit(Unit<'a>),
    /// Bytes of a ring, at most [`CHUNK`]; more may follow.
    Bytes(&'a [u8]),
    /// It is not done.
    Refused(Refusal<'a>),
    /// The caller's terminal is a line of the board's from now on, or its own again; more follows.
    Line { held: bool },
}

/// Whether a request of that number has a name (or a spec, or a target).
fn has_name(number: u8) -> bool {
    !matches!(number, 3 | 4 | 13 | 15 | 17)
}

/// Whether a byte comes behind it: a flag, a signal, an end.
fn has_more(number: u8) -> bool {
    matches!(number, 2 | 9 | 12 | 13 | 15 | 18)
}

impl<'a> Request<'a> {
    /// What it is made of: its number on the wire, its name and the byte behind.
    #[inline(never)]
    pub fn parts(&self) -> (u8, &'a [u8], u8) {
        match *self {
            Request::Start { spec } => (1, spec, 0),
            Request::Connect { target, watch } => (2, target, watch.into()),
            Request::Disconnect => (3, b"", 0),
            Request::List => (4, b"", 0),
            Request::Info { name } => (5, name, 0),
            Request::Destroy { name } => (6, name, 0),
            Request::Stop { name } => (7, name, 0),
            Request::Restart { name } => (8, name, 0),
            Request::Kill { name, signal } => (9, name, signal),
            Request::Freeze { name } => (10, name, 0),
            Request::Thaw { name } => (11, name, 0),
            Request::Logs { name, follow } => (12, name, follow.into()),
            Request::Power { how } => (13, b"", how as u8),
            Request::Join { name } => (14, name, 0),
            Request::Resize => (17, b"", 0),
            Request::Events { follow } => (15, b"", follow.into()),
            Request::Reexec { name } => (16, name, 0),
            Request::Tell { text, loud } => (18, text, loud.into()),
        }
    }

    /// The request that is made of these, if any is.
    #[inline(never)]
    pub fn of(number: u8, name: &'a [u8], more: u8) -> Option<Self> {
        let flag = more != 0;
        if matches!(number, 2 | 12 | 15 | 18) && more > 1 {
            return None;
        }
        Some(match number {
            1 => Request::Start { spec: name },
            2 => Request::Connect {
                target: name,
                watch: flag,
            },
            3 => Request::Disconnect,
            4 => Request::List,
            5 => Request::Info { name },
            6 => Request::Destroy { name },
            7 => Request::Stop { name },
            8 => Request::Restart { name },
            9 => Request::Kill { name, signal: more },
            10 => Request::Freeze { name },
            11 => Request::Thaw { name },
            12 => Request::Logs { name, follow: flag },
            13 => Request::Power {
                how: match more {
                    0 => Power::Halt,
                    1 => Power::PowerOff,
                    2 => Power::Reboot,
                    _ => return None,
                },
            },
            14 => Request::Join { name },
            17 => Request::Resize,
            15 => Request::Events { follow: flag },
            16 => Request::Reexec { name },
            18 => Request::Tell {
                text: name,
                loud: flag,
            },
            _ => return None,
        })
    }

    /// Writes it into `buf`; `None` if it does not fit.
    pub fn emit<'b>(&self, buf: &'b mut [u8]) -> Option<&'b [u8]> {
        let (number, name, more) = self.parts();
        let mut w = Writer::new(buf);
        w.u8(VERSION);
        w.u8(number);
        if has_name(number) {
            w.bytes(name);
        }
        if has_more(number) {
            w.u8(more);
        }
        w.finish()
    }

    /// Reads a request; `None` for anything else, rest included.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut r = Reader::new(bytes);
        let (version, number) = (r.u8(), r.u8());
        let name = if has_name(number) { r.bytes() } else { b"" };
        let more = if has_more(number) { r.u8() } else { 0 };
        if version != VERSION || !r.is_whole() {
            return None;
        }
        Request::of(number, name, more)
    }
}

/// A slot on the wire: its number, or this.
const NO_SLOT: u8 = 0xff;

impl<'a> Unit<'a> {
    fn emit(&self, w: &mut Writer<'_>) {
        w.bytes(self.name);
        w.bytes(self.image);
        w.u8(self.state as u8);
        w.u8(self.slot.unwrap_or(NO_SLOT));
        w.u32(self.pid);
        w.u32(self.ppid);
        w.u64(self.age_ms);
        w.u64(self.memory.unwrap_or(u64::MAX));
        let cidr = self.address.unwrap_or_default();
        w.raw(&cidr.address);
        w.u8(cidr.bits);
        for count in self.hurt {
            w.u32(count);
        }
        w.u32(self.restarts);
        w.u32(self.owner);
        w.u8(u8::from(self.ended.is_some()));
        if let Some(ended) = self.ended {
            ended.emit(w);
        }
        w.u8(u8::from(self.fault.is_some()));
        if let Some(fault) = self.fault {
            fault.emit(w);
        }
        w.bytes(self.waits);
        w.u8(self.ready.into());
        w.u8(self.health);
        w.u8(self.reading);
    }

    #[inline(never)] // written in one place, copied as a whole
    fn parse(r: &mut Reader<'a>) -> Self {
        let (name, image, state) = (r.bytes(), r.bytes(), State::from_number(r.u8()));
        let state = r.some(state, State::Ended);
        Unit {
            name,
            image,
            state,
            slot: Some(r.u8()).filter(|s| *s != NO_SLOT),
            pid: r.u32(),
            ppid: r.u32(),
            age_ms: r.u64(),
            memory: Some(r.u64()).filter(|m| *m != u64::MAX),
            address: Some(Cidr {
                address: r.u32().to_le_bytes(),
                bits: r.u8(),
            })
            .filter(|cidr| cidr.bits != 0),
            hurt: [r.u32(), r.u32(), r.u32()],
            restarts: r.u32(),
            owner: r.u32(),
            ended: r.flag().then(|| Ended::parse(r)),
            fault: r.flag().then(|| Fault::parse(r)),
            waits: r.bytes(),
            ready: r.flag(),
            health: r.u8(),
            reading: r.u8(),
        }
    }
}

impl<'a> Refusal<'a> {
    /// Its number on the wire.
    pub fn number(&self) -> u8 {
        match self {
            Refusal::BadMessage => 0,
            Refusal::NotFound => 1,
            Refusal::Exists => 2,
            Refusal::CgroupExists => 3,
            Refusal::SlotHeld { .. } => 4,
            Refusal::SlotEmpty { .. } => 5,
            Refusal::TableFull => 6,
            Refusal::OutsideOnly => 7,
            Refusal::InsideOnly => 8,
            Refusal::NoSession => 9,
            Refusal::NotRunning => 10,
            Refusal::NotALine => 11,
            Refusal::GoingDown => 12,
            Refusal::Fault(_) => 13,
            Refusal::Gone => 14,
            Refusal::Busy => 15,
            Refusal::MovedOn => 16,
            Refusal::Circle { .. } => 17,
            Refusal::NoTakeOver => 18,
        }
    }

    fn emit(&self, w: &mut Writer<'_>) {
        w.u8(self.number());
        match *self {
            Refusal::SlotHeld { slot, by } => {
                w.u8(slot);
                w.bytes(by);
            }
            Refusal::SlotEmpty { slot } => w.u8(slot),
            Refusal::Fault(fault) => fault.emit(w),
            Refusal::Circle { after } => w.bytes(after),
            _ => {}
        }
    }

    #[inline(never)]
    fn parse(r: &mut Reader<'a>) -> Self {
        let number = r.u8();
        r.check(number < 19);
        match number {
            0 => Refusal::BadMessage,
            1 => Refusal::NotFound,
            2 => Refusal::Exists,
            3 => Refusal::CgroupExists,
            4 => Refusal::SlotHeld {
                slot: r.u8(),
                by: r.bytes(),
            },
            5 => Refusal::SlotEmpty { slot: r.u8() },
            6 => Refusal::TableFull,
            7 => Refusal::OutsideOnly,
            8 => Refusal::InsideOnly,
            9 => Refusal::NoSession,
            10 => Refusal::NotRunning,
            11 => Refusal::NotALine,
            12 => Refusal::GoingDown,
            13 => Refusal::Fault(Fault::parse(r)),
            14 => Refusal::Gone,
            15 => Refusal::Busy,
            16 => Refusal::MovedOn,
            17 => Refusal::Circle { after: r.bytes() },
            _ => Refusal::NoTakeOver,
        }
    }
}

impl<'a> Reply<'a> {
    /// Writes it into `buf`; `None` if it does not fit.
    pub fn emit<'b>(&self, buf: &'b mut [u8]) -> Option<&'b [u8]> {
        let mut w = Writer::new(buf);
        w.u8(VERSION);
        match *self {
            Reply::Done => w.u8(0),
            Reply::Started { pid } => {
                w.u8(1);
                w.u32(pid);
            }
            Reply::Ended(ended) => {
                w.u8(2);
                ended.emit(&mut w);
            }
            Reply::Unit(unit) => {
                w.u8(3);
                unit.emit(&mut w);
            }
            Reply::Bytes(bytes) => {
                w.u8(4);
                w.bytes(bytes);
            }
            Reply::Refused(refusal) => {
                w.u8(5);
                refusal.emit(&mut w);
            }
            Reply::Line { held } => {
                w.u8(6);
                w.u8(held.into());
            }
        }
        w.finish()
    }

    /// Reads a reply; `None` for anything else, rest included.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut r = Reader::new(bytes);
        let (version, number) = (r.u8(), r.u8());
        let reply = match number {
            0 => Reply::Done,
            1 => Reply::Started { pid: r.u32() },
            2 => Reply::Ended(Ended::parse(&mut r)),
            3 => Reply::Unit(Unit::parse(&mut r)),
            4 => Reply::Bytes(r.bytes()),
            5 => Reply::Refused(Refusal::parse(&mut r)),
            6 => Reply::Line { held: r.flag() },
            _ => return None,
        };
        (version == VERSION && r.is_whole()).then_some(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::Step;
    use super::*;

    fn requests() -> [Request<'static>; 17] {
        [
            Request::Start { spec: b"spec" },
            Request::Connect {
                target: b"tty1",
                watch: true,
            },
            Request::Disconnect,
            Request::List,
            Request::Info { name: b"" },
            Request::Destroy { name: b"c1" },
            Request::Stop { name: b"c1" },
            Request::Restart { name: b"c1" },
            Request::Kill {
                name: b"c1",
                signal: 9,
            },
            Request::Freeze { name: b"c1" },
            Request::Thaw { name: b"c1" },
            Request::Logs {
                name: b"c1",
                follow: false,
            },
            Request::Power { how: Power::Halt },
            Request::Power { how: Power::Reboot },
            Request::Resize,
            Request::Events { follow: true },
            Request::Reexec { name: b"/init" },
        ]
    }

    fn replies() -> std::vec::Vec<Reply<'static>> {
        let fault = Fault {
            step: Step::Exec,
            errno: 2,
            object: b"/bin/x",
        };
        let unit = Unit {
            name: b"c1",
            image: b"/srv/web",
            state: State::Ended,
            slot: Some(2),
            pid: 77,
            ppid: 1,
            age_ms: 12_345,
            memory: None,
            address: Some(Cidr {
                address: [10, 0, 3, 2],
                bits: 24,
            }),
            hurt: [0; 3],
            restarts: 3,
            owner: 0,
            ended: Some(Ended::Signalled(9)),
            fault: Some(fault),
            waits: b"db,log",
            ready: true,
            health: 2,
            reading: 1,
        };
        let mut all = std::vec![
            Reply::Done,
            Reply::Started { pid: 7 },
            Reply::Ended(Ended::Exited(3)),
            Reply::Bytes(b"x"),
            Reply::Line { held: true },
            Reply::Line { held: false },
            Reply::Unit(unit)
        ];
        all.push(Reply::Unit(Unit {
            slot: None,
            ended: None,
            fault: None,
            memory: Some(4096),
            hurt: [0; 3],
            ..unit
        }));
        let refusals = [
            Refusal::BadMessage,
            Refusal::NotFound,
            Refusal::Exists,
            Refusal::CgroupExists,
            Refusal::SlotHeld { slot: 1, by: b"c2" },
            Refusal::SlotEmpty { slot: 3 },
            Refusal::TableFull,
            Refusal::OutsideOnly,
            Refusal::InsideOnly,
            Refusal::NoSession,
            Refusal::NotRunning,
            Refusal::NotALine,
            Refusal::GoingDown,
            Refusal::Fault(fault),
            Refusal::Gone,
            Refusal::Busy,
            Refusal::MovedOn,
            Refusal::Circle { after: b"db" },
            Refusal::NoTakeOver,
        ];
        all.extend(refusals.map(Reply::Refused));
        all
    }

    #[test]
    fn emit_and_parse_are_inverse() {
        let mut room = [0; 512];
        for request in requests() {
            assert_eq!(
                Request::parse(request.emit(&mut room).unwrap()),
                Some(request)
            );
        }
        for reply in replies() {
            assert_eq!(Reply::parse(reply.emit(&mut room).unwrap()), Some(reply));
        }
    }

    #[test]
    fn a_cut_or_lengthened_message_is_none() {
        let mut room = [0; 512];
        for request in requests() {
            let bytes = request.emit(&mut room).unwrap().to_vec();
            for end in 0..bytes.len() {
                assert_eq!(
                    Request::parse(&bytes[..end]),
                    None,
                    "{request:?} cut at {end}"
                );
            }
            let mut longer = bytes.clone();
            longer.push(0);
            assert_eq!(Request::parse(&longer), None);
        }
        for reply in replies() {
            let bytes = reply.emit(&mut room).unwrap().to_vec();
            for end in 0..bytes.len() {
                assert_eq!(Reply::parse(&bytes[..end]), None, "{reply:?} cut at {end}");
            }
        }
    }
}
