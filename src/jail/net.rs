//! A container's network: a pair of interfaces, one end in a bridge, by rtnetlink(7).
//!
//! What is the host's is done while the child still is in the host's network: the bridge,
//! and the rules of [`super::rules`]. The socket that was opened there stays the host's
//! when the child leaves into a network of its own, and by it one message makes the pair,
//! its far end there already, under its final name. Whatever is in a network namespace
//! goes with it; IPv6 is left to the kernel, which gives each end a link-local address.

use core::ffi::CStr;

use rustix::fd::OwnedFd;
use rustix::fs::OFlags;

use super::{Now, Plan, fs, modules, rules};
use crate::format::fault::Step;
use crate::format::inet::{self, Cidr};
use crate::format::netlink::{
    ASK, BARE, BYTES, CLOSE, CREATE, EXCLUSIVE, OPEN, Packet, VALUE, answer, form,
};
use crate::format::text::Text;
use crate::sys::{self, Errno, device, file, process, socket};

/// A link to a bridge, as PID 1 decided it.
#[derive(Clone, Copy)]
pub struct Link<'a> {
    /// The name of its end on the host, which no other interface has.
    pub name: &'a CStr,
    /// The bridge's name.
    pub bridge: &'a CStr,
    /// The address that the kernel's words give the bridge.
    pub own: Option<Cidr>,
    /// The container's address.
    pub address: Option<Cidr>,
}

/// The bridge of those for whom no other was named.
pub const BRIDGE: &CStr = c"pouch0";
/// A container's own end.
const INSIDE: &CStr = c"eth0";

// linux/rtnetlink.h
const NEWLINK: u16 = 16;
const DELLINK: u16 = 17;
const NEWADDR: u16 = 20;
const NEWROUTE: u16 = 24;

/// struct ifinfomsg that brings an interface up: its flags and their mask, IFF_UP both.
const UP: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0];

/// IFLA_IFNAME.
const NAME: &[u8] = &[VALUE | 3, 0];
/// A name and a fixed address, which else would change with the ports; no spanning tree
/// and no delay, so that a port forwards from its first packet on.
const NEW_BRIDGE: &[u8] = form![
    &[VALUE | 3, 0, VALUE | 1, 1], // IFLA_IFNAME, IFLA_ADDRESS
    &[OPEN | 18, BYTES | 1, 6],    // IFLA_LINKINFO, IFLA_INFO_KIND
    b"bridge",
    &[OPEN | 2, 1, 0, 5, 0], // IFLA_INFO_DATA: IFLA_BR_FORWARD_DELAY, IFLA_BR_STP_STATE
    &[CLOSE, CLOSE],
];
/// Name, bridge, MTU; of the far end its hardware's address and, by a pid, its network.
const NEW_PAIR: &[u8] = form![
    &[VALUE | 3, 0, VALUE | 10, 1, VALUE | 4, 2], // IFLA_IFNAME, IFLA_MASTER, IFLA_MTU
    &[OPEN | 18, BYTES | 1, 4],                   // IFLA_LINKINFO, IFLA_INFO_KIND
    b"veth",
    &[OPEN | 2, OPEN | 1, BARE, 16], // IFLA_INFO_DATA, VETH_INFO_PEER and its ifinfomsg
    &[0; 16],
    &[BYTES | 3, 4],
    b"eth0",
    &[VALUE | 1, 3, VALUE | 19, 4, VALUE | 4, 2], // IFLA_ADDRESS, IFLA_NET_NS_PID, IFLA_MTU
    &[CLOSE, CLOSE, CLOSE],
];
/// IFA_LOCAL, IFA_ADDRESS, IFA_BROADCAST.
const NEW_ADDRESS: &[u8] = &[VALUE | 2, 0, VALUE | 1, 0, VALUE | 4, 1];
/// RTA_GATEWAY, RTA_OIF.
const NEW_ROUTE: &[u8] = &[VALUE | 5, 0, VALUE | 4, 1];

/// Sends one packet and hears what the kernel says of it, which it has said when the call returns.
pub(super) fn exchange(socket: &OwnedFd, packet: Packet<'_>) -> Result<(), Errno> {
    file::write(socket, packet.finish().ok_or(Errno::MSGSIZE)?)?;
    let mut room = [0; 128];
    let len = file::read(socket, &mut room)?;
    // The first answer counts: that of the first message that failed, or of the last one.
    let said = answer(room.get(..len).unwrap_or_default());
    while file::read(socket, &mut room).is_ok() {}
    match said {
        Some(0) => Ok(()),
        // Beyond that no errno lies.
        Some(errno) if errno < 4096 => Err(Errno::from_raw_os_error(errno.into())),
        _ => Err(Errno::PROTO),
    }
}

/// One message about links, addresses or routes.
#[inline(never)]
fn ask(
    socket: &OwnedFd,
    (number, flags): (u16, u16),
    family: &[u8],
    form: &[u8],
    values: &[&[u8]],
) -> Result<(), Errno> {
    let mut room = [0; 512];
    let mut packet = Packet::new(&mut room);
    packet.message(number, ASK | flags, family, form, values);
    exchange(socket, packet)
}

/// The same of what makes something; a kernel that does not know its kind is given the module.
fn make(
    socket: &OwnedFd,
    module: &[u8],
    family: &[u8],
    form: &[u8],
    values: &[&[u8]],
) -> Result<(), Errno> {
    let how = (NEWLINK, CREATE | EXCLUSIVE);
    match ask(socket, how, family, form, values) {
        Err(Errno::OPNOTSUPP) => {
            let _ = modules::load(module);
            ask(socket, how, family, form, values)
        }
        done => done,
    }
}

/// Brings an interface up.
fn up(socket: &OwnedFd, name: &CStr) -> Result<(), Errno> {
    ask(socket, (NEWLINK, 0), &UP, NAME, &[name.to_bytes()])
}

/// Gives an interface an address.
fn give(socket: &OwnedFd, index: [u8; 4], cidr: Cidr) -> Result<(), Errno> {
    let [a, b, c, d] = index;
    let broadcast = (cidr.number() | !cidr.mask()).to_be_bytes();
    let values = [&cidr.address[..], &broadcast];
    let how = (NEWADDR, CREATE | EXCLUSIVE);
    // struct ifaddrmsg: family, prefix, flags, scope, interface.
    ask(
        socket,
        how,
        &[2, cidr.bits, 0, 0, a, b, c, d],
        NEW_ADDRESS,
        &values,
    )
}

/// What the child takes along from the host's network into its own.
pub(super) struct Host {
    socket: OwnedFd,
    bridge: [u8; 4],
    gateway: Option<[u8; 4]>,
}

/// In the host's network: the bridge, the way out of it, what is published.
pub(super) fn outside<'a>(plan: &Plan<'a>, link: &Link<'a>, now: &Now<'a>) -> Host {
    now.at(Step::Bridge, link.bridge);
    let socket = now.ok(socket::netlink(socket::ROUTE));
    let name = link.bridge.to_bytes();
    let [a, b, c, d] = sys::random().to_le_bytes();
    // Of an address that is nobody's, and no group's.
    let values = [name, &[0x02, 0x42, a, b, c, d]];
    match make(&socket, b"bridge", &UP, NEW_BRIDGE, &values) {
        // Whoever made it, it is to work.
        Err(Errno::EXIST) => now.ok(up(&socket, link.bridge)),
        made => now.ok(made),
    }
    let inet = now.ok(socket::inet());
    let [a, b, c, d, ..] = now.ok(device::interface(&inet, device::INDEX, link.bridge));
    let bridge = [a, b, c, d];
    if let Some(own) = link.own {
        match give(&socket, bridge, own) {
            Err(Errno::EXIST) => {}
            given => now.ok(given),
        }
    }
    let mut gateway = plan.spec.gateway();
    if gateway.is_none() && link.address.is_some() {
        let has = device::interface(&inet, device::ADDRESS, link.bridge);
        gateway = has.ok().map(|[_, _, _, _, a, b, c, d]| [a, b, c, d]);
    }
    if gateway.is_some() {
        // What is published is reached by 127.0.0.1 too, and nobody else on a board brings that up.
        now.at(Step::Loopback, c"lo");
        now.ok(up(&socket, c"lo"));
        set(&[b"ip_forward"], now);
        if let Some(address) = link.address {
            rules::lay(plan, link, address, now);
        }
    } else if plan.spec.published().next().is_some() {
        // Nothing would come back from it.
        now.at(Step::Publish, c"ports without a gateway");
        now.end(Errno::NETUNREACH);
    }
    Host {
        socket,
        bridge,
        gateway,
    }
}

/// Switches on one of the settings of IPv4 of this network.
pub(super) fn set(path: &[&[u8]], now: &Now<'_>) {
    let mut room: fs::Path = [0; 1024];
    let [a, b, c] = [0, 1, 2].map(|at| path.get(at).copied().unwrap_or_default());
    let now = Now::new(now.report);
    let path = fs::c_string(&[b"/proc/sys/net/ipv4/", a, b, c], &mut room).unwrap_or_default();
    now.at(Step::Write, path);
    let file = now.ok(file::open_at(None, path, OFlags::WRONLY));
    now.ok(file::write(&file, b"1"));
}

/// Into a network of its own, with what leads to the bridge.
pub(super) fn enter<'a>(plan: &Plan<'a>, link: &Link<'a>, host: &Host, now: &Now<'a>) {
    now.at(Step::Link, link.bridge);
    if plan.owner == 0 {
        // Else it is in the one of its users already.
        now.ok(process::unshare(process::CLONE_NEWNET));
    }
    let mtu = plan.spec.mtu().map(u32::to_le_bytes);
    // An address that follows from the other one: whoever knows the container by it need not ask again after a restart.
    let hardware = link.address.map(|cidr| {
        let [a, b, c, d] = cidr.address;
        [0x02, 0x42, a, b, c, d]
    });
    let values = [
        link.name.to_bytes(),
        &host.bridge,
        mtu.as_ref().map_or(&[], |mtu| &mtu[..]),
        hardware.as_ref().map_or(&[], |address| &address[..]),
        // As this process sees itself, whose network is meant.
        &rustix::process::getpid().as_raw_pid().to_le_bytes(),
    ];
    now.ok(make(&host.socket, b"veth", &UP, NEW_PAIR, &values));
}

/// In a network of its own: `lo`, and the end of the link where there is one.
pub(super) fn inside<'a>(link: Option<(&Link<'a>, Host)>, now: &Now<'a>) {
    now.at(Step::Loopback, c"lo");
    let socket = now.ok(socket::netlink(socket::ROUTE));
    now.ok(up(&socket, c"lo"));
    let Some((link, host)) = link else {
        return;
    };
    now.at(Step::Loopback, INSIDE);
    now.ok(up(&socket, INSIDE));
    let inet = now.ok(socket::inet());
    let [a, b, c, d, ..] = now.ok(device::interface(&inet, device::INDEX, INSIDE));
    let index = [a, b, c, d];
    if let Some(cidr) = link.address {
        about(Step::Address, cidr, now, &|| give(&socket, index, cidr));
    }
    if let Some(address) = host.gateway {
        // RTNH_F_ONLINK: it is a neighbour although its address is none of the network's.
        let far = !link.address.is_some_and(|cidr| cidr.holds(address));
        let flags = if far { 4 } else { 0 };
        // struct rtmsg: family, two prefixes, tos, table main, protocol boot, scope, unicast, flags.
        let head = [2, 0, 0, 0, 254, 3, 0, 1, flags, 0, 0, 0];
        let gateway = Cidr { address, bits: 0 };
        about(Step::Gateway, gateway, now, &|| {
            let values = [&address[..], &index];
            ask(&socket, (NEWROUTE, CREATE), &head, NEW_ROUTE, &values)
        });
    }
}

/// A step whose object is an address.
#[inline(never)]
fn about(step: Step, cidr: Cidr, now: &Now<'_>, what: &dyn Fn() -> Result<(), Errno>) {
    let mut text = Text::<32>::new();
    inet::show(&mut text, cidr);
    let mut room = [0; 32];
    let now = Now::new(now.report);
    now.at(
        step,
        fs::c_string(&[text.as_bytes()], &mut room).unwrap_or_default(),
    );
    now.ok(what());
}

/// Lets go of what a container has in the host's network. For a child of PID 1's: it waits for the kernel.
pub fn release(link: &CStr, container: &CStr) {
    if let Ok(socket) = socket::netlink(socket::ROUTE) {
        // Its network took it along, if that has ended already.
        let _ = ask(&socket, (DELLINK, 0), &[0; 16], NAME, &[link.to_bytes()]);
    }
    rules::lift(container);
}
