//! Messages of netlink(7): a head, and attributes that hold bytes or other attributes.
//!
//! A message is written from a *form*, a row of bytes that names each attribute once, and
//! from the values that fill it: dozens of attributes cost a few bytes each instead of a
//! call. Every length is counted behind the fact and must fit its field (CVE-2021-43784: a
//! length that wrapped let the rest be read as attributes of the attacker's); a packet with
//! one that does not is none.

/// Makes an attribute that holds those up to [`CLOSE`]; its kind is added.
pub const OPEN: u8 = 0x40;
/// Makes an attribute of the value whose number is the next byte; its kind is added. One
/// whose value is empty is left out.
pub const VALUE: u8 = 0x80;
/// Makes an attribute of bytes: how many, and they, come next; its kind is added.
pub const BYTES: u8 = 0xc0;
/// Ends what [`OPEN`] began.
pub const CLOSE: u8 = 0xff;
/// Bytes without an attribute around them: how many, and they, come next.
pub const BARE: u8 = 0xfe;
/// The highest kind that a form can name; without anything added to it, it makes an
/// attribute of a number below 256, the next byte, as 32 bits in the network's order.
pub const KIND_MAX: u8 = 0x3d;

/// NLA_F_NESTED.
const NESTED: u16 = 1 << 15;
/// struct nlmsghdr, struct nlattr.
const HEAD: usize = 16;
const ATTRIBUTE: usize = 4;

/// NLM_F_REQUEST and NLM_F_ACK: it wants to be done, and answered.
pub const ASK: u16 = 1 | 4;
/// NLM_F_CREATE: it makes what is not there.
pub const CREATE: u16 = 0x400;
/// NLM_F_EXCL: it is an error if it is there.
pub const EXCLUSIVE: u16 = 0x200;
/// NLM_F_APPEND.
pub const APPEND: u16 = 0x800;

/// Joins rows of bytes to a form when it is compiled.
macro_rules! form {
    ($($part:expr),* $(,)?) => {{
        const PARTS: &[&[u8]] = &[$($part),*];
        const LEN: usize = $crate::format::netlink::total(PARTS);
        const FORM: [u8; LEN] = $crate::format::netlink::joined(PARTS);
        &FORM
    }};
}
pub(crate) use form;

/// How many bytes the rows have together.
pub const fn total(mut parts: &[&[u8]]) -> usize {
    let mut sum = 0;
    while let [first, rest @ ..] = parts {
        sum += first.len();
        parts = rest;
    }
    sum
}

/// The rows one behind the other.
pub const fn joined<const N: usize>(mut parts: &[&[u8]]) -> [u8; N] {
    let (mut all, mut at) = ([0; N], 0);
    while let [first, rest @ ..] = parts {
        let mut part: &[u8] = first;
        while let [byte, more @ ..] = part {
            if let Some((_, [place, ..])) = all.split_at_mut_checked(at) {
                *place = *byte;
            }
            at += 1;
            part = more;
        }
        parts = rest;
    }
    all
}

/// A row of messages on its way.
pub struct Packet<'b> {
    room: &'b mut [u8],
    at: usize,
    good: bool,
}

impl<'b> Packet<'b> {
    /// An empty one, as long as the room at most.
    pub fn new(room: &'b mut [u8]) -> Self {
        Packet {
            room,
            at: 0,
            good: true,
        }
    }

    /// Adds a message: its number, its flags, the head of its family, attributes by their form.
    #[inline(never)]
    pub fn message(
        &mut self,
        number: u16,
        flags: u16,
        family: &[u8],
        form: &[u8],
        values: &[&[u8]],
    ) {
        let start = self.at;
        self.raw(&[0; HEAD]);
        self.raw(family);
        self.pad();
        let mut rest = form;
        self.attributes(&mut rest, values);
        let [a, b] = number.to_le_bytes();
        let [c, d] = flags.to_le_bytes();
        let [e, f, g, h, ..] = (self.at - start).to_le_bytes();
        // Every processor that is built for stores its lowest byte first; the sequence stays 0.
        self.put(start, &[e, f, g, h, a, b, c, d]);
    }

    /// What was written; `None` if it did not fit, or a length did not fit its field.
    pub fn finish(self) -> Option<&'b [u8]> {
        let Packet { room, at, good } = self;
        room.get(..at).filter(|_| good)
    }

    /// The attributes up to the form's end, or the end of the one they are in.
    fn attributes(&mut self, form: &mut &[u8], values: &[&[u8]]) {
        while let Some(code) = byte(form) {
            if code == CLOSE {
                return;
            }
            if code == BARE {
                let bytes = some(form);
                self.raw(bytes);
                continue;
            }
            let (what, mut kind) = (code & 0xc0, u16::from(code & !0xc0));
            let number;
            let bytes = match what {
                OPEN => &[][..],
                VALUE => {
                    let at = byte(form).unwrap_or_default();
                    values.get(usize::from(at)).copied().unwrap_or_default()
                }
                BYTES => some(form),
                _ => {
                    number = [0, 0, 0, byte(form).unwrap_or_default()];
                    &number
                }
            };
            if what == VALUE && bytes.is_empty() {
                continue;
            }
            let start = self.at;
            self.raw(&[0; ATTRIBUTE]);
            self.raw(bytes);
            if what == OPEN {
                kind |= NESTED;
                self.attributes(form, values);
            }
            let len = u16::try_from(self.at - start).unwrap_or_else(|_| {
                self.good = false;
                0
            });
            let ([a, b], [c, d]) = (len.to_le_bytes(), kind.to_le_bytes());
            self.put(start, &[a, b, c, d]);
            self.pad();
        }
    }

    /// Zeros up to where the next may begin.
    fn pad(&mut self) {
        let over = self.at & 3;
        if over != 0 {
            self.raw([0; 3].get(over - 1..).unwrap_or_default());
        }
    }

    fn raw(&mut self, bytes: &[u8]) {
        let at = self.at;
        self.at += bytes.len();
        self.put(at, bytes);
    }

    #[inline(never)]
    fn put(&mut self, at: usize, bytes: &[u8]) {
        match self.room.get_mut(at..at + bytes.len()) {
            // Not copy_from_slice: its check of the lengths is a panic with words.
            Some(room) => room
                .iter_mut()
                .zip(bytes)
                .for_each(|(to, from)| *to = *from),
            None => self.good = false,
        }
    }
}

/// The form's next byte.
fn byte(form: &mut &[u8]) -> Option<u8> {
    let (first, rest) = form.split_first()?;
    *form = rest;
    Some(*first)
}

/// As many of the form's bytes as the next one says.
fn some<'f>(form: &mut &'f [u8]) -> &'f [u8] {
    let len = byte(form).unwrap_or_default();
    let (bytes, rest) = form.split_at_checked(len.into()).unwrap_or_default();
    *form = rest;
    bytes
}

/// The first answer in a packet that came: the errno, positive, or 0 for a success.
pub fn answer(packet: &[u8]) -> Option<u16> {
    /// NLMSG_ERROR.
    const ERROR: u8 = 2;
    let kind = packet.get(4)?;
    let errno = packet.get(HEAD..)?.first_chunk()?;
    (*kind == ERROR).then_some(i32::from_le_bytes(*errno).unsigned_abs() as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn packet(form: &[u8], values: &[&[u8]]) -> Option<Vec<u8>> {
        let mut room = [0xaa; 512];
        let mut packet = Packet::new(&mut room);
        packet.message(0x10, 0x605, &[2, 0, 0, 0], form, values);
        packet.finish().map(<[u8]>::to_vec)
    }

    #[test]
    fn a_message_is_these_bytes() {
        let form = [
            &[VALUE | 3, 0][..],
            &[OPEN | 18],
            &[BYTES | 1, 4],
            b"veth",
            &[OPEN | 2, OPEN | 1],
            &[BARE, 4, 7, 8, 0, 0],
            &[BYTES | 5, 1, 9],
            &[CLOSE, CLOSE, CLOSE],
            &[4, 200],
            &[VALUE | 9, 1],
        ]
        .concat();
        let wanted = [
            // nlmsghdr: length, type, flags, sequence, port; then the family's head.
            &[68, 0, 0, 0, 0x10, 0, 5, 6, 0, 0, 0, 0, 0, 0, 0, 0][..],
            &[2, 0, 0, 0],
            &[7, 0, 3, 0],
            b"br0\0",
            &[32, 0, 18, 0x80],
            &[8, 0, 1, 0],
            b"veth",
            &[20, 0, 2, 0x80],
            // What pads the last of those inside is counted.
            &[16, 0, 1, 0x80, 7, 8, 0, 0],
            &[5, 0, 5, 0, 9, 0, 0, 0],
            &[8, 0, 4, 0, 0, 0, 0, 200],
        ]
        .concat();
        let got = packet(&form, &[b"br0", b""]).unwrap();
        assert_eq!(got, wanted);
    }

    #[test]
    fn a_second_message_begins_at_a_fourth_byte() {
        let mut room = [0; 64];
        let mut both = Packet::new(&mut room);
        both.message(1, 2, &[9], &[BYTES | 1, 1, 5], &[]);
        both.message(3, 4, &[], &[], &[]);
        let bytes = both.finish().unwrap();
        assert_eq!(bytes.len(), 28 + 16);
        assert_eq!(bytes[..8], [28, 0, 0, 0, 1, 0, 2, 0]);
        assert_eq!(bytes[16..28], [9, 0, 0, 0, 5, 0, 1, 0, 5, 0, 0, 0]);
        assert_eq!(bytes[28..36], [16, 0, 0, 0, 3, 0, 4, 0]);
    }

    #[test]
    fn no_length_wraps() {
        let mut room = std::vec![0; 200_000];
        for (len, good) in [(65_531, true), (65_532, false), (65_536 + 8, false)] {
            let value = std::vec![1u8; len];
            let mut packet = Packet::new(&mut room);
            packet.message(1, 1, &[], &[VALUE | 1, 0], &[&value]);
            assert_eq!(packet.finish().is_some(), good, "{len}");
        }
        // Nor that of one that holds others, each of which fits.
        let half = std::vec![1u8; 40_000];
        let mut packet = Packet::new(&mut room);
        packet.message(
            1,
            1,
            &[],
            &[OPEN | 1, VALUE | 1, 0, VALUE | 1, 0, CLOSE],
            &[&half],
        );
        assert_eq!(packet.finish(), None);
    }

    #[test]
    fn what_does_not_fit_is_none() {
        for len in 0..40 {
            let mut room = std::vec![0; len];
            let mut packet = Packet::new(&mut room);
            packet.message(1, 1, &[0; 4], &[BYTES | 1, 1, 7, 2, 3], &[]);
            assert_eq!(packet.finish().is_some(), len >= 36, "{len}");
        }
    }

    #[test]
    fn hostile_forms_and_answers_are_answered() {
        for code in 0..=255u8 {
            for next in [0, 1, 200, 255] {
                let _ = packet(&[code, next, OPEN | 1, code], &[b"x"]);
            }
        }
        let error = |errno: i32| {
            let mut bytes = [0u8; 36];
            bytes[..8].copy_from_slice(&[36, 0, 0, 0, 2, 0, 0, 0]);
            bytes[16..20].copy_from_slice(&errno.to_le_bytes());
            bytes
        };
        assert_eq!(answer(&error(-95)), Some(95));
        assert_eq!(answer(&error(0)), Some(0));
        assert_eq!(answer(&error(0)[..19]), None);
        let mut other = error(-1);
        other[4] = 3;
        assert_eq!(answer(&other), None);
        assert_eq!(answer(b""), None);
    }
}
