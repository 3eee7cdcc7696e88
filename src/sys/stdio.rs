//! The three descriptors a program is started with.
//!
//! A caller may have closed them. The next file that is opened would then take their
//! place, and what is meant for a person would be written into it, so [`fill`] comes first.

use rustix::fd::{BorrowedFd, IntoRawFd};
use rustix::fs::{CWD, Mode, OFlags, openat};

/// Puts /dev/null where standard input, output or error is closed.
pub fn fill() {
    for number in 0..3 {
        // SAFETY: the descriptor is only asked about; a closed one is answered by EBADF.
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        if rustix::io::fcntl_getfd(fd).is_err() {
            // The lowest free number is this one, since those below are open.
            if let Ok(null) = openat(CWD, c"/dev/null", OFlags::RDWR, Mode::empty()) {
                let _ = null.into_raw_fd();
            }
        }
    }
}

/// Standard input.
pub fn stdin() -> BorrowedFd<'static> {
    // SAFETY: nothing in pouch closes 0, and `fill` saw to it that it is open.
    unsafe { rustix::stdio::stdin() }
}

/// Standard output.
pub fn stdout() -> BorrowedFd<'static> {
    // SAFETY: as for standard input.
    unsafe { rustix::stdio::stdout() }
}

/// Standard error.
pub fn stderr() -> BorrowedFd<'static> {
    // SAFETY: as for standard input.
    unsafe { rustix::stdio::stderr() }
}
