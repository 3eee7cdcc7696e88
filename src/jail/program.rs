//! The last steps: terminal, streams, environment, execve.

use core::ffi::CStr;

use heapless::Vec;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::{At, Failed, Stdio, dev, fs};
use crate::format::fault::Step;
use crate::format::spec::{ENV_MAX, Spec, Tag};
use crate::sys::{Errno, process};

/// Where programs are looked for, /dev/pouch last: an image's own programs come first.
pub const PATH: &CStr =
    c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/dev/pouch";

/// Makes the slave this session's terminal and its three streams. The session must lead none yet.
pub(super) fn take_terminal(slave: BorrowedFd<'_>) -> Result<(), Failed<'static>> {
    rustix::process::setsid()
        .map(drop)
        .at(Step::Session, c"of its own")?;
    rustix::process::ioctl_tiocsctty(slave).at(Step::Session, c"/dev/pts")?;
    streams(slave, slave)
}

fn streams(input: BorrowedFd<'_>, output: BorrowedFd<'_>) -> Result<(), Failed<'static>> {
    dup2_stdin(input).at(Step::Session, c"as standard input")?;
    dup2_stdout(output).at(Step::Session, c"as standard output")?;
    dup2_stderr(output).at(Step::Session, c"as standard error")
}

/// The container's three streams: its console, or /dev/null and the pipe.
pub(super) fn standard_streams<'a>(
    stdio: Stdio<'a>,
    console: Option<OwnedFd>,
    user: (u32, u32),
) -> Result<(), Failed<'a>> {
    match stdio {
        Stdio::Terminal { slave, .. } => {
            if let (Some(console), (uid, gid)) = (&console, user)
                && uid != 0
            {
                // The terminal is the person's who works on it.
                dev::owner(console, uid, gid).at(Step::Session, c"/dev/console")?;
            }
            let terminal = console.as_ref().map_or(slave, |c| c.as_fd());
            rustix::process::ioctl_tiocsctty(terminal).at(Step::Session, c"/dev/console")?;
            streams(terminal, terminal)
        }
        Stdio::Pipe { output } => {
            let null =
                rustix::fs::open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
                    .at(Step::Open, c"/dev/null")?;
            streams(null.as_fd(), output)
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

/// execve, by the container's own PATH. Comes back with the reason why not.
pub(super) fn become_it<'a>(spec: Spec<'a>, term: &'a CStr) -> Failed<'a> {
    const SHELL: &CStr = c"/bin/sh";
    let home = if spec.user().0 == 0 {
        c"HOME=/root"
    } else {
        c"HOME=/"
    };
    let mut env: Vec<&CStr, { ENV_MAX + 4 }> = Vec::new();
    for given in spec.all(Tag::Env) {
        let _ = env.push(given); // a checked spec has at most ENV_MAX
    }
    for default in [PATH, home, term, c"container=pouch"] {
        if !spec.all(Tag::Env).any(|given| key(given) == key(default)) {
            let _ = env.push(default);
        }
    }
    let command = spec.string(Tag::Arg).unwrap_or(SHELL);
    let args = || core::iter::once(command).chain(spec.all(Tag::Arg).skip(1));
    let failed = |errno| Failed {
        step: Step::Exec,
        errno,
        object: command.to_bytes(),
    };

    if command.to_bytes().contains(&b'/') {
        return failed(process::exec(command, args(), env.iter().copied()));
    }
    let path = env
        .iter()
        .find(|e| e.to_bytes().starts_with(b"PATH="))
        .map_or(&[][..], |e| e.to_bytes());
    let mut reason = Errno::NOENT;
    for folder in path
        .strip_prefix(b"PATH=")
        .unwrap_or_default()
        .split(|b| *b == b':')
    {
        let mut room = [0u8; 1024];
        let Some(file) = join(folder, command.to_bytes(), &mut room) else {
            reason = Errno::NAMETOOLONG;
            continue;
        };
        match process::exec(file, args(), env.iter().copied()) {
            // Not here; as a shell does, the next folder is tried, and a refusal is remembered.
            Errno::NOENT | Errno::NOTDIR => {}
            Errno::ACCESS => reason = Errno::ACCESS,
            errno => return failed(errno),
        }
    }
    failed(reason)
}

/// FOLDER/FILE; an empty folder is the working directory, as execvp(3) has it.
fn join<'r>(folder: &[u8], file: &[u8], room: &'r mut [u8; 1024]) -> Option<&'r CStr> {
    let mut text: Vec<u8, 1023> = Vec::new();
    text.extend_from_slice(if folder.is_empty() { b"." } else { folder })
        .ok()?;
    text.push(b'/').ok()?;
    text.extend_from_slice(file).ok()?;
    fs::c_string(&text, room)
}
