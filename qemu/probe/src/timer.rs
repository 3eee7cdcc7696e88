//! The bench's clock: starts programs in turn, and is the contained program that says when it began
//!
//! ```text
//! timer first [FILE]      write the monotonic clock, read as the first act, to FILE (/first); exit
//! timer hold [FILE]       the same, then wait for ever
//! timer turns ROUNDS GAP FILE @NAME WORD... [@@ WORD...] [@NAME WORD... [@@ WORD...]]...
//!                         run each command in turn, the order turned round each time, GAP ms before each; for each
//!                         run one line `run NAME FIRST END`: microseconds from the request to what is in FILE (- where
//!                         there is nothing) and to the command's end seen. What follows @@ runs behind it, untimed.
//! timer reap N            N orphans, one after the other: a line `reap MICROSECONDS` for each, from its death to the
//!                         moment at which there is no such process
//! timer burst N FILE WORD...   the command N times at once: one line `burst N MICROSECONDS FAILED`, to the last end
//! ```
//!
//! A `%` in a word is the turn's number, two `%` are the number of the burst's member. Nothing is printed while
//! something is timed: somebody would have to carry it to the line. Standard output of a command is /dev/null, its
//! error output is shown when it failed.
#![no_std]
#![no_main]

#[allow(dead_code, reason = "the probe's, who does more")]
mod arch;
mod kernel;
mod memory;

use core::ffi::{CStr, c_char};
use kernel::{call, decimal, exit, now, write};
use linux_raw_sys::general as nr;

/// Names, rounds of each.
const NAMES: usize = 16;
const ROUNDS: usize = 256;
/// Rounds that nobody counts: the first time is cold.
const WARM: usize = 2;
const SAID: &[u8] = b"/tmp/timer.said\0";
const NULL: &[u8] = b"/dev/null\0";

/// Nothing was written.
const NONE: u32 = u32::MAX;

/// First and end of each run; zero, which costs nothing in the file, is no run.
static mut TIMES: [[[u32; 2]; ROUNDS]; NAMES] = [[[0; 2]; ROUNDS]; NAMES];

fn sleep(milliseconds: usize) {
    #[cfg(target_arch = "arm")]
    let number = nr::__NR_clock_nanosleep_time64;
    #[cfg(not(target_arch = "arm"))]
    let number = nr::__NR_clock_nanosleep;
    let time = [(milliseconds / 1000) as u64, (milliseconds % 1000) as u64 * 1_000_000];
    call(number, [1, 0, time.as_ptr() as usize, 0, 0]);
}

fn print(bytes: &[u8]) {
    write(1, bytes);
}

fn number(text: &[u8]) -> Option<u64> {
    core::str::from_utf8(text).ok()?.trim_ascii().parse().ok()
}

/// Opens with an end-of-string in `path`.
fn open(path: &[u8], flags: usize) -> isize {
    call(nr::__NR_openat, [-100isize as usize, path.as_ptr() as usize, flags, 0o644, 0])
}
const READ: usize = 0;
const REPLACE: usize = 0o1 | 0o100 | 0o1000;

fn close(fd: isize) {
    call(nr::__NR_close, [fd as usize, 0, 0, 0, 0]);
}

/// The file's begin.
fn read<'a>(path: &[u8], room: &'a mut [u8]) -> &'a [u8] {
    let fd = open(path, READ);
    if fd < 0 {
        return &[];
    }
    let count = call(nr::__NR_read, [fd as usize, room.as_mut_ptr() as usize, room.len(), 0, 0]);
    close(fd);
    room.get(..usize::try_from(count).unwrap_or(0)).unwrap_or_default()
}

fn empty(path: &[u8]) {
    close(open(path, REPLACE));
}

/// The words of the command line, and the environment behind them.
struct Words {
    words: *const *const c_char,
    count: usize,
}

impl Words {
    fn raw(&self, at: usize) -> *const c_char {
        // SAFETY: the kernel put that many pointers on the initial stack, and NULL behind them.
        if at <= self.count { unsafe { *self.words.add(at) } } else { core::ptr::null() }
    }

    /// With its end, which the kernel wants.
    fn full(&self, at: usize) -> &'static [u8] {
        // SAFETY: what the kernel pointed to has an end and stays.
        if at < self.count { unsafe { CStr::from_ptr(self.raw(at)) }.to_bytes_with_nul() } else { b"\0" }
    }

    fn get(&self, at: usize) -> &'static [u8] {
        self.full(at).split_last().map_or(&[], |(_, text)| text)
    }

    fn number(&self, at: usize) -> usize {
        number(self.get(at)).unwrap_or(0) as usize
    }

    fn environment(&self) -> usize {
        // SAFETY: behind the words and their NULL.
        unsafe { self.words.add(self.count + 1) as usize }
    }

    /// Where the command that begins at `at` ends.
    fn end(&self, mut at: usize) -> usize {
        while at < self.count && !self.get(at).starts_with(b"@") {
            at += 1;
        }
        at
    }
}

/// A command with its numbers put in, as execve wants it.
struct Command {
    text: [u8; 4096],
    words: [*const u8; 64],
}

impl Command {
    const fn new() -> Self {
        Self { text: [0; 4096], words: [core::ptr::null(); 64] }
    }

    fn make(&mut self, words: &Words, range: (usize, usize), turn: usize, member: usize) {
        let (mut at, mut count) = (0, 0);
        for index in range.0..range.1 {
            let word = words.get(index);
            let (start, mut next) = (at, 0);
            while next < word.len() {
                if word[next] == b'%' {
                    let twice = word.get(next + 1) == Some(&b'%');
                    for &digit in decimal(if twice { member } else { turn } as u64, &mut [0; 20]) {
                        self.text[at] = digit;
                        at += 1;
                    }
                    next += if twice { 2 } else { 1 };
                } else {
                    self.text[at] = word[next];
                    at += 1;
                    next += 1;
                }
            }
            self.text[at] = 0;
            at += 1;
            self.words[count] = &raw const self.text[start];
            count += 1;
        }
        self.words[count] = core::ptr::null();
    }

    /// Starts it; the answer is its process, or negative.
    fn start(&self, environment: usize) -> isize {
        const SIGCHLD: usize = 17;
        let child = call(nr::__NR_clone, [SIGCHLD, 0, 0, 0, 0]);
        if child == 0 {
            for (fd, path, flags) in [(0, NULL, READ), (1, NULL, 1), (2, SAID, REPLACE)] {
                let file = open(path, flags);
                if file != fd && file >= 0 {
                    call(nr::__NR_dup3, [file as usize, fd as usize, 0, 0, 0]);
                    close(file);
                }
            }
            let [path, ..] = self.words;
            let words = self.words.as_ptr() as usize;
            call(nr::__NR_execve, [path as usize, words, environment, 0, 0]);
            write(2, b"execve failed\n");
            exit(127);
        }
        child
    }
}

/// Waits for that child, or any with -1: its wait status.
fn wait(child: isize) -> u32 {
    let mut status = 0u32;
    while call(nr::__NR_wait4, [child as usize, &raw mut status as usize, 0, 0, 0]) == -4 {}
    status
}

fn microseconds(from: u64, to: u64) -> u32 {
    u32::try_from(to.saturating_sub(from) / 1000).unwrap_or(NONE - 1)
}

fn show(time: u32) {
    print(b" ");
    match time {
        NONE => print(b"-"),
        time => print(decimal(time.into(), &mut [0; 20])),
    }
}

/// One line of why a command failed.
fn complain(name: &[u8], status: u32) {
    print(b"failed ");
    print(name);
    print(b" status ");
    print(decimal((status >> 8).into(), &mut [0; 20]));
    print(b": ");
    let mut room = [0; 200];
    let said = read(SAID, &mut room);
    print(said.split(|&byte| byte == b'\n').next().unwrap_or_default());
    print(b"\n");
}

/// What the contained program wrote; it may be behind the command that started it.
fn written(first: &[u8], end: u64) -> Option<u64> {
    const PATIENCE: u64 = 2_000_000_000;
    loop {
        let found = number(read(first, &mut [0; 32]));
        if found.is_some() || now() > end + PATIENCE {
            return found;
        }
        sleep(1);
    }
}

/// Where each name's command begins and ends, and what runs behind it.
struct Entry {
    name: usize,
    command: (usize, usize),
    behind: (usize, usize),
    failed: bool,
}

fn turns(words: &Words) -> ! {
    let (rounds, gap, first) = (words.number(2).min(ROUNDS), words.number(3), words.full(4));
    let mut entries = [const { Entry { name: 0, command: (0, 0), behind: (0, 0), failed: false } }; NAMES];
    let (mut count, mut at) = (0, 5);
    while at < words.count && count < NAMES {
        let end = words.end(at + 1);
        let entry = &mut entries[count];
        entry.name = at;
        entry.command = (at + 1, end);
        at = end;
        if words.get(at) == b"@@" {
            let end = words.end(at + 1);
            entry.behind = (at + 1, end);
            at = end;
        }
        count += 1;
    }
    let mut command = Command::new();
    for round in 0..WARM + rounds {
        for step in 0..count {
            let which = if round % 2 == 0 { step } else { count - 1 - step };
            let entry = &mut entries[which];
            if entry.failed {
                continue;
            }
            command.make(words, entry.command, round, 0);
            empty(first);
            sleep(gap);
            let begin = now();
            let status = wait(command.start(words.environment()));
            let end = now();
            let written = written(first, end);
            if status != 0 {
                entry.failed = true;
                complain(words.get(entry.name), status);
            }
            if entry.behind.1 > entry.behind.0 {
                command.make(words, entry.behind, round, 0);
                wait(command.start(words.environment()));
            }
            if round >= WARM && status == 0 {
                let began = written.map_or(NONE, |written| microseconds(begin, written));
                // SAFETY: there is one thread.
                unsafe { TIMES[which][round - WARM] = [began, microseconds(begin, end)] };
            }
        }
    }
    for (which, entry) in entries.iter().enumerate().take(count) {
        // SAFETY: there is one thread.
        let times = unsafe { TIMES[which] };
        for &[first, end] in times.iter().take(rounds) {
            if end > 0 {
                print(b"run ");
                print(words.get(entry.name).get(1..).unwrap_or_default());
                show(first);
                show(end);
                print(b"\n");
            }
        }
    }
    exit(0)
}

fn burst(words: &Words) -> ! {
    let count = words.number(2);
    let mut command = Command::new();
    let begin = now();
    for member in 0..count {
        command.make(words, (4, words.count), member, member);
        command.start(words.environment());
    }
    let mut failed = 0;
    for _ in 0..count {
        failed += u64::from(wait(-1) != 0);
    }
    let time = microseconds(begin, now());
    if failed > 0 {
        complain(b"burst", 0);
    }
    print(b"burst");
    show(count as u32);
    show(time);
    show(failed as u32);
    print(b"\n");
    exit(0)
}

/// An orphan that dies when `release` is closed; its pid.
fn orphan(release: [i32; 2], told: [i32; 2]) -> usize {
    const SIGCHLD: usize = 17;
    let fork = || call(nr::__NR_clone, [SIGCHLD, 0, 0, 0, 0]);
    let middle = fork();
    if middle == 0 {
        let own = fork();
        if own == 0 {
            close(release[1] as isize);
            let mut byte = 0u8;
            call(nr::__NR_read, [release[0] as usize, &raw mut byte as usize, 1, 0, 0]);
            exit(0);
        }
        write(told[1] as usize, &own.to_ne_bytes());
        exit(0);
    }
    let mut pid = [0u8; size_of::<usize>()];
    call(nr::__NR_read, [told[0] as usize, pid.as_mut_ptr() as usize, pid.len(), 0, 0]);
    wait(middle);
    usize::from_ne_bytes(pid)
}

fn reap(words: &Words) -> ! {
    const GONE: isize = -3;
    let pipe = || {
        let mut pipe = [0i32; 2];
        call(nr::__NR_pipe2, [pipe.as_mut_ptr() as usize, 0, 0, 0, 0]);
        pipe
    };
    let mut times = [0u32; ROUNDS];
    let count = words.number(2).min(ROUNDS);
    let told = pipe();
    for time in times.iter_mut().take(count) {
        let release = pipe();
        let pid = orphan(release, told);
        let pidfd = call(nr::__NR_pidfd_open, [pid, 0, 0, 0, 0]);
        close(release[0] as isize);
        close(release[1] as isize);
        // struct pollfd: the descriptor, then POLLIN. It is ready when the process is dead, reaped or not.
        let mut poll = [pidfd as u32, 1];
        while call(nr::__NR_ppoll, [poll.as_mut_ptr() as usize, 1, 0, 0, 8]) == -4 {}
        let dead = now();
        while call(nr::__NR_kill, [pid, 0, 0, 0, 0]) != GONE {
            call(nr::__NR_sched_yield, [0; 5]);
        }
        *time = microseconds(dead, now());
        close(pidfd);
    }
    for time in times.iter().take(count) {
        print(b"reap");
        show(*time);
        print(b"\n");
    }
    exit(0)
}

/// Called by `_start` with the initial stack: the argument count, then pointers to the arguments.
///
/// # Safety
/// `stack` is what the kernel passed.
unsafe extern "C" fn probe_main(stack: *const usize) -> ! {
    let began = now();
    // SAFETY: the kernel's layout, as above.
    let words = unsafe { Words { words: stack.add(1).cast(), count: *stack } };
    match words.get(1) {
        verb @ (b"first" | b"hold") => {
            let path = if words.count > 2 { words.full(2) } else { b"/first\0" };
            let file = open(path, REPLACE);
            write(file as usize, decimal(began, &mut [0; 20]));
            close(file);
            if verb == b"hold" {
                print(b"holding\n");
                loop {
                    sleep(1_000_000);
                }
            }
            exit(0)
        }
        b"turns" => turns(&words),
        b"burst" => burst(&words),
        b"reap" => reap(&words),
        b"clock" => {
            print(decimal(began, &mut [0; 20]));
            print(b"\n");
            exit(0)
        }
        _ => {
            print(b"timer: first hold turns reap burst clock\n");
            exit(2)
        }
    }
}
