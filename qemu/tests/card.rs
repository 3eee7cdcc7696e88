//! A card image, read back with other people's tools
//!
//! mtools and sfdisk are what a person would look at a card with; a machine without them fails here, it does
//! not skip. `./scripts/test` installs them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use pouch_qemu::card;
use std::path::{Path, PathBuf};
use std::process::Command;

fn sample() -> Vec<(String, Vec<u8>)> {
    vec![
        ("config.txt".to_owned(), b"arm_64bit=1\n".to_vec()),
        ("kernel8.img".to_owned(), (0..300_000u32).flat_map(u32::to_le_bytes).collect()),
        ("initramfs.cpio.gz".to_owned(), vec![7; 70_000]),
    ]
}

struct Image(PathBuf);

impl Image {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pouch-card-{name}-{}", std::process::id()));
        card::write(&path, &sample()).unwrap();
        Self(path)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn tool(program: &str, package: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(arguments).env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin").output();
    let output = output.unwrap_or_else(|error| panic!("{program} (Debian package {package}): {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn partition(path: &Path) -> String {
    format!("{}@@1M", path.display())
}

#[test]
fn sfdisk_sees_one_fat32_partition_that_begins_a_mebibyte_in() {
    let image = Image::new("table");
    let text = String::from_utf8(tool("sfdisk", "fdisk", &["--dump", image.0.to_str().unwrap()])).unwrap();
    let partitions: Vec<&str> = text.lines().filter(|line| line.contains("start=")).collect();
    assert!(
        matches!(partitions.as_slice(), [one] if one.contains("start=        2048") && one.contains("type=c")),
        "{text}"
    );
    tool("sfdisk", "fdisk", &["--verify", image.0.to_str().unwrap()]);
}

#[test]
fn mtools_reads_back_every_file() {
    let image = Image::new("files");
    let listed = String::from_utf8(tool("mdir", "mtools", &["-b", "-i", &partition(&image.0), "::/"])).unwrap();
    for (name, data) in sample() {
        assert!(listed.contains(&name), "{listed}");
        let read = tool("mtype", "mtools", &["-i", &partition(&image.0), &format!("::/{name}")]);
        assert!(read == data, "{name} came back different");
    }
}

#[test]
fn the_same_files_give_the_same_bytes() {
    let (one, other) = (Image::new("one"), Image::new("other"));
    assert!(std::fs::read(&one.0).unwrap() == std::fs::read(&other.0).unwrap());
}
