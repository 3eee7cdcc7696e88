//! Which user numbers of the host a container's own stand for.
//!
//! Each container with a user namespace has a range of its own, so that no two share a
//! user. It keeps the range over restarts, until it is destroyed; what was given back is
//! handed out again as late as can be, since files may have been left behind with it.

use super::size::{Place, Set, UNITS};

/// How many users one range has: every number that a 16-bit user could be.
pub const USERS: u32 = 65_536;
/// The first number of the first range, above all that people and programs are given.
const FIRST: u32 = 524_288;
/// How many ranges there are: as many as containers can be.
const COUNT: Place = UNITS as Place;

/// The ranges that are taken.
#[derive(Debug, Default)]
#[repr(C)] // it goes from one image to the next
pub struct Ranges {
    /// By the containers' numbers.
    taken: Set,
    /// Where the search for a free one begins.
    next: Place,
}

impl Ranges {
    /// None is taken.
    pub const fn new() -> Ranges {
        Ranges {
            taken: Set::NONE,
            next: 0,
        }
    }

    /// A free range, by its first number.
    pub fn take(&mut self) -> Option<u32> {
        for _ in 0..COUNT {
            let one = self.next;
            self.next = (one + 1) % COUNT;
            if !self.taken.has(one.into()) {
                self.taken.add(one.into());
                return Some(FIRST + u32::from(one) * USERS);
            }
        }
        None
    }

    /// Gives it back. 0 is no range.
    pub fn give(&mut self, first: u32) {
        if let Some(above) = first.checked_sub(FIRST)
            && above / USERS < COUNT.into()
        {
            self.taken.take((above / USERS) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_share_a_user_and_all_fit_into_the_numbers() {
        let mut ranges = Ranges::new();
        let taken: BTreeSet<u32> = (0..COUNT).filter_map(|_| ranges.take()).collect();
        assert_eq!(taken.len(), usize::from(COUNT));
        assert!(taken.iter().all(|f| f % USERS == 0 && *f >= FIRST));
        assert!(taken.last().unwrap() + USERS < i32::MAX as u32);
        assert_eq!(ranges.take(), None);
        ranges.give(FIRST + 5 * USERS);
        assert_eq!(ranges.take(), Some(FIRST + 5 * USERS));
    }

    #[test]
    fn what_was_given_back_is_the_last_to_be_taken_again() {
        let mut ranges = Ranges::new();
        let first = ranges.take().unwrap();
        ranges.give(first);
        for _ in 1..COUNT {
            assert_ne!(ranges.take(), Some(first));
        }
        assert_eq!(ranges.take(), Some(first));
    }

    #[test]
    fn what_is_no_range_changes_nothing() {
        let mut ranges = Ranges::new();
        ranges.take();
        for none in [0, 1, FIRST - 1, FIRST + 64 * USERS, u32::MAX] {
            ranges.give(none);
            assert_eq!(ranges.taken, Set::one(0), "{none}");
        }
    }
}
