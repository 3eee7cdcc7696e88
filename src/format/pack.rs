//! Sentences in a good half of their bytes.
//!
//! What pouch says is known when it is compiled, so it is packed then: a byte from 0x80 on
//! stands for a piece of text that occurs often. Separators (`{}`, line ends) are never
//! part of a piece, so a packed form or table is cut and searched as it lies.

use super::text::{Sink, cut};

/// The pieces, `|` between them, in the order of their bytes; found by counting what pouch
/// says. At most 128, sorted.
const PIECES: &str = concat!(
    "    |        |  --| --| [| a| c| f| in| is | mo| no| or | re| s| t| the | to | with|",
    ", |--|-drop|-new-|-timeout |: |: %|COMMAND|NAME|NEW|PID |Pouch: |a |abilities|",
    "abilities_|ad|ad-onl|al|an|and |at|boot |cap|ch |connect |d |ddres|de|destroy |",
    "devic|e |ed |en|er|es|exec |file |group|health|hel|host|hostnam|il|in|info |ing|is|",
    "it|ke|le|li|limit|lo|ma|me|memor|moniz|moun|must be |n |name|namespac|ne|no|o |of|",
    "omman|on|onnec|onsole|ontain|or|or |ot|out |pouch|pouch |power|priv|privileg|proc|",
    "re|ro|s |seccomp |set |st|st |start |stop|t |ta|ted|ter|thaw |the |tion|tmpf|too |",
    "ts |tt|un|unable|unkno|user|user cwd |versi|wa|y ",
);

/// Where each piece begins and how long it is, and the first piece that begins with a letter or
/// one behind it: for the packing, at compile time alone.
#[allow(clippy::indexing_slicing)] // what is out of bounds does not compile
const PLACES: ([(usize, usize); 128], [usize; 129]) = {
    let text = PIECES.as_bytes();
    let mut places = [(0, 0); 128];
    let mut first = [0; 129];
    let (mut count, mut from, mut at, mut letter) = (0, 0, 0, 0);
    while at <= text.len() {
        if at == text.len() || text[at] == b'|' {
            while letter <= text[from] as usize {
                first[letter] = count;
                letter += 1;
            }
            places[count] = (from, at - from);
            count += 1;
            from = at + 1;
        }
        at += 1;
    }
    while letter < first.len() {
        first[letter] = count;
        letter += 1;
    }
    (places, first)
};

/// The longest piece that stands at this place: its byte, and how many it is for.
#[allow(clippy::indexing_slicing)] // as above
const fn longest(text: &[u8], at: usize) -> (u8, usize) {
    let pieces = PIECES.as_bytes();
    let letter = text[at];
    assert!(letter < 0x80);
    let (mut byte, mut most) = (letter, 1);
    let mut piece = PLACES.1[letter as usize];
    while piece < PLACES.1[letter as usize + 1] {
        let (from, len) = PLACES.0[piece];
        if len > most && at + len <= text.len() {
            let mut same = 1;
            while same < len && pieces[from + same] == text[at + same] {
                same += 1;
            }
            if same == len {
                (byte, most) = (0x80 | piece as u8, len);
            }
        }
        piece += 1;
    }
    (byte, most)
}

/// How many bytes a text is when it is packed.
pub const fn packed_len(text: &str) -> usize {
    let (mut at, mut len) = (0, 0);
    while at < text.len() {
        at += longest(text.as_bytes(), at).1;
        len += 1;
    }
    len
}

/// The text packed. It has no letter beyond ASCII.
#[allow(clippy::indexing_slicing)] // as above
pub const fn packed<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    let (mut at, mut len) = (0, 0);
    while at < text.len() {
        let (byte, taken) = longest(text.as_bytes(), at);
        bytes[len] = byte;
        at += taken;
        len += 1;
    }
    bytes
}

/// A constant text as packed bytes.
macro_rules! pack {
    ($text:expr) => {{
        const TEXT: &str = $text;
        const PACKED: [u8; $crate::format::pack::packed_len(TEXT)] =
            $crate::format::pack::packed(TEXT);
        $crate::format::pack::Packed(&PACKED)
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

/// Writes packed bytes as the text they stand for.
#[inline(never)]
pub fn unpack(sink: &mut Sink<'_>, packed: &[u8]) {
    for byte in packed {
        let mut text = core::slice::from_ref(byte);
        if *byte >= 0x80 {
            let mut rest = Some(PIECES.as_bytes());
            for _ in 0x7f..*byte {
                (text, rest) = cut(rest.unwrap_or_default(), b'|');
            }
        }
        sink.take(text);
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::Text;
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        const SAID: &str = "Pouch: {}: unable to mount the container\nSee pouch --help\n~";
        let packed = pack!(SAID);
        assert!(packed.0.len() < SAID.len() * 3 / 4, "{}", packed.0.len());
        let mut text = Text::<100>::new();
        unpack(&mut text, packed.0);
        assert_eq!(text.as_str(), SAID);
        assert_eq!(packed.line(2), Some(pack!("~")));
        assert_eq!(packed.line(3), None);
        assert_eq!(pack!("\na").line(0), None);
    }

    #[test]
    fn every_piece_is_found_again() {
        assert!(PIECES.split('|').count() <= 128);
        for (number, piece) in PIECES.split('|').enumerate() {
            assert!(
                piece.len() > 1 && !piece.contains(['\n', '{', '}']),
                "{piece:?}"
            );
            assert_eq!(
                longest(piece.as_bytes(), 0),
                (0x80 | number as u8, piece.len()),
                "{piece:?}"
            );
        }
    }
}
