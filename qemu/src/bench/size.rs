//! Size: what lies in flash

use super::figures::{Figures, Init};
use super::report::{Report, Unit};
use super::rows::{Row, table};
use super::{Bench, guest};
use crate::{Context, Result};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;

const ROWS: [Row; 3] = [
    Row("binary", Unit::Size, "size", Some((Init::Busybox, "size", "busybox"))),
    Row("binary, gzipped alone", Unit::Size, "packed", Some((Init::Busybox, "packed", "busybox"))),
    Row("packed image, all in it", Unit::Size, "image", None),
];

pub(super) fn measure(bench: &mut Bench) -> Result<Report> {
    let mut figures = Figures::default();
    sizes(&bench.board.folder(bench.root), &mut figures)?;
    let mut report = Report::new("Size");
    report.tables.push(table("", &ROWS, &figures));
    Ok(report)
}

/// What lies in flash: pouch and busybox as they stand in the board's own image, alone and packed.
fn sizes(built: &Path, figures: &mut Figures) -> Result<()> {
    let packed = guest::read(&built.join("initramfs.cpio.gz"))?;
    figures.add(Init::Pouch, "image", count(packed.len()));
    let files = programs(&packed)?;
    for (init, name) in [(Init::Pouch, "init"), (Init::Busybox, "bin/busybox")] {
        match files.get(name) {
            Some(bytes) => {
                figures.add(init, "size", count(bytes.len()));
                figures.add(init, "packed", count(gzipped(bytes)?));
            }
            None => figures.missing(init, "size", &format!("no {name} in the image")),
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "sizes of files are far below 2^52")]
pub(super) fn count(bytes: usize) -> f64 {
    bytes as f64
}

fn gzipped(bytes: &[u8]) -> Result<usize> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    packed.write_all(bytes)?;
    Ok(packed.finish()?.len())
}

/// The image's files by their names, hard links with the bytes they share.
fn programs(packed: &[u8]) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes).context(|| "unable to unpack the image")?;
    let (mut rest, mut names, mut data) = (bytes.as_slice(), Vec::new(), BTreeMap::new());
    loop {
        let mut reader = ::cpio::NewcReader::new(rest)?;
        if reader.entry().is_trailer() {
            break;
        }
        let (inode, mut content) = (reader.entry().ino(), Vec::new());
        names.push((reader.entry().name().to_owned(), inode));
        reader.read_to_end(&mut content)?;
        rest = reader.finish()?;
        if !content.is_empty() {
            data.insert(inode, content);
        }
    }
    Ok(names.into_iter().filter_map(|(name, inode)| Some((name, data.get(&inode)?.clone()))).collect())
}
