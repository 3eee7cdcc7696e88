//! Containers defined by files: container.json, config=, /etc/pouch/containers, check

use crate::Fresh;
use pouch_qemu::Result;
use pouch_qemu::serial::Serial;

/// Writes a file on the board; no quote of the shell's may stand in it.
fn write(serial: &mut Serial, path: &str, text: &str) -> Result<()> {
    assert!(!text.contains('\''), "{text}");
    serial.run(&format!("mkdir -p $(dirname {path})"))?;
    // A piece at a time: a terminal's line has an end.
    serial.run(&format!(": >{path}"))?;
    for line in text.lines() {
        serial.run(&format!("echo '{line}' >>{path}"))?;
    }
    Ok(())
}

/// A root of its own: a shell and what it needs.
fn root(serial: &mut Serial, path: &str) -> Result<()> {
    serial.run(&format!(
        "mkdir -p {path}; cp -a /bin {path}; for d in etc proc sys dev tmp; do mkdir -p {path}/$d; done"
    ))?;
    Ok(())
}

pub fn a_file_defines_a_container_and_options_hold_over_it(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    root(serial, "/srv/web")?;
    write(
        serial,
        "/srv/web/container.json",
        "{\"hostname\": \"koye\", \"environment\": [\"A=$HOME\", \"PATH=/bin\", \"odd\"],\n\
         \"namespaces\": [\"NEWNS\",\"NEWUTS\",\"NEWPID\",\"NEWIPC\",\"NEWNET\"], \"Colour\": 1,\n\
         \"capabilities\": [\"SYS_ADMIN\"], \"command\": [\"sh\", \"-c\", \"env >/e; hostname >/h; sleep 1000\"]}",
    )?;
    assert_eq!(
        serial.run("cd /srv; pouch start web --config web/container.json --tty none")?,
        "Pouch: web starting\nPouch: web/container.json:2:62: \"Colour\": unknown key, left out"
    );
    serial.run("until [ -s /srv/web/h ]; do :; done")?;
    assert_eq!(serial.run("cat web/h; grep -v SHLVL web/e | grep -v PWD")?, "koye\nA=$HOME\nPATH=/bin");
    let info = serial.run("pouch info web")?;
    assert!(info.contains("IMAGE: /srv/web\n") && info.contains("CAPABILITIES: taken-away"), "{info}");
    // All but what was taken away.
    // SYS_ADMIN is gone; NET_ADMIN, which is none of the usual fourteen, is there.
    let set = "caps=$(sed -n 's/^CapBnd:[^0-9a-f]*//p' /proc/$(sed -n 's/^PID: //p' /run/pouch/cont_web)/status)";
    assert_eq!(serial.run(&format!("{set}; echo $((0x$caps >> 21 & 1)) $((0x$caps >> 12 & 1))"))?, "0 1");
    assert_eq!(serial.run("pouch destroy web")?, "Pouch: web destroyed");
    assert_eq!(
        serial.run("pouch start web --config=/srv/web/container.json --hostname other -- sh -c 'hostname >/h2; sleep 1000' 2>/dev/null")?,
        "Pouch: web starting"
    );
    assert_eq!(
        serial.run("until [ -s /srv/web/h2 ]; do :; done; cat /srv/web/h2; pouch destroy web")?,
        "other\nPouch: web destroyed"
    );
    for (text, words) in [
        ("{\"hostname\": \"x\"", "/srv/f:2:1: the file ends here, and something is missing"),
        (
            "{\"namespaces\": [\"NEWPID\"]}",
            "/srv/f:1:16: a root or mounts of its own want NEWNS among the namespaces, else the board",
        ),
        (
            "{\"hostname\":\"x\",\"namespaces\":[\"NEWNS\"]}",
            "/srv/f:1:13: \"x\": a hostname wants NEWUTS among the namespaces, else the board",
        ),
        ("{\"capabilities_keep\":[\"FLY\"]}", "/srv/f:1:23: \"FLY\": unknown capability"),
        (
            "{\"capabilities\":[\"KILL\"],\"namespaces\":{\"NEWNS\":true},\"network\":{}}",
            "/srv/f:1:17: kept or taken away? The file mixes two ages",
        ),
    ] {
        write(serial, "/srv/f", text)?;
        for command in ["pouch start x --config /srv/f", "pouch check /srv/f"] {
            let (said, status) = serial.run_status(command)?;
            assert!(said.starts_with(&format!("Pouch: {words}")) && !said.contains('\n'), "{said}");
            assert_eq!(status, 1, "{text}");
        }
    }
    let (said, status) = serial.run_status("pouch start x --config /nothing")?;
    assert_eq!((said.as_str(), status), ("Pouch: unable to read /nothing: No such file or directory", 1));
    assert_eq!(serial.run("pouch list")?, "Pouch containers:");
    assert_eq!(serial.run_status("pouch start x --config")?, ("Pouch: --config: value missing".into(), 2));
    Ok(())
}

pub fn check_judges_without_starting(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    write(
        serial,
        "/srv/c/container.json",
        "{\"rootfs\": \"root\", \"command\": [\"/bin/sh\"], \"restart\": \"always\"}",
    )?;
    let (said, status) = serial.run_status("cd /srv/c; pouch check")?;
    assert_eq!((said.as_str(), status), ("container\n  command: /bin/sh\n  restart: always\n  root: /srv/c/root", 0));
    let word = "pouch.container=web,rootfs=/srv/web,tty=tty1,command='/bin/httpd -f -p 80',memory.max=16M";
    for quoted in [format!("\"{word}\""), format!("'\"{}\"'", word.replace('\'', "'\\''"))] {
        let (said, status) = serial.run_status(&format!("pouch check -- {quoted} quiet console=ttyS0"))?;
        assert_eq!(status, 0, "{said}");
        assert!(said.starts_with("web\n  root: /srv/web\n  tty: tty1\n  command: /bin/httpd\n"), "{said}");
    }
    let (said, status) =
        serial.run_status("pouch check -- pouch.container=web,config=/srv/c/container.json,restart=no")?;
    assert!(said.starts_with("web\n") && said.contains("restart: no"), "{said}");
    assert_eq!(status, 0);
    let (said, status) =
        serial.run_status("pouch check -- pouch.rescue pouch.fly pouch.container=a,tty=tty9 pouch.container=b")?;
    assert_eq!(status, 1);
    for line in
        ["Pouch: pouch.fly: unknown word", "Pouch: tty=tty9: must be tty0 to tty3, auto or none", "b", "pouch.rescue"]
    {
        assert!(said.lines().any(|l| l == line), "{line} in {said}");
    }
    assert_eq!(serial.run_status("pouch check a b")?.1, 1);
    assert_eq!(serial.run("pouch list")?, "Pouch containers:");
    Ok(())
}

pub fn a_file_of_the_kernel_line_is_read_when_it_is_there(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start(
        "pouch.container=late,config=/srv/late.json,tty=none,rootfs=/ pouch.container=other,tty=none,command='sleep')",
    )?;
    let serial = namespace.serial().expect("Pouch: unable to read /srv/late.json: No such file or directory")?;
    let serial = serial.send(b"\r")?.prompt()?;
    write(serial, "/srv/new.json", "{\"command\": [\"sleep\", \"1234\"], \"restart\": \"always\"}")?;
    serial.run("mv /srv/new.json /srv/late.json; until grep -qs started /run/pouch/cont_late; do :; done")?;
    // Defined, not started by a command: it is kept when it fails, and started again by its policy.
    serial.run("pouch kill late; until grep -qs 'RESTARTS: 1' /run/pouch/cont_late; do :; done")?;
    assert_eq!(serial.run("pouch destroy late")?, "Pouch: late destroyed");
    Ok(())
}

pub fn a_boot_tells_of_each_failure_once(fresh: &mut Fresh) -> Result<()> {
    let words = "pouch.container=bad,frob=1 pouch.container=none,image=none pouch.container=f,config=/no.json";
    let mut namespace = fresh.start(words)?;
    let serial = namespace.serial();
    serial.expect("Pouch: pouch.container=bad,frob=1: frob=1: unknown key")?;
    serial.expect("Pouch: none: unable to find image none: No such file or directory")?;
    // The shell does not wait for definitions: its first prompt may stand before what is said of them.
    serial.send(b"\r")?.prompt()?;
    assert_eq!(serial.run("pouch run r none -- ls; echo $?")?, "Pouch: r: no image none in the store\n125");
    assert_eq!(serial.run("pouch rmi --none")?, "Pouch: unknown option --none\nSee pouch --help");
    namespace.serial().type_line("init 0")?;
    namespace.serial().expect("the board powers off now")?;
    Ok(())
}

pub fn what_the_kernel_line_defines_in_vain_is_told_on_the_console(fresh: &mut Fresh) -> Result<()> {
    // The namespace has no /dev/kmsg: what is read here is the line itself.
    let mut namespace = fresh.start(
        "pouch.container=a,after=b,tty=none pouch.container=b,after=a,tty=none pouch.container=c,after=c,tty=none \
         pouch.container=d,tty=tty2 pouch.container=d,tty=none pouch.container=e,tty=tty2",
    )?;
    let serial = namespace.serial().reach_prompt()?;
    for refused in [
        "Pouch: b: after a goes in a circle",
        "Pouch: c: after c goes in a circle",
        "Pouch: d: already exists",
        "Pouch: e: tty2 is held by d",
    ] {
        assert_eq!(serial.transcript().matches(refused).count(), 1, "{refused} in {}", serial.transcript());
    }
    let list = serial.run("pouch list")?;
    assert!(list.contains("1. a : waiting") && list.contains("2. d : ") && list.lines().count() == 3, "{list}");
    Ok(())
}

pub fn folders_of_containers_are_read_when_one_asks(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    write(
        serial,
        "/etc/pouch/containers/one/container.json",
        "{\"rootfs\": \"/\", \"tty\": false, \"command\": [\"sleep\", \"1000\"]}",
    )?;
    write(
        serial,
        "/srv/two/container.json",
        "{\"rootfs\": \"/\", \"tty\": false, \"command\": [\"sleep\", \"1000\"]}",
    )?;
    write(serial, "/etc/pouch/containers/bad/container.json", "{\"rootfs\": 5}")?;
    serial.run("ln -s /srv/two /etc/pouch/containers/two; mkdir /etc/pouch/containers/empty")?;
    serial.type_line("/init q")?.expect("Pouch: /etc/pouch/containers/bad/container.json:1:12: 5: must be a string")?;
    serial.run("until grep -qs started /run/pouch/cont_one && grep -qs started /run/pouch/cont_two; do :; done")?;
    let pid = serial.run("sed -n 's/^PID: //p' /run/pouch/cont_one")?;
    serial.run("rm -r /etc/pouch/containers/bad; mkdir /etc/pouch/containers/three; cp /srv/two/container.json /etc/pouch/containers/three; kill -HUP 1")?;
    serial.run("until grep -qs started /run/pouch/cont_three; do :; done")?;
    assert_eq!(serial.run("sed -n 's/^PID: //p' /run/pouch/cont_one")?, pid);
    assert_eq!(
        serial.run("for c in one two three; do pouch destroy $c; done; pouch list")?.lines().last(),
        Some("Pouch containers:")
    );
    Ok(())
}

/// The sample of the libcontainer README, word for word, and the same without its network.
const SAMPLE: &str = include_str!("../corpus/json/good-libcontainer.json");

pub fn nsinit_starts_and_joins_what_its_folder_defines(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    root(serial, "/srv/koye")?;
    let (before, _) = SAMPLE.split_once(",\n    \"network\"").unwrap_or((SAMPLE, ""));
    write(serial, "/srv/koye/container.json", &format!("{before}\n}}"))?;
    serial.run("cd /srv/koye")?;
    // Through pipes: the command's own streams, and its exit status.
    assert_eq!(serial.run("echo hostname | nsinit exec sh | cat")?, "koye");
    for (command, status) in [("true", 0), ("sh -c 'exit 77'", 77), ("sh -c 'kill -9 $$'", 0), ("nothing", 127)] {
        let (_, got) = serial.run_status(&format!("nsinit exec {command} </dev/null >/dev/null 2>&1"))?;
        // PID 1 of a namespace does not feel its own KILL.
        assert_eq!(got, status, "{command}");
    }
    let lines = serial.run("nsinit exec sh -c 'echo $$ $PATH; env | grep -c .; grep CapBnd /proc/1/status; ls -d /sys/class/net/*' </dev/null | cat")?;
    assert!(lines.starts_with("1 PATH=$PATH:/bin:/usr/bin:/sbin:/usr/sbin\n"), "{lines}");
    assert!(lines.ends_with("/sys/class/net/lo"), "{lines}");
    assert_eq!(serial.run("ls -a /srv/koye | grep nspid; pouch list")?, "Pouch containers:");
    // In the background: its file, and the second that joins.
    serial.run("(nsinit exec sh -c 'touch /up; sleep 1000 & sleep 1000' </dev/null >/dev/null 2>&1 &); until [ -e up ] && [ -e .nspid ]; do :; done")?;
    assert_eq!(
        serial.run(
            "od -c .nspid | grep -c '\\\\n'; [ $(cat .nspid) = $(sed -n 's/^PID: //p' /run/pouch/cont_koye) ]; echo $?"
        )?,
        "0\n0"
    );
    assert_eq!(serial.run("nsinit exec sh -c 'cat /proc/1/comm; hostname' </dev/null | cat")?, "sleep\nkoye");
    // A forged one, one that ends in a newline, one that is a link: who joins asks PID 1.
    for forged in
        ["echo 1 >.nspid", "echo -n 1 >.nspid", "ln -sf /etc/passwd .nspid", "rm .nspid", "rm -f .nspid; mkdir .nspid"]
    {
        serial.run(forged)?;
        assert_eq!(serial.run("nsinit exec cat /proc/1/comm </dev/null | cat")?, "sleep", "{forged}");
        serial.run("rm -rf .nspid; sum=$(md5sum </etc/passwd)")?;
    }
    // The first process dies, and with it all others in it.
    serial.run("pid=$(sed -n 's/^PID: //p' /run/pouch/cont_koye); pouch kill koye; while [ -e /run/pouch/cont_koye ]; do :; done")?;
    assert_eq!(
        serial.run(
            "[ -e /proc/$pid ]; echo $?; ls -a | grep nspid; ls -d /sys/fs/cgroup/pouch/koye 2>/dev/null; pouch list"
        )?,
        "1\nPouch containers:"
    );
    // A stale one, and a link that the container left for the next start, lead nowhere.
    for stale in ["echo -n 99999 >.nspid", "ln -sf /srv/victim .nspid; ln -sf /srv/victim .nspid.new"] {
        serial.run(&format!("echo kept >/srv/victim; {stale}"))?;
        assert_eq!(
            serial
                .run("nsinit exec sh -c 'sleep 0.2; cat /.nspid | tr 0-9 n; echo' </dev/null | cat")?
                .replace('n', ""),
            "",
            "{stale}"
        );
        assert_eq!(serial.run("cat /srv/victim; ls -a | grep nspid")?, "kept");
    }
    let (said, status) = serial.run_status("cd /; nsinit exec true")?;
    assert_eq!((said.as_str(), status), ("Pouch: unable to read container.json: No such file or directory", 125));
    Ok(())
}
