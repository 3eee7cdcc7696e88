//! Commands that are connected: their packets in, replies out.
//!
//! PID 1 reads one packet of a client in a turn, and never waits to be read: a client
//! that does not take its reply is let go.

use rustix::event::epoll::EventFlags;
use rustix::fd::{BorrowedFd, OwnedFd};

use super::poll::{Token, rewatch, watch};
use super::tables::{CLIENTS, ClientId, ClientRecord, Session, UnitId, Waits, Whose};
use super::words::Words;
use super::{Init, files};
use crate::format::message::{CHUNK, MESSAGE_MAX, Refusal, Reply, Request};
use crate::sys::{Errno, file, lend, socket};

/// The socket of the host's root.
const CONTROL: &core::ffi::CStr = c"/run/pouch/control";
/// Connections waiting to be taken.
const BACKLOG: u32 = 32;
/// The most connections of one container.
const SHARE: u32 = 4;
/// The most of all of them: whoever holds theirs keeps other containers from a word by their sockets, and nobody of
/// the host from anything.
const INSIDERS: u32 = 16;
/// Replies are at most a chunk of a ring and its head.
const REPLY_MAX: usize = CHUNK + 64;

impl Init {
    /// Makes the control socket.
    pub(super) fn listen(&mut self) -> Result<(), Errno> {
        let listening = socket::packets(true)?;
        let _ = rustix::fs::unlink(CONTROL);
        socket::bind(lend(&listening), CONTROL)?;
        rustix::fs::chmod(CONTROL, rustix::fs::Mode::from_raw_mode(0o600))?;
        socket::listen(lend(&listening), BACKLOG)?;
        self.t.control = Some(listening);
        Ok(())
    }

    /// Somebody connects from the host.
    pub(super) fn control_ready(&mut self) {
        let accepted = self.t.control.as_ref().map(|c| socket::accept(lend(c)));
        self.accepted(accepted, None);
    }

    /// Somebody connects from inside a container.
    pub(super) fn listener_ready(&mut self, id: UnitId) {
        let listener = self.t.unit(id).and_then(|u| u.listener.as_ref());
        let accepted = listener.map(|l| socket::accept(lend(l)));
        self.accepted(accepted, Some(id));
    }

    /// A new connection, or none: with no descriptor left, the spare one answers, since a
    /// connection that nobody takes would wake PID 1 again and again.
    #[inline(never)]
    fn accepted(&mut self, accepted: Option<Result<OwnedFd, Errno>>, inside: Option<UnitId>) {
        self.guard();
        match accepted {
            Some(Ok(fd)) => self.client_add(fd, inside),
            Some(Err(Errno::MFILE | Errno::NFILE)) => {
                files::close(&mut self.spare);
                let listener = match inside {
                    Some(id) => self.t.unit(id).and_then(|u| u.listener.as_ref()),
                    None => self.t.control.as_ref(),
                };
                if let Some(Ok(fd)) = listener.map(|l| socket::accept(lend(l))) {
                    reply_on(&fd, &Reply::Refused(Refusal::Busy));
                }
                self.spare = spare(&self.binary);
            }
            _ => {}
        }
    }

    #[inline(never)]
    fn client_add(&mut self, fd: OwnedFd, inside: Option<UnitId>) {
        let Ok(peer) = socket::peer(lend(&fd)) else {
            return;
        };
        // The host's socket answers the host's root alone, and nobody who sits in a container's cgroup.
        if inside.is_none()
            && let Some(why) = stranger(peer.uid, peer.pid)
        {
            return reply_on(&fd, &Reply::Refused(why));
        }
        // A container may use no more than its share of the places, and all together no more than theirs.
        let (mut siblings, mut insiders) = (0, 0);
        for id in 0..CLIENTS as ClientId {
            if let Some(client) = self.t.client(id) {
                siblings += u32::from(client.inside == inside);
                insiders += u32::from(client.inside.is_some());
            }
        }
        let place = self
            .t
            .clients()
            .free()
            .filter(|_| inside.is_none() || siblings < SHARE && insiders < INSIDERS);
        let Some(id) = place else {
            return reply_on(&fd, &Reply::Refused(Refusal::Busy));
        };
        let id = id as ClientId;
        if watch(&self.epoll, &fd, Token::Client, id).is_ok() {
            let record = ClientRecord {
                fd,
                inside,
                pid: peer.pid,
                waits: Waits::Request,
            };
            self.t.clients().put(id, record);
            // Its request is here already, as a rule: a turn less on the way of every command.
            self.client_ready(id, EventFlags::IN);
        }
    }

    /// It said something, takes more, or is gone.
    #[inline(never)] // its frame is not to be part of the loop's
    pub(super) fn client_ready(&mut self, id: ClientId, flags: EventFlags) {
        if flags.contains(EventFlags::OUT) {
            self.follower_pump(id);
        }
        if !flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            return;
        }
        self.guard();
        let mut room = [0u8; MESSAGE_MAX];
        let Some(client) = self.t.client(id) else {
            return;
        };
        let waits = client.waits;
        let got = match socket::receive(lend(&client.fd), &mut room, false) {
            Err(Errno::AGAIN | Errno::INTR) => return,
            Ok(got) if got.len > 0 => got,
            Ok(_) | Err(_) => return self.client_gone(id),
        };
        // A VT says nothing of its size by itself, and who asks something may have set one.
        self.look_at_sizes();
        let request = match room.get(..got.len) {
            Some(bytes) if !got.cut => Request::parse(bytes),
            _ => None,
        };
        match request {
            // Whose terminal is a line tells of its size as often as it changes.
            Some(Request::Resize) if waits != Waits::Request => {}
            // One request a connection: whoever waits for an answer has nothing else to ask.
            Some(request) if waits == Waits::Request => {
                self.request(id, request, got.descriptor, got.more)
            }
            _ => self.refuse(id, Refusal::BadMessage),
        }
    }

    /// It hung up. What lives with it is told by its pidfd; what it waited for goes on without it.
    #[inline(never)]
    pub(super) fn client_gone(&mut self, id: ClientId) {
        let gone = self.t.client(id).map(|c| (c.waits, c.pid as u32));
        self.lines_of_client_gone(id, true);
        self.client_close(id);
        if let Some((Waits::Ended(unit) | Waits::Started(unit), pid)) = gone
            && self.t.unit(unit).is_some_and(|u| u.ppid == pid)
        {
            self.owner_gone(unit);
        }
    }

    /// Closes its connection.
    pub(super) fn client_close(&mut self, id: ClientId) {
        self.guard();
        self.t.clients().vacate(id);
    }

    /// A reply, with more to come.
    #[inline(never)]
    pub(super) fn client_tell(&self, id: ClientId, reply: &Reply<'_>) {
        if let Some(client) = self.t.client(id) {
            reply_on(&client.fd, reply);
        }
    }

    /// The last reply: it is sent, and the connection closed.
    #[inline(never)]
    pub(super) fn client_end(&mut self, id: ClientId, reply: &Reply<'_>) {
        if let Some(line) = self.t.find_line(&|l| l.client == Some(id)) {
            match *reply {
                // Its terminal has yet to take the rest: the container's last words.
                Reply::Ended(ended) if self.t.shows(line).is_none() => {
                    return self.wait_for(id, Waits::Last(ended));
                }
                _ => self.lines_of_client_gone(id, false),
            }
        }
        self.client_tell(id, reply);
        self.client_close(id);
    }

    /// The last reply: it is done.
    #[inline(never)]
    pub(super) fn done(&mut self, id: ClientId) {
        self.client_end(id, &Reply::Done);
    }

    /// The last reply: it is not done.
    #[inline(never)]
    pub(super) fn refuse(&mut self, id: ClientId, refusal: Refusal<'_>) {
        self.client_end(id, &Reply::Refused(refusal));
    }

    /// The first client that waits for this, from that place on.
    #[inline(never)]
    pub(super) fn waiting(&self, from: ClientId, what: &dyn Fn(Waits) -> bool) -> Option<ClientId> {
        (from..CLIENTS as ClientId).find(|id| self.t.client(*id).is_some_and(|c| what(c.waits)))
    }

    /// Ends every client that waits for this, with that reply.
    #[inline(never)]
    fn end_waiting(&mut self, what: Waits, reply: &Reply<'_>) {
        while let Some(id) = self.waiting(0, &|w| w == what) {
            self.client_end(id, reply);
        }
    }

    /// Its execve succeeded.
    pub(super) fn tell_started(&mut self, unit: UnitId) {
        let Some(record) = self.t.unit(unit) else {
            return;
        };
        let reply = Reply::Started {
            pid: record.pid as u32,
        };
        let owner = record.ppid;
        while let Some(id) = self.waiting(0, &|w| w == Waits::Started(unit)) {
            match self.t.client_mut(id) {
                // Whoever it lives with stays; who only had it started again does not.
                Some(client) if client.pid as u32 == owner => {
                    client.waits = Waits::Ended(unit);
                    reply_on(&client.fd, &reply);
                }
                _ => self.client_end(id, &reply),
            }
        }
    }

    /// Words for those who wait for its start.
    pub(super) fn tell_starting(&mut self, unit: UnitId, words: &str) {
        let mut from = 0;
        while let Some(id) = self.waiting(from, &|w| w == Waits::Started(unit)) {
            self.client_tell(id, &Reply::Bytes(words.as_bytes()));
            from = id + 1;
        }
    }

    /// It stands still.
    #[inline(never)]
    pub(super) fn tell_settled(&mut self, unit: UnitId) {
        self.end_waiting(Waits::Stopped(unit), &Reply::Done);
        if let Some(session) = self.t.unit_session(unit) {
            self.followers_pump(session);
        }
        self.refuse_start(unit);
    }

    /// It is no more.
    pub(super) fn tell_forgotten(&mut self, unit: UnitId) {
        self.end_waiting(Waits::Stopped(unit), &Reply::Done);
        self.end_waiting(Waits::Forgotten(unit), &Reply::Done);
        let session = self.t.unit_session(unit);
        while let Some(id) = self.waiting(
            0,
            &|w| matches!(w, Waits::Log { session: s, .. } if Some(s) == session),
        ) {
            self.follower_pump(id);
            self.done(id);
        }
        let reply = match self.t.unit(unit).and_then(|u| u.life.ended()) {
            Some(ended) => Reply::Ended(ended),
            None => Reply::Refused(Refusal::Gone),
        };
        self.end_waiting(Waits::Ended(unit), &reply);
        self.refuse_start(unit);
    }

    /// Starts that did not come to be: with the kernel's reason, if it was the kernel's.
    fn refuse_start(&mut self, unit: UnitId) {
        use crate::format::fault::Step;
        while let Some(id) = self.waiting(0, &|w| w == Waits::Started(unit)) {
            let kept = self.t.unit(unit).and_then(|u| u.fault.as_ref());
            let refusal = match kept.map(super::tables::Kept::fault) {
                Some(f) if f.step == Step::CgroupMake && f.errno == 17 => Refusal::CgroupExists,
                Some(f) => Refusal::Fault(f),
                None => Refusal::Gone,
            };
            self.client_tell(id, &Reply::Refused(refusal));
            self.client_close(id);
        }
    }

    /// New bytes for those who follow a session.
    pub(super) fn followers_pump(&mut self, session: Session) {
        let mut from = 0;
        while let Some(id) = self.waiting(
            from,
            &|w| matches!(w, Waits::Log { session: s, .. } if s == session),
        ) {
            self.follower_pump(id);
            from = id + 1;
        }
    }

    /// Sends what a follower has not had, as far as it takes it.
    #[inline(never)]
    pub(super) fn follower_pump(&mut self, id: ClientId) {
        loop {
            let Some(client) = self.t.client(id) else {
                return;
            };
            let Waits::Log { session, mut from } = client.waits else {
                return;
            };
            let (lost, piece) = self.ring_read(session, from);
            let mut piece = piece.get(..CHUNK).unwrap_or(piece);
            let more = !piece.is_empty();
            let mut taken = piece.len() as u64;
            let mut words = Words::new("\n[");
            if lost > 0 {
                words.num(lost).add(" bytes lost]\n");
                (piece, taken) = (words.as_str().as_bytes(), lost);
            }
            let mut stuck = false;
            if more {
                match send(&client.fd, &Reply::Bytes(piece), &[]) {
                    Ok(()) => from += taken,
                    Err(Errno::AGAIN) => stuck = true,
                    Err(_) => return self.client_gone(id),
                }
            }
            rewatch(&self.epoll, &client.fd, Token::Client, id, stuck);
            if let Some(client) = self.t.client_mut(id) {
                client.waits = Waits::Log { session, from };
            }
            if stuck || !more {
                // Of one that ended for good no more comes.
                let over = |whose| matches!(whose, Whose::Unit(unit) if self.t.unit(unit).is_some_and(|u| u.life.is_over()));
                if !stuck && self.t.session(session).is_some_and(|s| over(s.whose)) {
                    self.done(id);
                }
                return;
            }
        }
    }
}

/// Sends a reply. Sockets of clients are non-blocking.
#[inline(never)]
fn send(fd: &OwnedFd, reply: &Reply<'_>, along: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    let mut room = [0u8; REPLY_MAX];
    let bytes = reply.emit(&mut room).ok_or(Errno::MSGSIZE)?;
    socket::send_all(lend(fd), bytes, along)
}

/// A reply and descriptors that come along with it.
pub(super) fn tell_with(fd: &OwnedFd, reply: &Reply<'_>, along: &[BorrowedFd<'_>]) {
    let _ = send(fd, reply, along);
}

/// The same to one who reads, or to nobody.
fn reply_on(fd: &OwnedFd, reply: &Reply<'_>) {
    tell_with(fd, reply, &[]);
}

/// A descriptor to give away when there is no other.
pub(super) fn spare(binary: &OwnedFd) -> Option<OwnedFd> {
    file::again(binary).ok()
}

/// Why a process is not answered on the host's socket: it is not root, or sits in a container.
fn stranger(uid: u32, pid: i32) -> Option<Refusal<'static>> {
    let mut room = [0u8; 1024];
    let text = files::read_proc(pid, "/cgroup", &mut room);
    if uid != 0 || files::line_of(text, b"0::/pouch/").is_some() {
        return Some(Refusal::OutsideOnly);
    }
    // One whose cgroup cannot be read (no descriptor is free) is not let in by that.
    text.is_empty().then_some(Refusal::Busy)
}
