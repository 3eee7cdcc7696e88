//! Console: bytes from a container to whoever looks

use super::figures::{Figures, Init};
use super::report::{Report, Unit};
use super::rows::{INIT, Row, table};
use super::size::count;
use super::{Bench, guest};
use crate::serial::Serial;
use crate::{Error, Result, deadline};
use regex_lite::Regex;
use std::time::Instant;

/// Bytes that the host shell writes to the serial port.
const SERIAL_BYTES: usize = 128 * 1024;

const ROWS: [Row; 4] = [
    Row("1 MiB, container to its ring (1)", Unit::Time, "ring", Some((Init::Pouch, "pipe", "cat | cat"))),
    Row("1 MiB, container to its terminal tty2 (1)", Unit::Time, "vt", None),
    Row("host shell to serial port (2)", Unit::Rate, "serial", Some((Init::Busybox, "serial", INIT))),
    Row("bytes that the serial port lost (2)", Unit::Size, "serial.lost", Some((Init::Busybox, "serial.lost", INIT))),
];

const NOTES: [&str; 2] = [
    "`pouch start big /srv/web --tty none -- /bin/cat FILE` to `STATE: ended`, start included; `cat FILE | cat` of the \
     shell makes the same copies without a container.",
    "`cat` of 128 KiB, what of it came by the workstation's clock; QEMU's emulated port is the narrow place. What pouch \
     lost, it announced on the line.",
];

pub(super) fn measure(bench: &mut Bench) -> Result<Report> {
    let mut figures = Figures::default();
    bench.turns(&[Init::Pouch, Init::Busybox], &mut figures, |guest, init, figures| {
        if init == Init::Pouch {
            guest::step(&mut guest.serial, "output")?;
            guest::loop_figures(&mut guest.serial, init, figures)?;
        }
        serial_port(&mut guest.serial, init, figures)
    })?;
    let mut report = Report::new("Console");
    report.tables.push(table("", &ROWS, &figures));
    report.notes.extend(NOTES.map(str::to_owned));
    Ok(report)
}

/// Bytes a second from a program on the host's shell to the serial port, by the workstation's clock.
fn serial_port(serial: &mut Serial, init: Init, figures: &mut Figures) -> Result<()> {
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
    figures.add(init, "serial", count(SERIAL_BYTES - lost) / seconds);
    figures.add(init, "serial.lost", count(lost));
    Ok(())
}
