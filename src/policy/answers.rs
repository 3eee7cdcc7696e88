//! A terminal's answers that come too late: ESC [ row ; column R.
//!
//! A program asked where the cursor stands, and the line shows another session by the
//! time the terminal answers. Nobody there asked: for a moment after each switch such an
//! answer is dropped. So is one of a terminal that shows the same session beside the one
//! that is typed on: a VT that nobody has touched answers as well. Whatever else begins like one goes on whole and in order.

use heapless::Vec;

/// How long after a switch an answer belongs to what was shown before.
pub const WINDOW_MS: u64 = 100;
/// The longest answer: two numbers of five digits, and what stands around them.
pub const LONGEST: usize = 14;
/// What goes on of one byte: that, and all that was held.
pub type Passed = Vec<u8, { LONGEST + 1 }>;

/// What has come of an answer.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Answers {
    until: u64,
    held: Vec<u8, LONGEST>,
}

impl Answers {
    /// The line shows another session.
    pub fn switched(&mut self, now: u64) {
        self.until = now + WINDOW_MS;
        self.held.clear();
    }

    /// A byte came, from a terminal that was `asked` or from one that only hears what another
    /// is asked. Those that go on are added to `on`, which was empty.
    #[inline(never)]
    pub fn byte(&mut self, now: u64, byte: u8, asked: bool, on: &mut Passed) {
        let next = match (self.held.len(), byte) {
            (0, 0x1b) => !asked || now < self.until,
            (1, b'[') => true,
            (2.., b'0'..=b'9' | b';') => true,
            (4.., b'R') => return self.held.clear(),
            _ => false,
        };
        if next && self.held.push(byte).is_ok() {
            return;
        }
        self.release(on);
        let _ = on.push(byte);
    }

    /// What is held goes on.
    fn release(&mut self, on: &mut Passed) {
        let _ = on.extend_from_slice(&self.held);
        self.held.clear();
    }

    /// When [`Answers::due`] has something to say.
    pub fn deadline(&self) -> Option<u64> {
        (!self.held.is_empty()).then_some(self.until)
    }

    /// Time has passed: what was no answer by now goes on.
    pub fn due(&mut self, now: u64, on: &mut Passed) {
        if self.deadline().is_some_and(|at| now >= at) {
            self.release(on);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Types a row of bytes a millisecond apart from `at` on, after a switch at 0.
    fn typed(at: u64, row: &[u8]) -> std::vec::Vec<u8> {
        heard(at, row, true)
    }

    fn heard(at: u64, row: &[u8], asked: bool) -> std::vec::Vec<u8> {
        let mut answers = Answers::default();
        answers.switched(0);
        let mut out = std::vec::Vec::new();
        let mut now = at;
        for byte in row {
            let mut on = Passed::new();
            answers.byte(now, *byte, asked, &mut on);
            out.extend_from_slice(&on);
            now += 1;
        }
        let mut on = Passed::new();
        answers.due(now + WINDOW_MS, &mut on);
        out.extend_from_slice(&on);
        out
    }

    #[test]
    fn an_answer_right_after_a_switch_is_dropped_and_a_later_one_is_not() {
        assert_eq!(typed(3, b"a\x1b[24;80Rb"), b"ab");
        assert_eq!(typed(3, b"\x1b[1;1R\x1b[2;2Rls\r"), b"ls\r");
        assert_eq!(typed(100, b"a\x1b[24;80Rb"), b"a\x1b[24;80Rb");
        // It may end behind the window that it began in.
        assert_eq!(typed(97, b"\x1b[24;80R"), b"");
        assert_eq!(heard(500, b"a\x1b[24;80R\x1b[A", false), b"a\x1b[A");
    }

    #[test]
    fn what_only_begins_like_one_goes_on_whole() {
        for row in [
            &b"\x1b"[..],
            b"\x1b[",
            b"\x1b[A",
            b"\x1b[R",
            b"\x1b[1R;",
            b"\x1bOP",
            b"\x1b[1;2A",
            b"\x1b\x1b[A",
            b"\x1b[15~x",
            b"\x1b[1111111111111111111111R",
        ] {
            assert_eq!(typed(0, row), row, "{row:?}");
        }
    }
}
