//! The log: /dev/kmsg, where a serial cable and `dmesg` find it.

use core::fmt::Write;

use heapless::String;
use log::{Level, LevelFilter, Log, Metadata, Record};
use rustix::fs::{Mode, OFlags};

/// The longest record; the kernel takes 992 bytes at most.
const LONGEST: usize = 512;

struct Kmsg;

static KMSG: Kmsg = Kmsg;

impl Log for Kmsg {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // syslog's daemon facility (3 << 3) and the level.
        let priority = match record.level() {
            Level::Error => "<27>",
            Level::Warn => "<28>",
            Level::Info => "<30>",
            Level::Debug | Level::Trace => "<31>",
        };
        let mut line: String<LONGEST> = String::new();
        // A record that is too long is cut: the rest of it would say no more.
        let _ = write!(line, "{priority}pouch: {}", record.args());
        // Opened each time: records are rare, and no descriptor is to be kept over re-execution.
        if let Ok(fd) = rustix::fs::open(
            c"/dev/kmsg",
            OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY,
            Mode::empty(),
        ) {
            let _ = rustix::io::write(&fd, line.as_bytes());
        }
    }

    fn flush(&self) {}
}

/// From here on records go to the kernel's log.
pub(super) fn start() {
    // The kernel lets ten records in five seconds through, unless told otherwise.
    super::boot::write_file(c"/proc/sys/kernel/printk_devkmsg", b"on\n");
    if log::set_logger(&KMSG).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}
