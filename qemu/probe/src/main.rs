//! A badly behaved program with many verbs, for the containers of the tests
//!
//! ```text
//! probe orphans N [M]     make N orphans, M at a time (250) all dying in the same moment
//! probe bomb              fork without end, every child too
//! probe hold              print `holding`, then wait for ever
//! probe stubborn          the same, with TERM, INT, HUP, QUIT ignored
//! probe polite            the same, ending with status 0 on TERM
//! probe eat MIB           take memory a MiB at a time and touch it, then hold
//! probe write [BYTES]     write numbered lines, without end or that many bytes
//! probe spin              burn a processor
//! probe exit N            exit with that status
//! probe die N             reset signal N and send it to itself
//! probe crash             run an undefined instruction
//! probe raw               leave the terminal on standard input raw, and exit
//! probe close             close every descriptor, then wait for ever
//! probe halt PID          stop that process as a debugger does, and hold
//! probe fault PID         have that process go on at address 0, and leave it
//! probe inject CALL ERRNO become /init, with that system call answered by that error from now on
//! probe args [ARG...]     print each argument in brackets
//! probe syscall NR [A..]  make that system call, print its answer
//! probe attack [NAME...]  try what a container must not do, all of it or that; print each answer
//! probe forge NAME        send PID 1 what no command would, then ask for things about container NAME
//! probe forge NAME SOCKET NUMBER    send that request about it to that socket
//! probe flood KIND [FOLDER [MOST]]  take as many ptys, files, descriptors, connections, flights, handed, litter, mounts, cgroups as there are, print how many, hold
//! probe storm SOCKET SEED COUNT     send that many messages that are nearly right to PID 1, by that seed
//! probe swap A B [A B...]           exchange what these names name, without end
//! probe lurk              try to trace, read and overwrite whatever comes into this container
//! probe pounce            hold whatever comes into this container, and say what it has more than this process
//! ```
#![no_std]
#![no_main]

mod arch;
mod attack;
mod flood;
mod kernel;
mod lurk;
mod memory;
mod pounce;
mod storm;

use core::ffi::{CStr, c_char};
use kernel::{call, decimal, exit, write as write_all};
use linux_raw_sys::general as nr;

/// Writes all of it; a terminal that hung up ends the program.
fn print(bytes: &[u8]) {
    if !write_all(1, bytes) {
        exit(1)
    }
}

/// A path in `room`, NUL behind it: parts, a number, an end. What does not fit is cut.
fn in_folder(parts: &[&[u8]], number: usize, end: &[u8], room: &mut [u8; 64]) {
    let mut digits = [0; 20];
    let bytes =
        parts.iter().flat_map(|part| part.iter()).chain(decimal(number as u64, &mut digits)).chain(end).chain(&[0]);
    room.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
}

fn say_number(before: &[u8], value: usize, after: &[u8]) {
    print(before);
    print(decimal(value as u64, &mut [0; 20]));
    print(after);
}

fn fork() -> isize {
    const SIGCHLD: usize = 17;
    call(nr::__NR_clone, [SIGCHLD, 0, 0, 0, 0])
}

fn wait_for(pid: isize) {
    while call(nr::__NR_wait4, [pid as usize, 0, 0, 0, 0]) == -4 {}
}

fn hold() -> ! {
    print(b"holding\n");
    wait_for_ever()
}

fn wait_for_ever() -> ! {
    loop {
        call(nr::__NR_ppoll, [0, 0, 0, 0, 8]);
    }
}

fn close(descriptor: i32) {
    call(nr::__NR_close, [descriptor as usize, 0, 0, 0, 0]);
}

const DEFAULT: usize = 0;
const IGNORE: usize = 1;

fn on_signal(signal: usize, handler: usize) {
    // The kernel's sigaction: handler, flags, restorer, mask; long enough on every processor.
    const SA_RESTORER: usize = 0x0400_0000;
    // x86-64 kills who has none, even if the handler never returns to it.
    let action: [usize; 5] = [handler, SA_RESTORER, handler, 0, 0];
    call(nr::__NR_rt_sigaction, [signal, action.as_ptr() as usize, 0, 8, 0]);
}

/// One batch: a middle process makes the orphans and dies, then the pipe they all read from closes.
fn orphans(count: usize) -> bool {
    let mut pipe = [0i32; 2];
    if call(nr::__NR_pipe2, [pipe.as_mut_ptr() as usize, 0, 0, 0, 0]) < 0 {
        return false;
    }
    let [reader, writer] = pipe;
    let middle = fork();
    if middle == 0 {
        close(writer);
        for _ in 0..count {
            match fork() {
                0 => {
                    let mut byte = 0u8;
                    call(nr::__NR_read, [reader as usize, &raw mut byte as usize, 1, 0, 0]);
                    exit(0);
                }
                pid if pid < 0 => exit(1),
                _ => {}
            }
        }
        exit(0);
    }
    close(reader);
    if middle > 0 {
        wait_for(middle);
    }
    close(writer);
    middle > 0
}

fn eat(mebibytes: usize) -> ! {
    const MIB: usize = 1 << 20;
    for count in 1..=mebibytes {
        // PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS; the sixth argument is 0 in every call.
        #[cfg(target_arch = "arm")]
        let number = nr::__NR_mmap2;
        #[cfg(not(target_arch = "arm"))]
        let number = nr::__NR_mmap;
        let address = call(number, [0, MIB, 3, 0x22, usize::MAX]);
        if address < 0 && address > -4096 {
            say_number(b"refused at ", count, b"\n");
            exit(1);
        }
        for page in (0..MIB).step_by(4096) {
            // SAFETY: the kernel just mapped this MiB for us, writable.
            unsafe { core::ptr::write_volatile((address as usize + page) as *mut u8, 1) };
        }
        say_number(b"ate ", count, b"\n");
    }
    hold()
}

fn write(limit: Option<usize>) -> ! {
    let (mut number, mut written) = (0usize, 0usize);
    while limit.is_none_or(|limit| written < limit) {
        number += 1;
        let mut room = [b'0'; 20];
        decimal(number as u64, &mut room);
        for digit in &mut room {
            if *digit == 0 {
                *digit = b'0';
            }
        }
        print(b"line ");
        print(room.get(10..).unwrap_or_default());
        print(b" abcdefghijklmnopqrstuvwxyz\n");
        written += 43;
    }
    exit(0)
}

const SEIZE: usize = 0x4206;
const INTERRUPT: usize = 0x4207;

/// Has a process go on where nothing is mapped: a fault of its own, which no kill(2) can make.
fn fault(pid: usize) -> ! {
    const DETACH: usize = 17;
    const GETREGSET: usize = 0x4204;
    const SETREGSET: usize = 0x4205;
    const NT_PRSTATUS: usize = 1;
    call(nr::__NR_ptrace, [SEIZE, pid, 0, 0, 0]);
    call(nr::__NR_ptrace, [INTERRUPT, pid, 0, 0, 0]);
    wait_for(pid as isize);
    // struct user_regs_struct is shorter than this everywhere.
    let mut registers = [0usize; 64];
    let mut vector = [registers.as_mut_ptr() as usize, size_of_val(&registers)];
    let at = vector.as_mut_ptr() as usize;
    call(nr::__NR_ptrace, [GETREGSET, pid, NT_PRSTATUS, at, 0]);
    if let Some(counter) = registers.get_mut(arch::PROGRAM_COUNTER) {
        *counter = 0;
    }
    let answer = call(nr::__NR_ptrace, [SETREGSET, pid, NT_PRSTATUS, at, 0]);
    call(nr::__NR_ptrace, [DETACH, pid, 0, 0, 0]);
    say_number(b"faulted ", answer.unsigned_abs(), b"\n");
    exit(0)
}

/// The system calls that [`inject`] knows by name.
const CALLS: [(&[u8], u32); 6] = [
    (b"bpf", nr::__NR_bpf),
    (b"capset", nr::__NR_capset),
    (b"mount_setattr", nr::__NR_mount_setattr),
    (b"move_mount", nr::__NR_move_mount),
    (b"openat2", nr::__NR_openat2),
    (b"pivot_root", nr::__NR_pivot_root),
];

/// A kernel that refuses one call, for PID 1 and all that it makes: a seccomp filter (seccomp(2)).
fn inject(arguments: &Arguments) -> ! {
    const SET_MODE_FILTER: usize = 1;
    const ERRNO: u32 = 0x0005_0000;
    const ALLOW: u32 = 0x7fff_0000;
    let wanted = arguments.get(2).unwrap_or_default();
    let Some((_, number)) = CALLS.iter().find(|(name, _)| *name == wanted) else { exit(2) };
    let errno = ERRNO | arguments.number(3).and_then(|errno| errno.try_into().ok()).unwrap_or(1);
    // struct sock_filter: code, two jumps, a number. Load the call's number; is it that one; the answers.
    let filter: [(u16, u8, u8, u32); 4] =
        [(0x20, 0, 0, 0), (0x15, 0, 1, *number), (0x06, 0, 0, errno), (0x06, 0, 0, ALLOW)];
    let filter = filter.map(|(code, yes, no, value)| {
        u64::from(code) | u64::from(yes) << 16 | u64::from(no) << 24 | u64::from(value) << 32
    });
    let program = [filter.len(), filter.as_ptr() as usize];
    call(nr::__NR_seccomp, [SET_MODE_FILTER, 0, program.as_ptr() as usize, 0, 0]);
    let name = c"/init".as_ptr() as usize;
    let words = [name, 0];
    // SAFETY: the environment stands behind the arguments and their NULL.
    let environment = unsafe { arguments.0.add(arguments.1 + 1) } as usize;
    call(nr::__NR_execve, [name, words.as_ptr() as usize, environment, 0, 0]);
    exit(127)
}

fn make_raw() -> ! {
    // struct termios as the kernel has it: four words of flags, line discipline, 19 control characters.
    let mut settings = [0u32; 16];
    let at = settings.as_mut_ptr() as usize;
    const TCGETS: usize = 0x5401;
    const TCSETS: usize = 0x5402;
    call(nr::__NR_ioctl, [0, TCGETS, at, 0, 0]);
    let [input, output, _, local, ..] = &mut settings;
    (*input, *output, *local) = (0, 0, 0);
    call(nr::__NR_ioctl, [0, TCSETS, at, 0, 0]);
    exit(0)
}

extern "C" fn leave(_: i32) {
    exit(0);
}

/// The arguments as the kernel laid them out.
struct Arguments(*const *const c_char, usize);

impl Arguments {
    fn get(&self, at: usize) -> Option<&'static [u8]> {
        // SAFETY: the kernel put that many pointers to strings with an end on the initial stack, which stays.
        (at < self.1).then(|| unsafe { CStr::from_ptr(*self.0.add(at)).to_bytes() })
    }

    fn number(&self, at: usize) -> Option<usize> {
        core::str::from_utf8(self.get(at)?).ok()?.parse().ok()
    }
}

/// Called by `_start` with the initial stack: the argument count, then pointers to the arguments.
///
/// # Safety
/// `stack` is what the kernel passed.
unsafe extern "C" fn probe_main(stack: *const usize) -> ! {
    // SAFETY: the kernel's layout, as above.
    let arguments = unsafe { Arguments(stack.add(1).cast(), *stack) };
    match arguments.get(1).unwrap_or_default() {
        b"orphans" => {
            let (wanted, batch) = (arguments.number(2).unwrap_or(1), arguments.number(3).unwrap_or(250).max(1));
            let mut made = 0;
            while made < wanted {
                let now = batch.min(wanted - made);
                if !orphans(now) {
                    say_number(b"stopped at ", made, b"\n");
                    exit(1);
                }
                made += now;
            }
            say_number(b"orphans ", made, b" made\n");
            exit(0)
        }
        b"bomb" => loop {
            fork();
        },
        b"hold" => hold(),
        b"stubborn" => {
            for signal in [1, 2, 3, 15] {
                on_signal(signal, IGNORE);
            }
            hold()
        }
        b"polite" => {
            // The handler never returns, so it needs no restorer and no signal trampoline.
            let handler: extern "C" fn(i32) = leave;
            on_signal(15, handler as usize);
            hold()
        }
        b"eat" => eat(arguments.number(2).unwrap_or(usize::MAX)),
        b"write" => write(arguments.number(2)),
        b"spin" => loop {
            core::hint::spin_loop();
        },
        b"exit" => exit(arguments.number(2).unwrap_or(0)),
        b"die" => {
            let signal = arguments.number(2).unwrap_or(9);
            on_signal(signal, DEFAULT);
            let own = call(nr::__NR_getpid, [0; 5]);
            call(nr::__NR_kill, [own as usize, signal, 0, 0, 0]);
            print(b"still alive\n");
            exit(1)
        }
        b"crash" => arch::undefined(),
        b"raw" => make_raw(),
        // What takes PID 1's place would judge its state; this never does.
        verb if verb.starts_with(b"--judge=") => hold(),
        b"halt" => {
            let pid = arguments.number(2).unwrap_or(0);
            call(nr::__NR_ptrace, [SEIZE, pid, 0, 0, 0]);
            let answer = call(nr::__NR_ptrace, [INTERRUPT, pid, 0, 0, 0]);
            say_number(b"halted ", answer.unsigned_abs(), b"\n");
            hold()
        }
        b"fault" => fault(arguments.number(2).unwrap_or(0)),
        b"inject" => inject(&arguments),
        b"close" => {
            (0..1024).for_each(close);
            wait_for_ever()
        }
        b"args" => {
            let mut at = 2;
            while let Some(argument) = arguments.get(at) {
                print(b"[");
                print(argument);
                print(b"]\n");
                at += 1;
            }
            exit(0)
        }
        b"syscall" => {
            let mut values = [0; 5];
            for (at, value) in (3..).zip(&mut values) {
                *value = arguments.number(at).unwrap_or(0);
            }
            let answer = call(u32::try_from(arguments.number(2).unwrap_or(0)).unwrap_or(0), values);
            say_number(if answer < 0 { b"-" } else { b"" }, answer.unsigned_abs(), b"\n");
            exit(0)
        }
        b"attack" => {
            for (name, attack) in attack::ATTACKS {
                if arguments.get(2).is_none() || (2..arguments.1).any(|at| arguments.get(at) == Some(name)) {
                    let answer = attack();
                    print(name);
                    say_number(if answer < 0 { b" -" } else { b" " }, answer.unsigned_abs(), b"\n");
                }
            }
            exit(0)
        }
        b"forge" => match (arguments.get(2).unwrap_or_default(), arguments.get(3), arguments.number(4)) {
            (name, Some(socket), Some(number)) => {
                exit(usize::from(!flood::ask(socket, u8::try_from(number).unwrap_or(0), name)))
            }
            (name, ..) => flood::forge(name),
        },
        b"flood" => {
            let (kind, folder) = (arguments.get(2).unwrap_or_default(), arguments.get(3).unwrap_or(b"/dev/shm"));
            flood::take(kind, folder, arguments.number(4).unwrap_or(200_000))
        }
        b"storm" => {
            let number = |at| arguments.number(at).unwrap_or(1);
            storm::send_them(arguments.get(2).unwrap_or_default(), number(3), number(4))
        }
        b"swap" => loop {
            const AT_FDCWD: usize = -100isize as usize;
            const EXCHANGE: usize = 2;
            for _ in 0..2 {
                let mut at = 2;
                // Arguments end in NUL, where the kernel laid them.
                while let (Some(one), Some(other)) = (arguments.get(at), arguments.get(at + 1)) {
                    let (one, other) = (one.as_ptr() as usize, other.as_ptr() as usize);
                    call(nr::__NR_renameat2, [AT_FDCWD, one, AT_FDCWD, other, EXCHANGE]);
                    at += 2;
                }
            }
            // Longer as they were, so that some get far before a name is another.
            let time = [0usize, 50_000];
            call(nr::__NR_ppoll, [0, 0, time.as_ptr() as usize, 0, 8]);
        },
        b"lurk" => lurk::wait_for_prey(),
        b"pounce" => pounce::fall_on_prey(),
        _ => {
            print(b"probe: orphans bomb hold stubborn polite eat write spin exit die crash raw halt fault close args syscall attack forge flood storm swap lurk pounce\n");
            exit(2)
        }
    }
}
