//! The kernel calls that rustix does not offer, each with its manual page's name.
//!
//! The only room with system call instructions, and the only unsafe one of the
//! library. It does not know what pouch is: a function here is what section 2 of the
//! manual has, made safe by its types.

mod arch;
pub mod arena;
pub mod device;
pub mod mount;
pub mod process;
pub mod signal;
pub mod stdio;
pub mod time;

use linux_raw_sys::general as nr;
pub use rustix::io::Errno;

/// Enters the kernel and tells its answers from its errors.
///
/// # Safety
/// As for the system call.
unsafe fn call(number: u32, args: [usize; 6]) -> Result<usize, Errno> {
    // SAFETY: handed on to the caller.
    let ret = unsafe { arch::syscall6(number as usize, args) };
    if (-4095..0).contains(&ret) {
        Err(Errno::from_raw_os_error(-ret as i32))
    } else {
        Ok(ret as usize)
    }
}

/// exit_group(2): ends this process with that status.
pub fn exit(status: u8) -> ! {
    loop {
        // SAFETY: exit_group takes no pointer.
        let _ = unsafe { call(nr::__NR_exit_group, [status.into(), 0, 0, 0, 0, 0]) };
    }
}

/// Whether this process is the child half of a launch.
static CHILD: core::sync::atomic::AtomicBool = core::sync::atomic::AtomicBool::new(false);

/// Said by the child first of all: from here on a panic or a fault ends this process and nothing else.
///
/// In a new PID namespace the child's own pid is 1 too, so the pid cannot tell.
pub fn enter_child() {
    CHILD.store(true, core::sync::atomic::Ordering::Relaxed);
}

/// Whether [`enter_child`] was called.
pub fn is_child() -> bool {
    CHILD.load(core::sync::atomic::Ordering::Relaxed)
}
