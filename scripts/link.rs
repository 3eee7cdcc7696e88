//! Build script: how the board binary is linked.
//!
//! No libc, no start files, static, at a fixed address. The arguments go to the
//! binaries alone, so tests and the host crate link as usual. A linker that is called
//! directly (ld.lld, for foreign processors) wants none of a compiler driver's words.

fn main() {
    println!("cargo::rerun-if-changed=scripts/link.rs");
    println!("cargo::rerun-if-changed=scripts/board.ld");
    let direct =
        std::env::var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|f| f.contains("linker-flavor=ld.lld"));
    let words: &[&str] = if direct {
        &[
            "-static",
            "-no-pie",
            "-z",
            "noexecstack",
            "--gc-sections",
            "--build-id=none",
            // Equal functions once, and a string that is another's end with it.
            "--icf=all",
            "-O2",
        ]
    } else {
        &[
            "-nostartfiles",
            "-nostdlib",
            "-static",
            "-no-pie",
            "-Wl,-z,noexecstack,--gc-sections,--build-id=none,--icf=all,-O2,-z,norelro",
        ]
    };
    // A core built from source brings memcpy and its kin (compiler-builtins-mem); the prebuilt one does not.
    println!("cargo::rustc-check-cfg=cfg(pouch_mem)");
    if !direct {
        println!("cargo::rustc-cfg=pouch_mem");
    }
    for word in words {
        println!("cargo::rustc-link-arg-bins={word}");
    }
    // Sections are for those who look into a program; with its symbols they are left in it.
    println!("cargo::rerun-if-env-changed=UNSTRIPPED");
    if std::env::var_os("UNSTRIPPED").is_none() {
        println!(
            "cargo::rustc-link-arg-bins={}",
            if direct {
                "-znosectionheader"
            } else {
                "-Wl,-z,nosectionheader"
            }
        );
    }
    // What unpacks the other lies where that does not, which it puts in its place (src/packed/place.rs).
    println!(
        "cargo::rustc-link-arg-bin=packed={}--image-base=0x4000000",
        if direct { "" } else { "-Wl," }
    );
    // Unwind tables, for which nothing in the binary asks, are a fifth of it.
    let here = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let no_header = if direct {
        "--no-eh-frame-hdr"
    } else {
        "-Wl,--no-eh-frame-hdr"
    };
    println!("cargo::rustc-link-arg-bins={no_header}");
    println!(
        "cargo::rustc-link-arg-bins={}{here}/scripts/board.ld",
        if direct { "-T" } else { "-Wl,-T," }
    );
}
