//! The end of the board: one way, by deadlines, whatever hangs.
//!
//! Containers stop with their graces, the rest gets TERM and then KILL, file systems
//! are synced by a child with a deadline, and the kernel is called. The state never goes
//! back; a later request changes nothing but an impatient person's seven keys.

use crate::format::fields::{Field, fields};
use crate::format::message::Power;

/// The longest that containers may take altogether, beyond their own graces.
pub const CONTAINERS_MS: u64 = 10_000;
/// The time between TERM and KILL for everything outside containers.
pub const GRACE_MS: u64 = 2_000;
/// The time between KILL and going on without those that cannot die.
pub const KILL_MS: u64 = 2_000;
/// The longest that unmounting and syncing may take.
pub const SYNC_MS: u64 = 30_000;
/// So many INTs (Ctrl-Alt-Del) ...
pub const IMPATIENT: u8 = 7;
/// ... within this time reboot at once.
pub const IMPATIENT_MS: u64 = 2_000;

/// Where the end has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Up,
    Containers { until: u64 },
    Term { until: u64 },
    Kill { until: u64 },
    Sync { until: u64 },
    Over,
}

/// What happens to the board's end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// Somebody asks for it. `longest_grace` is that of the containers running, in milliseconds.
    Asked {
        /// How the board is to end.
        how: Power,
        /// The longest grace of a running container.
        longest_grace: u64,
    },
    /// No container runs any more.
    ContainersGone,
    /// No process is left but PID 1.
    AllGone,
    /// The child that unmounts and syncs is done.
    Synced,
    /// Time has passed.
    Tick,
}

/// What PID 1 is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Stop every container, start none.
    StopContainers,
    /// TERM, HUP and CONT to everything.
    TermAll,
    /// KILL to everything.
    KillAll,
    /// Unmount and sync, in a child.
    Sync,
    /// Call reboot(2), in a child.
    End(Power),
}

/// The machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shutdown {
    phase: Phase,
    how: Power,
    ints: u8,
    first_int: u64,
}

/// What another version is told of it.
pub const FIELDS: &[Field] = fields!(Shutdown: phase how ints first_int);

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Shutdown {
    /// The board is up.
    pub const fn new() -> Self {
        Shutdown {
            phase: Phase::Up,
            how: Power::Reboot,
            ints: 0,
            first_int: 0,
        }
    }

    /// Whether the end has begun; nothing is started any more.
    pub fn begun(&self) -> bool {
        self.phase != Phase::Up
    }

    /// Whether containers are being stopped.
    pub fn stops_containers(&self) -> bool {
        matches!(self.phase, Phase::Containers { .. })
    }

    /// How the board ends.
    pub fn how(&self) -> Power {
        self.how
    }

    /// When [`Event::Tick`] is due.
    pub fn deadline(&self) -> Option<u64> {
        match self.phase {
            Phase::Up | Phase::Over => None,
            Phase::Containers { until }
            | Phase::Term { until }
            | Phase::Kill { until }
            | Phase::Sync { until } => Some(until),
        }
    }

    /// An INT came. The seventh within two seconds reboots without another word.
    pub fn int(&mut self, now: u64) -> Option<Action> {
        if now.saturating_sub(self.first_int) > IMPATIENT_MS {
            self.ints = 0;
        }
        if self.ints == 0 {
            self.first_int = now;
        }
        self.ints = self.ints.saturating_add(1);
        if self.ints < IMPATIENT || self.phase == Phase::Over {
            return None;
        }
        self.phase = Phase::Over;
        self.how = Power::Reboot;
        Some(Action::End(Power::Reboot))
    }

    /// The next thing to do, if the event brings it about.
    pub fn step(&mut self, now: u64, event: Event) -> Option<Action> {
        let due = self.deadline().is_some_and(|at| now >= at);
        match (self.phase, event) {
            (Phase::Up, Event::Asked { how, longest_grace }) => {
                self.how = how;
                self.phase = Phase::Containers {
                    until: now + longest_grace + CONTAINERS_MS,
                };
                Some(Action::StopContainers)
            }
            (Phase::Containers { .. }, Event::ContainersGone) => self.term(now),
            (Phase::Containers { .. }, Event::Tick) if due => self.term(now),
            (Phase::Term { .. }, Event::AllGone) => self.sync(now),
            (Phase::Term { .. }, Event::Tick) if due => {
                self.phase = Phase::Kill {
                    until: now + KILL_MS,
                };
                Some(Action::KillAll)
            }
            (Phase::Kill { .. }, Event::AllGone) => self.sync(now),
            (Phase::Kill { .. }, Event::Tick) if due => self.sync(now),
            (Phase::Sync { .. }, Event::Synced) => self.end(),
            (Phase::Sync { .. }, Event::Tick) if due => self.end(),
            (
                Phase::Up
                | Phase::Containers { .. }
                | Phase::Term { .. }
                | Phase::Kill { .. }
                | Phase::Sync { .. }
                | Phase::Over,
                Event::Asked { .. }
                | Event::ContainersGone
                | Event::AllGone
                | Event::Synced
                | Event::Tick,
            ) => None,
        }
    }

    fn term(&mut self, now: u64) -> Option<Action> {
        self.phase = Phase::Term {
            until: now + GRACE_MS,
        };
        Some(Action::TermAll)
    }

    fn sync(&mut self, now: u64) -> Option<Action> {
        self.phase = Phase::Sync {
            until: now + SYNC_MS,
        };
        Some(Action::Sync)
    }

    fn end(&mut self) -> Option<Action> {
        self.phase = Phase::Over;
        Some(Action::End(self.how))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_events_goes_one_way_and_ends_once() {
        let events = [
            Event::Asked {
                how: Power::PowerOff,
                longest_grace: 2000,
            },
            Event::Asked {
                how: Power::Reboot,
                longest_grace: 0,
            },
            Event::ContainersGone,
            Event::AllGone,
            Event::Synced,
            Event::Tick,
        ];
        // Depth 7 over six events, each with time standing still and with time passing.
        fn rank(a: Action) -> u8 {
            match a {
                Action::StopContainers => 0,
                Action::TermAll => 1,
                Action::KillAll => 2,
                Action::Sync => 3,
                Action::End(_) => 4,
            }
        }
        fn walk(s: Shutdown, now: u64, depth: u32, last: Option<u8>, events: &[Event; 6]) {
            if depth == 0 {
                return;
            }
            for event in events {
                for pause in [1, 100_000] {
                    let mut next = s;
                    let how = s.begun().then_some(s.how);
                    let action = next.step(now + pause, *event);
                    assert!(next.begun() || !s.begun());
                    if let Some(how) = how {
                        assert_eq!(next.how, how, "a later request changed the end");
                    }
                    let mut last = last;
                    if let Some(action) = action {
                        assert!(
                            last.is_none_or(|l| rank(action) > l),
                            "{action:?} after {last:?}"
                        );
                        last = Some(rank(action));
                    }
                    if next.begun() && last != Some(4) {
                        assert!(
                            next.deadline().is_some(),
                            "a phase without a deadline can hang"
                        );
                    }
                    walk(next, now + pause, depth - 1, last, events);
                }
            }
        }
        walk(Shutdown::new(), 0, 6, None, &events);
    }

    #[test]
    fn seven_ints_within_two_seconds_reboot_at_once() {
        let mut s = Shutdown::new();
        for i in 0..6 {
            assert_eq!(s.int(i * 100), None);
        }
        assert_eq!(s.int(600), Some(Action::End(Power::Reboot)));
        assert_eq!(s.int(700), None);
        let mut s = Shutdown::new();
        for i in 0..20 {
            assert_eq!(s.int(i * 1000), None, "one a second is no hurry");
        }
    }
}
