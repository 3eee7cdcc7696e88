//! `./scripts/boot`: this terminal, or a pipe, as the board's serial port
//!
//! At a terminal: raw, every key goes to the board but Ctrl-A, which begins a word to us: Ctrl-A X leaves,
//! Ctrl-A Ctrl-A sends one. From a pipe: each line is typed at a prompt, and the status is 0 when the board
//! switched itself off.

use crate::board::Board;
use crate::deadline::Deadline;
use crate::machine::{End, Machine, Options};
use crate::serial::Serial;
use crate::terminal::{self, Raw};
use crate::{Context, Error, Result, screen};
use rustix::event::{PollFd, PollFlags, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::fs::File;
use std::io::{BufRead, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// A command from a pipe may take this long until the next one is typed without a prompt.
const NEXT_PROMPT: Deadline = Deadline { name: "the next prompt", seconds: 20 };
/// The whole of a scripted boot, unless `POUCH_BOOT_TIMEOUT` says otherwise.
const WHOLE: Deadline = Deadline { name: "the board is off", seconds: 300 };
const ESCAPE: u8 = 0x01;
/// What the kernel says where no QEMU ends: a board that can only halt, and halt itself.
const HALTED: [&str; 3] = ["reboot: System halted", "reboot: Power down", "reboot: Power off not available"];

/// Boots `board` on this process's standard streams; returns the exit status.
///
/// # Errors
/// In words why the board did not come up, or did not end as it should.
pub fn boot(root: &Path, board: &Board, options: &Options) -> Result<i32> {
    let mut options = options.clone();
    if let Some((rows, columns)) = terminal::size() {
        // A serial line carries no size; the variables that programs know for it do.
        options.append = format!("{} LINES={rows} COLUMNS={columns}", options.append);
    }
    let machine = Machine::start(board, &board.folder(root), &options)?;
    leave_on_signal(machine.id())?;
    if terminal::is_interactive() { interactive(board, machine) } else { scripted(board, machine) }
}

/// The kernel kills QEMU when we exit (PDEATHSIG); killing it first means nobody sees it linger.
fn leave_on_signal(qemu: u32) -> Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            terminal::restore();
            if let Some(pid) = i32::try_from(qemu).ok().and_then(rustix::process::Pid::from_raw) {
                // Our own unwaited child: the number can't be another's.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

fn interactive(board: &Board, mut machine: Machine) -> Result<i32> {
    let mut line = File::from(machine.take_serial(board.console_serial)?);
    eprintln!("pouch: {} boots; Ctrl-A X leaves", board.name);
    let raw = Raw::enter().context(|| "unable to make this terminal raw")?;
    let (mut input, mut output) = (std::io::stdin(), std::io::stdout());
    let (mut buffer, mut escaped) = ([0; 4096], false);
    let end = loop {
        let (keyboard, serial) = {
            let stdin = rustix::stdio::stdin();
            let mut fds = [PollFd::new(&stdin, PollFlags::IN), PollFd::new(&line, PollFlags::IN)];
            match poll(&mut fds, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            (!fds[0].revents().is_empty(), !fds[1].revents().is_empty())
        };
        if serial {
            let count = line.read(&mut buffer).unwrap_or(0);
            if count == 0 {
                break Some(machine.wait_end(crate::deadline::END)?);
            }
            output.write_all(&buffer[..count])?;
            output.flush()?;
        }
        if keyboard {
            let count = input.read(&mut buffer)?;
            let mut typed = Vec::with_capacity(count);
            let mut leave = count == 0;
            for &byte in &buffer[..count] {
                match (std::mem::take(&mut escaped), byte) {
                    (true, b'x' | b'X') => leave = true,
                    (true, ESCAPE) => typed.push(ESCAPE),
                    (true, _) => {}
                    (false, ESCAPE) => escaped = true,
                    (false, _) => typed.push(byte),
                }
            }
            // A board that is gone is noticed by reading.
            let _ = line.write_all(&typed);
            if leave {
                break None;
            }
        }
    };
    drop(raw);
    Ok(match end {
        None => {
            eprintln!("\npouch: left the board");
            0
        }
        Some(End::PowerOff) => {
            eprintln!("pouch: the board is off");
            0
        }
        Some(End::Reboot) => {
            eprintln!("pouch: the board wanted to reboot");
            0
        }
        Some(End::Other(reason)) => return Err(Error::new(reason)),
    })
}

fn scripted(board: &Board, mut machine: Machine) -> Result<i32> {
    let mut whole = WHOLE;
    if let Ok(text) = std::env::var("POUCH_BOOT_TIMEOUT") {
        whole.seconds = text.parse().context(|| format!("POUCH_BOOT_TIMEOUT={text}"))?;
    }
    let limit = whole.from_now();
    let mut serial = Serial::new(board.name.clone(), machine.take_serial(board.console_serial)?)?;
    let mut shown = Shown::default();
    // Typing waits in calls of its own; the person watches meanwhile what has come so far after each.
    let typed = type_all(&mut serial, &mut machine, &mut shown, limit);
    let end = typed.and_then(|()| wait_off(&serial, &mut machine, &mut shown, limit, whole));
    shown.show(&serial)?;
    match end? {
        End::PowerOff => Ok(0),
        End::Reboot => Err(Error::new("the board wanted to reboot instead of switching off")),
        End::Other(reason) => Err(Error::new(reason)),
    }
}

fn type_all(serial: &mut Serial, machine: &mut Machine, shown: &mut Shown, limit: Instant) -> Result<()> {
    let mut lines = std::io::stdin().lock().lines();
    let mut watch =
        |serial: &Serial, machine: &mut Machine, deadline: Instant, ready: &dyn Fn(&str) -> bool| -> Result<bool> {
            loop {
                shown.show(serial)?;
                if ready(&serial.rest()) {
                    return Ok(true);
                }
                if over(serial, machine)? || Instant::now() >= deadline {
                    return Ok(false);
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        };
    let offered = |text: &str| text.contains("ress Enter") || screen::at_prompt(text);
    if !watch(serial, machine, limit, &offered)? {
        return Ok(());
    }
    if !screen::at_prompt(&serial.transcript()) {
        serial.send(b"\r")?;
        if !watch(serial, machine, limit, &screen::at_prompt)? {
            return Ok(());
        }
    }
    while let Some(line) = lines.next().transpose()? {
        if let Err(error) = serial.type_line(&line) {
            // The board went off under the line: how it ended is the answer then.
            return if over(serial, machine)? { Ok(()) } else { Err(error) };
        }
        if !watch(serial, machine, NEXT_PROMPT.from_now().min(limit), &screen::at_prompt)? {
            if over(serial, machine)? {
                return Ok(());
            }
            eprintln!("pouch: no prompt within {} s after '{line}'; typing on", NEXT_PROMPT.length().as_secs());
        }
    }
    Ok(())
}

/// Nobody is there to type to any more: QEMU ended, or the kernel did.
fn over(serial: &Serial, machine: &mut Machine) -> Result<bool> {
    Ok(machine.ended()?.is_some() || panicked(serial) || halted(&serial.transcript()))
}

/// What the kernel says last where the power can't be cut, and on halt.
#[must_use]
pub fn halted(text: &str) -> bool {
    HALTED.iter().any(|word| text.contains(word))
}

fn panicked(serial: &Serial) -> bool {
    serial.transcript().contains("Kernel panic - not syncing")
}

fn wait_off(serial: &Serial, machine: &mut Machine, shown: &mut Shown, limit: Instant, whole: Deadline) -> Result<End> {
    loop {
        shown.show(serial)?;
        if machine.ended()?.is_some() {
            return machine.wait_end(crate::deadline::END);
        }
        let text = serial.transcript();
        if panicked(serial) {
            return Err(Error::new("the board's kernel panicked"));
        }
        if halted(&text) {
            // Where the power can be cut, QEMU ends within moments; where not, this is as off as it gets.
            let ended = machine.wait_end(Deadline { name: "QEMU ends after the kernel did", seconds: 3 });
            return ended.or_else(|_| machine.qmp.quit().map(|()| End::PowerOff));
        }
        if Instant::now() >= limit {
            return Err(Error::new(format!(
                "not within {} s: {} (POUCH_BOOT_TIMEOUT sets the limit)",
                whole.length().as_secs(),
                whole.name
            )));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Copies the board's output to ours, once.
#[derive(Default)]
struct Shown(usize);

impl Shown {
    fn show(&mut self, serial: &Serial) -> Result<()> {
        let raw = serial.raw();
        let new = raw.get(self.0..).unwrap_or_default();
        if !new.is_empty() {
            // The cursor query would be answered by our terminal, into the next prompt there.
            let plain = String::from_utf8_lossy(new).replace("\x1b[6n", "");
            let mut output = std::io::stdout().lock();
            output.write_all(plain.as_bytes())?;
            output.flush()?;
            self.0 = raw.len();
        }
        Ok(())
    }
}
