//! The log: /dev/kmsg, where a serial cable and `dmesg` find it.

use log::{Level, LevelFilter, Log, Metadata, Record};
use rustix::fs::OFlags;

use super::files;
use crate::format::text::{Text, put};
use crate::sys::file::Lasting;

/// The longest record; the kernel takes 992 bytes at most.
const LONGEST: usize = 512;

struct Kmsg;

static KMSG: Kmsg = Kmsg;

impl Log for Kmsg {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        let mut line = Text::<LONGEST>::new();
        // syslog's daemon facility (3 << 3) and the level.
        let level = match record.level() {
            Level::Error => 27u8,
            Level::Warn => 28,
            Level::Info => 30,
            Level::Debug | Level::Trace => 31,
        };
        // A record that is too long is cut: the rest of it would say no more. Without its
        // end the kernel keeps it open for more.
        put!(&mut line, "<{}>pouch: {}\n", level, record.target());
        // Opened once, since opening costs the kernel more than the record; the next image of PID 1 closes it, as
        // every descriptor that it does not know.
        static LOG: Lasting = Lasting::closed();
        let open = || files::open(c"/dev/kmsg", OFlags::WRONLY | OFlags::NONBLOCK);
        if let Ok(log) = LOG.get(open) {
            let _ = rustix::io::write(log, line.as_bytes());
        }
    }

    fn flush(&self) {}
}

/// Says something to the log. The one place of PID 1 that calls it: the sentence is the
/// record's target, since its arguments can be read by core::fmt alone, for a kilobyte.
#[inline(never)]
pub(super) fn note(level: Level, text: &str) {
    if level <= log::max_level() {
        let mut record = Record::builder();
        log::logger().log(&record.level(level).target(text).build());
    }
}

/// From here on records go to the kernel's log.
pub(super) fn start() {
    // The kernel lets ten records in five seconds through, unless told otherwise.
    files::write_file(c"/proc/sys/kernel/printk_devkmsg", b"on\n");
    if log::set_logger(&KMSG).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}
