//! What a container may be called, and the names of the four slots.
//!
//! A name becomes a cgroup folder, a file below /run/pouch and a line on the
//! terminal of whoever lists it, so nothing but letters, digits, `_`, `.` and `-`
//! is let in, and no name can be taken for a slot.

/// The longest name in bytes.
pub const NAME_MAX: usize = 63;

/// The console slots tty0 to tty3.
pub const SLOTS: u8 = 4;

/// Whether `name` is `[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}` and not a slot's name.
pub fn is_valid(name: &[u8]) -> bool {
    let Some((first, rest)) = name.split_first() else {
        return false;
    };
    let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    name.len() <= NAME_MAX
        && word(first)
        && rest.iter().all(|b| word(b) || *b == b'.' || *b == b'-')
        && !looks_like_slot(name)
}

/// Whether it reads `tty` and a number: a slot, or what a person would take for one.
pub fn looks_like_slot(word: &[u8]) -> bool {
    match super::text::behind(word, b"tty") {
        Some(digits) => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        None => false,
    }
}

/// The slot that `word` names: `tty0` to `tty3`.
pub fn slot(word: &[u8]) -> Option<u8> {
    match word {
        [b't', b't', b'y', digit @ b'0'..=b'3'] => Some(digit - b'0'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_to_the_alphabet() {
        for good in ["c1", "_x", "my_cont", "a.b-c", "9", "tty", "ttyS0", "tty1x"] {
            assert!(is_valid(good.as_bytes()), "{good}");
        }
        let long = "a".repeat(64);
        for bad in [
            "", ".", "..", "-x", "a/b", "a b", "tty1", "tty12", "ä", "a\n", &long,
        ] {
            assert!(!is_valid(bad.as_bytes()), "{bad}");
        }
        assert!(is_valid("a".repeat(63).as_bytes()));
    }

    #[test]
    fn slots_are_four() {
        assert_eq!(slot(b"tty0"), Some(0));
        assert_eq!(slot(b"tty3"), Some(3));
        for none in ["tty4", "tty", "tty00", "ttyS0", "c1"] {
            assert_eq!(slot(none.as_bytes()), None, "{none}");
        }
    }
}
