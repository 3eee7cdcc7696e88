//! Idle: wake-ups in a minute

use super::Bench;
use super::report::Report;
use crate::Result;

pub(super) fn measure(_bench: &mut Bench) -> Result<Report> {
    Ok(Report::missing("Idle", "nobody has written it yet"))
}
