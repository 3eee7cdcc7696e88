//! When PID 1 itself fails: say it once, re-execute with the state.
//!
//! A panic and a fault signal lead to one place. It first forks a dead man who reboots
//! the board if the next image does not come up, then executes PID 1's own binary anew,
//! with every descriptor and the arena. Three crashes in a minute reboot in order.

use core::ffi::CStr;
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

use heapless::String;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};

use super::Init;
use crate::sys::{self, Errno, process, signal, time};

/// So many crashes within a minute are too many, unless `pouch.crash-limit=` says otherwise.
pub(super) const LIMIT: u32 = 3;
/// The minute.
const WITHIN_MS: u64 = 60_000;
/// The dead man reboots after this, unless the next image ends him.
const DEAD_MAN_S: i64 = 10;
/// The descriptors that are handed over at most.
const HIGHEST_FD: i32 = 1023;
/// The argument that names the arena: `--resume=FD`.
const RESUME: &[u8] = b"--resume=";

static ARENA: AtomicI32 = AtomicI32::new(-1);
static BINARY: AtomicI32 = AtomicI32::new(-1);
static ALLOWED: AtomicU32 = AtomicU32::new(LIMIT);
static CRASHES: AtomicU32 = AtomicU32::new(0);
static FIRST_CRASH: AtomicU64 = AtomicU64::new(0);

/// The descriptor number in `--resume=FD,CRASHES,FIRST,DEADMAN`, taken over; and the dead man is ended.
pub(super) fn resume_fd(arg: &CStr) -> Option<OwnedFd> {
    let mut numbers = arg
        .to_bytes()
        .strip_prefix(RESUME)?
        .split(|b| *b == b',')
        .map(crate::format::number::u64);
    let fd = i32::try_from(numbers.next()??).ok()?;
    CRASHES.store(numbers.next().flatten()? as u32, Ordering::Relaxed);
    FIRST_CRASH.store(numbers.next().flatten()?, Ordering::Relaxed);
    let dead_man = i32::try_from(numbers.next().flatten()?).ok()?;
    if let Some(pid) = rustix::process::Pid::from_raw(dead_man) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    process::adopt_fd(fd)
}

/// Opens PID 1's own binary and makes the digest that ties a state to it (FNV-1a of the file).
pub(super) fn own_binary() -> Result<(OwnedFd, u64), Errno> {
    let fd = rustix::fs::open(
        c"/proc/self/exe",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let mut digest = 0xcbf2_9ce4_8422_2325u64;
    let mut room = [0u8; 4096];
    let mut at = 0;
    loop {
        let len = rustix::io::pread(&fd, &mut room[..], at)?;
        if len == 0 {
            return Ok((fd, digest));
        }
        at += len as u64;
        // Eight bytes a step: the digest only has to differ between builds.
        for word in room.get(..len).unwrap_or_default().chunks(8) {
            let word = word.iter().fold(0u64, |w, b| w << 8 | u64::from(*b));
            digest = (digest ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        }
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

/// The panic path of the binary.
pub fn panicked(file: &str, line: u32) -> ! {
    let mut text: String<160> = String::new();
    let _ = ufmt::uwrite!(text, "panic at {}:{}", file, line);
    crashed(&text)
}

/// The handler of fault signals.
pub(super) fn faulted(number: u8) -> ! {
    let mut text: String<160> = String::new();
    let _ = ufmt::uwrite!(text, "{}", crate::format::signal::name(number));
    crashed(&text)
}

fn crashed(what: &str) -> ! {
    if sys::is_child() {
        sys::exit(127);
    }
    if rustix::process::getpid().as_raw_nonzero().get() != 1 {
        let mut text: String<200> = String::new();
        let _ = ufmt::uwrite!(text, "Pouch: internal error: {}\n", what);
        let _ = rustix::io::write(process::standard(2), text.as_bytes());
        sys::exit(125);
    }
    let now = time::now_ms();
    let first = FIRST_CRASH.load(Ordering::Relaxed);
    let in_row = first != 0 && now.saturating_sub(first) <= WITHIN_MS;
    let crashes = if in_row {
        CRASHES.load(Ordering::Relaxed).saturating_add(1)
    } else {
        1
    };
    let first = if in_row { first } else { now.max(1) };
    let allowed = ALLOWED.load(Ordering::Relaxed);
    let mut text: String<200> = String::new();
    let _ = ufmt::uwrite!(
        text,
        "<26>pouch: PID 1 crashed ({}), {} in a minute; ",
        what,
        crashes
    );
    let too_many = allowed != 0 && crashes >= allowed;
    let _ = text.push_str(if too_many {
        "rebooting"
    } else {
        "re-executing"
    });
    super::boot::write_file(c"/dev/kmsg", text.as_bytes());
    if !too_many {
        reexecute(crashes, first);
    }
    give_up()
}

/// Executes the binary anew with all that is open. Comes back only if that cannot be.
fn reexecute(crashes: u32, first: u64) {
    let dead_man = dead_man();
    let mut arg: String<96> = String::new();
    let _ = ufmt::uwrite!(
        arg,
        "--resume={},{},{},{}\0",
        ARENA.load(Ordering::Relaxed),
        crashes,
        first,
        dead_man
    );
    process::keep_over_exec(HIGHEST_FD);
    let Ok(arg) = CStr::from_bytes_with_nul(arg.as_bytes()) else {
        return;
    };
    if let Some(binary) = process::adopt_fd(BINARY.load(Ordering::Relaxed)) {
        let _ = process::exec_fd(binary.as_fd(), [c"init", arg].into_iter());
    }
}

/// A child that reboots the board unless it is killed in time. Its pid; 0 if there is none.
fn dead_man() -> i32 {
    match process::fork(0, None) {
        Ok(process::Fork::Parent { pid, pidfd }) => {
            // The descriptor is let go on purpose: the pid is what the next image gets.
            drop(pidfd);
            pid
        }
        Ok(process::Fork::Child) => {
            sys::enter_child();
            let timeout = rustix::event::Timespec {
                tv_sec: DEAD_MAN_S,
                tv_nsec: 0,
            };
            let _ = rustix::event::poll(&mut [], Some(&timeout));
            rustix::fs::sync();
            let _ = rustix::system::reboot(rustix::system::RebootCommand::Restart);
            sys::exit(1)
        }
        Err(_) => 0,
    }
}

/// The end in as much order as is left: everything is told, synced, rebooted by a child.
fn give_up() -> ! {
    signal::block();
    process::signal_all(15);
    let second = rustix::event::Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    let _ = rustix::event::poll(&mut [], Some(&second));
    process::signal_all(9);
    match process::fork(0, None) {
        Ok(process::Fork::Parent { .. }) => {}
        Ok(process::Fork::Child) => {
            sys::enter_child();
            rustix::fs::sync();
            let _ = rustix::system::reboot(rustix::system::RebootCommand::Restart);
            sys::exit(1)
        }
        Err(_) => {
            let _ = rustix::system::reboot(rustix::system::RebootCommand::Restart);
        }
    }
    loop {
        let _ = rustix::event::poll(&mut [], None);
    }
}

impl Init {
    /// After a re-execution: the tables are as they were; descriptors close again on execve, and all is waited for anew.
    pub(super) fn resume(&mut self) -> Result<(), Errno> {
        process::close_on_exec_from(3)?;
        self.close_strangers();
        allow(self.t.config.crash_limit);
        self.watch_basics()?;
        self.rewatch_all();
        log::warn!("PID 1 goes on after a crash");
        Ok(())
    }

    /// The new epoll knows nothing yet.
    fn rewatch_all(&mut self) {
        use super::poll::{Token, watch};
        use rustix::event::epoll::EventFlags;
        let epoll = &self.epoll;
        // Whoever wrote or waited to write is asked once more, so nothing hangs for a lost wake-up.
        let both = EventFlags::IN | EventFlags::OUT;
        let again = |fd: &Option<OwnedFd>, token, id: usize, flags| {
            if let Some(fd) = fd {
                let _ = watch(epoll, fd.as_fd(), token, id as u8, flags);
            }
        };
        for (id, u) in self
            .t
            .units
            .iter()
            .enumerate()
            .filter_map(|(i, u)| Some((i, u.as_ref()?)))
        {
            again(&u.report, Token::Report, id, EventFlags::IN);
            again(&u.events, Token::Cgroup, id, EventFlags::PRI);
            again(&u.listener, Token::Listener, id, EventFlags::IN);
            for owner in &u.owners {
                again(owner, Token::Owner, id, EventFlags::IN);
            }
        }
        for (id, s) in self
            .t
            .sessions
            .iter_mut()
            .enumerate()
            .filter_map(|(i, s)| Some((i, s.as_mut()?)))
        {
            again(&s.master, Token::Session, id, both);
            s.wants_out = true;
        }
        for (id, l) in self
            .t
            .lines
            .iter_mut()
            .enumerate()
            .filter_map(|(i, l)| Some((i, l.as_mut()?)))
        {
            again(&l.fd, Token::Line, id, both);
            again(&l.shell.report, Token::ShellReport, id, EventFlags::IN);
            l.wants_out = true;
        }
        for (id, c) in self
            .t
            .clients
            .iter()
            .enumerate()
            .filter_map(|(i, c)| Some((i, c.as_ref()?)))
        {
            if let Err(e) = watch(epoll, c.fd.as_fd(), Token::Client, id as u8, EventFlags::IN) {
                log::warn!("a client is lost: error {}", e.raw_os_error());
            }
        }
    }

    /// Closes descriptors that no record names: they were in flight when the former image died.
    fn close_strangers(&mut self) {
        let mut known = heapless::Vec::<i32, 1024>::new();
        let mut note = |fd: Option<BorrowedFd<'_>>| {
            if let Some(fd) = fd {
                let _ = known.push(fd.as_raw_fd());
            }
        };
        note(Some(self.arena.as_fd()));
        note(Some(self.epoll.as_fd()));
        note(Some(self.signals.as_fd()));
        note(Some(self.binary.as_fd()));
        note(self.t.control.as_ref().map(AsFd::as_fd));
        note(self.t.shell_cgroup.as_ref().map(AsFd::as_fd));
        for u in self.t.units.iter().flatten() {
            for fd in [
                &u.pidfd,
                &u.cgroup,
                &u.events,
                &u.report,
                &u.listener,
                &u.owners[0],
                &u.owners[1],
            ] {
                note(fd.as_ref().map(AsFd::as_fd));
            }
        }
        for s in self.t.sessions.iter().flatten() {
            note(s.master.as_ref().map(AsFd::as_fd));
            note(s.slave.as_ref().map(AsFd::as_fd));
        }
        for l in self.t.lines.iter().flatten() {
            for fd in [&l.fd, &l.shell.pidfd, &l.shell.report] {
                note(fd.as_ref().map(AsFd::as_fd));
            }
        }
        for c in self.t.clients.iter().flatten() {
            note(Some(c.fd.as_fd()));
        }
        for number in 3..=HIGHEST_FD {
            if !known.contains(&number) {
                // Taken over and dropped: closed if it was open.
                drop(process::adopt_fd(number));
            }
        }
    }
}
