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

/// FNV-1a's step for eight bytes at once, of `bytes` behind those that made `sum`, which were a multiple of eight: it
/// tells builds apart, and a damaged one from a whole one; it keeps nobody out.
pub fn digest(mut sum: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    for word in words.iter().chain((!rest.is_empty()).then_some(&last)) {
        sum = (sum ^ u64::from_le_bytes(*word)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_changes_with_every_bit_and_goes_on_where_it_was() {
        let mut bytes = *b"bytes of a binary, some of them behind the last eight";
        let whole = digest(START, &bytes);
        assert_eq!(digest(digest(START, &bytes[..16]), &bytes[16..]), whole);
        assert_eq!(digest(START, b""), START);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(digest(START, &bytes), whole);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
