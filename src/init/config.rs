//! What the kernel command line wants, word by word.
//!
//! A word that cannot be read is reported with its reason; the others hold.

use heapless::Vec;
use log::Level;
use rustix::termios::Winsize;

use super::define::Source;
use super::marks::{Mark, mark};
use super::words::{Words, unable};
use super::{Init, boot, files};
use crate::format::cmdline::{self, Word};
use crate::format::container::FOLDER;
use crate::format::number;
use crate::format::spec::{Spec, SpecBuf};
use crate::format::text::behind;
use crate::sys::time;

/// The most bytes of /proc/cmdline: COMMAND_LINE_SIZE is 2,048 on the processors of today, and some vendors' more.
const CMDLINE: usize = 8192;
/// The default host shell.
const SHELL: &str = "/bin/sh";
/// The most lines that words name.
const CONSOLES: usize = 12;

impl Init {
    /// Reads the words twice: what sets the board up first, then, with lines to report on, definitions and mistakes.
    #[inline(never)] // its frame is not to be part of the loop's
    pub(super) fn configure(&mut self, rooted: Option<u8>) {
        let mut room = [0u8; CMDLINE];
        let line = match files::read_file(c"/proc/cmdline", &mut room) {
            // In a PID namespace the words are the host's, not this PID 1's.
            Ok(_) if self.t.config.nested && boot::words_are_the_machines() => &[][..],
            Ok(line) => line.trim_ascii_end(),
            Err(e) => {
                unable("read /proc/cmdline", e);
                &[]
            }
        };
        self.t.config.shell.clear();
        let _ = self.t.config.shell.push_str(SHELL);
        let mut root = None;
        let mut consoles: Vec<&[u8], CONSOLES> = Vec::new();
        let mut extra: Vec<&[u8], CONSOLES> = Vec::new();
        let mut modules: Vec<&[u8], 32> = Vec::new();
        for raw in cmdline::words(line) {
            let Some(Ok(word)) = cmdline::word(raw) else {
                continue;
            };
            match word {
                // In a PID namespace the console is what it was started on.
                Word::Console(_) if self.t.config.nested => {}
                Word::Console(device) => {
                    // The last one is the system console; a name said twice counts where it is said last.
                    let mut kept = Vec::new();
                    for other in consoles.iter().filter(|d| **d != device) {
                        let _ = kept.push(*other);
                    }
                    let _ = kept.push(device);
                    consoles = kept;
                }
                Word::ExtraConsoles(list) => {
                    let _ = cmdline::items(list).try_for_each(|d| extra.push(d));
                }
                Word::Modules(list) => {
                    let _ = cmdline::items(list).try_for_each(|m| modules.push(m));
                }
                Word::Shell(path) => self.set_shell(path),
                Word::ShellNone => self.t.config.shell.clear(),
                Word::Log(level) => {
                    self.t.config.log = level;
                    log::set_max_level(level);
                }
                Word::OnCrash(what) => {
                    self.t.config.on_crash = what;
                    super::crash::then(what);
                }
                Word::Watchdog { device, seconds } => {
                    self.t.config.watchdog.clear();
                    let _ = self.t.config.watchdog.extend_from_slice(device);
                    self.t.config.watchdog_seconds = seconds;
                }
                Word::Root { device, kind } => root = Some((device, kind)),
                Word::Rescue => self.t.config.rescue = true,
                Word::CrashLimit(n) => {
                    self.t.config.crash_limit = n;
                    super::crash::allow(n);
                }
                Word::Bridge(cidr) => self.t.config.bridge = Some(cidr),
                Word::Container(_) => {}
            }
        }
        self.t.config.size = size(line);
        let mut lost = None;
        // Nothing is launched before the root is there and the lines are open: what a slot's line is says what TERM is.
        self.t.definitions_wait = true;
        match (root.filter(|_| !self.t.config.nested), rooted) {
            (Some((device, kind)), None) => return self.root_begin(device, kind, &modules),
            (Some((device, _)), Some(status)) => {
                // Loaded on the way there.
                modules.clear();
                if status != 0 {
                    self.t.config.rescue = true;
                    lost = Some(super::root::failed(device, status));
                }
            }
            _ => {}
        }
        if self.t.config.rescue && self.t.config.shell.is_empty() {
            self.set_shell(SHELL.as_bytes());
        }
        // To the log first: a board whose console is wrong still says why.
        let mut taken = 0;
        self.each_definition(line, Pass::Log, &mut taken);
        // They take their slots before the lines are opened, which then show them.
        if !self.t.config.rescue {
            self.each_definition(line, Pass::Start, &mut taken);
        }
        mark(Mark::Words);
        self.open_lines(&consoles, &extra);
        mark(Mark::Console);
        // Its shell takes longest: it begins now, on another processor where there is one.
        self.shells_due(time::now_ms());
        mark(Mark::Shell);
        if rustix::fs::access(FOLDER, rustix::fs::Access::EXISTS).is_ok() {
            self.let_define(Source::Folder);
        }
        self.open_vts();
        mark(Mark::Lines);
        self.each_definition(line, Pass::Console, &mut taken);
        if let Some(words) = lost {
            self.tell_console(words.as_str());
        }
        if modules.is_empty() {
            self.modules_there();
        } else {
            self.load_modules(&modules);
        }
    }

    fn set_shell(&mut self, path: &[u8]) {
        self.t.config.shell.clear();
        if crate::sys::letters::text(path).is_some_and(|p| self.t.config.shell.push_str(p).is_err())
        {
            let mut words = Words::new("pouch.shell: the path is longer than ");
            words.num(super::tables::PATH as u64);
            words.add(" bytes; /bin/sh it is").log(Level::Error);
            let _ = self.t.config.shell.push_str(SHELL);
        }
    }

    /// One more walk through the words, for what cannot be done before all of them are known.
    /// A definition that is `taken` has its bit, by its place among those of the line.
    #[inline(never)]
    fn each_definition(&mut self, line: &[u8], pass: Pass, taken: &mut u128) {
        let mut spec = SpecBuf::new();
        let mut files = false;
        let mut bit = 1u128;
        for raw in cmdline::words(line) {
            let mut words = Words::new("Pouch: ");
            words.plain(raw).add(": ");
            match cmdline::word(raw) {
                Some(Err(reason)) => words.reason(reason),
                Some(Ok(Word::Container(text))) => match cmdline::container(text, &mut spec) {
                    Ok(file) => {
                        match (pass, file, Spec::parse(spec.as_bytes())) {
                            // JSON is not for PID 1 to read: a child asks for these.
                            (Pass::Start, Some(_), _) => files = true,
                            (Pass::Start, None, Ok(spec)) if self.take_in(spec).is_ok() => {
                                *taken |= bit;
                            }
                            // Refused, and now there are lines to say so on.
                            (Pass::Console, None, Ok(spec))
                                if *taken & bit == 0 && bit != 0 && !self.t.config.rescue =>
                            {
                                self.define(spec);
                            }
                            _ => {}
                        }
                        bit <<= 1;
                        continue;
                    }
                    Err(bad) => words.plain(bad.word).add(": ").reason(bad.reason),
                },
                _ => continue,
            };
            match pass {
                Pass::Log => words.log(Level::Error),
                Pass::Console => self.tell_console(words.as_str()),
                Pass::Start => {}
            }
        }
        if files {
            self.let_define(Source::Line);
        }
    }
}

/// The size of the terminal at the system console, by the words LINES and COLUMNS: those of
/// others, who know it where a serial line carries none.
fn size(line: &[u8]) -> Option<Winsize> {
    let mut size = super::sessions::SIZE;
    let mut said = false;
    for raw in cmdline::words(line) {
        for (key, field) in [
            (&b"LINES="[..], &mut size.ws_row),
            (b"COLUMNS=", &mut size.ws_col),
        ] {
            let number = behind(raw, key).and_then(number::u32);
            if let Some(number) = number
                .and_then(|n| u16::try_from(n).ok())
                .filter(|n| *n > 0)
            {
                *field = number;
                said = true;
            }
        }
    }
    said.then_some(size)
}

/// What a walk through the words is for.
#[derive(Clone, Copy)]
enum Pass {
    /// Mistakes go to the log.
    Log,
    /// What `pouch.container=` defines is started.
    Start,
    /// Mistakes go to the system console's line.
    Console,
}
