//! Numbers and byte strings in a bounded buffer, little endian.
//!
//! The one place that knows how a value lies in a message or in a spec. A writer
//! that runs over its buffer remembers it and hands back nothing; a reader that
//! runs out answers `None`. Neither can read or write past its slice.

/// Writes values one behind the other into a slice.
pub struct Writer<'a> {
    buf: &'a mut [u8],
    at: usize,
    full: bool,
}

impl<'a> Writer<'a> {
    /// Starts at the slice's first byte.
    pub fn new(buf: &'a mut [u8]) -> Self {
        Writer {
            buf,
            at: 0,
            full: false,
        }
    }

    /// Leaves so many bytes as they are.
    pub fn skip(&mut self, len: usize) {
        self.at += len;
    }

    /// Bytes as they are, without a length.
    pub fn raw(&mut self, bytes: &[u8]) {
        let end = self.at.saturating_add(bytes.len());
        match self.buf.get_mut(self.at..end) {
            Some(room) if !self.full => {
                // Not copy_from_slice: its check of the lengths is a panic with words.
                room.iter_mut()
                    .zip(bytes)
                    .for_each(|(to, from)| *to = *from);
                self.at = end;
            }
            _ => self.full = true,
        }
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) {
        self.raw(&[value]);
    }

    /// Two bytes.
    pub fn u16(&mut self, value: u16) {
        self.raw(&value.to_le_bytes());
    }

    /// Four bytes.
    pub fn u32(&mut self, value: u32) {
        self.raw(&value.to_le_bytes());
    }

    /// Eight bytes.
    pub fn u64(&mut self, value: u64) {
        self.raw(&value.to_le_bytes());
    }

    /// A byte string behind its length (two bytes; longer than 65,535 is refused as too full).
    pub fn bytes(&mut self, bytes: &[u8]) {
        match u16::try_from(bytes.len()) {
            Ok(len) => {
                self.u16(len);
                self.raw(bytes);
            }
            Err(_) => self.full = true,
        }
    }

    /// What was written, or `None` if the slice was too small for it.
    pub fn finish(self) -> Option<&'a [u8]> {
        if self.full {
            return None;
        }
        let Writer { buf, at, .. } = self;
        buf.get(..at)
    }
}

/// Reads back what a [`Writer`] wrote. What is missing reads as nothing and is
/// remembered, so a message is read in one go and judged by [`Reader::is_whole`].
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
    good: bool,
}

impl<'a> Reader<'a> {
    /// Starts at the slice's first byte.
    pub fn new(rest: &'a [u8]) -> Self {
        Reader { rest, good: true }
    }

    /// The next `len` bytes.
    #[inline(never)]
    pub fn raw(&mut self, len: usize) -> &'a [u8] {
        match self.rest.split_at_checked(len) {
            Some((head, tail)) => {
                self.rest = tail;
                head
            }
            None => {
                self.good = false;
                b""
            }
        }
    }

    /// The next `len` bytes as a number.
    #[inline(never)]
    pub fn number(&mut self, len: usize) -> u64 {
        let bytes = self.raw(len).iter().rev();
        bytes.fold(0, |sum, b| sum << 8 | u64::from(*b))
    }

    /// One byte.
    pub fn u8(&mut self) -> u8 {
        self.number(1) as u8
    }

    /// Two bytes.
    pub fn u16(&mut self) -> u16 {
        self.number(2) as u16
    }

    /// Four bytes.
    pub fn u32(&mut self) -> u32 {
        self.number(4) as u32
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> u64 {
        self.number(8)
    }

    /// One byte that is 0 or 1.
    pub fn flag(&mut self) -> bool {
        let byte = self.u8();
        self.check(byte < 2);
        byte == 1
    }

    /// A byte string behind its length.
    #[inline(never)]
    pub fn bytes(&mut self) -> &'a [u8] {
        let len = self.u16();
        self.raw(usize::from(len))
    }

    /// What was read must be so.
    pub fn check(&mut self, good: bool) {
        self.good &= good;
    }

    /// The same for what was made of it.
    pub fn some<T>(&mut self, made: Option<T>, or: T) -> T {
        self.check(made.is_some());
        made.unwrap_or(or)
    }

    /// Whether all that was asked for was there.
    pub fn is_good(&self) -> bool {
        self.good
    }

    /// Whether it was, and nothing is left.
    pub fn is_whole(&self) -> bool {
        self.good && self.rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut room = [0; 64];
        let mut w = Writer::new(&mut room);
        w.u8(7);
        w.u16(0x1234);
        w.u32(0xdead_beef);
        w.u64(u64::MAX);
        w.bytes(b"pouch");
        let bytes = w.finish().unwrap();
        let mut r = Reader::new(bytes);
        assert_eq!(r.u8(), 7);
        assert_eq!(r.u16(), 0x1234);
        assert_eq!(r.u32(), 0xdead_beef);
        assert_eq!(r.u64(), u64::MAX);
        assert_eq!(r.bytes(), b"pouch");
        assert!(r.is_whole());
        assert_eq!(r.u8(), 0);
        assert!(!r.is_good());
    }

    #[test]
    fn a_writer_that_ran_over_hands_back_nothing() {
        let mut room = [0; 4];
        let mut w = Writer::new(&mut room);
        w.u32(1);
        w.u8(1);
        assert!(w.finish().is_none());
    }

    #[test]
    fn a_length_past_the_end_is_told() {
        let mut r = Reader::new(&[5, 0, b'a']);
        assert_eq!(r.bytes(), b"");
        assert!(!r.is_good());
    }
}
