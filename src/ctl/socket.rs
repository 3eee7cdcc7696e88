//! The way to PID 1: one packet is one message.

use crate::format::message::{MESSAGE_MAX, Reply, Request};
use crate::sys::{self, lend};
use core::ffi::CStr;
use core::mem::ManuallyDrop;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;

/// Where PID 1 listens on the host.
pub const OUTSIDE: &CStr = c"/run/pouch/control";
/// Where it listens in a container; that it is there tells a container from the host.
pub const INSIDE: &CStr = c"/dev/pouch/socket";

/// Why there was no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lost {
    /// The kernel's reason.
    Kernel(Errno),
    /// PID 1 closed the socket before its last word.
    Closed,
    /// What came is no reply.
    Garbled,
    /// The request is longer than a message may be.
    TooLong,
}

/// Room for one message.
pub type Room = [u8; MESSAGE_MAX];

/// A connection to PID 1. It ends with this process: to close a socket is to close whatever somebody sent on its way
/// and forgot (unix_gc), which may take its time, but not of a process that ends.
pub struct Socket(ManuallyDrop<OwnedFd>);

impl Socket {
    /// Connects.
    ///
    /// # Errors
    /// Those of socket(2) and connect(2); ENOENT where nobody ever listened.
    pub fn connect(path: &CStr) -> Result<Socket, Errno> {
        let fd = ManuallyDrop::new(sys::socket::packets(false)?);
        sys::socket::connect(lend(&fd), path)?;
        Ok(Socket(fd))
    }

    /// Closes it, for one who connects again and again.
    pub fn close(self) {
        drop(ManuallyDrop::into_inner(self.0));
    }

    /// Takes a socket that is connected.
    #[cfg(test)]
    pub fn from_fd(fd: OwnedFd) -> Socket {
        Socket(ManuallyDrop::new(fd))
    }

    /// Sends a request, with descriptors of the caller's where it has some to give.
    ///
    /// # Errors
    /// It is too long, or the kernel refused.
    pub fn send(&self, request: &Request<'_>, handed: &[BorrowedFd<'_>]) -> Result<(), Lost> {
        let mut room: Room = [0; MESSAGE_MAX];
        let packet = request.emit(&mut room).ok_or(Lost::TooLong)?;
        loop {
            match sys::socket::send_all(lend(&self.0), packet, handed) {
                Err(Errno::INTR) => {}
                // Nobody reads any more: what was answered before may still be there.
                Err(Errno::PIPE) => return Ok(()),
                sent => return sent.map_err(Lost::Kernel),
            }
        }
    }

    /// The descriptor, to wait for.
    pub fn fd(&self) -> BorrowedFd<'_> {
        lend(&self.0)
    }

    /// Waits for the next reply.
    ///
    /// # Errors
    /// There is none, or what came is none.
    pub fn receive<'b>(&self, room: &'b mut Room) -> Result<Reply<'b>, Lost> {
        self.receive_with(room, &mut [None, None])
    }

    /// The same; the first two descriptors that came along are put there.
    ///
    /// # Errors
    /// There is no reply, or what came is none.
    #[inline(never)]
    pub fn receive_with<'b>(
        &self,
        room: &'b mut Room,
        handed: &mut [Option<OwnedFd>; 2],
    ) -> Result<Reply<'b>, Lost> {
        let len = loop {
            match sys::socket::receive(lend(&self.0), room, true) {
                Ok(got) if got.len == 0 => return Err(Lost::Closed),
                Ok(got) if got.cut => return Err(Lost::Garbled),
                Ok(got) => {
                    if got.descriptor.is_some() {
                        let [second, _] = got.more;
                        *handed = [got.descriptor, second];
                    }
                    break got.len;
                }
                // A peer that answered without reading resets, once; its answer stands behind that.
                Err(Errno::INTR | Errno::CONNRESET) => {}
                Err(error) => return Err(Lost::Kernel(error)),
            }
        };
        room.get(..len).and_then(Reply::parse).ok_or(Lost::Garbled)
    }
}
