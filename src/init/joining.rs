//! What a command needs to go into a container that runs.

use super::Init;
use super::clients::tell_with;
use super::tables::{ClientId, UnitId, Waits};
use crate::format::message::{CHUNK, Refusal, Reply};
use crate::policy::unit::State;
use crate::sys::lend;

impl Init {
    /// Its pidfd, its cgroup's folder and its spec. The rest is the command's: it stands in no
    /// container and has the rights for it.
    pub(super) fn ask_join(&mut self, id: ClientId, unit: UnitId) {
        let (Some(client), Some(record), Some(spec)) =
            (self.t.client(id), self.t.unit(unit), self.spec_of(unit))
        else {
            return;
        };
        let (State::Running { .. }, Some(pidfd)) = (record.life.state(), &record.pidfd) else {
            return self.refuse(id, Refusal::NotRunning);
        };
        let pid = record.pid as u32;
        let cgroup = record.cgroup.as_ref().unwrap_or(pidfd);
        let both = [lend(pidfd), lend(cgroup)];
        let handed = both.get(..1 + usize::from(record.cgroup.is_some()));
        tell_with(
            &client.fd,
            &Reply::Started { pid },
            handed.unwrap_or_default(),
        );
        let mut rest = spec.as_bytes();
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at_checked(CHUNK).unwrap_or((rest, b""));
            tell_with(&client.fd, &Reply::Bytes(piece), &[]);
            rest = behind;
        }
        self.done(id);
    }

    /// Its command runs: the line that its starter's terminal is shows it until it ends.
    pub(super) fn run_show(&mut self, unit: UnitId) {
        let terminal = self.t.unit_mut(unit).and_then(|u| u.terminal.take());
        if let (Some(_), Some(session), Some(client)) = (
            &terminal,
            self.t.unit_session(unit),
            self.waiting(0, &|w| w == Waits::Ended(unit)),
        ) && let Ok(line) = self.terminal_line(client, terminal, session)
        {
            self.line_connect(line, session, false);
        }
    }
}
