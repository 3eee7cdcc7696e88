//! The kernel command line: its words, its quotes, and what pouch reads in it.
//!
//! A double quote toggles: blanks inside quotes do not split. Quotes around a whole
//! word or around its value are not part of them (lib/cmdline.c, next_arg). As in the
//! kernel `-` and `_` are one letter in a key. Words of others are left alone; a
//! pouch.* word that cannot be read is handed back with its reason, and the rest holds.

use super::options::{self, Arity};
use super::reason::Reason;
use super::spec::{Spec, SpecBuf, Tag};
use super::{name, number};
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
    Bridge {
        /// The bridge's IPv4 address.
        address: [u8; 4],
        /// The prefix's length, 1 to 30.
        bits: u8,
    },
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
    pub reason: Reason<'a>,
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
    if let Some(inner) = raw.strip_prefix(b"\"") {
        (word, closing) = (inner, true);
    }
    // The kernel's search begins at the second byte: a leading = splits nothing.
    let at = word
        .iter()
        .skip(1)
        .position(|b| *b == b'=')
        .map(|at| at + 1);
    let (key, mut value) = match at.and_then(|at| word.split_at_checked(at)) {
        Some((key, value)) => (key, value.strip_prefix(b"=")),
        None => (word, None),
    };
    if let Some(inner) = value.and_then(|v| v.strip_prefix(b"\"")) {
        value = Some(inner);
        closing = true;
    }
    let bare = |part| match closing {
        true => <[u8]>::strip_suffix(part, b"\"").unwrap_or(part),
        false => part,
    };
    match value {
        Some(value) => (key, Some(bare(value))),
        None => (bare(key), None),
    }
}

/// Whether a key is that one; `-` and `_` are the same letter (parameqn).
fn is_key(key: &[u8], known: &[u8]) -> bool {
    let dash = |b: &u8| if *b == b'_' { b'-' } else { *b };
    key.len() == known.len() && key.iter().map(dash).eq(known.iter().copied())
}

/// Reads one raw word. `None`: it is somebody else's.
///
/// # Errors
/// A pouch.* word that cannot be read, with the reason.
pub fn word(raw: &[u8]) -> Option<Result<Word<'_>, Reason<'_>>> {
    let (key, value) = key_and_value(raw);
    if key == b"console" {
        let device = value?.split(|b| *b == b',').next()?;
        return (!device.is_empty()).then_some(Ok(Word::Console(device)));
    }
    let key = key.strip_prefix(b"pouch.")?;
    // The kernel takes an unclosed quote to the line's end; here it has swallowed the
    // words behind it, so it is told.
    let quotes = raw.iter().filter(|b| **b == b'"').count();
    if quotes % 2 == 1 {
        return Some(Err(Reason::Quote));
    }
    Some(ours(key, value))
}

fn ours<'a>(key: &[u8], value: Option<&'a [u8]>) -> Result<Word<'a>, Reason<'a>> {
    const KEYS: [&[u8]; 11] = [
        b"container",
        b"shell",
        b"console",
        b"modules",
        b"bridge",
        b"log",
        b"watchdog",
        b"on-crash",
        b"crash-limit",
        b"rescue",
        b"root",
    ];
    let key = KEYS
        .into_iter()
        .find(|known| is_key(key, known))
        .ok_or(Reason::UnknownWord)?;
    if key == b"rescue" {
        return match value {
            None => Ok(Word::Rescue),
            Some(_) => Err(Reason::TakesNoValue),
        };
    }
    let value = value.filter(|v| !v.is_empty()).ok_or(Reason::NoValue)?;
    Ok(match key {
        b"container" => Word::Container(value),
        b"shell" if value == b"none" => Word::ShellNone,
        b"shell" => Word::Shell(options::path(value)?),
        b"console" => Word::ExtraConsoles(list(value)?),
        b"modules" => Word::Modules(list(value)?),
        b"bridge" => bridge(value).ok_or(Reason::MustBe("an address like 10.0.0.1/24"))?,
        b"log" => Word::Log(level(value)?),
        b"watchdog" => {
            let (device, seconds) = device_and(value)?;
            let number = |s| number::u32(s).filter(|n| *n > 0);
            let seconds = match seconds {
                Some(s) => Some(number(s).ok_or(Reason::MustBe("DEV or DEV,SECONDS"))?),
                None => None,
            };
            Word::Watchdog { device, seconds }
        }
        b"on-crash" => Word::OnCrash(match value {
            b"reexec" => OnCrash::Reexec,
            b"reboot" => OnCrash::Reboot,
            b"halt" => OnCrash::Halt,
            _ => return Err(Reason::MustBe("reexec, reboot or halt")),
        }),
        b"crash-limit" => Word::CrashLimit(number::u32(value).ok_or(Reason::MustBe("a number"))?),
        _ => {
            let (device, kind) = device_and(value)?;
            Word::Root { device, kind }
        }
    })
}

/// The items of a list that [`word`] accepted, a leading /dev/ removed.
pub fn items(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|b| *b == b',')
        .map(|item| item.strip_prefix(b"/dev/").unwrap_or(item))
}

/// Names that cannot climb out of the folder they are looked up in.
fn list(value: &[u8]) -> Result<&[u8], Reason<'static>> {
    let good = |item: &[u8]| {
        let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/');
        item.first().is_some_and(u8::is_ascii_alphanumeric)
            && item.iter().all(plain)
            && !item.split(|b| *b == b'/').any(|part| part == b"..")
    };
    if items(value).all(good) {
        Ok(value)
    } else {
        Err(Reason::MustBe("names with commas between"))
    }
}

/// DEV[,REST]; DEV is an absolute path.
fn device_and(value: &[u8]) -> Result<(&[u8], Option<&[u8]>), Reason<'static>> {
    let mut parts = value.splitn(2, |b| *b == b',');
    let device = options::path(parts.next().unwrap_or_default())?;
    match parts.next() {
        Some([]) => Err(Reason::NoValue),
        rest => Ok((device, rest)),
    }
}

fn level(value: &[u8]) -> Result<LevelFilter, Reason<'static>> {
    Ok(match value {
        b"error" => LevelFilter::Error,
        b"warn" => LevelFilter::Warn,
        b"info" => LevelFilter::Info,
        b"debug" => LevelFilter::Debug,
        b"trace" => LevelFilter::Trace,
        _ => return Err(Reason::MustBe("error, warn, info, debug or trace")),
    })
}

fn bridge(value: &[u8]) -> Option<Word<'static>> {
    let at = value.iter().position(|b| *b == b'/')?;
    let (host, bits) = (value.get(..at)?, value.get(at + 1..)?);
    let mut address = [0; 4];
    let mut octets = host.split(|b| *b == b'.');
    for octet in &mut address {
        *octet = u8::try_from(number::u32(octets.next()?)?).ok()?;
    }
    let bits = u8::try_from(number::u32(bits)?).ok()?;
    let good = octets.next().is_none() && (1..=30).contains(&bits);
    good.then_some(Word::Bridge { address, bits })
}

/// Reads `NAME[,KEY=VALUE]...` into a spec; what the spec held before is gone.
///
/// A value with blanks or commas stands in single quotes. PID 1 is the parent of what
/// the kernel line defines, so `demonize` is taken and says nothing.
///
/// # Errors
/// The first part that cannot be read, with its reason; the spec is of no use then.
pub fn container<'a>(def: &'a [u8], spec: &mut SpecBuf) -> Result<(), Bad<'a>> {
    *spec = SpecBuf::new();
    let (name, mut rest) = part(def)?;
    let bad = |word, reason| Bad { word, reason };
    if !name::is_valid(name) {
        return Err(bad(name, Reason::BadName));
    }
    spec.push_str(Tag::Name, name)
        .map_err(|e| bad(name, e.into()))?;
    while let Some(more) = rest {
        let (word, behind) = part(more)?;
        option(spec, word).map_err(|reason| bad(word, reason))?;
        rest = behind;
    }
    match Spec::parse(spec.as_bytes()) {
        Ok(_) => Ok(()),
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
fn option<'a>(spec: &mut SpecBuf, word: &'a [u8]) -> Result<(), Reason<'a>> {
    let mut halves = word.splitn(2, |b| *b == b'=');
    let key = halves.next().unwrap_or_default();
    let value = match halves.next() {
        Some(value) => Some(unquoted(value)?),
        None => None,
    };
    match (key, value) {
        (b"demonize" | b"daemonize", None) => Ok(()),
        (b"demonize" | b"daemonize", Some(_)) => Err(Reason::TakesNoValue),
        (b"command" | b"image" | b"rootfs", None | Some([])) => Err(Reason::NoValue),
        (b"command", Some(value)) => command(spec, value),
        (b"image" | b"rootfs", Some(value)) => root(spec, key, value),
        _ if options::arity(key) == Some(Arity::Value) && value.is_none() => Err(Reason::NoValue),
        _ => options::apply(spec, key, value),
    }
}

/// A value without the single quotes around it; quotes elsewhere are refused.
fn unquoted(value: &[u8]) -> Result<&[u8], Reason<'static>> {
    let inner = match value.strip_prefix(b"'") {
        Some(rest) => rest.strip_suffix(b"'").ok_or(Reason::Quote)?,
        None => value,
    };
    match inner.contains(&b'\'') {
        true => Err(Reason::Quote),
        false => Ok(inner),
    }
}

/// `image=` and `rootfs=`: with a slash a folder, without the name of an image.
fn root<'a>(spec: &mut SpecBuf, key: &[u8], value: &'a [u8]) -> Result<(), Reason<'a>> {
    if key == b"image" && !value.contains(&b'/') {
        return Err(Reason::NoImage(value));
    }
    let path = options::path(value)?;
    spec.set_str(Tag::Root, path)?;
    Ok(spec.set_str(Tag::Image, path)?)
}

/// Splits a command at blanks; double quotes hold words together, a backslash takes the
/// next byte as it is.
fn command(spec: &mut SpecBuf, text: &[u8]) -> Result<(), Reason<'static>> {
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
