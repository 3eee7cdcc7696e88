//! A /dev of the container's own: a few nodes, its pseudo-terminals, the way back.

use core::ffi::CStr;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, symlinkat};

use super::fs::{self, Fs};
use super::{Now, Plan, Stdio};
use crate::format::fault::Step;
use crate::sys::{Errno, file, lend, mount, socket};

const DEV: Fs = Fs {
    path: c"/dev",
    mode: 0o755,
    kind: c"tmpfs",
    options: "mode=0755,size=65536,nr_inodes=4096",
    attributes: mount::NOSUID | mount::NOEXEC,
};
/// Every devpts mounted is an instance of its own, so no terminal of the host is in it.
const PTS: Fs = Fs {
    path: c"/dev/pts",
    mode: 0o755,
    kind: c"devpts",
    options: "ptmxmode=0666,mode=0620,gid=5,max=1024",
    attributes: mount::NOSUID | mount::NOEXEC,
};
const SHM: Fs = Fs {
    path: c"/dev/shm",
    mode: 0o1777,
    kind: c"tmpfs",
    options: "mode=1777,size=64m,nr_inodes=16384",
    attributes: mount::NOSUID | mount::NOEXEC | mount::NODEV,
};
/// A copy of the binary lies here, so that what runs inside is never the host's file (CVE-2019-5736).
const POUCH: Fs = Fs {
    path: c"/dev/pouch",
    mode: 0o755,
    kind: c"tmpfs",
    options: "mode=0755,size=262144",
    attributes: LOCKED,
};
const LOCKED: u32 = mount::NOSUID | mount::NODEV;

/// Character devices that harm nobody (Documentation/admin-guide/devices.txt), all of mode 0666.
const NODES: &[u8] = b"null\0zero\0full\0random\0urandom\0tty\0";
/// Their numbers, in the same order.
const NUMBERS: [(u8, u8); 6] = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0)];

/// Links that programs expect: name, target.
const LINKS: &[u8] = b"fd\0/proc/self/fd\0stdin\0/proc/self/fd/0\0stdout\0/proc/self/fd/1\0\
    stderr\0/proc/self/fd/2\0core\0/proc/kcore\0ptmx\0pts/ptmx\0";

/// What the container calls PID 1 by; links to the one copy of the binary.
const NAMES: &[u8] = b"disconnect\0pouch\0info\0pouch\0";

/// The major number of Unix98 pseudo-terminal slaves.
const PTS_MAJOR: u32 = 136;

/// Mounts and fills /dev below `root`; the console is handed back opened through it.
pub(super) fn dress<'a>(plan: &Plan<'a>, root: BorrowedFd<'_>, now: &Now<'a>) -> Option<OwnedFd> {
    let dev = fs::mount(root, &DEV, 0, now);
    let mut names = NODES;
    for (major, minor) in NUMBERS {
        let name = fs::word(&mut names).unwrap_or_default();
        now.at(Step::Make, name);
        let number = u64::from(major) << 8 | u64::from(minor); // makedev(3) of small ones
        let kind = FileType::CharacterDevice;
        let mode = Mode::from_raw_mode(0o666);
        now.ok(mknodat(lend(&dev), name, kind, mode, number));
    }
    links(lend(&dev), LINKS, now);
    fs::mount(root, &PTS, 0, now);
    fs::mount(root, &SHM, 0, now);

    let own = fs::mount(root, &POUCH, 0, now);
    now.at(Step::Copy, c"/dev/pouch/pouch");
    let copy = now.ok(file::create_at(lend(&own), c"pouch", 0o755));
    let mut offset = 0;
    // sendfile with an offset of its own: the descriptor's is shared with PID 1.
    while now.ok(rustix::fs::sendfile(
        lend(&copy),
        plan.binary,
        Some(&mut offset),
        1 << 20,
    )) > 0
    {}
    links(lend(&own), NAMES, now);

    match plan.stdio {
        Stdio::Terminal { path, .. } => Some(console(path, lend(&dev), now)),
        Stdio::Pipe { .. } => None,
    }
}

#[inline(never)]
fn links(folder: BorrowedFd<'_>, list: &'static [u8], now: &Now<'_>) {
    let mut list = list;
    while let (Some(name), Some(target)) = (fs::word(&mut list), fs::word(&mut list)) {
        now.at(Step::Make, name);
        now.ok(symlinkat(target, folder, name));
    }
}

/// The session's slave as /dev/console, found by its path in the host's devpts and checked to be one.
fn console<'a>(path: &'a CStr, dev: BorrowedFd<'_>, now: &Now<'a>) -> OwnedFd {
    now.at(Step::Terminal, path);
    let tree = now.ok(mount::copy(CWD, path, false));
    let stat = now.ok(rustix::fs::fstat(lend(&tree)));
    let is_pts = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && rustix::fs::major(stat.st_rdev) == PTS_MAJOR;
    if !is_pts {
        now.end(Errno::NOTTY);
    }
    now.at(Step::Make, c"/dev/console");
    let place = now.ok(fs::file(dev, c"console"));
    now.at(Step::Mount, c"/dev/console");
    now.ok(mount::put(lend(&tree), lend(&place)));
    now.at(Step::Open, c"/dev/console");
    now.ok(open_console(Some(dev), c"console"))
}

/// The console, opened where it lies.
pub(super) fn open_console(dev: Option<BorrowedFd<'_>>, path: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NOFOLLOW;
    file::open_at(dev, path, flags)
}

/// Binds the container's socket, then locks the folder. Done inside, where its path is short and its own.
pub(super) fn way_back<'a>(plan: &Plan<'a>, now: &Now<'a>) {
    const PATH: &CStr = c"/dev/pouch/socket";
    now.at(Step::Socket, PATH);
    // Whoever is inside may ask to leave, whatever their user (the umask is empty here).
    now.ok(socket::bind(plan.listener, PATH));
    now.ok(socket::listen(plan.listener, 8));
    now.at(Step::Mask, c"/dev/pouch");
    let folder = now.ok(file::open_at(
        None,
        c"/dev/pouch",
        OFlags::PATH | OFlags::DIRECTORY,
    ));
    now.ok(mount::set(lend(&folder), mount::RDONLY | LOCKED, false));
}
