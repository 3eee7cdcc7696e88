//! What was measured: a list of values by init and name, or why there are none

use std::collections::BTreeMap;

/// Who is PID 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Init {
    Pouch,
    Busybox,
    Finit,
    S6,
    Tini,
}

impl Init {
    /// It is one of Debian's packages for the bench, not in the board's own image.
    pub(super) fn is_a_peer(self) -> bool {
        !matches!(self, Self::Pouch | Self::Busybox)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pouch => "pouch",
            Self::Busybox => "busybox init",
            Self::Finit => "finit",
            Self::S6 => "s6-svscan",
            Self::Tini => "tini",
        }
    }

    /// Kernel words that make it PID 1: the image has pouch as /init, busybox goes by a program of the bench's.
    pub(super) fn words(self) -> &'static str {
        match self {
            // tini is a process of a guest of pouch's.
            Self::Pouch | Self::Tini => "",
            Self::Busybox => "rdinit=/bench/init",
            Self::Finit => "rdinit=/bench/finit",
            Self::S6 => "rdinit=/bench/s6",
        }
    }
}

/// All that was measured so far.
#[derive(Default)]
pub(super) struct Figures {
    /// Which turn it is; figures of one turn are a pair.
    pub(super) round: usize,
    values: BTreeMap<(Init, String), BTreeMap<usize, f64>>,
    missing: BTreeMap<(Init, String), String>,
}

/// A row's values in short.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Summary {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
    /// How many there are.
    pub(super) count: usize,
}

impl Figures {
    pub(super) fn add(&mut self, init: Init, name: &str, value: f64) {
        self.values.entry((init, name.to_owned())).or_default().insert(self.round, value);
    }

    pub(super) fn missing(&mut self, init: Init, name: &str, reason: &str) {
        self.missing.entry((init, name.to_owned())).or_insert_with(|| reason.to_owned());
    }

    /// This turn's figure.
    pub(super) fn now(&self, init: Init, name: &str) -> Option<f64> {
        self.values.get(&(init, name.to_owned()))?.get(&self.round).copied()
    }

    /// One figure by the other, turn by turn: what slowed the machine for a while slowed both.
    pub(super) fn ratio(&self, one: (Init, &str), other: (Init, &str)) -> Option<Summary> {
        let [one, other] = [one, other].map(|(init, name)| self.values.get(&(init, name.to_owned())));
        let (one, other) = (one?, other?);
        let both = one.iter().filter_map(|(round, value)| Some((value, other.get(round)?)));
        summary(both.filter(|&(_, other)| *other > 0.0).map(|(one, other)| one / other))
    }

    /// The figure, or why there is none.
    pub(super) fn summary(&self, init: Init, name: &str) -> Result<Summary, String> {
        let reason = |name: &str| self.missing.get(&(init, name.to_owned())).cloned();
        self.values
            .get(&(init, name.to_owned()))
            .and_then(|values| summary(values.values().copied()))
            .ok_or_else(|| reason(name).or_else(|| reason("boot")).unwrap_or_else(|| "no figure came".to_owned()))
    }
}

/// None of no values.
pub(super) fn summary(values: impl Iterator<Item = f64>) -> Option<Summary> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let (least, most) = (*sorted.first()?, *sorted.last()?);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some(Summary { median: f64::midpoint(lower, upper), least, most, count: sorted.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stands_in_the_middle() {
        assert_eq!(
            summary([3.0, 1.0, 8.0].into_iter()),
            Some(Summary { median: 3.0, least: 1.0, most: 8.0, count: 3 })
        );
        assert_eq!(summary([4.0, 2.0].into_iter()), Some(Summary { median: 3.0, least: 2.0, most: 4.0, count: 2 }));
        assert_eq!(summary([].into_iter()), None);
    }

    #[test]
    fn a_ratio_is_made_turn_by_turn_and_of_turns_that_have_both() {
        let mut figures = Figures::default();
        for (round, ours, theirs) in [(0, 1.0, 2.0), (1, 10.0, 20.0), (2, 6.0, 4.0)] {
            figures.round = round;
            figures.add(Init::Pouch, "a", ours);
            figures.add(Init::Busybox, "b", theirs);
        }
        figures.round = 3;
        figures.add(Init::Pouch, "a", 100.0);
        let ratio = figures.ratio((Init::Pouch, "a"), (Init::Busybox, "b"));
        assert_eq!(ratio, Some(Summary { median: 0.5, least: 0.5, most: 1.5, count: 3 }));
        assert_eq!(figures.ratio((Init::Pouch, "a"), (Init::Pouch, "none")), None);
    }

    #[test]
    fn what_has_no_figure_has_a_reason() {
        let mut figures = Figures::default();
        assert_eq!(figures.summary(Init::Pouch, "run"), Err("no figure came".into()));
        figures.missing(Init::Pouch, "boot", "it hangs");
        assert_eq!(figures.summary(Init::Pouch, "run"), Err("it hangs".into()));
        figures.missing(Init::Pouch, "run", "no such command");
        assert_eq!(figures.summary(Init::Pouch, "run"), Err("no such command".into()));
    }
}
