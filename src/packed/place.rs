//! A program put in this one's place, without the kernel: its parts mapped where they belong, then a jump.
//!
//! An execve(2) throws a process's memory away and makes it anew; for a command that asks PID 1 one thing that is a
//! tenth of its time. What the kernel does beside it is done already or not needed: the words lie where they lay, no
//! descriptor closes on exec, and a static program that nothing relocates asks for no auxiliary vector.

use core::arch::asm;

use pouch::sys::Errno;
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous};

/// The first words of an ELF file (elf(5)): its header, then those of its parts. Of both widths, since the fields that
/// count are as wide as an address, but for pairs of halves.
const WORDS: usize = 512 / size_of::<usize>();
/// Where the words of a header are: where the program is entered, how many parts there are, where their headers begin.
const ENTRY: usize = 24 / size_of::<usize>();
const COUNT: usize = if IS_64 { 7 } else { 11 };
const PARTS: usize = if IS_64 { 8 } else { 13 };
/// The words of a part's header.
const LEN: usize = if IS_64 { 7 } else { 8 };
const IS_64: bool = size_of::<usize>() == 8;
/// A part that is to be mapped.
const PT_LOAD: u32 = 1;

/// Maps `program`, of which all addresses lie where nothing of this one is, and enters it with this process's words.
/// Comes back only with the reason why not; an execve is still possible then. `program` is closed otherwise.
///
/// # Safety
/// `stack` is the kernel's: argc lies there. The program is static and linked for its address.
pub unsafe fn take(program: BorrowedFd<'_>, stack: *const usize) -> Errno {
    // SAFETY: handed on. The descriptor may have a standard stream's number, of which none was open: nobody is to
    // take it for one; the mappings keep the file.
    unsafe {
        match map(program) {
            Ok(entry) => {
                rustix::io::close(program.as_raw_fd());
                enter(entry, stack)
            }
            Err(e) => e,
        }
    }
}

unsafe fn map(program: BorrowedFd<'_>) -> Result<usize, Errno> {
    let mut words = [0usize; WORDS];
    // SAFETY: numbers, seen as their bytes.
    let bytes = unsafe {
        core::slice::from_raw_parts_mut(words.as_mut_ptr().cast::<u8>(), size_of_val(&words))
    };
    rustix::io::pread(program, bytes, 0)?;
    let count = words[COUNT] & 0xffff;
    let parts = words.get(PARTS..).unwrap_or_default();
    for part in parts.as_chunks::<LEN>().0.iter().take(count) {
        let (kind, offset, at, len, room) = (part[0] as u32, part[1], part[2], part[4], part[5]);
        if kind != PT_LOAD {
            continue;
        }
        let flags = if IS_64 { part[0] >> 31 >> 1 } else { part[6] };
        let align = part[LEN - 1];
        // PF_X, PF_W and PF_R are in the other order.
        let allowed =
            ProtFlags::from_bits_retain((flags >> 2 & 1 | flags & 2 | (flags & 1) << 2) as u32);
        let behind = at & (align - 1);
        let (start, how) = ((at - behind) as *mut _, MapFlags::PRIVATE | MapFlags::FIXED);
        // SAFETY: nothing of this program lies there, by the caller's promise.
        unsafe {
            if room > len {
                mmap_anonymous(start, behind + room, allowed, how)?;
            }
            let how = how | MapFlags::POPULATE;
            mmap(
                start,
                behind + len,
                allowed,
                how,
                program,
                (offset - behind) as u64,
            )?;
            // What begins as zeros begins in the last page of the file.
            let end = at + len;
            core::ptr::write_bytes(
                end as *mut u8,
                0,
                (room - len).min(align - (end & (align - 1))),
            );
        }
    }
    Ok(words[ENTRY])
}

/// Goes there, with the stack as the kernel had left it.
unsafe fn enter(entry: usize, stack: *const usize) -> ! {
    // SAFETY: the caller's promise; nothing of this program is used any more.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!("mov rsp, {}", "jmp {}", in(reg) stack, in(reg) entry, options(noreturn));
        #[cfg(target_arch = "aarch64")]
        asm!("mov sp, {}", "br {}", in(reg) stack, in(reg) entry, options(noreturn));
        #[cfg(target_arch = "arm")]
        asm!("mov sp, {}", "bx {}", in(reg) stack, in(reg) entry, options(noreturn));
    }
}
