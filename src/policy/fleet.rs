//! Which container waits for which: `after`, at the start and, turned around, at the end.
//!
//! A container's place in the table is its bit in a set of them. `after` of a container is
//! the set of those it is started after; names that nobody has yet are the caller's to know.

use super::size::{Set, UNITS};

/// For each container those it is started after.
pub type After = [Set; UNITS];

/// All that one comes after, and those after them.
pub fn before(after: &After, first: Set) -> Set {
    let mut all = first;
    loop {
        let known = all;
        for (id, its) in after.iter().enumerate() {
            if all.has(id) {
                all.join(its);
            }
        }
        if all == known {
            return all;
        }
    }
}

/// Of those that live, the ones that may be stopped: nobody who lives comes after them. (Nobody comes after itself:
/// that is a circle, and was refused.)
pub fn last(after: &After, live: Set) -> Set {
    let mut free = live;
    for (id, its) in after.iter().enumerate() {
        if live.has(id) {
            free.part(its);
        }
    }
    free
}

/// The longest that stopping all who live takes when each takes its grace, in milliseconds:
/// the independent ones side by side.
pub fn patience(after: &After, live: Set, grace: &dyn Fn(usize) -> u64) -> u64 {
    let (mut live, mut sum) = (live, 0);
    while live != Set::NONE {
        // There are no circles; were there one, all of it would go at once.
        let mut free = last(after, live);
        if free == Set::NONE {
            free = live;
        }
        let mut longest = 0;
        for id in 0..UNITS {
            if free.has(id) {
                longest = grace(id).max(longest);
            }
        }
        sum += longest;
        live.part(&free);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first of a fleet, by their bits.
    fn fleet(first: &[u64]) -> After {
        let mut after = [Set::NONE; UNITS];
        for (its, bits) in after.iter_mut().zip(first) {
            *its = Set::from(*bits);
        }
        after
    }

    /// Every fleet of four: each of the twelve arrows is there or not.
    fn fleets() -> impl Iterator<Item = After> {
        (0..1u64 << 12).map(|arrows| {
            let mut after = [0u64; 4];
            let mut bit = 0;
            for (a, its) in after.iter_mut().enumerate() {
                for b in 0..4 {
                    if a != b {
                        *its |= (arrows >> bit & 1) << b;
                        bit += 1;
                    }
                }
            }
            fleet(&after)
        })
    }

    fn has_circle(after: &After) -> bool {
        (0..4).any(|id| before(after, after[id]).has(id))
    }

    #[test]
    fn a_fleet_that_takes_no_circle_in_never_has_one() {
        // The last container's arrows come last, as they do when it is accepted.
        for after in fleets() {
            let mut without = after;
            without[3] = Set::NONE;
            if has_circle(&without) {
                continue;
            }
            let refused = before(&after, after[3]).has(3);
            assert_eq!(refused, has_circle(&after), "{:?}", &after[..4]);
        }
    }

    #[test]
    fn every_fleet_ends_with_the_latest_first() {
        let mut ends = 0;
        for after in fleets().filter(|a| !has_circle(a)) {
            for begin in 1..16u64 {
                let mut live = Set::from(begin);
                while live != Set::NONE {
                    let free = last(&after, live);
                    let first = (0..UNITS).find(|id| free.has(*id));
                    let first = first.expect("nobody may be stopped");
                    for (id, its) in after.iter().enumerate() {
                        assert!(live.has(id) || !free.has(id), "a dead one is stopped");
                        let waits = |other| other != id && its.has(other) && free.has(other);
                        assert!(!live.has(id) || !(0..UNITS).any(waits));
                    }
                    // Only the first of those that may go at once has gone.
                    live.take(first);
                    ends += 1;
                }
            }
        }
        assert!(ends > 10_000);
    }

    #[test]
    fn a_chain_takes_the_sum_of_its_graces_and_a_crowd_the_longest() {
        let (chain, crowd, three) = (fleet(&[0, 1, 2]), fleet(&[]), Set::from(7));
        assert_eq!(patience(&chain, three, &|id| [10, 20, 30][id]), 60);
        assert_eq!(patience(&crowd, three, &|id| [10, 20, 30][id]), 30);
        assert_eq!(patience(&crowd, Set::NONE, &|_| 1), 0);
        let all = Set::from(u64::MAX);
        assert_eq!(patience(&[all; UNITS], all, &|_| 1), 1, "a circle ends too");
    }
}
