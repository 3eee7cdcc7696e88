//! From a board and a manifest to the files it boots with
//!
//! Leaves in `target/boards/BOARD/`: `initramfs.cpio.gz`, `vmlinuz`, `cmdline` and, where the board has one,
//! `board.dtb`; the script that built the binary left `pouch` there before.

use crate::board::Board;
use crate::cpio::{Archive, Kind};
use crate::manifest::{self, Line};
use crate::{Context, Error, Result, modules};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What an image is made of.
#[derive(Debug, Default)]
pub struct Parts {
    /// Programs by the names the manifest calls them: pouch, busybox, probe.
    pub programs: BTreeMap<String, PathBuf>,
    /// The unpacked kernel package.
    pub kernel_tree: PathBuf,
    /// A kernel that is not from that package.
    pub kernel: Option<PathBuf>,
}

/// Packs `board` into its folder and says in a line what came out.
///
/// # Errors
/// Every part that is missing or can't be read, by name.
pub fn pack(root: &Path, board: &Board, parts: &Parts) -> Result<String> {
    let folder = board.folder(root);
    std::fs::create_dir_all(&folder)?;
    let (archive, count) = archive(root, board, parts)?;
    let size = archive.write_gzip(&folder.join("initramfs.cpio.gz"))?;
    let kernel = match &parts.kernel {
        Some(path) => path.clone(),
        None => find(&parts.kernel_tree, &board.kernel)?,
    };
    copy(&kernel, &folder.join("vmlinuz"))?;
    if let Some(dtb) = &board.dtb {
        copy(&find(&parts.kernel_tree, dtb)?, &folder.join("board.dtb"))?;
    }
    replace(&folder.join("cmdline"), format!("{}\n", board.words).as_bytes())?;
    Ok(format!(
        "{}: initramfs.cpio.gz {} KiB with {count} modules, kernel {}",
        board.name,
        size / 1024,
        kernel.display()
    ))
}

/// The image's tree, and how many modules are in it.
///
/// # Errors
/// As [`pack`].
pub fn archive(root: &Path, board: &Board, parts: &Parts) -> Result<(Archive, usize)> {
    let source = root.join("initramfs");
    let path = source.join("manifest");
    let text = std::fs::read_to_string(&path).context(|| format!("unable to read {}", path.display()))?;
    let mut archive = Archive::new();
    let mut count = 0;
    for line in manifest::parse(&text).context(|| path.display().to_string())? {
        match line {
            Line::Dir(path, mode) => archive.add(&path, mode, Kind::Directory)?,
            Line::File(path, mode, name) => archive.add(&path, mode, Kind::File(read(&source.join(name))?))?,
            Line::Program(path, mode, name) => {
                let file = parts.programs.get(&name).ok_or_else(|| {
                    Error::new(format!("the manifest wants the program {name}, and it was not given"))
                })?;
                archive.add(&path, mode, Kind::File(read(file)?))?;
            }
            Line::Link(path, target) => archive.add(&path, 0o777, Kind::Symlink(target))?,
            Line::Hard(path, target) => archive.add(&path, 0, Kind::HardLink(target))?,
            Line::Node(path, mode, false, major, minor) => archive.add(&path, mode, Kind::Character(major, minor))?,
            Line::Node(path, mode, true, major, minor) => archive.add(&path, mode, Kind::Block(major, minor))?,
            Line::Links(list, target, folder) => {
                let names = String::from_utf8(read(&source.join(list))?).context(|| "a list of links")?;
                for name in names.lines().map(str::trim).filter(|name| !name.is_empty() && !name.starts_with('#')) {
                    archive.add(&format!("{folder}/{name}"), 0o777, Kind::Symlink(target.clone()))?;
                }
            }
            Line::Modules if board.modules.is_empty() => {}
            Line::Modules => count = modules::pack(&mut archive, &parts.kernel_tree, &board.modules)?,
        }
    }
    Ok((archive, count))
}

/// The one file of `tree` that `pattern` names; its last part may hold one `*`.
///
/// # Errors
/// No such file, or several.
pub fn find(tree: &Path, pattern: &str) -> Result<PathBuf> {
    let (folder, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    // A package's version can stand in a folder's name too: usr/lib/linux-image-VERSION/...
    let folders = if let Some((before, after)) = folder.split_once('*') {
        let (parent, prefix) = before.rsplit_once('/').unwrap_or(("", before));
        let (suffix, rest) = after.split_once('/').unwrap_or((after, ""));
        matching(&tree.join(parent), prefix, suffix)?.into_iter().map(|found| found.join(rest)).collect()
    } else {
        vec![tree.join(folder)]
    };
    let (prefix, suffix) = name.split_once('*').unwrap_or((name, ""));
    let mut found = Vec::new();
    for folder in folders {
        found.extend(matching(&folder, prefix, suffix)?);
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        several => Err(Error::new(format!("{} files are {pattern} in {}", several.len(), tree.display()))),
    }
}

fn matching(folder: &Path, prefix: &str, suffix: &str) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).context(|| format!("unable to list {}", folder.display()))?;
    let names = entries.filter_map(|entry| entry.ok().and_then(|entry| entry.file_name().into_string().ok()));
    Ok(names.filter(|name| name.starts_with(prefix) && name.ends_with(suffix)).map(|name| folder.join(name)).collect())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).context(|| format!("unable to read {}", path.display()))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    replace(to, &read(from)?)
}

/// Writes a file whole or not at all: a board that boots meanwhile keeps the one it has open.
///
/// # Errors
/// The file system's.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let new = path.with_extension(format!("new.{}", std::process::id()));
    std::fs::write(&new, bytes).context(|| format!("unable to write {}", new.display()))?;
    std::fs::rename(&new, path).context(|| format!("unable to rename {}", new.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_finds_the_one_version_in_file_and_folder_names() {
        let tree = std::env::temp_dir().join(format!("pouch-find-{}", std::process::id()));
        std::fs::create_dir_all(tree.join("usr/lib/linux-image-6.1/broadcom")).unwrap();
        std::fs::write(tree.join("usr/lib/linux-image-6.1/broadcom/a.dtb"), "").unwrap();
        std::fs::write(tree.join("usr/vmlinuz-6.1"), "").unwrap();
        assert!(find(&tree, "usr/lib/linux-image-*/broadcom/a.dtb").unwrap().ends_with("broadcom/a.dtb"));
        assert!(find(&tree, "usr/vmlinuz-*").unwrap().ends_with("vmlinuz-6.1"));
        assert!(find(&tree, "usr/initrd-*").is_err());
        std::fs::remove_dir_all(&tree).unwrap();
    }
}
