//! A terminal that PID 1 has as a line while this command lives.
//!
//! PID 1 makes it raw, reads the keys and writes what the session shows. What it must not
//! do stays here: the modes are kept and put back, and its changes of size are told.

use super::socket::Socket;
use super::start;
use crate::format::message::Request;
use crate::sys::terminal::{self, Modes};
use crate::sys::{file, lend, signal, stdio, wait};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::Errno;

/// SIGWINCH: the terminal has another size.
const WINCH: u8 = 28;
/// HUP INT QUIT TERM WINCH: what is heard of while the terminal is not as it was.
const HEARD: u64 = 1 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 27;

/// A terminal to hand over, and its modes as they were found.
pub struct Terminal {
    fd: OwnedFd,
    modes: Modes,
}

/// The terminal is a line: signals come by the descriptor, and the modes are put back at the end.
pub struct Held<'a> {
    terminal: &'a Terminal,
    signals: Option<OwnedFd>,
}

impl Terminal {
    /// Standard input, or the controlling terminal where that is none, opened anew: PID 1
    /// makes its own description non-blocking, never one that others write by.
    ///
    /// A command in the background hands over one that blocks, which says where it was typed
    /// and is never made a line: the shell in front reads it.
    ///
    /// # Errors
    /// Neither is a terminal.
    pub fn open() -> Result<Terminal, Errno> {
        let path = match rustix::termios::isatty(stdio::stdin()) {
            true => c"/proc/self/fd/0",
            false => c"/dev/tty",
        };
        let mut flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK;
        let mut fd = file::open_at(None, path, flags)?;
        // A terminal that is not this session's has no background.
        if rustix::termios::tcgetpgrp(lend(&fd)) != Err(Errno::NOTTY) && !start::in_front(lend(&fd))
        {
            flags.remove(OFlags::NONBLOCK);
            fd = file::open_at(None, path, flags)?;
        }
        let modes = terminal::modes(lend(&fd))?;
        Ok(Terminal { fd, modes })
    }

    /// The descriptor to hand over.
    pub fn fd(&self) -> BorrowedFd<'_> {
        lend(&self.fd)
    }

    /// Its modes are what they were.
    pub fn restore(&self) {
        // A terminal that hung up has no modes to put back.
        let _ = terminal::set(self.fd(), &self.modes);
    }

    /// From here on it is a line.
    pub fn hold(&self) -> Held<'_> {
        signal::block_only(HEARD);
        let signals = signal::signalfd().ok();
        Held {
            terminal: self,
            signals,
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.terminal.restore();
        signal::unblock();
    }
}

/// Waits until PID 1 has said something, and tells it of each change of size. The signal that is to end this command, if one came.
#[inline(never)]
pub fn attend(held: &Held<'_>, socket: &Socket) -> Option<u8> {
    loop {
        loop {
            match signal::taken(&held.signals) {
                0 => break,
                WINCH => {
                    let _ = socket.send(&Request::Resize, &[]);
                }
                number => return Some(number),
            }
        }
        let fds = [
            Some(socket.fd()),
            held.signals.as_ref().map(lend),
            None,
            None,
            None,
        ];
        if wait::ready(&fds, 0, None) & 1 != 0 {
            return None;
        }
    }
}
