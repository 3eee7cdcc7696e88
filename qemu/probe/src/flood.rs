//! Too much of everything, and messages that no command sends

use core::sync::atomic::{AtomicUsize, Ordering};

use super::{call, exit, hold, in_folder, nr, print, say_number};

const AT_FDCWD: usize = -100isize as usize;

fn open(path: &[u8], flags: usize) -> isize {
    call(nr::__NR_openat, [AT_FDCWD, path.as_ptr() as usize, flags, 0o600, 0])
}

/// Takes all there is of one kind, but no more than `most`, says how much that was, and keeps it.
pub fn take(kind: &[u8], folder: &'static [u8], most: usize) -> ! {
    // As far as one may: the soft limit goes up to the hard one.
    let mut limit = [0u64; 2];
    const NOFILE: usize = 7;
    call(nr::__NR_prlimit64, [0, NOFILE, 0, limit.as_mut_ptr() as usize, 0]);
    let [soft, hard] = &mut limit;
    *soft = *hard;
    call(nr::__NR_prlimit64, [0, NOFILE, limit.as_ptr() as usize, 0, 0]);
    let mut count = 0;
    while count < most {
        let taken = match kind {
            b"ptys" => open(b"/dev/ptmx\0", 0o402),
            // Of a devpts mounted by the start itself: an instance without the limit of the usual one.
            b"more-ptys" => open(b"/mnt/pts/ptmx\0", 0o402),
            b"connections" => connect(),
            b"watches" => watch(count),
            b"flights" => send_away(),
            b"handed" => hand_over(),
            b"litter" => litter(),
            b"descriptors" => open(b"/dev/null\0", 0o2),
            b"mounts" => {
                let (none, place) = (c"none".as_ptr() as usize, folder.as_ptr() as usize);
                call(nr::__NR_mount, [none, place, c"tmpfs".as_ptr() as usize, 0, 0])
            }
            b"cgroups" => named(folder, count, |path| call(nr::__NR_mkdirat, [AT_FDCWD, path, 0o755, 0, 0])),
            _ => named(folder, count, |path| call(nr::__NR_mknodat, [AT_FDCWD, path, 0o100_600, 0, 0])),
        };
        if taken < 0 {
            break;
        }
        count += 1;
    }
    say_number(b"took ", count, b"\n");
    hold()
}

/// One more watch of epoll(7): the ends of one pipe, under many numbers, in one set of watches after the other.
fn watch(count: usize) -> isize {
    const EACH: usize = 200;
    const ADD: usize = 1;
    static SET: AtomicUsize = AtomicUsize::new(0);
    static FIRST: AtomicUsize = AtomicUsize::new(0);
    if count == 0 {
        let mut ends = [0i32; 2];
        call(nr::__NR_pipe2, [ends.as_mut_ptr() as usize, 0, 0, 0, 0]);
        let [reader, _] = ends;
        const F_DUPFD: usize = 0;
        let copy = |_| call(nr::__NR_fcntl, [reader as usize, F_DUPFD, 300, 0, 0]) as usize;
        FIRST.store((0..EACH).map(copy).min().unwrap_or(0), Ordering::Relaxed);
    }
    if count.is_multiple_of(EACH) {
        let set = call(nr::__NR_epoll_create1, [0; 5]);
        if set < 0 {
            return set;
        }
        SET.store(set as usize, Ordering::Relaxed);
    }
    let event = [1u32, 0, 0, 0];
    let fd = FIRST.load(Ordering::Relaxed) + count % EACH;
    call(nr::__NR_epoll_ctl, [SET.load(Ordering::Relaxed), ADD, fd, event.as_ptr() as usize, 0])
}

/// A hundred descriptors more on their way to one who does not take them (unix(7)), by a pair of sockets of its own.
fn send_away() -> isize {
    match pair() {
        Ok([end, _]) => send_along(end as usize, &[end; 100]),
        Err(refused) => refused,
    }
}

fn pair() -> Result<[u32; 2], isize> {
    const PACKETS: usize = 5;
    let mut ends = [0u32; 2];
    match call(nr::__NR_socketpair, [1, PACKETS, 0, ends.as_mut_ptr() as usize, 0]) {
        0 => Ok(ends),
        refused => Err(refused),
    }
}

/// Sends a packet with these descriptors, at most a hundred.
fn send_along(by: usize, descriptors: &[u32]) -> isize {
    const SOL_SOCKET: u32 = 1;
    const SCM_RIGHTS: u32 = 1;
    const DONTWAIT_NOSIGNAL: usize = 0x4040;
    // struct cmsghdr: its length, a number as wide as an address, then level and kind; behind it the descriptors.
    const HEAD: usize = (size_of::<usize>() + 8) / 4;
    let mut control = [0; HEAD + 100];
    let len = (HEAD + descriptors.len()) * 4;
    if let Some([first, upper @ .., level, kind]) = control.get_mut(..HEAD) {
        *first = u32::try_from(len).unwrap_or(0);
        upper.fill(0);
        (*level, *kind) = (SOL_SOCKET, SCM_RIGHTS);
    }
    for (place, descriptor) in control.iter_mut().skip(HEAD).zip(descriptors) {
        *place = *descriptor;
    }
    let byte = 0u8;
    let piece = [&raw const byte as usize, 1];
    // struct msghdr: no name, one piece, the control; its flags are not read.
    let message = [0, 0, piece.as_ptr() as usize, 1, control.as_ptr() as usize, len, 0];
    call(nr::__NR_sendmsg, [by, message.as_ptr() as usize, DONTWAIT_NOSIGNAL, 0, 0])
}

fn good(answer: isize) -> Result<usize, isize> {
    if answer < 0 { Err(answer) } else { Ok(answer as usize) }
}

/// struct sockaddr_in.
type Address = [u8; 16];
const STREAM_CLOEXEC: usize = 0o2000001;

/// A socket of TCP that listens, and where: on 127.0.0.1, at the port that listen(2) takes.
fn listen() -> Result<(usize, Address), isize> {
    let mut address = [0u8; 16];
    let mut len = 16u32;
    let listening = good(call(nr::__NR_socket, [2, STREAM_CLOEXEC, 0, 0, 0]))?;
    good(call(nr::__NR_listen, [listening, 1, 0, 0, 0]))?;
    let at = address.as_mut_ptr() as usize;
    good(call(nr::__NR_getsockname, [listening, at, &raw mut len as usize, 0, 0]))?;
    Ok((listening, address))
}

/// One end of a connection whose last close takes ten minutes: it has more to say than the other end takes.
fn lingering(address: &Address) -> Result<u32, isize> {
    const SOL_SOCKET: usize = 1;
    const SO_LINGER: usize = 13;
    let end = good(call(nr::__NR_socket, [2, STREAM_CLOEXEC, 0, 0, 0]))?;
    good(call(nr::__NR_connect, [end, address.as_ptr() as usize, 16, 0, 0]))?;
    let linger = [1u32, 600];
    good(call(nr::__NR_setsockopt, [end, SOL_SOCKET, SO_LINGER, linger.as_ptr() as usize, 8]))?;
    while send(end as isize, &[0; 4096]) > 0 {}
    u32::try_from(end).map_err(|_| -1)
}

/// Takes the other end, and keeps it.
fn accept(listening: usize) -> Result<(), isize> {
    good(call(nr::__NR_accept4, [listening, 0, 0, 0, 0]))?;
    call(nr::__NR_close, [listening, 0, 0, 0, 0]);
    Ok(())
}

/// Hands such a connection to PID 1, by a process that ends: such a one does not linger.
fn hand_over() -> isize {
    let given = || -> Result<isize, isize> {
        let (listening, address) = listen()?;
        let child = super::fork();
        if child == 0 {
            let (end, to) = (lingering(&address), connect());
            exit(usize::from(end.is_err() || to < 0 || send_along(to as usize, &[end.unwrap_or(0)]) < 0));
        }
        accept(listening)?;
        super::wait_for(child);
        Ok(child)
    };
    given().unwrap_or_else(|refused| refused)
}

/// Leaves such a connection in a socket that is on its way to itself: the kernel has whoever closes a socket next find
/// and close that.
fn litter() -> isize {
    let left = || -> Result<isize, isize> {
        let (listening, address) = listen()?;
        let (end, [one, other]) = (lingering(&address)?, pair()?);
        accept(listening)?;
        let sent = send_along(one as usize, &[end, other]);
        for fd in [end, one, other] {
            call(nr::__NR_close, [fd as usize, 0, 0, 0, 0]);
        }
        Ok(sent)
    };
    left().unwrap_or_else(|refused| refused)
}

/// Makes one more in the folder.
fn named(folder: &[u8], number: usize, make: fn(usize) -> isize) -> isize {
    let mut path = [0u8; 64];
    in_folder(&[folder, b"/flood"], number, b"", &mut path);
    make(path.as_ptr() as usize)
}

/// A connection to PID 1, by the socket that this container has.
fn connect() -> isize {
    connect_to(INSIDE)
}

const INSIDE: &[u8] = b"/dev/pouch/socket";

/// A connection to whoever listens at that path.
pub fn connect_to(path: &[u8]) -> isize {
    let mut address = [0u8; 110];
    for (place, byte) in address.iter_mut().zip([1, 0].iter().chain(path)) {
        *place = *byte;
    }
    const SEQPACKET_CLOEXEC: usize = 0o2000005;
    let fd = call(nr::__NR_socket, [1, SEQPACKET_CLOEXEC, 0, 0, 0]);
    let done = call(nr::__NR_connect, [fd as usize, address.as_ptr() as usize, 2 + path.len() + 1, 0, 0]);
    if done < 0 {
        call(nr::__NR_close, [fd as usize, 0, 0, 0, 0]);
        return done;
    }
    fd
}

fn send(fd: isize, bytes: &[u8]) -> isize {
    const DONTWAIT_NOSIGNAL: usize = 0x4040;
    call(nr::__NR_sendto, [fd as usize, bytes.as_ptr() as usize, bytes.len(), DONTWAIT_NOSIGNAL, 0])
}

/// The answer's number and, of a refusal, its reason; -1 where the connection was closed.
fn answer(fd: isize) -> (isize, u8, u8) {
    let mut room = [0u8; 512];
    let len = call(nr::__NR_read, [fd as usize, room.as_mut_ptr() as usize, room.len(), 0, 0]);
    let [_, number, reason, ..] = room;
    (len, number, reason)
}

/// The request of that number about somebody else, by the socket of that path: whether it was more than refused.
pub fn ask(path: &[u8], number: u8, name: &[u8]) -> bool {
    let fd = connect_to(path);
    if fd < 0 {
        say_number(b"no connection for ", number.into(), b"\n");
        return true;
    }
    let mut message = [0u8; 80];
    let len = u8::try_from(name.len()).unwrap_or(0);
    let mut at = 0;
    for byte in [1, number, len, 0].iter().chain(name) {
        if let Some(place) = message.get_mut(at) {
            *place = *byte;
        }
        at += 1;
    }
    let bare = matches!(number, 3 | 4 | 13);
    let more = matches!(number, 2 | 9 | 12 | 13);
    let len = if bare { 2 } else { at } + usize::from(more);
    send(fd, message.get(..len).unwrap_or_default());
    let (len, kind, _) = answer(fd);
    call(nr::__NR_close, [fd as usize, 0, 0, 0, 0]);
    // A closed connection is as good.
    let answered = len > 0 && kind != REFUSED;
    if answered {
        say_number(b"answered ", number.into(), b"\n");
    }
    answered
}

/// Everything that goes in by the socket: too short, too long, of another version, about others, without end.
pub fn forge(name: &'static [u8]) -> ! {
    let mut big = [1u8; 16 * 1024];
    // Requests of every number.
    let refused = (0..=255).filter(|number| !ask(INSIDE, *number, name)).count();
    say_number(b"refused ", refused, b"\n");
    // Nothing, one byte, too much, and a connection that says nothing at all.
    let silent = connect();
    for len in [0, 1, 2, 3, 4096, 8192, big.len()] {
        let fd = connect();
        send(fd, big.get(..len).unwrap_or_default());
        if let Some(first) = big.first_mut() {
            *first = first.wrapping_add(1);
        }
        call(nr::__NR_close, [fd as usize, 0, 0, 0, 0]);
    }
    // Without end, and without reading an answer.
    let mut sent = 0usize;
    for _ in 0..2000 {
        let fd = connect();
        while sent < 100_000 && send(fd, b"\x01\x05\0\0") > 0 {
            sent += 1;
        }
        call(nr::__NR_close, [fd as usize, 0, 0, 0, 0]);
    }
    // As many as it takes, held open.
    let mut held = 0;
    while held < 512 && connect() >= 0 {
        held += 1;
    }
    print(b"forged\n");
    if silent < 0 {
        exit(1);
    }
    hold()
}

/// The number of a refusal among the answers.
const REFUSED: u8 = 5;
