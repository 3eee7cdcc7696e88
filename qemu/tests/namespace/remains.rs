//! Nothing left behind: whatever fails, and whoever is killed in the middle

use crate::Fresh;
use pouch_qemu::Result;
use pouch_qemu::serial::Serial;

/// Descriptors of PID 1, mounts, cgroups, files, processes: what may not grow.
fn held(serial: &mut Serial) -> Result<String> {
    // The containers' processes and the commands are gone once nobody but PID 1 and the shell is there. The shell itself
    // looks: of a pipe's two ends one may be there before the other is made, or not.
    serial.run(
        "ls /proc/1/fd | wc -l; wc -l </proc/mounts; ls -d /sys/fs/cgroup/pouch/*/ 2>/dev/null | wc -l; \
         ls /run/pouch | grep -c cont_; set -- /proc/[0-9]*; echo $#; ls /dev/pts | wc -l",
    )
}

pub fn a_start_that_fails_at_any_step_leaves_nothing(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    serial.run("mkdir -p /tmp/empty /tmp/linked; ln -s / /tmp/linked/proc; ln -s /tmp /tmp/linked/dev")?;
    serial.run("pouch start taken --tty tty1 -- /bin/probe hold")?;
    let before = held(serial)?;
    for options in [
        "/nowhere",
        "/etc/passwd",
        "/tmp/empty",
        "/tmp/linked",
        "--mount /nowhere:/mnt",
        "--mount /etc/passwd:/proc",
        "--tmpfs /proc/nowhere",
        "--cwd /nowhere",
        "--cpu.weird 1",
        "--memory.max 1",
        "--tty tty1",
        "-- nothing",
        "--userns --cwd /nowhere",
        "--userns --mount /nowhere:/mnt",
        "--userns -- nothing",
        "-- /etc/passwd",
        "-- /etc",
        "--user 4294967294 -- /root/nothing",
    ] {
        for command in ["start left", "run left </dev/null", "run left"] {
            let (verb, rest) = command.split_once(' ').unwrap_or_default();
            let (name, input) = rest.split_once(' ').unwrap_or((rest, ""));
            let line = format!("pouch {verb} {name} {options} {input} >/tmp/out 2>&1; echo $?; cat /tmp/out");
            // One that cannot fail here, since the kernel has not what it is about, is ended like any other.
            let answer = serial.run(&format!("{line}; pouch destroy left >/dev/null 2>&1"))?;
            assert!(!answer.is_empty(), "{line}");
        }
        assert_eq!(serial.run("rm -f /tmp/out")?, "");
        assert_eq!(held(serial)?, before, "{options}");
    }
    Ok(())
}

pub fn a_command_that_is_killed_in_the_middle_leaves_nothing(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    serial.run("pouch start stays --tty none -- /bin/probe hold; set +m")?;
    let before = held(serial)?;
    // At every moment of its life: the kill comes a little later each time.
    for command in [
        "run mid -- /bin/probe hold",
        "run mid --userns -- /bin/probe hold",
        "exec stays /bin/probe hold",
        "start mid -- /bin/probe hold",
    ] {
        let line = format!(
            "i=0; while [ $i -lt 40 ]; do pouch {command} </dev/null >/dev/null 2>&1 & usleep $((i * 400)); \
             kill -9 $!; wait $! 2>/dev/null; pouch destroy mid >/dev/null 2>&1; i=$((i + 1)); done; echo all"
        );
        assert!(serial.run_within(pouch_qemu::deadline::HEAVY, &line)?.ends_with("all"));
        serial.run("while [ -e /run/pouch/cont_mid ] || [ $(pidof probe | wc -w) -gt 1 ]; do :; done")?;
        assert_eq!(held(serial)?, before, "{command}");
    }
    Ok(())
}

pub fn the_end_of_a_container_ends_what_was_run_inside(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    let before = held(serial)?;
    serial.run("pouch start dies --tty none -- /bin/probe hold; set +m")?;
    serial.run("pouch exec dies sleep 1000 </dev/null & until pidof sleep >/dev/null; do :; done")?;
    assert!(serial.run("pouch destroy dies; wait $!; echo ended with $?")?.contains("ended with 137"));
    assert_eq!(held(serial)?, before);
    // On a terminal, and the terminal is as it was.
    let modes = serial.run("stty -g")?;
    serial.run("pouch start dies --tty none -- /bin/probe hold")?;
    serial.type_line("(until pidof sleep >/dev/null; do :; done; pouch destroy dies >/dev/null) & pouch exec dies sleep 1000; echo ended with $?")?;
    serial.expect("ended with 137\n")?.prompt()?;
    serial.run("pouch start dies --tty none -- /bin/probe hold")?;
    serial.type_line(
        "(until pidof cat >/dev/null; do :; done; kill $(pidof pouch)) & pouch exec dies cat; echo ended with $?",
    )?;
    serial.expect_pattern("ended with (129|143)\n")?;
    serial.prompt()?;
    assert_eq!(serial.run("stty -g")?, modes);
    serial.run("pouch destroy dies")?;
    assert_eq!(held(serial)?, before);
    Ok(())
}
