//! A terminal's modes: termios(3), ioctl_tty(2).
//!
//! rustix reads and writes the speeds anew, which nobody here changes, by a table of all
//! of them.

use rustix::fd::{AsRawFd, BorrowedFd};

use super::{Errno, call, nr};

/// TCGETS and TCSETS; the same on every processor used (asm-generic/ioctls.h).
const TCGETS: usize = 0x5401;
const TCSETS: usize = 0x5402;

/// struct termios of the kernel (asm-generic/termbits.h), in words: input, output, control and
/// local modes, then the line discipline and 19 keys in five words of four.
#[derive(Clone, Copy, Default)]
#[repr(transparent)]
pub struct Modes([u32; 9]);

// asm-generic/termbits.h and termbits-common.h, in octal as there.
const OPOST: u32 = 0o1;
const CSIZE: u32 = 0o60;
const CS8: u32 = 0o60;
const CREAD: u32 = 0o200;
const PARENB: u32 = 0o400;
const CLOCAL: u32 = 0o4000;
/// A BREAK is the kernel's alone (magic SysRq): without this it comes as a byte 0, typed by nobody.
const IGNBRK: u32 = 0o1;
/// BRKINT PARMRK ISTRIP INLCR IGNCR ICRNL IXON, as cfmakeraw(3) clears them.
const INPUT: u32 = 0o2 | 0o10 | 0o40 | 0o100 | 0o200 | 0o400 | 0o2000;
/// ECHO ECHONL ICANON ISIG IEXTEN.
const LOCAL: u32 = 0o10 | 0o100 | 0o2 | 0o1 | 0o100_000;
/// VTIME and VMIN, keys 5 and 6, are the upper half of the sixth word: 0 and 1.
const KEYS: u32 = 0xffff_0000;
const AT_ONCE: u32 = 1 << 24;

/// What raw takes from each word, and what it adds.
const CLEAR: [u32; 9] = [INPUT, OPOST, CSIZE | PARENB, LOCAL, 0, KEYS, 0, 0, 0];
const SET: [u32; 9] = [IGNBRK, 0, CS8 | CREAD | CLOCAL, 0, 0, AT_ONCE, 0, 0, 0];

/// What a terminal's modes are.
///
/// # Errors
/// ENOTTY if it is no terminal, EIO if it is gone.
#[inline(never)]
pub fn modes(terminal: BorrowedFd<'_>) -> Result<Modes, Errno> {
    let fd = terminal.as_raw_fd() as usize;
    let mut modes = Modes::default();
    // SAFETY: the kernel writes a termios of its own size.
    unsafe { call(nr::__NR_ioctl, [fd, TCGETS, &raw mut modes as usize])? };
    // Read as the kernel left it, which the compiler cannot see: the pointer went as a number.
    Ok(*core::hint::black_box(&modes))
}

/// Sets them. At once: nothing is drained first.
///
/// # Errors
/// ENOTTY if it is no terminal, EIO if it is gone.
#[inline(never)]
pub fn set(terminal: BorrowedFd<'_>, modes: &Modes) -> Result<(), Errno> {
    let fd = terminal.as_raw_fd() as usize;
    // SAFETY: the kernel reads a termios of its own size.
    unsafe { call(nr::__NR_ioctl, [fd, TCSETS, &raw const *modes as usize]) }.map(drop)
}

/// Throws away what it has not sent yet: TCFLSH. The last one who closes a port waits for that
/// otherwise, up to half a minute where the other side takes nothing.
pub fn forget(terminal: BorrowedFd<'_>) {
    const TCFLSH: usize = 0x540b;
    const TCOFLUSH: usize = 1;
    let fd = terminal.as_raw_fd() as usize;
    // SAFETY: the request takes a number and no pointer.
    let _ = unsafe { call(nr::__NR_ioctl, [fd, TCFLSH, TCOFLUSH]) };
}

/// Raw as by cfmakeraw(3), deaf to a BREAK, and without hanging up; the speed stays. At once: nothing is drained
/// first. What the modes were before.
///
/// # Errors
/// ENOTTY if it is no terminal, EIO if it is gone.
#[inline(never)]
pub fn raw(terminal: BorrowedFd<'_>) -> Result<Modes, Errno> {
    let before = modes(terminal)?;
    let mut modes = before;
    for (word, (clear, set)) in modes.0.iter_mut().zip(CLEAR.iter().zip(&SET)) {
        *word = *word & !clear | set;
    }
    set(terminal, &modes)?;
    Ok(before)
}
