//! pouch: an init and container supervisor for embedded Linux boards.
//!
//! The table of contents. Imports run downward only:
//!
//! ```text
//! main -> init, ctl -> jail -> policy, format, sys
//! ```
//!
//! * [`format`]: bytes to values and back: kernel words, specs, messages, faults. Pure.
//! * [`policy`]: decisions: one unit's life, back-off, shutdown, the switchboard. Pure.
//!
//! *format and policy do not know that Linux exists; sys does not know that pouch
//! exists; only init knows both.*

#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)] // allowed in sys alone (and in rt, which belongs to the binary)
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)] // a test may fail loudly

pub mod ctl;
#[forbid(unsafe_code)]
pub mod format;
pub mod init;
pub mod jail;
#[forbid(unsafe_code)]
pub mod policy;
#[allow(unsafe_code)] // the kernel is entered here and nowhere else
pub mod sys;
