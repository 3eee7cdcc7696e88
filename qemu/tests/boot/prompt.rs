//! From power to prompt, and back

use pouch_qemu::Result;
use pouch_qemu::bed::BoardBed;

pub fn the_board_boots_to_a_prompt(board: &mut BoardBed) -> Result<()> {
    let answer = board.boot()?.serial().run("echo $((6 * 7))")?;
    assert_eq!(answer, "42");
    Ok(())
}

pub fn poweroff_switches_the_board_off(board: &mut BoardBed) -> Result<()> {
    let board = board.boot()?;
    board.serial().type_line("poweroff")?;
    board.expect_power_off()
}
