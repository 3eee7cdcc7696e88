//! A reproducible newc archive, made without root
//!
//! The same tree gives the same bytes on every workstation: entries are sorted by path, inode numbers count
//! up in that order, and owner, times and device of the workstation never get in. Hard links share an inode
//! number; their data follows the last of them, as GNU cpio and the kernel's unpacker have it.

use crate::{Context, Error, Result};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;

/// What an entry is, beside its path and mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file with its bytes.
    File(Vec<u8>),
    /// A symbolic link with its target.
    Symlink(String),
    /// A second name of the file at that path of the archive.
    HardLink(String),
    /// A character device (major, minor).
    Character(u32, u32),
    /// A block device (major, minor).
    Block(u32, u32),
}

#[derive(Clone, Debug)]
struct Entry {
    mode: u32,
    kind: Kind,
}

/// A tree in the making. Paths have no leading slash.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    entries: BTreeMap<String, Entry>,
}

const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;
const CHARACTER: u32 = 0o020_000;
const BLOCK: u32 = 0o060_000;

impl Archive {
    /// An empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one entry; `mode` holds the permission bits alone.
    ///
    /// # Errors
    /// A path that is there already or not plain, and a parent that is no directory of the tree: the kernel
    /// would drop such an entry without a word.
    pub fn add(&mut self, path: &str, mode: u32, kind: Kind) -> Result<()> {
        let path = path.trim_start_matches('/');
        if path.is_empty() || path.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
            return Err(Error::new(format!("unable to add '{path}': not a plain path")));
        }
        if let Some((parent, _)) = path.rsplit_once('/')
            && !matches!(self.entries.get(parent), Some(Entry { kind: Kind::Directory, .. }))
        {
            return Err(Error::new(format!("unable to add '{path}': '{parent}' is no directory of the image")));
        }
        if self.entries.contains_key(path) {
            return Err(Error::new(format!("unable to add '{path}': it is there already")));
        }
        self.entries.insert(path.to_owned(), Entry { mode, kind });
        Ok(())
    }

    /// Adds a directory and the ones above it that are missing, mode 0755.
    ///
    /// # Errors
    /// As [`Archive::add`].
    pub fn add_folders(&mut self, path: &str) -> Result<()> {
        let path = path.trim_matches('/');
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for end in ends {
            if !self.entries.contains_key(&path[..end]) {
                self.add(&path[..end], 0o755, Kind::Directory)?;
            }
        }
        Ok(())
    }

    /// Whether something stands at `path`.
    #[must_use]
    pub fn contains(&self, path: &str) -> bool {
        self.entries.contains_key(path.trim_start_matches('/'))
    }

    /// The archive's bytes.
    ///
    /// # Errors
    /// A hard link to what is no file of the tree; a file of more than 4 GiB.
    pub fn write(&self) -> Result<Vec<u8>> {
        // Names of one file, in archive order: (inode number, how many, the last one).
        let mut groups: BTreeMap<&str, (u32, u32, &str)> = BTreeMap::new();
        for (number, (path, entry)) in (1..).zip(&self.entries) {
            let file = match &entry.kind {
                Kind::File(_) => path.as_str(),
                Kind::HardLink(target) => target.trim_start_matches('/'),
                _ => continue,
            };
            let group = groups.entry(file).or_insert((number, 0, path));
            group.1 += 1;
            group.2 = path;
        }
        let mut out = Vec::new();
        for (number, (path, entry)) in (1..).zip(&self.entries) {
            let header = ::cpio::newc::Builder::new(path).ino(number).nlink(1);
            match &entry.kind {
                Kind::Directory => put(&mut out, header.nlink(2).mode(DIRECTORY | entry.mode), &[])?,
                Kind::Symlink(target) => put(&mut out, header.mode(SYMLINK | 0o777), target.as_bytes())?,
                Kind::Character(major, minor) => {
                    put(&mut out, header.mode(CHARACTER | entry.mode).rdev_major(*major).rdev_minor(*minor), &[])?
                }
                Kind::Block(major, minor) => {
                    put(&mut out, header.mode(BLOCK | entry.mode).rdev_major(*major).rdev_minor(*minor), &[])?
                }
                Kind::File(_) | Kind::HardLink(_) => {
                    let file =
                        if let Kind::HardLink(target) = &entry.kind { target.trim_start_matches('/') } else { path };
                    let Some(Entry { mode, kind: Kind::File(data) }) = self.entries.get(file) else {
                        return Err(Error::new(format!(
                            "unable to link '{path}' to '{file}': no such file in the image"
                        )));
                    };
                    let (inode, links, last) = groups.get(file).copied().unwrap_or((number, 1, path));
                    let data = if last == path { data.as_slice() } else { &[] };
                    put(&mut out, header.ino(inode).nlink(links).mode(FILE | mode), data)?;
                }
            }
        }
        ::cpio::newc::trailer(&mut out).context(|| "unable to end the archive")?;
        Ok(out)
    }

    /// Writes the gzipped archive to `path`, whole or not at all, and says how many bytes it takes there.
    ///
    /// # Errors
    /// As [`Archive::write`], and the file system's.
    pub fn write_gzip(&self, path: &Path) -> Result<usize> {
        let mut packed = flate2::GzBuilder::new().mtime(0).write(Vec::new(), flate2::Compression::new(6));
        packed.write_all(&self.write()?)?;
        let packed = packed.finish()?;
        crate::image::replace(path, &packed)?;
        Ok(packed.len())
    }
}

fn put(out: &mut Vec<u8>, header: ::cpio::newc::Builder, data: &[u8]) -> Result<()> {
    let length = u32::try_from(data.len()).context(|| "unable to pack a file of 4 GiB")?;
    let mut writer = header.write(out, length);
    writer.write_all(data)?;
    writer.finish()?;
    Ok(())
}

/// Unpacks a gzipped archive of ours below `root`, as the kernel would; device nodes are left out, since the
/// beds that use this make their own.
///
/// # Errors
/// An archive that can't be read, and the file system's.
pub fn unpack(packed: &[u8], root: &Path) -> Result<()> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes).context(|| "unable to unpack the image")?;
    let mut rest = bytes.as_slice();
    // Names of an inode that came without data: the data follows the last of them.
    let mut waiting: BTreeMap<u32, Vec<std::path::PathBuf>> = BTreeMap::new();
    loop {
        let mut reader = ::cpio::NewcReader::new(rest)?;
        if reader.entry().is_trailer() {
            return Ok(());
        }
        let (entry, mut data) = (reader.entry().clone(), Vec::new());
        reader.read_to_end(&mut data)?;
        rest = reader.finish()?;
        let path = root.join(entry.name());
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(entry.mode() & 0o7777);
        match entry.mode() & 0o170_000 {
            // The kernel takes a second mention, in an archive behind, as the same folder.
            DIRECTORY if path.is_dir() => Ok(()),
            DIRECTORY => std::fs::create_dir(&path).and_then(|()| std::fs::set_permissions(&path, permissions)),
            SYMLINK => std::os::unix::fs::symlink(String::from_utf8_lossy(&data).as_ref(), &path),
            FILE if entry.nlink() > 1 && data.is_empty() => {
                waiting.entry(entry.ino()).or_default().push(path.clone());
                Ok(())
            }
            FILE => {
                let others = waiting.remove(&entry.ino()).unwrap_or_default();
                let written = std::fs::write(&path, &data).and_then(|()| std::fs::set_permissions(&path, permissions));
                others.iter().fold(written, |done, other| done.and_then(|()| std::fs::hard_link(&path, other)))
            }
            _ => Ok(()),
        }
        .context(|| format!("unable to unpack {}", path.display()))?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(order: &[usize]) -> Archive {
        let entries = [
            ("bin/busybox", 0o755, Kind::File(b"binary".to_vec())),
            ("bin/sh", 0o777, Kind::Symlink("busybox".into())),
            ("bin/copy", 0, Kind::HardLink("bin/busybox".into())),
            ("bin/null", 0o666, Kind::Character(1, 3)),
        ];
        let mut archive = Archive::new();
        archive.add("bin", 0o755, Kind::Directory).unwrap();
        for &at in order {
            let (path, mode, kind) = entries[at].clone();
            archive.add(path, mode, kind).unwrap();
        }
        archive
    }

    fn read(bytes: &[u8]) -> Vec<(::cpio::newc::Entry, Vec<u8>)> {
        let mut rest = bytes;
        let mut entries = Vec::new();
        loop {
            let mut reader = ::cpio::NewcReader::new(rest).unwrap();
            if reader.entry().is_trailer() {
                return entries;
            }
            let (entry, mut data) = (reader.entry().clone(), Vec::new());
            reader.read_to_end(&mut data).unwrap();
            entries.push((entry, data));
            rest = reader.finish().unwrap();
        }
    }

    #[test]
    fn the_order_of_adding_does_not_show_in_the_bytes() {
        assert_eq!(sample(&[0, 1, 2, 3]).write().unwrap(), sample(&[3, 1, 0, 2]).write().unwrap());
    }

    #[test]
    fn hard_links_share_an_inode_and_the_last_one_has_the_data() {
        let entries = read(&sample(&[0, 1, 2, 3]).write().unwrap());
        let [first, last] =
            ["bin/busybox", "bin/copy"].map(|name| entries.iter().find(|(entry, _)| entry.name() == name).unwrap());
        assert_eq!((first.0.ino(), first.0.nlink(), last.0.mode()), (last.0.ino(), 2, FILE | 0o755));
        assert_eq!((first.1.as_slice(), last.1.as_slice()), (b"".as_slice(), b"binary".as_slice()));
    }

    #[test]
    fn a_device_node_has_its_numbers() {
        let entries = read(&sample(&[3]).write().unwrap());
        let (node, _) = entries.iter().find(|(entry, _)| entry.name() == "bin/null").unwrap();
        assert_eq!((node.mode(), node.rdev_major(), node.rdev_minor()), (CHARACTER | 0o666, 1, 3));
    }

    #[test]
    fn an_unpacked_archive_is_the_tree_that_was_packed() {
        let folder = std::env::temp_dir().join(format!("pouch-unpack-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let packed = folder.join("packed.gz");
        sample(&[0, 1, 2, 3]).write_gzip(&packed).unwrap();
        unpack(&std::fs::read(&packed).unwrap(), &folder).unwrap();
        assert_eq!(std::fs::read(folder.join("bin/busybox")).unwrap(), b"binary");
        assert_eq!(std::os::unix::fs::MetadataExt::nlink(&std::fs::metadata(folder.join("bin/copy")).unwrap()), 2);
        assert_eq!(std::fs::read_link(folder.join("bin/sh")).unwrap(), Path::new("busybox"));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_the_kernel_would_drop_in_silence_is_refused() {
        let mut archive = sample(&[0]);
        assert!(archive.add("etc/passwd", 0o644, Kind::File(vec![])).is_err(), "no such parent");
        assert!(archive.add("bin/busybox", 0o644, Kind::File(vec![])).is_err(), "twice");
        assert!(archive.add("bin/../x", 0o644, Kind::File(vec![])).is_err(), "not plain");
        archive.add("bin/lost", 0, Kind::HardLink("bin/none".into())).unwrap();
        assert!(archive.write().is_err(), "a link to nothing");
    }
}
