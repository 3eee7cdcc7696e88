//! A slow line: who waits, and that nothing is lost

use pouch_qemu::bed::BoardBed;
use pouch_qemu::{Result, deadline};

pub fn a_slow_line_that_moves_loses_nothing(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    serial.run("i=0; while [ $i -lt 4000 ]; do echo line $i of a long text; i=$((i+1)); done >/tmp/long")?;
    let sum = serial.run("wc -l </tmp/long")?;
    assert_eq!(sum.trim(), "4000");
    let shown = serial.run_within(deadline::HEAVY, "cat /tmp/long; rm /tmp/long")?;
    assert!(!shown.contains("bytes lost"), "{}", &shown[shown.len().saturating_sub(300)..]);
    for (number, line) in shown.lines().enumerate() {
        assert_eq!(line, format!("line {number} of a long text"));
    }
    assert_eq!(shown.lines().count(), 4000);
    Ok(())
}
