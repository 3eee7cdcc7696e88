//! Console: bytes from a container to whoever looks, and a key's way there and back

use super::figures::{Figures, Init, Summary};
use super::report::{Cell, Kind, Plot, Report, Table, Unit};
use super::rows::{INIT, Row, table};
use super::size::count;
use super::{Bench, Boot, Guest};
use crate::serial::Serial;
use crate::{Context, Error, Result, deadline};
use regex_lite::Regex;
use std::collections::BTreeMap;
use std::time::Instant;

/// Bytes that the host shell writes to the serial port.
const SERIAL_BYTES: usize = 128 * 1024;
/// Boots of each init for the serial port at the most: the rest of the part wants its time.
const SERIAL_BOOTS: usize = 2;
/// Bytes that a container writes, as in console.sh; a fourth of it to a terminal that is connected.
const BYTES: usize = 8 * 1024 * 1024;
/// Containers that write without end meanwhile.
const FLOODS: [usize; 3] = [0, 1, 16];
/// Keys of one round, and rounds.
const KEYS: usize = 64;
const ROUNDS: usize = 2;
/// Who stands between the person and the shell: the name in console.sh, and in the tables.
const BETWEEN: [(&str, &str); 3] = [("shell", "nobody: a shell alone"), ("pouch", "pouch"), ("tmux", "tmux")];

const SERIAL: [Row; 2] = [
    Row("host shell to serial port (3)", Unit::Rate, "serial", Some((Init::Busybox, "serial", INIT))),
    Row("bytes that the serial port lost (3)", Unit::Size, "serial.lost", Some((Init::Busybox, "serial.lost", INIT))),
];

const FLOWS: [Row; 4] = [
    Row("8 MiB, container to its ring, by a pipe (1)", Unit::Rate, "none", None),
    Row("8 MiB, container to its ring, nobody looks (1)", Unit::Rate, "null", None),
    Row(
        "8 MiB, container to the VT in front (1)",
        Unit::Rate,
        "vt",
        Some((Init::Busybox, "/dev/tty1", "cat >/dev/tty1")),
    ),
    Row(
        "2 MiB, container to a terminal that is connected (2)",
        Unit::Rate,
        "flow",
        Some((Init::Busybox, "flow", "cat there")),
    ),
];

const NOTES: [&str; 4] = [
    "`cat` of the file as the container's command, from `pouch start` to `STATE: ended`, the start in it; a ring keeps \
     the last 16 KiB. The VT is the one on the screen. `cat >/dev/tty1` has no container and no terminal between.",
    "A program of the bench's (qemu/probe/src/keys.rs) holds a terminal, has `pouch connect` in it, and takes all that \
     comes; against that, a shell with `cat` in that terminal itself. Two terminals against one.",
    "`cat` of 128 KiB, what of it came by the workstation's clock; QEMU's emulated port is the narrow place. What pouch \
     lost, it announced on the line.",
    "The same program presses a key at a time on its terminal and waits until it is shown; median, and 99th percentile. \
     Alone: busybox's shell on that terminal, as askfirst leaves it on a port. pouch: `connect` to a container with that \
     shell, so key and echo pass two terminals. tmux: `attach` to a session with it. Those who flood run `probe write`, \
     for which the candidate takes the output (pouch: a container each, tmux: a window each), or a pipe to cat where \
     there is none.",
];

pub(super) fn measure(bench: &mut Bench) -> Result<Report> {
    let mut report = Report::new("Console");
    // First, while the part has its time.
    let mut figures = Figures::default();
    let boots = bench.plan.boots;
    bench.plan.boots = boots.min(SERIAL_BOOTS);
    let serial = bench.turns(&[Init::Pouch, Init::Busybox], &mut figures, |guest, init, figures| {
        serial_port(&mut guest.serial, init, figures)
    });
    bench.plan.boots = boots;
    if let Err(error) = serial {
        bench.say(&error.to_string());
    }

    let disk = bench.peers.is_ok();
    let mut guest = bench.boot(&Boot { disk, ..Boot::default() })?;
    let mut flows = Figures::default();
    flow(bench, &mut guest, &mut flows)?;
    let found = keys(bench, &mut guest, disk)?;
    report.tables.push(table("", &FLOWS, &flows));
    report.tables.push(keys_table(&found));
    report.tables.push(table("", &SERIAL, &figures));
    report.plots.push(plot(&found));
    report.notes.extend(NOTES.map(str::to_owned));
    Ok(report)
}

fn step(guest: &mut Guest, words: &str) -> Result<String> {
    guest.serial.run_within(deadline::HEAVY, &format!("sh /bench/console {words}"))
}

/// Eight megabytes to everywhere.
fn flow(bench: &Bench, guest: &mut Guest, figures: &mut Figures) -> Result<()> {
    step(guest, "big")?;
    // Two rounds: the first finds everything cold.
    for round in 0..ROUNDS {
        figures.round = round;
        bench.say(&format!("8 MiB to everywhere, round {} of {ROUNDS}", round + 1));
        for (init, words) in [
            (Init::Pouch, "into vt --tty tty1"),
            (Init::Busybox, "bare /dev/tty1"),
            (Init::Pouch, "into none --tty none"),
        ] {
            into(&step(guest, words)?, init, figures)?;
        }
    }
    step(guest, "slots")?;
    for round in 0..ROUNDS {
        figures.round = round;
        bench.say(&format!("8 MiB to a ring and through a terminal, round {} of {ROUNDS}", round + 1));
        into(&step(guest, "into null")?, Init::Pouch, figures)?;
        for line in step(guest, "flow")?.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (init, bytes, time) = match words[..] {
                ["pouch", "flow", bytes, time] => (Init::Pouch, bytes, time),
                ["shell", "flow", bytes, time] => (Init::Busybox, bytes, time),
                _ => return Err(Error::new(format!("not what flows: {line}"))),
            };
            let (bytes, time): (f64, f64) = (parse(bytes)?, parse(time)?);
            figures.add(init, "flow", bytes / (time / 1e6));
        }
    }
    Ok(())
}

fn parse(word: &str) -> Result<f64> {
    word.parse().context(|| format!("{word} is no number"))
}

/// `into NAME BEGIN END` of the kernel's clock, in seconds.
fn into(line: &str, init: Init, figures: &mut Figures) -> Result<()> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let ["into", name, begin, end] = words[..] else { return Err(Error::new(format!("not what was timed: {line}"))) };
    figures.add(init, name, count(BYTES) / (parse(end)? - parse(begin)?).max(0.01));
    Ok(())
}

/// Seconds of each key by who is between and how many flood, or why there are none.
type Keys = BTreeMap<(&'static str, usize), Result<Vec<f64>, String>>;

fn keys(bench: &Bench, guest: &mut Guest, disk: bool) -> Result<Keys> {
    let mut found = Keys::new();
    for round in 0..ROUNDS {
        for floods in FLOODS {
            bench.say(&format!("keys with {floods} that flood, round {} of {ROUNDS}", round + 1));
            for (who, _) in BETWEEN {
                if who == "tmux" && !disk {
                    found.insert((who, floods), Err("its package is not there".into()));
                    continue;
                }
                let said = step(guest, &format!("keys {who} {floods} {KEYS}"))?;
                let words: Vec<&str> = said.lines().last().unwrap_or_default().split_whitespace().collect();
                match (words.get(..3), found.entry((who, floods)).or_insert_with(|| Ok(Vec::new()))) {
                    (Some([_, _, "key"]), Ok(times)) => {
                        for word in words.iter().skip(3) {
                            times.push(parse(word)? / 1e6);
                        }
                    }
                    (_, old) => *old = Err(said.lines().last().unwrap_or("it said nothing").to_owned()),
                }
            }
        }
    }
    Ok(found)
}

/// The median, and up to the 99th percentile.
fn latency(times: &[f64]) -> Option<Summary> {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |percent: usize| sorted.get((sorted.len() * percent / 100).min(sorted.len().checked_sub(1)?)).copied();
    Some(Summary { median: at(50)?, least: *sorted.first()?, most: at(99)?, count: sorted.len() })
}

fn keys_table(found: &Keys) -> Table {
    let mut table = Table::new("A key to its echo (4)", &["between", "nobody floods", "1 floods", "16 flood"]);
    for (who, name) in BETWEEN {
        let cell = |floods: usize| match found.get(&(who, floods)) {
            Some(Ok(times)) => match latency(times) {
                Some(found) => Cell::text(format!("{:.2} ms, 99 %: {:.2} ms", found.median * 1e3, found.most * 1e3)),
                None => Cell::Missing("no key came back".into()),
            },
            Some(Err(reason)) => Cell::Missing(reason.clone()),
            None => Cell::Missing("it was not tried".into()),
        };
        table.rows.push(std::iter::once(Cell::text(name)).chain(FLOODS.map(cell)).collect());
    }
    table
}

fn plot(found: &Keys) -> Plot {
    let line = |(who, name): (&'static str, &str)| {
        let points = FLOODS.iter().filter_map(|&floods| {
            let times = found.get(&(who, floods))?.as_ref().ok()?;
            // From the median up: what the quickest key took is of no use to anybody.
            let mut summary = latency(times)?;
            summary.least = summary.median;
            Some((count(floods), summary))
        });
        (name.to_owned(), points.collect::<Vec<_>>())
    };
    let lines = BETWEEN.map(line).into_iter().filter(|(_, points)| !points.is_empty()).collect();
    Plot {
        name: "keys".into(),
        title: "A key to its echo: median, and up to the 99th percentile".into(),
        unit: Unit::Time,
        kind: Kind::Lines("containers that write without end".into(), lines),
    }
}

/// Bytes a second from a program on the host's shell to the serial port, by the workstation's clock.
fn serial_port(serial: &mut Serial, init: Init, figures: &mut Figures) -> Result<()> {
    serial.run(&format!("yes 'a line of text for the serial port' | head -c {SERIAL_BYTES} >/tmp/text"))?;
    let start = Instant::now();
    let shown = serial.run_within(deadline::HEAVY, "cat /tmp/text")?;
    let seconds = start.elapsed().as_secs_f64();
    // pouch says what a line lost; a gap that nobody announced shows in the length. The last line may be cut and
    // then ends in the prompt.
    let announced: usize = Regex::new(r"\[(\d+) bytes lost\]")
        .map_err(|error| Error::new(error.to_string()))?
        .captures_iter(&shown)
        .filter_map(|found| found.get(1)?.as_str().parse::<usize>().ok())
        .sum();
    let lost = announced.max(SERIAL_BYTES.saturating_sub(shown.len() + 64)).min(SERIAL_BYTES);
    figures.add(init, "serial", count(SERIAL_BYTES - lost) / seconds);
    figures.add(init, "serial.lost", count(lost));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_of_a_hundred_keys_is_the_percentile() {
        let times: Vec<f64> = (0..100u32).rev().map(f64::from).collect();
        let found = latency(&times).unwrap();
        assert!((found.median - 50.0).abs() < 1e-9 && (found.most - 99.0).abs() < 1e-9, "{found:?}");
        assert!(latency(&[]).is_none());
    }
}
