//! The clock that never steps.

use super::{call, nr};

/// Milliseconds since boot by CLOCK_BOOTTIME's monotonic sibling, clock_gettime(2).
pub fn now_ms() -> u64 {
    now_us() / 1000
}

/// The same in microseconds.
///
/// The call of 64-bit seconds is used on every processor, so 2038 is no date here.
pub fn now_us() -> u64 {
    let mut spec = [0i64; 2];
    #[cfg(target_pointer_width = "64")]
    let number = nr::__NR_clock_gettime;
    #[cfg(target_pointer_width = "32")]
    let number = nr::__NR_clock_gettime64;
    // SAFETY: the kernel writes a timespec of two 64-bit fields into `spec`. It cannot fail for this clock.
    let _ = unsafe { call(number, [1, spec.as_mut_ptr() as usize]) };
    let [seconds, nanoseconds] = spec;
    (seconds as u64)
        .saturating_mul(1_000_000)
        .saturating_add(nanoseconds as u64 / 1000)
}

/// setitimer(2): SIGALRM comes in so many microseconds, below a second, and again and again; 0: not any more.
pub fn alarm_each(us: usize) {
    // struct itimerval: the interval, then the value, each of seconds and microseconds as wide as an address.
    let timer = [0, us, 0, us];
    // SAFETY: the kernel reads the four words, and writes nothing.
    let _ = unsafe { call(nr::__NR_setitimer, [0, timer.as_ptr() as usize, 0]) };
}

/// Sleeps so many milliseconds; a signal may end that early.
pub fn pause_ms(ms: u64) {
    let timeout = rustix::event::Timespec {
        tv_sec: (ms / 1000) as i64,
        tv_nsec: (ms % 1000 * 1_000_000) as _,
    };
    let _ = rustix::event::poll(&mut [], Some(&timeout));
}
