//! Memory that outlives the process image: a memfd mapped shared.
//!
//! PID 1's tables and rings lie in it, so that its re-execution finds them as they
//! were. A typed view of the old bytes is given only to the very binary that wrote
//! them: the head names its length and a digest of its file.

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::ftruncate;
use rustix::mm::{MapFlags, ProtFlags, mmap};

use super::file::own;
use super::slots::Slots;
use super::{Errno, call, lend, nr};

/// What stands before the tables.
#[repr(C)]
struct Head {
    magic: u64,
    size: u64,
    digest: u64,
}

const MAGIC: u64 = u64::from_le_bytes(*b"pouch 01");

/// Where the bytes behind the table start: a page's multiple on every processor used.
const fn bytes_at<T>() -> usize {
    (size_of::<Head>() + size_of::<T>() + 16).next_multiple_of(65536)
}

/// Where the mapping starts.
static BASE: core::sync::atomic::AtomicUsize = core::sync::atomic::AtomicUsize::new(0);

/// How long the mapping is.
static LENGTH: core::sync::atomic::AtomicUsize = core::sync::atomic::AtomicUsize::new(0);

/// Takes the mapping out of this process, a child that never looks at the tables again: munmap(2).
pub fn leave() {
    let of = |number: &core::sync::atomic::AtomicUsize| {
        number.load(core::sync::atomic::Ordering::Relaxed)
    };
    // SAFETY: the callers' word: they hold no reference into the tables from here on, and never return.
    let _ = unsafe { call(nr::__NR_munmap, [of(&BASE), of(&LENGTH)]) };
}

/// The offset in the memfd of an address within the mapping.
pub fn offset(address: usize) -> u64 {
    address.wrapping_sub(BASE.load(core::sync::atomic::Ordering::Relaxed)) as u64
}

/// What lies in an arena: a small part that is written at its start, and records that cost nothing until they are.
#[repr(C)] // the small part lies in front
pub struct Table<S, R> {
    /// The small part, by which the whole goes.
    pub small: S,
    /// The records.
    pub records: R,
}

/// What is valid and empty as nothing but zeros, which is what memory of the kernel's is at first.
///
/// # Safety
/// All bytes of it may be zero.
pub unsafe trait Zero {}

// SAFETY: no place is taken, and what is not taken holds nothing.
unsafe impl<T, const N: usize> Zero for Slots<T, N> {}
// SAFETY: as its parts.
unsafe impl<A: Zero, B: Zero, C: Zero, D: Zero> Zero for (A, B, C, D) {}

impl<S, R> core::ops::Deref for Table<S, R> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.small
    }
}

impl<S, R> core::ops::DerefMut for Table<S, R> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.small
    }
}

/// A mapped arena: one table, and bytes behind it that start as zeros.
pub struct Arena<S: 'static, R: 'static> {
    /// The memfd, for the next image.
    pub fd: OwnedFd,
    /// The table.
    pub table: &'static mut Table<S, R>,
    /// The bytes behind it; only those touched cost memory.
    pub bytes: &'static mut [u8],
    /// Whether the table is the former image's.
    pub resumed: bool,
}

/// Makes an arena, or takes over the one that a former image of the same binary left.
///
/// The table must hold no pointer but into the binary itself; the board binary lies at a
/// fixed address, so those stay good. `digest` is the binary's.
///
/// # Errors
/// Those of memfd_create(2), ftruncate(2) and mmap(2).
pub fn open<S: 'static, R: Zero + 'static>(
    old: Option<OwnedFd>,
    digest: u64,
    bytes: usize,
    new: impl FnOnce() -> S,
) -> Result<Arena<S, R>, Errno> {
    let behind = bytes_at::<Table<S, R>>();
    let total = behind + bytes;
    let (fd, existed) = match old {
        Some(fd) => (fd, true),
        // SAFETY: the name is NUL-ended; a new descriptor.
        None => unsafe {
            let flags = nr::MFD_CLOEXEC as usize;
            let fd = call(nr::__NR_memfd_create, [c"pouch".as_ptr() as usize, flags])?;
            (own(fd), false)
        },
    };
    ftruncate(lend(&fd), total as u64)?;
    // SAFETY: a fresh mapping, as long as the file, never unmapped; nobody else has the memfd.
    let base = unsafe { map(lend(&fd), total)? };
    BASE.store(base as usize, core::sync::atomic::Ordering::Relaxed);
    LENGTH.store(total, core::sync::atomic::Ordering::Relaxed);
    let head = base.cast::<Head>();
    // It stands behind the head at its own alignment (16 bytes is the most that any table has).
    // SAFETY: within the mapping by `bytes_at`.
    let table = unsafe { base.add(size_of::<Head>().next_multiple_of(16)) }.cast::<Table<S, R>>();
    // SAFETY: the mapping is page-aligned and holds at least a head.
    let resumed = existed
        && unsafe {
            (*head).magic == MAGIC
                && (*head).size == size_of::<Table<S, R>>() as u64
                && (*head).digest == digest
        };
    if !resumed {
        if existed {
            // What another binary left there is not what a new mapping has.
            ftruncate(lend(&fd), 0)?;
            ftruncate(lend(&fd), total as u64)?;
        }
        // SAFETY: `table` is aligned, within the mapping, and nobody refers to it yet. Its records are zeros, which
        // is their empty state; to write them would bring all their pages to be.
        unsafe {
            (&raw mut (*table).small).write(new());
            head.write(Head {
                magic: MAGIC,
                size: size_of::<Table<S, R>>() as u64,
                digest,
            });
        }
    }
    // SAFETY: the table was just written, or was by the same binary at the same address
    // layout; it and the bytes behind it do not overlap; this is the only mapping here.
    unsafe {
        Ok(Arena {
            fd,
            table: &mut *table,
            bytes: core::slice::from_raw_parts_mut(base.add(behind), bytes),
            resumed,
        })
    }
}

/// # Safety
/// The mapping is the caller's to hand out once.
unsafe fn map(fd: BorrowedFd<'_>, len: usize) -> Result<*mut u8, Errno> {
    let prot = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: the address is the kernel's choice, so nothing is mapped over.
    unsafe { mmap(core::ptr::null_mut(), len, prot, MapFlags::SHARED, fd, 0) }.map(<*mut _>::cast)
}
