//! One container's life: what is wanted, what is, how often it failed.
//!
//! ```text
//! Held -> Starting -> Running -> Stopping -> Killing -> Cleaning -> Ended | Waiting | forgotten
//! ```
//!
//! Wanted stands apart from actual: a request changes what is wanted, and each end of
//! a step looks at it. Every way to the end passes through Killing, where the init is
//! reaped and the cgroup empties in whichever order, and Cleaning, where what was held
//! is let go. No state waits without a deadline or a process whose end is an event.

use super::backoff::Backoff;
use crate::format::ended::Ended;
use crate::format::fields::{Field, fields};
use crate::format::spec::Restart;

/// The longest from clone to execve; a hung file system must not hold a name for ever.
pub const LAUNCH_MS: u64 = 60_000;
/// How often the kill is repeated while something will not die.
pub const KILL_AGAIN_MS: u64 = 1_000;

/// What the person wants of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// That it runs.
    Up,
    /// That it does not, and is kept.
    Down,
    /// That it is no more.
    Gone,
}

/// Where it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It waits for those that it is started after.
    Held,
    /// Its process is on the way to execve.
    Starting {
        /// When that counts as hung.
        until: u64,
    },
    /// Its command runs.
    Running {
        /// All its processes are held.
        frozen: bool,
    },
    /// TERM was sent.
    Stopping {
        /// When the grace is over.
        until: u64,
    },
    /// KILL was sent to all it has.
    Killing {
        /// Its init was waited for.
        reaped: bool,
        /// Its cgroup is empty.
        empty: bool,
        /// When it is sent again.
        until: u64,
    },
    /// What it held is being let go.
    Cleaning,
    /// It ended and stays ended.
    Ended,
    /// It ended and is started again later.
    Waiting {
        /// When.
        until: u64,
    },
}

/// It says by a descriptor that it is ready.
pub const SAYS: u8 = 1;
/// A command says that it is well.
pub const CHECKED: u8 = 2;

/// What happens to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// Those that it is started after are ready.
    Go,
    /// One of what makes it ready came: [`SAYS`] or [`CHECKED`].
    Ready(u8),
    /// Its command runs and does not do its work: the health command failed too often.
    Unwell,
    /// Its execve succeeded.
    Execed,
    /// Its launch reported a fault; the process is about to end.
    LaunchFailed,
    /// No process could be made.
    NotLaunched,
    /// Its init was waited for.
    InitEnded(Ended),
    /// Its cgroup has no process left (or it has no cgroup, and its init is gone).
    Emptied,
    /// All it held is let go.
    Cleaned,
    /// Stop it and keep it.
    Stop,
    /// Stop it and forget it.
    Destroy,
    /// Stop it if it runs, and start it anew.
    Restart,
    /// The process that it lives with is gone.
    OwnerGone,
    /// Its init has no handler for TERM.
    Unheard,
    /// Its processes were held.
    Frozen,
    /// They go on.
    Thawed,
    /// Time has passed.
    Tick,
}

/// What PID 1 is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Make its process.
    Launch,
    /// Thaw it and send TERM to its init.
    Term,
    /// Kill all it has.
    Kill,
    /// Let go what it held: descriptors, mounts, cgroup.
    Clean,
    /// It ended and is kept: tell who waits.
    Settle,
    /// Take it out of the table: tell who waits.
    Forget,
}

/// One container's record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unit {
    state: State,
    wanted: Wanted,
    restart: Restart,
    grace_ms: u64,
    /// Removed when it ends: of `pouch_start` without --demonize, and of `run`.
    attached: bool,
    /// A failed first start leaves nothing; a definition of the kernel's is kept and tried again.
    forget_failed_start: bool,
    /// It is started after others.
    after: bool,
    /// What makes it ready, and what of that has not come: bits of [`SAYS`] and [`CHECKED`].
    needs: u8,
    lacks: u8,
    /// Since when it is not ready.
    unready: Option<u64>,
    ran: bool,
    failed: bool,
    unwell: bool,
    gave_up: bool,
    again: bool,
    ended: Option<Ended>,
    restarts: u32,
    in_a_row: u32,
    backoff: Backoff,
    since: u64,
}

/// How a container is to be looked after.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Care {
    /// When it is started again.
    pub restart: Restart,
    /// Between TERM and KILL.
    pub grace_ms: u64,
    /// It lives with the process that started it, and is removed when it ends.
    pub attached: bool,
    /// A first start that fails is forgotten.
    pub forget_failed_start: bool,
    /// It waits for others each time it is started.
    pub after: bool,
    /// What must come before it is ready: bits of [`SAYS`] and [`CHECKED`].
    pub needs: u8,
}

/// What another version is told of one.
pub const FIELDS: &[Field] = fields!(Unit: state wanted restart grace_ms attached forget_failed_start
    after needs lacks unready ran failed unwell gave_up again ended restarts in_a_row backoff since);

impl Unit {
    /// One that ended long ago, of which nothing is known.
    pub fn past() -> Unit {
        let care = Care {
            restart: Restart::No,
            grace_ms: 0,
            attached: false,
            forget_failed_start: false,
            after: true,
            needs: 0,
        };
        let (mut unit, _) = Unit::new(0, care);
        unit.state = State::Ended;
        unit.wanted = Wanted::Down;
        unit
    }

    /// A new one, and the first thing to do.
    pub fn new(now: u64, care: Care) -> (Unit, Option<Action>) {
        let mut unit = Unit {
            state: State::Held,
            wanted: Wanted::Up,
            restart: care.restart,
            grace_ms: care.grace_ms,
            attached: care.attached,
            forget_failed_start: care.forget_failed_start,
            after: care.after,
            needs: care.needs,
            lacks: care.needs,
            unready: Some(now),
            ran: false,
            failed: false,
            unwell: false,
            gave_up: false,
            again: false,
            ended: None,
            restarts: 0,
            in_a_row: 0,
            backoff: Backoff::new(),
            since: now,
        };
        let action = unit.launch(now);
        (unit, action)
    }

    /// Whether it runs and does its work, as far as it was to say so.
    pub fn is_ready(&self) -> bool {
        matches!(self.state, State::Running { .. }) && self.lacks == 0
    }

    /// What of [`SAYS`] and [`CHECKED`] it was to say and has not said.
    pub fn lacks(&self) -> u8 {
        self.lacks
    }

    /// Since when it owes word that it is ready, of one that is always to be.
    pub fn owes(&self) -> Option<u64> {
        self.unready
            .filter(|_| self.needs != 0 && self.restart == Restart::Always)
            .filter(|_| self.wanted == Wanted::Up)
    }

    /// Whether it failed so often in a row that its policy is at its end.
    pub fn gave_up(&self) -> bool {
        self.gave_up
    }

    /// Whether the health command failed until it was stopped.
    pub fn is_unwell(&self) -> bool {
        self.unwell
    }

    /// Where it is.
    pub fn state(&self) -> State {
        self.state
    }

    /// What is wanted of it.
    pub fn wanted(&self) -> Wanted {
        self.wanted
    }

    /// How its last process ended.
    pub fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// How often it was started again.
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// When it last started or ended.
    pub fn since(&self) -> u64 {
        self.since
    }

    /// Whether its command runs or is about to.
    pub fn is_live(&self) -> bool {
        matches!(
            self.state,
            State::Starting { .. }
                | State::Running { .. }
                | State::Stopping { .. }
                | State::Killing { .. }
                | State::Cleaning
        )
    }

    /// Whether it will never be started by itself again and holds nothing that runs.
    pub fn is_over(&self) -> bool {
        self.state == State::Ended
    }

    /// When [`Event::Tick`] is due.
    pub fn deadline(&self) -> Option<u64> {
        match self.state {
            State::Starting { until }
            | State::Stopping { until }
            | State::Killing { until, .. }
            | State::Waiting { until } => Some(until),
            State::Held | State::Running { .. } | State::Cleaning | State::Ended => None,
        }
    }

    /// The next thing to do, if the event brings it about.
    pub fn step(&mut self, now: u64, event: Event) -> Option<Action> {
        match event {
            Event::Stop => self.ask(now, Wanted::Down, false),
            Event::Destroy => self.ask(now, Wanted::Gone, false),
            Event::OwnerGone => self.ask(now, Wanted::Gone, false),
            Event::Restart => self.ask(now, Wanted::Up, true),
            Event::Go if self.state == State::Held => self.go(now),
            Event::Go => None,
            Event::Execed => self.execed(now),
            Event::Ready(what) => {
                if let State::Running { .. } = self.state {
                    self.lacks &= !what;
                    self.unwell &= what != CHECKED;
                    if self.lacks == 0 {
                        self.unready = None;
                    }
                }
                None
            }
            Event::Unwell => match self.state {
                State::Running { .. } => {
                    self.unwell = true;
                    self.lacks |= CHECKED;
                    self.unready.get_or_insert(now);
                    if self.restart == Restart::No {
                        return None;
                    }
                    self.stop(now)
                }
                _ => None,
            },
            Event::LaunchFailed => {
                self.failed = true;
                self.kill_from(now, |s| {
                    matches!(s, State::Starting { .. } | State::Stopping { .. })
                })
            }
            // Also of one that was told to end before its launch came.
            Event::NotLaunched => match self.state {
                State::Starting { .. } | State::Killing { reaped: false, .. } => {
                    self.failed = true;
                    self.clean()
                }
                _ => None,
            },
            Event::InitEnded(ended) => self.init_ended(now, ended),
            Event::Emptied => match self.state {
                State::Killing { reaped: true, .. } => self.clean(),
                State::Killing {
                    reaped: false,
                    until,
                    ..
                } => {
                    self.state = State::Killing {
                        reaped: false,
                        empty: true,
                        until,
                    };
                    None
                }
                _ => None,
            },
            Event::Cleaned if self.state == State::Cleaning => self.over(now),
            Event::Cleaned => None,
            Event::Unheard => self.kill_from(now, |s| matches!(s, State::Stopping { .. })),
            Event::Frozen => {
                if let State::Running { .. } = self.state {
                    self.state = State::Running { frozen: true };
                }
                None
            }
            Event::Thawed => {
                if let State::Running { .. } = self.state {
                    self.state = State::Running { frozen: false };
                }
                None
            }
            Event::Tick if self.deadline().is_some_and(|at| now >= at) => self.due(now),
            Event::Tick => None,
        }
    }

    /// Somebody changes what is wanted. Gone is final; a wish to have it up again is not heard after it.
    fn ask(&mut self, now: u64, wanted: Wanted, again: bool) -> Option<Action> {
        if self.wanted == Wanted::Gone {
            return None;
        }
        self.wanted = wanted;
        self.again = again;
        match self.state {
            State::Running { .. } => self.stop(now),
            State::Starting { .. } => self.kill_from(now, |_| true),
            State::Ended | State::Waiting { .. } | State::Held => match wanted {
                Wanted::Gone => Some(Action::Forget),
                Wanted::Down if self.state != State::Ended => {
                    self.state = State::Ended;
                    Some(Action::Settle)
                }
                Wanted::Down => Some(Action::Settle),
                Wanted::Up => self.launch(now),
            },
            State::Stopping { .. } | State::Killing { .. } | State::Cleaning => None,
        }
    }

    fn stop(&mut self, now: u64) -> Option<Action> {
        self.state = State::Stopping {
            until: now + self.grace_ms,
        };
        Some(Action::Term)
    }

    fn execed(&mut self, now: u64) -> Option<Action> {
        if let State::Starting { .. } = self.state {
            self.state = State::Running { frozen: false };
            self.ran = true;
            self.since = now;
            if self.lacks == 0 {
                self.unready = None;
            }
        }
        None
    }

    fn init_ended(&mut self, now: u64, ended: Ended) -> Option<Action> {
        match self.state {
            State::Starting { .. } | State::Running { .. } | State::Stopping { .. } => {
                // A process that ended before its execve was heard of ran no command.
                self.failed |= matches!(self.state, State::Starting { .. });
                self.ended = Some(ended);
                self.state = State::Killing {
                    reaped: true,
                    empty: false,
                    until: now + KILL_AGAIN_MS,
                };
                Some(Action::Kill)
            }
            State::Killing { empty: true, .. } => {
                self.ended = Some(ended);
                self.clean()
            }
            State::Killing { until, .. } => {
                self.ended = Some(ended);
                self.state = State::Killing {
                    reaped: true,
                    empty: false,
                    until,
                };
                None
            }
            State::Held | State::Cleaning | State::Ended | State::Waiting { .. } => None,
        }
    }

    fn due(&mut self, now: u64) -> Option<Action> {
        match self.state {
            State::Starting { .. } => {
                self.failed = true;
                self.kill_from(now, |_| true)
            }
            State::Stopping { .. } => self.kill_from(now, |_| true),
            State::Killing { reaped, empty, .. } => {
                self.state = State::Killing {
                    reaped,
                    empty,
                    until: now + KILL_AGAIN_MS,
                };
                Some(Action::Kill)
            }
            State::Waiting { .. } => {
                self.restarts = self.restarts.saturating_add(1);
                self.launch(now)
            }
            State::Held | State::Running { .. } | State::Cleaning | State::Ended => None,
        }
    }

    fn launch(&mut self, now: u64) -> Option<Action> {
        self.again = false;
        self.failed = false;
        self.unwell = false;
        self.gave_up = false;
        self.lacks = self.needs;
        self.unready.get_or_insert(now);
        if self.after {
            self.state = State::Held;
            self.since = now;
            return None;
        }
        self.go(now)
    }

    /// Nothing is left to wait for.
    fn go(&mut self, now: u64) -> Option<Action> {
        self.state = State::Starting {
            until: now + LAUNCH_MS,
        };
        self.since = now;
        self.backoff.start(now);
        Some(Action::Launch)
    }

    fn kill_from(&mut self, now: u64, from: impl Fn(State) -> bool) -> Option<Action> {
        if !from(self.state) {
            return None;
        }
        self.state = State::Killing {
            reaped: false,
            empty: false,
            until: now + KILL_AGAIN_MS,
        };
        Some(Action::Kill)
    }

    fn clean(&mut self) -> Option<Action> {
        self.state = State::Cleaning;
        Some(Action::Clean)
    }

    /// It is all gone: what now?
    fn over(&mut self, now: u64) -> Option<Action> {
        self.unready.get_or_insert(now);
        let held = now.saturating_sub(self.since) >= super::backoff::HELD_MS;
        self.since = now;
        let stillborn = self.failed && !self.ran && self.forget_failed_start;
        if self.wanted == Wanted::Gone || stillborn || (self.attached && !self.again) {
            self.wanted = Wanted::Gone;
            self.state = State::Ended;
            return Some(Action::Forget);
        }
        if self.again {
            self.restarts = self.restarts.saturating_add(1);
            self.in_a_row = 0;
            return self.launch(now);
        }
        let good = !self.failed && !self.unwell && self.ended.is_some_and(Ended::is_success);
        self.in_a_row = if held {
            1
        } else {
            self.in_a_row.saturating_add(1)
        };
        let once_more = match self.restart {
            Restart::No => false,
            Restart::Always => true,
            Restart::OnFailure(0) => !good,
            Restart::OnFailure(most) => !good && self.in_a_row <= most,
        };
        if self.wanted == Wanted::Up && once_more {
            let wait = self.backoff.end(now);
            self.state = State::Waiting {
                until: now + u64::from(wait),
            };
        } else {
            self.gave_up = self.wanted == Wanted::Up && !good && self.restart != Restart::No;
            self.wanted = Wanted::Down;
            self.state = State::Ended;
        }
        Some(Action::Settle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the world of one unit can do next: a process lives or not, a cgroup holds something or not.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
    struct World {
        process: bool,
        launching: bool,
        populated: bool,
        cleaning: bool,
        forgotten: bool,
    }

    fn perform(w: &mut World, action: Option<Action>) {
        match action {
            Some(Action::Launch) => {
                assert!(
                    !w.process && !w.populated && !w.cleaning,
                    "launched over something that lives"
                );
                w.launching = true;
            }
            Some(Action::Clean) => {
                assert!(
                    !w.process && !w.populated,
                    "cleaned under something that lives"
                );
                w.cleaning = true;
            }
            Some(Action::Forget) => {
                assert!(!w.process && !w.populated && !w.cleaning && !w.launching);
                w.forgotten = true;
            }
            Some(Action::Settle) => assert!(!w.process && !w.populated),
            Some(Action::Term | Action::Kill) | None => {}
        }
    }

    fn walk(u: Unit, w: World, now: u64, depth: u32, count: &mut u64) {
        *count += 1;
        if w.forgotten {
            return;
        }
        // A unit that is neither settled nor running has a deadline, or its process's end to wait for.
        assert!(
            u.deadline().is_some()
                || w.process
                || w.cleaning
                || u.is_over()
                || w.launching
                || u.state() == State::Held,
            "{u:?} hangs"
        );
        // What is ready runs, and owes no word.
        assert!(!u.is_ready() || (w.process && u.owes().is_none() && u.lacks() == 0));
        // Who waits for others has nothing that runs, and who is told to go is not told twice.
        assert!(u.state() != State::Held || !(w.process || w.populated || w.launching));
        // Giving up is an end, and never of one that is wanted.
        assert!(!u.gave_up() || (u.is_over() && u.wanted() != Wanted::Up));
        if depth == 0 {
            return;
        }
        let before = (u, w);
        let mut go = |event: Event, change: &dyn Fn(&mut World), pause: u64| {
            let (mut u, mut w) = before;
            change(&mut w);
            let gone = u.wanted() == Wanted::Gone;
            let action = u.step(now + pause, event);
            if gone {
                assert_eq!(u.wanted(), Wanted::Gone, "came back from destroy");
                assert_ne!(action, Some(Action::Launch), "launched after destroy");
            }
            perform(&mut w, action);
            // What changed nothing leads nowhere new.
            if (u, w) != before || action.is_some() || event == Event::Tick {
                walk(u, w, now + pause, depth - 1, count);
            }
        };
        if w.launching {
            go(Event::NotLaunched, &|w| w.launching = false, 0);
            // clone succeeded: no event, the world changes.
            let made = World {
                launching: false,
                process: true,
                populated: true,
                ..w
            };
            walk(u, made, now, depth - 1, count);
            return;
        }
        for ask in [
            Event::Go,
            Event::Ready(SAYS),
            Event::Ready(CHECKED),
            Event::Unwell,
            Event::Stop,
            Event::Destroy,
            Event::Restart,
            Event::OwnerGone,
        ] {
            go(ask, &|_| {}, 1);
        }
        go(Event::Tick, &|_| {}, 100_000);
        if w.process {
            if matches!(u.state(), State::Starting { .. }) {
                go(Event::Execed, &|_| {}, 1);
                go(Event::LaunchFailed, &|_| {}, 1);
            }
            if matches!(u.state(), State::Stopping { .. }) {
                go(Event::Unheard, &|_| {}, 0);
            }
            for ended in [Ended::Exited(0), Ended::Signalled(9)] {
                go(Event::InitEnded(ended), &|w| w.process = false, 1);
            }
        }
        if w.populated && matches!(u.state(), State::Killing { .. }) {
            go(Event::Emptied, &|w| w.populated = false, 1);
        }
        if w.cleaning {
            go(Event::Cleaned, &|w| w.cleaning = false, 0);
        }
    }

    #[test]
    fn every_life_to_a_depth_keeps_the_laws() {
        let mut count = 0;
        let kinds = [(false, 0), (false, SAYS | CHECKED), (true, 0), (true, SAYS)];
        for restart in [Restart::No, Restart::OnFailure(2), Restart::Always] {
            for (attached, forget) in [(false, false), (false, true), (true, true)] {
                for (after, needs) in kinds {
                    let care = Care {
                        restart,
                        grace_ms: 2000,
                        attached,
                        forget_failed_start: forget,
                        after,
                        needs,
                    };
                    let (u, action) = Unit::new(0, care);
                    let mut w = World {
                        process: false,
                        launching: false,
                        populated: false,
                        cleaning: false,
                        forgotten: false,
                    };
                    perform(&mut w, action);
                    walk(u, w, 0, 9, &mut count);
                }
            }
        }
        assert!(count > 100_000, "only {count} states were walked");
    }

    /// From launch to the next decision: one process that ends so.
    fn run_once(u: &mut Unit, now: u64, ended: Ended) -> Option<Action> {
        u.step(now, Event::Execed);
        assert_eq!(u.step(now, Event::InitEnded(ended)), Some(Action::Kill));
        assert_eq!(u.step(now, Event::Emptied), Some(Action::Clean));
        u.step(now, Event::Cleaned)
    }

    #[test]
    fn one_that_is_unwell_is_stopped_and_counts_as_failed() {
        let care = Care {
            restart: Restart::OnFailure(1),
            grace_ms: 2000,
            attached: false,
            forget_failed_start: true,
            after: true,
            needs: SAYS | CHECKED,
        };
        let (mut u, action) = Unit::new(0, care);
        assert_eq!((u.state(), action), (State::Held, None));
        for last in [false, true] {
            assert_eq!(u.step(1, Event::Go), Some(Action::Launch));
            u.step(1, Event::Execed);
            u.step(2, Event::Ready(SAYS));
            assert!(!u.is_ready());
            u.step(3, Event::Ready(CHECKED));
            assert!(u.is_ready());
            assert_eq!(u.step(4, Event::Unwell), Some(Action::Term));
            assert_eq!(
                u.step(5, Event::InitEnded(Ended::Exited(0))),
                Some(Action::Kill)
            );
            u.step(5, Event::Emptied);
            assert_eq!(u.step(5, Event::Cleaned), Some(Action::Settle));
            assert_eq!(u.gave_up(), last);
            assert_eq!(u.step(1000, Event::Tick), None, "it waits for others again");
            assert_eq!(u.state() == State::Held, !last);
        }
        // Without a policy nobody stops it: it is marked, and well again when it says so.
        let care = Care {
            restart: Restart::No,
            after: false,
            ..care
        };
        let (mut u, _) = Unit::new(0, care);
        u.step(0, Event::Execed);
        u.step(0, Event::Ready(SAYS | CHECKED));
        assert_eq!(u.step(1, Event::Unwell), None);
        assert!(u.is_unwell() && !u.is_ready());
        u.step(2, Event::Ready(CHECKED));
        assert!(!u.is_unwell() && u.is_ready());
    }

    #[test]
    fn on_failure_gives_up_after_its_tries_and_backs_off_between() {
        let care = Care {
            restart: Restart::OnFailure(3),
            grace_ms: 2000,
            attached: false,
            forget_failed_start: true,
            after: false,
            needs: 0,
        };
        let (mut u, _) = Unit::new(0, care);
        let mut now = 0;
        let mut waits = std::vec::Vec::new();
        loop {
            assert_eq!(
                run_once(&mut u, now, Ended::Exited(1)),
                Some(Action::Settle)
            );
            let State::Waiting { until } = u.state() else {
                break;
            };
            waits.push(until - now);
            assert_eq!(u.step(until - 1, Event::Tick), None);
            now = until;
            assert_eq!(u.step(now, Event::Tick), Some(Action::Launch));
        }
        assert_eq!(waits, [100, 200, 400]);
        assert_eq!(u.restarts(), 3);
        assert!(u.is_over());
    }

    #[test]
    fn a_success_is_not_started_again_but_by_always() {
        for (restart, again) in [
            (Restart::No, false),
            (Restart::OnFailure(0), false),
            (Restart::Always, true),
        ] {
            let care = Care {
                restart,
                grace_ms: 0,
                attached: false,
                forget_failed_start: true,
                after: false,
                needs: 0,
            };
            let (mut u, _) = Unit::new(0, care);
            assert_eq!(run_once(&mut u, 5, Ended::Exited(0)), Some(Action::Settle));
            assert_eq!(matches!(u.state(), State::Waiting { .. }), again);
        }
    }

    #[test]
    fn a_failed_first_start_is_forgotten_a_kernels_is_kept() {
        for (forget, action) in [(true, Action::Forget), (false, Action::Settle)] {
            let care = Care {
                restart: Restart::No,
                grace_ms: 0,
                attached: false,
                forget_failed_start: forget,
                after: false,
                needs: 0,
            };
            let (mut u, _) = Unit::new(0, care);
            assert_eq!(u.step(1, Event::LaunchFailed), Some(Action::Kill));
            assert_eq!(u.step(1, Event::Emptied), None);
            assert_eq!(
                u.step(1, Event::InitEnded(Ended::Exited(127))),
                Some(Action::Clean)
            );
            assert_eq!(u.step(1, Event::Cleaned), Some(action));
        }
    }
}
