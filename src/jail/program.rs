//! The last steps: terminal, streams, environment, execve.

use core::ffi::CStr;

use heapless::Vec;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{Gid, OFlags, Uid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::{Now, Stdio, fs};
use crate::format::fault::Step;
use crate::format::spec::{ARGS_MAX, ENV_MAX, Spec, Tag, flags};
use crate::format::text::{behind, cut};
use crate::sys::{Errno, file, lend, process};

/// Where programs are looked for, /dev/pouch last: an image's own programs come first.
pub const PATH: &CStr =
    c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/dev/pouch";

/// Becomes the leader of a session of its own.
#[inline(never)]
pub(super) fn session(now: &Now<'_>) {
    now.at(Step::Session, c"of its own");
    now.ok(rustix::process::setsid());
}

/// Where memory runs out, a container's processes go before the host's; it cannot take that back
/// without SYS_RESOURCE. Done while /proc is the host's.
pub(super) fn first_to_go() {
    if let Ok(file) = file::open_at(None, c"/proc/self/oom_score_adj", OFlags::WRONLY) {
        let _ = file::write(&file, b"500");
    }
}

/// The session's terminal, and its three streams.
#[inline(never)]
pub(super) fn terminal(slave: BorrowedFd<'_>, name: &'static CStr, now: &Now<'_>) {
    now.at(Step::Session, name);
    now.ok(rustix::process::ioctl_tiocsctty(slave));
    streams(&[Some(slave); 3], now);
}

/// Standard input, output and error; where there is none, the one that is there stays.
#[inline(never)]
pub(super) fn streams(streams: &[Option<BorrowedFd<'_>>; 3], now: &Now<'_>) {
    let [input, output, error] = *streams;
    now.at(Step::Session, c"as standard streams");
    if let Some(fd) = input {
        now.ok(dup2_stdin(fd));
    }
    if let Some(fd) = output {
        now.ok(dup2_stdout(fd));
    }
    if let Some(fd) = error {
        now.ok(dup2_stderr(fd));
    }
}

/// The container's three streams: its console, or /dev/null and the pipe.
pub(super) fn standard_streams<'a>(
    stdio: Stdio<'a>,
    console: Option<OwnedFd>,
    (uid, gid): (u32, u32),
    now: &Now<'a>,
) {
    match stdio {
        Stdio::Terminal { slave, .. } => {
            if let Some(console) = &console
                && uid != 0
            {
                // The terminal is the person's who works on it.
                now.at(Step::Session, c"/dev/console");
                let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
                now.ok(rustix::fs::fchown(lend(console), Some(uid), Some(gid)));
            }
            let own = console.as_ref().map_or(slave, lend);
            terminal(own, c"/dev/console", now);
        }
        Stdio::Pipe { output } => {
            now.at(Step::Open, c"/dev/null");
            let null = now.ok(file::open_at(None, c"/dev/null", OFlags::RDWR));
            streams(&[Some(lend(&null)), Some(output), Some(output)], now);
        }
    }
}

/// The variable's name, with its `=`.
fn key(entry: &CStr) -> &[u8] {
    let bytes = entry.to_bytes();
    let end = bytes
        .iter()
        .position(|b| *b == b'=')
        .map_or(bytes.len(), |at| at + 1);
    bytes.get(..end).unwrap_or_default()
}

/// execve, by the container's own PATH: of these words, or without any of the spec's. Comes back
/// with the reason why not.
pub(super) fn become_it<'a>(
    spec: Spec<'a>,
    args: &[&'a CStr],
    home: &CStr,
    term: &'a CStr,
    now: &Now<'a>,
) -> Errno {
    // A checked spec has no more words than there is room for.
    let mut env: Vec<&CStr, { ENV_MAX + 4 }> = Vec::new();
    for given in spec.all(Tag::Env) {
        let _ = env.push(given);
    }
    let bare = spec.flags() & flags::BARE_ENV != 0;
    for default in [PATH, home, term, c"container=pouch"] {
        if !bare && !env.iter().any(|given| key(given) == key(default)) {
            let _ = env.push(default);
        }
    }
    let mut own: Vec<&CStr, ARGS_MAX> = Vec::new();
    for given in spec.all(Tag::Arg) {
        let _ = own.push(given);
    }
    if own.is_empty() {
        let _ = own.push(c"/bin/sh");
    }
    let args = if args.is_empty() { &own } else { args };
    let command = args.first().copied().unwrap_or_default();
    now.at(Step::Exec, command);
    if cut(command.to_bytes(), b'/').1.is_some() {
        return process::exec(command, args, &env);
    }
    let mut rest = env
        .iter()
        .find_map(|e| behind(e.to_bytes(), b"PATH="))
        // Where nothing says PATH the usual folders are searched, as by a shell.
        .or(behind(PATH.to_bytes(), b"PATH="));
    let mut reason = Errno::NOENT;
    // No word at all is nowhere: behind a folder it would be that folder.
    while let Some(path) = rest.filter(|_| !command.is_empty()) {
        let (folder, behind) = cut(path, b':');
        rest = behind;
        let mut room: fs::Path = [0; 1024];
        let errno = match join(folder, command.to_bytes(), &mut room) {
            Ok(file) => process::exec(file, args, &env),
            Err(errno) => errno,
        };
        match errno {
            // Not here; as a shell does, the next folder is tried, and a refusal is remembered.
            Errno::NOENT | Errno::NOTDIR => {}
            Errno::ACCESS | Errno::NAMETOOLONG => reason = errno,
            _ => return errno,
        }
    }
    reason
}

/// FOLDER/FILE; an empty folder is the working directory, as execvp(3) has it.
fn join<'r>(folder: &[u8], file: &[u8], room: &'r mut fs::Path) -> Result<&'r CStr, Errno> {
    let folder = if folder.is_empty() { b"." } else { folder };
    fs::c_string(&[folder, b"/", file], room)
}
