//! A terminal's modes: termios(3), ioctl_tty(2).
//!
//! rustix reads and writes the speeds anew, which nobody here changes, by a table of all
//! of them.

use rustix::fd::{AsRawFd, BorrowedFd};

use super::{Errno, call, nr};

/// TCGETS and TCSETS; the same on every processor used (asm-generic/ioctls.h).
const TCGETS: usize = 0x5401;
const TCSETS: usize = 0x5402;

/// struct termios of the kernel (asm-generic/termbits.h).
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct Modes {
    input: u32,
    output: u32,
    control: u32,
    local: u32,
    discipline: u8,
    keys: [u8; 19],
}

// asm-generic/termbits.h and termbits-common.h, in octal as there.
const OPOST: u32 = 0o1;
const CSIZE: u32 = 0o60;
const CS8: u32 = 0o60;
const CREAD: u32 = 0o200;
const PARENB: u32 = 0o400;
const CLOCAL: u32 = 0o4000;
/// IGNBRK BRKINT PARMRK ISTRIP INLCR IGNCR ICRNL IXON, as cfmakeraw(3) clears them.
const INPUT: u32 = 0o1 | 0o2 | 0o10 | 0o40 | 0o100 | 0o200 | 0o400 | 0o2000;
/// ECHO ECHONL ICANON ISIG IEXTEN.
const LOCAL: u32 = 0o10 | 0o100 | 0o2 | 0o1 | 0o100_000;
/// Where VTIME and VMIN stand among the keys.
const VTIME: usize = 5;
const VMIN: usize = 6;

/// What a terminal's modes are.
///
/// # Errors
/// ENOTTY if it is no terminal, EIO if it is gone.
#[inline(never)]
pub fn modes(terminal: BorrowedFd<'_>) -> Result<Modes, Errno> {
    let fd = terminal.as_raw_fd() as usize;
    let mut modes = Modes::default();
    // SAFETY: the kernel writes a termios of its own size, read as it left it.
    unsafe {
        call(nr::__NR_ioctl, [fd, TCGETS, &raw mut modes as usize])?;
        Ok((&raw const modes).read_volatile())
    }
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

/// Raw as by cfmakeraw(3), and without hanging up; the speed stays. At once: nothing is drained
/// first. What the modes were before.
///
/// # Errors
/// ENOTTY if it is no terminal, EIO if it is gone.
#[inline(never)]
pub fn raw(terminal: BorrowedFd<'_>) -> Result<Modes, Errno> {
    let before = modes(terminal)?;
    let mut modes = before;
    modes.input &= !INPUT;
    modes.output &= !OPOST;
    modes.local &= !LOCAL;
    modes.control = modes.control & !(CSIZE | PARENB) | CS8 | CREAD | CLOCAL;
    for (at, key) in modes.keys.iter_mut().enumerate() {
        match at {
            VTIME => *key = 0,
            VMIN => *key = 1,
            _ => {}
        }
    }
    set(terminal, &modes)?;
    Ok(before)
}
