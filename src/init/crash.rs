//! When PID 1 itself fails: say it once, re-execute with the state.
//!
//! A panic and a fault signal lead to one place. It first forks a dead man who reboots
//! the board if the next image does not come up, then executes PID 1's own binary anew,
//! with every descriptor and the arena. Three crashes in a minute reboot in order.

use core::ffi::CStr;
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

use log::Level;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{OFlags, SeekFrom};
use rustix::system::{RebootCommand, reboot};

use super::poll::{Token, rewatch, watch};
use super::tables::{
    CLIENTS, ClientId, LINES, Line, SESSIONS, Session, Tables, UNITS, UnitId, Waits,
};
use super::words::Words;
use super::{Init, files};
use crate::format::cmdline::OnCrash;
use crate::format::mark;
use crate::format::number::u64;
use crate::format::text::{behind, cut};
use crate::policy::size::{MANY, Place};
use crate::sys::{self, Errno, lend, process, signal, time};

/// So many crashes within a minute are too many, unless `pouch.crash-limit=` says otherwise.
pub(super) const LIMIT: u32 = 3;
/// The minute.
const WITHIN_MS: u64 = 60_000;
/// The dead man reboots after this, unless the next image ends him.
const DEAD_MAN_S: i64 = 10;
/// As long as anybody waits.
const FOR_EVER_MS: i64 = 1_000_000_000;
/// sync(2) may take so long before the board is rebooted without it.
const SYNC_MS: i64 = 10_000;
/// The descriptors that are handed over at most.
pub(super) const HIGHEST_FD: i32 = 64 * WORDS as i32 - 1;
/// A bit for each of them, 64 a word: sixteen a container, of which seven are in use while it runs. With 64 that is
/// what a process may have open unless something else was said.
const WORDS: usize = UNITS / 4;
/// The argument that names the arena: `--resume=FD`.
const RESUME: &str = "--resume=";

static ARENA: AtomicI32 = AtomicI32::new(-1);
static BINARY: AtomicI32 = AtomicI32::new(-1);
static ALLOWED: AtomicU32 = AtomicU32::new(LIMIT);
static THEN: AtomicU32 = AtomicU32::new(OnCrash::Reexec as u32);
static CRASHES: AtomicU32 = AtomicU32::new(0);
static FIRST_CRASH: AtomicU64 = AtomicU64::new(0);

/// So many descriptors may be open as are handed over. The kernel's own limit is enough for the ordinary size.
pub(super) fn open_many() {
    if MANY {
        let all = HIGHEST_FD as u64 + 1;
        let _ = process::set_limit(process::NOFILE, [all, all]);
    }
}

/// The descriptor number in `--resume=FD,CRASHES,FIRST,DEADMAN,`, taken over; and the dead man is ended.
pub(super) fn resume_fd(arg: &CStr) -> Option<OwnedFd> {
    let mut rest = behind(arg.to_bytes(), RESUME.as_bytes())?;
    let mut numbers = [0; 4];
    for place in &mut numbers {
        let (number, behind) = cut(rest, b',');
        *place = u64(number)?;
        rest = behind?;
    }
    let [fd, crashes, first, dead_man] = numbers;
    CRASHES.store(crashes as u32, Ordering::Relaxed);
    FIRST_CRASH.store(first, Ordering::Relaxed);
    end_dead_man(dead_man as i32);
    process::adopt_fd(i32::try_from(fd).ok()?)
}

/// He is not needed any more.
pub(super) fn end_dead_man(pid: i32) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

/// Opens PID 1's own binary and finds the digest that ties a state to it: at its end, or, in
/// one that was never packed, made of the whole file.
pub(super) fn own_binary() -> Result<(OwnedFd, u64), Errno> {
    let fd = files::open(c"/proc/self/exe", OFlags::RDONLY)?;
    let mut room = [0u8; 4096];
    rustix::fs::seek(lend(&fd), SeekFrom::End(-(mark::LEN as i64)))?;
    files::read(&fd, &mut room)?;
    if let Some((&mark::MAGIC, rest)) = room.split_first_chunk()
        && let Some(digest) = rest.first_chunk()
    {
        return Ok((fd, u64::from_le_bytes(*digest)));
    }
    rustix::fs::seek(lend(&fd), SeekFrom::Start(0))?;
    let mut digest = mark::START;
    loop {
        let len = files::read(&fd, &mut room)?;
        if len == 0 {
            return Ok((fd, digest));
        }
        digest = mark::digest(digest, room.get(..len).unwrap_or_default());
    }
}

/// What the crash path needs, where it can find it without the tables.
pub(super) fn remember(arena: &OwnedFd, binary: &OwnedFd) {
    ARENA.store(arena.as_raw_fd(), Ordering::Relaxed);
    BINARY.store(binary.as_raw_fd(), Ordering::Relaxed);
}

/// `pouch.crash-limit=N`; 0 means none.
pub(super) fn allow(crashes: u32) {
    ALLOWED.store(crashes, Ordering::Relaxed);
}

/// `pouch.on-crash=`.
pub(super) fn then(what: OnCrash) {
    THEN.store(what as u32, Ordering::Relaxed);
}

/// The panic path of the binary.
pub fn panicked(file: &str, line: u32) -> ! {
    let mut text = Words::new("panic at ");
    text.add(file).add(":").num(line.into());
    crashed(text.as_str())
}

/// The handler of fault signals.
pub(super) fn faulted(number: u8) -> ! {
    crashed(crate::format::signal::name(number))
}

#[inline(never)]
fn crashed(what: &str) -> ! {
    if sys::is_child() {
        sys::exit(127);
    }
    if rustix::process::getpid().as_raw_nonzero().get() != 1 {
        let mut text = Words::new("Pouch: internal error: ");
        text.add(what).add("\n");
        let _ = rustix::io::write(process::standard(2), text.as_str().as_bytes());
        sys::exit(125);
    }
    let now = time::now_ms();
    let mut first = FIRST_CRASH.load(Ordering::Relaxed);
    let mut crashes = CRASHES.load(Ordering::Relaxed).saturating_add(1);
    if first == 0 || now.saturating_sub(first) > WITHIN_MS {
        (first, crashes) = (now.max(1), 1);
    }
    let allowed = ALLOWED.load(Ordering::Relaxed);
    let too_many = allowed != 0 && crashes >= allowed;
    let then = THEN.load(Ordering::Relaxed);
    let halts = then == OnCrash::Halt as u32;
    let ends = too_many || then != OnCrash::Reexec as u32;
    let mut text = Words::new("<26>pouch: PID 1 crashed (");
    text.add(what).add("), ").num(crashes.into());
    text.add(" in a minute; ").add(match (ends, halts) {
        (true, true) => "halting",
        (true, false) => "rebooting",
        (false, _) => "re-executing",
    });
    text.add("\n");
    files::write_file(c"/dev/kmsg", text.as_str().as_bytes());
    if !ends {
        reexecute(crashes, first);
    }
    give_up(match halts {
        true => RebootCommand::Halt,
        false => RebootCommand::Restart,
    })
}

/// Executes the binary anew with all that is open. Comes back only if that cannot be.
fn reexecute(crashes: u32, first: u64) {
    let mut arg = Words::new(RESUME);
    for number in [
        ARENA.load(Ordering::Relaxed) as u64,
        crashes.into(),
        first,
        dead_man() as u64,
    ] {
        arg.num(number).add(",");
    }
    process::keep_over_exec(HIGHEST_FD);
    if let Some(binary) = process::adopt_fd(BINARY.load(Ordering::Relaxed)) {
        let _ = process::exec_fd(lend(&binary), &[c"init", arg.path()]);
    }
}

/// A child that reboots the board unless it is killed in time. Its pid; 0 if there is none.
pub(super) fn dead_man() -> i32 {
    match process::fork(0, None) {
        Ok(process::Fork::Parent { pid, pidfd }) => {
            // The descriptor is let go on purpose: the pid is what the next image gets.
            drop(pidfd);
            pid
        }
        Ok(process::Fork::Child) => {
            sys::enter_child();
            sleep(DEAD_MAN_S * 1000);
            restart(RebootCommand::Restart);
            sys::exit(1)
        }
        Err(_) => 0,
    }
}

/// So many milliseconds pass.
#[inline(never)]
pub(super) fn sleep(ms: i64) {
    let _ = rustix::event::poll(&mut [], Some(&timeout(ms)));
}

fn timeout(ms: i64) -> Timespec {
    Timespec {
        tv_sec: ms / 1000,
        tv_nsec: (ms % 1000 * 1_000_000) as _,
    }
}

/// sync(2), which may hang and so is a child's, and then reboot(2): for a process that has nobody behind it.
fn restart(command: RebootCommand) {
    match process::fork(0, None) {
        Ok(process::Fork::Parent { pidfd, .. }) => {
            // Readable once the child has ended (pidfd_open(2)).
            let mut ended = [PollFd::new(&pidfd, PollFlags::IN)];
            let _ = rustix::event::poll(&mut ended, Some(&timeout(SYNC_MS)));
        }
        Ok(process::Fork::Child) => {
            rustix::fs::sync();
            sys::exit(0)
        }
        Err(_) => {}
    }
    let _ = reboot(command);
}

/// The end in as much order as is left: everything is told, synced as long as there is time, rebooted by a child.
fn give_up(command: RebootCommand) -> ! {
    signal::block();
    process::signal_all(15);
    sleep(1000);
    process::signal_all(9);
    match process::fork(0, None) {
        Ok(process::Fork::Parent { .. }) => {}
        Ok(process::Fork::Child) => {
            sys::enter_child();
            super::cause::keep("PID 1 crashed");
            restart(command);
            sys::exit(1)
        }
        Err(_) => {
            let _ = reboot(command);
        }
    }
    // A disk that hangs holds neither the child nor this.
    sleep(2 * SYNC_MS);
    let _ = reboot(command);
    loop {
        sleep(FOR_EVER_MS);
    }
}

impl Init {
    /// After a re-execution: the tables are as they were; descriptors close again on execve, and all is waited for anew.
    #[inline(never)] // its frame is not to be part of the loop's
    pub(super) fn resume(&mut self, why: &str) -> Result<(), Errno> {
        process::close_on_exec_from(3)?;
        allow(self.t.config.crash_limit);
        then(self.t.config.on_crash);
        log::set_max_level(self.t.config.log);
        self.watch_basics()?;
        let mut open = Open {
            epoll: &self.epoll,
            bits: [0; WORDS],
        };
        self.t.find_again(&mut open);
        for fd in [&self.arena, &self.epoll, &self.signals, &self.binary] {
            open.note(fd);
        }
        open.keep(&self.spare);
        // What no record names was in flight when the former image died.
        for number in 3..=HIGHEST_FD {
            if !open.is_known(number) {
                // Taken over and dropped: closed if it was open.
                drop(process::adopt_fd(number));
            }
        }
        self.tell("reexec", "-", why);
        Ok(())
    }
}

/// The descriptors that records name, and the new epoll, which knows nothing yet.
struct Open<'a> {
    epoll: &'a OwnedFd,
    bits: [u64; WORDS],
}

impl Open<'_> {
    /// A descriptor that a record names.
    #[inline(never)]
    fn note(&mut self, fd: &OwnedFd) {
        let number = fd.as_raw_fd() as usize;
        if let Some(word) = self.bits.get_mut(number / 64) {
            *word |= 1 << (number % 64);
        }
    }

    fn is_known(&self, number: i32) -> bool {
        let number = number as usize;
        let word = self.bits.get(number / 64).copied().unwrap_or(0);
        word >> (number % 64) & 1 != 0
    }

    /// The same, of one that is open or not.
    #[inline(never)]
    fn keep(&mut self, fd: &Option<OwnedFd>) {
        if let Some(fd) = fd {
            self.note(fd);
        }
    }

    /// The same, of one that is waited for.
    #[inline(never)]
    fn again(&mut self, fd: &Option<OwnedFd>, token: Token, id: Place) {
        if let Some(fd) = fd {
            self.note(fd);
            let _ = watch(self.epoll, fd, token, id);
            // Who wrote or waited to write is asked once more, so nothing hangs for a lost wake-up.
            if matches!(token, Token::Session | Token::Line) {
                rewatch(self.epoll, fd, token, id, true);
            }
        }
    }
}

impl Tables {
    /// Shows every descriptor of every record, and has those waited for anew that were.
    fn find_again(&mut self, open: &mut Open<'_>) {
        open.keep(&self.control);
        open.keep(&self.shell_cgroup);
        open.keep(&self.watchdog);
        for id in 0..UNITS as UnitId {
            if let Some(unit) = self.unit(id) {
                open.keep(&unit.pidfd);
                open.keep(&unit.cgroup);
                open.keep(&unit.asked_fd);
                open.keep(&unit.terminal);
                for stream in &unit.streams {
                    open.keep(stream);
                }
                open.again(&unit.ready, Token::Ready, id);
                open.again(&unit.report, Token::Report, id);
                open.again(&unit.events, Token::Cgroup, id);
                open.again(&unit.listener, Token::Listener, id);
                for owner in &unit.owners {
                    open.again(owner, Token::Owner, id);
                }
            }
        }
        for id in 0..SESSIONS as Session {
            if let Some(session) = self.session_mut(id) {
                open.keep(&session.slave);
                open.again(&session.master, Token::Session, id);
                (session.wants_out, session.held) = (true, false);
            }
        }
        for id in 0..LINES as Line {
            if let Some(line) = self.line_mut(id) {
                open.again(&line.fd, Token::Line, id);
                open.keep(&line.shell.pidfd);
                open.again(&line.shell.report, Token::ShellReport, id);
                line.wants_out = true;
            }
        }
        for id in 0..CLIENTS as ClientId {
            if let Some(client) = self.client(id) {
                open.note(&client.fd);
                if let Err(e) = watch(open.epoll, &client.fd, Token::Client, id) {
                    let mut words = Words::new("a client is lost");
                    words.errno(e).log(Level::Warn);
                }
                if let Waits::Log { .. } = client.waits {
                    // It may have been in the middle of what there was.
                    rewatch(open.epoll, &client.fd, Token::Client, id, true);
                }
            }
        }
    }
}
