//! A terminal's modes: termios(3), ioctl_tty(2).
//!
//! rustix reads and writes the speeds anew, which nobody here changes, by a table of all
//! of them.

use rustix::fd::{AsRawFd, OwnedFd};

use super::{Errno, call, nr};

/// TCGETS and TCSETS; the same on every processor used (asm-generic/ioctls.h).
const TCGETS: usize = 0x5401;
const TCSETS: usize = 0x5402;

/// struct termios of the kernel (asm-generic/termbits.h).
#[derive(Default)]
#[repr(C)]
struct Modes {
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

/// Raw as by cfmakeraw(3), and without hanging up; the speed stays. At once: nothing is drained first.
///
/// # Errors
/// ENOTTY if it is no terminal, EIO if it is gone.
pub fn raw(terminal: &OwnedFd) -> Result<(), Errno> {
    let fd = terminal.as_raw_fd() as usize;
    let mut modes = Modes::default();
    let at = &raw mut modes as usize;
    // SAFETY: the kernel writes a termios of its own size, and reads one, which lives over both calls.
    unsafe {
        call(nr::__NR_ioctl, [fd, TCGETS, at])?;
        modes = (&raw const modes).read_volatile();
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
        call(nr::__NR_ioctl, [fd, TCSETS, &raw const modes as usize]).map(drop)
    }
}
