//! PID 1 itself: the reaper, the host's shell, signals, the end

use pouch_qemu::bed::BoardBed;
use pouch_qemu::{Result, deadline};

pub fn ten_thousand_orphans_leave_no_zombie(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    let made = serial.run_within(deadline::HEAVY, "for i in 1 2 3 4 5; do probe orphans 2000; done | tail -n 1")?;
    assert_eq!(made, "orphans 2000 made");
    let none = "while ps -o stat | grep -q '^Z'; do :; done; echo none";
    assert_eq!(serial.run_within(deadline::HEAVY, none)?, "none");
    assert_eq!(serial.run("echo alive")?, "alive");
    Ok(())
}

pub fn ctrl_c_at_the_prompt_does_not_touch_pid_1(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    for _ in 0..10 {
        serial.send(b"\x03")?.prompt()?;
    }
    assert_eq!(serial.run("cut -d ' ' -f 7 /proc/1/stat")?, "0", "PID 1 has a controlling terminal");
    assert_eq!(
        serial.run("grep -E 'SigBlk|SigIgn' /proc/self/status")?,
        "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000"
    );
    Ok(())
}

pub fn the_board_has_its_file_systems(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    for place in ["/proc", "/sys", "/dev", "/dev/pts", "/run", "/tmp", "/sys/fs/cgroup"] {
        assert_eq!(serial.run(&format!("grep -q ' {place} ' /proc/mounts; echo $?"))?, "0", "{place}");
    }
    assert_eq!(serial.run("hostname; ls -l /run/pouch/control | cut -c 1-10")?.lines().nth(1), Some("srw-------"));
    let kernel_words = serial.run("env | sort | cut -d = -f 1 | tr '\\n' ' '")?;
    assert!(!kernel_words.contains("console") && !kernel_words.contains("BOOT_IMAGE"), "{kernel_words}");
    assert!(serial.run("dmesg | grep -c 'pouch: '")?.trim().parse::<u32>().is_ok_and(|n| n > 0));
    Ok(())
}

pub fn an_idle_pid_1_is_not_woken(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    let read = "grep ctxt /proc/1/status | tr -dc '0-9\\n' | tr '\\n' ' '";
    // The shell's own words wake it; what it sleeps through in between wakes nobody.
    let woken = serial
        .run(&format!("a=$({read}); sleep 5; b=$({read}); [ \"$a\" = \"$b\" ] && echo asleep || echo $a - $b"))?;
    assert_eq!(woken, "asleep");
    Ok(())
}

/// What PID 1 waits for is the monotonic clock's: years back and forth hold nothing up and hurry nothing.
pub fn a_clock_that_is_set_changes_nothing(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    serial.run("pouch start timed --tty none --restart on-failure:4 -- /bin/sh -c 'exit 3'")?;
    serial.run("a=$(date +%s); date -s 2030-01-01 >/dev/null; date -s 2001-01-01 >/dev/null")?;
    serial.run("until grep -q 'STATE: ended' /run/pouch/cont_timed; do date -s 2040-01-01 >/dev/null; date -s 1999-01-01 >/dev/null; done")?;
    // What is left of each when it is told: a busy board may be a millisecond behind.
    let waits = serial.run("echo $(pouch events | sed -n 's/.* restart timed in \\(.*\\) ms/\\1/p')")?;
    let waits: Vec<u32> = waits.split(' ').filter_map(|wait| wait.parse().ok()).collect();
    let whole: Vec<u32> = waits.iter().map(|wait| wait.next_multiple_of(100)).collect();
    assert_eq!(whole, [100, 200, 400, 800], "{waits:?}");
    assert!(serial.run("date -s @$a >/dev/null; pouch list")?.contains("timed : ended - pid - age 0s"));
    serial.run("pouch destroy timed")?;
    Ok(())
}

pub fn a_fault_in_pid_1_costs_nothing(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    serial.run("mine=still; pouch start c1")?;
    // The kernel's words about it would come before the prompt, or behind it.
    serial.run("levels=$(cat /proc/sys/kernel/printk); dmesg -n 1; kill -SEGV 1")?;
    assert_eq!(serial.run("echo $mine alive")?, "still alive");
    assert!(serial.run("pouch list")?.contains("1. c1 : started tty1"));
    serial.type_line("connect tty1")?.expect("tty1 connected\n")?.prompt()?;
    assert_eq!(serial.run("echo $$")?, "1");
    serial.type_line("disconnect")?.expect("Console connected\n")?.prompt()?;
    assert_eq!(serial.run("pouch destroy c1")?, "Pouch: c1 destroyed");
    assert_eq!(serial.run("dmesg | grep -c 'PID 1 crashed (SIGSEGV)'")?, "1");
    serial.run("echo \"$levels\" >/proc/sys/kernel/printk")?;
    Ok(())
}

pub fn busyboxs_own_poweroff_switches_the_board_off(board: &mut BoardBed) -> Result<()> {
    let board = board.boot()?;
    board.serial().run("pouch start polite -- /bin/probe polite; pouch start stubborn -- /bin/probe stubborn")?;
    board.serial().type_line("busybox poweroff")?.expect("the board powers off now")?;
    board.expect_power_off()
}

pub fn reboot_again_and_again_reboots_once(board: &mut BoardBed) -> Result<()> {
    let board = board.boot()?;
    board.serial().type_line("while true; do reboot; done")?.expect("the board reboots now")?;
    board.expect_reboot()?;
    let shown = board.serial().transcript();
    assert_eq!(shown.matches("the board reboots now").count(), 1, "{shown}");
    Ok(())
}

pub fn halt_stops_the_board(board: &mut BoardBed) -> Result<()> {
    let board = board.boot()?;
    board.serial().type_line("halt")?.expect("the board halts now")?;
    board.expect_halt()
}

pub fn a_shell_that_ends_at_once_is_started_ever_more_slowly(board: &mut BoardBed) -> Result<()> {
    let serial = board.start()?.serial();
    for wait in ["0.1", "0.2", "0.4", "0.8", "1.6", "3.2"] {
        serial.expect_within(deadline::BOOT, &format!("host shell exited with status 1; again in {wait} s"))?;
    }
    // Enter does not make it faster, and is answered.
    serial.send(b"\r")?.expect("the host shell starts again in")?;
    Ok(())
}

/// Promise 5: what PID 1 has in memory while nobody works, by the kernel's own walk over its pages.
pub fn an_idle_pid_1_is_small(board: &mut BoardBed) -> Result<()> {
    /// What it may have, and a ring each for the event log and this shell.
    const MOST: u32 = 160 + 2 * 16;
    let serial = board.boot()?.serial();
    // It gives back what it does not need when nothing has come for a while.
    let small = format!("until sleep 0.2; set -- $(grep ^Rss: /proc/1/smaps_rollup); [ $2 -le {MOST} ]; do :; done");
    serial.run_within(deadline::ANSWER, &small).map(drop)
}
