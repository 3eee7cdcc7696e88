//! Entry point and system call instruction, the same three for each processor
//!
//! `_start` hands the initial stack to `probe_main`; `syscall` takes up to five arguments, the sixth is 0.

use core::arch::{asm, global_asm};

#[cfg(target_arch = "x86_64")]
global_asm!(".globl _start", "_start:", "mov rdi, rsp", "and rsp, -16", "call {main}", "ud2", main = sym crate::probe_main);
#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x0, sp", "and sp, x0, #-16", "bl {main}", "brk #1", main = sym crate::probe_main);
#[cfg(target_arch = "arm")]
global_asm!(".globl _start", "_start:", "mov r0, sp", "bic sp, sp, #7", "bl {main}", "udf #0", main = sym crate::probe_main);

/// One system call; the kernel's answer as it is, negative for an error.
///
/// # Safety
/// Pointers among the arguments are valid for what that call does with them.
#[cfg(target_arch = "x86_64")]
pub unsafe fn syscall(number: u32, a: [usize; 5]) -> isize {
    let answer;
    // SAFETY: the caller answers for the arguments; rcx and r11 are what the instruction clobbers.
    unsafe {
        asm!("syscall", inlateout("rax") number as usize => answer, in("rdi") a[0], in("rsi") a[1], in("rdx") a[2], in("r10") a[3], in("r8") a[4], in("r9") 0, lateout("rcx") _, lateout("r11") _, options(nostack))
    };
    answer
}

/// One system call; the kernel's answer as it is, negative for an error.
///
/// # Safety
/// Pointers among the arguments are valid for what that call does with them.
#[cfg(target_arch = "aarch64")]
pub unsafe fn syscall(number: u32, a: [usize; 5]) -> isize {
    let answer;
    // SAFETY: the caller answers for the arguments; the kernel keeps every register but x0.
    unsafe {
        asm!("svc 0", in("x8") number as usize, inlateout("x0") a[0] => answer, in("x1") a[1], in("x2") a[2], in("x3") a[3], in("x4") a[4], in("x5") 0, options(nostack))
    };
    answer
}

/// One system call; the kernel's answer as it is, negative for an error.
///
/// # Safety
/// Pointers among the arguments are valid for what that call does with them.
#[cfg(target_arch = "arm")]
pub unsafe fn syscall(number: u32, a: [usize; 5]) -> isize {
    let answer;
    // SAFETY: the caller answers for the arguments; r7, which takes the number, may be the frame pointer and so
    // is put aside by hand.
    unsafe {
        asm!("mov {keep}, r7", "mov r7, {number}", "svc 0", "mov r7, {keep}", keep = out(reg) _, number = in(reg) number,
            inlateout("r0") a[0] => answer, in("r1") a[1], in("r2") a[2], in("r3") a[3], in("r4") a[4], in("r5") 0, options(nostack));
    }
    answer
}

/// Where the program counter stands among a process's registers, as ptrace(2) has them.
pub const PROGRAM_COUNTER: usize = if cfg!(target_arch = "x86_64") {
    16
} else if cfg!(target_arch = "aarch64") {
    32
} else {
    15
};

/// An instruction that no processor knows: a death by SIGILL that no mask and no handler of ours stops.
pub fn undefined() -> ! {
    // SAFETY: it does not return and touches nothing.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!("ud2", options(noreturn));
        #[cfg(target_arch = "aarch64")]
        asm!("udf #0", options(noreturn));
        #[cfg(target_arch = "arm")]
        asm!("udf #0", options(noreturn));
    }
}

/// A call of another processor's ABI: getpid(2) of i386.
#[cfg(target_arch = "x86_64")]
pub fn foreign() -> isize {
    let answer: isize;
    // SAFETY: getpid takes nothing; the gate keeps all registers but these, which the kernel may clear.
    unsafe {
        asm!("int 0x80", inlateout("rax") 20isize => answer, lateout("r8") _, lateout("r9") _, lateout("r10") _,
            lateout("r11") _, options(nostack))
    };
    answer
}

/// A call of another processor's ABI: a program of 32-bit ARM that asks getpid(2) and ends.
#[cfg(target_arch = "aarch64")]
pub fn foreign() -> isize {
    use crate::{call, nr};
    const WORDS: [u32; 27] = [
        // ELF: 32 bits, little-endian; executable, ARM; entry; headers behind this one, nothing else.
        0x464c_457f,
        0x0001_0101,
        0,
        0,
        0x0028_0002,
        1,
        0x1_0054,
        52,
        0,
        0x0500_0200,
        0x0020_0034,
        1,
        0,
        // One segment, of all of it, to read and execute.
        1,
        0,
        0x1_0000,
        0x1_0000,
        104,
        104,
        5,
        0x1000,
        0xe3a0_7014, // mov r7, #20
        0xef00_0000, // svc 0
        0xe3a0_7001, // mov r7, #1
        0xe3a0_0000, // mov r0, #0
        0xef00_0000, // svc 0
        0,
    ];
    let file = call(nr::__NR_memfd_create, [c"foreign".as_ptr() as usize, 0, 0, 0, 0]) as usize;
    call(nr::__NR_write, [file, WORDS.as_ptr() as usize, size_of_val(&WORDS), 0, 0]);
    let none = [0usize; 1];
    const AT_EMPTY_PATH: usize = 0x1000;
    call(
        nr::__NR_execveat,
        [file, c"".as_ptr() as usize, none.as_ptr() as usize, none.as_ptr() as usize, AT_EMPTY_PATH],
    )
}
