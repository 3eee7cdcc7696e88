//! What is fuzzed, and what must hold for any bytes
//!
//! Each target feeds one parser that meets the outside. Not to panic is the least; what a parser accepts must also
//! survive its way back. Used by the fuzzer and by the replay of the stored corpus in every test run.

use pouch::format::message::{Reply, Request};
use pouch::format::pouchfile::{self, Joined, Lines, Word};
use pouch::format::spec::{BadSpec, Spec, SpecBuf, Tag};
use pouch::format::text::{Text, cut};
use pouch::format::{cmdline, container, inflate as ours, options, tar, unit};
use std::io::Read;

/// What takes any bytes.
pub type Target = fn(&[u8]);

/// Name and function; the corpus of one lies in qemu/tests/corpus/NAME.
pub const TARGETS: &[(&str, Target)] = &[
    ("words", words),
    ("options", an_option),
    ("json", json),
    ("spec", spec),
    ("request", request),
    ("reply", reply),
    ("inflate", inflate),
    ("tar", archive),
    ("pouchfile", build),
];

/// The kernel command line, and the definitions in it.
fn words(line: &[u8]) {
    let mut spec = SpecBuf::new();
    for raw in cmdline::words(line) {
        if let Some(Ok(cmdline::Word::Container(definition))) = cmdline::word(raw)
            && cmdline::container(definition, &mut spec).is_ok()
        {
            assert!(Spec::parse(spec.as_bytes()).is_ok(), "an accepted definition is a spec");
        }
    }
}

/// A Pouchfile: its instructions, their words and lists.
fn build(text: &[u8]) {
    let (mut lines, mut room, mut word) = (Lines::new(text), Joined::new(), Word::new());
    let mut last = 0;
    while let Ok(Some(step)) = lines.next(&mut room) {
        assert!(lines.line > last && !step.word.is_empty(), "each begins on a line of its own");
        last = lines.line;
        for whole in [true, false] {
            let mut rest = step.text;
            while let Ok(true) = pouchfile::word(&mut rest, whole, &|_| b"$\"'", &mut word) {
                assert!(pouchfile::like(&word, &word), "a name is like itself");
            }
        }
        let mut strings = 0;
        let is = pouchfile::list(step.text, &mut |_| {
            strings += 1;
            Ok(())
        });
        assert!(is == Ok(true) || strings == 0, "what is no list hands nothing on");
    }
}

/// KEY=VALUE lines, applied one after another.
fn an_option(lines: &[u8]) {
    let mut spec = SpecBuf::new();
    assert!(spec.push_str(Tag::Name, b"c1").is_ok());
    for line in lines.split(|b| *b == b'\n') {
        let (key, value) = cut(line, b'=');
        let _ = options::apply(&mut spec, key, value);
        let mut rest = 0;
        for record in spec.view().records() {
            rest += record.bytes.len() + 3;
        }
        assert_eq!(rest, spec.as_bytes().len(), "what options leave is whole records");
    }
}

/// A container.json.
fn json(text: &[u8]) {
    let mut spec = SpecBuf::new();
    assert!(spec.push_str(Tag::Name, b"c1").is_ok());
    let mut notes = Text::<32768>::new();
    let good = container::read(b"f", b"/srv/c", text, &mut spec, &mut notes);
    assert!(good || !notes.as_bytes().is_empty(), "what is refused is told");
    assert!(notes.as_bytes().iter().all(|b| !b.is_ascii_control() || *b == b'\n'), "no byte of it steers a terminal");
    if good && let Err(bad) = Spec::parse(spec.as_bytes()) {
        assert!(matches!(bad, BadSpec::Words | BadSpec::Entries), "only a count is left to find: {bad:?}");
    }
}

/// A spec as a client sends it.
fn spec(bytes: &[u8]) {
    let Ok(spec) = Spec::parse(bytes) else {
        return;
    };
    let (mut strings, mut length) = (0, 0);
    for record in spec.records() {
        strings += spec.all(record.tag).count();
        length += record.bytes.len() + 3;
    }
    assert_eq!(length, bytes.len());
    for mount in spec.mounts() {
        strings += mount.source.count_bytes();
    }
    strings += spec.cgroup().count();
    let _ = (spec.tty(), spec.flags(), spec.namespaces(), spec.capabilities(), spec.user());
    let _ = (spec.stop_timeout(), spec.restart(), strings);
    let mut kept = SpecBuf::new();
    kept.keep(spec);
    assert_eq!(kept.as_bytes(), bytes, "what is kept is what came");
}

/// A packet to PID 1.
fn request(packet: &[u8]) {
    let mut room = [0; 16 * 1024];
    if let Some(request) = Request::parse(packet) {
        assert_eq!(request.emit(&mut room), Some(packet), "emit is parse's inverse");
    }
}

/// A packet of PID 1's, and how a container's record is shown.
fn reply(packet: &[u8]) {
    let mut room = [0; 16 * 1024];
    let Some(reply) = Reply::parse(packet) else {
        return;
    };
    let again = reply.emit(&mut room).map(<[u8]>::to_vec);
    assert!(again.as_deref().is_some_and(|again| Reply::parse(again) == Some(reply)), "it survives the way back");
    if let Reply::Unit(record) = reply {
        for form in [unit::Form::Line, unit::Form::Info, unit::Form::File, unit::Form::Json] {
            let mut text = Text::<32768>::new();
            unit::show(&mut text, form, &record);
            let shown = text.as_bytes();
            assert!(shown.iter().all(|b| !b.is_ascii_control() || *b == b'\n'), "no byte of it steers a terminal");
            if form == unit::Form::Json && !text.is_cut() {
                assert!(std::str::from_utf8(shown).is_ok(), "JSON is UTF-8");
            }
        }
    }
}

/// A deflate stream: what another implementation says of it.
fn inflate(packed: &[u8]) {
    const MOST: usize = 1 << 16;
    let mut theirs = Vec::new();
    let their_end = flate2::read::DeflateDecoder::new(packed).take(MOST as u64).read_to_end(&mut theirs);
    let (mut at, mut out) = (0, Vec::new());
    let mut window = vec![0; 32768];
    let end = ours::inflate(
        &mut || {
            at += 1;
            packed.get(at - 1).copied()
        },
        &mut window,
        &mut |part| {
            out.extend_from_slice(part);
            (out.len() < MOST).then_some(())
        },
    );
    // zlib also refuses codes that are not complete; they do no harm.
    if their_end.is_ok() && theirs.len() < MOST {
        assert!(end.is_some(), "what others take whole, we take");
        assert!(out == theirs, "and it is the same");
    }
}

/// A tar archive's headers, and the records of POSIX in it.
fn archive(bytes: &[u8]) {
    let mut rest = bytes;
    while let Some((block, behind)) = rest.split_first_chunk::<{ tar::BLOCK }>() {
        rest = behind;
        let Some(head) = tar::head(block) else { continue };
        let (prefix, name) = tar::name(block);
        assert!(prefix.len() <= 155 && name.len() <= 100 && tar::link(block).len() <= 100);
        assert!(![prefix, name].concat().contains(&0), "a name ends at its NUL");
        assert!(head.mode <= 0o7777);
        let mut records = rest.get(..head.size.min(rest.len() as u64) as usize).unwrap_or_default();
        let mut before = records.len() + 1;
        while let Some((key, _)) = tar::record(&mut records) {
            assert!(records.len() < before, "each record takes something");
            assert!(!key.contains(&b'='));
            before = records.len();
        }
    }
}
