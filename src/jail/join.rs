//! Into a container that runs: its cgroup, its namespaces, its rights, and nothing else.
//!
//! Done by the command itself, never by PID 1. The process is made in the container's
//! cgroup and PID namespace, takes the others by one call on the init's pidfd, which was
//! had before anything of the container's was trusted, and executes the command: pouch's
//! own file is never opened inside (CVE-2019-5736), and until then nobody inside may look
//! into it. It goes when the command that made it goes.

use core::ffi::CStr;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{Gid, OFlags, Uid};
use rustix::termios::Winsize;

use super::user::{self, User};
use super::{Now, enter, image, namespaces, program, rights};
use crate::format::fault::Step;
use crate::format::spec::{Spec, SpecBuf, flags};
use crate::sys::{self, Errno, bpf, device, file, lend, process, socket, terminal};

/// What the child says along with the master of its terminal: no step has this number.
pub const TERMINAL: u8 = 0xfe;

/// What it takes to join.
#[derive(Clone, Copy)]
pub struct Joining<'a> {
    /// The container's spec: whatever it says of rights, user, folder and environment holds.
    pub spec: Spec<'a>,
    /// The command and its words; at least one.
    pub args: &'a [&'a CStr],
    /// The pidfd of the container's init.
    pub init: BorrowedFd<'a>,
    /// The cgroup to begin in.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// Which of the three standard streams become a terminal of the container's own.
    pub terminal: [bool; 3],
    /// That terminal's size.
    pub size: Option<Winsize>,
    /// Whether it leaves what is printed as it is: another one makes its lines.
    pub raw: bool,
    /// A socket on which the child hands its terminal's master over and reports a fault; close-on-exec.
    pub report: BorrowedFd<'a>,
    /// TERM for its environment.
    pub term: &'a CStr,
}

/// Starts the command: its pid and pidfd.
///
/// # Errors
/// ESRCH or ENOMEM if the container is gone; EBUSY if its cgroup has become a parent of
/// others; those of clone3. What goes wrong in the child comes on the report.
pub fn join(joining: &Joining<'_>) -> Result<(i32, OwnedFd), Errno> {
    let kinds = namespaces(joining.spec);
    // A copy of this process is about to stand among the container's.
    process::close_to_all();
    // The PID namespace is that of the child: a process never changes its own.
    let pids = kinds & process::CLONE_NEWPID;
    if pids != 0 {
        process::join(joining.init, pids)?;
    }
    let starter = file::process(rustix::process::getpid().as_raw_nonzero().get())?;
    match process::fork(0, joining.cgroup)? {
        process::Fork::Parent { pid, pidfd } => Ok((pid, pidfd)),
        process::Fork::Child => {
            sys::enter_child();
            let mut merged = SpecBuf::new();
            let now = Now::new(joining.report);
            let spec = image::configured(joining.spec, &mut merged, &now);
            child(&Joining { spec, ..*joining }, &starter, kinds & !pids, &now)
        }
    }
}

fn child<'a>(joining: &Joining<'a>, starter: &OwnedFd, kinds: u32, now: &Now<'a>) -> ! {
    let spec = joining.spec;
    program::session(now);
    program::first_to_go();
    if spec.flags() & flags::PRIVILEGED == 0 && !joining.cgroup.is_some_and(bpf::judges_devices) {
        // As at the launch: where nothing judges the use of devices, none are made.
        now.unruled.set(true);
    }
    if spec.has_users() {
        // While they may be raised: inside a user namespace they may not.
        rights::limits(spec, now);
    }
    now.at(Step::Join, spec.name());
    if kinds != 0 {
        now.ok(process::join(joining.init, kinds));
    }
    if spec.has_users() {
        // Root of the host is nobody in there.
        now.ok(process::become_user(0, 0, &[]));
    }
    let user = user::find(spec, now);
    let slave = joining
        .terminal
        .contains(&true)
        .then(|| open(joining, &user, now));
    if let Some(slave) = &slave {
        let own = joining.terminal.map(|t| t.then_some(lend(slave)));
        now.ok(rustix::process::ioctl_tiocsctty(lend(slave)));
        program::streams(&own, now);
    }
    enter(
        spec,
        &user,
        joining.args,
        Some(starter),
        None,
        joining.term,
        now,
    )
}

/// A terminal of the container's own devpts. The path is the container's, so what is there is
/// asked whether it is one; the slave comes by its master and not by a name (CVE-2025-52565).
fn open<'a>(joining: &Joining<'a>, user: &User, now: &Now<'a>) -> OwnedFd {
    const PTMX: &CStr = c"/dev/pts/ptmx";
    now.at(Step::Terminal, PTMX);
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let master = now.ok(file::open_at(None, PTMX, flags));
    now.ok(device::pts_number(&master));
    now.ok(rustix::pty::unlockpt(lend(&master)));
    let slave = now.ok(file::slave(&master));
    if joining.raw {
        now.ok(terminal::raw(lend(&slave)));
    }
    if let Some(size) = joining.size {
        now.ok(rustix::termios::tcsetwinsize(lend(&slave), size));
    }
    if user.uid != 0 {
        let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
        now.ok(rustix::fs::fchown(lend(&slave), Some(uid), Some(gid)));
    }
    now.ok(socket::send(now.report, &[TERMINAL], Some(lend(&master))));
    slave
}
