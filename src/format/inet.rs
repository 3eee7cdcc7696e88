//! Addresses of IPv4 as people write them: a dotted quad, and behind a slash its prefix.

use super::number;
use super::text::{Sink, cut, put};

/// An address and how many of its first bits are its network's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cidr {
    /// The address, in the network's order.
    pub address: [u8; 4],
    /// The bits of the prefix, 1 to 32.
    pub bits: u8,
}

impl Cidr {
    /// The bits of its network, as a mask.
    pub fn mask(self) -> u32 {
        match self.bits {
            0 => 0,
            bits => u32::MAX << 32u32.saturating_sub(bits.into()),
        }
    }

    /// Whether that address is of its network.
    pub fn holds(self, other: [u8; 4]) -> bool {
        (self.number() ^ u32::from_be_bytes(other)) & self.mask() == 0
    }

    /// Whether a host can have it: neither the network's own address nor its broadcast.
    pub fn is_hosts(self) -> bool {
        let rest = self.number() & !self.mask();
        self.bits > 30 || (rest != 0 && rest != !self.mask())
    }

    /// The address as a number.
    pub fn number(self) -> u32 {
        u32::from_be_bytes(self.address)
    }
}

/// A dotted quad that one host can have: not of 0/8 or 127/8, and below the multicasts.
#[inline(never)]
pub fn address(word: &[u8]) -> Option<[u8; 4]> {
    let mut address = [0; 4];
    let mut rest = Some(word);
    for octet in &mut address {
        let (digits, behind) = cut(rest?, b'.');
        // With a zero before it, it would be octal to some.
        if digits.len() > 1 && digits.first() == Some(&b'0') {
            return None;
        }
        *octet = u8::try_from(number::u32(digits)?).ok()?;
        rest = behind;
    }
    let [first, ..] = address;
    let one_hosts = !matches!(first, 0 | 127 | 224..);
    (rest.is_none() && one_hosts).then_some(address)
}

/// ADDR/BITS that a host can have.
pub fn cidr(word: &[u8]) -> Option<Cidr> {
    let (host, bits) = cut(word, b'/');
    let address = address(host)?;
    let bits = u8::try_from(number::u32(bits?)?).ok()?;
    let cidr = Cidr { address, bits };
    ((1..=32).contains(&bits) && cidr.is_hosts()).then_some(cidr)
}

/// HOST:CONT[/tcp|/udp]: two ports and the protocol's number, as the record has them.
pub fn publish(word: &[u8]) -> Option<[u8; 5]> {
    let (ports, protocol) = cut(word, b'/');
    let protocol = match protocol {
        None | Some(b"tcp") => 6,
        Some(b"udp") => 17,
        Some(_) => return None,
    };
    let (host, inside) = cut(ports, b':');
    let port = |word| {
        let number = u16::try_from(number::u32(word)?).ok()?;
        (number != 0).then_some(number.to_le_bytes())
    };
    let ([a, b], [c, d]) = (port(host)?, port(inside?)?);
    Some([a, b, c, d, protocol])
}

/// Writes an address; the prefix too where it has one.
#[inline(never)]
pub fn show(sink: &mut Sink<'_>, cidr: Cidr) {
    let [a, b, c, d] = cidr.address;
    put!(sink, "{}.{}.{}.{}", a, b, c, d);
    if cidr.bits != 0 {
        put!(sink, "/{}", cidr.bits);
    }
}

/// Whether an interface can be called so: IFNAMSIZ, and what dev_valid_name of the kernel and its `%d` forbid.
pub fn is_interface(name: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_graphic() && !matches!(b, b'/' | b':' | b'%');
    (1..16).contains(&name.len()) && name.iter().all(plain) && !matches!(name, b"." | b"..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_strict() {
        assert_eq!(address(b"10.0.3.255"), Some([10, 0, 3, 255]));
        for bad in [
            "",
            "10",
            "10.0.0",
            "10.0.0.1.2",
            "10.0.0.256",
            "10.0.0.-1",
            "10.0.0.01",
            "10..0.1",
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "10.0.0.1 ",
            "a.b.c.d",
        ] {
            assert_eq!(address(bad.as_bytes()), None, "{bad}");
        }
        for (word, bits) in [
            ("10.0.3.2/24", 24),
            ("10.0.3.2/32", 32),
            ("10.0.3.2/31", 31),
            ("10.0.3.0/16", 16),
        ] {
            assert_eq!(cidr(word.as_bytes()).map(|c| c.bits), Some(bits), "{word}");
        }
        for bad in [
            "10.0.3.2",
            "10.0.3.2/",
            "10.0.3.2/0",
            "10.0.3.2/33",
            "10.0.3.2/x",
            "10.0.3.2/24/1",
            "10.0.3.0/24",
            "10.0.3.255/24",
            "10.0.3.4/30",
            "10.0.3.7/30",
            "/24",
        ] {
            assert_eq!(cidr(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn networks_hold_what_is_theirs() {
        let cidr = cidr(b"10.0.3.2/24").unwrap();
        assert!(cidr.holds([10, 0, 3, 254]) && !cidr.holds([10, 0, 4, 1]));
        let all = Cidr {
            address: [10, 0, 0, 1],
            bits: 0,
        };
        assert!(all.holds([200, 0, 0, 1]));
        assert_eq!(Cidr { bits: 32, ..all }.mask(), u32::MAX);
    }

    #[test]
    fn ports_and_names_are_strict() {
        assert_eq!(publish(b"8080:80"), Some([0x90, 0x1f, 80, 0, 6]));
        assert_eq!(publish(b"53:53/udp"), Some([53, 0, 53, 0, 17]));
        assert_eq!(publish(b"1:65535/tcp"), Some([1, 0, 255, 255, 6]));
        for bad in [
            "80",
            "80:",
            ":80",
            "0:80",
            "80:0",
            "65536:1",
            "80:80/sctp",
            "80:80/",
            "1:2:3",
            "a:b",
        ] {
            assert_eq!(publish(bad.as_bytes()), None, "{bad}");
        }
        for (name, good) in [
            ("br0", true),
            ("a-b_c.d", true),
            ("fifteen-letters", true),
            ("sixteen-letters!", false),
            ("", false),
            (".", false),
            ("..", false),
            ("a/b", false),
            ("a b", false),
            ("a:b", false),
            ("p%d", false),
        ] {
            assert_eq!(is_interface(name.as_bytes()), good, "{name}");
        }
    }
}
