//! Minutes of random work, with counts before and after

use pouch_qemu::bed::BoardBed;
use pouch_qemu::{Error, Result, soak};
use std::time::Duration;

/// Five minutes unless POUCH_SOAK_SECONDS says otherwise; the hour is `./scripts/soak`'s.
pub fn minutes_of_random_work_leave_nothing_over(board: &mut BoardBed) -> Result<()> {
    let seconds = match std::env::var("POUCH_SOAK_SECONDS") {
        Ok(text) => text.parse().map_err(|_| Error::new(format!("POUCH_SOAK_SECONDS is no number: {text}")))?,
        Err(_) => 300,
    };
    let seed = std::env::var("POUCH_SOAK_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_141);
    let found = soak::soak(board.boot()?, Duration::from_secs(seconds), seed)?;
    eprintln!("   {found}");
    Ok(())
}
