//! A user namespace of the container's own: its root is nobody on the host.
//!
//! The order is what matters. The namespaces that the container's root shall own (network,
//! host name, IPC, cgroup) must be made inside its user namespace; its mounts, owners of
//! files, device nodes and device rules are the host root's to make. So a child of the
//! launch's makes the former, is given its map, and goes; the launch takes those
//! namespaces over with all its rights still in hand, does everything else as for any
//! container, and enters the user namespace last of all. A mount namespace made there
//! locks what was mounted and masked before. The PID namespace stays the host root's:
//! it is the one that cannot be taken over afterwards.

use core::ffi::CStr;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::process::{Signal, pidfd_send_signal};

use super::{Now, fs, rights};
use crate::format::fault::Step;
use crate::format::spec::Spec;
use crate::format::text::{Text, put};
use crate::policy::ranges::USERS;
use crate::sys::{Errno, file, lend, mount, process};

/// Kinds that the launch itself makes, with the host root's rights.
pub(super) const HOSTS: u32 = process::CLONE_NEWNS | process::CLONE_NEWPID;

/// A user namespace, not yet entered.
pub(super) struct Users {
    namespace: OwnedFd,
    /// Its root as the host sees it.
    first: u32,
}

/// Makes a user namespace whose users begin at `first` on the host, and joins the others
/// of `kinds`, which are its own.
pub(super) fn make<'a>(spec: Spec<'a>, first: u32, kinds: u32, now: &Now<'a>) -> Users {
    now.at(Step::UserNamespace, spec.name());
    if first == 0 {
        now.end(Errno::NOSPC); // the host's own root is nobody's range
    }
    let others = kinds & !HOSTS;
    let (pid, pidfd) = match now.ok(process::fork(others, None)) {
        process::Fork::Parent { pid, pidfd } => (pid, pidfd),
        process::Fork::Child => {
            process::end_with_parent(None);
            loop {
                let _ = rustix::event::poll(&mut [], None);
            }
        }
    };
    // The host's /proc knows the child by another number than its parent here does.
    let proc = now.ok(fs::new(c"proc", None, b"", 0));
    let open = |name: &'static str, flags| {
        let mut path = Text::<32>::new();
        put!(&mut path, "{}/{}", pid as u32, name);
        let mut room = [0; 40];
        let path = now.ok(fs::c_string(&[path.as_bytes()], &mut room));
        now.ok(file::open_at(Some(lend(&proc)), path, flags))
    };
    let mut map = Text::<40>::new();
    put!(&mut map, "0 {} {}\n", first, USERS);
    for name in ["gid_map", "uid_map"] {
        now.ok(file::write(&open(name, OFlags::WRONLY), map.as_bytes()));
    }
    let namespace = open("ns/user", OFlags::RDONLY);
    // setns(2) takes no empty list: a container.json may want none of them.
    let others = others & !process::CLONE_NEWUSER;
    if others != 0 {
        now.ok(process::join(lend(&pidfd), others));
    }
    // The namespaces live on by those who hold them.
    let _ = pidfd_send_signal(lend(&pidfd), Signal::KILL);
    let _ = process::end_of(pid);
    let users = Users { namespace, first };
    users.host(false, now);
    users
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

    /// Enters it, with all rights there and none outside.
    pub(super) fn enter<'a>(&self, spec: Spec<'a>, kinds: u32, now: &Now<'a>) {
        now.at(Step::UserNamespace, spec.name());
        now.ok(process::join(lend(&self.namespace), process::CLONE_NEWUSER));
        // Root of the host is nobody in there.
        now.ok(process::become_user(0, 0, &[]));
        if kinds & process::CLONE_NEWNS != 0 {
            now.ok(process::unshare(process::CLONE_NEWNS));
        }
    }
}
