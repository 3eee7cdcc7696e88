//! What a container can be given: the options of `start` and the kernel line's keys.
//!
//! `apply` turns one `key value` into records of a spec or refuses it with a reason.
//! Keys have no dashes here. A later option replaces an earlier one where only one can
//! hold; `env`, `mount`, `tmpfs` and cgroup files add up. Capabilities are given and
//! taken in the order of the words.

use super::reason::Reason;
use super::spec::{Record, Restart, SpecBuf, TTY_AUTO, TTY_NONE, Tag, flags};
use super::{capability, name, number};
use heapless::Vec;

/// Whether an option stands alone or wants a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arity {
    /// It stands alone.
    Flag,
    /// It wants a value.
    Value,
}

/// The longest path, the kernel's PATH_MAX without its NUL.
const PATH_MAX: usize = 4095;
/// The longest value of a cgroup file.
const CGROUP_VALUE_MAX: usize = 256;
/// The longest host name (HOST_NAME_MAX).
const HOSTNAME_MAX: usize = 64;

const ABSOLUTE: Reason<'static> = Reason::MustBe("an absolute path without ..");

/// What `key` wants; `None` where no option has that name.
pub fn arity(key: &[u8]) -> Option<Arity> {
    match key {
        b"read-only" | b"privileged" => Some(Arity::Flag),
        b"tty" | b"hostname" | b"env" | b"user" | b"cwd" | b"net" | b"no-new-privs"
        | b"seccomp" | b"cap-add" | b"cap-drop" | b"mount" | b"tmpfs" | b"stop-timeout"
        | b"restart" => Some(Arity::Value),
        _ => cgroup_file(key).then_some(Arity::Value),
    }
}

/// Puts one option into the spec.
///
/// # Errors
/// The reason why it cannot be read; the spec is then as it was or lacks that option.
pub fn apply<'a>(
    spec: &mut SpecBuf,
    key: &'a [u8],
    value: Option<&'a [u8]>,
) -> Result<(), Reason<'a>> {
    let value = match (arity(key), value) {
        (None, _) => return Err(Reason::UnknownKey),
        (Some(Arity::Flag), Some(_)) => return Err(Reason::TakesNoValue),
        (Some(Arity::Flag), None) => b"",
        (Some(Arity::Value), None | Some([])) => return Err(Reason::NoValue),
        (Some(Arity::Value), Some(value)) => value,
    };
    if value.iter().any(|b| matches!(b, 0 | b'\n')) {
        return Err(Reason::Control);
    }
    match key {
        b"read-only" => spec.add_flags(flags::READ_ONLY)?,
        b"privileged" => spec.add_flags(flags::PRIVILEGED)?,
        b"tty" => spec.set(Tag::Tty, &[tty(value)?])?,
        b"hostname" => spec.set_str(Tag::Hostname, hostname(value)?)?,
        b"env" => environment(spec, value)?,
        b"user" => spec.set(Tag::User, &user(value)?)?,
        b"cwd" => spec.set_str(Tag::Cwd, path(value)?)?,
        b"net" => {
            let host = choose(
                value,
                [b"none", b"host"],
                "none or host, no other is known here",
            )?;
            flag(spec, flags::HOST_NET, host)?;
        }
        b"no-new-privs" => {
            let off = choose(value, [b"yes", b"no"], "yes or no")?;
            flag(spec, flags::NEW_PRIVS, off)?;
        }
        b"seccomp" => {
            let off = choose(value, [b"on", b"off"], "on or off")?;
            flag(spec, flags::NO_SECCOMP, off)?;
        }
        b"cap-add" | b"cap-drop" => {
            let set = capability::set(value).map_err(Reason::NoCapability)?;
            let old = spec.view().capabilities().unwrap_or(capability::DEFAULT);
            let new = if key == b"cap-add" {
                old | set
            } else {
                old & !set
            };
            spec.set(Tag::Capabilities, &new.to_le_bytes())?;
        }
        b"mount" => mount(spec, value)?,
        b"tmpfs" => spec.push_strings(Tag::Mount, &[b"tmpfs", path(value)?, b"tmpfs", b""])?,
        b"stop-timeout" => {
            let ms = thousandths(value).ok_or(Reason::MustBe("seconds, like 2 or 0.5"))?;
            spec.set(Tag::StopTimeout, &ms.to_le_bytes())?;
        }
        b"restart" => spec.set(Tag::Restart, &restart(value)?.to_bytes())?,
        _ => cgroup(spec, key, value)?,
    }
    Ok(())
}

/// An absolute path that climbs nowhere.
///
/// # Errors
/// It is empty, relative, too long or has a `..` in it.
pub fn path(value: &[u8]) -> Result<&[u8], Reason<'static>> {
    if value.first() != Some(&b'/') || value.split(|b| *b == b'/').any(|part| part == b"..") {
        return Err(ABSOLUTE);
    }
    if value.len() > PATH_MAX {
        return Err(Reason::TooLong);
    }
    Ok(value)
}

/// Which of two words it is; true for the second.
fn choose(
    value: &[u8],
    [first, second]: [&[u8]; 2],
    words: &'static str,
) -> Result<bool, Reason<'static>> {
    if value == first || value == second {
        Ok(value == second)
    } else {
        Err(Reason::MustBe(words))
    }
}

fn flag(spec: &mut SpecBuf, bit: u32, on: bool) -> Result<(), Reason<'static>> {
    let rest = spec.view().flags() & !bit;
    let all = if on { rest | bit } else { rest };
    Ok(spec.set(Tag::Flags, &all.to_le_bytes())?)
}

fn tty(value: &[u8]) -> Result<u8, Reason<'static>> {
    match value {
        b"auto" => Ok(TTY_AUTO),
        b"none" => Ok(TTY_NONE),
        _ => name::slot(value).ok_or(Reason::MustBe("tty0 to tty3, auto or none")),
    }
}

fn hostname(value: &[u8]) -> Result<&[u8], Reason<'static>> {
    let word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    if value.len() > HOSTNAME_MAX {
        return Err(Reason::TooLong);
    }
    if !value.iter().all(word) || value.first() == Some(&b'-') {
        return Err(Reason::MustBe("letters, digits, - _ and ."));
    }
    Ok(value)
}

/// K=V; an earlier value of the same K goes, since most programs would read the first.
fn environment<'a>(spec: &mut SpecBuf, value: &'a [u8]) -> Result<(), Reason<'a>> {
    let key = match value.iter().position(|b| *b == b'=') {
        None | Some(0) => return Err(Reason::MustBe("KEY=VALUE")),
        Some(at) => value.get(..=at).unwrap_or_default(),
    };
    spec.retain(&|r: Record<'_>| r.tag != Tag::Env || !r.bytes.starts_with(key));
    Ok(spec.push_str(Tag::Env, value)?)
}

/// UID[:GID]. Without a GID it is the UID's number, never root's group. The largest
/// number is none: to setresuid(2) it means "leave it as it is".
fn user(value: &[u8]) -> Result<[u8; 8], Reason<'static>> {
    let id = |word| number::u32(word).filter(|n| *n != u32::MAX);
    let (uid, gid) = match value.iter().position(|b| *b == b':') {
        Some(at) => (
            id(value.get(..at).unwrap_or_default()),
            id(value.get(at + 1..).unwrap_or_default()),
        ),
        None => (id(value), id(value)),
    };
    let (Some(uid), Some(gid)) = (uid, gid) else {
        return Err(Reason::MustBe("UID or UID:GID in digits"));
    };
    let ([a, b, c, d], [e, f, g, h]) = (uid.to_le_bytes(), gid.to_le_bytes());
    Ok([a, b, c, d, e, f, g, h])
}

/// SRC:DST[:opt,opt].
fn mount<'a>(spec: &mut SpecBuf, value: &'a [u8]) -> Result<(), Reason<'a>> {
    const SHAPE: Reason<'static> = Reason::MustBe("SRC:DST[:ro,nosuid,nodev,noexec,rbind]");
    let mut parts = value.splitn(3, |b| *b == b':');
    let (Some(source), Some(destination)) = (parts.next(), parts.next()) else {
        return Err(SHAPE);
    };
    let options = parts.next();
    for option in options.into_iter().flat_map(|o| o.split(|b| *b == b',')) {
        match option {
            b"ro" | b"rw" | b"nosuid" | b"nodev" | b"noexec" | b"rbind" => {}
            _ => return Err(Reason::NoMountOption(option)),
        }
    }
    let strings = [
        path(source)?,
        path(destination)?,
        b"bind",
        options.unwrap_or_default(),
    ];
    Ok(spec.push_strings(Tag::Mount, &strings)?)
}

/// A decimal of up to three places (more are cut off) times a thousand.
fn thousandths(value: &[u8]) -> Option<u32> {
    let mut parts = value.splitn(2, |b| *b == b'.');
    let whole = number::u32(parts.next()?)?;
    let places = match parts.next() {
        None => 0,
        Some(places) => {
            number::u64(places)?;
            let three = places.iter().chain(b"00").take(3);
            three.fold(0, |sum, b| sum * 10 + u32::from(b - b'0'))
        }
    };
    whole.checked_mul(1000)?.checked_add(places)
}

fn restart(value: &[u8]) -> Result<Restart, Reason<'static>> {
    const SHAPE: Reason<'static> = Reason::MustBe("no, on-failure[:N] or always");
    match value {
        b"no" => Ok(Restart::No),
        b"always" => Ok(Restart::Always),
        b"on-failure" => Ok(Restart::OnFailure(0)),
        _ => value
            .strip_prefix(b"on-failure:")
            .and_then(number::u32)
            .map(Restart::OnFailure)
            .ok_or(SHAPE),
    }
}

/// Whether `key` is a file of cgroup v2 that may be set: a controller's, or a bound of
/// the tree. What moves, freezes, kills or delegates belongs to PID 1.
fn cgroup_file(key: &[u8]) -> bool {
    let dot = key.iter().position(|b| *b == b'.').unwrap_or(key.len());
    let (controller, file) = key.split_at_checked(dot).unwrap_or_default();
    let good = match controller {
        b"cpu" | b"memory" | b"pids" | b"io" | b"cpuset" | b"hugetlb" | b"rdma" | b"misc" => true,
        b"cgroup" => file.starts_with(b".max."),
        _ => false,
    };
    good && file.len() > 1
        && key.len() <= HOSTNAME_MAX
        && file
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'))
}

/// The value as the kernel reads it: sizes in bytes, a share of a processor as quota and
/// period, a blank where a person had to write a comma.
fn cgroup<'a>(spec: &mut SpecBuf, key: &'a [u8], value: &'a [u8]) -> Result<(), Reason<'a>> {
    let mut room: Vec<u8, CGROUP_VALUE_MAX> = Vec::new();
    let sized = key.starts_with(b"memory.") || key.starts_with(b"hugetlb.");
    let share = value.strip_suffix(b"%").filter(|_| key == b"cpu.max");
    if sized && value != b"max" {
        let size = number::size(value).ok_or(Reason::MustBe("a size like 64M, or max"))?;
        decimal(&mut room, size);
    } else if let Some(share) = share {
        // A hundredth of a period of 100,000 us is 1,000 us.
        let quota = thousandths(share).ok_or(Reason::MustBe("N%, QUOTA,PERIOD or max"))?;
        decimal(&mut room, u64::from(quota));
        let _ = room.extend_from_slice(b" 100000");
    } else {
        let blank = |b: &u8| if *b == b',' { b' ' } else { *b };
        if value.len() > CGROUP_VALUE_MAX {
            return Err(Reason::TooLong);
        }
        room.extend(value.iter().map(blank));
    }
    Ok(spec.push_strings(Tag::Cgroup, &[key, &room])?)
}

/// Adds a number's digits; there is always room for one number.
fn decimal<const N: usize>(room: &mut Vec<u8, N>, number: u64) {
    let mut digits = [0; 20];
    let mut rest = number;
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    let from = digits.len() - used;
    let _ = room.extend_from_slice(digits.get(from..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::super::spec::Spec;
    use super::*;

    fn with(options: &[(&str, &str)]) -> SpecBuf {
        let mut spec = SpecBuf::new();
        spec.push_str(Tag::Name, b"c1").unwrap();
        for (key, value) in options {
            let value = Some(value.as_bytes()).filter(|v| !v.is_empty());
            let done = apply(&mut spec, key.as_bytes(), value);
            assert_eq!(done, Ok(()), "{key} {value:?}");
        }
        assert!(Spec::parse(spec.as_bytes()).is_ok());
        spec
    }

    #[test]
    fn options_become_records() {
        let spec = with(&[
            ("tty", "tty1"),
            ("tty", "none"),
            ("hostname", "web-1"),
            ("env", "A=1"),
            ("env", "AB=2"),
            ("env", "A=x=y"),
            ("user", "1000:100"),
            ("cwd", "/srv"),
            ("read-only", ""),
            ("privileged", ""),
            ("no-new-privs", "no"),
            ("seccomp", "off"),
            ("net", "host"),
            ("stop-timeout", "0.5"),
            ("restart", "on-failure:3"),
            ("tmpfs", "/run"),
            ("mount", "/a:/b:ro,nosuid"),
            ("mount", "/a:/c"),
        ]);
        let spec = spec.view();
        assert_eq!(spec.tty(), TTY_NONE);
        assert_eq!(spec.string(Tag::Hostname), Some(c"web-1"));
        let env: std::vec::Vec<_> = spec.all(Tag::Env).collect();
        assert_eq!(env, [c"AB=2", c"A=x=y"]);
        assert_eq!(spec.user(), (1000, 100));
        assert_eq!(
            spec.flags(),
            flags::READ_ONLY
                | flags::PRIVILEGED
                | flags::NEW_PRIVS
                | flags::NO_SECCOMP
                | flags::HOST_NET
        );
        assert_eq!(spec.stop_timeout(), Some(500));
        assert_eq!(spec.restart(), Restart::OnFailure(3));
        let mounts: std::vec::Vec<_> = spec
            .mounts()
            .map(|m| (m.source, m.destination, m.kind, m.options))
            .collect();
        assert_eq!(
            mounts,
            [
                (c"tmpfs", c"/run", c"tmpfs", c""),
                (c"/a", c"/b", c"bind", c"ro,nosuid"),
                (c"/a", c"/c", c"bind", c""),
            ]
        );
        assert_eq!(with(&[("user", "7")]).view().user(), (7, 7));
        let back = with(&[
            ("net", "host"),
            ("net", "none"),
            ("seccomp", "off"),
            ("seccomp", "on"),
            ("no-new-privs", "no"),
            ("no-new-privs", "yes"),
        ]);
        assert_eq!(back.view().flags(), 0);
    }

    #[test]
    fn capabilities_are_given_and_taken_in_order() {
        let set = |options: &[(&str, &str)]| with(options).view().capabilities();
        assert_eq!(set(&[]), None);
        assert_eq!(
            set(&[("cap-add", "net_admin"), ("cap-drop", "CAP_CHOWN,KILL")]),
            Some((capability::DEFAULT | 1 << 12) & !1 & !(1 << 5))
        );
        assert_eq!(set(&[("cap-drop", "ALL"), ("cap-add", "CHOWN")]), Some(1));
        assert_eq!(set(&[("cap-add", "ALL")]), Some(capability::ALL));
    }

    #[test]
    fn cgroup_values_are_the_kernels() {
        for (file, value, wanted) in [
            ("memory.max", "64M", "67108864"),
            ("memory.swap.max", "max", "max"),
            ("memory.high", "0", "0"),
            ("memory.max", "18446744073709551615", "18446744073709551615"),
            ("hugetlb.2MB.max", "2M", "2097152"),
            ("cpu.max", "50%", "50000 100000"),
            ("cpu.max", "12.5%", "12500 100000"),
            ("cpu.max", "20000,50000", "20000 50000"),
            ("cpu.max", "max", "max"),
            ("cpu.weight", "100", "100"),
            ("pids.max", "20", "20"),
            ("io.max", "8:0,rbps=1000", "8:0 rbps=1000"),
            ("cgroup.max.depth", "3", "3"),
        ] {
            let spec = with(&[(file, value)]);
            let (key, got) = spec.view().cgroup().next().unwrap();
            assert_eq!(key.to_bytes(), file.as_bytes());
            assert_eq!(got.to_bytes(), wanted.as_bytes(), "{file}");
        }
    }

    #[test]
    fn files_that_are_pid_1s_are_no_options() {
        for key in [
            "cgroup.procs",
            "cgroup.threads",
            "cgroup.kill",
            "cgroup.freeze",
            "cgroup.type",
            "cgroup.subtree_control",
            "memory",
            "memory.",
            "memory./x",
            "../memory.max",
            "net.core",
            ".max",
            "",
            "tty ",
        ] {
            assert_eq!(arity(key.as_bytes()), None, "{key}");
        }
    }

    #[test]
    fn every_wrong_value_has_its_reason() {
        let must = |key: &'static str, value: &'static str| {
            let got = apply(&mut SpecBuf::new(), key.as_bytes(), Some(value.as_bytes()));
            assert!(
                matches!(got, Err(Reason::MustBe(_))),
                "{key}={value}: {got:?}"
            );
        };
        for bad in ["tty4", "tty", "1", "auto "] {
            must("tty", bad);
        }
        for bad in [
            "root",
            "1:",
            ":1",
            "1:2:3",
            "-1",
            "+1",
            "1 ",
            "4294967295",
            "4294967296",
        ] {
            must("user", bad);
        }
        for bad in ["srv", "/srv/../etc", "./x"] {
            must("cwd", bad);
            must("tmpfs", bad);
        }
        for bad in ["/a", "a:/b", "/a:b", "/a:/../b", ":"] {
            must("mount", bad);
        }
        for bad in ["A", "=A"] {
            must("env", bad);
        }
        for bad in ["-x", "a b", "a/b"] {
            must("hostname", bad);
        }
        for bad in [".5", "0.", "1s", "-1", "4294968", "1.x"] {
            must("stop-timeout", bad);
        }
        for bad in ["yes", "on-failure:", "on-failure:x", "ALWAYS"] {
            must("restart", bad);
        }
        for bad in ["1X", "-1", "max "] {
            must("memory.max", bad);
        }
        for bad in ["%", "x%", "-1%"] {
            must("cpu.max", bad);
        }
        must("net", "bridge");
        must("no-new-privs", "maybe");
        must("seccomp", "no");
        let one = |key: &'static [u8], value: Option<&'static [u8]>, reason| {
            assert_eq!(apply(&mut SpecBuf::new(), key, value), Err(reason));
        };
        one(b"fly", None, Reason::UnknownKey);
        one(b"tty", None, Reason::NoValue);
        one(b"tty", Some(b""), Reason::NoValue);
        one(b"read-only", Some(b"yes"), Reason::TakesNoValue);
        one(b"cap-add", Some(b"CHOWN,FLY"), Reason::NoCapability(b"FLY"));
        one(
            b"mount",
            Some(b"/a:/b:ro,fly"),
            Reason::NoMountOption(b"fly"),
        );
        one(b"env", Some(b"A=\n"), Reason::Control);
        one(b"env", Some(b"A=\0"), Reason::Control);
        one(b"pids.max", Some(&[b'1'; 257]), Reason::TooLong);
        one(b"hostname", Some(&[b'a'; 65]), Reason::TooLong);
        one(b"cwd", Some(&[b'/'; 4096]), Reason::TooLong);
    }

    #[test]
    fn a_full_spec_is_an_answer() {
        let mut spec = SpecBuf::new();
        let mut refused = false;
        for key in ["A", "B", "C"] {
            let entry = std::format!("{key}={}", "x".repeat(4000));
            refused |= apply(&mut spec, b"env", Some(entry.as_bytes())) == Err(Reason::TooLong);
        }
        assert!(refused);
    }
}
