//! Networks on real kernels: modules that are loaded on demand, bridges, published ports

use pouch_qemu::bed::BoardBed;
use pouch_qemu::{Result, deadline};

pub fn containers_reach_each_other_the_host_and_what_is_published(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    // Those of the kernel's words came first, in their order.
    assert_eq!(
        serial.run("pouch info one | grep ADDRESS; pouch info two | grep ADDRESS")?,
        "ADDRESS: 10.0.3.2/24\nADDRESS: 10.0.3.3/24"
    );
    serial.run("mkdir -p /srv/a /srv/b; echo from a >/srv/a/index.html; echo from b >/srv/b/index.html")?;
    let start = "pouch start a --net 10.0.3.11/24 --tty none --publish 8080:80 -- httpd -f -p 80 -h /srv/a; \
        pouch start b --userns --net 10.0.3.12/24 --mtu 1400 --tty none -- httpd -f -p 80 -h /srv/b; \
        pouch start alone --net none --tty none -- /bin/probe hold";
    assert_eq!(
        serial.run_within(deadline::HEAVY, start)?,
        "Pouch: a starting\nPouch: b starting\nPouch: alone starting"
    );
    let get = |url: &str| format!("until wget -q -O - http://{url}/; do :; done");
    assert_eq!(serial.run(&get("10.0.3.11"))?, "from a");
    assert_eq!(serial.run(&get("10.0.3.12"))?, "from b");
    assert_eq!(serial.run(&format!("pouch exec a sh -c '{}'", get("10.0.3.12")))?, "from b");
    assert_eq!(serial.run("pouch exec b cat /sys/class/net/eth0/mtu")?, "1400");
    for published in ["127.0.0.1:8080", "10.0.3.1:8080"] {
        assert_eq!(serial.run(&get(published))?, "from a", "{published}");
    }
    assert_eq!(serial.run(&format!("pouch exec b sh -c '{}'", get("10.0.3.1:8080")))?, "from a");
    assert_eq!(serial.run_status("pouch exec alone wget -q -O - http://10.0.3.11/ >/dev/null 2>&1")?.1, 1);
    assert_eq!(serial.run("pouch exec alone ls /sys/class/net; cat /proc/sys/net/ipv4/ip_forward")?, "lo\n1");
    serial.run("pouch destroy a; pouch destroy b; pouch destroy alone")?;
    assert_eq!(
        serial.run("wget -q -O - http://127.0.0.1:8080/ 2>&1")?,
        "wget: can't connect to remote host (127.0.0.1): Connection refused"
    );
    assert_eq!(serial.run("ls /sys/class/net | grep -c veth")?, "2");
    Ok(())
}

pub fn twenty_quick_restarts_leave_one_interface(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    let again = "i=0; while [ $i -lt 20 ]; do pouch restart two; i=$((i+1)); done | grep -c starting";
    assert_eq!(serial.run_within(deadline::HEAVY, again)?, "20");
    assert_eq!(
        serial.run("ls /sys/class/net | grep -c veth; pouch info two | grep ADDRESS")?,
        "2\nADDRESS: 10.0.3.3/24"
    );
    assert_eq!(serial.run_status("pouch start bad -- /bin/nothing")?.1, 1);
    assert_eq!(serial.run("ls /sys/class/net | grep -c veth")?, "2");
    Ok(())
}

pub fn a_kernel_without_a_module_refuses_by_name(board: &mut BoardBed) -> Result<()> {
    let serial = board.boot()?.serial();
    let start = "pouch start c1 --net 10.7.0.2/24 --gateway 10.7.0.1 --publish 80:80 --tty none -- /bin/probe hold";
    serial.run("mv /lib/modules /lib/hidden")?;
    assert_eq!(
        serial.run_status(start)?,
        ("Pouch: c1: unable to create bridge pouch0: Operation not supported".into(), 1)
    );
    serial.run("mv /lib/hidden /lib/modules; mv /lib/modules/*/kernel/net/netfilter /lib/hidden")?;
    let (words, status) = serial.run_status(start)?;
    assert!(words.starts_with("Pouch: c1: unable to publish ports of c1: ") && status == 1, "{words}");
    assert_eq!(serial.run("ls /sys/class/net | grep -c veth")?, "0");
    // Without ports it is a bridge that does not masquerade.
    assert_eq!(
        serial.run("pouch start c1 --net 10.7.0.2/24 --gateway 10.7.0.1 --tty none -- /bin/probe hold")?,
        "Pouch: c1 starting"
    );
    serial.run("pouch destroy c1; mv /lib/hidden $(echo /lib/modules/*/kernel/net)/netfilter")?;
    assert_eq!(serial.run_within(deadline::HEAVY, start)?, "Pouch: c1 starting");
    assert_eq!(serial.run("pouch destroy c1")?, "Pouch: c1 destroyed");
    Ok(())
}
