//! A /dev of the container's own: a few nodes, its pseudo-terminals, the way back.

use core::ffi::CStr;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, mkdir, mkdirat, mknodat, symlinkat};
use rustix::mount::{UnmountFlags, unmount};

use super::fs::{self, Fs};
use super::{Now, Plan, Stdio};
use crate::format::capability;
use crate::format::fault::Step;
use crate::format::spec::flags;
use crate::sys::{Errno, file, lend, mount, process, socket};

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
/// Where the copy of the binary lies that containers share.
const COPIES: &CStr = c"/run/pouch/.own";
const COPY: &CStr = c"/run/pouch/.own/pouch";
/// Beside it a folder in which nothing is.
pub(super) const EMPTY: &CStr = c"/run/pouch/.own/empty";

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

/// Mounts and fills /dev below `root`; hands back that, and the console opened through it.
pub(super) fn dress<'a>(
    plan: &Plan<'a>,
    root: BorrowedFd<'_>,
    now: &Now<'a>,
) -> (OwnedFd, Option<OwnedFd>) {
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
    fs::mount(lend(&dev), &PTS, 0, now);
    fs::mount(lend(&dev), &SHM, 0, now);

    let own = fs::mount(lend(&dev), &POUCH, 0, now);
    now.at(Step::Copy, c"/dev/pouch/pouch");
    let file = now.ok(file::create_at(lend(&own), c"pouch", 0o755));
    if shares(plan) {
        let tree = now.ok(mount::copy(CWD, COPY, false));
        now.ok(mount::put_at(lend(&tree), lend(&own), c"pouch"));
    } else {
        now.ok(copy(plan.binary, lend(&file)));
    }
    links(lend(&own), NAMES, now);

    let console = match plan.stdio {
        Stdio::Terminal { path, .. } => Some(console(path, lend(&dev), now)),
        Stdio::Pipe { .. } => None,
    };
    (dev, console)
}

/// Copies the binary, by sendfile with an offset of its own: the descriptor's is shared with PID 1.
fn copy(binary: BorrowedFd<'_>, file: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut offset = 0;
    while rustix::fs::sendfile(file, binary, Some(&mut offset), 1 << 20)? > 0 {}
    Ok(())
}

/// Whether there is what containers share, and one may have it: whoever can make a mount writable, and whose files are
/// other users', gets it of its own.
pub(super) fn shares(plan: &Plan<'_>) -> bool {
    let spec = plan.spec;
    let kept = spec.capabilities().unwrap_or(capability::DEFAULT);
    plan.copied
        && spec.flags() & flags::PRIVILEGED == 0
        && kept & capability::SYS_ADMIN == 0
        && super::namespaces(spec) & process::CLONE_NEWUSER == 0
}

/// Makes the copy of the binary that containers share, on a read-only mount of the host's, in place of one that an
/// earlier binary made. Whoever has CAP_SYS_ADMIN could make a mount writable, so they get copies of their own.
///
/// # Errors
/// Those of mounting; ENOSPC. Then each container gets a copy of its own.
pub fn share_copy(binary: BorrowedFd<'_>) -> Result<(), Errno> {
    let _ = unmount(COPIES, UnmountFlags::DETACH);
    let _ = mkdir(COPIES, Mode::from_raw_mode(0o755));
    let own = fs::new(POUCH.kind, None, POUCH.options.as_bytes(), LOCKED)?;
    let file = file::create_at(lend(&own), c"pouch", 0o755)?;
    // The umask is the host's.
    rustix::fs::fchmod(lend(&file), Mode::from_raw_mode(0o755))?;
    copy(binary, lend(&file))?;
    mkdirat(lend(&own), c"empty", Mode::from_raw_mode(0o555))?;
    rustix::fs::chmodat(
        lend(&own),
        c"empty",
        Mode::from_raw_mode(0o555),
        AtFlags::empty(),
    )?;
    drop(file); // whoever has it to write keeps the mount writable
    mount::set(lend(&own), mount::RDONLY | LOCKED, false)?;
    mount::put_at(lend(&own), CWD, COPIES)
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
    drop(now.ok(file::create_at(dev, c"console", 0o644)));
    now.at(Step::Mount, c"/dev/console");
    now.ok(mount::put_at(lend(&tree), dev, c"console"));
    now.at(Step::Open, c"/dev/console");
    now.ok(open_console(Some(dev), c"console"))
}

/// The console, opened where it lies.
pub(super) fn open_console(dev: Option<BorrowedFd<'_>>, path: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NOFOLLOW;
    file::open_at(dev, path, flags)
}

/// Where all device nodes were made useless: those that were made here are of use.
pub(super) fn allow(root: BorrowedFd<'_>, now: &Now<'_>) {
    for path in [c"/dev", c"/dev/pts", c"/dev/console"] {
        now.at(Step::Mask, path);
        match mount::place(root, path, mount::Within::Root) {
            Ok(place) => now.ok(mount::clear(lend(&place), mount::NODEV)),
            // Without a terminal there is no console.
            Err(Errno::NOENT) => {}
            Err(e) => now.end(e),
        }
    }
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
