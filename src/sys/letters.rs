//! Bytes as text: UTF-8, checked letter by letter.
//!
//! core's own check is made for speed, with a table and unrolled loops: six times the
//! bytes of this one. What is text here is a sentence or a path.

/// The bytes as text, if they are UTF-8 to their end.
#[inline(never)]
pub fn text(bytes: &[u8]) -> Option<&str> {
    let mut rest = bytes.iter();
    while let Some(first) = rest.next() {
        let len = first.leading_ones();
        match len {
            0 => continue,
            2..=4 => {}
            _ => return None,
        }
        let mut letter = u32::from(*first);
        for _ in 1..len {
            let more = rest.next().filter(|b| **b & 0xc0 == 0x80)?;
            letter = letter << 6 | u32::from(more & 0x3f);
        }
        // What says the length goes off: 5, 4 or 3 bits of the first byte are left, and 6 of each other.
        letter &= (1 << (5 * len + 1)) - 1;
        // None for half of a pair and what is beyond the last letter; a longer form than needed is no UTF-8.
        if char::from_u32(letter)?.len_utf8() != len as usize {
            return None;
        }
    }
    // SAFETY: every letter was just found whole, valid and in its shortest form.
    Some(unsafe { core::str::from_utf8_unchecked(bytes) })
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn it_is_what_core_says() {
        let edges = b"\0A\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc2\xdf\xe0\xe1\xec\xed\xee\xef\xf0\xf1\xf3\xf4\xf5\xf7\xf8\xff";
        let mut state = 0x9e37_79b9_u32;
        for len in 0..=6 {
            for _ in 0..100_000 {
                let mut bytes = [0; 6];
                for b in &mut bytes {
                    state ^= state << 13;
                    state ^= state >> 17;
                    state ^= state << 5;
                    *b = edges[state as usize % edges.len()];
                }
                let bytes = &bytes[..len];
                assert_eq!(text(bytes), core::str::from_utf8(bytes).ok(), "{bytes:x?}");
            }
        }
        for letter in (0..=0x11_0000).filter_map(char::from_u32) {
            let mut room = [0; 4];
            let one = letter.encode_utf8(&mut room);
            assert_eq!(text(one.as_bytes()), Some(&*one));
        }
    }
}
