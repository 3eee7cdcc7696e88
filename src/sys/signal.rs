//! Signals: masks, the signalfd, and the handler for faults.
//!
//! A set is 64 bits, signal N at bit N-1, as the kernel has it.

use core::sync::atomic::{AtomicUsize, Ordering};

use rustix::fd::OwnedFd;

use super::file::own;
use super::{Errno, arch, call, nr};

/// ILL TRAP ABRT BUS FPE SEGV SYS: what a processor raises, or abort.
pub const FAULTS: [u8; 7] = [4, 5, 6, 7, 8, 11, 31];
/// The bytes of a signal as a signalfd hands it out: struct signalfd_siginfo.
const RECORD: usize = 128;

/// Every signal but the faults.
const ALL_BUT_FAULTS: u64 = !(1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 30);

fn set_mask(set: u64) {
    const SIG_SETMASK: usize = 2;
    // SAFETY: the kernel reads eight bytes at `set`. It cannot fail with these arguments.
    let _ = unsafe {
        call(
            nr::__NR_rt_sigprocmask,
            [SIG_SETMASK, &raw const set as usize, 0, 8],
        )
    };
}

/// Blocks every signal but the faults (a blocked fault kills at once).
pub fn block() {
    set_mask(ALL_BUT_FAULTS);
}

/// Blocks these alone, each at bit N-1.
pub fn block_only(set: u64) {
    set_mask(set);
}

/// SIGALRM.
const ALARM: u8 = 14;

/// Lets SIGALRM through besides, to end what the kernel waits for; nothing else comes of it.
pub fn let_alarm_interrupt() {
    extern "C" fn nothing() {}
    // With SA_SIGINFO ARM comes back by rt_sigreturn(2), as the others do anyhow.
    let flags = (nr::SA_RESTART | nr::SA_SIGINFO) as usize;
    set_action(ALARM, nothing as *const () as usize, flags);
    set_mask(ALL_BUT_FAULTS & !(1 << (ALARM - 1)));
}

/// Lets every signal through, as a program expects at its start.
pub fn unblock() {
    set_mask(0);
}

/// signalfd(2) for every signal but the faults; non-blocking, close-on-exec. Only what is
/// blocked comes by it.
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM.
pub fn signalfd() -> Result<OwnedFd, Errno> {
    const CHLD: u8 = 17;
    // Whoever started this may have ignored it, and then the kernel reaps, and nobody hears how children ended. Only
    // then: to set it anew discards one that waits (sigaction(2)).
    if is_ignored(CHLD) {
        set_action(CHLD, SIG_DFL, 0);
    }
    let set = ALL_BUT_FAULTS;
    let flags = (nr::O_CLOEXEC | nr::O_NONBLOCK) as usize;
    // SAFETY: the kernel reads eight bytes at `set`; what it answers is a new descriptor that nobody else owns.
    unsafe {
        let fd = call(
            nr::__NR_signalfd4,
            [usize::MAX, &raw const set as usize, 8, flags],
        )?;
        Ok(own(fd))
    }
}

/// The next signal that came by a signalfd; 0 for none.
pub fn taken(signals: &Option<OwnedFd>) -> u8 {
    let mut room = [0u8; RECORD];
    if let Some(signals) = signals {
        let _ = super::file::read(signals, &mut room);
    }
    // struct signalfd_siginfo begins with ssi_signo, low byte first.
    room.first().copied().unwrap_or_default()
}

/// struct sigaction as the kernel has it (x86, ARM).
#[repr(C)]
struct Action {
    handler: usize,
    flags: usize,
    restorer: usize,
    /// Two words, since the kernel aligns its set to `unsigned long`.
    mask: [u32; 2],
}

const SA_RESTORER: usize = 0x0400_0000;
const SIG_DFL: usize = 0;
const SIG_IGN: usize = 1;

fn set_action(signal: u8, handler: usize, flags: usize) {
    let action = Action {
        handler,
        flags: flags | SA_RESTORER,
        restorer: arch::sigreturn as *const () as usize,
        mask: [0; 2],
    };
    // SAFETY: the kernel reads one sigaction. The handler, if any, is an extern "C" function of this binary.
    let _ = unsafe {
        call(
            nr::__NR_rt_sigaction,
            [signal.into(), &raw const action as usize, 0, 8],
        )
    };
}

fn is_ignored(signal: u8) -> bool {
    let mut action = Action {
        handler: SIG_DFL,
        flags: 0,
        restorer: 0,
        mask: [0; 2],
    };
    // SAFETY: the kernel writes one sigaction, which is read as the kernel left it: the pointer went as a number.
    unsafe {
        let at = &raw mut action;
        let _ = call(nr::__NR_rt_sigaction, [signal.into(), 0, at as usize, 8]);
        (&raw const action.handler).read_volatile() == SIG_IGN
    }
}

/// SIGPIPE.
const PIPE: u8 = 13;

/// Ignores SIGPIPE: a reader that went away is an error of write(2), not a death.
pub fn ignore_pipe() {
    set_action(PIPE, SIG_IGN, 0);
}

/// Every disposition as a program expects it at its start; masks and ignored signals would leak through execve.
pub fn reset() {
    for signal in 1..=64 {
        set_action(signal, SIG_DFL, 0);
    }
}

/// The same in a child of PID 1, which ignores SIGPIPE alone; what it handles is no longer handled since clone3.
pub fn reset_child() {
    set_action(PIPE, SIG_DFL, 0);
}

/// What a fault calls; set once by [`on_fault`].
static HANDLER: AtomicUsize = AtomicUsize::new(0);

/// Bytes of the stack that a fault's handler runs on.
const FAULT_STACK: usize = 16 * 1024;

/// The alternate stack; the kernel alone writes it.
#[repr(align(16))]
struct Stack(core::cell::UnsafeCell<[u8; FAULT_STACK]>);
// SAFETY: only its address is used, and only the kernel and the one handler write there.
unsafe impl Sync for Stack {}
static STACK: Stack = Stack(core::cell::UnsafeCell::new([0; FAULT_STACK]));

/// A fault signal that somebody sent, and that is heard when there is time; 0 is none.
static SENT: AtomicUsize = AtomicUsize::new(0);

/// The fault signal that was sent by somebody, if one was.
pub fn sent() -> Option<u8> {
    Some(SENT.load(Ordering::Relaxed) as u8).filter(|n| *n != 0)
}

extern "C" fn fault(signal: i32, info: *const i32) {
    const SI_CODE: usize = 2;
    const URGENT: usize = 23;
    // SAFETY: the kernel hands a siginfo_t over, which begins with three numbers; SA_SIGINFO asked for it.
    let code = unsafe { info.add(SI_CODE).read() };
    // One that a process sent (kill(2) and its like have codes up to 0) breaks nothing off: what was
    // read is put where it belongs first. The second does not wait.
    if code <= 0 && !super::is_child() && SENT.swap(signal as usize, Ordering::Relaxed) == 0 {
        // A blocked signal wakes whoever waits for the signalfd, from here on too.
        // SAFETY: no pointer; this process sends it to itself.
        let _ = unsafe {
            call(
                nr::__NR_kill,
                [call(nr::__NR_getpid, []).unwrap_or(1) as usize, URGENT],
            )
        };
        return;
    }
    let handler = HANDLER.load(Ordering::Relaxed);
    if handler != 0 {
        // SAFETY: only `on_fault` stores here, and what it stores is such a function.
        let handler: fn(u8) -> ! = unsafe { core::mem::transmute(handler) };
        // The second fault would kill outright: its signal is blocked while its handler runs.
        unblock();
        handler(signal as u8);
    }
    super::exit(128);
}

/// From here on the faults call `handler` on a stack of their own.
pub fn on_fault(handler: fn(u8) -> !) {
    /// stack_t.
    #[repr(C)]
    struct AltStack {
        base: usize,
        flags: i32,
        size: usize,
    }
    HANDLER.store(handler as usize, Ordering::Relaxed);
    let stack = AltStack {
        base: STACK.0.get() as usize,
        flags: 0,
        size: FAULT_STACK,
    };
    // SAFETY: the stack is static, so it outlives every handler.
    let _ = unsafe { call(nr::__NR_sigaltstack, [&raw const stack as usize]) };
    for signal in FAULTS {
        set_action(
            signal,
            fault as *const () as usize,
            (nr::SA_ONSTACK | nr::SA_NODEFER | nr::SA_SIGINFO) as usize,
        );
    }
}

/// A signal that came by a [`signalfd`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Came {
    /// Its number.
    pub signal: u8,
    /// A process sent it, and not the kernel or a terminal.
    pub by_process: bool,
    /// Who sent it, or, of SIGCHLD, whose end it tells.
    pub pid: i32,
}

/// The next record of a [`signalfd`], which does not wait.
pub fn next(signals: &OwnedFd) -> Option<Came> {
    let mut record = [0; RECORD];
    let len = super::file::read(signals, &mut record).unwrap_or(0);
    // struct signalfd_siginfo: ssi_signo, ssi_errno, ssi_code, ssi_pid, all of four bytes.
    let [signal, _, code, pid, ..] = record.as_chunks::<4>().0 else {
        return None;
    };
    let code = i32::from_ne_bytes(*code);
    (len == RECORD).then_some(Came {
        signal: u32::from_ne_bytes(*signal) as u8,
        // A code of the kernel's is above 0.
        by_process: code <= 0,
        pid: i32::from_ne_bytes(*pid),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_was_not_heard_of_yet_is_not_lost_to_a_signalfd() {
        const CHLD: usize = 17;
        block();
        let (process, thread) = (rustix::process::getpid(), rustix::thread::gettid());
        let ids = [process, thread].map(|id| id.as_raw_nonzero().get() as usize);
        // SAFETY: no pointer; this thread has the signal blocked.
        unsafe { call(nr::__NR_tgkill, [ids[0], ids[1], CHLD]) }.unwrap();
        let signals = signalfd().unwrap();
        let own = ids[0] as i32;
        assert_eq!(
            next(&signals),
            Some(Came {
                signal: CHLD as u8,
                by_process: true,
                pid: own
            })
        );
        assert_eq!(next(&signals), None);
        unblock();
    }
}
