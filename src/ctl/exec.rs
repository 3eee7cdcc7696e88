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
use crate::format::text::{Plain, Text, behind, line_of, put};
use crate::format::wire::Reader;
use crate::jail::{self, Joining, TERMINAL};
use crate::sys::{Errno, file, lend, process, signal, socket, stdio, terminal, wait};
use core::ffi::CStr;
use heapless::Vec;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::process::{Signal, pidfd_send_signal};
use rustix::termios::{isatty, tcgetwinsize, tcsetwinsize};

/// HUP INT QUIT USR1 USR2 PIPE TERM TSTP WINCH: what a command is told while it waits, instead
/// of ending it with the terminal as it is.
pub const TOLD: u64 =
    1 | 1 << 1 | 1 << 2 | 1 << 9 | 1 << 11 | 1 << 12 | 1 << 14 | 1 << 19 | 1 << 27;
const HUP: u8 = 1;
const KILL: u8 = 9;
const PIPE: u8 = 13;
const TERM: u8 = 15;
const TSTP: u8 = 20;
const WINCH: u8 = 28;

/// What it takes to go into a container, as PID 1 hands it out.
#[derive(Default)]
pub struct Access {
    /// The init's pid.
    pub pid: u32,
    /// Its pidfd, and the container's cgroup's folder, if it has one.
    pub handed: [Option<OwnedFd>; 2],
    /// Its spec.
    pub spec: Vec<u8, SPEC_MAX>,
}

/// Asks PID 1 for a container. False: a person was told why not.
#[inline(never)]
pub fn ask(access: &mut Access, name: &[u8], err: &mut Out) -> bool {
    let socket = match Socket::connect(OUTSIDE) {
        Ok(socket) => socket,
        Err(error) => {
            say::unreachable(err, OUTSIDE.to_bytes(), error);
            return false;
        }
    };
    let mut room: Room = [0; MESSAGE_MAX];
    let mut told = socket.send(&Request::Join { name }, &[]);
    while told.is_ok() {
        told = match socket.receive_with(&mut room, &mut access.handed) {
            Ok(Reply::Started { pid }) => {
                access.pid = pid;
                Ok(())
            }
            Ok(Reply::Bytes(piece)) => {
                // Never more than a spec may have.
                let _ = access.spec.extend_from_slice(piece);
                Ok(())
            }
            Ok(Reply::Done) => return true,
            Ok(Reply::Refused(why)) => {
                say::refusal(err, why, b"", name);
                return false;
            }
            Ok(_) => Err(Lost::Garbled),
            Err(lost) => Err(lost),
        };
    }
    if let Err(lost) = told {
        say::lost(err, lost);
    }
    false
}

/// A small file of the kernel's, as far as the room goes; empty where it cannot be read.
#[inline(never)]
pub fn peek<'a>(at: Option<BorrowedFd<'_>>, path: &CStr, room: &'a mut [u8]) -> &'a [u8] {
    let read = file::open_at(at, path, OFlags::RDONLY).and_then(|fd| file::read(&fd, room));
    room.get(..read.unwrap_or(0)).unwrap_or_default()
}

/// `pouch exec NAME [--] COMMAND [ARG...]`: its exit code.
///
/// # Errors
/// The words are no such line.
#[inline(never)]
pub fn command<'a>(words: &'a [&'a CStr], err: &mut Out) -> Result<u8, Usage<'a>> {
    let (name, args) = words.split_first().ok_or(Usage::Count)?;
    let name = name.to_bytes();
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
    let mut access = Access::default();
    if !ask(&mut access, name, err) {
        return say::NOT_RUN;
    }
    let [_, cgroup] = &access.handed;
    let mut room = [0; 128];
    let events = peek(cgroup.as_ref().map(lend), c"cgroup.events", &mut room);
    if line_of(events, b"frozen 1").is_some() {
        let name = Plain(name);
        put!(err, "Pouch: {}: frozen, pouch thaw {} first\n", name, name);
        return say::NOT_RUN;
    }
    let mut running = Running {
        pid: 0,
        child: None,
        helper: 0,
        early: 0,
        asked: false,
        report: None,
        said: [0; OBJECT_MAX + 8],
        len: 0,
        signals: None,
        told: false,
        master: None,
        keys: [0; KEYS],
        typed: 0,
        taken: 0,
        before: None,
        screen: stdio::stdin(),
    };
    let started = running.start(&access, args);
    let status = match started {
        Ok(()) => running.watch(),
        Err(_) => say::NOT_RUN,
    };
    if let Some(before) = &running.before {
        let _ = terminal::set(stdio::stdin(), before);
    }
    let mut said = Reader::new(running.said.get(..running.len).unwrap_or_default());
    let fault = Fault::parse(&mut said);
    let fault = match started {
        Ok(()) if said.is_good() => fault,
        Ok(()) => {
            if status == KILLED && ends(&access) {
                put!(err, "Pouch: {}: ended, and what ran in it\n", Plain(name));
            }
            return status;
        }
        Err(error) => jail::unable(Step::Join, error, name),
    };
    let why = match (fault.step, fault.errno) {
        // ESRCH, ENOMEM, ENODEV: its PID namespace, or its cgroup, is on its way out.
        (Step::Join, 3 | 12 | 19) => Refusal::NotRunning,
        _ => Refusal::Fault(fault),
    };
    say::not_run(err, why, name)
}

/// The status of a command that SIGKILL ended, as the end of its PID namespace does.
const KILLED: u8 = 128 + KILL;

/// Whether the container's first process is dead, or about to be: it waits for all the others, of which this command's
/// was one.
#[inline(never)]
fn ends(access: &Access) -> bool {
    const WITHIN_MS: u64 = 500;
    let [init, _] = &access.handed;
    let ended = [init.as_ref().map(lend), None, None, None, None];
    wait::ready(&ended, 0, Some(WITHIN_MS)) != 0
}

/// The cgroup that the container's init moved itself to, below its own.
fn moved_to(pid: u32, name: &[u8]) -> Result<OwnedFd, Errno> {
    let (mut path, mut room) = ([0; 1024], [0; 1024]);
    let mut text = Text::<40>::new();
    put!(&mut text, "/proc/{}/cgroup", pid);
    let file = jail::c_string(&[text.as_bytes()], &mut path)?;
    let own = line_of(peek(None, file, &mut room), b"0::/pouch/");
    // Below the container's own and nowhere else, whoever has that pid by now.
    let below = own.and_then(|own| behind(own, name)).ok_or(Errno::SRCH)?;
    let parts: [&[u8]; 3] = [b"/sys/fs/cgroup/pouch/", name, below];
    let path = jail::c_string(&parts, &mut path)?;
    file::open_at(None, path, OFlags::PATH | OFlags::DIRECTORY)
}

/// The most keys on their way at once.
const KEYS: usize = 256;

/// A command on its way, and what moves between it and here.
struct Running {
    /// The command's pid and pidfd; the helper's until that has made it.
    pid: i32,
    child: Option<OwnedFd>,
    /// The helper's pid, once it is of no more use.
    helper: i32,
    /// The last signal that was told: the helper does not hand it on.
    early: u8,
    /// A terminal is to come.
    asked: bool,
    report: Option<OwnedFd>,
    /// The last that it said of itself before it became the command.
    said: [u8; OBJECT_MAX + 8],
    len: usize,
    signals: Option<OwnedFd>,
    /// It was told to end before.
    told: bool,
    master: Option<OwnedFd>,
    /// What was typed, how much of it there is and how much the terminal inside took.
    keys: [u8; KEYS],
    typed: usize,
    taken: usize,
    /// The modes of the terminal here, while its keys are the command's.
    before: Option<terminal::Modes>,
    screen: BorrowedFd<'static>,
}

impl Running {
    /// Makes the process.
    #[inline(never)]
    fn start(&mut self, access: &Access, args: &[&CStr]) -> Result<(), Errno> {
        let spec = Spec::parse(&access.spec).map_err(|_| Errno::PROTO)?;
        let [Some(init), cgroup] = &access.handed else {
            return Err(Errno::PROTO);
        };
        let mut terminal = [false; 3];
        // What it prints appears where this command's own words would: the first of 1, 2, 0.
        for at in [0, 2, 1] {
            let stream = process::standard(at as i32);
            if let (true, Some(place)) = (isatty(stream), terminal.get_mut(at)) {
                *place = true;
                self.screen = stream;
            }
        }
        self.asked = terminal.contains(&true);
        let (report, reporting) = socket::pair()?;
        self.report = Some(report);
        signal::block_only(TOLD);
        self.signals = Some(signal::signalfd()?);
        if in_front(stdio::stdin()) {
            self.before = Some(terminal::raw(stdio::stdin())?);
        }
        let mut joining = Joining {
            spec,
            args,
            init: lend(init),
            cgroup: cgroup.as_ref().map(lend),
            terminal,
            size: tcgetwinsize(self.screen).ok(),
            raw: self.before.is_none(),
            report: lend(&reporting),
        };
        let mut made = jail::join(&joining);
        let moved;
        if let Err(Errno::BUSY) = made {
            moved = moved_to(access.pid, spec.name().to_bytes())?;
            joining.cgroup = Some(lend(&moved));
            made = jail::join(&joining);
        }
        let (pid, child) = made?;
        (self.pid, self.child) = (pid, Some(child));
        Ok(())
    }

    /// Moves bytes and signals until it ends; the exit code.
    #[inline(never)]
    fn watch(&mut self) -> u8 {
        let mut screen = Out::to(self.screen);
        while !self.turn(&mut screen) {}
        // What it printed last. Others may hold its terminal and print on.
        for _ in 0..64 {
            if !self.show(&mut screen) {
                break;
            }
        }
        self.hear();
        let ended = process::end_of(self.pid).ok().and_then(Ended::of_status);
        ended.map_or(say::NOT_RUN, Ended::status)
    }

    /// Waits for something and does it. True once the command has ended.
    fn turn(&mut self, screen: &mut Out) -> bool {
        let (waited, has_keys) = (self.pid, self.typed > self.taken);
        let typing = self.before.is_some() && self.master.is_some() && !has_keys;
        let ready = wait::ready(
            &[
                self.child.as_ref().map(lend),
                self.signals.as_ref().map(lend),
                self.report.as_ref().map(lend),
                self.master.as_ref().map(lend),
                typing.then(stdio::stdin),
            ],
            u8::from(has_keys) << 3,
            None,
        );
        if ready & 4 != 0 {
            self.hear();
        }
        if ready & 2 != 0 {
            self.signalled();
        }
        if ready & 16 != 0 {
            self.type_in();
        }
        if ready & 24 != 0 {
            self.type_on();
        }
        if ready & 8 != 0 {
            self.show(screen);
        }
        // The helper's end is nobody's when it has just handed over.
        ready & 1 != 0 && self.pid == waited
    }

    /// What is said on the report: a terminal, a process, a fault, that it is about to become the command.
    ///
    /// Where the container may trace, it may speak for that process, even before the helper has told of it: what comes
    /// once comes no second time, a terminal, which the helper sends before there is a process, never unasked, and the
    /// process is a child of this one's own, or none.
    fn hear(&mut self) {
        while let Some(report) = &self.report {
            match socket::receive(lend(report), &mut self.said, false) {
                Err(Errno::AGAIN | Errno::INTR) => return,
                Ok(got) if got.len > 0 => {
                    self.len = got.len;
                    if self.asked && self.said.first() == Some(&TERMINAL) {
                        (self.master, self.asked) = (got.descriptor, false);
                    } else if self.helper == 0
                        && let Some(pid) = jail::joined(&self.said)
                        && let Ok(child) = process::child(pid)
                    {
                        (self.helper, self.pid) = (self.pid, pid);
                        self.child = Some(child);
                        if self.early != 0 {
                            self.tell(self.early);
                        }
                    }
                }
                _ => {
                    self.report = None;
                    if self.helper != 0 {
                        // It has closed its end, so it is as good as gone.
                        let _ = process::end_of(self.helper);
                    }
                }
            }
        }
    }

    /// A signal that came is the command's; one that does not end by it is told twice.
    fn signalled(&mut self) {
        let number = signal::taken(&self.signals);
        match number {
            WINCH => {
                if let (Some(master), Ok(size)) = (&self.master, tcgetwinsize(self.screen)) {
                    let _ = tcsetwinsize(lend(master), size);
                }
            }
            0 | PIPE | TSTP => {}
            HUP | TERM => {
                self.tell(number);
                // A shell on a terminal minds a hang-up alone.
                if self.before.is_some() {
                    self.tell(HUP);
                }
                if self.told {
                    self.tell(KILL);
                }
                self.told = true;
            }
            _ => self.tell(number),
        }
    }

    #[inline(never)]
    fn tell(&mut self, number: u8) {
        self.early = number;
        if let (Some(signal), Some(child)) = (Signal::from_named_raw(number.into()), &self.child) {
            let _ = pidfd_send_signal(lend(child), signal);
        }
    }

    /// Reads what was typed.
    fn type_in(&mut self) {
        (self.typed, self.taken) = (0, 0);
        match rustix::io::read(stdio::stdin(), &mut self.keys[..]) {
            Err(Errno::INTR | Errno::AGAIN) => {}
            Ok(len) if len > 0 => self.typed = len,
            // The terminal here is gone: so is the one inside.
            _ => {
                self.master = None;
                self.tell(HUP);
            }
        }
    }

    /// Hands on what the terminal inside takes.
    fn type_on(&mut self) {
        if let (Some(master), Some(keys)) = (&self.master, self.keys.get(self.taken..self.typed))
            && !keys.is_empty()
        {
            self.taken += file::write(master, keys).unwrap_or(0);
        }
    }

    /// Shows what the command printed. False when there is no more for now.
    #[inline(never)]
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
