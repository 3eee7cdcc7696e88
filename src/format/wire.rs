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

/// Reads back what a [`Writer`] wrote.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the slice's first byte.
    pub fn new(rest: &'a [u8]) -> Self {
        Reader { rest }
    }

    /// The next `len` bytes.
    pub fn raw(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(len)?;
        self.rest = tail;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.raw(N)?.try_into().ok()
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A byte string behind its length.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.u16()?;
        self.raw(usize::from(len))
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
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
        assert_eq!(r.u8(), Some(7));
        assert_eq!(r.u16(), Some(0x1234));
        assert_eq!(r.u32(), Some(0xdead_beef));
        assert_eq!(r.u64(), Some(u64::MAX));
        assert_eq!(r.bytes(), Some(&b"pouch"[..]));
        assert!(r.is_empty());
        assert_eq!(r.u8(), None);
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
    fn a_length_past_the_end_is_none() {
        let mut r = Reader::new(&[5, 0, b'a']);
        assert_eq!(r.bytes(), None);
    }
}
