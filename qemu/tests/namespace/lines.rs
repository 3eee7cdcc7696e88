//! What consoles do that needs no board: commands and containers without a terminal, what is shown again

use crate::Fresh;
use pouch_qemu::Result;

/// Pitfall 26: on a pseudo-terminal programs colour what they log.
pub fn a_container_without_a_terminal_writes_into_pipes(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    let asks = "for n in 0 1 2; do [ -t $n ] && echo $n is a terminal; readlink /proc/1/fd/$n | sed s/:.*//; done";
    serial.run(&format!("pouch start plain --tty none -- /bin/sh -c '{asks}; ls --color=auto -d /bin /dev'"))?;
    serial.run("until grep -q ended /run/pouch/cont_plain; do :; done")?;
    assert_eq!(serial.run("pouch logs plain | cat -v")?, "/dev/null\npipe\npipe\n/bin\n/dev");
    serial.run("pouch destroy plain; pouch start coloured -- /bin/sh -c 'ls --color=auto -d /dev'")?;
    serial.run("until grep -q ended /run/pouch/cont_coloured; do :; done")?;
    let shown = serial.run("pouch logs coloured | cat -v")?;
    assert!(shown.contains("^[[") && shown.contains("/dev"), "{shown}");
    serial.run("pouch destroy coloured")?;
    Ok(())
}

pub fn connect_without_a_terminal_says_so(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    serial.run("pouch start c1; pouch start c2 --tty none -- /bin/sleep 1000")?;
    for (name, words) in [
        ("c1", "Pouch: c1: no terminal to show it on, or one that this command is not in front of"),
        ("c6", "Pouch: c6 container not found"),
        ("tty3", "Pouch: tty3 has no container"),
    ] {
        let alone = format!("sh -c 'setsid connect {name} </dev/null 2>&1; echo \"<$?>\"'");
        assert_eq!(serial.run(&alone)?, format!("{words}\n<1>"));
    }
    // Standard input is something else: the terminal that the command is on.
    serial.type_line("connect c1 </dev/null")?.expect("tty1 connected\n")?.prompt()?;
    serial.type_line("disconnect")?.expect("Console connected\n")?.prompt()?;
    Ok(())
}

/// Rule 5: what was printed before it died is shown on connecting, and never twice on one line.
pub fn what_one_that_ended_had_to_say_is_shown_once(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    serial.run("pouch start dead -- /bin/sh -c 'echo last words; exit 7'")?;
    for said in 1..3 {
        serial.run("until grep -q ended /run/pouch/cont_dead; do :; done")?;
        let before = serial.raw().len();
        serial.type_line("connect dead; echo back")?.expect("dead connected\n")?.expect("last words\n")?;
        serial.expect("dead exited with status 7\n")?.expect("Console connected\n")?.expect("back\n")?.prompt()?;
        // In this order, and nothing else.
        let shown = String::from_utf8_lossy(serial.raw().get(before..).unwrap_or_default()).into_owned();
        assert_eq!(shown.matches("last words").count(), 1, "{shown}");
        serial.type_line("connect dead")?.expect("dead connected\n")?.expect("dead exited with status 7\n")?;
        serial.expect("Console connected\n")?.prompt()?;
        let lines = serial.transcript().lines().filter(|line| *line == "last words").count();
        assert_eq!(lines, said, "shown again");
        // What it says the next time is new.
        serial.run("pouch restart dead")?;
    }
    serial.run("pouch destroy dead")?;
    Ok(())
}

/// Rule 1: through its back-off the container holds the slot, and a console on which nobody works shows it.
pub fn a_console_on_which_nobody_works_shows_its_container_again(fresh: &mut Fresh) -> Result<()> {
    let words = "\"pouch.container=f,tty=tty0,restart=on-failure:2,command='/bin/probe exit 3'\"";
    let mut namespace = fresh.start(words)?;
    let serial = namespace.serial();
    for _ in 0..3 {
        serial.expect("tty0 connected\n")?.expect("f exited with status 3\n")?;
    }
    // It gave up: the host's shell, as before.
    serial.prompt()?;
    assert_eq!(
        serial.run("pouch list | cut -d ' ' -f 2-4; pouch destroy f")?,
        "containers:\nf : ended\nPouch: f destroyed"
    );
    // Who works there is at the host's shell when it ends, and stays.
    let mut namespace = fresh.start("pouch.container=g,tty=tty0,restart=always")?;
    let serial = namespace.serial().expect("tty0 connected\n")?.prompt()?;
    serial.type_line("exit 4")?.expect("g exited with status 4\n")?.prompt()?;
    serial.run("until grep -q started /run/pouch/cont_g; do :; done")?;
    assert_eq!(serial.run("hostname; pouch info g | head -n 2")?, "board\nNAME: g\nSTATE: started");
    Ok(())
}
