//! A container as it is to be: a bounded value, every string resolved.
//!
//! The command (or PID 1 for the kernel's definitions) writes a spec, PID 1 checks
//! and keeps it, the child half of a launch walks it. It is a row of records: a tag, a
//! length, bytes; strings end in NUL so that the child hands them to the kernel as
//! they lie. Tags are the wire's and the re-executed PID 1's: never used again for
//! another meaning.

use core::ffi::CStr;
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
}

impl Tag {
    fn from_number(number: u8) -> Option<Tag> {
        const TAGS: [Tag; 16] = [
            Tag::Name,
            Tag::Root,
            Tag::Image,
            Tag::Tty,
            Tag::Arg,
            Tag::Env,
            Tag::Hostname,
            Tag::User,
            Tag::Cwd,
            Tag::Flags,
            Tag::Namespaces,
            Tag::Capabilities,
            Tag::Mount,
            Tag::Cgroup,
            Tag::Restart,
            Tag::StopTimeout,
        ];
        TAGS.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// How many NUL-ended strings the record holds; 0 for one of fixed size.
    fn strings(self) -> usize {
        match self {
            Tag::Name | Tag::Root | Tag::Image | Tag::Arg | Tag::Env | Tag::Hostname | Tag::Cwd => {
                1
            }
            Tag::Cgroup => 2,
            Tag::Mount => 4,
            _ => 0,
        }
    }

    /// The record's length where it is fixed.
    fn size(self) -> usize {
        match self {
            Tag::Tty => 1,
            Tag::Flags | Tag::Namespaces | Tag::StopTimeout => 4,
            Tag::Restart => 5,
            Tag::User | Tag::Capabilities => 8,
            _ => 0,
        }
    }
}

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
    /// It does not fit into [`SPEC_MAX`], or has too many words.
    TooLong,
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
        let len = u16::try_from(payload.len()).map_err(|_| BadSpec::TooLong)?;
        if self.bytes.len() + 3 + payload.len() > SPEC_MAX {
            return Err(BadSpec::TooLong);
        }
        let [low, high] = len.to_le_bytes();
        let _ = self.bytes.extend_from_slice(&[tag as u8, low, high]);
        let _ = self.bytes.extend_from_slice(payload);
        Ok(())
    }

    /// Adds a record of strings, each given its NUL; a NUL inside is refused.
    pub fn push_strings(&mut self, tag: Tag, strings: &[&[u8]]) -> Result<(), BadSpec> {
        let total: usize = strings.iter().map(|s| s.len() + 1).sum();
        let len = u16::try_from(total).map_err(|_| BadSpec::TooLong)?;
        if self.bytes.len() + 3 + total > SPEC_MAX {
            return Err(BadSpec::TooLong);
        }
        if strings.iter().any(|s| s.contains(&0)) {
            return Err(BadSpec::Malformed);
        }
        let [low, high] = len.to_le_bytes();
        let _ = self.bytes.extend_from_slice(&[tag as u8, low, high]);
        for s in strings {
            let _ = self.bytes.extend_from_slice(s);
            let _ = self.bytes.push(0);
        }
        Ok(())
    }

    /// Adds one string.
    pub fn push_str(&mut self, tag: Tag, string: &[u8]) -> Result<(), BadSpec> {
        self.push_strings(tag, &[string])
    }

    /// Takes out every record that `keep` does not want.
    pub fn retain(&mut self, keep: &dyn Fn(Record<'_>) -> bool) {
        let mut kept: Vec<u8, SPEC_MAX> = Vec::new();
        for record in self.view().records().filter(|r| keep(*r)) {
            // What is kept was there before, so it fits.
            let [low, high] = u16::try_from(record.bytes.len()).unwrap_or(0).to_le_bytes();
            let _ = kept.extend_from_slice(&[record.tag as u8, low, high]);
            let _ = kept.extend_from_slice(record.bytes);
        }
        self.bytes = kept;
    }

    /// Takes out every record of that tag, so that a later option replaces an earlier one.
    pub fn remove(&mut self, tag: Tag) {
        self.retain(&|record| record.tag != tag);
    }

    /// Replaces the record of that tag.
    pub fn set(&mut self, tag: Tag, payload: &[u8]) -> Result<(), BadSpec> {
        self.remove(tag);
        self.push(tag, payload)
    }

    /// Replaces the record of that tag, which is of fixed size, by the number's low bytes.
    pub fn set_number(&mut self, tag: Tag, number: u64) -> Result<(), BadSpec> {
        let bytes = number.to_le_bytes();
        self.set(tag, bytes.get(..tag.size()).unwrap_or_default())
    }

    /// Replaces the string of that tag.
    pub fn set_str(&mut self, tag: Tag, string: &[u8]) -> Result<(), BadSpec> {
        self.remove(tag);
        self.push_str(tag, string)
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

impl<'a> Record<'a> {
    /// Its strings, in order.
    pub fn strings(self) -> impl Iterator<Item = &'a CStr> {
        self.bytes
            .split_inclusive(|b| *b == 0)
            .filter_map(|s| CStr::from_bytes_with_nul(s).ok())
    }
}

/// The records of a spec, in order; stops at the first that is cut or unknown.
#[derive(Clone)]
pub struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let ([tag, low, high], rest) = self.rest.split_first_chunk()?;
        let tag = Tag::from_number(*tag)?;
        let (bytes, rest) =
            rest.split_at_checked(usize::from(u16::from_le_bytes([*low, *high])))?;
        self.rest = rest;
        Some(Record { tag, bytes })
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
            let strings = record.tag.strings();
            let good = if strings == 0 {
                record.bytes.len() == record.tag.size()
            } else {
                record.bytes.last() == Some(&0)
                    && record.bytes.iter().filter(|b| **b == 0).count() == strings
            };
            let bit = 1u32 << (record.tag as u8);
            let repeats = matches!(record.tag, Tag::Arg | Tag::Env | Tag::Mount | Tag::Cgroup);
            if !good || (!repeats && seen & bit != 0) {
                return Err(BadSpec::Malformed);
            }
            seen |= bit;
            args += usize::from(record.tag == Tag::Arg);
            envs += usize::from(record.tag == Tag::Env);
        }
        if !records.rest.is_empty() {
            return Err(BadSpec::Malformed);
        }
        if args > ARGS_MAX || envs > ENV_MAX {
            return Err(BadSpec::TooLong);
        }
        if !super::name::is_valid(spec.name().to_bytes()) {
            return Err(BadSpec::BadName);
        }
        Ok(spec)
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
    pub fn all(self, tag: Tag) -> impl Iterator<Item = &'a CStr> {
        self.records()
            .filter(move |r| r.tag == tag)
            .flat_map(Record::strings)
    }

    /// The first string of one tag.
    pub fn string(self, tag: Tag) -> Option<&'a CStr> {
        self.all(tag).next()
    }

    fn fixed<const N: usize>(self, tag: Tag) -> Option<[u8; N]> {
        self.records()
            .find(|r| r.tag == tag)
            .and_then(|r| r.bytes.try_into().ok())
    }

    /// The container's name.
    pub fn name(self) -> &'a CStr {
        self.string(Tag::Name).unwrap_or(c"")
    }

    /// The slot it wants, [`TTY_AUTO`] without a word about it.
    pub fn tty(self) -> u8 {
        self.fixed::<1>(Tag::Tty).map_or(TTY_AUTO, |[b]| b)
    }

    /// Bits of [`flags`].
    pub fn flags(self) -> u32 {
        self.fixed(Tag::Flags).map_or(0, u32::from_le_bytes)
    }

    /// New namespaces, `None` for the default set.
    pub fn namespaces(self) -> Option<u32> {
        self.fixed(Tag::Namespaces).map(u32::from_le_bytes)
    }

    /// Capabilities kept, `None` for the default set.
    pub fn capabilities(self) -> Option<u64> {
        self.fixed(Tag::Capabilities).map(u64::from_le_bytes)
    }

    /// uid and gid of the command.
    pub fn user(self) -> (u32, u32) {
        self.fixed(Tag::User)
            .map_or((0, 0), |[a, b, c, d, e, f, g, h]| {
                (
                    u32::from_le_bytes([a, b, c, d]),
                    u32::from_le_bytes([e, f, g, h]),
                )
            })
    }

    /// Grace at stop in milliseconds, `None` for the default.
    pub fn stop_timeout(self) -> Option<u32> {
        self.fixed(Tag::StopTimeout).map(u32::from_le_bytes)
    }

    /// When it is started again.
    pub fn restart(self) -> Restart {
        match self.fixed(Tag::Restart) {
            Some([1, a, b, c, d]) => Restart::OnFailure(u32::from_le_bytes([a, b, c, d])),
            Some([2, ..]) => Restart::Always,
            _ => Restart::No,
        }
    }

    /// Its mounts, in order.
    pub fn mounts(self) -> impl Iterator<Item = Mount<'a>> {
        self.records()
            .filter(|r| r.tag == Tag::Mount)
            .filter_map(|r| {
                let mut s = r.strings();
                Some(Mount {
                    source: s.next()?,
                    destination: s.next()?,
                    kind: s.next()?,
                    options: s.next()?,
                })
            })
    }

    /// Its cgroup files and values, in order.
    pub fn cgroup(self) -> impl Iterator<Item = (&'a CStr, &'a CStr)> {
        self.records()
            .filter(|r| r.tag == Tag::Cgroup)
            .filter_map(|r| {
                let mut s = r.strings();
                Some((s.next()?, s.next()?))
            })
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
