//! A container as it is to be: a bounded value, every string resolved.
//!
//! The command (or PID 1 for the kernel's definitions) writes a spec, PID 1 checks
//! and keeps it, the child half of a launch walks it. It is a row of records: a tag, a
//! length, bytes; strings end in NUL so that the child hands them to the kernel as
//! they lie. Tags are the wire's and the re-executed PID 1's: never used again for
//! another meaning.

use super::wire::Reader;
use core::ffi::CStr;

use super::inet::Cidr;
use heapless::Vec;

/// The most bytes a spec may have.
pub const SPEC_MAX: usize = 8192;
/// The most words a command may have, the program's own included.
pub const ARGS_MAX: usize = 64;
/// The most environment entries.
pub const ENV_MAX: usize = 128;

/// What a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Tag {
    /// The container's name. Once.
    Name = 1,
    /// The folder that is its root, as PID 1 sees it; without it, the host's root.
    Root = 2,
    /// What the person called it (an image, a folder), for lists.
    Image = 3,
    /// The slot it wants: 0 to 3, or one of [`TTY_AUTO`], [`TTY_NONE`]. One byte.
    Tty = 4,
    /// A word of the command; repeated in order.
    Arg = 5,
    /// An environment entry K=V; repeated in order.
    Env = 6,
    /// Its host name.
    Hostname = 7,
    /// uid, gid: two u32.
    User = 8,
    /// The working directory inside.
    Cwd = 9,
    /// Bits of [`flags`]: a u32.
    Flags = 10,
    /// New namespaces: CLONE_NEW* bits, a u32.
    Namespaces = 11,
    /// Capabilities kept: a u64 of bits by number.
    Capabilities = 12,
    /// source, destination, type, options (comma-separated), each ending in NUL; repeated.
    Mount = 13,
    /// A cgroup file's name and its value, each ending in NUL; repeated in order.
    Cgroup = 14,
    /// Restart policy: a byte of [`Restart`], then the retries as u32 (0: without end).
    Restart = 15,
    /// Grace at stop in milliseconds: a u32.
    StopTimeout = 16,
    /// Its address in its bridge: four bytes in the network's order, then the prefix's bits.
    Address = 17,
    /// The default route's gateway: four bytes in the network's order.
    Gateway = 18,
    /// The MTU of its interface: a u32.
    Mtu = 19,
    /// The bridge its interface's host end is a port of.
    Bridge = 20,
    /// A published port: the host's as u16, the container's as u16, the protocol (6 or 17); repeated.
    Publish = 21,
    /// A device node's path and what is allowed (of `rwm`), each ending in NUL; repeated.
    Device = 22,
    /// The name of a container that must be ready before this one starts; repeated.
    After = 23,
    /// The descriptor on which it writes a newline when it is ready: a u32.
    Ready = 24,
    /// The command that says whether it is well, for its own /bin/sh.
    Health = 25,
    /// The health command's interval and time limit in milliseconds, and its retries: three u32.
    HealthTimes = 26,
    /// The folder that keeps what it writes.
    Persist = 27,
    /// A resource limit: RLIMIT_* as a byte, soft and hard as u64; repeated.
    Rlimit = 28,
    /// The user, and behind a colon the group, by names of its own passwd and group files.
    UserName = 29,
    /// How the list of capabilities was read: 0 not at all, 1 as those taken away, 2 as those kept.
    Reading = 30,
}

impl Tag {
    fn from_number(number: u8) -> Option<Tag> {
        TAGS.get(usize::from(number).checked_sub(1)?).map(|t| t.0)
    }

    /// How many NUL-ended strings the record holds, and its length where it holds none.
    fn shape(self) -> (usize, usize) {
        let at = usize::from(self as u8 - 1); // numbers begin at 1
        TAGS.get(at)
            .map_or((0, 0), |t| (usize::from(t.1), usize::from(t.2)))
    }
}

/// Every tag by its number: how many strings its record holds, or its length.
const TAGS: [(Tag, u8, u8); 30] = [
    (Tag::Name, 1, 0),
    (Tag::Root, 1, 0),
    (Tag::Image, 1, 0),
    (Tag::Tty, 0, 1),
    (Tag::Arg, 1, 0),
    (Tag::Env, 1, 0),
    (Tag::Hostname, 1, 0),
    (Tag::User, 0, 8),
    (Tag::Cwd, 1, 0),
    (Tag::Flags, 0, 4),
    (Tag::Namespaces, 0, 4),
    (Tag::Capabilities, 0, 8),
    (Tag::Mount, 4, 0),
    (Tag::Cgroup, 2, 0),
    (Tag::Restart, 0, 5),
    (Tag::StopTimeout, 0, 4),
    (Tag::Address, 0, 5),
    (Tag::Gateway, 0, 4),
    (Tag::Mtu, 0, 4),
    (Tag::Bridge, 1, 0),
    (Tag::Publish, 0, 5),
    (Tag::Device, 2, 0),
    (Tag::After, 1, 0),
    (Tag::Ready, 0, 4),
    (Tag::Health, 1, 0),
    (Tag::HealthTimes, 0, 12),
    (Tag::Persist, 1, 0),
    (Tag::Rlimit, 0, 17),
    (Tag::UserName, 1, 0),
    (Tag::Reading, 0, 1),
];

/// Those that may stand in a spec more than once, a bit each.
const REPEATS: u32 = 1 << Tag::Arg as u8
    | 1 << Tag::Env as u8
    | 1 << Tag::Mount as u8
    | 1 << Tag::Cgroup as u8
    | 1 << Tag::Publish as u8
    | 1 << Tag::Device as u8
    | 1 << Tag::After as u8
    | 1 << Tag::Rlimit as u8;

/// Those that give a container files of its own, a bit each.
const FILES: u32 =
    1 << Tag::Root as u8 | 1 << Tag::Image as u8 | 1 << Tag::Mount as u8 | 1 << Tag::Persist as u8;

/// `--tty auto`: the first free of tty1, tty2, tty3, tty0, else a session without slot.
pub const TTY_AUTO: u8 = 0xff;
/// `--tty none`: pipes into the ring instead of a terminal.
pub const TTY_NONE: u8 = 0xfe;

/// Bits of [`Tag::Flags`].
pub mod flags {
    /// It lives only as long as the command that started it and that command's parent.
    pub const ATTACHED: u32 = 1;
    /// Its root is mounted read-only.
    pub const READ_ONLY: u32 = 1 << 1;
    /// All hardening lifted.
    pub const PRIVILEGED: u32 = 1 << 2;
    /// no_new_privs is not set.
    pub const NEW_PRIVS: u32 = 1 << 3;
    /// No seccomp filter.
    pub const NO_SECCOMP: u32 = 1 << 4;
    /// It shares the host's network.
    pub const HOST_NET: u32 = 1 << 5;
    /// It has a user namespace of its own.
    pub const USERNS: u32 = 1 << 6;
    /// A reaper of pouch's is its PID 1.
    pub const INIT: u32 = 1 << 7;
    /// It is removed when it ends, and ends with the command that started it (`pouch run`).
    pub const RUN: u32 = 1 << 8;
    /// Its environment is what was given and nothing else (container.json).
    pub const BARE_ENV: u32 = 1 << 9;
    /// Standard input is a terminal where it is started (`pouch run`), and so for output and error in the two bits above.
    pub const TERMINAL: u32 = 1 << 10;
    /// It has no link to a bridge, whatever `pouch.bridge` says.
    pub const NO_NET: u32 = 1 << 13;
}

/// Bits of [`Tag::Namespaces`]: CLONE_NEW* of clone(2).
pub mod namespaces {
    /// NEWNS.
    pub const MOUNTS: u32 = 1 << 17;
    /// NEWUTS.
    pub const UTS: u32 = 1 << 26;
    /// NEWUSER.
    pub const USER: u32 = 1 << 28;
    /// NEWNET.
    pub const NET: u32 = 1 << 30;
    /// Every bit that is one.
    pub const ALL: u32 = MOUNTS | 0x7e00_0000;
    /// Their names. NEWNS stands apart, the others begin with bit 25.
    pub const NAMES: &str = "NEWNS NEWCGROUP NEWUTS NEWIPC NEWUSER NEWPID NEWNET";

    /// The bit of that name, whatever the case of its letters.
    pub fn bit(name: &[u8]) -> Option<u64> {
        Some(match super::super::text::which_from(NAMES, 0, name)? {
            0 => u64::from(MOUNTS),
            number => 1 << (24 + number),
        })
    }
}

/// When an ended container is started again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Restart {
    /// Never by itself.
    #[default]
    No,
    /// After a failure, at most this many times in a row (0: without end).
    OnFailure(u32),
    /// Whenever it ended.
    Always,
}

/// Why bytes are no spec.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadSpec {
    /// It does not fit into [`SPEC_MAX`].
    TooLong,
    /// More than [`ARGS_MAX`] words of a command.
    Words,
    /// More than [`ENV_MAX`] environment entries.
    Entries,
    /// Files of its own, and the board's mount namespace.
    NeedsMounts,
    /// A host name of its own, and the board's UTS namespace.
    NeedsUts,
    /// A record is cut, unknown, doubled or of the wrong size.
    Malformed,
    /// The name is none.
    BadName,
}

/// A spec being written, or kept.
#[derive(Clone, Default)]
pub struct SpecBuf {
    bytes: Vec<u8, SPEC_MAX>,
}

impl SpecBuf {
    /// An empty one.
    pub const fn new() -> Self {
        SpecBuf { bytes: Vec::new() }
    }

    /// Keeps bytes that [`Spec::parse`] has accepted.
    pub fn keep(&mut self, spec: Spec<'_>) {
        self.bytes.clear();
        // A parsed spec is at most SPEC_MAX long, so this cannot fail.
        let _ = self.bytes.extend_from_slice(spec.bytes);
    }

    /// The bytes to send.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The spec to read; its bytes are those that `push` wrote or `keep` took.
    pub fn view(&self) -> Spec<'_> {
        Spec { bytes: &self.bytes }
    }

    /// Adds a record of fixed size. `Err` when the spec is full.
    pub fn push(&mut self, tag: Tag, payload: &[u8]) -> Result<(), BadSpec> {
        self.head(tag, payload.len())?;
        let _ = self.bytes.extend_from_slice(payload);
        Ok(())
    }

    /// Begins a record for which there is room.
    #[inline(never)]
    fn head(&mut self, tag: Tag, len: usize) -> Result<(), BadSpec> {
        if self.bytes.len() + 3 + len > SPEC_MAX {
            return Err(BadSpec::TooLong);
        }
        for byte in [tag as u8, len as u8, (len >> 8) as u8] {
            let _ = self.bytes.push(byte);
        }
        Ok(())
    }

    /// Adds a record of strings, each given its NUL; a NUL inside is refused.
    pub fn push_strings(&mut self, tag: Tag, strings: &[&[u8]]) -> Result<(), BadSpec> {
        let mut total = 0;
        for string in strings {
            if super::text::cut(string, 0).1.is_some() {
                return Err(BadSpec::Malformed);
            }
            total += string.len() + 1;
        }
        self.head(tag, total)?;
        for string in strings {
            let _ = self.bytes.extend_from_slice(string);
            let _ = self.bytes.push(0);
        }
        Ok(())
    }

    /// Adds one string.
    pub fn push_str(&mut self, tag: Tag, string: &[u8]) -> Result<(), BadSpec> {
        self.push_strings(tag, &[string])
    }

    /// Becomes `given`, with what `image` has and it lacks: a variable by its name, all else by its tag.
    ///
    /// # Errors
    /// Both together do not fit.
    pub fn merge(&mut self, given: Spec<'_>, image: Spec<'_>) -> Result<(), BadSpec> {
        // A name of a user is another way to say its number.
        let kind = |tag| match tag {
            Tag::UserName => Tag::User,
            tag => tag,
        };
        self.keep(given);
        let bare = given.flags() & flags::BARE_ENV != 0;
        for record in image.records() {
            let key = super::text::cut(record.bytes, b'=').0;
            let has = given.records().any(|other| {
                kind(other.tag) == kind(record.tag)
                    && (record.tag != Tag::Env || super::text::cut(other.bytes, b'=').0 == key)
            });
            if !(has || bare && record.tag == Tag::Env) {
                self.push(record.tag, record.bytes)?;
            }
        }
        Spec::parse(&self.bytes).map(drop)
    }

    /// Takes out every record of that tag whose bytes begin like this.
    #[inline(never)]
    pub fn remove_like(&mut self, tag: Tag, start: &[u8]) {
        let mut at = 0;
        while let Some(record) = (Records {
            rest: self.bytes.get(at..).unwrap_or_default(),
        })
        .next()
        {
            let end = at + 3 + record.bytes.len();
            if record.tag == tag && record.bytes.starts_with(start) {
                // What follows moves up.
                let len = self.bytes.len();
                let mut to = at;
                for from in end..len {
                    let byte = self.bytes.get(from).copied().unwrap_or_default();
                    if let Some(place) = self.bytes.get_mut(to) {
                        *place = byte;
                    }
                    to += 1;
                }
                self.bytes.truncate(to);
            } else {
                at = end;
            }
        }
    }

    /// Takes out every record of that tag, so that a later option replaces an earlier one.
    pub fn remove(&mut self, tag: Tag) {
        self.remove_like(tag, b"");
    }

    /// Replaces the record of that tag.
    pub fn set(&mut self, tag: Tag, payload: &[u8]) -> Result<(), BadSpec> {
        self.remove(tag);
        self.push(tag, payload)
    }

    /// Replaces the record of that tag, which is of fixed size, by the number's low bytes.
    pub fn set_number(&mut self, tag: Tag, number: u64) -> Result<(), BadSpec> {
        let bytes = number.to_le_bytes();
        self.set(tag, bytes.get(..tag.shape().1).unwrap_or_default())
    }

    /// Replaces the string of that tag.
    pub fn set_str(&mut self, tag: Tag, string: &[u8]) -> Result<(), BadSpec> {
        self.remove(tag);
        self.push_str(tag, string)
    }

    /// Replaces its address.
    pub fn set_address(&mut self, cidr: Cidr) -> Result<(), BadSpec> {
        let [a, b, c, d] = cidr.address;
        self.set(Tag::Address, &[a, b, c, d, cidr.bits])
    }

    /// Sets bits of [`flags`] beside those already set.
    pub fn add_flags(&mut self, bits: u32) -> Result<(), BadSpec> {
        let all = self.view().flags() | bits;
        self.set(Tag::Flags, &all.to_le_bytes())
    }
}

/// One record.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// What it is.
    pub tag: Tag,
    /// Its bytes, NULs included.
    pub bytes: &'a [u8],
}

/// The records of a spec, in order; stops at the first that is cut or unknown.
#[derive(Clone)]
pub struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    #[inline(never)]
    fn next(&mut self) -> Option<Record<'a>> {
        let ([tag, low, high], rest) = self.rest.split_first_chunk()?;
        let tag = Tag::from_number(*tag)?;
        let (bytes, rest) =
            rest.split_at_checked(usize::from(u16::from_le_bytes([*low, *high])))?;
        self.rest = rest;
        Some(Record { tag, bytes })
    }
}

/// The strings of one tag, in order, whichever record they are in.
#[derive(Clone)]
pub struct Strings<'a> {
    tag: Tag,
    records: Records<'a>,
    rest: &'a [u8],
}

impl<'a> Iterator for Strings<'a> {
    type Item = &'a CStr;

    #[inline(never)]
    fn next(&mut self) -> Option<&'a CStr> {
        while self.rest.is_empty() {
            let record = self.records.next()?;
            if record.tag == self.tag {
                self.rest = record.bytes;
            }
        }
        let end = self.rest.iter().position(|b| *b == 0)?;
        let (string, rest) = self.rest.split_at_checked(end + 1)?;
        self.rest = rest;
        CStr::from_bytes_with_nul(string).ok()
    }
}

/// One mount of a spec.
#[derive(Clone, Copy)]
pub struct Mount<'a> {
    /// What is mounted: a host path for a bind.
    pub source: &'a CStr,
    /// Where, inside.
    pub destination: &'a CStr,
    /// `bind`, `tmpfs` or another file system.
    pub kind: &'a CStr,
    /// Comma-separated options.
    pub options: &'a CStr,
}

/// A spec that has been checked.
#[derive(Clone, Copy)]
pub struct Spec<'a> {
    bytes: &'a [u8],
}

impl<'a> Spec<'a> {
    /// Checks bytes from a client or an older PID 1.
    ///
    /// # Errors
    /// [`BadSpec`] says whether it is too long, malformed, or lacks a valid name.
    pub fn parse(bytes: &'a [u8]) -> Result<Spec<'a>, BadSpec> {
        if bytes.len() > SPEC_MAX {
            return Err(BadSpec::TooLong);
        }
        let spec = Spec { bytes };
        let mut records = spec.records();
        let (mut args, mut envs, mut seen) = (0, 0, 0u32);
        for record in records.by_ref() {
            let (strings, size) = record.tag.shape();
            let nuls = record.bytes.iter().filter(|b| **b == 0).count();
            let good = match strings {
                0 => record.bytes.len() == size,
                _ => record.bytes.last() == Some(&0) && nuls == strings,
            };
            let bit = 1u32 << (record.tag as u8);
            if !good || seen & bit & !REPEATS != 0 {
                return Err(BadSpec::Malformed);
            }
            seen |= bit;
            args += usize::from(record.tag == Tag::Arg);
            envs += usize::from(record.tag == Tag::Env);
        }
        if !records.rest.is_empty() {
            return Err(BadSpec::Malformed);
        }
        if args > ARGS_MAX {
            return Err(BadSpec::Words);
        }
        if envs > ENV_MAX {
            return Err(BadSpec::Entries);
        }
        if let Some(lacks) = spec.lacks() {
            return Err(lacks);
        }
        if !super::name::is_valid(spec.name().to_bytes()) {
            return Err(BadSpec::BadName);
        }
        Ok(spec)
    }

    /// The namespace that it wants and does not make: a launch would mount, or name, the
    /// board itself.
    #[inline(never)]
    pub fn lacks(self) -> Option<BadSpec> {
        let new = self.namespaces()?;
        let mut seen = 0;
        for record in self.records() {
            seen |= 1u32 << (record.tag as u8);
        }
        if seen & FILES != 0 && new & namespaces::MOUNTS == 0 {
            return Some(BadSpec::NeedsMounts);
        }
        let named = seen & 1 << Tag::Hostname as u8 != 0;
        (named && new & namespaces::UTS == 0).then_some(BadSpec::NeedsUts)
    }

    /// The bytes that it is.
    pub fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Its records, in order.
    pub fn records(self) -> Records<'a> {
        Records { rest: self.bytes }
    }

    /// The strings of one tag, in order.
    pub fn all(self, tag: Tag) -> Strings<'a> {
        Strings {
            tag,
            records: self.records(),
            rest: b"",
        }
    }

    /// The first string of one tag.
    pub fn string(self, tag: Tag) -> Option<&'a CStr> {
        self.all(tag).next()
    }

    /// The bytes of a record of fixed size, as one number.
    #[inline(never)]
    fn number(self, tag: Tag) -> Option<u64> {
        let record = self.records().find(|r| r.tag == tag)?;
        let bytes = record.bytes.iter().rev();
        Some(bytes.fold(0, |sum, b| sum << 8 | u64::from(*b)))
    }

    /// The container's name.
    pub fn name(self) -> &'a CStr {
        self.string(Tag::Name).unwrap_or(c"")
    }

    /// The slot it wants, [`TTY_AUTO`] without a word about it.
    pub fn tty(self) -> u8 {
        self.number(Tag::Tty).map_or(TTY_AUTO, |n| n as u8)
    }

    /// Bits of [`flags`].
    pub fn flags(self) -> u32 {
        self.number(Tag::Flags).unwrap_or(0) as u32
    }

    /// Whether it has a user namespace of its own, by whichever word.
    pub fn has_users(self) -> bool {
        const CLONE_NEWUSER: u32 = 0x1000_0000;
        let listed = self.namespaces().unwrap_or(0) & CLONE_NEWUSER != 0;
        listed || self.flags() & flags::USERNS != 0
    }

    /// New namespaces, `None` for the default set.
    pub fn namespaces(self) -> Option<u32> {
        self.number(Tag::Namespaces).map(|n| n as u32)
    }

    /// Capabilities kept, `None` for the default set.
    pub fn capabilities(self) -> Option<u64> {
        self.number(Tag::Capabilities)
    }

    /// How a list of capabilities was read, as [`Tag::Reading`] has it.
    pub fn reading(self) -> u8 {
        self.number(Tag::Reading).unwrap_or(0) as u8
    }

    /// uid and gid of the command.
    pub fn user(self) -> (u32, u32) {
        let both = self.number(Tag::User).unwrap_or(0);
        (both as u32, (both >> 32) as u32)
    }

    /// Grace at stop in milliseconds, `None` for the default.
    pub fn stop_timeout(self) -> Option<u32> {
        self.number(Tag::StopTimeout).map(|n| n as u32)
    }

    /// The descriptor on which it says that it is ready.
    pub fn ready(self) -> Option<u32> {
        self.number(Tag::Ready).map(|n| n as u32)
    }

    /// The health command's interval and time limit in milliseconds, and its retries: docker's where nothing is said.
    pub fn health_times(self) -> [u32; 3] {
        let Some(record) = self.records().find(|r| r.tag == Tag::HealthTimes) else {
            return [30_000, 30_000, 3];
        };
        let mut r = Reader::new(record.bytes);
        [r.u32(), r.u32(), r.u32()]
    }

    /// When it is started again.
    pub fn restart(self) -> Restart {
        let number = self.number(Tag::Restart).unwrap_or(0);
        match number as u8 {
            1 => Restart::OnFailure((number >> 8) as u32),
            2 => Restart::Always,
            _ => Restart::No,
        }
    }

    /// The address it asks for.
    pub fn address(self) -> Option<Cidr> {
        let [a, b, c, d, bits, ..] = self.number(Tag::Address)?.to_le_bytes();
        Some(Cidr {
            address: [a, b, c, d],
            bits,
        })
    }

    /// Its default route's gateway.
    pub fn gateway(self) -> Option<[u8; 4]> {
        self.number(Tag::Gateway)
            .map(|number| (number as u32).to_le_bytes())
    }

    /// The MTU of its interface, `None` for the kernel's.
    pub fn mtu(self) -> Option<u32> {
        self.number(Tag::Mtu).map(|n| n as u32)
    }

    /// Whether it says something that only a link to a bridge can have.
    pub fn wants_link(self) -> bool {
        const TAGS: u32 = 1 << Tag::Address as u8
            | 1 << Tag::Gateway as u8
            | 1 << Tag::Mtu as u8
            | 1 << Tag::Bridge as u8
            | 1 << Tag::Publish as u8;
        self.records().any(|r| TAGS >> (r.tag as u8) & 1 != 0)
    }

    /// Its published ports: the host's, its own, the protocol's number.
    pub fn published(self) -> impl Iterator<Item = (u16, u16, u8)> {
        self.records().filter_map(|r| match *r.bytes {
            [a, b, c, d, protocol] if r.tag == Tag::Publish => Some((
                u16::from_le_bytes([a, b]),
                u16::from_le_bytes([c, d]),
                protocol,
            )),
            _ => None,
        })
    }

    /// Its mounts, in order. A record holds all four strings of one.
    pub fn mounts(self) -> impl Iterator<Item = Mount<'a>> {
        let mut strings = self.all(Tag::Mount);
        core::iter::from_fn(move || {
            Some(Mount {
                source: strings.next()?,
                destination: strings.next()?,
                kind: strings.next()?,
                options: strings.next()?,
            })
        })
    }

    /// Its cgroup files and values, in order. A record holds both.
    pub fn cgroup(self) -> impl Iterator<Item = (&'a CStr, &'a CStr)> {
        let mut strings = self.all(Tag::Cgroup);
        core::iter::from_fn(move || Some((strings.next()?, strings.next()?)))
    }
}

impl Restart {
    /// The record's bytes.
    pub fn to_bytes(self) -> [u8; 5] {
        let (kind, [a, b, c, d]) = match self {
            Restart::No => (0, [0; 4]),
            Restart::OnFailure(n) => (1, n.to_le_bytes()),
            Restart::Always => (2, [0; 4]),
        };
        [kind, a, b, c, d]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> SpecBuf {
        let mut s = SpecBuf::new();
        s.push_str(Tag::Name, b"web").unwrap();
        s.push_str(Tag::Root, b"/srv/web").unwrap();
        s.push(Tag::Tty, &[1]).unwrap();
        s.push_str(Tag::Arg, b"/bin/httpd").unwrap();
        s.push_str(Tag::Arg, b"-f").unwrap();
        s.push_strings(Tag::Cgroup, &[b"memory.max", b"16777216"])
            .unwrap();
        s.push(Tag::Restart, &Restart::OnFailure(3).to_bytes())
            .unwrap();
        s
    }

    #[test]
    fn what_is_pushed_is_read() {
        let s = sample();
        let spec = Spec::parse(s.as_bytes()).unwrap();
        assert_eq!(spec.name(), c"web");
        assert_eq!(spec.tty(), 1);
        assert_eq!(
            spec.all(Tag::Arg).collect::<std::vec::Vec<_>>(),
            [c"/bin/httpd", c"-f"]
        );
        assert_eq!(spec.cgroup().next(), Some((c"memory.max", c"16777216")));
        assert_eq!(spec.restart(), Restart::OnFailure(3));
        assert_eq!(spec.user(), (0, 0));
    }

    #[test]
    fn every_cut_and_every_flipped_byte_is_answered() {
        let s = sample();
        for end in 0..s.as_bytes().len() {
            let _ = Spec::parse(&s.as_bytes()[..end]).map(|p| p.records().count());
        }
        for at in 0..s.as_bytes().len() {
            for value in [0, 1, 3, 17, 0x7f, 0xff] {
                let mut bytes = s.as_bytes().to_vec();
                bytes[at] = value;
                if let Ok(p) = Spec::parse(&bytes) {
                    let _ = (
                        p.user(),
                        p.restart(),
                        p.mounts().count(),
                        p.cgroup().count(),
                        p.tty(),
                    );
                }
            }
        }
    }

    #[test]
    fn a_nul_in_a_string_and_an_overlong_spec_are_refused() {
        let mut s = SpecBuf::new();
        assert_eq!(s.push_str(Tag::Env, b"a\0b"), Err(BadSpec::Malformed));
        let long = [b'x'; SPEC_MAX];
        assert_eq!(s.push_str(Tag::Arg, &long), Err(BadSpec::TooLong));
    }

    #[test]
    fn a_later_option_replaces_an_earlier() {
        let mut s = sample();
        s.set(Tag::Tty, &[2]).unwrap();
        s.add_flags(flags::ATTACHED).unwrap();
        s.add_flags(flags::READ_ONLY).unwrap();
        let spec = Spec::parse(s.as_bytes()).unwrap();
        assert_eq!(spec.tty(), 2);
        assert_eq!(spec.flags(), flags::ATTACHED | flags::READ_ONLY);
        assert_eq!(spec.records().filter(|r| r.tag == Tag::Tty).count(), 1);
    }

    #[test]
    fn names_are_checked() {
        for bad in [&b"tty1"[..], b"a/b", b""] {
            let mut s = SpecBuf::new();
            s.push_str(Tag::Name, bad).unwrap();
            assert_eq!(Spec::parse(s.as_bytes()).err(), Some(BadSpec::BadName));
        }
        assert_eq!(Spec::parse(&[]).err(), Some(BadSpec::BadName));
    }
}
