//! Definitions in files: `--config`, and those that PID 1 has read for it.
//!
//! JSON is parsed here and never in PID 1. What the kernel line names by `config=`, and the
//! folders below /etc/pouch/containers, are read by this binary as a child of PID 1
//! (`pouch_define`), which asks PID 1 to start what it read as any command does.

use super::args::Usage;
use super::out::Out;
use super::say;
use super::socket::{OUTSIDE, Room, Socket};
use super::start::{Path, absolute};
use crate::format::cmdline::{self, Word};
use crate::format::container::FOLDER;
use crate::format::json::SIZE_MAX;
use crate::format::message::{MESSAGE_MAX, Refusal, Reply, Request};
use crate::format::reason::Reason;
use crate::format::shown;
use crate::format::spec::{Restart, Spec, SpecBuf, Tag};
use crate::format::text::{Plain, Sink, Text, behind, cut, put};
use crate::jail::c_string;
use crate::sys::{Errno, file, time};
use core::ffi::CStr;
use rustix::fs::OFlags;

/// The longest kernel command line that is read.
const CMDLINE: usize = 8192;
/// The first pause before what failed is tried again, in milliseconds; it doubles up to the longest.
const PAUSE: u64 = 100;
const LONGEST_PAUSE: u64 = 60_000;
/// What is said of one definition.
type Notes = Text<2048>;

/// Reads a whole file, to its end or the room's.
pub fn whole<'a>(path: &CStr, room: &'a mut [u8]) -> Result<&'a [u8], Errno> {
    let fd = file::open_at(None, path, OFlags::RDONLY | OFlags::NOCTTY)?;
    let mut len = 0;
    while let Some(rest) = room.get_mut(len..) {
        match file::read(&fd, rest) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(room.get(..len).unwrap_or_default())
}

/// Reads a container.json into the spec; what is to be said of it goes to `notes`. False: it
/// cannot be read, or is of no use.
#[inline(never)]
pub fn read(name: &[u8], spec: &mut SpecBuf, notes: &mut Sink<'_>) -> bool {
    let (mut room, mut path): (Path, _) = ([0; 4095], [0; 4096]);
    let mut text = [0; SIZE_MAX + 1];
    let read = absolute(name, &mut room).and_then(|absolute| {
        let text = whole(c_string(&[absolute], &mut path)?, &mut text)?;
        Ok((absolute, text))
    });
    match read {
        Ok((absolute, text)) => {
            let slash = absolute.iter().rposition(|b| *b == b'/').unwrap_or(0);
            let folder = absolute.get(..slash.max(1)).unwrap_or_default();
            crate::format::container::read(name, folder, text, spec, notes)
        }
        Err(error) => {
            let (file, reason) = (Plain(name), say::reason(error));
            put!(notes, "Pouch: unable to read {}: {}\n", file, reason);
            false
        }
    }
}

/// What became of a definition.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// PID 1 has it, or wants it no more.
    Done,
    /// It is to be tried again.
    Again,
    /// It was said why not, once and for all.
    Failed,
}

/// `pouch_define line|folder`: its exit code.
#[inline(never)]
pub fn define(words: &[&CStr]) -> Result<u8, Usage<'static>> {
    match words.first().map(|w| w.to_bytes()) {
        Some(b"line") => line(),
        Some(b"folder") => folder(),
        _ => return Err(Usage::Count),
    }
    Ok(0)
}

/// The words of the kernel line that name a file, until each of them was read or given up.
fn line() {
    let mut room = [0; CMDLINE];
    let Ok(line) = whole(c"/proc/cmdline", &mut room) else {
        return;
    };
    let (mut over, mut pause, mut tries) = (0u64, PAUSE, 0u32);
    loop {
        let mut again = false;
        let mut bit = 1u64;
        for raw in cmdline::words(line) {
            if let Some(Ok(Word::Container(definition))) = cmdline::word(raw) {
                if over & bit == 0 {
                    match word(definition, tries) {
                        Outcome::Again => again = true,
                        _ => over |= bit,
                    }
                }
                bit = bit.rotate_left(1);
            }
        }
        if !again {
            return;
        }
        time::pause_ms(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
        tries = tries.saturating_add(1);
    }
}

/// A definition of the kernel line with its file, if it names one: what stands on the line
/// holds over what stands in the file. Hands back whether there is a file; `None`: it was
/// said why it cannot be read, and the spec holds the line's keys alone.
#[inline(never)]
fn defined(definition: &[u8], spec: &mut SpecBuf, notes: &mut Sink<'_>) -> Option<bool> {
    let bad = match cmdline::container(definition, spec) {
        Ok(None) => return Some(false),
        Ok(Some(file)) => {
            let mut both = SpecBuf::new();
            if !read(file, &mut both, notes) {
                return None;
            }
            *spec = both;
            match cmdline::options_of(definition, spec) {
                Ok(_) => return Some(true),
                Err(bad) => bad,
            }
        }
        Err(bad) => bad,
    };
    put!(notes, "Pouch: {}: {}\n", Plain(bad.word), bad.reason);
    None
}

/// One definition that names a file.
fn word(definition: &[u8], tries: u32) -> Outcome {
    let mut spec = SpecBuf::new();
    let mut notes = Notes::new();
    let (name, _) = cut(definition, b',');
    let mut known = true;
    // PID 1 has told of the words of its own line that cannot be read; no time mends them.
    if tries != u32::MAX && cmdline::container(definition, &mut SpecBuf::new()).is_err() {
        return Outcome::Done;
    }
    let mut outcome = match defined(definition, &mut spec, &mut notes) {
        // PID 1 has read those without a file.
        Some(false) => return Outcome::Done,
        Some(true) => start(spec.as_bytes(), name, &mut notes),
        None => {
            // A file that cannot be read may say "always": it is tried until its policy is known.
            known = spec.view().records().any(|r| r.tag == Tag::Restart);
            Outcome::Again
        }
    };
    let again = match spec.view().restart() {
        // Folders are read again when somebody asks for it.
        _ if tries == u32::MAX => false,
        Restart::No => !known,
        Restart::OnFailure(most) => most == 0 || tries < most,
        Restart::Always => true,
    };
    if outcome == Outcome::Again && !again {
        outcome = Outcome::Failed;
    }
    // The first failure is said; those that follow would only repeat it.
    if tries == 0 || outcome != Outcome::Again {
        tell(&notes, true);
    }
    outcome
}

/// Every folder in /etc/pouch/containers that has a container.json and does not run yet, as
/// a definition that names the file.
fn folder() {
    let (mut found, mut started) = (0u32, 0u32);
    let folder = Plain(FOLDER.to_bytes());
    let each = &mut |name: &CStr, _| {
        let name = Plain(name.to_bytes());
        let mut definition = Text::<600>::new();
        put!(
            &mut definition,
            "{},config={}{}/container.json",
            name,
            folder,
            name
        );
        let (_, file) = cut(definition.as_bytes(), b'=');
        let mut path = [0; 512];
        let there = c_string(&[file.unwrap_or_default()], &mut path);
        if there.is_ok_and(|path| rustix::fs::access(path, rustix::fs::Access::EXISTS).is_ok()) {
            found += 1;
            started += u32::from(word(definition.as_bytes(), u32::MAX) == Outcome::Done);
        }
    };
    if let Ok(opened) = file::open_at(None, FOLDER, OFlags::RDONLY | OFlags::DIRECTORY) {
        let _ = file::entries(&opened, each);
    }
    let mut notes = Notes::new();
    put!(&mut notes, "{}: {} found, {} new\n", folder, found, started);
    tell(&notes, false);
}

/// Asks PID 1 to take it in.
fn start(bytes: &[u8], name: &[u8], notes: &mut Notes) -> Outcome {
    if let Err(bad) = Spec::parse(bytes) {
        put!(notes, "Pouch: {}: {}\n", Plain(name), Reason::from(bad));
        return Outcome::Failed;
    }
    let mut room: Room = [0; MESSAGE_MAX];
    match ask(&Request::Start { spec: bytes }, &mut room) {
        Some(Reply::Done) => Outcome::Done,
        // What runs already was defined before.
        Some(Reply::Refused(Refusal::Exists)) => Outcome::Failed,
        Some(Reply::Refused(why)) => {
            say::refusal(notes, why, b"", name);
            Outcome::Again
        }
        _ => Outcome::Failed,
    }
}

/// PID 1's first answer.
#[inline(never)]
pub fn ask<'b>(request: &Request<'_>, room: &'b mut Room) -> Option<Reply<'b>> {
    let socket = Socket::connect(OUTSIDE).ok()?;
    socket.send(request, &[]).ok()?;
    socket.receive(room).ok()
}

/// Lets PID 1 say it, line by line: in the log, and on the console.
fn tell(notes: &Notes, loud: bool) {
    let mut rest = notes.as_bytes();
    while let (line, Some(behind)) = cut(rest, b'\n') {
        rest = behind;
        let mut room: Room = [0; MESSAGE_MAX];
        let _ = ask(&Request::Tell { text: line, loud }, &mut room);
    }
}

/// `pouch check [FILE | -- KERNEL-WORDS]`: its exit code.
///
/// # Errors
/// The words are no such line.
#[inline(never)]
pub fn check<'a>(words: &'a [&'a CStr], out: &mut Out, err: &mut Out) -> Result<u8, Usage<'a>> {
    let mut good = true;
    let file = match words.split_first() {
        Some((first, lines)) if *first == c"--" => {
            for line in lines {
                let line = line.to_bytes();
                // A shell has taken the kernel's double quotes away: then it is one word.
                let whole =
                    behind(line, b"pouch.container=").is_some() && cut(line, b'"').1.is_none();
                if whole {
                    good &= check_word(line, out, err);
                    continue;
                }
                for raw in cmdline::words(line) {
                    good &= check_word(raw, out, err);
                }
            }
            return Ok(u8::from(!good));
        }
        Some((first, [])) => match first.to_bytes() {
            option @ [b'-', ..] => return Err(Usage::UnknownOption(option)),
            file => file,
        },
        Some(_) => return Err(Usage::Count),
        None => b"container.json",
    };
    let mut spec = SpecBuf::new();
    // The file says no name: it is the command's, the kernel word's or the folder's.
    let _ = spec.push_str(Tag::Name, b"container");
    good = read(file, &mut spec, err) && judge(&spec, file, out, err);
    Ok(u8::from(!good))
}

/// One word of the kernel line.
fn check_word(raw: &[u8], out: &mut Out, err: &mut Out) -> bool {
    let mut spec = SpecBuf::new();
    match cmdline::word(raw) {
        None => true,
        Some(Err(reason)) => {
            put!(err, "Pouch: {}: {}\n", Plain(raw), reason);
            false
        }
        Some(Ok(Word::Container(definition))) => {
            defined(definition, &mut spec, err).is_some() && judge(&spec, definition, out, err)
        }
        Some(Ok(_)) => {
            put!(out, "{}\n", Plain(raw));
            true
        }
    }
}

/// Shows what it would be, or says what is wrong with it as a whole.
fn judge(spec: &SpecBuf, what: &[u8], out: &mut Out, err: &mut Out) -> bool {
    match Spec::parse(spec.as_bytes()) {
        Ok(spec) => {
            shown::show(spec, out);
            true
        }
        Err(bad) => {
            put!(err, "Pouch: {}: {}\n", Plain(what), Reason::from(bad));
            false
        }
    }
}
