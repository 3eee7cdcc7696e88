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
