//! armv7 (EABI): `svc 0`, number in r7, arguments in r0 to r5.

use core::arch::{asm, naked_asm};

/// Enters the kernel.
///
/// # Safety
/// The arguments must be what that system call wants; pointers valid for it.
#[inline]
pub unsafe fn syscall6(number: usize, a: [usize; 6]) -> isize {
    let [a0, a1, a2, a3, a4, a5] = a;
    let ret: isize;
    // In Thumb code r7 is the frame pointer and no operand, so it is put away and back.
    // SAFETY: the caller answers for the arguments; svc changes r0 alone, and r7 is as before.
    unsafe {
        asm!("mov {kept}, r7", "mov r7, {number}", "svc 0", "mov r7, {kept}",
            kept = out(reg) _, number = in(reg) number, inlateout("r0") a0 as isize => ret,
            in("r1") a1, in("r2") a2, in("r3") a3, in("r4") a4, in("r5") a5, options(nostack));
    }
    ret
}

/// Where a signal handler returns to: rt_sigreturn.
#[unsafe(naked)]
pub unsafe extern "C" fn sigreturn() {
    naked_asm!("mov r7, #173", "svc 0")
}
