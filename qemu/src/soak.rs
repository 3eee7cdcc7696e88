//! Hours of random work on one board, seeded and repeatable, with counts at its end
//!
//! Starts, stops, deaths, floods, connections, joined commands, orphans, crashes and re-executions of PID 1, one
//! after the other from a generator whose seed is printed. In between PID 1 has to answer; at the end, with all
//! containers destroyed, what it holds is counted again: descriptors, mounts, cgroups, files, processes.

use crate::bed::Running;
use crate::deadline;
use crate::{Context, Error, Result};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Containers that are about at once, at most.
const NAMES: u64 = 12;
/// Progress is told as often.
const TELL: Duration = Duration::from_secs(30);

/// What is run in a container, and how often of a hundred.
const COMMANDS: &[(u64, &str)] = &[
    (30, "--tty none -- /bin/probe hold"),
    (20, "-- /bin/probe hold"),
    (8, "-- /bin/sh"),
    (8, "--tty none -- sh -c 'exit 3'"),
    (8, "-- sh -c 'head -c 200000 /dev/zero | tr \"\\0\" x'"),
    (6, "--tty none --stop-timeout 0.2 -- /bin/probe stubborn"),
    (6, "--tty none --restart always -- /bin/false"),
    (5, "--tty none -- /bin/probe orphans 50"),
    (5, "--tty none --memory.max 8M -- /bin/probe eat"),
    (4, "/srv/web --tty none -- /bin/httpd -f -p 80"),
];

/// xorshift64: the same numbers for the same seed everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn name(&mut self) -> String {
        format!("s{}", self.below(NAMES))
    }
}

/// What was done, and how often.
pub struct Soak {
    /// The generator's seed.
    pub seed: u64,
    /// Steps by their kind.
    pub counts: BTreeMap<&'static str, u32>,
    /// Resident memory of PID 1 before and after, in KiB.
    pub memory: (u64, u64),
}

impl std::fmt::Display for Soak {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all: u32 = self.counts.values().sum();
        write!(f, "seed {}: {all} steps;", self.seed)?;
        for (kind, count) in &self.counts {
            write!(f, " {count} {kind},")?;
        }
        write!(f, " nothing left over; PID 1 {} KiB before, {} KiB after", self.memory.0, self.memory.1)
    }
}

/// Works on a booted board (which wants `pouch.crash-limit=0` among its words) for so long.
///
/// # Errors
/// PID 1 does not answer, or something is left over; the message has the seed and the step.
pub fn soak(running: &mut Running, length: Duration, seed: u64) -> Result<Soak> {
    let (mut dice, mut counts) = (Dice(seed.max(1)), BTreeMap::new());
    let serial = running.serial();
    // The kernel's words about those that eat memory would stand in the prompts.
    serial.run("dmesg -n 1")?;
    // What boot alone has open is let go by the first re-execution.
    serial.run("kill -SEGV 1; pouch list")?;
    let (before, memory) = (left(running)?, resident(running)?);
    let (begin, mut told, mut number) = (Instant::now(), Instant::now(), 0u32);
    while begin.elapsed() < length {
        number += 1;
        let kind = step(running, &mut dice, number).context(|| format!("soak: seed {seed}, step {number}"))?;
        *counts.entry(kind).or_insert(0) += 1;
        if told.elapsed() > TELL {
            eprintln!("   soak: {} of {} s, {number} steps", begin.elapsed().as_secs(), length.as_secs());
            told = Instant::now();
        }
    }
    for at in 0..NAMES {
        let answer = running.serial().run_within(deadline::HEAVY, &format!("pouch destroy s{at}"))?;
        if !(answer.ends_with("destroyed") || answer.ends_with("not found")) {
            return Err(Error::new(format!("soak: seed {seed}: at the end: {answer}")));
        }
    }
    let limit = deadline::ANSWER.from_now();
    let mut after = left(running)?;
    while after != before {
        if Instant::now() > limit {
            let serial = running.serial();
            return Err(serial.failure(&format!("soak: seed {seed}, {number} steps: before {before}, after {after}")));
        }
        after = left(running)?;
    }
    Ok(Soak { seed, counts, memory: (memory, resident(running)?) })
}

fn step(running: &mut Running, dice: &mut Dice, number: u32) -> Result<&'static str> {
    let name = dice.name();
    let serial = running.serial();
    let (kind, line) = match dice.below(100) {
        0..30 => {
            let mut at = dice.below(100);
            let command = COMMANDS.iter().find_map(|(share, command)| match at.checked_sub(*share) {
                None => Some(*command),
                Some(rest) => {
                    at = rest;
                    None
                }
            });
            ("starts", format!("pouch start {name} {}", command.unwrap_or("")))
        }
        30..45 => ("destroys", format!("pouch destroy {name}")),
        45..52 => ("stops", format!("pouch stop {name}")),
        52..58 => ("restarts", format!("pouch restart {name}")),
        58..64 => ("kills", format!("pouch kill {name}")),
        64..67 => ("freezes", format!("pouch freeze {name}; pouch thaw {name}")),
        67..72 => ("execs", format!("pouch exec {name} true </dev/null")),
        72..75 => ("runs", format!("pouch run r{number} --tty none -- sh -c 'exit 7' </dev/null 2>&1 | cat")),
        75..80 => ("logs", format!("pouch logs {name} | tail -c 100 | wc -c")),
        80..85 => ("lists", "pouch list | wc -l".to_owned()),
        85..88 => ("orphans", "/bin/probe orphans 40".to_owned()),
        88..90 => ("crashes", "kill -SEGV 1".to_owned()),
        90..92 => ("re-executions", "pouch reexec".to_owned()),
        _ => {
            // Whether it moves the line, is refused or comes back at once: one is at the shell again after it.
            serial.type_line(&format!("connect {name}; echo \"back $(({number} + 0))\""))?;
            let back = format!("back {number}\n");
            serial.expect_pattern(&format!("(connected\n)|({back})|(Pouch: )"))?;
            let text = serial.transcript();
            let since = text.rfind(&format!("connect {name};")).and_then(|at| text.get(at..)).unwrap_or_default();
            if since.contains("connected\n") {
                serial.send(b"\x1d\x1d\x1d")?;
            }
            serial.settle(Duration::from_millis(150))?.send(b"\r")?;
            serial.prompt_within(deadline::HEAVY)?;
            return Ok("connects");
        }
    };
    let (answer, status) = serial.run_status(&line)?;
    // A refusal has words; what is done may be silent.
    if status != 0 && answer.is_empty() && kind != "runs" {
        return Err(serial.failure(&format!("`{line}` failed with {status} and said nothing")));
    }
    if number.is_multiple_of(25) {
        let zombies = running.serial().run("grep -c '^State:.Z' /proc/[0-9]*/status 2>/dev/null | grep -c ':1$'")?;
        if zombies.trim().parse::<u32>().unwrap_or(0) > 20 {
            return Err(Error::new(format!("{zombies} zombies")));
        }
    }
    Ok(kind)
}

/// What could leak, in one line.
fn left(running: &mut Running) -> Result<String> {
    let line = "echo $(ls /proc/1/fd | wc -l) descriptors, $(wc -l </proc/mounts) mounts, \
        $(find /sys/fs/cgroup/pouch -type d | wc -l) cgroups, $(ls /run/pouch) in /run/pouch, \
        $(ls -d /proc/[0-9]* | while read p; do [ -n \"$(cat $p/cmdline 2>/dev/null)\" ] && echo $p; done | wc -l) processes, \
        $(ls -d /sys/class/net/* | wc -l) interfaces";
    running.serial().run_within(deadline::HEAVY, line)
}

fn resident(running: &mut Running) -> Result<u64> {
    let text = running.serial().run("grep VmRSS /proc/1/status")?;
    text.split_whitespace().nth(1).and_then(|n| n.parse().ok()).ok_or_else(|| Error::new(format!("no VmRSS: {text}")))
}
