//! The kernel command line: its words, its quotes, and what pouch reads in it.
//!
//! A double quote toggles: blanks inside quotes do not split. Quotes around a whole
//! word or around its value are not part of them (lib/cmdline.c, next_arg). As in the
//! kernel `-` and `_` are one letter in a key. Words of others are left alone; a
//! pouch.* word that cannot be read is handed back with its reason, and the rest holds.

use super::options;
use super::reason::Reason;
use super::spec::{Spec, SpecBuf, Tag};
use super::text::{behind, cut, nth, which};
use super::{inet, name, number};
use heapless::Vec;
use log::LevelFilter;

/// The longest word of a container's command on the kernel line: the line's own limit.
const ARG_MAX: usize = 2048;

/// What to do when PID 1 crashed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnCrash {
    /// Run it anew with its state.
    Reexec,
    /// Reboot the board.
    Reboot,
    /// Halt the board.
    Halt,
}

/// A word of the kernel command line that concerns pouch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Word<'a> {
    /// `console=DEV[,opts]`, the kernel's own: DEV. The last one is /dev/console.
    Console(&'a [u8]),
    /// `pouch.container=`: a definition for [`container`].
    Container(&'a [u8]),
    /// `pouch.shell=PATH`.
    Shell(&'a [u8]),
    /// `pouch.shell=none`.
    ShellNone,
    /// `pouch.console=DEV[,DEV]`: read it with [`items`].
    ExtraConsoles(&'a [u8]),
    /// `pouch.modules=a,b`: read it with [`items`].
    Modules(&'a [u8]),
    /// `pouch.bridge=ADDR/BITS`.
    ///
    /// The bridge's own address; its prefix has 1 to 30 bits.
    Bridge(inet::Cidr),
    /// `pouch.log=error..trace`.
    Log(LevelFilter),
    /// `pouch.watchdog=DEV[,SECONDS]`.
    Watchdog {
        /// The device.
        device: &'a [u8],
        /// Its timeout; without it, the device's own.
        seconds: Option<u32>,
    },
    /// `pouch.on-crash=`.
    OnCrash(OnCrash),
    /// `pouch.crash-limit=N`: crashes in a minute.
    CrashLimit(u32),
    /// `pouch.rescue`: no containers, the host shell on every line.
    Rescue,
    /// `pouch.root=DEV[,TYPE]`.
    Root {
        /// The device.
        device: &'a [u8],
        /// Its file system; without it, whichever fits.
        kind: Option<&'a [u8]>,
    },
}

/// A part of a definition that cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bad<'a> {
    /// The `KEY=VALUE` or the name as it was written.
    pub word: &'a [u8],
    /// Why.
    pub reason: Reason,
}

/// The raw words of a line, quotes included.
#[derive(Clone)]
pub struct Words<'a> {
    rest: &'a [u8],
}

/// Splits a line where the kernel does.
pub fn words(line: &[u8]) -> Words<'_> {
    Words { rest: line }
}

/// A blank as the kernel has it; /proc/cmdline may end in a NUL on some.
fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t'..=b'\r' | 0)
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let from = self.rest.iter().position(|b| !is_blank(*b))?;
        let word = self.rest.get(from..)?;
        let mut quoted = false;
        let end = word.iter().position(|b| {
            quoted ^= *b == b'"';
            !quoted && is_blank(*b)
        });
        let (word, rest) = word.split_at_checked(end.unwrap_or(word.len()))?;
        self.rest = rest;
        Some(word)
    }
}

/// Key and value of a raw word, their quotes removed by the kernel's rules.
fn key_and_value(raw: &[u8]) -> (&[u8], Option<&[u8]>) {
    let (mut word, mut closing) = (raw, false);
    if let [b'"', inner @ ..] = raw {
        (word, closing) = (inner, true);
    }
    // The kernel's search begins at the second byte: a leading = splits nothing.
    let at = word
        .iter()
        .skip(1)
        .position(|b| *b == b'=')
        .map(|at| at + 1);
    let (key, mut value) = match at.and_then(|at| word.split_at_checked(at)) {
        Some((key, value)) => (key, value.get(1..)),
        None => (word, None),
    };
    if let Some([b'"', inner @ ..]) = value {
        value = Some(inner);
        closing = true;
    }
    let last = value.unwrap_or(key);
    let last = match last {
        [inner @ .., b'"'] if closing => inner,
        _ => last,
    };
    match value {
        Some(_) => (key, Some(last)),
        None => (last, None),
    }
}

/// Reads one raw word. `None`: it is somebody else's.
///
/// # Errors
/// A pouch.* word that cannot be read, with the reason.
pub fn word(raw: &[u8]) -> Option<Result<Word<'_>, Reason>> {
    let (key, value) = key_and_value(raw);
    if key == b"console" {
        let (device, _) = cut(value?, b',');
        return (!device.is_empty()).then_some(Ok(Word::Console(device)));
    }
    let key = behind(key, b"pouch.")?;
    // The kernel takes an unclosed quote to the line's end; here it has swallowed the
    // words behind it, so it is told.
    let quotes = raw.iter().filter(|b| **b == b'"').count();
    if quotes % 2 == 1 {
        return Some(Err(Reason::Quote));
    }
    Some(ours(key, value))
}

/// The words behind pouch., and what they are, in the same order.
const KEYS: &str =
    "container shell console modules bridge log watchdog on-crash crash-limit rescue root";
const KEY_OF: [Key; 11] = [
    Key::Container,
    Key::Shell,
    Key::Console,
    Key::Modules,
    Key::Bridge,
    Key::Log,
    Key::Watchdog,
    Key::OnCrash,
    Key::CrashLimit,
    Key::Rescue,
    Key::Root,
];

#[derive(Clone, Copy)]
enum Key {
    Container,
    Shell,
    Console,
    Modules,
    Bridge,
    Log,
    Watchdog,
    OnCrash,
    CrashLimit,
    Rescue,
    Root,
}

/// Which one it is; `-` and `_` are the same letter (parameqn).
#[inline(never)]
fn key_of(word: &[u8]) -> Option<Key> {
    let same = |(a, b): (&u8, &u8)| a == b || (*a == b'-' && *b == b'_');
    for (number, key) in KEY_OF.iter().enumerate() {
        let known = nth(KEYS, b' ', number)?.as_bytes();
        if known.len() == word.len() && known.iter().zip(word).all(same) {
            return Some(*key);
        }
    }
    None
}

fn ours<'a>(key: &[u8], value: Option<&'a [u8]>) -> Result<Word<'a>, Reason> {
    let key = key_of(key).ok_or(Reason::UnknownWord)?;
    if let Key::Rescue = key {
        return match value {
            None => Ok(Word::Rescue),
            Some(_) => Err(Reason::TakesNoValue),
        };
    }
    let value = value.filter(|v| !v.is_empty()).ok_or(Reason::NoValue)?;
    Ok(match key {
        Key::Container => Word::Container(value),
        Key::Shell if value == b"none" => Word::ShellNone,
        Key::Shell => Word::Shell(options::path(value)?),
        Key::Console => Word::ExtraConsoles(list(value)?),
        Key::Modules => Word::Modules(list(value)?),
        Key::Bridge => Word::Bridge(
            inet::cidr(value)
                .filter(|cidr| cidr.bits <= 30)
                .ok_or(Reason::Address)?,
        ),
        Key::Log => Word::Log(
            match which("error warn info debug trace", value).ok_or(Reason::Log)? {
                0 => LevelFilter::Error,
                1 => LevelFilter::Warn,
                2 => LevelFilter::Info,
                3 => LevelFilter::Debug,
                _ => LevelFilter::Trace,
            },
        ),
        Key::Watchdog => {
            let (device, seconds) = device_and(value)?;
            let number = |s| number::u32(s).filter(|n| *n > 0);
            let seconds = match seconds {
                Some(s) => Some(number(s).ok_or(Reason::Watchdog)?),
                None => None,
            };
            Word::Watchdog { device, seconds }
        }
        Key::OnCrash => Word::OnCrash(
            match which("reexec reboot halt", value).ok_or(Reason::OnCrash)? {
                0 => OnCrash::Reexec,
                1 => OnCrash::Reboot,
                _ => OnCrash::Halt,
            },
        ),
        Key::CrashLimit => Word::CrashLimit(number::u32(value).ok_or(Reason::Number)?),
        Key::Rescue => Word::Rescue,
        Key::Root => {
            let (device, kind) = device_and(value)?;
            Word::Root { device, kind }
        }
    })
}

/// The items of a list that [`word`] accepted, a leading /dev/ removed.
pub fn items(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|b| *b == b',')
        .map(|item| behind(item, b"/dev/").unwrap_or(item))
}

/// Names that cannot climb out of the folder they are looked up in.
fn list(value: &[u8]) -> Result<&[u8], Reason> {
    let good = |item: &[u8]| {
        let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/');
        item.first().is_some_and(u8::is_ascii_alphanumeric)
            && item.iter().all(plain)
            && !item.split(|b| *b == b'/').any(|part| part == b"..")
    };
    if items(value).all(good) {
        Ok(value)
    } else {
        Err(Reason::List)
    }
}

/// DEV[,REST]; DEV is an absolute path.
fn device_and(value: &[u8]) -> Result<(&[u8], Option<&[u8]>), Reason> {
    let (device, rest) = cut(value, b',');
    match rest {
        Some([]) => Err(Reason::NoValue),
        rest => Ok((options::path(device)?, rest)),
    }
}

/// Reads `NAME[,KEY=VALUE]...` into a spec; what the spec held before is gone.
///
/// A value with blanks or commas stands in single quotes. PID 1 is the parent of what
/// the kernel line defines, so `demonize` is taken and says nothing. Hands back the file
/// that `config=` names: who reads that, applies the other keys to it by [`options_of`].
///
/// # Errors
/// The first part that cannot be read, with its reason; the spec is of no use then.
#[inline(never)] // its frame is not to be part of the caller's
pub fn container<'a>(def: &'a [u8], spec: &mut SpecBuf) -> Result<Option<&'a [u8]>, Bad<'a>> {
    *spec = SpecBuf::new();
    options_of(def, spec)
}

/// The same beside what the spec holds.
///
/// # Errors
/// As for [`container`].
#[inline(never)]
pub fn options_of<'a>(def: &'a [u8], spec: &mut SpecBuf) -> Result<Option<&'a [u8]>, Bad<'a>> {
    let mut config = None;
    let (name, mut rest) = part(def)?;
    let bad = |word, reason| Bad { word, reason };
    if !name::is_valid(name) {
        return Err(bad(name, Reason::BadName));
    }
    spec.set_str(Tag::Name, name)
        .map_err(|e| bad(name, e.into()))?;
    while let Some(more) = rest {
        let (word, behind) = part(more)?;
        match self::behind(word, b"config=") {
            Some(file) => {
                let file = unquoted(file).and_then(options::path);
                config = Some(file.map_err(|reason| bad(word, reason))?);
            }
            None => option(spec, word).map_err(|reason| bad(word, reason))?,
        }
        rest = behind;
    }
    match Spec::parse(spec.as_bytes()) {
        Ok(_) => Ok(config),
        Err(e) => Err(bad(name, e.into())),
    }
}

/// Splits at the first comma outside single quotes.
fn part(text: &[u8]) -> Result<(&[u8], Option<&[u8]>), Bad<'_>> {
    let mut quoted = false;
    let end = text.iter().position(|b| {
        quoted ^= *b == b'\'';
        !quoted && *b == b','
    });
    match end.and_then(|end| text.split_at_checked(end)) {
        Some((word, rest)) => Ok((word, rest.get(1..))),
        None if quoted => Err(Bad {
            word: text,
            reason: Reason::Quote,
        }),
        None => Ok((text, None)),
    }
}

/// One `KEY` or `KEY=VALUE`.
#[inline(never)]
fn option(spec: &mut SpecBuf, word: &[u8]) -> Result<(), Reason> {
    let (key, value) = cut(word, b'=');
    let value = match value {
        Some(value) => Some(unquoted(value)?),
        None => None,
    };
    match (which("demonize daemonize command image rootfs", key), value) {
        (Some(0 | 1), None) => Ok(()),
        (Some(0 | 1), Some(_)) => Err(Reason::TakesNoValue),
        (Some(_), None | Some([])) => Err(Reason::NoValue),
        (Some(2), Some(value)) => command(spec, value),
        (Some(_), Some(value)) => root(spec, key, value),
        (None, value) => options::apply(spec, key, value),
    }
}

/// A value without the single quotes around it; quotes elsewhere are refused.
fn unquoted(value: &[u8]) -> Result<&[u8], Reason> {
    let inner = match value {
        [b'\'', inner @ .., b'\''] => inner,
        _ => value,
    };
    match cut(inner, b'\'') {
        (_, None) => Ok(inner),
        _ => Err(Reason::Quote),
    }
}

/// `image=` and `rootfs=`: with a slash a folder, without the name of an image.
fn root(spec: &mut SpecBuf, key: &[u8], value: &[u8]) -> Result<(), Reason> {
    if key == b"image" && cut(value, b'/').1.is_none() {
        spec.remove(Tag::Root);
        let image = Some(value).filter(|v| super::name::is_valid(v));
        return Ok(spec.set_str(Tag::Image, image.ok_or(Reason::NoImage)?)?);
    }
    let path = options::path(value)?;
    spec.set_str(Tag::Root, path)?;
    Ok(spec.set_str(Tag::Image, path)?)
}

/// Splits a command at blanks; double quotes hold words together, a backslash takes the
/// next byte as it is.
pub(super) fn command(spec: &mut SpecBuf, text: &[u8]) -> Result<(), Reason> {
    spec.remove(Tag::Arg);
    let mut arg: Vec<u8, ARG_MAX> = Vec::new();
    let (mut quoted, mut begun) = (false, false);
    let mut bytes = text.iter().copied();
    while let Some(b) = bytes.next() {
        match b {
            b'"' => {
                quoted = !quoted;
                begun = true;
            }
            b' ' | b'\t' if !quoted => {
                if begun {
                    spec.push_str(Tag::Arg, &arg)?;
                    arg.clear();
                }
                begun = false;
            }
            _ => {
                let literal = match b {
                    b'\\' => bytes.next().ok_or(Reason::Quote)?,
                    _ => b,
                };
                arg.push(literal).map_err(|_| Reason::TooLong)?;
                begun = true;
            }
        }
    }
    if quoted {
        return Err(Reason::Quote);
    }
    if begun {
        spec.push_str(Tag::Arg, &arg)?;
    }
    match spec.view().string(Tag::Arg) {
        Some(program) if !program.is_empty() => Ok(()),
        _ => Err(Reason::NoValue),
    }
}

#[cfg(test)]
mod tests {
    use super::super::spec::{Restart, flags};
    use super::*;
    use std::vec::Vec as List;

    fn one(line: &str) -> Option<Result<Word<'_>, Reason>> {
        let mut all = words(line.as_bytes());
        let first = all.next().unwrap();
        assert_eq!(all.next(), None, "{line} is one word");
        word(first)
    }

    #[test]
    fn quotes_are_the_kernels() {
        for (line, parts) in [
            ("a b\tc\n", &["a", "b", "c"][..]),
            ("  a  ", &["a"]),
            ("", &[]),
            ("a=\"b c\" d", &["a=\"b c\"", "d"]),
            ("\"a=b c\" d", &["\"a=b c\"", "d"]),
            ("a\"b c\"d e", &["a\"b c\"d", "e"]),
            ("\"open a b", &["\"open a b"]),
        ] {
            let got: List<_> = words(line.as_bytes()).collect();
            let wanted: List<_> = parts.iter().map(|p| p.as_bytes()).collect();
            assert_eq!(got, wanted, "{line}");
        }
        for (raw, key, value) in [
            ("a", "a", None),
            ("\"a\"", "a", None),
            ("a=", "a", Some("")),
            ("a=b", "a", Some("b")),
            ("a=\"b c\"", "a", Some("b c")),
            ("\"a=b c\"", "a", Some("b c")),
            ("\"a=\"b\"", "a", Some("b")),
            ("a=b\"c d\"", "a", Some("b\"c d\"")),
            ("=a=b", "=a", Some("b")),
            ("a=b=c", "a", Some("b=c")),
            ("\"", "", None),
        ] {
            let wanted = (key.as_bytes(), value.map(str::as_bytes));
            assert_eq!(key_and_value(raw.as_bytes()), wanted, "{raw}");
        }
    }

    #[test]
    fn each_word_is_read() {
        for (line, wanted) in [
            ("console=ttyS0,115200n8", Word::Console(b"ttyS0")),
            ("console=tty0", Word::Console(b"tty0")),
            ("pouch.container=c1", Word::Container(b"c1")),
            ("pouch.shell=/bin/ash", Word::Shell(b"/bin/ash")),
            ("pouch.shell=none", Word::ShellNone),
            (
                "pouch.console=ttyS1,/dev/ttyS2",
                Word::ExtraConsoles(b"ttyS1,/dev/ttyS2"),
            ),
            ("pouch.modules=veth,8021q", Word::Modules(b"veth,8021q")),
            (
                "pouch.bridge=10.0.3.1/24",
                Word::Bridge(inet::Cidr {
                    address: [10, 0, 3, 1],
                    bits: 24,
                }),
            ),
            ("pouch.log=debug", Word::Log(LevelFilter::Debug)),
            (
                "pouch.watchdog=/dev/watchdog0,30",
                Word::Watchdog {
                    device: b"/dev/watchdog0",
                    seconds: Some(30),
                },
            ),
            (
                "pouch.watchdog=/dev/watchdog",
                Word::Watchdog {
                    device: b"/dev/watchdog",
                    seconds: None,
                },
            ),
            ("pouch.on-crash=halt", Word::OnCrash(OnCrash::Halt)),
            ("pouch.on_crash=reexec", Word::OnCrash(OnCrash::Reexec)),
            ("pouch.crash-limit=5", Word::CrashLimit(5)),
            ("pouch.rescue", Word::Rescue),
            (
                "pouch.root=/dev/vda,ext4",
                Word::Root {
                    device: b"/dev/vda",
                    kind: Some(b"ext4"),
                },
            ),
            (
                "pouch.root=/dev/vda",
                Word::Root {
                    device: b"/dev/vda",
                    kind: None,
                },
            ),
            (
                "\"pouch.shell=/bin/my shell\"",
                Word::Shell(b"/bin/my shell"),
            ),
            (
                "pouch.shell=\"/bin/my shell\"",
                Word::Shell(b"/bin/my shell"),
            ),
        ] {
            assert_eq!(one(line), Some(Ok(wanted)), "{line}");
        }
        let list: List<_> = items(b"ttyS1,/dev/ttyS2").collect();
        assert_eq!(list, [b"ttyS1", b"ttyS2"]);
    }

    #[test]
    fn words_of_others_are_left_alone() {
        for line in [
            "quiet",
            "root=/dev/vda",
            "pouch",
            "pouchx.a=b",
            "console",
            "console=",
            "ipouch.x",
        ] {
            assert_eq!(one(line), None, "{line}");
        }
    }

    #[test]
    fn a_wrong_word_has_its_reason() {
        for (line, reason) in [
            ("pouch.fly=1", Reason::UnknownWord),
            ("pouch.", Reason::UnknownWord),
            ("pouch.=", Reason::UnknownWord),
            ("pouch.shell", Reason::NoValue),
            ("pouch.shell=", Reason::NoValue),
            ("pouch.rescue=1", Reason::TakesNoValue),
            ("pouch.container", Reason::NoValue),
            ("\"pouch.container=c1 quiet", Reason::Quote),
            ("pouch.root=/dev/vda,", Reason::NoValue),
        ] {
            assert_eq!(one(line), Some(Err(reason)), "{line}");
        }
        for line in [
            "pouch.shell=sh",
            "pouch.shell=/bin/../sh",
            "pouch.console=a,,b",
            "pouch.console=../mem",
            "pouch.modules=a/../b",
            "pouch.modules=a,",
            "pouch.bridge=10.0.0.1",
            "pouch.bridge=10.0.0/24",
            "pouch.bridge=10.0.0.256/24",
            "pouch.bridge=10.0.0.1.2/24",
            "pouch.bridge=10.0.0.0/24",
            "pouch.bridge=10.0.0.255/24",
            "pouch.bridge=10.0.0.1/31",
            "pouch.bridge=10.0.0.1/0",
            "pouch.log=loud",
            "pouch.watchdog=watchdog",
            "pouch.watchdog=/dev/w,0",
            "pouch.watchdog=/dev/w,x",
            "pouch.on-crash=panic",
            "pouch.crash-limit=-1",
            "pouch.root=vda",
        ] {
            let got = one(line);
            assert!(
                matches!(got, Some(Err(reason)) if reason >= Reason::Path),
                "{line}: {got:?}"
            );
        }
    }

    const EXAMPLE: &str = "\"pouch.container=web,rootfs=/srv/web,tty=tty1,command='/bin/httpd -f -p 80',memory.max=16M,restart=always\"";

    #[test]
    fn the_example_is_a_spec() {
        let Some(Ok(Word::Container(def))) = one(EXAMPLE) else {
            panic!("no container")
        };
        let mut buf = SpecBuf::new();
        container(def, &mut buf).unwrap();
        let spec = Spec::parse(buf.as_bytes()).unwrap();
        assert_eq!(spec.name(), c"web");
        assert_eq!(spec.string(Tag::Root), Some(c"/srv/web"));
        assert_eq!(spec.string(Tag::Image), Some(c"/srv/web"));
        assert_eq!(spec.tty(), 1);
        let args: List<_> = spec.all(Tag::Arg).collect();
        assert_eq!(args, [c"/bin/httpd", c"-f", c"-p", c"80"]);
        assert_eq!(spec.cgroup().next(), Some((c"memory.max", c"16777216")));
        assert_eq!(spec.restart(), Restart::Always);
    }

    fn defined(def: &str) -> SpecBuf {
        let mut buf = SpecBuf::new();
        assert_eq!(container(def.as_bytes(), &mut buf), Ok(None), "{def}");
        buf
    }

    #[test]
    fn commands_are_split_as_a_shell_would() {
        for (command, wanted) in [
            ("/bin/sh", &[&b"/bin/sh"[..]][..]),
            ("'  a   b '", &[b"a", b"b"]),
            ("'sh -c \"echo a; b\"'", &[b"sh", b"-c", b"echo a; b"]),
            ("'a x\"y z\"w'", &[b"a", b"xy zw"]),
            ("'a b\\ c'", &[b"a", b"b c"]),
            ("'a \\\" \\\\'", &[b"a", b"\"", b"\\"]),
            ("'a \"\"'", &[b"a", b""]),
            ("'a,b,c'", &[b"a,b,c"]),
        ] {
            let buf = defined(&std::format!("c1,command={command}"));
            let got: List<_> = buf.view().all(Tag::Arg).map(|a| a.to_bytes()).collect();
            assert_eq!(got, wanted, "{command}");
        }
    }

    #[test]
    fn flags_and_lists_stand_in_a_definition() {
        let buf = defined("c1,demonize,read-only,cap-drop='CHOWN,KILL',env='A=b c',image=/srv/x");
        let spec = buf.view();
        assert_eq!(spec.flags(), flags::READ_ONLY);
        assert_eq!(spec.string(Tag::Env), Some(c"A=b c"));
        assert_eq!(spec.string(Tag::Root), Some(c"/srv/x"));
    }

    #[test]
    fn a_wrong_definition_names_its_part() {
        let absolute = options::path(b"x").unwrap_err();
        for (def, word, reason) in [
            ("", "", Reason::BadName),
            ("tty1", "tty1", Reason::BadName),
            ("a/b,tty=tty1", "a/b", Reason::BadName),
            ("c1,", "", Reason::UnknownKey),
            ("c1,fly=1", "fly=1", Reason::UnknownKey),
            ("c1,tty", "tty", Reason::NoValue),
            ("c1,read-only=1", "read-only=1", Reason::TakesNoValue),
            ("c1,demonize=1", "demonize=1", Reason::TakesNoValue),
            ("c1,image=-web", "image=-web", Reason::NoImage),
            ("c1,image=./web", "image=./web", absolute),
            ("c1,rootfs=web", "rootfs=web", absolute),
            ("c1,command=", "command=", Reason::NoValue),
            ("c1,command=' '", "command=' '", Reason::NoValue),
            ("c1,command='\"\" a'", "command='\"\" a'", Reason::NoValue),
            ("c1,command='a \"b'", "command='a \"b'", Reason::Quote),
            ("c1,command='a\\'", "command='a\\'", Reason::Quote),
            ("c1,command='a", "command='a", Reason::Quote),
            ("c1,command='a'b", "command='a'b", Reason::Quote),
            ("c1,env=A='b'", "env=A='b'", Reason::Quote),
            ("c1,cap-add=FLY", "cap-add=FLY", Reason::Capability),
        ] {
            let word = word.as_bytes();
            let got = container(def.as_bytes(), &mut SpecBuf::new());
            assert_eq!(got, Err(Bad { word, reason }), "{def}");
        }
        let long = std::format!("c1,command='{}'", "x ".repeat(65));
        let got = container(long.as_bytes(), &mut SpecBuf::new());
        assert_eq!(got.map_err(|b| b.reason), Err(Reason::Words));
    }

    /// Marsaglia's, so that a failure comes back.
    fn xorshift(state: &mut u32) -> u32 {
        *state ^= *state << 13;
        *state ^= *state >> 17;
        *state ^= *state << 5;
        *state
    }

    fn read_all(line: &[u8]) {
        let mut spec = SpecBuf::new();
        for raw in words(line) {
            if let Some(Ok(Word::Container(def))) = word(raw)
                && container(def, &mut spec).is_ok()
            {
                assert!(Spec::parse(spec.as_bytes()).is_ok());
            }
        }
    }

    #[test]
    fn hostile_lines_are_answered() {
        let line =
            std::format!("quiet {EXAMPLE} console=ttyS0 pouch.bridge=10.0.0.1/24 pouch.log=info");
        for end in 0..=line.len() {
            read_all(&line.as_bytes()[..end]);
            let mut state = 1 + u32::try_from(end).unwrap();
            let mut bytes = line.as_bytes().to_vec();
            for _ in 0..4 {
                let at = xorshift(&mut state) as usize % bytes.len();
                bytes[at] = b"\"'\\,= \0\xffa/"[xorshift(&mut state) as usize % 10];
                read_all(&bytes);
            }
        }
        let mut state = 0x9e37_79b9;
        for _ in 0..2_000 {
            let len = xorshift(&mut state) as usize % 80;
            let mut noise = b"pouch.container=c".to_vec();
            noise.extend((0..len).map(|_| b"\"'\\,= tyab1.\n"[xorshift(&mut state) as usize % 13]));
            read_all(&noise);
        }
    }
}
