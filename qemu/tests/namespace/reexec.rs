//! PID 1 in place of itself: another image, and crashes without end

use crate::Fresh;
use pouch_qemu::{Result, deadline};
use rustix::process::Signal;
use std::time::Instant;

/// Another binary than the one that runs: the same with bytes behind its end, of which a digest knows.
const OTHER: &str = "cp /init /tmp/other; echo another >>/tmp/other";

pub fn another_image_takes_over_and_nobody_notices(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    serial.run(
        "mine=still; pouch start rx1; pouch start rx2 --tty none --restart always -- /bin/sh -c 'sleep 2; exit 4'",
    )?;
    serial.run("pouch start rx3 --tty none --ready fd:9 -- /bin/sh -c 'while [ ! -e /tmp/go ]; do sleep 0.1; done; echo >&9; exec sleep 1000'")?;
    serial.run(
        "pouch start rx4 --tty none --after rx3 -- /bin/probe hold >/dev/null & pouch logs rx1 -f >/tmp/followed &",
    )?;
    let view = "pouch list | grep -v rx2 | sed 's/age [^ ]*//; s/memory [^ ]*//'";
    let before = serial.run(view)?;
    let pids = serial.run("grep PID /run/pouch/cont_rx[134]")?;
    serial.run(OTHER)?;
    for binary in ["", " /tmp/other", " /tmp/other", ""] {
        assert_eq!(serial.run_status(&format!("pouch reexec{binary}"))?, (String::new(), 0));
        assert_eq!(serial.run("echo $mine here")?, "still here");
        assert_eq!(serial.run(view)?, before);
    }
    assert_eq!(serial.run("grep PID /run/pouch/cont_rx[134]")?, pids);
    assert_eq!(serial.run("pouch events | grep -c 'another image took over'")?, "4");
    // A session, its shell's memory, its ring, the way back, whoever follows.
    serial.type_line("connect rx1")?.expect("tty1 connected\n")?.prompt()?;
    serial.run("kept=treasure; echo before-$kept")?;
    serial.type_line("disconnect")?.expect("Console connected\n")?.prompt()?;
    serial
        .type_line("(sleep 0.5; pouch reexec /tmp/other; touch /tmp/done) & connect rx1")?
        .expect("tty1 connected\n")?;
    serial.send(b"\r")?.prompt()?.run("until [ -e /tmp/done ]; do sleep 0.1; done")?;
    assert_eq!(serial.run("echo after-$kept")?, "after-treasure");
    serial.type_line("disconnect")?.expect("Console connected\n")?.prompt()?;
    let log = serial.run("pouch logs rx1")?;
    assert!(log.contains("before-treasure") && log.contains("after-treasure"), "{log}");
    assert_eq!(serial.run("grep -c after-treasure /tmp/followed")?, "1");
    // Timers, policies, readiness, those who wait.
    serial.run("until grep -q 'RESTARTS: [2-9]' /run/pouch/cont_rx2; do sleep 0.1; done")?;
    serial.run("touch /tmp/go; until grep -qs 'STATE: started' /run/pouch/cont_rx4; do sleep 0.1; done")?;
    for name in ["rx4", "rx3", "rx2", "rx1"] {
        assert!(serial.run(&format!("pouch destroy {name}"))?.contains(&format!("Pouch: {name} destroyed")));
    }
    Ok(())
}

pub fn a_binary_that_cannot_go_on_is_answered_by_the_old_one(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    serial.run("mine=still; pouch start ry1")?;
    let before = serial.run("ls /proc/1/fd | wc -l")?;
    for binary in ["/bin/busybox", "/etc/passwd", "/bin/probe"] {
        assert_eq!(
            serial.run_status(&format!("pouch reexec {binary}"))?,
            (format!("Pouch: {binary} does not take over; the old one goes on"), 1)
        );
        assert_eq!(serial.run("echo $mine; pouch list | grep -c 'ry1 : started'")?, "still\n1");
    }
    let (words, status) = serial.run_status("pouch reexec /nothing")?;
    assert_eq!((words.as_str(), status), ("Pouch: unable to open /nothing: No such file or directory", 1));
    assert_eq!(serial.run("ls /proc/1/fd | wc -l")?, before, "descriptors");
    serial.run("pouch destroy ry1")?;
    Ok(())
}

/// The child of PID 1 that judges whether it can go on with PID 1's state.
fn judge_of(pid: i32) -> Result<Option<i32>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let judges = |child: &i32| {
        let words = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
        words.windows(8).any(|word| word == b"--judge=")
    };
    Ok(text.split_whitespace().filter_map(|number| number.parse().ok()).find(judges))
}

pub fn a_signal_that_comes_with_the_end_of_the_judge_is_heard(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    namespace.serial().reach_prompt()?.run(OTHER)?;
    let pid = namespace.init_pid()?;
    let limit = deadline::HEAVY.from_now();
    while Instant::now() < limit {
        // PID 1 stands still from the moment that it has the judge until that has judged.
        namespace.serial().type_line("pouch reexec /tmp/other")?;
        let mut found = None;
        while found.is_none() && namespace.serial().rest().matches('#').count() == 0 && Instant::now() < limit {
            found = judge_of(pid)?;
        }
        let Some(judge) = found else {
            continue;
        };
        namespace.signal(Signal::STOP)?;
        let stat = format!("/proc/{judge}/stat");
        while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) && Instant::now() < limit {
            std::thread::yield_now();
        }
        // Where PID 1 had heard of its end before: once more.
        let judged = std::fs::exists(&stat)?;
        if judged {
            namespace.signal(Signal::POWER)?;
        }
        namespace.signal(Signal::CONT)?;
        if judged {
            namespace.expect_end(deadline::END)?;
            return Ok(());
        }
        namespace.serial().expect("\n")?.prompt()?;
    }
    Err(namespace.serial().failure("the judge was never caught"))
}

pub fn two_hundred_crashes_under_load_lose_nothing(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("pouch.crash-limit=0")?;
    let serial = namespace.serial().reach_prompt()?;
    let all = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do";
    // Each counts, a line a number; nothing of it may be missing at the end.
    let count = "i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo $i; sleep 0.02; done; sleep 1000";
    serial.run(&format!("{all} pouch start rz$i --tty none -- /bin/sh -c '{count}'; done >/dev/null"))?;
    serial.run("pouch start rz17 --tty tty1")?;
    let pids = serial.run("cat /run/pouch/cont_rz* | grep -E '^(PID|NAME)'")?;
    serial.run(
        "set +m; (n=0; while [ $n -lt 200 ]; do kill -SEGV 1; n=$((n+1)); usleep 20000; done; touch /tmp/crashed) &",
    )?;
    // Somebody works meanwhile.
    serial.type_line("connect tty1")?.expect("tty1 connected\n")?.prompt()?;
    let mut worked = 0;
    while serial.run_within(deadline::HEAVY, "ls /tmp/crashed 2>/dev/null | wc -l")? == "0" {
        worked += 1;
        assert_eq!(serial.run(&format!("echo $(({worked} * 7))"))?, (worked * 7).to_string());
    }
    assert!(worked > 3, "nobody worked meanwhile: {worked}");
    serial.type_line("disconnect")?.expect("Console connected\n")?.prompt()?;
    let crashes = serial.run("pouch events | grep -c 'goes on after a crash'")?;
    // Two that come at once can be one.
    assert!(crashes.lines().next().unwrap_or_default().parse::<u32>().is_ok_and(|n| n > 150), "{crashes}");
    assert_eq!(serial.run("cat /run/pouch/cont_rz* | grep -E '^(PID|NAME)'")?, pids);
    let whole = "until [ \"$(pouch logs rz$i | tail -n 1)\" = 300 ]; do sleep 0.1; done; pouch logs rz$i | awk '$1 != NR { bad=1 } END { print bad+0, NR }'";
    let counted = serial.run_within(deadline::HEAVY, &format!("{all} {whole}; done | sort | uniq -c"))?;
    assert_eq!(counted.trim(), "16 0 300");
    serial.run_within(
        deadline::HEAVY,
        &format!("{all} pouch destroy rz$i; done | grep -c destroyed; pouch destroy rz17"),
    )?;
    Ok(())
}

pub fn every_fault_signal_and_a_fault_of_its_own_are_survived(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("pouch.crash-limit=0")?;
    let serial = namespace.serial().reach_prompt()?;
    serial.run("mine=still; pouch start rf --tty none -- /bin/probe hold")?;
    let (mut crashes, own) = (0, "grep ^PID: /run/pouch/cont_rf; ls /proc/1/fd | wc -l");
    serial.run("kill -SEGV 1; pouch list")?;
    let before = serial.run(own)?;
    // Sent, a fault waits until what was begun is done; made by PID 1 itself, it comes at once, and on its own stack.
    for fault in ["kill -SEGV", "kill -BUS", "kill -ILL", "kill -FPE", "kill -ABRT", "kill -TRAP", "kill -SYS"]
        .into_iter()
        .chain(["probe fault"; 3])
    {
        crashes += 1;
        serial.run(&format!("{fault} 1 >/dev/null; pouch list >/dev/null"))?;
        assert_eq!(serial.run("echo $mine here")?, "still here", "{fault}");
        assert_eq!(serial.run(own)?, before, "{fault}");
        let counted = serial.run("pouch events | grep -c 'goes on after a crash'")?;
        assert_eq!(counted, (crashes + 1).to_string(), "{fault}");
    }
    assert_eq!(serial.run("pouch destroy rf")?, "Pouch: rf destroyed");
    Ok(())
}

pub fn crashes_end_the_board_as_the_words_have_it(fresh: &mut Fresh) -> Result<()> {
    // What reboot(2) makes of a PID namespace: HUP where a board would restart, INT where it would stand still.
    const RESTART: i32 = 1;
    const HALT: i32 = 2;
    for (words, crashes, end) in [
        ("", 3, RESTART),
        ("pouch.crash-limit=2", 2, RESTART),
        ("pouch.crash-limit=1", 1, RESTART),
        ("pouch.on-crash=reboot", 1, RESTART),
        ("pouch.on-crash=halt pouch.crash-limit=0", 1, HALT),
    ] {
        let mut namespace = fresh.start(words)?;
        let serial = namespace.serial().reach_prompt()?;
        serial.run("pouch start rg --tty none -- /bin/probe hold")?;
        for _ in 1..crashes {
            assert_eq!(serial.run("kill -SEGV 1; pouch list | grep -c 'rg : started'")?, "1", "{words}");
        }
        serial.type_line("kill -SEGV 1")?;
        let status = namespace.expect_end(deadline::END)?;
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(end), "{words}");
    }
    Ok(())
}
