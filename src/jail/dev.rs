//! A /dev of the container's own: a few nodes, its pseudo-terminals, the way back.

use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, makedev, mkdirat, mknodat, openat, statat, symlinkat,
};
use rustix::mount::MountAttrFlags;

use super::{At, Failed, Plan, Stdio, fs};
use crate::format::fault::Step;
use crate::sys::{Errno, mount};

/// Character devices that harm nobody (Documentation/admin-guide/devices.txt), all of mode 0666.
const NODES: [(&CStr, u32, u32); 6] = [
    (c"null", 1, 3),
    (c"zero", 1, 5),
    (c"full", 1, 7),
    (c"random", 1, 8),
    (c"urandom", 1, 9),
    (c"tty", 5, 0),
];

/// Links that programs expect: name, target.
const LINKS: [(&CStr, &CStr); 6] = [
    (c"fd", c"/proc/self/fd"),
    (c"stdin", c"/proc/self/fd/0"),
    (c"stdout", c"/proc/self/fd/1"),
    (c"stderr", c"/proc/self/fd/2"),
    (c"core", c"/proc/kcore"),
    (c"ptmx", c"pts/ptmx"),
];

/// What the container calls PID 1 by; links to the one copy of the binary.
const NAMES: [&CStr; 2] = [c"disconnect", c"info"];

/// The major number of Unix98 pseudo-terminal slaves.
const PTS_MAJOR: u32 = 136;

/// Mounts and fills /dev below `root`; the console is handed back opened through it.
pub(super) fn dress<'a>(
    plan: &Plan<'a>,
    root: BorrowedFd<'_>,
) -> Result<Option<OwnedFd>, Failed<'a>> {
    let place = fs::folder(root, c"/dev", 0o755).at(Step::Make, c"/dev")?;
    let nosuid = MountAttrFlags::MOUNT_ATTR_NOSUID;
    let quiet = nosuid | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let tmpfs = fs::new(c"tmpfs", &[(c"mode", c"0755"), (c"size", c"65536")], quiet)
        .at(Step::Mount, c"/dev")?;
    fs::put(&tmpfs, &place).at(Step::Mount, c"/dev")?;
    let dev = tmpfs.as_fd();

    for (name, major, minor) in NODES {
        let mode = Mode::from_raw_mode(0o666);
        mknodat(
            dev,
            name,
            FileType::CharacterDevice,
            mode,
            makedev(major, minor),
        )
        .at(Step::Make, name)?;
    }
    for (name, target) in LINKS {
        symlinkat(target, dev, name).at(Step::Make, name)?;
    }

    let pts = fs::folder(dev, c"pts", 0o755).at(Step::Make, c"/dev/pts")?;
    // Every devpts mounted is an instance of its own, so no terminal of the host is in it.
    let options = [(c"ptmxmode", c"0666"), (c"mode", c"0620"), (c"gid", c"5")];
    let devpts = fs::new(c"devpts", &options, quiet).at(Step::Mount, c"/dev/pts")?;
    fs::put(&devpts, &pts).at(Step::Mount, c"/dev/pts")?;

    let shm = fs::folder(dev, c"shm", 0o1777).at(Step::Make, c"/dev/shm")?;
    let options = [(c"mode", c"1777"), (c"size", c"64m")];
    let tmpfs = fs::new(c"tmpfs", &options, quiet | MountAttrFlags::MOUNT_ATTR_NODEV)
        .at(Step::Mount, c"/dev/shm")?;
    fs::put(&tmpfs, &shm).at(Step::Mount, c"/dev/shm")?;

    pouch(plan, dev)?;

    match plan.stdio {
        Stdio::Terminal { path, .. } => console(path, dev).map(Some),
        Stdio::Pipe { .. } => Ok(None),
    }
}

/// The session's slave as /dev/console, found by its path in the host's devpts and checked to be one.
fn console<'a>(path: &'a CStr, dev: BorrowedFd<'_>) -> Result<OwnedFd, Failed<'a>> {
    let tree = fs::clone_path(path, false).at(Step::Terminal, path)?;
    let stat = rustix::fs::fstat(&tree).at(Step::Terminal, path)?;
    let is_pts = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && rustix::fs::major(stat.st_rdev) == PTS_MAJOR;
    if !is_pts {
        return Err(Errno::NOTTY).at(Step::Terminal, path);
    }
    let place = fs::file(dev, c"console").at(Step::Make, c"/dev/console")?;
    fs::put(&tree, &place).at(Step::Mount, c"/dev/console")?;
    openat(
        dev,
        c"console",
        OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW,
        Mode::empty(),
    )
    .at(Step::Open, c"/dev/console")
}

/// /dev/pouch: a copy of the binary, so that what runs inside is never the host's file (CVE-2019-5736).
fn pouch<'a>(plan: &Plan<'a>, dev: BorrowedFd<'_>) -> Result<(), Failed<'a>> {
    mkdirat(dev, c"pouch", Mode::from_raw_mode(0o755)).at(Step::Make, c"/dev/pouch")?;
    let place = fs::place(dev, c"pouch").at(Step::Open, c"/dev/pouch")?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let options = [(c"mode", c"0755"), (c"size", c"262144")];
    let tmpfs = fs::new(c"tmpfs", &options, attributes).at(Step::Mount, c"/dev/pouch")?;

    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let copy = openat(&tmpfs, c"pouch", flags, Mode::from_raw_mode(0o755))
        .at(Step::Copy, c"/dev/pouch/pouch")?;
    let mut offset = 0;
    // sendfile with an offset of its own: the descriptor's is shared with PID 1.
    while rustix::fs::sendfile(&copy, plan.binary, Some(&mut offset), 1 << 20)
        .at(Step::Copy, c"/dev/pouch/pouch")?
        > 0
    {}
    drop(copy);
    for name in NAMES {
        symlinkat(c"pouch", &tmpfs, name).at(Step::Make, name)?;
    }
    fs::put(&tmpfs, &place).at(Step::Mount, c"/dev/pouch")
}

/// Binds the container's socket, then locks the folder. Done inside, where its path is short and its own.
pub(super) fn way_back<'a>(plan: &Plan<'a>) -> Result<(), Failed<'a>> {
    const PATH: &CStr = c"/dev/pouch/socket";
    let bind = || -> Result<(), Errno> {
        let address = rustix::net::SocketAddrUnix::new(PATH)?;
        // Whoever is inside may ask to leave, whatever their user (the umask is empty here).
        rustix::net::bind(plan.listener, &address)?;
        rustix::net::listen(plan.listener, 8)
    };
    bind().at(Step::Socket, PATH)?;
    let lock = || -> Result<(), Errno> {
        let folder = rustix::fs::open(
            c"/dev/pouch",
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        mount::set(
            &folder,
            c"",
            mount::RDONLY | mount::NOSUID | mount::NODEV,
            false,
        )
    };
    lock().at(Step::Mask, c"/dev/pouch")
}

/// Whether a terminal is one of the container's own, for the streams' ownership.
pub(super) fn owner(console: &OwnedFd, uid: u32, gid: u32) -> Result<(), Errno> {
    let _ = statat(console, c"", AtFlags::EMPTY_PATH)?;
    let (uid, gid) = (
        rustix::fs::Uid::from_raw(uid),
        rustix::fs::Gid::from_raw(gid),
    );
    rustix::fs::fchown(console, Some(uid), Some(gid))
}
