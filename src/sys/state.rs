//! Records as their fields' bytes: what one image writes down and another reads.

use core::marker::PhantomData;

use rustix::fd::{AsRawFd, OwnedFd};

use super::file::own;
use super::{Errno, call, nr};

/// Where a field begins, and how long it is.
type Field = (u32, u16);

/// Fields up to this long are one value, and of one length for ever; longer ones are rows.
const VALUE: usize = 16;

/// One record of the arena, by its fields.
pub struct Place<'a> {
    base: *mut u8,
    size: usize,
    fields: &'static [Field],
    record: PhantomData<&'a mut u8>,
}

impl<'a> Place<'a> {
    /// The record, which must lie in the arena.
    pub fn of<T>(record: &'a mut T, fields: &'static [Field]) -> Self {
        Place {
            base: (&raw mut *record).cast(),
            size: size_of::<T>(),
            fields,
            record: PhantomData,
        }
    }

    fn field(&self, number: usize) -> Option<(*mut u8, usize)> {
        let (at, len) = *self.fields.get(number)?;
        let (at, len) = (at as usize, usize::from(len));
        // SAFETY: within the record.
        (at + len <= self.size).then(|| (unsafe { self.base.add(at) }, len))
    }

    /// The bytes of a field.
    pub fn bytes(&self, number: usize) -> Option<&[u8]> {
        let (at, len) = self.field(number)?;
        // SAFETY: within the record, which is borrowed; mapped memory holds bytes everywhere, padding included.
        Some(unsafe { core::slice::from_raw_parts(at, len) })
    }

    /// Puts bytes that another image's [`Place::bytes`] gave into the field of the same number. False if they cannot be that field.
    pub fn put(&mut self, number: usize, bytes: &[u8]) -> bool {
        let Some((at, len)) = self.field(number) else {
            return true; // of a later version, and not known here
        };
        if len != bytes.len() && (len <= VALUE || bytes.len() <= VALUE) {
            return false;
        }
        // SAFETY: within the record, which is borrowed alone. The bytes are a value of the field's own
        // type, by the law of format::fields; a row's first elements, where the rows' lengths differ.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), at, len.min(bytes.len())) };
        true
    }
}

/// A file in memory that can be sealed, close-on-exec.
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM.
pub fn memory() -> Result<OwnedFd, Errno> {
    const CLOEXEC_AND_SEALING: usize = 3;
    let name = c"pouch-state".as_ptr() as usize;
    // SAFETY: the name is NUL-ended; a new descriptor.
    unsafe {
        Ok(own(call(
            nr::__NR_memfd_create,
            [name, CLOEXEC_AND_SEALING],
        )?))
    }
}

/// Nobody changes it from here on.
///
/// # Errors
/// EPERM if it cannot be sealed.
pub fn seal(fd: &OwnedFd) -> Result<(), Errno> {
    const F_ADD_SEALS: usize = 1033;
    const ALL: usize = 15;
    // SAFETY: no pointer.
    unsafe { call(nr::__NR_fcntl, [fd.as_raw_fd() as usize, F_ADD_SEALS, ALL]) }.map(drop)
}
