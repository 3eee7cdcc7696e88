//! A container's launch: what is prepared before its process is made, and what is heard of it.

use rustix::fd::OwnedFd;
use rustix::process::{Signal, pidfd_send_signal};

use super::poll::{Token, watch};
use super::tables::{Kept, UnitId};
use super::words::Words;
use super::{Init, cgroup, files, shells};
use crate::format::fault::{OBJECT_MAX, Step};
use crate::format::spec::{Spec, TTY_AUTO, TTY_NONE, Tag, flags};
use crate::jail::{self, Link, Plan, Report, Stdio};
use crate::policy::unit::{Event, State};
use crate::sys::{Errno, lend, socket};

/// The most processes of a container for which nothing else was said: a fork bomb is its own
/// affair, also where the whole board can have no more than two thousand (256 MiB).
const PIDS: &[u8] = b"1024";

impl Init {
    /// Makes its process, or notes why that cannot be. Its file is the caller's to write.
    pub(super) fn unit_launch(&mut self, id: UnitId) {
        // The idle line of its slot shows it from now on, as it did before it was started again.
        let slot = self.t.unit(id).and_then(|u| u.slot);
        self.slot_take(id, slot);
        if self.t.definitions_wait {
            return; // the modules first: whoever ends that wait launches it
        }
        if let Some(record) = self.t.unit_mut(id) {
            record.fault = None;
        }
        self.unit_tell(id, "start", "");
        let mut step = Step::Clone;
        if let Err(e) = self.unit_try(id, &mut step) {
            if let Some(record) = self.t.unit_mut(id)
                && record.fault.is_none()
            {
                let path = cgroup::path(&record.name);
                let object = match step {
                    Step::CgroupMake => path.as_str(),
                    _ => record.name.as_str(),
                };
                record.fault = Some(Kept::of(jail::unable(step, e, object.as_bytes())));
            }
            self.unit_event(id, Event::NotLaunched);
        }
    }

    /// What is made is kept in the record at once: what fails later is cleaned up from there.
    fn unit_try(&mut self, id: UnitId, step: &mut Step) -> Result<(), Errno> {
        let session = self.t.unit_session(id).ok_or(Errno::NOENT)?;
        *step = Step::Terminal;
        let mut output = None;
        if self.spec_of(id).map_or(TTY_AUTO, Spec::tty) == TTY_NONE {
            output = Some(self.session_pipe(session)?);
        } else {
            self.session_open(session)?;
        }
        if self.t.config.cgroups {
            *step = Step::CgroupMake;
            self.unit_cgroup(id)?;
            *step = Step::CgroupWrite;
            self.unit_limits(id)?;
        }
        *step = Step::Socket;
        let listener = socket::packets(true)?;
        if let Some(record) = self.t.unit_mut(id) {
            files::keep(&mut record.listener, listener);
        }
        *step = Step::Link;
        self.unit_network(id)?;
        *step = Step::Clone;
        let ready = self.ready_pipe(id)?;
        let (report, writing) = socket::pair()?;
        let _ = watch(&self.epoll, &report, Token::Report, id);
        if let Some(record) = self.t.unit_mut(id) {
            files::keep(&mut record.report, report);
        }
        self.make_common();
        let (pid, pidfd) = self.unit_clone(id, &writing, output.as_ref(), ready.as_ref())?;
        if let Some(record) = self.t.unit_mut(id) {
            record.pid = pid;
            // True until the child says otherwise: one that is killed on its way says nothing.
            let silent = jail::unable(Step::Launch, Errno::SRCH, record.name.as_bytes());
            record.fault = Some(Kept::of(silent));
            files::keep(&mut record.pidfd, pidfd);
        }
        Ok(())
    }

    /// Its cgroup, with word of whether anything lives in it.
    fn unit_cgroup(&mut self, id: UnitId) -> Result<(), Errno> {
        let name = self.t.unit(id).map_or("", |u| &u.name);
        let (folder, events) = cgroup::make(name)?;
        let _ = watch(&self.epoll, &events, Token::Cgroup, id);
        if let Some(record) = self.t.unit_mut(id) {
            files::keep(&mut record.cgroup, folder);
            files::keep(&mut record.events, events);
        }
        Ok(())
    }

    /// The cgroup's files, while it is still empty: a limit below what runs would kill at once.
    fn unit_limits(&mut self, id: UnitId) -> Result<(), Errno> {
        let Some(spec) = super::units::spec_in(self.specs, self.t, id) else {
            return Ok(());
        };
        if let Some(folder) = self.t.unit(id).and_then(|u| u.cgroup.as_ref())
            && spec.flags() & flags::PRIVILEGED == 0
            && !spec.cgroup().any(|(file, _)| file == c"pids.max")
        {
            // A kernel that does not count processes has none of this file.
            let _ = cgroup::write(folder, c"pids.max", PIDS);
        }
        for (file, value) in spec.cgroup() {
            let Some(record) = self.t.unit_mut(id) else {
                continue;
            };
            if let Some(folder) = &record.cgroup
                && let Err(e) = cgroup::write(folder, file, value.to_bytes())
            {
                record.fault = Some(Kept::of(jail::unable(
                    Step::CgroupWrite,
                    e,
                    file.to_bytes(),
                )));
                return Err(e);
            }
        }
        Ok(())
    }

    /// What containers have in common, made once; at the latest by the first of them. Where that cannot be, each makes
    /// its own.
    #[inline(never)]
    pub(super) fn make_common(&mut self) {
        if !self.copied {
            self.copied = jail::share_copy(lend(&self.binary)).is_ok();
        }
        if self.judge.is_none() && self.t.config.cgroups {
            self.judge = jail::usual().ok();
        }
    }

    fn unit_clone(
        &self,
        id: UnitId,
        report: &OwnedFd,
        output: Option<&OwnedFd>,
        ready: Option<&OwnedFd>,
    ) -> Result<(i32, OwnedFd), Errno> {
        let none = Errno::NOENT;
        let spec = self.spec_of(id).ok_or(none)?;
        let record = self.t.unit(id).ok_or(none)?;
        let listener = record.listener.as_ref().ok_or(none)?;
        let session = record.session.and_then(|s| self.t.session(s)).ok_or(none)?;
        let mut path = Words::new("/dev/pts/");
        path.num(session.pts.unwrap_or(0).into());
        let stdio = match (output, &session.slave) {
            (Some(output), _) => Stdio::Pipe {
                output: lend(output),
            },
            (None, Some(slave)) => Stdio::Terminal {
                slave: lend(slave),
                path: path.path(),
            },
            (None, None) => return Err(none),
        };
        // A slot with a VT of its own is the kernel's terminal; any other end is a wire.
        let vt = record.slot.is_some()
            && self
                .t
                .find_line(&|l| l.slot == record.slot && l.vt)
                .is_some();
        let mut name = link_name(record.link.unwrap_or(0));
        let bridge = spec.string(Tag::Bridge).unwrap_or(jail::BRIDGE);
        let link = record.link.map(|_| Link {
            name: name.path(),
            bridge,
            own: self.t.config.bridge.filter(|_| bridge == jail::BRIDGE),
            address: record.address,
        });
        jail::launch(&Plan {
            spec,
            cgroup: record.cgroup.as_ref().map(lend),
            cgroup_path: cgroup::path(&record.name).path(),
            link,
            stdio,
            streams: record.streams.each_ref().map(|s| s.as_ref().map(lend)),
            report: lend(report),
            ready: ready.map(lend),
            listener: lend(listener),
            binary: lend(&self.binary),
            copied: self.copied,
            judge: self.judge.as_ref().map(lend),
            term: shells::term(vt),
            owner: record.owner,
        })
    }

    /// Its launch was heard of.
    pub(super) fn report_ready(&mut self, id: UnitId) {
        self.guard();
        let Some(record) = self.t.unit_mut(id) else {
            return;
        };
        let mut joined = None;
        let execed = heard(&mut record.report, &mut record.fault, &mut joined);
        // One that has been reaped as nobody's is not waited for: then its maker's end is the container's.
        if let Some((pid, pidfd)) = joined
            && pidfd_send_signal(lend(&pidfd), Signal::CONT).is_ok()
        {
            record.pid = pid;
            files::keep(&mut record.pidfd, pidfd);
        }
        let Some(execed) = execed else {
            return;
        };
        if !execed {
            return self.unit_event(id, Event::LaunchFailed);
        }
        let mut words = Words::new("pid ");
        words.num(record.pid as u64);
        self.unit_tell(id, "exec", words.as_str());
        self.unit_event(id, Event::Execed);
        let Some(record) = self.t.unit(id) else {
            return;
        };
        if let Some(listener) = &record.listener {
            // It is bound and listening by now: the child did that before execve.
            let _ = watch(&self.epoll, listener, Token::Listener, id);
        }
        if matches!(record.life.state(), State::Running { .. }) {
            self.tell_started(id);
            self.run_show(id);
        }
    }
}

/// What a link's end on the host is called.
pub(super) fn link_name(number: u32) -> Words {
    let mut name = Words::new("veth");
    name.num(number.into());
    name
}

/// Reads the report of a launch, if it has come: whether execve succeeded, and if not why. `joined` is the process
/// that took its first one's place, if one did.
#[inline(never)]
pub(super) fn heard(
    report: &mut Option<OwnedFd>,
    fault: &mut Option<Kept>,
    joined: &mut Option<(i32, OwnedFd)>,
) -> Option<bool> {
    let execed = loop {
        let mut room = [0; OBJECT_MAX + 8];
        match jail::read_report(lend(report.as_ref()?), &mut room) {
            Report::Pending => return None,
            Report::Entered => *fault = None,
            Report::Joined(pid, pidfd) => *joined = Some((pid, pidfd)),
            // Closed before execve was near: the child was killed.
            Report::Execed => break fault.is_none(),
            Report::Fault(why) => {
                *fault = Some(Kept::of(why));
                break false;
            }
        }
    };
    files::close(report);
    Some(execed)
}
