//! Signals, the reaper, and the end of the board.

use heapless::String;
use rustix::mount::{MountFlags, UnmountFlags, mount_remount, unmount};
use rustix::process::{WaitOptions, wait};
use rustix::system::{RebootCommand, reboot};

use super::tables::{UnitId, taken};
use super::{Init, boot};
use crate::format::ended::Ended;
use crate::format::message::Power;
use crate::policy::shutdown::{Action, Event};
use crate::policy::unit;
use crate::sys::{self, Errno, process, signal, time};

/// Signals by number, as busybox's poweroff, reboot and halt send them.
const HUP: u32 = 1;
const INT: u32 = 2;
const USR1: u32 = 10;
const USR2: u32 = 12;
const TERM: u32 = 15;
const CHLD: u32 = 17;
const PWR: u32 = 30;

/// The most mounts that are unmounted one by one; the rest is synced all the same.
const MOUNTS: usize = 8192;

impl Init {
    /// Reads every pending signal.
    pub(super) fn signals_ready(&mut self) {
        let mut room = [0u8; 8 * signal::RECORD];
        let Ok(len) = rustix::io::read(&self.signals, &mut room[..]) else {
            return;
        };
        for record in room
            .get(..len)
            .unwrap_or_default()
            .chunks_exact(signal::RECORD)
        {
            // struct signalfd_siginfo begins with ssi_signo.
            let number = record.first_chunk().map_or(0, |b| u32::from_ne_bytes(*b));
            match number {
                CHLD => self.reap(),
                USR1 => self.end_board(Power::Halt),
                USR2 | PWR => self.end_board(Power::PowerOff),
                TERM => self.end_board(Power::Reboot),
                INT => {
                    let action = self.t.ending.int(time::now_ms());
                    self.ending_perform(action);
                    self.end_board(Power::Reboot);
                }
                HUP => log::info!("SIGHUP: no containers are defined in /etc/pouch/containers"),
                _ => {}
            }
        }
    }

    /// Waits for whatever ended, until nothing is left: SIGCHLDs coalesce.
    pub(super) fn reap(&mut self) {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    let dumped = status.as_raw() & 0x80 != 0;
                    let ended = match (status.exit_status(), status.terminating_signal()) {
                        (Some(status), _) => Ended::Exited(status as u8),
                        (None, Some(signal)) if dumped => Ended::Dumped(signal as u8),
                        (None, Some(signal)) => Ended::Signalled(signal as u8),
                        (None, None) => continue,
                    };
                    self.reaped(pid.as_raw_nonzero().get(), ended);
                }
                Err(Errno::INTR) => {}
                Err(Errno::CHILD) => {
                    let action = self.t.ending.step(time::now_ms(), Event::AllGone);
                    return self.ending_perform(action);
                }
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Whose it was. A pid that nobody knows is an orphan's, and normal.
    fn reaped(&mut self, pid: i32, ended: Ended) {
        if let Some(at) = self
            .t
            .units
            .iter()
            .position(|u| u.as_ref().is_some_and(|u| u.pid == pid))
        {
            self.unit_ended(at as UnitId, ended);
        } else if let Some(at) = self
            .t
            .lines
            .iter()
            .position(|l| l.as_ref().is_some_and(|l| l.shell.pid == pid))
        {
            self.shell_ended(at as u8, ended, time::now_ms());
        } else if self.t.helper == Some(pid) {
            self.t.helper = None;
            self.helper_ended(ended);
        }
    }

    /// The child that loaded modules, or that unmounts and syncs, is done.
    fn helper_ended(&mut self, ended: Ended) {
        if self.t.definitions_wait {
            self.units_launch_waiting();
        }
        if self.t.ending.begun() {
            if !ended.is_success() {
                log::warn!("unmounting {}", ended.status());
            }
            let action = self.t.ending.step(time::now_ms(), Event::Synced);
            self.ending_perform(action);
        }
    }

    /// Somebody wants the board to end.
    pub(super) fn end_board(&mut self, how: Power) {
        let longest_grace = self.longest_grace();
        let action = self
            .t
            .ending
            .step(time::now_ms(), Event::Asked { how, longest_grace });
        self.ending_perform(action);
    }

    /// Whether the containers are gone that the end waits for.
    pub(super) fn ending_check(&mut self) {
        let live = self.t.units.iter().flatten().any(|u| u.life.is_live());
        if self.t.ending.begun() && !live {
            let action = self.t.ending.step(time::now_ms(), Event::ContainersGone);
            self.ending_perform(action);
        }
    }

    /// The end's next phase, if its time has come.
    pub(super) fn ending_due(&mut self, now: u64) {
        if self.t.ending.deadline().is_some_and(|at| now >= at) {
            let action = self.t.ending.step(now, Event::Tick);
            self.ending_perform(action);
        }
    }

    /// When [`Init::ending_due`] has something to do.
    pub(super) fn ending_deadline(&self) -> Option<u64> {
        self.t.ending.deadline()
    }

    fn ending_perform(&mut self, action: Option<Action>) {
        match action {
            None => {}
            Some(Action::StopContainers) => self.stop_containers(),
            Some(Action::TermAll) => {
                // Interactive shells ignore TERM and go by HUP; what is stopped hears nothing before CONT.
                for number in [15, 1, 18] {
                    process::signal_all(number);
                }
                self.reap();
            }
            Some(Action::KillAll) => {
                process::signal_all(9);
                self.reap();
            }
            Some(Action::Sync) => self.sync(),
            Some(Action::End(how)) => self.end(how),
        }
    }

    fn stop_containers(&mut self) {
        let mut words: String<64> = String::new();
        let how = match self.t.ending.how() {
            Power::Halt => "halts",
            Power::PowerOff => "powers off",
            Power::Reboot => "reboots",
        };
        let _ = ufmt::uwrite!(words, "Pouch: the board {} now", how);
        log::info!("the board {how} now");
        for line in taken(&self.t.lines) {
            self.line_say(line, &words);
            self.line_pump(line);
        }
        for id in taken(&self.t.units) {
            self.unit_event(id, unit::Event::Stop);
        }
        self.ending_check();
    }

    /// Unmounting and sync(2) may hang for ever: a child does them.
    fn sync(&mut self) {
        match process::fork(0, None) {
            Ok(process::Fork::Parent { pid, .. }) => self.t.helper = Some(pid),
            Ok(process::Fork::Child) => {
                sys::enter_child();
                if !self.t.config.nested {
                    unmount_all();
                }
                rustix::fs::sync();
                sys::exit(0)
            }
            Err(_) => {
                let action = self.t.ending.step(time::now_ms(), Event::Synced);
                self.ending_perform(action);
            }
        }
    }

    /// reboot(2) in a child, since it may end the one who calls it. In a PID namespace, PID 1 exits.
    fn end(&mut self, how: Power) {
        if self.t.config.nested {
            self.t.exit = Some(0);
            return;
        }
        let command = match how {
            Power::Halt => RebootCommand::Halt,
            Power::PowerOff => RebootCommand::PowerOff,
            Power::Reboot => RebootCommand::Restart,
        };
        match process::fork(0, None) {
            Ok(process::Fork::Parent { .. }) => {}
            Ok(process::Fork::Child) => {
                sys::enter_child();
                let _ = reboot(command);
                sys::exit(1)
            }
            // No process can be made: then it is done here, for want of anything better.
            Err(_) => {
                let _ = reboot(command);
            }
        }
    }
}

/// Unmounts what is mounted, the latest first; what is busy becomes read-only.
fn unmount_all() {
    let mut room = [0u8; 4 * MOUNTS];
    let Ok(text) = boot::read_file(c"/proc/self/mounts", &mut room) else {
        return;
    };
    for line in text.rsplit(|b| *b == b'\n') {
        let mut fields = line.split(|b| *b == b' ');
        let (Some(_), Some(target), Some(kind)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        // What lives in memory has nothing to lose, and is needed to the end.
        if matches!(
            kind,
            b"proc"
                | b"sysfs"
                | b"devtmpfs"
                | b"devpts"
                | b"tmpfs"
                | b"ramfs"
                | b"rootfs"
                | b"cgroup2"
        ) {
            continue;
        }
        let mut path = [0u8; 1024];
        let Some(path) = unescape(target, &mut path) else {
            continue;
        };
        if unmount(path, UnmountFlags::empty()).is_err() {
            let _ = mount_remount(path, MountFlags::RDONLY, c"");
        }
    }
}

/// A path of /proc/self/mounts, whose blanks stand as \040 (getmntent(3)).
fn unescape<'a>(text: &[u8], room: &'a mut [u8]) -> Option<&'a [u8]> {
    let (mut from, mut len) = (0, 0);
    while let Some(byte) = text.get(from) {
        let code = (*byte == b'\\')
            .then(|| text.get(from + 1..from + 4))
            .flatten()
            .and_then(crate::format::number::octal);
        let (value, step) = code
            .and_then(|c| u8::try_from(c).ok())
            .map_or((*byte, 1), |c| (c, 4));
        *room.get_mut(len)? = value;
        len += 1;
        from += step;
    }
    room.get(..len)
}
