//! The container's root: what it sees of files, and what it does not.
//!
//! A copy of a folder's mounts (or of the host's root) is put on a stage, dressed with
//! /proc, /sys, /dev of its own, and entered by pivot_root; the old root is let go, so
//! there is nothing to climb back to. Everything is done by descriptors below the stage.

use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::mount::{MountAttrFlags, MountPropagationFlags, UnmountFlags, mount_change, unmount};

use super::{At, Failed, Plan, STAGE, dev, fs};
use crate::format::fault::Step;
use crate::format::spec::{Mount, Tag, flags};
use crate::sys::{Errno, mount};

/// What a container has no business to see (runc's, crun's and docker's common list).
const MASKED: [&CStr; 10] = [
    c"/proc/acpi",
    c"/proc/asound",
    c"/proc/kcore",
    c"/proc/keys",
    c"/proc/latency_stats",
    c"/proc/timer_list",
    c"/proc/timer_stats",
    c"/proc/sched_debug",
    c"/proc/scsi",
    c"/sys/firmware",
];

/// What it may read and not write.
const READ_ONLY: [&CStr; 5] = [
    c"/proc/bus",
    c"/proc/fs",
    c"/proc/irq",
    c"/proc/sys",
    c"/proc/sysrq-trigger",
];

/// The host's own, replaced in a container that shares the host's root.
const REPLACED: [&CStr; 3] = [c"proc", c"sys", c"dev"];

/// Builds the root and enters it. Hands back the console, if there is one, opened inside.
pub(super) fn enter<'a>(plan: &Plan<'a>, privileged: bool) -> Result<Option<OwnedFd>, Failed<'a>> {
    let spec = plan.spec;
    // Nothing done from here on may reach the host's mounts.
    mount_change(
        c"/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
    .at(Step::Private, c"/")?;

    let from = spec.string(Tag::Root);
    let tree = fs::clone_path(from.unwrap_or(c"/"), true).at(Step::Root, from.unwrap_or(c"/"))?;
    let stage = rustix::fs::open(
        STAGE,
        rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )
    .at(Step::Open, STAGE)?;
    fs::put(&tree, &stage).at(Step::Root, from.unwrap_or(c"/"))?;
    let root = tree.as_fd();

    if from.is_none() {
        rustix::process::fchdir(root).at(Step::Chdir, STAGE)?;
        for path in REPLACED {
            // Whatever is stacked there goes; EINVAL says that nothing more is mounted.
            for _ in 0..8 {
                if unmount(path, UnmountFlags::DETACH).is_err() {
                    break;
                }
            }
        }
    }

    proc_and_sys(plan, root, privileged)?;
    let console = dev::dress(plan, root)?;
    for mount in spec.mounts() {
        one_mount(root, mount).map_err(|errno| Failed {
            step: Step::Mount,
            errno,
            object: mount.destination.to_bytes(),
        })?;
    }
    if from.is_none() {
        // The host's files are shared by intent, the way to PID 1 is not.
        hide(root, c"/run/pouch").at(Step::Mask, c"/run/pouch")?;
    }
    if !privileged {
        protect(root)?;
    }
    if spec.flags() & flags::READ_ONLY != 0 {
        mount::set(root, c"", mount::RDONLY, false).at(Step::Mask, c"/")?;
    }

    rustix::process::fchdir(root).at(Step::Chdir, STAGE)?;
    mount::pivot_here().at(Step::PivotRoot, from.unwrap_or(c"/"))?;
    rustix::process::chdir(c"/").at(Step::Chdir, c"/")?;
    dev::way_back(plan)?;
    Ok(console)
}

/// A /proc of its own namespaces, /sys to read, its own cgroup below it.
fn proc_and_sys<'a>(
    plan: &Plan<'a>,
    root: BorrowedFd<'_>,
    privileged: bool,
) -> Result<(), Failed<'a>> {
    let quiet = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let place = fs::folder(root, c"/proc", 0o555).at(Step::Make, c"/proc")?;
    let proc = fs::new(c"proc", &[], quiet).at(Step::Mount, c"/proc")?;
    fs::put(&proc, &place).at(Step::Mount, c"/proc")?;

    let place = fs::folder(root, c"/sys", 0o555).at(Step::Make, c"/sys")?;
    let readable = if privileged {
        quiet
    } else {
        quiet | MountAttrFlags::MOUNT_ATTR_RDONLY
    };
    let sys = fs::new(c"sysfs", &[], readable).at(Step::Mount, c"/sys")?;
    fs::put(&sys, &place).at(Step::Mount, c"/sys")?;

    if plan.cgroup.is_some()
        && let Ok(place) = fs::place(root, c"/sys/fs/cgroup")
    {
        // A bind of the one folder: a new cgroup2 mount waits milliseconds for RCU.
        let tree = fs::clone_path(plan.cgroup_path, false).at(Step::Mount, c"/sys/fs/cgroup")?;
        let mut bits = mount::NOSUID | mount::NODEV | mount::NOEXEC;
        if !privileged {
            bits |= mount::RDONLY;
        }
        mount::set(&tree, c"", bits, false).at(Step::Mount, c"/sys/fs/cgroup")?;
        fs::put(&tree, &place).at(Step::Mount, c"/sys/fs/cgroup")?;
    }
    Ok(())
}

/// Hides and locks what the tables name. A path that this kernel has not is none to hide.
fn protect<'a>(root: BorrowedFd<'_>) -> Result<(), Failed<'a>> {
    for path in READ_ONLY {
        let place = match fs::place(root, path) {
            Err(Errno::NOENT) => continue,
            other => other.at(Step::Mask, path)?,
        };
        let tree = fs::clone_tree(place.as_fd(), c"", true).at(Step::Mask, path)?;
        mount::set(
            &tree,
            c"",
            mount::RDONLY | mount::NOSUID | mount::NODEV | mount::NOEXEC,
            true,
        )
        .at(Step::Mask, path)?;
        fs::put(&tree, &place).at(Step::Mask, path)?;
    }
    for path in MASKED {
        match hide(root, path) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno).at(Step::Mask, path),
        }
    }
    Ok(())
}

/// A folder becomes an empty one that stays so, a file becomes /dev/null.
fn hide(root: BorrowedFd<'_>, path: &CStr) -> Result<(), Errno> {
    let place = fs::place(root, path)?;
    let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&place)?.st_mode);
    let cover = if kind == rustix::fs::FileType::Directory {
        let locked = MountAttrFlags::MOUNT_ATTR_RDONLY
            | MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        fs::new(c"tmpfs", &[(c"size", c"0"), (c"mode", c"0555")], locked)?
    } else {
        // The node that dev::dress has just made on a tmpfs of its own: nobody else's (CVE-2025-31133).
        let null = fs::place(root, c"/dev/null")?;
        let tree = fs::clone_tree(null.as_fd(), c"", false)?;
        mount::set(&tree, c"", mount::RDONLY, false)?;
        tree
    };
    fs::put(&cover, &place)
}

/// One of `--mount`, `--tmpfs`: its options are those of mount(8) that mean an attribute.
fn one_mount(root: BorrowedFd<'_>, wanted: Mount<'_>) -> Result<(), Errno> {
    let (mut bits, mut recursive) = (0, false);
    let mut data = [0u8; 256];
    let mut used = 0;
    for option in wanted.options.to_bytes().split(|b| *b == b',') {
        match option {
            b"ro" => bits |= mount::RDONLY,
            b"nosuid" => bits |= mount::NOSUID,
            b"nodev" => bits |= mount::NODEV,
            b"noexec" => bits |= mount::NOEXEC,
            b"rbind" => recursive = true,
            b"" | b"rw" | b"bind" => {}
            other => {
                // An option of the file system's own, handed on as it is.
                let end = used + other.len() + 1;
                let room = data.get_mut(used..end).ok_or(Errno::NAMETOOLONG)?;
                let (text, comma) = room
                    .split_at_mut_checked(other.len())
                    .ok_or(Errno::NAMETOOLONG)?;
                text.copy_from_slice(other);
                comma.fill(b',');
                used = end;
            }
        }
    }
    let kind = wanted.kind.to_bytes();
    let tree = if kind == b"bind" {
        fs::clone_path(wanted.source, recursive)?
    } else {
        let context =
            rustix::mount::fsopen(wanted.kind, rustix::mount::FsOpenFlags::FSOPEN_CLOEXEC)?;
        rustix::mount::fsconfig_set_string(&context, c"source", wanted.source)?;
        for option in data
            .get(..used)
            .unwrap_or_default()
            .split(|b| *b == b',')
            .filter(|o| !o.is_empty())
        {
            let mut room = [0u8; 256];
            let option = fs::c_string(option, &mut room).ok_or(Errno::NAMETOOLONG)?;
            set_option(context.as_fd(), option)?;
        }
        rustix::mount::fsconfig_create(&context)?;
        rustix::mount::fsmount(
            &context,
            rustix::mount::FsMountFlags::FSMOUNT_CLOEXEC,
            MountAttrFlags::empty(),
        )?
    };
    if bits != 0 {
        mount::set(&tree, c"", bits, recursive)?;
    }
    let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&tree)?.st_mode);
    let place = if kind == rustix::fs::FileType::Directory {
        fs::folder(root, wanted.destination, 0o755)?
    } else {
        fs::file(root, wanted.destination)?
    };
    fs::put(&tree, &place)
}

/// `key=value` or a flag.
fn set_option(context: BorrowedFd<'_>, option: &CStr) -> Result<(), Errno> {
    let bytes = option.to_bytes();
    let Some(cut) = bytes.iter().position(|b| *b == b'=') else {
        return rustix::mount::fsconfig_set_flag(context, option);
    };
    let (mut key, mut value) = ([0u8; 64], [0u8; 256]);
    let key =
        fs::c_string(bytes.get(..cut).unwrap_or_default(), &mut key).ok_or(Errno::NAMETOOLONG)?;
    let value = fs::c_string(bytes.get(cut + 1..).unwrap_or_default(), &mut value)
        .ok_or(Errno::NAMETOOLONG)?;
    rustix::mount::fsconfig_set_string(context, key, value)
}
