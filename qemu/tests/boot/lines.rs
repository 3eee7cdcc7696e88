//! Lines: two serial ports at once, ports that are not there, hang-ups, the keyboard and the screen

use pouch_qemu::bed::BoardBed;
use pouch_qemu::serial::Serial;
use pouch_qemu::{Error, Result, deadline};
use serde_json::json;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A second port that is there, the console under two other names, one without hardware, one that is no port;
/// and last a console that is not there.
pub const WORDS: &str = "pouch.console=ttyS1,/dev/ttyS0,console,ttyS2 console=ttyS77 \
    \"pouch.container=side,tty=tty2,command='/bin/sh'\"";

/// Asks the board until `command` prints `wanted`.
fn until(serial: &mut Serial, command: &str, wanted: &str) -> Result<()> {
    let limit = deadline::ANSWER.from_now();
    loop {
        let found = serial.run(command)?;
        if found.trim_end().ends_with(wanted) {
            return Ok(());
        }
        if Instant::now() >= limit {
            return Err(serial.failure(&format!("'{command}' never printed {wanted}")));
        }
    }
}

/// Pitfalls 17 (ports without hardware are parked, and looked at again ever more rarely: policy::backoff) and 20
/// (one line for each device, whatever its names).
pub fn the_last_console_that_is_there_is_the_console(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    assert_eq!(serial.run("dmesg | grep -c 'pouch: line /dev/ttyS0 is the system console'")?, "1");
    assert_eq!(
        serial.run("dmesg | grep -c 'pouch: line /dev/ttyS0'; dmesg | grep -c 'pouch: line /dev/console'")?,
        "1\n0"
    );
    for port in ["ttyS2", "ttyS77"] {
        let parked = format!("dmesg | grep 'pouch: /dev/{port}: unable to open' | grep -c 'looked at again'");
        assert_eq!(serial.run(&parked)?, "1", "{port}");
    }
    assert_eq!(serial.run("ps -o args | grep -c '^-s[h]'")?, "1", "one host shell, on the console");
    Ok(())
}

/// Pitfalls 15, 18 and 19: each line is opened anew, so that a write to it never waits, without its carrier and as no
/// controlling terminal; which lines there are PID 1 does not ask /sys/class/tty/console/active, which hung others.
pub fn lines_are_opened_anew_and_no_file_that_hangs_is_asked(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    let flags = serial.run(
        "for f in /proc/1/fd/*; do case $(readlink $f) in /dev/ttyS*|/dev/tty[0-9]) grep flags /proc/1/fdinfo/${f##*/};; esac; done",
    )?;
    assert_eq!(flags.lines().count(), 5, "two ports and three VTs: {flags}");
    for line in flags.lines() {
        let number = line.split_whitespace().nth(1).and_then(|text| u32::from_str_radix(text, 8).ok());
        // O_NONBLOCK, O_CLOEXEC.
        assert!(number.is_some_and(|flags| flags & 0o4000 != 0 && flags & 0o2_000_000 != 0), "{line}");
    }
    let modes = serial.run(
        "stty -a -F /dev/ttyS1 2>/dev/null | tr ' ;' '\\n\\n' | grep -xE '.?(clocal|ixon|icanon|isig|ignbrk|echo)'",
    )?;
    let mut modes: Vec<&str> = modes.lines().collect();
    modes.sort_unstable();
    assert_eq!(modes, ["-echo", "-icanon", "-isig", "-ixon", "clocal", "ignbrk"]);
    assert_eq!(serial.run("cut -d ' ' -f 7 /proc/1/stat; grep -c tty/console/active /proc/1/exe")?, "0\n0");
    Ok(())
}

pub fn two_people_share_a_session_and_hear_of_each_other(board: &mut BoardBed) -> Result<()> {
    let board = board.boot()?;
    let mut second = board.take_serial(1)?;
    let first = board.serial();
    first.run("pouch start c1; stty rows 40 cols 100")?;
    second.send(b"\r")?.prompt()?.run("stty rows 30 cols 120")?;
    first.type_line("connect c1")?.expect("tty1 connected\n")?.prompt()?;
    assert_eq!(first.run("stty size")?, "40 100");
    // One who only watches is told of, sees all, types nothing and is no terminal to fit.
    second.type_line("connect c1 --watch")?.expect("tty1 connected\n")?.expect("40 100")?;
    first.expect("[ttyS1 joined to watch]\n")?.send(b"\r")?.prompt()?;
    second.send(b"echo not typed\r")?;
    assert_eq!(first.run("echo seen; stty size")?, "seen\n40 100");
    second.expect("seen\n")?.expect_none("not typed")?;
    second.send(b"\x1d\x1d\x1d")?.expect("Console connected\n")?.prompt()?;
    first.expect("[ttyS1 left]\n")?.expect_none("not typed")?.send(b"\r")?.prompt()?;
    // Two who type: the smaller of each side; both may type, the one who types leaves.
    second.type_line("connect c1")?.expect("tty1 connected\n")?;
    first.expect("[ttyS1 joined]\n")?.send(b"\r")?.prompt()?;
    assert_eq!(first.run("stty size")?, "30 100");
    second.expect("30 100\n")?.prompt()?.type_line("disconnect")?.expect("Console connected\n")?.prompt()?;
    assert_eq!(second.run("stty size")?, "30 120");
    first.expect("[ttyS1 left]\n")?.send(b"\r")?.prompt()?;
    assert_eq!(first.run("stty size")?, "40 100");
    first.type_line("disconnect")?.expect("Console connected\n")?.prompt()?;
    // What a line has shown it is not shown again, however often it comes back.
    first.type_line("connect c1")?.expect("tty1 connected\n")?.send(b"\r")?.prompt()?.expect_none("seen")?;
    first.type_line("connect c1")?;
    first.send(b"\x1d\x1d\x1d")?.expect("Console connected\n")?.prompt()?;
    // A line that somebody has moved on with is not moved from behind.
    first.run("(until [ -e /tmp/now ]; do :; done; rm /tmp/now; connect side 2>/tmp/why) &")?;
    first.type_line("connect c1")?.expect("tty1 connected\n")?.send(b"\r")?.prompt()?;
    first.run("touch /tmp/now; until [ -s /tmp/why ]; do :; done")?;
    assert_eq!(
        first.run("cat /tmp/why; rm /tmp/why; hostname")?,
        "Pouch: side: this line shows another session by now\nc1"
    );
    first.type_line("disconnect")?.expect("Console connected\n")?.prompt()?;
    first.run("stty rows 24 cols 80; pouch destroy c1")?;
    second.run("stty rows 24 cols 80")?;
    board.give_back(1, second);
    Ok(())
}

/// What hangs on a serial line says how large it is where `resize` asks it; PID 1 asks nobody (pitfall 16).
pub fn resize_asks_the_terminal_and_the_line_takes_it_along(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    assert_eq!(serial.run("stty size")?, "24 80");
    serial.run("pouch start c1")?;
    serial.type_line("connect c1")?.expect("tty1 connected\n")?.prompt()?;
    // For the first 100 ms after a switch a terminal's answers are another session's (pitfall 24): outlast them.
    serial.run("sleep 1")?;
    serial.type_line("resize")?;
    // The question is no text: it is looked for among the bytes, behind the way to the last corner (a shell asks too).
    let limit = deadline::ANSWER.from_now();
    while !serial.raw().windows(8).any(|piece| piece == b"999H\x1b[6n") {
        if Instant::now() >= limit {
            return Err(serial.failure("nobody asked for the size"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    serial.send(b"\x1b[43;101R")?.expect("COLUMNS=101;LINES=43;export COLUMNS LINES;\n")?.prompt()?;
    assert_eq!(serial.run("stty size; stty -a | grep -c ' -echo '")?, "43 101\n0");
    serial.type_line("disconnect")?.expect("Console connected\n")?.prompt()?;
    assert_eq!(serial.run("stty size")?, "43 101");
    // One that does not say it is not waited for, and nothing changes.
    serial.type_line("resize; echo \"<$?>\"")?.expect("resize: the terminal does not say its size\n<1>\n")?.prompt()?;
    assert_eq!(serial.run("stty rows 24 cols 80; pouch destroy c1")?, "Pouch: c1 destroyed");
    Ok(())
}

/// A BREAK neither kills nor types, and behind it stands the kernel's magic key.
pub fn a_break_is_left_to_the_kernel(board: &mut BoardBed) -> Result<()> {
    let board = board.boot()?;
    let mut second = board.take_serial(1)?;
    board.serial().run("pouch start keys -- /bin/cat -v")?;
    second.send(b"\r")?.prompt()?.type_line("connect keys")?.expect("tty1 connected\n")?;
    board.machine().qmp.execute("chardev-send-break", json!({ "id": "serial1" }))?;
    second.send(b"one\r")?.expect("one\none\n")?;
    board.serial().type_line("connect keys")?.expect("tty1 connected\n")?;
    second.expect("[ttyS0 joined]\n")?.send(b"\x1d\x1d\x1d")?.expect("Console connected\n")?.prompt()?;
    board.serial().expect("[ttyS1 left]\n")?;
    board.machine().qmp.execute("chardev-send-break", json!({ "id": "serial0" }))?;
    // A key on its heels would be read as a second BREAK: QEMU's port keeps the mark until its queue is empty.
    until(&mut second, "grep -c '^0:.* brk:1 ' /proc/tty/driver/serial", "1")?;
    // Not the container's either: the kernel tells what its key can do.
    board.serial().send(b"h")?.expect("sysrq: HELP")?.send(b"two\r")?.expect("two\ntwo\n")?;
    second.type_line("connect keys")?.expect("tty1 connected\n")?.expect("two\ntwo\n")?;
    assert_eq!(
        board
            .serial()
            .send(b"\x1d\x1d\x1d")?
            .expect("Console connected\n")?
            .prompt()?
            .run("pouch logs keys | tail -n 4")?,
        "one\none\ntwo\ntwo"
    );
    second.send(b"\x1d\x1d\x1d")?.expect("Console connected\n")?.prompt()?;
    board.serial().run("pouch destroy keys")?;
    board.give_back(1, second);
    Ok(())
}

/// Pitfall 25, from its other side: who writes without end takes its own turn and nobody else's.
pub fn a_container_that_writes_without_end_holds_up_nobody(board: &mut BoardBed) -> Result<()> {
    let board = board.boot()?;
    let mut second = board.take_serial(1)?;
    board.serial().run("pouch start endless -- /bin/probe write; pouch start calm --tty tty3")?;
    second.send(b"\r")?.prompt()?.type_line("connect endless")?.expect("tty1 connected\n")?.expect("line ")?;
    let first = board.serial();
    first.type_line("connect calm")?.expect("tty3 connected\n")?.prompt()?;
    for number in 1..6 {
        assert_eq!(first.run(&format!("echo $(({number} * 7))"))?, (number * 7).to_string());
    }
    first.type_line("disconnect")?.expect("Console connected\n")?.prompt()?;
    // Who reads it has all of it, and leaves when he wants to.
    assert!(!second.transcript().contains("bytes lost"), "a line that is read lost something");
    second.send(b"\x1d\x1d\x1d")?.expect("Console connected\n")?.prompt()?;
    first.run("pouch destroy endless; pouch destroy calm")?;
    board.give_back(1, second);
    Ok(())
}

pub fn two_thousand_moves_lose_no_descriptor_and_no_byte(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    let before = serial.run("ls /proc/1/fd | wc -l")?;
    serial.run("pouch start c1 -- /bin/sh -c 'i=0; while :; do i=$((i+1)); echo moved $i; disconnect; done'")?;
    // Each return of the line is one number; those that were printed while it was away come with the next replay.
    let moves = "i=0; while [ $i -lt 1000 ]; do connect c1 || break; i=$((i+1)); done; echo $i times";
    serial.type_line(moves)?.expect_within(deadline::HEAVY, "1000 times\n")?.prompt()?;
    serial.run("pouch stop c1")?;
    let shown = serial.transcript();
    let numbers: Vec<u64> = shown.lines().filter_map(|line| line.strip_prefix("moved ")?.parse().ok()).collect();
    let Some(start) = numbers.first() else { return Err(serial.failure("nothing was shown")) };
    let lost: Vec<_> = numbers.iter().zip(*start..).filter(|(found, wanted)| *found != wanted).take(3).collect();
    assert!(lost.is_empty(), "{lost:?}");
    serial.run("pouch destroy c1")?;
    assert_eq!(serial.run("ls /proc/1/fd | wc -l")?, before, "descriptors of PID 1");
    Ok(())
}

/// Pitfalls 15, 16 and 25. (Setting the port's modes when the session ends waits for no byte to leave.)
pub fn a_line_that_nobody_reads_costs_the_others_nothing(board: &mut BoardBed) -> Result<()> {
    let board = board.start()?;
    let mut second = board.take_serial(1)?;
    board.serial().reach_prompt()?;
    let first = board.serial();
    second.send(b"\r")?.prompt()?;
    second.stop_reading(true);
    // On the slot of this line, which shows its host shell: a VT would show it all, and take its time.
    first.run("pouch start flood --tty tty0 -- /bin/probe write 3000000")?;
    second.send(b"connect flood\r")?;
    // QEMU's own buffers fill first. The flood comes to its end all the same, and this line works meanwhile.
    until(first, "sleep 1; grep STATE /run/pouch/cont_flood", "ended")?;
    // A minute of it, in which this line is worked on.
    let work = "i=0; while [ $i -lt 12 ]; do sleep 5; pouch run busy$i --tty none -- true </dev/null || echo $?; i=$((i+1)); done";
    assert_eq!(first.run_within(deadline::HEAVY, work)?, "");
    second.stop_reading(false);
    second.expect_within(deadline::HEAVY, " bytes lost]\n")?;
    second.expect_within(deadline::HEAVY, "flood exited with status 0\n")?.expect("Console connected\n")?.prompt()?;
    assert_eq!(first.run("pouch destroy flood")?, "Pouch: flood destroyed");
    Ok(())
}

/// A port on the PCI bus, whose other end is a socket of the test's.
fn hot_port(board: &mut BoardBed) -> PathBuf {
    let path = std::env::temp_dir().join(format!("pouch-port-{}", std::process::id()));
    let chardev = format!("socket,id=hot,path={},server=on,wait=off", path.display());
    board.qemu_arguments(&["-chardev", &chardev, "-device", "pci-serial,id=port,chardev=hot"]);
    path
}

fn plug_in(path: &PathBuf) -> Result<Serial> {
    Serial::new("hot port", UnixStream::connect(path)?.into())
}

/// Pitfall 16: whoever closes a port that takes nothing waits half a minute. The command that brought it is dead, so
/// that is PID 1, which throws away what is left.
pub fn a_port_that_is_handed_over_and_never_read_holds_up_nobody(board: &mut BoardBed) -> Result<()> {
    let board = board.boot()?;
    let second = board.take_serial(1)?;
    second.stop_reading(true);
    let first = board.serial();
    first.run("pouch start flood --tty none -- /bin/probe write 3000000; set +m")?;
    first.run(
        "setsid connect flood </dev/ttyS1 >/dev/ttyS1 2>&1 & until pouch list | grep -q 'flood : ended'; do :; done",
    )?;
    first.run("killall -9 connect")?;
    assert_eq!(first.run("timeout 20 pouch list | grep -c flood; pouch destroy flood")?, "1\nPouch: flood destroyed");
    board.give_back(1, second);
    Ok(())
}

/// Pitfall 22.
pub fn a_port_that_is_pulled_out_comes_back_with_what_was_missed(board: &mut BoardBed) -> Result<()> {
    let path = hot_port(board);
    let board = board.start()?;
    board.serial().reach_prompt()?;
    let name = board.serial().run("ls -d /sys/bus/pci/drivers/serial/0*/tty/ttyS*")?;
    let Some(name) = name.rsplit('/').next().filter(|name| name.starts_with("ttyS")).map(str::to_owned) else {
        return Err(Error::new(format!("no port on the bus: {name}")));
    };
    let mut port = plug_in(&path)?;
    port.send(b"\r")?.prompt()?;
    board.serial().run("pouch start c1 --tty tty3")?;
    port.type_line("connect c1")?.expect("tty3 connected\n")?.prompt()?;
    board.serial().type_line("connect c1")?.expect("tty3 connected\n")?.prompt()?;
    port.expect("[ttyS0 joined]\n")?;
    // The cable is drawn on the other side: nobody here can know, and the line goes on.
    drop(port);
    let mut port = plug_in(&path)?;
    port.send(b"\r")?.prompt()?;
    // The port itself is drawn.
    board.machine().qmp.execute("device_del", json!({ "id": "port" }))?;
    board.serial().expect(&format!("[{name} hung up]\n"))?.send(b"\r")?.prompt()?;
    board.serial().run("echo missed by $((6 * 7))")?;
    drop(port);
    let limit = deadline::ANSWER.from_now();
    // The bus gives the slot back when the driver has let it go.
    while board
        .machine()
        .qmp
        .execute("device_add", json!({ "driver": "pci-serial", "id": "port", "chardev": "hot" }))
        .is_err()
    {
        if Instant::now() >= limit {
            return Err(board.serial().failure("the port could not be plugged in again"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut port = plug_in(&path)?;
    port.expect("missed by 42\n")?.send(b"\r")?.prompt()?;
    assert_eq!(port.run("hostname")?, "c1");
    board.serial().type_line("disconnect")?.expect("Console connected\n")?.prompt()?;
    assert_eq!(board.serial().run("pouch destroy c1")?, "Pouch: c1 destroyed");
    std::fs::remove_file(&path)?;
    Ok(())
}

/// What a VT shows, as text without the blanks at the end of its rows, and without what looks like a prompt here.
fn screen_of(serial: &mut Serial, number: u32) -> Result<String> {
    let size = serial.run(&format!("dd if=/dev/vcsa{number} bs=1 count=2 2>/dev/null | hexdump -e '2/1 \"%d \"'"))?;
    let columns = size.split_whitespace().nth(1).unwrap_or("80").to_owned();
    serial.run(&format!("fold -w {columns} /dev/vcs{number} | sed 's/ *$//; s/#/%/g' | grep ."))
}

pub fn the_keyboard_and_the_screen_are_lines_too(board: &mut BoardBed) -> Result<()> {
    let board = board.boot()?;
    board.serial().run("pouch start c1 --tty tty1")?;
    board.machine().qmp.keys(&["alt", "f2"])?;
    until(board.serial(), "cat /sys/class/tty/tty0/active", "tty2")?;
    // What Alt-F2 shows is the container of that slot, in the VT's own size.
    board.machine().qmp.type_text("hostname; stty size; echo $TERM\n")?;
    until(board.serial(), "pouch logs side | grep -o ^linux", "linux")?;
    let shown = screen_of(board.serial(), 2)?;
    let size = board.serial().run("stty -F /dev/tty2 size")?;
    assert!(shown.contains("\nside\n") && shown.contains(&format!("\n{size}\n")), "{size}: {shown}");
    // From a host shell on another VT one connects to it; the first is told.
    board.machine().qmp.keys(&["alt", "f3"])?;
    until(board.serial(), "cat /sys/class/tty/tty0/active", "tty3")?;
    let shells = "ps -o args | grep -c '^-s[h]'";
    let one_more = board.serial().run(shells)?.trim().parse::<u32>().unwrap_or(0) + 1;
    board.machine().qmp.type_text("\n")?;
    until(board.serial(), shells, &one_more.to_string())?;
    board.machine().qmp.type_text("connect side\n")?;
    until(board.serial(), "fold -w 80 /dev/vcs3 | grep -o 'tty2 connected'", "tty2 connected")?;
    let shown = screen_of(board.serial(), 2)?;
    assert!(shown.contains("[tty3 joined]"), "{shown}");
    board.machine().qmp.type_text("ps; echo picture\n")?;
    until(board.serial(), "fold -w 80 /dev/vcs3 | grep -o '^picture'", "picture")?;
    // The picture of it is kept for whoever wants to see.
    let folder = pouch_qemu::board::project_root()?.join("target/pictures");
    std::fs::create_dir_all(&folder)?;
    board.machine().qmp.screendump(&folder.join("vt.ppm"))?;
    board.machine().qmp.type_text("vi /tmp/poem\n")?;
    until(board.serial(), "fold -w 80 /dev/vcs3 | grep -c '^~'", "23")?;
    board.machine().qmp.type_text("iroses")?;
    board.machine().qmp.keys(&["esc"])?;
    board.machine().qmp.type_text("ZZ")?;
    until(board.serial(), "cat /tmp/poem", "roses")?;
    // top fills the screen that there is: its first row stays at the top, and a process is on the last.
    board.serial().run("echo 'for i in $(seq 60); do sleep 1000 & done; exec top' >/tmp/busy")?;
    board.machine().qmp.type_text("sh /tmp/busy\n")?;
    until(board.serial(), "fold -w 80 /dev/vcs3 | tail -n 1 | grep -o ' sleep 1000'", "sleep 1000")?;
    assert!(screen_of(board.serial(), 3)?.starts_with("Mem: "), "{}", screen_of(board.serial(), 3)?);
    board.machine().qmp.type_text("q")?;
    // A program left colours, letters and no cursor (pitfall 23), and the keyboard switched off (ioctl, KDSKBMODE,
    // K_OFF): the return puts all of it back.
    board.serial().run(
        "printf '\\033[31;44m\\033(0\\033[?25l' >/dev/tty3; probe syscall 16 0 19269 4 </dev/tty3; pouch destroy side",
    )?;
    board.machine().qmp.type_text("touch /tmp/typed\n")?;
    until(board.serial(), "ls /tmp/typed", "/tmp/typed")?;
    // The last letters in plain: each is a byte and its colours, 07.
    let plain = "dd if=/dev/vcsa3 bs=4 skip=1 2>/dev/null | tr -s '\\000' | grep -a -o -E 't.o.u.c.h.' | tail -n 1 | hexdump -C | head -n 1";
    assert!(board.serial().run(plain)?.contains("74 07 6f 07 75 07 63 07  68 07"), "{}", board.serial().run(plain)?);
    board.serial().run("rm /tmp/typed /tmp/poem /tmp/busy; pouch destroy c1")?;
    Ok(())
}

/// A container has the system console of a board without shell: what leaves it leads nowhere else.
pub const LOCKED: &str = "pouch.shell=none pouch.console=ttyS1 pouch.container=only,tty=tty0";

pub fn a_locked_board_has_no_shell_on_any_line(board: &mut BoardBed) -> Result<()> {
    let board = board.start()?;
    let mut second = board.take_serial(1)?;
    second.expect_within(deadline::BOOT, "This console is locked.\n")?;
    for _ in 0..3 {
        second.send(b"\r")?.expect("This console is locked.\n")?;
    }
    let first = board.serial().reach_prompt()?;
    assert_eq!(first.run("hostname; disconnect; echo still here")?, "only\nstill here");
    first.send(b"\x1d\x1d\x1d\r")?.prompt()?.expect_none("Console")?;
    first.type_line("exit")?.expect("only exited with status 0\n")?.expect("This console is locked.\n")?;
    for _ in 0..3 {
        first.send(b"\r")?.expect("This console is locked.\n")?;
    }
    first.expect_none("# ")?;
    second.expect_none("# ")?;
    Ok(())
}
