//! What ends a binary that was packed: a magic word and a digest, which no other build has.
//!
//! Made where the binary is packed (qemu/src/squeeze.rs), checked where it is unpacked
//! (src/packed), and what a state in memory is tied to (init).

/// The word in front of the digest.
pub const MAGIC: [u8; 8] = *b"pouch\0\0\x01";
/// The mark's length: the word, and the digest, little endian.
pub const LEN: usize = 16;
/// The digest of nothing.
pub const START: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, of `bytes` behind those that made `sum`: it tells builds apart, and a damaged one from a
/// whole one; it keeps nobody out.
pub fn digest(mut sum: u64, bytes: &[u8]) -> u64 {
    for byte in bytes {
        sum = (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_fnv_1a_and_goes_on_where_it_was() {
        // The vectors of its authors.
        assert_eq!(digest(START, b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(digest(START, b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(digest(START, b"foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(
            digest(digest(START, b"foo"), b"bar"),
            digest(START, b"foobar")
        );
    }
}
