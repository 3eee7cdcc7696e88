//! The table's rows, and how they become text
//!
//! A row is a figure of ours and, where there is a peer, the peer's; the ratio is made turn by turn.

use super::figures::{Figures, Init, Summary};
use std::fmt::Write as _;

/// What a figure is counted in.
#[derive(Clone, Copy)]
enum Unit {
    /// Bytes, shown as KiB.
    Size,
    /// The same by a count that lags: no ratio is made of it.
    Lagging,
    /// Seconds, shown as milliseconds.
    Time,
    /// Bytes a second, shown as KiB/s.
    Rate,
}

use Init::{Busybox, Pouch};
use Unit::{Lagging, Rate, Size, Time};

/// What was measured, its unit, its name in the boots of pouch, and the peer: whose boots, its name there, its words.
struct Row(&'static str, Unit, &'static str, Option<(Init, &'static str, &'static str)>);

const INIT: &str = "busybox init";

const ROWS: [Row; 31] = [
    Row("binary", Size, "size", Some((Busybox, "size", "busybox"))),
    Row("binary, gzipped alone", Size, "packed", Some((Busybox, "packed", "busybox"))),
    Row("packed image, all in it", Size, "image", None),
    Row("kernel's start to its hand-over (1)", Time, "kernel", Some((Busybox, "kernel", INIT))),
    Row("hand-over to the shell's first line (1)", Time, "shell", Some((Busybox, "shell", INIT))),
    Row("hand-over to the first typed command (1)", Time, "typed", Some((Busybox, "typed", INIT))),
    Row("QEMU's start to the prompt", Time, "wall", Some((Busybox, "wall", INIT))),
    Row("start a container, to its return (2)", Time, "start", Some((Pouch, "unshare", "unshare + chroot (2)"))),
    Row("run a container, to its end (2)", Time, "run", Some((Pouch, "unshare", "unshare + chroot (2)"))),
    Row("chroot alone: what any command costs (2)", Time, "chroot", None),
    Row("destroy an ended container", Time, "destroy", None),
    Row("destroy a running container", Time, "stop", None),
    Row("PID 1 idle: VmRSS (3)", Lagging, "idle.VmRSS", Some((Busybox, "idle.VmRSS", INIT))),
    Row("PID 1 idle: RssAnon", Lagging, "idle.RssAnon", Some((Busybox, "idle.RssAnon", INIT))),
    Row("PID 1 idle: RssFile", Lagging, "idle.RssFile", Some((Busybox, "idle.RssFile", INIT))),
    Row("PID 1 idle: RssShmem", Lagging, "idle.RssShmem", Some((Busybox, "idle.RssShmem", INIT))),
    Row("PID 1 idle: Rss, page by page", Size, "idle.Rss", Some((Busybox, "idle.Rss", INIT))),
    Row("PID 1 idle: anonymous, page by page", Size, "idle.Anonymous", Some((Busybox, "idle.Anonymous", INIT))),
    Row("PID 1 idle: Pss", Size, "idle.Pss", Some((Busybox, "idle.Pss", INIT))),
    Row("PID 1 idle: Private", Size, "idle.Private", Some((Busybox, "idle.Private", INIT))),
    Row("PID 1 with 16 containers: VmRSS", Lagging, "hold.VmRSS", None),
    Row("PID 1 with 16 containers: Rss, page by page", Size, "hold.Rss", None),
    Row("for each of the 16: VmRSS", Lagging, "hold.each.VmRSS", None),
    Row("for each of the 16: Rss", Size, "hold.each.Rss", None),
    Row("PID 1 with 16 full rings: Rss", Size, "full.Rss", None),
    Row("for each of the 16, ring full: Rss", Size, "full.each.Rss", None),
    Row("2000 orphans made, dead and reaped (4)", Time, "orphans", Some((Busybox, "orphans", INIT))),
    Row("1 MiB, container to its ring (5)", Time, "ring", Some((Pouch, "pipe", "cat | cat"))),
    Row("1 MiB, container to its terminal tty2 (5)", Time, "vt", None),
    Row("host shell to serial port (6)", Rate, "serial", Some((Busybox, "serial", INIT))),
    Row("bytes that the serial port lost (6)", Size, "serial.lost", Some((Busybox, "serial.lost", INIT))),
];

const NOTES: [&str; 6] = [
    "The kernel's log has both ends: its own line at the hand-over, then a line that /etc/profile of the login shell \
     writes before its prompt, and one that is typed the moment the prompt is seen, which has the workstation's answer \
     in it. Up to the hand-over both are the same: what differs there is noise. busybox's inittab mounts the same eight file systems by two `mount -a`, sets the host's name and has one shell; pouch also \
     opens every other line, the cgroups and its socket.",
    "In three blocks of ten a boot, turn by turn, a block's whole time divided by ten; nothing is subtracted, the shell's \
     fork and exec of the command are in it. `pouch start NAME /srv/web --tty none -- /bin/true` returns when the \
     contained program runs; it has namespaces mount, uts, ipc, net, pid, cgroup, a cgroup, pivot_root, /proc, /dev, \
     masks and capabilities. `unshare -m -u -i -n -p -f chroot /srv/web /bin/true` of busybox returns when it has ended, \
     and has five namespaces and a chroot, nothing else. What any command costs: `chroot /srv/web /bin/true`.",
    "VmRSS, RssAnon, RssFile and RssShmem by /proc/1/status, whose counts lag by up to 64 pages a kind, more than a small \
     program has, so no ratio is made of them; the others by /proc/1/smaps_rollup, which walks the pages. An initramfs is shared memory: a program's text on it counts as RssShmem.",
    "`probe orphans 2000`, 250 dying at once, until /proc/loadavg has no more processes than before (and ten).",
    "`pouch start big /srv/web --tty none -- /bin/cat FILE` to `STATE: ended`, start included; `cat FILE | cat` of the \
     shell makes the same copies without a container.",
    "`cat` of 128 KiB, what of it came by the workstation's clock; QEMU's emulated port is the narrow place. What pouch \
     lost, it announced on the line.",
];

impl Unit {
    fn show(self, summary: &Summary) -> String {
        let (scale, name) = match self {
            Size | Lagging => (1.0 / 1024.0, " KiB"),
            Time => (1000.0, " ms"),
            Rate => (1.0 / 1024.0, " KiB/s"),
        };
        spread(summary, scale, name)
    }
}

/// The median, and behind it how far the figures lie apart.
fn spread(summary: &Summary, scale: f64, unit: &str) -> String {
    let [median, least, most] = [summary.median, summary.least, summary.most].map(|value| number(value * scale));
    if least == most { format!("{median}{unit}") } else { format!("{median}{unit} [{least} .. {most}]") }
}

/// Three digits that say something.
fn number(value: f64) -> String {
    let places = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.places$}")
}

fn cells(row: &Row, figures: &Figures) -> [String; 4] {
    let Row(what, unit, name, peer) = row;
    let show = |found: &Result<Summary, String>| match found {
        Ok(summary) => unit.show(summary),
        Err(reason) => format!("not measured: {reason}"),
    };
    let (mut against, mut ratio) = (String::new(), String::new());
    if let Some((init, other, words)) = peer {
        against = format!("{words}: {}", show(&figures.summary(*init, other)));
        if !matches!(unit, Lagging)
            && let Some(found) = figures.ratio((Pouch, name), (*init, other))
        {
            ratio = spread(&found, 1.0, "");
        }
    }
    [(*what).to_owned(), show(&figures.summary(Pouch, name)), against, ratio]
}

/// The whole: head, rows, notes.
pub(super) fn table(head: &str, figures: &Figures, markdown: bool) -> String {
    let titles = ["measure", "pouch", "against", "ratio"].map(str::to_owned);
    let rows: Vec<[String; 4]> = std::iter::once(titles).chain(ROWS.iter().map(|row| cells(row, figures))).collect();
    let mut text = format!("{head}\n\n");
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    for (at, [what, ours, against, ratio]) in rows.iter().enumerate() {
        let [first, second, third] = widths;
        let line = if markdown {
            format!("| {what} | {ours} | {} | {ratio} |", against.replace('|', "\\|"))
        } else {
            format!("{what:first$}  {ours:second$}  {against:third$}  {ratio}").trim_end().to_owned()
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{line}");
        if markdown && at == 0 {
            let _ = writeln!(text, "|---|---|---|---|");
        }
    }
    text.push('\n');
    for (at, note) in (1..).zip(NOTES) {
        let _ = if markdown { writeln!(text, "{at}. {note}") } else { writeln!(text, "({at}) {note}") };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_without_a_figure_says_so_by_name() {
        let mut figures = Figures::default();
        figures.add(Pouch, "size", 2048.0);
        figures.add(Busybox, "size", 4096.0);
        figures.missing(Pouch, "run", "status 2");
        let text = table("head", &figures, true);
        assert!(text.contains("| binary | 2.00 KiB | busybox: 4.00 KiB | 0.50 |"), "{text}");
        assert!(text.contains("| run a container, to its end (2) | not measured: status 2 |"), "{text}");
    }
}
