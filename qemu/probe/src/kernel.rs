//! What each of the programs here wants of the kernel, and numbers in decimal

#![allow(dead_code, reason = "each of them uses a part")]

use crate::arch;
use linux_raw_sys::general as nr;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    exit(101)
}

pub fn call(number: u32, a: [usize; 5]) -> isize {
    // SAFETY: every caller in these programs passes numbers, or pointers to values that outlive the call.
    unsafe { arch::syscall(number, a) }
}

pub fn exit(status: usize) -> ! {
    loop {
        call(nr::__NR_exit_group, [status, 0, 0, 0, 0]);
    }
}

/// Nanoseconds of the monotonic clock.
pub fn now() -> u64 {
    #[cfg(target_arch = "arm")]
    let number = nr::__NR_clock_gettime64;
    #[cfg(not(target_arch = "arm"))]
    let number = nr::__NR_clock_gettime;
    let mut time = [0u64; 2];
    call(number, [1, time.as_mut_ptr() as usize, 0, 0, 0]);
    time[0] * 1_000_000_000 + time[1]
}

/// Writes all of it; false where that cannot be, as on a terminal that hung up.
pub fn write(file: usize, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        let count = call(nr::__NR_write, [file, bytes.as_ptr() as usize, bytes.len(), 0, 0]);
        match usize::try_from(count) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            // EINTR; EAGAIN happens where somebody made the terminal non-blocking.
            Err(_) if count == -4 || count == -11 => {}
            Err(_) => return false,
        }
    }
    true
}

/// A number in decimal, right-aligned in `room`.
pub fn decimal(mut value: u64, room: &mut [u8; 20]) -> &[u8] {
    let mut at = room.len();
    loop {
        at = at.saturating_sub(1);
        if let Some(digit) = room.get_mut(at) {
            *digit = b'0' + u8::try_from(value % 10).unwrap_or(0);
        }
        value /= 10;
        if value == 0 || at == 0 {
            return room.get(at..).unwrap_or_default();
        }
    }
}
