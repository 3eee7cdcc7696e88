//! The log: /dev/kmsg, where a serial cable and `dmesg` find it.

use core::fmt::{self, Write};

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::files;
use crate::format::text::Text;

/// The longest record; the kernel takes 992 bytes at most.
const LONGEST: usize = 512;

struct Kmsg;

static KMSG: Kmsg = Kmsg;

/// The line of one record.
struct Entry(Text<LONGEST>);

impl Write for Entry {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // A record that is too long is cut: the rest of it would say no more.
        let Ok(()) = ufmt::uWrite::write_str(&mut self.0, text);
        Ok(())
    }
}

impl Log for Kmsg {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        let mut line = Entry(Text::new());
        // syslog's daemon facility (3 << 3) and the level.
        let _ = line.write_str(match record.level() {
            Level::Error => "<27>pouch: ",
            Level::Warn => "<28>pouch: ",
            Level::Info => "<30>pouch: ",
            Level::Debug | Level::Trace => "<31>pouch: ",
        });
        let _ = fmt::write(&mut line, *record.args());
        // Without its end the kernel keeps a record open for more.
        let _ = line.write_str("\n");
        // Opened each time: records are rare, and no descriptor is to be kept over re-execution.
        files::write_file(c"/dev/kmsg", line.0.as_str().as_bytes());
    }

    fn flush(&self) {}
}

/// Text without the alignment that `str` brings, which nobody asks for here.
struct Just<'a>(&'a str);

impl fmt::Display for Just<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Says something to the log. The one place of PID 1 that calls it.
#[inline(never)]
pub(super) fn note(level: Level, text: &str) {
    log::log!(level, "{}", Just(text));
}

/// From here on records go to the kernel's log.
pub(super) fn start() {
    // The kernel lets ten records in five seconds through, unless told otherwise.
    files::write_file(c"/proc/sys/kernel/printk_devkmsg", b"on\n");
    if log::set_logger(&KMSG).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}
