//! From a spec to a running process: namespaces, root, cgroup, rights.
//!
//! The parent prepares everything and clones; the child is a straight line of steps,
//! each with its name, that ends in execve or reports the step, the errno and the object
//! on a close-on-exec pipe. The child parses nothing and allocates nothing.

mod dev;
mod devices;
mod fs;
mod image;
mod join;
mod modules;
mod net;
mod program;
mod reaper;
mod rights;
mod root;
mod rules;
mod seccomp;
mod user;
mod userns;

use core::cell::Cell;
use core::ffi::CStr;

use rustix::fd::{BorrowedFd, OwnedFd};

use crate::format::fault::{Fault, OBJECT_MAX, Step};
use crate::format::spec::{Spec, SpecBuf, Tag, flags};
use crate::format::text::{Plain, Text, put};
use crate::format::wire::{Reader, Writer};
use crate::sys::mount::Within;
use crate::sys::{self, Errno, file, lend, process, signal, socket};

pub use dev::share_copy;
pub use devices::usual;
pub use fs::{apart, c_string, folder, is_folder};
pub use image::IMAGES;
pub use join::{Joining, TERMINAL, join, joined};
pub use modules::load as load_module;
pub use net::{BRIDGE, Link, release};
pub use program::PATH;
pub use rights::usual_files;
pub use seccomp::lifted as filter;
use user::User;

/// New namespaces of a container for which nothing else was said.
pub const NAMESPACES: u32 = process::CLONE_NEWNS
    | process::CLONE_NEWPID
    | process::CLONE_NEWUTS
    | process::CLONE_NEWIPC
    | process::CLONE_NEWCGROUP
    | process::CLONE_NEWNET;

/// The folder on which a child mounts the root it is about to enter; empty for everybody else.
pub const STAGE: &CStr = c"/run/pouch/stage";

/// What the standard streams are.
#[derive(Clone, Copy)]
pub enum Stdio<'a> {
    /// The slave of a pseudo-terminal: its descriptor and its path as the host sees it.
    Terminal {
        /// The slave, open.
        slave: BorrowedFd<'a>,
        /// /dev/pts/N.
        path: &'a CStr,
    },
    /// /dev/null, and a pipe for output and errors.
    Pipe {
        /// Its writing end.
        output: BorrowedFd<'a>,
    },
}

/// All that a launch needs, prepared by the parent.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    /// What to run.
    pub spec: Spec<'a>,
    /// Its cgroup's folder.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// The cgroup's folder by its path.
    pub cgroup_path: &'a CStr,
    /// Its link to a bridge, where it has one.
    pub link: Option<Link<'a>>,
    /// Its standard streams.
    pub stdio: Stdio<'a>,
    /// Files and pipes that take their place, one by one.
    pub streams: [Option<BorrowedFd<'a>>; 3],
    /// A socket on which the child reports a fault; close-on-exec.
    pub report: BorrowedFd<'a>,
    /// The pipe on which it says that it is ready, as the descriptor that its spec names.
    pub ready: Option<BorrowedFd<'a>>,
    /// A socket to bind as its way back to PID 1.
    pub listener: BorrowedFd<'a>,
    /// pouch's own binary.
    pub binary: BorrowedFd<'a>,
    /// There is the copy of it that [`share_copy`] makes.
    pub copied: bool,
    /// The device program [`usual`].
    pub judge: Option<BorrowedFd<'a>>,
    /// TERM for its environment.
    pub term: &'a CStr,
    /// The host's number for its root, where it has a user namespace of its own.
    pub owner: u32,
}

/// A fault of the kernel's.
pub fn unable(step: Step, errno: Errno, object: &[u8]) -> Fault<'_> {
    Fault {
        step,
        errno: errno.raw_os_error() as u16,
        object,
    }
}

/// What the child is doing, and whom it tells. A step is said before it is tried, so an
/// error is an errno alone; and since an error ends the child, none is handed up.
struct Now<'a> {
    step: Cell<(Step, &'a CStr)>,
    /// No rules hold for devices, so no node may be made.
    unruled: Cell<bool>,
    report: BorrowedFd<'a>,
}

impl<'a> Now<'a> {
    fn new(report: BorrowedFd<'a>) -> Self {
        let step = Cell::new((Step::Launch, c""));
        let unruled = Cell::new(false);
        Now {
            step,
            unruled,
            report,
        }
    }

    /// The step that is tried next, and on what.
    #[inline(never)]
    fn at(&self, step: Step, object: &'a CStr) {
        self.step.set((step, object));
    }

    /// What the kernel answered; an error is the child's last word.
    fn ok<T>(&self, answer: Result<T, Errno>) -> T {
        match answer {
            Ok(value) => value,
            Err(errno) => self.end(errno),
        }
    }

    /// Says in the kernel's log what could not be done, and what is done instead. Only while paths are the host's.
    #[cold]
    #[inline(never)]
    fn warn(&self, name: &CStr, errno: Errno, instead: &'static str) {
        let (step, object) = self.step.get();
        let fault = unable(step, errno, object.to_bytes());
        let mut text = Text::<{ OBJECT_MAX + 200 }>::new();
        put!(
            &mut text,
            "<28>pouch: {}: {}; {}\n",
            Plain(name.to_bytes()),
            &fault,
            instead
        );
        if let Ok(log) = file::open_at(None, c"/dev/kmsg", rustix::fs::OFlags::WRONLY) {
            let _ = file::write(&log, text.as_bytes());
        }
    }

    /// Tells PID 1 which step failed, and ends.
    #[cold]
    #[inline(never)]
    fn end(&self, errno: Errno) -> ! {
        let mut room = [0; OBJECT_MAX + 8];
        let mut w = Writer::new(&mut room);
        let (step, object) = self.step.get();
        unable(step, errno, object.to_bytes()).emit(&mut w);
        if let Some(bytes) = w.finish() {
            let _ = rustix::io::write(self.report, bytes);
        }
        sys::exit(127)
    }
}

/// Starts a container's process: its pid and pidfd.
///
/// What goes wrong in the child comes on the plan's socket, read by [`read_report`]; an
/// empty one that closes says that execve succeeded.
///
/// # Errors
/// clone3's.
pub fn launch(plan: &Plan<'_>) -> Result<(i32, OwnedFd), Errno> {
    let namespaces = namespaces(plan.spec);
    let mut born_in = namespaces;
    if plan.link.is_some() {
        // Something is to be done in the host's network first.
        born_in &= !process::CLONE_NEWNET;
    }
    if namespaces & process::CLONE_NEWUSER != 0 {
        // The others are made within it.
        born_in &= userns::HOSTS;
    }
    match process::fork(born_in, plan.cgroup)? {
        process::Fork::Parent { pid, pidfd } => Ok((pid, pidfd)),
        process::Fork::Child => {
            sys::enter_child();
            let mut merged = SpecBuf::new();
            // Out of the way of the number that the program has for its own.
            let report = plan.ready.and_then(|_| process::far(plan.report).ok());
            let now = Now::new(report.unwrap_or(plan.report));
            let spec = image::configured(plan.spec, &mut merged, &now);
            child(&Plan { spec, ..*plan }, namespaces, &now)
        }
    }
}

/// The namespaces that a container has of its own: CLONE_NEW* bits.
pub fn namespaces(spec: Spec<'_>) -> u32 {
    let mut all = spec.namespaces().unwrap_or(NAMESPACES);
    if spec.has_users() {
        all |= process::CLONE_NEWUSER;
    }
    match spec.flags() & flags::HOST_NET {
        0 => all,
        _ => all & !process::CLONE_NEWNET,
    }
}

/// Starts a program of the host's on a terminal: the operator's shell.
///
/// # Errors
/// clone3's; the rest comes on `report`.
pub fn host_shell(
    shell: &CStr,
    argv0: &CStr,
    env: &[&CStr],
    cgroup: Option<BorrowedFd<'_>>,
    slave: BorrowedFd<'_>,
    report_to: BorrowedFd<'_>,
) -> Result<(i32, OwnedFd), Errno> {
    match process::fork(0, cgroup)? {
        process::Fork::Parent { pid, pidfd } => Ok((pid, pidfd)),
        process::Fork::Child => {
            sys::enter_child();
            let now = Now::new(report_to);
            program::session(&now);
            program::terminal(slave, c"/dev/pts", &now);
            now.at(Step::Chdir, c"/");
            now.ok(rustix::process::chdir(c"/"));
            // A login shell's folder where there is one, the root where not.
            let _ = rustix::process::chdir(c"/root");
            signal::reset_child();
            signal::unblock();
            usual_files();
            now.at(Step::Exec, shell);
            now.end(process::exec(shell, &[argv0], env))
        }
    }
}

/// The straight line. Each step says why it stands where it stands; it ends in execve or in an error.
fn child<'a>(plan: &Plan<'a>, namespaces: u32, now: &Now<'a>) -> ! {
    let spec = plan.spec;
    let privileged = spec.flags() & flags::PRIVILEGED != 0;
    // Files made on the way have the modes that are asked for.
    rustix::process::umask(rustix::fs::Mode::empty());
    // A session before the terminal is opened, so that nobody else's becomes ours.
    program::session(now);
    program::first_to_go();

    // The files of modules and of the kernel's settings are the host's: before the root goes.
    let link = plan.link.as_ref();
    let link = link.map(|link| (link, net::outside(plan, link, now)));
    let users =
        (namespaces & process::CLONE_NEWUSER != 0).then(|| userns::make(plan, namespaces, now));
    if let Some((link, host)) = &link {
        net::enter(plan, link, host, now);
    }
    if namespaces & process::CLONE_NEWNET != 0 {
        net::inside(link, now);
    }

    let console = if namespaces & process::CLONE_NEWNS != 0 {
        root::enter(plan, users.as_ref(), privileged, now)
    } else {
        if !privileged {
            devices::restrict(plan, now);
        }
        None
    };

    if namespaces & process::CLONE_NEWUTS != 0 {
        let name = spec.string(Tag::Hostname).unwrap_or(spec.name());
        now.at(Step::Hostname, name);
        now.ok(rustix::system::sethostname(name.to_bytes()));
    }
    match users {
        Some(users) => users.done(console, now),
        None => start(plan, console, now),
    }
}

/// The rest of it, in the container's user namespace where it has one.
fn start<'a>(plan: &Plan<'a>, console: Option<OwnedFd>, now: &Now<'a>) -> ! {
    let spec = plan.spec;
    // Inside by now: names are those of the container's own files.
    let user = user::find(spec, now);
    let person = (user.uid, user.gid);
    program::standard_streams(plan.stdio, console, person, now);
    program::streams(&plan.streams, now);
    enter(spec, &user, &[], None, plan.ready, plan.term, now)
}

/// The end of the line, and of the way into a container that runs: rights, then execve.
fn enter<'a>(
    spec: Spec<'a>,
    user: &User,
    args: &[&'a CStr],
    joining: Option<&Joining<'a>>,
    ready: Option<BorrowedFd<'_>>,
    term: &'a CStr,
    now: &Now<'a>,
) -> ! {
    if let Some(cwd) = spec.string(Tag::Cwd) {
        now.at(Step::Chdir, cwd);
        now.ok(enter_folder(cwd));
    }
    let privileged = spec.flags() & flags::PRIVILEGED != 0;
    if spec.flags() & flags::INIT != 0 && args.is_empty() {
        // While clone3 is allowed still; each half has its own rights taken away.
        now.at(Step::Clone, spec.name());
        if let process::Fork::Parent { pid, .. } = now.ok(process::fork(0, None)) {
            rights::drop_all(spec, user, privileged, now);
            reaper::stand_by(pid);
        }
    }
    rights::drop_all(spec, user, privileged, now);
    if let Some(joining) = joining {
        // What is brought in is seen inside from here on.
        join::appear(joining, now);
    }

    // The last descriptors that lead out of here close themselves on execve (CVE-2024-21626).
    now.at(Step::Close, spec.name());
    now.ok(process::close_on_exec_from(3));
    if let (Some(pipe), Some(number)) = (ready, spec.ready()) {
        now.ok(process::give(pipe, number));
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    match joining {
        // What the caller of `exec` has ignored is not the command's.
        Some(_) => signal::reset(),
        None => signal::reset_child(),
    }
    signal::unblock();
    // All but execve is done. A child that is killed before this said nothing at all.
    let _ = rustix::io::write(now.report, &[ENTERED]);
    now.end(program::become_it(spec, args, user.home(), term, now))
}

/// The working directory, looked up within the root: a link of /proc that leads out of it is not
/// followed (CVE-2024-21626).
fn enter_folder(cwd: &CStr) -> Result<(), Errno> {
    let root = file::open_at(None, c"/", rustix::fs::OFlags::PATH)?;
    let folder = crate::sys::mount::place(lend(&root), cwd, Within::Follow)?;
    rustix::process::fchdir(lend(&folder))
}

/// What the child said: a fault, nothing yet, or that execve succeeded.
pub enum Report<'a> {
    /// Another process is the container's first, and the one that said so is about to end: its pid and pidfd.
    Joined(i32, OwnedFd),
    /// A step failed.
    Fault(Fault<'a>),
    /// It is still on its way.
    Pending,
    /// Only execve is left.
    Entered,
    /// It closed without a word: the program runs.
    Execed,
}

/// What the child says just before execve: no step has this number.
const ENTERED: u8 = 0xff;

/// Reads the report of a launch, the other end of what the plan has.
pub fn read_report<'b>(report: BorrowedFd<'_>, room: &'b mut [u8; OBJECT_MAX + 8]) -> Report<'b> {
    match socket::receive(report, room, false) {
        Ok(got) => {
            let said = room.get(..got.len).unwrap_or_default();
            if let (Some(pid), Some(pidfd)) = (joined(said), got.descriptor) {
                return Report::Joined(pid, pidfd);
            }
            match said {
                [] => return Report::Execed,
                [ENTERED] => return Report::Entered,
                _ => {}
            }
            let mut r = Reader::new(said);
            let fault = Fault::parse(&mut r);
            Report::Fault(match r.is_good() {
                true => fault,
                false => unable(Step::Launch, Errno::PROTO, b""),
            })
        }
        Err(Errno::AGAIN | Errno::INTR) => Report::Pending,
        Err(e) => Report::Fault(unable(Step::Launch, e, b"")),
    }
}
