//! `build`: an image from a Pouchfile, whole or not at all.
//!
//! All of the file is judged before anything is done. Then its steps change one folder in
//! the store, which gets the image's name at the end as an import's does: FROM copies an
//! image's tree into it, RUN has a container with that folder as its root.

use super::args::Usage;
use super::config::whole;
use super::import::{begin, finish};
use super::out::Out;
use super::stream::{Stream, WORDS, Why, is_tar};
use super::tree::Tree;
use super::unpack::{self, Pass, Unpack, attributes};
use super::{images, run, say};
use crate::format::ended::Ended;
use crate::format::json::SIZE_MAX;
use crate::format::pouchfile::{Instruction, Joined, Lines, What, Word, like, list, word};
use crate::format::reason::Reason;
use crate::format::sha256::{Hex, Sha256};
use crate::format::spec::{BadSpec, SPEC_MAX, Spec, SpecBuf, TTY_NONE, Tag, flags};
use crate::format::text::{Plain, alike, behind, cut, line, put};
use crate::format::{name, options};
use crate::jail::{self, IMAGES, PATH, c_string};
use crate::sys::mount::{Within, place};
use crate::sys::{Errno, file, lend, signal};
use core::ffi::CStr;
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, OFlags, fstat};

/// Where the tree lies while it is built.
const TREE: &[u8] = b"/var/lib/pouch/images/.new/root";
/// Room for a path.
type Path = [u8; 4096];

/// Why a step is not done.
enum Bad {
    /// It cannot be read.
    Reason(Reason),
    /// It failed.
    Why(Why),
    /// What it ran did, with this status.
    Ended(u8),
}

macro_rules! bad {
    ($($from:ty, $value:ident => $bad:expr;)*) => {
        $(impl From<$from> for Bad {
            fn from($value: $from) -> Self {
                $bad
            }
        })*
    };
}
bad! {
    Reason, reason => Bad::Reason(reason);
    BadSpec, spec => Bad::Reason(spec.into());
    Why, why => Bad::Why(why);
    Errno, errno => Bad::Why(Why::Kernel(errno));
}

/// The words of the command line: the file, the image's name, the folder.
type Words<'a> = [Option<&'a [u8]>; 3];

fn read<'a>(words: &'a [&'a CStr]) -> Result<Words<'a>, Usage<'a>> {
    let mut read = [None; 3];
    let mut words = words.iter().map(|w| w.to_bytes());
    while let Some(whole) = words.next() {
        let (key, inline) = cut(whole, b'=');
        let [file, tag, folder] = &mut read;
        let place = match key {
            b"--file" | b"-f" => file,
            b"--tag" | b"-t" => tag,
            [b'-', ..] => return Err(Usage::UnknownOption(whole)),
            _ if folder.is_none() => {
                *folder = Some(whole);
                continue;
            }
            _ => return Err(Usage::Count),
        };
        *place = inline.or_else(|| words.next()).filter(|v| !v.is_empty());
        if place.is_none() {
            return Err(Usage::Bad {
                what: whole,
                value: None,
                reason: Reason::NoValue,
            });
        }
    }
    Ok(read)
}

/// A file's name and how long it is, or what cannot be read and why.
type File<'a> = Result<(&'a [u8], usize), (&'a [u8], Errno)>;

/// Reads the file and enters the folder.
fn enter<'a>(words: &Words<'a>, text: &mut [u8]) -> File<'a> {
    let mut room: Path = [0; 4096];
    let [file, _, folder] = *words;
    let mut read = |name: &'a [u8]| {
        let mut room: Path = [0; 4096];
        let len = c_string(&[name], &mut room).and_then(|path| Ok(whole(path, text)?.len()));
        match len {
            Ok(len) if len > SIZE_MAX => Err((name, Errno::FBIG)),
            Ok(len) => Ok((name, len)),
            Err(error) => Err((name, error)),
        }
    };
    // A file that was named is found from here, and one that was not in the folder.
    let named = file.map(&mut read).transpose()?;
    let folder = match (folder, file) {
        (Some(folder), _) => folder,
        (None, Some(file)) => jail::apart(file).0,
        _ => b"",
    };
    if !folder.is_empty() {
        let path = c_string(&[folder], &mut room);
        path.and_then(rustix::process::chdir)
            .map_err(|error| (folder, error))?;
    }
    match named {
        Some(named) => Ok(named),
        None => match read(POUCHFILE) {
            Err((_, Errno::NOENT)) => read(DOCKERFILE),
            read => read,
        },
    }
}

const POUCHFILE: &[u8] = b"Pouchfile";
const DOCKERFILE: &[u8] = b"Dockerfile";

/// `pouch build [--file POUCHFILE] [--tag IMAGE] [DIR]`: its exit code.
///
/// # Errors
/// The words are no such line.
#[inline(never)]
pub fn command<'a>(words: &'a [&'a CStr], out: &mut Out, err: &mut Out) -> Result<u8, Usage<'a>> {
    let words = read(words)?;
    let mut text = [0; SIZE_MAX + 1];
    let (file, text) = match enter(&words, &mut text) {
        Ok((file, len)) => (file, text.get(..len).unwrap_or_default()),
        Err((what, error)) => {
            // Without either name in the folder the first is the one that is missed.
            let what = match (words, what) {
                ([None, ..], DOCKERFILE) => POUCHFILE,
                _ => what,
            };
            let (what, reason) = (Plain(what), say::reason(error));
            put!(err, "Pouch: unable to read {}: {}\n", what, reason);
            return Ok(say::FAILED);
        }
    };
    let mut here: Path = [0; 4096];
    let len = file::link(c"/proc/self/cwd", &mut here).unwrap_or(0);
    let [_, tag, _] = words;
    let own = jail::apart(here.get(..len).unwrap_or_default()).1;
    let mut room = [0; 64];
    let name = match c_string(&[tag.unwrap_or(own)], &mut room) {
        Ok(name) if name::is_valid(name.to_bytes()) => name,
        _ => {
            return Err(Usage::Bad {
                what: b"--tag",
                value: tag,
                reason: Reason::BadName,
            });
        }
    };
    let signals = signal::signalfd().ok();
    signal::block();
    let mut unpack = Unpack::new(&signals, err);
    let mut lines = Lines::new(text);
    let mut build = Build {
        unpack: &mut unpack,
        file,
        name,
        at: None,
        state: State::default(),
    };
    // The first way through only judges.
    let judged = build.all(&mut lines);
    let done = judged.and_then(|()| {
        lines = Lines::new(text);
        build.make(&mut lines)
    });
    unpack.wipe();
    let (err, name, member) = (unpack.err, Plain(name.to_bytes()), &unpack.name);
    let bad = match done {
        Ok(digest) => {
            put!(out, "Pouch: {} built sha256:{}\n", name, Plain(&digest));
            return Ok(0);
        }
        Err(bad) => bad,
    };
    let colon = if member.is_empty() { "" } else { ": " };
    put!(err, "Pouch: {}: unable to build {}:", name, Plain(file));
    // Before the first line it is none of a line's.
    if lines.line != 0 {
        put!(err, "{}:", lines.line);
    }
    put!(err, " ");
    put!(err, "{}{}", Plain(member), colon);
    match bad {
        Bad::Reason(reason) => put!(err, "{}", reason),
        Bad::Ended(status) => put!(err, "{}", Ended::Exited(status)),
        Bad::Why(Why::Kernel(errno)) => put!(err, "{}", say::reason(errno)),
        Bad::Why(Why::Own(own)) => put!(err, "{}", line(WORDS, own.into()).unwrap_or_default()),
    }
    put!(err, "\n");
    Ok(say::FAILED)
}

/// Where it is built.
struct At {
    store: OwnedFd,
    new: OwnedFd,
    root: OwnedFd,
}

/// What the lines so far have said.
#[derive(Default)]
struct State {
    /// There was a FROM.
    begun: bool,
    /// What the image says of what it runs.
    config: SpecBuf,
    /// Variables that are the build's alone.
    arguments: SpecBuf,
    /// The words of ENTRYPOINT and of CMD.
    entry: SpecBuf,
    command: SpecBuf,
    /// There was one of the two.
    runs: bool,
    /// ENTRYPOINT was a shell's line, which takes no words of CMD's.
    shell: bool,
}

struct Build<'b, 'a> {
    unpack: &'b mut Unpack<'a>,
    file: &'b [u8],
    name: &'b CStr,
    /// `None` while it only judges.
    at: Option<At>,
    state: State,
}

/// The words of a command: a list, or a line for a shell, which it says.
fn command_of(text: &[u8], to: &mut SpecBuf) -> Result<bool, Bad> {
    to.remove(Tag::Arg);
    let is_list = list(text, &mut |word| Ok(to.push_str(Tag::Arg, word)?))?;
    if !is_list {
        for word in [&b"/bin/sh"[..], b"-c", text] {
            to.push_str(Tag::Arg, word)?;
        }
    }
    Ok(!is_list)
}

/// Adds the words of one command to another.
fn add(to: &mut SpecBuf, from: &SpecBuf) -> Result<(), BadSpec> {
    for word in from.view().all(Tag::Arg) {
        to.push_str(Tag::Arg, word.to_bytes())?;
    }
    Ok(())
}

impl State {
    /// What a name stands for.
    fn known(&self, name: &[u8]) -> &[u8] {
        for spec in [&self.config, &self.arguments] {
            for entry in spec.view().all(Tag::Env) {
                if let (key, Some(value)) = cut(entry.to_bytes(), b'=')
                    && key == name
                {
                    return value;
                }
            }
        }
        match name {
            b"PATH" => behind(PATH.to_bytes(), b"PATH=").unwrap_or_default(),
            _ => b"",
        }
    }

    /// The next word.
    fn word(&self, rest: &mut &[u8], whole: bool, to: &mut Word) -> Result<bool, Reason> {
        word(rest, whole, &|name| self.known(name), to)
    }

    /// Hands each word on, whether they are in a list or not.
    fn words(
        &self,
        text: &[u8],
        each: &mut dyn FnMut(&[u8]) -> Result<(), Bad>,
    ) -> Result<(), Bad> {
        let mut done = Ok(());
        let is_list = list(text, &mut |word| {
            if done.is_ok() {
                done = each(word);
            }
            Ok(())
        })?;
        let (mut rest, mut word) = (text, Word::new());
        while !is_list && self.word(&mut rest, false, &mut word)? {
            each(&word)?;
        }
        done
    }

    /// K=V pairs, or one in the old way, K V.
    fn variables(&mut self, text: &[u8]) -> Result<(), Bad> {
        let (mut rest, mut word) = (text, Word::new());
        let end = text.iter().take_while(|b| !b.is_ascii_whitespace()).count();
        let (key, value) = text.split_at_checked(end).unwrap_or_default();
        let old = cut(key, b'=').1.is_none();
        if old {
            rest = value;
            if value.is_empty() {
                return Err(Reason::Environment.into());
            }
        }
        while self.word(&mut rest, old, &mut word)? {
            let mut pair = match old {
                true => joined(&[key, b"=", &word])?,
                false => word.clone(),
            };
            // The way back is on the path, wherever an image looks for its programs.
            if let Some(path) = behind(&pair, b"PATH=")
                && !path.split(|b| *b == b':').any(|p| p == b"/dev/pouch")
            {
                pair = joined(&[&pair, b":/dev/pouch"])?;
            }
            options::apply(&mut self.config, b"env", Some(&pair))?;
        }
        Ok(())
    }

    /// A path inside: a relative one begins in the working directory.
    fn inside(&self, path: &[u8]) -> Result<Word, Reason> {
        let cwd = self.config.view().string(Tag::Cwd).unwrap_or(c"/");
        match path.first() {
            Some(b'/') => joined(&[path]),
            _ => joined(&[cwd.to_bytes(), b"/", path]),
        }
    }
}

fn joined(parts: &[&[u8]]) -> Result<Word, Reason> {
    let mut all = Word::new();
    for part in parts {
        all.extend_from_slice(part).map_err(|_| Reason::TooLong)?;
    }
    Ok(all)
}

impl Build<'_, '_> {
    /// Takes every instruction, in order.
    fn all(&mut self, lines: &mut Lines<'_>) -> Result<(), Bad> {
        self.state = State::default();
        let named = self.state.config.set_str(Tag::Name, self.name.to_bytes());
        named?;
        let mut room = Joined::new();
        loop {
            self.unpack.named(b"");
            let Some(step) = lines.next(&mut room)? else {
                break;
            };
            let what = step.what;
            let (file, word) = (Plain(self.file), Plain(step.word));
            if self.at.is_some() {
                self.unpack.wipe();
                let err = &mut *self.unpack.err;
                put!(
                    err,
                    "Pouch: {}:{}: {} {}\n",
                    file,
                    lines.line,
                    word,
                    Plain(step.text)
                );
                err.flush();
            } else if what == Some(What::LeftOut) {
                let err = &mut *self.unpack.err;
                put!(err, "Pouch: {}:{}: {}: left out\n", file, lines.line, word);
            }
            self.unpack.named(step.word);
            self.step(step)?;
            Spec::parse(self.state.config.as_bytes())?;
        }
        match self.state.begun {
            true => Ok(()),
            false => Err(Reason::From.into()),
        }
    }

    /// Does what it says and gives it its name; its digest.
    fn make(&mut self, lines: &mut Lines<'_>) -> Result<Hex, Bad> {
        let store = images::store()?;
        self.unpack.named(b"");
        if images::is_there(self.name.to_bytes()) {
            return Err(Why::EXISTS.into());
        }
        let (new, root) = match begin(&store) {
            Ok(made) => made,
            Err(error) => {
                let _ = unpack::remove(lend(&store), images::NEW);
                return Err(error.into());
            }
        };
        self.at = Some(At { store, new, root });
        let done = self.all(lines);
        let Some(at) = self.at.take() else {
            return Err(Errno::NOENT.into());
        };
        let done = done.and_then(|()| self.end(&at));
        if done.is_err() {
            let _ = unpack::remove(lend(&at.store), images::NEW);
        }
        done
    }

    /// What the steps left becomes the image.
    fn end(&mut self, at: &At) -> Result<Hex, Bad> {
        let State {
            config,
            entry,
            command,
            runs,
            shell,
            ..
        } = &mut self.state;
        if *runs {
            config.remove(Tag::Arg);
            add(config, entry)?;
            if !*shell {
                add(config, command)?;
            }
        }
        self.unpack.again();
        let mut tree = tree(self.unpack, at, false);
        tree.copy(&at.root, None)?;
        tree.unpack.named(b"");
        for record in config.view().records().filter(|r| r.tag != Tag::Name) {
            tree.sha.take(&[record.tag as u8]);
            tree.sha.take(record.bytes);
        }
        let digest = tree.sha.hex();
        let bytes = self.unpack.bytes;
        finish(&at.store, &at.new, self.name, config, &digest, bytes)?;
        Ok(digest)
    }

    fn step(&mut self, step: Instruction<'_>) -> Result<(), Bad> {
        let what = step.what.ok_or(Reason::Instruction)?;
        if self.state.begun == (what == What::From) && what != What::Arg {
            return Err(Reason::From.into());
        }
        let text = step.text;
        if text.is_empty() {
            return Err(Reason::NoValue.into());
        }
        let (mut rest, mut word) = (text, Word::new());
        let state = &mut self.state;
        match what {
            What::From => {
                state.word(&mut rest, false, &mut word)?;
                // A name for it is taken: nobody but a second FROM would ask for it.
                let (name, mut more) = (word.clone(), Word::new());
                let named = state.word(&mut rest, false, &mut word)?
                    && alike(&word, b"as")
                    && state.word(&mut rest, false, &mut more)?;
                if !(rest.is_empty() && (named || word.is_empty())) {
                    return Err(Reason::From.into());
                }
                state.begun = true;
                self.from(&name)
            }
            What::Copy => self.bring(text, false),
            What::Add => self.bring(text, true),
            What::Run => self.run(text),
            What::Arg => {
                while state.word(&mut rest, false, &mut word)? {
                    if cut(&word, b'=').1.is_some() {
                        options::apply(&mut state.arguments, b"env", Some(&word))?;
                    }
                }
                Ok(())
            }
            What::Env => state.variables(text),
            What::WorkDir => {
                state.word(&mut rest, true, &mut word)?;
                let path = state.inside(&word)?;
                options::apply(&mut state.config, b"cwd", Some(&path))?;
                if let Some(at) = &self.at {
                    jail::folder(lend(&at.root), &path, 0o755, Within::Follow)?;
                }
                Ok(())
            }
            What::User => {
                state.word(&mut rest, true, &mut word)?;
                Ok(options::apply(&mut state.config, b"user", Some(&word))?)
            }
            What::Cmd => {
                state.runs = true;
                command_of(text, &mut state.command).map(drop)
            }
            What::EntryPoint => {
                state.runs = true;
                state.shell = command_of(text, &mut state.entry)?;
                Ok(())
            }
            What::Note | What::LeftOut => Ok(()),
        }
    }

    /// FROM: an image's tree, and what it says of itself.
    fn from(&mut self, image: &[u8]) -> Result<(), Bad> {
        if image == b"scratch" {
            return Ok(());
        }
        if !name::is_valid(image) || !images::is_there(image) {
            return Err(Reason::NoImage.into());
        }
        let mut path: Path = [0; 4096];
        let config = c_string(&[IMAGES.to_bytes(), b"/", image, b"/config"], &mut path)?;
        let mut room = [0; SPEC_MAX];
        match file::open_at(None, config, OFlags::empty()) {
            Ok(config) => {
                let len = file::read(&config, &mut room)?;
                let spec = Spec::parse(room.get(..len).unwrap_or_default())?;
                self.state.config.keep(spec);
                let config = &mut self.state.config;
                config.set_str(Tag::Name, self.name.to_bytes())?;
            }
            // One that somebody put there by hand has none.
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let Some(at) = &self.at else {
            return Ok(());
        };
        let root = c_string(&[IMAGES.to_bytes(), b"/", image, b"/root"], &mut path)?;
        let from = file::open_at(None, root, OFlags::DIRECTORY)?;
        let mut tree = tree(self.unpack, at, false);
        tree.copy(&from, Some(&at.root))?;
        let stat = fstat(lend(&from))?;
        Ok(attributes(lend(&at.new), c"root", &tree.head(&stat, b'5'))?)
    }

    /// RUN: a container that has the tree as its root, without anything to read.
    fn run(&mut self, text: &[u8]) -> Result<(), Bad> {
        let mut spec = self.state.config.clone();
        command_of(text, &mut spec)?;
        let name = self.name.to_bytes();
        let name = joined(&[b"build.", name.get(..57).unwrap_or(name)])?;
        spec.set_str(Tag::Name, &name)?;
        spec.set_str(Tag::Root, TREE)?;
        spec.set_str(Tag::Image, TREE)?;
        spec.set_number(Tag::Tty, TTY_NONE.into())?;
        spec.add_flags(flags::RUN)?;
        for entry in self.state.arguments.view().all(Tag::Env) {
            let key = cut(entry.to_bytes(), b'=').0;
            let mut all = self.state.config.view().all(Tag::Env);
            if !all.any(|other| cut(other.to_bytes(), b'=').0 == key) {
                spec.push_str(Tag::Env, entry.to_bytes())?;
            }
        }
        Spec::parse(spec.as_bytes())?;
        if self.at.is_none() {
            return Ok(());
        }
        let null = file::open_at(None, c"/dev/null", OFlags::RDWR)?;
        rustix::stdio::dup2_stdin(&null)?;
        let status = run::run(&name, &mut spec, &|_| {}, self.unpack.err);
        signal::block();
        match status {
            0 => Ok(()),
            status => Err(Bad::Ended(status)),
        }
    }

    /// COPY and ADD: what is below the folder, and nothing else, into the tree.
    fn bring(&mut self, text: &[u8], unpacks: bool) -> Result<(), Bad> {
        let (mut count, mut last) = (0, Word::new());
        self.state.words(text, &mut |word| {
            let climbs = word.split(|b| *b == b'/').any(|part| part == b"..");
            if word.is_empty() || word.starts_with(b"--") || climbs {
                return Err(Reason::Copy.into());
            }
            count += 1;
            last = joined(&[word])?;
            Ok(())
        })?;
        if count < 2 {
            return Err(Reason::Copy.into());
        }
        let to = self.state.inside(&last)?;
        let folder = count > 2 || matches!(last.as_slice(), [b'.'] | [.., b'/'] | [.., b'/', b'.']);
        let mut bring = Bring {
            unpack: &mut *self.unpack,
            context: file::open_at(None, c".", OFlags::DIRECTORY)?,
            at: self.at.as_ref(),
            to: &to,
            folder,
            unpacks,
        };
        self.state.words(text, &mut |word| {
            count -= 1;
            if count == 0 {
                Ok(())
            } else {
                bring.pattern(word)
            }
        })
    }
}

fn tree<'t, 'a>(unpack: &'t mut Unpack<'a>, at: &'t At, ours: bool) -> Tree<'t, 'a> {
    Tree {
        unpack,
        sha: Sha256::new(),
        store: &at.store,
        new: &at.new,
        ours,
    }
}

/// One COPY or ADD.
struct Bring<'b, 'a> {
    unpack: &'b mut Unpack<'a>,
    context: OwnedFd,
    at: Option<&'b At>,
    to: &'b [u8],
    /// What is brought goes into it, and does not become it.
    folder: bool,
    unpacks: bool,
}

impl Bring<'_, '_> {
    /// Every file that a word means.
    fn pattern(&mut self, word: &[u8]) -> Result<(), Bad> {
        let (folder, last) = jail::apart(word);
        if !last.iter().any(|b| matches!(b, b'*' | b'?')) {
            return self.source(word);
        }
        self.folder = true;
        let mut room: Path = [0; 4096];
        let path = c_string(&[folder, b"."], &mut room)?;
        let (mut done, mut found) = (Ok(()), false);
        let open = place(lend(&self.context), path, Within::Read)?;
        file::entries(&open, &mut |name, _| {
            if done.is_ok() && like(last, name.to_bytes()) {
                found = true;
                let path = joined(&[folder, name.to_bytes()]);
                done = path.map_err(Bad::from).and_then(|path| self.source(&path));
            }
        })?;
        match found {
            true => done,
            false => Err(Errno::NOENT.into()),
        }
    }

    /// One of them.
    fn source(&mut self, path: &[u8]) -> Result<(), Bad> {
        let mut path = path;
        while let [rest @ .., b'/'] = path {
            path = rest;
        }
        self.unpack.named(path);
        let mut room: Path = [0; 4096];
        let c_path = c_string(&[path, if path.is_empty() { b"." } else { b"" }], &mut room)?;
        let open = || place(lend(&self.context), c_path, Within::Read);
        let from = open()?;
        let kind = FileType::from_raw_mode(fstat(lend(&from))?.st_mode);
        let Some(at) = self.at else {
            return Ok(());
        };
        let root = lend(&at.root);
        let whole = || {
            let to = jail::folder(root, self.to, 0o755, Within::Follow)?;
            match jail::is_folder(lend(&to))? {
                true => Ok(to),
                false => Err(Errno::NOTDIR),
            }
        };
        match kind {
            FileType::Directory => {
                let to = whole()?;
                Ok(tree(self.unpack, at, true).copy(&from, Some(&to))?)
            }
            FileType::RegularFile if self.unpacks && is_tar(open()?)? => {
                let to = whole()?;
                let mut stream = Stream::open(from, None)?;
                self.unpack.named(b"");
                self.unpack.archive(&mut stream, &to, Pass::All)?;
                stream.end()?;
                Ok(())
            }
            FileType::RegularFile => {
                let mut to_room: Path = [0; 4096];
                let own = c_string(&[self.to], &mut to_room)?;
                let there =
                    place(root, own, Within::Follow).and_then(|p| jail::is_folder(lend(&p)));
                let (parent, name) = match self.folder || there == Ok(true) {
                    true => (whole()?, jail::apart(path).1),
                    false => {
                        let (parent, name) = jail::apart(self.to);
                        (jail::folder(root, parent, 0o755, Within::Follow)?, name)
                    }
                };
                let mut room = [0; 256];
                let name = c_string(&[name], &mut room)?;
                Ok(tree(self.unpack, at, true).regular(from, Some((lend(&parent), name)))?)
            }
            _ => Err(Why::KIND.into()),
        }
    }
}
