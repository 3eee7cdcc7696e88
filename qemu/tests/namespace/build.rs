//! `build`: what a Pouchfile makes, what is refused, and that nothing is left of that

use crate::Fresh;
use pouch_qemu::Result;
use pouch_qemu::serial::Serial;

/// A folder with what is to be built, and an image to begin with.
fn context(serial: &mut Serial) -> Result<()> {
    for line in [
        "mkdir -p /srv/base/bin /srv/base/usr/lib /srv/base/etc /srv/b/web/site/sub /srv/b/web/pack/p; cd /srv/base",
        "cp /bin/busybox bin/sh; for a in echo cat ls id touch sleep; do ln bin/sh bin/$a; done; ln -s usr/lib lib",
        "printf 'root:x:0:0::/root:/bin/sh\nwww:x:33:44::/www:/bin/sh\n' >etc/passwd; touch etc/group; chmod 1777 .",
        "cd /srv/b/web; echo index >site/index; echo deep >site/sub/deep; ln -s index site/link; chmod 640 site/index; chown 7:8 site/index",
        "echo one >a.sh; echo two >b.sh; echo 'a b' >'with blank'; ln -s /etc/passwd out; ln -s site/index within",
        "echo packed >pack/p/file; tar -czf pack.tgz -C pack p; pouch import base /srv/base >/dev/null",
    ] {
        serial.run(line)?;
    }
    Ok(())
}

/// Writes a file of lines, and builds by it in /srv/b/web; what is said, and the status.
fn build(serial: &mut Serial, text: &str) -> Result<(String, i32)> {
    serial.run("cd /srv/b/web; : >Pouchfile")?;
    for line in text.lines() {
        serial.run(&format!("printf '%s\\n' '{line}' >>Pouchfile"))?;
    }
    serial.run_status("pouch build >/tmp/out 2>&1; s=$?; cat /tmp/out; (exit $s)")
}

pub fn an_image_is_built_as_its_file_says(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    context(serial)?;
    let (words, _) = build(
        serial,
        "# a comment
ARG what=base
FROM ${what} AS first
maintainer me
LABEL a=b c=\"d\"
HEALTHCHECK CMD true
ENV GREETING=\"hello there\" PATH=/opt:$PATH
ENV OLD way of $GREETING
WORKDIR /www
WORKDIR sub
COPY site .
COPY site/index within /etc/made/
COPY *.sh /opt/
COPY [\"with blank\", \"/opt/named\"]
ADD pack.tgz /packed
ADD a.sh /packed/
ARG ONCE=only
RUN echo $GREETING, $OLD, $ONCE >said; pwd >>said; \\
    # no part of it
    id -u >>said; cat >>said; echo shown
RUN [\"/bin/sh\", \"-c\", \"echo list >>/www/sub/said\"]
USER www
RUN id -u >/who
ENTRYPOINT [\"/bin/sh\", \"-c\"]
CMD [\"cat said; id -u; echo $ONCE.; exec sleep 1000\"]",
    )?;
    let lines: Vec<&str> = words.lines().collect();
    assert_eq!(lines.first(), Some(&"Pouch: Pouchfile:6: HEALTHCHECK: left out"), "{words}");
    assert!(lines.contains(&"shown") && lines.contains(&"Pouch: Pouchfile:22: USER www"), "{words}");
    assert!(lines.last().is_some_and(|line| line.starts_with("Pouch: web built sha256:")), "{words}");
    assert_eq!(
        serial.run("cd /var/lib/pouch/images; ls -A; cd web/root; cat who www/sub/said; ls www/sub etc/made opt packed packed/p; cat opt/named")?,
        "base  web\n33\nhello there, way of hello there, only\n/www/sub\n0\nlist\n\
         etc/made:\nindex   within\n\nopt:\na.sh   b.sh   named\n\npacked:\na.sh  p\n\npacked/p:\nfile\n\n\
         www/sub:\nindex  link   said   sub\na b"
    );
    assert_eq!(
        serial.run("stat -c '%a %u %g %h' www/sub/index . bin/echo | cut -d ' ' -f 1-3; stat -c %h bin/echo; readlink www/sub/link; readlink lib; stat -c %F etc/made/within; cat packed/p/file; cd /")?,
        "640 0 0\n1777 0 0\n755 0 0\n7\nindex\nusr/lib\nregular file\npacked"
    );
    serial.run("pouch start w web --tty none; until pouch logs w | grep -q '^\\.'; do :; done")?;
    assert_eq!(
        serial.run("pouch logs w; pouch exec w /bin/sh -c 'echo $PATH; pwd; id -u'")?,
        "hello there, way of hello there, only\n/www/sub\n0\nlist\n33\n.\n\
         /opt:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/dev/pouch\n/www/sub\n33"
    );
    // From what was built, by another file, in a folder of another name, with a shell's line.
    serial.run("mkdir /srv/two; printf 'FROM web\\nUSER 0\\nCMD echo by $0; id -u\\n' >/srv/two/Dockerfile; cd /")?;
    for (name, words) in
        [("two", "/srv/two"), ("x", "--tag=x --file /srv/two/Dockerfile"), ("y", "-t y -f srv/two/Dockerfile srv")]
    {
        let (said, status) = serial.run_status(&format!("pouch build {words}"))?;
        assert!(status == 0 && said.contains(&format!("Pouch: {name} built sha256:")), "{said}");
    }
    serial.run("pouch start v two --tty none; while ! grep -q ended /run/pouch/cont_v; do :; done")?;
    assert_eq!(
        serial.run("pouch logs v; pouch destroy v; pouch destroy w; ls -A /run/pouch/stage")?.lines().next(),
        Some("by /bin/sh")
    );
    let digests = serial.run("cut -d ' ' -f 1 /var/lib/pouch/images/*/digest | sort -u | wc -l; cmp /var/lib/pouch/images/x/digest /var/lib/pouch/images/two/digest")?;
    assert_eq!(digests, "3", "a digest knows no name");
    Ok(())
}

pub fn a_build_that_fails_leaves_nothing(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    context(serial)?;
    let before = serial
        .run("ls /proc/1/fd | wc -l; wc -l </proc/mounts; ls /sys/fs/cgroup/pouch 2>/dev/null | grep -c build")?;
    for (text, words) in [
        ("# nothing", ": one FROM stands before all others"),
        ("\nCOPY a b", ":2: COPY: one FROM stands before all others"),
        ("FROM base\nFROM base", ":2: FROM: one FROM stands before all others"),
        ("FROM base x", ":1: FROM: one FROM stands before all others"),
        ("FROM nothing", ":1: FROM: no such image in the store"),
        ("FROM base\nRUN touch /srv/evil\n\nfly x", ":4: fly: unknown instruction"),
        ("FROM base\nCOPY ../x /", ":2: COPY: must be SRC... DST, without options and .."),
        ("FROM base\nCOPY --from=x a /", ":2: COPY: must be SRC... DST, without options and .."),
        ("FROM base\nCOPY a.sh", ":2: COPY: must be SRC... DST, without options and .."),
        ("FROM base\nCOPY nothing /", ":2: nothing: No such file or directory"),
        ("FROM base\nCOPY *.none /", ":2: COPY: No such file or directory"),
        ("FROM base\nCOPY out /", ":2: out: No such file or directory"),
        ("FROM base\nENV A", ":2: ENV: must be KEY=VALUE"),
        ("FROM base\nENV A=\"b", ":2: ENV: unclosed quote, or text behind a closed one"),
        ("FROM base\nENV A=${b", ":2: ENV: must be $NAME, ${NAME}, ${NAME:-WORD} or ${NAME:+WORD}"),
        ("FROM base\nWORKDIR ../x", ":2: WORKDIR: must be an absolute path without .."),
        ("FROM base\nUSER 1x", ":2: USER: must be a user or USER:GROUP, by number or name"),
        ("FROM base\nRUN", ":2: RUN: value missing"),
        ("FROM base\nRUN exit 7", ":2: RUN: exited with status 7"),
        ("FROM base\nRUN [\"/none\"]", ":2: RUN: exited with status 127"),
        ("FROM base\nRUN touch /x\nCOPY site /x", ":3: site: Not a directory"),
        ("FROM base\nCOPY a.sh /bin/sh/x", ":2: a.sh: Not a directory"),
    ] {
        let (said, _) = build(serial, text)?;
        let last = said.lines().last().unwrap_or_default();
        assert_eq!(last, format!("Pouch: web: unable to build Pouchfile{words}"), "{text}: {said}");
        // Before the first step that is done, all were judged.
        assert!(!text.contains("fly") || said.lines().count() == 1, "{said}");
        assert_eq!(serial.run("ls -A /var/lib/pouch/images")?, "base", "{text}");
    }
    for (line, words, status) in [
        ("pouch build --fly", "Pouch: unknown option --fly\nSee pouch --help", 2),
        ("pouch build --file", "Pouch: --file: value missing", 2),
        ("pouch build /srv /srv", "Error: Invalid number of arguments.", 1),
        ("pouch build /srv", "Pouch: unable to read Pouchfile: No such file or directory", 1),
        ("pouch build --file none", "Pouch: unable to read none: No such file or directory", 1),
        (
            "pouch build --tag tty1",
            "Pouch: --tag tty1: must be 1 to 63 letters, digits, _ . -, begin with no . or -, and be no ttyN",
            2,
        ),
        ("pouch build --tag base", "Pouch: base: unable to build Pouchfile: it exists already, pouch rmi it first", 1),
        ("pouch build --help | head -1", "pouch build [--file POUCHFILE] [--tag IMAGE] [DIR]", 0),
    ] {
        assert_eq!(serial.run_status(line)?, (words.to_owned(), status), "{line}");
    }
    // One that is told to end sweeps its own place, one that is killed leaves that to the next.
    for signal in ["TERM", "INT", "KILL"] {
        serial.run("printf 'FROM base\\nRUN sleep 1000\\n' >Pouchfile")?;
        serial.run("pouch build >/tmp/out 2>&1 & until grep -qs started /run/pouch/cont_build.web; do :; done")?;
        serial.run(&format!("kill -{signal} $!; wait $!; while [ -e /run/pouch/cont_build.web ]; do :; done"))?;
        let left = if signal == "KILL" { ".new\nbase" } else { "base" };
        assert_eq!(serial.run("ls -1A /var/lib/pouch/images; pidof sleep")?, left, "{signal}");
    }
    assert!(build(serial, "FROM scratch\nCOPY a.sh /x")?.0.contains("Pouch: web built sha256:"));
    assert_eq!(
        serial.run("ls -A /var/lib/pouch/images /var/lib/pouch/images/web/root; ls / | grep -c evil; rm /tmp/out")?,
        "/var/lib/pouch/images:\nbase  web\n\n/var/lib/pouch/images/web/root:\nx\n0"
    );
    assert_eq!(
        serial
            .run("ls /proc/1/fd | wc -l; wc -l </proc/mounts; ls /sys/fs/cgroup/pouch 2>/dev/null | grep -c build")?,
        before
    );
    Ok(())
}
