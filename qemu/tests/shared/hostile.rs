//! Attacks that want many tries: races for the names of a root, what joins, messages without end
//!
//! The same on this machine, where they are tried thousands of times, and on every board, where a few show that
//! the processor and its kernel make no difference.

use pouch_qemu::serial::Serial;
use pouch_qemu::{Result, deadline};

/// All that a race may have changed on the host: files outside, mounts, devices, its own names.
const HOST: &str = "find /tmp/outside /dev/null /dev/console /srv -maxdepth 1 | sort | xargs stat -c '%n %A %u %s'; \
    cat /tmp/outside/*; cut -d ' ' -f 4- /proc/self/mountinfo; cat /proc/sys/kernel/core_pattern /proc/self/oom_score_adj";

/// What a victim tries from inside, wherever its names lead now.
const LOOK: &str = r#"
#!/bin/sh
cat /secret /dst/secret /dst/inner/secret /proc/secret /dev/secret /w/secret ./secret /d/file
echo x >/dev/console; echo x >/dst/new; echo x >/dst/inner/new; echo x >/proc/sysrq-trigger; echo 7 >/proc/self/oom_score_adj
pwd
"#;

/// Starts, joins and starts again, until so many went well and so many met a link.
const ROUNDS: &str = r#"
good=0; bad=0
while [ $good -lt $1 ] || [ $bad -lt $1 ]; do
pouch start v /srv/race --mount /srv/give:/dst/inner:ro --tmpfs /dst/t --mount /srv/give/given:/d/file --cwd /w -- look >/dev/null 2>&1 && good=$((good+1)) || bad=$((bad+1))
pouch exec v look 2>&1 | grep SECRET
pouch restart v >/dev/null 2>&1
pouch exec v look 2>&1 | grep SECRET
pouch logs v 2>&1 | grep SECRET
pouch destroy v >/dev/null 2>&1
done
echo done $good good, $bad bad
"#;

/// Names of a root are exchanged for links out of it while others start in it, are joined and restarted
/// (CVE-2021-30465, CVE-2025-31133, CVE-2025-52565, CVE-2025-52881): nothing outside changes or is seen.
pub fn race(serial: &mut Serial, rounds: usize) -> Result<()> {
    serial.run("mkdir -p /tmp/outside/inner /srv/give /srv/race/dst/inner /srv/race/w; cp -r /bin /srv/race")?;
    serial.run(
        "echo SECRET >/tmp/outside/secret; cp /tmp/outside/secret /tmp/outside/file; echo given >/srv/give/given",
    )?;
    serial.run("cd /srv/race; mkdir -p proc sys dev/pts d; touch dev/null dev/console d/file; cd")?;
    // Each name beside a link that leads out, absolute, by .., and by what would be /proc's.
    let names = [
        ("proc", "/tmp/outside"),
        ("sys", "../../tmp/outside"),
        ("dev", "/proc/1/root/tmp/outside"),
        ("dst", "../../../../tmp/outside"),
        ("dst/inner", "/tmp/outside/inner"),
        ("d/file", "../../../../tmp/outside/file"),
        ("w", "/proc/self/cwd/../../tmp/outside"),
    ];
    let mut swap = String::new();
    for (name, target) in names {
        serial.run(&format!("ln -s {target} /srv/race/{name}.link"))?;
        swap += &format!(" /r/{name} /r/{name}.link");
    }
    // Somebody else's container sees that root as a folder, and changes it under their feet.
    serial.run("mkdir -p /srv/swapper; cp -r /bin /srv/swapper")?;
    serial.run(&format!("pouch start evil /srv/swapper --mount /srv/race:/r --tty none -- /bin/probe swap{swap}"))?;
    // By paths, as it would be without descriptors, the race is lost: it is one.
    serial.run_within(
        deadline::HEAVY,
        "until [ -e /tmp/outside/naive ]; do touch /srv/race/dst/naive 2>/dev/null; done",
    )?;
    serial.run("rm -f /tmp/outside/naive; rm -f /srv/race/dst/naive /srv/race/dst.link/naive")?;
    serial.run("pouch stop evil; rm -f /tmp/outside/naive")?;
    // It was ended anywhere in its round. Left as they are, some names would be links whenever the others are not, and
    // hardly a start would ever go well.
    let all = names.map(|(name, _)| name).join(" ");
    serial.run(&format!(
        "cd /srv/race; for n in {all}; do [ -L $n ] && mv $n $n.x && mv $n.link $n && mv $n.x $n.link; done; cd"
    ))?;
    serial.run("pouch restart evil")?;
    let before = serial.run(HOST)?;
    for line in LOOK.lines().filter(|line| !line.is_empty()) {
        serial.run(&format!("echo '{line}' >>/srv/race/bin/look"))?;
    }
    for line in ROUNDS.lines().filter(|line| !line.is_empty()) {
        serial.run(&format!("echo '{line}' >>/tmp/rounds"))?;
    }
    let said = serial.run_within(deadline::HEAVY, &format!("chmod +x /srv/race/bin/look; sh /tmp/rounds {rounds}"))?;
    assert!(!said.contains("SECRET") && said.contains("done"), "{said}");
    println!("   {said} starts in a root whose names change");
    serial.run("pouch destroy evil")?;
    assert_eq!(serial.run(HOST)?, before);
    serial.run("rm -r /srv/race /srv/swapper /srv/give /tmp/outside /tmp/rounds")?;
    assert_eq!(serial.run("pouch list")?, "Pouch containers:");
    Ok(())
}

/// Somebody inside waits for what `exec` brings in and falls on it before it has become the command.
pub fn lurk(serial: &mut Serial, rounds: usize) -> Result<()> {
    let sum = "cat /init /bin/pouch /proc/1/exe | md5sum";
    let before = serial.run(sum)?;
    for (options, out, until) in [("", false, "wrote"), ("--cap-add SYS_PTRACE", true, "SAW\\|TRACED")] {
        serial.run("mkdir -p /srv/lair; cp -r /bin /srv/lair; cp /bin/probe /srv/lair/bin/prey")?;
        serial.run(&format!("pouch start lair /srv/lair {options} --tty none -- /bin/probe lurk"))?;
        serial.run("until pouch logs lair | grep -q lurking; do :; done")?;
        let exec = "pouch exec lair /bin/prey write 90000 >/dev/null";
        serial.run_within(
            deadline::HEAVY,
            &format!("i=0; while [ $i -lt {rounds} ]; do i=$((i+1)); {exec}; done 2>/dev/null"),
        )?;
        // Until it has seen a command, or pouch: it is quick enough.
        serial.run_within(
            deadline::HEAVY,
            &format!("until pouch logs lair | grep -q '{until}'; do {exec}; done 2>/dev/null"),
        )?;
        let said = serial.run("pouch logs lair | sort | uniq -c; pouch destroy lair >/dev/null; rm -r /srv/lair")?;
        assert!(out || said.contains("wrote the command"), "{options}: {said}");
        // With the one capability that lets it trace anybody it sees pouch, and still overwrites nothing of it.
        let seen = said.contains("SAW") || said.contains("TRACED");
        assert_eq!(seen, out, "{options}: {said}");
        assert!(!said.contains("POUCH"), "{options}: {said}");
    }
    assert_eq!(serial.run(sum)?, before);
    Ok(())
}

/// Somebody inside who may trace anybody holds what `exec`, and what the health command, brings in: it has no more
/// than they have themselves from its first moment on.
pub fn pounce(serial: &mut Serial, rounds: usize) -> Result<()> {
    let caught = "pouch logs lair | grep -c CAUGHT";
    for (options, bring) in [
        ("", "pouch exec lair true"),
        ("", "pouch exec lair true </dev/null 2>&1 | cat"),
        ("--userns", "pouch exec lair true </dev/null"),
        ("--health true --health-interval 0.1", "sleep 0.1"),
    ] {
        serial.run(&format!("pouch start lair --cap-add SYS_PTRACE {options} --tty none -- /bin/probe pounce"))?;
        serial.run("until pouch logs lair | grep -q pouncing; do :; done")?;
        // In a user namespace of its own nobody traces what comes from the host, whatever their capabilities.
        let until = match options {
            "--userns" => format!("i=0; while [ $i -lt {rounds} ]; do i=$((i+1)); {bring}; done"),
            _ => format!("until [ $({caught}) -ge {rounds} ]; do {bring}; done"),
        };
        serial.run_within(deadline::HEAVY, &until)?;
        let said = serial.run("pouch logs lair | sort | uniq -c; pouch destroy lair >/dev/null")?;
        assert!(!said.contains("MORE"), "{options}: {bring}: {said}");
        assert_ne!(said.contains("CAUGHT"), options == "--userns", "{options}: {said}");
    }
    Ok(())
}

/// Messages that are nearly right, to the host's socket and to a container's: PID 1 goes on, and loses nothing.
pub fn storm(serial: &mut Serial, seed: u32, messages: usize) -> Result<()> {
    // What PID 1 itself says of crashes, in its events and by the words that it was executed again with. The kernel's
    // log is no witness here: a namespace shares the workstation's, which others fill.
    const LEFT: &str = "ls /run/pouch | sort; ls -d /sys/fs/cgroup/pouch/*/ 2>/dev/null; wc -l </proc/self/mountinfo; \
        pouch events | grep -c 'after a crash'; tr '\\0' '\\n' </proc/1/cmdline | grep -c -e --resume";
    // What is made once for good is there then.
    serial.run("pouch start eye --tty none -- /bin/true; pouch destroy eye")?;
    let (open, left) = (serial.run("ls /proc/1/fd | wc -l")?, serial.run(LEFT)?);
    for (turn, many) in [(0, messages / 2), (1, messages)] {
        let seed = seed + turn;
        println!("   {many} messages by seed {seed}");
        let said =
            serial.run_within(deadline::HEAVY, &format!("probe storm /run/pouch/control {seed} {many} </dev/null"))?;
        assert!(said.contains("stormed"), "{said}");
        let inside = format!("pouch start eye --tty none -- /bin/probe storm /dev/pouch/socket {seed} {many}");
        serial.run_within(deadline::HEAVY, &inside)?;
        serial.run_within(deadline::HEAVY, "until pouch logs eye 2>&1 | grep -q 'stormed\\|not found'; do :; done")?;
        assert_eq!(serial.run("echo $((6 * 7))")?, "42", "the prompt lives");
        // Whatever it has made by chance goes as anything goes.
        serial.run_within(
            deadline::HEAVY,
            "for n in $(pouch list | sed -n 's/^[0-9]*\\. \\([^ ]*\\) : .*/\\1/p'); do pouch destroy $n; done",
        )?;
        assert_eq!(serial.run("pouch list")?, "Pouch containers:");
        // What hung up is closed in PID 1's next turns; a descriptor that leaked never is.
        serial.run_within(deadline::HEAVY, &format!("until [ $(ls /proc/1/fd | wc -l) -le {open} ]; do :; done"))?;
        assert_eq!(serial.run(LEFT)?, left, "seed {seed}");
    }
    Ok(())
}

/// What comes from a container PID 1 closes as the last, and what a container left on its way as well, where the kernel
/// has it find that: whoever made it says how long that takes (SO_LINGER), here ten minutes.
pub fn close(serial: &mut Serial, kinds: &[&str]) -> Result<()> {
    for kind in kinds {
        serial.run(&format!("pouch start holds --tty none -- /bin/probe flood {kind} - 20"))?;
        serial.run("until pouch logs holds | grep -q holding; do :; done")?;
        assert_eq!(serial.run("pouch logs holds")?, "took 20\nholding", "{kind}");
        assert_eq!(serial.run("pouch exec holds pouch info | head -n 1")?, "NAME: holds");
        assert_eq!(serial.run("pouch destroy holds")?, "Pouch: holds destroyed");
    }
    Ok(())
}
