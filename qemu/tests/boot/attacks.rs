//! What the root of a default container tries against the host, and what each protection alone holds back
//!
//! The attacks are verbs of the probe. Each is refused in a default container, and each is done, or stopped
//! by nothing but the kernel's own reasons, where its one protection is taken away: so the test bites.

#[path = "../shared/hostile.rs"]
mod hostile;

use pouch_qemu::bed::BoardBed;
use pouch_qemu::serial::Serial;
use pouch_qemu::{Error, Result, deadline};
use std::collections::BTreeMap;

/// Runs a command in a container that ends, and gives what it printed.
fn output(serial: &mut Serial, options: &str, command: &str) -> Result<String> {
    let (words, status) = serial.run_status(&format!("pouch start att {options} -- {command}"))?;
    assert_eq!(status, 0, "{options}: {words}");
    // Until it ended: a container that did keeps its ring.
    serial.run("while ! grep -q 'STATE: ended' /run/pouch/cont_att; do :; done")?;
    let said = serial.run("pouch logs att")?;
    serial.run("pouch destroy att")?;
    Ok(said)
}

/// The answers of the attacks by their names.
fn attacks(serial: &mut Serial, options: &str, names: &str) -> Result<BTreeMap<String, i64>> {
    let said = output(serial, options, &format!("/bin/probe attack {names}"))?;
    let mut answers = BTreeMap::new();
    for line in said.lines() {
        if let Some((name, number)) = line.trim().split_once(' ')
            && let Ok(number) = number.parse()
        {
            answers.insert(name.to_owned(), number);
        }
    }
    Ok(answers)
}

/// Answers that are a refusal: EPERM, ESRCH, EBADF, EACCES, EROFS, ENOSYS, ENODATA, and death by the filter.
const REFUSALS: [i64; 8] = [-1, -3, -9, -13, -30, -38, -61, -1000];

/// What takes one protection away, and the attacks that it alone held back.
const LIFTED: [(&str, &str); 16] = [
    ("--cap-add SYS_ADMIN", "mount remount unmask fsopen open_tree clone3 setns hostname cgroup-remount"),
    (
        "--seccomp off",
        "unshare clone userfaultfd io_uring keyctl add_key personality vsock tiocsti tiocsti-high tioclinux",
    ),
    ("--cap-add BPF", "bpf"),
    ("--cap-add PERFMON", "perf"),
    ("--cap-add DAC_READ_SEARCH", "handle"),
    ("--cap-add SYS_MODULE", "module"),
    ("--cap-add SYS_BOOT", "reboot"),
    ("--cap-add SYS_TIME", "time"),
    ("--cap-add SYS_RESOURCE", "oom"),
    ("--device /dev/console:rw", "console"),
    ("--device /dev/kmsg:r --cap-add SYSLOG", "kmsg"),
    ("--ready fd:3", "descriptors"),
    ("--init", "parent"),
    // The board's processes are there, and it may trace whoever it likes.
    ("--config /srv/pids/container.json --cap-add SYS_PTRACE", "signal ptrace vm_readv proc-mem"),
    // It is in no cgroup namespace of its own.
    ("--config /srv/pids/container.json --cap-add SYS_ADMIN", "release_agent"),
    (
        "--privileged",
        "mem kcore console vt disk loop sysrq core_pattern timer_list interrupts sysfs cgroup-file cgroup-make mount bpf keyctl",
    ),
];

pub fn every_attack_is_refused_in_a_default_container(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    let mut answers = attacks(serial, "", "")?;
    assert!(answers.len() > 40, "{answers:?}");
    // What another processor's program would do is killed, or such a program is none to this kernel (ENOEXEC).
    let foreign = answers.remove("foreign");
    assert!(matches!(foreign, None | Some(-1000 | -8)), "{foreign:?}");
    for (name, answer) in &answers {
        // ENOENT: kernels for 32 bits have no kcore.
        let none = name == "kcore" && *answer == -2;
        assert!(none || REFUSALS.contains(answer), "{name}: {answer}");
    }
    assert_eq!(answers.get("clone3"), Some(&-38), "programs fall back on clone");
    assert_eq!(answers.get("no-call"), Some(&-38), "a tracer's way to make a call nothing does not kill");
    if board.board.processor == "x86_64" {
        assert_eq!(answers.get("x32"), Some(&-1000), "another processor's calls kill");
    }
    Ok(())
}

pub fn each_attack_is_done_where_its_one_protection_is_gone(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    let foreign = attacks(serial, "", "foreign")?.remove("foreign");
    folder(serial, "/srv/pids")?;
    serial.run("echo '{\"namespaces\": [\"NEWNS\", \"NEWUTS\", \"NEWIPC\", \"NEWNET\"]}' >/srv/pids/container.json")?;
    for (options, names) in LIFTED {
        let answers = attacks(serial, options, names)?;
        // Debian's kernels have a further word about perf (EACCES): the filter's is another.
        let refused = |name: &&str| match answers.get(*name) {
            Some(-13) => false,
            Some(answer) => REFUSALS.contains(answer),
            None => true,
        };
        let held: Vec<_> = names.split(' ').filter(refused).collect();
        assert!(held.is_empty(), "{options}: {held:?} of {answers:?}");
    }
    // The copy of pouch is kept by its read-only mount alone: without that it is the container's to spoil, and only its own.
    let open = "/bin/sh -c 'mount -o remount,bind,rw /dev/pouch; exec /bin/probe attack own-file own-folder'";
    assert_eq!(output(serial, "--cap-add SYS_ADMIN", open)?, "own-file 3\nown-folder 3");
    if foreign.is_some() {
        let lifted = attacks(serial, "--seccomp off", "foreign x32")?;
        assert!(lifted.get("foreign").is_some_and(|answer| *answer >= 0 || foreign == Some(-8)), "{lifted:?}");
        assert_ne!(lifted.get("x32"), Some(&-1000), "it was the filter that killed");
    }
    serial.run("rm -r /srv/pids")?;
    // No more than was given.
    assert_eq!(attacks(serial, "--device /dev/kmsg:w --cap-add SYSLOG", "kmsg")?.get("kmsg"), Some(&-1));
    assert_eq!(attacks(serial, "--no-new-privs=no", "mount")?.get("mount"), Some(&-1));
    Ok(())
}

pub fn devices_are_given_by_name_or_refused_by_name(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    let read = "sh -c 'head -c 1 /dev/kmsg >/dev/null && ls -l /dev/kmsg && echo x >/dev/kmsg'";
    let said = output(serial, "--device /dev/kmsg:r --cap-add SYSLOG", read)?;
    assert!(said.contains("1,") && said.contains("Operation not permitted"), "{said}");
    for (path, reason) in [
        ("/dev/nope", "unable to open /dev/nope: No such file or directory"),
        ("/etc", "unable to open /etc: No such device"),
    ] {
        let (words, status) = serial.run_status(&format!("pouch start att --device {path}"))?;
        assert_eq!((words.as_str(), status), (format!("Pouch: att: {reason}").as_str(), 1));
    }
    let (words, status) = serial.run_status("pouch start att --device dev/kmsg")?;
    assert_eq!((words.contains("dev/kmsg"), status), (true, 2), "{words}");
    assert_eq!(serial.run("pouch list")?, "Pouch containers:");
    Ok(())
}

/// A boot whose kernel judges no use of devices.
pub const UNRULED: &str = "rdinit=/bin/probe -- inject bpf 38";

pub fn where_nothing_judges_devices_no_node_is_made_or_used(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    let names = "kmsg mem console vt disk loop";
    let answers = attacks(serial, "", names)?;
    for name in names.split(' ') {
        assert_eq!(answers.get(name), Some(&-1), "{name}: {answers:?}");
    }
    let line = "att: unable to set device rules for att: Function not implemented; no device node can be made in it";
    assert_ne!(serial.run(&format!("dmesg | grep -c '{line}'"))?, "0");
    // Nor is one used that somebody has left in the root; null and its like are there.
    folder(serial, "/srv/nodes")?;
    serial.run("mknod /srv/nodes/kmsg c 1 11; mknod /srv/nodes/null c 1 3")?;
    let look = "for n in /kmsg /null /dev/null; do head -c 1 $n >/dev/null 2>&1; echo $?; done; mknod /x c 1 3 2>/dev/null; echo $?";
    let wanted = "1\n1\n0\n1";
    assert_eq!(output(serial, "/srv/nodes", &format!("/bin/sh -c '{look}'"))?, wanted);
    serial.run("pouch start att /srv/nodes --tty none -- /bin/probe hold")?;
    assert_eq!(serial.run(&format!("pouch exec att /bin/sh -c '{look}' </dev/null | cat"))?, wanted);
    serial.run("pouch destroy att; rm -r /srv/nodes")?;
    Ok(())
}

pub fn root_of_a_user_namespace_is_nobody_on_the_host(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    let range = |serial: &mut Serial, name: &str| -> Result<String> {
        let pid = format!("$(sed -n 's/^PID: //p' /run/pouch/cont_{name})");
        let map = serial.run(&format!("cat /proc/{pid}/uid_map"))?;
        assert_eq!(map, serial.run(&format!("cat /proc/{pid}/gid_map"))?);
        let words: Vec<_> = map.split_whitespace().collect();
        let &["0", first, "65536"] = words.as_slice() else { return Err(Error::new(map)) };
        assert_eq!(serial.run(&format!("stat -c %u /proc/{pid}/status"))?, first);
        assert!(serial.run(&format!("pouch info {name}"))?.contains(&format!("USERNS: {first}")));
        Ok(first.to_owned())
    };
    let words = serial.run("pouch start u1 --userns -- /bin/probe hold; pouch start u2 --userns -- /bin/probe hold")?;
    // The image lies in memory, where this kernel maps no owners: said, and nobody's is safe.
    assert!(words.contains("Pouch: u2 starting"), "{words}");
    let (first, second) = (range(serial, "u1")?, range(serial, "u2")?);
    assert_ne!(first, second);
    serial.run("pouch restart u1")?;
    assert_eq!(range(serial, "u1")?, first);
    assert_eq!(
        serial.run(
            "pouch exec u1 sh -c 'id -u; stat -c %u /dev /dev/null; touch /tmp/made; >/tmp/made; stat -c %u /tmp/made'"
        )?,
        "0\n0\n0\n0"
    );
    assert_eq!(serial.run("stat -c %u /tmp/made; rm /tmp/made")?, first);
    assert_eq!(serial.run("pouch destroy u1; pouch destroy u2")?, "Pouch: u1 destroyed\nPouch: u2 destroyed");
    // With everything lifted, what is the host's is still not its own.
    let names = "core_pattern sysrq disk mem module reboot time oom handle cgroup-make";
    let answers = attacks(serial, "--userns --privileged", names)?;
    for name in names.split(' ') {
        // (Its own PID namespace is all that it may end by reboot(2): this kind of end is none, EINVAL.)
        let refused =
            matches!(answers.get(name), Some(-1 | -13)) || (name, answers.get(name)) == ("reboot", Some(&-22));
        assert!(refused, "{name}: {answers:?}");
    }
    // All its namespaces belong to its own users: NS_GET_USERNS names nobody's above the asker's own.
    let ioctl = match board.board.processor.as_str() {
        "x86_64" => 16,
        "aarch64" => 29,
        _ => 54,
    };
    let serial = board.boot()?.serial();
    let ask = format!(
        "/bin/sh -c 'for k in pid mnt net uts ipc cgroup; do exec 3</proc/self/ns/$k; /bin/probe syscall {ioctl} 3 46849; done'"
    );
    assert_eq!(output(serial, "--userns", &ask)?.split_whitespace().collect::<String>(), "444444");
    // So its root mounts a /proc of its processes, where nothing of the one that is there is hidden.
    let mount = "/bin/sh -c 'mount -t proc none /mnt && echo /mnt/[0-9]*; cat /mnt/1/comm; reboot -f; sleep 9'";
    assert_eq!(output(serial, "--userns --privileged", mount)?, "/mnt/1\nsh");
    assert_eq!(serial.run("echo the board lives")?, "the board lives");
    // Its own namespaces are its own; what was masked before it came in is locked.
    let answers = attacks(serial, "--userns --cap-add SYS_ADMIN", "hostname mount unmask remount")?;
    assert_eq!((answers.get("hostname"), answers.get("mount")), (Some(&0), Some(&0)), "{answers:?}");
    assert_eq!((answers.get("unmask"), answers.get("remount")), (Some(&-22), Some(&-1)), "{answers:?}");
    Ok(())
}

pub fn files_of_a_mapped_root_show_their_owners(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    // A root that cannot be mapped, which memory is for this kernel, is said in one line and holds all the same.
    folder(serial, "/srv/plain")?;
    assert_eq!(
        output(serial, "/srv/plain --userns", "/bin/sh -c 'stat -c %u /bin; >/new'")?.lines().next(),
        Some("65534")
    );
    let line = "att: unable to map the owners of /srv/plain: Invalid argument; its file system cannot";
    assert_eq!(serial.run(&format!("dmesg | grep -c '{line}'; ls /srv/plain/new 2>/dev/null; rm -r /srv/plain"))?, "1");
    // A file system that maps owners: ext4, on a piece of memory.
    serial.run(
        "modprobe -a loop crc32c_generic ext4 2>/dev/null; dd if=/dev/zero of=/tmp/disk bs=1M count=8; losetup /dev/loop0 /tmp/disk; mke2fs /dev/loop0",
    )?;
    serial.run("mkdir /mnt/u; mount -t ext4 /dev/loop0 /mnt/u && cp -r /bin /mnt/u; chown 7:8 /mnt/u/bin/probe")?;
    let command = "stat -c %u:%g /bin /bin/probe; echo x >/new; chown 5:6 /new; stat -c %u:%g /new";
    assert_eq!(output(serial, "/mnt/u --userns", &format!("/bin/sh -c '{command}'"))?, "0:0\n7:8\n5:6");
    assert_eq!(serial.run("stat -c %u:%g /mnt/u/new")?, "5:6");
    serial.run("umount /mnt/u; losetup -d /dev/loop0; rmdir /mnt/u; rm /tmp/disk")?;
    Ok(())
}

/// A folder with busybox and the probe, for roots that are not what they seem.
fn folder(serial: &mut Serial, path: &str) -> Result<()> {
    serial.run(&format!("mkdir -p {path} && cp -r /bin {path}"))?;
    Ok(())
}

pub fn pouchs_own_binary_cannot_be_overwritten(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    let sum = "cat /init /bin/pouch /proc/1/exe | md5sum";
    let before = serial.run(sum)?;
    folder(serial, "/srv/evil")?;
    // CVE-2019-5736: the command is whatever executes it. What runs then is pouch, and its file is opened to be
    // written as soon as nobody runs it any more.
    serial.run("printf '#!/proc/self/exe\\n' >/srv/evil/bin/entry; ln -s /proc/self/exe /srv/evil/bin/link")?;
    serial.run("chmod +x /srv/evil/bin/entry; printf '#!/bin/sh\\nexec 3<>/proc/1/exe && echo open\\nfor i in 0 1 2 3 4 5 6 7 8 9; do echo evil >/proc/1/fd/$i; echo evil >/proc/$PPID/exe; done; sleep 1\\n' >/srv/evil/bin/over; chmod +x /srv/evil/bin/over")?;
    for command in ["/bin/entry", "/bin/link", "/proc/self/exe", "/proc/self/fd/3", "/proc/self/fd/7"] {
        serial.run(&format!("pouch start evil /srv/evil -- {command}; pouch destroy evil"))?;
    }
    serial.run("pouch start evil /srv/evil -- /bin/sh -c 'while :; do for p in /proc/[0-9]*; do { echo evil >$p/exe; } 2>/dev/null && echo WROTE; done; done'")?;
    // Whoever goes in has nothing of the host's for its program: not the file that was called.
    serial.run("pouch exec evil /bin/sleep 9999 </dev/null >/dev/null & p=$!")?;
    let program = "until pouch exec evil ps | grep -q '[9]999'; do :; done; readlink /proc/$p/exe";
    assert_eq!(serial.run(program)?, "/memfd:pouch (deleted)");
    serial.run("kill $p; wait $p")?;
    for command in ["/bin/entry", "/bin/link list", "/proc/self/exe", "/bin/over"] {
        serial.run(&format!("pouch exec evil {command}"))?;
    }
    let said = serial.run("pouch logs evil | grep -c WROTE; pouch destroy evil")?;
    assert!(said.contains("0\n") && said.contains("Pouch: evil destroyed"), "{said}");
    assert_eq!(serial.run(sum)?, before);
    assert_eq!(serial.run("pouch list")?, "Pouch containers:");
    Ok(())
}

pub fn no_descriptor_and_no_folder_leads_out(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    // CVE-2024-21626: every descriptor that the launch may hold, as the working directory.
    let tries = "for i in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do \
        for w in /proc/self/fd/$i /proc/self/fd/$i/..; do pouch start out --cwd $w -- /bin/sh -c 'pwd; ls; cat /proc/self/cwd/cgroup.procs' 2>/dev/null && sleep 0 && pouch logs out; \
        pouch destroy out >/dev/null 2>&1; done; done; echo end";
    let said = serial.run(tries)?;
    assert!(!said.contains("pids.max") && !said.contains("unreachable") && !said.contains("starting"), "{said}");
    // Roots whose folders are links to the host's, or that become so (CVE-2021-30465, CVE-2025-31133).
    for name in ["proc", "sys", "dev", "dev/pts", "dev/console"] {
        folder(serial, "/srv/links")?;
        serial.run(&format!(
            "cd /srv/links; mkdir -p $(dirname {name}); ln -s /tmp/outside {name}; mkdir -p /tmp/outside; cd"
        ))?;
        let (words, status) = serial.run_status("pouch start links /srv/links -- /bin/true")?;
        // /dev is a mount of its own, so what an image has below it is covered and harms nobody.
        assert_eq!(status, i32::from(!name.contains('/')), "{name}: {words}");
        assert_eq!(serial.run("ls -A /tmp/outside; pouch destroy links >/dev/null 2>&1; rm -r /srv/links")?, "");
    }
    Ok(())
}

pub fn what_comes_in_by_the_socket_cannot_hurt(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    serial.run(
        "pouch start victim --tty none -- /bin/probe hold; pouch start forger --tty none -- /bin/probe forge victim",
    )?;
    serial.run_within(deadline::HEAVY, "until pouch logs forger | grep -q forged; do sleep 0.2; done")?;
    let said = serial.run("pouch logs forger")?;
    // It may leave (3); about others it is told nothing.
    assert!(said.contains("answered 3") && said.contains("refused 255"), "{said}");
    assert!(serial.run("pouch list")?.contains("victim : started"));
    // What holds it back is whose socket it comes by: by the host's the same bytes are done (6 is to destroy it).
    let (said, status) = serial.run_status("/bin/probe forge victim /run/pouch/control 6")?;
    assert_eq!((said.as_str(), status), ("answered 6", 0));
    assert_eq!(
        serial.run("pouch destroy forger; pouch destroy victim")?,
        "Pouch: forger destroyed\nPouch: victim container not found"
    );
    Ok(())
}

pub fn bombs_and_floods_stay_inside(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    // Processes: as many as it may have, and the host has others.
    for (options, refused) in [("", true), ("--pids.max 1060", false)] {
        let command = "/bin/sh -c '/bin/probe orphans 1040 1040; exec /bin/probe hold'";
        serial.run(&format!("pouch start many {options} --tty none -- {command}"))?;
        serial.run("until pouch logs many | grep -q holding; do :; done")?;
        let events = serial.run("cat /sys/fs/cgroup/pouch/many/pids.events; pouch destroy many >/dev/null")?;
        assert_eq!(events.trim() != "max 0", refused, "{options}: {events}");
    }
    serial.run("pouch start bomb -- /bin/probe bomb")?;
    serial.run("until grep -q 'max [1-9]' /sys/fs/cgroup/pouch/bomb/pids.events; do :; done")?;
    assert_eq!(serial.run("ls / >/dev/null && echo lives; pouch destroy bomb")?, "lives\nPouch: bomb destroyed");
    // Two of them may have more than there are on a small board, and still the host has others.
    serial.run("pouch start bomb1 --tty none -- /bin/probe bomb; pouch start bomb2 --tty none -- /bin/probe bomb")?;
    for bomb in ["bomb1", "bomb2"] {
        serial.run(&format!("until grep -q 'max [1-9]' /sys/fs/cgroup/pouch/{bomb}/pids.events; do :; done"))?;
    }
    assert_eq!(serial.run("ls / >/dev/null && pouch list | grep -c bomb")?, "2");
    assert_eq!(
        serial.run("pouch destroy bomb1; pouch destroy bomb2")?,
        "Pouch: bomb1 destroyed\nPouch: bomb2 destroyed"
    );
    // Memory: it is the container that goes, not the shell.
    serial.run("pouch start eater --tty none -- /bin/probe eat")?;
    serial.run("while ! grep -q 'STATE: ended' /run/pouch/cont_eater; do :; done")?;
    let (end, last) = (
        serial.run("grep EXIT /run/pouch/cont_eater")?,
        serial.run("pouch logs eater | tail -n 1; dmesg | grep -i kill")?,
    );
    assert!(end.contains("signal 9"), "{end} {last}");
    assert_eq!(serial.run("pouch destroy eater")?, "Pouch: eater destroyed");
    // No more memory than it may have; without that word it may.
    for (options, last) in [("--memory.max 12M", "STATE: ended"), ("", "holding")] {
        serial.run(&format!("pouch start eater {options} --tty none -- /bin/probe eat 24"))?;
        serial
            .run(&format!("until {{ cat /run/pouch/cont_eater; pouch logs eater; }} | grep -q '{last}'; do :; done"))?;
        serial.run("pouch destroy eater")?;
    }
    // Terminals, descriptors, inodes: the host and another container still have theirs.
    for kind in ["ptys", "descriptors", "files /dev/shm", "files /dev", "mounts /tmp", "cgroups /sys/fs/cgroup"] {
        serial.run(&format!("pouch start flood --tty none -- /bin/probe flood {kind}"))?;
        serial.run("until pouch logs flood | grep -q holding; do :; done")?;
        let words =
            serial.run("pouch start other -- /bin/true && pouch destroy other; ls / >/dev/null && echo lives")?;
        assert!(words.contains("Pouch: other starting") && words.ends_with("lives"), "{kind}: {words}");
        let took: usize = serial.run("pouch logs flood | sed -n 's/took //p'")?.trim().parse().unwrap_or(usize::MAX);
        assert!(took < 20_000, "{kind}: {took}");
        assert!(took == 0 || !matches!(kind, "mounts /tmp" | "cgroups /sys/fs/cgroup"), "{kind}: {took}");
        serial.run("pouch destroy flood")?;
    }
    // Watches of epoll(7), which the kernel counts for all who are root as one: PID 1 still has its own.
    serial.run("pouch start flood --tty none -- /bin/probe flood watches - 150000")?;
    serial.run("i=0; until [ $i = 99 ] || pouch logs flood 2>&1 | grep -q holding; do i=$((i+1)); sleep 0.2; done")?;
    assert_eq!(serial.run("pouch logs flood")?, "took 150000\nholding");
    assert_eq!(serial.run("pouch destroy flood")?, "Pouch: flood destroyed");
    // Each bound is what held: without it, one more than that is had. What it made goes with it.
    let limits = "{\"rootfs\": \"/\", \"rlimits\": [{\"type\": \"RLIMIT_NOFILE\", \"soft\": 9000, \"hard\": 9000}], \
        \"mounts\": [{\"source\": \"none\", \"destination\": \"/mnt/pts\", \"type\": \"devpts\", \"options\": \"ptmxmode=0666\"}]}";
    serial.run(&format!("mkdir -p /srv/more /mnt/pts; echo '{limits}' >/srv/more/container.json"))?;
    for (options, kind, most) in [
        ("--config /srv/more/container.json", "more-ptys -", 1100),
        ("--config /srv/more/container.json", "descriptors -", 4200),
        ("--tmpfs /mnt", "files /mnt", 4200),
        ("--cap-add SYS_ADMIN", "mounts /tmp", 300),
        ("--privileged", "cgroups /sys/fs/cgroup", 30),
    ] {
        serial.run(&format!("pouch start flood {options} --tty none -- /bin/probe flood {kind} {most}"))?;
        serial.run("until pouch logs flood | grep -q holding; do :; done")?;
        assert_eq!(serial.run("pouch logs flood | sed -n 's/took //p'")?, most.to_string(), "{options}: {kind}");
        assert_eq!(serial.run("pouch destroy flood")?, "Pouch: flood destroyed");
    }
    serial.run("rm -r /srv/more /mnt/pts")?;
    Ok(())
}

pub fn what_a_container_prints_does_not_work_on_the_terminal_that_shows_it(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    serial.run("D=/tmp/$(printf 'x\\033[31m\\302\\233y'); mkdir \"$D\" && cp -r /bin \"$D\"")?;
    serial.run(
        "pouch start esc \"$D\" --tty none -- /bin/sh -c 'printf \"a\\033]0;evil\\007b\\302\\2332Jc\\n\"; sleep 100'",
    )?;
    serial.run("until pouch logs esc | grep -q a; do :; done")?;
    let count = |serial: &mut Serial, command: &str| serial.run(&format!("{command} | tr -dc '\\033\\007' | wc -c"));
    for command in
        ["pouch list", "pouch info esc", "cat /run/pouch/cont_esc", "pouch info esc --json", "dmesg | tail -20"]
    {
        assert_eq!(count(serial, command)?.trim(), "0", "{command}");
    }
    // Raw where it goes into a file; a person's terminal gets letters.
    assert_eq!(count(serial, "pouch logs esc")?.trim(), "2");
    let said = serial.run("pouch logs esc")?;
    assert!(said.contains("a?]0;evil?b") && !said.contains('\u{9b}'), "{said:?}");
    serial.run("pouch destroy esc; rm -r \"$D\"")?;
    Ok(())
}

pub fn names_that_change_under_a_start_lead_nowhere(board: &mut BoardBed) -> Result<()> {
    hostile::race(board.boot()?.serial(), 3)
}

pub fn what_joins_is_out_of_reach_until_it_is_the_command(board: &mut BoardBed) -> Result<()> {
    hostile::lurk(board.boot()?.serial(), 10)
}

pub fn what_joins_has_no_more_than_those_who_trace_it(board: &mut BoardBed) -> Result<()> {
    hostile::pounce(board.boot()?.serial(), 3)
}

pub fn what_pid_1_closes_for_a_container_does_not_hold_it(board: &mut BoardBed) -> Result<()> {
    hostile::close(board.boot()?.serial(), &["handed", "litter"])
}

pub fn messages_that_are_nearly_right_cost_nothing(board: &mut BoardBed) -> Result<()> {
    hostile::storm(board.boot()?.serial(), 7, 150)
}
