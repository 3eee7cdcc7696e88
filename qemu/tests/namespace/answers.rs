//! What commands answer: the same to everybody who asks, to its end

use crate::Fresh;
use pouch_qemu::Result;

pub fn who_asks_for_all_of_a_cgroup_gets_all_of_it_each_time(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    serial.run("pouch start as1 --tty none -- /bin/probe hold")?;
    for _ in 0..3 {
        assert_eq!(serial.run("pouch cgroup as1 | grep '^cgroup.procs ' | wc -l")?, "1");
    }
    assert_eq!(serial.run("pouch destroy as1")?, "Pouch: as1 destroyed");
    Ok(())
}
