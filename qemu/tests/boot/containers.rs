//! Containers: the first pouch's three lines, and what a person does with one

use pouch_qemu::bed::BoardBed;
use pouch_qemu::{Result, deadline};

pub fn pouch_start_in_the_background_lives_with_its_command(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    serial.type_line("pouch_start my_cont &")?.expect("Pouch: my_cont starting\n")?;
    serial.send(b"\r")?.prompt()?;
    let list = serial.run("pouch list")?;
    assert!(list.starts_with("Pouch containers:\n1. my_cont : started tty1 pid "), "{list}");
    // The command is its parent in the file, the kernel's parent is PID 1.
    assert_eq!(serial.run("[ $(sed -n 's/PPID: //p' /run/pouch/cont_my_cont) = $! ]; echo $?")?, "0");
    assert_eq!(serial.run("grep PPid /proc/$(sed -n 's/^PID: //p' /run/pouch/cont_my_cont)/status")?, "PPid:\t1");
    serial.run("kill $!")?;
    serial.run("while [ -e /run/pouch/cont_my_cont ]; do :; done")?;
    let left = serial.run("pouch list; ls /sys/fs/cgroup/pouch")?;
    assert!(left.starts_with("Pouch containers:") && !left.contains("1. ") && !left.contains("\nmy_cont"), "{left}");
    Ok(())
}

pub fn the_end_of_the_shell_that_started_it_ends_it(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    // The command itself ignores what the shell's end does to it; PID 1 watches the shell too.
    serial.run("sh -c 'trap \"\" HUP; setsid pouch_start orphaned </dev/null >/dev/null & sleep 1000' & ")?;
    serial.run("until grep -qs started /run/pouch/cont_orphaned; do :; done")?;
    serial.run("kill $!")?;
    // The shell may tell of its own jobs behind the answer.
    let list = serial.run("while [ -e /run/pouch/cont_orphaned ]; do :; done; pouch list")?;
    assert!(list.starts_with("Pouch containers:") && !list.contains("orphaned :"), "{list}");
    serial.run("killall sleep")?;
    Ok(())
}

pub fn pouch_start_in_the_foreground_is_refused(board: &mut BoardBed) -> Result<()> {
    let (words, status) = board.boot()?.serial().run_status("pouch_start my_cont")?;
    assert!(words.contains("my_cont") && words.contains("background"), "{words}");
    assert_eq!(status, 1);
    Ok(())
}

pub fn a_container_takes_the_slot_it_asks_for(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    assert_eq!(serial.run("pouch_start my_cont --tty tty0 --demonize")?, "Pouch: my_cont starting");
    serial.type_line("pouch_start other --tty tty2 &")?.expect("Pouch: other starting\n")?;
    serial.send(b"\r")?.prompt()?;
    let file = serial.run("cat /run/pouch/cont_my_cont")?;
    for line in ["NAME: my_cont", "TTYNUM: 0", "PPID: 1", "CGROUP: /sys/fs/cgroup/pouch/my_cont", "EXIT: -"] {
        assert!(file.lines().any(|l| l == line), "{line} in {file}");
    }
    assert_eq!(serial.run_status("pouch start third --tty tty2")?, ("Pouch: tty2 is held by other".into(), 1));
    assert_eq!(serial.run_status("pouch start my_cont")?, ("Pouch: my_cont already exists".into(), 1));
    assert_eq!(serial.run_status("connect tty3")?, ("Pouch: tty3 has no container".into(), 1));
    assert_eq!(serial.run_status("pouch connect c6")?, ("Pouch: c6 container not found".into(), 1));
    assert_eq!(serial.run_status("pouch_destroy my_cont")?, ("Pouch: my_cont destroyed".into(), 0));
    assert!(serial.run("pouch distroy other")?.starts_with("Pouch: other destroyed"));
    Ok(())
}

pub fn one_connects_types_leaves_and_finds_ones_shell_again(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    serial.run("outside=here; pouch start c1 --tty tty1 -- /bin/sh")?;
    serial.type_line("connect tty1")?.expect("tty1 connected\n")?.prompt()?;
    assert_eq!(serial.run("kept=treasure; echo in $$")?, "in 1");
    assert_eq!(serial.run("tty; hostname; cat /proc/self/cgroup")?, "/dev/console\nc1\n0::/");
    let (words, status) = serial.run_status("pouch list")?;
    assert_eq!((words.as_str(), status), ("Error: command list not allowed in inside container.", 1));
    serial.type_line("disconnect")?.expect("Console connected\n")?.prompt()?;
    assert_eq!(serial.run("echo $outside $kept")?, "here");
    serial.type_line("pouch attach c1")?.expect("tty1 connected\n")?;
    // What this line has shown it is not shown again.
    serial.send(b"\r")?.prompt()?.expect_none("treasure")?;
    assert_eq!(serial.run("echo again $kept")?, "again treasure");
    serial.send(b"\x1d\x1d\x1d")?.expect("Console connected\n")?.prompt()?;
    assert_eq!(
        serial.run_status("disconnect")?,
        ("Error: command disconnect not allowed in outside container.".into(), 1)
    );
    assert_eq!(serial.run("pouch destroy c1")?, "Pouch: c1 destroyed");
    Ok(())
}

pub fn the_terminal_inside_is_a_terminal(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    serial.run("pouch start c1")?;
    serial.run("stty rows 40 cols 100")?;
    serial.type_line("connect c1")?.expect("tty1 connected\n")?.prompt()?;
    // The size goes with the person.
    assert_eq!(serial.run("stty size")?, "40 100");
    // A key before the program has the terminal would be the shell's.
    let sleeper = "sh -c 'echo $((1 + 1)) ready; exec sleep 1000'";
    serial.type_line(sleeper)?.expect("2 ready\n")?.send(b"\x03")?.prompt()?;
    serial.type_line(sleeper)?.expect("2 ready\n")?.send(b"\x1a")?.expect("Stopped")?.prompt()?;
    assert!(serial.run("kill %1; fg")?.contains("sleep 1000"));
    serial.type_line("vi /tmp/poem")?.expect("~")?;
    // An Escape and a colon in one piece would be a key of their own to it.
    serial.send(b"iroses\x1b")?.expect("[Modified]")?.send(b":wq\r")?.prompt()?;
    assert_eq!(serial.run("cat /tmp/poem; rm /tmp/poem")?, "roses");
    serial.type_line("disconnect")?.expect("Console connected\n")?.prompt()?;
    serial.run("stty rows 24 cols 80; pouch destroy c1")?;
    Ok(())
}

pub fn the_detach_key_leaves_a_hung_container_and_a_fourth_goes_through(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    serial.run("pouch start hung -- /bin/probe hold")?;
    serial.type_line("connect hung")?.expect("tty1 connected\n")?.expect("holding\n")?;
    serial.send(b"nobody reads this\x1d\x1d\x1d")?.expect("Console connected\n")?.prompt()?;
    serial.run("pouch destroy hung; pouch start cat -- /bin/cat -v")?;
    serial.type_line("connect cat")?.expect("tty1 connected\n")?;
    serial.send(b"\x1d\x1d\x1d\x1dx\r")?.expect("^]^]^]^]x\n")?;
    serial.send(b"\x1dy\r")?.expect("^]y\n")?;
    serial.send(b"\x1d\x1d\x1d")?.expect("Console connected\n")?.prompt()?;
    serial.run("pouch destroy cat")?;
    Ok(())
}

pub fn the_death_of_a_connected_container_returns_the_line_with_its_reason(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    serial.run("pouch start c1; (sleep 3; kill -9 $(sed -n 's/^PID: //p' /run/pouch/cont_c1)) &")?;
    serial.type_line("connect c1")?.expect("tty1 connected\n")?.prompt()?;
    serial.expect("c1 killed by signal 9 (SIGKILL)\n")?.expect("Console connected\n")?.prompt()?;
    let list = serial.run("pouch list")?;
    assert!(list.contains("1. c1 : ended -") && list.contains("SIGKILL"), "{list}");
    // It keeps its ring and its reason until it is destroyed.
    serial
        .type_line("connect c1")?
        .expect("c1 connected\n")?
        .expect("SIGKILL")?
        .expect("Console connected\n")?
        .prompt()?;
    assert!(serial.run("grep EXIT /run/pouch/cont_c1")?.contains("SIGKILL"));
    serial.run("pouch start c2 -- /bin/sh -c 'echo last words; exit 7'")?;
    serial.run("until grep -q ended /run/pouch/cont_c2; do :; done")?;
    assert_eq!(serial.run("pouch logs c2; grep EXIT /run/pouch/cont_c2")?, "last words\nEXIT: exited with status 7");
    assert_eq!(serial.run("pouch destroy c1; pouch destroy c2")?, "Pouch: c1 destroyed\nPouch: c2 destroyed");
    Ok(())
}

pub fn a_folder_is_the_root_of_a_container(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    serial.run("touch /srv/web/here /here; pouch start web /srv/web")?;
    serial.type_line("connect web")?.expect("tty1 connected\n")?.prompt()?;
    assert_eq!(serial.run("ls /here /srv 2>&1 | wc -l; ls /www")?, "2\nindex.html");
    assert_eq!(
        serial.run("readlink /proc/1/exe; ls -d /.pouch-root /run/pouch 2>&1 | grep -vc 'No such'")?,
        "/bin/busybox\n0"
    );
    assert_eq!(serial.run("grep -c ' / ' /proc/mounts")?, "1");
    serial.type_line("disconnect")?.expect("Console connected\n")?.prompt()?;
    serial.run("rm /srv/web/here /here; pouch destroy web")?;
    Ok(())
}

pub fn a_container_on_the_hosts_root_does_not_see_the_way_to_pid_1(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    serial.run("pouch start c1; echo shared > /tmp/note")?;
    serial.type_line("connect c1")?.expect("tty1 connected\n")?.prompt()?;
    assert_eq!(
        serial.run("cat /tmp/note; rm /tmp/note; ls /run/pouch; ls /dev/tty* /dev/ttyS0 2>/dev/null")?,
        "shared\n/dev/tty"
    );
    assert_eq!(serial.run("ls /sys/class/net; grep -c . /proc/1/task/1/children")?.lines().next(), Some("lo"));
    serial.type_line("disconnect")?.expect("Console connected\n")?.prompt()?;
    serial.run("pouch destroy c1")?;
    Ok(())
}

pub fn a_failed_start_leaves_nothing_behind(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    let before =
        serial.run("ls /proc/1/fd | wc -l; wc -l </proc/mounts; ls /sys/fs/cgroup/pouch | grep -v cgroup | wc -l")?;
    let failures = [
        ("pouch start bad /nowhere", "Pouch: bad: unable to mount /nowhere: No such file or directory"),
        ("pouch start bad /etc/passwd", "Pouch: bad: unable to mount /etc/passwd: Not a directory"),
        ("pouch start bad -- /bin/nothing", "Pouch: bad: unable to execute /bin/nothing: No such file or directory"),
        ("pouch start bad -- nothing", "Pouch: bad: unable to execute nothing: No such file or directory"),
        ("pouch start bad -- /etc/passwd", "Pouch: bad: unable to execute /etc/passwd: Permission denied"),
    ];
    for (command, words) in failures {
        assert_eq!(serial.run_status(command)?, (words.to_owned(), 1), "{command}");
    }
    serial.run("mkdir /sys/fs/cgroup/pouch/bad")?;
    assert_eq!(serial.run_status("pouch start bad")?, ("Pouch: bad: cgroup already exists".into(), 1));
    serial.run("rmdir /sys/fs/cgroup/pouch/bad")?;
    assert_eq!(serial.run("pouch list; ls -1 /run/pouch")?, "Pouch containers:\ncontrol\nstage");
    let after =
        serial.run("ls /proc/1/fd | wc -l; wc -l </proc/mounts; ls /sys/fs/cgroup/pouch | grep -v cgroup | wc -l")?;
    assert_eq!(after, before, "descriptors, mounts, cgroups");
    Ok(())
}

pub fn stop_kill_and_logs_do_as_they_say(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    serial.run("pouch start polite --tty none -- /bin/probe polite")?;
    serial.run("pouch stop polite")?;
    assert_eq!(serial.run("grep -E 'STATE|TTYNUM' /run/pouch/cont_polite")?, "STATE: ended\nTTYNUM: -");
    serial.run("pouch start stubborn --stop-timeout 0.3 -- /bin/probe stubborn; pouch stop stubborn")?;
    assert_eq!(serial.run("grep EXIT /run/pouch/cont_stubborn")?, "EXIT: killed by signal 9 (SIGKILL)");
    serial.run("pouch restart stubborn; pouch kill -s KILL stubborn")?;
    serial.run("until grep -q ended /run/pouch/cont_stubborn; do :; done")?;
    assert_eq!(serial.run("pouch destroy polite; pouch destroy stubborn")?.lines().count(), 2);
    let info = serial.run("pouch start c1; pouch info c1; pouch destroy c1")?;
    assert!(info.contains("NAME: c1") && info.contains("STATE: started"), "{info}");
    assert_eq!(serial.run_status("pouch info")?, ("Error: Invalid number of arguments.".into(), 1));
    assert_eq!(serial.run_status("pouch frobnicate")?.1, 2);
    Ok(())
}

pub fn a_container_out_of_its_table_is_refused(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    let many =
        "i=0; while pouch start many$i --tty none -- /bin/sleep 1000 >/dev/null; do i=$((i+1)); done; echo $i made";
    let answer = serial.run_within(deadline::HEAVY, many)?;
    assert_eq!(answer, "Pouch: cannot create more containers\n64 made");
    let all = "i=0; while [ $i -lt 64 ]; do pouch destroy many$i; i=$((i+1)); done | grep -c destroyed; pouch list";
    assert_eq!(serial.run_within(deadline::HEAVY, all)?, "64\nPouch containers:");
    Ok(())
}

pub fn a_restart_keeps_one_with_its_command(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    serial.type_line("pouch_start at1 &")?.expect("Pouch: at1 starting\n")?;
    serial.send(b"\r")?.prompt()?;
    assert_eq!(serial.run("pouch restart at1")?, "Pouch: at1 starting");
    assert!(serial.run("pouch list")?.contains("1. at1 : started"));
    assert!(serial.run("pouch destroy at1")?.contains("Pouch: at1 destroyed"));
    Ok(())
}

pub fn a_line_on_one_that_waits_returns_when_it_is_destroyed(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    serial.run("pouch start r1 --restart always -- /bin/false")?;
    // Three seconds of waiting are before it then.
    serial.run("until tr '\\n' ' ' </run/pouch/cont_r1 | grep -q 'STATE: waiting.*RESTARTS: [5-9]'; do :; done")?;
    serial.type_line("(sleep 2; pouch destroy r1) & pouch attach r1")?.expect("tty1 connected\n")?;
    serial.expect("Console connected\n")?.send(b"\r")?.prompt()?;
    // One that takes TERM from a descriptor hears it.
    serial.run("pouch start nest --privileged -- /init; until pouch logs nest | grep -q '# '; do :; done")?;
    serial.run("pouch stop nest")?;
    assert_eq!(serial.run("pouch logs nest | grep -c 'the board reboots now'")?, "1");
    assert_eq!(serial.run("pouch destroy nest")?, "Pouch: nest destroyed");
    assert_eq!(serial.run("pouch list")?, "Pouch containers:");
    Ok(())
}

pub fn one_that_is_killed_before_its_command_runs_has_not_started(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    // The kernel's own words about it come between.
    let (words, status) =
        serial.run_status("pouch start small --memory.max 64K 2>/tmp/why; s=$?; cat /tmp/why; (exit $s)")?;
    assert!(words.contains("Pouch: small: unable to launch small: No such process"), "{words}");
    assert_eq!(status, 1);
    assert_eq!(serial.run("rm /tmp/why; pouch list; ls /sys/fs/cgroup/pouch | grep small")?, "Pouch containers:");
    Ok(())
}
