//! The latest output of a session, by absolute position.
//!
//! Positions count every byte that the session ever wrote, so a line remembers by one
//! number what it has shown, and what it missed is a subtraction.

/// The positions of a ring; its bytes lie elsewhere, in a slice whose length is the capacity.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Ring {
    written: u64,
}

impl Ring {
    /// The position behind the newest byte.
    pub fn end(&self) -> u64 {
        self.written
    }

    /// The position of the oldest byte still there.
    pub fn start(&self, capacity: usize) -> u64 {
        self.written.saturating_sub(capacity as u64)
    }

    /// Adds bytes; the oldest make room.
    pub fn push(&mut self, room: &mut [u8], bytes: &[u8]) {
        let skip = bytes.len().saturating_sub(room.len());
        self.written += skip as u64;
        let mut rest = bytes.get(skip..).unwrap_or_default();
        while !rest.is_empty() && !room.is_empty() {
            let at = (self.written % room.len() as u64) as usize;
            let Some(gap) = room.get_mut(at..) else {
                return;
            };
            let n = gap.len().min(rest.len());
            for (to, from) in gap.iter_mut().zip(rest) {
                *to = *from;
            }
            self.written += n as u64;
            rest = rest.get(n..).unwrap_or_default();
        }
    }

    /// Room for the next bytes, at most so many of them, in one piece: what is put there is told to [`Ring::put`].
    /// The oldest bytes make room.
    pub fn gap<'a>(&self, room: &'a mut [u8], most: usize) -> &'a mut [u8] {
        let at = self.written.checked_rem(room.len() as u64).unwrap_or(0) as usize;
        let end = (at + most).min(room.len());
        room.get_mut(at..end).unwrap_or_default()
    }

    /// So many bytes were put into the gap.
    pub fn put(&mut self, len: usize) {
        self.written += len as u64;
    }

    /// The bytes from a position on that lie in one piece, and how many before them are lost.
    ///
    /// Empty when nothing newer is there. Called again behind what it gave, it gives the rest.
    pub fn read<'a>(&self, room: &'a [u8], from: u64) -> (u64, &'a [u8]) {
        let start = self.start(room.len());
        let lost = start.saturating_sub(from);
        let from = from.max(start);
        let there = self.written.saturating_sub(from) as usize;
        if room.is_empty() || there == 0 {
            return (lost, &[]);
        }
        let at = (from % room.len() as u64) as usize;
        let end = (at + there).min(room.len());
        (lost, room.get(at..end).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads all from a position on.
    fn all(ring: &Ring, room: &[u8], mut from: u64) -> (u64, std::vec::Vec<u8>) {
        let mut out = std::vec::Vec::new();
        let mut lost = 0;
        loop {
            let (l, piece) = ring.read(room, from);
            if piece.is_empty() {
                return (lost + l, out);
            }
            lost += l;
            from += l + piece.len() as u64;
            out.extend_from_slice(piece);
        }
    }

    #[test]
    fn what_is_put_into_the_gaps_is_what_a_push_would_have_put() {
        for most in 1..9 {
            let (mut room, mut ring) = ([0u8; 7], Ring::default());
            let (mut pushed, mut like) = ([0u8; 7], Ring::default());
            for byte in 0..40u8 {
                let gap = ring.gap(&mut room, most);
                assert!(!gap.is_empty() && gap.len() <= most);
                // A read may give less than there is room for.
                let len = gap.len().min(usize::from(byte % 3) + 1);
                gap[..len].fill(byte);
                ring.put(len);
                like.push(&mut pushed, &std::vec![byte; len]);
                assert_eq!((ring, room), (like, pushed));
            }
        }
    }

    #[test]
    fn every_row_of_pushes_reads_back_as_its_tail() {
        for a in 0..12usize {
            for b in 0..12usize {
                for c in 0..12usize {
                    let mut room = [0u8; 7];
                    let mut ring = Ring::default();
                    let text: std::vec::Vec<u8> = (0..(a + b + c) as u8).collect();
                    ring.push(&mut room, &text[..a]);
                    ring.push(&mut room, &text[a..a + b]);
                    ring.push(&mut room, &text[a + b..]);
                    for from in 0..=text.len() {
                        let (lost, got) = all(&ring, &room, from as u64);
                        let start = from.max(text.len().saturating_sub(7));
                        assert_eq!(got, &text[start..], "{a} {b} {c} from {from}");
                        assert_eq!(lost as usize, start - from);
                    }
                }
            }
        }
    }
}
