//! What pouch says, as bytes: forms, sentences, and tables of them in one text.
//!
//! Nothing is packed here any more than as it stands: the binary is packed as a whole, which is smaller.

use super::text::{Sink, cut};

/// A constant text as bytes.
macro_rules! pack {
    ($text:expr) => {{
        const TEXT: &str = $text;
        $crate::format::pack::Packed(TEXT.as_bytes())
    }};
}
pub(crate) use pack;

/// What [`pack`] made of a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packed(pub &'static [u8]);

impl Packed {
    /// The line of that number, counted from 0. `None` if there are fewer, or it is empty.
    #[inline(never)]
    pub fn line(self, number: usize) -> Option<Packed> {
        let mut rest = Some(self.0);
        for _ in 0..number {
            rest = cut(rest?, b'\n').1;
        }
        let (line, _) = cut(rest?, b'\n');
        (!line.is_empty()).then_some(Packed(line))
    }
}

impl AsRef<[u8]> for Packed {
    fn as_ref(&self) -> &[u8] {
        self.0
    }
}

/// Writes what was packed.
pub fn unpack(sink: &mut Sink<'_>, packed: &[u8]) {
    sink.take(packed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_by_their_number() {
        let packed = pack!("Pouch: {}: unable to mount\nSee pouch --help\n~");
        assert_eq!(packed.line(2), Some(pack!("~")));
        assert_eq!(packed.line(3), None);
        assert_eq!(pack!("\na").line(0), None);
    }
}
