//! The stored corpus of every parser, replayed
//!
//! What the fuzzer found worth keeping (`./scripts/fuzz --merge`) and what was written by hand runs through the
//! same targets in every test run; no fuzzer is needed for that.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../fuzz/src/targets.rs"]
mod targets;

use pouch_qemu::board::project_root;

#[test]
fn the_stored_corpus_of_every_target_holds() {
    let corpus = project_root().unwrap().join("qemu/tests/corpus");
    for (name, target) in targets::TARGETS {
        let folder = corpus.join(name);
        let mut count = 0;
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.unwrap().path();
            eprintln!("{}", path.display());
            target(&std::fs::read(&path).unwrap());
            count += 1;
        }
        assert!(count > 0, "{name} has a corpus");
        println!("{name}: {count} inputs");
    }
}

#[test]
fn bytes_of_every_length_are_no_trouble() {
    // Any byte alone, and runs of it: what a truncated or flooded parser meets first.
    for (_, target) in targets::TARGETS {
        for byte in 0..=u8::MAX {
            for length in [1, 2, 3, 7, 255, 256, 9000] {
                target(&vec![byte; length]);
            }
        }
    }
}
