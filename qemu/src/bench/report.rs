//! What a part of the bench found: tables, notes, and the data of plots
//!
//! A figure that could not be had is a cell with its reason, never an empty one. The values stay values until
//! here, so that the same report becomes text, Markdown and pictures.

use super::figures::Summary;
use std::fmt::Write as _;

/// One part's findings.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    pub(super) title: String,
    pub(super) tables: Vec<Table>,
    /// What the tables' numbers in brackets refer to, from (1) on.
    pub(super) notes: Vec<String>,
    pub(super) plots: Vec<Plot>,
}

/// Rows below the names of their columns.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// Empty where the report's own title says it.
    pub(super) title: String,
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<Cell>>,
}

/// One cell.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    Text(String),
    /// A figure, and what stands before it.
    Value(String, Unit, Summary),
    /// There is no figure, for this reason.
    Missing(String),
}

/// What a figure is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Bytes, shown as KiB.
    Size,
    /// Seconds, shown as milliseconds.
    Time,
    /// Bytes a second, shown as KiB/s.
    Rate,
    /// Things, or one figure by another.
    Count,
}

/// Data to draw; `name` is the picture's file without its ending.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) unit: Unit,
    pub(super) kind: Kind,
}

/// What is drawn.
#[allow(dead_code, reason = "a part draws what suits its figures")]
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// A bar each.
    Bars(Vec<(String, Summary)>),
    /// Lines over a common axis: its name, then each line's name and points.
    Lines(String, Vec<(String, Vec<(f64, Summary)>)>),
    /// What happened from when to when, in the order of drawing.
    Waterfall(Vec<Span>),
}

/// A piece of time.
#[derive(Clone, Debug)]
pub(super) struct Span {
    /// Who: spans of one lane stand in one colour.
    pub(super) lane: String,
    pub(super) name: String,
    /// Seconds since the picture's beginning.
    pub(super) begin: f64,
    pub(super) end: f64,
}

impl Unit {
    /// By what a value is multiplied before it is shown, and the name behind it.
    pub(super) fn scale(self) -> (f64, &'static str) {
        match self {
            Self::Size => (1.0 / 1024.0, " KiB"),
            Self::Time => (1000.0, " ms"),
            Self::Rate => (1.0 / 1024.0, " KiB/s"),
            Self::Count => (1.0, ""),
        }
    }

    /// The median, and behind it how far the figures lie apart.
    pub(super) fn show(self, summary: &Summary) -> String {
        let (scale, unit) = self.scale();
        let [median, least, most] = [summary.median, summary.least, summary.most].map(|value| number(value * scale));
        if least == most { format!("{median}{unit}") } else { format!("{median}{unit} [{least} .. {most}]") }
    }
}

/// Three digits that say something.
pub(super) fn number(value: f64) -> String {
    let places = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.places$}")
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// The figure, or why there is none.
    pub(super) fn of(unit: Unit, found: Result<Summary, String>) -> Self {
        match found {
            Ok(summary) => Self::Value(String::new(), unit, summary),
            Err(reason) => Self::Missing(reason),
        }
    }

    pub(super) fn show(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Value(before, unit, summary) => format!("{before}{}", unit.show(summary)),
            Self::Missing(reason) => format!("not measured: {reason}"),
        }
    }
}

impl Table {
    pub(super) fn new(title: &str, columns: &[&str]) -> Self {
        Self { title: title.to_owned(), columns: columns.iter().map(|&name| name.to_owned()).collect(), rows: vec![] }
    }

    /// The table alone.
    pub(super) fn markdown(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, true);
        text
    }

    fn write(&self, text: &mut String, markdown: bool) {
        let head = self.columns.clone();
        let rows: Vec<Vec<String>> =
            std::iter::once(head).chain(self.rows.iter().map(|row| row.iter().map(Cell::show).collect())).collect();
        let width =
            |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..self.columns.len()).map(|column| width(column).unwrap_or(0)).collect();
        for (at, row) in rows.iter().enumerate() {
            let line = if markdown {
                format!("| {} |", row.iter().map(|cell| cell.replace('|', "\\|")).collect::<Vec<_>>().join(" | "))
            } else {
                let padded = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
                padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
            };
            // Writing to a string does not fail.
            let _ = writeln!(text, "{line}");
            if markdown && at == 0 {
                let _ = writeln!(text, "|{}", "---|".repeat(self.columns.len()));
            }
        }
    }
}

impl Report {
    pub(super) fn new(title: &str) -> Self {
        Self { title: title.to_owned(), ..Self::default() }
    }

    /// A report that has nothing but the reason.
    pub(super) fn missing(title: &str, reason: &str) -> Self {
        let mut table = Table::new("", &["measure", "figure"]);
        table.rows.push(vec![Cell::text(title), Cell::Missing(reason.lines().next().unwrap_or_default().to_owned())]);
        Self { tables: vec![table], ..Self::new(title) }
    }

    /// As text for a terminal, or as Markdown.
    pub(super) fn render(&self, markdown: bool) -> String {
        let mut text = String::new();
        let _ = if markdown { writeln!(text, "### {}\n", self.title) } else { writeln!(text, "== {}\n", self.title) };
        for table in &self.tables {
            if !table.title.is_empty() {
                let _ = writeln!(text, "{}{}\n", table.title, if markdown { ":" } else { "" });
            }
            table.write(&mut text, markdown);
            text.push('\n');
        }
        for (at, note) in (1..).zip(&self.notes) {
            let _ = if markdown { writeln!(text, "{at}. {note}") } else { writeln!(text, "({at}) {note}") };
        }
        if !self.notes.is_empty() {
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_could_not_be_had_has_its_reason_in_the_table() {
        let mut table = Table::new("", &["measure", "pouch"]);
        let figure = Summary { median: 2048.0, least: 1024.0, most: 4096.0, count: 3 };
        table.rows.push(vec![Cell::text("binary"), Cell::of(Unit::Size, Ok(figure))]);
        table.rows.push(vec![Cell::text("run"), Cell::of(Unit::Time, Err("status 2".into()))]);
        let text = Report { tables: vec![table], ..Report::new("Size") }.render(true);
        assert!(text.contains("| binary | 2.00 KiB [1.00 .. 4.00] |"), "{text}");
        assert!(text.contains("| run | not measured: status 2 |"), "{text}");
    }
}
