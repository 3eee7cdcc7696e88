//! Memory: PID 1 idle, and with containers

use super::boot::several;
use super::figures::{Figures, Init, summary};
use super::report::{Cell, Report, Table, Unit};
use super::rows::{Row, table};
use super::{Bench, Boot, guest};
use crate::serial::Serial;
use crate::{Context, Result, deadline};

/// How many containers the memory of PID 1 is read with: as many as its table has.
const CONTAINERS: u32 = 64;
/// They want more than the board has.
const ROOM: [&str; 2] = ["-m", "1G"];

const INITS: [Init; 4] = [Init::Pouch, Init::Busybox, Init::Finit, Init::S6];

const IDLE: [(&str, Unit, &str); 5] = [
    ("idle: resident, page by page (1)", Unit::Size, "idle.Rss"),
    ("idle: private (1)", Unit::Size, "idle.Private"),
    ("idle: anonymous", Unit::Size, "idle.Anonymous"),
    ("idle: VmRSS (1)", Unit::Size, "idle.VmRSS"),
    ("beside PID 1 and the shell: processes that supervise, private (2)", Unit::Size, "beside"),
];

const ROWS: [Row; 6] = [
    Row("with 64 containers: resident", Unit::Size, "hold.Rss", None),
    Row("with 64 containers: private", Unit::Size, "hold.Private", None),
    Row("for each of the 64: resident", Unit::Size, "hold.each.Rss", None),
    Row("with 64 full rings: resident", Unit::Size, "full.Rss", None),
    Row("for each of the 64, ring full: resident", Unit::Size, "full.each.Rss", None),
    Row("processes of the host's beside the 64 contained ones", Unit::Count, "hold.beside", None),
];

const NOTES: [&str; 3] = [
    "By /proc/1/smaps_rollup, which walks the pages. VmRSS of /proc/1/status lags by up to 64 pages a kind, more than a \
     small program has. An initramfs is shared memory: a program's text on it counts as resident and private alike.",
    "s6 has an s6-supervise for each service, here one; pouch, busybox and finit have none.",
    "That process by its smaps_rollup, while the container runs that it stands beside: the same as in the tables of starts, \
     but that it stays. Private has the process's own text in it, which a second one would share; anonymous is what each \
     has again. The kernel's huge pages are off here, so that what was touched is counted. conmon's container is crun's, \
     the shim's is runc's. containerd, one for all containers, starts the shims; here without the part that is for \
     Kubernetes.",
];

pub(super) fn measure(bench: &mut Bench) -> Result<Report> {
    let mut figures = Figures::default();
    let boot = Boot { inits: true, arguments: ROOM.map(str::to_owned).into(), ..Boot::default() };
    bench.turns_of(&boot, &INITS, &mut figures, |guest, init, figures| {
        memory(&mut guest.serial, init, "idle", figures)?;
        beside(&mut guest.serial, init, figures)?;
        if init == Init::Pouch { containers(&mut guest.serial, figures) } else { Ok(()) }
    })?;
    let mut report = Report::new("Memory");
    report.tables.push(several("PID 1", &INITS, &IDLE, &figures));
    report.tables.push(table("PID 1 of pouch", &ROWS, &figures));
    report.tables.push(monitors(bench)?);
    report.notes.extend(NOTES.map(str::to_owned));
    Ok(report)
}

/// What others keep beside each container.
fn monitors(bench: &mut Bench) -> Result<Table> {
    const MONITORS: [(&str, &str); 4] = [
        ("conmon", "conmon, of a container of crun's"),
        ("lxc", "lxc-execute"),
        ("shim", "containerd-shim-runc-v2, of a container of runc's"),
        ("containerd", "containerd, which starts the shims"),
    ];
    let mut table =
        Table::new("What stands beside one container elsewhere (3)", &["process", "private", "of it anonymous"]);
    let said = match &bench.peers {
        Ok(_) => {
            let boot = Boot { disk: true, arguments: ROOM.map(str::to_owned).into(), ..Boot::default() };
            bench.boot(&boot)?.serial.run_within(deadline::HEAVY, "sh /bench/start monitors 1 0")?
        }
        Err(reason) => reason.clone(),
    };
    table.rows.extend(MONITORS.map(|(name, words)| {
        match weighed(&said, name) {
            Ok(sizes) => [Cell::text(words)]
                .into_iter()
                .chain(sizes.map(|size| Cell::of(Unit::Size, summary([size].into_iter()).ok_or_else(String::new))))
                .collect(),
            Err(reason) => vec![Cell::text(words), Cell::Missing(reason), Cell::text("")],
        }
    }));
    table.rows.push(vec![Cell::text("pouch"), Cell::text("no process"), Cell::text("")]);
    Ok(table)
}

/// Private and anonymous bytes of one process, of the guest's line `monitor NAME KIB KIB`; or why there are none.
fn weighed(said: &str, name: &str) -> Result<[f64; 2], String> {
    for line in said.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["monitor", known, private, anonymous] if *known == name => {
                if let (Ok(private), Ok(anonymous)) = (private.parse::<f64>(), anonymous.parse::<f64>()) {
                    return Ok([private, anonymous].map(|kib| kib * 1024.0));
                }
            }
            ["failed", known, reason @ ..] if *known == name => return Err(reason.join(" ")),
            _ => {}
        }
    }
    Err(guest::said(said).to_owned())
}

/// What stands beside PID 1 to watch the one service there is.
fn beside(serial: &mut Serial, init: Init, figures: &mut Figures) -> Result<()> {
    let shown = serial.run("for p in $(pidof s6-supervise); do cat /proc/$p/smaps_rollup; done | grep Private")?;
    let sum: f64 = shown
        .lines()
        .filter_map(|line| line.split_once(':')?.1.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok())
        // The sum of none is -0.
        .fold(0.0, |sum, size| sum + size);
    figures.add(init, "beside", sum * 1024.0);
    Ok(())
}

/// PID 1 as it stands, by the names of /proc/1/status and of /proc/1/smaps_rollup, which counts page by page.
pub(super) fn memory(serial: &mut Serial, init: Init, when: &str, figures: &mut Figures) -> Result<()> {
    let shown = serial.run("cat /proc/1/status /proc/1/smaps_rollup")?;
    let field = |name: &str| -> Option<f64> {
        let line = shown.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let number: f64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
        Some(number * 1024.0)
    };
    let private = field("Private_Clean").zip(field("Private_Dirty")).map(|(clean, dirty)| clean + dirty);
    let found = ["VmRSS", "RssAnon", "RssFile", "RssShmem", "Rss", "Pss", "Anonymous"].map(|name| (name, field(name)));
    for (name, value) in found.into_iter().chain([("Private", private)]) {
        let key = format!("{when}.{name}");
        match value {
            Some(value) => figures.add(init, &key, value),
            None => figures.missing(init, &key, "/proc/1 does not say"),
        }
    }
    Ok(())
}

/// PID 1 with containers that sleep, and with ones whose rings are full.
fn containers(serial: &mut Serial, figures: &mut Figures) -> Result<()> {
    for step in ["hold", "full"] {
        let before = processes(serial)?;
        serial.run_within(deadline::HEAVY, &format!("sh /bench/guest {step} {CONTAINERS}"))?;
        memory(serial, Init::Pouch, step, figures)?;
        let beside = processes(serial)? - before - f64::from(CONTAINERS);
        figures.add(Init::Pouch, &format!("{step}.beside"), beside);
        guest::step(serial, &format!("drop {CONTAINERS}"))?;
        for name in ["VmRSS", "Rss"] {
            let now = |when: &str| figures.now(Init::Pouch, &format!("{when}.{name}"));
            if let Some((with, without)) = now(step).zip(now("idle")) {
                let each = (with - without) / f64::from(CONTAINERS);
                figures.add(Init::Pouch, &format!("{step}.each.{name}"), each);
            }
        }
    }
    Ok(())
}

/// How many processes there are with a program of their own: the kernel's have none.
fn processes(serial: &mut Serial) -> Result<f64> {
    let shown = serial.run("cat /proc/[0-9]*/statm 2>/dev/null | grep -vc '^0 '")?;
    shown.trim().parse().context(|| format!("{shown}: no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_two_sizes_or_a_reason() {
        let said = "monitor conmon 8 4\r\nfailed containerd no such file\nmonitor shim  \n";
        assert_eq!(weighed(said, "conmon"), Ok([8192.0, 4096.0]));
        assert_eq!(weighed(said, "containerd"), Err("no such file".to_owned()));
        assert_eq!(weighed("\nsh: no such file\n", "lxc"), Err("sh: no such file".to_owned()));
    }
}
