//! Requests to devices that rustix has no call for: ioctl(2).

use core::ffi::CStr;

use rustix::fd::{AsRawFd, OwnedFd};

use super::{Errno, call, nr};

/// TIOCGPTN: the number of a pseudo-terminal's slave, asked of its master.
const TIOCGPTN: usize = 0x8004_5430;
/// TIOCGDEV: the device number of the terminal that really stands behind this one.
const TIOCGDEV: usize = 0x8004_5432;
/// KDGKBMODE, KDSKBMODE: what a VT's keyboard hands out (linux/kd.h).
const KDGKBMODE: usize = 0x4b44;
const KDSKBMODE: usize = 0x4b45;

#[inline(never)]
fn ask(fd: &OwnedFd, request: usize) -> Result<u32, Errno> {
    let mut answer = 0u32;
    // SAFETY: the requests of this file that come here write one 32-bit number.
    unsafe {
        call(
            nr::__NR_ioctl,
            [fd.as_raw_fd() as usize, request, &raw mut answer as usize],
        )?;
    }
    Ok(answer)
}

/// Requests of watchdog-api (linux/watchdog.h): the time in seconds, a switch.
pub const SET_TIMEOUT: usize = 0xc004_5706;
/// See [`SET_TIMEOUT`].
pub const GET_TIMEOUT: usize = 0x8004_5707;
/// See [`SET_TIMEOUT`].
pub const SET_OPTIONS: usize = 0x8004_5704;
/// The option that switches it off.
pub const DISABLE: u32 = 1;

/// A request to a watchdog: a number there and a number back.
///
/// # Errors
/// ENOTTY if it is none, EOPNOTSUPP and EINVAL for what it has not.
pub fn watchdog(fd: &OwnedFd, request: usize, mut value: u32) -> Result<u32, Errno> {
    let at = &raw mut value as usize;
    // SAFETY: each of these requests reads or writes one 32-bit number.
    unsafe {
        call(nr::__NR_ioctl, [fd.as_raw_fd() as usize, request, at])?;
        Ok((&raw const value).read_volatile())
    }
}

/// LOOP_CLR_FD: a loop device lets its file go.
///
/// # Errors
/// ENXIO if it has none, EBUSY.
pub fn loop_clear(fd: &OwnedFd) -> Result<(), Errno> {
    const LOOP_CLR_FD: usize = 0x4c01;
    // SAFETY: no pointer.
    unsafe { call(nr::__NR_ioctl, [fd.as_raw_fd() as usize, LOOP_CLR_FD]) }.map(drop)
}

/// The number N of /dev/pts/N whose master this is.
///
/// # Errors
/// ENOTTY if it is none.
pub fn pts_number(master: &OwnedFd) -> Result<u32, Errno> {
    ask(master, TIOCGPTN)
}

/// (major, minor) of the terminal behind an alias such as /dev/console.
///
/// # Errors
/// ENOTTY if it is no terminal.
pub fn real_terminal(fd: &OwnedFd) -> Result<(u32, u32), Errno> {
    // The kernel's new_encode_dev: 12 bits of major between 8 and 12 bits of minor.
    ask(fd, TIOCGDEV).map(|dev| ((dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & 0xf_ff00)))
}

/// What a VT's keyboard hands out: its mode.
///
/// # Errors
/// ENOTTY if it is no VT.
pub fn keyboard_mode(vt: &OwnedFd) -> Result<u32, Errno> {
    ask(vt, KDGKBMODE)
}

/// Sets that mode; a terminal that is no VT has none.
pub fn set_keyboard_mode(vt: &OwnedFd, mode: u32) {
    let fd = vt.as_raw_fd() as usize;
    // SAFETY: the request takes a number and no pointer.
    let _ = unsafe { call(nr::__NR_ioctl, [fd, KDSKBMODE, mode as usize]) };
}

/// What [`interface`] can ask of netdevice(7): the number, and the address of IPv4.
pub const INDEX: usize = 0x8933;
/// SIOCGIFADDR.
pub const ADDRESS: usize = 0x8915;

/// What an interface of the network of a socket has, by its name: for [`INDEX`] four bytes of a
/// number, for [`ADDRESS`] a sockaddr_in, whose last four bytes are the address.
///
/// # Errors
/// ENODEV; EADDRNOTAVAIL for one without address.
pub fn interface(socket: &OwnedFd, request: usize, name: &CStr) -> Result<[u8; 8], Errno> {
    /// struct ifreq, at its full size of either word width.
    #[repr(C, align(8))]
    struct Request {
        name: [u8; 16],
        answer: [u8; 8],
        rest: [u8; 16],
    }
    let mut asked = Request {
        name: [0; 16],
        answer: [0; 8],
        rest: [0; 16],
    };
    // The last byte stays the string's end.
    for (to, from) in asked.name.iter_mut().zip(name.to_bytes()).take(15) {
        *to = *from;
    }
    let at = &raw mut asked as usize;
    // SAFETY: the request is an ifreq of full size and lives over the call. The answer is read as
    // the kernel left it, which the compiler cannot see: the pointer went as a number.
    unsafe {
        call(nr::__NR_ioctl, [socket.as_raw_fd() as usize, request, at])?;
        Ok((&raw const asked.answer).read_volatile())
    }
}

/// LOOP_CTL_GET_FREE, LOOP_CONFIGURE (linux/loop.h).
const LOOP_CTL_GET_FREE: usize = 0x4c82;
const LOOP_CONFIGURE: usize = 0x4c0a;
/// LO_FLAGS_READ_ONLY, LO_FLAGS_AUTOCLEAR.
const READ_ONLY_AUTOCLEAR: u64 = 1 | 4;

/// The number of a loop device that nobody uses just now, asked of /dev/loop-control.
///
/// # Errors
/// EPERM, ENOMEM.
pub fn free_loop(control: &OwnedFd) -> Result<u32, Errno> {
    let control = control.as_raw_fd() as usize;
    // SAFETY: no pointer.
    unsafe { call(nr::__NR_ioctl, [control, LOOP_CTL_GET_FREE]) }
}

/// Makes a loop device show a file, to read; it lets go of it by itself when nobody has it open or mounted.
///
/// # Errors
/// EBUSY if somebody was faster; ENOTTY before Linux 5.8.
pub fn set_loop(device: &OwnedFd, file: &OwnedFd) -> Result<(), Errno> {
    // struct loop_config: the file's number in the first four bytes, lo_flags in those from 60 on.
    let mut config = [0u64; 38];
    let [first, _, _, _, _, _, _, flags, ..] = &mut config;
    *first = file.as_raw_fd() as u64;
    *flags = READ_ONLY_AUTOCLEAR << 32;
    let device = device.as_raw_fd() as usize;
    let config = &raw const config as usize;
    // SAFETY: the kernel reads a loop_config of its own size (304 bytes).
    unsafe { call(nr::__NR_ioctl, [device, LOOP_CONFIGURE, config]) }.map(drop)
}
