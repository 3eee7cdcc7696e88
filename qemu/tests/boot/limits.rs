//! What a container may use: limits, what the kernel did for them, and how it is said

use pouch_qemu::bed::BoardBed;
use pouch_qemu::{Result, deadline};

pub fn a_shell_that_eats_its_memory_is_killed_and_said_so(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    // The kernel's own words about it would come between.
    serial.run("dmesg -n 1")?;
    serial.run("pouch start eater --tty none --memory.max 2M -- sh -c 'a=x; while :; do a=$a$a; done'")?;
    serial.run_within(deadline::HEAVY, "until grep -q ended /run/pouch/cont_eater; do :; done")?;
    let info = serial.run("pouch info eater")?;
    assert!(info.contains("EXIT: killed by signal 9 (SIGKILL), out of memory"), "{info}");
    assert!(!info.contains("OOM_KILLS: 0"), "{info}");
    let log = serial.run("dmesg | grep -c 'eater killed by signal 9 (SIGKILL), out of memory'")?;
    assert_eq!(log, "1");
    assert!(serial.run("pouch list")?.contains("killed by signal 9 (SIGKILL), out of memory"));
    let (words, status) = serial
        .run_status("pouch run eats --memory.max 2M -- sh -c 'a=x; while :; do a=$a$a; done' </dev/null 2>&1 | cat; pouch list --json")?;
    assert!(words.contains("\"oom_kills\":") && status == 0, "{words}");
    serial.run("pouch destroy eater")?;
    Ok(())
}

pub fn a_refused_fork_and_a_throttle_are_seen(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    serial.run(
        "pouch start forker --tty none --pids.max 5 -- sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done; wait'",
    )?;
    serial.run("until pouch info forker | grep -q 'FORKS_REFUSED: [1-9]'; do :; done")?;
    serial.run("pouch destroy forker")?;
    serial.run("pouch start spinner --tty none --cpu.max 10% -- /bin/probe spin")?;
    serial.run("until pouch info spinner | grep -q 'THROTTLED: [1-9]'; do :; done")?;
    let table = serial.run("pouch stats")?;
    assert!(table.starts_with("NAME") && table.contains("\nspinner "), "{table}");
    let json = serial.run("pouch stats --json")?;
    assert!(json.starts_with("[{\"name\":\"spinner\",\"cpu_usec\":") && json.ends_with("}]"), "{json}");
    let metrics = serial.run("pouch stats --prometheus | sed 's/^# //'")?;
    assert!(
        metrics.contains("TYPE pouch_cpu_seconds_total counter\npouch_cpu_seconds_total{name=\"spinner\"} "),
        "{metrics}"
    );
    assert!(metrics.contains("\npouch_memory_bytes{name=\"spinner\"} "), "{metrics}");
    serial.type_line("pouch stats --watch")?.expect("spinner")?.expect("[|")?.send(b"q")?.prompt()?;
    assert_eq!(serial.run("stty -a | grep -c ' icanon'")?, "1");
    serial.type_line("pouch stats --watch")?.expect("spinner")?.send(b"\x03")?.prompt()?;
    assert_eq!(serial.run("stty -a | grep -c ' icanon'")?, "1");
    serial.run("pouch destroy spinner")?;
    Ok(())
}

pub fn the_files_of_a_live_cgroup_are_read_and_set(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    serial.run("pouch start live --tty none -- /bin/probe hold")?;
    for (words, answer, status) in [
        ("live memory.max 32M", "Pouch: live cgroup applied", 0),
        ("live memory.max", "33554432", 0),
        ("live cpu.max 50%", "Pouch: live cgroup applied", 0),
        ("live cpu.max", "50000 100000", 0),
        ("live cpu.max 20000,50000", "Pouch: live cgroup applied", 0),
        ("live cpu.max", "20000 50000", 0),
        ("live memory.oom.group 1", "Pouch: live cgroup applied", 0),
        ("live pids.max max", "Pouch: live cgroup applied", 0),
        ("live memory.nonsense", "Pouch: live: unable to read memory.nonsense: No such file or directory", 1),
        (
            "live memory.nonsense 5",
            "Pouch: live: unable to set cgroup file memory.nonsense: No such file or directory",
            1,
        ),
        ("live cgroup.procs 1", "Pouch: live: unable to set cgroup file cgroup.procs: Operation not permitted", 1),
        ("live ../cgroup.procs", "Pouch: live: unable to read ../cgroup.procs: No such file or directory", 1),
        ("live cpu.max 5,7", "Pouch: live: unable to set cgroup file cpu.max: Invalid argument", 1),
        ("live memory.max 12Q", "Pouch: memory.max 12Q: must be a size like 64M, or max", 2),
        ("none memory.max", "Pouch: none container not found", 1),
        ("", "Error: Invalid number of arguments.", 1),
    ] {
        assert_eq!(serial.run_status(&format!("pouch cgroup {words}"))?, (answer.to_owned(), status), "{words}");
    }
    let all = serial.run("pouch cgroup live | grep -E '^(memory.max|cpu.max|cgroup.events) '")?;
    assert!(all.contains("memory.max 33554432") && all.contains("cgroup.events populated 1"), "{all}");
    // What is run inside counts there.
    assert_eq!(serial.run("pouch exec live cat /proc/self/cgroup | cat")?, "0::/");
    serial.run("pouch freeze live")?;
    assert_eq!(
        serial.run_status("pouch exec live true")?,
        ("Pouch: live: frozen, pouch thaw live first".to_owned(), 125)
    );
    serial.run("pouch thaw live; pouch stop live")?;
    assert_eq!(serial.run_status("pouch cgroup live memory.max")?, ("Pouch: live: not running".to_owned(), 1));
    assert_eq!(serial.run_status("pouch exec live true")?, ("Pouch: live: not running".to_owned(), 125));
    serial.run("pouch destroy live")?;
    let full = serial.run_status("pouch list >/dev/full")?;
    assert_eq!(full, ("Pouch: unable to write the answer: No space left on device".to_owned(), 1));
    Ok(())
}
