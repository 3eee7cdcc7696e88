//! A container's launch: what is prepared before its process is made, and what is heard of it.

use rustix::fd::{AsFd, OwnedFd};
use rustix::pipe::{PipeFlags, pipe_with};

use log::Level;

use super::poll::{Token, watch};
use super::tables::{Kept, UnitId};
use super::words::Words;
use super::{Init, cgroup, files, shells};
use crate::format::fault::{Fault, OBJECT_MAX, Step};
use crate::format::spec::{Spec, TTY_AUTO, TTY_NONE};
use crate::jail::{self, Plan, Report, Stdio};
use crate::policy::unit::Event;
use crate::sys::{Errno, socket};

/// Why a launch could not even be tried.
pub(super) type Unable = (Step, Errno);

impl Init {
    /// Makes its process, or notes why that cannot be.
    pub(super) fn unit_launch(&mut self, id: UnitId) {
        if self.t.definitions_wait {
            return; // the modules first: whoever ends that wait launches it
        }
        if let Some(record) = self.t.unit_mut(id) {
            record.fault = None;
        }
        if let Err((step, e)) = self.unit_try(id) {
            if let Some(record) = self.t.unit_mut(id)
                && record.fault.is_none()
            {
                let path;
                let mut object = record.name.as_str();
                if step == Step::CgroupMake {
                    path = cgroup::path(object);
                    object = path.as_str();
                }
                record.fault = Some(Kept::of(unable(step, e, object.as_bytes())));
            }
            self.unit_event(id, Event::NotLaunched);
        }
        self.unit_file(id);
    }

    fn unit_try(&mut self, id: UnitId) -> Result<(), Unable> {
        let session = self.t.unit_session(id).ok_or((Step::Clone, Errno::NOENT))?;
        let terminal = |e| (Step::Terminal, e);
        let mut output = None;
        if self.spec_of(id).map_or(TTY_AUTO, Spec::tty) == TTY_NONE {
            output = Some(self.session_pipe(session).map_err(terminal)?);
        } else {
            self.session_open(session).map_err(terminal)?;
        }
        if self.t.config.cgroups {
            let name = self.spec_of(id).map_or(c"", Spec::name);
            let (folder, events) = cgroup::make(name).map_err(|e| (Step::CgroupMake, e))?;
            let _ = watch(&self.epoll, &events, Token::Cgroup, id);
            if let Some(record) = self.t.unit_mut(id) {
                files::keep(&mut record.cgroup, folder);
                files::keep(&mut record.events, events);
            }
            self.unit_limits(id)?;
        }
        let listener = socket::packets(true).map_err(|e| (Step::Socket, e))?;
        let clone = |e| (Step::Clone, e);
        let (report, writing) = report_pipe().map_err(clone)?;
        let (pid, pidfd) = self
            .unit_clone(id, &listener, &writing, output.as_ref())
            .map_err(clone)?;
        let _ = watch(&self.epoll, &report, Token::Report, id);
        if let Some(record) = self.t.unit_mut(id) {
            record.pid = pid;
            files::keep(&mut record.pidfd, pidfd);
            files::keep(&mut record.report, report);
            files::keep(&mut record.listener, listener);
        }
        Ok(())
    }

    /// The cgroup's files, while it is still empty: a limit below what runs would kill at once.
    fn unit_limits(&mut self, id: UnitId) -> Result<(), Unable> {
        let Some(spec) = super::units::spec_in(self.specs, self.t, id) else {
            return Ok(());
        };
        for (file, value) in spec.cgroup() {
            let Some(record) = self.t.unit_mut(id) else {
                continue;
            };
            if let Some(folder) = &record.cgroup
                && let Err(e) = cgroup::write(folder, file, value.to_bytes())
            {
                let step = Step::CgroupWrite;
                record.fault = Some(Kept::of(unable(step, e, file.to_bytes())));
                return Err((step, e));
            }
        }
        Ok(())
    }

    fn unit_clone(
        &self,
        id: UnitId,
        listener: &OwnedFd,
        report: &OwnedFd,
        output: Option<&OwnedFd>,
    ) -> Result<(i32, OwnedFd), Errno> {
        let (Some(spec), Some(record)) = (self.spec_of(id), self.t.unit(id)) else {
            return Err(Errno::NOENT);
        };
        let Some(session) = record.session.and_then(|s| self.t.session(s)) else {
            return Err(Errno::NOENT);
        };
        let mut path = Words::new("/dev/pts/");
        path.num(session.pts.unwrap_or(0).into());
        let stdio = match (output, &session.slave) {
            (Some(output), _) => Stdio::Pipe {
                output: output.as_fd(),
            },
            (None, Some(slave)) => Stdio::Terminal {
                slave: slave.as_fd(),
                path: path.path(),
            },
            (None, None) => return Err(Errno::NOENT),
        };
        // A slot with a VT of its own is the kernel's terminal; any other end is a wire.
        let vt = record.slot.is_some()
            && self
                .t
                .find_line(&|l| l.slot == record.slot && l.vt)
                .is_some();
        jail::launch(&Plan {
            spec,
            cgroup: record.cgroup.as_ref().map(AsFd::as_fd),
            cgroup_path: cgroup::path(&record.name).path(),
            stdio,
            report: report.as_fd(),
            listener: listener.as_fd(),
            binary: self.binary.as_fd(),
            term: shells::term(vt),
        })
    }

    /// Its launch was heard of.
    pub(super) fn report_ready(&mut self, id: UnitId) {
        let Some(record) = self.t.unit_mut(id) else {
            return;
        };
        let Some(execed) = heard(&mut record.report, &mut record.fault) else {
            return;
        };
        if !execed {
            return self.unit_event(id, Event::LaunchFailed);
        }
        self.unit_event(id, Event::Execed);
        let Some(record) = self.t.unit(id) else {
            return;
        };
        let mut words = Words::new(&record.name);
        words.add(": started, pid ").num(record.pid as u64);
        words.log(Level::Info);
        if let Some(listener) = &record.listener {
            // It is bound and listening by now: the child did that before execve.
            let _ = watch(&self.epoll, listener, Token::Listener, id);
        }
        self.tell_started(id);
    }
}

/// A fault of the kernel's.
fn unable(step: Step, e: Errno, object: &[u8]) -> Fault<'_> {
    Fault {
        step,
        errno: e.raw_os_error() as u16,
        object,
    }
}

/// The pipe that a launch reports on: its ends to read and to write.
#[inline(never)]
pub(super) fn report_pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)
}

/// Reads the report of a launch, if it has come: whether execve succeeded, and if not why.
#[inline(never)]
pub(super) fn heard(report: &mut Option<OwnedFd>, fault: &mut Option<Kept>) -> Option<bool> {
    let mut room = [0; OBJECT_MAX + 8];
    let execed = match jail::read_report(report.as_ref()?, &mut room) {
        Report::Pending => return None,
        Report::Execed => true,
        Report::Fault(why) => {
            *fault = Some(Kept::of(why));
            false
        }
    };
    files::close(report);
    Some(execed)
}
