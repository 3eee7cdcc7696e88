//! What libc would have done: the entry, memory functions, the panic path.
//!
//! The binary's alone: a test or the host crate brings std and never sees this room.

mod arch;
mod args;
mod mem;
mod panic;

use args::enter;
