//! Where the fields of a record lie: what another version of pouch is told of it.
//!
//! A list of fields is the layout of a saved state: the first is number 0. Fields are
//! added at its end and never taken out; one that gets another meaning or shape is a new
//! one, and what stood in its place is kept as a number that nobody writes.

/// Where a field begins in its record, and how long it is, in bytes.
pub type Field = (u32, u16);

/// The length of the field that `_of` picks.
pub const fn length<T, F>(_of: fn(&T) -> &F) -> u16 {
    size_of::<F>() as u16
}

/// The list of a record's fields, by their names.
macro_rules! fields {
    ($record:ty: $($field:ident)*) => {
        &[$((
            core::mem::offset_of!($record, $field) as u32,
            $crate::format::fields::length(|record: &$record| &record.$field),
        )),*]
    };
}
pub(crate) use fields;
