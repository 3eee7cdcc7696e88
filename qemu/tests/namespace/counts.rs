//! What a launch and a turn of the loop cost in instructions

use crate::Fresh;
use pouch_qemu::Result;
use pouch_qemu::board::project_root;

#[cfg(target_arch = "x86_64")]
pub fn a_launch_and_a_turn_cost_the_instructions_that_are_kept(fresh: &mut Fresh) -> Result<()> {
    use pouch_qemu::counts;
    let counts = counts::measure(&mut fresh.start("")?)?;
    print!("{}", counts::compare(&project_root()?, &counts)?);
    Ok(())
}

#[cfg(not(target_arch = "x86_64"))]
pub fn a_launch_and_a_turn_cost_the_instructions_that_are_kept(_: &mut Fresh) -> Result<()> {
    println!("    counted on x86-64 alone");
    Ok(())
}
