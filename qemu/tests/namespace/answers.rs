//! What commands answer: the same to everybody who asks, to its end

use crate::Fresh;
use pouch_qemu::Result;

pub fn who_asks_for_all_of_a_cgroup_gets_all_of_it_each_time(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    serial.run("pouch start as1 --tty none -- /bin/probe hold")?;
    for _ in 0..3 {
        assert_eq!(serial.run("pouch cgroup as1 | grep '^cgroup.procs ' | wc -l")?, "1");
    }
    assert_eq!(serial.run("pouch destroy as1")?, "Pouch: as1 destroyed");
    Ok(())
}

/// As docker has it: the end of what is followed is the end of following.
pub fn who_follows_what_is_printed_is_let_go_at_its_end(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    let ends = "pouch start as2 -- /bin/sh -c 'echo one; sleep 1; echo two'; pouch logs -f as2; echo $?";
    assert_eq!(serial.run(ends)?, "Pouch: as2 starting\none\ntwo\n0");
    // It ended before.
    assert_eq!(serial.run("pouch logs as2 -f; echo $?; pouch destroy as2")?, "one\ntwo\n0\nPouch: as2 destroyed");
    // One that is started again is followed on, to the end of its policy.
    let again =
        "pouch start as3 --tty none --restart on-failure:2 -- /bin/sh -c 'echo more; exit 1'; pouch logs -f as3";
    assert_eq!(serial.run(again)?, "Pouch: as3 starting\nmore\nmore\nmore");
    assert_eq!(serial.run("pouch destroy as3")?, "Pouch: as3 destroyed");
    Ok(())
}

pub fn a_container_knows_itself_by_its_name_too(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    serial.run("pouch start as4 --tty none -- /bin/probe hold; pouch start as5 --tty none -- /bin/probe hold")?;
    for own in ["", " as4"] {
        assert_eq!(serial.run(&format!("pouch exec as4 pouch info{own} | head -n 1"))?, "NAME: as4");
    }
    for other in ["as5", "as6"] {
        assert_eq!(
            serial.run_status(&format!("pouch exec as4 pouch info {other}"))?,
            ("Error: command info not allowed in inside container.".into(), 1)
        );
    }
    serial.run("pouch destroy as4; pouch destroy as5")?;
    Ok(())
}

pub fn words_with_lines_or_nothing_in_them_are_taken_as_they_are(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    assert_eq!(
        serial.run("pouch run as7 --env A=\"$(printf '1\\n2')\" -- sh -c 'echo \"<$A>\"' </dev/null | cat")?,
        "<1\n2>"
    );
    // No word is no program, and not the first folder of the PATH.
    serial.run("pouch start as8 --tty none -- /bin/probe hold")?;
    for asks in ["exec as8 ''", "run as9 -- '' </dev/null"] {
        assert_eq!(serial.run_status(&format!("pouch {asks}"))?.1, 127, "{asks}");
    }
    assert_eq!(serial.run_status("pouch start as9 --config=")?, ("Pouch: --config=: value missing".into(), 2));
    serial.run("pouch destroy as8")?;
    Ok(())
}
