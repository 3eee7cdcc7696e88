//! x86-64: `syscall`, number in rax, arguments in rdi rsi rdx r10 r8 r9.

use core::arch::{asm, naked_asm};

/// Enters the kernel.
///
/// # Safety
/// The arguments must be what that system call wants; pointers valid for it.
#[inline]
pub unsafe fn syscall6(number: usize, a: [usize; 6]) -> isize {
    let [a0, a1, a2, a3, a4, a5] = a;
    let ret: isize;
    // SAFETY: the caller answers for the arguments; syscall changes rax, rcx, r11 alone.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => ret,
            in("rdi") a0, in("rsi") a1, in("rdx") a2, in("r10") a3, in("r8") a4, in("r9") a5,
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    ret
}

/// Where a signal handler returns to: rt_sigreturn.
#[unsafe(naked)]
pub unsafe extern "C" fn sigreturn() {
    naked_asm!("mov eax, 15", "syscall")
}
