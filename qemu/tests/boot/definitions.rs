//! The sample of libcontainer's README of 2014, as it is, on real kernels

use pouch_qemu::bed::BoardBed;
use pouch_qemu::{Result, deadline};

/// Word for word.
const SAMPLE: &str = include_str!("../corpus/json/good-libcontainer.json");

pub fn the_sample_of_2014_starts_and_is_joined_as_it_is(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    serial.run("mkdir -p /srv/koye; cd /srv/koye; cp -a /bin .; mkdir proc sys dev tmp; : >container.json")?;
    for line in SAMPLE.lines() {
        serial.run(&format!("echo '{line}' >>container.json"))?;
    }
    assert_eq!(serial.run_status("pouch check >/dev/null")?, (String::new(), 0));
    serial.run_within(
        deadline::HEAVY,
        "(nsinit exec sh -c 'sleep 1000 & sleep 1000' </dev/null >/dev/null 2>&1 &); until [ -e .nspid ]; do :; done",
    )?;
    let info = serial.run("pouch info koye")?;
    assert!(info.contains("ADDRESS: 172.17.0.100/16") && info.contains("CAPABILITIES: taken-away"), "{info}");
    let inside = "nsinit exec sh -c 'hostname; cat /sys/class/net/eth0/mtu; grep -c ^eth0 /proc/net/route; echo $container' \
        </dev/null | cat";
    assert_eq!(serial.run(inside)?, "koye\n1500\n2\ndocker");
    assert_eq!(serial.run("ls /sys/class/net/docker0/brif | grep -c .; [ $(cat .nspid) = $(sed -n 's/^PID: //p' /run/pouch/cont_koye) ]; echo $?")?, "1\n0");
    serial.run_within(
        deadline::HEAVY,
        "pouch kill koye; while [ -e /run/pouch/cont_koye ] || [ -e .nspid ]; do :; done",
    )?;
    // The interface goes with the namespace, a moment later.
    serial.run_within(deadline::HEAVY, "while ls /sys/class/net/docker0/brif | grep -q .; do :; done; cd")?;
    assert_eq!(serial.run("ls /sys/fs/cgroup/pouch | grep -c koye; pouch list | grep -c koye")?, "0\n0");
    Ok(())
}
