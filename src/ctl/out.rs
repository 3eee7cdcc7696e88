//! A buffered way to standard output or standard error.
//!
//! Waits where the other end is slow. Where it is gone (EPIPE) there is nobody left to
//! tell, so the rest is dropped in silence; another error is remembered for the exit
//! code.

use crate::format::text::Take;
use heapless::Vec;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;

/// A buffered writer. What is in it goes out by [`Out::flush`] alone.
pub struct Out {
    fd: BorrowedFd<'static>,
    buffer: Vec<u8, 1024>,
    error: Option<Errno>,
}

impl Out {
    /// Answers.
    pub fn stdout() -> Out {
        Out::to(crate::sys::stdio::stdout())
    }

    /// Messages.
    pub fn stderr() -> Out {
        Out::to(crate::sys::stdio::stderr())
    }

    /// One whose output a test reads back.
    #[cfg(test)]
    pub fn captured() -> (Out, impl FnOnce() -> std::string::String) {
        use rustix::fd::AsFd;
        let (read, write) = rustix::pipe::pipe().unwrap();
        let write: &'static _ = std::boxed::Box::leak(std::boxed::Box::new(write));
        let text = move || {
            rustix::io::ioctl_fionbio(&read, true).unwrap();
            let mut room = [0; 65_536];
            let len = rustix::io::read(&read, &mut room[..]).unwrap_or(0);
            std::string::String::from_utf8(room[..len].to_vec()).unwrap()
        };
        (Out::to(write.as_fd()), text)
    }

    /// To that descriptor.
    pub fn to(fd: BorrowedFd<'static>) -> Out {
        Out {
            fd,
            buffer: Vec::new(),
            error: None,
        }
    }

    /// Adds bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(self.buffer.capacity()) {
            if self.buffer.extend_from_slice(part).is_err() {
                self.flush();
                // An empty buffer holds any chunk.
                let _ = self.buffer.extend_from_slice(part);
            }
        }
    }

    /// Adds bytes of a container's for a person's terminal: letters and ends of lines as they
    /// are, anything that the terminal would obey as `?`. `before` is the byte before them.
    pub fn tamed(&mut self, bytes: &[u8], before: &mut u8) {
        for byte in bytes {
            let shown = match (*before, *byte) {
                (_, b'\n' | b'\r' | b'\t') => *byte,
                (_, 0..0x20 | 0x7f) | (0..0x80, 0x80..0xa0) => b'?',
                // U+0080 to U+009F are controls too; this makes a blank of them.
                (0xc2, 0x80..0xa0) => 0xa0,
                _ => *byte,
            };
            *before = *byte;
            self.raw(&[shown]);
        }
    }

    /// Writes what has gathered. False once somebody who still wanted it did not get it.
    pub fn flush(&mut self) -> bool {
        let mut rest: &[u8] = &self.buffer;
        while !rest.is_empty() && self.error.is_none() {
            match rustix::io::write(self.fd, rest) {
                Ok(0) => self.error = Some(Errno::IO),
                Ok(n) => rest = rest.get(n..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    let mut fds = [PollFd::from_borrowed_fd(self.fd, PollFlags::OUT)];
                    let _ = poll(&mut fds, None);
                }
                Err(error) => self.error = Some(error),
            }
        }
        self.buffer.clear();
        matches!(self.error, None | Some(Errno::PIPE))
    }

    /// What the kernel said of the write that failed.
    pub fn error(&self) -> Option<Errno> {
        self.error
    }

    /// Whether nobody reads any more.
    pub fn is_closed(&self) -> bool {
        self.error.is_some()
    }
}

impl Take for Out {
    fn take(&mut self, text: &[u8]) {
        self.raw(text);
    }
}
