//! `exec`: a command inside a container that runs, on this terminal or through pipes.
//!
//! Files and pipes are handed straight. Where a stream is a terminal the command gets one
//! of the container's own, and this process moves the bytes: no terminal of the host
//! enters a container. The terminal here is put back on every way out.

use super::args::Usage;
use super::out::Out;
use super::say;
use super::socket::{Lost, OUTSIDE, Room, Socket};
use super::start::in_front;
use crate::format::ended::Ended;
use crate::format::fault::{Fault, OBJECT_MAX, Step};
use crate::format::message::{MESSAGE_MAX, Refusal, Reply, Request};
use crate::format::spec::{SPEC_MAX, Spec};
use crate::format::text::{Plain, behind, line_of, put};
use crate::format::wire::Reader;
use crate::jail::{self, Joining, TERMINAL};
use crate::sys::{Errno, file, lend, signal, socket, stdio, terminal};
use core::ffi::CStr;
use heapless::Vec;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, WaitOptions, pidfd_send_signal, waitpid};

/// HUP INT QUIT USR1 USR2 PIPE TERM TSTP WINCH: what a command is told while it waits, instead
/// of ending it with the terminal as it is.
const TOLD: u64 = 1 | 1 << 1 | 1 << 2 | 1 << 9 | 1 << 11 | 1 << 12 | 1 << 14 | 1 << 19 | 1 << 27;
const HUP: u8 = 1;
const PIPE: u8 = 13;
const TERM: u8 = 15;
const TSTP: u8 = 20;
const WINCH: u8 = 28;

/// What it takes to go into a container, as PID 1 hands it out.
pub struct Access {
    /// The pidfd of its init.
    pub init: OwnedFd,
    /// The init's pid.
    pub pid: u32,
    /// Its cgroup's folder, if it has one.
    pub cgroup: Option<OwnedFd>,
    /// Its spec.
    pub spec: Vec<u8, SPEC_MAX>,
}

/// Asks PID 1 for a container. `None`: a person was told why not.
#[inline(never)]
pub fn access(name: &[u8], err: &mut Out) -> Option<Access> {
    let socket = match Socket::connect(OUTSIDE) {
        Ok(socket) => socket,
        Err(error) => {
            say::unreachable(err, OUTSIDE.to_bytes(), error);
            return None;
        }
    };
    let mut room: Room = [0; MESSAGE_MAX];
    let mut access = None;
    let mut told = socket.send(&Request::Join { name }, None);
    while told.is_ok() {
        told = match socket.receive_with(&mut room) {
            Ok((Reply::Started { pid }, [Some(init), cgroup])) => {
                let spec = Vec::new();
                access = Some(Access {
                    init,
                    pid,
                    cgroup,
                    spec,
                });
                Ok(())
            }
            Ok((Reply::Bytes(piece), _)) => {
                if let Some(access) = &mut access {
                    // Never more than a spec may have.
                    let _ = access.spec.extend_from_slice(piece);
                }
                Ok(())
            }
            Ok((Reply::Done, _)) => return access,
            Ok((Reply::Refused(why), _)) => {
                say::refusal(err, why, b"", name);
                return None;
            }
            Ok(_) => Err(Lost::Garbled),
            Err(lost) => Err(lost),
        };
    }
    if let Err(lost) = told {
        say::lost(err, lost);
    }
    None
}

/// `pouch exec NAME [--] COMMAND [ARG...]`: its exit code.
///
/// # Errors
/// The words are no such line.
pub fn command<'a>(words: &'a [&'a CStr], err: &mut Out) -> Result<u8, Usage<'a>> {
    let (name, args) = words.split_first().ok_or(Usage::Count)?;
    let name = name.to_bytes();
    if let [b'-', ..] = name {
        return Err(Usage::UnknownOption(name));
    }
    let args = match args.split_first() {
        Some((first, rest)) if first.to_bytes() == b"--" => rest,
        _ => args,
    };
    if args.is_empty() {
        return Err(Usage::Count);
    }
    Ok(exec(name, args, err))
}

/// Runs a command inside the container of that name and waits for it: its exit code.
pub fn exec(name: &[u8], args: &[&CStr], err: &mut Out) -> u8 {
    let Some(access) = access(name, err) else {
        return say::NOT_RUN;
    };
    if is_frozen(&access) {
        let name = Plain(name);
        put!(err, "Pouch: {}: frozen, pouch thaw {} first\n", name, name);
        return say::NOT_RUN;
    }
    match start(&access, args) {
        Ok(mut running) => running.to_the_end(name, err),
        // Its PID namespace, or its cgroup, is on its way out.
        Err(Errno::SRCH | Errno::NOMEM | Errno::NODEV) => {
            say::refusal(err, Refusal::NotRunning, b"", name);
            say::NOT_RUN
        }
        Err(error) => {
            let fault = Fault {
                step: Step::Join,
                errno: error.raw_os_error() as u16,
                object: name,
            };
            say::not_run(err, Refusal::Fault(fault), name)
        }
    }
}

/// Whether a process made in its cgroup would stand still at once.
fn is_frozen(access: &Access) -> bool {
    let mut room = [0; 128];
    let read = |cgroup: &OwnedFd, room: &mut [u8]| {
        let events = file::open_at(Some(lend(cgroup)), c"cgroup.events", OFlags::RDONLY)?;
        file::read(&events, room)
    };
    let Some(Ok(len)) = access.cgroup.as_ref().map(|c| read(c, &mut room)) else {
        return false;
    };
    line_of(room.get(..len).unwrap_or_default(), b"frozen 1").is_some()
}

/// The cgroup that the container's init moved itself to, below its own.
fn moved_to(access: &Access, name: &[u8]) -> Result<OwnedFd, Errno> {
    let (mut path, mut room) = ([0; 512], [0; 1024]);
    let mut text = crate::format::text::Text::<40>::new();
    put!(&mut text, "/proc/{}/cgroup", access.pid);
    let path_of = jail::c_string(&[text.as_bytes()], &mut path)?;
    let len = file::read(&file::open_at(None, path_of, OFlags::RDONLY)?, &mut room)?;
    let lines = room.get(..len).unwrap_or_default();
    let own = line_of(lines, b"0::").ok_or(Errno::NOENT)?;
    // Below the container's own and nowhere else, whoever has that pid by now.
    let below = behind(own, b"/pouch/").and_then(|rest| behind(rest, name));
    let below = below.ok_or(Errno::SRCH)?;
    let mut path = [0; 1024];
    let parts: [&[u8]; 3] = [b"/sys/fs/cgroup/pouch/", name, below];
    let path = jail::c_string(&parts, &mut path)?;
    file::open_at(None, path, OFlags::PATH | OFlags::DIRECTORY)
}

/// Makes the process.
fn start(access: &Access, args: &[&CStr]) -> Result<Running, Errno> {
    let spec = Spec::parse(&access.spec).map_err(|_| Errno::PROTO)?;
    let streams = [stdio::stdin(), stdio::stdout(), stdio::stderr()];
    let terminals = streams.map(|s| rustix::termios::isatty(s));
    let [input, output, error] = streams;
    // What it prints appears where this command's own words would.
    let screen = match terminals {
        [_, true, _] => output,
        [_, _, true] => error,
        _ => input,
    };
    let keys = in_front(stdio::stdin());
    let (report, reporting) = socket::pair()?;
    signal::block_only(TOLD);
    let signals = signal::signalfd()?;
    let mut joining = Joining {
        spec,
        args,
        init: lend(&access.init),
        cgroup: access.cgroup.as_ref().map(lend),
        terminal: terminals,
        size: rustix::termios::tcgetwinsize(screen).ok(),
        raw: !keys,
        report: lend(&reporting),
        term: c"TERM=vt102",
    };
    let before = match keys {
        true => Some(terminal::raw(input)?),
        false => None,
    };
    let mut made = jail::join(&joining);
    let moved;
    if let (Err(Errno::BUSY), Ok(cgroup)) = (&made, moved_to(access, spec.name().to_bytes())) {
        moved = cgroup;
        joining.cgroup = Some(lend(&moved));
        made = jail::join(&joining);
    }
    if let (Err(_), Some(before)) = (&made, &before) {
        let _ = terminal::set(input, before);
    }
    let (pid, child) = made?;
    Ok(Running {
        pid,
        child,
        report: Some(report),
        said: [0; OBJECT_MAX + 8],
        len: 0,
        signals,
        told: false,
        master: None,
        keys: Vec::new(),
        before,
        screen,
    })
}

/// A command on its way, and what moves between it and here.
struct Running {
    pid: i32,
    child: OwnedFd,
    report: Option<OwnedFd>,
    /// The last that it said of itself before it became the command.
    said: [u8; OBJECT_MAX + 8],
    len: usize,
    signals: OwnedFd,
    /// It was told to end before.
    told: bool,
    master: Option<OwnedFd>,
    /// Typed, and not taken yet.
    keys: Vec<u8, 512>,
    /// The modes of the terminal here, while its keys are the command's.
    before: Option<terminal::Modes>,
    screen: BorrowedFd<'static>,
}

impl Running {
    /// Moves bytes and signals until it ends; the exit code.
    fn to_the_end(&mut self, name: &[u8], err: &mut Out) -> u8 {
        let mut screen = Out::to(self.screen);
        while !self.turn(&mut screen) {}
        // What it printed last. Others may hold its terminal and print on.
        for _ in 0..64 {
            if !self.show(&mut screen) {
                break;
            }
        }
        self.hear();
        if let Some(before) = &self.before {
            let _ = terminal::set(stdio::stdin(), before);
        }
        let mut ended = None;
        while ended.is_none() {
            let pid = Pid::from_raw(self.pid);
            ended = match waitpid(pid, WaitOptions::empty()) {
                Ok(Some((_, status))) => Ended::of_status(status.as_raw() as u32),
                Err(Errno::INTR) | Ok(None) => None,
                Err(_) => Some(Ended::Exited(say::NOT_RUN)),
            };
        }
        let mut said = Reader::new(self.said.get(..self.len).unwrap_or_default());
        let fault = Fault::parse(&mut said);
        if said.is_good() {
            return say::not_run(err, Refusal::Fault(fault), name);
        }
        ended.map_or(say::NOT_RUN, Ended::status)
    }

    /// Waits for something and does it. True once the command has ended.
    fn turn(&mut self, screen: &mut Out) -> bool {
        let child = lend(&self.child);
        let (none, mut out) = (PollFlags::empty(), PollFlags::IN);
        out.set(PollFlags::OUT, !self.keys.is_empty());
        // Who is not there is stood for by the child, which is asked for nothing.
        let (report, heard) = match &self.report {
            Some(report) => (lend(report), PollFlags::IN),
            None => (child, none),
        };
        let (master, moved) = match &self.master {
            Some(master) => (lend(master), out),
            None => (child, none),
        };
        let typed = match (&self.before, &self.master, self.keys.is_empty()) {
            (Some(_), Some(_), true) => PollFlags::IN,
            _ => none,
        };
        let mut fds = [
            PollFd::from_borrowed_fd(child, PollFlags::IN),
            PollFd::from_borrowed_fd(lend(&self.signals), PollFlags::IN),
            PollFd::from_borrowed_fd(report, heard),
            PollFd::from_borrowed_fd(master, moved),
            PollFd::from_borrowed_fd(stdio::stdin(), typed),
        ];
        let _ = poll(&mut fds, None);
        let [over, signals, report, master, keys] = fds.map(|fd| !fd.revents().is_empty());
        if signals {
            self.signalled();
        }
        if report && heard != none {
            self.hear();
        }
        if keys && typed != none {
            self.type_in();
        }
        if master && moved != none {
            self.type_on();
            self.show(screen);
        }
        over
    }

    /// What the child says: a terminal, a fault, that it is about to become the command.
    fn hear(&mut self) {
        while let Some(report) = &self.report {
            match socket::receive(lend(report), &mut self.said, false) {
                Err(Errno::AGAIN | Errno::INTR) => return,
                Ok(got) if got.len > 0 => {
                    self.len = got.len;
                    if self.said.first() == Some(&TERMINAL) {
                        self.master = got.descriptor;
                    }
                }
                _ => self.report = None,
            }
        }
    }

    /// A signal that came is the command's; to end is said twice to one that does not.
    fn signalled(&mut self) {
        let mut room = [0u8; signal::RECORD];
        let _ = file::read(&self.signals, &mut room);
        let number = room.first().copied().unwrap_or_default();
        match number {
            WINCH => {
                if let (Some(master), Ok(size)) =
                    (&self.master, rustix::termios::tcgetwinsize(self.screen))
                {
                    let _ = rustix::termios::tcsetwinsize(lend(master), size);
                }
            }
            0 | PIPE | TSTP => {}
            HUP | TERM => {
                self.tell(number);
                // A shell on a terminal minds a hang-up alone.
                if self.before.is_some() {
                    self.tell(HUP);
                }
                if core::mem::replace(&mut self.told, true) {
                    self.tell(9);
                }
            }
            _ => self.tell(number),
        }
    }

    fn tell(&self, number: u8) {
        if let Some(signal) = Signal::from_named_raw(number.into()) {
            let _ = pidfd_send_signal(lend(&self.child), signal);
        }
    }

    /// Reads what was typed.
    fn type_in(&mut self) {
        let mut room = [0; 512];
        match rustix::io::read(stdio::stdin(), &mut room[..]) {
            Err(Errno::INTR | Errno::AGAIN) => {}
            Ok(len) if len > 0 => {
                let _ = self
                    .keys
                    .extend_from_slice(room.get(..len).unwrap_or_default());
                self.type_on();
            }
            // The terminal here is gone: so is the one inside.
            _ => {
                self.master = None;
                self.tell(HUP);
            }
        }
    }

    /// Hands on what the terminal inside takes.
    fn type_on(&mut self) {
        if let Some(master) = &self.master
            && !self.keys.is_empty()
            && let Ok(taken) = file::write(master, &self.keys)
        {
            let mut rest = Vec::new();
            let _ = rest.extend_from_slice(self.keys.get(taken..).unwrap_or_default());
            self.keys = rest;
        }
    }

    /// Shows what the command printed. False when there is no more for now.
    fn show(&mut self, screen: &mut Out) -> bool {
        let mut room = [0; 4096];
        let Some(master) = &self.master else {
            return false;
        };
        match file::read(master, &mut room) {
            Ok(len) if len > 0 => {
                screen.raw(room.get(..len).unwrap_or_default());
                screen.flush();
                true
            }
            Err(Errno::AGAIN | Errno::INTR) => false,
            // Nobody has it open any more.
            _ => {
                self.master = None;
                false
            }
        }
    }
}
