//! Which container waits for which: `after`, at the start and, turned around, at the end.
//!
//! A set of containers is 64 bits, a container's place in the table its bit. `after` of
//! a container is the set of those it is started after; names that nobody has yet are
//! the caller's to know.

/// The most containers.
pub const MOST: usize = 64;

/// For each container those it is started after.
pub type After = [u64; MOST];

/// All that one comes after, and those after them.
pub fn before(after: &After, first: u64) -> u64 {
    let mut all = first;
    // A way without a circle is shorter than the fleet.
    for _ in after {
        for (id, its) in after.iter().enumerate() {
            if all >> id & 1 != 0 {
                all |= its;
            }
        }
    }
    all
}

/// Of those that live, the ones that may be stopped: nobody who lives comes after them.
pub fn last(after: &After, live: u64) -> u64 {
    let mut free = live;
    for (id, its) in after.iter().enumerate() {
        if live >> id & 1 != 0 {
            free &= !(its & !(1 << id));
        }
    }
    free
}

/// The longest that stopping all who live takes when each takes its grace, in milliseconds:
/// the independent ones side by side.
pub fn patience(after: &After, live: u64, grace: &dyn Fn(usize) -> u64) -> u64 {
    let (mut live, mut sum) = (live, 0);
    while live != 0 {
        // There are no circles; were there one, all of it would go at once.
        let free = match last(after, live) {
            0 => live,
            free => free,
        };
        let mut longest = 0;
        for id in 0..MOST {
            if free >> id & 1 != 0 {
                longest = grace(id).max(longest);
            }
        }
        sum += longest;
        live &= !free;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every fleet of four: each of the twelve arrows is there or not.
    fn fleets() -> impl Iterator<Item = After> {
        (0..1u64 << 12).map(|arrows| {
            let mut after = [0; MOST];
            let mut bit = 0;
            for (a, its) in after.iter_mut().enumerate().take(4) {
                for b in 0..4 {
                    if a != b {
                        *its |= (arrows >> bit & 1) << b;
                        bit += 1;
                    }
                }
            }
            after
        })
    }

    fn has_circle(after: &After) -> bool {
        (0..4).any(|id| before(after, after[id]) >> id & 1 != 0)
    }

    #[test]
    fn a_fleet_that_takes_no_circle_in_never_has_one() {
        // The last container's arrows come last, as they do when it is accepted.
        for after in fleets() {
            let mut without = after;
            without[3] = 0;
            if has_circle(&without) {
                continue;
            }
            let refused = before(&after, after[3]) >> 3 & 1 != 0;
            assert_eq!(refused, has_circle(&after), "{:?}", &after[..4]);
        }
    }

    #[test]
    fn every_fleet_ends_with_the_latest_first() {
        let mut ends = 0;
        for after in fleets().filter(|a| !has_circle(a)) {
            for begin in 1..16u64 {
                let mut live = begin;
                while live != 0 {
                    let free = last(&after, live);
                    assert_ne!(free, 0, "nobody may be stopped");
                    assert_eq!(free & !live, 0, "a dead one is stopped");
                    for (id, its) in after.iter().enumerate() {
                        assert!(live >> id & 1 == 0 || its & free & !(1 << id) == 0);
                    }
                    // Only the first of those that may go at once has gone.
                    live &= !(free & free.wrapping_neg());
                    ends += 1;
                }
            }
        }
        assert!(ends > 10_000);
    }

    #[test]
    fn a_chain_takes_the_sum_of_its_graces_and_a_crowd_the_longest() {
        let mut chain = [0; MOST];
        (chain[1], chain[2]) = (1, 2);
        assert_eq!(patience(&chain, 7, &|id| [10, 20, 30][id]), 60);
        assert_eq!(patience(&[0; MOST], 7, &|id| [10, 20, 30][id]), 30);
        assert_eq!(patience(&[0; MOST], 0, &|_| 1), 0);
        assert_eq!(
            patience(&[u64::MAX; MOST], u64::MAX, &|_| 1),
            1,
            "a circle ends too"
        );
    }
}
