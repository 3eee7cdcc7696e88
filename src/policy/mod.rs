//! Decisions: event in, action out.
//!
//! Pure: time is an argument (milliseconds), a deadline is a query, pids and
//! descriptors never enter. So each machine here is tested by walking every sequence
//! of events to a depth, on the host, with no fake kernel.

pub mod addresses;
pub mod answers;
pub mod backoff;
pub mod detach;
pub mod fleet;
pub mod health;
pub mod ranges;
pub mod ring;
pub mod shutdown;
pub mod size;
pub mod switchboard;
pub mod unit;
