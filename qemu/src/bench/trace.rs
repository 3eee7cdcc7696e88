//! Where a launch's time goes: the kernel's trace of its system calls, step by step
//!
//! One launch a round is traced in the guest; of each step the median of the rounds is shown. A step begins with a
//! call that only it makes, and lasts until the next one of its lane begins; so what lies between two calls, a page
//! fault or a turn of somebody else's, is in the step before.

use super::Guest;
use super::figures::summary;
use super::report::{Cell, Kind, Plot, Span, Table, Unit};
use crate::{Error, Result, deadline};

/// Launches that are traced.
const ROUNDS: usize = 9;

/// Lane, step, and the call that begins it: its number on x86-64, and what its arguments begin with.
const STEPS: [(&str, &str, &str, u32); 24] = [
    ("client", "the packed binary starts", "exec", 0),
    ("client", "takes PID 1's unpacked one in its place", "enter", 9),
    ("client", "reads its words", "enter", 157),
    ("client", "asks PID 1", "enter", 46),
    ("init", "takes the caller in", "enter", 288),
    ("init", "reads the request", "enter", 47),
    ("init", "cgroup and limits", "enter", 258),
    ("init", "socket and pipes", "enter", 41),
    ("init", "clone3", "enter", 435),
    ("child", "session, oom score", "enter", 112),
    ("child", "lo", "enter", 41),
    ("child", "private mounts, the root", "enter", 165),
    ("child", "/proc", "enter", 430),
    ("child", "masks", "enter", 0),
    ("child", "rules for devices", "enter", 321),
    ("child", "pivot_root", "enter", 155),
    ("child", "the way back", "enter", 49),
    ("child", "streams, user", "enter", 170),
    ("child", "bounding set", "enter", 157),
    ("child", "user, capabilities", "enter", 116),
    ("child", "seccomp", "enter", 317),
    ("child", "signals, descriptors", "enter", 436),
    ("child", "execve", "enter", 322),
    ("program", "its first instruction", "enter", 228),
];

/// A line of the trace: seconds, process, what, and the call's number.
struct Event {
    at: f64,
    process: u32,
    what: String,
    number: u32,
}

/// The table and the picture.
///
/// # Errors
/// The kernel has no such trace; a trace without the steps.
pub(super) fn waterfall(guest: &mut Guest) -> Result<(Table, Plot)> {
    let mut rounds: Vec<Vec<f64>> = Vec::new();
    let mut reason = String::from("no launch was traced whole");
    for round in 0..ROUNDS {
        let shown = guest.serial.run_within(deadline::HEAVY, &format!("sh /bench/start trace {round} 0"))?;
        match begins(&shown) {
            Ok(found) => rounds.push(found),
            Err(error) => reason = error.to_string(),
        }
    }
    if rounds.is_empty() {
        return Err(Error::new(reason));
    }
    let mut table =
        Table::new("Where the time of `pouch run` goes, while the kernel traces it", &["who", "step", "time"]);
    let (mut spans, mut at) = (Vec::new(), 0.0);
    for (step, (lane, name, ..)) in STEPS.iter().enumerate().take(STEPS.len() - 1) {
        let took = rounds.iter().filter_map(|begins| Some(begins.get(step + 1)? - begins.get(step)?));
        let Some(took) = summary(took) else { continue };
        table.rows.push(vec![Cell::text(*lane), Cell::text(*name), Cell::of(Unit::Time, Ok::<_, String>(took))]);
        spans.push(Span { lane: (*lane).to_owned(), name: (*name).to_owned(), begin: at, end: at + took.median });
        at += took.median;
    }
    let plot = Plot {
        name: "launch".to_owned(),
        title: format!("A launch, step by step: medians of {} traced ones", rounds.len()),
        unit: Unit::Time,
        kind: Kind::Waterfall(spans),
    };
    Ok((table, plot))
}

/// When each step began, in seconds; the steps come one after the other.
fn begins(shown: &str) -> Result<Vec<f64>> {
    let events: Vec<Event> = shown.lines().filter_map(event).collect();
    let client = events.iter().find(|event| event.what == "exec /bin/pouch").map(|event| event.process);
    let client = client.ok_or_else(|| Error::new("the trace has no /bin/pouch"))?;
    let born = events.iter().filter(|event| event.what.starts_with("fork ") && event.process == 1);
    let child: u32 = born
        .filter_map(|event| event.what.strip_prefix("fork ")?.parse().ok())
        .next()
        .ok_or_else(|| Error::new("the trace has no child of PID 1"))?;
    let (mut found, mut from) = (Vec::new(), 0.0);
    for (lane, name, kind, number) in STEPS {
        let process = match lane {
            "client" => client,
            "init" => 1,
            _ => child,
        };
        // The masks begin once /dev is dressed, with links as the last of it: symlinkat.
        let begin = if name == "masks" {
            let dressed = events.iter().rfind(|event| event.process == child && event.number == 266);
            dressed.map(|event| event.at)
        } else {
            let mut own = events.iter().filter(|event| event.process == process && event.at >= from);
            own.find(|event| match kind {
                "exec" => event.what == "exec /bin/pouch",
                _ => event.what == "enter" && event.number == number,
            })
            .map(|event| event.at)
        };
        let begin = begin.ok_or_else(|| Error::new(format!("the trace has no beginning of '{name}'")))?;
        found.push(begin);
        from = begin;
    }
    Ok(found)
}

/// `  comm-PID   [CPU] flags  SECONDS: event: ...`, as tracefs prints it.
fn event(line: &str) -> Option<Event> {
    let (before, rest) = line.split_once(": ")?;
    let (head, at) = before.rsplit_once(char::is_whitespace)?;
    let at = at.parse().ok()?;
    let process = head.split_once(" [")?.0.trim_end().rsplit_once('-')?.1.parse().ok()?;
    let (name, words) = rest.split_once(": ")?;
    let (mut what, mut number) = (String::from("enter"), u32::MAX);
    match name {
        "sys_enter" => number = words.strip_prefix("NR ")?.split_once(' ')?.0.parse().ok()?,
        "sched_process_exec" => what = format!("exec {}", words.strip_prefix("filename=")?.split_once(' ')?.0),
        "sched_process_fork" => what = format!("fork {}", words.rsplit_once("child_pid=")?.1.trim()),
        _ => return None,
    }
    Some(Event { at, process, what, number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_trace_is_read() {
        let found =
            event("           pouch-110     [001] .....    12.345678: sys_enter: NR 322 (3, 21b57d, 0, 0, 0, 0)")
                .unwrap();
        assert_eq!((found.process, found.number, found.what.as_str()), (110, 322, "enter"));
        assert!((found.at - 12.345_678).abs() < 1e-9);
        let fork =
            event("  init-1  [000] .....  2.5: sched_process_fork: comm=init pid=1 child_comm=init child_pid=111")
                .unwrap();
        assert_eq!((fork.process, fork.what.as_str()), (1, "fork 111"));
        assert!(event("# tracer: nop").is_none());
    }
}
