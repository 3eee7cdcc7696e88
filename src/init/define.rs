//! Definitions that lie in files: read by a child, since JSON and disks are not for PID 1.
//!
//! The child is this binary as `pouch_define`. It asks for what it read as any command does,
//! and is known by its pid: what it asks for is looked after as what the kernel line defines.

use log::Level;
use rustix::process::{Pid, Signal, kill_process};

use super::Init;
use super::words::{Words, unable};
use crate::format::message::Refusal;
use crate::format::spec::Spec;
use crate::sys::{self, lend, process, signal};

/// What a child is to read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The files that the kernel line names.
    Line = 0,
    /// The folders below /etc/pouch/containers.
    Folder = 1,
}

impl Init {
    /// Starts the child. One that still reads the folders is of no use any more.
    pub(super) fn let_define(&mut self, source: Source) {
        if self.t.config.rescue || self.t.ending.begun() {
            return;
        }
        let Some(place) = self.t.definers.get_mut(source as usize) else {
            return;
        };
        // It is not reaped yet, so nobody else has its number.
        if let Some(pid) = Pid::from_raw(*place) {
            let _ = kill_process(pid, Signal::KILL);
        }
        let word = [c"line", c"folder"];
        match process::fork(0, None) {
            Ok(process::Fork::Parent { pid, .. }) => *place = pid,
            Ok(process::Fork::Child) => {
                sys::enter_child();
                signal::reset_child();
                signal::unblock();
                let word = word.get(source as usize).copied().unwrap_or_default();
                let _ = process::exec_fd(lend(&self.binary), &[c"pouch_define", word]);
                sys::exit(127)
            }
            Err(e) => unable("read definitions", e),
        }
    }

    /// Whether it is one of those children.
    pub(super) fn is_definer(&self, pid: i32) -> bool {
        pid != 0 && self.t.definers.contains(&pid)
    }

    /// One of them was reaped.
    pub(super) fn definer_ended(&mut self, pid: i32) {
        for place in &mut self.t.definers {
            if *place == pid {
                *place = 0;
            }
        }
    }

    /// A container that the board's owner defined: kept when it fails, tried again by its policy.
    pub(super) fn take_in<'a>(&mut self, spec: Spec<'a>) -> Result<(), Refusal<'a>> {
        let care = super::units::care_of(spec, false);
        self.unit_accept(spec, care, 1, [None, None], None)?;
        let mut words = Words::new("Pouch: ");
        words.plain(spec.name().to_bytes()).add(" starting");
        words.log(Level::Info);
        Ok(())
    }

    /// Says a line for one that cannot reach the log and the console.
    pub(super) fn say(&mut self, text: &[u8], loud: bool) {
        let mut words = Words::new("");
        words.plain(text);
        words.log(if loud { Level::Error } else { Level::Info });
        if loud {
            self.tell_console(words.as_str());
        }
    }
}
