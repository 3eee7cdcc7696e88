//! bpf(2): a program that judges each use of a device by a cgroup's processes.

use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::file::own;
use super::{Errno, call, nr};

const PROG_LOAD: usize = 5;
const PROG_ATTACH: usize = 8;
const PROG_QUERY: usize = 16;
const TYPE_CGROUP_DEVICE: u32 = 15;
const CGROUP_DEVICE: u32 = 6;
/// Programs of cgroups below this one judge too, and all must agree.
const ALLOW_MULTI: u32 = 2;

/// The fields of union bpf_attr that are used here, in the kernel's order.
#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    /// Log and kernel version, for none of which is asked.
    rest: [u32; 6],
}

#[repr(C)]
struct Attach {
    cgroup: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

/// Loads a device program: numbers are struct bpf_insn.
///
/// # Errors
/// ENOSYS or EINVAL where the kernel has no CONFIG_CGROUP_BPF; EPERM; EACCES or EINVAL for a program that it cannot prove safe.
pub fn load(program: &[u64]) -> Result<OwnedFd, Errno> {
    let attr = Load {
        kind: TYPE_CGROUP_DEVICE,
        count: program.len() as u32,
        instructions: program.as_ptr() as u64,
        license: c"".as_ptr() as u64,
        rest: [0; 6],
    };
    // SAFETY: instructions and license live over the call, and their sizes are true; a new descriptor.
    unsafe {
        let at = &raw const attr as usize;
        let fd = call(nr::__NR_bpf, [PROG_LOAD, at, size_of::<Load>()])?;
        Ok(own(fd))
    }
}

/// Whether a program judges what the cgroup's processes do with devices. Takes CAP_NET_ADMIN of the host.
pub fn judges_devices(cgroup: BorrowedFd<'_>) -> bool {
    const WITH_THOSE_ABOVE: u32 = 1; // BPF_F_QUERY_EFFECTIVE
    // The cgroup, what is asked about, how; flags, no room for the programs' numbers, their count; the rest is later kernels'.
    let mut attr = [0u32; 16];
    let [target, kind, how, ..] = &mut attr;
    (*target, *kind, *how) = (cgroup.as_raw_fd() as u32, CGROUP_DEVICE, WITH_THOSE_ABOVE);
    // SAFETY: the kernel reads and writes no more than the array. Read as it left it: the pointer went as a number.
    unsafe {
        let at = &raw mut attr as usize;
        let asked = call(nr::__NR_bpf, [PROG_QUERY, at, size_of_val(&attr)]);
        let [_, _, _, _, _, _, count, ..] = (&raw const attr).read_volatile();
        asked.is_ok() && count != 0
    }
}

/// Has that program judge what the cgroup's processes do with devices, until the cgroup is removed.
///
/// # Errors
/// As of [`load`].
pub fn judge_devices(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<(), Errno> {
    let attr = Attach {
        cgroup: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        kind: CGROUP_DEVICE,
        flags: ALLOW_MULTI,
    };
    // SAFETY: the attributes live over the call, and their size is true.
    unsafe {
        let at = &raw const attr as usize;
        call(nr::__NR_bpf, [PROG_ATTACH, at, size_of::<Attach>()])
    }
    .map(drop)
}
