//! What is in the guest for the measurements, and what it leaves in the kernel's log
//!
//! The image is the demo image's own bytes with a second archive behind, which the kernel unpacks over the first:
//! busybox's init under a name it answers to, its inittab, the loops. Nothing of it is in the demo image.

use super::figures::{Figures, Init};
use crate::board::Board;
use crate::cpio::{Archive, Kind};
use crate::serial::Serial;
use crate::{Context, Error, Result, deadline};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A line of the kernel's log: seconds since the kernel's start, and the words.
pub(super) struct Mark {
    pub(super) at: f64,
    pub(super) text: String,
}

/// Makes the bench's image beside the board's own and returns its folder.
pub(super) fn prepare(root: &Path, board: &Board) -> Result<PathBuf> {
    let (built, folder) = (board.folder(root), board.folder(root).join("bench"));
    std::fs::create_dir_all(&folder)?;
    if !built.join("initramfs.cpio.gz").is_file() {
        return Err(Error::new(format!("{} is not built: ./scripts/build {}", board.name, board.name)));
    }
    image_with(&built, &folder, &additions(board, &built)?)?;
    Ok(folder)
}

/// How many containers the tables of the other pouch hold, which `scripts/bench` builds beside the board's own.
pub(super) const MANY: u32 = 1024;

/// Makes the image whose /init is that one, and returns its folder. `folder` is that of the bench's own image.
///
/// # Errors
/// It is not built; the file system's.
pub(super) fn many(root: &Path, board: &Board, folder: &Path) -> Result<PathBuf> {
    let binary = board.folder(root).join(format!("pouch-{MANY}"));
    let binary = read(&binary).context(|| format!("./scripts/bench without POUCH_NO_BUILD makes it, for {MANY}"))?;
    let many = folder.join("many");
    std::fs::create_dir_all(&many)?;
    let mut archive = Archive::new();
    archive.add("init", 0o755, Kind::File(binary))?;
    image_with(folder, &many, &archive)?;
    Ok(many)
}

/// Makes an image in the folder `to` of the one in `from` with an archive behind, which is left beside it as
/// more.cpio.gz; and takes along what it is booted with.
///
/// # Errors
/// There is no image; the file system's.
pub(super) fn image_with(from: &Path, to: &Path, archive: &Archive) -> Result<()> {
    let mut image = read(&from.join("initramfs.cpio.gz"))?;
    let more = to.join("more.cpio.gz");
    archive.write_gzip(&more)?;
    image.extend(read(&more)?);
    crate::image::replace(&to.join("initramfs.cpio.gz"), &image)?;
    for name in ["vmlinuz", "cmdline", "board.dtb"] {
        if from.join(name).is_file() {
            crate::image::replace(&to.join(name), &read(&from.join(name))?)?;
        }
    }
    Ok(())
}

fn additions(board: &Board, built: &Path) -> Result<Archive> {
    let mut archive = Archive::new();
    // The folders are there already; the kernel takes a second mention as the same folder.
    archive.add_folders("bench")?;
    archive.add_folders("etc")?;
    let inittab = format!("::sysinit:/bench/rcS\n{}::respawn:-/bin/sh\n", board.console);
    archive.add("bench/init", 0o777, Kind::Symlink("/bin/busybox".into()))?;
    for (path, mode, text) in [
        ("bench/guest", 0o644, include_str!("guest.sh")),
        ("bench/console", 0o644, include_str!("console.sh")),
        ("bench/start", 0o644, include_str!("start.sh")),
        ("bench/config.json", 0o644, include_str!("config.json")),
        ("bench/lxc.conf", 0o644, include_str!("lxc.conf")),
        ("bench/rcS", 0o755, include_str!("rcS")),
        ("bench/fstab", 0o644, include_str!("fstab.then")),
        ("bench/contain", 0o755, include_str!("contain")),
        ("bench/contain.first", 0o644, include_str!("contain.first")),
        ("bench/contain.then", 0o644, include_str!("contain.then")),
        ("etc/fstab", 0o644, include_str!("fstab.first")),
        ("etc/inittab", 0o644, &inittab),
        // Both start a login shell, which reads this before its first prompt.
        ("etc/profile", 0o644, "echo '<7>bench: shell' >/dev/kmsg\n"),
    ] {
        archive.add(path, mode, Kind::File(text.as_bytes().to_vec()))?;
    }
    archive.add("bench/keys", 0o755, Kind::File(read(&built.join("keys"))?))?;
    archive.add("bench/timer", 0o755, Kind::File(read(&built.join("timer"))?))?;
    // It is C, and there is a compiler for this machine's own processor alone.
    if let Ok(floor) = std::fs::read(built.join("floor")) {
        archive.add("bench/floor", 0o755, Kind::File(floor))?;
        // That of this machine's processor too, which is the guest's.
        let filter = pouch::jail::filter(pouch::format::capability::DEFAULT);
        archive.add("bench/filter", 0o644, Kind::File(filter.iter().flat_map(|one| one.to_le_bytes()).collect()))?;
    }
    Ok(archive)
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).context(|| format!("unable to read {}", path.display()))
}

/// What is in the guest, below `root`: the board's own image, and the bench's archive over it.
///
/// # Errors
/// An archive that can't be read, and the file system's.
pub(super) fn unpack(folder: &Path, root: &Path) -> Result<()> {
    let built = folder.parent().unwrap_or(folder);
    crate::cpio::unpack(&read(&built.join("initramfs.cpio.gz"))?, root)?;
    crate::cpio::unpack(&read(&folder.join("more.cpio.gz"))?, root)
}

impl Mark {
    /// A line of the kernel's log: `[    1.234567] text`.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (time, text) = line.trim().strip_prefix('[')?.split_once("] ")?;
        Some(Self { at: time.trim().parse().ok()?, text: text.trim().to_owned() })
    }
}

/// The bench's lines of the kernel's log, and the kernel's own about its hand-over.
pub(super) fn marks(serial: &mut Serial) -> Result<Vec<Mark>> {
    let shown = serial.run("dmesg | grep -E 'bench: |as init process|pouch: (boot: |start |exec )'")?;
    let marks: Vec<Mark> = shown.lines().filter_map(Mark::parse).collect();
    if marks.is_empty() { Err(Error::new("the kernel's log has no marks")) } else { Ok(marks) }
}

/// Runs one step of the guest's script.
///
/// # Errors
/// It does not end.
pub(super) fn step(serial: &mut Serial, step: &str) -> Result<()> {
    serial.run_within(deadline::HEAVY, &format!("sh /bench/guest {step}")).map(drop)
}

/// What a guest said in place of figures, in one line: its first that has words, for a row's reason.
pub(super) fn said(shown: &str) -> &str {
    shown.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("nothing")
}

/// What the timed loops of the guest left in the log: seconds a turn, over all blocks of this boot.
///
/// # Errors
/// The log can't be read.
pub(super) fn loop_figures(serial: &mut Serial, init: Init, figures: &mut Figures) -> Result<()> {
    for (name, outcome) in loops(&marks(serial)?) {
        match outcome {
            Ok(seconds) => figures.add(init, &name, seconds),
            Err(reason) => figures.missing(init, &name, &reason),
        }
    }
    Ok(())
}

/// Each timed loop's seconds a turn, or why it has none: `NAME begin TURNS` .. `NAME end`, in as many blocks as
/// there are.
fn loops(marks: &[Mark]) -> BTreeMap<String, Result<f64, String>> {
    let mut sums: BTreeMap<String, Result<(f64, f64), String>> = BTreeMap::new();
    let mut begun = None;
    for mark in marks {
        let Some((name, word)) = mark.text.strip_prefix("bench: ").and_then(|text| text.split_once(' ')) else {
            continue;
        };
        if let Some(turns) = word.strip_prefix("begin ").and_then(|turns| turns.parse::<f64>().ok()) {
            begun = Some((mark.at, turns));
        } else if let Some(reason) = word.strip_prefix("failed: ") {
            sums.insert(name.to_owned(), Err(reason.to_owned()));
        } else if word == "end"
            && let Some((start, turns)) = begun.take()
            && let Ok(sum) = sums.entry(name.to_owned()).or_insert(Ok((0.0, 0.0)))
        {
            *sum = (sum.0 + mark.at - start, sum.1 + turns);
        }
    }
    sums.into_iter().map(|(name, sum)| (name, sum.map(|(seconds, turns)| seconds / turns))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lines: &[&str]) -> BTreeMap<String, Result<f64, String>> {
        loops(&lines.iter().map(|line| Mark::parse(line).unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn blocks_of_one_loop_are_one_figure() {
        let found = log(&[
            "[    1.000000] Run /init as init process",
            "[    2.000000] bench: start begin 10",
            "[    3.000000] bench: start end",
            "[    3.500000] bench: other begin 1",
            "[    3.600000] bench: other end",
            "[   12.000000] bench: start begin 10",
            "[   15.000000] bench: start end",
        ]);
        assert!((found["start"].as_ref().unwrap() - 0.2).abs() < 1e-9);
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_reason_is_a_line_with_words() {
        assert_eq!(said("\n  \r\n sh: not found\nmore"), "sh: not found");
        assert_eq!(said("\n"), "nothing");
    }

    #[test]
    fn a_loop_that_failed_has_its_reason_and_no_figure() {
        let found = log(&["[ 2.0] bench: run begin 10", "[ 2.1] bench: run failed: status 2: unknown command: run"]);
        assert_eq!(found["run"], Err("status 2: unknown command: run".to_owned()));
    }
}
