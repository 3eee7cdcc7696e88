//! Making processes and becoming programs: clone3(2), execve(2).

use core::ffi::{CStr, c_char};

use heapless::Vec;
use linux_raw_sys::general::clone_args;
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use rustix::process::{Pid, WaitOptions, waitpid};

use super::file::own;
use super::{Errno, call, nr};
pub use nr::{
    CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER,
    CLONE_NEWUTS,
};

/// The most words in an argument or environment list handed to the kernel.
pub const WORDS_MAX: usize = 200;

/// Which side of the fork this is.
pub enum Fork {
    /// The new process.
    Child,
    /// The old one; the pid as it sees it, and a descriptor of the process that is never another's.
    Parent {
        /// The child's pid.
        pid: i32,
        /// The child's pidfd, close-on-exec.
        pidfd: OwnedFd,
    },
}

/// clone3(2) without a shared address space: as fork, with new namespaces, straight into a cgroup.
///
/// The child starts with every handled signal at its default.
///
/// # Errors
/// EAGAIN, ENOMEM, ENOSPC under pressure; EBUSY for a cgroup that has controllers in subtree_control; EINVAL for flags the kernel lacks.
pub fn fork(namespaces: u32, cgroup: Option<BorrowedFd<'_>>) -> Result<Fork, Errno> {
    let mut pidfd = -1i32;
    let mut flags = u64::from(namespaces) | u64::from(nr::CLONE_PIDFD) | CLONE_CLEAR_SIGHAND;
    if cgroup.is_some() {
        flags |= CLONE_INTO_CGROUP;
    }
    let args = clone_args {
        flags,
        pidfd: &raw mut pidfd as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: nr::SIGCHLD.into(),
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: cgroup.map_or(0, |fd| fd.as_raw_fd() as u64),
    };
    // SAFETY: no memory is shared (no CLONE_VM), so the child is a copy with a stack of its own; args lives over the call.
    let pid = unsafe {
        call(
            nr::__NR_clone3,
            [&raw const args as usize, size_of::<clone_args>()],
        )
    }?;
    // SAFETY: the kernel wrote a new descriptor there, in the parent.
    Ok(unsafe { sides(pid, &pidfd) })
}

/// clone(2): a process beside this one, whose parent is this one's own, and which sends it SIGCHLD if this one does.
/// Without namespaces it asks for nothing that docker's filter refuses, where clone3 does not exist.
///
/// # Errors
/// EAGAIN, ENOMEM, the latter also where the PID namespace that it is to be in has ended; ENOSPC.
pub fn fork_beside(namespaces: u32) -> Result<Fork, Errno> {
    let mut pidfd = -1i32;
    let flags = (namespaces | nr::CLONE_PARENT | nr::CLONE_PIDFD | nr::SIGCHLD) as usize;
    // SAFETY: no memory is shared, so the child is a copy with a stack of its own; the third argument is where the
    // pidfd goes, on every processor.
    unsafe {
        let pid = call(nr::__NR_clone, [flags, 0, &raw mut pidfd as usize])?;
        Ok(sides(pid, &pidfd))
    }
}

/// Which side of a clone this is.
///
/// # Safety
/// Where the pid is not 0 the kernel has written a new descriptor to `pidfd`, which nobody else owns.
unsafe fn sides(pid: u32, pidfd: &i32) -> Fork {
    if pid == 0 {
        return Fork::Child;
    }
    // SAFETY: the caller's promise. The read must not come from before the call, which the
    // compiler could think: the pointer left as an integer.
    let pidfd = unsafe { own((&raw const *pidfd).read_volatile() as u32) };
    Fork::Parent {
        pid: pid as i32,
        pidfd,
    }
}

/// close_range(2): mark instead of closing.
const CLOSE_RANGE_CLOEXEC: usize = 4;
/// Bits of clone3's flags beyond 32 (linux/sched.h).
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// A NULL-ended list of pointers to words, for execve; words too many are left out, and told.
#[inline(never)]
fn list(words: &[&CStr]) -> (Vec<*const c_char, WORDS_MAX>, bool) {
    let mut list = Vec::new();
    let mut fits = true;
    for word in words {
        fits &= list.push(word.as_ptr()).is_ok();
    }
    fits &= list.push(core::ptr::null()).is_ok();
    (list, fits)
}

/// execve(2). Comes back only with the reason why not.
pub fn exec(path: &CStr, args: &[&CStr], env: &[&CStr]) -> Errno {
    exec_at(nr::AT_FDCWD, path, args, env)
}

/// execveat(2) of an open binary. Comes back only with the reason why not.
pub fn exec_fd(binary: BorrowedFd<'_>, args: &[&CStr]) -> Errno {
    exec_at(binary.as_raw_fd(), c"", args, &[])
}

/// execveat(2): a path, or an empty one that means the descriptor itself.
#[inline(never)]
fn exec_at(fd: i32, path: &CStr, args: &[&CStr], env: &[&CStr]) -> Errno {
    let ((args, all), (env, every)) = (list(args), list(env));
    if !all || !every {
        return Errno::TOOBIG;
    }
    // SAFETY: both lists end in NULL, point to NUL-ended words, and live over the call.
    unsafe { execveat(fd, path, args.as_ptr().cast(), env.as_ptr().cast()) }
}

/// execveat(2) of an open binary, with the lists as the kernel itself has laid them out. Comes
/// back only with the reason why not.
///
/// # Safety
/// Both must be NULL-ended lists of pointers to NUL-ended strings.
pub unsafe fn exec_raw(binary: BorrowedFd<'_>, args: *const usize, env: *const usize) -> Errno {
    // SAFETY: the caller's promise.
    unsafe { execveat(binary.as_raw_fd(), c"", args, env) }
}

/// execveat(2).
///
/// # Safety
/// As for [`exec_raw`].
unsafe fn execveat(fd: i32, path: &CStr, args: *const usize, env: *const usize) -> Errno {
    let (path, flags) = (path.as_ptr() as usize, nr::AT_EMPTY_PATH as usize);
    // SAFETY: the caller's promise; the path is NUL-ended.
    match unsafe {
        call(
            nr::__NR_execveat,
            [fd as usize, path, args as usize, env as usize, flags],
        )
    } {
        Ok(_) => Errno::INVAL,
        Err(e) => e,
    }
}

/// waitpid(2) for the end of a child: its status as the kernel words it. Never PID 1's: it waits.
///
/// # Errors
/// ECHILD for what is no child, or has been waited for.
pub fn end_of(pid: i32) -> Result<u32, Errno> {
    loop {
        match waitpid(Pid::from_raw(pid), WaitOptions::empty()) {
            Ok(Some((_, status))) => return Ok(status.as_raw() as u32),
            Err(Errno::INTR) | Ok(None) => {}
            Err(e) => return Err(e),
        }
    }
}

/// The descriptor of a child of this process's own, which may have ended but was not waited for.
///
/// # Errors
/// ECHILD for who is none, ESRCH, EINVAL, EMFILE.
pub fn child(pid: i32) -> Result<OwnedFd, Errno> {
    const P_PIDFD: usize = 3;
    /// WNOHANG, WEXITED, WNOWAIT: only looks.
    const LOOK: usize = 1 | 4 | 0x0100_0000;
    let child = super::file::process(pid)?;
    let number = child.as_raw_fd() as usize;
    // SAFETY: no pointer: what became of it is not asked.
    unsafe { call(nr::__NR_waitid, [P_PIDFD, number, 0, LOOK, 0]) }?;
    Ok(child)
}

/// prctl(2) PR_SET_NAME: what lists of processes call this one: the last part of the path it was
/// called by. One that was executed by a descriptor has that descriptor's number for a name.
#[inline(never)]
pub fn call_oneself(path: &CStr) {
    const PR_SET_NAME: usize = 15;
    let bytes = path.to_bytes_with_nul();
    let behind = bytes
        .iter()
        .rposition(|b| *b == b'/')
        .map_or(0, |at| at + 1);
    let name = bytes.get(behind..).unwrap_or(bytes);
    // SAFETY: it ends in NUL, which the path's did; the kernel takes the first 15 bytes.
    let _ = unsafe { call(nr::__NR_prctl, [PR_SET_NAME, name.as_ptr() as usize]) };
}

/// kill(-1): the signal to every process but this one and those of namespaces above.
pub fn signal_all(signal: u8) {
    // SAFETY: no pointer. ESRCH (nobody left) is as good as success.
    let _ = unsafe { call(nr::__NR_kill, [usize::MAX, signal.into()]) };
}

/// Marks every descriptor from `first` on close-on-exec (close_range(2)), so that none leaks into a program.
///
/// # Errors
/// ENOSYS before Linux 5.9, EINVAL before 5.11.
pub fn close_on_exec_from(first: u32) -> Result<(), Errno> {
    // SAFETY: no pointer; no descriptor is closed here, so nobody's is taken away.
    unsafe {
        call(
            nr::__NR_close_range,
            [first as usize, u32::MAX as usize, CLOSE_RANGE_CLOEXEC],
        )
    }
    .map(drop)
}

/// close_range(2): closes every descriptor from 3 on but that one. What this process still holds of them it must not use.
///
/// # Errors
/// ENOSYS before Linux 5.9.
pub fn close_all_but(kept: BorrowedFd<'_>) -> Result<(), Errno> {
    let kept = kept.as_raw_fd() as usize;
    // SAFETY: no pointer. The callers' descriptors are gone with this: it is for a child that uses no other.
    unsafe {
        call(nr::__NR_close_range, [kept + 1, u32::MAX as usize])?;
        match kept > 3 {
            true => call(nr::__NR_close_range, [3, kept - 1]).map(drop),
            false => Ok(()),
        }
    }
}

/// Lets every open descriptor from 3 on live through execve, for a re-execution that takes them all along.
pub fn keep_over_exec(highest: i32) {
    const F_SETFD: usize = 2;
    for fd in 3..=highest {
        // SAFETY: only the close-on-exec flag is changed; EBADF for a number not open is as good.
        let _ = unsafe { call(nr::__NR_fcntl, [fd as usize, F_SETFD]) };
    }
}

/// setgroups(2), setresgid(2), setresuid(2).
///
/// # Errors
/// EPERM, EINVAL.
pub fn become_user(uid: u32, gid: u32, beside: &[u32]) -> Result<(), Errno> {
    #[cfg(target_arch = "arm")]
    let (groups, set_gid, set_uid) = (
        nr::__NR_setgroups32,
        nr::__NR_setresgid32,
        nr::__NR_setresuid32,
    );
    #[cfg(not(target_arch = "arm"))]
    let (groups, set_gid, set_uid) = (nr::__NR_setgroups, nr::__NR_setresgid, nr::__NR_setresuid);
    let (uid, gid) = (uid as usize, gid as usize);
    // SAFETY: no pointers but a list's, given with its length.
    unsafe {
        call(groups, [beside.len(), beside.as_ptr() as usize])?;
        call(set_gid, [gid, gid, gid])?;
        call(set_uid, [uid, uid, uid])?;
    }
    Ok(())
}

/// seccomp(2): has the kernel judge every further system call by that program, whose numbers are struct sock_filter.
///
/// # Errors
/// EINVAL for a program that is none, or a kernel without filters; EACCES without no_new_privs and SYS_ADMIN.
pub fn filter(program: &[u64]) -> Result<(), Errno> {
    const SET_MODE_FILTER: usize = 1;
    /// struct sock_fprog (linux/filter.h).
    #[repr(C)]
    struct Fprog {
        len: u16,
        program: *const u64,
    }
    let fprog = Fprog {
        len: program.len() as u16,
        program: program.as_ptr(),
    };
    // SAFETY: the kernel reads `len` instructions of eight bytes each from the slice.
    unsafe {
        call(
            nr::__NR_seccomp,
            [SET_MODE_FILTER, 0, &raw const fprog as usize],
        )
    }
    .map(drop)
}

/// keyctl(2): a session keyring of its own, without the keys of whoever started it.
///
/// # Errors
/// ENOSYS where the kernel keeps no keys, EDQUOT.
pub fn own_keyring() -> Result<(), Errno> {
    const JOIN_SESSION_KEYRING: usize = 1;
    // SAFETY: no pointer: a keyring without a name.
    unsafe { call(nr::__NR_keyctl, [JOIN_SESSION_KEYRING, 0]) }.map(drop)
}

/// The same open file at a number above those that programs use, close-on-exec; for the rest of this process's life.
///
/// # Errors
/// EMFILE, and EINVAL where the limit of descriptors is lower than that.
pub fn far(fd: BorrowedFd<'_>) -> Result<BorrowedFd<'static>, Errno> {
    const F_DUPFD_CLOEXEC: usize = 1030;
    const LOWEST: usize = 256;
    // SAFETY: no pointer; a new descriptor that nobody closes.
    unsafe {
        let fd = call(
            nr::__NR_fcntl,
            [fd.as_raw_fd() as usize, F_DUPFD_CLOEXEC, LOWEST],
        )?;
        Ok(core::mem::transmute::<i32, BorrowedFd<'static>>(fd as i32))
    }
}

/// The same open file as that very number, which lives through execve; what was there is closed.
///
/// # Errors
/// EMFILE, EBADF for a number beyond the limit.
pub fn give(fd: BorrowedFd<'_>, number: u32) -> Result<(), Errno> {
    const F_SETFD: usize = 2;
    let (from, to) = (fd.as_raw_fd() as usize, number as usize);
    // SAFETY: no pointer. Whoever owns that number is this process, on its way to execve.
    unsafe {
        match from == to {
            true => call(nr::__NR_fcntl, [to, F_SETFD]),
            false => call(nr::__NR_dup3, [from, to]),
        }
    }
    .map(drop)
}

/// setfsgid(2), setfsuid(2): files that this process makes from now on are that user's and group's.
/// As the kernel has it for another user than root, rights over files of others go with it.
pub fn own_files_as(id: u32) {
    #[cfg(target_arch = "arm")]
    let (group, user) = (nr::__NR_setfsgid32, nr::__NR_setfsuid32);
    #[cfg(not(target_arch = "arm"))]
    let (group, user) = (nr::__NR_setfsgid, nr::__NR_setfsuid);
    for number in [group, user] {
        // SAFETY: no pointer. The answer is the former number, whatever came of it.
        let _ = unsafe { call(number, [id as usize]) };
    }
}

/// A descriptor number that came from another process image, taken over.
pub fn adopt_fd(number: i32) -> Option<OwnedFd> {
    const F_GETFD: usize = 1;
    // SAFETY: asked first whether it is open. The caller took the number from what its former
    // self wrote down, which owned it and is gone.
    unsafe {
        call(nr::__NR_fcntl, [number as usize, F_GETFD]).ok()?;
        Some(own(number as u32))
    }
}

/// One of the three standard streams, which are never closed: 0, 1 or 2.
pub fn standard(number: i32) -> BorrowedFd<'static> {
    // SAFETY: nobody in this program owns or closes these; init makes sure at its start that they are open. Of a transparent i32, never -1.
    unsafe { core::mem::transmute::<i32, BorrowedFd<'static>>(number.clamp(0, 2)) }
}

/// setns(2): into the namespaces of those kinds of the process behind a pidfd, all at once.
/// A PID namespace is that of the children made from then on.
///
/// # Errors
/// ESRCH if the process is gone, EPERM, EINVAL for a user namespace that one is in already.
pub fn join(pidfd: BorrowedFd<'_>, kinds: u32) -> Result<(), Errno> {
    // SAFETY: no pointer, and no memory or descriptor is unshared.
    unsafe { call(nr::__NR_setns, [pidfd.as_raw_fd() as usize, kinds as usize]) }.map(drop)
}

/// prctl(2) PR_SET_DUMPABLE off: nobody without SYS_PTRACE looks into this process or the
/// children it makes, until they execute something.
pub fn close_to_all() {
    const PR_SET_DUMPABLE: usize = 4;
    // SAFETY: no pointer; it cannot fail.
    let _ = unsafe { call(nr::__NR_prctl, [PR_SET_DUMPABLE]) };
}

/// prctl(2) PR_SET_PDEATHSIG: this process is killed when the one that made it ends, and ends now
/// if that has ended: if the other end of its socket is closed. Its pid would not tell in a PID namespace of another.
pub fn end_with_parent(socket: BorrowedFd<'_>) {
    const PR_SET_PDEATHSIG: usize = 1;
    // SAFETY: no pointer; it cannot fail for a signal that exists.
    let _ = unsafe { call(nr::__NR_prctl, [PR_SET_PDEATHSIG, 9]) };
    if super::wait::ready(&[Some(socket), None, None, None, None], 0, Some(0)) != 0 {
        super::exit(137);
    }
}

/// unshare(2) of namespaces: CLONE_NEW* bits.
///
/// # Errors
/// EPERM, ENOMEM, ENOSPC.
pub fn unshare(namespaces: u32) -> Result<(), Errno> {
    const ALL: u32 = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP;
    // SAFETY: no pointer, and no memory or descriptor is unshared.
    unsafe { call(nr::__NR_unshare, [(namespaces & ALL) as usize]) }.map(drop)
}

unsafe extern "C" {
    /// Where the program lies: the linker's own names, whose addresses alone mean something.
    static __executable_start: u8;
    static etext: u8;
}

/// Gives the kernel back what once was needed and is not now: the stack below the caller's own frames, and the pages of
/// the program's text, of which those that run are mapped anew (madvise(2)).
///
/// What is called later finds zeros on the stack, as on one that grows for the first time.
#[inline(never)]
pub fn shrink() {
    const KEPT: usize = 1024;
    const MOST: usize = 1024 * 1024;
    const PAGE: usize = 4096;
    const MADV_DONTNEED: usize = 4;
    let here = 0u8;
    let top = (&raw const here as usize - KEPT) & !(PAGE - 1);
    let (start, end) = (
        &raw const __executable_start as usize,
        &raw const etext as usize,
    );
    for (at, len) in [(top - MOST, MOST), (start & !(PAGE - 1), end - start)] {
        // SAFETY: the stack grows down, so nothing below the frames of those who called lies in use; the margin keeps
        // this one's own frame and a red zone. The text is a file's, mapped private and never written to. ENOMEM for
        // the part that was never mapped is as good.
        let _ = unsafe { call(nr::__NR_madvise, [at, len, MADV_DONTNEED]) };
    }
}

/// RLIMIT_NOFILE: one above the highest descriptor that can be open.
pub const NOFILE: u8 = 7;

/// prlimit(2) of this process: RLIMIT_* by its number, soft, hard.
///
/// # Errors
/// EPERM to raise the hard one, EINVAL.
pub fn set_limit(which: u8, limits: [u64; 2]) -> Result<(), Errno> {
    let at = &raw const limits as usize;
    // SAFETY: the kernel reads a struct rlimit64, two numbers of 64 bits on every processor.
    unsafe { call(nr::__NR_prlimit64, [0, which.into(), at, 0]) }.map(drop)
}

/// prlimit(2) of this process: the hard limit becomes at least that, the soft one stays.
///
/// # Errors
/// EPERM, EINVAL.
pub fn raise_limit(which: u8, hard: u64) -> Result<(), Errno> {
    let mut limits = [0u64; 2];
    // SAFETY: the kernel writes a struct rlimit64, as above, which is read as it left it.
    let [soft, now] = unsafe {
        let at = &raw mut limits as usize;
        call(nr::__NR_prlimit64, [0, which.into(), 0, at])?;
        (&raw const limits).read_volatile()
    };
    set_limit(which, [soft, now.max(hard)])
}

/// wait4(2) of any child that has ended, without waiting: its pid, and its status as a shell shows it.
pub fn reap() -> Option<(i32, u8)> {
    const WNOHANG: usize = 1;
    let mut status = 0u32;
    let at = &raw mut status as usize;
    // SAFETY: the kernel writes one number, which is read as it left it: the pointer went as a number.
    let (pid, status) = unsafe {
        let pid = call(nr::__NR_wait4, [usize::MAX, at, WNOHANG, 0]).ok()?;
        (pid, (&raw const status).read_volatile())
    };
    // WIFSIGNALED has the signal in the low seven bits, an exit its status above eight.
    let shown = match status & 0x7f {
        0 => status >> 8,
        signal => signal + 128,
    };
    (pid != 0).then_some((pid as i32, shown as u8))
}

/// kill(2) of one process by its pid, which must not have been reaped.
pub fn signal_one(pid: i32, signal: u8) {
    // SAFETY: no pointer. One that just ended hears nothing any more.
    let _ = unsafe { call(nr::__NR_kill, [pid as usize, signal.into()]) };
}

/// PR_SET_DUMPABLE 0: nobody below CAP_SYS_PTRACE looks into this process. Closes every descriptor from 3 on.
pub fn seclude() {
    const PR_SET_DUMPABLE: usize = 4;
    // SAFETY: no pointer. The callers' descriptors are gone with this: it is for a process that uses none.
    unsafe {
        let _ = call(nr::__NR_prctl, [PR_SET_DUMPABLE, 0]);
        let _ = call(nr::__NR_close_range, [3, u32::MAX as usize, 0]);
    }
}
