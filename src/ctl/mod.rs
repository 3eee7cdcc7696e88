//! The commands: words -> request -> reply -> words and an exit code.
//!
//! Every command is this one binary under another name. It asks PID 1 by one packet
//! and shows what comes back. Whether it runs in a container is told by the socket
//! there, never by the environment.

pub mod args;
mod build;
mod cgroup;
mod config;
mod events;
mod exchange;
mod exec;
mod help;
mod images;
mod import;
pub mod layout;
mod line;
mod nsinit;
mod out;
mod run;
mod say;
mod socket;
mod start;
mod stats;
mod stream;
mod tree;
mod unpack;

use crate::format::message::Request;
use crate::format::spec::{SpecBuf, Tag, flags};
use crate::format::text::{Plain, put};
use crate::sys::lend;
use args::{Call, Command, Verb};
use core::ffi::CStr;
use exchange::{Exchange, subject};
use line::Terminal;
use out::Out;
use socket::{Lost, Socket};

/// Runs the command that `args` name, their first being what the binary was called;
/// gives back its exit code.
#[inline(never)] // its frame would stand below that of PID 1
pub fn run(args: &[&CStr]) -> u8 {
    crate::sys::stdio::fill();
    let (mut out, mut err) = (Out::stdout(), Out::stderr());
    let code = match Call::of(args) {
        Ok(call) => command(&call, &mut out, &mut err),
        Err(usage) => say::usage(&mut err, usage),
    };
    let written = out.flush();
    if let (false, Some(error)) = (written, out.error()) {
        put!(
            &mut err,
            "Pouch: unable to write the answer: {}\n",
            say::reason(error)
        );
    }
    err.flush();
    if written { code } else { code.max(say::FAILED) }
}

fn command(call: &Call<'_>, out: &mut Out, err: &mut Out) -> u8 {
    if call.verb == Verb::Version {
        put!(out, "pouch {}\n", env!("CARGO_PKG_VERSION"));
        return 0;
    }
    let inside = rustix::fs::access(socket::INSIDE, rustix::fs::Access::EXISTS).is_ok();
    let path = if inside {
        socket::INSIDE
    } else {
        socket::OUTSIDE
    };
    if call.help || call.verb == Verb::Help {
        help::show(out, call.verb, inside);
        return 0;
    }
    let allowed = match call.verb {
        Verb::Disconnect => inside,
        Verb::Info => true,
        _ => !inside,
    };
    if !allowed {
        return say::misplaced(err, call.word, inside);
    }
    let mut spec = SpecBuf::new();
    if call.starts()
        && let Some(file) = call.config()
        && !config::read(file, &mut spec, err)
    {
        return call.failed();
    }
    let command = match call.parse(inside, &mut spec) {
        Ok(command) => command,
        Err(usage) => return say::usage(err, usage),
    };
    if prepare(&command, &mut spec, err).is_err() {
        return call.failed();
    }
    let (request, json) = match command {
        Command::Own(words) => {
            // Each in a frame of its own: a start that reserved the stack of an import would map ninety pages for it.
            let done = match call.verb {
                Verb::Exec => exec::command(words, err),
                Verb::Cgroup => cgroup::command(words, out, err),
                Verb::Check => config::check(words, out, err),
                Verb::Define => config::define(words),
                Verb::Nsinit => nsinit::command(words, err),
                Verb::Import => import::command(words, out, err),
                Verb::Images if words.is_empty() => Ok(images::list(out)),
                Verb::Rmi => images::remove(words, out, err),
                Verb::Build => build::command(words, out, err),
                Verb::Images => Err(args::Usage::Count),
                _ => stats::command(words, out, err),
            };
            return done.unwrap_or_else(|usage| say::usage(err, usage));
        }
        Command::Ask { request, json } => (request, json),
        Command::Start {
            name,
            flags: flags::RUN,
            ..
        } => return run::run(name, &mut spec, &|_| {}, err),
        Command::Start { .. } => {
            let spec = spec.as_bytes();
            (Request::Start { spec }, false)
        }
        Command::Reread => {
            let hup = rustix::process::Signal::HUP;
            return match rustix::process::kill_process(rustix::process::Pid::INIT, hup) {
                Ok(()) => 0,
                Err(error) => say::lost(err, Lost::Kernel(error)),
            };
        }
    };
    // Without one PID 1 says what is wrong: a name that is none comes first.
    let terminal = match request {
        Request::Connect { .. } => Terminal::open().ok(),
        _ => None,
    };
    let socket = match Socket::connect(path) {
        Ok(socket) => socket,
        Err(error) => return say::unreachable(err, path.to_bytes(), error),
    };
    let binary = match request {
        Request::Reexec { name: path } if !path.is_empty() => match start::open(path) {
            Ok(binary) => Some(binary),
            Err(error) => {
                let (path, reason) = (Plain(path), say::reason(error));
                put!(err, "Pouch: unable to open {}: {}\n", path, reason);
                return say::FAILED;
            }
        },
        _ => None,
    };
    let handed = terminal.as_ref().map(Terminal::fd);
    let handed = handed.or(binary.as_ref().map(lend));
    let sent = socket.send(&request, handed.as_slice());
    let exchange = Exchange {
        socket,
        word: call.word,
        name: subject(&command),
        request,
        json,
        attached: matches!(command, Command::Start { flags: 1.., .. }),
        terminal,
    };
    match sent.and_then(|()| exchange.show(out, err)) {
        Ok(code) => code,
        Err(lost) => say::lost(err, lost),
    }
}

/// Judges what a command needs of its caller before PID 1 is asked.
#[inline(never)]
fn prepare(command: &Command<'_>, spec: &mut SpecBuf, err: &mut Out) -> Result<(), u8> {
    let Command::Start { name, dir, flags } = *command else {
        return Ok(());
    };
    if flags == flags::ATTACHED && start::in_front(crate::sys::stdio::stdin()) {
        put!(
            err,
            "Pouch: {}: pouch_start without --demonize runs in the background only: end the line with & or add --demonize\n",
            Plain(name)
        );
        return Err(say::FAILED);
    }
    if let Some(image) = dir.filter(|d| crate::format::name::is_valid(d)) {
        // A file that defines it may have named a folder.
        spec.remove(Tag::Root);
        if !images::is_there(image) || spec.set_str(Tag::Image, image).is_err() {
            return Err(say::usage(err, args::Usage::NoImage { name, image }));
        }
    } else if let Some(dir) = dir
        && let Err(error) = start::set_root(spec, dir)
    {
        let (name, dir) = (Plain(name), Plain(dir));
        put!(
            err,
            "Pouch: {}: unable to find {}: {}\n",
            name,
            dir,
            say::reason(error)
        );
        return Err(say::FAILED);
    }
    // A spec without room for four more bytes was full before; PID 1 would see half of it.
    if flags != 0 && spec.add_flags(flags).is_err() {
        return Err(say::lost(err, Lost::TooLong));
    }
    Ok(())
}
