//! Signals by name and number, as signal(7) has them on x86 and ARM.

use super::text::{alike, nth, which_from};

/// Names in the order of their numbers, from 1 to 31.
const NAMES: &str = "\
    SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV \
    SIGUSR2 SIGPIPE SIGALRM SIGTERM SIGSTKFLT SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN \
    SIGTTOU SIGURG SIGXCPU SIGXFSZ SIGVTALRM SIGPROF SIGWINCH SIGIO SIGPWR SIGSYS";

/// The highest signal number of Linux.
pub const SIGNAL_MAX: u8 = 64;

/// The signal's name, `SIGRT` for a real-time one, `?` for none.
pub fn name(number: u8) -> &'static str {
    match number {
        32..=SIGNAL_MAX => "SIGRT",
        _ => number
            .checked_sub(1)
            .and_then(|at| nth(NAMES, b' ', usize::from(at)))
            .unwrap_or("?"),
    }
}

/// Reads `9`, `KILL`, `SIGKILL` or `kill`; `None` for what is no signal (0 included).
pub fn number(word: &[u8]) -> Option<u8> {
    if word.first().is_some_and(u8::is_ascii_digit) {
        return super::number::u64(word)
            .and_then(|n| u8::try_from(n).ok())
            .filter(|n| (1..=SIGNAL_MAX).contains(n));
    }
    let bare = match word.split_at_checked(3) {
        Some((start, rest)) if alike(start, b"SIG") => rest,
        _ => word,
    };
    u8::try_from(which_from(NAMES, 3, bare)? + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_inverse() {
        for n in 1..=31u8 {
            assert_eq!(number(name(n).as_bytes()), Some(n));
        }
        assert_eq!(number(b"term"), Some(15));
        assert_eq!(number(b"9"), Some(9));
        for bad in ["", "0", "65", "SIG", "9x", "NOPE", "-1"] {
            assert_eq!(number(bad.as_bytes()), None, "{bad}");
        }
    }
}
