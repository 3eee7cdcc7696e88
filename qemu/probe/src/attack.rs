//! What a container's root may try against the host, a name each
//!
//! Each attack stops where it would do harm: what counts is the kernel's answer, a number that is negative
//! where it was refused.

use super::{arch, call, close, exit, fork, in_folder, nr, wait_for};

/// An attack's name and the attack.
pub type Attack = (&'static [u8], fn() -> isize);

/// All of them.
pub const ATTACKS: &[Attack] = &[
    (b"mount", || call(nr::__NR_mount, [s(b"none\0"), s(b"/tmp\0"), s(b"tmpfs\0"), 0, 0])),
    (b"remount", || call(nr::__NR_mount, [0, s(b"/proc/sys\0"), 0, MS_REMOUNT | MS_BIND, 0])),
    (b"unmask", || call(nr::__NR_umount2, [s(b"/proc/timer_list\0"), 2, 0, 0, 0])),
    (b"fsopen", || call(nr::__NR_fsopen, [s(b"tmpfs\0"), 0, 0, 0, 0])),
    (b"open_tree", || call(nr::__NR_open_tree, [AT_FDCWD, s(b"/\0"), 1, 0, 0])),
    (b"unshare", || in_child(|| call(nr::__NR_unshare, [CLONE_NEWUSER, 0, 0, 0, 0]))),
    (b"clone", || reaped(call(nr::__NR_clone, [CLONE_NEWUSER | 17, 0, 0, 0, 0]))),
    (b"clone3", || call(nr::__NR_clone3, [s(&[0; 8]), 8, 0, 0, 0])),
    (b"setns", || in_child(|| with(b"/proc/self/ns/ipc\0", 0, |fd| call(nr::__NR_setns, [fd, 0, 0, 0, 0])))),
    (b"bpf", || call(nr::__NR_bpf, [0, s(&MAP), 28, 0, 0])),
    (b"perf", || call(nr::__NR_perf_event_open, [s(&PERF), 0, usize::MAX, usize::MAX, 0])),
    (b"userfaultfd", || call(nr::__NR_userfaultfd, [1, 0, 0, 0, 0])),
    (b"io_uring", || call(nr::__NR_io_uring_setup, [0, 0, 0, 0, 0])),
    (b"keyctl", || call(nr::__NR_keyctl, [0, -3isize as usize, 0, 0, 0])),
    (b"add_key", || {
        let payload = b"x";
        let (kind, name) = (s(b"user\0"), s(b"probe\0"));
        call(nr::__NR_add_key, [kind, name, payload.as_ptr() as usize, 1, -1isize as usize])
    }),
    (b"handle", open_by_handle),
    (b"module", || call(nr::__NR_delete_module, [s(b"no_such_module\0"), 0, 0, 0, 0])),
    (b"reboot", || call(nr::__NR_reboot, [0xfee1_dead, 672_274_793, 0, 0, 0])),
    (b"time", || call(nr::__NR_settimeofday, [0, 0, 0, 0, 0])),
    (b"hostname", || call(nr::__NR_sethostname, [s(b"evil\0"), 4, 0, 0, 0])),
    (b"personality", || call(nr::__NR_personality, [0x4_0000, 0, 0, 0, 0])),
    (b"vsock", || call(nr::__NR_socket, [40, 1, 0, 0, 0])),
    (b"tiocsti", || call(nr::__NR_ioctl, [0, 0x5412, s(b" \0"), 0, 0])),
    (b"tiocsti-high", || call(nr::__NR_ioctl, [0, TIOCSTI_HIGH, s(b" \0"), 0, 0])),
    (b"tioclinux", || call(nr::__NR_ioctl, [0, 0x541c, s(b"\x02\0"), 0, 0])),
    (b"kmsg", || node(0o020_666, 1, 11)),
    (b"mem", || node(0o020_666, 1, 1)),
    (b"console", || node(0o020_666, 5, 1)),
    (b"vt", || node(0o020_666, 4, 1)),
    (b"disk", || node(0o060_666, 254, 0)),
    (b"loop", || node(0o060_666, 7, 0)),
    (b"sysrq", || open(b"/proc/sysrq-trigger\0", 1)),
    (b"core_pattern", || open(b"/proc/sys/kernel/core_pattern\0", 1)),
    (b"timer_list", || with(b"/proc/timer_list\0", 0, read_one)),
    (b"interrupts", || with(b"/proc/interrupts\0", 0, read_one)),
    (b"sysfs", || open(b"/sys/module/printk/parameters/time\0", 1)),
    (b"cgroup-file", || open(b"/sys/fs/cgroup/cgroup.max.depth\0", 1)),
    (b"cgroup-make", || {
        let path = s(b"/sys/fs/cgroup/probe\0");
        let made = call(nr::__NR_mkdirat, [AT_FDCWD, path, 0o755, 0, 0]);
        call(nr::__NR_unlinkat, [AT_FDCWD, path, 0x200, 0, 0]);
        made
    }),
    (b"oom", || with(b"/proc/self/oom_score_adj\0", 1, |fd| call(nr::__NR_write, [fd, s(b"-999\0"), 4, 0, 0]))),
    (b"own-file", || open(b"/dev/pouch/pouch\0", 1)),
    (b"own-folder", || open(b"/dev/pouch/evil\0", 0o101)),
    (b"descriptors", leaked),
    (b"parent", || call(nr::__NR_getppid, [0; 5]) - 1),
    (b"kcore", || with(b"/proc/kcore\0", 0, read_one)),
    (b"cgroup-remount", || call(nr::__NR_mount, [0, s(b"/sys/fs/cgroup\0"), 0, MS_REMOUNT | MS_BIND, 0])),
    (b"release_agent", || {
        // A hierarchy of the first kind, whose release_agent the host would run (CVE-2022-0492).
        let place = s(b"/tmp\0");
        let kind = s(b"cgroup\0");
        let mounted = call(nr::__NR_mount, [kind, place, kind, 0, s(b"none,name=probe\0")]);
        if mounted >= 0 {
            call(nr::__NR_umount2, [place, 2, 0, 0, 0]);
        }
        mounted
    }),
    (b"signal", || outsiders(|pid| call(nr::__NR_kill, [pid, 0, 0, 0, 0]))),
    (b"ptrace", || outsiders(|pid| call(nr::__NR_ptrace, [SEIZE, pid, 0, 0, 0]))),
    (b"vm_readv", || {
        outsiders(|pid| {
            let mut byte = 0u8;
            let own = [&raw mut byte as usize, 1];
            match call(nr::__NR_process_vm_readv, [pid, own.as_ptr() as usize, 1, own.as_ptr() as usize, 1]) {
                -14 => 0, // it was let in, and has nothing at that address
                answer => answer,
            }
        })
    }),
    (b"proc-mem", || {
        outsiders(|pid| {
            let mut path = [0; 64];
            in_folder(&[b"/proc/"], pid, b"/mem", &mut path);
            match open(&path, 1) {
                -2 => -3, // there is no such process
                answer => answer,
            }
        })
    }),
    (b"no-call", || call(u32::MAX, [0; 5])),
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    (b"foreign", || in_child(arch::foreign)),
    #[cfg(target_arch = "x86_64")]
    (b"x32", || in_child(|| call(0x4000_0000 | nr::__NR_getpid, [0; 5]))),
];

const AT_FDCWD: usize = -100isize as usize;
const CLONE_NEWUSER: usize = 0x1000_0000;
const SEIZE: usize = 0x4206;
const MS_REMOUNT: usize = 32;
const MS_BIND: usize = 4096;
/// A filter that compares all 64 bits lets this through, and the kernel looks at 32 (CVE-2019-10063).
#[cfg(target_pointer_width = "64")]
const TIOCSTI_HIGH: usize = 0x1_0000_5412;
#[cfg(not(target_pointer_width = "64"))]
const TIOCSTI_HIGH: usize = 0x5412;
/// BPF_MAP_CREATE: an array of one number.
const MAP: [u8; 28] = {
    let mut map = [0; 28];
    (map[0], map[4], map[8], map[12]) = (2, 4, 4, 1);
    map
};
/// struct perf_event_attr: a software clock, its size, user space alone.
const PERF: [u8; 64] = {
    let mut attr = [0; 64];
    (attr[0], attr[4], attr[40]) = (1, 64, 0x60);
    attr
};

/// The address of bytes that the kernel reads.
fn s(bytes: &[u8]) -> usize {
    bytes.as_ptr() as usize
}

fn open(path: &[u8], flags: usize) -> isize {
    let fd = call(nr::__NR_openat, [AT_FDCWD, s(path), flags | 0o4000 | 0o400, 0o600, 0]);
    close(i32::try_from(fd).unwrap_or(-1));
    fd
}

fn with(path: &[u8], flags: usize, use_it: fn(usize) -> isize) -> isize {
    let fd = call(nr::__NR_openat, [AT_FDCWD, s(path), flags, 0, 0]);
    if fd < 0 {
        return fd;
    }
    let answer = use_it(fd as usize);
    close(fd as i32);
    answer
}

/// A byte was there: as good as all. Nothing to read is a refusal too.
fn read_one(fd: usize) -> isize {
    let mut byte = 0u8;
    match call(nr::__NR_read, [fd, &raw mut byte as usize, 1, 0, 0]) {
        0 => -61,
        answer => answer,
    }
}

/// Makes a device's node and opens it.
fn node(mode: usize, major: usize, minor: usize) -> isize {
    let path = b"/dev/probe-node\0";
    call(nr::__NR_unlinkat, [AT_FDCWD, s(path), 0, 0, 0]);
    let made = call(nr::__NR_mknodat, [AT_FDCWD, s(path), mode, major << 8 | minor, 0]);
    if made < 0 {
        return made;
    }
    let answer = open(path, 0);
    call(nr::__NR_unlinkat, [AT_FDCWD, s(path), 0, 0, 0]);
    answer
}

/// Does it to every process but this one: the first answer that is no refusal, else the last that was not ESRCH.
fn outsiders(attack: fn(usize) -> isize) -> isize {
    let own = call(nr::__NR_getpid, [0; 5]) as usize;
    let mut said = -3;
    for pid in (1..400).filter(|pid| *pid != own) {
        match attack(pid) {
            -3 => {}
            done if done >= 0 => return done,
            refused => said = refused,
        }
    }
    said
}

/// Does it in a child; -1000 where a filter killed that for it, -2000 where something else did.
fn in_child(attack: fn() -> isize) -> isize {
    let pid = fork();
    if pid == 0 {
        let answer = attack();
        exit(if answer < 0 { answer.unsigned_abs() } else { 0 });
    }
    let mut status = 0i32;
    call(nr::__NR_wait4, [pid as usize, &raw mut status as usize, 0, 0, 0]);
    const SIGSYS: i32 = 31;
    let signal = status & 0x7f;
    if signal != 0 { if signal == SIGSYS { -1000 } else { -2000 } } else { -((status >> 8 & 0xff) as isize) }
}

/// A clone's answer; the child leaves at once.
fn reaped(pid: isize) -> isize {
    if pid == 0 {
        exit(0);
    }
    if pid > 0 {
        wait_for(pid);
    }
    pid
}

/// The attack called shocker: an inode of the root by its number, wherever it is mounted.
fn open_by_handle() -> isize {
    let mut handle = [0u32; 34];
    let mut mount = 0i32;
    if let Some(room) = handle.first_mut() {
        *room = 128;
    }
    let at = handle.as_mut_ptr() as usize;
    let named = call(nr::__NR_name_to_handle_at, [AT_FDCWD, s(b"/dev/shm\0"), at, &raw mut mount as usize, 0]);
    if named < 0 {
        return named;
    }
    with(b"/dev/shm\0", 0, |_| 0);
    let root = call(nr::__NR_openat, [AT_FDCWD, s(b"/dev/shm\0"), 0, 0, 0]);
    let answer = call(nr::__NR_open_by_handle_at, [root as usize, at, 0, 0, 0]);
    close(root as i32);
    answer
}

/// The first descriptor beyond the streams that is open; EBADF where none is.
fn leaked() -> isize {
    const F_GETFD: usize = 1;
    (3..1024).find(|fd| call(nr::__NR_fcntl, [*fd, F_GETFD, 0, 0, 0]) >= 0).map_or(-9, |fd| fd as isize)
}
