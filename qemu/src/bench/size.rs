//! Size: what lies in flash, what it unpacks to, room by room, and what the peers take with their libraries

use super::figures::{Figures, Init, Summary};
use super::peers::Peers;
use super::report::{Cell, Kind, Plot, Report, Table, Unit};
use super::rows::{Row, table};
use super::{Bench, guest};
use crate::{Context, Error, Result};
use object::read::elf::{FileHeader, Sym};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;

const ROWS: [Row; 3] = [
    Row("binary", Unit::Size, "size", Some((Init::Busybox, "size", "busybox"))),
    Row("binary, gzipped alone", Unit::Size, "packed", Some((Init::Busybox, "packed", "busybox"))),
    Row("packed image, all in it", Unit::Size, "image", None),
];

/// What does a part of pouch's work: an init, a reaper, a runtime, what stands beside each container.
const PEERS: [(&str, &str); 12] = [
    ("tini-static", "reaper"),
    ("tini", "reaper"),
    ("catatonit", "reaper"),
    ("dumb-init", "reaper"),
    ("finit", "init"),
    ("s6-svscan", "supervisor"),
    ("bwrap", "sandbox"),
    ("crun", "runtime"),
    ("runc", "runtime"),
    ("lxc-start", "runtime"),
    ("conmon", "one for each container"),
    ("containerd-shim-runc-v2", "one for each container"),
];

/// The rooms of `src/`; a symbol of none of them is a dependency's.
const ROOMS: [&str; 8] = ["format", "policy", "sys", "init", "ctl", "jail", "rt", "packed"];

const NOTES: [&str; 3] = [
    "What a board's flash holds: the packed binary, which unpacks itself once, as PID 1, into memory.",
    "By the symbols of an unstripped link of the same sources (UNSTRIPPED=1), which is inlined as the other one: a \
     function counts for the room whose name it bears. What has no symbol is the linker's: headers, alignment, strings.",
    "The file, and the shared libraries that its loader would load, each whole.",
];

pub(super) fn measure(bench: &mut Bench) -> Result<Report> {
    let mut figures = Figures::default();
    sizes(&bench.board.folder(bench.root), &mut figures)?;
    let mut report = Report::new("Size");
    report.tables.push(table("In the board's image", &ROWS, &figures));
    report.tables.push(processors(bench.root)?);
    report.tables.push(rooms(bench));
    let (peers, plot) = peers(bench, &figures);
    report.tables.push(peers);
    report.plots.push(plot);
    report.notes.extend(NOTES.map(str::to_owned));
    Ok(report)
}

fn size(bytes: usize) -> Cell {
    Cell::of(Unit::Size, Ok(one(bytes)))
}

fn one(bytes: usize) -> Summary {
    let value = count(bytes);
    Summary { median: value, least: value, most: value, count: 1 }
}

/// A row for each board that was built: its packed binary, and what it unpacks to.
fn processors(root: &Path) -> Result<Table> {
    let mut table =
        Table::new("The binary of each processor (1)", &["board", "packed", "unpacked", "packed of unpacked"]);
    let mut boards: Vec<_> = std::fs::read_dir(root.join("board"))?
        .filter_map(|entry| entry.ok().map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .filter(|name| root.join("board").join(name).join("board.conf").is_file())
        .collect();
    boards.sort();
    for name in boards {
        let built = root.join("target/boards").join(&name);
        let row = match (std::fs::metadata(built.join("pouch")), std::fs::read(built.join("payload"))) {
            (Ok(packed), Ok(payload)) => {
                let packed = usize::try_from(packed.len()).unwrap_or(0);
                // The payload begins with the size of what is packed.
                let whole = payload.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize);
                let ratio = count(packed) / count(whole.max(1));
                let ratio = Summary { median: ratio, least: ratio, most: ratio, count: 1 };
                vec![Cell::text(name), size(packed), size(whole), Cell::of(Unit::Count, Ok(ratio))]
            }
            _ => {
                let missing = Cell::Missing(format!("./scripts/build {name} was not run"));
                vec![Cell::text(name), missing, Cell::text(""), Cell::text("")]
            }
        };
        table.rows.push(row);
    }
    Ok(table)
}

/// The unpacked binary by the rooms of its sources, or why it can't be told.
fn rooms(bench: &Bench) -> Table {
    let mut table = Table::new("The unpacked binary by room (2)", &["room", "bytes"]);
    match breakdown(&bench.board.folder(bench.root).join("unstripped")) {
        Ok(rooms) => table.rows.extend(rooms.into_iter().map(|(room, bytes)| vec![Cell::text(room), size(bytes)])),
        Err(error) => table.rows.push(vec![Cell::text("rooms"), Cell::Missing(error.to_string())]),
    }
    table
}

fn breakdown(path: &Path) -> Result<Vec<(String, usize)>> {
    let data = guest::read(path)?;
    let data = data.as_slice();
    let elf = |error: object::Error| Error::new(error.to_string());
    let header = object::elf::FileHeader64::<object::Endianness>::parse(data).map_err(elf)?;
    let endian = header.endian().map_err(elf)?;
    let sections = header.sections(endian, data).map_err(elf)?;
    let symbols = sections.symbols(endian, data, object::elf::SHT_SYMTAB).map_err(elf)?;
    let mut rooms: BTreeMap<String, usize> = BTreeMap::new();
    let mut seen = std::collections::BTreeSet::new();
    for symbol in symbols.iter() {
        let kind = symbol.st_type();
        let size = usize::try_from(symbol.st_size(endian)).unwrap_or(0);
        // Two names of one place are one place.
        if (kind != object::elf::STT_FUNC && kind != object::elf::STT_OBJECT)
            || size == 0
            || !seen.insert(symbol.st_value(endian))
        {
            continue;
        }
        let name = symbol.name(endian, symbols.strings()).map_err(elf)?;
        let room = room(&String::from_utf8_lossy(name));
        *rooms.entry(room).or_default() += size;
    }
    if rooms.is_empty() {
        return Err(Error::new(format!("{} has no symbols", path.display())));
    }
    let mut rooms: Vec<_> = rooms.into_iter().collect();
    rooms.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    Ok(rooms)
}

/// The room that a symbol's mangled name says first: `_ZN5pouch4jail...` or `..CsHASH_5pouch4jail..`.
fn room(name: &str) -> String {
    let after = name.find("5pouch").and_then(|at| name.get(at + "5pouch".len()..));
    let found = after.and_then(|after| {
        let digits = after.len() - after.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
        let length: usize = after.get(..digits)?.parse().ok()?;
        after.get(digits..digits + length)
    });
    match found {
        Some(room) if ROOMS.contains(&room) => room.to_owned(),
        _ if ["memcpy", "memmove", "memset", "memcmp", "bcmp", "strlen"].contains(&name) => "rt".to_owned(),
        _ => "dependencies and core".to_owned(),
    }
}

/// Each peer alone and with its libraries, beside pouch.
fn peers(bench: &Bench, figures: &Figures) -> (Table, Plot) {
    let mut table = Table::new(
        "Beside others (3)",
        &["program", "what it is", "file", "its libraries", "both", "how many times pouch"],
    );
    let mut bars = Vec::new();
    let ours = figures.now(Init::Pouch, "size").unwrap_or(0.0);
    let mut row = |name: &str, what: &str, file: f64, libraries: f64| {
        let value = |value: f64| Summary { median: value, least: value, most: value, count: 1 };
        let cell = |bytes: f64| Cell::of(Unit::Size, Ok(value(bytes)));
        let times = Cell::of(Unit::Count, Ok(value((file + libraries) / ours.max(1.0))));
        bars.push((name.to_owned(), value(file + libraries)));
        vec![Cell::text(name), Cell::text(what), cell(file), cell(libraries), cell(file + libraries), times]
    };
    let mut rows = vec![row("pouch", "init, supervisor, runtime, console", ours, 0.0)];
    if let Some(busybox) = figures.now(Init::Busybox, "size") {
        rows.push(row("busybox", "init and every command of the board", busybox, 0.0));
    }
    for (name, what) in PEERS {
        let found = bench.peers.as_ref().map_err(Clone::clone).and_then(|peers: &Peers| {
            let program = peers.program(name).map_err(|error| error.to_string())?;
            let length = |path: &Path| {
                std::fs::metadata(path).map_or(0.0, |data| count(usize::try_from(data.len()).unwrap_or(0)))
            };
            Ok((length(&program.path), program.libraries.iter().fold(0.0, |sum, path| sum + length(path))))
        });
        rows.push(match found {
            Ok((file, libraries)) => row(name, what, file, libraries),
            Err(reason) => {
                let mut cells = vec![Cell::text(name), Cell::text(what), Cell::Missing(reason)];
                cells.resize_with(6, || Cell::text(""));
                cells
            }
        });
    }
    table.rows = rows;
    let title = "A program with its libraries".to_owned();
    (table, Plot { name: "size".to_owned(), title, unit: Unit::Size, kind: Kind::Bars(bars) })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_belongs_to_the_room_that_its_name_says() {
        assert_eq!(room("_ZN5pouch4jail4root5enter17h0123456789abcdefE"), "jail");
        assert_eq!(room("_RNvNtNtCs1234_5pouch4init4poll4wait"), "init");
        assert_eq!(room("memcpy"), "rt");
        assert_eq!(room("_ZN4core3fmt5write17h0123456789abcdefE"), "dependencies and core");
    }
}
