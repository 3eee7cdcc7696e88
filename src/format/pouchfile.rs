//! A Pouchfile's lines and words: a Dockerfile's, as far as a board can do them.
//!
//! Instructions have no case. A comment or an empty line is none, also between lines that
//! a backslash at the end makes one. Words are split as docker splits them: quotes keep
//! blanks together, `$NAME` and `${NAME}` stand for values, a list in JSON is taken as it is.

use super::json::{Reader, kind};
use super::reason::Reason;
use super::spec::SPEC_MAX;
use super::text::{Text, cut, which_from};
use heapless::Vec;

/// The longest instruction, its lines together: no more fits into a container's words.
pub type Joined = Vec<u8, SPEC_MAX>;
/// The longest word.
pub type Word = Vec<u8, 4096>;

/// An instruction.
#[allow(missing_docs)] // each is the word that calls it
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    From,
    Copy,
    Add,
    Run,
    Arg,
    Env,
    WorkDir,
    User,
    Cmd,
    EntryPoint,
    /// Said of an image for people: LABEL, EXPOSE, MAINTAINER.
    Note,
    /// Said of how it runs, by other means here: VOLUME, STOPSIGNAL, HEALTHCHECK.
    LeftOut,
}

const WORDS: &str = "FROM COPY ADD RUN ARG ENV WORKDIR USER CMD ENTRYPOINT LABEL EXPOSE MAINTAINER \
    VOLUME STOPSIGNAL HEALTHCHECK";
const MEANT: [What; 16] = [
    What::From,
    What::Copy,
    What::Add,
    What::Run,
    What::Arg,
    What::Env,
    What::WorkDir,
    What::User,
    What::Cmd,
    What::EntryPoint,
    What::Note,
    What::Note,
    What::Note,
    What::LeftOut,
    What::LeftOut,
    What::LeftOut,
];

/// One instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Instruction<'r> {
    /// Its word, as it was written.
    pub word: &'r [u8],
    /// What it means; `None` for one that is not known here.
    pub what: Option<What>,
    /// What stands behind the word, without blanks at the ends.
    pub text: &'r [u8],
}

/// The instructions of a file, one after another.
#[derive(Clone)]
pub struct Lines<'a> {
    rest: Option<&'a [u8]>,
    read: u32,
    /// The line that the last instruction begins on, counted from 1.
    pub line: u32,
}

impl<'a> Lines<'a> {
    /// Stands before the first.
    pub fn new(text: &'a [u8]) -> Self {
        Lines {
            rest: Some(text),
            read: 0,
            line: 0,
        }
    }

    /// The next instruction, put together in `room`; `None` at the end.
    ///
    /// # Errors
    /// It is too long, or a NUL stands in it; [`Lines::line`] is where.
    #[inline(never)]
    pub fn next<'r>(&mut self, room: &'r mut Joined) -> Result<Option<Instruction<'r>>, Reason> {
        room.clear();
        let mut open = false;
        while let Some(rest) = self.rest {
            let (line, behind) = cut(rest, b'\n');
            self.rest = behind;
            self.read += 1;
            let line = line.trim_ascii_end();
            if matches!(line.trim_ascii_start(), [] | [b'#', ..]) {
                continue;
            }
            if !open {
                self.line = self.read;
            }
            let (part, goes_on) = match line {
                [part @ .., b'\\'] => (part, true),
                _ => (line, false),
            };
            if part.contains(&0) {
                return Err(Reason::Control);
            }
            room.extend_from_slice(part).map_err(|_| Reason::TooLong)?;
            open = goes_on;
            if !open {
                break;
            }
        }
        let text = room.trim_ascii();
        if text.is_empty() {
            return Ok(None);
        }
        let end = text.iter().take_while(|b| !b.is_ascii_whitespace()).count();
        let (word, text) = text.split_at_checked(end).unwrap_or_default();
        Ok(Some(Instruction {
            word,
            what: which_from(WORDS, 0, word).and_then(|at| MEANT.get(at).copied()),
            text: text.trim_ascii(),
        }))
    }
}

/// What a name stands for; nothing for one that is not known.
pub type Known<'k> = dyn Fn(&[u8]) -> &'k [u8] + 'k;

/// Takes the next word off `rest`; false when there is none. With `whole` blanks end no word.
///
/// # Errors
/// A quote or a brace is open at the end, or it is too long.
#[inline(never)]
pub fn word(
    rest: &mut &[u8],
    whole: bool,
    known: &Known<'_>,
    to: &mut Word,
) -> Result<bool, Reason> {
    to.clear();
    *rest = rest.trim_ascii_start();
    if rest.is_empty() {
        return Ok(false);
    }
    let mut quote = 0;
    while let Some((byte, behind)) = rest.split_first() {
        if quote == 0 && !whole && byte.is_ascii_whitespace() {
            break;
        }
        *rest = behind;
        let mut letter = *byte;
        match letter {
            b'"' | b'\'' if quote == 0 => {
                quote = letter;
                continue;
            }
            _ if letter == quote => {
                quote = 0;
                continue;
            }
            b'$' if quote != b'\'' => {
                expand(rest, known, to)?;
                continue;
            }
            b'\\' if quote != b'\'' => {
                if let Some((next, behind)) = behind.split_first()
                    && (quote == 0 || matches!(next, b'"' | b'\\' | b'$'))
                {
                    *rest = behind;
                    letter = *next;
                }
            }
            _ => {}
        }
        to.push(letter).map_err(|_| Reason::TooLong)?;
    }
    match quote {
        0 => Ok(true),
        _ => Err(Reason::Quote),
    }
}

/// What stands behind a `$`.
fn expand(rest: &mut &[u8], known: &Known<'_>, to: &mut Word) -> Result<(), Reason> {
    let (braces, from) = match *rest {
        [b'{', from @ ..] => (true, from),
        from => (false, from),
    };
    let letter = |b: &&u8| b.is_ascii_alphanumeric() || **b == b'_';
    let (name, mut behind) = from
        .split_at_checked(from.iter().take_while(letter).count())
        .unwrap_or_default();
    let mut value = known(name);
    if braces {
        let (sign, end) = cut(behind, b'}');
        behind = end.filter(|_| !name.is_empty()).ok_or(Reason::Variable)?;
        match sign {
            [] => {}
            [b':', b'-', other @ ..] if value.is_empty() => value = other,
            [b':', b'-', ..] => {}
            [b':', b'+', ..] if value.is_empty() => {}
            [b':', b'+', other @ ..] => value = other,
            _ => return Err(Reason::Variable),
        }
    } else if name.is_empty() {
        value = b"$";
    }
    *rest = behind;
    to.extend_from_slice(value).map_err(|_| Reason::TooLong)
}

/// Hands each string of a list in JSON on; false, and nothing done, for what is no such list.
///
/// # Errors
/// Those of `each`.
#[inline(never)]
pub fn list(
    text: &[u8],
    each: &mut dyn FnMut(&[u8]) -> Result<(), Reason>,
) -> Result<bool, Reason> {
    // `[ -e x ] || true` is none: a shell's.
    if walk(text, &mut |_| Ok(())).is_err() {
        return Ok(false);
    }
    walk(text, each).map(|()| true)
}

#[inline(never)]
fn walk(text: &[u8], each: &mut dyn FnMut(&[u8]) -> Result<(), Reason>) -> Result<(), Reason> {
    let mut notes = Text::<0>::new();
    let mut reader = Reader::new(b"", text, &mut notes);
    let close = reader.list()?;
    while reader.more(close)? {
        reader.string.clear();
        reader.text(kind::TEXT)?;
        each(&reader.string)?;
    }
    let rest = text.get(reader.place()..).unwrap_or_default();
    match rest.trim_ascii() {
        [] => Ok(()),
        _ => Err(Reason::JsonNext),
    }
}

/// Whether a name is like a pattern, in which `*` is anything and `?` one byte.
pub fn like(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    // Where the last star stands, and how far the name was when it took nothing more.
    let mut star = None;
    loop {
        match (pattern.get(p), name.get(n)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                star = Some((p, n));
                p += 1;
            }
            (Some(b'?'), Some(_)) => (p, n) = (p + 1, n + 1),
            (Some(one), Some(other)) if one == other => (p, n) = (p + 1, n + 1),
            _ => {
                let Some((at, taken)) = star.filter(|(_, taken)| *taken < name.len()) else {
                    return false;
                };
                star = Some((at, taken + 1));
                (p, n) = (at + 1, taken + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::{String, ToString};
    use std::vec;

    fn read(text: &str) -> vec::Vec<(u32, String, Option<What>, String)> {
        let (mut lines, mut room) = (Lines::new(text.as_bytes()), Joined::new());
        let mut all = vec![];
        while let Some(got) = lines.next(&mut room).unwrap() {
            let owned = |b: &[u8]| String::from_utf8_lossy(b).to_string();
            all.push((lines.line, owned(got.word), got.what, owned(got.text)));
        }
        all
    }

    #[test]
    fn each_instruction_has_its_line_and_its_text() {
        let file = "# syntax=docker\n\n  FROM base \nrun echo a \\\n  # not this\n\n  && echo b\\\r\n c \r\n\tFly  me\\";
        assert_eq!(
            read(file),
            [
                (3, "FROM".into(), Some(What::From), "base".into()),
                (
                    4,
                    "run".into(),
                    Some(What::Run),
                    "echo a   && echo b c".into()
                ),
                (9, "Fly".into(), None, "me".into()),
            ]
        );
        for (word, what) in [
            ("label", What::Note),
            ("Healthcheck", What::LeftOut),
            ("WORKDIR", What::WorkDir),
            ("EntryPoint", What::EntryPoint),
        ] {
            assert_eq!(read(word)[0].2, Some(what), "{word}");
        }
        assert!(read("# nothing\n\n").is_empty());
        let long = std::format!("RUN {}", "x".repeat(SPEC_MAX));
        for (file, reason) in [("\nRUN a\0b", Reason::Control), (&long, Reason::TooLong)] {
            let mut lines = Lines::new(file.as_bytes());
            assert_eq!(lines.next(&mut Joined::new()), Err(reason));
        }
    }

    fn known(name: &[u8]) -> &'static [u8] {
        match name {
            b"A" => b"one two",
            b"B_1" => b"b",
            _ => b"",
        }
    }

    fn words(text: &str, whole: bool) -> Result<vec::Vec<String>, Reason> {
        let (mut rest, mut to, mut all) = (text.as_bytes(), Word::new(), vec![]);
        while word(&mut rest, whole, &known, &mut to)? {
            all.push(String::from_utf8(to.to_vec()).unwrap());
        }
        Ok(all)
    }

    #[test]
    fn words_are_split_as_docker_splits_them() {
        for (text, wanted) in [
            ("a  b\tc ", &["a", "b", "c"][..]),
            ("'a b'c \"d $B_1\" ''", &["a bc", "d b", ""]),
            (
                "a\\ b \\$A '$A' \"\\$A \\x\"",
                &["a b", "$A", "$A", "$A \\x"],
            ),
            ("$A/${B_1}x$B_1.$", &["one two/bxb.$"]),
            ("${A:-no}${C:-yes}${A:+set}${C:+no}", &["one twoyesset"]),
        ] {
            assert_eq!(words(text, false).unwrap(), wanted, "{text}");
        }
        assert_eq!(words("a 'b  c' \"d\" $B_1", true).unwrap(), ["a b  c d b"]);
        for (text, reason) in [
            ("'a", Reason::Quote),
            ("a\"b c", Reason::Quote),
            ("${A", Reason::Variable),
            ("${}", Reason::Variable),
            ("${A%x}", Reason::Variable),
        ] {
            assert_eq!(words(text, false), Err(reason), "{text}");
        }
        assert_eq!(words(&"x".repeat(4097), false), Err(Reason::TooLong));
    }

    #[test]
    fn a_list_in_json_is_told_from_a_shells_bracket() {
        let all = |text: &str| {
            let mut all = vec![];
            let is = list(text.as_bytes(), &mut |s| {
                all.push(String::from_utf8(s.to_vec()).unwrap());
                Ok(())
            });
            (is, all)
        };
        assert_eq!(
            all("[ \"/bin/sh\", \"a \\\"b\\\"\" ] "),
            (Ok(true), vec!["/bin/sh".into(), "a \"b\"".into()])
        );
        assert_eq!(all("[]"), (Ok(true), vec![]));
        for none in [
            "",
            "echo",
            "[ -e /x ] || true",
            "[\"a\"] b",
            "[\"a\", 1]",
            "[\"a\"",
        ] {
            assert_eq!(all(none), (Ok(false), vec![]), "{none}");
        }
    }

    #[test]
    fn patterns_take_what_they_mean() {
        for (pattern, name, wanted) in [
            ("*.sh", "a.sh", true),
            ("*.sh", ".sh", true),
            ("*.sh", "a.sh.x", false),
            ("a?c*", "abcd", true),
            ("a?c", "ac", false),
            ("*a*b*c", "xaybzc", true),
            ("*a*b*c", "xaybz", false),
            ("**", "", true),
            ("?", "", false),
        ] {
            assert_eq!(
                like(pattern.as_bytes(), name.as_bytes()),
                wanted,
                "{pattern} {name}"
            );
        }
        // In steps that grow with the product of both lengths, and no faster.
        assert!(!like(
            &[&b"a*".repeat(200)[..], b"b"].concat(),
            &[b'a'; 4000]
        ));
    }
}
