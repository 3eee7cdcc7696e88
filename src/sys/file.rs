//! Files, pipes and descriptors: the calls of every day, each with its registers alone.
//!
//! rustix checks once more, with words for a panic, that a new descriptor is not -1.
//! Those words bring all of core's formatting, so nothing here goes by that way.

use core::ffi::CStr;
use core::sync::atomic::{AtomicI32, Ordering};

use rustix::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use rustix::fs::OFlags;

use super::{Errno, call, nr};

/// The folder a relative path starts from: the process's own.
const HERE: i32 = -100;
/// TIOCGPTPEER: a slave of a pseudo-terminal, by its master.
const TIOCGPTPEER: usize = 0x5441;
/// struct linux_dirent64: its length, its kind and its name stand there.
const LENGTH: usize = 16;
const KIND: usize = 18;
const NAME: usize = 19;
/// DT_DIR.
const FOLDER: u8 = 4;

/// A number that the kernel just made, as a descriptor.
///
/// # Safety
/// It is open, and nobody else owns it.
#[inline(always)]
pub(super) unsafe fn own(number: u32) -> OwnedFd {
    // SAFETY: the type is a transparent i32; that it is open and not -1 is the caller's word.
    unsafe { core::mem::transmute::<i32, OwnedFd>(number as i32) }
}

#[inline(always)]
fn bare(fd: &OwnedFd) -> usize {
    fd.as_raw_fd() as usize
}

/// openat(2), close-on-exec. A new file is its owner's alone.
///
/// # Errors
/// Those of open(2).
#[inline(never)]
pub fn open_at(at: Option<BorrowedFd<'_>>, path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags.bits() | nr::O_CLOEXEC | nr::O_LARGEFILE;
    let at = at.map_or(HERE, |fd| fd.as_raw_fd());
    // SAFETY: the path is NUL-ended; what the kernel answers is a new descriptor.
    unsafe {
        let fd = call(
            nr::__NR_openat,
            [at as usize, path.as_ptr() as usize, flags as usize, 0o600],
        )?;
        Ok(own(fd))
    }
}

/// openat(2) of a new file of that mode, to write, close-on-exec.
///
/// # Errors
/// Those of open(2); EEXIST for whatever is there, a symlink too.
pub fn create_at(at: BorrowedFd<'_>, path: &CStr, mode: u32) -> Result<OwnedFd, Errno> {
    let flags = nr::O_CREAT | nr::O_EXCL | nr::O_WRONLY | nr::O_CLOEXEC | nr::O_LARGEFILE;
    let at = at.as_raw_fd() as usize;
    // SAFETY: the path is NUL-ended; what the kernel answers is a new descriptor.
    unsafe {
        let fd = call(
            nr::__NR_openat,
            [at, path.as_ptr() as usize, flags as usize, mode as usize],
        )?;
        Ok(own(fd))
    }
}

/// A descriptor that is opened when it is first wanted, and stays open as long as the process lives.
pub struct Lasting(AtomicI32);

impl Lasting {
    /// Not open yet.
    pub const fn closed() -> Lasting {
        Lasting(AtomicI32::new(-1))
    }

    /// The descriptor, opened if it is not.
    ///
    /// # Errors
    /// Those of `open`, which is tried again the next time.
    pub fn get(
        &self,
        open: impl FnOnce() -> Result<OwnedFd, Errno>,
    ) -> Result<BorrowedFd<'static>, Errno> {
        let mut number = self.0.load(Ordering::Relaxed);
        if number < 0 {
            number = open()?.into_raw_fd();
            self.0.store(number, Ordering::Relaxed);
        }
        // SAFETY: it was open when it came here, and nobody else knows the number to close it.
        Ok(unsafe { BorrowedFd::borrow_raw(number) })
    }
}

/// read(2).
///
/// # Errors
/// Those of read(2).
#[inline(never)]
pub fn read(fd: &OwnedFd, room: &mut [u8]) -> Result<usize, Errno> {
    let at = room.as_mut_ptr() as usize;
    // SAFETY: the kernel writes at most the room, which is borrowed alone.
    unsafe { call(nr::__NR_read, [bare(fd), at, room.len()]) }.map(|len| len as usize)
}

/// write(2).
///
/// # Errors
/// Those of write(2).
#[inline(never)]
pub fn write(fd: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    let at = bytes.as_ptr() as usize;
    // SAFETY: the kernel reads the bytes.
    unsafe { call(nr::__NR_write, [bare(fd), at, bytes.len()]) }.map(|len| len as usize)
}

/// pipe2(2), close-on-exec: its ends to read and to write.
///
/// # Errors
/// EMFILE, ENFILE.
#[inline(never)]
pub fn pipe(flags: OFlags) -> Result<(OwnedFd, OwnedFd), Errno> {
    let mut ends = [0u32; 2];
    let flags = flags.bits() | nr::O_CLOEXEC;
    // SAFETY: the kernel writes two new descriptors. Read as it left them, which the compiler
    // cannot see: the pointer went as a number.
    unsafe {
        call(nr::__NR_pipe2, [&raw mut ends as usize, flags as usize])?;
        let [reading, writing] = (&raw const ends).read_volatile();
        Ok((own(reading), own(writing)))
    }
}

/// fcntl(2) F_DUPFD_CLOEXEC: one more descriptor of the same.
///
/// # Errors
/// EMFILE.
pub fn again(fd: &OwnedFd) -> Result<OwnedFd, Errno> {
    let how = nr::F_DUPFD_CLOEXEC as usize;
    // SAFETY: no pointer; a new descriptor.
    unsafe { Ok(own(call(nr::__NR_fcntl, [bare(fd), how, 0])?)) }
}

/// epoll_create1(2), close-on-exec.
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM.
pub fn epoll() -> Result<OwnedFd, Errno> {
    // SAFETY: no pointer; a new descriptor.
    unsafe { Ok(own(call(nr::__NR_epoll_create1, [nr::O_CLOEXEC as usize])?)) }
}

/// epoll_pwait(2): how many events stand in the room. It ends after so many milliseconds at
/// the latest; -1 is never.
///
/// # Errors
/// EINTR.
pub fn wait(epoll: &OwnedFd, room: &mut [nr::epoll_event], ms: i32) -> Result<usize, Errno> {
    let at = room.as_mut_ptr() as usize;
    // SAFETY: the kernel writes at most the room, which is borrowed alone; no signal mask.
    unsafe {
        call(
            nr::__NR_epoll_pwait,
            [bare(epoll), at, room.len(), ms as usize, 0],
        )
    }
    .map(|len| len as usize)
}

/// pidfd_open(2).
///
/// # Errors
/// ESRCH.
pub fn process(pid: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: no pointer; a new descriptor.
    unsafe { Ok(own(call(nr::__NR_pidfd_open, [pid as usize, 0])?)) }
}

/// A slave of a pseudo-terminal, by its master and not by its name, close-on-exec.
///
/// # Errors
/// EIO if it is locked.
#[inline(never)]
pub fn slave(master: &OwnedFd) -> Result<OwnedFd, Errno> {
    let flags = (nr::O_RDWR | nr::O_NOCTTY | nr::O_CLOEXEC) as usize;
    // SAFETY: no pointer; a new descriptor.
    unsafe {
        let fd = call(nr::__NR_ioctl, [bare(master), TIOCGPTPEER, flags])?;
        Ok(own(fd))
    }
}

/// readlinkat(2): how many bytes of the target are in the room.
///
/// # Errors
/// Those of readlink(2).
pub fn link(path: &CStr, room: &mut [u8]) -> Result<usize, Errno> {
    read_link(HERE, path, room)
}

/// The same below an open folder.
///
/// # Errors
/// Those of readlink(2).
pub fn link_at(folder: BorrowedFd<'_>, path: &CStr, room: &mut [u8]) -> Result<usize, Errno> {
    read_link(folder.as_raw_fd(), path, room)
}

#[inline(never)]
fn read_link(folder: i32, path: &CStr, room: &mut [u8]) -> Result<usize, Errno> {
    let at = room.as_mut_ptr() as usize;
    // SAFETY: the path is NUL-ended; the kernel writes at most the room.
    unsafe {
        call(
            nr::__NR_readlinkat,
            [folder as usize, path.as_ptr() as usize, at, room.len()],
        )
    }
    .map(|len| len as usize)
}

/// getdents64(2): calls `each` with the name of every folder in an open one, but `.` and `..`.
///
/// # Errors
/// Those of getdents64(2).
pub fn folders(folder: &OwnedFd, each: &mut dyn FnMut(&CStr)) -> Result<(), Errno> {
    entries(folder, &mut |name, is_folder| {
        if is_folder {
            each(name);
        }
    })
}

/// The same with everything that is there, and whether it is a folder.
///
/// # Errors
/// Those of getdents64(2).
pub fn entries(folder: &OwnedFd, each: &mut dyn FnMut(&CStr, bool)) -> Result<(), Errno> {
    #[repr(C, align(8))]
    struct Room([u8; 1024]);
    let mut room = Room([0; 1024]);
    loop {
        let at = room.0.as_mut_ptr() as usize;
        // SAFETY: the kernel writes at most the room.
        let len = unsafe { call(nr::__NR_getdents64, [bare(folder), at, room.0.len()]) }?;
        let mut rest = room.0.get(..len as usize).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        while let (Some(length), Some(kind), Some(name)) =
            (rest.get(LENGTH..KIND), rest.get(KIND), rest.get(NAME..))
        {
            if let (kind, Ok(name)) = (*kind, CStr::from_bytes_until_nul(name))
                && !matches!(name.to_bytes(), b"." | b"..")
            {
                each(name, kind == FOLDER);
            }
            let length = length.iter().rev().fold(0, |n, b| n << 8 | usize::from(*b));
            rest = rest.get(length.max(1)..).unwrap_or_default();
        }
    }
}
