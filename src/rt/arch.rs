//! `_start`: from the kernel's stack to `main`, one processor a block.
//!
//! The kernel leaves argc at the stack pointer, behind it argv, NULL, envp, NULL, auxv
//! (each processor's ABI supplement). Each block aligns the stack to 16 bytes, as its
//! calling convention wants, and hands that address on.

use core::arch::naked_asm;

use super::enter;

/// The entry that the linker looks for.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn _start() -> ! {
    #[cfg(target_arch = "x86_64")]
    naked_asm!("xor ebp, ebp", "mov rdi, rsp", "and rsp, -16", "call {enter}", "ud2", enter = sym enter);
    #[cfg(target_arch = "aarch64")]
    naked_asm!("mov x29, #0", "mov x30, #0", "mov x0, sp", "and sp, x0, #-16", "b {enter}", enter = sym enter);
    #[cfg(target_arch = "arm")]
    naked_asm!("mov r11, #0", "mov lr, #0", "mov r0, sp", "bic r1, r0, #15", "mov sp, r1", "bl {enter}", "udf #0", enter = sym enter);
}
