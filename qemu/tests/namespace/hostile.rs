//! Attacks that want many tries, tried many times

#[path = "../shared/hostile.rs"]
mod shared;

use crate::Fresh;
use pouch_qemu::Result;

pub fn names_that_change_under_a_start_lead_nowhere(fresh: &mut Fresh) -> Result<()> {
    shared::race(fresh.start("")?.serial().reach_prompt()?, 40)
}

pub fn what_joins_is_out_of_reach_until_it_is_the_command(fresh: &mut Fresh) -> Result<()> {
    shared::lurk(fresh.start("")?.serial().reach_prompt()?, 100)
}

pub fn what_joins_has_no_more_than_those_who_trace_it(fresh: &mut Fresh) -> Result<()> {
    shared::pounce(fresh.start("")?.serial().reach_prompt()?, 20)
}

pub fn what_pid_1_closes_for_a_container_does_not_hold_it(fresh: &mut Fresh) -> Result<()> {
    // What nobody holds any more (`litter`) would hold up other programs of this machine.
    shared::close(fresh.start("")?.serial().reach_prompt()?, &["handed"])
}

pub fn messages_that_are_nearly_right_cost_nothing(fresh: &mut Fresh) -> Result<()> {
    shared::storm(fresh.start("")?.serial().reach_prompt()?, 1, 1500)
}

pub fn many_who_hold_connections_leave_places_for_the_host(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    // Each takes its share of PID 1's places, and there are more of them than places.
    let many = "n=0; while [ $n -lt 30 ]; do n=$((n+1)); pouch start m$n --tty none -- /bin/probe flood connections - 8; done | grep -c starting";
    assert_eq!(serial.run(many)?, "30");
    serial.run("for n in $(seq 30); do until pouch logs m$n | grep -q holding; do :; done; done")?;
    assert_eq!(serial.run_status("pouch list | grep -c started")?, ("30".to_owned(), 0));
    // Who was first holds them, and who comes later is told so; none holds more than four.
    let held = "ls -l /proc/1/fd | grep -c socket";
    let before: usize = serial.run(held)?.trim().parse().unwrap_or(0);
    serial.run("pouch destroy m1")?;
    let after: usize = serial.run(held)?.trim().parse().unwrap_or(usize::MAX);
    assert!(before - after <= 5, "{before} {after}");
    assert_eq!(serial.run("for n in $(seq 2 30); do pouch destroy m$n; done | grep -c destroyed")?, "29");
    Ok(())
}

/// The kernel counts the descriptors that all processes of a user have on their way as one, and sends no more where that
/// is too many.
pub fn whoever_has_descriptors_on_their_way_keeps_nobody_from_a_container(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    // A user of no other's on this machine, which is one kernel.
    serial.run("pouch start other --tty none --user 4242 -- /bin/probe hold")?;
    serial.run("pouch start away --tty none --user 4242 -- /bin/probe flood flights")?;
    serial.run("until pouch logs away | grep -q holding; do :; done")?;
    assert_eq!(serial.run_status("pouch exec other id -u </dev/null")?, ("4242".to_owned(), 0));
    assert_eq!(serial.run_status("pouch exec other sh -c '[ -t 0 ]'")?.1, 0);
    serial.run("pouch destroy away; pouch destroy other")?;
    Ok(())
}
