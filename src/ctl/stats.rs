//! `stats`: what each container uses, as a table, a live one, JSON, or for Prometheus.
//!
//! The names come from PID 1, the figures from each cgroup's own files, read here.

use super::args::Usage;
use super::exec::{TOLD, peek};
use super::out::Out;
use super::say;
use super::socket::{Lost, OUTSIDE, Room, Socket};
use super::start::in_front;
use crate::format::message::{MESSAGE_MAX, Reply, Request};
use crate::format::name::NAME_MAX;
use crate::format::text::{Plain, Take, Text, line_of, nth, put, which};
use crate::format::{number, unit};
use crate::jail::c_string;
use crate::sys::{file, lend, signal, stdio, terminal, time, wait};
use core::ffi::CStr;
use heapless::{String, Vec};
use rustix::fs::OFlags;

/// The figures' names in JSON, in the order of [`Figures`].
const NAMES: &str = "cpu_usec memory memory_max pids io_read io_written restarts oom_kills";
/// The same for Prometheus, behind `pouch_`; microseconds of a processor are shown as seconds.
const METRICS: &str = "cpu_seconds_total memory_bytes memory_limit_bytes pids io_read_bytes_total \
    io_written_bytes_total restarts_total oom_kills_total";

/// The files they are read from and the words before them; io.stat is a sum of its own.
const FILES: [(&CStr, &[u8]); 4] = [
    (c"cpu.stat", b"usage_usec "),
    (c"memory.current", b""),
    (c"memory.max", b""),
    (c"pids.current", b""),
];
const CPU: usize = 0;
const MEMORY: usize = 1;

/// One container's figures; this stands for one that the kernel does not count.
type Figures = [u64; 8];
const NONE: u64 = u64::MAX;

/// The most containers shown.
const MOST: usize = 64;
/// Between two looks.
const STEP_MS: u64 = 1000;

struct Sample {
    name: String<NAME_MAX>,
    figures: Figures,
    /// Processor time since the look before, in tenths of a per cent.
    share: u64,
}

type Samples = Vec<Sample, MOST>;

/// How the answer is shown.
const FORMS: &str = "--watch --json --prometheus";

/// `pouch stats [--watch|--json|--prometheus]`: its exit code.
///
/// # Errors
/// The words are no such line.
pub fn command<'a>(words: &'a [&'a CStr], out: &mut Out, err: &mut Out) -> Result<u8, Usage<'a>> {
    let form = match *words {
        [] => None,
        [word] => {
            let word = word.to_bytes();
            Some(which(FORMS, word).ok_or(match word {
                [b'-', ..] => Usage::UnknownOption(word),
                _ => Usage::Count,
            })?)
        }
        _ => return Err(Usage::Count),
    };
    let (mut samples, mut before) = (Samples::new(), None);
    let mut taken = look(&mut samples, 0);
    let mut code = 0;
    match form {
        Some(1) if taken.is_ok() => json(out, &samples),
        Some(2) if taken.is_ok() => prometheus(out, &samples),
        Some(1 | 2) => {}
        _ => {
            signal::block_only(TOLD);
            let signals = signal::signalfd().ok();
            let live = form.is_some();
            if live && in_front(stdio::stdin()) {
                before = terminal::raw(stdio::stdin()).ok();
                out.take(b"\x1b[?25l\x1b[2J");
            }
            let mut at = time::now_ms();
            while taken.is_ok() {
                if live {
                    out.take(b"\x1b[H");
                    table(out, &samples, true);
                    out.take(b"\x1b[J");
                    if !out.flush() || out.is_closed() {
                        break;
                    }
                }
                let keys = before.as_ref().map(|_| stdio::stdin());
                let fds = [keys, signals.as_ref().map(lend), None, None, None];
                let ready = wait::ready(&fds, 0, Some(STEP_MS));
                let mut key = [0];
                if ready & 1 != 0 {
                    let len = rustix::io::read(stdio::stdin(), &mut key).unwrap_or(0);
                    if len == 0 || matches!(key, [b'q' | b'Q' | 3 | 4 | 27]) {
                        break;
                    }
                }
                let number = signal::taken(&signals);
                if matches!(number, 1..=15) {
                    code = 128 + number;
                    break;
                }
                let now = time::now_ms();
                taken = look(&mut samples, now.saturating_sub(at));
                at = now;
                if !live {
                    table(out, &samples, false);
                    break;
                }
            }
        }
    }
    if let Some(before) = &before {
        out.take(b"\x1b[?25h");
        out.flush();
        let _ = terminal::set(stdio::stdin(), before);
    }
    Ok(match taken {
        Ok(()) => code,
        Err(lost) => say::lost(err, lost),
    })
}

/// Takes a sample of each; `passed` is the time since the one before in milliseconds, 0 for none.
fn look(samples: &mut Samples, passed: u64) -> Result<(), Lost> {
    let socket = Socket::connect(OUTSIDE).map_err(Lost::Kernel)?;
    socket.send(&Request::List, &[])?;
    let mut room: Room = [0; MESSAGE_MAX];
    let mut next = Samples::new();
    while let Reply::Unit(unit) = socket.receive(&mut room)? {
        let [oom, ..] = unit.hurt;
        let mut sample = Sample {
            name: String::new(),
            figures: [NONE; 8],
            share: 0,
        };
        let _ = sample
            .name
            .push_str(core::str::from_utf8(unit.name).unwrap_or_default());
        read(&mut sample);
        let [cpu, .., restarts, kills] = &mut sample.figures;
        (*restarts, *kills) = (unit.restarts.into(), oom.into());
        let old = samples.iter().find(|old| old.name == sample.name);
        if let (Some(old), 1.., true) = (old, passed, *cpu != NONE) {
            let [was, ..] = old.figures;
            sample.share = cpu.saturating_sub(was) / passed;
        }
        let _ = next.push(sample);
    }
    *samples = next;
    Ok(())
}

/// Reads the files of one cgroup.
fn read(sample: &mut Sample) {
    let mut path = [0; 128];
    let parts: [&[u8]; 2] = [b"/sys/fs/cgroup/pouch/", sample.name.as_bytes()];
    let folder = c_string(&parts, &mut path)
        .and_then(|path| file::open_at(None, path, OFlags::PATH | OFlags::DIRECTORY));
    let Ok(folder) = folder else {
        return;
    };
    let mut room = [0; 1024];
    for (figure, (file, word)) in sample.figures.iter_mut().zip(FILES) {
        let text = peek(Some(lend(&folder)), file, &mut room);
        *figure = line_of(text, word).and_then(number::u64).unwrap_or(NONE);
    }
    let [_, _, _, _, read, written, ..] = &mut sample.figures;
    for word in peek(Some(lend(&folder)), c"io.stat", &mut room).split(u8::is_ascii_whitespace) {
        for (sum, key) in [(&mut *read, b"rbytes="), (&mut *written, b"wbytes=")] {
            if let Some(more) = crate::format::text::behind(word, key).and_then(number::u64) {
                // The first makes a number of what was none.
                *sum = if *sum == NONE { more } else { *sum + more };
            }
        }
    }
}

fn json(out: &mut Out, samples: &Samples) {
    let mut lead = "[";
    for sample in samples {
        put!(
            out,
            "{}{\"name\":\"{}\"",
            lead,
            Plain(sample.name.as_bytes())
        );
        for (at, figure) in sample.figures.iter().enumerate() {
            put!(out, ",\"{}\":", nth(NAMES, b' ', at).unwrap_or_default());
            match *figure {
                NONE => out.take(b"null"),
                figure => put!(out, "{}", figure),
            }
        }
        out.take(b"}");
        lead = ",\n";
    }
    put!(out, if samples.is_empty() { "[]\n" } else { "]\n" });
}

fn prometheus(out: &mut Out, samples: &Samples) {
    let mut at = 0;
    while let Some(metric) = nth(METRICS, b' ', at) {
        let kind = match metric.as_bytes() {
            [.., b'l'] => "counter",
            _ => "gauge",
        };
        put!(out, "# TYPE pouch_{} {}\n", metric, kind);
        for sample in samples {
            let figure = sample.figures.get(at).copied().unwrap_or(NONE);
            if figure != NONE {
                let name = Plain(sample.name.as_bytes());
                put!(out, "pouch_{}{name=\"{}\"} {}", metric, name, figure);
                out.take(if at == CPU { b"e-6\n" } else { b"\n" });
            }
        }
        at += 1;
    }
}

fn table(out: &mut Out, samples: &Samples, live: bool) {
    let end: &[u8] = if live { b"\x1b[K\r\n" } else { b"\n" };
    out.take(b"NAME                CPU%    MEMORY     LIMIT   PIDS      READ   WRITTEN");
    out.take(end);
    for sample in samples {
        let mut cell = Text::<64>::new();
        put!(&mut cell, "{}", Plain(sample.name.as_bytes()));
        pad(out, &cell, -16);
        let mut cell = Text::new();
        put!(&mut cell, "{}.{}", sample.share / 10, sample.share % 10);
        pad(out, &cell, 8);
        for (at, width) in (MEMORY..).zip([10, 10, 7, 10, 10]) {
            let mut cell = Text::new();
            match sample.figures.get(at).copied().unwrap_or(NONE) {
                NONE => put!(&mut cell, "-"),
                // Processes are counted, all else is bytes.
                figure if width == 7 => put!(&mut cell, "{}", figure),
                figure => unit::size(&mut cell, figure),
            }
            pad(out, &cell, width);
        }
        if live {
            bar(out, sample.share, 1000);
            let [_, memory, limit, ..] = sample.figures;
            if memory != NONE && limit != NONE {
                bar(out, memory, limit);
            }
        }
        out.take(end);
    }
}

/// Twenty places, as many of them filled as there are twentieths.
fn bar(out: &mut Out, part: u64, whole: u64) {
    out.take(b" [");
    let filled = part.saturating_mul(20) / whole.max(1);
    for at in 0..20 {
        out.take(if at < filled { b"|" } else { b" " });
    }
    out.take(b"]");
}

/// A cell of a width, to the right; a width below 0 is to the left.
#[inline(never)]
fn pad(out: &mut Out, cell: &Text<64>, width: i32) {
    let blanks = width.unsigned_abs() as usize;
    if width < 0 {
        out.take(cell.as_bytes());
    }
    for _ in cell.as_bytes().len()..blanks {
        out.take(b" ");
    }
    if width > 0 {
        out.take(cell.as_bytes());
    }
}
