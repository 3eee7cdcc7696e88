//! Figures side by side: pouch and its peers on one kernel, one root, in one run
//!
//! A bench has parts, each a module here with `measure(&mut Bench) -> Result<Report>`. What is compared takes turns,
//! so that what the machine does beside it hits both; a time inside the guest is the guest's own clock. Nothing is
//! asserted; what could not be measured is named with its reason.
//!
//! - [`report`] what a part found, as values, and how they become text
//! - [`rows`] tables of ours against a peer's, from [`figures`]
//! - [`guest`] what is in the guest for the measurements, and what it leaves in the kernel's log
//! - [`publish`], [`draw`] tables and pictures of `--write`
//! - [`trace`] the kernel's trace of a launch, step by step
//! - [`peers`] Debian's programs on a disk of their own
//! - [`inits`] Debian's inits in an image of their own

mod boot;
mod console;
mod draw;
mod figures;
mod guest;
mod idle;
mod inits;
mod memory;
mod peers;
mod publish;
mod reaping;
mod report;
mod rows;
mod scale;
mod size;
mod start;
mod trace;

use crate::board::Board;
use crate::machine::{Machine, Options};
use crate::serial::Serial;
use crate::{Context, Error, Result};
use figures::{Figures, Init};
use peers::Peers;
use report::Report;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What is measured, and how it is shown.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The parts, by name; none is all.
    pub parts: Vec<String>,
    /// Boots of each init, where a part takes turns by boots.
    pub boots: usize,
    /// Markdown tables instead of plain ones.
    pub markdown: bool,
    /// Tables and plots into the README and the documentation.
    pub write: bool,
    /// Where the unpacked packages of the peers lie, for a board that has them.
    pub peers: Option<PathBuf>,
}

/// One part: its name on the command line, its title, and who measures it.
struct Part(&'static str, &'static str, fn(&mut Bench) -> Result<Report>);

const PARTS: [Part; 8] = [
    Part("size", "Size", size::measure),
    Part("start", "Start", start::measure),
    Part("memory", "Memory", memory::measure),
    Part("boot", "Boot", boot::measure),
    Part("reaping", "Reaping", reaping::measure),
    Part("console", "Console", console::measure),
    Part("idle", "Idle", idle::measure),
    Part("scale", "Scale", scale::measure),
];

/// The board whose figures the README shows.
const PUBLISHED: &str = "qemu-x86_64";

/// What one part may take on an idle machine with two cores; all of them together stay below fifteen minutes.
const PART_BUDGET: Duration = Duration::from_secs(105);

/// Measures `board` and prints the tables.
///
/// # Errors
/// The board is not built, or a part is unknown; a figure that can't be had is no error.
pub fn run(root: &Path, board: &Board, plan: Plan) -> Result<i32> {
    let parts: Vec<&Part> =
        PARTS.iter().filter(|part| plan.parts.is_empty() || plan.parts.iter().any(|name| name == part.0)).collect();
    let peers = Peers::find(plan.peers.as_deref(), board);
    let mut bench = Bench {
        root,
        board,
        plan,
        peers,
        folder: guest::prepare(root, board)?,
        kernel: String::new(),
        started: Instant::now(),
        part: String::new(),
        begun: Instant::now(),
    };
    let before = load();
    let mut reports = Vec::new();
    for (at, Part(name, title, measure)) in (1..).zip(&parts) {
        bench.part = format!("part {at} of {}: {name}", parts.len());
        bench.begun = Instant::now();
        bench.say("begins");
        reports.push((
            *name,
            measure(&mut bench).unwrap_or_else(|error| {
                bench.say(&format!("{error}"));
                Report::missing(title, &error.to_string())
            }),
        ));
    }
    let head = format!(
        "{}: QEMU {} ({}), {} processors, {}, Linux {}; medians [least .. most]; load of the machine {before} before, {} after; {} s",
        board.name,
        board.machine,
        if kvm() { "KVM" } else { "TCG" },
        board.smp,
        board.memory,
        if bench.kernel.is_empty() { "not booted" } else { &bench.kernel },
        load(),
        bench.started.elapsed().as_secs()
    );
    println!("{head}\n");
    for (_, report) in &reports {
        print!("{}", report.render(bench.plan.markdown));
    }
    if bench.plan.write {
        if board.name != PUBLISHED {
            return Err(Error::new(format!("the README shows the figures of {PUBLISHED}, not of {}", board.name)));
        }
        let all: Vec<&str> = PARTS.iter().map(|part| part.0).collect();
        publish::write(root, &head, &reports, &all)?;
        bench.say("README.md and qemu/bench are written");
    }
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

/// What the parts share.
pub(crate) struct Bench<'a> {
    /// The project's folder.
    root: &'a Path,
    board: &'a Board,
    plan: Plan,
    /// Debian's programs, or why there are none.
    peers: Result<Peers, String>,
    /// The bench's own image and kernel.
    folder: PathBuf,
    /// The guest's kernel, once one was booted.
    kernel: String,
    started: Instant,
    /// `part i of n: NAME`.
    part: String,
    /// When the part began.
    begun: Instant,
}

/// How a guest is booted.
#[derive(Clone, Debug, Default)]
struct Boot {
    /// Kernel words behind the board's own and the clock's.
    words: String,
    /// Further arguments for QEMU.
    arguments: Vec<String>,
    /// The root is the disk with the peers' programs and all that is in the image.
    disk: bool,
    /// The image is the one that has the other inits in it ([`inits`]).
    inits: bool,
    /// The image is the one whose pouch has larger tables ([`guest::many`]).
    many: bool,
}

/// A booted guest with somebody at its console.
struct Guest {
    serial: Serial,
    /// Its QEMU ends with it.
    #[allow(dead_code, reason = "it is held, and asked by parts that count events")]
    machine: Machine,
    /// Seconds from QEMU's start to the prompt, by the workstation's clock.
    wall: f64,
}

impl Bench<'_> {
    /// A line of progress, with the seconds so far.
    fn say(&self, what: &str) {
        eprintln!("pouch: bench: {}: {what} ({} s so far)", self.part, self.started.elapsed().as_secs());
    }

    /// Boots a guest to its first prompt.
    ///
    /// # Errors
    /// It does not come up; the disk is wanted and the board has no peers.
    fn boot(&mut self, boot: &Boot) -> Result<Guest> {
        let mut options =
            Options { append: format!("printk.time=1 {}", boot.words), arguments: boot.arguments.clone(), kvm: kvm() };
        if boot.disk {
            let peers = self.peers.as_ref().map_err(|reason| Error::new(reason.clone()))?;
            let disk = peers.disk(&self.folder)?;
            options.append.push_str(" pouch.modules=virtio_pci,virtio_blk pouch.root=/dev/vda,ext4");
            // Each boot finds it as it was made.
            let drive = format!("file={},if=none,id=bench,format=raw,snapshot=on", disk.display());
            options.arguments.extend(["-drive", &drive, "-device", "virtio-blk-pci,drive=bench"].map(str::to_owned));
        }
        let folder = match boot {
            Boot { inits: true, .. } => inits::prepare(self)?,
            Boot { many: true, .. } => guest::many(self.root, self.board, &self.folder)?,
            _ => self.folder.clone(),
        };
        let started = Instant::now();
        let mut machine = Machine::start(self.board, &folder, &options)?;
        let mut serial = Serial::new(self.board.name.clone(), machine.take_serial(self.board.console_serial)?)?;
        serial.reach_prompt()?;
        // At once, and in one piece: what the kernel's log says of it is the moment somebody could work.
        serial.send(b"echo '<7>bench: typed' >/dev/kmsg\r")?;
        let wall = started.elapsed().as_secs_f64();
        serial.expect("\n")?.prompt()?;
        self.kernel = serial.run("uname -r")?;
        Ok(Guest { serial, machine, wall })
    }

    /// Boots each of `inits` in turn, as often as the plan says and the part's budget allows; each boot gives one
    /// figure a row. An init that does not come up has that as its reason.
    ///
    /// # Errors
    /// None of them ever came up.
    fn turns(
        &mut self,
        inits: &[Init],
        figures: &mut Figures,
        look: impl FnMut(&mut Guest, Init, &mut Figures) -> Result<()>,
    ) -> Result<()> {
        self.turns_of(&Boot::default(), inits, figures, look)
    }

    /// The same with guests that are booted so.
    fn turns_of(
        &mut self,
        boot: &Boot,
        inits: &[Init],
        figures: &mut Figures,
        mut look: impl FnMut(&mut Guest, Init, &mut Figures) -> Result<()>,
    ) -> Result<()> {
        let mut there = inits.to_vec();
        if let Err(reason) = &self.peers {
            // Without them these are not in the image, and the guest would have no init.
            for absent in there.extract_if(.., |init| init.is_a_peer()) {
                figures.missing(absent, "boot", reason);
            }
        }
        let (mut longest, mut came) = (Duration::ZERO, false);
        for round in 0..self.plan.boots {
            if self.begun.elapsed() + longest > PART_BUDGET {
                self.say(&format!("{} rounds would take too long here: it stays at {round}", self.plan.boots));
                break;
            }
            let begun = Instant::now();
            figures.round = round;
            // Who goes first changes, so that none is always the one after the other.
            let order: Vec<Init> = if round % 2 == 0 { there.clone() } else { there.iter().rev().copied().collect() };
            for init in order {
                self.say(&format!("boot {} of {}, {}", round + 1, self.plan.boots, init.name()));
                let words = format!("{} {}", init.words(), boot.words);
                let boot = Boot { words, ..boot.clone() };
                match self.boot(&boot).and_then(|mut guest| look(&mut guest, init, figures)) {
                    Ok(()) => came = true,
                    Err(error) => {
                        self.say(&format!("{}: {error}", init.name()));
                        figures.missing(init, "boot", error.to_string().lines().next().unwrap_or_default());
                    }
                }
            }
            longest = longest.max(begun.elapsed());
        }
        if came { Ok(()) } else { Err(Error::new(format!("{} came up with none of them", self.board.name))) }
    }
}

impl Plan {
    /// What the command line asks for: `[PART...] [--boots N] [--markdown] [--write] [--peers DIR]`.
    ///
    /// # Errors
    /// A word that is none of them.
    pub fn from_arguments(mut rest: &[String]) -> Result<Self> {
        let mut plan = Self { parts: vec![], boots: 5, markdown: false, write: false, peers: None };
        loop {
            match rest {
                [] => return Ok(plan),
                [option, more @ ..] if option == "--markdown" => (plan.markdown, rest) = (true, more),
                [option, more @ ..] if option == "--write" => (plan.write, rest) = (true, more),
                [option, number, more @ ..] if option == "--boots" => {
                    plan.boots = number.parse().context(|| format!("--boots {number}"))?;
                    rest = more;
                }
                [option, folder, more @ ..] if option == "--peers" => {
                    plan.peers = Some(folder.into());
                    rest = more;
                }
                [part, more @ ..] if PARTS.iter().any(|known| known.0 == part) => {
                    plan.parts.push(part.clone());
                    rest = more;
                }
                [other, ..] => {
                    let names: Vec<&str> = PARTS.iter().map(|part| part.0).collect();
                    return Err(Error::new(format!(
                        "bench takes the parts {}, --boots N, --markdown, --write, not '{other}'",
                        names.join(", ")
                    )));
                }
            }
        }
    }
}
