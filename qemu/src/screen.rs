//! Terminal output as text that can be compared
//!
//! A shell's line editor sends cursor queries, clears and backspaces between the characters a person sees.
//! What remains here is what was written, line by line: escape sequences, carriage returns and bells are
//! gone, a backspace takes back the character before it. It is no terminal: nothing moves upward.

/// A terminal's output so far, kept twice: every byte, and the text a person reads.
#[derive(Debug, Default)]
pub struct Screen {
    text: String,
    raw: Vec<u8>,
    state: State,
    // A character whose bytes have not all come.
    partial: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Plain,
    Escape,
    /// ESC [ up to its final byte.
    Sequence,
    /// ESC ] up to BEL or ESC \.
    Title,
    /// ESC ( and its like: one byte more.
    Charset,
}

impl Screen {
    /// Takes in what the terminal was sent.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
        for &byte in bytes {
            self.state = match (self.state, byte) {
                (State::Plain, 0x1b) | (State::Title, 0x1b) => State::Escape,
                (State::Plain, _) => {
                    self.plain(byte);
                    State::Plain
                }
                (State::Escape, b'[') => State::Sequence,
                (State::Escape, b']') => State::Title,
                (State::Escape, b'(' | b')' | b'#') => State::Charset,
                (State::Escape | State::Charset, _) => State::Plain,
                (State::Sequence, 0x40..=0x7e) => State::Plain,
                (State::Sequence, _) => State::Sequence,
                (State::Title, 0x07) => State::Plain,
                (State::Title, _) => State::Title,
            };
        }
    }

    fn plain(&mut self, byte: u8) {
        match byte {
            0x08 if !self.text.ends_with('\n') => drop(self.text.pop()),
            b'\n' | b'\t' | 0x20..=0x7e => {
                self.partial.clear();
                self.text.push(char::from(byte));
            }
            0x80.. => {
                self.partial.push(byte);
                match std::str::from_utf8(&self.partial) {
                    Ok(text) => {
                        self.text.push_str(text);
                        self.partial.clear();
                    }
                    Err(error) if error.error_len().is_some() || self.partial.len() > 3 => {
                        self.text.push(char::REPLACEMENT_CHARACTER);
                        self.partial.clear();
                    }
                    Err(_) => {}
                }
            }
            // Other control characters say nothing that a test compares.
            _ => {}
        }
    }

    /// What a person has read so far.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Every byte that came.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }
}

/// Where `line`, as a terminal echoes it, ends in `text`. A line end inside is the terminal's wrapping.
#[must_use]
pub fn find_echo(text: &str, line: &str) -> Option<usize> {
    text.char_indices().find_map(|(start, _)| {
        let mut wanted = line.chars();
        let mut next = wanted.next();
        for (at, found) in text.get(start..)?.char_indices() {
            let Some(character) = next else { return Some(start + at) };
            if found == character {
                next = wanted.next();
            } else if found != '\n' || at == 0 {
                return None;
            }
        }
        next.is_none().then_some(text.len())
    })
}

/// Where `line` ends in `text` when other output may stand between its characters: a kernel message can
/// fall into the middle of an echo.
#[must_use]
pub fn find_scattered(text: &str, line: &str) -> Option<usize> {
    let mut wanted = line.chars().peekable();
    for (at, found) in text.char_indices() {
        if wanted.peek() == Some(&found) {
            wanted.next();
        }
        if wanted.peek().is_none() {
            return Some(at + found.len_utf8());
        }
    }
    None
}

/// Whether the text ends where a shell waits: in a line that ends with `# ` or `$ `.
#[must_use]
pub fn at_prompt(text: &str) -> bool {
    let last = text.rsplit('\n').next().unwrap_or(text);
    last.len() < 120 && (last.ends_with("# ") || last.ends_with("$ "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(bytes: &[u8]) -> String {
        let mut screen = Screen::default();
        // Byte by byte: sequences arrive cut anywhere.
        bytes.chunks(1).for_each(|chunk| screen.feed(chunk));
        assert_eq!(screen.raw(), bytes);
        screen.text().to_owned()
    }

    #[test]
    fn what_a_line_editor_adds_is_gone() {
        assert_eq!(screen(b"\x1b[6n~ # \x1b[Jec \x08ho\x1b[1;31m hi\x1b[0m\r\n"), "~ # echo hi\n");
        assert_eq!(screen(b"\x1b]0;title\x07a\x1b(Bb\x07"), "ab");
    }

    #[test]
    fn letters_beyond_ascii_arrive_whole_and_broken_ones_are_marked() {
        assert_eq!(screen("grüße".as_bytes()), "grüße");
        assert_eq!(screen(b"a\xff\xffb").chars().filter(|&c| c == char::REPLACEMENT_CHARACTER).count(), 2);
    }

    #[test]
    fn an_echo_is_found_across_the_wrapping_of_the_terminal() {
        assert_eq!(find_echo("~ # echo a\nb\nab\n", "echo ab"), Some("~ # echo a\nb".len()));
        assert_eq!(find_echo("~ # ech", "echo"), None);
        assert_eq!(find_echo("~ # echo", "echo"), Some(8));
    }

    #[test]
    fn an_echo_with_a_kernel_message_inside_is_found_scattered() {
        let text = "~ # ec[  1.0] usb: new\nho";
        assert_eq!((find_echo(text, "echo"), find_scattered(text, "echo")), (None, Some(text.len())));
    }

    #[test]
    fn a_prompt_is_the_end_of_the_text_and_nothing_else() {
        assert!(at_prompt("Welcome\n~ # "));
        assert!(at_prompt("/srv/web $ "));
        assert!(!at_prompt("~ # ls\n"));
        assert!(!at_prompt("price in $"));
    }
}
