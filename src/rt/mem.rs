//! memcpy and its kin, which the compiler calls and libc would have had.
//!
//! Bytewise loops would be turned into calls of themselves, so x86-64 uses its string
//! instructions and the others volatile-free word loops with a barrier in them.
//! Boards whose toolchain builds compiler_builtins with its `mem` feature bring strong
//! ones; these are weak by `linkage` there, so they are left out for them.

#![cfg(pouch_mem)]

use core::ffi::{c_char, c_int};

/// memcpy(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(dest: *mut u8, src: *const u8, n: usize) -> *mut u8 {
    // SAFETY: the caller gives n bytes at both ends that do not overlap; the direction flag is clear by the ABI.
    unsafe {
        core::arch::asm!("rep movsb", inout("rcx") n => _, inout("rdi") dest => _, inout("rsi") src => _,
            options(nostack, preserves_flags));
    }
    dest
}

/// memmove(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(dest: *mut u8, src: *const u8, n: usize) -> *mut u8 {
    if (dest as usize).wrapping_sub(src as usize) >= n {
        // SAFETY: dest does not start inside src, so a forward copy reads each byte before it is written.
        return unsafe { memcpy(dest, src, n) };
    }
    // SAFETY: n > 0 here; copied from the last byte down, and the direction flag is put back as the ABI wants it.
    unsafe {
        core::arch::asm!("std", "rep movsb", "cld", inout("rcx") n => _, inout("rdi") dest.add(n).sub(1) => _,
            inout("rsi") src.add(n).sub(1) => _, options(nostack));
    }
    dest
}

/// memset(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(dest: *mut u8, byte: c_int, n: usize) -> *mut u8 {
    // SAFETY: the caller gives n bytes; the direction flag is clear by the ABI.
    unsafe {
        core::arch::asm!("rep stosb", inout("rcx") n => _, inout("rdi") dest => _, in("al") byte as u8,
            options(nostack, preserves_flags));
    }
    dest
}

/// memcmp(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> c_int {
    let mut i = 0;
    while i < n {
        // SAFETY: i < n, and the caller gives n bytes at both.
        let (x, y) = unsafe { (a.add(i).read_volatile(), b.add(i).read_volatile()) };
        if x != y {
            return c_int::from(x) - c_int::from(y);
        }
        i += 1;
    }
    0
}

/// bcmp(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> c_int {
    // SAFETY: as for memcmp.
    unsafe { memcmp(a, b, n) }
}

/// strlen(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(s: *const c_char) -> usize {
    let mut n = 0;
    // SAFETY: the caller gives a NUL-ended string, and n never passes the NUL.
    while unsafe { s.add(n).read_volatile() } != 0 {
        n += 1;
    }
    n
}
