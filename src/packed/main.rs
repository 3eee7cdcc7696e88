//! The packed binary: unpacks pouch into a sealed memfd and becomes it.
//!
//! What lies on a board's flash is this with the real binary in it, in a form of its own (format::pack). It has no
//! room of its own to run in for long: on the host it finds that PID 1 was unpacked from
//! the same bytes and becomes that; else it unpacks. A sealed memfd cannot be written by
//! anybody (CVE-2019-5736). Made by `./scripts/build`, which sets POUCH_PAYLOAD.
#![no_std]
#![no_main]

use core::ffi::{CStr, c_char};
use core::panic::PanicInfo;

use pouch::format::calls::Make;
use pouch::format::{calls, mark, pack};
use pouch::sys::{self, Errno, file, process};
use rustix::fd::{BorrowedFd, IntoRawFd, OwnedFd};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};

#[path = "../rt/arch.rs"]
mod arch;
#[path = "../rt/mem.rs"]
mod mem;
mod place;

#[cfg(target_arch = "aarch64")]
use calls::aarch64 as far_calls;
#[cfg(target_arch = "arm")]
use calls::thumb as far_calls;
#[cfg(target_arch = "x86_64")]
use calls::x86_64 as far_calls;

/// The size of what is packed (u32, little endian), then that.
static PAYLOAD: &[u8] = include_bytes!(env!("POUCH_PAYLOAD"));
/// What ends the unpacked binary.
static MARK: [u8; mark::LEN] = *include_bytes!(concat!(env!("POUCH_PAYLOAD"), ".mark"));
/// Where there is no memfd: an initramfs, or any root that can be written.
const FILE: &CStr = c"/.pouch-unpacked";

/// Hands the words of this process on to the real binary. The kernel's stack: argc, argv, NULL, envp, NULL.
unsafe extern "C" fn enter(stack: *const usize) -> ! {
    // SAFETY: the kernel put argc there, and the two lists behind it; both live as long as the process.
    let (count, args, env) = unsafe { (*stack, stack.add(1), stack.add(2 + *stack)) };
    // SAFETY: as above.
    let become_it = |fd| unsafe { process::exec_raw(fd, args, env) };
    if rustix::process::getpid().as_raw_nonzero().get() != 1
        && let Some(fd) = running()
    {
        // What goes into a container must not have a file of the host's for its program there (CVE-2019-5736); and
        // what has options alone may be an image that is to be judged by what it is.
        // SAFETY: the second word is NUL-ended, if there is one; the binary is linked as it has to be.
        unsafe {
            let word = args.add(1).read() as *const c_char;
            if count > 1 && *word != b'-' as c_char && CStr::from_ptr(word) != c"exec" {
                place::take(fd, stack);
            }
        }
        become_it(fd);
    }
    let why = unpacked().map_or_else(|e| e, become_it);
    let text: &[u8] = match why {
        Errno::NOMEM => b"pouch: no memory to unpack the binary\n",
        Errno::ILSEQ => b"pouch: the binary is damaged: its packed part does not unpack\n",
        _ => b"pouch: unable to unpack the binary: neither memfd nor a root to write to\n",
    };
    let _ = rustix::io::write(process::standard(2), text);
    sys::exit(125)
}

/// For as long as this program runs: what becomes of it closes the descriptor.
fn keep(fd: OwnedFd) -> BorrowedFd<'static> {
    // SAFETY: nobody closes it.
    unsafe { BorrowedFd::borrow_raw(fd.into_raw_fd()) }
}

/// PID 1's binary, where that was unpacked from the same bytes as this would be.
fn running() -> Option<BorrowedFd<'static>> {
    let fd = keep(file::open_at(None, c"/proc/1/exe", OFlags::RDONLY).ok()?);
    let mut end = [0; mark::LEN];
    let len = rustix::io::pread(fd, &mut end, (size() - mark::LEN) as u64).ok()?;
    (len == mark::LEN && end == MARK).then_some(fd)
}

fn size() -> usize {
    PAYLOAD
        .first_chunk()
        .map_or(0, |b| u32::from_le_bytes(*b) as usize)
}

/// The binary in a sealed memfd, or in a file without a name.
fn unpacked() -> Result<BorrowedFd<'static>, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // A kernel that may forbid executable memfds wants to be told; an older one does not know the flag.
    for flags in [flags | MemfdFlags::EXEC, flags] {
        if let Ok(fd) = rustix::fs::memfd_create(c"pouch", flags) {
            let fd = keep(fd);
            fill(fd)?;
            let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
            rustix::fs::fcntl_add_seals(fd, seals)?;
            return Ok(fd);
        }
    }
    let how = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let fd = rustix::fs::open(FILE, how, Mode::RWXU)?;
    let filled = fill(sys::lend(&fd));
    let again = file::open_at(None, FILE, OFlags::RDONLY).map(keep);
    // A file that is open to be written cannot be executed.
    drop(fd);
    let _ = rustix::fs::unlink(FILE);
    filled.and(again)
}

/// Unpacks into the file.
fn fill(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let size = size();
    rustix::fs::ftruncate(fd, size as u64)?;
    let both = ProtFlags::READ | ProtFlags::WRITE;
    // All pages at once: a fault for each is a third of the time.
    let (file, own) = (
        MapFlags::SHARED | MapFlags::POPULATE,
        MapFlags::PRIVATE | MapFlags::POPULATE,
    );
    // SAFETY: a new mapping of a file that nobody else has; it is unmapped below, after its last use. Models are
    // nothing but numbers, for which zeros do, and theirs is a new mapping as well, which ends with this program.
    unsafe {
        let at = rustix::mm::mmap(core::ptr::null_mut(), size, both, file, fd, 0)?;
        let room = core::slice::from_raw_parts_mut(at.cast(), size);
        let len = size_of::<pack::Models>();
        let models = rustix::mm::mmap_anonymous(core::ptr::null_mut(), len, both, own)?;
        let models = &mut *models.cast::<pack::Models>();
        let done = pack::unpack(PAYLOAD.get(4..).unwrap_or_default(), room, models);
        far_calls(room, Make::Ways);
        let whole = is_whole(room);
        rustix::mm::munmap(at, size)?;
        done.filter(|()| whole).ok_or(Errno::ILSEQ)
    }
}

/// Whether the bytes are those that the mark at their end was made for.
fn is_whole(room: &[u8]) -> bool {
    let Some((code, end)) = room.split_last_chunk() else {
        return false;
    };
    let sum = mark::digest(mark::START, code);
    *end == MARK && MARK.ends_with(&sum.to_le_bytes())
}

/// Nothing here panics; if it does, the kernel says of PID 1 what happened.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    sys::exit(126)
}
