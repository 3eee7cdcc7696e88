//! The bench's person at a terminal: types a key and waits until it is shown, or takes all that comes
//!
//! ```text
//! keys type COUNT WORD...   start the command on a terminal, press Enter, wait until all is quiet; then COUNT times:
//!                           press a key, wait until it is shown. One line: `key` and the microseconds of each
//! keys flow BYTES WORD...   the same up to the quiet, then press Enter and take that many bytes: `flow BYTES MICROSECONDS`
//! ```
//!
//! The terminal is a pseudo-terminal whose master this program holds, so a key goes: master, what the command makes of
//! it, master. Words that begin with a slash are paths of programs; nothing is looked up.
#![no_std]
#![no_main]

#[allow(dead_code, reason = "the probe's, who does more")]
mod arch;
mod kernel;
mod memory;

use core::ffi::{CStr, c_char};
use kernel::{call, decimal, exit, now, write};
use linux_raw_sys::general as nr;

/// The key: a character that no prompt and no status line shows.
const KEY: u8 = b'%';
/// Empties the line of a shell, and tells a terminal's driver to do the same (Ctrl-U).
const KILL: &[u8] = b"\x15";
/// Keys on one row before it is emptied.
const ROW: usize = 16;
const MOST: usize = 512;
/// Milliseconds without a byte are quiet; between keys, and at the beginning.
const PAUSE: u64 = 20;
const QUIET: u64 = 400;
/// Milliseconds after which nobody waits any more.
const LIMIT: u64 = 20_000;

fn print(bytes: &[u8]) {
    write(1, bytes);
}

fn show(value: u64) {
    print(b" ");
    print(decimal(value, &mut [0; 20]));
}

fn fail(words: &[u8]) -> ! {
    print(b"keys: ");
    print(words);
    print(b"\n");
    exit(1)
}

/// The master's side of a terminal.
struct Terminal(usize);

impl Terminal {
    fn open() -> (Self, [u8; 24]) {
        const FLAGS: usize = 0o2 | 0o400;
        let master = call(nr::__NR_openat, [0, c"/dev/ptmx".as_ptr() as usize, FLAGS, 0, 0]);
        let (unlocked, mut number, size) = (0u32, 0u32, [24u16, 80, 0, 0]);
        if master < 0 {
            fail(b"no terminal to be had");
        }
        let master = master as usize;
        for (request, pointer) in [
            (0x4004_5431, &raw const unlocked as usize), // TIOCSPTLCK
            (0x8004_5430, &raw mut number as usize),     // TIOCGPTN
            (0x5414, size.as_ptr() as usize),            // TIOCSWINSZ
        ] {
            call(nr::__NR_ioctl, [master, request, pointer, 0, 0]);
        }
        let mut path = [0; 24];
        path[..9].copy_from_slice(b"/dev/pts/");
        let mut digits = [0; 20];
        let digits = decimal(number.into(), &mut digits);
        path[9..9 + digits.len()].copy_from_slice(digits);
        (Self(master), path)
    }

    /// What comes within so many milliseconds; 0 is nothing.
    fn read(&self, room: &mut [u8], milliseconds: u64) -> usize {
        #[cfg(target_arch = "arm")]
        let number = nr::__NR_ppoll_time64;
        #[cfg(not(target_arch = "arm"))]
        let number = nr::__NR_ppoll;
        const IN: u64 = 1 << 32;
        let mut wanted = self.0 as u64 | IN;
        let time = [milliseconds / 1000, milliseconds % 1000 * 1_000_000];
        let ready = call(number, [&raw mut wanted as usize, 1, time.as_ptr() as usize, 0, 0]);
        if ready <= 0 {
            return 0;
        }
        match call(nr::__NR_read, [self.0, room.as_mut_ptr() as usize, room.len(), 0, 0]) {
            count if count > 0 => count as usize,
            _ => fail(b"the command ended"),
        }
    }

    fn write(&self, bytes: &[u8]) {
        call(nr::__NR_write, [self.0, bytes.as_ptr() as usize, bytes.len(), 0, 0]);
    }

    /// Takes what comes until nothing comes any more.
    fn settle(&self, milliseconds: u64) {
        let (mut room, begin) = ([0; 4096], now());
        while self.read(&mut room, milliseconds) > 0 {
            if now() - begin > LIMIT * 1_000_000 {
                fail(b"it never gets quiet");
            }
        }
    }
}

fn type_keys(terminal: &Terminal, count: usize) -> ! {
    let mut times = [0u64; MOST];
    for (at, time) in times.iter_mut().enumerate().take(count) {
        let mut room = [0; 4096];
        if at % ROW == 0 {
            terminal.write(KILL);
            terminal.settle(QUIET / 2);
        }
        terminal.settle(PAUSE);
        let begin = now();
        terminal.write(&[KEY]);
        loop {
            let got = terminal.read(&mut room, LIMIT);
            if got == 0 {
                fail(b"a key was never shown");
            }
            if room[..got].contains(&KEY) {
                break;
            }
        }
        *time = (now() - begin) / 1000;
    }
    print(b"key");
    for time in times.iter().take(count) {
        show(*time);
    }
    print(b"\n");
    exit(0)
}

fn flow(terminal: &Terminal, bytes: usize) -> ! {
    let mut room = [0; 16384];
    let begin = now();
    terminal.write(b"\r");
    let (mut got, mut last) = (0, begin);
    while got < bytes {
        let more = terminal.read(&mut room, 2000);
        if more == 0 {
            break; // what is missing was lost
        }
        got += more;
        last = now();
    }
    print(b"flow");
    show(got as u64);
    show((last - begin) / 1000);
    print(b"\n");
    exit(0)
}

/// Called by `_start` with the initial stack: the argument count, then pointers to the arguments.
///
/// # Safety
/// `stack` is what the kernel passed.
unsafe extern "C" fn probe_main(stack: *const usize) -> ! {
    // SAFETY: the kernel's layout: the count, that many pointers, NULL, the environment.
    let (count, words) = unsafe { (*stack, stack.add(1).cast::<*const c_char>()) };
    // SAFETY: only called below the count; the kernel's strings have an end and stay.
    let word = |at: usize| unsafe { CStr::from_ptr(*words.add(at)) }.to_bytes();
    if count < 4 {
        fail(b"type COUNT WORD... or flow BYTES WORD...");
    }
    let number = core::str::from_utf8(word(2)).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let (terminal, path) = Terminal::open();
    const SIGCHLD: usize = 17;
    if call(nr::__NR_clone, [SIGCHLD, 0, 0, 0, 0]) == 0 {
        call(nr::__NR_setsid, [0; 5]);
        let slave = call(nr::__NR_openat, [0, path.as_ptr() as usize, 2, 0, 0]);
        for fd in 0..3 {
            call(nr::__NR_dup3, [slave as usize, fd, 0, 0, 0]);
        }
        call(nr::__NR_close, [terminal.0, 0, 0, 0, 0]);
        // SAFETY: both lists lie on the stack that the kernel made.
        let (rest, environment) = unsafe { (words.add(3) as usize, words.add(count + 1) as usize) };
        call(nr::__NR_execve, [word(3).as_ptr() as usize, rest, environment, 0, 0]);
        exit(127)
    }
    terminal.settle(QUIET);
    if word(1) == b"flow" {
        flow(&terminal, number)
    }
    // A prompt that has not come by now comes with this.
    terminal.write(b"\r");
    terminal.settle(QUIET);
    type_keys(&terminal, number.min(MOST))
}
