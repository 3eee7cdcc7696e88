//! Roots of containers: images of the store, image files, what is kept, who runs in them

use crate::Fresh;
use pouch_qemu::Result;
use pouch_qemu::serial::Serial;

/// A root of busybox alone, as an image of the store without a config.
const BY_HAND: &str = "r=/var/lib/pouch/images/hand/root; mkdir -p $r/bin $r/etc; cp /bin/busybox $r/bin; \
    for a in sh ls cat id touch mount grep stat sleep echo pwd env; do ln -s busybox $r/bin/$a; done";

/// Makes the machine's loop devices known to the namespace.
const LOOPS: &str = "mknod /dev/loop-control c 10 237; for i in 0 1 2 3 4 5 6 7; do mknod /dev/loop$i b 7 $i; done";

/// What must be the same after as before: mounts, loop devices in use, PID 1's descriptors, files of the run folder.
fn held(serial: &mut Serial) -> Result<String> {
    serial.run("wc -l </proc/mounts; cat /sys/block/loop*/loop/backing_file | grep -c roots.img; ls /proc/1/fd | wc -l; ls -A /run/pouch /run/pouch/stage")
}

pub fn an_image_is_shared_and_what_is_written_goes(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    serial.run(BY_HAND)?;
    let before = held(serial)?;
    for name in ["ra1", "ra2"] {
        let start = format!("pouch start {name} hand -- /bin/sh -c 'touch /mine /etc/mine; exec sleep 1000'");
        assert_eq!(serial.run(&start)?, format!("Pouch: {name} starting"));
    }
    assert!(serial.run("grep IMAGE /run/pouch/cont_ra1")?.contains("IMAGE: hand"));
    assert_eq!(
        serial.run("until pouch exec ra1 ls /etc/mine; do :; done; pouch exec ra2 ls /")?.lines().next(),
        Some("/etc/mine")
    );
    assert_eq!(
        serial.run("pouch exec ra1 grep -c ' / overlay rw' /proc/mounts; ls $r $r/etc")?,
        "1\n/var/lib/pouch/images/hand/root:\nbin  etc\n\n/var/lib/pouch/images/hand/root/etc:"
    );
    serial.run("pouch destroy ra1; pouch destroy ra2")?;
    assert_eq!(serial.run("ls $r/etc")?, "");
    assert_eq!(serial.run_status("pouch start ra1 nothing")?, ("Pouch: ra1: no image nothing in the store".into(), 1));
    // The working directory is made, and a read-only root is one.
    serial.run("pouch start ra1 hand --read-only --cwd /deep/er --tty none -- /bin/sh -c 'pwd; touch /x'")?;
    let log = serial.run("while [ -e /run/pouch/cont_ra1 ] && ! grep -q ended /run/pouch/cont_ra1; do :; done; pouch logs ra1; pouch destroy ra1")?;
    assert!(log.starts_with("/deep/er\n") && log.contains("Read-only file system"), "{log}");
    assert_eq!(held(serial)?, before);
    Ok(())
}

pub fn what_is_kept_is_found_again(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    serial.run(BY_HAND)?;
    for kept in ["/srv/deep/kept", "mine"] {
        let run = |script: &str| {
            format!(
                "pouch start rb1 hand --persist {kept} --tty none -- /bin/sh -c '{script}'; \
                while [ -e /run/pouch/cont_rb1 ] && ! grep -q ended /run/pouch/cont_rb1; do :; done; pouch logs rb1; pouch destroy rb1"
            )
        };
        serial.run(&run("echo treasure >/kept; rm -r /etc"))?;
        let found = serial.run(&run("cat /kept; ls -d /etc"))?;
        assert!(found.contains("\ntreasure\n") && found.contains("/etc: No such file"), "{found}");
    }
    assert_eq!(serial.run("ls /var/lib/pouch/containers /srv/deep/kept; ls -d $r/etc")?.lines().count(), 6);
    Ok(())
}

pub fn an_image_file_is_a_root_and_its_loop_device_goes(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    serial.run(LOOPS)?;
    let make = format!(
        "{BY_HAND}; truncate -s 8M /srv/roots.img; mke2fs -F /srv/roots.img >/dev/null 2>&1; \
        mount -t ext4 -o loop /srv/roots.img /mnt; cp -a $r/. /mnt; umount /mnt; sync"
    );
    serial.run(&make)?;
    let before = held(serial)?;
    assert_eq!(serial.run("pouch start rc1 /srv/roots.img")?, "Pouch: rc1 starting");
    assert_eq!(
        serial.run("pouch start rc2 /srv/roots.img; pouch exec rc2 touch /new; pouch exec rc2 ls -d /new")?,
        "Pouch: rc2 starting\n/new"
    );
    assert_eq!(serial.run("cat /sys/block/loop*/loop/backing_file | grep -c roots.img")?, "2");
    serial.run("pouch destroy rc1; pouch destroy rc2")?;
    assert_eq!(held(serial)?, before);
    // What fails after the device was taken lets it go.
    for (command, words) in [
        ("/srv/roots.img -- /bin/nothing", "execute /bin/nothing: No such file or directory"),
        ("/srv/roots.img --user nobody2", "find user nobody2: No such file or directory"),
        ("/srv/roots.img --mount /nowhere:/x", "mount /nowhere: No such file or directory"),
        ("/srv/cut.img", "mount /srv/cut.img: Invalid argument"),
        ("/etc/passwd", "mount /etc/passwd: Not a directory"),
    ] {
        serial.run("head -c 4096 /srv/roots.img >/srv/cut.img")?;
        let failed = format!("Pouch: rc3: unable to {words}");
        assert_eq!(serial.run_status(&format!("pouch start rc3 {command}"))?, (failed, 1), "{command}");
    }
    serial.run("rm /srv/cut.img")?;
    assert_eq!(held(serial)?, before);
    Ok(())
}

pub fn mounts_stay_inside_and_leave_nothing_on_the_host(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    serial.run(BY_HAND)?;
    serial.run("mkdir -p /srv/d /srv/run $r/run $r/srv/run; touch /srv/d/note; ln -s /run $r/var; ln -s /../../../srv/run $r/out")?;
    let start = "pouch start rd1 hand --mount /srv/d:/var/deep --mount /srv/d/note:/out/file:ro --tmpfs /tmp/x";
    assert_eq!(serial.run(start)?, "Pouch: rd1 starting");
    assert_eq!(
        serial.run("pouch exec rd1 ls /run/deep /srv/run/file; ls /srv/run /run/deep 2>&1")?,
        "/srv/run/file\n\n/run/deep:\nnote\nls: /run/deep: No such file or directory\n/srv/run:"
    );
    serial.run("pouch destroy rd1")?;
    // The host's own root keeps no folder for a mount.
    let missing = "Pouch: rd1: unable to mount /mnt/new: No such file or directory";
    assert_eq!(serial.run_status("pouch start rd1 --mount /srv/d:/mnt/new; ls /mnt")?.0, missing);
    assert_eq!(
        serial.run_status("pouch start rd1 --mount /nowhere:/mnt")?.0,
        "Pouch: rd1: unable to mount /nowhere: No such file or directory"
    );
    // A root that leads pouch's own mounts elsewhere is none.
    for name in ["proc", "sys", "dev"] {
        serial.run(&format!("mkdir -p /srv/trap; ln -s /srv/d /srv/trap/{name}"))?;
        let (words, status) = serial.run_status("pouch start rd1 /srv/trap")?;
        assert_eq!((words, status), (format!("Pouch: rd1: unable to create /{name}: Not a directory"), 1));
        serial.run("rm -r /srv/trap")?;
    }
    assert_eq!(serial.run("ls /srv/d")?, "note");
    Ok(())
}

pub fn a_user_goes_by_the_containers_own_names(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    serial.run(BY_HAND)?;
    serial.run("echo 'www:x:33:44::/srv/www:/bin/sh' >$r/etc/passwd; printf 'wheel:x:10:a,www\\nwww:x:44:\\nadm:x:4:b,www,c\\n' >$r/etc/group")?;
    for (user, id) in [
        ("www", "uid=33(www) gid=44(www) groups=4(adm),10(wheel)\nHOME=/srv/www"),
        ("www:adm", "uid=33(www) gid=4(adm)\nHOME=/srv/www"),
        ("7:adm", "uid=7 gid=4(adm)\nHOME=/"),
        ("www:9", "uid=33(www) gid=9\nHOME=/srv/www"),
        ("7", "uid=7 gid=7\nHOME=/"),
    ] {
        let run = format!(
            "pouch start re1 hand --user {user} --tty none -- /bin/sh -c 'id; env | grep HOME' >/dev/null; \
            while [ -e /run/pouch/cont_re1 ] && ! grep -q ended /run/pouch/cont_re1; do :; done; pouch logs re1; pouch destroy re1 >/dev/null"
        );
        assert_eq!(serial.run(&run)?, id, "{user}");
    }
    for bad in ["nobody", "www:nobody", "7:nobody"] {
        let words = format!("Pouch: re1: unable to find user {bad}: No such file or directory");
        assert_eq!(serial.run_status(&format!("pouch start re1 hand --user {bad}"))?, (words, 1));
    }
    assert_eq!(serial.run_status("pouch start re1 hand --user 7x")?.1, 2);
    // Without that file there are no groups by name; who is in none is found all the same.
    serial.run("rm $r/etc/group")?;
    assert_eq!(serial.run("pouch run re1 hand --user www -- id </dev/null | cat")?, "uid=33(www) gid=44");
    assert_eq!(serial.run_status("pouch run re1 hand --user www:adm -- id </dev/null")?.1, 125);
    Ok(())
}

pub fn a_board_that_is_there_to_read_is_so_with_all_that_is_mounted_on_it(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    let folders = "/ /tmp /run /srv/on";
    serial.run("mkdir /srv/on; mount -t tmpfs on /srv/on")?;
    let writes = format!("for i in {folders} /dev/shm /mnt; do touch $i/new 2>/dev/null && echo $i; done");
    let run = |options: &str| format!("pouch run rr1 {options} -- sh -c '{writes}' </dev/null | cat");
    assert_eq!(serial.run(&run("--read-only --tmpfs /mnt"))?, "/dev/shm\n/mnt");
    assert_eq!(serial.run(&format!("ls {folders} | grep -c new"))?, "0");
    // It is the container's view alone, and not asked for it can write.
    assert_eq!(serial.run(&run(""))?, "/\n/tmp\n/run\n/srv/on\n/dev/shm\n/mnt");
    Ok(())
}

pub fn a_reaper_inside_reaps_and_hands_signals_on(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    serial.run("pouch start rf1 --init -- /bin/probe polite; pouch exec rf1 /bin/probe orphans 50 50 >/dev/null")?;
    assert_eq!(serial.run("until [ $(pouch exec rf1 ps | grep -c '[p]robe') = 1 ]; do :; done; pouch exec rf1 readlink /proc/1/exe; pouch exec rf1 readlink /proc/1/fd/0; pouch exec rf1 cat /proc/1/maps 2>&1 | wc -l")?, "1");
    serial.run("pouch stop rf1")?;
    assert_eq!(
        serial.run("grep EXIT /run/pouch/cont_rf1; pouch destroy rf1")?,
        "EXIT: exited with status 0\nPouch: rf1 destroyed"
    );
    assert_eq!(
        serial.run_status("pouch start rf1 --init -- /bin/nothing")?.0,
        "Pouch: rf1: unable to execute /bin/nothing: No such file or directory"
    );
    serial.run("pouch start rf1 --init --tty none -- /bin/probe die 15; while [ -e /run/pouch/cont_rf1 ] && ! grep -q ended /run/pouch/cont_rf1; do :; done")?;
    assert_eq!(
        serial.run("grep EXIT /run/pouch/cont_rf1; pouch destroy rf1")?,
        "EXIT: exited with status 143\nPouch: rf1 destroyed"
    );
    Ok(())
}

pub fn users_of_its_own_go_with_any_namespaces(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    // As it is on boards: who has no mounts of its own goes through the host's folders as nobody.
    serial.run("chmod 755 / /bin /dev; chmod 666 /dev/null")?;
    for (kinds, own) in [
        ("", "user"),
        (", \"NEWPID\"", "user pid"),
        (", \"NEWNS\"", "user mnt"),
        (", \"NEWNS\", \"NEWPID\"", "user mnt pid"),
        (", \"NEWNET\", \"NEWIPC\", \"NEWUTS\"", "user net ipc uts"),
    ] {
        serial.run(&format!("mkdir -p /srv/rg; echo '{{\"rootfs\": \"/\", \"namespaces\": [\"NEWUSER\"{kinds}]}}' >/srv/rg/container.json"))?;
        let start = "pouch start rg1 --config /srv/rg/container.json --tty none -- /bin/probe hold";
        assert_eq!(serial.run(start)?, "Pouch: rg1 starting", "{kinds}");
        let differs = "p=$(sed -n 's/^PID: //p' /run/pouch/cont_rg1); for n in user mnt net ipc uts pid; do \
            [ $(readlink /proc/$p/ns/$n) = $(readlink /proc/1/ns/$n) ] || echo $n; done | xargs";
        assert_eq!(serial.run(differs)?, own, "{kinds}");
        assert_eq!(serial.run("pouch exec rg1 id -u; pouch destroy rg1")?, "0\nPouch: rg1 destroyed", "{kinds}");
    }
    Ok(())
}
