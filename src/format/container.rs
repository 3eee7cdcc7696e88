//! container.json: the libcontainer format of February 2014, its later forms, and ours.
//!
//! Every key becomes records of a spec, most of them by the options they are named after.
//! The list of capabilities means those *taken away* in files of one age and those *kept*
//! in files of another; the file's shape tells its age, and what could mean both is
//! refused, since the wrong reading gives a container nearly everything it was to lose.

use super::json::{Reader, SIZE_MAX, kind};
use super::reason::Reason;
use super::spec::{SpecBuf, Tag, flags, namespaces};
use super::text::{Sink, cut, nth, which_from};
use super::wire::Writer;
use super::{capability, cmdline, number, options};

/// Keys that are options by themselves, then those that are more.
const KEYS: &str = "hostname user working_dir cwd restart stop_timeout after ready devices tty \
    seccomp readonly_fs health environment command namespaces network networks capabilities \
    capabilities_mask capabilities_drop capabilities_keep mounts cgroup rlimits rootfs";
/// The options that the first ones are.
const OPTIONS: &str = "hostname user cwd cwd restart stop-timeout after ready device tty seccomp \
    read-only health";
/// Of what kinds their values may be, in the same order.
const KINDS: [u8; 13] = [
    kind::TEXT,
    kind::TEXT,
    kind::TEXT,
    kind::TEXT,
    kind::TEXT,
    kind::TEXT | kind::NUMBER,
    kind::TEXT | kind::LIST,
    kind::TEXT,
    kind::LIST,
    kind::TEXT | kind::BOOL,
    kind::TEXT | kind::BOOL,
    kind::BOOL,
    kind::TEXT,
];
/// The number of each of the others.
const HOSTNAME: usize = 0;
const DEVICES: usize = 8;
const TTY: usize = 9;
const READ_ONLY: usize = 11;
const HEALTH: usize = 12;
const ENVIRONMENT: usize = 13;
const COMMAND: usize = 14;
const NAMESPACES: usize = 15;
const NETWORK: usize = 16;
const NETWORKS: usize = 17;
const CAPABILITIES: usize = 18;
const MASK: usize = 19;
const DROP: usize = 20;
const KEEP: usize = 21;
const MOUNTS: usize = 22;
const CGROUP: usize = 23;
const RLIMITS: usize = 24;
const ROOTFS: usize = 25;
const COUNT: usize = 26;

/// Where the value of each key begins; 0 where there is none.
type Places = [usize; COUNT];

/// Resource limits by their numbers.
const RLIMIT_NAMES: &str = "cpu fsize data stack core rss nproc nofile memlock as locks sigpending \
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
    let mut reader = Reader::new(file, text, notes);
    let mut places: Places = [0; COUNT];
    if text.len() > SIZE_MAX {
        reader.wrong(Reason::JsonSize);
        return false;
    }
    if let Err(reason) = reader.fields(KEYS, &mut places) {
        reader.wrong(reason);
        return false;
    }
    let mut definition = Definition {
        reader,
        places,
        spec,
        shape: 0,
    };
    match definition.read(folder) {
        Ok(()) => true,
        Err(reason) => {
            definition.reader.bad(reason);
            false
        }
    }
}

/// A definition whose keys are found.
struct Definition<'a, 's, 'b> {
    reader: Reader<'a, 's>,
    places: Places,
    spec: &'b mut SpecBuf,
    /// How the namespaces are written.
    shape: u8,
}

/// Shapes of a set of names, a bit each: a list of strings, a map of yes and no, a list of objects.
const STRINGS: u8 = 1;
const MAP: u8 = 2;
const OBJECTS: u8 = 4;

impl Definition<'_, '_, '_> {
    fn place(&self, key: usize) -> usize {
        self.places.get(key).copied().unwrap_or(0)
    }

    fn read(&mut self, folder: &[u8]) -> Result<(), Reason> {
        self.namespaces()?;
        self.options()?;
        self.words(ENVIRONMENT, Tag::Env)?;
        self.words(COMMAND, Tag::Arg)?;
        self.network()?;
        self.capabilities()?;
        self.mounts()?;
        self.cgroup()?;
        self.rlimits()?;
        self.root(folder)
    }

    /// The text at that place as the option of that name; nothing where it is missing or empty.
    fn option(&mut self, place: usize, kinds: u8, name: &'static str) -> Result<(), Reason> {
        match self.reader.value(place, kinds)? {
            true => options::apply(self.spec, name.as_bytes(), Some(&self.reader.string)),
            false => Ok(()),
        }
    }

    fn options(&mut self) -> Result<(), Reason> {
        for (key, kinds) in KINDS.iter().enumerate() {
            let place = self.place(key);
            let name = nth(OPTIONS, b' ', key).unwrap_or_default();
            if key == DEVICES {
                self.devices(place)?;
                continue;
            }
            if key == HEALTH && self.reader.go(place) && self.reader.peek() == b'{' {
                self.health()?;
                continue;
            }
            if !self.reader.value(place, *kinds)? {
                continue;
            }
            // What true and false mean to each.
            let value: &[u8] = match (key, &self.reader.string[..]) {
                (READ_ONLY, b"false") => continue,
                (READ_ONLY, _) => b"",
                (TTY, b"true") => b"auto",
                (TTY, b"false") => b"none",
                (_, b"true") => b"on",
                (_, b"false") => b"off",
                (_, value) => value,
            };
            let value = Some(value).filter(|v| !v.is_empty());
            options::apply(self.spec, name.as_bytes(), value)?;
        }
        Ok(())
    }

    fn devices(&mut self, place: usize) -> Result<(), Reason> {
        if self.reader.go(place) {
            let close = self.reader.list()?;
            while self.reader.more(close)? {
                let at = self.reader.place();
                self.option(at, kind::TEXT, "device")?;
            }
        }
        Ok(())
    }

    /// `{command, interval, timeout, retries}`, times in seconds.
    fn health(&mut self) -> Result<(), Reason> {
        let mut places = [0; 4];
        self.reader
            .fields("interval timeout retries command", &mut places)?;
        let [.., command] = places;
        self.option(command, kind::TEXT, "health")?;
        let mut times = [0; 12];
        let mut w = Writer::new(&mut times);
        for (number, place) in places.iter().take(3).enumerate() {
            let given = self.reader.value(*place, kind::TEXT | kind::NUMBER)?;
            let text = &self.reader.string[..];
            w.u32(match number {
                _ if !given => 0,
                2 => number::u32(text).ok_or(Reason::Number)?,
                _ => options::thousandths(text).ok_or(Reason::Seconds)?,
            });
        }
        let given = places.iter().take(3).any(|p| *p != 0);
        match w.finish() {
            Some(times) if given => Ok(self.spec.set(Tag::HealthTimes, times)?),
            _ => Ok(()),
        }
    }

    /// A list of strings, each as it is: the environment, and a command, which may be one string too.
    fn words(&mut self, key: usize, tag: Tag) -> Result<(), Reason> {
        if !self.reader.go(self.place(key)) {
            return Ok(());
        }
        if tag == Tag::Arg && self.reader.peek() == b'"' {
            self.reader.string.clear();
            self.reader.text(kind::TEXT)?;
            return cmdline::command(self.spec, &self.reader.string);
        }
        if tag == Tag::Env {
            self.spec.add_flags(flags::BARE_ENV)?;
        }
        let close = self.reader.list()?;
        while self.reader.more(close)? {
            self.reader.string.clear();
            self.reader.text(kind::TEXT)?;
            self.spec.push_str(tag, &self.reader.string)?;
        }
        Ok(())
    }

    /// Names with or without a yes or no behind each: a list of strings, a map, or a list
    /// of `{key, enabled}`. Hands back those that are on, those that are off, and the shape:
    /// one bit for each of the three.
    fn set(
        &mut self,
        key: usize,
        bit: &dyn Fn(&[u8]) -> Option<u64>,
        reason: Reason,
    ) -> Result<(u64, u64, u8), Reason> {
        let (mut on, mut off, mut shape) = (0, 0, 0);
        if !self.reader.go(self.place(key)) {
            return Ok((on, off, shape));
        }
        let close = match self.reader.peek() {
            b'{' => self.reader.enter(),
            _ => self.reader.list()?,
        };
        if close == b'}' {
            shape = MAP;
        }
        while self.reader.more(close)? {
            let mut value = 0;
            let mut end = 0;
            if close == b'}' {
                self.reader.key()?;
                value = self.reader.place();
            } else if self.reader.peek() == b'{' {
                shape |= OBJECTS;
                let mut places = [0; 2];
                self.reader.fields("key enabled", &mut places)?;
                end = self.reader.place();
                let [key, enabled] = places;
                value = enabled;
                self.reader.value(key, kind::TEXT)?;
            } else {
                shape |= STRINGS;
                self.reader.string.clear();
                self.reader.text(kind::TEXT)?;
                end = self.reader.place();
            }
            let bit = bit(&self.reader.string).ok_or(reason)?;
            let mut is_off = false;
            if value != 0 {
                self.reader.value(value, kind::BOOL)?;
                is_off = self.reader.string[..] == b"false"[..];
            }
            match is_off {
                true => off |= bit,
                false => on |= bit,
            }
            if end != 0 {
                self.reader.go(end);
            }
        }
        Ok((on, off, shape))
    }

    fn namespaces(&mut self) -> Result<(), Reason> {
        let (on, _, shape) = self.set(NAMESPACES, &namespaces::bit, Reason::Namespace)?;
        self.shape = shape;
        if self.place(NAMESPACES) == 0 {
            return Ok(());
        }
        if on & u64::from(namespaces::USER) != 0 {
            self.spec.add_flags(flags::USERNS)?;
        }
        Ok(self.spec.set_number(Tag::Namespaces, on)?)
    }

    /// `network {ip, gateway, bridge, mtu}`, or the one veth of `networks`.
    fn network(&mut self) -> Result<(), Reason> {
        let mut places = [0; 4];
        let mut found = self.place(NETWORK);
        if self.reader.go(found) {
            self.reader.fields("ip gateway bridge mtu", &mut places)?;
        }
        if self.reader.go(self.place(NETWORKS)) {
            let close = self.reader.list()?;
            while self.reader.more(close)? {
                let at = self.reader.place();
                let mut later = [0; 5];
                self.reader
                    .fields("address gateway mtu type context", &mut later)?;
                let end = self.reader.place();
                let [ip, gateway, mtu, how, context] = later;
                // `prefix` names the host's end: pouch names that itself.
                let mut inner = [0; 2];
                if self.reader.go(context) {
                    self.reader.fields("bridge prefix", &mut inner)?;
                }
                let [bridge, _] = inner;
                let given = self.reader.value(how, kind::TEXT)?;
                match &self.reader.string[..] {
                    // lo is there and up in any case.
                    b"loopback" => {}
                    b"veth" if given && found == 0 => {
                        found = at;
                        places = [ip, gateway, bridge, mtu];
                    }
                    _ => return Err(Reason::NetworkType),
                }
                self.reader.go(end);
            }
        }
        let new = self.spec.view().namespaces();
        let own = new.is_none_or(|n| n & namespaces::NET != 0);
        if found != 0 {
            if !own {
                self.reader.go(found);
                return Err(Reason::NeedsNet);
            }
            let [ip, gateway, bridge, mtu] = places;
            self.option(ip, kind::TEXT, "net")?;
            self.option(gateway, kind::TEXT, "gateway")?;
            self.option(bridge, kind::TEXT, "bridge")?;
            // None, and 0 in old files, is the kernel's own.
            if self.reader.value(mtu, kind::NUMBER)? && self.reader.string[..] != b"0"[..] {
                self.option(mtu, kind::NUMBER, "mtu")?;
            }
        } else if new.is_some() {
            let net: &[u8] = if own { b"none" } else { b"host" };
            options::apply(self.spec, b"net", Some(net))?;
        }
        Ok(())
    }

    /// Which are kept, by whichever key says so.
    fn capabilities(&mut self) -> Result<(), Reason> {
        let bit = |name: &[u8]| capability::set(name).filter(|_| !name.contains(&b','));
        let mut read = |key| self.set(key, &bit, Reason::Capability);
        let (listed, _, _) = read(CAPABILITIES)?;
        let (on, off, shape) = read(MASK)?;
        let (keep, _, _) = read(KEEP)?;
        let (drop, _, _) = read(DROP)?;
        let [listed_at, mask_at, keep_at, drop_at] =
            [CAPABILITIES, MASK, KEEP, DROP].map(|key| self.place(key));
        if listed_at == 0 && mask_at == 0 && keep_at == 0 && drop_at == 0 {
            return Ok(());
        }
        self.reader.go(listed_at);
        let namespaces = self.place(NAMESPACES) != 0;
        let as_taken = self.place(NETWORK) != 0 || namespaces && self.shape & !STRINGS == 0;
        let as_kept = self.place(NETWORKS) != 0 || namespaces && self.shape & !STRINGS != 0;
        let others = mask_at != 0 || keep_at != 0 || drop_at != 0;
        let (mut kept, mut reading) = (capability::ALL, TAKEN);
        match (listed_at != 0, as_taken, as_kept) {
            (false, ..) => {}
            (true, false, false) if !others => return Err(Reason::Age),
            (true, true, false) if !others => kept &= !listed,
            (true, false, true) if !others && self.shape & OBJECTS == 0 => {
                (kept, reading) = (listed, KEPT);
            }
            _ => return Err(Reason::Mixture),
        }
        // A mask of bare names takes them away; one with yes and no takes what is no.
        kept &= !if shape & !STRINGS == 0 { on } else { off };
        if keep_at != 0 {
            (kept, reading) = (kept & keep, KEPT);
        }
        kept &= !drop;
        self.spec.set_number(Tag::Reading, reading)?;
        Ok(self.spec.set_number(Tag::Capabilities, kept)?)
    }

    fn mounts(&mut self) -> Result<(), Reason> {
        if !self.reader.go(self.place(MOUNTS)) {
            return Ok(());
        }
        let close = self.reader.list()?;
        while self.reader.more(close)? {
            let at = self.reader.place();
            let mut places = [0; 4];
            self.reader
                .fields("source destination type options", &mut places)?;
            let end = self.reader.place();
            // One behind the other, with a NUL behind each: no string has one inside.
            self.reader.string.clear();
            for (number, place) in places.iter().enumerate() {
                if self.reader.go(*place) {
                    let kinds = if number == 3 { kind::LIST } else { 0 };
                    self.reader.text(kind::TEXT | kinds)?;
                }
                let _ = self.reader.string.push(0);
            }
            self.reader.go(at);
            let (source, rest) = cut(&self.reader.string, 0);
            let (destination, rest) = cut(rest.unwrap_or_default(), 0);
            let (mut how, rest) = cut(rest.unwrap_or_default(), 0);
            let (options, _) = cut(rest.unwrap_or_default(), 0);
            // Files of that spring list the devices' file system, which is there in any case.
            if !(how == b"devtmpfs" && destination.is_empty()) {
                if how.is_empty() {
                    how = b"bind";
                }
                if how == b"bind" {
                    let options = Some(options).filter(|o| !o.is_empty());
                    options::bind(self.spec, source, destination, options)?;
                } else {
                    let source = if source.is_empty() { how } else { source };
                    let strings = [source, options::path(destination)?, how, options];
                    self.spec.push_strings(Tag::Mount, &strings)?;
                }
            }
            self.reader.go(end);
        }
        Ok(())
    }

    /// `{FILE: VALUE}`, as the options of those names.
    fn cgroup(&mut self) -> Result<(), Reason> {
        if !self.reader.go(self.place(CGROUP)) {
            return Ok(());
        }
        if self.reader.peek() != b'{' {
            return Err(Reason::JsonObject);
        }
        let close = self.reader.enter();
        while self.reader.more(close)? {
            self.reader.key()?;
            let file = self.reader.string.len();
            if !options::is_cgroup_file(&self.reader.string) {
                return Err(Reason::UnknownKey);
            }
            self.reader.go(self.reader.place());
            self.reader.text(kind::TEXT | kind::NUMBER)?;
            let both = &self.reader.string[..];
            let (file, value) = both.split_at_checked(file).unwrap_or_default();
            let value = Some(value).filter(|v| !v.is_empty());
            options::apply(self.spec, file, value)?;
        }
        Ok(())
    }

    /// `{NAME: LIMIT}`, or a list of `{type, soft, hard}`.
    fn rlimits(&mut self) -> Result<(), Reason> {
        if !self.reader.go(self.place(RLIMITS)) {
            return Ok(());
        }
        let close = match self.reader.peek() {
            b'{' | b'[' => self.reader.enter(),
            _ => return Err(Reason::Rlimit),
        };
        while self.reader.more(close)? {
            let mark = self.reader.place();
            let mut name = None;
            if close == b'}' {
                self.reader.key()?;
                name = rlimit(&self.reader.string);
            }
            let value = self.reader.place();
            let [mut how, mut soft, mut hard] = [0, value, value];
            if self.reader.peek() == b'{' {
                let mut places = [0; 3];
                self.reader.fields("type soft hard", &mut places)?;
                [how, soft, hard] = places;
            } else {
                self.reader.skip(1)?;
            }
            let end = self.reader.place();
            if self.reader.value(how, kind::TEXT)? {
                name = rlimit(&self.reader.string);
            }
            let (soft, hard) = (self.limit(soft)?, self.limit(hard)?);
            self.reader.go(mark);
            let (Some(name), Some(soft), Some(hard)) = (name, soft.or(hard), hard.or(soft)) else {
                return Err(Reason::Rlimit);
            };
            let mut record = [0; 17];
            let mut w = Writer::new(&mut record);
            w.u8(name);
            w.u64(soft);
            w.u64(hard);
            self.spec
                .push(Tag::Rlimit, w.finish().unwrap_or_default())?;
            self.reader.go(end);
        }
        Ok(())
    }

    fn limit(&mut self, place: usize) -> Result<Option<u64>, Reason> {
        if !self.reader.value(place, kind::TEXT | kind::NUMBER)? {
            return Ok(None);
        }
        match &self.reader.string[..] {
            b"unlimited" | b"infinity" | b"-1" => Ok(Some(u64::MAX)),
            digits => number::u64(digits).map(Some).ok_or(Reason::Rlimit),
        }
    }

    /// The file's folder is the root, unless `rootfs` names another; `/` is the host's own.
    fn root(&mut self, folder: &[u8]) -> Result<(), Reason> {
        let given = self.reader.value(self.place(ROOTFS), kind::TEXT)?;
        let mut room = [0; 4096];
        let mut path = Writer::new(&mut room);
        let rest = &self.reader.string[..];
        if rest.first() != Some(&b'/') {
            path.raw(folder);
            if given && folder != b"/" {
                path.u8(b'/');
            }
        }
        path.raw(rest);
        let path = path.finish().ok_or(Reason::TooLong)?;
        if path != b"/" {
            self.spec.set_str(Tag::Root, path)?;
            self.spec.set_str(Tag::Image, path)?;
        }
        // What is missing is said of the key that wants it.
        let lacks = self.spec.view().lacks();
        if let Some(lacks) = lacks {
            let uts = matches!(lacks, super::spec::BadSpec::NeedsUts);
            let wants = [
                if uts { HOSTNAME } else { MOUNTS },
                if uts { HOSTNAME } else { ROOTFS },
                NAMESPACES,
            ];
            for key in wants {
                if self.reader.go(self.place(key)) {
                    break;
                }
            }
            return Err(lacks.into());
        }
        Ok(())
    }
}

/// Values of [`Tag::Reading`]: the list as those taken away, or kept.
const TAKEN: u64 = 1;
const KEPT: u64 = 2;

/// The number of `nofile` or `RLIMIT_NOFILE`.
fn rlimit(name: &[u8]) -> Option<u8> {
    let bare = match name.split_at_checked(7) {
        Some((start, rest)) if start.eq_ignore_ascii_case(b"RLIMIT_") => rest,
        _ => name,
    };
    Some(which_from(RLIMIT_NAMES, 0, bare)? as u8)
}

#[cfg(test)]
mod tests;
