//! The detach key: Ctrl-] three times within a second; a fourth sends them through.
//!
//! Keys are withheld only while they may still become the word, and handed on in order
//! as soon as they cannot, so that a program that wants Ctrl-] gets it.

/// Ctrl-].
pub const KEY: u8 = 0x1d;
/// The keys that make the word.
pub const TIMES: u8 = 3;
/// The time within which they are typed, from the first.
pub const WINDOW_MS: u64 = 1000;

/// What has been typed of the word.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Detach {
    held: u8,
    since: u64,
}

/// What a byte, or the passing of time, comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// The line leaves the session, before anything else is handed on.
    pub detach: bool,
    /// So many withheld keys go through first.
    pub keys: u8,
    /// Then this byte.
    pub byte: Option<u8>,
}

const NOTHING: Verdict = Verdict {
    detach: false,
    keys: 0,
    byte: None,
};

impl Detach {
    /// A byte was typed.
    pub fn byte(&mut self, now: u64, byte: u8) -> Verdict {
        let before = self.due(now);
        if byte != KEY {
            let word = self.held == TIMES;
            let keys = if word { 0 } else { self.held };
            self.held = 0;
            return Verdict {
                detach: before.detach || word,
                keys: before.keys + keys,
                byte: Some(byte),
            };
        }
        if self.held == TIMES {
            self.held = 0;
            return Verdict {
                keys: TIMES + 1,
                ..NOTHING
            };
        }
        if self.held == 0 {
            self.since = now;
        }
        self.held += 1;
        before
    }

    /// When [`Detach::due`] has something to say.
    pub fn deadline(&self) -> Option<u64> {
        (self.held > 0).then_some(self.since + WINDOW_MS)
    }

    /// Time has passed: three keys and no fourth leave, fewer go through.
    pub fn due(&mut self, now: u64) -> Verdict {
        if self.deadline().is_none_or(|at| now < at) {
            return NOTHING;
        }
        let word = self.held == TIMES;
        let keys = if word { 0 } else { self.held };
        self.held = 0;
        Verdict {
            detach: word,
            keys,
            byte: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Types a row of (pause before, byte) and says what came through, `!` for the leaving.
    fn typed(row: &[(u64, u8)]) -> std::string::String {
        let mut d = Detach::default();
        let mut now = 0;
        let mut out = std::string::String::new();
        let mut take = |v: Verdict| {
            if v.detach {
                out.push('!');
            }
            for _ in 0..v.keys {
                out.push(']');
            }
            if let Some(b) = v.byte {
                out.push(b as char);
            }
        };
        for (pause, byte) in row {
            now += pause;
            take(d.byte(now, *byte));
        }
        take(d.due(now + WINDOW_MS));
        assert_eq!(
            d,
            Detach {
                held: 0,
                since: d.since
            }
        );
        out
    }

    #[test]
    fn three_leave_a_fourth_goes_through() {
        assert_eq!(typed(&[(0, KEY), (10, KEY), (10, KEY)]), "!");
        assert_eq!(typed(&[(0, KEY), (10, KEY), (10, KEY), (10, KEY)]), "]]]]");
        assert_eq!(typed(&[(0, KEY), (10, KEY), (10, KEY), (10, b'x')]), "!x");
        assert_eq!(typed(&[(0, KEY), (10, KEY), (10, b'x')]), "]]x");
        assert_eq!(typed(&[(0, KEY)]), "]");
        assert_eq!(typed(&[(0, KEY), (600, KEY), (600, KEY)]), "]]]");
        assert_eq!(typed(&[(0, b'a'), (1, KEY), (1, b'b')]), "a]b");
    }

    #[test]
    fn no_byte_is_ever_lost_or_turned_round() {
        // Every row of six out of {key, key after a pause, x}.
        for n in 0..3u32.pow(6) {
            let mut n = n;
            let row: std::vec::Vec<(u64, u8)> = (0..6)
                .map(|_| {
                    let k = n % 3;
                    n /= 3;
                    match k {
                        0 => (1, KEY),
                        1 => (700, KEY),
                        _ => (1, b'x'),
                    }
                })
                .collect();
            let out = typed(&row);
            let left = out.matches('!').count();
            assert_eq!(
                out.matches('x').count(),
                row.iter().filter(|r| r.1 == b'x').count()
            );
            assert_eq!(
                out.matches(']').count() + 3 * left,
                row.iter().filter(|r| r.1 == KEY).count(),
                "{row:?} {out}"
            );
        }
    }
}
