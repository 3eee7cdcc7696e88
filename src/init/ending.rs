//! Signals, the reaper, and the end of the board.

use core::ffi::CStr;

use log::Level;
use rustix::fs::OFlags;
use rustix::mount::{MountFlags, UnmountFlags, mount_remount, unmount};
use rustix::process::{Pid, WaitOptions, wait, waitpid};
use rustix::system::{RebootCommand, reboot};

use super::tables::{LINES, Line, NEVER, UnitRecord, is_due};
use super::words::Words;
use super::{Init, files};
use crate::format::ended::Ended;
use crate::format::message::Power;
use crate::format::number::octal;
use crate::format::text::{cut, which};
use crate::policy::shutdown::{Action, Event};
use crate::sys::{self, Errno, device, process, signal, time};

/// Signals by number, as busybox's poweroff, reboot and halt send them.
const HUP: u8 = 1;
const INT: u8 = 2;
const USR1: u8 = 10;
const USR2: u8 = 12;
const TERM: u8 = 15;
const CHLD: u8 = 17;
const PWR: u8 = 30;

/// Whatever ended is asked for this often at most, beside those whose end was heard of. In milliseconds.
const REAP_MS: u64 = 10;
/// The most signals taken in one turn.
const SIGNALS: usize = 8;
/// The most mounts that are unmounted one by one; the rest is synced all the same.
const MOUNTS: usize = 8192;

impl Init {
    /// Does what the signals say that came.
    pub(super) fn signals_ready(&mut self) {
        for _ in 0..SIGNALS {
            // One at a time: a child's end may put another image in this one's place, and what is
            // not read yet is there for that.
            let Some(came) = signal::next(&self.signals) else {
                return;
            };
            match came.signal {
                CHLD => self.child_ended(came.pid),
                USR1 => self.end_board(Power::Halt, USR1),
                USR2 | PWR => self.end_board(Power::PowerOff, came.signal),
                TERM => self.end_board(Power::Reboot, TERM),
                INT => {
                    let action = self.t.ending.int(time::now_ms());
                    self.ending_perform(action);
                    self.end_board(Power::Reboot, INT);
                }
                HUP => self.let_define(super::define::Source::Folder),
                _ => {}
            }
        }
    }

    /// A child ended, and maybe others did meanwhile: SIGCHLDs coalesce.
    ///
    /// To ask for any that ended has the kernel look through all that have not. Where thousands end, each is waited
    /// for by its pid, and the others are asked for now and then.
    fn child_ended(&mut self, pid: i32) {
        let now = time::now_ms();
        if now >= self.reaped_at + REAP_MS || self.t.ending.begun() {
            return self.reap();
        }
        self.reap_at = self.reaped_at + REAP_MS;
        let _ = self.reap_of(Pid::from_raw(pid));
    }

    /// Waits for whatever ended, until nothing is left.
    #[inline(never)]
    pub(super) fn reap(&mut self) {
        self.reap_at = NEVER;
        while self.reap_of(None) == Ok(true) {}
        self.reaped_at = time::now_ms();
    }

    /// Those that ended unheard of are waited for when it is time.
    pub(super) fn reap_due(&mut self, now: u64) {
        if now >= self.reap_at {
            self.reap();
        }
    }

    /// Waits for one that ended, whichever or that one. `Ok(false)`: there is none.
    fn reap_of(&mut self, pid: Option<Pid>) -> Result<bool, Errno> {
        let waited = match pid {
            Some(_) => waitpid(pid, WaitOptions::NOHANG),
            None => wait(WaitOptions::NOHANG),
        };
        match waited {
            Ok(Some((pid, status))) => {
                if let Some(ended) = Ended::of_status(status.as_raw() as u32) {
                    self.reaped(pid.as_raw_nonzero().get(), ended);
                }
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(Errno::INTR) => Ok(true),
            Err(e) => {
                if e == Errno::CHILD && pid.is_none() {
                    self.ending_event(Event::AllGone);
                }
                Err(e)
            }
        }
    }

    /// Whose it was. A pid that nobody knows is an orphan's, and normal.
    fn reaped(&mut self, pid: i32, ended: Ended) {
        let of = |u: &UnitRecord| u.pid == pid || u.asked == pid || u.releasing == pid;
        if let Some(id) = self.t.find_unit(&of) {
            let (asked, releasing) = self.t.unit(id).map_or((0, 0), |u| (u.asked, u.releasing));
            match pid {
                _ if pid == asked => self.health_answered(id, ended),
                _ if pid == releasing => self.unit_released(id),
                _ => self.unit_ended(id, ended),
            }
        } else if let Some(line) = self.t.find_line(&|l| l.shell.pid == pid) {
            self.shell_ended(line, ended, time::now_ms());
        } else if self.judged(pid, ended.is_success()) {
        } else if self.t.helper == Some(pid) {
            self.t.helper = None;
            self.helper_ended(ended);
        } else {
            self.definer_ended(pid);
        }
    }

    /// The child that switches the root, loads modules, or unmounts and syncs, is done.
    fn helper_ended(&mut self, ended: Ended) {
        if self.t.ending.begun() {
            if !ended.is_success() {
                let mut words = Words::new("unmounting ");
                words.num(ended.status().into()).log(Level::Warn);
            }
            self.ending_event(Event::Synced);
        } else if self.t.rooting.is_some() {
            self.root_done(ended.status());
        } else {
            self.modules_there();
        }
    }

    /// Somebody wants the board to end.
    pub(super) fn end_board(&mut self, how: Power, by: u8) {
        if !self.t.ending.begun() {
            self.t.ended_by = by;
        }
        let longest_grace = self.longest_grace();
        self.ending_event(Event::Asked { how, longest_grace });
    }

    /// Whether the containers are gone that the end waits for.
    pub(super) fn ending_check(&mut self) {
        if self.t.ending.begun() && self.t.find_unit(&|u| u.life.is_live()).is_none() {
            self.ending_event(Event::ContainersGone);
        }
    }

    /// The end's next phase, if its time has come.
    pub(super) fn ending_due(&mut self, now: u64) {
        if self.t.ending.stops_containers() {
            self.stop_last();
            self.ending_check();
        }
        if is_due(self.t.ending.deadline(), now) {
            self.ending_event(Event::Tick);
        }
    }

    /// Something happened to the board's end: its machine decides.
    #[inline(never)]
    fn ending_event(&mut self, event: Event) {
        let action = self.t.ending.step(time::now_ms(), event);
        self.ending_perform(action);
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
        // What was on its way to come up is not waited for any more: its end is not to be taken for the sync's.
        self.t.rooting = None;
        self.t.definitions_wait = false;
        if let Some(late) = self.t.helper.take() {
            super::crash::end_dead_man(late);
        }
        let mut words = Words::new("Pouch: the board ");
        words.add(match self.t.ending.how() {
            Power::Halt => "halts now",
            Power::PowerOff => "powers off now",
            Power::Reboot => "reboots now",
        });
        let cause = super::cause::words(self.t.ending.how(), self.t.ended_by);
        self.tell("end", "-", cause.as_str());
        for line in 0..LINES as Line {
            self.line_tell(line, words.as_str());
        }
        self.watchdog_stretch();
    }

    /// Unmounting and sync(2) may hang for ever: a child does them.
    #[inline(never)] // its frame is not to be part of the loop's
    fn sync(&mut self) {
        match process::fork(0, None) {
            Ok(process::Fork::Parent { pid, .. }) => self.t.helper = Some(pid),
            Ok(process::Fork::Child) => {
                sys::enter_child();
                if !self.t.config.nested {
                    super::cause::keep(
                        super::cause::words(self.t.ending.how(), self.t.ended_by).as_str(),
                    );
                    // What lay on a loop device kept what its file lies on busy.
                    unmount_all();
                    loops_free();
                    unmount_all();
                }
                rustix::fs::sync();
                sys::exit(0)
            }
            Err(_) => {
                self.ending_event(Event::Synced);
            }
        }
    }

    /// reboot(2) in a child, since it may end the one who calls it. In a PID namespace, PID 1 exits.
    fn end(&mut self, how: Power) {
        if self.t.config.nested {
            self.t.exit = Some(0);
            return;
        }
        self.watchdog_last(how == Power::Halt);
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
#[inline(never)] // its frame is not to be part of the loop's
fn unmount_all() {
    let mut room = [0u8; 4 * MOUNTS];
    let Ok(text) = files::read_file(c"/proc/self/mounts", &mut room) else {
        return;
    };
    for line in text.rsplit(|b| *b == b'\n') {
        let (_, rest) = cut(line, b' ');
        let (target, rest) = cut(rest.unwrap_or_default(), b' ');
        let (kind, _) = cut(rest.unwrap_or_default(), b' ');
        // What lives in memory has nothing to lose, and is needed to the end.
        if target.is_empty() || which(IN_MEMORY, kind).is_some() {
            continue;
        }
        let mut room = [0u8; 1024];
        let Some(path) = unescape(target, &mut room) else {
            continue;
        };
        if unmount(path, UnmountFlags::empty()).is_err() {
            let _ = mount_remount(path, MountFlags::RDONLY, c"");
        }
    }
}

/// Lets every loop device go whose file system is gone.
fn loops_free() {
    for number in 0..LOOPS {
        let mut path = Words::new("/dev/loop");
        if let Ok(fd) = files::open(path.num(number).path(), OFlags::RDONLY) {
            let _ = device::loop_clear(&fd);
        }
    }
}

/// The most loop devices that are looked at.
const LOOPS: u64 = 64;

/// File systems without a disk behind them.
const IN_MEMORY: &str = "proc sysfs devtmpfs devpts tmpfs ramfs rootfs cgroup2";

/// A path of /proc/self/mounts, whose blanks stand as \040 (getmntent(3)).
fn unescape<'a>(text: &[u8], room: &'a mut [u8]) -> Option<&'a CStr> {
    let (mut from, mut len) = (0, 0);
    while let Some(byte) = text.get(from) {
        let mut value = *byte;
        from += 1;
        if value == b'\\'
            && let Some(code) = text.get(from..from + 3).and_then(octal)
        {
            value = u8::try_from(code).ok()?;
            from += 3;
        }
        *room.get_mut(len)? = value;
        len += 1;
    }
    // The room was zeros, so what stands behind is the end.
    CStr::from_bytes_with_nul(room.get(..=len)?).ok()
}
