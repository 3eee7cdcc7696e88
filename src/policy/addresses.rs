//! Addresses of a bridge: which one a container gets.
//!
//! No list is kept: what is in use is what living containers hold, so an address is
//! given back by its holder's end and nothing can leak.

use crate::format::inet::Cidr;

/// The lowest free address of the bridge's network, the bridge's own excepted.
///
/// Neither the network's own address nor its broadcast is handed out. `None` where every other is taken.
pub fn next(bridge: Cidr, is_taken: &dyn Fn(u32) -> bool) -> Option<u32> {
    let first = bridge.number() & bridge.mask();
    let broadcast = first | !bridge.mask();
    let mut at = first + 1;
    while at < broadcast {
        if at != bridge.number() && !is_taken(at) {
            return Some(at);
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn bridge(number: u32, bits: u8) -> Cidr {
        Cidr {
            address: number.to_be_bytes(),
            bits,
        }
    }

    /// Every network of 2 to 6 bits of hosts, every place of the bridge in it, filled to the last address.
    #[test]
    fn every_address_is_handed_out_once_and_none_that_is_not_a_hosts() {
        for bits in 26..=30 {
            let size = 1u32 << (32 - bits);
            for base in [0x0a00_0300, 0xffff_ff00 & !(size - 1)] {
                for own in 1..size - 1 {
                    let bridge = bridge(base + own, bits as u8);
                    let mut held = BTreeSet::new();
                    while let Some(one) = next(bridge, &|a| held.contains(&a)) {
                        assert!(one > base && one < base + size - 1 && one != base + own);
                        assert!(held.insert(one), "{one:x} was handed out twice");
                    }
                    assert_eq!(held.len() as u32, size - 3);
                }
            }
        }
    }

    /// Every sequence of takes and returns of a network with five free addresses, to a depth.
    #[test]
    fn what_is_given_back_is_handed_out_again() {
        let bridge = bridge(0x0a00_0001, 29);
        fn walk(bridge: Cidr, held: &mut BTreeSet<u32>, depth: u32, count: &mut u32) {
            *count += 1;
            if depth == 0 {
                return;
            }
            match next(bridge, &|a| held.contains(&a)) {
                Some(one) => {
                    let lower = (0x0a00_0002..one).all(|a| held.contains(&a));
                    assert!(lower && held.insert(one), "the lowest free one");
                    walk(bridge, held, depth - 1, count);
                    held.remove(&one);
                }
                None => assert_eq!(held.len(), 5),
            }
            for one in held.clone() {
                held.remove(&one);
                walk(bridge, held, depth - 1, count);
                held.insert(one);
            }
        }
        let mut count = 0;
        walk(bridge, &mut BTreeSet::new(), 9, &mut count);
        assert!(count > 1_000, "only {count} were walked");
    }

    #[test]
    fn a_large_network_is_not_walked_to_its_end() {
        assert_eq!(next(bridge(0x0a00_0001, 1), &|_| false), Some(1));
        assert_eq!(next(bridge(0x0a00_0001, 8), &|_| false), Some(0x0a00_0002));
    }
}
