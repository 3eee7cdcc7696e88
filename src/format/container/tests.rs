use super::super::spec::{Restart, Spec, TTY_AUTO, TTY_NONE};
use super::super::text::Text;
use super::*;
use std::string::String;
use std::vec::Vec;

/// The file of the libcontainer README, as it is.
const SAMPLE: &str = include_str!("../../../qemu/tests/corpus/json/good-libcontainer.json");

/// Reads one that lies in /srv/c: the spec and what was said, or what is wrong.
fn read(text: &str) -> Result<(SpecBuf, String), String> {
    let mut spec = SpecBuf::new();
    spec.push_str(Tag::Name, b"c").unwrap();
    let mut notes = Text::<4096>::new();
    let good = super::read(b"f", b"/srv/c", text.as_bytes(), &mut spec, &mut notes);
    let said = String::from(notes.as_str());
    assert!(!good || Spec::parse(spec.as_bytes()).is_ok(), "{text}");
    if good { Ok((spec, said)) } else { Err(said) }
}

fn good(text: &str) -> SpecBuf {
    let (spec, said) = read(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    assert_eq!(said, "", "{text}");
    spec
}

/// What is said of one that is refused, behind the file's name.
fn bad(text: &str) -> String {
    let said = read(text).map(|_| ()).expect_err(text);
    assert_eq!(said.matches('\n').count(), 1, "{said}");
    String::from(said.strip_prefix("Pouch: f:").unwrap().trim_end())
}

fn said_of(reason: Reason) -> String {
    let mut text = Text::<200>::new();
    super::super::text::put!(&mut text, "{}", reason);
    text.as_str().into()
}

fn strings(spec: &SpecBuf, tag: Tag) -> Vec<String> {
    let all = spec.view().all(tag);
    all.map(|s| s.to_str().unwrap().into()).collect()
}

#[test]
fn the_sample_of_2014_reads_as_it_is() {
    if options::arity(b"gateway").is_none() {
        return;
    }
    let spec = good(SAMPLE);
    let v = spec.view();
    assert_eq!(v.string(Tag::Hostname), Some(c"koye"));
    assert_eq!(v.string(Tag::Root), Some(c"/srv/c"));
    assert_eq!(v.namespaces(), Some(0x6c02_0000));
    assert_eq!(v.flags() & flags::BARE_ENV, flags::BARE_ENV);
    assert_eq!(
        strings(&spec, Tag::Env),
        [
            "HOME=/",
            "PATH=PATH=$PATH:/bin:/usr/bin:/sbin:/usr/sbin",
            "container=docker",
            "TERM=xterm-256color"
        ]
    );
    let kept = v.capabilities().unwrap();
    for taken in ["SYS_ADMIN", "MKNOD", "SETPCAP", "MAC_ADMIN"] {
        assert_eq!(kept & capability::set(taken.as_bytes()).unwrap(), 0);
    }
    assert_eq!(kept.count_ones(), capability::COUNT - 14);
}

#[test]
fn the_shape_tells_whether_capabilities_are_taken_or_kept() {
    let kill = capability::set(b"KILL").unwrap();
    let all = capability::ALL;
    let mount = r#""NEWNS": true, "NEWPID": false"#;
    for (text, reading, wanted) in [
        (r#"{"namespaces":["NEWNS"],"capabilities":["KILL"]}"#.into(), 1, all & !kill),
        (r#"{"capabilities":["KILL"],"NAMESPACES":["NEWNS"]}"#.into(), 1, all & !kill),
        (r#"{"namespaces":["NEWNS"],"capabilities":[]}"#.into(), 1, all),
        (r#"{"capabilities_mask":["KILL"]}"#.into(), 1, all & !kill),
        (r#"{"capabilities_mask":{"KILL":false,"CHOWN":true}}"#.into(), 1, all & !kill),
        (
            r#"{"capabilities_mask":[{"key":"KILL","enabled":false},{"key":"CHOWN","enabled":true}]}"#
                .into(),
            1,
            all & !kill,
        ),
        (r#"{"capabilities_drop":["CAP_KILL"]}"#.into(), 1, all & !kill),
        (r#"{"capabilities_keep":["kill"]}"#.into(), 2, kill),
        (r#"{"capabilities_keep":["KILL","CHOWN"],"capabilities_drop":["CHOWN"]}"#.into(), 2, kill),
        (std::format!(r#"{{"namespaces":{{{mount}}},"capabilities":["KILL"]}}"#), 2, kill),
        (std::format!(r#"{{"namespaces":{{{mount}}},"capabilities":[]}}"#), 2, 0),
    ] {
        let text: String = text;
        let spec = good(&text);
        let record = spec.view().records().find(|r| r.tag == Tag::Reading).unwrap();
        assert_eq!(record.bytes, [reading], "{text}");
        assert_eq!(spec.view().capabilities(), Some(wanted), "{text}");
    }
    let none = good("{}");
    assert!(none.view().records().all(|r| r.tag != Tag::Reading));
    assert_eq!(none.view().capabilities(), None);
}

#[test]
fn what_could_be_read_both_ways_is_refused() {
    let mixed = "kept or taken away? The file mixes two ages of its format: \
                 say capabilities_keep or capabilities_drop";
    for text in [
        r#"{"capabilities":["KILL"],"network":{},"namespaces":{"NEWNS":true,"NEWNET":true}}"#,
        r#"{"capabilities":["KILL"],"networks":[],"namespaces":["NEWNS"]}"#,
        r#"{"capabilities":["KILL"],"network":{},"networks":[]}"#,
        r#"{"capabilities":["KILL"],"namespaces":[{"key":"NEWNS","enabled":true}]}"#,
        r#"{"capabilities":["KILL"],"namespaces":["NEWNS"],"capabilities_mask":["CHOWN"]}"#,
        r#"{"capabilities":["KILL"],"namespaces":["NEWNS"],"capabilities_keep":["CHOWN"]}"#,
    ] {
        assert_eq!(bad(text), std::format!("1:17: {mixed}"), "{text}");
    }
    assert_eq!(
        bad(r#"{"capabilities":["KILL"]}"#),
        "1:17: kept or taken away? Nothing in the file tells: \
         say capabilities_keep or capabilities_drop"
    );
    assert_eq!(
        bad("{\"namespaces\":[\"NEWNS\"],\n\"capabilities\":[\"KILL\",\n  \"FLY\"]}"),
        "3:3: \"FLY\": unknown capability"
    );
    assert_eq!(
        bad(r#"{"capabilities_drop":["KILL,CHOWN"]}"#),
        "1:23: \"KILL,CHOWN\": unknown capability"
    );
}

#[test]
fn namespaces_are_exactly_those_that_are_listed() {
    let new = |text: &str| good(text).view().namespaces();
    assert_eq!(new("{}"), None);
    assert_eq!(new(r#"{"namespaces":["newns"]}"#), Some(1 << 17));
    assert_eq!(
        new(
            r#"{"namespaces":["NEWNS","NEWUTS","NEWIPC","NEWPID","NEWNET","NEWUSER","NEWCGROUP"]}"#
        ),
        Some(0x7e02_0000)
    );
    assert_eq!(
        new(r#"{"namespaces":{"NEWNS":true,"NEWUTS":false,"NEWPID":true}}"#),
        Some(0x2002_0000)
    );
    assert_eq!(
        new(r#"{"namespaces":[{"key":"NEWNS","enabled":true},{"key":"NEWUTS","enabled":false}]}"#),
        Some(1 << 17)
    );
    let flag = |text: &str| good(text).view().flags();
    assert_eq!(
        flag(r#"{"namespaces":["NEWNS","NEWUSER"]}"#) & flags::USERNS,
        flags::USERNS
    );
    assert_eq!(
        flag(r#"{"namespaces":["NEWNS"]}"#) & flags::HOST_NET,
        flags::HOST_NET
    );
    assert_eq!(
        flag(r#"{"namespaces":["NEWNS","NEWNET"]}"#) & flags::HOST_NET,
        0
    );
    assert_eq!(
        bad(r#"{"namespaces":["NEWNS","NEWTIME"]}"#),
        "1:24: \"NEWTIME\": must be NEWNS, NEWUTS, NEWIPC, NEWPID, NEWNET, NEWUSER or NEWCGROUP"
    );
    assert_eq!(
        bad(r#"{"namespaces":"NEWNS"}"#),
        "1:15: \"NEWNS\": must be a list of strings"
    );
    assert_eq!(
        bad(r#"{"namespaces":{"NEWNS":1}}"#),
        "1:24: 1: must be true or false"
    );
}

#[test]
fn what_would_change_the_board_is_refused_by_name() {
    for (text, place) in [
        (r#"{"namespaces":[]}"#, "1:15"),
        (r#"{"namespaces":["NEWUTS"]}"#, "1:15"),
        (r#"{"rootfs":"x","namespaces":["NEWUTS"]}"#, "1:11: \"x\""),
        (
            r#"{"rootfs":"/","namespaces":[],"mounts":[{"type":"tmpfs","destination":"/x"}]}"#,
            "1:40",
        ),
    ] {
        assert_eq!(
            bad(text),
            std::format!(
                "{place}: a root or mounts of its own want NEWNS among the namespaces, else the board's would change"
            ),
            "{text}"
        );
    }
    assert_eq!(
        bad(r#"{"hostname":"x","namespaces":["NEWNS"]}"#),
        "1:13: \"x\": a hostname wants NEWUTS among the namespaces, else the board's would change"
    );
    assert_eq!(
        bad(r#"{"network":{},"namespaces":["NEWNS"]}"#),
        "1:12: an interface of its own wants NEWNET among the namespaces"
    );
    // The host's own root may be shared without one.
    assert_eq!(
        good(r#"{"rootfs":"/","namespaces":["NEWUTS"],"hostname":"x"}"#)
            .view()
            .string(Tag::Root),
        None
    );
}

#[test]
fn every_key_becomes_its_record() {
    let spec = good(
        r#"{"hostname":"web","environment":["A=1","$HOME","","B=a\nb"],"tty":"tty2","user":"7:8",
        "readonly_fs":true,"working_dir":"/old","cwd":"/new","command":["/bin/sh","-c","a\nb"],
        "rootfs":"root","restart":"on-failure:3","stop_timeout":0.5,"seccomp":false,
        "cgroup":{"memory.max":"16M","pids.max":20,"cpu.max":"50%"},
        "mounts":[{"source":"/a","destination":"/b","type":"bind","options":["ro","nosuid"]},
            {"source":"/a","destination":"/c","options":"ro"},
            {"type":"tmpfs","destination":"/t","options":["size=1m"]},{"type":"devtmpfs"}],
        "rlimits":{"nofile":1024,"RLIMIT_CORE":{"soft":0,"hard":"unlimited"}}}"#,
    );
    let v = spec.view();
    assert_eq!(strings(&spec, Tag::Env), ["A=1", "$HOME", "", "B=a\nb"]);
    assert_eq!(strings(&spec, Tag::Arg), ["/bin/sh", "-c", "a\nb"]);
    assert_eq!((v.tty(), v.user()), (2, (7, 8)));
    assert_eq!(v.string(Tag::Cwd), Some(c"/new"));
    assert_eq!(v.string(Tag::Root), Some(c"/srv/c/root"));
    assert_eq!(v.string(Tag::Image), Some(c"/srv/c/root"));
    assert_eq!(
        (v.restart(), v.stop_timeout()),
        (Restart::OnFailure(3), Some(500))
    );
    assert_eq!(
        v.flags(),
        flags::BARE_ENV | flags::READ_ONLY | flags::NO_SECCOMP
    );
    let cgroup: Vec<_> = v.cgroup().collect();
    assert_eq!(
        cgroup,
        [
            (c"memory.max", c"16777216"),
            (c"pids.max", c"20"),
            (c"cpu.max", c"50000 100000")
        ]
    );
    let mounts: Vec<_> = v
        .mounts()
        .map(|m| (m.source, m.destination, m.kind, m.options))
        .collect();
    assert_eq!(
        mounts,
        [
            (c"/a", c"/b", c"bind", c"ro,nosuid"),
            (c"/a", c"/c", c"bind", c"ro"),
            (c"tmpfs", c"/t", c"tmpfs", c"size=1m")
        ]
    );
    let limits: Vec<_> = v
        .records()
        .filter(|r| r.tag == Tag::Rlimit)
        .map(|r| r.bytes)
        .collect();
    let record = |name: u8, soft: u64, hard: u64| {
        [&[name][..], &soft.to_le_bytes(), &hard.to_le_bytes()].concat()
    };
    assert_eq!(limits, [record(7, 1024, 1024), record(4, 0, u64::MAX)]);
}

#[test]
fn other_forms_of_the_same_are_read() {
    let tty = |text: &str| good(text).view().tty();
    assert_eq!(tty(r#"{"tty":true}"#), TTY_AUTO);
    assert_eq!(tty(r#"{"tty":false}"#), TTY_NONE);
    assert_eq!(tty(r#"{"tty":""}"#), TTY_AUTO);
    let args = |text: &str| strings(&good(text), Tag::Arg);
    assert_eq!(
        args(r#"{"command":"/bin/sh -c \"a b\""}"#),
        ["/bin/sh", "-c", "a b"]
    );
    let root = |text: &str| strings(&good(text), Tag::Root);
    assert_eq!(root(r#"{"rootfs":"/x/y"}"#), ["/x/y"]);
    assert_eq!(root(r#"{"rootfs":""}"#), ["/srv/c"]);
    let limits =
        good(r#"{"rlimits":[{"type":"RLIMIT_NOFILE","soft":1,"hard":2},{"type":"as","hard":-1}]}"#);
    assert_eq!(
        limits
            .view()
            .records()
            .filter(|r| r.tag == Tag::Rlimit)
            .count(),
        2
    );
    let flag = |text: &str| good(text).view().flags();
    assert_eq!(
        flag(r#"{"readonly_fs":false,"seccomp":"off","seccomp":"on"}"#),
        0
    );
    assert_eq!(
        flag(r#"{"seccomp":true,"hostname":null,"environment":null}"#),
        0
    );
    assert_eq!(flag(r#"{"environment":[]}"#), flags::BARE_ENV);
    // The first object is the file; what stands behind it says nothing.
    assert_eq!(flag("{} {\"readonly_fs\":true} ]"), 0);
}

#[test]
fn an_unknown_key_is_a_warning() {
    let (_, said) =
        read("{\n\"Colour\": {\"a\": [1]}, \"network\": null,\n \"rootfs\": \"/\"}").unwrap();
    assert_eq!(said, "Pouch: f:2:1: \"Colour\": unknown key, left out\n");
    let (_, said) =
        read(r#"{"mounts":[{"type":"tmpfs","destination":"/t","writable":true}]}"#).unwrap();
    assert_eq!(said, "Pouch: f:1:47: \"writable\": unknown key, left out\n");
}

#[test]
fn every_wrong_value_is_told_with_its_place() {
    for (text, words) in [
        (
            r#"{"hostname":"a b"}"#,
            "1:13: \"a b\": must be letters, digits, - _ and .",
        ),
        (r#"{"hostname":5}"#, "1:13: 5: must be a string"),
        (
            r#"{"tty":"tty9"}"#,
            "1:8: \"tty9\": must be tty0 to tty3, auto or none",
        ),
        (
            r#"{"cwd":"x"}"#,
            "1:8: \"x\": must be an absolute path without ..",
        ),
        (
            r#"{"restart":"maybe"}"#,
            "1:12: \"maybe\": must be no, on-failure[:N] or always",
        ),
        (
            r#"{"stop_timeout":-1}"#,
            "1:17: -1: must be seconds, like 2 or 0.5",
        ),
        (
            r#"{"seccomp":"maybe"}"#,
            "1:12: \"maybe\": must be on or off",
        ),
        (
            r#"{"readonly_fs":"yes"}"#,
            "1:16: \"yes\": must be true or false",
        ),
        (
            r#"{"environment":"A=1"}"#,
            "1:16: \"A=1\": must be a list of strings",
        ),
        (r#"{"environment":["A=1",2]}"#, "1:23: 2: must be a string"),
        (
            r#"{"command":"\"x"}"#,
            "1:12: \"\\\": unclosed quote, or text behind a closed one",
        ),
        (r#"{"network":[]}"#, "1:12: must be an object, { ... }"),
        (
            r#"{"network":{"mtu":"x"}}"#,
            "1:19: \"x\": must be a number",
        ),
        (
            r#"{"networks":[{"type":"vlan"}]}"#,
            "1:22: \"vlan\": must be veth or loopback, and one veth at most",
        ),
        (r#"{"mounts":{}}"#, "1:11: must be a list of strings"),
        (
            r#"{"mounts":[{"source":"a","destination":"/b"}]}"#,
            "1:12: must be an absolute path without ..",
        ),
        (
            r#"{"mounts":[{"source":"/a","destination":"/b","options":["fly"]}]}"#,
            "1:12: unknown mount option",
        ),
        (
            r#"{"cgroup":{"memory.max":"1X"}}"#,
            "1:25: \"1X\": must be a size like 64M, or max",
        ),
        (
            r#"{"cgroup":{"cgroup.procs":"1"}}"#,
            "1:12: \"cgroup.procs\": unknown key",
        ),
        (
            r#"{"cgroup":{"privileged":"1"}}"#,
            "1:12: \"privileged\": unknown key",
        ),
        (
            r#"{"rlimits":{"nofiles":1}}"#,
            "1:13: \"nofiles\": must be limits by name (nofile), each a number, unlimited, or {soft, hard}",
        ),
        (
            r#"{"capabilities_keep":["KILL",1]}"#,
            "1:30: 1: must be a string",
        ),
    ] {
        assert_eq!(bad(text), words, "{text}");
    }
}

#[test]
fn what_does_not_fit_is_refused_with_the_figure() {
    let list = |n: usize| std::vec!["\"x\""; n].join(",");
    let refused = |key: &str, n: usize| {
        let text = std::format!("{{\"{key}\":[{}]}}", list(n));
        let mut spec = SpecBuf::new();
        spec.push_str(Tag::Name, b"c").unwrap();
        let mut notes = Text::<256>::new();
        assert!(
            super::read(b"f", b"/", text.as_bytes(), &mut spec, &mut notes),
            "{}",
            notes.as_str()
        );
        Spec::parse(spec.as_bytes())
            .err()
            .map(|e| said_of(Reason::from(e)))
    };
    assert_eq!(refused("command", 64), None);
    assert_eq!(
        refused("command", 65),
        Some("at most 64 words in a command".into())
    );
    assert_eq!(refused("environment", 128), None);
    assert_eq!(
        refused("environment", 129),
        Some("at most 128 entries in an environment".into())
    );
    let long = std::format!(
        "{{\"environment\":[\"A={}\",\"B={}\"]}}",
        "x".repeat(5000),
        "y".repeat(5000)
    );
    assert!(bad(&long).ends_with("too long: at most 8192 bytes for all of a container's words"));
    let large = std::format!("{{}}{}", " ".repeat(SIZE_MAX));
    assert_eq!(
        bad(&large),
        "1:1: the file is too large, 32768 bytes at most"
    );
}

#[test]
fn the_corpus_is_answered() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/qemu/tests/corpus/json");
    let mut seen = [0; 2];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read(&path).unwrap();
        let mut spec = SpecBuf::new();
        spec.push_str(Tag::Name, b"c").unwrap();
        let mut notes = Text::<4096>::new();
        let good = super::read(b"f", b"/srv/c", &text, &mut spec, &mut notes);
        let good = good && Spec::parse(spec.as_bytes()).is_ok();
        let name = path.file_name().unwrap().to_str().unwrap();
        // What others found by chance need only be answered.
        for (wanted, start) in [(true, "good-"), (false, "bad-")] {
            if name.starts_with(start) {
                if options::arity(b"gateway").is_none() && notes.as_str().contains("none or host") {
                    continue;
                }
                assert_eq!(good, wanted, "{name}: {}", notes.as_str());
                seen[usize::from(wanted)] += 1;
            }
        }
        // Any beginning of it, too.
        for end in 0..text.len().min(2000) {
            let mut spec = SpecBuf::new();
            super::read(b"f", b"/", &text[..end], &mut spec, &mut Text::<64>::new());
        }
    }
    assert!(seen[0] > 10 && seen[1] >= 5, "{seen:?}");
}
