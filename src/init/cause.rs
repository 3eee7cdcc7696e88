//! Why the board ended the last time: kept over the end, shown at the next boot.
//!
//! In the kernel's own keeping for programs (pstore's pmsg) where there is one, and in a file where the root
//! is a disk. A file that still says that the board runs tells of an end without order.

use core::ffi::CStr;

use log::Level;
use rustix::fs::OFlags;
use rustix::mount::{MountFlags, mount};

use super::words::Words;
use super::{Init, boot, files};
use crate::format::message::Power;
use crate::format::signal;

/// The kernel's keeping for programs.
const KEEPER: &CStr = c"/dev/pmsg0";
/// On a root that stays.
const FILE: &CStr = c"/var/lib/pouch/last-end";
/// Where what was kept stands after a boot. Nobody else writes to the first.
const KEPT: [&CStr; 2] = [c"/sys/fs/pstore/pmsg-ramoops-0", FILE];
/// What stands in it while the board runs.
const RUNS: &str = "it came without a word: the power failed, or something reset the board";
/// `reboot, asked for by SIGTERM`; 0 is a command.
pub(super) fn words(how: Power, by: u8) -> Words {
    let mut words = Words::new(match how {
        Power::Halt => "halt",
        Power::PowerOff => "poweroff",
        Power::Reboot => "reboot",
    });
    words.add(", asked for by ").add(match by {
        0 => "a command",
        _ => signal::name(by),
    });
    words
}

/// Keeps it, as far as anything here keeps.
pub(super) fn keep(why: &str) {
    files::write_file(KEEPER, why.as_bytes());
    write(why);
}

fn write(why: &str) {
    if !boot::root_in_memory() {
        let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY | OFlags::NOFOLLOW;
        let _ = files::open(FILE, flags).and_then(|fd| files::write(&fd, why.as_bytes()));
    }
}

impl Init {
    /// Shows what was kept, and begins anew.
    pub(super) fn tell_last_end(&mut self) {
        if self.t.config.nested {
            return;
        }
        let _ = mount(
            c"pstore",
            c"/sys/fs/pstore",
            c"pstore",
            MountFlags::empty(),
            c"",
        );
        let mut room = [0u8; 512];
        let mut words = Words::new("Pouch: the last end: ");
        let begun = words.as_str().len();
        for path in KEPT {
            if words.as_str().len() == begun {
                let text = files::read_file(path, &mut room).unwrap_or_default();
                words.plain(text.trim_ascii_end());
            }
        }
        write(RUNS);
        if words.as_str().len() > begun {
            words.log(Level::Info);
            self.tell_console(words.as_str());
        }
    }
}
