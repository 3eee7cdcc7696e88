//! The health command: a process of the container's beside its own, from time to time.
//!
//! PID 1 makes a child that is this binary as `pouch exec`, as people use it: nothing of
//! PID 1's own memory comes where a container's processes are, not even for a moment.
//! Killing that one kills what it brought in.

use log::Level;
use rustix::fd::OwnedFd;
use rustix::fs::OFlags;
use rustix::process::{Signal, pidfd_send_signal};

use super::tables::UnitId;
use super::words::Words;
use super::{Init, files};
use crate::format::ended::Ended;
use crate::format::spec::{Spec, Tag};
use crate::policy::health::Event;
use crate::sys::{self, Errno, lend, process, signal};

impl Init {
    /// Runs the health command.
    pub(super) fn health_ask(&mut self, id: UnitId) -> Result<(), Errno> {
        let Some(spec) = self.spec_of(id) else {
            return Err(Errno::NOENT);
        };
        match process::fork(0, None)? {
            process::Fork::Parent { pid, pidfd } => {
                if let Some(record) = self.t.unit_mut(id) {
                    record.asked = pid;
                    files::keep(&mut record.asked_fd, pidfd);
                }
                Ok(())
            }
            process::Fork::Child => {
                sys::enter_child();
                signal::reset_child();
                signal::unblock();
                let _ = ask(spec, &self.binary);
                sys::exit(127)
            }
        }
    }

    /// The health command of a container ended.
    pub(super) fn health_answered(&mut self, id: UnitId, ended: Ended) {
        if let Some(record) = self.t.unit_mut(id) {
            record.asked = 0;
            files::close(&mut record.asked_fd);
            let mut words = Words::new(&record.name);
            words.add(": health command ").ended(ended);
            words.log(Level::Debug);
        }
        self.health_event(id, Event::Answered(ended.is_success()));
    }

    /// What runs of it is killed, and not waited for.
    pub(super) fn health_kill(&mut self, id: UnitId) {
        if let Some(record) = self.t.unit_mut(id) {
            record.asked = 0;
            if let Some(pidfd) = record.asked_fd.take() {
                let _ = pidfd_send_signal(lend(&pidfd), Signal::KILL);
            }
        }
    }
}

/// The child: comes back only with the reason why not.
fn ask(spec: Spec<'_>, binary: &OwnedFd) -> Result<(), Errno> {
    let command = spec.string(Tag::Health).unwrap_or_default();
    let words = [
        c"pouch",
        c"exec",
        spec.name(),
        c"--",
        c"/bin/sh",
        c"-c",
        command,
    ];
    // PID 1's own streams may be a terminal of the host's.
    let null = files::open(c"/dev/null", OFlags::RDWR)?;
    rustix::stdio::dup2_stdin(lend(&null))?;
    rustix::stdio::dup2_stdout(lend(&null))?;
    rustix::stdio::dup2_stderr(lend(&null))?;
    crate::jail::usual_files();
    Err(process::exec_fd(lend(binary), &words))
}
