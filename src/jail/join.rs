//! Into a container that runs: its cgroup, its namespaces, its rights, and nothing else.
//!
//! Done by the command itself, never by PID 1, in two steps. A helper is made in the
//! container's cgroup. It takes the namespaces by one call on the init's pidfd, which was
//! had before anything of the container's was trusted; but its PID namespace stays the
//! host's, so nobody inside sees it, whatever they may trace. When all is done that takes
//! a right, when its rights are the container's own and every descriptor that leads out is
//! closed, it makes the process that executes the command and hands it over: a child of
//! the command's own, which goes when that goes. pouch's own file is never opened inside
//! (CVE-2019-5736), and without SYS_PTRACE nobody looks into either of the two.

use core::ffi::CStr;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{Gid, OFlags, Uid};
use rustix::termios::Winsize;

use super::user::{self, User};
use super::{Now, enter, image, namespaces, program, rights};
use crate::format::fault::Step;
use crate::format::spec::{Spec, SpecBuf, flags};
use crate::sys::{self, Errno, bpf, device, file, lend, process, socket, terminal};

/// What the helper says along with the master of its terminal, before anybody inside sees
/// anything of it: no step has this number.
pub const TERMINAL: u8 = 0xfe;
/// What it says of the process that becomes the command: its pid.
const JOINED: u8 = 0xfd;
/// The end of a helper that has no more to do: nobody's status, and no success where nobody heard of the other.
const HELPED: u8 = 125;

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
    /// A socket on which the terminal's master and the process are handed over and a fault is
    /// reported; close-on-exec. Once its other end is closed the process goes.
    pub report: BorrowedFd<'a>,
}

/// Starts the helper: its pid and pidfd. What it makes is told on the report: [`joined`].
///
/// # Errors
/// EBUSY if the container's cgroup has become a parent of others; those of clone3. What
/// goes wrong afterwards comes on the report: ESRCH or ENOMEM of [`Step::Join`] if the
/// container is gone.
pub fn join(joining: &Joining<'_>) -> Result<(i32, OwnedFd), Errno> {
    // A copy of this process is about to stand among the container's.
    process::close_to_all();
    match process::fork(0, joining.cgroup)? {
        process::Fork::Parent { pid, pidfd } => Ok((pid, pidfd)),
        process::Fork::Child => {
            sys::enter_child();
            let mut merged = SpecBuf::new();
            let now = Now::new(joining.report);
            let spec = image::configured(joining.spec, &mut merged, &now);
            help(&Joining { spec, ..*joining }, &now)
        }
    }
}

/// Tells of a process that was made beside this one, whose end is the parent's to wait for.
///
/// Its descriptor goes along only where this process has the host root's rights: without them it may not be sent while
/// its user, in whatever container, has too many on their way (ETOOMANYREFS), and whoever may trace could send another.
pub(super) fn hand_over(pid: i32, pidfd: Option<&OwnedFd>, now: &Now<'_>) {
    let [a, b, c, d] = pid.to_le_bytes();
    now.ok(socket::send(
        now.report,
        &[JOINED, a, b, c, d],
        pidfd.map(lend),
    ));
}

/// The pid of the process that was made, if that is what was said.
pub fn joined(said: &[u8]) -> Option<i32> {
    match *said {
        [JOINED, a, b, c, d, ..] => Some(i32::from_le_bytes([a, b, c, d])),
        _ => None,
    }
}

/// The helper: everything that takes a right which the container has not.
fn help<'a>(joining: &Joining<'a>, now: &Now<'a>) -> ! {
    let spec = joining.spec;
    let kinds = namespaces(spec);
    // Out of the session of whoever typed it: its terminal is not to be had by what is made here.
    program::session(now);
    program::first_to_go();
    if spec.flags() & flags::PRIVILEGED == 0 && !joining.cgroup.is_some_and(bpf::judges_devices) {
        // As at the launch: where nothing judges the use of devices, none are made.
        now.unruled.set(true);
    }
    if spec.has_users() {
        // While they may be raised: inside a user namespace they may not.
        rights::limits(spec, true, now);
    }
    now.at(Step::Join, spec.name());
    if kinds != 0 {
        // The PID namespace is that of the children: a process never changes its own.
        now.ok(process::join(joining.init, kinds));
    }
    if spec.has_users() {
        // Root of the host is nobody in there.
        now.ok(process::become_user(0, 0, &[]));
    }
    let user = user::find(spec, now);
    if joining.terminal.contains(&true) {
        let slave = open(joining, &user, now);
        let own = joining.terminal.map(|t| t.then_some(lend(&slave)));
        program::streams(&own, now);
    }
    enter(
        spec,
        &user,
        joining.args,
        Some(joining),
        None,
        c"TERM=vt102",
        now,
    )
}

/// Makes the process that becomes the command: inside for all to see, with no more rights than
/// those who see it. Comes back in that one; the helper ends here.
pub(super) fn appear<'a>(joining: &Joining<'a>, now: &Now<'a>) {
    now.at(Step::Join, joining.spec.name());
    // A cgroup's folder, the init's pidfd, whatever the command had open: who traces the new one has its descriptors.
    now.ok(process::close_all_but(joining.report));
    if let process::Fork::Parent { pid, .. } = now.ok(process::fork_beside(0)) {
        hand_over(pid, None, now);
        sys::exit(HELPED);
    }
    program::session(now);
    if let Some(own) = joining.terminal.iter().position(|own| *own) {
        let own = process::standard(own as i32);
        now.ok(rustix::process::ioctl_tiocsctty(own));
    }
    // It goes with whoever brought it. Not before: a change of the user takes it back.
    process::end_with_parent(joining.report);
}

/// A terminal of the container's own devpts, its master handed over. The path is the container's, so what is there is
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
