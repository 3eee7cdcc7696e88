//! From the kernel's stack to the words of the command.

use core::ffi::{CStr, c_char};

/// The most arguments a command may have; more are refused by the caller.
const ARGS_MAX: usize = 200;

/// Reads argv and goes to main.
pub unsafe extern "C" fn enter(stack: *const usize) -> ! {
    let mut args = heapless::Vec::<&'static CStr, ARGS_MAX>::new();
    // SAFETY: the kernel put argc at this address, and argc pointers to NUL-ended
    // strings behind it, which live as long as the process.
    unsafe {
        let argc = *stack;
        for i in 0..argc {
            let arg = *stack.add(1 + i).cast::<*const c_char>();
            if arg.is_null() || args.push(CStr::from_ptr(arg)).is_err() {
                break;
            }
        }
    }
    pouch::sys::exit(crate::main(&args))
}
