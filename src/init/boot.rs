//! From the kernel's hand-over to a board that has its file systems.
//!
//! Everything early is best effort: what fails is said and the way to the console goes on.

use core::ffi::CStr;

use log::Level;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::mount::{
    MountFlags, MountPropagationFlags, mount, mount_bind, mount_change, mount_move,
};

use super::Init;
use super::files::{self, read_file, write_file};
use super::log::note;
use super::marks::{Mark, mark};
use super::words::Words;
use crate::sys::{self, Errno, file, lend, process};

/// One early mount: source, target, type, flags, options.
struct Early(
    &'static CStr,
    &'static CStr,
    &'static CStr,
    MountFlags,
    &'static CStr,
);

const QUIET: MountFlags = MountFlags::NOSUID
    .union(MountFlags::NODEV)
    .union(MountFlags::NOEXEC);

/// The first of all: what is needed to know where one is.
const PROC: Early = Early(c"proc", c"/proc", c"proc", QUIET, c"");

/// What lies on the root itself, so that another root wants it anew.
const TMP: Early = Early(
    c"tmpfs",
    c"/tmp",
    c"tmpfs",
    MountFlags::NOSUID.union(MountFlags::NODEV),
    c"mode=1777",
);

/// In this order: /dev/pts lies in /dev, the cgroups in /sys.
const EARLY: [Early; 8] = [
    PROC,
    Early(c"sysfs", c"/sys", c"sysfs", QUIET, c""),
    Early(
        c"devtmpfs",
        c"/dev",
        c"devtmpfs",
        MountFlags::NOSUID,
        c"mode=0755",
    ),
    Early(
        c"devpts",
        c"/dev/pts",
        c"devpts",
        MountFlags::NOSUID.union(MountFlags::NOEXEC),
        c"ptmxmode=0666,mode=0620,gid=5",
    ),
    Early(
        c"tmpfs",
        c"/dev/shm",
        c"tmpfs",
        MountFlags::NOSUID.union(MountFlags::NODEV),
        c"mode=1777",
    ),
    Early(
        c"tmpfs",
        c"/run",
        c"tmpfs",
        MountFlags::NOSUID.union(MountFlags::NODEV),
        c"mode=0755",
    ),
    TMP,
    Early(c"cgroup2", c"/sys/fs/cgroup", c"cgroup2", QUIET, c""),
];

/// Nodes made by hand where the kernel has no devtmpfs.
const NODES: [(&CStr, u32, u32, u32); 8] = [
    (c"/dev/console", 5, 1, 0o600),
    (c"/dev/tty", 5, 0, 0o666),
    (c"/dev/ptmx", 5, 2, 0o666),
    (c"/dev/null", 1, 3, 0o666),
    (c"/dev/zero", 1, 5, 0o666),
    (c"/dev/full", 1, 7, 0o666),
    (c"/dev/urandom", 1, 9, 0o666),
    (c"/dev/kmsg", 1, 11, 0o644),
];

/// Links that scripts expect.
const LINKS: [(&CStr, &CStr); 4] = [
    (c"/proc/self/fd", c"/dev/fd"),
    (c"/proc/self/fd/0", c"/dev/stdin"),
    (c"/proc/self/fd/1", c"/dev/stdout"),
    (c"/proc/self/fd/2", c"/dev/stderr"),
];

/// statfs magic of ramfs, tmpfs and cgroup2 (linux/magic.h).
const RAMFS: i64 = 0x8584_58f6;
const TMPFS: i64 = 0x0102_1994;
const CGROUP2: i64 = 0x6367_7270;
/// That of proc.
const PROC_FS: i64 = 0x9fa0;

/// The inode of the first PID namespace (include/linux/proc_ns.h).
const FIRST_PID_NS: &[u8] = b"pid:[4026531836]";
/// That of the first UTS namespace.
const FIRST_UTS_NS: &[u8] = b"uts:[4026531838]";

/// The type of the file system that `path` lies on.
#[allow(clippy::unnecessary_cast)] // the field is 32 or 64 bits wide
fn fs_type(path: &CStr) -> i64 {
    // The field's width differs by processor; a magic number is 32 bits.
    rustix::fs::statfs(path).map_or(0, |s| (s.f_type as i64) & 0xffff_ffff)
}

/// Mounts what a board needs, and makes its root one that can be pivoted away from.
#[inline(never)] // its frame is not to be part of the loop's
pub(super) fn mounts(nested: bool) {
    // In a PID namespace the mounts may still be the host's: take a copy first.
    if nested && let Err(e) = process::unshare(process::CLONE_NEWNS) {
        say("unable to unshare mounts of", c"the host", e);
    }
    let _ = mount_change(
        c"/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    );
    if root_in_memory() && !nested {
        pivotable();
    }
    for one in &EARLY {
        let already = match one.2.to_bytes() {
            // One that shows this PID 1 as itself is of this namespace already.
            b"proc" => fs_type(one.1) == PROC_FS && link_is(c"/proc/self", b"1"),
            b"cgroup2" => fs_type(one.1) == CGROUP2 && !nested,
            // Whoever made the namespace chose its devices; the machine's are not to cover them.
            b"devtmpfs" => nested && is_mount(one.1),
            _ => false,
        };
        if !already {
            early(one);
        }
        if one.2 == c"devtmpfs" {
            nodes();
        }
    }
    let _ = rustix::process::chdir(c"/");
    let _ = rustix::fs::mkdir(c"/run/pouch", Mode::from_raw_mode(0o700));
    let _ = rustix::fs::mkdir(crate::jail::STAGE, Mode::from_raw_mode(0o700));
}

/// Whether something is mounted at a folder of the root: it lies on another device.
fn is_mount(path: &CStr) -> bool {
    match (rustix::fs::stat(path), rustix::fs::stat(c"/")) {
        (Ok(here), Ok(root)) => here.st_dev != root.st_dev,
        _ => false,
    }
}

/// Numbers 0 to 2 are taken, so that no descriptor of PID 1 is ever a standard stream.
pub(super) fn standard_streams() {
    use rustix::fd::{AsRawFd, IntoRawFd};
    while let Ok(fd) = files::open(c"/dev/null", OFlags::RDWR) {
        if fd.as_raw_fd() > 2 {
            return;
        }
        let _ = fd.into_raw_fd();
    }
}

fn early(one: &Early) {
    let Early(source, target, kind, flags, options) = *one;
    let _ = rustix::fs::mkdir(target, Mode::from_raw_mode(0o755));
    match mount(source, target, kind, flags, options) {
        Ok(()) | Err(Errno::BUSY) => {}
        Err(e) => say("unable to mount", target, e),
    }
}

/// Where a root is put together before it is moved to its place.
pub(super) const HOLD: &CStr = c"/.pouch-root";

/// Whether the root's files are memory.
pub(super) fn root_in_memory() -> bool {
    matches!(fs_type(c"/"), RAMFS | TMPFS)
}

/// The root is another one: what lay on the old one, and the name that stands in it.
pub(super) fn root_again() {
    if !is_mount(c"/tmp") {
        early(&TMP);
    }
    hostname();
}

/// The initramfs is no mount that pivot_root takes. A bind of it, moved over it, is one.
fn pivotable() {
    let steps = || -> Result<(), Errno> {
        match rustix::fs::mkdir(HOLD, Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e),
        }
        mount_bind(c"/", HOLD)?;
        rustix::process::chdir(HOLD)?;
        // It alone may be mounted by now; else it is mounted anew on the other side.
        let _ = mount_move(c"/proc", c"proc");
        mount_move(c".", c"/")?;
        rustix::process::chroot(c".")?;
        rustix::process::chdir(c"/")?;
        let _ = rustix::fs::rmdir(HOLD);
        Ok(())
    };
    if let Err(e) = steps() {
        say("unable to make pivotable", c"/", e);
    }
}

fn nodes() {
    for (path, major, minor, mode) in NODES {
        let _ = rustix::fs::mknodat(
            rustix::fs::CWD,
            path,
            FileType::CharacterDevice,
            Mode::from_raw_mode(mode),
            rustix::fs::makedev(major, minor),
        );
    }
    for (target, path) in LINKS {
        let _ = rustix::fs::symlink(target, path);
    }
}

/// Before there is a log or a line: straight to the kernel's log.
#[inline(never)]
fn say(what: &str, object: &CStr, e: Errno) {
    let mut text = Words::new("<27>pouch: ");
    text.add(what).add(" ").plain(object.to_bytes());
    text.reason_of(e);
    text.add("\n");
    write_file(c"/dev/kmsg", text.as_str().as_bytes());
}

fn link_is(path: &CStr, target: &[u8]) -> bool {
    let mut room = [0u8; 64];
    let len = file::link(path, &mut room).unwrap_or(0);
    room.get(..len) == Some(target)
}

/// Whether this is PID 1 of a PID namespace, and not the board's. On a board Ctrl-Alt-Del comes as SIGINT from here on,
/// instead of rebooting behind our back.
pub(super) fn nested() -> bool {
    // Nobody but the board's may say so (reboot_pid_ns of kernel/pid_namespace.c).
    match rustix::system::reboot(rustix::system::RebootCommand::CadOff) {
        Ok(()) => false,
        Err(Errno::INVAL) => true,
        Err(_) => {
            // Not allowed to ask. Without /proc nothing can be told; a board is the likelier case.
            if fs_type(c"/proc") != PROC_FS {
                early(&PROC);
            }
            let mut room = [0u8; 64];
            let namespace = file::link(c"/proc/self/ns/pid", &mut room);
            namespace.is_ok_and(|len| room.get(..len) != Some(FIRST_PID_NS))
        }
    }
}

/// Whether /proc/cmdline is the machine's own: in a PID namespace somebody may have put other words over it.
pub(super) fn words_are_the_machines() -> bool {
    fs_type(c"/proc/cmdline") == PROC_FS
}

/// Nothing works: a shell on the console is better than a panic.
pub(super) fn last_resort(e: Errno) -> ! {
    say(
        "unable to map memory for",
        c"the tables; running /bin/sh as PID 1",
        e,
    );
    let console = files::open(c"/dev/console", OFlags::RDWR);
    if let Ok(console) = &console {
        let _ = rustix::stdio::dup2_stdin(lend(console));
        let _ = rustix::stdio::dup2_stdout(lend(console));
        let _ = rustix::stdio::dup2_stderr(lend(console));
    }
    sys::signal::reset();
    sys::signal::unblock();
    let _ = process::exec(c"/bin/sh", &[c"sh"], &[]);
    loop {
        // No shell either. PID 1 must not end; it sleeps until somebody pulls the plug.
        let _ = rustix::event::poll(&mut [], None);
    }
}

impl Init {
    /// The rest of the way: cgroups, socket, words, lines, containers.
    #[inline(never)] // its frame is not to be part of the loop's
    pub(super) fn boot(&mut self, nested: bool) -> Result<(), Errno> {
        self.t.config.nested = nested;
        // In a PID namespace the name may be the host's.
        if !nested || !link_is(c"/proc/self/ns/uts", FIRST_UTS_NS) {
            hostname();
        }
        let _ = self.session_new(super::tables::Whose::Events, "");
        super::cgroup::prepare(self.t);
        mark(Mark::Cgroups);
        self.listen()?;
        self.watch_basics()?;
        mark(Mark::Socket);
        self.configure(None);
        self.t.up = true;
        note(
            Level::Info,
            concat!("pouch ", env!("CARGO_PKG_VERSION"), " is up"),
        );
        Ok(())
    }

    /// Waits for signals and commands.
    pub(super) fn watch_basics(&mut self) -> Result<(), Errno> {
        use super::poll::{Token, watch};
        watch(&self.epoll, &self.signals, Token::Signals, 0)?;
        if let Some(control) = &self.t.control {
            watch(&self.epoll, control, Token::Control, 0)?;
        }
        if !self.t.config.nested {
            // The kernel counts those of all who are root as one, PID 1's own among them: a container could have the
            // last. Without that count it is memory that bounds them, and a container's is its own.
            files::write_file(c"/proc/sys/fs/epoll/max_user_watches", b"10000000");
        }
        Ok(())
    }
}

/// The name in /etc/hostname, else `pouch`.
fn hostname() {
    let mut room = [0u8; 65];
    let name = read_file(c"/etc/hostname", &mut room).unwrap_or_default();
    let name = name
        .split(|b| b.is_ascii_whitespace())
        .next()
        .unwrap_or_default();
    let name = if name.is_empty() { b"pouch" } else { name };
    if let Err(e) = rustix::system::sethostname(name) {
        say("unable to set", c"the host name", e);
    }
}
