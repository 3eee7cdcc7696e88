//! The boot tests: every scenario, on every board, in as few boots as they can share
//!
//! `cargo test -p pouch-qemu --test boot [FILTER]`, after `./scripts/build BOARD`. `POUCH_BOARDS` names the
//! boards (all that were built); a name reads BOARD::GROUP::SCENARIO, and the filter is any part of it.

mod prompt;

use pouch_qemu::bed::BoardBed;
use pouch_qemu::board::{Board, project_root};
use pouch_qemu::scenario::{Group, Scenario, run};
use pouch_qemu::{Error, Result, scenarios};
use std::process::ExitCode;

/// One boot's worth: a name, further kernel words, the boards it is for, and what runs there.
struct Boot {
    name: &'static str,
    words: &'static str,
    wants: fn(&Board) -> bool,
    scenarios: Vec<Scenario<BoardBed>>,
}

const EVERY: fn(&Board) -> bool = |_| true;

fn boots() -> Vec<Boot> {
    vec![Boot {
        name: "prompt",
        words: "",
        wants: EVERY,
        scenarios: scenarios![prompt::the_board_boots_to_a_prompt, prompt::poweroff_switches_the_board_off],
    }]
}

fn groups() -> Result<Vec<Group<BoardBed>>> {
    let root = project_root()?;
    let mut boards = Vec::new();
    let chosen = std::env::var("POUCH_BOARDS").unwrap_or_default();
    if chosen.trim().is_empty() {
        for entry in std::fs::read_dir(root.join("board"))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if root.join("target/boards").join(&name).join("initramfs.cpio.gz").is_file() {
                boards.push(name);
            }
        }
        boards.sort();
    } else {
        boards.extend(chosen.split([' ', ',']).filter(|name| !name.is_empty()).map(str::to_owned));
    }
    if boards.is_empty() {
        return Err(Error::new("no board is built: ./scripts/build"));
    }
    let mut groups = Vec::new();
    // Boots of one board stand apart, so that the two that run at once are of two boards mostly.
    for boot in boots() {
        for name in &boards {
            if (boot.wants)(&Board::load(&root, name)?) {
                let (board, words) = (name.clone(), boot.words);
                groups.push(Group {
                    name: format!("{name}::{}", boot.name),
                    bed: Box::new(move || BoardBed::new(&board, words)),
                    scenarios: boot.scenarios.clone(),
                });
            }
        }
    }
    Ok(groups)
}

fn main() -> ExitCode {
    match groups() {
        Ok(groups) => {
            if run(groups) {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("boot tests: {error}");
            ExitCode::FAILURE
        }
    }
}
