//! The container's root: what it sees of files, and what it does not.
//!
//! A copy of a folder's mounts (or of the host's root) is put on a stage, dressed with
//! /proc, /sys, /dev of its own, and entered by pivot_root; the old root is let go, so
//! there is nothing to climb back to. Everything is done by descriptors below the stage.

use core::ffi::CStr;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{CWD, OFlags};
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};

use super::fs::{self, Fs};
use super::userns::Users;
use super::{Now, Plan, STAGE, dev, devices, image};
use crate::format::fault::Step;
use crate::format::spec::{Mount, Tag, flags};
use crate::format::text::cut;
use crate::sys::mount::Within;
use crate::sys::{Errno, file, lend, mount};

/// What a container has no business to see (runc's, crun's and docker's common list): files, and folders.
const MASKED: &[u8] = b"/proc/kcore\0/proc/keys\0/proc/latency_stats\0/proc/timer_list\0\
    /proc/timer_stats\0/proc/sched_debug\0/proc/interrupts\0";
const EMPTIED: &[u8] = b"/proc/acpi\0/proc/asound\0/proc/scsi\0/sys/firmware\0\
    /sys/devices/virtual/powercap\0";

/// What it may read and not write.
const READ_ONLY: &[u8] = b"/proc/bus\0/proc/fs\0/proc/irq\0/proc/sys\0/proc/sysrq-trigger\0";

/// The host's own, replaced in a container that shares the host's root.
const REPLACED: &[u8] = b"proc\0sys\0dev\0";

const PROC: Fs = Fs {
    path: c"/proc",
    mode: 0o555,
    kind: c"proc",
    options: "",
    attributes: QUIET,
};
const SYS: Fs = Fs {
    path: c"/sys",
    mode: 0o555,
    kind: c"sysfs",
    options: "",
    attributes: QUIET,
};
const QUIET: u32 = mount::NOSUID | mount::NODEV | mount::NOEXEC;

/// Builds the root and enters it. Hands back the console, if there is one, opened inside.
pub(super) fn enter<'a>(
    plan: &Plan<'a>,
    users: Option<&Users>,
    privileged: bool,
    now: &Now<'a>,
) -> Option<OwnedFd> {
    let spec = plan.spec;
    // Nothing done from here on may reach the host's mounts.
    now.at(Step::Private, c"/");
    now.ok(mount_change(
        c"/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    ));

    let own = spec.string(Tag::Root).or(spec.string(Tag::Image));
    let from = own.unwrap_or(c"/");
    now.at(Step::Open, STAGE);
    let stage = now.ok(file::open_at(None, STAGE, OFlags::PATH));
    let tree = image::tree(spec, from, lend(&stage), users, now);
    now.at(Step::Root, from);
    let root = lend(&tree);
    now.ok(mount::put(root, lend(&stage)));

    now.at(Step::Chdir, STAGE);
    now.ok(rustix::process::fchdir(root));
    let mut replaced = if own.is_none() { REPLACED } else { b"" };
    while let Some(path) = fs::word(&mut replaced) {
        // Whatever is stacked there goes; EINVAL says that nothing more is mounted.
        for _ in 0..8 {
            if unmount(path, UnmountFlags::DETACH).is_err() {
                break;
            }
        }
    }

    if own.is_none() && spec.flags() & flags::READ_ONLY != 0 {
        // What the host has mounted on its root is its files too. What comes on top is the container's.
        now.at(Step::Mask, from);
        now.ok(mount::set(root, mount::RDONLY, true));
    }

    proc_and_sys(plan, root, privileged, now);
    let (dev, console) = dev::dress(plan, root, now);
    devices::nodes(plan, root, now);
    for mount in spec.mounts() {
        one_mount(root, mount, own.is_some(), now);
    }
    if own.is_none() {
        // The host's files are shared by intent, the way to PID 1 is not.
        now.at(Step::Mask, c"/run/pouch");
        now.ok(Cover::empty(plan, now).put(root, c"/run/pouch"));
    }
    if !privileged {
        protect(plan, root, lend(&dev), now);
        devices::restrict(plan, now);
        if now.unruled.get() {
            // No node that the root brings along, or what is mounted on it, is of any use, either.
            now.at(Step::Mask, from);
            now.ok(mount::set(root, mount::NODEV, true));
            dev::allow(root, now);
        }
    }
    // A missing working directory is made, as docker does; but not on the host's own root.
    if let (Some(cwd), Some(_)) = (spec.string(Tag::Cwd), own) {
        now.at(Step::Chdir, cwd);
        now.ok(fs::folder(root, cwd.to_bytes(), 0o755, Within::Follow));
    }
    if spec.flags() & flags::READ_ONLY != 0 {
        now.at(Step::Mask, c"/");
        now.ok(mount::set(root, mount::RDONLY, false));
    }

    // The working directory is the new root still, which is where this is done from.
    now.at(Step::PivotRoot, from);
    now.ok(mount::pivot_here());
    now.at(Step::Chdir, c"/");
    now.ok(rustix::process::chdir(c"/"));
    dev::way_back(plan, now);
    console
}

/// A /proc of its own namespaces, /sys to read, its own cgroup below it.
fn proc_and_sys<'a>(plan: &Plan<'a>, root: BorrowedFd<'_>, privileged: bool, now: &Now<'a>) {
    let readable = if privileged { 0 } else { mount::RDONLY };
    fs::mount(root, &PROC, 0, now);
    let sys = fs::mount(root, &SYS, readable, now);
    if plan.cgroup.is_some() {
        // A bind of the one folder: a new cgroup2 mount waits milliseconds for RCU.
        now.at(Step::Mount, c"/sys/fs/cgroup");
        let tree = now.ok(mount::copy(CWD, plan.cgroup_path, false));
        now.ok(mount::set(lend(&tree), QUIET | readable, false));
        // Below the kernel's own file system, where nobody makes links.
        match mount::put_at(lend(&tree), lend(&sys), c"fs/cgroup") {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(e) => now.end(e),
        }
    }
}

/// Locks and hides what the tables name. A path that this kernel has not is none to hide.
fn protect(plan: &Plan<'_>, root: BorrowedFd<'_>, dev: BorrowedFd<'_>, now: &Now<'_>) {
    now.at(Step::Open, c"/proc");
    let proc = now.ok(mount::place(root, c"/proc", Within::Root));
    now.at(Step::Open, c"/sys");
    let sys = now.ok(mount::place(root, c"/sys", Within::Root));
    // The node that dev::dress has just made on a tmpfs of its own: nobody else's (CVE-2025-31133).
    now.at(Step::Mask, c"/dev/null");
    let null = now.ok(mount::copy(dev, c"null", false));
    now.ok(mount::set(lend(&null), mount::RDONLY, false));
    now.at(Step::Mask, c"/proc");
    let (mut null, mut empty) = (Cover::new(null), Cover::empty(plan, now));
    for (list, mut cover) in [
        (READ_ONLY, None),
        (MASKED, Some(&mut null)),
        (EMPTIED, Some(&mut empty)),
    ] {
        let mut list = list;
        while let Some(path) = fs::word(&mut list) {
            now.at(Step::Mask, path);
            let (base, from) = match path.to_bytes().get(1) {
                Some(b'p') => (&proc, b"/proc/".len()),
                _ => (&sys, b"/sys/".len()),
            };
            let name = fs::tail(path, from);
            let done = match &mut cover {
                Some(cover) => cover.put(lend(base), name),
                None => lock(lend(base), name),
            };
            match done {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => now.end(errno),
            }
        }
    }
}

/// It, and what is mounted below it, is there to read.
fn lock(base: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    let tree = mount::copy(base, name, true)?;
    mount::set(lend(&tree), QUIET | mount::RDONLY, true)?;
    mount::put_at(lend(&tree), base, name)
}

/// What hides others: /dev/null a file, an empty folder a folder. Each is one mount, and copies of it.
struct Cover {
    mount: OwnedFd,
    /// It lies on something, so that the next one is a copy.
    used: bool,
}

impl Cover {
    fn new(mount: OwnedFd) -> Cover {
        Cover { mount, used: false }
    }

    /// An empty folder that stays so: the one that containers share, for who may have that.
    #[inline(never)]
    fn empty(plan: &Plan<'_>, now: &Now<'_>) -> Cover {
        let locked = QUIET | mount::RDONLY;
        Cover::new(now.ok(match dev::shares(plan) {
            true => mount::copy(CWD, dev::EMPTY, false),
            false => fs::new(c"tmpfs", None, b"mode=0555", locked),
        }))
    }

    /// Covers what a path below `base` names; no symlink on the way is followed.
    fn put(&mut self, base: BorrowedFd<'_>, path: &CStr) -> Result<(), Errno> {
        if self.used {
            self.mount = mount::copy(lend(&self.mount), c"", false)?;
            self.used = false;
        }
        let (mount, path_bytes) = (lend(&self.mount), path.to_bytes());
        match cut(path_bytes, b'/').1 {
            // A single name leads nowhere else.
            None => mount::put_at(mount, base, path)?,
            Some(_) => mount::put(mount, lend(&mount::place(base, path, Within::Root)?))?,
        }
        self.used = true;
        Ok(())
    }
}

/// One of `--mount`, `--tmpfs`: its options are those of mount(8) that mean an attribute,
/// and the file system's own, which are handed on as they are. A destination that is missing
/// is made, but not on the host's own root: it would stay there.
fn one_mount<'a>(root: BorrowedFd<'_>, wanted: Mount<'a>, make: bool, now: &Now<'a>) {
    let options = wanted.options.to_bytes();
    let (mut bits, mut rest) = (0, Some(options));
    while let Some(some) = rest {
        let (option, behind) = cut(some, b',');
        bits |= fs::attribute(option).unwrap_or(0);
        rest = behind;
    }
    let recursive = bits & fs::RECURSIVE != 0;
    bits &= !fs::RECURSIVE;
    now.at(Step::Mount, wanted.destination);
    let tree = if wanted.kind == c"bind" {
        now.at(Step::Mount, wanted.source);
        now.ok(mount::copy(CWD, wanted.source, recursive))
    } else {
        now.ok(fs::new(wanted.kind, Some(wanted.source), options, 0))
    };
    now.at(Step::Mount, wanted.destination);
    if bits != 0 {
        now.ok(mount::set(lend(&tree), bits, recursive));
    }
    let place = if !make {
        mount::place(root, wanted.destination, Within::Follow)
    } else if now.ok(fs::is_folder(lend(&tree))) {
        let path = wanted.destination.to_bytes();
        fs::folder(root, path, 0o755, Within::Follow)
    } else {
        fs::file(root, wanted.destination)
    };
    now.ok(mount::put(lend(&tree), lend(&now.ok(place))));
}
