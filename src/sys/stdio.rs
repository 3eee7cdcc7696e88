//! The three descriptors a program is started with.
//!
//! A caller may have closed them. The next file that is opened would then take their
//! place, and what is meant for a person would be written into it, so [`fill`] comes first.

use rustix::fd::BorrowedFd;

use super::{call, nr};

/// Puts /dev/null where standard input, output or error is closed.
pub fn fill() {
    for number in 0..3 {
        // SAFETY: the descriptor is only asked about (F_GETFD); a closed one is answered by EBADF.
        if unsafe { call(nr::__NR_fcntl, [number, 1]) }.is_err() {
            // The lowest free number is this one, since those below are open.
            let (path, how) = (c"/dev/null".as_ptr() as usize, nr::O_RDWR as usize);
            // SAFETY: the path is NUL-ended; the descriptor stays open for good.
            let _ = unsafe { call(nr::__NR_openat, [nr::AT_FDCWD as usize, path, how]) };
        }
    }
}

/// Standard input.
#[allow(unused_unsafe)] // with std, which the host crate's build has, rustix calls it safe
pub fn stdin() -> BorrowedFd<'static> {
    // SAFETY: nothing in pouch closes 0, and `fill` saw to it that it is open.
    unsafe { rustix::stdio::stdin() }
}

/// Standard output.
#[allow(unused_unsafe)] // as for standard input
pub fn stdout() -> BorrowedFd<'static> {
    // SAFETY: as for standard input.
    unsafe { rustix::stdio::stdout() }
}

/// Standard error.
#[allow(unused_unsafe)] // as for standard input
pub fn stderr() -> BorrowedFd<'static> {
    // SAFETY: as for standard input.
    unsafe { rustix::stdio::stderr() }
}
