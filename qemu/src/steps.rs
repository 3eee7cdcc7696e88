//! A process followed instruction by instruction: a count that no other load of the machine changes
//!
//! ptrace(2) stops the process after every instruction. A string instruction (`rep movsb`) counts once, as in the
//! processor's own counter, and only the program's own code counts: it lies at a fixed low address, the kernel's page
//! of clocks (vdso), whose way depends on the machine, far above.

use crate::deadline::{self, Deadline};
use crate::{Context, Error, Result};
use nix::libc::{SYS_epoll_pwait, SYS_epoll_wait, c_long, user_regs_struct};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Addresses from here on are not the program's own.
const OWN_CODE: u64 = 1 << 46;
const PAGE: u64 = 4096;
/// The instruction `syscall`.
const SYSCALL: [u8; 2] = [0x0f, 0x05];

/// Something that a process does by itself, and may wait in.
pub const EVENT: Deadline = Deadline { name: "the counted process goes on", seconds: 60 };

/// A process that is followed; it goes on by itself when this is dropped.
pub struct Stepper {
    pid: Pid,
    memory: File,
    pages: BTreeMap<u64, Vec<u8>>,
    stopped: bool,
    here: Rc<Here>,
}

/// This thread on one processor, as long as it follows somebody: a stop is a hundred times dearer where it wakes
/// another processor.
struct Here(CpuSet, usize);

impl Here {
    fn settle() -> Result<Self> {
        let before = sched_getaffinity(None)?;
        let one = sched_getcpu();
        sched_setaffinity(None, &only(one))?;
        Ok(Self(before, one))
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        let _ = sched_setaffinity(None, &self.0);
    }
}

fn only(one: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(one);
    set
}

/// A run of instructions, and the calls in it by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Instructions of the program's own, those of its calls among them.
    pub instructions: u64,
    /// What it asked the kernel for, in order.
    pub calls: Vec<c_long>,
}

/// Why a process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// Behind an instruction, or where it was interrupted.
    Step,
    /// execve succeeded.
    Exec,
    /// It made a process of that number.
    Made(i32),
    Ended,
}

impl Stepper {
    /// Takes hold of a process that runs, and stops it.
    ///
    /// # Errors
    /// Those of ptrace(2): no such process, no right to it, or somebody else holds it.
    pub fn seize(pid: i32) -> Result<Self> {
        let pid = Pid::from_raw(pid);
        ptrace::seize(pid, Options::PTRACE_O_TRACEEXEC).context(|| format!("unable to follow process {pid}"))?;
        let mut this = Self::held(pid, Rc::new(Here::settle()?))?;
        this.interrupt()?;
        Ok(this)
    }

    fn held(pid: Pid, here: Rc<Here>) -> Result<Self> {
        sched_setaffinity(rustix::process::Pid::from_raw(pid.as_raw()), &only(here.1))?;
        let memory = File::open(format!("/proc/{pid}/mem")).context(|| format!("process {pid} is gone"))?;
        Ok(Self { pid, memory, pages: BTreeMap::new(), stopped: false, here })
    }

    fn interrupt(&mut self) -> Result<()> {
        ptrace::interrupt(self.pid)?;
        self.wait(Some(EVENT))?;
        Ok(())
    }

    /// Lets it run until execve succeeded.
    ///
    /// # Errors
    /// It ends before, or takes longer than `limit`.
    pub fn run_to_exec(&mut self, limit: Deadline) -> Result<()> {
        loop {
            match self.run(limit)? {
                Stop::Exec => return Ok(()),
                Stop::Ended => return Err(Error::new("the counted process ended before execve")),
                Stop::Step | Stop::Made(_) => {}
            }
        }
    }

    /// Lets it run until it makes a process, and follows that one from its first instruction on, itself no more.
    ///
    /// # Errors
    /// It makes none within `limit`.
    pub fn follow_child(mut self, limit: Deadline) -> Result<Self> {
        let makes = Options::PTRACE_O_TRACEFORK | Options::PTRACE_O_TRACEVFORK | Options::PTRACE_O_TRACECLONE;
        ptrace::setoptions(self.pid, makes)?;
        loop {
            match self.run(limit)? {
                Stop::Made(child) => {
                    let mut child = Self::held(Pid::from_raw(child), self.here.clone())?;
                    child.wait(Some(EVENT))?;
                    // What it makes in turn is nobody's to hold.
                    ptrace::setoptions(child.pid, Options::PTRACE_O_TRACEEXEC)?;
                    return Ok(child);
                }
                Stop::Ended => return Err(Error::new("the counted process ended")),
                Stop::Step | Stop::Exec => {}
            }
        }
    }

    /// Counts up to the next wait for descriptors, which it does not enter yet.
    ///
    /// # Errors
    /// It ends, or waits in another call for longer than [`EVENT`].
    pub fn until_wait(&mut self) -> Result<Run> {
        let mut run = Run::default();
        loop {
            match self.until_call(&mut run)? {
                Some(number) if number == SYS_epoll_wait || number == SYS_epoll_pwait => return Ok(run),
                Some(number) => run.calls.push(number),
                None => {}
            }
            if self.step(Some(EVENT))? == Stop::Ended {
                return Err(Error::new("the counted process ended"));
            }
        }
    }

    /// One turn of a loop that stands before its wait: waits, and counts up to the next wait.
    ///
    /// # Errors
    /// As [`Stepper::until_wait`].
    pub fn turn(&mut self) -> Result<Run> {
        self.step(Some(EVENT))?;
        self.until_wait()
    }

    /// Counts up to an execve that succeeds.
    ///
    /// # Errors
    /// It ends instead, or waits in a call for longer than [`EVENT`].
    pub fn until_exec(&mut self) -> Result<Run> {
        let mut run = Run::default();
        loop {
            let call = self.until_call(&mut run)?;
            run.calls.extend(call);
            match self.step(Some(EVENT))? {
                Stop::Exec => return Ok(run),
                Stop::Ended => return Err(Error::new("the counted process ended before execve")),
                Stop::Step | Stop::Made(_) => {}
            }
        }
    }

    /// Counts up to its end.
    ///
    /// # Errors
    /// It waits in a call for longer than [`EVENT`].
    pub fn until_end(&mut self) -> Result<Run> {
        let mut run = Run::default();
        loop {
            let call = self.until_call(&mut run)?;
            run.calls.extend(call);
            if self.step(Some(EVENT))? == Stop::Ended {
                return Ok(run);
            }
        }
    }

    /// Counts up to the next call, that one included, and does not enter it. None when the process ended or changed
    /// its program on the way.
    fn until_call(&mut self, run: &mut Run) -> Result<Option<c_long>> {
        let mut before = 0;
        loop {
            let registers = ptrace::getregs(self.pid)?;
            let call = self.is_call(&registers);
            // A string instruction that goes on stands where it stood.
            if registers.rip < OWN_CODE && registers.rip != before {
                run.instructions += 1;
            }
            if call {
                return Ok(Some(c_long::try_from(registers.rax).context(|| "a call's number")?));
            }
            before = registers.rip;
            if self.step(None)? != Stop::Step {
                return Ok(None);
            }
        }
    }

    fn is_call(&mut self, registers: &user_regs_struct) -> bool {
        let (page, at) = (registers.rip / PAGE, registers.rip % PAGE);
        let memory = &self.memory;
        let bytes = self.pages.entry(page).or_insert_with(|| {
            // One byte of the next page: an instruction may lie across the border.
            let mut bytes = vec![0; 4097];
            let read = memory.read_at(&mut bytes, page * PAGE).unwrap_or(0);
            bytes.truncate(read);
            bytes
        });
        usize::try_from(at).is_ok_and(|at| bytes.get(at..at + 2) == Some(&SYSCALL))
    }

    fn step(&mut self, limit: Option<Deadline>) -> Result<Stop> {
        ptrace::step(self.pid, None)?;
        self.wait(limit)
    }

    fn run(&mut self, limit: Deadline) -> Result<Stop> {
        ptrace::cont(self.pid, None)?;
        self.wait(Some(limit))
    }

    /// Waits until it stands; signals from elsewhere are handed on. Without a limit, what is waited for is an
    /// instruction that cannot wait itself.
    fn wait(&mut self, limit: Option<Deadline>) -> Result<Stop> {
        self.stopped = false;
        let start = Instant::now();
        loop {
            let mut flags = WaitPidFlag::__WALL;
            flags.set(WaitPidFlag::WNOHANG, limit.is_some());
            let status = waitpid(self.pid, Some(flags))?;
            let stop = match status {
                WaitStatus::StillAlive => {
                    if let Some(limit) = limit.filter(|limit| start.elapsed() > limit.length()) {
                        let seconds = limit.length().as_secs();
                        return Err(Error::new(format!("not within {seconds} s: {}", limit.name)));
                    }
                    std::thread::sleep(Duration::from_micros(200));
                    continue;
                }
                WaitStatus::Exited(..) | WaitStatus::Signaled(..) => return Ok(Stop::Ended),
                WaitStatus::PtraceEvent(_, _, nix::libc::PTRACE_EVENT_EXEC) => {
                    self.pages.clear();
                    self.memory = File::open(format!("/proc/{}/mem", self.pid))?;
                    Stop::Exec
                }
                WaitStatus::PtraceEvent(
                    _,
                    _,
                    nix::libc::PTRACE_EVENT_FORK | nix::libc::PTRACE_EVENT_VFORK | nix::libc::PTRACE_EVENT_CLONE,
                ) => Stop::Made(i32::try_from(ptrace::getevent(self.pid)?).context(|| "a process number")?),
                WaitStatus::PtraceEvent(..) | WaitStatus::Stopped(_, Signal::SIGTRAP) => Stop::Step,
                WaitStatus::Stopped(_, signal) => {
                    ptrace::step(self.pid, signal)?;
                    continue;
                }
                other => return Err(Error::new(format!("process {}: {other:?}", self.pid))),
            };
            self.stopped = true;
            return Ok(stop);
        }
    }
}

impl Drop for Stepper {
    fn drop(&mut self) {
        // All of them fail only when it is gone.
        if !self.stopped && ptrace::interrupt(self.pid).is_ok() {
            let _ = self.wait(Some(deadline::MONITOR));
        }
        let _ = sched_setaffinity(rustix::process::Pid::from_raw(self.pid.as_raw()), &self.here.0);
        let _ = ptrace::detach(self.pid, None);
    }
}
