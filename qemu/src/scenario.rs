//! The runner of the boot tests: scenarios that share a bed, beds side by side
//!
//! A boot costs more than most scenarios, so the scenarios of one group run one after the other on one booted
//! board, and several boards run at once. A scenario that fails takes its board with it: the next one boots anew.
//! The output is that of Rust's own test harness, so whoever reads that reads this.

use crate::{Error, Result};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// What scenarios run on.
pub trait Bed: Send {
    /// Throws away what is running; the next scenario gets a fresh one.
    fn discard(&mut self);
}

/// A scenario: a sentence, and how to see that it is true.
pub type Scenario<B> = (&'static str, fn(&mut B) -> Result<()>);

/// Scenarios that share a bed, in their order.
pub struct Group<B> {
    /// `BOARD::GROUP`, the beginning of the scenarios' names.
    pub name: String,
    /// Makes the bed, when the first scenario is about to run.
    pub bed: Box<dyn FnOnce() -> Result<B> + Send>,
    /// What runs on it.
    pub scenarios: Vec<Scenario<B>>,
}

/// Scenarios by their functions' paths, named as the functions are.
#[macro_export]
macro_rules! scenarios {
    ($($function:path),* $(,)?) => {
        vec![$(($crate::scenario::last_part(stringify!($function)), $function)),*]
    };
}

/// The function's name in its path.
#[must_use]
pub fn last_part(path: &'static str) -> &'static str {
    path.rsplit("::").next().unwrap_or(path).trim()
}

/// What the command line of a test binary asks for.
#[derive(Debug, Default)]
struct Wanted {
    filters: Vec<String>,
    exact: bool,
    list: bool,
}

impl Wanted {
    fn from_arguments(arguments: impl Iterator<Item = String>) -> Self {
        let mut wanted = Self::default();
        for argument in arguments {
            match argument.as_str() {
                "--list" => wanted.list = true,
                "--exact" => wanted.exact = true,
                // Flags of the usual harness that change nothing here: --nocapture, -q.
                flag if flag.starts_with('-') => {}
                _ => wanted.filters.push(argument),
            }
        }
        wanted
    }

    fn has(&self, name: &str) -> bool {
        self.filters.is_empty()
            || self
                .filters
                .iter()
                .any(|filter| if self.exact { name == filter } else { name.contains(filter.as_str()) })
    }
}

#[derive(Debug, Default)]
struct Tally {
    /// Scenarios that failed once.
    second_tries: Vec<String>,
    passed: usize,
    failed: Vec<String>,
}

/// Runs what the command line asks for, `POUCH_WORKERS` groups at once, prints and returns whether all passed. Without
/// that one more than there are processors: many scenarios wait.
#[must_use]
pub fn run<B: Bed>(groups: Vec<Group<B>>) -> bool {
    let wanted = Wanted::from_arguments(std::env::args().skip(1));
    let start = Instant::now();
    let mut left_out = 0;
    let mut queue = VecDeque::new();
    for mut group in groups {
        let all = group.scenarios.len();
        let name = group.name.clone();
        group.scenarios.retain(|(scenario, _)| wanted.has(&format!("{name}::{scenario}")));
        left_out += all - group.scenarios.len();
        if !group.scenarios.is_empty() {
            queue.push_back(group);
        }
    }
    if wanted.list {
        for group in &queue {
            group.scenarios.iter().for_each(|(scenario, _)| println!("{}::{scenario}: test", group.name));
        }
        return true;
    }
    println!("\nrunning {} tests", queue.iter().map(|group| group.scenarios.len()).sum::<usize>());
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    let workers = std::env::var("POUCH_WORKERS").ok().and_then(|text| text.parse().ok()).unwrap_or(processors + 1);
    let (queue, tally) = (Mutex::new(queue), Mutex::new(Tally::default()));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                // A worker keeps its thread until its last board is gone: QEMU dies with the thread that made it.
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(group) = next else { return };
                    run_group(group, &tally);
                }
            });
        }
    });
    let tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !tally.failed.is_empty() {
        println!("\nfailures:");
        tally.failed.iter().for_each(|name| println!("    {name}"));
    }
    if !tally.second_tries.is_empty() {
        println!("\ntried twice:");
        tally.second_tries.iter().for_each(|name| println!("    {name}"));
    }
    let verdict = if tally.failed.is_empty() { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {} passed; {} failed; 0 ignored; 0 measured; {left_out} filtered out; finished in {:.2}s\n",
        tally.passed,
        tally.failed.len(),
        start.elapsed().as_secs_f64()
    );
    tally.failed.is_empty()
}

/// Scenarios that may be tried again in one run; more failures than these are no noise of the machine's.
const SECOND_TRIES: usize = 3;

fn run_group<B: Bed>(group: Group<B>, tally: &Mutex<Tally>) {
    let mut bed = (group.bed)();
    for (scenario, function) in group.scenarios {
        let name = format!("{}::{scenario}", group.name);
        let mut again = false;
        loop {
            let start = Instant::now();
            let result = match &mut bed {
                Ok(bed) => catch_unwind(AssertUnwindSafe(|| function(bed)))
                    .unwrap_or_else(|_| Err(Error::new("the scenario panicked"))),
                Err(error) => Err(Error::new(error.to_string())),
            };
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            let took = start.elapsed().as_secs_f64();
            let Err(error) = result else {
                tally.passed += 1;
                println!("test {name} ... ok{} ({took:.1} s)", if again { " at the second try" } else { "" });
                break;
            };
            if let Ok(bed) = &mut bed {
                bed.discard();
            }
            // The machine is shared: what fails is told in full, and tried once more from a fresh start.
            if !again && tally.second_tries.len() < SECOND_TRIES {
                println!("test {name} ... failed, is tried again ({took:.1} s)\n{error}\n");
                tally.second_tries.push(name.clone());
                again = true;
                continue;
            }
            println!("test {name} ... FAILED ({took:.1} s)\n{error}\n");
            tally.failed.push(name);
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_functions() {
        assert_eq!(last_part("prompt :: the_board_boots"), "the_board_boots");
    }

    #[test]
    fn a_filter_is_a_part_of_the_name_unless_it_is_exact() {
        let wanted = |words: &[&str]| Wanted::from_arguments(words.iter().map(|&word| word.to_owned()));
        assert!(wanted(&[]).has("a::b") && wanted(&["b"]).has("a::b") && !wanted(&["c"]).has("a::b"));
        assert!(!wanted(&["b", "--exact"]).has("a::b") && wanted(&["--nocapture", "a::b", "--exact"]).has("a::b"));
    }
}
