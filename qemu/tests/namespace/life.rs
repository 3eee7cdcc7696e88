//! Beginning and end in a PID namespace

use crate::Fresh;
use pouch_qemu::{Result, deadline};
use std::time::Duration;

pub fn it_comes_up_in_a_pid_namespace(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    assert_eq!(namespace.serial().reach_prompt()?.run("echo $((6 * 7))")?, "42");
    Ok(())
}

pub fn an_idle_minute_wakes_nobody(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    serial.run("pouch start shown; pouch start quiet --tty none -- /bin/probe hold; pouch start again --tty none --restart always --ready fd:5 -- /bin/sh -c 'echo >&5; exec sleep 1000'")?;
    serial.run("until grep -q 'STATE: started' /run/pouch/cont_again; do :; done")?;
    serial.settle(Duration::from_millis(500))?;
    let pid = namespace.init_pid()?;
    let read = || -> Result<String> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let switches: Vec<&str> = status.lines().filter(|line| line.contains("ctxt_switches")).collect();
        // How often it was given a processor stands last.
        let runs = std::fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
        Ok(format!("{}, {} runs", switches.join(", "), runs.split_whitespace().last().unwrap_or_default()))
    };
    let before = read()?;
    // This is the thing itself and no wait for something.
    std::thread::sleep(Duration::from_secs(60));
    assert_eq!(read()?, before, "an idle PID 1 was woken");
    Ok(())
}

pub fn poweroff_ends_the_namespace(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    namespace.serial().reach_prompt()?.type_line("poweroff")?;
    namespace.expect_end(deadline::END)?;
    Ok(())
}
