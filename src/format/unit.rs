//! A container's record as people and programs read it.
//!
//! One line of `list`, the `KEY: value` lines of `info` and of /run/pouch/cont_NAME,
//! and the JSON of both.

use super::ended::Ended;
use super::errno;
use super::message::Unit;
use super::text::Plain;
use ufmt::{Formatter, uDisplay, uWrite, uwrite};

/// Where the cgroups of containers lie.
pub const CGROUP_ROOT: &str = "/sys/fs/cgroup/pouch/";

/// Something that may be missing, shown as `-` then.
struct OrDash<T>(Option<T>);

impl<T: uDisplay> uDisplay for OrDash<T> {
    fn fmt<W: uWrite + ?Sized>(&self, f: &mut Formatter<'_, W>) -> Result<(), W::Error> {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("-"),
        }
    }
}

/// A time in its two largest units: 5s, 3m20s, 2h5m, 4d1h.
#[derive(Clone, Copy)]
pub struct Age(
    /// Milliseconds.
    pub u64,
);

impl uDisplay for Age {
    fn fmt<W: uWrite + ?Sized>(&self, f: &mut Formatter<'_, W>) -> Result<(), W::Error> {
        let s = self.0 / 1000;
        let (large, large_unit, small, small_unit) = match s {
            0..60 => return uwrite!(f, "{}s", s),
            60..3600 => (s / 60, "m", s % 60, "s"),
            3600..86_400 => (s / 3600, "h", s / 60 % 60, "m"),
            _ => (s / 86_400, "d", s / 3600 % 24, "h"),
        };
        uwrite!(f, "{}{}{}{}", large, large_unit, small, small_unit)
    }
}

/// Bytes with one decimal in the largest unit that leaves a whole number: 1.2M.
#[derive(Clone, Copy)]
pub struct Size(
    /// Bytes.
    pub u64,
);

impl uDisplay for Size {
    fn fmt<W: uWrite + ?Sized>(&self, f: &mut Formatter<'_, W>) -> Result<(), W::Error> {
        let (shift, unit) = match self.0 {
            0..0x400 => return uwrite!(f, "{}", self.0),
            0x400..0x10_0000 => (10, "K"),
            0x10_0000..0x4000_0000 => (20, "M"),
            _ => (30, "G"),
        };
        let tenths = ((self.0 >> (shift - 10)) & 0x3ff) * 10 / 1024;
        uwrite!(f, "{}.{}{}", self.0 >> shift, tenths, unit)
    }
}

struct Slot(u8);

impl uDisplay for Slot {
    fn fmt<W: uWrite + ?Sized>(&self, f: &mut Formatter<'_, W>) -> Result<(), W::Error> {
        uwrite!(f, "tty{}", self.0)
    }
}

fn pid(number: u32) -> OrDash<u32> {
    OrDash(Some(number).filter(|n| *n != 0))
}

/// What follows the number in `list`: `c1 : started tty1 pid 123 age 5s memory 1.2M restarts 0`.
pub struct Line<'a>(
    /// The container.
    pub Unit<'a>,
);

impl uDisplay for Line<'_> {
    fn fmt<W: uWrite + ?Sized>(&self, f: &mut Formatter<'_, W>) -> Result<(), W::Error> {
        let u = &self.0;
        uwrite!(
            f,
            "{} : {} {} pid {} age {} memory {} restarts {}",
            Plain(u.name),
            u.state.word(),
            OrDash(u.slot.map(Slot)),
            pid(u.pid),
            Age(u.age_ms),
            OrDash(u.memory.map(Size)),
            u.restarts
        )?;
        // What ended a container matters once it does not run; a fault always does.
        if let Some(ended) = u.ended.filter(|_| u.pid == 0) {
            uwrite!(f, " {}", ended)?;
        }
        match u.fault {
            Some(fault) => uwrite!(f, " {}", fault),
            None => Ok(()),
        }
    }
}

/// The lines of /run/pouch/cont_NAME: what does not change by itself.
pub struct File<'a>(
    /// The container.
    pub Unit<'a>,
);

impl uDisplay for File<'_> {
    fn fmt<W: uWrite + ?Sized>(&self, f: &mut Formatter<'_, W>) -> Result<(), W::Error> {
        let u = &self.0;
        let image = Some(u.image).filter(|i| !i.is_empty()).map(Plain);
        uwrite!(
            f,
            "NAME: {}\nSTATE: {}\nTTYNUM: {}\nPID: {}\nPPID: {}\nIMAGE: {}\nCGROUP: {}{}\nRESTARTS: {}\nEXIT: {}\n",
            Plain(u.name),
            u.state.word(),
            OrDash(u.slot),
            pid(u.pid),
            u.ppid,
            OrDash(image),
            CGROUP_ROOT,
            Plain(u.name),
            u.restarts,
            OrDash(u.ended)
        )
    }
}

/// The lines of `info`.
pub struct Info<'a>(
    /// The container.
    pub Unit<'a>,
);

impl uDisplay for Info<'_> {
    fn fmt<W: uWrite + ?Sized>(&self, f: &mut Formatter<'_, W>) -> Result<(), W::Error> {
        let u = &self.0;
        File(*u).fmt(f)?;
        let memory = OrDash(u.memory.map(Size));
        uwrite!(f, "AGE: {}\nMEMORY: {}\n", Age(u.age_ms), memory)?;
        match u.fault {
            Some(fault) => uwrite!(f, "FAULT: {}\n", fault),
            None => Ok(()),
        }
    }
}

/// A JSON string, its quotes included; what is no UTF-8 becomes U+FFFD.
struct Quoted<'a>(&'a [u8]);

impl uDisplay for Quoted<'_> {
    fn fmt<W: uWrite + ?Sized>(&self, f: &mut Formatter<'_, W>) -> Result<(), W::Error> {
        f.write_str("\"")?;
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                let code = u32::from(c);
                match c {
                    '"' => f.write_str("\\\"")?,
                    '\\' => f.write_str("\\\\")?,
                    '\0'..='\x1f' | '\x7f'..='\u{9f}' => {
                        let digit = |n: u32| char::from_digit(n & 15, 16).unwrap_or('0');
                        f.write_str("\\u00")?;
                        f.write_char(digit(code >> 4))?;
                        f.write_char(digit(code))?;
                    }
                    _ => f.write_char(c)?,
                }
            }
            if !chunk.invalid().is_empty() {
                f.write_str("\u{fffd}")?;
            }
        }
        f.write_str("\"")
    }
}

/// Something that may be missing, `null` then.
struct OrNull<T>(Option<T>);

impl<T: uDisplay> uDisplay for OrNull<T> {
    fn fmt<W: uWrite + ?Sized>(&self, f: &mut Formatter<'_, W>) -> Result<(), W::Error> {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("null"),
        }
    }
}

/// One JSON object, with the same keys in the same order whatever the state.
pub struct Json<'a>(
    /// The container.
    pub Unit<'a>,
);

impl uDisplay for Json<'_> {
    fn fmt<W: uWrite + ?Sized>(&self, f: &mut Formatter<'_, W>) -> Result<(), W::Error> {
        let u = &self.0;
        let image = Some(u.image).filter(|i| !i.is_empty()).map(Quoted);
        uwrite!(
            f,
            "{{\"name\":{},\"state\":\"{}\",\"tty\":",
            Quoted(u.name),
            u.state.word()
        )?;
        match u.slot {
            Some(slot) => uwrite!(f, "\"tty{}\"", slot)?,
            None => f.write_str("null")?,
        }
        uwrite!(
            f,
            ",\"pid\":{},\"ppid\":{},\"image\":{},\"cgroup\":\"{}{}\",\"age_ms\":{},\"memory\":{},\"restarts\":{},\"exit\":",
            OrNull(Some(u.pid).filter(|n| *n != 0)),
            u.ppid,
            OrNull(image),
            CGROUP_ROOT,
            Plain(u.name),
            u.age_ms,
            OrNull(u.memory),
            u.restarts
        )?;
        match u.ended {
            Some(ended) => {
                let (kind, value) = match ended {
                    Ended::Exited(value) => ("exited", value),
                    Ended::Signalled(value) => ("signalled", value),
                    Ended::Dumped(value) => ("dumped", value),
                };
                uwrite!(f, "{{\"kind\":\"{}\",\"value\":{}}}", kind, value)?;
            }
            None => f.write_str("null")?,
        }
        f.write_str(",\"fault\":")?;
        match u.fault {
            Some(fault) => uwrite!(
                f,
                "{{\"verb\":\"{}\",\"object\":{},\"errno\":{},\"reason\":\"{}\"}}",
                fault.step.verb(),
                Quoted(fault.object),
                fault.errno,
                errno::Reason(fault.errno)
            )?,
            None => f.write_str("null")?,
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::{Fault, Step};
    use super::super::message::State;
    use super::*;
    use std::string::{String, ToString};

    fn text(value: impl uDisplay) -> String {
        let mut s = heapless::String::<1024>::new();
        uwrite!(s, "{}", value).unwrap();
        s.as_str().to_string()
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
            assert_eq!(text(Age(ms)), words);
        }
        for (bytes, words) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1.0K"),
            (1_258_495, "1.1M"),
            (1_258_496, "1.2M"),
            (5 << 30, "5.0G"),
        ] {
            assert_eq!(text(Size(bytes)), words);
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
