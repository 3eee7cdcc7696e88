//! Keyboard and screen, by QEMU's control socket

use pouch_qemu::bed::BoardBed;
use pouch_qemu::{Error, Result, deadline};
use std::time::Instant;

/// The screen is a console of the kernel's as well; the system console is the port, which is named last.
pub const WORDS: &str = "console=tty0 console=ttyS0";

/// What VT 1 shows, without the blanks at the end of its rows.
const SHOWN: &str = "fold -w 80 /dev/vcs1 | sed 's/ *$//; s/#/%/g' | grep .";

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

/// A VT has its slot, though the kernel line named it before.
pub fn a_vt_that_is_a_console_too_shows_the_container_of_its_slot(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    assert_eq!(serial.run("dmesg | grep -c 'pouch: line /dev/ttyS0 is the system console'")?, "1");
    serial.run("pouch start here --tty tty1 -- /bin/sh -c 'hostname; exec sleep 1000'")?;
    let limit = deadline::ANSWER.from_now();
    while !serial.run(SHOWN)?.lines().any(|row| row == "here") {
        if Instant::now() >= limit {
            return Err(serial.failure("VT 1 does not show the container of its slot"));
        }
    }
    Ok(())
}

/// On the port and on the screen, where a container writes, a line of the kernel's is a line.
pub fn the_kernels_words_stay_readable_on_port_and_screen(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    serial.type_line("echo '<2>one word of the kernel' >/dev/kmsg; echo '<2>and another' >/dev/kmsg")?;
    serial.expect_pattern(r"(?m)^\[ *\d+\.\d+\] one word of the kernel$")?;
    serial.expect_pattern(r"(?m)^\[ *\d+\.\d+\] and another$")?;
    serial.send(b"\r")?.prompt()?;
    let shown = serial.run(SHOWN)?;
    let mut rows = shown.lines().filter(|row| row.starts_with('['));
    let found = rows.any(|row| row.ends_with("] one word of the kernel"))
        && rows.next().is_some_and(|row| row.ends_with("] and another"));
    assert!(found, "{shown}");
    serial.run("pouch destroy here 2>/dev/null")?;
    Ok(())
}
