//! Keyboard and screen, by QEMU's control socket

use pouch_qemu::bed::BoardBed;
use pouch_qemu::{Error, Result, deadline};
use std::time::Instant;

/// The VT in front, as the kernel has it.
fn front(board: &mut BoardBed) -> Result<String> {
    board.boot()?.serial().run("cat /sys/class/tty/tty0/active")
}

pub fn alt_and_a_function_key_change_the_virtual_terminal(board: &mut BoardBed) -> Result<()> {
    for (key, terminal) in [("f3", "tty3"), ("f1", "tty1")] {
        board.boot()?.machine().qmp.keys(&["alt", key])?;
        let limit = deadline::ANSWER.from_now();
        // The key takes its way through an emulated controller: asked for until it arrived.
        while front(board)?.trim() != terminal {
            if Instant::now() >= limit {
                return Err(board.boot()?.serial().failure(&format!("{terminal} never came to the front")));
            }
        }
    }
    Ok(())
}

pub fn the_screen_can_be_seen(board: &mut BoardBed) -> Result<()> {
    let path = std::env::temp_dir().join(format!("pouch-screen-{}.ppm", std::process::id()));
    board.boot()?.machine().qmp.screendump(&path)?;
    let picture = std::fs::read(&path)?;
    std::fs::remove_file(&path)?;
    if picture.starts_with(b"P6") && picture.len() > 100_000 {
        Ok(())
    } else {
        Err(Error::new("no picture of the screen"))
    }
}
