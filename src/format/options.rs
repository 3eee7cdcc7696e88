//! What a container can be given: the options of `start` and the kernel line's keys.
//!
//! `apply` turns one `key value` into records of a spec or refuses it with a reason.
//! Keys have no dashes here. A later option replaces an earlier one where only one can
//! hold; `env`, `mount`, `tmpfs` and cgroup files add up. Capabilities are given and
//! taken in the order of the words.

use super::reason::Reason;
use super::spec::{Restart, SpecBuf, TTY_AUTO, TTY_NONE, Tag, flags};
use super::text::{Take, Text, behind, cut, decimal, pick, put, which};
use super::wire::Writer;
use super::{capability, inet, name, number};

/// Whether an option stands alone or wants a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arity {
    /// It stands alone.
    Flag,
    /// It wants a value.
    Value,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    ReadOnly,
    Privileged,
    Tty,
    Hostname,
    Env,
    User,
    Cwd,
    Net,
    Gateway,
    Bridge,
    Mtu,
    Publish,
    NoNewPrivs,
    Seccomp,
    CapAdd,
    CapDrop,
    Mount,
    Tmpfs,
    StopTimeout,
    Restart,
    Device,
    After,
    Ready,
    Health,
    HealthTime(usize),
    Init,
    Persist,
    UserNs,
    Cgroup,
}

/// The options' names, and what they are, in the same order.
const NAMES: &str = "read-only privileged tty hostname env user cwd net gateway bridge mtu publish \
    no-new-privs seccomp cap-add cap-drop mount tmpfs stop-timeout restart device after ready health health-interval \
    health-timeout health-retries init persist userns";
const KEYS: [Key; 30] = [
    Key::ReadOnly,
    Key::Privileged,
    Key::Tty,
    Key::Hostname,
    Key::Env,
    Key::User,
    Key::Cwd,
    Key::Net,
    Key::Gateway,
    Key::Bridge,
    Key::Mtu,
    Key::Publish,
    Key::NoNewPrivs,
    Key::Seccomp,
    Key::CapAdd,
    Key::CapDrop,
    Key::Mount,
    Key::Tmpfs,
    Key::StopTimeout,
    Key::Restart,
    Key::Device,
    Key::After,
    Key::Ready,
    Key::Health,
    Key::HealthTime(0),
    Key::HealthTime(4),
    Key::HealthTime(8),
    Key::Init,
    Key::Persist,
    Key::UserNs,
];

/// Of [`flags`] those with which there is no link to a bridge.
const NO_LINK: u32 = flags::HOST_NET | flags::NO_NET;
/// What a veth takes (ETH_MIN_MTU, ETH_MAX_MTU of linux/if_ether.h).
const MTU: core::ops::RangeInclusive<u64> = 68..=65535;

/// The longest path, the kernel's PATH_MAX without its NUL.
const PATH_MAX: usize = 4095;
/// The longest value of a cgroup file.
const CGROUP_VALUE_MAX: usize = 256;
/// The longest host name (HOST_NAME_MAX), and more than the longest cgroup file's name.
const HOSTNAME_MAX: usize = 64;

/// Descriptors on which a container may say that it is ready: no standard stream, and below the usual limit.
const READY_FDS: core::ops::RangeInclusive<u64> = 3..=255;

fn key(name: &[u8]) -> Option<Key> {
    pick(NAMES, &KEYS, name).or(is_cgroup_file(name).then_some(Key::Cgroup))
}

/// What `name` wants; `None` where no option is called so.
pub fn arity(name: &[u8]) -> Option<Arity> {
    Some(match key(name)? {
        Key::ReadOnly | Key::Privileged | Key::Init | Key::UserNs => Arity::Flag,
        _ => Arity::Value,
    })
}

/// Puts one option into the spec.
///
/// # Errors
/// The reason why it cannot be read; the spec is then as it was or lacks that option.
pub fn apply(spec: &mut SpecBuf, name: &[u8], value: Option<&[u8]>) -> Result<(), Reason> {
    let key = key(name).ok_or(Reason::UnknownKey)?;
    let flag = matches!(
        key,
        Key::ReadOnly | Key::Privileged | Key::Init | Key::UserNs
    );
    let value = match value {
        Some(_) if flag => return Err(Reason::TakesNoValue),
        None | Some([]) if !flag => return Err(Reason::NoValue),
        value => value.unwrap_or_default(),
    };
    // What only a program reads may have lines.
    let lines = matches!(key, Key::Env | Key::Health);
    if value.iter().any(|b| *b == 0 || (*b == b'\n' && !lines)) {
        return Err(Reason::Control);
    }
    let (old, caps) = (spec.view().flags(), spec.view().capabilities());
    let caps = caps.unwrap_or(capability::DEFAULT);
    let switched = |bit: u32, words, reason| {
        let all = match which(words, value).ok_or(reason)? {
            0 => old & !bit,
            _ => old | bit,
        };
        Ok::<_, Reason>((Tag::Flags, u64::from(all)))
    };
    let (tag, number) = match key {
        Key::ReadOnly => (Tag::Flags, u64::from(old | flags::READ_ONLY)),
        Key::Privileged => (Tag::Flags, u64::from(old | flags::PRIVILEGED)),
        Key::UserNs => (Tag::Flags, u64::from(old | flags::USERNS)),
        Key::Net => (Tag::Flags, u64::from(net(spec, value)?)),
        Key::Gateway | Key::Bridge | Key::Mtu | Key::Publish if old & NO_LINK != 0 => {
            return Err(Reason::NoLink);
        }
        Key::Gateway => {
            let address = inet::address(value).ok_or(Reason::Gateway)?;
            (Tag::Gateway, u32::from_le_bytes(address).into())
        }
        Key::Mtu => {
            let mtu = number::u64(value).filter(|mtu| MTU.contains(mtu));
            (Tag::Mtu, mtu.ok_or(Reason::Mtu)?)
        }
        Key::Bridge if !inet::is_interface(value) => return Err(Reason::Bridge),
        Key::Bridge => return Ok(spec.set_str(Tag::Bridge, value)?),
        Key::Publish => {
            let ports = inet::publish(value).ok_or(Reason::Publish)?;
            return Ok(spec.push(Tag::Publish, &ports)?);
        }
        Key::NoNewPrivs => switched(flags::NEW_PRIVS, "yes no", Reason::YesNo)?,
        Key::Seccomp => switched(flags::NO_SECCOMP, "on off", Reason::OnOff)?,
        Key::Tty => (Tag::Tty, u64::from(tty(value)?)),
        Key::Init => (Tag::Flags, u64::from(old | flags::INIT)),
        Key::User => return user(spec, value),
        Key::Persist => return Ok(spec.set_str(Tag::Persist, kept(value)?)?),
        Key::CapAdd => (
            Tag::Capabilities,
            caps | capability::set(value).ok_or(Reason::Capability)?,
        ),
        Key::CapDrop => (
            Tag::Capabilities,
            caps & !capability::set(value).ok_or(Reason::Capability)?,
        ),
        Key::StopTimeout => {
            let ms = thousandths(value).ok_or(Reason::Seconds)?;
            (Tag::StopTimeout, u64::from(ms))
        }
        Key::Restart => (Tag::Restart, restart(value)?),
        Key::Ready => (Tag::Ready, ready(value).ok_or(Reason::Ready)?),
        Key::After => return after(spec, value),
        Key::Health => return Ok(spec.set_str(Tag::Health, value)?),
        Key::HealthTime(at) => return health_time(spec, at, value),
        Key::Hostname => return Ok(spec.set_str(Tag::Hostname, hostname(value)?)?),
        Key::Cwd => return Ok(spec.set_str(Tag::Cwd, path(value)?)?),
        Key::Env => return environment(spec, value),
        Key::Mount => return mount(spec, value),
        Key::Device => return device(spec, value),
        Key::Tmpfs => {
            let strings = [&b"tmpfs"[..], path(value)?, b"tmpfs", b"nosuid,nodev"];
            return Ok(spec.push_strings(Tag::Mount, &strings)?);
        }
        Key::Cgroup => return cgroup(spec, name, value),
    };
    Ok(spec.set_number(tag, number)?)
}

/// An absolute path that climbs nowhere.
///
/// # Errors
/// It is empty, relative, too long or has a `..` in it.
pub fn path(value: &[u8]) -> Result<&[u8], Reason> {
    if value.first() != Some(&b'/') || value.split(|b| *b == b'/').any(|part| part == b"..") {
        return Err(Reason::Path);
    }
    if value.len() > PATH_MAX {
        return Err(Reason::TooLong);
    }
    Ok(value)
}

/// none, host or ADDR/BITS: the flags with it.
fn net(spec: &mut SpecBuf, value: &[u8]) -> Result<u32, Reason> {
    let rest = spec.view().flags() & !NO_LINK;
    let bit = match which("none host", value) {
        Some(0) => flags::NO_NET,
        Some(_) => flags::HOST_NET,
        None => {
            spec.set_address(inet::cidr(value).ok_or(Reason::Net)?)?;
            return Ok(rest);
        }
    };
    spec.remove(Tag::Address);
    match spec.view().wants_link() {
        true => Err(Reason::NoLink),
        false => Ok(rest | bit),
    }
}

fn tty(value: &[u8]) -> Result<u8, Reason> {
    match value {
        b"auto" => Ok(TTY_AUTO),
        b"none" => Ok(TTY_NONE),
        _ => name::slot(value).ok_or(Reason::Tty),
    }
}

fn hostname(value: &[u8]) -> Result<&[u8], Reason> {
    let word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    if value.len() > HOSTNAME_MAX {
        return Err(Reason::TooLong);
    }
    if !value.iter().all(word) || value.first() == Some(&b'-') {
        return Err(Reason::Hostname);
    }
    Ok(value)
}

/// K=V; an earlier value of the same K goes, since most programs would read the first.
fn environment(spec: &mut SpecBuf, value: &[u8]) -> Result<(), Reason> {
    let (key, rest) = cut(value, b'=');
    if key.is_empty() || rest.is_none() {
        return Err(Reason::Environment);
    }
    let with_its_sign = value.get(..=key.len()).unwrap_or_default();
    spec.remove_like(Tag::Env, with_its_sign);
    Ok(spec.push_str(Tag::Env, value)?)
}

/// UID[:GID], or names in their places. Without a GID it is the UID's number, never root's group. The largest
/// number is none: to setresuid(2) it means "leave it as it is".
fn user(spec: &mut SpecBuf, value: &[u8]) -> Result<(), Reason> {
    let (uid, gid) = cut(value, b':');
    let gid = gid.unwrap_or(uid);
    let id = |word: &[u8]| number::u32(word).filter(|n| *n != u32::MAX);
    // A name begins like one, so that no number with something behind it is taken for one (CVE-2026-30892).
    let known = |word: &[u8]| id(word).is_some() || is_name(word);
    if !known(uid) || !known(gid) {
        return Err(Reason::User);
    }
    spec.remove(Tag::UserName);
    spec.remove(Tag::User);
    match (id(uid), id(gid)) {
        (Some(uid), Some(gid)) => {
            let both = u64::from(uid) | u64::from(gid) << 32;
            Ok(spec.set_number(Tag::User, both)?)
        }
        _ => Ok(spec.push_str(Tag::UserName, value)?),
    }
}

/// Whether it may be a user's or a group's name.
fn is_name(word: &[u8]) -> bool {
    word.first()
        .is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
        && hostname(word).is_ok()
}

/// The folder that keeps what is written: a path, or a name in the store.
fn kept(value: &[u8]) -> Result<&[u8], Reason> {
    if name::is_valid(value) {
        Ok(value)
    } else {
        path(value)
    }
}

/// SRC:DST[:opt,opt].
fn mount(spec: &mut SpecBuf, value: &[u8]) -> Result<(), Reason> {
    let (source, rest) = cut(value, b':');
    let Some(rest) = rest else {
        return Err(Reason::Mount);
    };
    let (destination, options) = cut(rest, b':');
    bind(spec, source, destination, options)
}

/// A folder or file of the host's, with the options of a bind alone.
pub(super) fn bind(
    spec: &mut SpecBuf,
    source: &[u8],
    destination: &[u8],
    options: Option<&[u8]>,
) -> Result<(), Reason> {
    let mut rest = options;
    while let Some(some) = rest {
        let (option, behind) = cut(some, b',');
        which("ro rw nosuid nodev noexec rbind", option).ok_or(Reason::MountOption)?;
        rest = behind;
    }
    let options = options.unwrap_or_default();
    let strings = [path(source)?, path(destination)?, b"bind", options];
    Ok(spec.push_strings(Tag::Mount, &strings)?)
}

/// PATH[:rwm]; without a word about it, all three.
fn device(spec: &mut SpecBuf, value: &[u8]) -> Result<(), Reason> {
    let (node, allowed) = cut(value, b':');
    let allowed = allowed.unwrap_or(b"rwm");
    if allowed.is_empty() || allowed.iter().any(|b| !matches!(b, b'r' | b'w' | b'm')) {
        return Err(Reason::Device);
    }
    Ok(spec.push_strings(Tag::Device, &[path(node)?, allowed])?)
}

/// A decimal of up to three places (more are cut off) times a thousand.
pub(super) fn thousandths(value: &[u8]) -> Option<u32> {
    let (whole, places) = cut(value, b'.');
    let whole = number::u32(whole)?;
    let places = match places {
        None => 0,
        Some(places) => {
            number::u64(places)?;
            let three = places.iter().chain(b"00").take(3);
            three.fold(0, |sum, b| sum * 10 + u32::from(b - b'0'))
        }
    };
    whole.checked_mul(1000)?.checked_add(places)
}

fn restart(value: &[u8]) -> Result<u64, Reason> {
    let (word, retries) = cut(value, b':');
    let policy = match (which("no always on-failure", word), retries) {
        (Some(0), None) => Some(Restart::No),
        (Some(1), None) => Some(Restart::Always),
        (Some(2), None) => Some(Restart::OnFailure(0)),
        (Some(2), Some(retries)) => number::u32(retries).map(Restart::OnFailure),
        _ => None,
    };
    let policy = policy.ok_or(Reason::Restart)?;
    let [a, b, c, d, e] = policy.to_bytes();
    Ok(u64::from_le_bytes([a, b, c, d, e, 0, 0, 0]))
}

/// fd:N.
fn ready(value: &[u8]) -> Option<u64> {
    let number = number::u64(behind(value, b"fd:")?)?;
    Some(number).filter(|n| READY_FDS.contains(n))
}

/// NAME[,NAME]; further ones add up.
fn after(spec: &mut SpecBuf, value: &[u8]) -> Result<(), Reason> {
    let mut rest = Some(value);
    while let Some(some) = rest {
        let (other, behind) = cut(some, b',');
        if !name::is_valid(other) {
            return Err(Reason::BadName);
        }
        spec.push_str(Tag::After, other)?;
        rest = behind;
    }
    Ok(())
}

/// One of the three numbers of [`Tag::HealthTimes`]: two in seconds, the last a count.
fn health_time(spec: &mut SpecBuf, at: usize, value: &[u8]) -> Result<(), Reason> {
    let number = match at {
        8 => number::u32(value).ok_or(Reason::Number)?,
        _ => thousandths(value).ok_or(Reason::Seconds)?,
    };
    if number == 0 {
        return Err(Reason::Zero);
    }
    let mut all = spec.view().health_times();
    if let Some(place) = all.get_mut(at / 4) {
        *place = number;
    }
    let mut bytes = [0; 12];
    let mut w = Writer::new(&mut bytes);
    for n in all {
        w.u32(n);
    }
    Ok(spec.set(Tag::HealthTimes, &bytes)?)
}

/// Whether `name` is a file of cgroup v2 that may be set: a controller's, or a bound of
/// the tree. What moves, freezes, kills or delegates belongs to PID 1.
pub(super) fn is_cgroup_file(name: &[u8]) -> bool {
    let (controller, Some(file)) = cut(name, b'.') else {
        return false;
    };
    let known = match controller {
        b"cgroup" => behind(file, b"max.").is_some(),
        _ => which("cpu memory pids io cpuset hugetlb rdma misc", controller).is_some(),
    };
    known
        && !file.is_empty()
        && name.len() <= HOSTNAME_MAX
        && file
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'))
}

/// The value as the kernel reads it: sizes in bytes, a share of a processor as quota and
/// period, a blank where a person had to write a comma.
fn cgroup(spec: &mut SpecBuf, name: &[u8], value: &[u8]) -> Result<(), Reason> {
    let mut text = Text::<CGROUP_VALUE_MAX>::new();
    let sized = which("memory hugetlb", cut(name, b'.').0).is_some();
    let share = match value {
        [share @ .., b'%'] if name == b"cpu.max" => Some(share),
        _ => None,
    };
    if sized && value != b"max" {
        let size = number::size(value).ok_or(Reason::Size)?;
        decimal(&mut text, size);
    } else if let Some(share) = share {
        // A hundredth of a period of 100,000 us is 1,000 us.
        let quota = thousandths(share).ok_or(Reason::Share)?;
        put!(&mut text, "{} 100000", quota);
    } else {
        let mut rest = Some(value);
        let mut blank = &b""[..];
        while let Some(some) = rest {
            let (part, behind) = cut(some, b',');
            text.take(blank);
            text.take(part);
            (rest, blank) = (behind, b" ");
        }
    }
    if text.is_cut() {
        return Err(Reason::TooLong);
    }
    Ok(spec.push_strings(Tag::Cgroup, &[name, text.as_bytes()])?)
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
                (c"tmpfs", c"/run", c"tmpfs", c"nosuid,nodev"),
                (c"/a", c"/b", c"bind", c"ro,nosuid"),
                (c"/a", c"/c", c"bind", c""),
            ]
        );
        assert_eq!(with(&[("user", "7")]).view().user(), (7, 7));
        let named = with(&[("user", "7"), ("user", "www:1000")]);
        assert_eq!(named.view().string(Tag::UserName), Some(c"www:1000"));
        assert_eq!(named.view().user(), (0, 0));
        let back = with(&[
            ("net", "host"),
            ("net", "10.0.3.2/24"),
            ("seccomp", "off"),
            ("seccomp", "on"),
            ("no-new-privs", "no"),
            ("no-new-privs", "yes"),
        ]);
        assert_eq!(back.view().flags(), 0);
    }

    #[test]
    fn an_environment_and_a_check_may_have_lines() {
        let spec = with(&[("env", "A=1\n2\n"), ("health", "true\ntrue")]);
        assert_eq!(spec.view().string(Tag::Env), Some(c"A=1\n2\n"));
        assert_eq!(spec.view().string(Tag::Health), Some(c"true\ntrue"));
    }

    #[test]
    fn a_network_is_three_things_and_a_link_belongs_to_one() {
        let none = with(&[("net", "host"), ("net", "none")]);
        assert_eq!(none.view().flags(), flags::NO_NET);
        let link = with(&[
            ("net", "10.0.3.9/24"),
            ("net", "10.0.3.2/16"),
            ("gateway", "10.0.3.1"),
            ("mtu", "1400"),
            ("bridge", "br0"),
            ("publish", "8080:80"),
            ("publish", "53:53/udp"),
        ]);
        let spec = link.view();
        let address = inet::Cidr {
            address: [10, 0, 3, 2],
            bits: 16,
        };
        assert_eq!(spec.address(), Some(address));
        assert_eq!(spec.gateway(), Some([10, 0, 3, 1]));
        assert_eq!(
            (spec.mtu(), spec.string(Tag::Bridge)),
            (Some(1400), Some(c"br0"))
        );
        let ports: std::vec::Vec<_> = spec.published().collect();
        assert_eq!(ports, [(8080, 80, 6), (53, 53, 17)]);
        assert_eq!(spec.flags(), 0);
        // In whichever order the words stand.
        for key in ["gateway", "bridge", "mtu", "publish"] {
            for net in ["none", "host"] {
                let value = match key {
                    "gateway" => "10.0.0.1",
                    "bridge" => "br0",
                    "mtu" => "1400",
                    _ => "80:80",
                };
                let mut spec = with(&[(key, value)]);
                let late = apply(&mut spec, b"net", Some(net.as_bytes()));
                assert_eq!(late, Err(Reason::NoLink), "{key} {net}");
                let mut spec = with(&[("net", net)]);
                let late = apply(&mut spec, key.as_bytes(), Some(value.as_bytes()));
                assert_eq!(late, Err(Reason::NoLink), "{net} {key}");
            }
        }
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
            let reason = match key {
                "tty" => Reason::Tty,
                "user" => Reason::User,
                "cwd" | "tmpfs" => Reason::Path,
                "mount" if value.contains(':') => Reason::Path,
                "mount" => Reason::Mount,
                "device" => Reason::Device,
                "env" => Reason::Environment,
                "hostname" => Reason::Hostname,
                "stop-timeout" => Reason::Seconds,
                "restart" => Reason::Restart,
                "memory.max" => Reason::Size,
                "cpu.max" => Reason::Share,
                "net" => Reason::Net,
                "gateway" => Reason::Gateway,
                "bridge" => Reason::Bridge,
                "mtu" => Reason::Mtu,
                "publish" => Reason::Publish,
                "seccomp" => Reason::OnOff,
                _ => Reason::YesNo,
            };
            assert_eq!(got, Err(reason), "{key}={value}");
        };
        for bad in ["tty4", "tty", "1", "auto "] {
            must("tty", bad);
        }
        for bad in [
            "1000x",
            "0x0",
            "a/b",
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
        for bad in ["/dev/null:", "/dev/null:x", "/dev/null:rw,", "/a:/b"] {
            must("device", bad);
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
        for bad in [
            "bridge",
            "10.0.0.1",
            "10.0.0.0/24",
            "10.0.0.1/33",
            "127.0.0.1/8",
        ] {
            must("net", bad);
        }
        for bad in ["10.0.0.1/24", "0.0.0.0", "10.0.0"] {
            must("gateway", bad);
        }
        for bad in ["a/b", "sixteen-letters!", "."] {
            must("bridge", bad);
        }
        for bad in ["67", "65536", "-1", "1400x"] {
            must("mtu", bad);
        }
        for bad in ["80", "0:80", "80:65536", "80:80/icmp"] {
            must("publish", bad);
        }
        must("no-new-privs", "maybe");
        must("seccomp", "no");
        let one = |key: &'static [u8], value: Option<&'static [u8]>, reason| {
            assert_eq!(apply(&mut SpecBuf::new(), key, value), Err(reason));
        };
        one(b"fly", None, Reason::UnknownKey);
        one(b"tty", None, Reason::NoValue);
        one(b"tty", Some(b""), Reason::NoValue);
        one(b"read-only", Some(b"yes"), Reason::TakesNoValue);
        one(b"cap-add", Some(b"CHOWN,FLY"), Reason::Capability);
        one(b"mount", Some(b"/a:/b:ro,fly"), Reason::MountOption);
        one(b"hostname", Some(b"a\n"), Reason::Control);
        one(b"mount", Some(b"/a:/b\n"), Reason::Control);
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
            refused |= apply(&mut spec, b"env", Some(entry.as_bytes())) == Err(Reason::SpecFull);
        }
        assert!(refused);
    }
}
