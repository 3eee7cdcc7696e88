//! A container's record as people and programs read it.
//!
//! One line of `list`, the `KEY: value` lines of `info` and of /run/pouch/cont_NAME,
//! and the JSON of both. Each is a form in which `%` and a letter stand for a field; one
//! function fills them all.

use super::ended::Ended;
use super::message::{Hurt, Unit};
use super::text::{Kind, Plain, Sink, letter, put};
use super::{errno, inet, text};

/// A way to show a container.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// What follows the number in `list`: `c1 : started tty1 pid 123 age 5s memory 1.2M restarts 0`.
    Line,
    /// The lines of /run/pouch/cont_NAME: what does not change by itself.
    File,
    /// The lines of `info`.
    Info,
    /// One JSON object, with the same keys in the same order whatever the state.
    Json,
}

const LINE: &str = "%n : %s %t pid %p age %a memory %m restarts %r";
const LINE_ADDRESS: &str = " address %d";
// What ended a container matters once it does not run; a fault always does.
const LINE_ENDED: &str = " %e";
const LINE_FAULT: &str = " %f";
const LINE_WAITS: &str = " waiting for %w";
const LINE_HEALTH: &str = " %h";
const FILE: &str = "NAME: %n\nSTATE: %s\nTTYNUM: %T\nPID: %p\nPPID: %P\nIMAGE: %i\n\
    CGROUP: /sys/fs/cgroup/pouch/%n\nRESTARTS: %r\nEXIT: %e\n";
const INFO: &str = "AGE: %a\nMEMORY: %m\nOOM_KILLS: %o\nFORKS_REFUSED: %x\nTHROTTLED: %H\nADDRESS: %d\nAFTER: %w\nREADY: %R\nHEALTH: %h\nUSERNS: %u\nCAPABILITIES: %c\n";
/// What a health command says, by its number; docker's words.
const HEALTH: &str = " starting healthy unhealthy";
const INFO_FAULT: &str = "FAULT: %f\n";
const JSON: &str = "{\"name\":\"%n\",\"state\":\"%s\",\"tty\":%\"t,\"pid\":%p,\"ppid\":%P,\
    \"image\":%\"i,\"cgroup\":\"/sys/fs/cgroup/pouch/%n\",\"age_ms\":%A,\"memory\":%M,\
    \"oom_kills\":%o,\"forks_refused\":%x,\"throttled\":%H,\
    \"address\":%\"d,\"restarts\":%r,\"exit\":%\"e,\"fault\":%\"f,\
    \"waiting_for\":%\"w,\"ready\":%\"R,\"health\":%\"h,\"userns\":%u,\"capabilities\":\"%c\"}";

/// Shows a container.
pub fn show(sink: &mut Sink<'_>, form: Form, unit: &Unit<'_>) {
    let fault = unit.fault.is_some();
    match form {
        Form::Json => fill(sink, JSON, unit, "null"),
        Form::Line => {
            fill(sink, LINE, unit, "-");
            if unit.address.is_some() {
                fill(sink, LINE_ADDRESS, unit, "");
            }
            if unit.pid == 0 && unit.ended.is_some() {
                fill(sink, LINE_ENDED, unit, "");
            }
            if fault {
                fill(sink, LINE_FAULT, unit, "");
            }
            if !unit.waits.is_empty() {
                fill(sink, LINE_WAITS, unit, "");
            }
            if unit.health != 0 {
                fill(sink, LINE_HEALTH, unit, "");
            }
        }
        Form::File => fill(sink, FILE, unit, "-"),
        Form::Info => {
            fill(sink, FILE, unit, "-");
            fill(sink, INFO, unit, "-");
            if fault {
                fill(sink, INFO_FAULT, unit, "");
            }
        }
    }
}

/// Fills a form; `nothing` stands for what is not there.
#[inline(never)]
fn fill(sink: &mut Sink<'_>, form: &str, unit: &Unit<'_>, nothing: &str) {
    let mut rest = Some(form.as_bytes());
    while let Some(some) = rest {
        let (words, behind) = text::cut(some, b'%');
        sink.take(words);
        // A quote before the letter asks for the field in JSON.
        let (key, json, behind) = match behind {
            Some([b'"', key, behind @ ..]) => (*key, true, behind),
            Some([key, behind @ ..]) => (*key, false, behind),
            _ => return,
        };
        rest = Some(behind);
        if field(sink, key, json, unit).is_none() {
            sink.take(nothing.as_bytes());
        }
    }
}

/// Writes the field of that letter; `None` where there is none. Apart from the loop, which
/// else works every field out beforehand.
#[inline(never)]
fn field(sink: &mut Sink<'_>, key: u8, json: bool, unit: &Unit<'_>) -> Option<()> {
    let number = match key {
        b'T' => unit.slot?.into(),
        b'p' => Some(unit.pid.into()).filter(|pid| *pid != 0)?,
        b'P' => unit.ppid.into(),
        b'A' => unit.age_ms,
        b'u' => Some(unit.owner.into()).filter(|first| *first != 0)?,
        b'M' => unit.memory?,
        b'r' => unit.restarts.into(),
        b'o' | b'x' | b'H' => {
            let [oom, refused, throttled] = unit.hurt;
            match key {
                b'o' => oom,
                b'x' => refused,
                _ => throttled,
            }
            .into()
        }
        _ => return words(sink, key, json, unit),
    };
    text::decimal(sink, number);
    Some(())
}

/// The same for those that are no bare number.
fn words(sink: &mut Sink<'_>, key: u8, json: bool, unit: &Unit<'_>) -> Option<()> {
    match key {
        b'n' => put!(sink, "{}", Plain(unit.name)),
        b's' => sink.take(unit.state.word().as_bytes()),
        b'i' if unit.image.is_empty() => return None,
        b'i' if json => quoted(sink, unit.image),
        b'i' => put!(sink, "{}", Plain(unit.image)),
        b't' => {
            let form = if json { "\"tty{}\"" } else { "tty{}" };
            put!(sink, form, unit.slot?);
        }
        b'e' if json => ended(sink, unit.ended?),
        b'e' => {
            put!(sink, "{}", unit.ended?);
            let [oom, ..] = unit.hurt;
            hurt(sink, &[oom, 0, 0]);
        }
        b'w' if unit.waits.is_empty() => return None,
        b'w' if json => quoted(sink, unit.waits),
        b'w' => put!(sink, "{}", Plain(unit.waits)),
        b'R' => {
            let word = text::nth(
                "no yes false true",
                b' ',
                unit.ready as usize + 2 * json as usize,
            );
            sink.take(word?.as_bytes());
        }
        b'h' => {
            let word = text::nth(HEALTH, b' ', unit.health.into()).filter(|w| !w.is_empty())?;
            put!(sink, if json { "\"{}\"" } else { "{}" }, word);
        }
        b'a' => age(sink, unit.age_ms),
        b'm' => size(sink, unit.memory?),
        b'd' => {
            let quote: &[u8] = if json { b"\"" } else { b"" };
            let cidr = unit.address?;
            sink.take(quote);
            inet::show(sink, cidr);
            sink.take(quote);
        }
        b'c' => sink.take(super::shown::reading(unit.reading).as_bytes()),
        _ => {
            let fault = unit.fault?;
            if !json {
                fault.show(sink);
                return Some(());
            }
            put!(sink, "{\"verb\":\"{}\",\"object\":", fault.step.verb());
            quoted(sink, fault.object);
            let (number, reason) = (u32::from(fault.errno), errno::Reason(fault.errno));
            put!(sink, ",\"errno\":{},\"reason\":\"{}\"}", number, reason);
        }
    }
    Some(())
}

/// What the kernel did to it, where it did something, behind how it ended.
#[inline(never)]
pub fn hurt(sink: &mut Sink<'_>, counts: &Hurt) {
    const WORDS: &str =
        ", out of memory\n, {} forks refused by pids.max\n, {} times held by cpu.max";
    for (at, count) in counts.iter().enumerate() {
        if *count != 0 {
            put!(sink, text::line(WORDS, at).unwrap_or_default(), *count);
        }
    }
}

#[inline(never)]
fn ended(sink: &mut Sink<'_>, ended: Ended) {
    let (kind, value) = match ended {
        Ended::Exited(value) => ("exited", value),
        Ended::Signalled(value) => ("signalled", value),
        Ended::Dumped(value) => ("dumped", value),
    };
    put!(sink, "{\"kind\":\"{}\",\"value\":{}}", kind, value);
}

/// A time in its two largest units: 5s, 3m20s, 2h5m, 4d1h.
#[inline(never)]
fn age(sink: &mut Sink<'_>, ms: u64) {
    let s = ms / 1000;
    let (large, large_unit, small, small_unit) = match s {
        0..60 => return put!(sink, "{}s", s),
        60..3600 => (s / 60, "m", s % 60, "s"),
        3600..86_400 => (s / 3600, "h", s / 60 % 60, "m"),
        _ => (s / 86_400, "d", s / 3600 % 24, "h"),
    };
    put!(sink, "{}{}{}{}", large, large_unit, small, small_unit);
}

/// Bytes with one decimal in the largest unit that leaves a whole number: 1.2M.
#[inline(never)]
pub fn size(sink: &mut Sink<'_>, bytes: u64) {
    let (shift, unit) = match bytes {
        0..0x400 => return text::decimal(sink, bytes),
        0x400..0x10_0000 => (10, "K"),
        0x10_0000..0x4000_0000 => (20, "M"),
        _ => (30, "G"),
    };
    let tenths = ((bytes >> (shift - 10)) & 0x3ff) * 10 / 1024;
    put!(sink, "{}.{}{}", bytes >> shift, tenths, unit);
}

/// A JSON string, its quotes included; what is no UTF-8 becomes U+FFFD.
#[inline(never)]
pub fn quoted(sink: &mut Sink<'_>, bytes: &[u8]) {
    sink.take(b"\"");
    let mut rest = bytes;
    while !rest.is_empty() {
        let (len, kind) = letter(rest);
        let (letter, behind) = rest.split_at_checked(len).unwrap_or_default();
        match kind {
            Kind::Plain => {
                if matches!(letter, b"\"" | b"\\") {
                    sink.take(b"\\");
                }
                sink.take(letter);
            }
            Kind::Broken => sink.take("\u{fffd}".as_bytes()),
            Kind::Control => {
                // The code point is below U+00A0, and as its last byte says.
                let code = letter.last().copied().unwrap_or_default();
                let digit = |n: u8| if n < 10 { b'0' + n } else { b'a' - 10 + n };
                sink.take(b"\\u00");
                sink.take(&[digit(code >> 4), digit(code & 15)]);
            }
        }
        rest = behind;
    }
    sink.take(b"\"");
}

#[cfg(test)]
mod tests {
    use super::super::fault::{Fault, Step};
    use super::super::message::State;
    use super::super::text::Text;
    use super::*;
    use std::string::{String, ToString};

    fn text(form: Form, unit: &Unit<'_>) -> String {
        alone(|sink| show(sink, form, unit))
    }

    fn alone(write: impl FnOnce(&mut Sink<'_>)) -> String {
        let mut text = Text::<1024>::new();
        write(&mut text);
        text.as_str().to_string()
    }

    const RUNNING: Unit<'static> = Unit {
        name: b"c1",
        image: b"/srv/\"we\\b\n\xff",
        state: State::Started,
        slot: Some(1),
        pid: 77,
        ppid: 1,
        age_ms: 12_345,
        memory: Some(4096),
        address: Some(inet::Cidr {
            address: [10, 0, 3, 2],
            bits: 24,
        }),
        hurt: [0; 3],
        restarts: 3,
        owner: 524_288,
        ended: None,
        fault: None,
        waits: b"",
        ready: true,
        health: 2,
        reading: 0,
    };

    const ENDED: Unit<'static> = Unit {
        image: b"",
        waits: b"db,log",
        ready: false,
        health: 0,
        state: State::Ended,
        slot: None,
        pid: 0,
        memory: None,
        address: None,
        hurt: [0; 3],
        ended: Some(Ended::Signalled(9)),
        fault: Some(Fault {
            step: Step::Exec,
            errno: 2,
            object: b"/bin/x",
        }),
        owner: 0,
        ..RUNNING
    };

    #[test]
    fn ages_and_sizes_are_short() {
        for (ms, words) in [
            (0, "0s"),
            (59_999, "59s"),
            (60_000, "1m0s"),
            (3_599_000, "59m59s"),
            (3_600_000, "1h0m"),
            (86_400_000, "1d0h"),
            (u64::MAX, "213503982334d14h"),
        ] {
            assert_eq!(alone(|sink| age(sink, ms)), words);
        }
        for (bytes, words) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1.0K"),
            (1_258_495, "1.1M"),
            (1_258_496, "1.2M"),
            (5 << 30, "5.0G"),
        ] {
            assert_eq!(alone(|sink| size(sink, bytes)), words);
        }
    }

    #[test]
    fn lines_are_keys_and_values() {
        assert_eq!(
            text(Form::Info, &ENDED),
            "NAME: c1\nSTATE: ended\nTTYNUM: -\nPID: -\nPPID: 1\nIMAGE: -\n\
             CGROUP: /sys/fs/cgroup/pouch/c1\nRESTARTS: 3\nEXIT: killed by signal 9 (SIGKILL)\n\
             AGE: 12s\nMEMORY: -\nOOM_KILLS: 0\nFORKS_REFUSED: 0\nTHROTTLED: 0\nADDRESS: -\nAFTER: db,log\nREADY: no\nHEALTH: -\nUSERNS: -\nCAPABILITIES: default\nFAULT: unable to execute /bin/x: No such file or directory\n"
        );
        assert!(
            text(Form::File, &RUNNING)
                .contains("\nTTYNUM: 1\nPID: 77\nPPID: 1\nIMAGE: /srv/\"we\\b??\n")
        );
        assert!(
            text(Form::Info, &RUNNING).ends_with(
                "EXIT: -\nAGE: 12s\nMEMORY: 4.0K\nOOM_KILLS: 0\nFORKS_REFUSED: 0\nTHROTTLED: 0\nADDRESS: 10.0.3.2/24\nAFTER: -\nREADY: yes\nHEALTH: healthy\nUSERNS: 524288\nCAPABILITIES: default\n"
            )
        );
        assert!(text(Form::Line, &RUNNING).ends_with("restarts 3 address 10.0.3.2/24 healthy"));
        assert!(text(Form::Line, &ENDED).ends_with(" waiting for db,log"));
    }

    #[test]
    fn json_is_json() {
        assert_eq!(
            text(Form::Json, &RUNNING),
            "{\"name\":\"c1\",\"state\":\"started\",\"tty\":\"tty1\",\"pid\":77,\"ppid\":1,\
             \"image\":\"/srv/\\\"we\\\\b\\u000a\u{fffd}\",\"cgroup\":\"/sys/fs/cgroup/pouch/c1\",\
             \"age_ms\":12345,\"memory\":4096,\"oom_kills\":0,\"forks_refused\":0,\"throttled\":0,\"address\":\"10.0.3.2/24\",\"restarts\":3,\"exit\":null,\"fault\":null,\
             \"waiting_for\":null,\"ready\":true,\"health\":\"healthy\",\"userns\":524288,\"capabilities\":\"default\"}"
        );
        assert_eq!(
            text(Form::Json, &ENDED),
            "{\"name\":\"c1\",\"state\":\"ended\",\"tty\":null,\"pid\":null,\"ppid\":1,\
             \"image\":null,\"cgroup\":\"/sys/fs/cgroup/pouch/c1\",\"age_ms\":12345,\"memory\":null,\"oom_kills\":0,\"forks_refused\":0,\"throttled\":0,\
             \"address\":null,\"restarts\":3,\"exit\":{\"kind\":\"signalled\",\"value\":9},\
             \"fault\":{\"verb\":\"execute\",\"object\":\"/bin/x\",\"errno\":2,\
             \"reason\":\"No such file or directory\"},\
             \"waiting_for\":\"db,log\",\"ready\":false,\"health\":null,\"userns\":null,\"capabilities\":\"default\"}"
        );
    }
}
