//! Calls and jumps of machine code with the place they lead to, in place of the way there.
//!
//! A place repeats wherever it is called from, a way never: what packs code makes places of ways first, what unpacks
//! it ways of places again. One function for each processor does both, so that one undoes the other whatever the
//! bytes are: an operand that only looks like one is taken there and back too.

/// Which of the two is made of the other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Make {
    /// Before it is packed.
    Places,
    /// After it was unpacked.
    Ways,
}

impl Make {
    /// What stands there instead: by where it stands, all in `mask`.
    #[inline(always)]
    fn of(self, operand: u32, here: u32, mask: u32) -> u32 {
        mask & match self {
            Make::Places => operand.wrapping_add(here),
            Make::Ways => operand.wrapping_sub(here),
        }
    }
}

/// x86-64: `call`, `jmp` and the long conditional jumps, the place big end first, since near ones begin alike. A way
/// out of the code stays what it is; ways and places trade ranges for that. The last bytes are left alone.
#[inline(never)]
pub fn x86_64(code: &mut [u8], make: Make) {
    let len = code.len() as i32;
    let mut at = 0;
    while let Some(some) = code.get_mut(at..)
        && let Some(eight) = some.first_chunk_mut::<8>()
    {
        let begin = begins(u64::from_le_bytes(*eight));
        at += begin;
        if begin != 0 {
            continue;
        }
        let (operand, behind): (&mut [u8; 4], usize) = match eight {
            [0xe8 | 0xe9, operand @ .., _, _, _] => (operand, 5),
            [0x0f, 0x80..=0x8f, operand @ .., _, _] => (operand, 6),
            _ => {
                at += 1;
                continue;
            }
        };
        let here = at as i32;
        *operand = match make {
            Make::Places => match i32::from_le_bytes(*operand) {
                way if (-here..len - here).contains(&way) => way + here,
                way if (len - here..len).contains(&way) => way - len,
                way => way,
            }
            .to_be_bytes(),
            Make::Ways => match i32::from_be_bytes(*operand) {
                place if (0..len).contains(&place) => place - here,
                place if (-here..0).contains(&place) => place + len,
                place => place,
            }
            .to_le_bytes(),
        };
        at += behind;
    }
}

/// How many of these bytes, the lowest first, are the first one of nothing that is looked for.
#[inline(always)]
fn begins(eight: u64) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // The lowest byte of zero borrows from the next, and had no high bit itself.
    let zero = |bytes: u64| bytes.wrapping_sub(ONES) & !bytes & (0x80 * ONES);
    let found = zero(eight & (0xfe * ONES) ^ (0xe8 * ONES)) | zero(eight ^ (0x0f * ONES));
    found.trailing_zeros() as usize / 8
}

/// aarch64: BL, and ADRP, whose operand counts pages of 4 KiB.
#[inline(never)]
pub fn aarch64(code: &mut [u8], make: Make) {
    let (words, _) = code.as_chunks_mut::<4>();
    for (at, bytes) in words.iter_mut().enumerate() {
        let word = u32::from_le_bytes(*bytes);
        let made = if word >> 26 == 0x25 {
            word & 0xfc00_0000 | make.of(word, at as u32, 0x03ff_ffff)
        } else if word & 0x9f00_0000 == 0x9000_0000 {
            let operand = word >> 29 & 3 | word >> 3 & 0x1f_fffc;
            let made = make.of(operand, at as u32 >> 10, 0x1f_ffff);
            word & 0x9f00_001f | (made & 3) << 29 | (made & 0x1f_fffc) << 3
        } else {
            continue;
        };
        *bytes = made.to_le_bytes();
    }
}

/// Thumb: BL, two halves whose 24 bits of operand lie apart, two of them mixed with the sign.
#[inline(never)]
pub fn thumb(code: &mut [u8], make: Make) {
    let (halves, _) = code.as_chunks_mut::<2>();
    let mut at = 0;
    while let Some(some) = halves.get_mut(at..)
        && let Some([first, second]) = some.first_chunk_mut::<2>()
    {
        let (high, low) = (
            u32::from(u16::from_le_bytes(*first)),
            u32::from(u16::from_le_bytes(*second)),
        );
        at += 1;
        if high & 0xf800 != 0xf000 || low & 0xd000 != 0xd000 {
            continue;
        }
        // The sign turns both: what is mixed is taken apart, and mixed anew by the new sign.
        let mixed = |sign: u32, two: u32| if sign == 0 { two ^ 3 } else { two };
        let sign = high >> 10 & 1;
        let two = mixed(sign, low >> 12 & 2 | low >> 11 & 1);
        let operand = sign << 23 | two << 21 | (high & 0x3ff) << 11 | low & 0x7ff;
        let made = make.of(operand, at as u32, 0xff_ffff);
        let sign = made >> 23;
        let two = mixed(sign, made >> 21 & 3);
        *first = ((0xf000 | sign << 10 | made >> 11 & 0x3ff) as u16).to_le_bytes();
        *second = ((low & 0xd000 | (two & 2) << 12 | (two & 1) << 11 | made & 0x7ff) as u16)
            .to_le_bytes();
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_come_back_from_places_whatever_the_bytes_are() {
        let mut number = 1u32;
        let mut noise = || {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            number >> 24
        };
        for len in (0..40).chain([1000, 5003]) {
            for _ in 0..200 {
                // Many that look like a call, with near operands.
                let ops = [
                    0xe8, 0xe9, 0x0f, 0x84, 0x94, 0x97, 0xb0, 0xf0, 0xf8, 0xff, 0x00, 0x00,
                ];
                let code: std::vec::Vec<u8> = (0..len)
                    .map(|_| match noise() {
                        few if few < 160 => ops[few as usize % ops.len()],
                        any => any as u8,
                    })
                    .collect();
                for turn in [x86_64, aarch64, thumb] {
                    let mut turned = code.clone();
                    turn(&mut turned, Make::Places);
                    turn(&mut turned, Make::Ways);
                    assert!(turned == code, "{code:?}");
                }
            }
        }
    }

    #[test]
    fn two_calls_of_one_place_look_alike() {
        let mut code = [0x90; 40];
        for at in [3, 20] {
            code[at] = 0xe8;
            code[at + 1..at + 5].copy_from_slice(&(31 - at as i32).to_le_bytes());
        }
        x86_64(&mut code, Make::Places);
        assert_eq!(code[3..8], code[20..25]);
        // bl to the word 2, from the words 0 and 8.
        let mut code = [0; 40];
        code[..4].copy_from_slice(&0x9400_0002u32.to_le_bytes());
        code[32..36].copy_from_slice(&(0x9400_0000 | -6i32 as u32 & 0x03ff_ffff).to_le_bytes());
        aarch64(&mut code, Make::Places);
        assert_eq!(code[..4], code[32..36]);
        // bl by gas: to the half 16 from the halves 0 and 4.
        let mut code = [0; 16];
        code[..4].copy_from_slice(&[0x00, 0xf0, 0x0e, 0xf8]);
        code[8..12].copy_from_slice(&[0x00, 0xf0, 0x0a, 0xf8]);
        thumb(&mut code, Make::Places);
        assert_eq!(code[..4], code[8..12]);
    }
}
