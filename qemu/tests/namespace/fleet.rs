//! Containers among each other: who waits for whom, readiness, health, giving up, the event log

use crate::Fresh;
use pouch_qemu::Result;

/// Waits for a line of a container's file.
fn until(name: &str, line: &str) -> String {
    format!("until grep -qs '{line}' /run/pouch/cont_{name}; do :; done")
}

pub fn one_waits_for_another_to_be_ready_and_stops_before_it(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start(
        "\"pouch.container=web,after='db,log',tty=none,command='/bin/probe hold'\" \
         \"pouch.container=log,tty=none,command='/bin/probe hold'\"",
    )?;
    let serial = namespace.serial().reach_prompt()?;
    serial.run(&until("log", "STATE: started"))?;
    // The one that is not there is named, and nothing of web has begun.
    let list = serial.run("pouch list")?;
    assert!(list.contains("1. web : waiting - ") && list.contains("waiting for db"), "{list}");
    assert!(serial.run("pouch info web --json")?.contains("\"waiting_for\":\"db\",\"ready\":false"));
    assert!(serial.run("pouch events")?.contains("] wait web for db, which is not there\n"));
    serial.run("pouch start db --tty none --ready fd:7 -- /bin/sh -c 'sleep 0.3; echo >&7; exec sleep 1000'")?;
    assert!(serial.run("pouch info db")?.contains("READY: no"));
    serial.run(&until("web", "STATE: started"))?;
    let log = serial.run("pouch events | cut -d ' ' -f 2- | grep -E ' (db|web)' | sed 's/[0-9]+/N/'")?;
    let at = |line: &str| {
        log.lines().position(|l| l.starts_with(line)).ok_or_else(|| pouch_qemu::Error::new(format!("{line} in {log}")))
    };
    let order: Vec<_> = ["wait web", "start db", "exec db pid", "ready db", "start web", "exec web pid"]
        .into_iter()
        .map(at)
        .collect::<std::result::Result<_, _>>()?;
    assert!(order.is_sorted(), "{log}");
    assert!(serial.run("pouch info db")?.contains("READY: yes"));
    // A circle is refused by name, whoever closes it.
    assert_eq!(serial.run_status("pouch start x --after x")?, ("Pouch: x: after x goes in a circle".into(), 1));
    serial.run("pouch destroy db; pouch start log2 --after log --tty none -- /bin/probe hold")?;
    assert_eq!(
        serial.run_status("pouch start db --after log2,web")?,
        ("Pouch: db: after web goes in a circle".into(), 1)
    );
    assert_eq!(serial.run_status("pouch start x --after tty1")?.1, 2);
    assert_eq!(serial.run_status("pouch start x --ready 5")?.1, 2);
    assert_eq!(serial.run_status("pouch start x --ready fd:1")?.1, 2);
    // Whoever waits can be told not to.
    serial.type_line("pouch start y --after never")?;
    serial.expect("Pouch: y waits for never, which is not there\n")?.send(b"\x03")?.prompt()?;
    assert!(serial.run("pouch destroy y; pouch list")?.contains("Pouch: y destroyed"));
    for name in ["web", "log", "log2"] {
        serial.run(&format!("pouch destroy {name}"))?;
    }
    Ok(())
}

pub fn one_that_never_says_that_it_is_ready_holds_up_nobody(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    serial.run("pouch start mute --tty none --ready fd:7 -- /bin/probe hold")?;
    // What it is given is a pipe: it may open it by its name, and sends nothing by it but bytes.
    assert!(serial.run("pouch exec mute readlink /proc/1/fd/7 </dev/null | cat")?.starts_with("pipe:"));
    // The end of the last one's pipe is heard when the next one's is there already.
    assert_eq!(
        serial.run("i=0; while [ $i -lt 100 ]; do pouch restart mute >/dev/null || echo no; i=$((i + 1)); done; pouch list | grep -c started")?,
        "1"
    );
    serial.run("pouch destroy mute")?;
    Ok(())
}

pub fn the_end_comes_in_the_reverse_order(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    // Each takes a moment to leave, so that what it leaves in is seen.
    let slow = "-- /bin/sh -c 'trap \"exit 9\" TERM; while :; do sleep 0.2; done'";
    for (name, after) in [("a", ""), ("b", "--after a"), ("c", "--after b"), ("d", "--after a")] {
        serial.run(&format!("pouch start {name} {after} --tty none {slow}"))?;
    }
    serial.type_line("pouch events -f | grep exit & poweroff")?;
    // c and d at once, then b, then a.
    let shown = serial.expect("exit b exited")?.transcript();
    assert!(shown.contains("exit c exited") && shown.contains("exit d exited"), "{shown}");
    assert!(!shown.contains("exit a exited"), "{shown}");
    namespace.expect_end(pouch_qemu::deadline::END)?;
    Ok(())
}

pub fn health_is_asked_inside_and_decides_by_the_policy(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    let often = "--health-interval 0.1 --health-timeout 0.5 --health-retries 2";
    serial.run(&format!(
        "pouch start h --tty none {often} --health 'test -e /tmp/well && [ $(hostname) = h ] && [ $container = pouch ]' -- /bin/probe hold"
    ))?;
    let info = serial.run("until pouch info h | grep HEALTH: | grep -v starting; do :; done")?;
    assert_eq!(info, "HEALTH: unhealthy");
    // Without a policy it is marked and goes on; well again it is ready.
    serial.run("touch /tmp/well; until pouch info h | grep -q 'HEALTH: healthy'; do :; done")?;
    assert!(serial.run("pouch list")?.contains("1. h : started"));
    assert!(serial.run("pouch events")?.contains("] unhealthy h the health command failed 2 times in a row\n"));
    assert!(serial.run("pouch info h --json")?.contains("\"ready\":true,\"health\":\"healthy\""));
    serial.run("pouch destroy h")?;
    // With one it is restarted; one that hangs is killed, and leaves nothing.
    serial.run(&format!(
        "pouch start r --tty none --restart on-failure:1 --stop-timeout 0 {often} --health 'sleep 1000' -- /bin/probe hold"
    ))?;
    serial.run(&until("r", "STATE: ended"))?;
    assert!(serial.run("cat /run/pouch/cont_r")?.contains("RESTARTS: 1"));
    let log = serial.run("pouch events | grep -E '^[^ ]+ [a-z-]+ r( |$)' | cut -d ' ' -f 2,3")?;
    assert_eq!(
        log.lines().filter(|l| !l.starts_with("kill")).collect::<Vec<_>>().join(", "),
        "start r, exec r, unhealthy r, exit r, restart r, start r, exec r, unhealthy r, exit r, give-up r"
    );
    assert_eq!(serial.run("pouch destroy r; ps | grep -c 'sleep [1]000'")?, "Pouch: r destroyed\n0");
    assert_eq!(serial.run_status("pouch start x --health-retries 0")?.1, 2);
    Ok(())
}

pub fn events_are_told_to_programs_too(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    // Into a file: what comes by itself would stand in the prompts.
    serial.run("pouch events -f --json >/tmp/ev &")?;
    serial.run("pouch start ev1 --tty none --restart on-failure:1 -- /bin/sh -c 'exit 3'")?;
    let told =
        |event: &str| format!("until grep -q '\"event\":\"{event}\",\"name\":\"ev1\"' /tmp/ev; do sleep 0.1; done");
    serial.run(&told("give-up"))?;
    let last = serial.run("grep give-up /tmp/ev | cut -d, -f2-")?;
    assert_eq!(last, "\"event\":\"give-up\",\"name\":\"ev1\",\"reason\":\"it failed too often in a row\"}");
    let log = serial.run("pouch events --json | grep '\"ev1\"' | sed 's/\"time\":[0-9]*[.][0-9][0-9][0-9],/T /'")?;
    assert!(log.contains("{T \"event\":\"start\",\"name\":\"ev1\",\"reason\":null}"), "{log}");
    assert!(log.contains("{T \"event\":\"exit\",\"name\":\"ev1\",\"reason\":\"exited with status 3\"}"), "{log}");
    assert!(log.contains("{T \"event\":\"restart\",\"name\":\"ev1\",\"reason\":\"in 100 ms\"}"), "{log}");
    // A crash of PID 1 loses none of it, nor who follows.
    serial.run("kill -SEGV 1; pouch events | grep -c 'give-up ev1'")?;
    serial.run("pouch destroy ev1")?;
    serial.run(&told("destroy"))?;
    assert!(serial.run("pouch events | grep reexec")?.contains("reexec - PID 1 goes on after a crash"));
    Ok(())
}
