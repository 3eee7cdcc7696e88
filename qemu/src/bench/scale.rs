//! Scale: start, list, stop and memory by the number of containers

use super::figures::{Figures, Init, Summary};
use super::report::{Cell, Kind, Plot, Report, Table, Unit};
use super::{Bench, Boot, guest, memory};
use crate::Result;
use std::time::Instant;

/// Tables of one size: what is measured with them, one boot a round.
struct Size {
    /// What stands behind a count in the table, and in the name and the title of the picture.
    label: &'static str,
    title: &'static str,
    plot: &'static str,
    /// How many there are; each is measured on the way from the one before it.
    counts: &'static [u32],
    /// Growth is that from this count on.
    from: u32,
    /// The most boots, since one with a thousand containers takes more than a minute.
    boots: usize,
    boot: fn() -> Boot,
}

const SIZES: [Size; 2] = [
    Size {
        label: "",
        title: "By the number of containers",
        plot: "scale",
        counts: &[1, 2, 4, 8, 16, 32, 64],
        from: 1,
        boots: 3,
        // They want more than the board has.
        boot: || Boot { arguments: ["-m", "1G"].map(str::to_owned).into(), ..Boot::default() },
    },
    Size {
        label: ", tables for 1,024 (3)",
        title: "By the number of containers, tables for 1,024",
        plot: "scale-1024",
        counts: &[1, 64, 128, 256, 512, guest::MANY],
        from: 64,
        boots: 1,
        // The kernel's log keeps what is said of all of them.
        boot: || Boot {
            many: true,
            words: "log_buf_len=4M".to_owned(),
            arguments: ["-m", "2G"].map(str::to_owned).into(),
            ..Boot::default()
        },
    },
];

const NOTES: [&str; 4] = [
    "Start and stop: a container's share of the time from the count before to this one, and back, the shell's fork and \
     exec of the command in it. `pouch list`: the mean of ten. Containers are `sleep` in /srv/web, as in the other parts.",
    "Growth: the exponent of the power that fits the medians best (0: does not grow; 1: doubles with the count).",
    "The same pouch built with POUCH_UNITS=1024, for this measurement, in one boot. What its rows of 1 and 64 have more \
     than the ordinary ones is the larger table's, which PID 1 looks through where it looks through all.",
    "What grows in a start and a stop then is the kernel's: the child begins with a copy of PID 1's descriptors, five a \
     container, which its execve closes; wait4(2) looks through all children; and the namespaces of those that were \
     stopped before are taken down meanwhile.",
];

/// Columns: the figure's name, and what stands behind the count in it.
const COLUMNS: [(&str, &str, Unit); 4] =
    [("start", "", Unit::Time), ("list", "", Unit::Time), ("stop", "", Unit::Time), ("memory", ".Rss", Unit::Size)];

pub(super) fn measure(bench: &mut Bench) -> Result<Report> {
    let mut table =
        Table::new("", &["containers", "start one (1) (4)", "list (1)", "stop one (1) (4)", "PID 1 resident"]);
    let mut report = Report::new("Scale");
    let boots = bench.plan.boots;
    for size in &SIZES {
        bench.plan.boots = boots.min(size.boots);
        bench.begun = Instant::now();
        let mut figures = Figures::default();
        // Without the larger tables the ordinary ones are measured all the same.
        if let Err(error) = of_size(bench, size, &mut figures) {
            bench.say(&error.to_string());
        }
        rows(size, &figures, &mut table);
        report.plots.push(Plot {
            name: size.plot.to_owned(),
            title: size.title.to_owned(),
            unit: Unit::Time,
            kind: Kind::Lines(
                "containers".to_owned(),
                COLUMNS[..3].iter().map(|&column| (column.0.to_owned(), points(size, &figures, column))).collect(),
            ),
        });
    }
    bench.plan.boots = boots;
    report.tables.push(table);
    report.notes.extend(NOTES.map(str::to_owned));
    Ok(report)
}

/// Grows to each count, and shrinks back.
fn of_size(bench: &mut Bench, size: &Size, figures: &mut Figures) -> Result<()> {
    bench.turns_of(&(size.boot)(), &[Init::Pouch], figures, |guest, init, figures| {
        let serial = &mut guest.serial;
        let mut before = 0;
        for &count in size.counts {
            guest::step(serial, &format!("grow {before} {count}"))?;
            memory::memory(serial, init, &format!("memory.{count}"), figures)?;
            before = count;
        }
        for pair in size.counts.windows(2).rev() {
            guest::step(serial, &format!("shrink {} {}", pair[1], pair[0]))?;
        }
        guest::step(serial, "shrink 1 0")?;
        guest::loop_figures(serial, init, figures)
    })
}

fn found(figures: &Figures, (name, rest, _): (&str, &str, Unit), count: u32) -> Result<Summary, String> {
    figures.summary(Init::Pouch, &format!("{name}.{count}{rest}"))
}

fn points(size: &Size, figures: &Figures, column: (&str, &str, Unit)) -> Vec<(f64, Summary)> {
    size.counts.iter().filter_map(|&count| Some((f64::from(count), found(figures, column, count).ok()?))).collect()
}

/// A row a count, and one of their growth.
fn rows(size: &Size, figures: &Figures, table: &mut Table) {
    for &count in size.counts {
        let mut row = vec![Cell::text(format!("{count}{}", size.label))];
        row.extend(COLUMNS.map(|column| Cell::of(column.2, found(figures, column, count))));
        table.rows.push(row);
    }
    let last = size.counts.last().copied().unwrap_or_default();
    let mut row = vec![Cell::text(format!("growth (2) from {} to {last}{}", size.from, size.label))];
    row.extend(COLUMNS.map(|column| {
        let mut points = points(size, figures, column);
        points.retain(|(count, _)| *count >= f64::from(size.from));
        match exponent(&points) {
            Some(power) => Cell::text(format!("{power:.2}")),
            None => Cell::Missing("too few figures".to_owned()),
        }
    }));
    table.rows.push(row);
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
