//! What a serial line does not carry: the size of the terminal at its end

use pouch_qemu::Result;
use pouch_qemu::bed::BoardBed;

pub fn the_console_has_the_size_that_the_words_say(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    assert_eq!(serial.run("stty size")?, "50 132");
    serial.run("pouch start c1")?;
    serial.type_line("connect c1")?.expect("tty1 connected\n")?.prompt()?;
    assert_eq!(serial.run("stty size")?, "50 132");
    // Programs that fill a screen fill this one: vi's last line, and top's as wide as the terminal.
    serial.type_line("vi /tmp/poem")?.expect("~")?.expect("- /tmp/poem")?;
    serial.send(b":q!\r")?.prompt()?;
    let raw = String::from_utf8_lossy(&serial.raw()).into_owned();
    assert!(raw.contains("\x1b[50;1H"), "vi's last line is the fiftieth");
    serial.type_line("top")?.expect("Load average:")?.expect("COMMAND")?;
    serial.send(b"q")?.prompt()?;
    serial.type_line("disconnect")?.expect("Console connected\n")?.prompt()?;
    serial.run("pouch destroy c1")?;
    Ok(())
}
