//! What the root of a default container tries against the host, and what each protection alone holds back
//!
//! The attacks are verbs of the probe. Each is refused in a default container, and each is done, or stopped
//! by nothing but the kernel's own reasons, where its one protection is taken away: so the test bites.

use pouch_qemu::Result;
use pouch_qemu::bed::BoardBed;
use pouch_qemu::serial::Serial;
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

/// Answers that are a refusal: EPERM, EBADF, EACCES, EROFS, ENOSYS, ENODATA, and death.
const REFUSALS: [i64; 7] = [-1, -9, -13, -30, -38, -61, -1000];

/// What takes one protection away, and the attacks that it alone held back.
const LIFTED: [(&str, &str); 12] = [
    ("--cap-add SYS_ADMIN", "mount remount unmask fsopen open_tree clone3 setns hostname"),
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
    (
        "--privileged",
        "mem console disk loop sysrq core_pattern timer_list interrupts sysfs cgroup-file cgroup-make mount bpf keyctl",
    ),
];

pub fn every_attack_is_refused_in_a_default_container(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    let answers = attacks(serial, "", "")?;
    assert!(answers.len() > 40, "{answers:?}");
    for (name, answer) in &answers {
        assert!(REFUSALS.contains(answer), "{name}: {answer}");
    }
    assert_eq!(answers.get("clone3"), Some(&-38), "programs fall back on clone");
    if board.board.processor == "x86_64" {
        assert_eq!(answers.get("x32"), Some(&-1000), "another processor's calls kill");
    }
    Ok(())
}

pub fn each_attack_is_done_where_its_one_protection_is_gone(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
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

pub fn root_of_a_user_namespace_is_nobody_on_the_host(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    let range = |serial: &mut Serial, name: &str| -> Result<String> {
        let pid = format!("$(sed -n 's/^PID: //p' /run/pouch/cont_{name})");
        let map = serial.run(&format!("cat /proc/{pid}/uid_map"))?;
        assert_eq!(map, serial.run(&format!("cat /proc/{pid}/gid_map"))?);
        let words: Vec<_> = map.split_whitespace().collect();
        let &["0", first, "65536"] = words.as_slice() else { panic!("{map}") };
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
        assert!(matches!(answers.get(name), Some(-1 | -13)), "{name}: {answers:?}");
    }
    // Its own namespaces are its own; what was masked before it came in is locked.
    let answers = attacks(serial, "--userns --cap-add SYS_ADMIN", "hostname mount unmask remount")?;
    assert_eq!((answers.get("hostname"), answers.get("mount")), (Some(&0), Some(&0)), "{answers:?}");
    assert_eq!((answers.get("unmask"), answers.get("remount")), (Some(&-22), Some(&-1)), "{answers:?}");
    Ok(())
}

pub fn files_of_a_mapped_root_show_their_owners(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    // A file system that maps owners: ext4, on a piece of memory.
    serial.run(
        "modprobe loop; dd if=/dev/zero of=/tmp/disk bs=1M count=8; losetup /dev/loop0 /tmp/disk; mke2fs /dev/loop0",
    )?;
    serial.run("mkdir /mnt/u; mount -t ext4 /dev/loop0 /mnt/u && cp -r /bin /mnt/u; chown 7:8 /mnt/u/bin/probe")?;
    let command = "stat -c %u:%g /bin /bin/probe; echo x >/new; chown 5:6 /new; stat -c %u:%g /new";
    assert_eq!(output(serial, "/mnt/u --userns", &format!("/bin/sh -c '{command}'"))?, "0:0\n7:8\n5:6");
    assert_eq!(serial.run("stat -c %u:%g /mnt/u/new")?, "5:6");
    serial.run("umount /mnt/u; losetup -d /dev/loop0; rmdir /mnt/u; rm /tmp/disk")?;
    Ok(())
}
