//! `run`: a container in the foreground, in all its ends

use crate::Fresh;
use pouch_qemu::{Result, deadline};

pub fn run_through_pipes_ends_as_its_command_does(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    let before = serial.run("ls /proc/1/fd | wc -l; wc -l </proc/mounts")?;
    for (command, words, status) in [
        ("-- true", "", 0),
        ("-- /bin/probe exit 77", "", 77),
        ("-- /bin/probe exit 255", "", 255),
        ("-- sh -c 'echo out; echo err >&2'", "out\nerr", 0),
        ("-- sh -c 'kill -9 1; exit 3'", "", 3),
        ("-- nothing", "Pouch: run1: unable to execute nothing: No such file or directory", 127),
        ("-- /etc/passwd", "Pouch: run1: unable to execute /etc/passwd: Permission denied", 126),
        ("/nowhere", "Pouch: run1: unable to mount /nowhere: No such file or directory", 125),
        ("--cwd /nowhere -- true", "Pouch: run1: unable to enter /nowhere: No such file or directory", 125),
    ] {
        let line =
            format!("pouch run run1 {command} </dev/null >/tmp/out 2>&1; s=$?; cat /tmp/out; pouch list; (exit $s)");
        let whole = format!("{words}\nPouch containers:");
        assert_eq!(serial.run_status(&line)?, (whole.trim_start().to_owned(), status), "{command}");
    }
    assert_eq!(serial.run("echo one two three | pouch run run1 -- wc -w | cat")?, "3");
    assert_eq!(
        serial
            .run("seq 1 100000 | pouch run run1 -- cat | md5sum; seq 1 100000 | md5sum | uniq -c | wc -l")?
            .lines()
            .count(),
        2
    );
    // Streams that are closed are nothing, and not what pouch has open itself: PID 1's own program, above all.
    assert_eq!(serial.run("pouch list >&- 2>&-; echo $?")?, "0");
    let streams = "for i in 0 1 2; do readlink /proc/1/fd/$i; done >/tmp/o";
    serial.run(&format!("pouch run run1 -- sh -c '{streams}' <&- >&- 2>&-"))?;
    assert_eq!(serial.run("cat /tmp/o")?, "/dev/null\n/tmp/o\n/dev/null");
    // No terminal, no session; the name is free at once.
    assert_eq!(
        serial.run(
            "for i in 1 2 3; do pouch run run1 -- cat </etc/hostname >/tmp/o 2>&1 || echo $?; done; ls /run/pouch | grep cont_"
        )?,
        ""
    );
    // To kill it kills the container, by whatever signal, and nothing of it is left.
    for signal in ["TERM", "KILL", "INT", "HUP"] {
        serial.run("pouch run run1 -- sleep 1000 </dev/null >/dev/null 2>&1 & until grep -qs started /run/pouch/cont_run1; do :; done")?;
        serial.run(&format!("kill -{signal} $!; wait $!"))?;
        serial.run("while [ -e /run/pouch/cont_run1 ]; do :; done")?;
        assert_eq!(serial.run("pouch list; pidof sleep")?, "Pouch containers:");
    }
    // A handler hears it.
    let line = "pouch run run1 -- sh -c 'trap \"echo heard; exit 7\" INT; echo up; while :; do sleep 0.1; done' </dev/null >/tmp/out 2>&1 & until grep -qs up /tmp/out; do :; done; kill -INT $!; wait $!; echo $?; cat /tmp/out; rm /tmp/out";
    assert!(serial.run(line)?.starts_with("7\nup\nheard"));
    assert_eq!(serial.run("rm -f /tmp/o; ls /proc/1/fd | wc -l; wc -l </proc/mounts")?, before, "descriptors, mounts");
    Ok(())
}

pub fn run_on_a_terminal_shows_it_until_it_ends(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    serial.type_line("pouch run run1 -- sh -c 'tty; read line; echo got $line; exit 5'; echo it was $?")?;
    serial.expect("tty1 connected\n")?.expect("/dev/console\n")?;
    serial.type_line("roses")?.expect("got roses\n")?.expect("Pouch: run1 exited with status 5\n")?;
    serial.expect("Console connected\n")?.expect("it was 5\n")?.prompt()?;
    // Pipes in between: no terminal inside.
    serial.type_line(
        "pouch run run1 --tty none -- sh -c '[ -t 0 ] || echo no terminal; read line; echo got $line'; echo it was $?",
    )?;
    serial.expect("no terminal\n")?.type_line("violets")?.expect("got violets\n")?.expect("it was 0\n")?.prompt()?;
    assert_eq!(serial.run("pouch list; ls /run/pouch | grep cont_")?, "Pouch containers:");
    Ok(())
}

/// One that ends frees its place for the next, which is not to be told of the end of the other's command.
pub fn sixty_at_once_are_nobody_elses_business(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    let all = "for i in $(seq 60); do (pouch run r$i --tty none -- true >/tmp/r$i 2>&1 </dev/null || echo r$i $?: $(cat /tmp/r$i) >>/tmp/failed) & done; wait";
    serial.run_within(deadline::HEAVY, &format!("{{ {all}; }} 2>/dev/null"))?;
    assert_eq!(serial.run("cat /tmp/failed 2>/dev/null; pouch list")?, "Pouch containers:");
    Ok(())
}

/// The reaper inside may be later than the end of its command.
pub fn a_command_that_ends_at_once_ends_its_reaper(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    let many = "for i in $(seq 400); do pouch run r --init --tty none -- true </dev/null || echo $i $?; done";
    assert_eq!(serial.run_within(deadline::ANSWER, many)?, "");
    Ok(())
}
