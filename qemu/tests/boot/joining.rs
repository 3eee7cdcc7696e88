//! `exec` and `run` on the board's own console, and what one container cannot do to another

use pouch_qemu::Result;
use pouch_qemu::bed::BoardBed;

pub fn exec_and_run_work_on_the_console(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    let modes = serial.run("stty rows 40 cols 100; stty -g")?;
    serial.run("pouch start joined --tty none --memory.max 64M -- /bin/probe hold")?;
    assert_eq!(
        serial.run("pouch exec joined sh -c 'tty; stty size; cat /proc/self/cgroup; echo $$ >/dev/null'")?,
        "/dev/pts/0\n40 100\n0::/"
    );
    // It hears of each change of the terminal's size.
    let wait = "(until [ -e /tmp/up ]; do :; done; stty rows 33 cols 99; rm /tmp/up) &";
    let command = "trap \"stty size; exit\" WINCH; touch /tmp/up; while :; do sleep 0.1; done";
    let words = serial.run(&format!("{wait} pouch exec joined sh -c '{command}'"))?;
    assert!(words.contains("33 99"), "{words}");
    serial.run("stty rows 40 cols 100")?;
    // Where the init has gone further down, it begins there: the cgroup above may hold none.
    let down = "cd /sys/fs/cgroup; mkdir in; echo 0 >in/cgroup.procs; echo +pids >cgroup.subtree_control; echo up; exec sleep 1000";
    serial.run(&format!(
        "pouch start down --tty none --privileged -- sh -c '{down}'; until pouch logs down | grep -q up; do :; done"
    ))?;
    assert_eq!(
        serial
            .run("pouch exec down cat /proc/self/cgroup /sys/fs/cgroup/cgroup.subtree_control; pouch destroy down")?,
        "0::/in\npids\nPouch: down destroyed"
    );
    // Keys are the command's: Ctrl-C ends it and nothing else.
    serial.type_line("pouch exec joined sh -c 'echo $((1 + 1)) ready; exec sleep 1000'; echo ended with $?")?;
    serial.expect("2 ready\n")?.send(b"\x03")?.expect("ended with 130\n")?.prompt()?;
    serial.type_line("pouch exec joined sh")?.prompt()?;
    assert_eq!(serial.run("hostname; exit_is=3")?, "joined");
    serial.type_line("exit $exit_is")?.prompt()?;
    assert_eq!(serial.run("echo $?; stty -g")?, format!("3\n{modes}"));
    assert_eq!(serial.run("pouch destroy joined; stty rows 24 cols 80")?, "Pouch: joined destroyed");
    let modes = serial.run("stty -g")?;
    serial.type_line("pouch run front -- sh -c 'echo $((1 + 1)) in front; read line; exit 9'; echo it was $?")?;
    serial.expect("2 in front\n")?.type_line("x")?.expect("Pouch: front exited with status 9\n")?;
    serial.expect("it was 9\n")?.prompt()?;
    assert_eq!(
        serial.run("stty -g; pouch list; ls /sys/fs/cgroup/pouch | grep front")?,
        format!("{modes}\nPouch containers:")
    );
    Ok(())
}

pub fn a_container_that_is_full_says_so(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    serial.run("pouch start full --tty none --pids.max 3 -- /bin/probe hold")?;
    // One to be the command, and one that makes it: there is room for both, for one, for none.
    let words = "Pouch: full: unable to join full: Resource temporarily unavailable";
    assert_eq!(serial.run_status("pouch exec full true")?, (String::new(), 0));
    for most in [2, 1] {
        serial.run(&format!("pouch cgroup full pids.max {most}"))?;
        assert_eq!(serial.run_status("pouch exec full true")?, (words.to_owned(), 125), "{most}");
    }
    // A frozen one says so, and one that froze on the way in ends with who came.
    serial.run("pouch cgroup full pids.max 3; pouch freeze full")?;
    let frozen = "Pouch: full: frozen, pouch thaw full first";
    assert_eq!(serial.run_status("pouch exec full true")?, (frozen.to_owned(), 125));
    assert_eq!(serial.run("pouch thaw full; pouch exec full echo thawed; pouch destroy full")?.lines().count(), 3);
    Ok(())
}

pub fn one_container_touches_nothing_of_another(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    serial.run("pouch start iso1 --tty none -- /bin/probe hold; pouch start iso2 --tty none -- /bin/probe hold")?;
    let host = serial.run("hostname; wc -l </proc/mounts")?;
    let inside = |name: &str, what: &str| format!("pouch exec {name} sh -c '{what}' </dev/null 2>&1 | cat");
    // Processes: its own first one cannot even be killed, and no other is seen.
    serial.run(&inside("iso1", "kill -9 1; kill -9 -1; :"))?;
    assert_eq!(
        serial.run(&inside("iso1", "ls -d /proc/[0-9]* | wc -l; cat /proc/1/comm"))?.lines().last(),
        Some("probe")
    );
    // Mounts, host names.
    serial.run(&inside("iso1", "mount -t tmpfs none /mnt; hostname mine; touch /dev/shm/mine"))?;
    assert_eq!(serial.run(&inside("iso2", "ls /dev/shm; hostname"))?, "iso2");
    assert_eq!(serial.run("hostname; wc -l </proc/mounts")?, host);
    // System V and POSIX queues, networks.
    for kind in ["ipc", "net", "mnt", "uts", "pid", "cgroup"] {
        let line = format!(
            "for c in iso1 iso2; do pouch exec $c readlink /proc/self/ns/{kind} </dev/null | cat; done; readlink /proc/self/ns/{kind}"
        );
        let seen = serial.run(&line)?;
        let mut names: Vec<&str> = seen.lines().collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 3, "{kind}: {seen}");
    }
    // Two servers on one port.
    for name in ["iso1", "iso2"] {
        serial.run(&inside(name, "httpd -p 80"))?;
        let listens = serial.run(&inside(name, "netstat -ltn | grep -c :80"))?;
        assert_eq!(listens, "1", "{name}");
    }
    assert_eq!(serial.run("netstat -ltn | grep -c :80")?, "0");
    assert!(serial.run("pouch list")?.contains("2. iso2 : started"));
    serial.run("pouch destroy iso1; pouch destroy iso2")?;
    Ok(())
}
