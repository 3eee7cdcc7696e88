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

pub fn messages_that_are_nearly_right_cost_nothing(fresh: &mut Fresh) -> Result<()> {
    shared::storm(fresh.start("")?.serial().reach_prompt()?, 1, 1500)
}
