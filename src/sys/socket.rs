//! Sockets by path, one packet a message, a descriptor along with it: unix(7).
//!
//! rustix has all of this for every family and any number of descriptors, which is
//! several times the code. Here an address is a path and a packet brings at most one
//! descriptor.

use core::ffi::CStr;
use core::mem::offset_of;

use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::file::own;
use super::{Errno, call, nr};

// bits/socket.h; the same on every processor used.
const AF_UNIX: u16 = 1;
const AF_INET: usize = 2;
const AF_NETLINK: usize = 16;
const SOCK_DGRAM: usize = 2;
const SOCK_RAW: usize = 3;
const SOCK_SEQPACKET: usize = 5;
const SOL_SOCKET: i32 = 1;
const SO_PEERCRED: usize = 17;
const SO_SNDBUFFORCE: usize = 32;
const SCM_RIGHTS: i32 = 1;
const MSG_TRUNC: u32 = 0x20;
const MSG_DONTWAIT: usize = 0x40;
const MSG_NOSIGNAL: usize = 0x4000;
const MSG_CMSG_CLOEXEC: usize = 0x4000_0000;
/// SOCK_CLOEXEC and SOCK_NONBLOCK are the flags of open(2).
const CLOEXEC: usize = nr::O_CLOEXEC as usize;
const NONBLOCK: usize = nr::O_NONBLOCK as usize;

fn number(fd: BorrowedFd<'_>) -> usize {
    fd.as_raw_fd() as usize
}

fn new(family: usize, kind: usize) -> Result<OwnedFd, Errno> {
    // SAFETY: no pointer; what the kernel answers is a new descriptor that nobody else owns.
    unsafe {
        let fd = call(nr::__NR_socket, [family, kind | CLOEXEC])?;
        Ok(own(fd))
    }
}

/// socket(2): a Unix socket of packets, close-on-exec.
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM.
pub fn packets(nonblocking: bool) -> Result<OwnedFd, Errno> {
    let flag = if nonblocking { NONBLOCK } else { 0 };
    new(AF_UNIX.into(), SOCK_SEQPACKET | flag)
}

/// socket(2): one to ask about network interfaces by, close-on-exec.
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM, EAFNOSUPPORT in a kernel without IPv4.
pub fn inet() -> Result<OwnedFd, Errno> {
    new(AF_INET, SOCK_DGRAM)
}

/// netlink(7): interfaces, addresses, routes.
pub const ROUTE: usize = 0;
/// netlink(7): nfnetlink, of netfilter.
pub const NETFILTER: usize = 12;

/// socket(2): one of netlink, close-on-exec, of this process's network for as long as it is open.
/// It never waits: what is asked by it is done and answered before write(2) returns.
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM; EPROTONOSUPPORT where the kernel has not that protocol.
pub fn netlink(protocol: usize) -> Result<OwnedFd, Errno> {
    // SAFETY: no pointer; what the kernel answers is a new descriptor that nobody else owns.
    unsafe {
        let kind = SOCK_RAW | NONBLOCK | CLOEXEC;
        let fd = call(nr::__NR_socket, [AF_NETLINK, kind, protocol])?;
        Ok(own(fd))
    }
}

/// struct sockaddr_un.
#[repr(C)]
struct Address {
    family: u16,
    path: [u8; 108],
}

/// bind(2) and connect(2) differ in their number alone.
#[inline(never)]
fn at(nr: u32, fd: BorrowedFd<'_>, path: &CStr) -> Result<(), Errno> {
    let mut address = Address {
        family: AF_UNIX,
        path: [0; 108],
    };
    let bytes = path.to_bytes_with_nul();
    if bytes.len() > address.path.len() {
        return Err(Errno::NAMETOOLONG);
    }
    for (to, from) in address.path.iter_mut().zip(bytes) {
        *to = *from;
    }
    // SAFETY: the kernel reads an address of its true size, which lives over the call.
    unsafe {
        call(
            nr,
            [
                number(fd),
                &raw const address as usize,
                size_of::<Address>(),
            ],
        )
    }
    .map(drop)
}

/// bind(2) to a path.
///
/// # Errors
/// EADDRINUSE where something is there already, ENAMETOOLONG, those of making a file.
pub fn bind(fd: BorrowedFd<'_>, path: &CStr) -> Result<(), Errno> {
    at(nr::__NR_bind, fd, path)
}

/// connect(2) to a path.
///
/// # Errors
/// ENOENT where nobody ever listened, ECONNREFUSED where nobody does now, EACCES, EAGAIN.
pub fn connect(fd: BorrowedFd<'_>, path: &CStr) -> Result<(), Errno> {
    at(nr::__NR_connect, fd, path)
}

/// listen(2): so many connections may wait to be taken.
///
/// # Errors
/// None for a socket that is bound.
pub fn listen(fd: BorrowedFd<'_>, backlog: u32) -> Result<(), Errno> {
    // SAFETY: no pointer.
    unsafe { call(nr::__NR_listen, [number(fd), backlog as usize]) }.map(drop)
}

/// accept4(2): the next connection, non-blocking and close-on-exec.
///
/// # Errors
/// EAGAIN where none waits, EMFILE, ENFILE, ENOMEM, ECONNABORTED.
pub fn accept(fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    // SAFETY: no address is asked for; what the kernel answers is a new descriptor that nobody else owns.
    unsafe {
        let fd = call(nr::__NR_accept4, [number(fd), 0, 0, CLOEXEC | NONBLOCK])?;
        Ok(own(fd))
    }
}

/// Who connected: struct ucred.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct Peer {
    /// Its process, as seen here; 0 for one of a PID namespace that is not below.
    pub pid: i32,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}

/// getsockopt(2) SO_PEERCRED: who was at the other end when it connected.
///
/// # Errors
/// None for a connected Unix socket.
pub fn peer(fd: BorrowedFd<'_>) -> Result<Peer, Errno> {
    let mut peer = Peer::default();
    let mut len = size_of::<Peer>() as u32;
    // SAFETY: the kernel writes at most `len` bytes at `peer`, all of which are plain numbers.
    unsafe {
        call(
            nr::__NR_getsockopt,
            [
                number(fd),
                SOL_SOCKET as usize,
                SO_PEERCRED,
                &raw mut peer as usize,
                &raw mut len as usize,
            ],
        )
    }?;
    Ok(peer)
}

/// setsockopt(2) SO_SNDBUFFORCE: so many bytes may be on their way at least, whatever net.core.wmem_max says.
pub fn send_room(fd: BorrowedFd<'_>, bytes: u32) {
    let at = &raw const bytes as usize;
    // SAFETY: the kernel reads the number. Refused (EPERM) there is as much room as before.
    let _ = unsafe {
        call(
            nr::__NR_setsockopt,
            [
                number(fd),
                SOL_SOCKET as usize,
                SO_SNDBUFFORCE,
                at,
                size_of::<u32>(),
            ],
        )
    };
}

/// struct iovec: one piece, the whole packet.
#[repr(C)]
struct Piece {
    base: usize,
    len: usize,
}

/// The most descriptors that come along with a packet.
const HANDED: usize = 3;

/// struct cmsghdr with room for descriptors behind it.
#[repr(C)]
struct Control {
    len: usize,
    level: i32,
    kind: i32,
    fds: [i32; HANDED],
}

/// CMSG_LEN of no descriptor, and of all. With just that much room the kernel closes any more.
const EMPTY: usize = offset_of!(Control, fds);
const CONTROL: usize = EMPTY + HANDED * size_of::<i32>();

/// struct msghdr.
#[repr(C)]
struct Message {
    name: usize,
    name_len: u32,
    pieces: usize,
    count: usize,
    control: usize,
    control_len: usize,
    flags: u32,
}

/// sendmsg(2) or recvmsg(2) of one packet: its length. What the kernel said of flags and
/// descriptors is in `control` and in the flags that come along.
///
/// # Safety
/// `base` and `len` are memory that the call may read or, for recvmsg, write.
#[inline(never)]
unsafe fn packet(
    nr: u32,
    fd: usize,
    piece: Piece,
    control: &mut Control,
    flags: usize,
) -> Result<(usize, u32), Errno> {
    let mut message = Message {
        name: 0,
        name_len: 0,
        pieces: &raw const piece as usize,
        count: 1,
        control: &raw mut *control as usize,
        control_len: control.len,
        flags: 0,
    };
    // SAFETY: all that the message points to lives over the call; the piece is the caller's word.
    let len = unsafe { call(nr, [fd, &raw mut message as usize, flags]) }?;
    // SAFETY: read as the kernel left it, which the compiler cannot see: the pointers went as numbers.
    unsafe {
        control.len = (&raw const message.control_len).read_volatile();
        Ok((len as usize, (&raw const message.flags).read_volatile()))
    }
}

/// sendmsg(2): one packet, with a descriptor where there is one to hand over. Never SIGPIPE.
///
/// # Errors
/// EPIPE, ECONNRESET where nobody is there any more; EMSGSIZE; EINTR; EAGAIN on a
/// non-blocking socket whose reader is slow.
pub fn send(
    fd: BorrowedFd<'_>,
    bytes: &[u8],
    descriptor: Option<BorrowedFd<'_>>,
) -> Result<(), Errno> {
    send_all(fd, bytes, descriptor.as_slice())
}

/// The same with up to three descriptors; more are left out.
///
/// # Errors
/// Those of [`send`].
#[inline(never)]
pub fn send_all(
    fd: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), Errno> {
    let mut control = Control {
        len: 0,
        level: SOL_SOCKET,
        kind: SCM_RIGHTS,
        fds: [-1; HANDED],
    };
    for (place, handed) in control.fds.iter_mut().zip(descriptors) {
        *place = handed.as_raw_fd();
        control.len = control.len.max(EMPTY) + size_of::<i32>();
    }
    let piece = Piece {
        base: bytes.as_ptr() as usize,
        len: bytes.len(),
    };
    // SAFETY: the kernel reads the piece, which is `bytes`.
    unsafe {
        packet(
            nr::__NR_sendmsg,
            number(fd),
            piece,
            &mut control,
            MSG_NOSIGNAL,
        )
    }
    .map(drop)
}

/// A packet that came.
pub struct Received {
    /// Its length; 0 once the other end is closed.
    pub len: usize,
    /// Whether it was longer than the room for it.
    pub cut: bool,
    /// The descriptor that came with it, close-on-exec.
    pub descriptor: Option<OwnedFd>,
    /// Those behind the first.
    pub more: [Option<OwnedFd>; HANDED - 1],
}

/// recvmsg(2): the next packet.
///
/// # Errors
/// EAGAIN where none is there and `wait` is false; EINTR; ECONNRESET.
pub fn receive(fd: BorrowedFd<'_>, room: &mut [u8], wait: bool) -> Result<Received, Errno> {
    let mut control = Control {
        len: CONTROL,
        level: 0,
        kind: 0,
        fds: [-1; HANDED],
    };
    let piece = Piece {
        base: room.as_mut_ptr() as usize,
        len: room.len(),
    };
    let flags = MSG_CMSG_CLOEXEC | if wait { 0 } else { MSG_DONTWAIT };
    // SAFETY: the kernel writes at most the piece, which is `room`, borrowed alone.
    let (len, flags) = unsafe { packet(nr::__NR_recvmsg, number(fd), piece, &mut control, flags) }?;
    // SAFETY: as in `packet`.
    let (kind, handed) = unsafe {
        (
            (&raw const control.kind).read_volatile(),
            (&raw const control.fds).read_volatile(),
        )
    };
    let came = control.len > EMPTY && kind == SCM_RIGHTS;
    let take = |handed: i32| {
        // SAFETY: the kernel just made it for this message; nobody else owns it.
        (came && handed >= 0).then(|| unsafe { own(handed as u32) })
    };
    let [first, second, third] = handed;
    Ok(Received {
        len,
        cut: flags & MSG_TRUNC != 0,
        descriptor: take(first),
        more: [take(second), take(third)],
    })
}

/// socketpair(2): two ends of packets, close-on-exec, with nobody but each other.
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM.
pub fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    let mut ends = [0u32; 2];
    let kind = SOCK_SEQPACKET | CLOEXEC;
    // SAFETY: the kernel writes two new descriptors. Read as it left them, which the compiler
    // cannot see: the pointer went as a number.
    unsafe {
        let at = &raw mut ends as usize;
        call(nr::__NR_socketpair, [AF_UNIX.into(), kind, 0, at])?;
        let [one, other] = (&raw const ends).read_volatile();
        Ok((own(one), own(other)))
    }
}
