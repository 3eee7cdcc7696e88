//! Networks: addresses handed out and given back, bridges, what is refused

use crate::Fresh;
use pouch_qemu::Result;
use pouch_qemu::serial::Serial;

const HOLD: &str = "--tty none -- /bin/probe hold";

/// The address that `info` shows.
fn address(serial: &mut Serial, name: &str) -> Result<String> {
    serial.run(&format!("pouch info {name} | sed -n 's/^ADDRESS: //p'"))
}

/// Links of the host but its own and the bridges.
const LINKS: &str = "ls /sys/class/net | grep -c veth";

pub fn addresses_are_handed_out_kept_and_given_back(fresh: &mut Fresh) -> Result<()> {
    let mut namespace =
        fresh.start("pouch.bridge=10.0.3.1/29 \"pouch.container=k1,tty=none,command='/bin/probe hold'\"")?;
    let serial = namespace.serial().reach_prompt()?;
    serial.run("until grep -qs started /run/pouch/cont_k1; do :; done")?;
    assert_eq!(address(serial, "k1")?, "10.0.3.2/29");
    for (name, wanted) in [("c1", "10.0.3.3/29"), ("c2", "10.0.3.4/29"), ("c3", "10.0.3.5/29")] {
        assert_eq!(serial.run(&format!("pouch start {name} {HOLD}"))?, format!("Pouch: {name} starting"));
        assert_eq!(address(serial, name)?, wanted);
    }
    // One that asks for itself takes it from those that do not.
    serial.run(&format!("pouch start c4 --net 10.0.3.6/29 {HOLD}"))?;
    assert_eq!(
        serial.run_status(&format!("pouch start c5 {HOLD}"))?,
        ("Pouch: c5: unable to set address of 10.0.3.1/29, none is free: Cannot assign requested address".into(), 1)
    );
    for (asked, by) in [("10.0.3.3", "c1"), ("10.0.3.6", "c4"), ("10.0.3.1", "its bridge")] {
        let words = format!("Pouch: c5: unable to set address {asked}/29, held by {by}: Address already in use");
        assert_eq!(serial.run_status(&format!("pouch start c5 --net {asked}/29 {HOLD}"))?, (words, 1));
    }
    // The same number at another bridge is another address.
    assert_eq!(
        serial.run(&format!("pouch start c5 --net 10.0.3.3/29 --bridge br5 {HOLD}; pouch destroy c5"))?,
        "Pouch: c5 starting\nPouch: c5 destroyed"
    );
    // Kept over a restart, given back by an end, and taken again by one that is started again.
    serial.run("pouch restart c2; pouch stop c1; pouch stop c3")?;
    assert_eq!((address(serial, "c2")?.as_str(), address(serial, "c1")?.as_str()), ("10.0.3.4/29", "-"));
    serial.run("pouch restart c3")?;
    assert_eq!(address(serial, "c3")?, "10.0.3.5/29");
    serial.run(&format!("pouch start c6 {HOLD}"))?;
    assert_eq!(address(serial, "c6")?, "10.0.3.3/29");
    assert!(serial.run_status("pouch restart c1")?.0.contains("none is free"));
    assert_eq!(
        serial.run(
            "pouch list | grep -c 'address 10.0.3.3/29'; pouch info c6 --json | grep -c '\"address\":\"10.0.3.3/29\"'"
        )?,
        "1\n1"
    );
    // PID 1 forgets nothing of it.
    serial.run("kill -SEGV 1")?;
    assert_eq!(address(serial, "c6")?, "10.0.3.3/29");
    serial.run("for c in k1 c1 c2 c3 c4 c6; do pouch destroy $c; done")?;
    assert_eq!(serial.run(LINKS)?, "0");
    Ok(())
}

pub fn containers_of_one_bridge_reach_each_other_and_the_host(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("pouch.bridge=10.0.3.1/24")?;
    let serial = namespace.serial().reach_prompt()?;
    serial.run("mkdir -p /srv/a /srv/b; echo from a > /srv/a/index.html; echo from b > /srv/b/index.html")?;
    let server = |at| format!("--tty none -- httpd -f -p 80 -h /srv/{at}");
    // Whoever its users are on the host.
    serial.run(&format!("pouch start a {}; pouch start b --userns {}", server("a"), server("b")))?;
    serial.run(&format!("pouch start alone --net none {HOLD}"))?;
    let get = |url: &str| format!("until wget -q -O - http://{url}/; do :; done");
    // Two servers on port 80, reached from the host and from each other.
    assert_eq!(serial.run(&get("10.0.3.2"))?, "from a");
    assert_eq!(serial.run(&get("10.0.3.3"))?, "from b");
    assert_eq!(serial.run(&format!("pouch exec a sh -c '{}'", get("10.0.3.3")))?, "from b");
    serial.run("httpd -p 10.0.3.1:8000 -h /srv/a")?;
    assert_eq!(serial.run(&format!("pouch exec b sh -c '{}'", get("10.0.3.1:8000")))?, "from a");
    assert_eq!(serial.run("pouch exec b ping -c 1 -W 5 10.0.3.2 | grep -c '1 packets received'")?, "1");
    for hidden in ["10.0.3.1", "10.0.3.2"] {
        assert_eq!(
            serial.run_status(&format!("pouch exec alone ping -c 1 -W 5 {hidden} </dev/null >/dev/null 2>&1"))?.1,
            1
        );
    }
    assert_eq!(serial.run("pouch exec alone ls /sys/class/net")?, "lo");
    assert_eq!(
        serial.run("pouch exec a sh -c 'ls -1 /sys/class/net; cat /sys/class/net/lo/operstate'")?,
        "eth0\nlo\nunknown"
    );
    assert_eq!(
        serial.run("cat /sys/class/net/pouch0/bridge/forward_delay /sys/class/net/pouch0/bridge/stp_state /proc/sys/net/ipv4/ip_forward")?,
        "0\n0\n1"
    );
    let before = serial.run("cat /sys/class/net/pouch0/address")?;
    serial.run("pouch destroy a; pouch destroy b; pouch destroy alone")?;
    // The bridge stays as it is.
    assert_eq!(serial.run("cat /sys/class/net/pouch0/address")?, before);
    assert_eq!(serial.run(LINKS)?, "0");
    serial.run(&format!("pouch start host --net host {HOLD}"))?;
    assert_eq!(serial.run("pouch exec host ls -d /sys/class/net/pouch0")?, "/sys/class/net/pouch0");
    Ok(())
}

pub fn a_link_has_what_was_asked_for(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    let serial = namespace.serial().reach_prompt()?;
    serial.run(&format!("pouch start c1 --net 10.9.0.2/24 --bridge lan0 --mtu 1400 --gateway 192.168.7.1 {HOLD}"))?;
    assert_eq!(
        serial.run("ls -d /sys/class/net/lan0; ls /sys/class/net/lan0/brif | grep -c veth")?,
        "/sys/class/net/lan0\n1"
    );
    assert_eq!(
        serial.run("pouch exec c1 sh -c 'cat /sys/class/net/eth0/mtu; ip route'")?,
        "1400\ndefault via 192.168.7.1 dev eth0 onlink \n10.9.0.0/24 dev eth0 scope link  src 10.9.0.2 "
    );
    // The bridge's own address is the gateway where none is said.
    serial.run("ip addr add 10.9.0.1/24 dev lan0")?;
    serial.run(&format!("pouch start c2 --net 10.9.0.3/24 --bridge lan0 {HOLD}"))?;
    assert_eq!(
        serial.run("pouch exec c2 sh -c 'cat /sys/class/net/eth0/mtu; ip route | head -n 1'")?,
        "1500\ndefault via 10.9.0.1 dev eth0 "
    );
    // Without a bridge's name it is pouch0, without an address none, and no way out of it.
    serial.run(&format!("pouch start c3 --net 10.8.0.2/24 {HOLD}; pouch start c4 --bridge lan0 {HOLD}"))?;
    assert_eq!(
        serial.run("ls /sys/class/net/pouch0/brif | grep -c veth; pouch exec c3 ip route")?,
        "1\n10.8.0.0/24 dev eth0 scope link  src 10.8.0.2 "
    );
    assert_eq!(serial.run("pouch exec c4 sh -c 'ip route; ip -4 addr show dev eth0 | grep -c inet'")?, "0");
    let words = "Pouch: c5: unable to make a link to pouch0 without an address: Cannot assign requested address";
    for option in ["--mtu 1400", "--gateway 10.0.0.1", "--publish 80:80"] {
        assert_eq!(serial.run_status(&format!("pouch start c5 {option}"))?, (words.to_owned(), 1), "{option}");
    }
    let words = "Pouch: c5: unable to make a link to lan0 without an address: Cannot assign requested address";
    assert_eq!(serial.run_status("pouch start c5 --bridge lan0 --publish 80:80")?, (words.to_owned(), 1));
    assert_eq!(
        serial.run_status("pouch start c5 --net 10.8.0.3/24 --publish 80:80")?,
        ("Pouch: c5: unable to publish ports without a gateway: Network is unreachable".into(), 1)
    );
    assert_eq!(
        serial.run_status("pouch start c5 --net 10.9.0.9/24 --bridge lo")?,
        ("Pouch: c5: unable to make a link to lo: Operation not supported".into(), 1)
    );
    for (option, reason) in [
        ("--net 10.0.0.0/24", "must be none, host or an address like 10.0.0.2/24"),
        ("--net 10.0.0.1", "must be none, host or an address like 10.0.0.2/24"),
        ("--net any", "must be none, host or an address like 10.0.0.2/24"),
        ("--gateway 10.0.0.256", "must be an address like 10.0.0.1"),
        ("--bridge a/b", "must be an interface's name, 1 to 15 letters without / : %"),
        ("--mtu 20", "must be 68 to 65535"),
        ("--publish 80:x", "must be HOST:CONT[/udp], ports from 1 to 65535"),
    ] {
        let (words, status) = serial.run_status(&format!("pouch start c5 {option}"))?;
        assert!(words.contains(reason) && words.lines().count() <= 2, "{words}");
        assert_eq!(status, 2, "{option}");
    }
    serial.run("for c in c1 c2 c3 c4; do pouch destroy $c; done")?;
    assert_eq!(serial.run("ls -1 /sys/class/net")?, "lan0\nlo\npouch0");
    Ok(())
}

pub fn restarts_and_failures_leave_no_interface(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("pouch.bridge=10.0.3.1/24")?;
    let serial = namespace.serial().reach_prompt()?;
    serial.run(&format!("pouch start c1 {HOLD}"))?;
    assert_eq!(serial.run("i=0; while [ $i -lt 20 ]; do pouch restart c1; i=$((i+1)); done | grep -c starting")?, "20");
    assert_eq!(serial.run(LINKS)?, "1");
    assert_eq!(address(serial, "c1")?, "10.0.3.2/24");
    assert_eq!(serial.run_status("pouch start bad -- /bin/nothing")?.1, 1);
    assert_eq!(serial.run(LINKS)?, "1");
    // Whoever keeps its network open keeps no link.
    serial.run("nsenter -t $(sed -n 's/^PID: //p' /run/pouch/cont_c1) -n sleep 1000 & sleep 0.1")?;
    serial.run("pouch destroy c1")?;
    assert_eq!(serial.run(LINKS)?, "0");
    serial.run("killall sleep")?;
    Ok(())
}

pub fn a_published_port_is_reached_by_the_hosts_addresses(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("pouch.bridge=10.0.3.1/24")?;
    let serial = namespace.serial().reach_prompt()?;
    serial.run("mkdir -p /srv/a; echo published > /srv/a/index.html")?;
    let server = "--tty none --publish 8080:80 --publish 5353:53/udp -- httpd -f -p 80 -h /srv/a";
    assert_eq!(serial.run(&format!("pouch start a {server}"))?, "Pouch: a starting");
    for from in ["127.0.0.1:8080", "10.0.3.1:8080", "10.0.3.2"] {
        assert_eq!(serial.run(&format!("until wget -q -O - http://{from}/; do :; done"))?, "published", "{from}");
    }
    // From another container, by the host's address; nobody reaches the host's own 127.0.0.1.
    serial.run(&format!("pouch start b {HOLD}; httpd -p 127.0.0.1:9000 -h /srv/a"))?;
    assert_eq!(serial.run("pouch exec b wget -q -O - http://10.0.3.1:8080/")?, "published");
    assert_eq!(
        serial.run_status("pouch start c --publish 8080:81")?,
        ("Pouch: c: unable to publish port 8080, held by a: Address already in use".into(), 1)
    );
    // Another protocol is another port.
    assert_eq!(
        serial.run(&format!("pouch start c --publish 8080:81/udp {HOLD}; pouch destroy c"))?,
        "Pouch: c starting\nPouch: c destroyed"
    );
    serial.run("pouch restart a")?;
    assert_eq!(serial.run("until wget -q -O - http://127.0.0.1:8080/; do :; done")?, "published");
    serial.run("pouch destroy a")?;
    assert_eq!(
        serial.run("wget -q -O - http://127.0.0.1:8080/ 2>&1")?,
        "wget: can't connect to remote host (127.0.0.1): Connection refused"
    );
    Ok(())
}
