//! A container's record as people and programs read it.
//!
//! One line of `list`, the `KEY: value` lines of `info` and of /run/pouch/cont_NAME,
//! and the JSON of both. Each is a form with a `%` for each value, filled by one
//! function: half the bytes that as many formatting calls would take.

use super::ended::Ended;
use super::errno;
use super::fault::Fault;
use super::message::Unit;
use super::text::{Plain, Sink, display, put};

const LINE: &str = "% : % % pid % age % memory % restarts %";
const FILE: &str = "NAME: %\nSTATE: %\nTTYNUM: %\nPID: %\nPPID: %\nIMAGE: %\n\
    CGROUP: /sys/fs/cgroup/pouch/%\nRESTARTS: %\nEXIT: %\n";
const JSON: &str = "{\"name\":\"%\",\"state\":\"%\",\"tty\":%,\"pid\":%,\"ppid\":%,\
    \"image\":%,\"cgroup\":\"/sys/fs/cgroup/pouch/%\",\"age_ms\":%,\"memory\":%,\
    \"restarts\":%,\"exit\":%,\"fault\":%}";
const JSON_ENDED: &str = "{\"kind\":\"%\",\"value\":%}";
const JSON_FAULT: &str = "{\"verb\":\"%\",\"object\":%,\"errno\":%,\"reason\":\"%\"}";

/// What stands in a form's gap.
#[derive(Clone, Copy)]
enum Value<'a> {
    Word(&'static str),
    Text(&'a [u8]),
    Number(u64),
    Slot(u8),
    Age(u64),
    Size(u64),
    Reason(u16),
    Ended(Ended),
    Fault(Fault<'a>),
    /// In JSON.
    Quoted(&'a [u8]),
    QuotedSlot(u8),
    JsonEnded(Ended),
    JsonFault(Fault<'a>),
}

impl Value<'_> {
    /// Nothing, for people.
    const DASH: Self = Value::Word("-");
    /// Nothing, for programs.
    const NULL: Self = Value::Word("null");
}

/// Writes a form, a value for each `%`.
fn fill(sink: &mut Sink<'_>, form: &str, values: &[Value<'_>]) {
    let mut values = values.iter();
    for text in form.split_inclusive('%') {
        let bare = text.strip_suffix('%');
        put!(sink, "{}", bare.unwrap_or(text));
        if bare.is_some() {
            one(sink, *values.next().unwrap_or(&Value::DASH));
        }
    }
}

fn one(sink: &mut Sink<'_>, value: Value<'_>) {
    match value {
        Value::Word(word) => put!(sink, "{}", word),
        Value::Text(text) => put!(sink, "{}", Plain(text)),
        Value::Number(number) => put!(sink, "{}", number),
        Value::Slot(slot) => put!(sink, "tty{}", slot),
        Value::Age(ms) => age(sink, ms),
        Value::Size(bytes) => size(sink, bytes),
        Value::Reason(number) => put!(sink, "{}", errno::Reason(number)),
        Value::Ended(ended) => put!(sink, "{}", ended),
        Value::Fault(fault) => put!(sink, "{}", fault),
        Value::Quoted(text) => quoted(sink, text),
        Value::QuotedSlot(slot) => put!(sink, "\"tty{}\"", slot),
        Value::JsonEnded(ended) => {
            let (kind, value) = match ended {
                Ended::Exited(value) => ("exited", value),
                Ended::Signalled(value) => ("signalled", value),
                Ended::Dumped(value) => ("dumped", value),
            };
            let values = [Value::Word(kind), Value::Number(value.into())];
            fill(sink, JSON_ENDED, &values);
        }
        Value::JsonFault(fault) => {
            let values = [
                Value::Word(fault.step.verb()),
                Value::Quoted(fault.object),
                Value::Number(fault.errno.into()),
                Value::Reason(fault.errno),
            ];
            fill(sink, JSON_FAULT, &values);
        }
    }
}

/// A time in its two largest units: 5s, 3m20s, 2h5m, 4d1h.
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
fn size(sink: &mut Sink<'_>, bytes: u64) {
    let (shift, unit) = match bytes {
        0..0x400 => return put!(sink, "{}", bytes),
        0x400..0x10_0000 => (10, "K"),
        0x10_0000..0x4000_0000 => (20, "M"),
        _ => (30, "G"),
    };
    let tenths = ((bytes >> (shift - 10)) & 0x3ff) * 10 / 1024;
    put!(sink, "{}.{}{}", bytes >> shift, tenths, unit);
}

/// A JSON string, its quotes included; what is no UTF-8 becomes U+FFFD.
fn quoted(sink: &mut Sink<'_>, text: &[u8]) {
    put!(sink, "\"");
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            let mut shown = c;
            if c.is_control() {
                // All of them are below U+00A0.
                let digit = |n: u32| char::from_digit(n & 15, 16).unwrap_or('0');
                put!(sink, "\\u00{}", digit(u32::from(c) >> 4));
                shown = digit(u32::from(c));
            } else if matches!(c, '"' | '\\') {
                put!(sink, "\\");
            }
            let Ok(()) = sink.write_char(shown);
        }
        if !chunk.invalid().is_empty() {
            put!(sink, "\u{fffd}");
        }
    }
    put!(sink, "\"");
}

/// The number, or nothing for 0.
fn pid(number: u32) -> Option<u64> {
    Some(u64::from(number)).filter(|n| *n != 0)
}

/// What a person called the root, or nothing for the host's.
fn image<'a>(unit: &Unit<'a>) -> Option<&'a [u8]> {
    Some(unit.image).filter(|i| !i.is_empty())
}

/// What follows the number in `list`: `c1 : started tty1 pid 123 age 5s memory 1.2M restarts 0`.
pub struct Line<'a>(
    /// The container.
    pub Unit<'a>,
);

display!(Line<'_>, |unit: &Line<'_>, sink: &mut Sink<'_>| {
    let u = &unit.0;
    let values = [
        Value::Text(u.name),
        Value::Word(u.state.word()),
        u.slot.map_or(Value::DASH, Value::Slot),
        pid(u.pid).map_or(Value::DASH, Value::Number),
        Value::Age(u.age_ms),
        u.memory.map_or(Value::DASH, Value::Size),
        Value::Number(u.restarts.into()),
    ];
    fill(sink, LINE, &values);
    // What ended a container matters once it does not run; a fault always does.
    if let Some(ended) = u.ended.filter(|_| u.pid == 0) {
        fill(sink, " %", &[Value::Ended(ended)]);
    }
    if let Some(fault) = u.fault {
        fill(sink, " %", &[Value::Fault(fault)]);
    }
});

/// The lines of /run/pouch/cont_NAME: what does not change by itself.
pub struct File<'a>(
    /// The container.
    pub Unit<'a>,
);

display!(File<'_>, |unit: &File<'_>, sink: &mut Sink<'_>| {
    let u = &unit.0;
    let slot = u.slot.map(u64::from);
    let values = [
        Value::Text(u.name),
        Value::Word(u.state.word()),
        slot.map_or(Value::DASH, Value::Number),
        pid(u.pid).map_or(Value::DASH, Value::Number),
        Value::Number(u.ppid.into()),
        image(u).map_or(Value::DASH, Value::Text),
        Value::Text(u.name),
        Value::Number(u.restarts.into()),
        u.ended.map_or(Value::DASH, Value::Ended),
    ];
    fill(sink, FILE, &values);
});

/// The lines of `info`.
pub struct Info<'a>(
    /// The container.
    pub Unit<'a>,
);

display!(Info<'_>, |unit: &Info<'_>, sink: &mut Sink<'_>| {
    let u = &unit.0;
    put!(sink, "{}", File(*u));
    let memory = u.memory.map_or(Value::DASH, Value::Size);
    fill(sink, "AGE: %\nMEMORY: %\n", &[Value::Age(u.age_ms), memory]);
    if let Some(fault) = u.fault {
        fill(sink, "FAULT: %\n", &[Value::Fault(fault)]);
    }
});

/// One JSON object, with the same keys in the same order whatever the state.
pub struct Json<'a>(
    /// The container.
    pub Unit<'a>,
);

display!(Json<'_>, |unit: &Json<'_>, sink: &mut Sink<'_>| {
    let u = &unit.0;
    let values = [
        Value::Text(u.name),
        Value::Word(u.state.word()),
        u.slot.map_or(Value::NULL, Value::QuotedSlot),
        pid(u.pid).map_or(Value::NULL, Value::Number),
        Value::Number(u.ppid.into()),
        image(u).map_or(Value::NULL, Value::Quoted),
        Value::Text(u.name),
        Value::Number(u.age_ms),
        u.memory.map_or(Value::NULL, Value::Number),
        Value::Number(u.restarts.into()),
        u.ended.map_or(Value::NULL, Value::JsonEnded),
        u.fault.map_or(Value::NULL, Value::JsonFault),
    ];
    fill(sink, JSON, &values);
});

#[cfg(test)]
mod tests {
    use super::super::fault::{Fault, Step};
    use super::super::message::State;
    use super::super::text::Text;
    use super::*;
    use std::string::{String, ToString};

    fn text(value: impl ufmt::uDisplay) -> String {
        let mut text = Text::<1024>::new();
        put!(&mut text, "{}", value);
        text.as_str().to_string()
    }

    fn alone(value: Value<'_>) -> String {
        let mut text = Text::<1024>::new();
        one(&mut text, value);
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
        restarts: 3,
        ended: None,
        fault: None,
    };

    const ENDED: Unit<'static> = Unit {
        image: b"",
        state: State::Ended,
        slot: None,
        pid: 0,
        memory: None,
        ended: Some(Ended::Signalled(9)),
        fault: Some(Fault {
            step: Step::Exec,
            errno: 2,
            object: b"/bin/x",
        }),
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
            assert_eq!(alone(Value::Age(ms)), words);
        }
        for (bytes, words) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1.0K"),
            (1_258_495, "1.1M"),
            (1_258_496, "1.2M"),
            (5 << 30, "5.0G"),
        ] {
            assert_eq!(alone(Value::Size(bytes)), words);
        }
    }

    #[test]
    fn lines_are_keys_and_values() {
        assert_eq!(
            text(Info(ENDED)),
            "NAME: c1\nSTATE: ended\nTTYNUM: -\nPID: -\nPPID: 1\nIMAGE: -\n\
             CGROUP: /sys/fs/cgroup/pouch/c1\nRESTARTS: 3\nEXIT: killed by signal 9 (SIGKILL)\n\
             AGE: 12s\nMEMORY: -\nFAULT: unable to execute /bin/x: No such file or directory\n"
        );
        assert!(
            text(File(RUNNING)).contains("\nTTYNUM: 1\nPID: 77\nPPID: 1\nIMAGE: /srv/\"we\\b??\n")
        );
        assert!(text(Info(RUNNING)).ends_with("EXIT: -\nAGE: 12s\nMEMORY: 4.0K\n"));
    }

    #[test]
    fn json_is_json() {
        assert_eq!(
            text(Json(RUNNING)),
            "{\"name\":\"c1\",\"state\":\"started\",\"tty\":\"tty1\",\"pid\":77,\"ppid\":1,\
             \"image\":\"/srv/\\\"we\\\\b\\u000a\u{fffd}\",\"cgroup\":\"/sys/fs/cgroup/pouch/c1\",\
             \"age_ms\":12345,\"memory\":4096,\"restarts\":3,\"exit\":null,\"fault\":null}"
        );
        assert_eq!(
            text(Json(ENDED)),
            "{\"name\":\"c1\",\"state\":\"ended\",\"tty\":null,\"pid\":null,\"ppid\":1,\
             \"image\":null,\"cgroup\":\"/sys/fs/cgroup/pouch/c1\",\"age_ms\":12345,\"memory\":null,\
             \"restarts\":3,\"exit\":{\"kind\":\"signalled\",\"value\":9},\
             \"fault\":{\"verb\":\"execute\",\"object\":\"/bin/x\",\"errno\":2,\
             \"reason\":\"No such file or directory\"}}"
        );
    }
}
