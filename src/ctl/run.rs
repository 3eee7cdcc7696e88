//! `run`: a container in the foreground, which goes when this command goes.
//!
//! The three streams are handed to PID 1 with the request. Files and pipes become the
//! container's; for a terminal it gets a session, and the line that this terminal is shows
//! it until it ends. With `--tty none` pipes stand between a terminal and the container,
//! and this process moves the bytes.

use super::exec::TOLD;
use super::line::Terminal;
use super::out::Out;
use super::say;
use super::socket::{Lost, OUTSIDE, Room, Socket};
use super::start::in_front;
use crate::format::message::{MESSAGE_MAX, Reply, Request};
use crate::format::spec::{SpecBuf, TTY_AUTO, TTY_NONE, Tag, flags};
use crate::sys::{Errno, file, lend, process, signal, wait};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::termios::isatty;

/// PIPE, TSTP and WINCH are nobody's business inside.
const WINCH: u8 = 28;
const KEPT: [u8; 3] = [13, 20, WINCH];

/// Starts what the spec says, which has the RUN flag, and waits until nothing of it is left: its
/// exit code. `started` gets its init's pid.
#[inline(never)]
pub fn run(name: &[u8], spec: &mut SpecBuf, started: &dyn Fn(u32), err: &mut Out) -> u8 {
    // What PID 1 gets, and the ends that stay here.
    let mut pipes: [Option<OwnedFd>; 3] = [None, None, None];
    let mut ends: [Option<OwnedFd>; 3] = [None, None, None];
    let at = [0, 1, 2].map(process::standard);
    let is = at.map(isatty);
    let [input, output, _] = is;
    // Messages alone are nothing to look at as a session.
    let between = spec.view().tty() == TTY_NONE || !(input || output);
    let mut terminals = 0;
    for (number, (is, (pipe, end))) in is.iter().zip(pipes.iter_mut().zip(&mut ends)).enumerate() {
        if !is {
            continue;
        }
        if !between {
            terminals |= flags::TERMINAL << number;
        } else if let Ok((read, write)) = file::pipe(OFlags::empty()) {
            (*pipe, *end) = match number {
                0 => (Some(read), Some(write)),
                _ => (Some(write), Some(read)),
            };
        }
    }
    let set = match terminals {
        // Nobody looks at it: no session, and no slot for one.
        0 if spec.view().tty() == TTY_AUTO => spec.set_number(Tag::Tty, TTY_NONE.into()),
        _ => spec.add_flags(terminals),
    };
    signal::block_only(TOLD);
    let (socket, signals) = match (Socket::connect(OUTSIDE), signal::signalfd()) {
        (Ok(socket), Ok(signals)) if set.is_ok() => (socket, signals),
        (Err(error), _) | (_, Err(error)) => {
            say::unreachable(err, OUTSIDE.to_bytes(), error);
            return say::NOT_RUN;
        }
        _ => {
            say::lost(err, Lost::TooLong);
            return say::NOT_RUN;
        }
    };
    // In the background the terminal is the shell's: then what is handed is none.
    let front = terminals != 0 && at.iter().any(|s| in_front(*s));
    let terminal = front.then(|| Terminal::open().ok()).flatten();
    let mut streams = at;
    for (stream, (pipe, is)) in streams.iter_mut().zip(pipes.iter().zip(is)) {
        if let Some(pipe) = pipe {
            *stream = lend(pipe);
        } else if is {
            *stream = terminal.as_ref().map_or(lend(&signals), Terminal::fd);
        }
    }
    let request = Request::Start {
        spec: spec.as_bytes(),
    };
    let sent = socket.send(&request, &streams);
    // The other ends are the container's alone from here on.
    drop(pipes);
    let mut run = Run {
        socket,
        signals: Some(signals),
        ends,
        name,
        terminal,
        held: false,
        full: false,
    };
    let ended = sent.and_then(|()| run.wait(started, err));
    run.hold(false);
    match ended {
        Ok(status) => status,
        Err(lost) => {
            say::lost(err, lost);
            say::NOT_RUN
        }
    }
}

struct Run<'a> {
    socket: Socket,
    signals: Option<OwnedFd>,
    ends: [Option<OwnedFd>; 3],
    name: &'a [u8],
    terminal: Option<Terminal>,
    /// The terminal is a line of PID 1's.
    held: bool,
    /// Its input's pipe takes no more for now.
    full: bool,
}

impl Run<'_> {
    /// It becomes one, or is as it was before.
    fn hold(&mut self, held: bool) {
        if let (true, false, Some(terminal)) = (self.held, held, &self.terminal) {
            terminal.restore();
        }
        self.held = held;
    }

    #[inline(never)]
    fn wait(&mut self, started: &dyn Fn(u32), err: &mut Out) -> Result<u8, Lost> {
        let mut room: Room = [0; MESSAGE_MAX];
        loop {
            let [input, output, error] = &self.ends;
            let input = input.as_ref().map(lend);
            let mut ready = wait::ready(
                &[
                    Some(self.socket.fd()),
                    self.signals.as_ref().map(lend),
                    input.map(|pipe| {
                        if self.full {
                            pipe
                        } else {
                            process::standard(0)
                        }
                    }),
                    output.as_ref().map(lend),
                    error.as_ref().map(lend),
                ],
                u8::from(self.full) << 2,
                None,
            );
            if ready & 4 != 0 {
                // What is typed waits in the terminal until the pipe takes a piece: to write would wait, and
                // with it signals and what is printed.
                let takes = wait::ready(&[input, None, None, None, None], 1, Some(0));
                if self.full || takes == 0 {
                    ready &= !4;
                }
                self.full = takes == 0;
            }
            if ready & 2 != 0 {
                self.tell();
            }
            for at in 0..3 {
                if ready & 4 << at != 0 {
                    self.pump(at);
                }
            }
            if ready & 1 == 0 {
                continue;
            }
            match self.socket.receive(&mut room)? {
                Reply::Ended(ended) => {
                    // All who could write are gone: what they wrote last has an end.
                    while self.pump(1) || self.pump(2) {}
                    return Ok(ended.status());
                }
                Reply::Refused(why) => return Ok(say::not_run(err, why, self.name)),
                Reply::Line { held } => self.hold(held),
                Reply::Started { pid } => started(pid),
                _ => {}
            }
        }
    }

    /// A signal that came is its init's. PID 1 ends the container where the init does not hear it.
    fn tell(&self) {
        let signal = signal::taken(&self.signals);
        if signal == WINCH && self.held {
            let _ = self.socket.send(&Request::Resize, &[]);
        }
        if signal != 0
            && !KEPT.contains(&signal)
            && let Ok(socket) = Socket::connect(OUTSIDE)
        {
            let name = self.name;
            let _ = socket.send(&Request::Kill { name, signal }, &[]);
            socket.close();
        }
    }

    /// Moves a piece between a terminal here and a pipe. False at its end.
    #[inline(never)]
    fn pump(&mut self, at: i32) -> bool {
        let Some(place) = self.ends.get_mut(at as usize) else {
            return false;
        };
        let Some(end) = place else {
            return false;
        };
        let (from, to) = match at {
            0 => (process::standard(0), lend(end)),
            _ => (lend(end), process::standard(at)),
        };
        if copy(from, to) {
            return true;
        }
        *place = None;
        false
    }
}

fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> bool {
    let mut room = [0; 4096];
    let len = match rustix::io::read(from, &mut room[..]) {
        Err(Errno::INTR | Errno::AGAIN) => return true,
        read => read.unwrap_or(0),
    };
    let mut rest = room.get(..len).unwrap_or_default();
    while !rest.is_empty() {
        match rustix::io::write(to, rest) {
            Ok(len) => rest = rest.get(len..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let _ = wait::ready(&[Some(to), None, None, None, None], 1, None);
            }
            Err(_) => return false,
        }
    }
    len > 0
}
