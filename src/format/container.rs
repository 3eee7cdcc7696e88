//! container.json: the libcontainer format of February 2014, its later forms, and ours.
//!
//! One table of keys; most are options by another name. The list of capabilities means
//! those *taken away* in files of one age and those *kept* in files of another; the file's
//! shape tells its age, and what could mean both is refused, since the wrong reading gives
//! a container nearly everything it was to lose.

use core::ffi::CStr;

use super::json::{Reader, SIZE_MAX, kind::*};
use super::reason::Reason;
use super::spec::{BadSpec, SpecBuf, Tag, flags, namespaces};
use super::text::{Sink, alike, nth, which_from};
use super::wire::Writer;
use super::{capability, cmdline, number, options};

/// Where the board's owner defines containers: a folder for each, with its container.json.
pub const FOLDER: &CStr = c"/etc/pouch/containers/";

/// The keys of a file, in the order in which they are read.
const TOP: &str = "namespaces capabilities capabilities_mask capabilities_drop capabilities_keep \
    environment command mounts cgroup rlimits network networks health hostname user working_dir \
    cwd restart stop_timeout after ready tty seccomp readonly_fs devices rootfs";
/// Those of an interface, in `network` and in its later form.
const NET: &str = "type ip address gateway bridge mtu context prefix";
/// Those of `health`, where that is more than a command.
const HEALTH: &str = "command interval timeout retries";
/// How many keys there are in all, those of one behind those of the other.
const COUNT: usize = TOPS + 8 + 4;
/// How many of them a file itself may have.
const TOPS: usize = 26;

// The keys that are more than options, by their numbers. The first five are sets of names.
const NAMESPACES: usize = 0;
const LISTED: usize = 1;
const MASK: usize = 2;
const DROP: usize = 3;
const KEEP: usize = 4;
const ENVIRONMENT: usize = 5;
const COMMAND: usize = 6;
const MOUNTS: usize = 7;
const CGROUP: usize = 8;
const RLIMITS: usize = 9;
const NETWORK: usize = 10;
const NETWORKS: usize = 11;
const HEALTHS: usize = 12;
const HOSTNAME: usize = 13;
const TTY: usize = 21;
const SECCOMP: usize = 22;
const READ_ONLY: usize = 23;
const DEVICES: usize = 24;
const ROOTFS: usize = 25;
const NETS: usize = 26;
const MTU: usize = 31;
const CONTEXT: usize = 32;
const PREFIX: usize = 33;
const CHECKS: usize = 34;

/// The options that keys are, by their numbers; `-`: none.
const OPTIONS: &str = "- - - - - - - - - - - - health hostname user cwd cwd restart stop-timeout \
    after ready tty seccomp read-only device - - net net gateway bridge mtu - - health \
    health-interval health-timeout health-retries";
/// Of which kinds their values may be.
const KINDS: [u8; COUNT] = {
    let mut kinds = [TEXT; COUNT];
    kinds[18] = TEXT | NUMBER; // stop_timeout
    kinds[19] = TEXT | LIST; // after
    kinds[TTY] = TEXT | BOOL;
    kinds[SECCOMP] = TEXT | BOOL;
    kinds[READ_ONLY] = BOOL;
    kinds[MTU] = NUMBER;
    kinds[35] = TEXT | NUMBER;
    kinds[36] = TEXT | NUMBER;
    kinds[37] = TEXT | NUMBER;
    kinds
};

/// Resource limits by their numbers.
pub(super) const RLIMIT_NAMES: &str = "cpu fsize data stack core rss nproc nofile memlock as locks sigpending \
    msgqueue nice rtprio rttime";

/// Reads a definition into a spec, beside what that holds already.
///
/// `file` names it in messages, `folder` is where it lies, an absolute path. What is wrong
/// or unknown in it is said in `notes`, a line each. False: it is of no use.
#[inline(never)]
pub fn read(
    file: &[u8],
    folder: &[u8],
    text: &[u8],
    spec: &mut SpecBuf,
    notes: &mut Sink<'_>,
) -> bool {
    let mut places = [0; TOPS];
    let mut definition = Definition {
        reader: Reader::new(file, text, notes),
        spec,
        sets: [Set::default(); 5],
    };
    let done = match definition.reader.fields(TOP, &mut places) {
        _ if text.len() > SIZE_MAX => Err(Reason::JsonSize),
        Ok(()) => definition.all(&places, folder),
        Err(reason) => {
            // Where it is no JSON, that place is meant.
            definition.reader.here();
            Err(reason)
        }
    };
    if let Err(reason) = done {
        definition.reader.bad(reason);
    }
    done.is_ok()
}

/// Names with or without a yes or no behind each.
#[derive(Clone, Copy, Default)]
struct Set {
    on: u64,
    off: u64,
    /// How it is written, a bit each.
    shape: u8,
}

/// Shapes of a set: a list of strings, a map of yes and no, a list of `{key, enabled}`.
const STRINGS: u8 = 1;
const MAP: u8 = 2;
const OBJECTS: u8 = 4;

/// Values of [`Tag::Reading`]: the list as those taken away, or kept.
const TAKEN: u64 = 1;
const KEPT: u64 = 2;

/// A definition whose keys are found.
struct Definition<'a, 's, 'b> {
    reader: Reader<'a, 's>,
    spec: &'b mut SpecBuf,
    sets: [Set; 5],
}

impl Definition<'_, '_, '_> {
    /// Every value that was found; then what only all of them tell.
    fn all(&mut self, places: &[usize; TOPS], folder: &[u8]) -> Result<(), Reason> {
        self.values(places, 0)?;
        self.capabilities(places)?;
        if places[NAMESPACES] != 0 {
            self.namespaces(places)?;
        }
        self.root(places[ROOTFS], folder)?;
        // What is missing is said of the key that wants it.
        if let Some(lacks) = self.spec.view().lacks() {
            let named = lacks == BadSpec::NeedsUts;
            self.reader.go(places[NAMESPACES]);
            for key in if named {
                [HOSTNAME; 2]
            } else {
                [ROOTFS, MOUNTS]
            } {
                self.reader.go(places.get(key).copied().unwrap_or(0));
            }
            return Err(lacks.into());
        }
        Ok(())
    }

    #[inline(never)]
    fn values(&mut self, places: &[usize], first: usize) -> Result<(), Reason> {
        for (number, place) in places.iter().enumerate() {
            if self.reader.go(*place) {
                self.value(first + number)?;
            }
        }
        Ok(())
    }

    /// An object of options, whose keys are numbered from `first`.
    #[inline(never)]
    fn object(&mut self, names: &'static str, first: usize) -> Result<(), Reason> {
        let mut places = [0; 8];
        self.reader.fields(names, &mut places)?;
        let end = self.reader.place();
        let mut here = true;
        if first == NETS && self.reader.value(places[0], TEXT)? {
            // lo is there and up in any case.
            here = match &self.reader.string[..] {
                b"loopback" => false,
                b"veth" => true,
                _ => return Err(Reason::NetworkType),
            };
        }
        if here {
            self.values(&places, first)?;
        }
        self.reader.go(end);
        Ok(())
    }

    /// The value of the key of that number, where the reader stands.
    #[inline(never)]
    fn value(&mut self, key: usize) -> Result<(), Reason> {
        let object = self.reader.peek() == b'{';
        match key {
            NAMESPACES..=KEEP => {
                let set = self.set(key == NAMESPACES)?;
                if let Some(place) = self.sets.get_mut(key) {
                    *place = set;
                }
                Ok(())
            }
            CGROUP | RLIMITS | MOUNTS | NETWORKS | ENVIRONMENT | COMMAND | DEVICES => {
                self.each(key)
            }
            NETWORK | CONTEXT => self.object(NET, NETS),
            HEALTHS if object => self.object(HEALTH, CHECKS),
            ROOTFS | NETS | PREFIX => Ok(()),
            _ => self.option(key),
        }
    }

    /// The text that comes next as the option that its key is; nothing where it is empty.
    #[inline(never)]
    fn option(&mut self, key: usize) -> Result<(), Reason> {
        self.reader.string.clear();
        self.reader.text(KINDS.get(key).copied().unwrap_or(TEXT))?;
        let name = nth(OPTIONS, b' ', key).unwrap_or_default().as_bytes();
        let value: &[u8] = match (key, &self.reader.string[..]) {
            // Not said; and of the MTU the kernel's own.
            (_, b"") | (READ_ONLY, b"false") | (MTU, b"0") => return Ok(()),
            (READ_ONLY, _) => b"",
            (TTY, b"true") => b"auto",
            (TTY, b"false") => b"none",
            (SECCOMP, b"true") => b"on",
            (SECCOMP, b"false") => b"off",
            (_, value) => value,
        };
        let value = Some(value).filter(|v| !v.is_empty());
        options::apply(self.spec, name, value)
    }

    /// What a list, or a map, holds, one by one.
    fn each(&mut self, key: usize) -> Result<(), Reason> {
        let open = self.reader.peek();
        let tag = match key {
            COMMAND => Tag::Arg,
            _ => Tag::Env,
        };
        match (key, open) {
            (COMMAND, b'"') => {
                self.reader.string.clear();
                self.reader.text(TEXT)?;
                return cmdline::command(self.spec, &self.reader.string);
            }
            (ENVIRONMENT, _) => self.spec.add_flags(flags::BARE_ENV)?,
            _ => {}
        }
        match (key, open) {
            (CGROUP | RLIMITS, b'{') => {}
            (CGROUP, _) => return Err(Reason::JsonObject),
            (_, b'[') => {}
            _ => return Err(Reason::JsonList),
        }
        let close = self.reader.enter();
        while self.reader.more(close)? {
            match key {
                NETWORKS => self.object(NET, NETS)?,
                MOUNTS => self.mount()?,
                DEVICES => self.option(DEVICES)?,
                CGROUP => {
                    self.reader.key()?;
                    let file = self.reader.string.len();
                    if !options::is_cgroup_file(&self.reader.string) {
                        return Err(Reason::UnknownKey);
                    }
                    self.reader.go(self.reader.place());
                    self.reader.text(TEXT | NUMBER)?;
                    let both = self.reader.string.split_at_checked(file);
                    let (file, value) = both.unwrap_or_default();
                    options::apply(self.spec, file, Some(value))?;
                }
                RLIMITS => self.limit(open)?,
                _ => {
                    self.reader.string.clear();
                    self.reader.text(TEXT)?;
                    self.spec.push_str(tag, &self.reader.string)?;
                }
            }
        }
        Ok(())
    }

    /// Names with or without a yes or no behind each.
    #[inline(never)]
    fn set(&mut self, namespaces: bool) -> Result<Set, Reason> {
        let mut set = Set::default();
        let open = self.reader.peek();
        let close = match open {
            b'{' => self.reader.enter(),
            _ => self.reader.list()?,
        };
        while self.reader.more(close)? {
            let mut places = [0; 2];
            let mut end = 0;
            if open == b'{' {
                set.shape |= MAP;
                self.reader.key()?;
                places[1] = self.reader.place();
            } else if self.reader.peek() == b'{' {
                set.shape |= OBJECTS;
                self.reader.fields("key enabled", &mut places)?;
                end = self.reader.place();
                self.reader.value(places[0], TEXT)?;
            } else {
                set.shape |= STRINGS;
                self.reader.string.clear();
                self.reader.text(TEXT)?;
            }
            let name = &self.reader.string[..];
            let (bit, reason) = match namespaces {
                true => (namespaces::bit(name), Reason::Namespace),
                false => (capability::one(name), Reason::Capability),
            };
            let bit = bit.ok_or(reason)?;
            let is_off = self.reader.value(places[1], BOOL)? && self.reader.string[..] == *b"false";
            *(if is_off { &mut set.off } else { &mut set.on }) |= bit;
            self.reader.go(end);
        }
        if open == b'{' {
            set.shape = MAP;
        }
        Ok(set)
    }

    /// Exactly these are made new.
    fn namespaces(&mut self, places: &[usize; TOPS]) -> Result<(), Reason> {
        let on = self.sets[NAMESPACES].on;
        if on & u64::from(namespaces::USER) != 0 {
            self.spec.add_flags(flags::USERNS)?;
        }
        self.spec.set_number(Tag::Namespaces, on)?;
        let own = on & u64::from(namespaces::NET) != 0;
        if places[NETWORK] == 0 && places[NETWORKS] == 0 {
            let net: &[u8] = if own { b"none" } else { b"host" };
            return options::apply(self.spec, b"net", Some(net));
        }
        self.reader.go(places[NETWORKS]);
        self.reader.go(places[NETWORK]);
        if own { Ok(()) } else { Err(Reason::NeedsNet) }
    }

    /// Which are kept, by whichever keys say so.
    fn capabilities(&mut self, places: &[usize; TOPS]) -> Result<(), Reason> {
        let [namespaces, listed, mask, drop, keep] = self.sets;
        let others = places[MASK] | places[DROP] | places[KEEP] != 0;
        let (mut kept, mut reading) = (capability::ALL, TAKEN);
        if self.reader.go(places[LISTED]) {
            let shaped = namespaces.shape & !STRINGS;
            let known = places[NAMESPACES] != 0;
            let old = places[NETWORK] != 0 || known && shaped == 0;
            let new = places[NETWORKS] != 0 || shaped != 0;
            match (old, new) {
                _ if others || shaped & OBJECTS != 0 => return Err(Reason::Mixture),
                (true, true) => return Err(Reason::Mixture),
                (false, false) => return Err(Reason::Age),
                (true, false) => kept = !listed.on & capability::ALL,
                (false, true) => (kept, reading) = (listed.on, KEPT),
            }
        } else if !others {
            return Ok(());
        }
        // A mask of bare names takes them away; one with yes and no takes what is no.
        kept &= !if mask.shape & !STRINGS == 0 {
            mask.on
        } else {
            mask.off
        };
        if places[KEEP] != 0 {
            (kept, reading) = (kept & keep.on, KEPT);
        }
        self.spec.set_number(Tag::Reading, reading)?;
        Ok(self.spec.set_number(Tag::Capabilities, kept & !drop.on)?)
    }

    /// `{type, source, destination, options}`.
    fn mount(&mut self) -> Result<(), Reason> {
        let mark = self.reader.place();
        let mut places = [0; 4];
        self.reader
            .fields("source destination type options", &mut places)?;
        let end = self.reader.place();
        let mut ends = [0; 4];
        // A file system without a device is called by its type.
        if places[0] == 0 {
            places[0] = places[2];
        }
        // One behind the other with a NUL behind each, as a record has them: no string has one inside.
        self.reader.string.clear();
        for (place, end) in places.iter().zip(&mut ends) {
            if self.reader.go(*place) {
                self.reader.text(TEXT | LIST)?;
            }
            *end = self.reader.string.len();
            let _ = self.reader.string.push(0);
        }
        self.reader.go(mark);
        let all = &self.reader.string[..];
        let part = |from: usize, to: usize| all.get(from..to).unwrap_or_default();
        let [a, b, c, d] = ends;
        let (source, kind, rest) = (part(0, a), part(b + 1, c), part(c + 1, d));
        let destination = part(a + 1, b);
        // Files of that spring list the devices' file system, which is there in any case.
        if !(kind == b"devtmpfs" && destination.is_empty()) {
            match kind {
                b"" | b"bind" => {
                    let rest = Some(rest).filter(|o| !o.is_empty());
                    options::bind(self.spec, source, destination, rest)?;
                }
                _ => {
                    options::path(destination)?;
                    self.spec.push(Tag::Mount, all)?;
                }
            }
        }
        self.reader.go(end);
        Ok(())
    }

    /// `NAME: LIMIT` of a map, or `{type, soft, hard}` of a list.
    fn limit(&mut self, open: u8) -> Result<(), Reason> {
        let mark = self.reader.place();
        let mut places = [0; 3];
        self.reader.string.clear();
        if open == b'{' {
            self.reader.key()?;
        }
        let mut name = rlimit(&self.reader.string);
        let value = self.reader.place();
        if self.reader.peek() == b'{' {
            self.reader.fields("type soft hard", &mut places)?;
        } else {
            self.reader.skip(1)?;
            places = [0, value, value];
        }
        let end = self.reader.place();
        let [_, soft, hard] = &mut places;
        // One alone is both.
        *soft = if *soft == 0 { *hard } else { *soft };
        *hard = if *hard == 0 { *soft } else { *hard };
        if self.reader.value(places[0], TEXT)? {
            name = rlimit(&self.reader.string);
        }
        let mut record = [0; 17];
        let mut w = Writer::new(&mut record);
        w.u8(name.ok_or(Reason::Rlimit)?);
        for place in places.iter().skip(1) {
            self.reader.value(*place, TEXT | NUMBER)?;
            w.u64(match &self.reader.string[..] {
                b"unlimited" | b"-1" => u64::MAX,
                digits => number::u64(digits).ok_or(Reason::Rlimit)?,
            });
        }
        self.reader.go(mark);
        self.spec.push(Tag::Rlimit, &record)?;
        self.reader.go(end);
        Ok(())
    }

    /// The file's folder is the root, unless `rootfs` names another; `/` is the host's own.
    fn root(&mut self, place: usize, folder: &[u8]) -> Result<(), Reason> {
        self.reader.value(place, TEXT)?;
        let mut room = [0; 4096];
        let mut path = Writer::new(&mut room);
        let rest = &self.reader.string[..];
        if rest.first() != Some(&b'/') {
            path.raw(folder);
            if !rest.is_empty() {
                path.u8(b'/');
            }
        }
        path.raw(rest);
        let path = path.finish().ok_or(Reason::TooLong)?;
        if path == b"/" {
            return Ok(());
        }
        self.spec.set_str(Tag::Root, path)?;
        Ok(self.spec.set_str(Tag::Image, path)?)
    }
}

/// The number of `nofile` or `RLIMIT_NOFILE`.
fn rlimit(name: &[u8]) -> Option<u8> {
    let bare = match name.split_at_checked(7) {
        Some((start, rest)) if alike(start, b"RLIMIT_") => rest,
        _ => name,
    };
    Some(which_from(RLIMIT_NAMES, 0, bare)? as u8)
}

#[cfg(test)]
mod tests;
