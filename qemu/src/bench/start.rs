//! Start: from the request to the contained program, and to its end

use super::figures::{Figures, Init};
use super::report::{Report, Unit};
use super::rows::{Row, table};
use super::{Bench, guest};
use crate::Result;

const UNSHARE: Option<(Init, &str, &str)> = Some((Init::Pouch, "unshare", "unshare + chroot (1)"));

const ROWS: [Row; 5] = [
    Row("start a container, to its return (1)", Unit::Time, "start", UNSHARE),
    Row("run a container, to its end (1)", Unit::Time, "run", UNSHARE),
    Row("chroot alone: what any command costs (1)", Unit::Time, "chroot", None),
    Row("destroy an ended container", Unit::Time, "destroy", None),
    Row("destroy a running container", Unit::Time, "stop", None),
];

const NOTES: [&str; 1] = [
    "In three blocks of ten a boot, turn by turn, a block's whole time divided by ten; nothing is subtracted, the shell's \
     fork and exec of the command are in it. `pouch start NAME /srv/web --tty none -- /bin/true` returns when the \
     contained program runs; it has namespaces mount, uts, ipc, net, pid, cgroup, a cgroup, pivot_root, /proc, /dev, \
     masks and capabilities. `unshare -m -u -i -n -p -f chroot /srv/web /bin/true` of busybox returns when it has ended, \
     and has five namespaces and a chroot, nothing else. What any command costs: `chroot /srv/web /bin/true`.",
];

pub(super) fn measure(bench: &mut Bench) -> Result<Report> {
    let mut figures = Figures::default();
    bench.turns(&[Init::Pouch], &mut figures, |guest, init, figures| {
        guest::step(&mut guest.serial, "containers")?;
        guest::loop_figures(&mut guest.serial, init, figures)
    })?;
    let mut report = Report::new("Start");
    report.tables.push(table("", &ROWS, &figures));
    report.notes.extend(NOTES.map(str::to_owned));
    Ok(report)
}
