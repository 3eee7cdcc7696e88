//! Containers among each other: who waits for whom, who is ready, who is well.

use core::ffi::CStr;

use rustix::fd::OwnedFd;

use super::Init;
use super::poll::{Token, unwatch, watch};
use super::tables::{UNITS, UnitId, is_due, sooner};
use super::words::Words;
use crate::format::message::Refusal;
use crate::format::spec::{Spec, Tag};
use crate::policy::fleet::{self, After};
use crate::policy::health;
use crate::policy::size::Set;
use crate::policy::unit::{CHECKED, Event, SAYS, State, Unit, Wanted};
use crate::sys::{Errno, file, lend, time};

/// A container that is always to run may be without word that it is ready for so long before the watchdog is left to bite.
const OWED_MS: u64 = 60_000;

impl Init {
    /// Those whose names stand in a spec and who are there. Of one that is about to come, its name and place.
    #[inline(never)]
    fn after_of(&self, spec: Spec<'_>, new: (&[u8], UnitId)) -> Set {
        let mut all = Set::NONE;
        for name in spec.all(Tag::After) {
            let id = match name.to_bytes() {
                name if name == new.0 => Some(new.1),
                name => self.t.named(name),
            };
            if let Some(id) = id {
                all.add(id.into());
            }
        }
        all
    }

    #[inline(never)]
    fn fleet(&self, new: (&[u8], UnitId)) -> After {
        let mut after = [Set::NONE; UNITS];
        for (id, its) in after.iter_mut().enumerate() {
            if let Some(spec) = self.spec_of(id as UnitId) {
                *its = self.after_of(spec, new);
            }
        }
        after
    }

    /// Refuses one that would be started after another that comes after it.
    pub(super) fn no_circle<'a>(&self, id: UnitId, spec: Spec<'a>) -> Result<(), Refusal<'a>> {
        let own = spec.name().to_bytes();
        let after = self.fleet((own, id));
        for name in spec.all(Tag::After) {
            let name = name.to_bytes();
            let its = match self.t.named(name) {
                Some(other) => fleet::before(&after, Set::one(other.into())),
                None if name == own => Set::one(id.into()),
                None => Set::NONE,
            };
            if its.has(id.into()) {
                return Err(Refusal::Circle { after: name });
            }
        }
        Ok(())
    }

    /// The first that a container waits for: one that is not there, or not ready.
    pub(super) fn waits_for<'a>(&self, spec: Spec<'a>) -> Option<&'a CStr> {
        spec.all(Tag::After).find(|name| {
            let other = self.t.named(name.to_bytes()).and_then(|id| self.t.unit(id));
            !other.is_some_and(|u| u.life.is_ready())
        })
    }

    /// Starts those whose turn has come; asks those whose health is due.
    pub(super) fn fleet_due(&mut self, now: u64) {
        for id in 0..UNITS as UnitId {
            let Some(record) = self.t.unit(id) else {
                continue;
            };
            let held = record.life.state() == State::Held;
            if held && !self.t.ending.begun() {
                let free = self
                    .spec_of(id)
                    .is_some_and(|s| self.waits_for(s).is_none());
                if free {
                    self.unit_event(id, Event::Go);
                }
            } else if is_due(record.health.deadline(), now) {
                self.health_event(id, health::Event::Tick);
            }
        }
    }

    /// When [`Init::fleet_due`] has something to do that no event brings.
    pub(super) fn fleet_deadline(&self, soonest: &mut u64) {
        for id in 0..UNITS as UnitId {
            if let Some(record) = self.t.unit(id) {
                sooner(soonest, record.health.deadline());
            }
        }
    }

    /// The pipe on which one says that it is ready.
    pub(super) fn ready_pipe(&mut self, id: UnitId) -> Result<Option<OwnedFd>, Errno> {
        if self.spec_of(id).and_then(Spec::ready).is_none() {
            return Ok(None);
        }
        // A pipe: by a socket it could send descriptors too, and PID 1 reads what comes without waiting for it.
        let (reading, writing) = file::pipe(rustix::fs::OFlags::NONBLOCK)?;
        watch(&self.epoll, &reading, Token::Ready, id)?;
        if let Some(record) = self.t.unit_mut(id) {
            super::files::keep(&mut record.ready, reading);
        }
        // Its writing end is the program's, and may wait.
        rustix::fs::fcntl_setfl(lend(&writing), rustix::fs::OFlags::empty())?;
        Ok(Some(writing))
    }

    /// It wrote something there, or will never.
    pub(super) fn ready_ready(&mut self, id: UnitId) {
        let mut room = [0; 64];
        let Some(record) = self.t.unit_mut(id) else {
            return;
        };
        let said = match &record.ready {
            Some(pipe) => super::files::read(pipe, &mut room),
            None => return,
        };
        let ready = match said {
            Err(Errno::AGAIN | Errno::INTR) => return,
            Ok(len) if len > 0 => room.get(..len).is_some_and(|said| said.contains(&b'\n')),
            _ => {
                // Closed without a word: nothing more comes from there.
                unwatch(&self.epoll, &mut record.ready);
                return;
            }
        };
        if ready {
            unwatch(&self.epoll, &mut record.ready);
            // It cannot have written before its execve, so that is heard of first.
            self.report_ready(id);
            self.unit_event(id, Event::Ready(SAYS));
        }
    }

    /// What changed in a container's life, for the log and for its health.
    pub(super) fn unit_changed(&mut self, id: UnitId, before: Unit) {
        let Some(life) = self.t.unit(id).map(|u| u.life) else {
            return;
        };
        if life.state() == State::Held && before.state() != State::Held {
            self.tell_wait(id);
        }
        if life.is_ready() && !before.is_ready() && self.needs_word(id) {
            self.unit_tell(id, "ready", "");
        }
        // One that is frozen answers nobody, and is not unwell for it.
        let runs = |life: &Unit| matches!(life.state(), State::Running { frozen: false });
        match (runs(&before), runs(&life)) {
            (false, true) => self.health_event(id, health::Event::Up),
            (true, false) => self.health_event(id, health::Event::Down),
            _ => {}
        }
    }

    fn needs_word(&self, id: UnitId) -> bool {
        self.spec_of(id)
            .is_some_and(|s| super::units::needs_of(s) != 0)
    }

    /// It is held: for whom?
    pub(super) fn tell_wait(&mut self, id: UnitId) {
        let mut words = Words::new("for ");
        if let Some(name) = self.spec_of(id).and_then(|s| self.waits_for(s)) {
            words.plain(name.to_bytes());
            if self.t.named(name.to_bytes()).is_none() {
                words.add(", which is not there");
            }
            self.unit_tell(id, "wait", words.as_str());
            // Whoever typed the start waits too, and is told for what.
            let mut told = Words::new("Pouch: ");
            told.plain(spec_name(self.spec_of(id)))
                .add(" waits ")
                .add(words.as_str())
                .add("\n");
            self.tell_starting(id, told.as_str());
        }
    }

    /// Something happened to a container's health: its machine decides.
    #[inline(never)]
    pub(super) fn health_event(&mut self, id: UnitId, event: health::Event) {
        let Some(spec) = self.spec_of(id) else {
            return;
        };
        if spec.string(Tag::Health).is_none() {
            return;
        }
        let [interval, limit, retries] = spec.health_times();
        let times = health::Times {
            interval,
            limit,
            retries,
        };
        let Some(record) = self.t.unit_mut(id) else {
            return;
        };
        let action = record.health.step(time::now_ms(), times, event);
        let failures = record.health.failures();
        if !matches!(event, health::Event::Answered(_)) && action != Some(health::Action::Ask) {
            self.health_kill(id);
        }
        match action {
            None | Some(health::Action::Kill) => {}
            Some(health::Action::Ask) => {
                if self.health_ask(id).is_err() {
                    self.health_event(id, health::Event::Answered(false));
                }
            }
            Some(health::Action::Well) => self.unit_event(id, Event::Ready(CHECKED)),
            Some(health::Action::Unwell) => {
                let first = self.t.unit(id).is_some_and(|u| !u.life.is_unwell());
                if first {
                    let mut words = Words::new("the health command failed ");
                    words.num(failures.into()).add(" times in a row");
                    self.unit_tell(id, "unhealthy", words.as_str());
                }
                self.unit_event(id, Event::Unwell);
            }
        }
    }

    /// Those that may be stopped now that the board ends: the latest of `after` first.
    pub(super) fn stop_last(&mut self) {
        let (mut live, mut untold) = (Set::NONE, false);
        for id in 0..UNITS as UnitId {
            let Some(record) = self.t.unit(id) else {
                continue;
            };
            if record.life.is_live() {
                live.add(id.into());
                untold |= record.life.wanted() == Wanted::Up;
            } else if !record.life.is_over() {
                // It waits to be started: that it is not.
                self.unit_event(id, Event::Stop);
            }
        }
        if !untold {
            return; // each turn comes here, and who comes after whom takes reading every spec
        }
        let last = fleet::last(&self.fleet((b"", 0)), live);
        for id in 0..UNITS as UnitId {
            if last.has(id.into())
                && self
                    .t
                    .unit(id)
                    .is_some_and(|u| u.life.wanted() == Wanted::Up)
            {
                self.unit_event(id, Event::Stop);
            }
        }
    }

    /// The longest that stopping them all takes by their graces, in milliseconds.
    pub(super) fn longest_grace(&self) -> u64 {
        let grace = |id: usize| {
            let spec = self.spec_of(id as UnitId);
            spec.map_or(0, |s| super::units::care_of(s, true).grace_ms)
        };
        let mut live = Set::NONE;
        for id in 0..UNITS {
            if self.t.unit(id as UnitId).is_some() {
                live.add(id);
            }
        }
        fleet::patience(&self.fleet((b"", 0)), live, &grace)
    }

    /// Whether every container that is always to run, and to say that it does, has said so or not owed it for long.
    pub(super) fn all_ready(&self, now: u64) -> bool {
        let late = |since: u64| now.saturating_sub(since) > OWED_MS;
        self.t
            .find_unit(&|u| u.life.owes().is_some_and(late))
            .is_none()
    }
}

fn spec_name(spec: Option<Spec<'_>>) -> &[u8] {
    spec.map_or(b"", |s| s.name().to_bytes())
}
