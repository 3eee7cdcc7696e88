//! JSON, pulled value by value out of a bounded text.
//!
//! Two walks: the first finds every key of an object and judges all of its text
//! ([`Reader::fields`]), the second reads the values where the first found them. So a
//! later key wins over an earlier one, the keys' order says nothing, and what is read
//! is known to be JSON. Nothing is kept but one string at a time, and nesting is bounded.
//! Keys have no case, as Go's reader had it; bytes behind the first value are none of ours.

use super::reason::Reason;
use super::spec::SPEC_MAX;
use super::text::{Plain, Sink, put, which};
use heapless::Vec;

/// The largest file that is read, in bytes.
pub const SIZE_MAX: usize = 32_768;
/// How deep values may lie in each other.
const DEPTH: u8 = 16;
/// After so many unknown keys nobody reads on.
const WARNINGS: u8 = 16;
/// The most of a text that a message repeats.
const SHOWN: usize = 60;

/// Kinds of values, a bit each, for [`Reader::text`].
pub mod kind {
    /// A string.
    pub const TEXT: u8 = 1;
    /// A number.
    pub const NUMBER: u8 = 2;
    /// true or false.
    pub const BOOL: u8 = 4;
    /// A list of strings, which is read as one string with commas between.
    pub const LIST: u8 = 8;
}

/// A text that is being read.
pub struct Reader<'a, 's> {
    /// The file's name, for messages.
    file: &'a [u8],
    text: &'a [u8],
    /// The next byte that is looked at.
    at: usize,
    /// Where the value begins that a message is about.
    mark: usize,
    /// An object or list was entered, and nothing of it read.
    fresh: bool,
    warnings: u8,
    /// The last string.
    pub string: Vec<u8, SPEC_MAX>,
    notes: &'a mut Sink<'s>,
}

impl<'a, 's> Reader<'a, 's> {
    /// Stands before the first value. What is to be said of the text goes to `notes`,
    /// a line each.
    pub fn new(file: &'a [u8], text: &'a [u8], notes: &'a mut Sink<'s>) -> Self {
        Reader {
            file,
            text,
            at: 0,
            mark: 0,
            fresh: false,
            warnings: 0,
            string: Vec::new(),
            notes,
        }
    }

    /// Goes to a value that [`Reader::fields`] found; whether it found any. Without one it stays.
    pub fn go(&mut self, place: usize) -> bool {
        if place != 0 {
            self.at = place;
            self.mark = place;
        }
        place != 0
    }

    /// Where it stands.
    pub fn place(&self) -> usize {
        self.at
    }

    /// The next byte; 0 at the end, which stands nowhere in JSON.
    pub fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    /// Passes this byte, if it is the next.
    fn eat(&mut self, byte: u8) -> bool {
        let is = self.peek() == byte;
        self.at += usize::from(is);
        is
    }

    /// The next byte that is no blank.
    #[inline(never)]
    fn blank(&mut self) -> u8 {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        self.peek()
    }

    /// Enters an object or a list; gives back the bracket that ends it.
    pub fn enter(&mut self) -> u8 {
        let open = self.peek();
        self.at += 1;
        self.fresh = true;
        open + 2 // in ASCII, of both kinds
    }

    /// Enters a list.
    ///
    /// # Errors
    /// It is none.
    pub fn list(&mut self) -> Result<u8, Reason> {
        match self.peek() {
            b'[' => Ok(self.enter()),
            _ => Err(Reason::JsonList),
        }
    }

    /// Whether something comes before the bracket `close`; stands on it if so, else behind the bracket.
    ///
    /// # Errors
    /// Neither a comma nor the bracket.
    #[inline(never)]
    pub fn more(&mut self, close: u8) -> Result<bool, Reason> {
        let next = self.blank();
        let fresh = core::mem::take(&mut self.fresh);
        if next == close {
            self.at += 1;
            return Ok(false);
        }
        if !fresh {
            if !self.eat(b',') {
                return Err(Reason::JsonNext);
            }
            self.blank();
        }
        self.mark = self.at;
        Ok(true)
    }

    /// Reads a key into [`Reader::string`] and goes to its value.
    ///
    /// # Errors
    /// There is none.
    #[inline(never)]
    pub fn key(&mut self) -> Result<(), Reason> {
        if self.peek() != b'"' {
            return Err(Reason::JsonKey);
        }
        self.string.clear();
        self.quoted(true)?;
        self.blank();
        if !self.eat(b':') {
            return Err(Reason::JsonNext);
        }
        self.blank();
        Ok(())
    }

    /// Passes a string; `keep` adds it to [`Reader::string`].
    #[inline(never)]
    fn quoted(&mut self, keep: bool) -> Result<(), Reason> {
        self.at += 1;
        loop {
            let byte = self.peek();
            let mut letter = [byte, 0, 0, 0];
            let mut len = 1;
            match byte {
                0..0x20 => return Err(Reason::JsonString),
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => {
                    self.at += 1;
                    (letter, len) = self.escape()?;
                }
                _ => {}
            }
            self.at += 1;
            let letter = letter.get(..len).unwrap_or_default();
            if keep && self.string.extend_from_slice(letter).is_err() {
                return Err(Reason::SpecFull);
            }
        }
    }

    /// What an escape means, in UTF-8; stands on its last byte.
    fn escape(&mut self) -> Result<([u8; 4], usize), Reason> {
        const LETTERS: &str = "n t r b f / \\ \"";
        const MEANT: &[u8; 8] = b"\n\t\r\x08\x0c/\\\"";
        let letter = self.peek();
        if letter != b'u' {
            let meant = which(LETTERS, &[letter]).and_then(|n| MEANT.get(n));
            return Ok(([*meant.ok_or(Reason::JsonString)?, 0, 0, 0], 1));
        }
        let mut code = self.four()?;
        // A high surrogate and the low one behind it are one letter; one alone is none.
        if let (0xd800..0xdc00, Some([b'\\', b'u'])) =
            (code, self.text.get(self.at + 1..self.at + 3))
        {
            let here = self.at;
            self.at += 2;
            match self.four()? {
                low @ 0xdc00..0xe000 => code = 0x1_0000 + ((code & 0x3ff) << 10 | low & 0x3ff),
                _ => self.at = here,
            }
        }
        if code == 0 {
            // No word handed to the kernel can hold one.
            return Err(Reason::Control);
        }
        let letter = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        let mut bytes = [0; 4];
        let len = letter.encode_utf8(&mut bytes).len();
        Ok((bytes, len))
    }

    /// The four digits behind the u of an escape; stands on the last.
    fn four(&mut self) -> Result<u32, Reason> {
        let mut code = 0;
        for _ in 0..4 {
            self.at += 1;
            let digit = char::from(self.peek()).to_digit(16);
            code = code << 4 | digit.ok_or(Reason::JsonString)?;
        }
        Ok(code)
    }

    fn digits(&mut self) -> Result<(), Reason> {
        let from = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        if self.at == from {
            return Err(Reason::Number);
        }
        Ok(())
    }

    /// Passes a value.
    ///
    /// # Errors
    /// It is none, or holds one that is none.
    #[inline(never)]
    pub fn skip(&mut self, depth: u8) -> Result<(), Reason> {
        match self.blank() {
            b'"' => self.quoted(false),
            open @ (b'{' | b'[') => {
                let deeper = depth.checked_sub(1).ok_or(Reason::JsonDepth)?;
                let close = self.enter();
                while self.more(close)? {
                    if open == b'{' {
                        self.key()?;
                    }
                    self.skip(deeper)?;
                }
                Ok(())
            }
            b'-' | b'0'..=b'9' => {
                self.eat(b'-');
                if !self.eat(b'0') {
                    self.digits()?;
                }
                if self.eat(b'.') {
                    self.digits()?;
                }
                if self.eat(b'e') || self.eat(b'E') {
                    let _ = self.eat(b'+') || self.eat(b'-');
                    self.digits()?;
                }
                Ok(())
            }
            _ => {
                let rest = self.text.get(self.at..).unwrap_or_default();
                for word in [&b"true"[..], b"false", b"null"] {
                    if rest.starts_with(word) {
                        self.at += word.len();
                        return Ok(());
                    }
                }
                Err(Reason::Json)
            }
        }
    }

    /// Passes an object, and notes in `places` where the value of each of `names` begins;
    /// one that is missing or null is left. A key that is none of them is told.
    ///
    /// # Errors
    /// It is no object, or no JSON.
    #[inline(never)]
    pub fn fields(&mut self, names: &str, places: &mut [usize]) -> Result<(), Reason> {
        if self.blank() != b'{' {
            return Err(Reason::JsonObject);
        }
        let close = self.enter();
        while self.more(close)? {
            let (key, depth) = (self.at, DEPTH);
            self.key()?;
            self.string.make_ascii_lowercase();
            let value = self.at;
            match which(names, &self.string).and_then(|n| places.get_mut(n)) {
                Some(place) if self.peek() == b'n' => *place = 0,
                Some(place) => *place = value,
                None if self.warnings < WARNINGS => {
                    self.warnings += 1;
                    self.mark = key;
                    self.say(Reason::LeftOut);
                }
                None => {}
            }
            self.skip(depth)?;
        }
        Ok(())
    }

    /// Reads a value of one of these [`kind`]s and adds it to [`Reader::string`]: what a
    /// string says, the digits of a number, `true` or `false`, a list's strings with
    /// commas between.
    ///
    /// # Errors
    /// It is of another kind.
    #[inline(never)]
    pub fn text(&mut self, kinds: u8) -> Result<(), Reason> {
        let from = self.at;
        let is = match self.peek() {
            b'"' => kind::TEXT,
            b'[' => kind::LIST,
            b't' | b'f' => kind::BOOL,
            b'{' => 0,
            _ => kind::NUMBER,
        };
        if is & kinds == 0 {
            return Err(match kinds {
                kind::BOOL => Reason::JsonBool,
                _ if kinds & kind::TEXT != 0 => Reason::JsonText,
                _ if kinds & kind::LIST != 0 => Reason::JsonList,
                _ => Reason::Number,
            });
        }
        if is == kind::TEXT {
            return self.quoted(true);
        }
        if is == kind::LIST {
            let close = self.enter();
            let mut first = true;
            while self.more(close)? {
                if !core::mem::take(&mut first) {
                    let _ = self.string.push(b',');
                }
                self.text(kind::TEXT)?;
            }
            self.mark = from;
            return Ok(());
        }
        self.skip(0)?;
        let raw = self.text.get(from..self.at).unwrap_or_default();
        // No number that anybody means is longer than the room.
        let _ = self.string.extend_from_slice(raw);
        Ok(())
    }

    /// The same, of a value that [`Reader::fields`] found; whether it found one, and it is not empty.
    ///
    /// # Errors
    /// Those of [`Reader::text`].
    pub fn value(&mut self, place: usize, kinds: u8) -> Result<bool, Reason> {
        self.string.clear();
        if !self.go(place) {
            return Ok(false);
        }
        self.text(kinds)?;
        Ok(!self.string.is_empty())
    }

    /// A message is about the place where it stands.
    pub fn here(&mut self) {
        self.mark = self.at;
    }

    /// Tells what is wrong with the value that was read last.
    pub fn bad(&mut self, reason: Reason) {
        let ends = self.mark >= self.text.len();
        let reason = if ends { Reason::End } else { reason };
        self.say(reason);
    }

    /// `Pouch: FILE:LINE:COLUMN: TEXT: WORDS`.
    #[inline(never)]
    fn say(&mut self, reason: Reason) {
        let (mut line, mut column) = (1u32, 1u32);
        for byte in self.text.get(..self.mark).unwrap_or(self.text) {
            match byte {
                b'\n' => (line, column) = (line + 1, 1),
                // What goes on with a letter of UTF-8 is no column of its own.
                0x80..0xc0 => {}
                _ => column += 1,
            }
        }
        let text = self.text.get(self.mark..).unwrap_or_default();
        let string = text.first() == Some(&b'"');
        let mut len = usize::from(string);
        while let Some(byte) = text.get(len)
            && len < SHOWN
            && match string {
                true => *byte != b'"',
                false => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'+'),
            }
        {
            len += 1;
        }
        let shown = text.get(..len + usize::from(string)).unwrap_or(text);
        put!(
            self.notes,
            "Pouch: {}:{}:{}: {}{}{}\n",
            Plain(self.file),
            line,
            column,
            Plain(shown),
            if shown.is_empty() { "" } else { ": " },
            reason
        );
    }
}

#[cfg(test)]
mod tests;
