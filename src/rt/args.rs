//! From the kernel's stack to the words of the command.

use core::ffi::{CStr, c_char};

/// The most arguments a command may have; more are refused by the caller.
const ARGS_MAX: usize = 200;

/// Reads argv, wipes the environment, and goes to main.
///
/// No command reads its caller's environment; a copy of this process that becomes another's
/// (`exec`) is not to show it.
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
        // Behind argv's NULL stand pointers to the environment's strings, and a NULL again. The kernel lays those
        // strings one behind the other, in memory that is this process's to write.
        let entries = stack.add(2 + argc).cast::<*mut c_char>();
        let mut end = entries;
        while !(*end).is_null() {
            end = end.add(1);
        }
        if end != entries {
            let (first, last) = (*entries, *end.sub(1));
            let len = last.addr() - first.addr() + CStr::from_ptr(last).count_bytes();
            first.write_bytes(0, len);
        }
    }
    pouch::sys::exit(crate::main(&args))
}
