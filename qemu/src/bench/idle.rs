//! Idle: how often PID 1 runs in a minute in which nothing happens

use super::boot::several;
use super::figures::{Figures, Init};
use super::guest::said;
use super::report::{Report, Unit};
use super::{Bench, Boot};
use crate::deadline::Deadline;
use crate::{Error, Result};

const INITS: [Init; 4] = [Init::Pouch, Init::Busybox, Init::Finit, Init::S6];

const MINUTE: Deadline = Deadline { name: "the minute is over", seconds: 180 };

const ROWS: [(&str, Unit, &str); 2] =
    [("PID 1 woke up in an idle minute (1)", Unit::Count, "woke"), ("and ran for (1)", Unit::Time, "ran")];

const NOTES: [&str; 1] = [
    "By /proc/1/schedstat (nanoseconds on a processor, turns on one) before and after `sleep 60`, nothing being typed or \
     shown meanwhile. One minute of each, all at the same time in guests of their own.",
];

/// Both numbers are read into the shell before anything is shown: what is shown goes through pouch.
const LOOK: &str = "sleep 3; a=$(cat /proc/1/schedstat); sleep 60; b=$(cat /proc/1/schedstat); echo \"$a $b\"";

pub(super) fn measure(bench: &mut Bench) -> Result<Report> {
    let mut figures = Figures::default();
    let mut guests = Vec::new();
    for init in INITS {
        bench.say(&format!("boots {}", init.name()));
        match bench.boot(&Boot { inits: true, words: init.words().to_owned(), ..Boot::default() }) {
            Ok(guest) => guests.push((init, guest)),
            Err(error) => figures.missing(init, "boot", error.to_string().lines().next().unwrap_or_default()),
        }
    }
    bench.say("sees a minute go by");
    std::thread::scope(|scope| {
        let minutes: Vec<_> = guests
            .iter_mut()
            .map(|(init, guest)| (*init, scope.spawn(|| guest.serial.run_within(MINUTE, LOOK))))
            .collect();
        for (init, minute) in minutes {
            let shown = minute.join().unwrap_or_else(|_| Err(Error::new("the thread ended")));
            let shown = match shown {
                Ok(shown) => shown,
                Err(error) => {
                    figures.missing(init, "boot", error.to_string().lines().next().unwrap_or_default());
                    continue;
                }
            };
            let numbers: Vec<f64> = shown.split_whitespace().filter_map(|word| word.parse().ok()).collect();
            if let [ran, _, turns, later, _, more] = numbers[..] {
                figures.add(init, "woke", more - turns);
                figures.add(init, "ran", (later - ran) / 1e9);
            } else {
                figures.missing(init, "boot", &format!("no two schedstats of three numbers: '{}'", said(&shown)));
            }
        }
    });
    let mut report = Report::new("Idle");
    report.tables.push(several("", &INITS, &ROWS, &figures));
    report.notes.extend(NOTES.map(str::to_owned));
    Ok(report)
}
