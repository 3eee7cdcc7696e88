//! Commands that are connected: their packets in, replies out.
//!
//! PID 1 reads one packet of a client in a turn, and never waits to be read: a client
//! that does not take its reply is let go.

use core::mem::MaybeUninit;

use rustix::event::epoll::EventFlags;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::IoSliceMut;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendFlags,
    SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen, recvmsg, send, socket_with,
};

use super::poll::{Token, rewatch, watch};
use super::tables::{ClientId, ClientRecord, Session, UnitId, Waits, free, taken};
use super::{Init, boot};
use crate::format::message::{CHUNK, MESSAGE_MAX, Refusal, Reply, Request};
use crate::sys::Errno;

/// The socket of the host's root.
const CONTROL: &core::ffi::CStr = c"/run/pouch/control";
/// Connections waiting to be taken.
const BACKLOG: i32 = 32;
/// Replies are at most a chunk of a ring and its head.
const REPLY_MAX: usize = CHUNK + 64;

impl Init {
    /// Makes the control socket.
    pub(super) fn listen(&mut self) -> Result<(), Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let _ = rustix::fs::unlink(CONTROL);
        bind(&socket, &SocketAddrUnix::new(CONTROL)?)?;
        rustix::fs::chmod(CONTROL, rustix::fs::Mode::from_raw_mode(0o600))?;
        listen(&socket, BACKLOG)?;
        self.t.control = Some(socket);
        Ok(())
    }

    /// Somebody connects from the host.
    pub(super) fn control_ready(&mut self) {
        let accepted = self
            .t
            .control
            .as_ref()
            .map(|c| accept_with(c, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK));
        if let Some(Ok(fd)) = accepted {
            self.client_add(fd, None);
        }
    }

    /// Somebody connects from inside a container.
    pub(super) fn listener_ready(&mut self, id: UnitId) {
        let listener = self.t.unit(id).and_then(|u| u.listener.as_ref());
        if let Some(Ok(fd)) =
            listener.map(|l| accept_with(l, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK))
        {
            self.client_add(fd, Some(id));
        }
    }

    fn client_add(&mut self, fd: OwnedFd, inside: Option<UnitId>) {
        let Ok(peer) = rustix::net::sockopt::socket_peercred(&fd) else {
            return;
        };
        let pid = peer.pid.as_raw_nonzero().get();
        // The host's socket answers the host's root alone, and nobody who sits in a container's cgroup.
        if inside.is_none() && (peer.uid.as_raw() != 0 || in_a_container(pid)) {
            return reply_on(&fd, Reply::Refused(Refusal::OutsideOnly));
        }
        // A container may use no more than its share of the places.
        let siblings = self
            .t
            .clients
            .iter()
            .flatten()
            .filter(|c| c.inside == inside)
            .count();
        let Some(id) = free(&self.t.clients).filter(|_| inside.is_none() || siblings < 4) else {
            return reply_on(&fd, Reply::Refused(Refusal::Busy));
        };
        if watch(&self.epoll, fd.as_fd(), Token::Client, id, EventFlags::IN).is_err() {
            return;
        }
        if let Some(place) = self.t.clients.get_mut(usize::from(id)) {
            *place = Some(ClientRecord {
                fd,
                inside,
                pid,
                waits: Waits::Request,
            });
        }
    }

    /// It said something, takes more, or is gone.
    pub(super) fn client_ready(&mut self, id: ClientId, flags: EventFlags) {
        if flags.contains(EventFlags::OUT) {
            self.follower_pump(id);
        }
        if !flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            return;
        }
        let mut room = [0u8; MESSAGE_MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let Some(client) = self.t.client(id) else {
            return;
        };
        let (waits, got) = {
            let mut iov = [IoSliceMut::new(&mut room)];
            (
                client.waits,
                recvmsg(
                    &client.fd,
                    &mut iov,
                    &mut control,
                    RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC,
                ),
            )
        };
        let got = match got {
            Err(Errno::AGAIN | Errno::INTR) => return,
            Err(_) => return self.client_gone(id),
            Ok(got) if got.bytes == 0 => return self.client_gone(id),
            Ok(got) => got,
        };
        let mut handed: Option<OwnedFd> = None;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                for fd in fds {
                    handed = Some(fd);
                }
            }
        }
        let request = match room.get(..got.bytes) {
            Some(bytes) if !got.flags.contains(ReturnFlags::TRUNC) => Request::parse(bytes),
            _ => None,
        };
        match request {
            // One request a connection: whoever waits for an answer has nothing else to ask.
            Some(request) if waits == Waits::Request => self.request(id, request, handed),
            _ => self.client_end(id, Reply::Refused(Refusal::BadMessage)),
        }
    }

    /// It hung up. What lives with it is told by its pidfd; what it waited for goes on without it.
    pub(super) fn client_gone(&mut self, id: ClientId) {
        let gone = self
            .t
            .clients
            .get_mut(usize::from(id))
            .and_then(Option::take);
        if let Some(ClientRecord {
            waits: Waits::Ended(unit) | Waits::Started(unit),
            ..
        }) = gone
        {
            let attached = self.t.unit(unit).is_some_and(|u| u.ppid != 1);
            if attached {
                self.owner_gone(unit);
            }
        }
    }

    /// The last reply: it is sent, and the connection closed.
    pub(super) fn client_end(&mut self, id: ClientId, reply: Reply<'_>) {
        if let Some(client) = self.t.client(id) {
            reply_on(&client.fd, reply);
        }
        if let Some(place) = self.t.clients.get_mut(usize::from(id)) {
            *place = None;
        }
    }

    /// Clients that wait for this about a container, as a list.
    fn waiting<F: Fn(Waits) -> bool>(&self, what: F) -> impl Iterator<Item = ClientId> + use<F> {
        let mut ids: heapless::Vec<ClientId, { super::tables::CLIENTS }> = heapless::Vec::new();
        for id in taken(&self.t.clients) {
            if self.t.client(id).is_some_and(|c| what(c.waits)) {
                let _ = ids.push(id);
            }
        }
        ids.into_iter()
    }

    /// Its execve succeeded.
    pub(super) fn tell_started(&mut self, unit: UnitId) {
        let Some(record) = self.t.unit(unit) else {
            return;
        };
        let pid = u32::try_from(record.pid).unwrap_or(0);
        let stays = record.ppid != 1;
        for id in self.waiting(|w| w == Waits::Started(unit)) {
            let reply = Reply::Started { pid };
            match self.t.client_mut(id) {
                Some(client) if stays => {
                    client.waits = Waits::Ended(unit);
                    reply_on(&client.fd, reply);
                }
                _ => self.client_end(id, reply),
            }
        }
    }

    /// It stands still.
    pub(super) fn tell_settled(&mut self, unit: UnitId) {
        for id in self.waiting(|w| w == Waits::Stopped(unit)) {
            self.client_end(id, Reply::Done);
        }
        for id in self.waiting(|w| w == Waits::Started(unit)) {
            self.refuse_start(id, unit);
        }
    }

    /// It is no more.
    pub(super) fn tell_forgotten(&mut self, unit: UnitId) {
        for id in
            self.waiting(|w| matches!(w, Waits::Stopped(u) | Waits::Forgotten(u) if u == unit))
        {
            self.client_end(id, Reply::Done);
        }
        let session = self.t.unit(unit).and_then(|u| u.session);
        for id in self.waiting(|w| matches!(w, Waits::Log { session: s, .. } if Some(s) == session))
        {
            self.follower_pump(id);
            self.client_end(id, Reply::Done);
        }
        let ended = self.t.unit(unit).and_then(|u| u.life.ended());
        for id in self.waiting(|w| w == Waits::Ended(unit)) {
            match ended {
                Some(ended) => self.client_end(id, Reply::Ended(ended)),
                None => self.client_end(id, Reply::Refused(Refusal::Gone)),
            }
        }
        for id in self.waiting(|w| w == Waits::Started(unit)) {
            self.refuse_start(id, unit);
        }
    }

    /// A start that did not come to be: with the kernel's reason, if it was the kernel's.
    fn refuse_start(&mut self, id: ClientId, unit: UnitId) {
        use crate::format::fault::Step;
        let fault = self.t.unit(unit).and_then(|u| u.fault.clone());
        match fault.as_ref().map(super::tables::Kept::fault) {
            Some(f) if f.step == Step::CgroupMake && f.errno == 17 => {
                self.client_end(id, Reply::Refused(Refusal::CgroupExists))
            }
            Some(f) => self.client_end(id, Reply::Refused(Refusal::Fault(f))),
            None => self.client_end(id, Reply::Refused(Refusal::Gone)),
        }
    }

    /// New bytes for those who follow a session.
    pub(super) fn followers_pump(&mut self, session: Session) {
        for id in self.waiting(|w| matches!(w, Waits::Log { session: s, .. } if s == session)) {
            self.follower_pump(id);
        }
    }

    /// Sends what a follower has not had, as far as it takes it.
    pub(super) fn follower_pump(&mut self, id: ClientId) {
        let mut room = [0u8; REPLY_MAX];
        loop {
            let Some(ClientRecord {
                fd,
                waits: Waits::Log { session, from },
                ..
            }) = self.t.client(id)
            else {
                return;
            };
            let (session, from) = (*session, *from);
            let (lost, piece) = self.ring_read(session, from);
            let piece = piece.get(..piece.len().min(CHUNK)).unwrap_or_default();
            let mut flags = EventFlags::IN;
            let mut next = from + lost;
            let more = !piece.is_empty();
            if more {
                let Some(bytes) = Reply::Bytes(piece).emit(&mut room) else {
                    return;
                };
                match send(fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                    Ok(_) => next += piece.len() as u64,
                    Err(Errno::AGAIN) => flags |= EventFlags::OUT,
                    Err(_) => return self.client_gone(id),
                }
            }
            let stuck = flags.contains(EventFlags::OUT);
            rewatch(&self.epoll, fd.as_fd(), Token::Client, id, flags);
            if let Some(client) = self.t.client_mut(id) {
                client.waits = Waits::Log {
                    session,
                    from: next,
                };
            }
            if stuck || !more {
                return;
            }
        }
    }
}

/// Sends a reply to one who reads, or to nobody.
pub(super) fn reply_on(fd: &OwnedFd, reply: Reply<'_>) {
    let mut room = [0u8; REPLY_MAX];
    if let Some(bytes) = reply.emit(&mut room) {
        let _ = send(fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
    }
}

/// Whether a process sits in a container's cgroup: /proc/PID/cgroup, `0::/pouch/NAME`.
fn in_a_container(pid: i32) -> bool {
    let mut path: heapless::String<32> = heapless::String::new();
    let mut room = [0u8; 1024];
    let _ = ufmt::uwrite!(path, "/proc/{}/cgroup\0", pid);
    let text = core::ffi::CStr::from_bytes_with_nul(path.as_bytes())
        .ok()
        .and_then(|p| boot::read_file(p, &mut room).ok());
    // A process whose cgroup cannot be read is not let in by that.
    text.is_none_or(|t| {
        t.split(|b| *b == b'\n').any(|l| {
            l.strip_prefix(b"0::")
                .is_some_and(|p| p.starts_with(b"/pouch/"))
        })
    })
}
