//! aarch64: `svc 0`, number in x8, arguments in x0 to x5.

use core::arch::{asm, naked_asm};

/// Enters the kernel.
///
/// # Safety
/// The arguments must be what that system call wants; pointers valid for it.
#[inline]
pub unsafe fn syscall6(number: usize, a: [usize; 6]) -> isize {
    let [a0, a1, a2, a3, a4, a5] = a;
    let ret: isize;
    // SAFETY: the caller answers for the arguments; svc changes x0 alone.
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") a0 as isize => ret,
            in("x1") a1, in("x2") a2, in("x3") a3, in("x4") a4, in("x5") a5, options(nostack));
    }
    ret
}

/// Where a signal handler returns to: rt_sigreturn.
#[unsafe(naked)]
pub unsafe extern "C" fn sigreturn() {
    naked_asm!("mov x8, #139", "svc 0")
}
