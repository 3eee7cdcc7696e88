//! Figures side by side: the board with pouch as its init, and with busybox's
//!
//! Both boot the same kernel with the same image, turn by turn, and each boot gives one figure a row: what the
//! machine does beside it hits both. A time inside the guest is the difference of two time stamps of the kernel's
//! log, whose clock has microseconds. Nothing is asserted; what could not be measured is named with its reason.

mod figures;
mod guest;
mod rows;

use crate::board::Board;
use crate::machine::{Machine, Options};
use crate::serial::Serial;
use crate::{Context, Error, Result, deadline};
use figures::{Figures, Init};
use guest::Mark;
use regex_lite::Regex;
use std::path::Path;
use std::time::{Duration, Instant};

/// How much is measured, and how it is shown.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Boots of each init.
    pub boots: usize,
    /// A Markdown table instead of a plain one.
    pub markdown: bool,
}

/// Bytes that the host shell writes to the serial port.
const SERIAL_BYTES: usize = 128 * 1024;
/// No round begins that would end after this, going by the longest so far: a slow board has fewer boots.
const BUDGET: Duration = Duration::from_secs(270);
/// How many containers the memory of PID 1 is read with.
const CONTAINERS: u32 = 16;

/// Measures `board` and prints the table.
///
/// # Errors
/// The board is not built, or neither init comes up; a figure that can't be had is no error.
pub fn run(root: &Path, board: &Board, plan: Plan) -> Result<i32> {
    let start = Instant::now();
    let mut bench = Bench { board, figures: Figures::default(), kernel: String::new() };
    let folder = guest::prepare(root, board)?;
    guest::sizes(&board.folder(root), &mut bench.figures)?;
    let before = load();
    let (mut done, mut rounds, mut longest) = (0, 0, Duration::ZERO);
    for round in 0..plan.boots {
        if start.elapsed() + longest > BUDGET {
            eprintln!("pouch: bench: {} rounds would take too long here: it stays at {rounds}", plan.boots);
            break;
        }
        let begun = Instant::now();
        bench.figures.round = round;
        // Who goes first changes, so that neither is always the one after the other.
        let order = if round % 2 == 0 { [Init::Pouch, Init::Busybox] } else { [Init::Busybox, Init::Pouch] };
        for init in order {
            done += 1;
            eprintln!(
                "pouch: bench: boot {done} of {}: {} ({} s so far)",
                2 * plan.boots,
                init.name(),
                start.elapsed().as_secs()
            );
            if let Err(error) = bench.boot(&folder, init) {
                eprintln!("pouch: bench: {}: {error}", init.name());
                bench.figures.missing(init, "boot", error.to_string().lines().next().unwrap_or_default());
            }
        }
        rounds += 1;
        longest = longest.max(begun.elapsed());
    }
    if bench.kernel.is_empty() {
        return Err(Error::new(format!("{} came up with neither init", board.name)));
    }
    let accelerator = if kvm() { "KVM" } else { "TCG" };
    let head = format!(
        "{}: QEMU {} ({accelerator}), {} processors, {}, Linux {}; medians [least .. most] of {} boots of each init, turn by turn, ratios of the turns; \
         load of the machine {before} before, {} after; {} s",
        board.name,
        board.machine,
        board.smp,
        board.memory,
        bench.kernel,
        rounds,
        load(),
        start.elapsed().as_secs()
    );
    print!("{}", rows::table(&head, &bench.figures, plan.markdown));
    Ok(0)
}

fn kvm() -> bool {
    std::env::var_os("POUCH_KVM").is_some()
}

/// The machine's load over the last minute: what else it does is in every figure.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_owned()
}

struct Bench<'a> {
    board: &'a Board,
    figures: Figures,
    kernel: String,
}

impl Bench<'_> {
    /// One boot: its way to the prompt, then everything that can be measured there.
    fn boot(&mut self, folder: &Path, init: Init) -> Result<()> {
        let options = Options { append: guest::words(init), kvm: kvm(), ..Options::default() };
        let started = Instant::now();
        let mut machine = Machine::start(self.board, folder, &options)?;
        let mut serial = Serial::new(self.board.name.clone(), machine.take_serial(self.board.console_serial)?)?;
        serial.reach_prompt()?;
        // At once, and in one piece: what the kernel's log says of it is the moment somebody could work.
        serial.send(b"echo '<7>bench: typed' >/dev/kmsg\r")?;
        self.figures.add(init, "wall", started.elapsed().as_secs_f64());
        serial.expect("\n")?.prompt()?;
        self.kernel = serial.run("uname -r")?;
        self.way_to_the_prompt(&mut serial, init)?;
        self.memory(&mut serial, init, "idle")?;
        if init == Init::Pouch {
            self.containers(&mut serial)?;
        }
        let heavy = |serial: &mut Serial, step: &str| {
            serial.run_within(deadline::HEAVY, &format!("sh /bench/guest {step}")).map(drop)
        };
        heavy(&mut serial, "orphans")?;
        if init == Init::Pouch {
            heavy(&mut serial, "containers")?;
            heavy(&mut serial, "output")?;
        }
        self.loops(&mut serial, init)?;
        self.serial_port(&mut serial, init)
    }

    fn way_to_the_prompt(&mut self, serial: &mut Serial, init: Init) -> Result<()> {
        let marks = guest::marks(serial)?;
        let at = |wanted: fn(&str) -> bool| marks.iter().find(|mark| wanted(&mark.text)).map(|mark| mark.at);
        let Some(handover) = at(|text| text.ends_with("as init process")) else {
            self.figures.missing(init, "shell", "the kernel's log has no hand-over");
            return Ok(());
        };
        self.figures.add(init, "kernel", handover);
        for (key, moment) in
            [("shell", at(|text| text == "bench: shell")), ("typed", at(|text| text == "bench: typed"))]
        {
            match moment {
                Some(moment) => self.figures.add(init, key, moment - handover),
                None => self.figures.missing(init, key, "no mark in the kernel's log"),
            }
        }
        Ok(())
    }

    /// PID 1 as it stands, by the names of /proc/1/status and of /proc/1/smaps_rollup, which counts page by page.
    fn memory(&mut self, serial: &mut Serial, init: Init, when: &str) -> Result<()> {
        let shown = serial.run("cat /proc/1/status /proc/1/smaps_rollup")?;
        let field = |name: &str| -> Option<f64> {
            let line = shown.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            let number: f64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
            Some(number * 1024.0)
        };
        let private = field("Private_Clean").zip(field("Private_Dirty")).map(|(clean, dirty)| clean + dirty);
        let found =
            ["VmRSS", "RssAnon", "RssFile", "RssShmem", "Rss", "Pss", "Anonymous"].map(|name| (name, field(name)));
        for (name, value) in found.into_iter().chain([("Private", private)]) {
            let key = format!("{when}.{name}");
            match value {
                Some(value) => self.figures.add(init, &key, value),
                None => self.figures.missing(init, &key, "/proc/1 does not say"),
            }
        }
        Ok(())
    }

    /// PID 1 with containers that sleep, and with ones whose rings are full.
    fn containers(&mut self, serial: &mut Serial) -> Result<()> {
        for step in ["hold", "full"] {
            serial.run_within(deadline::HEAVY, &format!("sh /bench/guest {step} {CONTAINERS}"))?;
            self.memory(serial, Init::Pouch, step)?;
            serial.run_within(deadline::HEAVY, &format!("sh /bench/guest drop {CONTAINERS}"))?;
            for name in ["VmRSS", "Rss"] {
                let now = |when: &str| self.figures.now(Init::Pouch, &format!("{when}.{name}"));
                if let Some((with, without)) = now(step).zip(now("idle")) {
                    let each = (with - without) / f64::from(CONTAINERS);
                    self.figures.add(Init::Pouch, &format!("{step}.each.{name}"), each);
                }
            }
        }
        Ok(())
    }

    /// What the timed loops of the guest left in the log: seconds a turn, over all blocks of this boot.
    fn loops(&mut self, serial: &mut Serial, init: Init) -> Result<()> {
        for (name, outcome) in guest::loops(&guest::marks(serial)?) {
            match outcome {
                Ok(seconds) => self.figures.add(init, &name, seconds),
                Err(reason) => self.figures.missing(init, &name, &reason),
            }
        }
        Ok(())
    }

    /// Bytes a second from a program on the host's shell to the serial port, by the workstation's clock.
    fn serial_port(&mut self, serial: &mut Serial, init: Init) -> Result<()> {
        serial.run(&format!("yes 'a line of text for the serial port' | head -c {SERIAL_BYTES} >/tmp/text"))?;
        let start = Instant::now();
        let shown = serial.run_within(deadline::HEAVY, "cat /tmp/text")?;
        let seconds = start.elapsed().as_secs_f64();
        // pouch says what a line lost; a gap that nobody announced shows in the length. The last line may be cut and
        // then ends in the prompt.
        let announced: usize = Regex::new(r"\[(\d+) bytes lost\]")
            .map_err(|error| Error::new(error.to_string()))?
            .captures_iter(&shown)
            .filter_map(|found| found.get(1)?.as_str().parse::<usize>().ok())
            .sum();
        let lost = announced.max(SERIAL_BYTES.saturating_sub(shown.len() + 64)).min(SERIAL_BYTES);
        self.figures.add(init, "serial", guest::count(SERIAL_BYTES - lost) / seconds);
        self.figures.add(init, "serial.lost", guest::count(lost));
        Ok(())
    }
}

impl Plan {
    /// What the command line asks for: `--boots N` (5) and `--markdown`.
    ///
    /// # Errors
    /// A word that is neither.
    pub fn from_arguments(mut rest: &[String]) -> Result<Self> {
        let mut plan = Self { boots: 5, markdown: false };
        loop {
            match rest {
                [] => return Ok(plan),
                [option, more @ ..] if option == "--markdown" => (plan.markdown, rest) = (true, more),
                [option, number, more @ ..] if option == "--boots" => {
                    plan.boots = number.parse().context(|| format!("--boots {number}"))?;
                    rest = more;
                }
                [other, ..] => return Err(Error::new(format!("bench takes --boots N and --markdown, not '{other}'"))),
            }
        }
    }
}

impl Mark {
    /// A line of the kernel's log: `[    1.234567] text`.
    fn parse(line: &str) -> Option<Self> {
        let (time, text) = line.trim().strip_prefix('[')?.split_once("] ")?;
        Some(Self { at: time.trim().parse().ok()?, text: text.trim().to_owned() })
    }
}
