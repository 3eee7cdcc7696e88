//! Bytes of others on their way to a person's terminal.
//!
//! A file or a container can be named by whoever wants to attack the terminal of the
//! person who lists it, so control bytes and what is no UTF-8 are shown as `?`.

/// Bytes shown with control characters and broken UTF-8 as `?`.
#[derive(Clone, Copy)]
pub struct Plain<'a>(pub &'a [u8]);

/// Whoever takes text. As a trait object, so that every value's words are compiled once
/// for all writers of the binary.
pub type Sink<'a> = dyn ufmt::uWrite<Error = core::convert::Infallible> + 'a;

/// Writes text into a [`Sink`], which keeps its errors for itself.
macro_rules! put {
    ($sink:expr, $($rest:tt)*) => {{
        let sink: &mut $crate::format::text::Sink<'_> = &mut *$sink;
        let Ok(()) = ufmt::uwrite!(sink, $($rest)*);
    }};
}
pub(crate) use put;

/// Lets what writes into a [`Sink`] write into any formatter, so that the long part of a
/// `uDisplay` is compiled once and not once for each kind of writer.
pub fn through<W: ufmt::uWrite + ?Sized>(
    f: &mut ufmt::Formatter<'_, W>,
    write: &dyn Fn(&mut Sink<'_>),
) -> Result<(), W::Error> {
    struct Through<'a, 'f, W: ufmt::uWrite + ?Sized> {
        f: &'a mut ufmt::Formatter<'f, W>,
        done: Result<(), W::Error>,
    }
    impl<W: ufmt::uWrite + ?Sized> ufmt::uWrite for Through<'_, '_, W> {
        type Error = core::convert::Infallible;

        fn write_str(&mut self, text: &str) -> Result<(), Self::Error> {
            if self.done.is_ok() {
                self.done = self.f.write_str(text);
            }
            Ok(())
        }
    }
    let mut sink = Through { f, done: Ok(()) };
    write(&mut sink);
    sink.done
}

/// Gives a type its `uDisplay` by a function that writes it into a [`Sink`].
macro_rules! display {
    ($type:ty, $write:expr) => {
        impl ufmt::uDisplay for $type {
            fn fmt<W: ufmt::uWrite + ?Sized>(
                &self,
                f: &mut ufmt::Formatter<'_, W>,
            ) -> Result<(), W::Error> {
                $crate::format::text::through(f, &|sink| $write(self, sink))
            }
        }
    };
}
pub(crate) use display;

display!(Plain<'_>, |plain: &Plain<'_>, sink: &mut Sink<'_>| {
    for chunk in plain.0.utf8_chunks() {
        for c in chunk.valid().chars() {
            let Ok(()) = sink.write_char(if c.is_control() { '?' } else { c });
        }
        if !chunk.invalid().is_empty() {
            put!(sink, "?");
        }
    }
});

/// A bounded text to write into by [`put`]. What does not fit is left out, from the first
/// byte too many on.
#[derive(Default)]
pub struct Text<const N: usize> {
    text: heapless::String<N>,
    full: bool,
}

impl<const N: usize> Text<N> {
    /// An empty one.
    pub const fn new() -> Self {
        Text {
            text: heapless::String::new(),
            full: false,
        }
    }

    /// What was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether something was left out.
    pub fn is_cut(&self) -> bool {
        self.full
    }
}

impl<const N: usize> ufmt::uWrite for Text<N> {
    type Error = core::convert::Infallible;

    fn write_str(&mut self, text: &str) -> Result<(), Self::Error> {
        let room = N - self.text.len();
        let fitting = match text.len() <= room {
            true => text.len(),
            false => (0..=room)
                .rev()
                .find(|at| text.is_char_boundary(*at))
                .unwrap_or(0),
        };
        if !self.full {
            let _ = self.text.push_str(text.get(..fitting).unwrap_or_default());
        }
        self.full |= fitting < text.len();
        Ok(())
    }
}

/// The line of that number, counted from 0.
pub fn line(lines: &'static str, number: usize) -> Option<&'static str> {
    lines.split('\n').nth(number)
}

/// Splits at the first `at`, which is in neither part; without one all is in the first.
pub fn cut(text: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|b| *b == at) {
        Some(end) => (text.get(..end).unwrap_or_default(), text.get(end + 1..)),
        None => (text, None),
    }
}

/// Which of `words` it is, counted from 0; they have one blank between them. A string
/// instead of a table of pointers: a third of the bytes.
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
        let mut s = heapless::String::<64>::new();
        ufmt::uwrite!(s, "{}", Plain(b"a\x1b[2Jb\n\xffc \xc3\xa4\xc2\x9b")).unwrap();
        assert_eq!(s.as_str(), "a?[2Jb??c ä?");
    }
}
