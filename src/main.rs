//! pouch: PID 1 by its pid, a command by its name.
#![no_std]
#![no_main]

use core::ffi::CStr;

mod rt;

/// Init if this is PID 1, else the command of that name. The value is the exit status.
fn main(args: &[&'static CStr]) -> u8 {
    if let Some(called) = args.first() {
        pouch::sys::process::call_oneself(called);
    }
    if rustix::process::getpid().as_raw_nonzero().get() == 1 {
        pouch::init::run(args)
    } else if let Some(status) = pouch::init::judge(args) {
        status
    } else {
        pouch::ctl::run(args)
    }
}
