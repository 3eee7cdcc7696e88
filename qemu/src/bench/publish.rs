//! Tables and pictures into the project: the README's short ones, and all of them beside the page on the method
//!
//! Each part stands behind a mark of its own, so a run of some parts replaces these and leaves the others as they are.

use super::draw;
use super::report::{Report, Table};
use crate::{Context, Error, Result};
use std::fmt::Write as _;
use std::path::Path;

/// Pictures, all tables, the page on the method.
const FOLDER: &str = "qemu/bench";
const BEGIN: &str =
    "<!-- Written by ./scripts/bench --write, up to the end mark: what is changed here by hand is lost. -->";
const END: &str = "<!-- The end of what ./scripts/bench writes. -->";
/// What stands before a part's name and behind it.
const PART: (&str, &str) = ("<!-- bench: ", " -->");

/// Rows of each part that the README shows, by what they begin with. A part without a list shows its first table.
const MAIN: [(&str, &[&str]); 1] = [("console", &["nobody", "pouch", "tmux", "8 MiB", "host shell"])];

/// Writes what was found by the parts (name and report), `head` before it; `all` are the parts in their order.
///
/// # Errors
/// A README without the two marks, and the file system's.
pub(super) fn write(root: &Path, head: &str, reports: &[(&str, Report)], all: &[&str]) -> Result<()> {
    let folder = root.join(FOLDER);
    std::fs::create_dir_all(&folder)?;
    let mut pieces = vec![("head", format!("{head}.\n"))];
    let mut tables = Vec::new();
    for (name, report) in reports {
        for plot in &report.plots {
            let path = folder.join(format!("{}.svg", plot.name));
            std::fs::write(&path, draw::draw(plot)).context(|| format!("unable to write {}", path.display()))?;
        }
        pieces.push((name, short(name, report)));
        tables.push((*name, format!("{}{head}.\n", report.render(true))));
    }
    let all: Vec<&str> = std::iter::once("head").chain(all.iter().copied()).collect();
    replace(&root.join("README.md"), &pieces, &all)?;
    replace(&folder.join("figures.md"), &tables, &all)
}

/// The README's part: its main rows and its pictures.
fn short(name: &str, report: &Report) -> String {
    let mut text = format!("### {}\n\n", report.title);
    let main = MAIN.iter().find(|(part, _)| *part == name).map(|(_, rows)| *rows);
    for table in report.tables.iter().take(if main.is_some() { usize::MAX } else { 1 }) {
        let picked = main.map_or_else(|| table.clone(), |main| pick(table, main));
        if !picked.rows.is_empty() {
            // Their notes stand with all the tables.
            text.push_str(&without_notes(&picked.markdown()));
            text.push('\n');
        }
    }
    for plot in &report.plots {
        let _ = writeln!(text, "![{}]({FOLDER}/{}.svg)\n", plot.title, plot.name);
    }
    text
}

fn pick(table: &Table, main: &[&str]) -> Table {
    let wanted = |row: &&Vec<super::report::Cell>| {
        row.first().is_some_and(|cell| main.iter().any(|begin| cell.show().starts_with(begin)))
    };
    Table { rows: table.rows.iter().filter(wanted).cloned().collect(), ..table.clone() }
}

/// `(1)`, which refers to a note, goes.
fn without_notes(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(" (") {
        let (before, behind) = rest.split_at(at);
        shown.push_str(before);
        let inside = behind[2..].find(')').map_or("x", |end| &behind[2..2 + end]);
        if inside.bytes().all(|byte| byte.is_ascii_digit()) {
            rest = &behind[2 + inside.len() + 1..];
        } else {
            shown.push_str(" (");
            rest = &behind[2..];
        }
    }
    shown + rest
}

/// Puts the pieces between the file's two marks, and leaves there what no piece replaces.
fn replace(path: &Path, pieces: &[(&str, String)], all: &[&str]) -> Result<()> {
    let text = std::fs::read_to_string(path).context(|| format!("unable to read {}", path.display()))?;
    let new = replaced(&text, pieces, all).context(|| path.display().to_string())?;
    std::fs::write(path, new).context(|| format!("unable to write {}", path.display()))
}

fn replaced(text: &str, pieces: &[(&str, String)], all: &[&str]) -> Result<String> {
    let marks = || Error::new(format!("it has not the two marks `{BEGIN}` and `{END}`"));
    let (before, rest) = text.split_once(BEGIN).ok_or_else(marks)?;
    let (old, behind) = rest.split_once(END).ok_or_else(marks)?;
    let mut new = format!("{before}{BEGIN}\n");
    for name in all {
        let mark = format!("{}{name}{}", PART.0, PART.1);
        let kept = || Some(old.split_once(&mark)?.1.split(PART.0).next()?.to_owned());
        let piece = pieces.iter().find(|(part, _)| part == name).map(|(_, piece)| piece.clone());
        if let Some(piece) = piece.or_else(kept) {
            let _ = writeln!(new, "{mark}\n\n{}\n", piece.trim());
        }
    }
    Ok(new + END + behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_some_parts_replaces_these_alone() {
        let all = ["head", "size", "start"];
        let empty = format!("# pouch\n{BEGIN}\n{END}\n## License\n");
        let piece = |name, text: &str| (name, text.to_owned());
        let both = replaced(&empty, &[piece("size", "small"), piece("start", "quick")], &all).unwrap();
        let then = replaced(&both, &[piece("head", "today"), piece("start", "quicker")], &all).unwrap();
        assert!(then.starts_with("# pouch\n") && then.ends_with(&format!("{END}\n## License\n")), "{then}");
        let at = |words: &str| then.find(words).unwrap();
        assert!(at("today") < at("small") && at("small") < at("quicker"), "{then}");
        assert_eq!(then.matches("bench: start").count(), 1, "{then}");
        assert!(!then.contains("quick\n"), "{then}");
        assert_eq!(replaced(&then, &[], &all).unwrap(), then, "nothing new, nothing changed");
        assert!(replaced("# pouch\n", &[], &all).is_err());
    }

    #[test]
    fn numbers_of_notes_go_and_other_brackets_stay() {
        assert_eq!(without_notes("a (1) b (2)| c (not) (12"), "a b| c (not) (12");
    }
}
