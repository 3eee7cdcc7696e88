//! A table of records of which the free ones cost no memory.
//!
//! Which places are taken stands in front of all records. So a search touches no page of
//! a record that is not there, and such a page never comes to be in an arena: an empty
//! table is nothing but zeros there ([`super::arena::Zero`]).

use core::mem::MaybeUninit;

/// Places for N records.
#[repr(C)] // what is taken lies in front
pub struct Slots<T, const N: usize> {
    taken: [bool; N],
    places: [MaybeUninit<T>; N],
}

impl<T, const N: usize> Default for Slots<T, N> {
    fn default() -> Self {
        Slots {
            taken: [false; N],
            places: [const { MaybeUninit::uninit() }; N],
        }
    }
}

impl<T, const N: usize> Slots<T, N> {
    /// The first free place, `None` where all are taken.
    pub fn free(&self) -> Option<usize> {
        self.taken.iter().position(|taken| !taken)
    }

    /// The record at a place.
    pub fn get(&self, at: impl Into<usize> + Copy) -> Option<&T> {
        let at = at.into();
        let (taken, place) = (self.taken.get(at)?, self.places.get(at)?);
        // SAFETY: a place is taken from `put` to `vacate`, and holds a record as long.
        taken.then(|| unsafe { place.assume_init_ref() })
    }

    /// The same to change.
    pub fn get_mut(&mut self, at: impl Into<usize> + Copy) -> Option<&mut T> {
        let at = at.into();
        let (taken, place) = (self.taken.get(at)?, self.places.get_mut(at)?);
        // SAFETY: as in `get`.
        taken.then(|| unsafe { place.assume_init_mut() })
    }

    /// The record at a place to change; where none is, the one that `new` makes, if it makes one.
    pub fn get_or(
        &mut self,
        at: impl Into<usize> + Copy,
        new: impl FnOnce() -> Option<T>,
    ) -> Option<&mut T> {
        if self.get(at).is_none() {
            self.put(at, new()?);
        }
        self.get_mut(at)
    }

    /// Puts a record there, in place of one that was. Beyond the end it is let go.
    pub fn put(&mut self, at: impl Into<usize> + Copy, record: T) {
        self.vacate(at);
        let at = at.into();
        if let (Some(taken), Some(place)) = (self.taken.get_mut(at), self.places.get_mut(at)) {
            place.write(record);
            *taken = true;
        }
    }

    /// Lets the record there go, with what it holds.
    pub fn vacate(&mut self, at: impl Into<usize> + Copy) {
        let at = at.into();
        if let (Some(taken), Some(place)) = (self.taken.get_mut(at), self.places.get_mut(at))
            && core::mem::take(taken)
        {
            // SAFETY: as in `get`; it is not taken any more, so this is the last that is done with the record.
            unsafe { place.assume_init_drop() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn a_record_is_there_from_put_to_vacate_and_is_dropped_once() {
        let counted = Rc::new(());
        let mut slots = Slots::<Rc<()>, 2>::default();
        assert_eq!((slots.free(), slots.get(0u8)), (Some(0), None));
        slots.put(0u8, counted.clone());
        slots.put(1u8, counted.clone());
        assert_eq!((slots.free(), Rc::strong_count(&counted)), (None, 3));
        slots.put(1u8, counted.clone());
        slots.put(2u8, counted.clone());
        assert_eq!(Rc::strong_count(&counted), 3);
        slots.vacate(0u8);
        slots.vacate(0u8);
        slots.vacate(9u8);
        assert_eq!((slots.free(), Rc::strong_count(&counted)), (Some(0), 2));
        assert!(slots.get_mut(0u8).is_none() && slots.get_mut(1u8).is_some());
        assert!(slots.get_or(0u8, || None).is_none());
        assert!(slots.get_or(0u8, || Some(counted.clone())).is_some());
        assert!(slots.get_or(1u8, || None).is_some());
        assert!(slots.get_or(2u8, || Some(counted.clone())).is_none());
        assert_eq!(Rc::strong_count(&counted), 3);
    }
}
