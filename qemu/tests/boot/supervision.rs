//! Another root, the watchdog, crashes that end the board

use pouch_qemu::bed::BoardBed;
use pouch_qemu::board::Board;
use pouch_qemu::{Error, Result, deadline};

/// Kernel words of the boots here. The clock of softdog is the kernel's own.
pub const WATCHDOG: &str = "pouch.modules=softdog pouch.watchdog=/dev/watchdog,4 pouch.log=debug";
/// A watchdog on PCI, with the Pi's kernel, which knows it, on a machine that has PCI.
pub const PCI_WATCHDOG: &str = "console=ttyAMA0 pouch.modules=i6300esb pouch.watchdog=/dev/watchdog,4 pouch.log=debug";
pub const NO_ROOT: &str = "pouch.modules=ext4 pouch.root=/dev/nothing pouch.container=never,tty=none";
pub const ON_CRASH: &str = "pouch.on-crash=halt";

pub fn a_hung_pid_1_resets_the_board(board: &mut BoardBed) -> Result<()> {
    let board = board.boot()?;
    let serial = board.serial();
    // It is fed, also over a crash: twice its time passes.
    serial.run("kill -SEGV 1; pouch list; ls -l /proc/1/fd | grep -c /dev/watchdog")?;
    assert_eq!(serial.run("sleep 9; ls -l /proc/1/fd | grep -c /dev/watchdog")?, "1");
    serial.type_line("probe halt 1")?;
    board.expect_reboot()
}

pub fn the_board_is_left_to_the_watchdog_when_what_must_be_ready_is_not(board: &mut BoardBed) -> Result<()> {
    let board = board.start()?;
    board.serial().reach_prompt()?.run("pouch start must --restart always --ready fd:3 --tty none -- probe hold")?;
    board.serial().expect_within(deadline::HEAVY, "softdog: Initiating system reboot")?;
    board.expect_reboot()
}

/// As above, by a device that knows nothing of the kernel's clock.
pub fn a_hung_pid_1_is_reset_by_a_device(board: &mut BoardBed) -> Result<()> {
    let machine = &mut board.board;
    (machine.machine, machine.cpu, machine.dtb) = ("virt".to_owned(), "cortex-a53".to_owned(), None);
    (machine.serials, machine.console_serial) = (1, 0);
    board.qemu_arguments(&["-device", "i6300esb"]);
    a_hung_pid_1_resets_the_board(board)
}

pub fn a_crash_reboots_the_board_where_it_is_told_to(board: &mut BoardBed) -> Result<()> {
    let board = board.boot()?;
    board.serial().type_line("kill -SEGV 1")?;
    board.expect_reboot()
}

pub fn a_crash_halts_the_board_where_it_is_told_to(board: &mut BoardBed) -> Result<()> {
    let board = board.boot()?;
    board.serial().type_line("kill -SEGV 1")?;
    board.expect_halt()
}

pub fn a_root_that_is_not_there_is_named_and_the_rescue_shell_comes(board: &mut BoardBed) -> Result<()> {
    let serial = board.start()?.serial();
    serial.expect_within(
        deadline::BOOT,
        "Pouch: pouch.root: unable to switch to /dev/nothing: No such file or directory; no containers, the rescue shell",
    )?;
    assert_eq!(serial.prompt()?.run("pouch list")?, "Pouch containers:");
    Ok(())
}

/// The words that make the board's disk its root.
#[must_use]
pub fn root(board: &Board) -> String {
    let modules = if card(board) { "bcm2835" } else { "virtio_pci,virtio_blk" };
    format!("pouch.modules={modules} pouch.root={},ext4", disk(board))
}

/// Whether the board has a slot for a card, and no bus for a disk.
fn card(board: &Board) -> bool {
    board.machine == "raspi3b"
}

fn disk(board: &Board) -> &'static str {
    if card(board) { "/dev/mmcblk0" } else { "/dev/vda" }
}

/// A disk that lies in a file as long as the boots.
pub fn a_disk_becomes_the_root_and_containers_pivot_on_it(board: &mut BoardBed) -> Result<()> {
    let disk = std::env::temp_dir().join(format!("pouch-root-{}-{}", board.board.name, std::process::id()));
    std::fs::File::create(&disk)?.set_len(64 << 20)?;
    if card(&board.board) {
        board.qemu_arguments(&["-drive", &format!("file={},if=sd,format=raw", disk.display())]);
    } else {
        let drive = format!("file={},if=none,id=d0,format=raw", disk.display());
        board.qemu_arguments(&["-drive", &drive, "-device", "virtio-blk-pci,drive=d0"]);
    }
    let tried = root_twice(board);
    board.qemu_arguments(&[]);
    std::fs::remove_file(&disk)?;
    tried
}

fn root_twice(board: &mut BoardBed) -> Result<()> {
    let (disk, slow) = (disk(&board.board), board.board.processor == "armv7" || card(&board.board));
    // Nothing on it: that is named, and the rescue shell makes a root of it.
    let running = board.start()?;
    running.serial().expect_within(deadline::BOOT, &format!("unable to switch to {disk}: Invalid argument"))?;
    let serial = running.serial().prompt()?;
    serial.run(&format!("mke2fs {disk} >/dev/null 2>&1; mkdir /mnt; mount -t ext4 {disk} /mnt"))?;
    serial.run_within(deadline::HEAVY, "cp -a /bin /sbin /etc /init /lib /root /srv /usr /mnt; mkdir -p /mnt/var/lib/pouch; echo disk >/mnt/etc/hostname; umount /mnt; echo ok")?;
    serial.type_line("reboot")?;
    running.expect_reboot()?;
    // The same disk: now it is the root.
    let running = board.start()?;
    let serial = running.serial().reach_prompt()?;
    assert_eq!(serial.run(&format!("hostname; grep -c '^{disk} / ext4 rw' /proc/mounts"))?, "disk\n1");
    for place in ["/proc", "/sys", "/dev", "/dev/pts", "/run", "/tmp", "/sys/fs/cgroup"] {
        assert_eq!(serial.run(&format!("grep -c ' {place} ' /proc/mounts"))?, "1", "{place}");
    }
    assert_eq!(
        serial.run("ls -d /.pouch-root 2>&1 | grep -c 'No such'; readlink /proc/1/root; readlink /proc/1/cwd")?,
        "1\n/\n/"
    );
    serial.run("echo kept >/srv/note; sync; pouch start web /srv/web --tty none -- /bin/sh -c 'ls /; sleep 1000'")?;
    assert_eq!(
        serial.run("cut -d ' ' -f 2 /proc/$(sed -n 's/^PID: //p' /run/pouch/cont_web)/mounts | grep -c '^/$'")?,
        "1"
    );
    serial.type_line("busybox reboot")?;
    running.expect_reboot()?;
    if slow {
        // The rest is the same on every board, and these take their time to boot.
        return Ok(());
    }
    let running = board.start()?;
    running.serial().expect_within(deadline::BOOT, "Pouch: the last end: reboot, asked for by SIGTERM")?;
    let serial = running.serial().prompt()?;
    assert_eq!(
        serial.run("cat /srv/note; dmesg | grep -c 'EXT4-fs.*recovery'")?,
        "kept\n0",
        "it was not unmounted in order"
    );
    // The power fails, once what the boot wrote is on the disk.
    serial.run("sync")?;
    running.machine().kill();
    board.start()?.serial().expect_within(deadline::BOOT, "Pouch: the last end: it came without a word")?;
    Ok(())
}

/// What lies on a file of a frozen file system is neither written nor unmounted, for ever.
pub fn a_file_system_that_hangs_does_not_hold_the_end(board: &mut BoardBed) -> Result<()> {
    let board = board.boot()?;
    let serial = board.serial();
    serial.run("modprobe loop; cd /tmp; mkdir outer inner; truncate -s 32M disk; mke2fs -F disk >/dev/null 2>&1")?;
    serial.run("losetup /dev/loop0 disk; mount -t ext4 /dev/loop0 outer; truncate -s 16M outer/disk")?;
    serial
        .run("mke2fs -F outer/disk >/dev/null 2>&1; losetup /dev/loop1 outer/disk; mount -t ext4 /dev/loop1 inner")?;
    assert_eq!(serial.run("fsfreeze --freeze outer; echo $?; echo lost >inner/file; cd")?, "0");
    // Not busybox's own, which the shell prefers: that one syncs before it says anything, and hangs as well.
    serial.type_line("pouch poweroff")?.expect("the board powers off now")?;
    board.expect_power_off()
}

/// Boots whose PID 1 has a seccomp filter from its first instruction on, and what it says of a start then.
pub const INJECTED: [(&str, &str, &str); 3] = [
    ("refused openat2", "rdinit=/bin/probe -- inject openat2 38", "unable to create /proc: Function not implemented"),
    (
        "refused capset",
        "rdinit=/bin/probe -- inject capset 1",
        "unable to set capabilities c1: Operation not permitted",
    ),
    (
        "refused pivot_root",
        "rdinit=/bin/probe -- inject pivot_root 22",
        "unable to pivot_root into /srv/web: Invalid argument",
    ),
];

pub fn a_call_that_the_kernel_refuses_costs_a_start_and_no_more(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    let words = serial.run("cat /proc/cmdline")?.replace('\n', "");
    let Some((_, _, reason)) = INJECTED.iter().find(|(_, call, _)| words.ends_with(call)) else {
        return Err(Error::new(format!("nothing is injected by '{words}'")));
    };
    let count = "ls /proc/1/fd | wc -l; wc -l </proc/mounts; ls /sys/fs/cgroup/pouch | wc -l; ls /run/pouch | wc -l";
    let before = serial.run(count)?;
    for _ in 0..3 {
        let (said, status) = serial.run_status("pouch start c1 /srv/web --tty none -- /bin/true")?;
        assert_eq!((said.as_str(), status), (format!("Pouch: c1: {reason}").as_str(), 1));
    }
    assert_eq!(serial.run(count)?, before, "descriptors, mounts, cgroups, files");
    assert_eq!(serial.run("pouch list; dmesg | grep -c 'PID 1 crashed'")?, "Pouch containers:\n0");
    Ok(())
}
