//! Deflate (RFC 1951): what gzip, and so a packed image, is made of.
//!
//! Bytes come one by one from a function and leave through a window: a slice that is
//! handed on each time it is full and begins anew, or one in which all has room. Nothing
//! is kept beside it. A window smaller than 32 KiB may be too small for what it is given.

/// Where compressed bytes come from; `None` at their end.
pub type Source<'a> = &'a mut dyn FnMut() -> Option<u8>;

/// Where the window goes when it is full and at the end; `None` says that it is of no use any more.
pub type Drain<'a> = &'a mut dyn FnMut(&[u8]) -> Option<()>;

/// Bits that are looked up at once; a longer code is found bit by bit.
const QUICK: usize = 9;
/// The longest code in bits.
const LONGEST: usize = 15;
/// The most symbols of a code.
const SYMBOLS: usize = 288;

/// One canonical Huffman code.
struct Code {
    /// For each of the next bits, as they come: symbol << 4 | length, or 0.
    quick: [u16; 1 << QUICK],
    /// How many codes have each length.
    count: [u16; LONGEST + 1],
    /// The symbols in the order of their codes.
    symbols: [u16; SYMBOLS],
}

/// Lengths and distances begin at these, and have so many further bits.
const LENGTH_BASE: [u16; 29] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
    163, 195, 227, 258,
];
/// The order in which the lengths of the code of lengths come.
const ORDER: [u8; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

impl Code {
    const fn new() -> Code {
        Code {
            quick: [0; 1 << QUICK],
            count: [0; LONGEST + 1],
            symbols: [0; SYMBOLS],
        }
    }

    /// Takes the lengths of all symbols' codes; `None` where there are more codes than fit.
    #[inline(never)]
    fn set(&mut self, lengths: &[u8]) -> Option<()> {
        self.quick = [0; 1 << QUICK];
        self.count = [0; LONGEST + 1];
        for len in lengths {
            *self.count.get_mut(usize::from(*len))? += 1;
        }
        // Where the symbols of each length begin, and their first codes.
        let (mut at, mut code, mut left) = ([0u16; LONGEST + 2], [0u16; LONGEST + 2], 1i32);
        for len in 1..=LONGEST {
            let count = *self.count.get(len)?;
            left = 2 * left - i32::from(count);
            // More codes than there are of that length; beyond it their numbers would not fit either.
            if left < 0 {
                return None;
            }
            *at.get_mut(len + 1)? = *at.get(len)? + count;
            *code.get_mut(len + 1)? = (*code.get(len)? + count) << 1;
        }
        for (symbol, len) in lengths.iter().enumerate() {
            let len = usize::from(*len);
            if len == 0 {
                continue;
            }
            let place = at.get_mut(len)?;
            *self.symbols.get_mut(usize::from(*place))? = symbol as u16;
            *place += 1;
            let next = code.get_mut(len)?;
            // The code's first bit is the lowest of those that come.
            let mut bits = usize::from(next.reverse_bits() >> (16 - len));
            *next += 1;
            if len > QUICK {
                continue;
            }
            while let Some(quick) = self.quick.get_mut(bits) {
                *quick = (symbol as u16) << 4 | len as u16;
                bits += 1 << len;
            }
        }
        Some(())
    }
}

/// The work in hand.
struct Inflate<'a> {
    source: Source<'a>,
    drain: Drain<'a>,
    window: &'a mut [u8],
    at: usize,
    /// The window was full before: all of it may be copied from.
    wrapped: bool,
    bits: u32,
    have: u32,
    /// Bits that stand for what should have come behind the end.
    missing: u32,
}

impl Inflate<'_> {
    /// Sees to it that so many bits are there, at most 16; behind the end there are zeros.
    #[inline(never)]
    fn want(&mut self, count: u32) {
        while self.have < count {
            match (self.source)() {
                Some(byte) => self.bits |= u32::from(byte) << self.have,
                None => self.missing += 8,
            }
            self.have += 8;
        }
    }

    /// The next bits as a number.
    #[inline(never)]
    fn take(&mut self, count: u32) -> usize {
        self.want(count);
        let value = self.bits & ((1 << count) - 1);
        self.bits >>= count;
        self.have -= count;
        value as usize
    }

    #[inline(never)]
    fn symbol(&mut self, code: &Code) -> Option<usize> {
        self.want(LONGEST as u32);
        let quick = *code.quick.get(self.bits as usize & ((1 << QUICK) - 1))?;
        if quick != 0 {
            let len = u32::from(quick & 15);
            self.bits >>= len;
            self.have -= len;
            return Some(usize::from(quick >> 4));
        }
        let (mut value, mut first, mut index) = (0, 0, 0);
        for count in code.count.get(1..)? {
            let count = usize::from(*count);
            value |= self.take(1);
            if value < first + count {
                return Some(usize::from(*code.symbols.get(index + value - first)?));
            }
            index += count;
            first = (first + count) << 1;
            value <<= 1;
        }
        None
    }

    #[inline(never)]
    fn put(&mut self, byte: u8) -> Option<()> {
        if self.missing > self.have {
            return None; // made of bits that never came
        }
        *self.window.get_mut(self.at)? = byte;
        self.at += 1;
        if self.at == self.window.len() {
            (self.drain)(self.window)?;
            self.at = 0;
            self.wrapped = true;
        }
        Some(())
    }

    fn copy(&mut self, len: usize, distance: usize) -> Option<()> {
        let mut from = match self.at.checked_sub(distance) {
            Some(from) => from,
            None if self.wrapped => (self.at + self.window.len()).checked_sub(distance)?,
            None => return None,
        };
        for _ in 0..len {
            let byte = *self.window.get(from)?;
            from += 1;
            if from == self.window.len() {
                from = 0;
            }
            self.put(byte)?;
        }
        Some(())
    }

    fn stored(&mut self) -> Option<()> {
        // Its bytes begin at a byte's boundary.
        self.take(self.have & 7);
        let len = self.take(16);
        if len ^ self.take(16) != 0xffff {
            return None;
        }
        for _ in 0..len {
            let byte = self.take(8) as u8;
            self.put(byte)?;
        }
        Some(())
    }

    /// The codes of a block that brings its own.
    fn dynamic(&mut self, literals: &mut Code, distances: &mut Code) -> Option<()> {
        let (some, far, few) = (self.take(5) + 257, self.take(5) + 1, self.take(4) + 4);
        let mut lengths = [0u8; 320];
        for place in ORDER.get(..few)? {
            *lengths.get_mut(usize::from(*place))? = self.take(3) as u8;
        }
        literals.set(lengths.get(..19)?)?;
        lengths = [0; 320];
        let (mut at, mut last) = (0, 0);
        while at < some + far {
            let (value, times) = match self.symbol(literals)? {
                16 if at == 0 => return None,
                16 => (last, 3 + self.take(2)),
                17 => (0, 3 + self.take(3)),
                18 => (0, 11 + self.take(7)),
                len => (len as u8, 1),
            };
            last = value;
            for _ in 0..times {
                *lengths.get_mut(at)? = value;
                at += 1;
            }
        }
        if at != some + far {
            return None;
        }
        literals.set(lengths.get(..some)?)?;
        distances.set(lengths.get(some..at)?)
    }

    fn block(&mut self, literals: &Code, distances: &Code) -> Option<()> {
        loop {
            let symbol = self.symbol(literals)?;
            if symbol < 256 {
                self.put(symbol as u8)?;
                continue;
            }
            if symbol == 256 {
                return Some(());
            }
            let symbol = symbol - 257;
            // Two of the lengths' bits are in the symbol, from the eighth on; 258 has none.
            let more = if symbol < 4 || symbol == 28 {
                0
            } else {
                symbol / 4 - 1
            };
            let len = usize::from(*LENGTH_BASE.get(symbol)?) + self.take(more as u32);
            let far = self.symbol(distances)?;
            let more = if far < 2 { 0 } else { far / 2 - 1 };
            if far > 29 {
                return None;
            }
            let base = if far < 2 {
                far
            } else {
                (2 + (far & 1)) << more
            };
            let distance = 1 + base + self.take(more as u32);
            self.copy(len, distance)?;
        }
    }
}

/// Unpacks one deflate stream, and reads the eight bytes behind it, which in a gzip file
/// are the CRC-32 and the length of what was packed (zeros where nothing follows). What
/// follows those is left in the source.
///
/// `None` where it is no such stream, is cut, or the drain has enough.
pub fn inflate(source: Source<'_>, window: &mut [u8], drain: Drain<'_>) -> Option<[u8; 8]> {
    let (mut literals, mut distances) = (Code::new(), Code::new());
    let mut work = Inflate {
        source,
        drain,
        window,
        at: 0,
        wrapped: false,
        bits: 0,
        have: 0,
        missing: 0,
    };
    loop {
        let last = work.take(1);
        match work.take(2) {
            0 => work.stored()?,
            1 => {
                let mut lengths = [8u8; SYMBOLS];
                lengths.get_mut(144..256)?.fill(9);
                lengths.get_mut(256..280)?.fill(7);
                literals.set(&lengths)?;
                distances.set(&[5; 30])?;
                work.block(&literals, &distances)?;
            }
            2 => {
                work.dynamic(&mut literals, &mut distances)?;
                work.block(&literals, &distances)?;
            }
            _ => return None,
        }
        if last == 1 {
            let rest = work.window.get(..work.at)?;
            (work.drain)(rest)?;
            if work.missing > work.have {
                return None;
            }
            work.take(work.have & 7);
            let mut behind = [0; 8];
            for byte in &mut behind {
                *byte = work.take(8) as u8;
            }
            return Some(behind);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn unpack(packed: &[u8], window: usize) -> Option<(Vec<u8>, [u8; 8])> {
        let (mut at, mut out) = (0, Vec::new());
        let mut room = std::vec![0; window];
        let behind = inflate(
            &mut || {
                at += 1;
                packed.get(at - 1).copied()
            },
            &mut room,
            &mut |part| {
                out.extend_from_slice(part);
                (out.len() < 1 << 20).then_some(())
            },
        )?;
        Some((out, behind))
    }

    #[test]
    fn every_kind_of_block_unpacks() {
        // Stored, then a trailer.
        let stored = b"\x01\x05\x00\xfa\xffhello12345678";
        assert_eq!(unpack(stored, 64), Some((b"hello".to_vec(), *b"12345678")));
        // zlib's for "hello hello hello hello\n" with fixed codes.
        let fixed = [
            0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x57, 0xc8, 0x40, 0x27, 0xb9, 0x00,
        ];
        let (text, behind) = unpack(&fixed, 8).unwrap();
        assert_eq!(
            (&*text, behind),
            (&b"hello hello hello hello\n"[..], [0; 8])
        );
    }

    #[test]
    fn what_is_cut_or_wrong_is_refused() {
        let fixed = [
            0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x57, 0xc8, 0x40, 0x27, 0xb9, 0x00,
        ];
        for len in 0..fixed.len() - 1 {
            assert_eq!(unpack(&fixed[..len], 64), None, "{len}");
        }
        for wrong in [
            &b"\x07"[..],                 // a kind that is none
            b"\x01\x05\x00\xfa\xfehello", // a length that is not its own complement
            b"\x03\x02",                  // a distance before the beginning
            b"",
        ] {
            assert_eq!(unpack(wrong, 64), None, "{wrong:?}");
        }
    }
}
