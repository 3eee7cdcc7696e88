//! An answer of PID 1 on its way to a person: every reply up to the last one.

use super::args::Command;
use super::events::Lines;
use super::line::{self, Terminal};
use super::out::Out;
use super::say;
use super::socket::{Lost, Room, Socket};
use crate::format::message::{MESSAGE_MAX, Reply, Request, Unit};
use crate::format::text::{Plain, Take, line, put};
use crate::format::unit::{self, Form};

/// The container a command is about, for messages.
pub fn subject<'a>(command: &Command<'a>) -> &'a [u8] {
    match *command {
        Command::Start { name, .. } => name,
        Command::Reread | Command::Own(_) => b"",
        Command::Ask { request, .. } => request.parts().1,
    }
}

/// A request that is sent, and how its answer is to be shown.
pub struct Exchange<'a> {
    /// The way to PID 1.
    pub socket: Socket,
    /// The word that called the command.
    pub word: &'a [u8],
    /// The container it is about.
    pub name: &'a [u8],
    /// What was asked.
    pub request: Request<'a>,
    /// Whether programs read the answer.
    pub json: bool,
    /// Whether the container lives as long as this command.
    pub attached: bool,
    /// The terminal that was handed over with the request.
    pub terminal: Option<Terminal>,
}

impl Exchange<'_> {
    /// Shows replies up to the last one; gives back the exit code.
    ///
    /// # Errors
    /// PID 1 went away, or what came is no reply.
    #[inline(never)]
    pub fn show(&self, out: &mut Out, err: &mut Out) -> Result<u8, Lost> {
        let mut room: Room = [0; MESSAGE_MAX];
        let mut shown = 0u32;
        // Its modes go back to what they were when this is dropped.
        let mut held = None;
        let mut lines = Lines::default();
        let terminal = rustix::termios::isatty(crate::sys::stdio::stdout());
        let mut before = 0;
        loop {
            if let Some(held) = &held
                && let Some(signal) = line::attend(held, &self.socket)
            {
                return Ok(128 + signal);
            }
            match self.socket.receive(&mut room)? {
                Reply::Line { held: true } => held = self.terminal.as_ref().map(Terminal::hold),
                Reply::Line { held: false } => held = None,
                Reply::Unit(unit) => {
                    self.show_unit(out, unit, shown);
                    shown += 1;
                }
                Reply::Bytes(bytes) => {
                    match self.json {
                        true => lines.take(out, bytes),
                        // What a container printed is not to work on whose terminal shows it.
                        false if terminal => out.tamed(bytes, &mut before),
                        false => out.raw(bytes),
                    }
                    out.flush();
                    if out.is_closed() {
                        return Ok(0);
                    }
                }
                Reply::Started { .. } => {
                    put!(out, "Pouch: {} starting\n", Plain(self.name));
                    out.flush();
                    if !self.attached {
                        return Ok(0);
                    }
                }
                Reply::Ended(ended) => return Ok(ended.status()),
                Reply::Refused(why) => {
                    return Ok(say::refusal(err, why, self.word, self.name));
                }
                Reply::Done => {
                    self.show_done(out, shown);
                    return Ok(0);
                }
            }
        }
    }

    #[inline(never)]
    fn show_unit(&self, out: &mut Out, unit: Unit<'_>, before: u32) {
        match (self.request, self.json) {
            (Request::List, true) => {
                let lead = if before == 0 { "[" } else { ",\n" };
                put!(out, lead);
                unit::show(out, Form::Json, &unit);
            }
            (Request::List, false) => {
                if before == 0 {
                    put!(out, LIST_HEAD);
                }
                put!(out, "{}. ", before + 1);
                unit::show(out, Form::Line, &unit);
                put!(out, "\n");
            }
            (_, true) => {
                unit::show(out, Form::Json, &unit);
                put!(out, "\n");
            }
            (_, false) => {
                unit::show(out, Form::Info, &unit);
            }
        }
    }

    fn show_done(&self, out: &mut Out, shown: u32) {
        /// What is said of each request that is done, by its number on the wire, a line each.
        const DONE: &str = "\nstarting\n\n\n\n\ndestroyed\nstopped\nstarting\n\nfrozen\nthawed\n";
        if self.request == Request::List {
            return out.take(match (self.json, shown) {
                (true, 0) => b"[]\n",
                (true, _) => b"]\n",
                (false, 0) => LIST_HEAD.as_bytes(),
                (false, _) => b"",
            });
        }
        let what = line(DONE, self.request.parts().0.into()).unwrap_or_default();
        if !what.is_empty() {
            put!(out, "Pouch: {} {}\n", Plain(self.name), what);
        }
    }
}

const LIST_HEAD: &str = "Pouch containers:\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::ended::Ended;
    use crate::format::message::{Refusal, State};
    use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};
    use std::string::String;

    const UNIT: Unit<'static> = Unit {
        name: b"c1",
        image: b"",
        state: State::Started,
        slot: Some(1),
        pid: 123,
        ppid: 1,
        age_ms: 5_000,
        memory: Some(1_258_496),
        address: None,
        hurt: [0; 3],
        restarts: 0,
        owner: 0,
        ended: None,
        fault: None,
        waits: b"",
        ready: true,
        health: 0,
        reading: 0,
    };

    /// Plays PID 1 with fixed replies; gives back exit code or loss, answers and messages.
    fn play(
        request: Request<'_>,
        json: bool,
        attached: bool,
        replies: &[Reply<'_>],
    ) -> (Result<u8, Lost>, String, String) {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        let mut room = [0; MESSAGE_MAX];
        for reply in replies {
            let packet = reply.emit(&mut room).unwrap();
            send(&theirs, packet, SendFlags::empty()).unwrap();
        }
        drop(theirs);
        let command = Command::Ask { request, json };
        let (mut out, answers) = Out::captured();
        let (mut err, messages) = Out::captured();
        let exchange = Exchange {
            socket: Socket::from_fd(ours),
            word: b"word",
            name: match request {
                Request::Start { .. } => b"c1",
                _ => subject(&command),
            },
            request,
            json,
            attached,
            terminal: None,
        };
        let code = exchange.show(&mut out, &mut err);
        out.flush();
        err.flush();
        (code, answers(), messages())
    }

    #[test]
    fn a_start_says_starting() {
        let start = Request::Start { spec: b"" };
        let started = Reply::Started { pid: 7 };
        let (code, out, err) = play(start, false, false, &[started]);
        assert_eq!((code, &*out, &*err), (Ok(0), "Pouch: c1 starting\n", ""));
        let ended = Reply::Ended(Ended::Signalled(15));
        let (code, out, _) = play(start, false, true, &[started, ended]);
        assert_eq!((code, &*out), (Ok(143), "Pouch: c1 starting\n"));
        let (code, ..) = play(start, false, true, &[started]);
        assert_eq!(code, Err(Lost::Closed));
    }

    #[test]
    fn a_list_numbers_its_lines() {
        let second = Unit {
            name: b"c2",
            state: State::Ended,
            slot: None,
            pid: 0,
            memory: None,
            hurt: [0; 3],
            restarts: 3,
            owner: 0,
            ended: Some(Ended::Exited(1)),
            ..UNIT
        };
        let replies = [Reply::Unit(UNIT), Reply::Unit(second), Reply::Done];
        let (code, out, _) = play(Request::List, false, false, &replies);
        assert_eq!(code, Ok(0));
        assert_eq!(
            out,
            "Pouch containers:\n\
             1. c1 : started tty1 pid 123 age 5s memory 1.2M restarts 0\n\
             2. c2 : ended - pid - age 5s memory - restarts 3 exited with status 1\n"
        );
        let (_, out, _) = play(Request::List, false, false, &[Reply::Done]);
        assert_eq!(out, "Pouch containers:\n");
        let (_, out, _) = play(Request::List, true, false, &replies);
        assert!(out.starts_with("[{\"name\":\"c1\","), "{out}");
        assert!(out.ends_with("}]\n") && out.contains("},\n{"), "{out}");
        let (_, out, _) = play(Request::List, true, false, &[Reply::Done]);
        assert_eq!(out, "[]\n");
    }

    #[test]
    fn what_is_done_is_said() {
        let name = b"c1";
        for (request, words) in [
            (Request::Destroy { name }, "Pouch: c1 destroyed\n"),
            (Request::Stop { name }, "Pouch: c1 stopped\n"),
            (Request::Restart { name }, "Pouch: c1 starting\n"),
            (Request::Freeze { name }, "Pouch: c1 frozen\n"),
            (Request::Thaw { name }, "Pouch: c1 thawed\n"),
            (Request::Kill { name, signal: 9 }, ""),
            (Request::Disconnect, ""),
            (
                Request::Connect {
                    target: b"tty1",
                    watch: false,
                },
                "",
            ),
        ] {
            let (code, out, err) = play(request, false, false, &[Reply::Done]);
            assert_eq!((code, &*out, &*err), (Ok(0), words, ""));
        }
    }

    #[test]
    fn a_ring_goes_out_as_it_is() {
        let request = Request::Logs {
            name: b"c1",
            follow: false,
        };
        let replies = [Reply::Bytes(b"a\x1b[1m"), Reply::Bytes(b"b\n"), Reply::Done];
        let (code, out, _) = play(request, false, false, &replies);
        assert_eq!((code, &*out), (Ok(0), "a\x1b[1mb\n"));
    }

    #[test]
    fn a_refusal_is_a_message_and_a_1() {
        let request = Request::Destroy { name: b"c6" };
        let refused = Reply::Refused(Refusal::NotFound);
        let (code, out, err) = play(request, false, false, &[refused]);
        assert_eq!(code, Ok(1));
        assert_eq!((&*out, &*err), ("", "Pouch: c6 container not found\n"));
    }

    #[test]
    fn an_answer_of_noise_is_garbled() {
        for packet in [&b"\0"[..], b"\x01\xff", b"\x01\x03c1"] {
            let (ours, theirs) = socketpair(
                AddressFamily::UNIX,
                SocketType::SEQPACKET,
                SocketFlags::CLOEXEC,
                None,
            )
            .unwrap();
            send(&theirs, packet, SendFlags::empty()).unwrap();
            let mut room: Room = [0; MESSAGE_MAX];
            let got = Socket::from_fd(ours).receive(&mut room);
            assert_eq!(got, Err(Lost::Garbled));
        }
    }
}
