//! The system call instruction, one file a processor.
//!
//! Every file holds the same list in the same order: `syscall6`, `sigreturn`.
//! Numbers come from linux-raw-sys, which is made from the kernel's own headers.

#[cfg(target_arch = "x86_64")]
#[path = "x86_64.rs"]
mod this;

#[cfg(target_arch = "aarch64")]
#[path = "aarch64.rs"]
mod this;

#[cfg(target_arch = "arm")]
#[path = "arm.rs"]
mod this;

pub(super) use this::{sigreturn, syscall6};
