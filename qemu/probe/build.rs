//! Build script: static, no libc, no start files, whether by a compiler driver or by ld.lld itself.

fn main() {
    let direct = std::env::var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|flags| flags.contains("linker-flavor=ld.lld"));
    let words: &[&str] = if direct {
        &["-static", "-no-pie", "--gc-sections"]
    } else {
        &["-nostartfiles", "-nostdlib", "-static", "-no-pie", "-Wl,--gc-sections,--build-id=none"]
    };
    for word in words {
        println!("cargo::rustc-link-arg-bins={word}");
    }
}
