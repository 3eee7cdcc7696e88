//! Whether a container does its work, by a command run in it from time to time.
//!
//! Docker's way: the first time an interval after its start, the next an interval after
//! the last ended; so many failures in a row make it unwell, one success well.

/// How often, how long, how many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Times {
    /// Milliseconds between two.
    pub interval: u32,
    /// Milliseconds that one may take.
    pub limit: u32,
    /// Failures in a row that make it unwell.
    pub retries: u32,
}

/// Docker's own.
pub const TIMES: Times = Times {
    interval: 30_000,
    limit: 30_000,
    retries: 3,
};

/// Where it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    /// The container's command does not run.
    #[default]
    Off,
    /// Until the next time.
    Resting(u64),
    /// The command runs, at most until then.
    Asking(u64),
}

/// What happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The container's command runs.
    Up,
    /// It does not any more.
    Down,
    /// The health command ended: whether with success.
    Answered(bool),
    /// Time has passed.
    Tick,
}

/// What PID 1 is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Run the command.
    Ask,
    /// It is well.
    Well,
    /// It is not. A command that took too long is to be killed.
    Unwell,
    /// Kill the command that took too long.
    Kill,
}

/// One container's health.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Health {
    state: State,
    failures: u32,
}

impl Health {
    /// When [`Event::Tick`] is due.
    pub fn deadline(&self) -> Option<u64> {
        match self.state {
            State::Off => None,
            State::Resting(at) | State::Asking(at) => Some(at),
        }
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The next thing to do.
    pub fn step(&mut self, now: u64, times: Times, event: Event) -> Option<Action> {
        let due = self.deadline().is_some_and(|at| now >= at);
        match (self.state, event) {
            (_, Event::Down) => {
                *self = Health::default();
                None
            }
            (State::Off, Event::Up) => {
                self.rest(now, times);
                None
            }
            (State::Resting(_), Event::Tick) if due => {
                self.state = State::Asking(now + u64::from(times.limit));
                Some(Action::Ask)
            }
            (State::Asking(_), Event::Answered(true)) => {
                self.failures = 0;
                self.rest(now, times);
                Some(Action::Well)
            }
            (State::Asking(_), Event::Answered(false)) => self.failed(now, times, None),
            (State::Asking(_), Event::Tick) if due => self.failed(now, times, Some(Action::Kill)),
            (
                State::Off | State::Resting(_) | State::Asking(_),
                Event::Up | Event::Answered(_) | Event::Tick,
            ) => None,
        }
    }

    fn rest(&mut self, now: u64, times: Times) {
        self.state = State::Resting(now + u64::from(times.interval));
    }

    fn failed(&mut self, now: u64, times: Times, else_do: Option<Action>) -> Option<Action> {
        self.failures = self.failures.saturating_add(1);
        self.rest(now, times);
        match self.failures >= times.retries {
            true => Some(Action::Unwell),
            false => else_do,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Times = Times {
        interval: 10,
        limit: 5,
        retries: 2,
    };

    #[test]
    fn every_row_of_events_keeps_the_laws() {
        const EVENTS: [Event; 5] = [
            Event::Up,
            Event::Down,
            Event::Answered(true),
            Event::Answered(false),
            Event::Tick,
        ];
        fn walk(h: Health, up: bool, asked: bool, row: u32, now: u64, depth: u32) {
            assert_eq!(
                h.deadline().is_some(),
                up,
                "no timer without a container, one with"
            );
            assert_eq!(matches!(h.state, State::Asking(_)), asked);
            assert_eq!(h.failures, row, "failures in a row are counted, no others");
            if depth == 0 {
                return;
            }
            for event in EVENTS {
                for pause in [1, 100] {
                    let mut next = h;
                    let action = next.step(now + pause, SHORT, event);
                    let (mut up, mut asked, mut row) = (up, asked, row);
                    match event {
                        Event::Up => up = true,
                        Event::Down => (up, asked, row) = (false, false, 0),
                        _ => {}
                    }
                    let due = h.deadline().is_some_and(|at| now + pause >= at);
                    let failed =
                        asked && (event == Event::Answered(false) || (event == Event::Tick && due));
                    match action {
                        Some(Action::Ask) => {
                            assert!(up && !asked, "asked twice at once");
                            asked = true;
                        }
                        Some(Action::Well) => {
                            assert!(asked && event == Event::Answered(true));
                            (asked, row) = (false, 0);
                        }
                        Some(Action::Unwell) => {
                            assert!(failed && row + 1 >= SHORT.retries, "unwell too soon");
                            (asked, row) = (false, row + 1);
                        }
                        Some(Action::Kill) => {
                            assert!(failed && event == Event::Tick);
                            (asked, row) = (false, row + 1);
                        }
                        None if failed => {
                            assert!(row + 1 < SHORT.retries, "unwell and nobody told");
                            (asked, row) = (false, row + 1);
                        }
                        None => {}
                    }
                    walk(next, up, asked, row, now + pause, depth - 1);
                }
            }
        }
        walk(Health::default(), false, false, 0, 0, 6);
    }

    #[test]
    fn the_first_time_is_an_interval_after_the_start() {
        let mut h = Health::default();
        assert_eq!(h.step(100, SHORT, Event::Up), None);
        assert_eq!(h.step(109, SHORT, Event::Tick), None);
        assert_eq!(h.step(110, SHORT, Event::Tick), Some(Action::Ask));
        assert_eq!(h.step(115, SHORT, Event::Tick), Some(Action::Kill));
        assert_eq!(h.step(125, SHORT, Event::Tick), Some(Action::Ask));
        assert_eq!(
            h.step(126, SHORT, Event::Answered(false)),
            Some(Action::Unwell)
        );
        assert_eq!(h.step(136, SHORT, Event::Tick), Some(Action::Ask));
        assert_eq!(
            h.step(137, SHORT, Event::Answered(true)),
            Some(Action::Well)
        );
    }
}
