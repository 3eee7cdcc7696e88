//! Text on its way to a person's terminal.
//!
//! A sentence is a form with a `{}` for each value, filled by one function: a fraction of
//! what a formatting call at each place would take. A file or a container can be named by
//! whoever wants to attack the terminal of the person who lists it, so control bytes and
//! what is no UTF-8 are shown as `?`.

use super::ended::Ended;
use super::errno;
use super::fault::Fault;
use super::reason::Reason;
use heapless::vec::VecView;

/// Whoever takes text, bytes of UTF-8.
pub trait Take {
    /// Takes it. What it cannot take it knows of by itself.
    fn take(&mut self, text: &[u8]);
}

/// The same as a trait object, so that every value's words are compiled once for all
/// writers of the binary.
pub type Sink<'a> = dyn Take + 'a;

/// Bytes shown with control characters and broken UTF-8 as `?`.
#[derive(Clone, Copy)]
pub struct Plain<'a>(pub &'a [u8]);

/// What stands in a form's gap.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// Text of pouch's own.
    Word(&'a [u8]),
    /// Bytes of others.
    Plain(&'a [u8]),
    /// A number.
    Number(u64),
    /// Why a word cannot be read.
    Reason(Reason),
    /// The kernel's reason.
    Errno(u16),
    /// How a process ended.
    Ended(Ended),
    /// What failed.
    Fault(&'a Fault<'a>),
}

/// Writes a form into a [`Sink`], a value for each `{}`.
macro_rules! put {
    ($sink:expr, $form:expr $(, $value:expr)* $(,)?) => {
        $crate::format::text::fill(&mut *$sink, $form, &[$($value.into()),*])
    };
}
pub(crate) use put;

/// Where a word stands in a text for the first time. By `get` alone: core's windows have a panic in them.
#[inline(never)]
pub fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    (0..text.len()).find(|at| text.get(*at..).is_some_and(|rest| rest.starts_with(word)))
}

/// Writes a form, a value for each `{}`.
#[inline(never)]
pub fn fill(sink: &mut Sink<'_>, form: &str, values: &[Value<'_>]) {
    let mut values = values.iter();
    let mut rest = form.as_bytes();
    while let Some(gap) = find(rest, b"{}") {
        sink.take(rest.get(..gap).unwrap_or_default());
        rest = rest.get(gap + 2..).unwrap_or_default();
        if let Some(value) = values.next() {
            show(sink, value);
        }
    }
    sink.take(rest);
}

/// Writes one value.
fn show(sink: &mut Sink<'_>, value: &Value<'_>) {
    match *value {
        Value::Word(word) => sink.take(word),
        Value::Plain(bytes) => plain(sink, bytes),
        Value::Number(number) => decimal(sink, number),
        Value::Reason(reason) => sink.take(reason.words().as_bytes()),
        Value::Errno(number) => errno::show(sink, number),
        Value::Ended(ended) => ended.show(sink),
        Value::Fault(fault) => fault.show(sink),
    }
}

/// A number's digits.
#[inline(never)]
pub fn decimal(sink: &mut Sink<'_>, number: u64) {
    let mut digits = [0; 20];
    let mut rest = number;
    let mut from = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        from -= 1;
        if rest == 0 {
            break;
        }
    }
    sink.take(digits.get(from..).unwrap_or_default());
}

/// Bytes of others.
#[inline(never)]
fn plain(sink: &mut Sink<'_>, bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let (len, kind) = letter(rest);
        let (letter, behind) = rest.split_at_checked(len).unwrap_or_default();
        sink.take(if kind == Kind::Plain { letter } else { b"?" });
        rest = behind;
    }
}

/// What a letter is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// One that is shown as it is.
    Plain,
    /// A control character, C0, DEL or C1.
    Control,
    /// Bytes that are no UTF-8: the longest beginning of a letter, or a single byte.
    Broken,
}

/// The length of the next letter of bytes that may be UTF-8 (the Unicode Standard, table
/// 3-7), and what it is.
#[inline(never)]
pub fn letter(bytes: &[u8]) -> (usize, Kind) {
    let first = bytes.first().copied().unwrap_or_default();
    // How many bytes follow the first, and between which the next one lies.
    let (more, mut low, mut high) = match first {
        0..0x80 => (0, 0, 0),
        0xc2..0xe0 => (1, 0x80, 0xbf),
        0xe0 => (2, 0xa0, 0xbf),
        0xed => (2, 0x80, 0x9f),
        0xe1..0xf0 => (2, 0x80, 0xbf),
        0xf0 => (3, 0x90, 0xbf),
        0xf1..0xf4 => (3, 0x80, 0xbf),
        0xf4 => (3, 0x80, 0x8f),
        _ => (4, 1, 0), // begins no letter: no byte lies between those
    };
    let mut len = 1;
    while let Some(next) = bytes.get(len).filter(|_| len <= more)
        && (low..=high).contains(next)
    {
        (low, high) = (0x80, 0xbf);
        len += 1;
    }
    let kind = match (first, bytes.get(1)) {
        (0..0x20 | 0x7f, _) | (0xc2, Some(0x80..0xa0)) => Kind::Control,
        _ if len > more => Kind::Plain,
        _ => Kind::Broken,
    };
    (len, kind)
}

macro_rules! values {
    ($($type:ty, $from:ident => $value:expr;)*) => {
        $(impl<'a> From<$type> for Value<'a> {
            #[inline]
            fn from($from: $type) -> Self {
                $value
            }
        })*
    };
}

values! {
    &'a str, word => Value::Word(word.as_bytes());
    Plain<'a>, bytes => Value::Plain(bytes.0);
    u64, number => Value::Number(number);
    u32, number => Value::Number(number.into());
    u8, number => Value::Number(number.into());
    Reason, reason => Value::Reason(reason);
    errno::Reason, reason => Value::Errno(reason.0);
    Ended, ended => Value::Ended(ended);
    &'a Fault<'a>, fault => Value::Fault(fault);
}

/// A bounded text to write into by [`put`]. What does not fit is left out, from the first
/// byte too many on.
#[derive(Default)]
pub struct Text<const N: usize> {
    text: heapless::Vec<u8, N>,
    full: bool,
}

impl<const N: usize> Text<N> {
    /// An empty one.
    pub const fn new() -> Self {
        Text {
            text: heapless::Vec::new(),
            full: false,
        }
    }

    /// What was written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// What was written, which is empty if a writer wrote no UTF-8.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.text).unwrap_or_default()
    }

    /// Whether something was left out.
    pub fn is_cut(&self) -> bool {
        self.full
    }
}

impl<const N: usize> Take for Text<N> {
    #[inline(never)]
    fn take(&mut self, text: &[u8]) {
        if !self.full {
            self.full = !add(self.text.as_mut_view(), text);
        }
    }
}

/// Adds as many letters as there is room for; whether that is all of them.
#[inline(never)]
fn add(to: &mut VecView<u8>, text: &[u8]) -> bool {
    let room = to.capacity() - to.len();
    let mut end = text.len();
    if end > room {
        end = 0;
        loop {
            let (len, _) = letter(text.get(end..).unwrap_or_default());
            if end + len > room {
                break;
            }
            end += len;
        }
    }
    let _ = to.extend_from_slice(text.get(..end).unwrap_or_default());
    end == text.len()
}

impl<const N: usize> ufmt::uWrite for Text<N> {
    type Error = core::convert::Infallible;

    fn write_str(&mut self, text: &str) -> Result<(), Self::Error> {
        self.take(text.as_bytes());
        Ok(())
    }
}

/// Of `texts` with `at` between, the one of that number, counted from 0. A string instead
/// of a table of pointers: a third of the bytes.
#[inline(never)]
pub fn nth(texts: &'static str, at: u8, number: usize) -> Option<&'static str> {
    let mut from = 0;
    for _ in 0..number {
        let rest = texts.as_bytes().get(from..)?;
        from += rest.iter().position(|b| *b == at)? + 1;
    }
    let (text, _) = cut(texts.as_bytes().get(from..)?, at);
    texts.get(from..from + text.len())
}

/// The line of that number, counted from 0. `None` if there are fewer, or it is empty.
#[inline(never)]
pub fn line(lines: &'static str, number: usize) -> Option<&'static str> {
    nth(lines, b'\n', number).filter(|line| !line.is_empty())
}

/// Splits at the first `at`, which is in neither part; without one all is in the first.
#[inline(never)]
pub fn cut(text: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|b| *b == at) {
        Some(end) => (text.get(..end).unwrap_or_default(), text.get(end + 1..)),
        None => (text, None),
    }
}

/// What stands behind `start`, if the bytes begin with it.
#[inline(never)]
pub fn behind<'a>(bytes: &'a [u8], start: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(start.len())?;
    (head == start).then_some(rest)
}

/// What stands behind `key` on the first line that begins with it.
#[inline(never)]
pub fn line_of<'a>(mut text: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    loop {
        let (line, rest) = cut(text, b'\n');
        if let Some(value) = behind(line, key) {
            return Some(value);
        }
        text = rest?;
    }
}

/// Whether two words are one whatever the case of their letters. core's own compares sixteen
/// bytes at a time, which is ten times the code.
#[inline(never)]
pub fn alike(one: &[u8], other: &[u8]) -> bool {
    let mut rest = other.iter();
    for byte in one {
        if rest.next().map(u8::to_ascii_lowercase) != Some(byte.to_ascii_lowercase()) {
            return false;
        }
    }
    rest.next().is_none()
}

/// Which of `words` it is whatever the case of its letters, counted from 0; the first
/// `skip` bytes of each word are left out.
#[inline(never)]
pub fn which_from(words: &'static str, skip: usize, word: &[u8]) -> Option<usize> {
    let mut number = 0;
    while let Some(known) = nth(words, b' ', number) {
        let known = known.as_bytes().get(skip..).unwrap_or_default();
        if alike(known, word) {
            return Some(number);
        }
        number += 1;
    }
    None
}

/// Which of `words` it is, counted from 0; they have one blank between them.
#[inline(never)]
pub fn which(words: &str, word: &[u8]) -> Option<usize> {
    let mut rest = Some(words.as_bytes());
    let mut number = 0;
    while let Some(some) = rest {
        let (known, behind) = cut(some, b' ');
        if known == word {
            return Some(number);
        }
        number += 1;
        rest = behind;
    }
    None
}

/// The same, with its value from a table of as many.
pub fn pick<T: Copy>(words: &str, values: &[T], word: &[u8]) -> Option<T> {
    values.get(which(words, word)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_by_their_number() {
        let lines = "Pouch: {}: unable to mount\nSee pouch --help\n~";
        assert_eq!(line(lines, 2), Some("~"));
        assert_eq!(line(lines, 3), None);
        assert_eq!(line("\na", 0), None);
    }

    #[test]
    fn a_full_text_ends_with_a_whole_letter() {
        let mut text = Text::<4>::new();
        put!(&mut text, "{}{}", "abc", "\u{e4}");
        assert_eq!((text.as_str(), text.is_cut()), ("abc", true));
        put!(&mut text, "d");
        assert_eq!(text.as_str(), "abc");
        let mut text = Text::<4>::new();
        put!(&mut text, "{}", Plain(b"a\nb\n"));
        assert_eq!((text.as_str(), text.is_cut()), ("a?b?", false));
    }

    #[test]
    fn words_are_found_whole() {
        assert_eq!(which("ab c de", b"ab"), Some(0));
        assert_eq!(which("ab c de", b"de"), Some(2));
        for none in ["", "a", "b", "ab c", "d", "dee", " "] {
            assert_eq!(which("ab c de", none.as_bytes()), None, "{none}");
        }
        assert_eq!(cut(b"a=b=c", b'='), (&b"a"[..], Some(&b"b=c"[..])));
        assert_eq!(cut(b"a=", b'='), (&b"a"[..], Some(&b""[..])));
        assert_eq!(cut(b"a", b'='), (&b"a"[..], None));
    }

    #[test]
    fn escape_sequences_are_neutralised() {
        let mut s = Text::<64>::new();
        put!(&mut s, "{}", Plain(b"a\x1b[2Jb\n\xffc \xc3\xa4\xc2\x9b"));
        assert_eq!(s.as_str(), "a?[2Jb??c ä?");
    }

    #[test]
    fn letters_are_those_of_core() {
        let mut state = 0x9e37_79b9_u32;
        for _ in 0..200_000 {
            let mut bytes = [0; 6];
            for b in &mut bytes {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                let edges = b"\0\x1fA\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc2\xdf\xe0\xe1\xec\xed\xef\xf0\xf1\xf3\xf4\xf5\xff";
                *b = edges[state as usize % edges.len()];
            }
            let mut wanted = std::string::String::new();
            for chunk in bytes.utf8_chunks() {
                for c in chunk.valid().chars() {
                    wanted.push(if c.is_control() { '?' } else { c });
                }
                if !chunk.invalid().is_empty() {
                    wanted.push('?');
                }
            }
            let mut text = Text::<64>::new();
            put!(&mut text, "{}", Plain(&bytes));
            assert_eq!(text.as_str(), wanted, "{bytes:x?}");
        }
    }
}
