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
use crate::format::text::{Plain, Take, Text, cut, decimal, find, line_of, nth, put, which};
use crate::format::{number, unit};
use crate::jail::c_string;
use crate::sys::{file, lend, signal, stdio, terminal, time, wait};
use core::ffi::CStr;
use rustix::fs::OFlags;

/// A container in JSON, its figures in their order.
const JSON: &str = "{\"name\":\"%n\",\"cpu_usec\":%0,\"memory\":%1,\"memory_max\":%2,\"pids\":%3,\
    \"io_read\":%4,\"io_written\":%5,\"restarts\":%6,\"oom_kills\":%7}";
/// The same in the table.
const HEAD: &[u8] = b"NAME            CPU%    MEMORY     LIMIT      PIDS      READ   WRITTEN";
const ROW: &str = "%N%S%A%B%C%D%E";
/// The figures' names for Prometheus, behind `pouch_`; microseconds of a processor are shown as seconds.
const METRICS: &str = "cpu_seconds_total memory_bytes memory_limit_bytes pids io_read_bytes_total \
    io_written_bytes_total restarts_total oom_kills_total";

/// The files that the first are read from, and the words before them.
const FILES: [(&CStr, &[u8]); 6] = [
    (c"cpu.stat", b"usage_usec "),
    (c"memory.current", b""),
    (c"memory.max", b""),
    (c"pids.current", b""),
    (c"io.stat", b" rbytes="),
    (c"io.stat", b" wbytes="),
];
const CPU: usize = 0;

/// One container's figures; this stands for one that the kernel does not count.
type Figures = [u64; 8];
const NONE: u64 = u64::MAX;

/// The most containers shown.
const MOST: usize = crate::policy::size::UNITS;
/// Between two looks.
const STEP_MS: u64 = 1000;

#[derive(Clone, Copy)]
struct Sample {
    name: [u8; NAME_MAX + 1],
    figures: Figures,
    /// Processor time since the look before, in tenths of a per cent.
    share: u64,
}

impl Sample {
    /// Its name, which ends in zeros.
    fn name(&self) -> Plain<'_> {
        Plain(cut(&self.name, 0).0)
    }
}

/// Those of the look before are where the same container is looked for first.
struct Samples {
    all: [Sample; MOST],
    count: usize,
}

impl Samples {
    fn all(&self) -> &[Sample] {
        self.all.get(..self.count).unwrap_or_default()
    }
}

/// How the answer is shown.
const FORMS: &str = "--watch --json --prometheus";

/// `pouch stats [--watch|--json|--prometheus]`: its exit code.
///
/// # Errors
/// The words are no such line.
#[inline(never)]
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
    let nobody = Sample {
        name: [0; NAME_MAX + 1],
        figures: [NONE; 8],
        share: 0,
    };
    let mut samples = Samples {
        all: [nobody; MOST],
        count: 0,
    };
    let mut before = None;
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
#[inline(never)]
fn look(samples: &mut Samples, passed: u64) -> Result<(), Lost> {
    let socket = Socket::connect(OUTSIDE).map_err(Lost::Kernel)?;
    socket.send(&Request::List, &[])?;
    let mut room: Room = [0; MESSAGE_MAX];
    samples.count = 0;
    while let Reply::Unit(unit) = socket.receive(&mut room)? {
        let Some(sample) = samples.all.get_mut(samples.count) else {
            break;
        };
        samples.count += 1;
        let [was, ..] = sample.figures;
        let same = cut(&sample.name, 0).0 == unit.name;
        sample.name = [0; NAME_MAX + 1];
        for (to, from) in sample.name.iter_mut().zip(unit.name) {
            *to = *from;
        }
        read(sample);
        let [oom, ..] = unit.hurt;
        let [cpu, .., restarts, kills] = &mut sample.figures;
        (*restarts, *kills) = (unit.restarts.into(), oom.into());
        sample.share = 0;
        if same && passed != 0 && *cpu != NONE {
            sample.share = cpu.saturating_sub(was) / passed;
        }
    }
    socket.close();
    Ok(())
}

/// Reads the files of one cgroup.
#[inline(never)]
fn read(sample: &mut Sample) {
    sample.figures = [NONE; 8];
    let mut path = [0; 128];
    let parts: [&[u8]; 2] = [b"/sys/fs/cgroup/pouch/", sample.name().0];
    let folder = c_string(&parts, &mut path)
        .and_then(|path| file::open_at(None, path, OFlags::PATH | OFlags::DIRECTORY));
    let Ok(folder) = folder else {
        return;
    };
    let mut room = [0; 1024];
    for (figure, (file, word)) in sample.figures.iter_mut().zip(FILES) {
        let text = peek(Some(lend(&folder)), file, &mut room);
        *figure = match word {
            // A device's line has many words; those of all devices are summed.
            [b' ', ..] => sum(text, word),
            _ => line_of(text, word).and_then(number::u64).unwrap_or(NONE),
        };
    }
}

/// The sum of the numbers behind a word.
fn sum(text: &[u8], word: &[u8]) -> u64 {
    let (mut sum, mut rest) = (NONE, text);
    while let Some(at) = find(rest, word) {
        rest = rest.get(at + word.len()..).unwrap_or_default();
        let digits = cut(cut(rest, b' ').0, b'\n').0;
        // The first makes a number of what was none.
        let more = number::u64(digits).unwrap_or(0);
        sum = if sum == NONE { more } else { sum + more };
    }
    sum
}

fn json(out: &mut Out, samples: &Samples) {
    out.take(b"[");
    for (at, sample) in samples.all().iter().enumerate() {
        out.take(if at == 0 { b"" } else { b",\n" });
        fill(out, JSON, sample);
    }
    out.take(b"]\n");
}

fn prometheus(out: &mut Out, samples: &Samples) {
    let mut at = 0;
    while let Some(metric) = nth(METRICS, b' ', at) {
        let kind = match metric.as_bytes() {
            [.., b'l'] => "counter",
            _ => "gauge",
        };
        put!(out, "# TYPE pouch_{} {}\n", metric, kind);
        for sample in samples.all() {
            let figure = sample.figures.get(at).copied().unwrap_or(NONE);
            if figure != NONE {
                put!(out, "pouch_{}", metric);
                fill(out, "{name=\"%n\"} ", sample);
                decimal(out, figure);
                out.take(if at == CPU { b"e-6\n" } else { b"\n" });
            }
        }
        at += 1;
    }
}

fn table(out: &mut Out, samples: &Samples, live: bool) {
    let end: &[u8] = if live { b"\x1b[K\r\n" } else { b"\n" };
    out.take(HEAD);
    out.take(end);
    for sample in samples.all() {
        fill(out, ROW, sample);
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

/// Fills a form. `%n` is the name and a digit one of the figures as it is; a capital is a cell of
/// ten places: the name to the left, the share, or, from A on, a figure as people read it.
#[inline(never)]
fn fill(out: &mut Out, form: &str, sample: &Sample) {
    let mut rest = form.as_bytes();
    loop {
        let (words, behind) = cut(rest, b'%');
        out.take(words);
        let Some([key, behind @ ..]) = behind else {
            return;
        };
        rest = behind;
        let mut cell = Text::<64>::new();
        let mut figure = sample
            .figures
            .get(usize::from(key & 7))
            .copied()
            .unwrap_or(NONE);
        match key {
            b'n' | b'N' => put!(&mut cell, "{}", sample.name()),
            b'S' => {
                figure = sample.share;
                put!(&mut cell, "{}.{}", figure / 10, figure % 10);
            }
            _ if figure == NONE => cell.take(if *key < b'A' { b"null" } else { b"-" }),
            // Of the capitals, H stands for the first; processes are counted, all else is bytes.
            b'A' | b'B' | b'D' | b'E' => unit::size(&mut cell, figure),
            _ => decimal(&mut cell, figure),
        }
        let text = cell.as_bytes();
        if *key == b'N' {
            out.take(text);
        }
        if *key >= b'A' && *key < b'a' {
            for _ in text.len()..10 {
                out.take(b" ");
            }
        }
        if *key != b'N' {
            out.take(text);
        }
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
