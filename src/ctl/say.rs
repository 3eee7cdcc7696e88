//! What a person is told: refusals, lost connections, wrong command lines.
//!
//! Others rely on these words to the letter. Each function writes its line to standard
//! error's buffer and hands back the exit code.

use super::args::Usage;
use super::socket::Lost;
use crate::format::errno::Reason as Errno;
use crate::format::fault::Step;
use crate::format::message::Refusal;
use crate::format::text::{Plain, Sink, Value, fill, line, put};

/// The exit code of what was asked rightly and not done.
pub const FAILED: u8 = 1;
/// The exit code of a command line that is none.
pub const USAGE: u8 = 2;

/// The exit code of `run` and `exec` where it was pouch that failed.
pub const NOT_RUN: u8 = 125;

/// What is said of each refusal, by its number on the wire, a line each.
const REFUSALS: &str = "\
PID 1 does not know that request
{} container not found
{} already exists
{}: cgroup already exists
tty{} is held by {}
tty{} has no container
cannot create more containers


{}: no terminal to show
{}: not running
{}: no terminal to show it on, or one that this command is not in front of
the board is going down
{}: {}
{}: ended before it came up
PID 1 is busy, try again
{}: this line shows another session by now
{}: after {} goes in a circle
{} does not take over; the old one goes on";

/// Why PID 1 did not do it. `word` called the command, `name` is what it was about.
pub fn refusal(err: &mut Sink<'_>, refusal: Refusal<'_>, word: &[u8], name: &[u8]) -> u8 {
    let name = Plain(if name.is_empty() { word } else { name });
    let (first, second): (Value<'_>, Value<'_>) = match &refusal {
        Refusal::OutsideOnly => return misplaced(err, word, true),
        Refusal::InsideOnly => return misplaced(err, word, false),
        Refusal::SlotHeld { slot, by } => ((*slot).into(), Plain(by).into()),
        Refusal::SlotEmpty { slot } => ((*slot).into(), name.into()),
        Refusal::Fault(fault) => (name.into(), fault.into()),
        Refusal::Circle { after } => (name.into(), Plain(after).into()),
        _ => (name.into(), name.into()),
    };
    let form = line(REFUSALS, refusal.number().into()).unwrap_or_default();
    put!(err, "Pouch: ");
    put!(err, form, first, second);
    put!(err, "\n");
    FAILED
}

/// The same of a command that was to be run here, with the exit code of a shell: 126 for one that
/// cannot be executed, 127 for one that is not there, 125 for whatever else.
pub fn not_run(err: &mut Sink<'_>, refusal: Refusal<'_>, name: &[u8]) -> u8 {
    self::refusal(err, refusal, b"", name);
    match refusal {
        Refusal::Fault(fault) if fault.step == Step::Exec => 126 + u8::from(fault.errno == 2),
        _ => NOT_RUN,
    }
}

/// A command that belongs to the other side.
pub fn misplaced(err: &mut Sink<'_>, word: &[u8], inside: bool) -> u8 {
    let side = if inside { "inside" } else { "outside" };
    put!(
        err,
        "Error: command {} not allowed in {} container.\n",
        Plain(word),
        side
    );
    FAILED
}

/// PID 1 cannot be reached.
pub fn unreachable(err: &mut Sink<'_>, path: &[u8], error: rustix::io::Errno) -> u8 {
    put!(
        err,
        "Pouch: PID 1 is not pouch, or {} cannot be reached: {}\n",
        Plain(path),
        reason(error)
    );
    FAILED
}

/// There was no answer.
pub fn lost(err: &mut Sink<'_>, lost: Lost) -> u8 {
    match lost {
        Lost::Kernel(error) => put!(err, "Pouch: lost PID 1: {}\n", reason(error)),
        Lost::Closed => put!(err, "Pouch: PID 1 closed the connection\n"),
        Lost::Garbled => put!(err, "Pouch: the answer of PID 1 cannot be read\n"),
        Lost::TooLong => put!(err, "Pouch: too long\n"),
    }
    FAILED
}

/// An errno's words.
pub fn reason(error: rustix::io::Errno) -> Errno {
    Errno(u16::try_from(error.raw_os_error()).unwrap_or_default())
}

/// A command line that cannot be read.
pub fn usage(err: &mut Sink<'_>, usage: Usage<'_>) -> u8 {
    const UNKNOWN: &str = "Pouch: unknown {} {}\nSee pouch --help\n";
    let none = Value::Word(b"");
    let (form, values, code) = match usage {
        Usage::Count => ("Error: Invalid number of arguments.\n", [none; 3], FAILED),
        Usage::NoContainer(name) => return refusal(err, Refusal::NotFound, b"", name),
        Usage::NoImage { name, image } => {
            let form = "Pouch: {}: no image {} in the store\n";
            (
                form,
                [Value::Plain(name), Value::Plain(image), none],
                FAILED,
            )
        }
        Usage::Bad {
            what,
            value,
            reason,
        } => {
            let (blank, value) = match value {
                Some(value) => (" ", value),
                None => ("", &b""[..]),
            };
            put!(err, "Pouch: {}{}", Plain(what), blank);
            let values = [Value::Plain(value), Value::Reason(reason), none];
            ("{}: {}\n", values, USAGE)
        }
        Usage::UnknownCommand(word) => {
            (UNKNOWN, ["command".into(), Value::Plain(word), none], USAGE)
        }
        Usage::UnknownOption(word) => (UNKNOWN, ["option".into(), Value::Plain(word), none], USAGE),
        Usage::Unexpected(word) => (
            UNKNOWN,
            ["argument".into(), Value::Plain(word), none],
            USAGE,
        ),
    };
    fill(err, form, &values);
    code
}

#[cfg(test)]
mod tests {
    use super::super::out::Out;
    use super::*;
    use crate::format::fault::{Fault, Step};
    use crate::format::reason::Reason;
    use std::string::String;

    fn said(say: impl FnOnce(&mut Sink<'_>) -> u8) -> (u8, String) {
        let (mut err, text) = Out::captured();
        let code = say(&mut err);
        err.flush();
        (code, text())
    }

    #[test]
    fn every_refusal_has_its_words() {
        let fault = Fault {
            step: Step::Root,
            errno: 2,
            object: b"/srv/web",
        };
        for (why, words) in [
            (
                Refusal::BadMessage,
                "Pouch: PID 1 does not know that request",
            ),
            (Refusal::NotFound, "Pouch: c1 container not found"),
            (Refusal::Exists, "Pouch: c1 already exists"),
            (Refusal::CgroupExists, "Pouch: c1: cgroup already exists"),
            (
                Refusal::SlotHeld { slot: 1, by: b"c2" },
                "Pouch: tty1 is held by c2",
            ),
            (
                Refusal::SlotEmpty { slot: 3 },
                "Pouch: tty3 has no container",
            ),
            (Refusal::TableFull, "Pouch: cannot create more containers"),
            (
                Refusal::OutsideOnly,
                "Error: command list not allowed in inside container.",
            ),
            (
                Refusal::InsideOnly,
                "Error: command list not allowed in outside container.",
            ),
            (Refusal::NoSession, "Pouch: c1: no terminal to show"),
            (Refusal::NotRunning, "Pouch: c1: not running"),
            (
                Refusal::NotALine,
                "Pouch: c1: no terminal to show it on, or one that this command is not in front of",
            ),
            (Refusal::GoingDown, "Pouch: the board is going down"),
            (
                Refusal::Fault(fault),
                "Pouch: c1: unable to mount /srv/web: No such file or directory",
            ),
            (Refusal::Gone, "Pouch: c1: ended before it came up"),
            (Refusal::Busy, "Pouch: PID 1 is busy, try again"),
            (
                Refusal::MovedOn,
                "Pouch: c1: this line shows another session by now",
            ),
            (
                Refusal::Circle { after: b"db" },
                "Pouch: c1: after db goes in a circle",
            ),
            (
                Refusal::NoTakeOver,
                "Pouch: c1 does not take over; the old one goes on",
            ),
        ] {
            let (code, text) = said(|err| refusal(err, why, b"list", b"c1"));
            assert_eq!(
                (code, text.as_str()),
                (1, std::format!("{words}\n").as_str())
            );
        }
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (wrong, code, words) in [
            (Usage::Count, 1, "Error: Invalid number of arguments.\n"),
            (
                Usage::UnknownOption(b"--x"),
                2,
                "Pouch: unknown option --x\nSee pouch --help\n",
            ),
            (
                Usage::UnknownCommand(b"x\n"),
                2,
                "Pouch: unknown command x?\nSee pouch --help\n",
            ),
            (
                Usage::Unexpected(b"sh"),
                2,
                "Pouch: unknown argument sh\nSee pouch --help\n",
            ),
            (
                Usage::NoContainer(b"tty1"),
                1,
                "Pouch: tty1 container not found\n",
            ),
            (
                Usage::NoImage {
                    name: b"c1",
                    image: b"web",
                },
                1,
                "Pouch: c1: no image web in the store\n",
            ),
            (
                Usage::Bad {
                    what: b"--tty",
                    value: Some(b"tty9"),
                    reason: Reason::Tty,
                },
                2,
                "Pouch: --tty tty9: must be tty0 to tty3, auto or none\n",
            ),
        ] {
            let (got, text) = said(|err| usage(err, wrong));
            assert_eq!((got, text.as_str()), (code, words));
        }
    }

    #[test]
    fn a_lost_pid_1_is_told() {
        let (code, text) =
            said(|e| unreachable(e, b"/run/pouch/control", rustix::io::Errno::NOENT));
        assert_eq!(code, 1);
        assert_eq!(
            text,
            "Pouch: PID 1 is not pouch, or /run/pouch/control cannot be reached: No such file or directory\n"
        );
        let (code, text) = said(|e| lost(e, Lost::Garbled));
        assert_eq!(
            (code, text.as_str()),
            (1, "Pouch: the answer of PID 1 cannot be read\n")
        );
    }
}
