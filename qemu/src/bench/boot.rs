//! Boot: from the kernel's hand-over to somebody who can work, and to the first container
//!
//! The chart is made of what PID 1 says with `pouch.log=debug`: microseconds of the monotonic clock, the newest first,
//! the very first line at the moment it names, which tells that clock from the log's.

use super::figures::{Figures, Init, summary};
use super::guest::Mark;
use super::report::{Cell, Kind, Plot, Report, Span, Table, Unit};
use super::{Bench, Boot, Guest, guest, inits};
use crate::Result;

const INITS: [Init; 4] = [Init::Pouch, Init::Busybox, Init::Finit, Init::S6];

const ROWS: [(&str, &str); 5] = [
    ("kernel's start to its hand-over (1)", "kernel"),
    ("hand-over to the shell's first line (1)", "shell"),
    ("hand-over to the first container's first instruction (2)", "first"),
    ("hand-over to the first typed command (1)", "typed"),
    ("QEMU's start to the prompt", "wall"),
];

const NOTES: [&str; 3] = [
    "The kernel's log has both ends: its own line at the hand-over, then a line that /etc/profile of the login shell \
     writes before its prompt, and one that is typed the moment the prompt is seen, which has the workstation's answer \
     in it. Up to the hand-over all are the same: what differs there is noise. The others mount the same eight file \
     systems by two `mount -a` in one script, set the host's name and have one shell; pouch also unpacks itself, opens \
     every other line, the cgroups and its socket. s6-svscan is what a script becomes: Debian has no s6-linux-init.",
    "A static program that reads the monotonic clock as its first act. pouch has it on the kernel line, with namespaces, \
     a cgroup, pivot_root, /proc, /sys, /dev, masks, capabilities, rules for devices and a filter of system calls; the \
     others have a script in the background, qemu/src/bench/contain, which makes the cgroup, then by `unshare -m -u -i -n \
     -p -f` mounts, nodes and masks, then a chroot, and leaves the rest out.",
    "The chart's steps are PID 1's own marks, of one boot more with `pouch.log=debug`.",
];

/// What PID 1 did until each of its marks.
const STEPS: [(&str, &str); 11] = [
    ("unpacked", "execute and unpack"),
    ("mounted", "early file systems"),
    ("tables", "tables, own binary"),
    ("cgroups", "cgroups"),
    ("socket", "control socket"),
    ("words", "kernel words"),
    ("console", "console line"),
    ("shell", "start the host shell"),
    ("terminals", "virtual terminals"),
    ("up", "definitions"),
    ("turned", "first turn"),
];

pub(super) fn measure(bench: &mut Bench) -> Result<Report> {
    let mut figures = Figures::default();
    let boot = Boot { inits: true, words: inits::FIRST.to_owned(), ..Boot::default() };
    bench.turns_of(&boot, &INITS, &mut figures, way_to_the_prompt)?;
    let mut report = Report::new("Boot");
    report.tables.push(several("", &INITS, &ROWS.map(|(what, name)| (what, Unit::Time, name)), &figures));
    report.notes.extend(NOTES.map(str::to_owned));
    let words = format!("{} pouch.log=debug", inits::FIRST);
    let charted = bench.boot(&Boot { words, ..boot }).and_then(|mut guest| guest::marks(&mut guest.serial));
    match charted.map(|marks| chart(&marks)) {
        Ok(Some(spans)) => report.plots.push(Plot {
            name: "boot".to_owned(),
            title: "From the kernel's hand-over to the prompt".to_owned(),
            unit: Unit::Time,
            kind: Kind::Waterfall(spans),
        }),
        Ok(None) => report.notes.push("No chart: PID 1's marks are not in the kernel's log.".to_owned()),
        Err(error) => report.notes.push(format!("No chart: {error}.")),
    }
    Ok(report)
}

/// A table with a column for each init, and the first one's ratio to the second.
pub(super) fn several(title: &str, inits: &[Init], rows: &[(&str, Unit, &str)], figures: &Figures) -> Table {
    let names: Vec<&str> = inits.iter().map(|init| init.name()).collect();
    let ratio = format!("{} / {}", names[0], names[1]);
    let columns: Vec<&str> = ["measure"].into_iter().chain(names).chain([ratio.as_str()]).collect();
    let mut table = Table::new(title, &columns);
    for &(what, unit, name) in rows {
        let mut row = vec![Cell::text(what)];
        row.extend(inits.iter().map(|&init| Cell::of(unit, figures.summary(init, name))));
        row.push(match figures.ratio((inits[0], name), (inits[1], name)) {
            Some(found) => Cell::of(Unit::Count, Ok(found)),
            None => Cell::text(""),
        });
        table.rows.push(row);
    }
    table
}

fn way_to_the_prompt(guest: &mut Guest, init: Init, figures: &mut Figures) -> Result<()> {
    figures.add(init, "wall", guest.wall);
    let clocks = "for i in 1 2 3 4 5 6 7 8; do echo \"<7>bench: clock $(/bench/timer clock)\" >/dev/kmsg; done";
    guest.serial.run(clocks)?;
    let first = guest.serial.run("while [ ! -s /srv/web/first ]; do usleep 10000; done; echo $(cat /srv/web/first)")?;
    let marks = guest::marks(&mut guest.serial)?;
    let at = |wanted: fn(&str) -> bool| marks.iter().find(|mark| wanted(&mark.text)).map(|mark| mark.at);
    let Some(handover) = at(|text| text.ends_with("as init process")) else {
        figures.missing(init, "shell", "the kernel's log has no hand-over");
        return Ok(());
    };
    figures.add(init, "kernel", handover);
    // How far the log's clock is ahead of the monotonic one; a fork and the shell are in it, the least of them least.
    let ahead = marks.iter().filter_map(|mark| {
        let clock: f64 = mark.text.strip_prefix("bench: clock ")?.trim().parse().ok()?;
        Some(mark.at - clock / 1e9)
    });
    let first = summary(ahead).zip(first.trim().parse::<f64>().ok()).map(|(ahead, clock)| clock / 1e9 + ahead.least);
    for (key, moment) in
        [("shell", at(|text| text == "bench: shell")), ("typed", at(|text| text == "bench: typed")), ("first", first)]
    {
        match moment {
            Some(moment) => figures.add(init, key, moment - handover),
            None => figures.missing(init, key, "it left no mark"),
        }
    }
    Ok(())
}

/// PID 1's steps and what it started, in seconds since the hand-over.
fn chart(marks: &[Mark]) -> Option<Vec<Span>> {
    let handover = marks.iter().find(|mark| mark.text.ends_with("as init process"))?.at;
    let said = |name: &str| {
        marks.iter().find_map(|mark| {
            let text = mark.text.strip_prefix("pouch: boot: ")?.strip_prefix(name)?;
            Some((mark.at, text.trim().parse::<f64>().ok()? / 1e6))
        })
    };
    let (at, clock) = said("turned")?;
    let ahead = at - clock;
    let mut spans = Vec::new();
    let mut begin = 0.0;
    for (name, what) in STEPS {
        let Some((_, clock)) = said(name) else { continue };
        let end = clock + ahead - handover;
        spans.push(Span { lane: "PID 1".to_owned(), name: what.to_owned(), begin, end });
        begin = end;
    }
    let begin = said("shell")?.1 + ahead - handover;
    for (text, name) in [("bench: shell", "to its first line"), ("bench: typed", "prompt, a typed command")] {
        let Some(mark) = marks.iter().find(|mark| mark.text == text) else { continue };
        let begin = spans.last().filter(|span| span.lane == "shell").map_or(begin, |span| span.end);
        spans.push(Span { lane: "shell".to_owned(), name: name.to_owned(), begin, end: mark.at - handover });
    }
    let event = |word: &str| marks.iter().find(|mark| mark.text.starts_with(word)).map(|mark| mark.at - handover);
    if let Some((begin, end)) = event("pouch: start first").zip(event("pouch: exec first")) {
        spans.push(Span { lane: "container".to_owned(), name: "first, to its execve".to_owned(), begin, end });
    }
    Some(spans)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_begins_at_the_hand_over_and_knows_both_clocks() {
        let marks: Vec<Mark> = [
            (3.0, "Run /init as init process"),
            (3.2, "bench: shell"),
            (3.3, "pouch: boot: turned 3310000"),
            (3.301, "pouch: boot: shell 3160000"),
            (3.302, "pouch: boot: unpacked 3060000"),
        ]
        .map(|(at, text)| Mark { at, text: text.to_owned() })
        .into();
        let spans = chart(&marks).unwrap();
        let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
        assert!(near(spans[0].begin, 0.0) && near(spans[0].end, 0.05), "{spans:?}");
        assert!(near(spans[1].end, 0.15) && near(spans[2].end, 0.3), "{spans:?}");
        assert!(spans[3].lane == "shell" && near(spans[3].begin, 0.15) && near(spans[3].end, 0.2), "{spans:?}");
        assert!(chart(&marks[..2]).is_none());
    }
}
