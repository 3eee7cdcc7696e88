//! Tables of ours against one peer's, turn by turn
//!
//! A row is a figure of ours and, where there is a peer, the peer's; the ratio is made turn by turn.

use super::figures::{Figures, Init, Summary};
use super::report::{Cell, Table, Unit};

/// What was measured, its unit, its name in the boots of pouch, and the peer: whose boots, its name there, its words.
pub(super) struct Row(
    pub(super) &'static str,
    pub(super) Unit,
    pub(super) &'static str,
    pub(super) Option<(Init, &'static str, &'static str)>,
);

/// What busybox's init is called in the tables.
pub(super) const INIT: &str = "busybox init";

/// The rows with their figures.
pub(super) fn table(title: &str, rows: &[Row], figures: &Figures) -> Table {
    let mut table = Table::new(title, &["measure", "pouch", "against", "ratio"]);
    table.rows = rows.iter().map(|row| cells(row, figures)).collect();
    table
}

fn cells(Row(what, unit, name, peer): &Row, figures: &Figures) -> Vec<Cell> {
    let (mut against, mut ratio) = (Cell::text(""), Cell::text(""));
    if let Some((init, other, words)) = *peer {
        against = match figures.summary(init, other) {
            Ok(found) => Cell::Value(format!("{words}: "), *unit, found),
            Err(reason) => Cell::text(format!("{words}: not measured: {reason}")),
        };
        if let Some(found) = figures.ratio((Init::Pouch, name), (init, other)) {
            ratio = Cell::of(Unit::Count, Ok::<Summary, String>(found));
        }
    }
    vec![Cell::text(*what), Cell::of(*unit, figures.summary(Init::Pouch, name)), against, ratio]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_without_a_figure_says_so_by_name() {
        let mut figures = Figures::default();
        figures.add(Init::Pouch, "size", 2048.0);
        figures.add(Init::Busybox, "size", 4096.0);
        figures.missing(Init::Pouch, "run", "status 2");
        let rows = [
            Row("binary", Unit::Size, "size", Some((Init::Busybox, "size", "busybox"))),
            Row("run", Unit::Time, "run", None),
        ];
        let shown: Vec<Vec<String>> =
            table("", &rows, &figures).rows.iter().map(|row| row.iter().map(Cell::show).collect()).collect();
        assert_eq!(shown[0], ["binary", "2.00 KiB", "busybox: 4.00 KiB", "0.50"]);
        assert_eq!(shown[1], ["run", "not measured: status 2", "", ""]);
    }
}
