//! Which system calls a container may make: docker's default profile, compiled at build time.
//!
//! The table below says what is refused (EPERM) and which capability lifts the refusal, as
//! docker's does; everything else that was known when it was written is allowed, and what
//! came later does not exist (ENOSYS), so that programs fall back. A const function makes a
//! program for the kernel of it; the child copies that and lifts what its capabilities allow.
//! Calls of another processor's ABI (i386 and x32 on x86-64) kill. Number -1 does not exist on
//! any: a tracer (strace inside) makes a call nothing by it.

use linux_raw_sys::general as nr;

use crate::sys::{Errno, process};

/// Numbers of capabilities(7), as far as the table names them.
const DAC_READ_SEARCH: u8 = 2;
const SYS_MODULE: u8 = 16;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // its calls are the PC's
const SYS_RAWIO: u8 = 17;
const SYS_PTRACE: u8 = 19;
const SYS_PACCT: u8 = 20;
const SYS_ADMIN: u8 = 21;
const SYS_BOOT: u8 = 22;
const SYS_NICE: u8 = 23;
const SYS_TIME: u8 = 25;
const SYS_TTY_CONFIG: u8 = 26;
const SYSLOG: u8 = 34;
const PERFMON: u8 = 38;
const BPF: u8 = 39;
/// No capability lifts it.
const NEVER: u8 = 63;

/// Makes the table: a capability, and the calls that it lifts.
macro_rules! refused {
    ($($lifts:ident: $($call:ident)*;)*) => {
        &[$($(($lifts, nr::$call)),*),*]
    };
}

/// What is refused on every processor.
const REFUSED: &[(u8, u32)] = refused! {
    SYS_ADMIN: __NR_mount __NR_umount2 __NR_fsopen __NR_fsconfig __NR_fsmount __NR_fspick __NR_open_tree
        __NR_move_mount __NR_mount_setattr __NR_setns __NR_unshare __NR_sethostname __NR_setdomainname
        __NR_quotactl __NR_quotactl_fd __NR_fanotify_init __NR_lookup_dcookie;
    DAC_READ_SEARCH: __NR_open_by_handle_at;
    SYS_MODULE: __NR_init_module __NR_finit_module __NR_delete_module;
    SYS_PTRACE: __NR_kcmp __NR_pidfd_getfd __NR_process_madvise;
    SYS_PACCT: __NR_acct;
    SYS_BOOT: __NR_reboot;
    SYS_NICE: __NR_get_mempolicy __NR_set_mempolicy __NR_mbind __NR_set_mempolicy_home_node;
    SYS_TIME: __NR_settimeofday __NR_clock_settime;
    SYS_TTY_CONFIG: __NR_vhangup;
    SYSLOG: __NR_syslog;
    PERFMON: __NR_perf_event_open;
    BPF: __NR_bpf;
    NEVER: __NR_pivot_root __NR_swapon __NR_swapoff __NR_kexec_load __NR_kexec_file_load __NR_add_key
        __NR_request_key __NR_keyctl __NR_userfaultfd __NR_io_uring_setup __NR_io_uring_enter
        __NR_io_uring_register __NR_migrate_pages __NR_move_pages;
};

/// What is refused on this processor besides.
#[cfg(target_arch = "x86_64")]
const OWN: &[(u8, u32)] = refused! {
    SYS_RAWIO: __NR_iopl __NR_ioperm;
    NEVER: __NR_uselib __NR_ustat __NR_sysfs;
};
#[cfg(target_arch = "aarch64")]
const OWN: &[(u8, u32)] = &[];
#[cfg(target_arch = "arm")]
const OWN: &[(u8, u32)] = refused! {
    SYS_TIME: __NR_clock_settime64;
    NEVER: __NR_uselib __NR_ustat __NR_sysfs;
};

/// How many calls are refused.
const COUNT: usize = REFUSED.len() + OWN.len();
/// So many numbers stand behind one question that leads past them. On loading the filter the kernel runs it for each
/// number that there is (seccomp_cache_prepare), so a long way through it is time of every start.
const BLOCK: usize = 8;
/// Both lists, the smallest number first.
const SORTED: [(u8, u32); COUNT] = sorted();

/// The last call that docker's profile knows, on all three processors: mseal(2).
const LAST: u32 = 462;

/// AUDIT_ARCH_* (linux/audit.h), and where numbers begin that are none of this ABI's, and what becomes of those.
#[cfg(target_arch = "x86_64")]
const ABI: (u32, u32, usize) = (0xc000_003e, 0x4000_0000, KILL); // x32's bit
#[cfg(target_arch = "aarch64")]
const ABI: (u32, u32, usize) = (0xc000_00b7, u32::MAX, ALLOW);
#[cfg(target_arch = "arm")]
const ABI: (u32, u32, usize) = (0x4000_0028, 0x000f_0000, ALLOW); // cacheflush(2), set_tls: ARM's private ones
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "arm")))]
compile_error!("this processor's calls are not in the table");

/// CLONE_NEW*, of clone(2).
const CLONE_NEW: u32 = 0x7e02_0000;
/// ioctl(2) requests that type into another's terminal (CVE-2017-5226), or paste into it.
const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;
/// Personalities that change what uname(2) says and nothing else.
const UNAME26: u32 = 0x2_0000;
const LINUX32: u32 = 8;
/// Families of socket(2) that are the hypervisor's, and the kernel's cryptography.
const AF_VSOCK: u32 = 40;
const AF_ALG: u32 = 38;

/// Instructions of classic BPF (linux/bpf_common.h).
const LOAD: u16 = 0x20;
const EQUAL: u16 = 0x15;
const GREATER: u16 = 0x25;
const AT_LEAST: u16 = 0x35;
const ANY_BIT: u16 = 0x45;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;
/// Answers of a filter (linux/seccomp.h).
const KILL_PROCESS: u32 = 0x8000_0000;
const ERRNO: u32 = 0x0005_0000;
const ALLOWED: u32 = 0x7fff_0000;
const EPERM: u32 = 1;
const ENOSYS: u32 = 38;
/// Where the fields of struct seccomp_data begin; of arguments the low half.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const FIRST: u32 = 16;
const SECOND: u32 = 24;

/// Where the parts of the program begin. Jumps go forward alone, so the answers stand at the end.
const LIFTABLE: usize = 6;
const CALLS: usize = LIFTABLE + 1 + COUNT + COUNT.div_ceil(BLOCK);
const CLONE: usize = CALLS + 4;
const IOCTL: usize = CLONE + 2;
const PERSONALITY: usize = IOCTL + 3;
const SOCKET: usize = PERSONALITY + 4;
const REFUSE: usize = SOCKET + 3;
const UNKNOWN: usize = REFUSE + 1;
const KILL: usize = REFUSE + 2;
const ALLOW: usize = REFUSE + 3;
const LENGTH: usize = REFUSE + 4;

/// A program for the kernel: struct sock_filter, each as the number that its eight bytes are.
pub type Program = [u64; LENGTH];

/// The program of the table, with nothing lifted.
static PROGRAM: Program = compile();
/// What lifts each of the instructions from [`LIFTABLE`] on.
static LIFTS: [u8; CALLS + 1 - LIFTABLE] = lifts();

/// Writes a program from its front to its end.
struct Writer {
    program: Program,
    at: usize,
}

#[allow(clippy::indexing_slicing)] // runs at build time alone: what is wrong does not compile
impl Writer {
    /// A question, and where its two answers lead.
    const fn ask(mut self, code: u16, value: u32, yes: usize, no: usize) -> Writer {
        let (yes, no) = (yes - self.at - 1, no - self.at - 1);
        assert!(yes < 256 && no < 256);
        let jumps = (yes as u64) << 16 | (no as u64) << 24;
        self.program[self.at] = code as u64 | jumps | (value as u64) << 32;
        self.at += 1;
        self
    }

    /// A question whose no leads to the next instruction.
    const fn if_so(self, code: u16, value: u32, yes: usize) -> Writer {
        let next = self.at + 1;
        self.ask(code, value, yes, next)
    }

    /// An instruction that asks nothing.
    const fn plain(self, code: u16, value: u32) -> Writer {
        let next = self.at + 1;
        self.ask(code, value, next, next)
    }

    const fn refuse(mut self, done: usize) -> Writer {
        let mut at = 0;
        while at < COUNT {
            let end = if at + BLOCK < COUNT {
                at + BLOCK
            } else {
                COUNT
            };
            let behind = self.at + 1 + end - at;
            self = self.if_so(GREATER, SORTED[end - 1].1, behind);
            while at < end - 1 {
                self = self.if_so(EQUAL, SORTED[at].1, REFUSE);
                at += 1;
            }
            // None of its block: none at all.
            self = self.ask(EQUAL, SORTED[at].1, REFUSE, done);
            at += 1;
        }
        self
    }

    /// What follows begins where the jumps say.
    const fn here(self, place: usize) -> Writer {
        assert!(self.at == place);
        self
    }
}

const fn compile() -> Program {
    let (arch, edge, beyond) = ABI;
    let start = Writer {
        program: [0; LENGTH],
        at: 0,
    };
    start
        .plain(LOAD, ARCH)
        .ask(EQUAL, arch, 2, KILL)
        .plain(LOAD, NUMBER)
        .if_so(EQUAL, u32::MAX, UNKNOWN) // x32's bit is set in it, too
        .if_so(AT_LEAST, edge, beyond)
        .if_so(GREATER, LAST, UNKNOWN)
        .here(LIFTABLE)
        // Its flags lie in memory, where a filter sees nothing: programs fall back on clone(2).
        .if_so(EQUAL, nr::__NR_clone3, UNKNOWN)
        .refuse(CALLS)
        .here(CALLS)
        .if_so(EQUAL, nr::__NR_clone, CLONE)
        .if_so(EQUAL, nr::__NR_ioctl, IOCTL)
        .if_so(EQUAL, nr::__NR_personality, PERSONALITY)
        .ask(EQUAL, nr::__NR_socket, SOCKET, ALLOW)
        .here(CLONE)
        .plain(LOAD, FIRST)
        .ask(ANY_BIT, CLONE_NEW, REFUSE, ALLOW)
        .here(IOCTL)
        .plain(LOAD, SECOND)
        .if_so(EQUAL, TIOCSTI, REFUSE)
        .ask(EQUAL, TIOCLINUX, REFUSE, ALLOW)
        .here(PERSONALITY)
        .plain(LOAD, FIRST)
        .if_so(EQUAL, u32::MAX, ALLOW) // asks which it is
        .plain(AND, !(UNAME26 | LINUX32))
        .ask(EQUAL, 0, ALLOW, REFUSE)
        .here(SOCKET)
        .plain(LOAD, FIRST)
        .if_so(EQUAL, AF_VSOCK, REFUSE)
        .ask(EQUAL, AF_ALG, REFUSE, ALLOW)
        .here(REFUSE)
        .plain(RETURN, ERRNO | EPERM)
        .here(UNKNOWN)
        .plain(RETURN, ERRNO | ENOSYS)
        .here(KILL)
        .plain(RETURN, KILL_PROCESS)
        .here(ALLOW)
        .plain(RETURN, ALLOWED)
        .here(LENGTH)
        .program
}

#[allow(clippy::indexing_slicing)] // runs at build time alone
const fn lifts() -> [u8; CALLS + 1 - LIFTABLE] {
    // clone3 in front and clone at the end are SYS_ADMIN's.
    let mut lifts = [SYS_ADMIN; CALLS + 1 - LIFTABLE];
    let (mut at, mut place) = (0, 1);
    while at < COUNT {
        if at % BLOCK == 0 {
            // The question that leads past the block.
            lifts[place] = NEVER;
            place += 1;
        }
        lifts[place] = SORTED[at].0;
        (at, place) = (at + 1, place + 1);
    }
    lifts
}

#[allow(clippy::indexing_slicing)] // runs at build time alone
const fn sorted() -> [(u8, u32); COUNT] {
    let mut list = [(NEVER, 0); COUNT];
    let mut at = 0;
    while at < COUNT {
        let next = if at < REFUSED.len() {
            REFUSED[at]
        } else {
            OWN[at - REFUSED.len()]
        };
        let mut place = at;
        while place > 0 && list[place - 1].1 > next.1 {
            list[place] = list[place - 1];
            place -= 1;
        }
        list[place] = next;
        at += 1;
    }
    list
}

/// The program for one who keeps these capabilities.
pub fn lifted(kept: u64) -> Program {
    /// Both jumps of an instruction.
    const JUMPS: u64 = 0xffff << 16;
    let kept = kept & !(1 << NEVER);
    let mut program = PROGRAM;
    for (lifts, instruction) in LIFTS.iter().zip(program.iter_mut().skip(LIFTABLE)) {
        // Those that were split from SYS_ADMIN are still its.
        let admins = (SYSLOG..=BPF).contains(lifts) && kept >> SYS_ADMIN & 1 != 0;
        if admins || kept >> lifts & 1 != 0 {
            // Whatever the answer, on to the next.
            *instruction &= !JUMPS;
        }
    }
    program
}

/// Installs the filter; nothing takes it away again, from this process and its children.
///
/// # Errors
/// EINVAL where the kernel has no CONFIG_SECCOMP_FILTER; EACCES without no_new_privs and SYS_ADMIN.
pub(super) fn install(kept: u64) -> Result<(), Errno> {
    process::filter(&lifted(kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would do: runs the program on one call.
    fn judge(kept: u64, arch: u32, number: u32, first: u32, second: u32) -> u32 {
        let program = lifted(kept);
        let (mut at, mut a) = (0usize, 0u32);
        loop {
            let i = program[at];
            let (code, value) = (i as u16, (i >> 32) as u32);
            let answer = match code {
                LOAD => {
                    a = match value {
                        NUMBER => number,
                        ARCH => arch,
                        FIRST => first,
                        SECOND => second,
                        other => panic!("field {other}"),
                    };
                    true
                }
                AND => {
                    a &= value;
                    true
                }
                EQUAL => a == value,
                GREATER => a > value,
                AT_LEAST => a >= value,
                ANY_BIT => a & value != 0,
                RETURN => return value,
                other => panic!("instruction {other:#x}"),
            };
            at += 1 + (i >> if answer { 16 } else { 24 }) as u8 as usize;
        }
    }

    fn call(kept: u64, number: u32, first: u32, second: u32) -> u32 {
        judge(kept, ABI.0, number, first, second)
    }

    const DEFAULT: u64 = crate::format::capability::DEFAULT;
    const REFUSAL: u32 = ERRNO | EPERM;

    #[test]
    fn what_a_program_needs_is_allowed() {
        for number in 0..=LAST {
            let listed = REFUSED.iter().chain(OWN).any(|(_, n)| *n == number);
            let wanted = match number {
                nr::__NR_clone3 => ERRNO | ENOSYS,
                _ if listed => REFUSAL,
                _ => ALLOWED,
            };
            assert_eq!(call(DEFAULT, number, 0, 0), wanted, "{number}");
        }
        assert_eq!(call(DEFAULT, LAST + 1, 0, 0), ERRNO | ENOSYS);
        assert_eq!(
            call(DEFAULT, 0x3fff_ffff & (ABI.1 - 1), 0, 0),
            ERRNO | ENOSYS
        );
        assert_eq!(call(DEFAULT, u32::MAX, 0, 0), ERRNO | ENOSYS);
    }

    #[test]
    fn what_is_refused_and_what_is_lifted_is_the_tables() {
        for kept in [DEFAULT, crate::format::capability::ALL]
            .into_iter()
            .chain((0..41).map(|capability| 1 << capability))
        {
            for number in 0..=LAST {
                let Some((lifts, _)) = REFUSED.iter().chain(OWN).find(|(_, n)| *n == number) else {
                    continue;
                };
                let admins = (SYSLOG..=BPF).contains(lifts) && kept >> SYS_ADMIN & 1 != 0;
                let wanted = match admins || kept >> lifts & 1 != 0 {
                    true => ALLOWED,
                    false => REFUSAL,
                };
                assert_eq!(call(kept, number, 0, 0), wanted, "{number} {kept:#x}");
            }
        }
    }

    #[test]
    fn another_abi_kills() {
        for arch in [0x4000_0003, 0xc000_003e, 0xc000_00b7, 0x4000_0028, 0] {
            if arch != ABI.0 {
                assert_eq!(judge(u64::MAX, arch, nr::__NR_getpid, 0, 0), KILL_PROCESS);
            }
        }
        #[cfg(target_arch = "x86_64")]
        assert_eq!(
            call(DEFAULT, 0x4000_0000 | nr::__NR_getpid, 0, 0),
            KILL_PROCESS
        );
    }

    #[test]
    fn arguments_are_looked_at() {
        for (number, first, second, wanted) in [
            (nr::__NR_clone, 17, 0, ALLOWED),
            (nr::__NR_clone, nr::CLONE_NEWUSER | 17, 0, REFUSAL),
            (nr::__NR_clone, nr::CLONE_NEWCGROUP, 0, REFUSAL),
            (nr::__NR_ioctl, 0, 0x5401, ALLOWED),
            (nr::__NR_ioctl, 0, TIOCSTI, REFUSAL),
            (nr::__NR_ioctl, 0, TIOCLINUX, REFUSAL),
            (nr::__NR_personality, 0, 0, ALLOWED),
            (nr::__NR_personality, 8, 0, ALLOWED),
            (nr::__NR_personality, 0x2_0008, 0, ALLOWED),
            (nr::__NR_personality, u32::MAX, 0, ALLOWED),
            (nr::__NR_personality, 0x4_0000, 0, REFUSAL),
            (nr::__NR_personality, 0xffff_fff7, 0, REFUSAL),
            (nr::__NR_socket, 2, 0, ALLOWED),
            (nr::__NR_socket, AF_VSOCK, 0, REFUSAL),
            (nr::__NR_socket, AF_ALG, 0, REFUSAL),
        ] {
            assert_eq!(
                call(DEFAULT, number, first, second),
                wanted,
                "{number} {first:#x} {second:#x}"
            );
        }
    }

    #[test]
    fn a_capability_lifts_its_own() {
        let admin = DEFAULT | 1 << SYS_ADMIN;
        for number in [
            nr::__NR_mount,
            nr::__NR_clone3,
            nr::__NR_bpf,
            nr::__NR_syslog,
            nr::__NR_setns,
        ] {
            assert_eq!(call(admin, number, 0, 0), ALLOWED, "{number}");
        }
        assert_eq!(call(admin, nr::__NR_clone, nr::CLONE_NEWNET, 0), ALLOWED);
        assert_eq!(call(admin, nr::__NR_reboot, 0, 0), REFUSAL);
        assert_eq!(
            call(DEFAULT | 1 << SYS_BOOT, nr::__NR_reboot, 0, 0),
            ALLOWED
        );
        let all = crate::format::capability::ALL;
        for number in [
            nr::__NR_keyctl,
            nr::__NR_io_uring_setup,
            nr::__NR_kexec_load,
        ] {
            assert_eq!(call(all, number, 0, 0), REFUSAL, "{number}");
        }
        assert_eq!(call(all, nr::__NR_ioctl, 0, TIOCSTI), REFUSAL);
    }
}
