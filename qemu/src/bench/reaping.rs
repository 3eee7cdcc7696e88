//! Reaping: orphans that PID 1 inherits

use super::boot::several;
use super::figures::{Figures, Init, summary};
use super::report::{Report, Unit};
use super::{Bench, Boot, Guest, guest};
use crate::serial::Serial;
use crate::{Result, deadline};

/// Ten thousand processes at once want more than the board has.
const ROOM: [&str; 2] = ["-m", "1G"];

/// busybox and s6 as PID 1 of the guest; tini, who is none, of a PID namespace in pouch's guest.
const INITS: [Init; 4] = [Init::Pouch, Init::Busybox, Init::S6, Init::Tini];

const ROWS: [(&str, Unit, &str); 5] = [
    ("2,000 orphans, 250 dying at once: a second (1)", Unit::Count, "rate"),
    ("10,000 dying at once, until none is left (1)", Unit::Time, "burst"),
    ("death to reaped (2)", Unit::Time, "idle"),
    ("death to reaped, four processes busy (2)", Unit::Time, "load"),
    ("the slowest of these", Unit::Time, "load.most"),
];

const NOTES: [&str; 2] = [
    "`probe orphans N`: made, dead and reaped, until /proc/loadavg has no more processes than before (and ten). pouch, \
     busybox init and s6-svscan as PID 1 of the guest; tini-static as PID 1 of a PID namespace in a guest of pouch's.",
    "`timer reap 100`: an orphan's pidfd says that it is dead; then the kernel is asked until there is no such process. The \
     median of the hundred of each boot.",
];

pub(super) fn measure(bench: &mut Bench) -> Result<Report> {
    let mut figures = Figures::default();
    let boot = Boot { inits: true, arguments: ROOM.map(str::to_owned).into(), ..Boot::default() };
    bench.turns_of(&boot, &[Init::Pouch, Init::Busybox, Init::S6], &mut figures, look)?;
    let mut report = Report::new("Reaping");
    report.tables.push(several("", &INITS, &ROWS, &figures));
    report.notes.extend(NOTES.map(str::to_owned));
    Ok(report)
}

fn look(guest: &mut Guest, init: Init, figures: &mut Figures) -> Result<()> {
    let serial = &mut guest.serial;
    serial.run("echo 60000 >/proc/sys/kernel/threads-max")?;
    run(serial, init, "", figures)?;
    if init == Init::Pouch {
        run(serial, Init::Tini, "unshare -m -p -f --mount-proc /bench/tini -- ", figures)?;
    }
    Ok(())
}

fn run(serial: &mut Serial, init: Init, before: &str, figures: &mut Figures) -> Result<()> {
    let who = if init == Init::Tini { "tini." } else { "" };
    let shown = serial.run_within(deadline::HEAVY, &format!("{before}sh /bench/guest orphans {who}"))?;
    let mut found = Figures::default();
    guest::loop_figures(serial, init, &mut found)?;
    for (name, key) in [("orphans", "rate"), ("burst", "burst")] {
        match found.summary(init, &format!("{who}{name}")) {
            Ok(seconds) if key == "rate" => figures.add(init, key, 2000.0 / seconds.median),
            Ok(seconds) => figures.add(init, key, seconds.median),
            Err(reason) => figures.missing(init, key, &format!("{reason}; the guest said: '{}'", guest::said(&shown))),
        }
    }
    for when in ["idle", "load"] {
        let shown = serial.run_within(deadline::HEAVY, &format!("{before}sh /bench/guest reap {when}"))?;
        let times = shown.lines().filter_map(|line| line.trim().strip_prefix("reap ")?.parse::<f64>().ok());
        match summary(times.map(|microseconds| microseconds / 1e6)) {
            Some(found) => {
                figures.add(init, when, found.median);
                figures.add(init, &format!("{when}.most"), found.most);
            }
            None => {
                let reason = format!("timer reap gave no times, but '{}'", guest::said(&shown));
                for key in [when, &format!("{when}.most")] {
                    figures.missing(init, key, &reason);
                }
            }
        }
    }
    Ok(())
}
