//! Boot: from the kernel's hand-over to somebody who can work

use super::figures::{Figures, Init};
use super::report::{Report, Unit};
use super::rows::{INIT, Row, table};
use super::{Bench, Guest, guest};
use crate::Result;

const ROWS: [Row; 4] = [
    Row("kernel's start to its hand-over (1)", Unit::Time, "kernel", Some((Init::Busybox, "kernel", INIT))),
    Row("hand-over to the shell's first line (1)", Unit::Time, "shell", Some((Init::Busybox, "shell", INIT))),
    Row("hand-over to the first typed command (1)", Unit::Time, "typed", Some((Init::Busybox, "typed", INIT))),
    Row("QEMU's start to the prompt", Unit::Time, "wall", Some((Init::Busybox, "wall", INIT))),
];

const NOTES: [&str; 1] = [
    "The kernel's log has both ends: its own line at the hand-over, then a line that /etc/profile of the login shell \
     writes before its prompt, and one that is typed the moment the prompt is seen, which has the workstation's answer \
     in it. Up to the hand-over both are the same: what differs there is noise. busybox's inittab mounts the same eight \
     file systems by two `mount -a`, sets the host's name and has one shell; pouch also opens every other line, the \
     cgroups and its socket.",
];

pub(super) fn measure(bench: &mut Bench) -> Result<Report> {
    let mut figures = Figures::default();
    bench.turns(&[Init::Pouch, Init::Busybox], &mut figures, way_to_the_prompt)?;
    let mut report = Report::new("Boot");
    report.tables.push(table("", &ROWS, &figures));
    report.notes.extend(NOTES.map(str::to_owned));
    Ok(report)
}

fn way_to_the_prompt(guest: &mut Guest, init: Init, figures: &mut Figures) -> Result<()> {
    figures.add(init, "wall", guest.wall);
    let marks = guest::marks(&mut guest.serial)?;
    let at = |wanted: fn(&str) -> bool| marks.iter().find(|mark| wanted(&mark.text)).map(|mark| mark.at);
    let Some(handover) = at(|text| text.ends_with("as init process")) else {
        figures.missing(init, "shell", "the kernel's log has no hand-over");
        return Ok(());
    };
    figures.add(init, "kernel", handover);
    for (key, moment) in [("shell", at(|text| text == "bench: shell")), ("typed", at(|text| text == "bench: typed"))] {
        match moment {
            Some(moment) => figures.add(init, key, moment - handover),
            None => figures.missing(init, key, "no mark in the kernel's log"),
        }
    }
    Ok(())
}
