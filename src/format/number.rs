//! Numbers as people write them: strict decimals and sizes with K, M, G.
//!
//! Strict means that a trailing byte, a sign, a blank or an overflow is no number
//! (CVE-2026-30892 came of a lenient uid).

/// A decimal without sign, blank or rest.
pub fn u64(word: &[u8]) -> Option<u64> {
    if word.is_empty() {
        return None;
    }
    word.iter().try_fold(0u64, |sum, b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// The same within 32 bits.
pub fn u32(word: &[u8]) -> Option<u32> {
    u64(word).and_then(|n| u32::try_from(n).ok())
}

/// The same in base 8, for file modes.
pub fn octal(word: &[u8]) -> Option<u32> {
    if word.is_empty() {
        return None;
    }
    word.iter().try_fold(0u32, |sum, b| {
        let digit = matches!(b, b'0'..=b'7').then(|| u32::from(b - b'0'))?;
        sum.checked_mul(8)?.checked_add(digit)
    })
}

/// A number of bytes: a decimal, then nothing or K, M, G, T (powers of 1,024, also small, also with a B behind).
pub fn size(word: &[u8]) -> Option<u64> {
    let digits = word.iter().take_while(|b| b.is_ascii_digit()).count();
    let (number, unit) = word.split_at_checked(digits)?;
    let shift = match unit {
        [] => 0,
        [unit] | [unit, b'b' | b'B'] => match unit.to_ascii_uppercase() {
            b'K' => 10,
            b'M' => 20,
            b'G' => 30,
            b'T' => 40,
            _ => return None,
        },
        _ => return None,
    };
    u64(number)?.checked_mul(1u64 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_strict() {
        assert_eq!(u64(b"0"), Some(0));
        assert_eq!(u64(b"18446744073709551615"), Some(u64::MAX));
        for bad in [
            "",
            "1 ",
            " 1",
            "+1",
            "-1",
            "1x",
            "0x1",
            "18446744073709551616",
        ] {
            assert_eq!(u64(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(u32(b"4294967296"), None);
        assert_eq!(octal(b"755"), Some(0o755));
        assert_eq!(octal(b"8"), None);
    }

    #[test]
    fn sizes_take_units() {
        assert_eq!(size(b"64M"), Some(64 << 20));
        assert_eq!(size(b"1k"), Some(1024));
        assert_eq!(size(b"2GB"), Some(2 << 30));
        assert_eq!(size(b"100"), Some(100));
        for bad in ["", "M", "1MM", "1X", "99999999999999T"] {
            assert_eq!(size(bad.as_bytes()), None, "{bad}");
        }
    }
}
