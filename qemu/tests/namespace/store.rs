//! The store: what is taken in, what is refused, and that nothing is left of that

use crate::Fresh;
use pouch_qemu::bed::NamespaceOptions;
use pouch_qemu::serial::Serial;
use pouch_qemu::{Context, Error, Result};
use std::path::PathBuf;
use std::process::Command;

/// A folder with the archives that `archives.sh` makes; gone when it is dropped.
struct Archives(PathBuf);

impl Archives {
    fn make(name: &str) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("pouch-archives-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let archives = Self(folder);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/namespace/archives.sh");
        let made = Command::new("sh").arg(script).arg(&archives.0).output().context(|| "unable to run archives.sh")?;
        if made.status.success() {
            Ok(archives)
        } else {
            Err(Error::new(format!("archives.sh: {}", String::from_utf8_lossy(&made.stderr))))
        }
    }

    fn options(&self, part: &str) -> NamespaceOptions {
        NamespaceOptions { files: Some(self.0.join(part)), ..NamespaceOptions::default() }
    }
}

impl Drop for Archives {
    fn drop(&mut self) {
        // A folder that stays in /tmp is no failure of what is tested.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Imports a file of the bed; the answer and the status.
fn import(serial: &mut Serial, name: &str, file: &str) -> Result<(String, i32)> {
    serial.run_status(&format!("pouch import {name} /srv/in/{file}"))
}

const ROOTS: &str = "r=/var/lib/pouch/images; cd $r";

pub fn archives_of_every_kind_are_taken_in(fresh: &mut Fresh) -> Result<()> {
    let archives = Archives::make("good")?;
    let mut namespace = fresh.start_with(&archives.options("good"))?;
    let serial = namespace.serial().reach_prompt()?;
    assert_eq!(serial.run("pouch images")?, "No images available.");
    for (name, file) in [
        ("gnu", "gnu.tar"),
        ("posix", "posix.tar.gz"),
        ("ustar", "ustar.tar"),
        ("v7", "v7.tar"),
        ("device", "device.tar"),
        ("links", "links.tar"),
        ("absolute", "absolute.tar"),
        ("record", "record.tar"),
    ] {
        let (words, status) = import(serial, name, file)?;
        assert!(status == 0 && words.contains(&format!("Pouch: {name} imported sha256:")), "{file}: {words}");
        let left_out = words.contains("Pouch: node: a device or socket, left out");
        assert_eq!(left_out, name == "device", "{words}");
    }
    serial.run(ROOTS)?;
    for name in ["gnu", "posix", "ustar", "v7"] {
        let stat = serial.run(&format!("cd {name}/root; stat -c '%a %u %g %h' etc/hello etc/noise usr; stat -c %Y etc/noise; readlink absolute; readlink lib; cat etc/again; cd $r"))?;
        assert_eq!(stat, "4755 0 0 2\n644 1234 567 1\n1777 0 0 3\n1234567890\n/etc/hello\nusr/lib\nhello", "{name}");
    }
    assert_eq!(
        serial.run("cat gnu/root/0*/0*/0*/file posix/root/0*/0*/0*/file; cmp gnu/root/etc/noise v7/root/etc/noise")?,
        "deep\ndeep"
    );
    assert_eq!(
        serial.run("ls device/root; ls absolute/root; ls / | grep -c evil; ls -1A links/root; ls /escaped*")?,
        "etc\nevil-at-the-root\n0\ndots\nescaped\nescaped2\nup\nls: /escaped*: No such file or directory"
    );
    // Busybox's own archives, and a folder.
    serial.run("cd /; tar -cf /srv/bb.tar -C $r/gnu/root etc usr; tar -czf /srv/bb.tgz -C $r/gnu/root etc usr")?;
    for (name, file) in [("bb", "/srv/bb.tar"), ("bbz", "/srv/bb.tgz"), ("dir", "$r/gnu/root")] {
        let (words, status) = serial.run_status(&format!("pouch import {name} {file}"))?;
        assert!(status == 0, "{file}: {words}");
        assert_eq!(
            serial.run(&format!("cd $r/{name}/root; stat -c '%a %u %g' etc/hello etc/noise; cat etc/again; cd /"))?,
            "4755 0 0\n644 1234 567\nhello",
            "{name}"
        );
    }
    // A terminal is shown how far it is, on one line that goes again; nobody else is.
    let big = "mkdir -p /srv/big; head -c 3000000 /dev/zero >/srv/big/x";
    let shown = serial.run(&format!("{big}; pouch import big /srv/big; pouch rmi big"))?;
    let hidden =
        serial.run("pouch import big /srv/big 2>/tmp/said; cat /tmp/said; pouch rmi big; rm -r /tmp/said /srv/big")?;
    assert!(shown.contains("2.0M") && !hidden.contains("2.0M"), "{shown:?} {hidden:?}");
    let shown = String::from_utf8_lossy(&serial.raw()).into_owned();
    assert!(shown.contains("\r          \rPouch: big imported "), "the answer stands behind how far it was");
    let list = serial.run("pouch images")?;
    let line = list.lines().find(|line| line.contains(" gnu : ")).unwrap_or_default();
    assert!(list.starts_with("Pouch images:\n1. ") && list.lines().count() == 12, "{list}");
    let digest = serial.run("sha256sum /srv/in/gnu.tar | cut -d ' ' -f 1")?;
    assert!(line.contains(&format!("97.7K sha256:{digest}")) || line.contains(&digest), "{line}");
    assert_eq!(
        import(serial, "gnu", "gnu.tar")?,
        ("Pouch: gnu: unable to import /srv/in/gnu.tar: it exists already, pouch rmi it first".into(), 1)
    );
    Ok(())
}

pub fn images_of_docker_and_oci_run_what_they_say(fresh: &mut Fresh) -> Result<()> {
    let archives = Archives::make("images")?;
    let mut namespace = fresh.start_with(&archives.options("good"))?;
    let serial = namespace.serial().reach_prompt()?;
    for (name, file) in [("sa1", "save.tar"), ("sa2", "save.tar.gz"), ("sa3", "oci.tar"), ("sa4", "oci")] {
        let (words, status) = import(serial, name, file)?;
        assert_eq!(status, 0, "{file}: {words}");
        assert_eq!(
            serial.run(&format!(
                "cd /var/lib/pouch/images/{name}; ls; cd root; ls; cat etc/file etc/twin; ls -A etc opaque; cd /"
            ))?,
            "config  digest  root\netc     keep    opaque\nsecond\nfirst\netc:\nfile  twin\n\nopaque:\nabove"
        );
        serial.run(&format!("pouch start {name} {name} --tty none --mount /bin/busybox:/bin/sh --mount /bin/busybox:/bin/id --mount /bin/busybox:/bin/sleep"))?;
        assert_eq!(
            serial.run(&format!("until pouch logs {name} | grep -q 7; do :; done; pouch logs {name}"))?,
            "a&b \"c\"\n/keep\n7"
        );
        assert_eq!(
            serial.run_status(&format!("pouch rmi {name}"))?,
            (format!("Pouch: {name}: in use by {name}, pouch destroy it first"), 1)
        );
        assert_eq!(
            serial.run(&format!("pouch exec {name} /bin/sh -c 'echo $PATH; pwd'"))?,
            "/bin:/sbin:/dev/pouch\n/keep"
        );
        // What is said at the start goes before what the image says.
        serial.run(&format!("pouch start {name}b {name} --tty none --env GREETING=mine --user 0 --cwd / --mount /bin/busybox:/bin/sh --mount /bin/busybox:/bin/id -- /bin/sh -c 'echo $GREETING $PWD; id -u'"))?;
        assert_eq!(
            serial.run(&format!("while ! grep -q ended /run/pouch/cont_{name}b; do :; done; pouch logs {name}b"))?,
            "mine /\n0"
        );
        assert_eq!(
            serial
                .run(&format!("pouch destroy {name}; pouch destroy {name}b; pouch rmi {name}; pouch rmi {name}"))?
                .lines()
                .skip(2)
                .collect::<Vec<_>>(),
            [format!("Pouch: {name} removed"), format!("Pouch: no image {name} in the store")]
        );
    }
    assert_eq!(serial.run("pouch images; ls -A /var/lib/pouch/images")?, "No images available.");
    Ok(())
}

pub fn broken_and_hostile_archives_leave_nothing(fresh: &mut Fresh) -> Result<()> {
    let archives = Archives::make("bad")?;
    let mut namespace = fresh.start_with(&archives.options("bad"))?;
    let serial = namespace.serial().reach_prompt()?;
    let files = serial.run("ls -1 /srv/in | cat")?;
    assert!(files.lines().count() > 15, "{files}");
    let before = serial.run("find / -xdev -name '*evil*'; ls / | wc -l")?;
    for file in files.lines() {
        let (words, status) = import(serial, "bad", file)?;
        assert!(
            status == 1 && words.starts_with(&format!("Pouch: bad: unable to import /srv/in/{file}: ")),
            "{file}: {words}"
        );
        assert_eq!(words.lines().count(), 1, "{file}: {words}");
        assert!(file != "white" || words.ends_with("it leads out of the image"), "{words}");
        assert_eq!(serial.run("ls -A /var/lib/pouch/images")?, "", "{file}");
    }
    assert_eq!(serial.run("find / -xdev -name '*evil*'; ls / | wc -l")?, before);
    // What an import left that was killed, the next one sweeps.
    serial.run("mkdir -p /var/lib/pouch/images/.new/root/x; touch /var/lib/pouch/images/.new/root/x/y")?;
    assert_eq!(
        serial.run_status("pouch import bad /nowhere; ls -A /var/lib/pouch/images")?.0,
        "Pouch: bad: unable to import /nowhere: No such file or directory"
    );
    assert_eq!(serial.run_status("pouch import tty1 /nowhere")?.1, 2);
    assert_eq!(serial.run_status("pouch import bad")?, ("Error: Invalid number of arguments.".into(), 1));
    Ok(())
}
