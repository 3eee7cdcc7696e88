//! The reading side of a terminal: a thread that never lets the board wait
//!
//! It reads whether or not anybody looks, so a test that thinks does not stall the line it is about, and a
//! test about stalled lines can stop it on purpose.

use crate::screen::Screen;
use rustix::event::{PollFd, PollFlags, poll};
use std::fs::File;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A line that is being read until this value is dropped.
pub struct Listener(Arc<Shared>);

struct Shared {
    heard: Mutex<Heard>,
    changed: Condvar,
    stopped: AtomicBool,
    dropped: AtomicBool,
}

/// What has come so far.
#[derive(Default)]
pub struct Heard {
    /// The output.
    pub screen: Screen,
    /// The other side is gone.
    pub ended: bool,
}

impl Listener {
    /// Begins to read.
    #[must_use]
    pub fn new(line: File) -> Self {
        let shared = Arc::new(Shared {
            heard: Mutex::default(),
            changed: Condvar::new(),
            stopped: AtomicBool::new(false),
            dropped: AtomicBool::new(false),
        });
        let theirs = Arc::clone(&shared);
        std::thread::spawn(move || read_all(line, &theirs));
        Self(shared)
    }

    /// What was heard; nothing more is while the guard lives.
    pub fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the guard back until there is news, or for a moment: that bounds how late a deadline is noticed.
    pub fn wait<'a>(&'a self, guard: MutexGuard<'a, Heard>) -> MutexGuard<'a, Heard> {
        self.0.changed.wait_timeout(guard, Duration::from_millis(50)).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Stops or resumes reading.
    pub fn stop(&self, stopped: bool) {
        self.0.stopped.store(stopped, Ordering::SeqCst);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.dropped.store(true, Ordering::SeqCst);
    }
}

fn read_all(mut reader: File, shared: &Shared) {
    let mut buffer = [0; 4096];
    loop {
        let mut fds = [PollFd::new(&reader, PollFlags::IN)];
        let timeout = rustix::event::Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        let ready =
            !shared.stopped.load(Ordering::SeqCst) && poll(&mut fds, Some(&timeout)).is_ok_and(|count| count > 0);
        if shared.dropped.load(Ordering::SeqCst) {
            return;
        }
        if !ready {
            if shared.stopped.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(20));
            }
            continue;
        }
        let count = match reader.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            // A pty whose other side closed says EIO, a socket whose peer died ECONNRESET: the end, either way.
            Err(_) => 0,
        };
        let mut heard = shared.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.screen.feed(buffer.get(..count).unwrap_or_default());
        heard.ended = count == 0;
        shared.changed.notify_all();
        if count == 0 {
            return;
        }
    }
}
