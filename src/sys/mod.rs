//! The kernel calls that rustix does not offer, each with its manual page's name.
//!
//! The only room with system call instructions, and the only unsafe one of the
//! library. It does not know what pouch is: a function here is what section 2 of the
//! manual has, made safe by its types.

mod arch;
pub mod arena;
pub mod bpf;
pub mod device;
pub mod file;
pub mod letters;
pub mod mount;
pub mod process;
pub mod signal;
pub mod slots;
pub mod socket;
pub mod state;
pub mod stdio;
pub mod terminal;
pub mod time;
pub mod wait;

use linux_raw_sys::general as nr;
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
pub use rustix::io::Errno;

/// Enters the kernel and tells its answers from its errors. An answer is a number, a
/// length or a descriptor, all below 2^32; arguments that are not given are 0.
///
/// # Safety
/// As for the system call.
#[inline(always)]
unsafe fn call<const N: usize>(number: u32, args: [usize; N]) -> Result<u32, Errno> {
    const { assert!(N <= 5) }
    let at = |i: usize| args.get(i).copied().unwrap_or(0);
    // SAFETY: handed on to the caller.
    unsafe { enter(number, at(0), at(1), at(2), at(3), at(4)) }
}

/// The one place with the instruction. Number and arguments are just the registers that a
/// function is called with, so a call costs its arguments and nothing else.
///
/// # Safety
/// As for the system call.
#[inline(never)]
unsafe fn enter(
    number: u32,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
) -> Result<u32, Errno> {
    // SAFETY: handed on to the caller.
    let ret = unsafe { arch::syscall6(number as usize, [a, b, c, d, e, 0]) };
    if (-4095..0).contains(&ret) {
        Err(Errno::from_raw_os_error(-ret as i32))
    } else {
        Ok(ret as u32)
    }
}

/// A descriptor lent. As its `as_fd`, which checks once more, in a function of its own,
/// that it is not -1.
#[inline(always)]
pub fn lend(fd: &OwnedFd) -> BorrowedFd<'_> {
    // SAFETY: an OwnedFd is open and never -1, and both are a transparent i32; the loan is bound to its life.
    unsafe { core::mem::transmute::<i32, BorrowedFd<'_>>(fd.as_raw_fd()) }
}

/// exit_group(2): ends this process with that status.
pub fn exit(status: u8) -> ! {
    loop {
        // SAFETY: exit_group takes no pointer.
        let _ = unsafe { call(nr::__NR_exit_group, [status.into()]) };
    }
}

/// getrandom(2): a number that nobody guesses, or early after boot one that is only unlikely to be another's.
pub fn random() -> u32 {
    const INSECURE: usize = 4;
    let mut number = 0u32;
    let at = &raw mut number as usize;
    // SAFETY: the kernel writes four bytes there. Read as it left them: the pointer went as a number.
    unsafe {
        let _ = call(nr::__NR_getrandom, [at, size_of::<u32>(), INSECURE]);
        (&raw const number).read_volatile()
    }
}

/// Whether this process is the child half of a launch.
static CHILD: core::sync::atomic::AtomicBool = core::sync::atomic::AtomicBool::new(false);

/// Said by the child first of all: from here on a panic or a fault ends this process and nothing else.
///
/// In a new PID namespace the child's own pid is 1 too, so the pid cannot tell.
pub fn enter_child() {
    CHILD.store(true, core::sync::atomic::Ordering::Relaxed);
    // PID 1's alarm as well.
    signal::block();
}

/// Whether [`enter_child`] was called.
pub fn is_child() -> bool {
    CHILD.load(core::sync::atomic::Ordering::Relaxed)
}
