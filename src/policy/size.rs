//! How many containers there can be, which is settled when pouch is built.
//!
//! 64, unless `POUCH_UNITS` said otherwise to the compiler. From here come the sizes of all
//! tables, and how wide a place in one of them is: a byte is enough for 64 containers with
//! their clients and sessions, and more of them cost a second one in every record, in code,
//! and on the way between two images.

/// The most containers at once.
pub const UNITS: usize = match option_env!("POUCH_UNITS") {
    None => 64,
    Some(text) if text.is_empty() => 64,
    Some(text) => match usize::from_str_radix(text, 10) {
        Ok(units) => units,
        Err(_) => 0,
    },
};

/// There are more than the ordinary build has.
pub const MANY: bool = UNITS > 64;

/// A place in a table.
pub type Place = <Is<MANY> as Width>::Place;

/// Whether there are many.
pub struct Is<const MANY: bool>;

/// What is as wide as the tables are long.
pub trait Width {
    /// A place in a table.
    type Place;
}

impl Width for Is<false> {
    type Place = u8;
}

impl Width for Is<true> {
    type Place = u16;
}

/// A bit for each container, by its place, which is below [`UNITS`].
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Set([u64; UNITS / 64]);

/// Which word has the bit: with 64 containers there is nothing to find, and nothing to check.
const fn word_of(at: usize) -> usize {
    if MANY { at / 64 } else { 0 }
}

impl Set {
    /// None of them.
    pub const NONE: Set = Set([0; UNITS / 64]);

    /// That one alone.
    pub fn one(at: usize) -> Set {
        let mut set = Set::NONE;
        set.add(at);
        set
    }

    /// Whether it is there.
    #[inline(always)] // a single word's instruction or two, as a rule
    pub fn has(&self, at: usize) -> bool {
        self.0
            .get(word_of(at))
            .is_some_and(|word| word >> (at % 64) & 1 != 0)
    }

    /// It is there from now on.
    #[inline(always)] // a single word's instruction or two, as a rule
    pub fn add(&mut self, at: usize) {
        if let Some(word) = self.0.get_mut(word_of(at)) {
            *word |= 1 << (at % 64);
        }
    }

    /// It is not there any more.
    #[inline(always)] // a single word's instruction or two, as a rule
    pub fn take(&mut self, at: usize) {
        if let Some(word) = self.0.get_mut(word_of(at)) {
            *word &= !(1 << (at % 64));
        }
    }

    /// All of the other set are there too.
    #[inline(always)] // a single word's instruction or two, as a rule
    pub fn join(&mut self, other: &Set) {
        for (word, more) in self.0.iter_mut().zip(other.0) {
            *word |= more;
        }
    }

    /// None of the other set is there any more.
    #[inline(always)] // a single word's instruction or two, as a rule
    pub fn part(&mut self, other: &Set) {
        for (word, less) in self.0.iter_mut().zip(other.0) {
            *word &= !less;
        }
    }
}

const _: () = assert!(
    UNITS >= 64 && UNITS <= 1024 && UNITS.is_multiple_of(64),
    "POUCH_UNITS, the most containers at once, must be a multiple of 64 from 64 to 1024"
);

#[cfg(test)]
impl From<u64> for Set {
    fn from(bits: u64) -> Set {
        let mut set = Set::NONE;
        (0..64)
            .filter(|at| bits >> at & 1 != 0)
            .for_each(|at| set.add(at));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_added_up_to_the_last_place() {
        let mut set = Set::NONE;
        for at in [0, 5, UNITS - 1] {
            set.add(at);
        }
        let there: std::vec::Vec<usize> = (0..UNITS).filter(|at| set.has(*at)).collect();
        assert_eq!(there, [0, 5, UNITS - 1]);
        set.take(5);
        let mut both = Set::one(7);
        both.join(&set);
        assert!(both.has(0) && both.has(7) && !both.has(5));
        both.part(&set);
        assert_eq!(both, Set::one(7));
    }

    #[test]
    fn a_place_is_as_wide_as_the_tables_are_long() {
        // With clients and sessions beside the containers.
        assert!(UNITS + 64 <= 1 << Place::BITS);
        assert_eq!(size_of::<Place>(), if MANY { 2 } else { 1 });
    }
}
