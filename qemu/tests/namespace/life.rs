//! Beginning and end in a PID namespace

use crate::Fresh;
use pouch_qemu::{Result, deadline};

pub fn it_comes_up_in_a_pid_namespace(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    assert_eq!(namespace.serial().reach_prompt()?.run("echo $((6 * 7))")?, "42");
    Ok(())
}

pub fn poweroff_ends_the_namespace(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    namespace.serial().reach_prompt()?.type_line("poweroff")?;
    namespace.expect_end(deadline::END)?;
    Ok(())
}
