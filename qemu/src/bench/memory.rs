//! Memory: PID 1 idle, and with containers

use super::figures::{Figures, Init};
use super::report::{Report, Unit};
use super::rows::{INIT, Row, table};
use super::{Bench, guest};
use crate::serial::Serial;
use crate::{Result, deadline};

/// How many containers the memory of PID 1 is read with.
const CONTAINERS: u32 = 16;

const fn row(what: &'static str, name: &'static str) -> Row {
    Row(what, Unit::Size, name, Some((Init::Busybox, name, INIT)))
}

const ROWS: [Row; 14] = [
    row("PID 1 idle: VmRSS (1)", "idle.VmRSS"),
    row("PID 1 idle: RssAnon", "idle.RssAnon"),
    row("PID 1 idle: RssFile", "idle.RssFile"),
    row("PID 1 idle: RssShmem", "idle.RssShmem"),
    row("PID 1 idle: Rss, page by page", "idle.Rss"),
    row("PID 1 idle: anonymous, page by page", "idle.Anonymous"),
    row("PID 1 idle: Pss", "idle.Pss"),
    row("PID 1 idle: Private", "idle.Private"),
    Row("PID 1 with 16 containers: VmRSS", Unit::Size, "hold.VmRSS", None),
    Row("PID 1 with 16 containers: Rss, page by page", Unit::Size, "hold.Rss", None),
    Row("for each of the 16: VmRSS", Unit::Size, "hold.each.VmRSS", None),
    Row("for each of the 16: Rss", Unit::Size, "hold.each.Rss", None),
    Row("PID 1 with 16 full rings: Rss", Unit::Size, "full.Rss", None),
    Row("for each of the 16, ring full: Rss", Unit::Size, "full.each.Rss", None),
];

const NOTES: [&str; 1] =
    ["VmRSS, RssAnon, RssFile and RssShmem by /proc/1/status, whose counts lag by up to 64 pages a kind, more than a \
     small program has; the others by /proc/1/smaps_rollup, which walks the pages. An initramfs is shared memory: a \
     program's text on it counts as RssShmem."];

pub(super) fn measure(bench: &mut Bench) -> Result<Report> {
    let mut figures = Figures::default();
    bench.turns(&[Init::Pouch, Init::Busybox], &mut figures, |guest, init, figures| {
        memory(&mut guest.serial, init, "idle", figures)?;
        if init == Init::Pouch { containers(&mut guest.serial, figures) } else { Ok(()) }
    })?;
    let mut report = Report::new("Memory");
    report.tables.push(table("", &ROWS, &figures));
    report.notes.extend(NOTES.map(str::to_owned));
    Ok(report)
}

/// PID 1 as it stands, by the names of /proc/1/status and of /proc/1/smaps_rollup, which counts page by page.
fn memory(serial: &mut Serial, init: Init, when: &str, figures: &mut Figures) -> Result<()> {
    let shown = serial.run("cat /proc/1/status /proc/1/smaps_rollup")?;
    let field = |name: &str| -> Option<f64> {
        let line = shown.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let number: f64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
        Some(number * 1024.0)
    };
    let private = field("Private_Clean").zip(field("Private_Dirty")).map(|(clean, dirty)| clean + dirty);
    let found = ["VmRSS", "RssAnon", "RssFile", "RssShmem", "Rss", "Pss", "Anonymous"].map(|name| (name, field(name)));
    for (name, value) in found.into_iter().chain([("Private", private)]) {
        let key = format!("{when}.{name}");
        match value {
            Some(value) => figures.add(init, &key, value),
            None => figures.missing(init, &key, "/proc/1 does not say"),
        }
    }
    Ok(())
}

/// PID 1 with containers that sleep, and with ones whose rings are full.
fn containers(serial: &mut Serial, figures: &mut Figures) -> Result<()> {
    for step in ["hold", "full"] {
        serial.run_within(deadline::HEAVY, &format!("sh /bench/guest {step} {CONTAINERS}"))?;
        memory(serial, Init::Pouch, step, figures)?;
        guest::step(serial, &format!("drop {CONTAINERS}"))?;
        for name in ["VmRSS", "Rss"] {
            let now = |when: &str| figures.now(Init::Pouch, &format!("{when}.{name}"));
            if let Some((with, without)) = now(step).zip(now("idle")) {
                let each = (with - without) / f64::from(CONTAINERS);
                figures.add(Init::Pouch, &format!("{step}.each.{name}"), each);
            }
        }
    }
    Ok(())
}
