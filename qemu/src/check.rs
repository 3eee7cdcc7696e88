//! `cargo host check`: a definition judged on the workstation, by the board's own parser
//!
//! The same words as `pouch check` on the board: what it would be on standard output, what is wrong or unknown on
//! standard error, a line each.

use crate::{Context, Result};
use pouch::format::cmdline::{self, Word};
use pouch::format::reason::Reason;
use pouch::format::spec::{Spec, SpecBuf, Tag};
use pouch::format::text::{Take, cut};
use pouch::format::{container, json, shown};
use std::io::Write as _;
use std::path::{Path, absolute};

/// Text for a person, on its way to a stream.
#[derive(Default)]
pub struct Said(Vec<u8>);

impl Take for Said {
    fn take(&mut self, text: &[u8]) {
        self.0.extend_from_slice(text);
    }
}

impl Said {
    fn line(&mut self, what: &[u8], reason: Reason) {
        let mut text = pouch::format::text::Text::<1024>::new();
        pouch::format::text::fill(
            &mut text,
            "Pouch: {}: {}\n",
            &[pouch::format::text::Value::Plain(what), pouch::format::text::Value::Reason(reason)],
        );
        self.take(text.as_bytes());
    }

    /// What was said.
    pub fn as_text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

/// Judges a file, or words of the kernel line behind `--`. The answer, what is wrong, and whether all is well.
///
/// # Errors
/// A file cannot be read.
pub fn judge(words: &[String]) -> Result<(Said, Said, bool)> {
    let (mut out, mut err) = (Said::default(), Said::default());
    let mut good = true;
    match words {
        [first, lines @ ..] if first == "--" => {
            for line in lines {
                // A shell has taken the kernel's double quotes away: then it is one word.
                if line.starts_with("pouch.container=") && !line.contains('"') {
                    good &= word(line.as_bytes(), &mut out, &mut err)?;
                    continue;
                }
                for raw in cmdline::words(line.as_bytes()) {
                    good &= word(raw, &mut out, &mut err)?;
                }
            }
        }
        [] | [_] => {
            let file = words.first().map_or("container.json", String::as_str);
            let mut spec = SpecBuf::new();
            let _ = spec.push_str(Tag::Name, b"container");
            good = read(file.as_ref(), &mut spec, &mut err)? && show(&spec, file.as_bytes(), &mut out, &mut err);
        }
        _ => return Err(crate::Error::new("usage: pouch-qemu check [FILE | -- KERNEL-WORDS]")),
    }
    Ok((out, err, good))
}

fn word(raw: &[u8], out: &mut Said, err: &mut Said) -> Result<bool> {
    let mut spec = SpecBuf::new();
    let definition = match cmdline::word(raw) {
        None => return Ok(true),
        Some(Err(reason)) => {
            err.line(raw, reason);
            return Ok(false);
        }
        Some(Ok(Word::Container(definition))) => definition,
        Some(Ok(_)) => {
            out.take(raw);
            out.take(b"\n");
            return Ok(true);
        }
    };
    let file = match cmdline::container(definition, &mut spec) {
        Ok(file) => file,
        Err(bad) => {
            err.line(bad.word, bad.reason);
            return Ok(false);
        }
    };
    if let Some(file) = file {
        spec = SpecBuf::new();
        let path = String::from_utf8_lossy(file).into_owned();
        if !read(path.as_ref(), &mut spec, err)? {
            return Ok(false);
        }
        if let Err(bad) = cmdline::options_of(definition, &mut spec) {
            err.line(bad.word, bad.reason);
            return Ok(false);
        }
    }
    Ok(show(&spec, cut(definition, b',').0, out, err))
}

fn read(file: &Path, spec: &mut SpecBuf, err: &mut Said) -> Result<bool> {
    let path = absolute(file).context(|| file.display().to_string())?;
    let mut text = std::fs::read(&path).context(|| format!("unable to read {}", file.display()))?;
    text.truncate(json::SIZE_MAX + 1);
    let folder = path.parent().unwrap_or(Path::new("/"));
    let name = file.as_os_str().as_encoded_bytes();
    Ok(container::read(name, folder.as_os_str().as_encoded_bytes(), &text, spec, err))
}

fn show(spec: &SpecBuf, what: &[u8], out: &mut Said, err: &mut Said) -> bool {
    match Spec::parse(spec.as_bytes()) {
        Ok(spec) => shown::show(spec, out),
        Err(bad) => {
            err.line(what, bad.into());
            return false;
        }
    }
    true
}

/// The command: its exit status.
///
/// # Errors
/// A file cannot be read.
pub fn run(words: &[String]) -> Result<i32> {
    let (out, err, good) = judge(words)?;
    std::io::stderr().write_all(&err.0)?;
    std::io::stdout().write_all(&out.0)?;
    Ok(i32::from(!good))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(words: &[&str]) -> (String, String, bool) {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        let (out, err, good) = judge(&words).unwrap();
        (out.as_text().into_owned(), err.as_text().into_owned(), good)
    }

    #[test]
    fn a_definition_is_judged_as_on_the_board() {
        let corpus = crate::board::project_root().unwrap().join("qemu/tests/corpus/json");
        let file = |name: &str| corpus.join(name).display().to_string();
        let (out, err, good) = judged(&[&file("good-libcontainer.json")]);
        assert!(good && err.is_empty(), "{err}");
        for line in ["  hostname: koye", "  net: 172.17.0.100/16", "  capabilities-are: taken-away"] {
            assert!(out.lines().any(|l| l == line), "{line} in {out}");
        }
        let (out, err, good) = judged(&[&file("bad-capability.json")]);
        assert!(!good && out.is_empty());
        assert!(err.ends_with("bad-capability.json:1:41: \"SYS_FLY\": unknown capability\n"), "{err}");
        let (out, err, good) = judged(&[&file("good-spring.json")]);
        assert!(good && out.contains("  mtu: 1500"), "{out}");
        assert!(err.contains("\"cgroups\": unknown key, left out\n"), "{err}");
    }

    #[test]
    fn kernel_words_are_judged_too() {
        let (out, err, good) =
            judged(&["--", "quiet \"pouch.container=a,command='/bin/sh -i',tty=tty1\" pouch.rescue"]);
        assert!(good && err.is_empty(), "{err}");
        assert_eq!(out, "a\n  command: /bin/sh\n  command: -i\n  tty: tty1\npouch.rescue\n");
        let (_, err, good) = judged(&["--", "pouch.container=a,tty=tty7"]);
        assert!(!good);
        assert_eq!(err, "Pouch: tty=tty7: must be tty0 to tty3, auto or none\n");
    }
}
