//! What a scenario gets: a board in QEMU, or the binary as PID 1 of namespaces on this machine
//!
//! Both hand out the same [`Serial`], so a scenario reads alike on either. A board takes seconds and is the
//! real thing: kernel, consoles, cgroups. The namespace takes milliseconds and has no power to lose: it is
//! for signals, reaping and the socket.

use crate::board::{Board, project_root};
use crate::deadline::{self, Deadline};
use crate::machine::{End, Machine, Options};
use crate::scenario::Bed;
use crate::serial::Serial;
use crate::{Context, Error, Result};
use rustix::process::{Signal, set_parent_process_death_signal, setsid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A board and the words it boots with; boots when a scenario asks for it.
pub struct BoardBed {
    root: PathBuf,
    /// Its description.
    pub board: Board,
    options: Options,
    running: Option<Running>,
}

/// A booted board.
pub struct Running {
    machine: Machine,
    console: Serial,
    /// Ports that a scenario took and gave back.
    free: Vec<(usize, Serial)>,
    cuts_power: bool,
}

impl BoardBed {
    /// The board of that name, with further kernel words.
    ///
    /// # Errors
    /// No such board.
    pub fn new(name: &str, words: &str) -> Result<Self> {
        let root = project_root()?;
        let board = Board::load(&root, name)?;
        let options =
            Options { append: words.to_owned(), kvm: std::env::var_os("POUCH_KVM").is_some(), ..Options::default() };
        Ok(Self { root, board, options, running: None })
    }

    /// Further arguments for QEMU, from the next boot on.
    pub fn qemu_arguments(&mut self, arguments: &[&str]) {
        self.options.arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
    }

    /// The board at the host shell's prompt: booted now, or as the scenario before left it.
    ///
    /// # Errors
    /// It does not come up, with what the console showed.
    pub fn boot(&mut self) -> Result<&mut Running> {
        let up = match &mut self.running {
            Some(running) => running.machine.ended()?.is_none(),
            None => false,
        };
        if !up {
            self.start()?.console.reach_prompt()?;
        }
        let running = self.running.as_mut().ok_or_else(|| Error::new("the board is not running"))?;
        if up {
            // What is left of the scenario before is not this one's.
            running.console.send(b"\r")?.settle(Duration::from_millis(150))?;
        }
        Ok(running)
    }

    /// Starts the board anew and waits for nothing: for scenarios about the way to the prompt.
    ///
    /// # Errors
    /// QEMU does not start.
    pub fn start(&mut self) -> Result<&mut Running> {
        self.running = None;
        let mut machine = Machine::start(&self.board, &self.board.folder(&self.root), &self.options)?;
        let console = Serial::new(self.board.name.clone(), machine.take_serial(self.board.console_serial)?)?;
        Ok(self.running.insert(Running { machine, console, free: Vec::new(), cuts_power: self.board.poweroff }))
    }
}

impl Bed for BoardBed {
    fn discard(&mut self) {
        self.running = None;
    }
}

impl Running {
    /// The console: the line behind /dev/console.
    pub fn serial(&mut self) -> &mut Serial {
        &mut self.console
    }

    /// Another serial port, by its number; it is its taker's until it is given back.
    ///
    /// # Errors
    /// The board has no such port, or somebody has it.
    pub fn take_serial(&mut self, number: usize) -> Result<Serial> {
        if let Some(at) = self.free.iter().position(|(free, _)| *free == number) {
            return Ok(self.free.remove(at).1);
        }
        Serial::new(format!("serial port {number}"), self.machine.take_serial(number)?)
    }

    /// Gives a port back for the scenarios that follow, read or not, with what it showed.
    pub fn give_back(&mut self, number: usize, port: Serial) {
        self.free.push((number, port));
    }

    /// Keyboard, screen, power button, watchdog: QEMU's control socket.
    pub fn machine(&mut self) -> &mut Machine {
        &mut self.machine
    }

    /// Waits until the board has switched itself off.
    ///
    /// # Errors
    /// It rebooted, or goes on beyond [`deadline::END`], with what the console showed.
    pub fn expect_power_off(&mut self) -> Result<()> {
        if self.cuts_power { self.expect_end(&End::PowerOff) } else { self.expect_halt() }
    }

    /// Waits until the board wanted to reboot.
    ///
    /// # Errors
    /// It switched itself off, or goes on beyond [`deadline::END`].
    pub fn expect_reboot(&mut self) -> Result<()> {
        self.expect_end(&End::Reboot)
    }

    /// Waits until the kernel has stopped without switching anything off.
    ///
    /// # Errors
    /// It does not within [`deadline::END`].
    pub fn expect_halt(&mut self) -> Result<()> {
        self.console.expect_within(deadline::END, "reboot: System halted").map(drop)
    }

    fn expect_end(&mut self, wanted: &End) -> Result<()> {
        let found = self.machine.wait_end(deadline::END).map_err(|error| self.console.failure(&error.to_string()))?;
        // The last words may still be on their way from QEMU's socket.
        self.console.expect_end(deadline::MONITOR)?;
        if &found == wanted {
            Ok(())
        } else {
            Err(self.console.failure(&format!("the board ended with {found:?}, not {wanted:?}")))
        }
    }
}

/// The pouch binary as PID 1 of new namespaces on this machine; wants root.
pub struct Namespace {
    child: Child,
    console: Serial,
    /// Gone after the processes.
    _cgroup: Option<Cgroup>,
}

/// A cgroup that the namespaces take for the root, so that two of them side by side don't meet.
struct Cgroup(PathBuf);

impl Cgroup {
    /// `None` on a machine without cgroup v2.
    fn make() -> Result<Option<Self>> {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let mounts = std::fs::read_to_string("/proc/mounts")?;
        let Some(tree) = mounts.lines().map(|line| line.split(' ')).find_map(|mut words| {
            let place = words.nth(1)?;
            (words.next()? == "cgroup2").then_some(place)
        }) else {
            return Ok(None);
        };
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = Path::new(tree).join(format!("pouch-bed-{}-{number}", std::process::id()));
        std::fs::create_dir(&folder).context(|| format!("making {}", folder.display()))?;
        Ok(Some(Self(folder)))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = std::fs::write(self.0.join("cgroup.kill"), "1");
        // The kernel lets a cgroup go a moment after the last process in it.
        for _ in 0..100 {
            if remove_folders(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Removes a cgroup and those in it, the innermost first.
fn remove_folders(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_folders(&entry.path())?;
        }
    }
    std::fs::remove_dir(folder)
}

/// How a [`Namespace`] is started.
#[derive(Clone, Debug, Default)]
pub struct NamespaceOptions {
    /// What /proc/cmdline says inside.
    pub words: String,
    /// A command put before the whole: strace with its injections.
    pub wrapper: Vec<String>,
    /// A folder of this machine that is found at /srv/in.
    pub files: Option<PathBuf>,
}

impl Namespace {
    /// Starts the x86-64 board's image in namespaces: `tool` is this crate's binary, which prepares the root.
    ///
    /// # Errors
    /// The image is not built, there is no root, or no namespaces to be had.
    pub fn start(tool: &Path, options: &NamespaceOptions) -> Result<Self> {
        let image = Board::load(&project_root()?, "qemu-x86_64")?.folder(&project_root()?).join("initramfs.cpio.gz");
        let (master, name) = pty()?;
        let slave = std::fs::File::options().read(true).write(true).open(&name)?;
        let mut words = options.wrapper.clone();
        let new =
            ["unshare", "--pid", "--fork", "--kill-child=KILL", "--mount", "--uts", "--ipc", "--net", "--cgroup", "--"];
        words.extend(new.map(str::to_owned));
        let (program, arguments) = words.split_first().ok_or_else(|| Error::new("no program"))?;
        let mut command = Command::new(program);
        command.args(arguments).arg(tool).arg("bed").arg(image).arg(&name).arg(&options.words);
        if let Some(files) = &options.files {
            command.env(crate::inside::FILES, files);
        }
        command.stdin(slave.try_clone()?).stdout(slave.try_clone()?).stderr(slave);
        let cgroup = Cgroup::make()?;
        let door = match &cgroup {
            Some(cgroup) => Some(std::fs::File::options().write(true).open(cgroup.0.join("cgroup.procs"))?),
            None => None,
        };
        // SAFETY: between fork and exec only write, prctl and setsid are called, which allocate nothing and take no lock.
        unsafe {
            command.pre_exec(move || {
                if let Some(door) = &door {
                    rustix::io::write(door, b"0")?;
                }
                set_parent_process_death_signal(Some(Signal::KILL))?;
                // PID 1 has no terminal; the one of whoever runs the tests least of all.
                setsid()?;
                Ok(())
            });
        }
        let child = command.spawn().context(|| format!("unable to start {program}"))?;
        // The slave ends of this process close with the command, so that the line ends with the namespace.
        drop(command);
        Ok(Self { child, console: Serial::new("namespace", master)?, _cgroup: cgroup })
    }

    /// PID 1's terminal.
    pub fn serial(&mut self) -> &mut Serial {
        &mut self.console
    }

    /// The number that the machine has for the namespace's PID 1.
    ///
    /// # Errors
    /// It is gone.
    pub fn init_pid(&self) -> Result<i32> {
        let mut pid = i32::try_from(self.child.id()).context(|| "a process number")?;
        // Through wrapper and unshare to the first process that is 1 in a namespace of its own.
        loop {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context(|| "PID 1 is gone")?;
            let own = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
            let mut numbers = own.split_whitespace();
            if numbers.clone().count() > 1 && numbers.next_back() == Some("1") {
                return Ok(pid);
            }
            let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
            pid = children
                .split_whitespace()
                .next()
                .and_then(|child| child.parse().ok())
                .ok_or_else(|| Error::new("PID 1 is gone, or not there yet"))?;
        }
    }

    /// Sends PID 1 a signal from outside, where none is filtered.
    ///
    /// # Errors
    /// It is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = rustix::process::Pid::from_raw(self.init_pid()?).ok_or_else(|| Error::new("PID 1 is gone"))?;
        Ok(rustix::process::kill_process(pid, signal)?)
    }

    /// Waits until PID 1 has ended.
    ///
    /// # Errors
    /// It goes on beyond the deadline, with what the console showed.
    pub fn expect_end(&mut self, deadline: Deadline) -> Result<ExitStatus> {
        let limit: Instant = deadline.from_now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= limit {
                return Err(self.console.failure(&format!(
                    "not within {} s: {}",
                    deadline.length().as_secs(),
                    deadline.name
                )));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Both fail only when it is gone already; --kill-child takes the namespace along.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A line of shell beside a namespace's PID 1 (by the number that the machine has for it), in all its namespaces.
#[must_use]
pub fn beside(pid: i32, line: &str) -> Command {
    let mut command = Command::new("nsenter");
    command
        .args(["-t", &pid.to_string(), "-a", "--", "/bin/sh", "-c", line])
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// A pty's master and the path of its slave.
fn pty() -> Result<(OwnedFd, PathBuf)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?;
    Ok((master, PathBuf::from(name.to_string_lossy().into_owned())))
}
