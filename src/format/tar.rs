//! Headers of tar archives: the old ones, POSIX's, GNU's.
//!
//! A block of 512 bytes stands before each member. GNU's long names and POSIX's records
//! of a member come as members of their own before it; putting them together is their
//! reader's work.

use super::number;
use super::text::{behind, cut};

/// The size of a block.
pub const BLOCK: usize = 512;

/// A member's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// What it is: `0` a file, `1` a hard link, `2` a symbolic one, `5` a folder; others as they come.
    pub kind: u8,
    /// Permissions and the set-ID bits.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// How many bytes follow.
    pub size: u64,
    /// When it was changed, in seconds since 1970.
    pub time: u64,
}

/// A field up to its NUL.
fn text(block: &[u8; BLOCK], from: usize, len: usize) -> &[u8] {
    cut(block.get(from..from + len).unwrap_or_default(), 0).0
}

/// Octal digits between blanks, or GNU's binary number behind a first bit that is set. An empty one is 0.
fn value(block: &[u8; BLOCK], from: usize, len: usize) -> Option<u64> {
    let field = block.get(from..from + len)?;
    if let [first @ 0x80..=0xff, rest @ ..] = field {
        // One that is below zero is none here: a time before 1970.
        let first = u64::from(first & 0x7f);
        return match first {
            0x7f => Some(0),
            _ => rest.iter().try_fold(first, |sum, b| {
                sum.checked_mul(256)?.checked_add(u64::from(*b))
            }),
        };
    }
    let mut sum = 0u64;
    for digit in cut(field, 0).0.trim_ascii() {
        sum = sum.checked_mul(8)?;
        sum += u64::from(digit.checked_sub(b'0').filter(|d| *d < 8)?);
    }
    Some(sum)
}

/// Reads a header; `None` for what is none, by its checksum.
#[inline(never)]
pub fn head(block: &[u8; BLOCK]) -> Option<Head> {
    let mut sum = 0;
    for (at, byte) in block.iter().enumerate() {
        // The checksum itself counts as blanks.
        sum += u64::from(if (148..156).contains(&at) {
            b' '
        } else {
            *byte
        });
    }
    if value(block, 148, 8)? != sum {
        return None;
    }
    let mut kind = *block.get(156)?;
    if matches!(kind, 0 | b'7') {
        // Before POSIX a folder was told by its name's end.
        let folder = text(block, 0, 100).ends_with(b"/");
        kind = if folder { b'5' } else { b'0' };
    }
    let small = |from| value(block, from, 8).and_then(|v| u32::try_from(v).ok());
    Some(Head {
        kind,
        mode: small(100)? & 0o7777,
        uid: small(108)?,
        gid: small(116)?,
        size: value(block, 124, 12)?,
        time: value(block, 136, 12)?,
    })
}

/// The name in the header: its prefix, which is empty or ends in no slash, and the rest.
pub fn name(block: &[u8; BLOCK]) -> (&[u8], &[u8]) {
    // GNU's own format has something else in the prefix's place.
    let posix = block.get(257..263) == Some(b"ustar\0");
    let prefix = if posix { text(block, 345, 155) } else { b"" };
    (prefix, text(block, 0, 100))
}

/// What a link's header says it leads to.
pub fn link(block: &[u8; BLOCK]) -> &[u8] {
    text(block, 157, 100)
}

/// The next of POSIX's records, `LENGTH KEY=VALUE` and a line's end: its key and its value.
/// `None` at the end, and for what is no record; then `rest` is not empty.
#[inline(never)]
pub fn record<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (len, text) = cut(rest, b' ');
    let whole = usize::try_from(number::u64(len)?).ok()?;
    let (text, end) = text?.split_at_checked(whole.checked_sub(len.len() + 2)?)?;
    let (key, value) = cut(text, b'=');
    let value = value?;
    *rest = behind(end, b"\n")?;
    Some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(name: &[u8], kind: u8, size: &[u8]) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        block[..name.len()].copy_from_slice(name);
        block[100..107].copy_from_slice(b"0004755");
        block[108..116].copy_from_slice(b"  1750 \0");
        block[116..118].copy_from_slice(b"0\0");
        block[124..124 + size.len()].copy_from_slice(size);
        block[136..147].copy_from_slice(b"14000000000");
        block[156] = kind;
        block[257..263].copy_from_slice(b"ustar\0");
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
        block[148..155].copy_from_slice(std::format!("{sum:06o}\0").as_bytes());
        block
    }

    #[test]
    fn a_header_is_read() {
        let head = head(&block(b"bin/su", b'0', b"00000000144\0")).unwrap();
        assert_eq!(
            (head.kind, head.mode, head.uid, head.gid),
            (b'0', 0o4755, 0o1750, 0)
        );
        assert_eq!((head.size, head.time), (100, 0o14000000000));
    }

    #[test]
    fn large_sizes_are_binary_and_old_folders_end_in_a_slash() {
        let binary = b"\x80\0\0\0\0\0\0\x02\0\0\0\0";
        assert_eq!(head(&block(b"x", b'0', binary)).unwrap().size, 2 << 32);
        assert_eq!(head(&block(b"x/", 0, b"0")).unwrap().kind, b'5');
        assert_eq!(head(&block(b"x", 0, b"0")).unwrap().kind, b'0');
    }

    #[test]
    fn what_is_damaged_is_no_header() {
        let good = block(b"x", b'0', b"0");
        // What stands behind a field's NUL says nothing.
        for at in (0..BLOCK).filter(|at| *at != 155) {
            let mut bad = good;
            bad[at] ^= 0x40;
            assert_eq!(head(&bad), None, "{at}");
        }
        assert_eq!(head(&block(b"x", b'0', b"99")), None);
        assert_eq!(
            head(&block(
                b"x",
                b'0',
                b"\x81\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"
            )),
            None
        );
    }

    #[test]
    fn records_are_read_to_the_first_that_is_none() {
        let mut rest = &b"11 path=ab\n18 linkpath=c=d e\nrest"[..];
        assert_eq!(record(&mut rest), Some((&b"path"[..], &b"ab"[..])));
        assert_eq!(record(&mut rest), Some((&b"linkpath"[..], &b"c=d e"[..])));
        assert_eq!(record(&mut rest), None);
        for bad in [
            &b"1 a=b\n"[..],
            b"99 a=b\n",
            b"7 a=b\n",
            b"-6 a=b\n",
            b"5 ab\n",
            b" a=b\n",
            b"18446744073709551615 a=b\n",
        ] {
            assert_eq!(record(&mut &bad[..]), None, "{bad:?}");
        }
    }
}
