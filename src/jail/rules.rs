//! What the host does with a container's packets: nf_tables by nfnetlink.
//!
//! One table, `pouch`. In it each container has chains of its own, made and deleted as a
//! whole: what is published goes to it, and what leaves its bridge goes out in the host's
//! name. A connection from the host's own 127.0.0.1 goes there too, for which the bridge
//! must take such addresses; a chain that stays drops them where they come from a wire.

use core::ffi::CStr;

use super::net::{self, Link};
use super::{Now, Plan, fs, modules};
use crate::format::fault::Step;
use crate::format::inet::Cidr;
use crate::format::netlink::{ASK, BYTES, CLOSE, CREATE, EXCLUSIVE, OPEN, Packet, VALUE, form};
use crate::sys::{Errno, socket};

/// What the rules need, in the order in which it is loaded; most kernels have the first built in.
const MODULES: [&[u8]; 5] = [
    b"crc32c_generic",
    b"nft_chain_nat",
    b"nft_nat",
    b"nft_masq",
    b"nft_fib_ipv4",
];

// linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h
const BEGIN: u16 = 0x10;
const END: u16 = 0x11;
const NEWTABLE: u16 = 10 << 8;
const NEWCHAIN: u16 = 10 << 8 | 3;
const DELCHAIN: u16 = 10 << 8 | 5;
const NEWRULE: u16 = 10 << 8 | 6;
/// NLM_F_REQUEST without an answer: that of the last message tells of all.
const SILENT: u16 = 1;

/// struct nfgenmsg: of IPv4; of a batch for nf_tables.
const IPV4: [u8; 4] = [2, 0, 0, 0];
const BATCH: [u8; 4] = [0, 0, 0, 10];

/// NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE.
const TABLE: &[u8] = form![&[BYTES | 1, 5], b"pouch"];
/// Name, hook and priority, type.
const CHAIN: &[u8] = form![
    TABLE,
    &[
        VALUE | 3,
        0,
        OPEN | 4,
        VALUE | 1,
        1,
        VALUE | 2,
        2,
        CLOSE,
        VALUE | 7,
        3
    ],
];
const CHAIN_GONE: &[u8] = form![TABLE, &[VALUE | 3, 0]];

/// One expression of a rule: its name, its attributes.
macro_rules! expression {
    ($name:literal, $($attribute:expr),*) => {
        form![
            &[OPEN | 1, BYTES | 1, $name.len() as u8],
            $name,
            &[OPEN | 2, $($attribute),*],
            &[CLOSE, CLOSE],
        ]
    };
}
/// Compares the register with that value; or wants it to be another.
macro_rules! compare {
    ($value:expr, $other:expr) => {
        expression!(b"cmp", 1, 1, 2, $other, OPEN | 3, VALUE | 1, $value, CLOSE)
    };
}
/// Bytes of the packet into the register: from the network's or the transport's head, offset, length.
macro_rules! payload {
    ($head:expr, $offset:expr, $len:expr) => {
        expression!(b"payload", 1, 1, 2, $head, 3, $offset, 4, $len)
    };
}
/// The register masked by that value.
macro_rules! mask {
    ($value:expr) => {
        expression!(
            b"bitwise",
            1,
            1,
            2,
            1,
            3,
            4,
            OPEN | 4,
            VALUE | 1,
            $value,
            CLOSE,
            OPEN | 5,
            1,
            0,
            CLOSE
        )
    };
}
const RULE: &[u8] = form![TABLE, &[VALUE | 2, 0, OPEN | 4]];
const SOURCE: &[u8] = payload!(1, 12, 4);
const DESTINATION: &[u8] = payload!(1, 16, 4);
const MASQUERADE: &[u8] = expression!(b"masq",);

/// From the container (1), out of any interface but the bridge (2): in the name of that interface.
const LEAVING: &[u8] = form![
    RULE,
    SOURCE,
    compare!(1, 0),
    expression!(b"meta", 1, 1, 2, 7), // NFT_META_OIFNAME
    compare!(2, 1),
    MASQUERADE,
];
/// From those whose source under the mask (2) is that network (3), to the container (1), whose
/// answer would else go past the host, which has to put the published address back.
const TURNING: &[u8] = form![
    RULE,
    SOURCE,
    mask!(2),
    compare!(3, 0),
    DESTINATION,
    compare!(1, 0),
    MASQUERADE,
];
/// To the host itself, by the protocol (2), to its port (3): to the container (1) and its port (4).
const PUBLISHED: &[u8] = form![
    RULE,
    expression!(b"fib", 1, 1, 2, 3, 3, 2), // NFT_FIB_RESULT_ADDRTYPE of the destination
    compare!(5, 0),
    expression!(b"meta", 1, 1, 2, 16), // NFT_META_L4PROTO
    compare!(2, 0),
    payload!(2, 2, 2),
    compare!(3, 0),
    expression!(b"immediate", 1, 1, OPEN | 2, VALUE | 1, 1, CLOSE),
    expression!(b"immediate", 1, 2, OPEN | 2, VALUE | 1, 4, CLOSE),
    expression!(b"nat", 1, 1, 2, 2, 3, 1, 5, 2), // NFT_NAT_DNAT, IPv4, address, port
];
/// Not by the loopback (2) and to an address that under a mask (1) is one of its own (3): dropped.
const FROM_A_WIRE: &[u8] = form![
    RULE,
    expression!(b"meta", 1, 1, 2, 4), // NFT_META_IIF
    compare!(2, 1),
    DESTINATION,
    mask!(1),
    compare!(3, 0),
    expression!(b"immediate", 1, 0, OPEN | 2, OPEN | 2, 1, 0, CLOSE, CLOSE), // NF_DROP
];

/// RTN_LOCAL, of rtnetlink(7).
const LOCAL: [u8; 4] = [2, 0, 0, 0];
const LOOPBACK: [u8; 4] = [127, 0, 0, 0];
const LOOPBACK_MASK: [u8; 4] = [255, 0, 0, 0];
const LOOPBACK_INDEX: [u8; 4] = [1, 0, 0, 0];

/// A container's chains: the end of their name, hook (NF_INET_PRE_ROUTING, LOCAL_OUT, POST_ROUTING), priority.
const CHAINS: [(&[u8], u8, i32); 3] = [
    (b"-prerouting", 0, -100),
    (b"-output", 3, -100),
    (b"-postrouting", 4, 100),
];

/// The most bytes of rules: those of some thirty ports.
const ROOM: usize = 32 * 1024;

/// A chain's name.
type Name = [u8; 96];

fn named<'r>(container: &CStr, which: &[u8], room: &'r mut Name) -> &'r [u8] {
    let name = fs::c_string(&[container.to_bytes(), which], room);
    name.map_or(&[], CStr::to_bytes)
}

/// A batch that `fill` fills; the kernel takes all of it or nothing.
#[inline(never)]
fn batch(fill: &dyn Fn(&mut Packet<'_>)) -> Result<(), Errno> {
    let mut room = [0; ROOM];
    let mut packet = Packet::new(&mut room);
    packet.message(BEGIN, SILENT, &BATCH, &[], &[]);
    fill(&mut packet);
    packet.message(END, SILENT, &BATCH, &[], &[]);
    net::exchange(&socket::netlink(socket::NETFILTER)?, packet)
}

fn table(packet: &mut Packet<'_>) {
    packet.message(NEWTABLE, SILENT | CREATE, &IPV4, TABLE, &[]);
}

fn chain(packet: &mut Packet<'_>, flags: u16, kind: &[u8], name: &[u8], hook: u8, priority: i32) {
    let values = [name, &[0, 0, 0, hook], &priority.to_be_bytes(), kind];
    packet.message(NEWCHAIN, flags | CREATE, &IPV4, CHAIN, &values);
}

fn rule(packet: &mut Packet<'_>, flags: u16, form: &[u8], values: &[&[u8]]) {
    packet.message(NEWRULE, flags | CREATE, &IPV4, form, values);
}

/// What a container of that address has of rules.
fn chains(packet: &mut Packet<'_>, plan: &Plan<'_>, link: &Link<'_>, cidr: Cidr) {
    table(packet);
    let address = &cidr.address[..];
    for (which, hook, priority) in CHAINS {
        let mut room: Name = [0; 96];
        let name = named(plan.spec.name(), which, &mut room);
        chain(packet, SILENT, b"nat", name, hook, priority);
        if priority < 0 {
            for (host, own, protocol) in plan.spec.published() {
                let (host, own) = (host.to_be_bytes(), own.to_be_bytes());
                let values = [name, address, &[protocol], &host, &own, &LOCAL];
                rule(packet, SILENT, PUBLISHED, &values);
            }
            continue;
        }
        let mut bridge = [0; 16];
        for (to, from) in bridge.iter_mut().zip(link.bridge.to_bytes()) {
            *to = *from;
        }
        let network = (cidr.number() & cidr.mask()).to_be_bytes();
        let mask = cidr.mask().to_be_bytes();
        rule(
            packet,
            SILENT,
            TURNING,
            &[name, address, &LOOPBACK_MASK, &LOOPBACK],
        );
        rule(packet, SILENT, TURNING, &[name, address, &mask, &network]);
        rule(packet, ASK, LEAVING, &[name, address, &bridge]);
    }
}

/// What holds as long as the board is up: nobody reaches the host's own 127.0.0.1 by a wire.
fn guard(packet: &mut Packet<'_>) {
    const NAME: &[u8] = b"guard";
    table(packet);
    chain(packet, SILENT | EXCLUSIVE, b"filter", NAME, 0, -300);
    let values = [NAME, &LOOPBACK_MASK, &LOOPBACK_INDEX, &LOOPBACK];
    rule(packet, ASK, FROM_A_WIRE, &values);
}

/// Lays a container's rules. Where nothing is published a kernel without nf_tables is one without masquerading.
pub(super) fn lay<'a>(plan: &Plan<'a>, link: &Link<'a>, cidr: Cidr, now: &Now<'a>) {
    let mut room = [0; 96];
    let now = &Now::new(now.report);
    let object = fs::c_string(&[b"ports of ", plan.spec.name().to_bytes()], &mut room);
    now.at(Step::Publish, object.unwrap_or_default());
    let lay = || batch(&|packet| chains(packet, plan, link, cidr));
    let mut laid = lay();
    if let Err(Errno::OPNOTSUPP | Errno::NOENT | Errno::PROTONOSUPPORT | Errno::INVAL) = laid {
        for module in MODULES {
            let _ = modules::load(module);
        }
        laid = lay();
    }
    if plan.spec.published().next().is_none() {
        return;
    }
    now.ok(laid);
    match batch(&guard) {
        Err(Errno::EXIST) => {}
        guarded => now.ok(guarded),
    }
    net::set(&[b"conf/", link.bridge.to_bytes(), b"/route_localnet"], now);
}

/// Takes a container's rules away; with none there nothing happens.
pub(super) fn lift(container: &CStr) {
    let _ = batch(&|packet| {
        for (which, ..) in CHAINS {
            let mut room: Name = [0; 96];
            let name = named(container, which, &mut room);
            packet.message(DELCHAIN, ASK, &IPV4, CHAIN_GONE, &[name]);
        }
    });
}
