//! What a container's root that may trace anybody does to a command that is brought in: hold it, and look for more
//! than it has itself
//!
//! Whoever holds a process has all that is its: rights, descriptors, memory, the folder it stands in. So each process
//! that appears is stopped at once and then at each of its system calls, until it has become the command, and compared
//! with this one at the first stop and now and then.

use super::{call, close, decimal, in_folder, nr, print};

const AT_FDCWD: usize = -100isize as usize;
const DETACH: usize = 17;
const SYSCALL: usize = 24;
const SEIZE: usize = 0x4206;
const INTERRUPT: usize = 0x4207;
const SIGTRAP: usize = 5;
/// ESRCH.
const NOBODY: isize = -3;
/// __WALL: also what is no child of one's own but traced.
const ALL: usize = 0x4000_0000;
/// Enough to be said of one process.
const MOST: usize = 12;

/// Lines of /proc/PID/status that say what a process may do.
const RIGHTS: [&[u8]; 10] = [
    b"Uid:",
    b"Gid:",
    b"Groups:",
    b"CapInh:",
    b"CapPrm:",
    b"CapEff:",
    b"CapBnd:",
    b"CapAmb:",
    b"NoNewPrivs:",
    b"Seccomp:",
];

/// Links of /proc/PID that say where it is.
const PLACES: [&[u8]; 10] = [
    b"/root",
    b"/cwd",
    b"/ns/mnt",
    b"/ns/uts",
    b"/ns/ipc",
    b"/ns/net",
    b"/ns/pid",
    b"/ns/pid_for_children",
    b"/ns/cgroup",
    b"/ns/user",
];

/// A link below /proc/PID; nothing where it cannot be read.
fn link<'r>(pid: usize, name: &[u8], room: &'r mut [u8; 128]) -> &'r [u8] {
    let mut path = [0; 64];
    in_folder(&[b"/proc/"], pid, name, &mut path);
    let (at, len) = (room.as_mut_ptr() as usize, room.len());
    let len = call(nr::__NR_readlinkat, [AT_FDCWD, path.as_ptr() as usize, at, len, 0]);
    room.get(..usize::try_from(len).unwrap_or(0)).unwrap_or_default()
}

/// A file below /proc/PID, as far as the room goes.
fn file<'r>(pid: usize, name: &[u8], room: &'r mut [u8; 4096]) -> &'r [u8] {
    let mut path = [0; 64];
    in_folder(&[b"/proc/"], pid, name, &mut path);
    let fd = call(nr::__NR_openat, [AT_FDCWD, path.as_ptr() as usize, 0, 0, 0]);
    let (at, len) = (room.as_mut_ptr() as usize, room.len());
    let len = call(nr::__NR_read, [fd as usize, at, len, 0, 0]);
    close(i32::try_from(fd).unwrap_or(-1));
    room.get(..usize::try_from(len).unwrap_or(0)).unwrap_or_default()
}

fn line<'t>(text: &'t [u8], key: &[u8]) -> &'t [u8] {
    text.split(|byte| *byte == b'\n').find(|line| line.starts_with(key)).unwrap_or_default()
}

fn say(what: &[u8], of: &[u8]) {
    print(what);
    print(of);
    print(b"\n");
}

/// Says each thing that it has and this process has not.
fn compare(pid: usize, said: &mut usize) {
    let own = call(nr::__NR_getpid, [0; 5]) as usize;
    let mut more = |what: &[u8]| {
        *said += 1;
        if *said < MOST {
            say(b"MORE ", what);
        }
    };
    let (mut room, mut other) = ([0; 4096], [0; 4096]);
    let (mine, its) = (file(own, b"/status", &mut room), file(pid, b"/status", &mut other));
    for key in RIGHTS {
        if !its.is_empty() && line(mine, key) != line(its, key) {
            more(line(its, key));
        }
    }
    let (mine, its) = (file(own, b"/cgroup", &mut room), file(pid, b"/cgroup", &mut other));
    if !its.is_empty() && mine != its {
        more(b"cgroup");
    }
    // Nothing of those who brought it in is to be read, either.
    let words = file(pid, b"/environ", &mut other).iter().any(|byte| *byte != 0);
    let (mut room, mut other) = ([0; 128], [0; 128]);
    // One that was not held may be the command by now, whose environment is the container's.
    let program = link(pid, b"/exe", &mut other);
    if words && (program.is_empty() || program.starts_with(b"/memfd:")) {
        more(b"environment");
    }
    for name in PLACES {
        let (mine, its) = (link(own, name, &mut room), link(pid, name, &mut other));
        if !its.is_empty() && mine != its {
            more(name);
        }
    }
    // The socket that it reports on is all it may have beside its streams; memory that others see is none of its own.
    let mut sockets = 0;
    for number in 3..300 {
        let (mut name, mut digits) = ([0; 64], [0; 20]);
        let parts = b"/fd/".iter().chain(decimal(number, &mut digits));
        let len = name.iter_mut().zip(parts).map(|(place, byte)| *place = *byte).count();
        let its = link(pid, name.get(..len).unwrap_or_default(), &mut other);
        sockets += usize::from(its.starts_with(b"socket:"));
        if !its.is_empty() && (sockets > 1 || !its.starts_with(b"socket:")) {
            more(its);
        }
    }
    let mut room = [0; 4096];
    for mapped in file(pid, b"/maps", &mut room).split(|byte| *byte == b'\n') {
        if mapped.windows(5).any(|part| matches!(part, b" rw-s" | b" r--s")) {
            more(mapped);
        }
    }
}

/// Does it to each process that comes, one after the other.
pub fn fall_on_prey() -> ! {
    print(b"pouncing\n");
    let mut next = 2;
    loop {
        let seized = |pid: usize| (call(nr::__NR_ptrace, [SEIZE, pid, 0, 0, 0]), pid);
        match (next..next + 4).map(seized).find(|(answer, _)| *answer != NOBODY) {
            None => continue,
            Some((0, pid)) => {
                hold(pid);
                next = pid + 1;
            }
            // Not to be held, and still not to be more than this one.
            Some((_, pid)) => {
                compare(pid, &mut 0);
                next = pid + 1;
            }
        }
    }
}

/// Looks at one that is traced by now, until it is the command.
fn hold(pid: usize) {
    let (mut said, mut stops, mut room) = (0, 0usize, [0; 128]);
    call(nr::__NR_ptrace, [INTERRUPT, pid, 0, 0, 0]);
    loop {
        let mut status = 0u32;
        if call(nr::__NR_wait4, [pid, &raw mut status as usize, ALL, 0, 0]) < 0 || status & 0xff != 0x7f {
            return;
        }
        let program = link(pid, b"/exe", &mut room);
        if program.starts_with(b"/bin/") {
            call(nr::__NR_ptrace, [DETACH, pid, 0, 0, 0]);
            return;
        }
        if stops == 0 {
            say(b"CAUGHT ", program);
        }
        if stops.is_multiple_of(16) {
            compare(pid, &mut said);
        }
        stops += 1;
        // A signal that came is handed on; what the stops themselves are called is not.
        let signal = (status >> 8) as usize;
        let signal = if signal < 256 && signal != SIGTRAP { signal } else { 0 };
        call(nr::__NR_ptrace, [SYSCALL, pid, 0, signal, 0]);
    }
}
