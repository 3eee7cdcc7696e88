//! Reaping: orphans that PID 1 inherits

use super::figures::{Figures, Init};
use super::report::{Report, Unit};
use super::rows::{INIT, Row, table};
use super::{Bench, guest};
use crate::Result;

const ROWS: [Row; 1] =
    [Row("2000 orphans made, dead and reaped (1)", Unit::Time, "orphans", Some((Init::Busybox, "orphans", INIT)))];

const NOTES: [&str; 1] =
    ["`probe orphans 2000`, 250 dying at once, until /proc/loadavg has no more processes than before (and ten)."];

pub(super) fn measure(bench: &mut Bench) -> Result<Report> {
    let mut figures = Figures::default();
    bench.turns(&[Init::Pouch, Init::Busybox], &mut figures, |guest, init, figures| {
        guest::step(&mut guest.serial, "orphans")?;
        guest::loop_figures(&mut guest.serial, init, figures)
    })?;
    let mut report = Report::new("Reaping");
    report.tables.push(table("", &ROWS, &figures));
    report.notes.extend(NOTES.map(str::to_owned));
    Ok(report)
}
