//! A QEMU that boots a board and dies with us
//!
//! Serial ports and the control socket are socket pairs handed over as descriptors: no path to clean up, no
//! moment at which output is lost, and their end tells that the other side is gone. QEMU is killed when the
//! value is dropped, and by the kernel when this process dies in any other way.

use crate::board::Board;
use crate::deadline::Deadline;
use crate::qmp::Qmp;
use crate::{Context, Error, Result};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Signal, set_parent_process_death_signal};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Bytes between a board's serial port and whoever reads it.
const SEND_BUFFER: usize = 16 * 1024;

/// What a boot may have beside its board's description.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Further kernel words.
    pub append: String,
    /// Further arguments for QEMU.
    pub arguments: Vec<String>,
    /// Use the processor's virtualization. Off unless asked for: where it is offered it does not always work.
    pub kvm: bool,
}

/// How a board ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The board switched itself off.
    PowerOff,
    /// The board wanted to reboot.
    Reboot,
    /// QEMU ended for a reason of its own: its words, or its exit status.
    Other(String),
}

/// A running QEMU.
pub struct Machine {
    child: Child,
    serials: Vec<Option<OwnedFd>>,
    /// The control socket.
    pub qmp: Qmp,
    status: Option<ExitStatus>,
}

impl Machine {
    /// Starts `board` with the files in `folder`.
    ///
    /// # Errors
    /// Files that were not built, a QEMU that is not there or does not come up.
    pub fn start(board: &Board, folder: &Path, options: &Options) -> Result<Self> {
        let read = |name: &str| {
            std::fs::read_to_string(folder.join(name))
                .context(|| format!("{} is not built ({name}): ./scripts/build {}", board.name, board.name))
        };
        let words = format!("{} {}", read("cmdline")?.trim(), options.append);
        let mut command = Command::new(&board.qemu);
        command.args(["-machine", &board.machine, "-smp", &board.smp.to_string(), "-m", &board.memory]);
        if options.kvm {
            command.args(["-accel", "kvm", "-cpu", "host"]);
        } else {
            // A clock that counts instructions goes by one thread.
            let counted = options.arguments.iter().any(|word| word == "-icount");
            command.args(["-accel", if counted { "tcg,thread=single" } else { "tcg,thread=multi" }]);
            if !board.cpu.is_empty() {
                command.args(["-cpu", &board.cpu]);
            }
        }
        // No defaults: a board has what its description names. A reboot ends QEMU, so that it can be seen.
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-nic", "none", "-no-reboot"]);
        command.arg("-kernel").arg(folder.join("vmlinuz")).arg("-initrd").arg(folder.join("initramfs.cpio.gz"));
        if board.dtb.is_some() {
            command.arg("-dtb").arg(folder.join("board.dtb"));
        }
        command.args(["-append", words.trim()]).args(&board.qemu_arguments).args(&options.arguments);
        let (mut serials, mut given) = (Vec::new(), Vec::new());
        for number in 0..board.serials {
            let (ours, theirs) = UnixStream::pair()?;
            // A line that nobody reads is to stall soon, not after the kernel's hundreds of KiB.
            rustix::net::sockopt::set_socket_send_buffer_size(&theirs, SEND_BUFFER)?;
            command.args([
                "-chardev",
                &format!("socket,id=serial{number},fd={}", theirs.as_raw_fd()),
                "-serial",
                &format!("chardev:serial{number}"),
            ]);
            serials.push(Some(OwnedFd::from(ours)));
            given.push(theirs);
        }
        let (qmp, theirs) = UnixStream::pair()?;
        command.args([
            "-chardev",
            &format!("socket,id=qmp,fd={}", theirs.as_raw_fd()),
            "-mon",
            "chardev=qmp,mode=control",
        ]);
        given.push(theirs);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let given = std::sync::Arc::new(given);
        let theirs = std::sync::Arc::clone(&given);
        // SAFETY: the closure runs between fork and exec and makes only prctl and fcntl calls on memory and
        // descriptors that the parent prepared; it allocates nothing and takes no lock.
        unsafe {
            command.pre_exec(move || {
                set_parent_process_death_signal(Some(Signal::KILL))?;
                for descriptor in theirs.iter() {
                    // Cleared here and not in the parent: another thread's QEMU must not get them.
                    fcntl_setfd(descriptor, FdFlags::empty())?;
                }
                Ok(())
            });
        }
        let child = command.spawn().context(|| format!("unable to start {}", board.qemu))?;
        // The other ends live in QEMU alone from here, so that their end is QEMU's.
        drop(command);
        drop(given);
        let mut guard = Guard(Some(child));
        let qmp = Qmp::new(qmp).context(|| format!("{} did not come up", board.qemu))?;
        let child = guard.0.take().ok_or_else(|| Error::new("QEMU is gone"))?;
        Ok(Self { child, serials, qmp, status: None })
    }

    /// Takes a serial port's line; each can be taken once.
    ///
    /// # Errors
    /// The board has no such port, or it was taken.
    pub fn take_serial(&mut self, number: usize) -> Result<OwnedFd> {
        self.serials
            .get_mut(number)
            .and_then(Option::take)
            .ok_or_else(|| Error::new(format!("serial port {number} is not there, or taken")))
    }

    /// QEMU's process number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How the board ended, if it did.
    ///
    /// # Errors
    /// The kernel's, for a child that was waited for elsewhere.
    pub fn ended(&mut self) -> Result<Option<End>> {
        if self.status.is_none() {
            self.status = self.child.try_wait()?;
        }
        Ok(self.status.map(|status| match self.qmp.shutdown_reason().as_deref() {
            Some("guest-shutdown") if status.success() => End::PowerOff,
            Some("guest-reset") if status.success() => End::Reboot,
            Some(reason) => End::Other(format!("QEMU ended: {reason}, {status}")),
            None => End::Other(format!("QEMU ended: {status}")),
        }))
    }

    /// Waits until QEMU has ended and says how the board did.
    ///
    /// # Errors
    /// It goes on beyond the deadline.
    pub fn wait_end(&mut self, deadline: Deadline) -> Result<End> {
        let limit = deadline.from_now();
        loop {
            if let Some(end) = self.ended()? {
                // The event can be a moment behind the exit status.
                if matches!(&end, End::Other(_)) && self.qmp.shutdown_reason().is_none() && Instant::now() < limit {
                    std::thread::sleep(Duration::from_millis(50));
                    return Ok(self.ended()?.unwrap_or(end));
                }
                return Ok(end);
            }
            if Instant::now() >= limit {
                return Err(Error::new(format!("not within {} s: {}", deadline.length().as_secs(), deadline.name)));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends QEMU now.
    pub fn kill(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Kills a QEMU that never became a machine.
struct Guard(Option<Child>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
