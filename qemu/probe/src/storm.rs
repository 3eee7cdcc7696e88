//! Messages to PID 1 that are nearly right, by a seed
//!
//! Requests of every kind, as they are and with bytes changed, cut, doubled and added, random bytes, too long ones,
//! several on a connection, with no descriptor, one, or more than anybody takes. Only what ends the board or
//! writes on its console is left out: that would be done, not refused.

use super::flood::connect_to;
use super::{call, close, exit, nr, print, say_number};

const AT_FDCWD: usize = -100isize as usize;
/// Longer than the longest message.
const ROOM: usize = 16 * 1024;
/// Connections that are left open, and replaced in turn.
const OPEN: usize = 12;

/// Requests as commands send them, but for their two first bytes: name (or spec), what stands behind.
const REQUESTS: &[(u8, &[u8])] = &[
    // A container: its name, a command, no terminal.
    (1, b"\x1a\0\x01\x06\0storm\0\x05\x0a\0/bin/true\0\x04\x01\0\xfe"),
    // One with much more: a user, flags, namespaces, a mount, a cgroup file, a restart, a time to stop.
    (
        1,
        b"\x59\0\x01\x07\0storm2\0\x05\x0a\0/bin/true\0\x04\x01\0\xff\x08\x08\0\x01\0\0\0\x01\0\0\0\x0a\x04\0\x20\0\0\0\
        \x0d\x11\0none\0/tmp\0tmpfs\0\0\x0e\x0d\0pids.max\x00100\0\x0f\x05\0\x01\x01\0\0\0",
    ),
    (2, b"\x05\0storm\0"),
    (2, b"\x04\0tty1\x01"),
    (3, b""),
    (4, b""),
    (5, b"\x05\0storm"),
    (6, b"\x05\0storm"),
    (6, b"\x06\0storm2"),
    (7, b"\x05\0storm"),
    (8, b"\x05\0storm"),
    (9, b"\x05\0storm\x09"),
    (10, b"\x06\0storm2"),
    (11, b"\x06\0storm2"),
    (12, b"\x05\0storm\x01"),
    (12, b"\x06\0storm2\0"),
    (14, b"\x05\0storm"),
    (15, b"\x01"),
    (15, b"\0"),
    (16, b"\x05\0/init"),
    (17, b""),
    (18, b"\x05\0words\0"),
];
const POWER: u8 = 13;
const REEXEC: u8 = 16;
const TELL: u8 = 18;

/// xorshift64* (Vigna): the same on every processor.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize) % end.max(1)
    }
}

/// A message and how long it is.
struct Message([u8; ROOM], usize);

impl Message {
    fn make(&mut self, random: &mut Random) {
        match random.below(8) {
            0 => {
                self.1 = random.below(600);
                self.fill(0, random);
            }
            1 => {
                self.request(random);
                let from = self.1;
                self.1 = ROOM - random.below(ROOM / 2);
                self.fill(from, random);
            }
            2 => self.request(random),
            _ => {
                self.request(random);
                for _ in 0..1 + random.below(4) {
                    self.change(random);
                }
            }
        }
        // Done, these two would end the board or write over what the test reads.
        let Message(bytes, len) = self;
        match bytes {
            [1, number @ POWER, ..] => *number = 14,
            [1, TELL, ..] => {
                if let Some(loud) = bytes.get_mut(len.saturating_sub(1)) {
                    *loud &= 0xfe;
                }
            }
            [1, number @ REEXEC, ..] if random.below(16) > 0 => *number = 5,
            _ => {}
        }
    }

    fn fill(&mut self, from: usize, random: &mut Random) {
        for byte in self.0.get_mut(from..self.1).unwrap_or_default() {
            *byte = random.below(256) as u8;
        }
    }

    fn request(&mut self, random: &mut Random) {
        let Some((number, rest)) = REQUESTS.get(random.below(REQUESTS.len())) else { return };
        self.1 = 2 + rest.len();
        for (place, byte) in self.0.iter_mut().zip([1, *number].iter().chain(*rest)) {
            *place = *byte;
        }
    }

    fn change(&mut self, random: &mut Random) {
        const EDGES: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, 0xfe, b'/', b','];
        let at = random.below(self.1);
        let byte = match random.below(3) {
            0 => random.below(256) as u8,
            1 => EDGES.get(random.below(EDGES.len())).copied().unwrap_or(0),
            _ => self.0.get(at).copied().unwrap_or(0) ^ 1 << random.below(8),
        };
        match random.below(6) {
            0 => self.1 = at,
            1 if self.1 + 64 < ROOM => {
                // A piece of it once more, at its end.
                let len = (self.1 - at).min(64);
                self.0.copy_within(at..at + len, self.1);
                self.1 += len;
            }
            2 if self.1 + 1 < ROOM => {
                self.0.copy_within(at..self.1, at + 1);
                self.1 += 1;
            }
            _ => {}
        }
        if let Some(place) = self.0.get_mut(at) {
            *place = byte;
        }
    }
}

/// struct msghdr, iovec and a control message of descriptors, as wide as the processor.
#[repr(C)]
struct Packet {
    name: usize,
    name_len: u32,
    parts: usize,
    count: usize,
    control: usize,
    control_len: usize,
    flags: u32,
}

fn send(fd: isize, bytes: &[u8], along: &[i32]) -> isize {
    const DONTWAIT_NOSIGNAL: usize = 0x4040;
    #[repr(C)]
    struct Control {
        len: usize,
        level: u32,
        kind: u32,
        descriptors: [i32; 8],
    }
    let head = 2 * size_of::<u32>() + size_of::<usize>();
    let mut control = Control { len: head + 4 * along.len(), level: 1, kind: 1, descriptors: [-1; 8] };
    control.descriptors.iter_mut().zip(along).for_each(|(place, fd)| *place = *fd);
    let part = [bytes.as_ptr() as usize, bytes.len()];
    let packet = Packet {
        name: 0,
        name_len: 0,
        parts: part.as_ptr() as usize,
        count: 1,
        control: &raw const control as usize,
        control_len: if along.is_empty() { 0 } else { control.len },
        flags: 0,
    };
    call(nr::__NR_sendmsg, [fd as usize, &raw const packet as usize, DONTWAIT_NOSIGNAL, 0, 0])
}

fn open(path: &[u8], flags: usize) -> i32 {
    call(nr::__NR_openat, [AT_FDCWD, path.as_ptr() as usize, flags, 0, 0]) as i32
}

/// Sends `count` messages to the socket at `path` and says how many were taken, and by which seed.
pub fn send_them(path: &[u8], seed: usize, count: usize) -> ! {
    const TIOCSPTLCK: usize = 0x4004_5431;
    const TIOCGPTPEER: usize = 0x5441;
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ seed as u64);
    let mut pipe = [-1i32; 2];
    call(nr::__NR_pipe2, [pipe.as_mut_ptr() as usize, 0, 0, 0, 0]);
    let [reader, writer] = pipe;
    let master = open(b"/dev/ptmx\0", 0o402);
    let unlocked = 0i32;
    call(nr::__NR_ioctl, [master as usize, TIOCSPTLCK, &raw const unlocked as usize, 0, 0]);
    let slave = call(nr::__NR_ioctl, [master as usize, TIOCGPTPEER, 0o402, 0, 0]) as i32;
    let file = call(nr::__NR_memfd_create, [c"storm".as_ptr() as usize, 0, 0, 0, 0]) as i32;
    let things = [reader, writer, master, slave, file, open(b"/\0", 0), open(b"/dev/null\0", 2)];
    let (mut message, mut taken) = (Message([0; ROOM], 0), 0);
    let mut connections = [-1isize; OPEN];
    for turn in 0..count {
        let fd = connect_to(path);
        let mut along = [0; 8];
        let number = random.below(4).saturating_sub(1) * random.below(5);
        for place in &mut along {
            *place = things.get(random.below(things.len())).copied().unwrap_or(-1);
        }
        for _ in 0..1 + random.below(5) / 4 {
            message.make(&mut random);
            let bytes = message.0.get(..message.1).unwrap_or_default();
            taken += usize::from(send(fd, bytes, along.get(..number.min(8)).unwrap_or_default()) >= 0);
        }
        // Now and then it waits for the answer, mostly it does not.
        if random.below(4) == 0 {
            const POLLIN: u64 = 1;
            let mut wait = fd as u32 as u64 | POLLIN << 32;
            let time = [0usize, 20_000_000];
            call(nr::__NR_ppoll, [&raw mut wait as usize, 1, time.as_ptr() as usize, 0, 8]);
        }
        if let Some(place) = connections.get_mut(turn % OPEN) {
            close(*place as i32);
            *place = fd;
        }
    }
    say_number(b"stormed ", count, b"");
    say_number(b" messages, sent ", taken, b"");
    say_number(b" by seed ", seed, b"\n");
    if taken == 0 {
        print(b"none was sent\n");
        exit(1);
    }
    exit(0)
}
