//! What the kernel command line wants, word by word.
//!
//! A word that cannot be read is reported with its reason; the others hold.

use heapless::{String, Vec};

use super::Init;
use super::boot;
use crate::format::cmdline::{self, Word};
use crate::format::spec::{Spec, SpecBuf};
use crate::format::text::Plain;

/// The most bytes of /proc/cmdline: COMMAND_LINE_SIZE is 2,048 on the processors of today, and some vendors' more.
const CMDLINE: usize = 8192;
/// The default host shell.
const SHELL: &str = "/bin/sh";
/// The most lines that words name.
const CONSOLES: usize = 12;

impl Init {
    /// Reads the words twice: what sets the board up first, then, with lines to report on, definitions and mistakes.
    pub(super) fn configure(&mut self) {
        let mut room = [0u8; CMDLINE];
        let line = match boot::read_file(c"/proc/cmdline", &mut room) {
            // In a PID namespace the words are the host's, not this PID 1's.
            Ok(_) if self.t.config.nested && boot::words_are_the_machines() => &[][..],
            Ok(line) => line.trim_ascii_end(),
            Err(e) => {
                log::error!("unable to read /proc/cmdline: error {}", e.raw_os_error());
                &[]
            }
        };
        let _ = self.t.config.shell.push_str(SHELL);
        let mut consoles: Vec<&[u8], CONSOLES> = Vec::new();
        let mut extra: Vec<&[u8], CONSOLES> = Vec::new();
        let mut modules: Vec<&[u8], 32> = Vec::new();
        for word in cmdline::words(line).filter_map(cmdline::word).flatten() {
            match word {
                // In a PID namespace the console is what it was started on.
                Word::Console(_) if self.t.config.nested => {}
                Word::Console(device) => {
                    // The last one is the system console; a name said twice counts where it is said last.
                    consoles.retain(|d| *d != device);
                    let _ = consoles.push(device);
                }
                Word::ExtraConsoles(list) => {
                    let _ = cmdline::items(list).try_for_each(|d| extra.push(d));
                }
                Word::Modules(list) => {
                    let _ = cmdline::items(list).try_for_each(|m| modules.push(m));
                }
                Word::Shell(path) => self.set_shell(path),
                Word::ShellNone => self.t.config.shell.clear(),
                Word::Log(level) => log::set_max_level(level),
                Word::Rescue => self.t.config.rescue = true,
                Word::OnCrash(what) => self.t.config.on_crash = what,
                Word::CrashLimit(n) => {
                    self.t.config.crash_limit = n;
                    super::crash::allow(n);
                }
                Word::Container(_)
                | Word::Bridge { .. }
                | Word::Watchdog { .. }
                | Word::Root { .. } => {}
            }
        }
        if self.t.config.rescue && self.t.config.shell.is_empty() {
            self.set_shell(SHELL.as_bytes());
        }
        self.report_mistakes_early(line);
        self.t.definitions_wait = !modules.is_empty();
        if !self.t.config.rescue {
            self.definitions(line);
        }
        self.open_lines(&consoles, &extra);
        self.report_mistakes(line);
        self.load_modules(&modules);
    }

    fn set_shell(&mut self, path: &[u8]) {
        self.t.config.shell.clear();
        if core::str::from_utf8(path).is_ok_and(|p| self.t.config.shell.push_str(p).is_err()) {
            log::error!(
                "pouch.shell: the path is longer than {} bytes; /bin/sh it is",
                super::tables::PATH
            );
            let _ = self.t.config.shell.push_str(SHELL);
        }
    }

    /// Starts what `pouch.container=` defines.
    fn definitions(&mut self, line: &[u8]) {
        for word in cmdline::words(line).filter_map(cmdline::word).flatten() {
            let Word::Container(text) = word else {
                continue;
            };
            let mut spec = SpecBuf::new();
            if cmdline::container(text, &mut spec).is_ok()
                && let Ok(spec) = Spec::parse(spec.as_bytes())
            {
                self.define(spec);
            }
        }
    }

    /// To the log, before there is a line: a board whose console is wrong still says why.
    fn report_mistakes_early(&mut self, line: &[u8]) {
        each_mistake(line, |text| log::error!("{text}"));
    }

    /// To the system console's line.
    fn report_mistakes(&mut self, line: &[u8]) {
        each_mistake(line, |text| self.tell_console(text));
    }
}

/// Every word of pouch that cannot be read, as one line for a person.
fn each_mistake(line: &[u8], mut say: impl FnMut(&str)) {
    for raw in cmdline::words(line) {
        let mut text: String<400> = String::new();
        match cmdline::word(raw) {
            Some(Err(reason)) => {
                let _ = ufmt::uwrite!(text, "Pouch: {}: {}", Plain(raw), reason);
            }
            Some(Ok(Word::Container(def))) => {
                let mut spec = SpecBuf::new();
                if let Err(bad) = cmdline::container(def, &mut spec) {
                    let _ = ufmt::uwrite!(
                        text,
                        "Pouch: {}: {}: {}",
                        Plain(raw),
                        Plain(bad.word),
                        bad.reason
                    );
                }
            }
            _ => {}
        }
        if !text.is_empty() {
            say(&text);
        }
    }
}
