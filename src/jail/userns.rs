//! A user namespace of the container's own: its root is nobody on the host.
//!
//! The order is what matters. The namespaces that the container's root shall own must be
//! made inside its user namespace, and the one of PIDs together with the process that is
//! the first in it; its mounts, owners of files, device nodes and device rules are the host
//! root's to make. So the launch makes the container's first process beside itself, a child
//! of PID 1's, to which it is handed over, and has it wait. It goes on as a process that
//! has taken those namespaces over with all its rights still in hand, does everything as
//! for any container, lets the first one go, and ends. That one's mount namespace, made in
//! its user namespace, locks what was mounted and masked before.

use core::ffi::CStr;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{Gid, OFlags, Uid};

use super::join::hand_over;
use super::{Now, Plan, dev, fs, program, rights, start};
use crate::format::fault::Step;
use crate::format::spec::Spec;
use crate::format::text::{Text, put};
use crate::policy::ranges::USERS;
use crate::sys::{self, Errno, file, lend, mount, process};

/// The kind that the launch itself is born in, with the host root's rights.
pub(super) const HOSTS: u32 = process::CLONE_NEWNS;

/// A user namespace, not entered, and what waits there.
pub(super) struct Users {
    namespace: OwnedFd,
    /// Its root as the host sees it.
    first: u32,
    /// The first process goes on by a byte here, and ends where none comes.
    go: OwnedFd,
}

/// Makes the container's first process in a user namespace whose users begin at the plan's
/// owner on the host, and in those of `kinds` that are its own. Comes back in a process that
/// has all but its user namespace in common with that one.
pub(super) fn make<'a>(plan: &Plan<'a>, kinds: u32, now: &Now<'a>) -> Users {
    let (spec, first) = (plan.spec, plan.owner);
    rights::limits(spec, true, now);
    now.at(Step::UserNamespace, spec.name());
    if first == 0 {
        now.end(Errno::NOSPC); // the host's own root is nobody's range
    }
    let own = kinds & !HOSTS;
    let (wait, go) = now.ok(file::pipe(OFlags::empty()));
    let (pid, pidfd) = match now.ok(process::fork_beside(own)) {
        process::Fork::Parent { pid, pidfd } => (pid, pidfd),
        process::Fork::Child => {
            drop(go);
            begin(plan, kinds, &wait, now)
        }
    };
    hand_over(pid, Some(&pidfd), now);
    let open = |name: &'static str, flags| {
        let mut path = Text::<32>::new();
        put!(&mut path, "/proc/{}/{}", pid as u32, name);
        let mut room = [0; 40];
        let path = now.ok(fs::c_string(&[path.as_bytes()], &mut room));
        now.ok(file::open_at(None, path, flags))
    };
    let mut map = Text::<40>::new();
    put!(&mut map, "0 {} {}\n", first, USERS);
    for name in ["gid_map", "uid_map"] {
        now.ok(file::write(&open(name, OFlags::WRONLY), map.as_bytes()));
    }
    let namespace = open("ns/user", OFlags::RDONLY);
    let others = own & !process::CLONE_NEWUSER;
    if others != 0 {
        now.ok(process::join(lend(&pidfd), others));
    }
    // /proc shows the PID namespace of whoever mounts it, and that one is the children's.
    if let process::Fork::Parent { .. } = now.ok(process::fork(0, None)) {
        sys::exit(0);
    }
    let users = Users {
        namespace,
        first,
        go,
    };
    users.host(false, now);
    users
}

/// The first process: waits until all is made, and goes on with all rights in its user namespace and none outside.
fn begin<'a>(plan: &Plan<'a>, kinds: u32, wait: &OwnedFd, now: &Now<'a>) -> ! {
    if file::read(wait, &mut [0]) != Ok(1) {
        sys::exit(127); // why was told by whoever could not go on
    }
    now.at(Step::UserNamespace, plan.spec.name());
    // Root of the host is nobody in there.
    now.ok(process::become_user(0, 0, &[]));
    program::session(now);
    let mut console = None;
    if kinds & process::CLONE_NEWNS != 0 {
        now.ok(process::unshare(process::CLONE_NEWNS));
        console = dev::open_console(None, c"/dev/console").ok();
    }
    start(plan, console, now)
}

impl Users {
    /// Whether files that are made from now on are the host root's, or the container root's as at first.
    pub(super) fn host(&self, host: bool, now: &Now<'_>) {
        process::own_files_as(if host { 0 } else { self.first });
        // For another than root, rights over files of others go; they are taken back.
        now.ok(rights::hold(u64::MAX));
    }

    /// Has a tree that is not mounted yet show its files as owned by the container's users, if its file system can.
    ///
    /// Of the mounts below it all can, or none is asked: what they hold is nobody's inside.
    pub(super) fn own<'a>(
        &self,
        spec: Spec<'a>,
        path: &'a CStr,
        tree: BorrowedFd<'_>,
        now: &Now<'a>,
    ) {
        let namespace = lend(&self.namespace);
        let done = mount::map_owners(tree, namespace, true)
            .or_else(|_| mount::map_owners(tree, namespace, false));
        if let Err(e) = done {
            now.at(Step::Owners, path);
            now.warn(
                spec.name(),
                e,
                "its file system cannot: files there are nobody's inside",
            );
        }
    }

    /// Everything is made: lets the first process go on, on a console that is its own.
    pub(super) fn done(&self, console: Option<OwnedFd>, now: &Now<'_>) -> ! {
        if let Some(console) = console {
            let (uid, gid) = (Uid::from_raw(self.first), Gid::from_raw(self.first));
            now.ok(rustix::fs::fchown(lend(&console), Some(uid), Some(gid)));
        }
        now.ok(file::write(&self.go, &[0]));
        sys::exit(0)
    }
}
