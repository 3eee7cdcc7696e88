//! `exec`: a command inside a container that runs, in all its ends

use crate::Fresh;
use pouch_qemu::Result;

pub fn exec_ends_as_its_command_does(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    serial.run("pouch start ex1 --tty none --env KEPT=treasure -- /bin/probe hold")?;
    for (command, words, status) in [
        ("true", "", 0),
        ("-- sh -c 'exit 77'", "", 77),
        ("/bin/probe exit 255", "", 255),
        ("/bin/probe die 15", "", 143),
        ("/bin/probe die 9", "", 137),
        ("nothing", "Pouch: ex1: unable to execute nothing: No such file or directory", 127),
        ("/bin/nothing", "Pouch: ex1: unable to execute /bin/nothing: No such file or directory", 127),
        ("/etc/passwd", "Pouch: ex1: unable to execute /etc/passwd: Permission denied", 126),
        ("/etc", "Pouch: ex1: unable to execute /etc: Permission denied", 126),
        ("cat /proc/1/comm", "probe", 0),
        ("hostname", "ex1", 0),
        ("sh -c 'echo $KEPT $container $HOME; pwd; id -u'", "treasure pouch /root\n/\n0", 0),
        ("-- echo --help", "--help", 0),
    ] {
        for stdin in ["", " </dev/null 2>&1 | cat; (exit ${PIPESTATUS:-0})"] {
            if stdin.is_empty() {
                assert_eq!(
                    serial.run_status(&format!("pouch exec ex1 {command}"))?,
                    (words.to_owned(), status),
                    "{command}"
                );
            } else {
                assert_eq!(serial.run(&format!("pouch exec ex1 {command} </dev/null 2>&1 | cat"))?, words, "{command}");
            }
        }
    }
    let (words, status) = serial.run_status("pouch exec c9 true")?;
    assert_eq!((words.as_str(), status), ("Pouch: c9 container not found", 125));
    assert_eq!(serial.run_status("pouch exec ex1")?.1, 1);
    assert_eq!(serial.run_status("pouch exec --fly ex1 true")?.1, 2);
    assert_eq!(serial.run("pouch exec ex1 sh -c 'tty; [ -t 0 ] && [ -t 2 ]; echo $?'")?, "/dev/pts/0\n0");
    assert_eq!(serial.run("echo one two | pouch exec ex1 wc -w | cat")?, "2");
    assert_eq!(serial.run("pouch destroy ex1")?, "Pouch: ex1 destroyed");
    assert_eq!(serial.run_status("pouch exec ex1 true")?, ("Pouch: ex1 container not found".into(), 125));
    Ok(())
}

pub fn a_signal_on_the_way_in_is_the_commands(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    serial.run("pouch start ex2 --tty none -- /bin/probe hold; set +m")?;
    // A little later each time: before the command is there, while it is made, when it runs. None is lost.
    // (In a shell of its own: one that is worked with ignores TERM, and so does what it has just forked.)
    let line = "sh -c 'i=0; while [ $i -lt 80 ]; do pouch exec ex2 sleep 1000 </dev/null & usleep $((i * 100)); kill $!; \
        wait $! 2>/dev/null; [ $? = 143 ] || echo lost; i=$((i + 1)); done; echo all'";
    assert_eq!(serial.run_within(pouch_qemu::deadline::HEAVY, line)?, "all");
    assert_eq!(serial.run("pouch exec ex2 ps | grep -c [s]leep; pouch destroy ex2")?, "0\nPouch: ex2 destroyed");
    Ok(())
}
