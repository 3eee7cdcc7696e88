//! What goes on a card: a partition table, a FAT partition, the loader's files
//!
//! Made without root and the same bytes each time: no time stamp, a fixed disk signature and volume number,
//! files in a fixed order. The image file is sparse.

use crate::board::{Board, Loader};
use crate::image::find;
use crate::{Context, Error, Result};
use fatfs::{FatType, FileSystem, FormatVolumeOptions, FsOptions};
use fscommon::StreamSlice;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// What a card needs beside the files in the board's folder.
#[derive(Debug, Default)]
pub struct Parts {
    /// The unpacked kernel package, for the device tree as it is on the real board.
    pub kernel_tree: PathBuf,
    /// A Raspberry Pi's own boot files (bootcode.bin, start.elf, fixup.dat), which are not free software.
    pub firmware: Option<PathBuf>,
    /// The U-Boot script, compiled by mkimage.
    pub boot_script: Option<PathBuf>,
}

const SECTOR: u64 = 512;
/// Where partitions begin: a MiB in, as every tool has it, so that flash blocks are not straddled.
const FIRST: u64 = 2048;
/// The smallest partition; FAT32 has to have this many clusters for firmware to take it as such.
const LEAST: u64 = 64 << 20;
/// "pouc" on the disk, so that nobody's random number makes two images differ.
const SIGNATURE: u32 = 0x706f_7563;
/// FAT32 with LBA addresses: what the Raspberry Pi's firmware and U-Boot look for.
const FAT32_LBA: u8 = 0x0c;

/// Makes `card.img` in the board's folder and returns its path.
///
/// # Errors
/// A file that is not built, and the file system's.
pub fn make(root: &Path, board: &Board, parts: &Parts) -> Result<PathBuf> {
    let files = files(root, board, parts)?;
    let path = board.folder(root).join("card.img");
    let new = path.with_extension(format!("new.{}", std::process::id()));
    write(&new, &files).context(|| format!("unable to make {}", path.display()))?;
    std::fs::rename(&new, &path)?;
    Ok(path)
}

/// The card's files by name, in the order they are written.
///
/// # Errors
/// One that is not there.
pub fn files(root: &Path, board: &Board, parts: &Parts) -> Result<Vec<(String, Vec<u8>)>> {
    let folder = board.folder(root);
    let read = |path: &Path| {
        std::fs::read(path).context(|| format!("unable to read {} (./scripts/build {})", path.display(), board.name))
    };
    let mut files = Vec::new();
    match board.loader {
        Loader::RaspberryPi => {
            let dtb =
                board.dtb.as_ref().ok_or_else(|| Error::new("a Raspberry Pi's card wants a device tree (dtb)"))?;
            let dtb = find(&parts.kernel_tree, dtb)?;
            let name = dtb.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            files.push(("config.txt".to_owned(), read(&root.join("board").join(&board.name).join("config.txt"))?));
            files.push(("cmdline.txt".to_owned(), read(&folder.join("cmdline"))?));
            files.push((name, read(&dtb)?));
            files.push(("kernel8.img".to_owned(), read(&folder.join("vmlinuz"))?));
            files.push(("initramfs.cpio.gz".to_owned(), read(&folder.join("initramfs.cpio.gz"))?));
            if let Some(firmware) = &parts.firmware {
                for name in ["bootcode.bin", "start.elf", "fixup.dat"] {
                    files.push((name.to_owned(), read(&firmware.join(name))?));
                }
            }
        }
        Loader::UBoot => {
            let script = parts.boot_script.as_ref().ok_or_else(|| Error::new("a U-Boot card wants --boot-script"))?;
            files.push(("boot.scr".to_owned(), read(script)?));
            files.push(("vmlinuz".to_owned(), read(&folder.join("vmlinuz"))?));
            files.push(("initramfs.cpio.gz".to_owned(), read(&folder.join("initramfs.cpio.gz"))?));
            if board.dtb.is_some() {
                files.push(("board.dtb".to_owned(), read(&folder.join("board.dtb"))?));
            }
        }
    }
    Ok(files)
}

/// Writes a disk image with one FAT32 partition that holds `files`.
///
/// # Errors
/// The file system's, a name FAT does not take.
pub fn write(path: &Path, files: &[(String, Vec<u8>)]) -> Result<()> {
    let bytes: u64 = files.iter().map(|(_, data)| data.len() as u64).sum();
    // A quarter to spare, so that a person can put a second kernel there; whole MiB.
    let length = (bytes + bytes / 4).max(LEAST).next_multiple_of(1 << 20);
    let mut disk = std::fs::File::options().read(true).write(true).create(true).truncate(true).open(path)?;
    disk.set_len(FIRST * SECTOR + length)?;
    disk.write_all(&master_boot_record(length / SECTOR)?)?;
    disk.seek(SeekFrom::Start(0))?;
    let mut partition = StreamSlice::new(disk, FIRST * SECTOR, FIRST * SECTOR + length)?;
    let options =
        FormatVolumeOptions::new().fat_type(FatType::Fat32).volume_id(SIGNATURE).volume_label(*b"POUCH      ");
    fatfs::format_volume(&mut partition, options)?;
    let system = FileSystem::new(partition, FsOptions::new())?;
    for (name, data) in files {
        let mut file = system.root_dir().create_file(name).context(|| name.clone())?;
        file.truncate()?;
        file.write_all(data).context(|| name.clone())?;
    }
    system.unmount()?;
    Ok(())
}

/// The first sector: a disk signature and one partition of that many sectors.
fn master_boot_record(sectors: u64) -> Result<[u8; SECTOR as usize]> {
    let mut record = [0; SECTOR as usize];
    let count = u32::try_from(sectors).context(|| "a card of more than 2 TiB")?;
    record[440..444].copy_from_slice(&SIGNATURE.to_le_bytes());
    // Not marked active: no firmware here looks for that. Cylinders and heads say "beyond", as is usual.
    let beyond = [0xfe, 0xff, 0xff];
    record[447..450].copy_from_slice(&beyond);
    record[450] = FAT32_LBA;
    record[451..454].copy_from_slice(&beyond);
    record[454..458].copy_from_slice(&(FIRST as u32).to_le_bytes());
    record[458..462].copy_from_slice(&count.to_le_bytes());
    record[510..].copy_from_slice(&[0x55, 0xaa]);
    Ok(record)
}
