//! Scale: start, list, stop and memory by the number of containers

use super::figures::{Figures, Init, Summary};
use super::report::{Cell, Kind, Plot, Report, Table, Unit};
use super::{Bench, Boot, guest, memory};
use crate::Result;

/// How many there are; each is measured on the way from the one before it.
const COUNTS: [u32; 7] = [1, 2, 4, 8, 16, 32, 64];
/// They want more than the board has.
const ROOM: [&str; 2] = ["-m", "1G"];

const NOTES: [&str; 2] = [
    "Start and stop: a container's share of the time from the count before to this one, and back, the shell's fork and \
     exec of the command in it. `pouch list`: the mean of ten. Containers are `sleep` in /srv/web, as in the other parts.",
    "Growth: the exponent of the power that fits the medians best (0: does not grow; 1: doubles with the count).",
];

pub(super) fn measure(bench: &mut Bench) -> Result<Report> {
    let mut figures = Figures::default();
    let boot = Boot { arguments: ROOM.map(str::to_owned).into(), ..Boot::default() };
    bench.turns_of(&boot, &[Init::Pouch], &mut figures, |guest, init, figures| {
        let serial = &mut guest.serial;
        let mut before = 0;
        for count in COUNTS {
            guest::step(serial, &format!("grow {before} {count}"))?;
            memory::memory(serial, init, &format!("memory.{count}"), figures)?;
            before = count;
        }
        for pair in COUNTS.windows(2).rev() {
            guest::step(serial, &format!("shrink {} {}", pair[1], pair[0]))?;
        }
        guest::step(serial, "shrink 1 0")?;
        guest::loop_figures(serial, init, figures)
    })?;
    let mut table = Table::new("", &["containers", "start one (1)", "list (1)", "stop one (1)", "PID 1 resident"]);
    let columns =
        [("start", "", Unit::Time), ("list", "", Unit::Time), ("stop", "", Unit::Time), ("memory", ".Rss", Unit::Size)];
    let found = |(name, rest, _): (&str, &str, Unit), count: u32| {
        figures.summary(Init::Pouch, &format!("{name}.{count}{rest}"))
    };
    for count in COUNTS {
        let mut row = vec![Cell::text(count.to_string())];
        row.extend(columns.map(|column| Cell::of(column.2, found(column, count))));
        table.rows.push(row);
    }
    let points = |column| -> Vec<(f64, Summary)> {
        COUNTS.iter().filter_map(|&count| Some((f64::from(count), found(column, count).ok()?))).collect()
    };
    let mut row = vec![Cell::text("growth (2)")];
    row.extend(columns.map(|column| match exponent(&points(column)) {
        Some(power) => Cell::text(format!("{power:.2}")),
        None => Cell::Missing("too few figures".to_owned()),
    }));
    table.rows.push(row);
    let mut report = Report::new("Scale");
    report.tables.push(table);
    report.notes.extend(NOTES.map(str::to_owned));
    report.plots.push(Plot {
        name: "scale".to_owned(),
        title: "By the number of containers".to_owned(),
        unit: Unit::Time,
        kind: Kind::Lines(
            "containers".to_owned(),
            columns[..3].iter().map(|&column| (column.0.to_owned(), points(column))).collect(),
        ),
    });
    Ok(report)
}

/// The power of the count by which the medians grow: the slope of a line through their logarithms.
fn exponent(points: &[(f64, Summary)]) -> Option<f64> {
    let logs: Vec<(f64, f64)> = points
        .iter()
        .filter(|(count, found)| *count > 0.0 && found.median > 0.0)
        .map(|(count, found)| (count.ln(), found.median.ln()))
        .collect();
    if logs.len() < 2 {
        return None;
    }
    let many = super::size::count(logs.len());
    let (x, y) = logs.iter().fold((0.0, 0.0), |sum, log| (sum.0 + log.0 / many, sum.1 + log.1 / many));
    let (above, below) =
        logs.iter().fold((0.0, 0.0), |sum, log| (sum.0 + (log.0 - x) * (log.1 - y), sum.1 + (log.0 - x).powi(2)));
    Some(above / below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_doubles_with_the_count_grows_by_the_first_power() {
        let at = |value: f64| Summary { median: value, least: value, most: value, count: 1 };
        let near = |points: &[(f64, Summary)], power: f64| (exponent(points).unwrap() - power).abs() < 1e-9;
        assert!(near(&[(1.0, at(3.0)), (2.0, at(6.0)), (4.0, at(12.0))], 1.0));
        assert!(near(&[(1.0, at(3.0)), (2.0, at(3.0)), (4.0, at(3.0))], 0.0));
        assert!(exponent(&[(1.0, at(3.0))]).is_none());
    }
}
