//! Waiting for descriptors: ppoll(2).

use rustix::fd::{AsRawFd, BorrowedFd};

use super::{call, nr};

/// The most that is waited for at once.
pub const MOST: usize = 5;

/// struct pollfd.
#[derive(Clone, Copy)]
#[repr(C)]
struct Poll {
    fd: i32,
    events: i16,
    happened: i16,
}

const IN: i16 = 1;
const OUT: i16 = 4;

/// Waits until one of them has something to read, has hung up, or, where its bit in `out` is
/// set, takes something; or until the time in milliseconds is over. A bit each, the first the
/// lowest. One that is not there is not waited for.
#[inline(never)]
pub fn ready(fds: &[Option<BorrowedFd<'_>>; MOST], out: u8, time: Option<u64>) -> u8 {
    let mut polls = [Poll {
        fd: -1,
        events: 0,
        happened: 0,
    }; MOST];
    for (at, (poll, fd)) in polls.iter_mut().zip(fds).enumerate() {
        if let Some(fd) = fd {
            poll.fd = fd.as_raw_fd();
            poll.events = if out & 1 << at != 0 { IN | OUT } else { IN };
        }
    }
    // The call of 64-bit seconds on every processor.
    #[cfg(target_pointer_width = "64")]
    let number = nr::__NR_ppoll;
    #[cfg(target_pointer_width = "32")]
    let number = nr::__NR_ppoll_time64;
    let spec = time.map(|ms| [(ms / 1000) as i64, (ms % 1000 * 1_000_000) as i64]);
    let until = spec.as_ref().map_or(0, |spec| spec.as_ptr() as usize);
    // SAFETY: the kernel writes what happened into the list, which is of the length given.
    let made = unsafe { call(number, [polls.as_mut_ptr() as usize, MOST, until]) };
    let mut bits = 0;
    if made.is_ok() {
        for (at, poll) in polls.iter().enumerate() {
            // SAFETY: read as the kernel left it: the pointer went as a number.
            let happened = unsafe { (&raw const poll.happened).read_volatile() };
            bits |= u8::from(happened != 0) << at;
        }
    }
    bits
}
