//! The panic path: say it once, then re-execute (PID 1) or exit (a command).

use core::panic::PanicInfo;

/// What the compiler's checks end in. No formatting: the place alone is said.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let (file, line) = info.location().map_or(("?", 0), |l| (l.file(), l.line()));
    pouch::init::crash::panicked(file, line)
}
