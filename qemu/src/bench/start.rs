//! Start: from the request to the contained program's first instruction, and to its end
//!
//! The guest's own clock has both ends: a program of the bench's reads it, asks for a container, and the contained
//! program writes what it reads as its first act. Who is compared takes turns.

use super::figures::{Figures, Init, Summary, summary};
use super::report::{Cell, Kind, Plot, Report, Table, Unit};
use super::rows::{Row, table};
use super::{Bench, Boot, Guest, guest, trace};
use crate::bed::{Namespace, NamespaceOptions};
use crate::{Context, Result, deadline};
use std::collections::BTreeMap;

/// Rounds of everybody for each boot that the plan has: back to back, and with a gap.
const ROUNDS: usize = 3;
/// Milliseconds in which nothing is asked before each start of the second table.
const GAP: usize = 30;
/// Rounds of joining and of images.
const MORE: usize = 4;

/// Who starts containers: the name in the guest's script, and in the tables.
const STARTERS: [(&str, &str); 11] = [
    ("pouch-run", "pouch run"),
    ("pouch-bare", "pouch run --seccomp off (2)"),
    ("pouch-start", "pouch start, to its return"),
    ("floor", "the floor (1)"),
    ("floor-filter", "the floor, with pouch's filter (1)"),
    ("busybox", "busybox unshare + chroot (3)"),
    ("unshare", "unshare (3)"),
    ("bwrap", "bwrap (4)"),
    ("crun", "crun run (5)"),
    ("runc", "runc run (5)"),
    ("lxc", "lxc-execute (5)"),
];
/// So many of them, the first, want nothing of Debian's.
const HERE: usize = 6;
const JOINERS: [(&str, &str); 5] = [
    ("pouch-exec", "pouch exec"),
    ("busybox-nsenter", "busybox nsenter (6)"),
    ("nsenter", "nsenter (6)"),
    ("crun-exec", "crun exec"),
    ("runc-exec", "runc exec"),
];
const KINDS: [(&str, &str); 3] =
    [("directory", "from a directory"), ("overlay", "from an image, overlay on it"), ("host", "the host's own root")];

const NOTES: [&str; 8] = [
    "A C program of some lines, qemu/src/bench/floor.c: cgroup and limits, clone3 into it with the six namespaces, \
     /proc, /sys, /dev and its nodes, pivot_root, the masks, keyring, bounding set, capset, no_new_privs, execve, wait, \
     rmdir. Nobody is asked, nothing is checked or kept, there are no rules for devices, no terminal and no way back to \
     PID 1; the second has the same filter of system calls as pouch's containers.",
    "pouch's default has a seccomp filter and rules for devices as well; this is without the filter.",
    "mount, uts, ipc, net and pid namespaces (util-linux: cgroup too) and a chroot: no mounts, masks, capabilities, \
     limit.",
    "The namespaces, /proc, /dev, all capabilities dropped: no cgroup, no masks, no /sys.",
    "The same namespaces, mounts, masks, fourteen capabilities, memory and pids limit; lxc without the masks. No seccomp \
     filter.",
    "All namespaces of the container, and its root; pouch also joins the cgroup, and takes its rights.",
    "One command started after another, or sixty-four processes that each ask at once; until the last has ended, as a \
     time for each.",
    "From PID 1's first line in the kernel's log to the line that it starts the container.",
];

/// The same as before there were peers: what a shell's loop sees.
const UNSHARE: Option<(Init, &str, &str)> = Some((Init::Pouch, "unshare", "unshare + chroot"));
const LOOPS: [Row; 5] = [
    Row("start a container, to its return", Unit::Time, "start", UNSHARE),
    Row("run a container, to its end", Unit::Time, "run", UNSHARE),
    Row("chroot alone: what any command costs", Unit::Time, "chroot", None),
    Row("destroy an ended container", Unit::Time, "destroy", None),
    Row("destroy a running container", Unit::Time, "stop", None),
];

/// Seconds to the first instruction (or none) and to the end, by round.
type Runs = Vec<(Option<f64>, f64)>;

/// What one run of the guest's script said.
#[derive(Default)]
struct Said {
    runs: BTreeMap<String, Runs>,
    failed: BTreeMap<String, String>,
}

pub(super) fn measure(bench: &mut Bench) -> Result<Report> {
    let disk = bench.peers.is_ok();
    let mut report = Report::new("Start");
    if let Err(reason) = &bench.peers {
        report.tables.push(Table {
            rows: vec![vec![Cell::text("peers"), Cell::Missing(reason.clone())]],
            ..Table::new("", &["measure", "figure"])
        });
    }
    let (rounds, more) = (ROUNDS * bench.plan.boots, MORE * bench.plan.boots);
    let mut guest = bench.boot(&Boot { disk, words: CONTAINER.to_owned(), ..Boot::default() })?;
    let first = from_the_command_line(&mut guest);
    for (gap, title) in [(0, "back to back"), (GAP, "after 30 ms in which nothing was asked")] {
        bench.say(&format!("{rounds} rounds, {title}"));
        let said = said(&mut guest, &format!("containers {rounds} {gap}"))?;
        let (table, plot) = compare(&format!("A container from a directory, {title}"), &STARTERS, &said, "floor");
        report.tables.push(table);
        report.plots.push(Plot { name: format!("start-{gap}"), ..plot });
    }
    // Its place is one of the sixty-four's.
    guest.serial.run("pouch destroy boot")?;
    bench.say("joining, images, many");
    let joined = said(&mut guest, &format!("join {more} 0"))?;
    report.tables.push(compare("A command in a running container", &JOINERS, &joined, "nsenter").0);
    let kinds = said(&mut guest, &format!("kinds {more} 0"))?;
    let mut ours = compare("pouch run", &KINDS, &kinds, "directory").0;
    ours.rows.extend(many(&mut guest)?);
    ours.rows.push(vec![Cell::text("from the kernel's command line (8)"), Cell::of(Unit::Time, first)]);
    for row in &mut ours.rows {
        row.resize_with(ours.columns.len(), || Cell::text(""));
    }
    report.tables.push(ours);
    bench.say("where the time goes");
    match trace::waterfall(&mut guest) {
        Ok((table, plot)) => {
            report.tables.push(table);
            report.plots.push(plot);
        }
        Err(error) => report.tables.push(Report::missing("where the time goes", &error.to_string()).tables.remove(0)),
    }
    report.tables.push(loops(&mut guest)?);
    drop(guest);
    match machine(bench, rounds) {
        Ok(tables) => report.tables.extend(tables),
        Err(error) => report.tables.push(Report::missing("On this machine", &error.to_string()).tables.remove(0)),
    }
    report.notes.extend(NOTES.map(str::to_owned));
    Ok(report)
}

/// The same on this machine, whose processor nothing emulates: pouch is PID 1 of namespaces, of a root in memory.
fn machine(bench: &mut Bench, rounds: usize) -> Result<Vec<Table>> {
    let files = std::env::temp_dir().join(format!("pouch-bench-{}", std::process::id()));
    let taken = (|| {
        std::fs::create_dir_all(&files).context(|| format!("making {}", files.display()))?;
        crate::cpio::unpack(&guest::read(&bench.folder.join("more.cpio.gz"))?, &files)?;
        let options = NamespaceOptions { files: Some(files.join("bench")), ..NamespaceOptions::default() };
        let mut namespace = Namespace::start(&std::env::current_exe()?, &options)?;
        let serial = namespace.serial().reach_prompt()?;
        serial.run("cp -r /srv/in /bench")?;
        let mut tables = Vec::new();
        for (gap, title) in [(0, "back to back"), (GAP, "after 30 ms in which nothing was asked")] {
            bench.say(&format!("{rounds} rounds on this machine, {title}"));
            let shown = serial.run_within(deadline::HEAVY, &format!("sh /bench/start containers {rounds} {gap}"))?;
            let title = format!("The same on this machine, pouch as PID 1 of namespaces, {title}");
            tables.push(compare(&title, &STARTERS[..HERE], &parse(&shown), "floor").0);
        }
        Ok(tables)
    })();
    let _ = std::fs::remove_dir_all(&files);
    taken
}

/// A container that the kernel's command line starts.
const CONTAINER: &str = "\"pouch.container=boot,tty=none,command='/bin/probe hold'\"";

/// Seconds from PID 1's first line to the line that says it starts that container.
fn from_the_command_line(guest: &mut Guest) -> Result<Summary, String> {
    let shown = guest.serial.run("dmesg | grep -E 'pouch: '").map_err(|error| error.to_string())?;
    let at = |wanted: &dyn Fn(&str) -> bool| {
        let marks = shown.lines().filter_map(guest::Mark::parse);
        marks.filter(|mark| wanted(&mark.text)).map(|mark| mark.at).next()
    };
    let up = at(&|text| text.ends_with("is up"));
    let runs = at(&|text| text == "pouch: start boot");
    up.zip(runs)
        .and_then(|(up, runs)| summary([runs - up].into_iter()))
        .ok_or_else(|| "the kernel's log does not say when it began".to_owned())
}

fn said(guest: &mut Guest, step: &str) -> Result<Said> {
    let shown = guest.serial.run_within(deadline::HEAVY, &format!("sh /bench/start {step}"))?;
    Ok(parse(&shown))
}

fn parse(shown: &str) -> Said {
    let mut said = Said::default();
    for line in shown.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let seconds = |text: &str| text.parse::<f64>().ok().map(|micros| micros / 1e6);
        match words.as_slice() {
            ["run", name, first, end] => {
                if let Some(end) = seconds(end) {
                    said.runs.entry((*name).to_owned()).or_default().push((seconds(first), end));
                }
            }
            ["failed", name, rest @ ..] => {
                said.failed.insert(name.trim_start_matches('@').to_owned(), rest.join(" "));
            }
            _ => {}
        }
    }
    said
}

/// A table of everybody against one of them, round by round, and the bars to it.
fn compare(title: &str, list: &[(&str, &str)], said: &Said, base: &str) -> (Table, Plot) {
    let base_words = list.iter().find(|(name, _)| *name == base).map_or(base, |(_, words)| words);
    let base_words = base_words.split(" (").next().unwrap_or(base_words);
    let ours = list.first().map_or(base, |(name, _)| name);
    let mut table = Table::new(
        title,
        &[
            "",
            "to the first instruction",
            "to its end seen",
            &format!("first, of {base_words}"),
            "ours of it, first",
            "ours of it, end",
        ],
    );
    let empty = Runs::new();
    let runs = |name: &str| said.runs.get(name).unwrap_or(&empty);
    let mut bars = Vec::new();
    for (name, words) in list {
        let own = runs(name);
        let reason = || said.failed.get(*name).cloned().unwrap_or_else(|| "it is not here".to_owned());
        let firsts = summary(own.iter().filter_map(|(first, _)| *first));
        let ends = summary(own.iter().map(|(_, end)| *end));
        if let Some(found) = firsts {
            bars.push(((*words).to_owned(), found));
        }
        let ratio = |one: &Runs, other: &Runs, end: bool| {
            let value = |run: &(Option<f64>, f64)| if end { Some(run.1) } else { run.0 };
            let found = summary(one.iter().zip(other).filter_map(|(one, other)| Some(value(one)? / value(other)?)));
            found.map_or(Cell::text(""), |found| Cell::of(Unit::Count, Ok::<Summary, String>(found)))
        };
        table.rows.push(vec![
            Cell::text(*words),
            Cell::of(Unit::Time, firsts.ok_or_else(reason)),
            ends.map_or(Cell::text(""), |found| Cell::of(Unit::Time, Ok::<Summary, String>(found))),
            ratio(own, runs(base), false),
            ratio(runs(ours), own, false),
            ratio(runs(ours), own, true),
        ]);
    }
    let plot = Plot { name: String::new(), title: title.to_owned(), unit: Unit::Time, kind: Kind::Bars(bars) };
    (table, plot)
}

/// A hundred in a row, and sixty-four at once: seconds for each.
fn many(guest: &mut Guest) -> Result<Vec<Vec<Cell>>> {
    let shown = guest.serial.run_within(deadline::HEAVY, "sh /bench/start many 100 0")?;
    let line = |name: &str| {
        let found = shown.lines().find_map(|line| line.strip_prefix(name));
        let mut words = found.unwrap_or_default().split_whitespace();
        let mut number = || words.next().and_then(|word| word.parse::<f64>().ok());
        match (number(), number(), number()) {
            (Some(count), Some(micros), Some(0.0)) => {
                summary([micros / 1e6 / count].into_iter()).ok_or_else(String::new)
            }
            (_, _, Some(failed)) => Err(format!(
                "{failed} failed: {}",
                shown.lines().find(|line| line.starts_with("failed")).unwrap_or_default()
            )),
            _ => Err("the guest did not say".to_owned()),
        }
    };
    let row = |words: &str, found| vec![Cell::text(words), Cell::text(""), Cell::of(Unit::Time, found)];
    Ok(vec![row("a hundred in a row, each (7)", line("row")), row("sixty-four at once, each (7)", line("burst"))])
}

/// What a shell's loop sees.
fn loops(guest: &mut Guest) -> Result<Table> {
    let mut figures = Figures::default();
    guest::step(&mut guest.serial, "containers")?;
    guest::loop_figures(&mut guest.serial, Init::Pouch, &mut figures)?;
    Ok(table("Thirty times in a shell's loop: a turn of it, the shell's own work included", &LOOPS, &figures))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_reasons_come_from_the_guests_lines() {
        let said = parse("run pouch-run 1000 2000\nrun pouch-run - 3000\nfailed @lxc status 1: no rootfs\n");
        assert_eq!(said.runs["pouch-run"], [(Some(0.001), 0.002), (None, 0.003)]);
        assert_eq!(said.failed["lxc"], "status 1: no rootfs");
    }

    #[test]
    fn a_ratio_is_made_round_by_round_and_what_failed_is_named() {
        let said = parse("run a 1000 2000\nrun a 3000 4000\nrun b 2000 4000\nrun b 3000 4000\nfailed @c status 1: x\n");
        let (table, _) = compare("t", &[("a", "A"), ("b", "B (1)"), ("c", "C")], &said, "b");
        let shown: Vec<Vec<String>> = table.rows.iter().map(|row| row.iter().map(Cell::show).collect()).collect();
        assert_eq!(shown[0][3], "0.75 [0.50 .. 1.00]");
        assert_eq!(shown[2][1], "not measured: status 1: x");
        assert_eq!(table.columns[3], "first, of B");
    }
}
