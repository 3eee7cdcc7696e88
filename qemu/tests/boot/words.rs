//! The kernel command line: definitions, mistakes, length

use pouch_qemu::bed::BoardBed;
use pouch_qemu::{Result, deadline};

/// Two containers, one of them with quotes, and mistakes of every kind between them.
pub const DEFINITIONS: &str = "pouch.container=one,tty=tty1 pouch.nonsense=1 pouch.container=tty1 \
    \"pouch.container=two,rootfs=/srv/web,tty=tty2,command='/bin/sleep 1000',env='NOTE=a, b',memory.max=16M\" \
    pouch.container=three,tty=tty9 pouch.container=four,color=red pouch.log=loud pouch.bridge=10.0.3.1/24 \
    \"pouch.container=five,tty=none,command='/bin/echo a, b'\"";

pub fn containers_come_up_without_typing_and_mistakes_are_named(board: &mut BoardBed) -> Result<()> {
    let serial = board.start()?.serial();
    serial.reach_prompt()?;
    let shown = serial.transcript();
    for bad in ["pouch.nonsense=1", "pouch.container=tty1", "tty=tty9", "color=red", "pouch.log=loud"] {
        assert!(shown.lines().any(|line| line.contains("Pouch: ") && line.contains(bad)), "{bad} in {shown}");
    }
    assert!(serial.run("dmesg | grep -c 'pouch: .*pouch.nonsense=1'")?.parse::<u32>().is_ok_and(|n| n > 0));
    serial.run("until grep -qs started /run/pouch/cont_two; do :; done")?;
    // It has ended when its link is gone.
    serial.run("until grep -qs ended /run/pouch/cont_five; do :; done")?;
    let list = serial.run("pouch list")?;
    assert!(list.contains("1. one : started tty1") && list.contains("2. two : started tty2"), "{list}");
    assert!(list.contains("3. five : ended -"), "{list}");
    assert_eq!(list.lines().count(), 4, "{list}");
    assert_eq!(serial.run("pouch logs five; cat /sys/fs/cgroup/pouch/two/memory.max")?, "a, b\n16777216");
    assert_eq!(
        serial.run("tr '\\0' '\\n' </proc/$(sed -n 's/^PID: //p' /run/pouch/cont_two)/environ | grep NOTE")?,
        "NOTE=a, b"
    );
    Ok(())
}

/// The word that stands last on a line as long as the kernel takes it.
#[must_use]
pub fn longest(limit: usize, before: &str) -> String {
    let last = " pouch.container=last,tty=tty3";
    let filler = limit.saturating_sub(before.len() + last.len() + " filler=".len() + 1);
    format!("filler={}{last}", "x".repeat(filler))
}

pub fn a_line_is_read_to_its_end(board: &mut BoardBed) -> Result<()> {
    let serial = board.start()?.serial();
    serial.reach_prompt()?;
    let length: usize = serial.run("wc -c </proc/cmdline")?.trim().parse().unwrap_or(0);
    assert!(length > 1000, "{length}");
    serial.run("until grep -qs started /run/pouch/cont_last; do :; done")?;
    assert!(serial.run("pouch list")?.contains("1. last : started tty3"));
    Ok(())
}

pub fn a_container_that_took_tty0_is_what_the_console_shows(board: &mut BoardBed) -> Result<()> {
    let serial = board.start()?.serial();
    serial.expect_within(deadline::BOOT, "tty0 connected\n")?.prompt()?;
    assert_eq!(serial.run("echo $$; hostname")?, "1\nboss");
    // Leaving it, with nothing to return to, opens the host's shell.
    serial.type_line("disconnect")?.expect("Console connected\n")?.prompt()?;
    assert!(serial.run("pouch list")?.contains("1. boss : started tty0"));
    serial.type_line("connect tty0")?.expect("tty0 connected\n")?;
    // Its end returns the line; it is started again, and the host's shell stays where it is.
    serial
        .send(b"\r")?
        .prompt()?
        .type_line("exit 3")?
        .expect("boss exited with status 3\n")?
        .expect("Console connected\n")?;
    serial.prompt()?.run("until grep -q 'RESTARTS: 1' /run/pouch/cont_boss; do :; done")?;
    Ok(())
}
