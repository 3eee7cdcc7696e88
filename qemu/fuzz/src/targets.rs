//! What is fuzzed, and what must hold for any bytes
//!
//! Each target feeds one parser that meets the outside. Not to panic is the least; what a parser accepts must also
//! survive its way back. Used by the fuzzer and by the replay of the stored corpus in every test run.

use pouch::ctl::layout;
use pouch::format::json::Reader;
use pouch::format::message::{Reply, Request};
use pouch::format::pouchfile::{self, Joined, Lines, Word};
use pouch::format::spec::{BadSpec, Spec, SpecBuf, Tag};
use pouch::format::text::{Text, cut};
use pouch::format::{cmdline, container, inflate as ours, options, tar, unit};
use pouch::jail;
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
    ("oci", oci),
    ("seccomp", seccomp),
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

/// An index or manifest of an image, and the description of what it runs.
fn oci(text: &[u8]) {
    let mut notes = Text::<0>::new();
    let mut r = Reader::new(b"", text, &mut notes);
    let leads_on = |path: &layout::Path| assert!(!path.contains(&0), "a path is one to the kernel");
    match layout::manifest(&mut r) {
        Ok(layout::Found::Next(path)) => leads_on(&path),
        Ok(layout::Found::Image { config, layers }) => {
            leads_on(&config);
            if r.go(layers)
                && let Ok(close) = r.list()
            {
                let mut before = 0;
                while let Ok(true) = r.more(close)
                    && let Ok(path) = layout::path(&mut r)
                {
                    leads_on(&path);
                    assert!(r.place() > before, "each layer takes something");
                    before = r.place();
                }
            }
        }
        Err(_) => {}
    }
    let mut notes = Text::<0>::new();
    let (mut r, mut spec) = (Reader::new(b"", text, &mut notes), SpecBuf::new());
    if let Ok((close, digests)) = layout::configure(&mut r, &mut spec) {
        while digests
            && let Ok(true) = r.more(close)
            && r.text(pouch::format::json::kind::TEXT).is_ok()
        {
            r.string.clear();
        }
    }
    let mut rest = 0;
    for record in spec.view().records() {
        rest += record.bytes.len() + 3;
    }
    assert_eq!(rest, spec.as_bytes().len(), "what it says is whole records");
}

/// Calls and capabilities: what the filter answers, for any of them.
fn seccomp(bytes: &[u8]) {
    const KILL: u32 = 0x8000_0000;
    const REFUSED: u32 = 0x0005_0001;
    const UNKNOWN: u32 = 0x0005_0026;
    const ALLOWED: u32 = 0x7fff_0000;
    let (own, ioctl) = match std::env::consts::ARCH {
        "x86_64" => (0xc000_003e, 16),
        "aarch64" => (0xc000_00b7, 29),
        _ => (0x4000_0028, 54),
    };
    let number = |at: usize| {
        let piece = bytes.get(at..at + 4).unwrap_or_default();
        piece.iter().rev().fold(0u32, |sum, byte| sum << 8 | u32::from(*byte))
    };
    let long = |at| u64::from(number(at)) | u64::from(number(at + 4)) << 32;
    let (some, all) = (long(0), long(0) | long(8));
    let (less, more) = (jail::filter(some), jail::filter(all));
    for at in (16..bytes.len().min(4096)).step_by(28) {
        // struct seccomp_data: the number, the processor, where it was made, the arguments.
        let arch = if number(at + 4) % 4 == 0 { number(at + 4) } else { own };
        let mut data = [number(at), arch, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for (place, field) in data.iter_mut().skip(4).zip(0..5) {
            *place = number(at + 8 + 4 * field);
        }
        let (answer, lifted) = (judged(&less, &data), judged(&more, &data));
        assert!([KILL, REFUSED, UNKNOWN, ALLOWED].contains(&answer), "{answer:#x}");
        assert!(answer != ALLOWED || lifted == ALLOWED, "a capability more takes nothing away");
        if arch != own {
            assert_eq!((answer, lifted), (KILL, KILL), "another processor's call");
        } else if number(at) == u32::MAX {
            assert_eq!(answer, UNKNOWN, "a tracer's way to make a call nothing");
        } else if number(at) < 0x000f_0000 && number(at) > 462 {
            assert_eq!(lifted, UNKNOWN, "a call that the table does not know");
        } else if number(at) == ioctl && matches!(data.get(6), Some(0x5412 | 0x541c)) {
            assert_eq!(lifted, REFUSED, "what is typed into a terminal");
        }
    }
}

/// Runs a program of classic BPF, as the kernel does: on the fields of struct seccomp_data.
fn judged(program: &[u64], data: &[u32; 16]) -> u32 {
    let (mut at, mut a) = (0, 0);
    loop {
        let Some(&i) = program.get(at) else { panic!("no answer") };
        let value = (i >> 32) as u32;
        let answer = match i as u16 {
            0x20 => {
                a = data.get(value as usize / 4).copied().unwrap_or_default();
                true
            }
            0x54 => {
                a &= value;
                true
            }
            0x15 => a == value,
            0x25 => a > value,
            0x35 => a >= value,
            0x45 => a & value != 0,
            0x06 => return value,
            other => panic!("instruction {other:#x}"),
        };
        at += 1 + (i >> if answer { 16 } else { 24 }) as u8 as usize;
    }
}
