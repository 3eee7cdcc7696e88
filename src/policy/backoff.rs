//! How long to wait before the next try.
//!
//! Once a second for ever wears out flash and fills logs; giving up locks people
//! out. So a try that failed early doubles the wait, one that held resets it.

/// The first wait.
pub const FIRST_MS: u32 = 100;
/// The longest wait: nothing is ever disabled, only slowed.
pub const LONGEST_MS: u32 = 60_000;
/// A try that held this long starts the row anew.
pub const HELD_MS: u64 = 60_000;

/// The waits between tries of one thing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    next_ms: u32,
    started: u64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

impl Backoff {
    /// Nothing has failed yet.
    pub const fn new() -> Self {
        Backoff {
            next_ms: FIRST_MS,
            started: 0,
        }
    }

    /// A try starts.
    pub fn start(&mut self, now: u64) {
        self.started = now;
    }

    /// The try ended: how many milliseconds to wait before the next.
    pub fn end(&mut self, now: u64) -> u32 {
        if now.saturating_sub(self.started) >= HELD_MS {
            self.next_ms = FIRST_MS;
        }
        let wait = self.next_ms;
        self.next_ms = wait.saturating_mul(2).min(LONGEST_MS);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_a_minute_and_stay_there() {
        let mut b = Backoff::new();
        let waits: std::vec::Vec<u32> = (0..12)
            .map(|i| {
                b.start(i * 1000);
                b.end(i * 1000 + 5)
            })
            .collect();
        assert_eq!(
            waits,
            [
                100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000
            ]
        );
    }

    #[test]
    fn a_minute_that_held_starts_anew() {
        let mut b = Backoff::new();
        for _ in 0..5 {
            b.start(0);
            b.end(1);
        }
        b.start(1000);
        assert_eq!(b.end(1000 + HELD_MS), FIRST_MS);
        b.start(0);
        assert_eq!(b.end(1), 2 * FIRST_MS);
    }
}
