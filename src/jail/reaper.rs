//! PID 1 of a container that wants one: reaps what dies, hands signals on.
//!
//! It is the child half of the launch itself, which forked when all was done: no file is
//! executed for it, and nobody inside can look into it.

use rustix::event::{PollFd, PollFlags, poll};

use crate::sys::{self, arena, lend, process, signal};

/// SIGCHLD.
const CHILD: u8 = 17;

/// Waits for `command`, and ends as it ended. Every signal is held back since PID 1 made this process,
/// so none is lost; those that a terminal sends went to the command as well, which is of the same group.
pub(super) fn stand_by(command: i32) -> ! {
    // PID 1's tables are shared memory: not even somebody who may trace this process is to find them here.
    arena::leave();
    process::seclude();
    // A signalfd, and nothing that would take the signals out of the mask while it waits: that they are
    // blocked is how PID 1 of the host sees that this one hears TERM.
    let signals = signal::signalfd();
    loop {
        if let Ok(signals) = &signals {
            let mut fds = [PollFd::from_borrowed_fd(lend(signals), PollFlags::IN)];
            let _ = poll(&mut fds, None);
            while let Some(came) = signal::next(signals) {
                if came.by_process && came.signal != CHILD {
                    process::signal_one(command, came.signal);
                }
            }
        }
        while let Some((pid, status)) = process::reap() {
            if pid == command {
                sys::exit(status);
            }
        }
    }
}
