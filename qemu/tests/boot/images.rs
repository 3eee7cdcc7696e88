//! Images on the real thing: overlay, loop devices and their file systems are modules there

use pouch_qemu::Result;
use pouch_qemu::bed::BoardBed;

/// An etc/what that says `squashed`, as mksquashfs and mkfs.erofs pack it, packed by gzip and in base64.
const SQUASHFS: &str = "H4sIAAAAAAACA8soLixmYYABJgZGIMnIIMhwAEiCxBOgMvyMEJodSv+Hgkyo/AIofQdK/4TSxYWlicUZqSlcpgwVt5JTKk6fYGA1YBMWMGY25J6xl0Xv/JkGLouDVQK/Zk7IyFxRl1IpphI11bGpUdSDmUFiK/MPDZC2hAaGNIUwhiQ1hdU2yhtbBLX6FsyUmGT0WaaBR8B4q4okQ7Qmy2yBBphbORnA3mA4BeULQ81g11jLsFR4gQkDtwLDwSdQSZYGEMnIyDAKRsEoGAWjYBSMglEwCkbBKBgFo2AUDF8AAFL8I3EAEAAA";
const EROFS: &str = "H4sIAAAAAAACA2NgGAWjYBSMVPDo4dcHT30ifzMD2TwMKgwsWNQwIrHTvVzv2ji6fF1oacS9YvHbbErtB9n31pGFwRLK/w8EyPIqUNqAgQnONgSy1aFsYyBbE8o2A7L19PSSMvNSS5JRzGdikEYyH9k/MHMkkMyXhJiDol8bST8Tkn5NuDsR+lWBbB24+Ywgs8ozEktw+n9JIyMDJ5L5zEjyxYWlicUZqSlco0l1FIyCUTAKRsEoGAWjYBRQAQAAnlO8/gAQAAA=";

pub fn an_image_of_the_store_runs_under_an_overlay(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    assert_eq!(serial.run("pouch images; grep -c overlay /proc/filesystems")?, "No images available.\n0");
    serial.run(
        "tar -czf /tmp/bb.tgz -C / bin/busybox bin/sh bin/ls bin/touch bin/cat bin/sleep; pouch import bb /tmp/bb.tgz",
    )?;
    let start = "i=0; while [ $i -lt 10 ]; do pouch start im$i bb --tty none -- /bin/sh -c 'touch /mine; exec sleep 1000'; i=$((i+1)); done";
    assert_eq!(serial.run(start)?.matches(" starting").count(), 10);
    assert_eq!(
        serial.run("grep -c overlay /proc/filesystems; until pouch exec im9 ls /mine; do :; done 2>/dev/null")?,
        "1\n/mine"
    );
    assert_eq!(serial.run("ls /var/lib/pouch/images/bb/root")?, "bin");
    // One that is built on it, by a container of its own.
    serial.run(
        "mkdir /srv/on; printf 'FROM bb\\nCOPY . /srv\\nRUN ls /srv >/seen\\nCMD cat /seen\\n' >/srv/on/Pouchfile",
    )?;
    let words =
        serial.run("pouch build /srv/on; pouch run on1 on </dev/null 2>&1 | cat; pouch rmi on; rm -r /srv/on")?;
    assert!(words.contains("Pouch: on built sha256:") && words.ends_with("Pouchfile\nPouch: on removed"), "{words}");
    assert_eq!(serial.run_status("pouch rmi bb")?, ("Pouch: bb: in use by im0, pouch destroy it first".into(), 1));
    serial.run("i=0; while [ $i -lt 10 ]; do pouch destroy im$i; i=$((i+1)); done")?;
    let list = serial.run("pouch images")?;
    assert!(list.starts_with("Pouch images:\n1. bb : ") && list.contains("M sha256:"), "{list}");
    assert_eq!(
        serial.run("pouch rmi bb; pouch images; rm /tmp/bb.tgz; ls -A /var/lib/pouch/images /run/pouch/stage")?,
        "Pouch: bb removed\nNo images available.\n/run/pouch/stage:\n\n/var/lib/pouch/images:"
    );
    Ok(())
}

pub fn image_files_are_roots_and_leave_no_loop_device(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    for (kind, packed) in [("squashfs", SQUASHFS), ("erofs", EROFS)] {
        serial.run(&format!("echo {packed} | base64 -d | gunzip >/tmp/{kind}.img"))?;
    }
    serial.run("truncate -s 8M /tmp/ext4.img; mke2fs -F /tmp/ext4.img >/dev/null 2>&1")?;
    let before = serial.run("wc -l </proc/mounts; ls /proc/1/fd | wc -l")?;
    for kind in ["squashfs", "erofs", "ext4"] {
        let start =
            format!("pouch start file /tmp/{kind}.img --mount /bin/busybox:/bin/sh --mount /bin/busybox:/bin/cat");
        assert_eq!(serial.run(&start)?, "Pouch: file starting", "{kind}");
        let shown = serial.run("cat /sys/block/loop*/loop/backing_file")?;
        assert!(shown.ends_with(&format!("/{kind}.img")) && shown.lines().count() == 1, "{shown}");
        if kind != "ext4" {
            assert_eq!(serial.run("pouch exec file cat /etc/what")?, "squashed", "{kind}");
        }
        serial.run("pouch destroy file")?;
        assert_eq!(serial.run("cat /sys/block/loop*/loop/backing_file 2>/dev/null")?, "", "{kind}");
        let (words, status) = serial.run_status(&format!("pouch start file /tmp/{kind}.img -- /bin/nothing"))?;
        assert_eq!(
            (words.as_str(), status),
            ("Pouch: file: unable to execute /bin/nothing: No such file or directory", 1)
        );
        assert_eq!(serial.run("cat /sys/block/loop*/loop/backing_file 2>/dev/null")?, "", "{kind}");
    }
    // An image of the store for other users, where its file system maps owners.
    serial.run("mkdir -p /var/lib/pouch/images /srv/ub/bin; cp /bin/busybox /srv/ub/bin/sh; ln /srv/ub/bin/sh /srv/ub/bin/stat")?;
    serial.run("echo x >/srv/ub/mine; chown 7:8 /srv/ub/mine; mount -t ext4 -o loop /tmp/ext4.img /var/lib/pouch/images; pouch import ub /srv/ub")?;
    let command = "stat -c %u:%g /bin/sh /mine; >/new; stat -c %u:%g /new";
    assert_eq!(
        serial.run(&format!("pouch run ub ub --userns -- /bin/sh -c '{command}' </dev/null 2>&1 | cat"))?,
        "0:0\n7:8\n0:0"
    );
    serial.run("pouch rmi ub; umount /var/lib/pouch/images; rm -r /srv/ub")?;
    assert_eq!(serial.run("rm /tmp/*.img; wc -l </proc/mounts; ls /proc/1/fd | wc -l")?, before);
    Ok(())
}
