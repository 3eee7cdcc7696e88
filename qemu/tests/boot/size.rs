//! What a serial line does not carry: the size of the terminal at its end

use pouch_qemu::Result;
use pouch_qemu::bed::BoardBed;

pub fn the_console_has_the_size_that_the_words_say(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    assert_eq!(serial.run("stty size")?, "50 132");
    serial.run("pouch start c1")?;
    serial.type_line("connect c1")?.expect("tty1 connected\n")?.prompt()?;
    assert_eq!(serial.run("stty size")?, "50 132");
    serial.type_line("disconnect")?.expect("Console connected\n")?.prompt()?;
    serial.run("pouch destroy c1")?;
    Ok(())
}
