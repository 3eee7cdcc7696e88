//! The LZMA stream that the packed binary is kept as (the format of the LZMA SDK's lzma-specification.txt).
//!
//! Pure, and total: whatever the input is, decoding ends and writes nothing outside its room. The format finds few
//! damages by itself: the caller has a digest.

/// Where each kind of chance begins in the table; a state's chances are 16 apart where they depend on the place.
const IS_MATCH: usize = 0;
const IS_REP: usize = IS_MATCH + 16 * 12;
const IS_REP0_LONG: usize = IS_REP + 4 * 12;
const SLOT: usize = IS_REP0_LONG + 16 * 12;
const PLACE: usize = SLOT + 4 * 64;
const ALIGN: usize = PLACE + 128;
const LEN: usize = ALIGN + 16;
const REP_LEN: usize = LEN + LEN_SIZE;
const LEN_SIZE: usize = 2 + 2 * 16 * 8 + 256;
const LITERAL: usize = REP_LEN + LEN_SIZE;
/// The literals of a context, and the most contexts that a stream has here: lc + lp is 4 or less.
const LITERAL_SIZE: usize = 0x300;
const CONTEXTS: usize = 16;
const CHANCES: usize = LITERAL + LITERAL_SIZE * CONTEXTS;

/// How likely a zero is in each context (of 2048). As many as a mask lets through: no place needs a check.
type Chances = [u16; MASK + 1];
const MASK: usize = CHANCES.next_power_of_two() - 1;

/// The range decoder. All of it is made part of [`unpack`], so that it stays in registers: at boot the person
/// waits for it.
struct Bits<'a> {
    input: &'a [u8],
    range: u32,
    code: u32,
}

impl Bits<'_> {
    /// Brings the range back to 24 bits or more; behind its end the input reads as zeros.
    #[inline(always)]
    fn fill(&mut self) {
        if self.range < 1 << 24 {
            let mut byte = 0;
            if let Some((first, rest)) = self.input.split_first() {
                (byte, self.input) = (*first, rest);
            }
            self.range <<= 8;
            self.code = self.code << 8 | u32::from(byte);
        }
    }

    /// One bit in a context.
    #[inline(always)]
    fn bit(&mut self, chances: &mut Chances, context: usize) -> usize {
        let Some(place) = chances.get_mut(context & MASK) else {
            return 0;
        };
        let chance = u32::from(*place);
        self.fill();
        let bound = (self.range >> 11) * chance;
        if self.code >= bound {
            self.range -= bound;
            self.code -= bound;
            *place = (chance - (chance >> 5)) as u16;
            1
        } else {
            self.range = bound;
            *place = (chance + ((2048 - chance) >> 5)) as u16;
            0
        }
    }

    /// A number of so many bits, each in the context of those before it, the highest first.
    #[inline(always)]
    fn tree(&mut self, chances: &mut Chances, context: usize, bits: usize) -> usize {
        let mut number = 1;
        while number >> bits == 0 {
            number = number << 1 | self.bit(chances, context + number);
        }
        number - (1 << bits)
    }

    /// The same, the lowest bit first.
    #[inline(always)]
    fn reverse(&mut self, chances: &mut Chances, context: usize, bits: usize) -> usize {
        let (mut number, mut way) = (0, 1);
        for at in 0..bits {
            let bit = self.bit(chances, context + way);
            way = way << 1 | bit;
            number |= bit << at;
        }
        number
    }

    /// How long a match is, less 2.
    #[inline(always)]
    fn len(&mut self, chances: &mut Chances, context: usize, place: usize) -> usize {
        let (least, context, bits) = if self.bit(chances, context) == 0 {
            (0, context + 2 + place * 8, 3)
        } else if self.bit(chances, context + 1) == 0 {
            (8, context + 130 + place * 8, 3)
        } else {
            (16, context + 258, 8)
        };
        least + self.tree(chances, context, bits)
    }

    /// How far back a match of that length begins, less 1.
    #[inline(always)]
    fn distance(&mut self, chances: &mut Chances, len: usize) -> usize {
        let slot = self.tree(chances, SLOT + len.min(3) * 64, 6);
        if slot < 4 {
            return slot;
        }
        let bits = slot / 2 - 1;
        let base = (2 | slot & 1) << bits;
        if bits < 6 {
            return base + self.reverse(chances, PLACE + base - slot, bits);
        }
        let mut number = 0;
        for _ in 4..bits {
            self.fill();
            self.range >>= 1;
            let bit = self.code >= self.range;
            if bit {
                self.code -= self.range;
            }
            number = number << 1 | usize::from(bit);
        }
        base + number * 16 + self.reverse(chances, ALIGN, 4)
    }
}

/// Fills `room` from `input`: a byte of properties ((pb * 5 + lp) * 9 + lc, lc + lp at most 4), then a stream
/// without an end mark.
///
/// `None`: no stream, or one that points outside of `room`; what that holds then means nothing.
#[inline(never)]
pub fn unpack(input: &[u8], room: &mut [u8]) -> Option<()> {
    // The range encoder's first byte is always 0.
    let ([kind, 0, code @ ..], input) = input.split_first_chunk::<6>()? else {
        return None;
    };
    let (lc, lp, pb) = (kind % 9, kind / 9 % 5, kind / 45);
    let mut bits = Bits {
        input,
        range: u32::MAX,
        code: u32::from_be_bytes(*code),
    };
    let chances = &mut [1024; MASK + 1];
    // The last four distances, the newest first; the kinds of what came last, as the format numbers them.
    let (mut back, mut state, mut at) = ([0usize; 4], 0, 0usize);
    while at < room.len() {
        let place = at & ((1 << pb) - 1);
        let mut len = 1;
        if bits.bit(chances, IS_MATCH + state * 16 + place) == 0 {
            let before = *room.get(at.wrapping_sub(1)).unwrap_or(&0);
            let context = ((at & ((1 << lp) - 1)) << lc) + (usize::from(before) << lc >> 8);
            let context = LITERAL + LITERAL_SIZE * context;
            // Behind a match the byte that would have gone on with it helps to guess.
            let (mut guess, mut trust) = (0, 0);
            if state >= 7 {
                trust = 0x100;
                guess = usize::from(*room.get(at.wrapping_sub(back[0]).wrapping_sub(1))?);
            }
            let mut letter = 1;
            while letter < 0x100 {
                guess <<= 1;
                let guessed = guess & trust;
                let bit = bits.bit(chances, context + trust + guessed + letter);
                letter = letter << 1 | bit;
                trust = if bit == 0 { trust ^ guessed } else { guessed };
            }
            *room.get_mut(at)? = letter as u8;
            at += 1;
            state = match state {
                0..4 => 0,
                4..10 => state - 3,
                _ => state - 6,
            };
            continue;
        }
        let late = if state < 7 { 0 } else { 3 };
        if bits.bit(chances, IS_REP + state) == 0 {
            len = 2 + bits.len(chances, LEN, place);
            back = [bits.distance(chances, len - 2), back[0], back[1], back[2]];
            state = 7 + late;
        } else {
            let mut which = 0;
            while which < 3 && bits.bit(chances, IS_REP + 12 * (which + 1) + state) == 1 {
                which += 1;
            }
            if which == 0 && bits.bit(chances, IS_REP0_LONG + state * 16 + place) == 0 {
                state = if late == 0 { 9 } else { 11 };
            } else {
                back.get_mut(..=which)?.rotate_right(1);
                len = 2 + bits.len(chances, REP_LEN, place);
                state = if late == 0 { 8 } else { 11 };
            }
        }
        for _ in 0..len {
            let byte = *room.get(at.wrapping_sub(back[0]).wrapping_sub(1))?;
            *room.get_mut(at)? = byte;
            at += 1;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"a pouch, a pouch, and then a third pouch";
    /// What `lzma-rust2` makes of it with lc 1, lp 2, pb 2.
    const PACKED: &[u8] = &[
        109, 0, 48, 136, 10, 6, 243, 226, 102, 176, 50, 113, 175, 138, 215, 63, 72, 95, 246, 31,
        194, 242, 104, 54, 51, 160, 201, 227, 109, 60, 245, 192, 0,
    ];

    #[test]
    fn a_stream_is_read() {
        let mut room = [0; TEXT.len()];
        assert_eq!(unpack(PACKED, &mut room), Some(()));
        assert_eq!(room, TEXT);
    }

    #[test]
    fn a_damaged_stream_harms_nobody() {
        let mut room = [0; TEXT.len()];
        for len in 0..PACKED.len() {
            assert!(
                unpack(&PACKED[..len], &mut room).is_none() || len >= 6,
                "{len}"
            );
        }
        for bit in 0..PACKED.len() * 8 {
            let mut packed = [0; 33];
            packed.copy_from_slice(PACKED);
            packed[bit / 8] ^= 1 << (bit % 8);
            assert_ne!((bit / 8, unpack(&packed, &mut room)), (1, Some(())));
        }
        for kind in 0..=255 {
            for len in [0, 1, 4096] {
                let mut packed = [0x5a; 300];
                packed[..2].copy_from_slice(&[kind, 0]);
                let mut room = [0; 4096];
                let _ = unpack(&packed, &mut room[..len]);
            }
        }
    }
}
