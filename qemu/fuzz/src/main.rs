//! libFuzzer's entry: the target that POUCH_FUZZ names
//!
//! One binary for all targets, so that the parsers are instrumented once.

#![no_main]

use libfuzzer_sys as _; // its main and its runtime

mod targets;

use std::sync::OnceLock;

static TARGET: OnceLock<targets::Target> = OnceLock::new();

/// Called by libfuzzer-sys for each input.
///
/// # Safety
/// libFuzzer hands over `len` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rust_fuzzer_test_input(data: *const u8, len: usize) -> i32 {
    // SAFETY: libFuzzer's contract; with no bytes its pointer may be dangling, never null.
    let data = if len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(data, len) } };
    TARGET.get_or_init(chosen)(data);
    0
}

fn chosen() -> targets::Target {
    let wanted = std::env::var("POUCH_FUZZ").unwrap_or_default();
    for (name, target) in targets::TARGETS {
        if *name == wanted {
            return *target;
        }
    }
    eprintln!("fuzz: POUCH_FUZZ names no target: {wanted}");
    std::process::exit(2)
}
