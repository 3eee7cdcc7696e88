//! The health command: a process of the container's beside its own, from time to time.
//!
//! PID 1 makes a child that stays outside, and that one makes the process inside, waits
//! for it and ends as it ended. Killing the one outside kills the one inside.

use log::Level;
use rustix::fd::OwnedFd;
use rustix::fs::OFlags;
use rustix::process::{Signal, pidfd_send_signal};

use super::tables::UnitId;
use super::words::Words;
use super::{Init, files};
use crate::format::ended::Ended;
use crate::format::spec::{Spec, Tag};
use crate::jail::{self, Joining};
use crate::policy::health::Event;
use crate::sys::{self, Errno, lend, process};

/// What the child outside says when it could not get the command to run.
const FAILED: u8 = 125;

impl Init {
    /// Runs the health command.
    pub(super) fn health_ask(&mut self, id: UnitId) -> Result<(), Errno> {
        let (Some(spec), Some(record)) = (self.spec_of(id), self.t.unit(id)) else {
            return Err(Errno::NOENT);
        };
        let init = record.pidfd.as_ref().ok_or(Errno::SRCH)?;
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
                let cgroup = record.cgroup.as_ref();
                sys::exit(ask(spec, init, cgroup).unwrap_or(FAILED))
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

/// The child outside: the status of the one inside.
fn ask(spec: Spec<'_>, init: &OwnedFd, cgroup: Option<&OwnedFd>) -> Result<u8, Errno> {
    let null = files::open(c"/dev/null", OFlags::RDWR)?;
    rustix::stdio::dup2_stdin(lend(&null))?;
    rustix::stdio::dup2_stdout(lend(&null))?;
    rustix::stdio::dup2_stderr(lend(&null))?;
    let command = spec.string(Tag::Health).unwrap_or_default();
    let (pid, _pidfd) = jail::join(&Joining {
        spec,
        args: &[c"/bin/sh", c"-c", command],
        init: lend(init),
        cgroup: cgroup.map(lend),
        terminal: [false; 3],
        raw: false,
        size: None,
        report: lend(&null),
        term: c"TERM=dumb",
    })?;
    // Its copies of PID 1's descriptors would keep alive what PID 1 closes: clients' connections, what epoll watches.
    process::seclude();
    let ended = Ended::of_status(process::end_of(pid)?);
    Ok(ended.map_or(FAILED, Ended::status))
}
