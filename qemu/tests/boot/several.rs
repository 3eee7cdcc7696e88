//! Several people: terminals that are no line, mirrors, who may type and how large it is

use pouch_qemu::bed::BoardBed;
use pouch_qemu::{Result, deadline};

pub fn a_terminal_that_is_no_line_is_one_while_its_command_lives(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    serial.run("ifconfig lo up; telnetd -l /bin/sh -b 127.0.0.1:23; pouch start c1")?;
    serial.type_line("telnet 127.0.0.1")?.expect("Entering character mode")?.prompt()?;
    serial.run("stty rows 33 cols 99; a=$(stty -g)")?;
    serial.type_line("connect c1")?.expect("tty1 connected\n")?.prompt()?;
    assert_eq!(serial.run("stty size; echo in $$")?, "33 99\nin 1");
    serial.type_line("disconnect")?.expect("Console connected\n")?.prompt()?;
    assert_eq!(serial.run("[ $a = $(stty -g) ] && echo as it was")?, "as it was");
    // The end of the command is the end of the line, and its size goes along while it lives.
    serial.run("wait() { until [ -e /tmp/$1 ]; do :; done; rm /tmp/$1; }; t=$(tty)")?;
    serial.run("(wait there; stty -F $t rows 44; wait told; killall connect) &")?;
    serial.type_line("connect c1; echo $?")?.expect("tty1 connected\n")?.prompt()?;
    serial.run("touch /tmp/there; until [ \"$(stty size)\" = '44 99' ]; do :; done")?;
    serial.type_line("touch /tmp/told")?.expect("143\n")?.prompt()?;
    assert!(serial.run("[ $a = $(stty -g) ] && echo as it was")?.starts_with("as it was"));
    // Its session's end lets it go.
    serial.type_line("connect c1")?.expect("tty1 connected\n")?.prompt()?;
    serial.type_line("exit 3")?.expect("c1 exited with status 3\n")?.expect("Console connected\n")?.prompt()?;
    serial.type_line("connect c1; echo \"<$?>\"")?.expect("c1 connected\n")?.expect("c1 exited with status 3\n")?;
    serial.expect("Console connected\n")?.expect("<0>\n")?.prompt()?;
    assert_eq!(serial.run("[ $a = $(stty -g) ] && echo as it was")?, "as it was");
    // A container in the foreground has it the same way.
    serial.type_line("pouch run r1 -- sh -c 'read line; echo got $line; exit 5'; echo \"<$?>\"")?;
    serial.expect("tty1 connected\n")?.type_line("roses")?.expect("got roses\n")?;
    serial.expect("r1 exited with status 5\n")?.expect("Console connected\n")?.expect("<5>\n")?.prompt()?;
    assert_eq!(serial.run("[ $a = $(stty -g) ] && echo as it was")?, "as it was");
    serial.type_line("exit")?.expect("Connection closed")?.prompt()?;
    serial.run("killall telnetd; pouch destroy c1")?;
    assert_eq!(serial.run_within(deadline::HEAVY, "pouch list")?, "Pouch containers:");
    Ok(())
}
