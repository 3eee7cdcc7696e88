//! Debian's programs that do what pouch does, and the disk on which they stand beside it
//!
//! `scripts/peers.sh` unpacks the packages, with all that they depend on, into one tree. A program is taken from
//! there with the libraries it names (and those name), nothing else: as `/peers/bin/NAME`, its libraries where its
//! loader looks for them. The disk has all of the demo image beside them, so that every program finds the same root.

use super::guest;
use crate::board::Board;
use crate::{Context, Error, Result};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs: what one calls them, and where the package has them.
const PROGRAMS: [(&str, &str); 26] = [
    ("crun", "usr/bin/crun"),
    ("runc", "usr/sbin/runc"),
    ("bwrap", "usr/bin/bwrap"),
    ("lxc-execute", "usr/bin/lxc-execute"),
    ("lxc-start", "usr/bin/lxc-start"),
    ("tini", "usr/bin/tini"),
    ("tini-static", "usr/bin/tini-static"),
    ("catatonit", "usr/bin/catatonit"),
    ("dumb-init", "usr/bin/dumb-init"),
    ("s6-svscan", "usr/bin/s6-svscan"),
    ("s6-supervise", "usr/bin/s6-supervise"),
    ("s6-svc", "usr/bin/s6-svc"),
    ("execlineb", "usr/bin/execlineb"),
    ("finit", "usr/sbin/finit"),
    ("initctl", "usr/sbin/initctl"),
    ("conmon", "usr/bin/conmon"),
    // containerd looks for its shim by the whole name.
    ("containerd-shim-runc-v2", "usr/bin/containerd-shim-runc-v2"),
    ("containerd", "usr/bin/containerd"),
    ("ctr", "usr/bin/ctr"),
    ("tmux", "usr/bin/tmux"),
    ("unshare", "usr/bin/unshare"),
    ("nsenter", "usr/bin/nsenter"),
    ("setsid", "usr/bin/setsid"),
    ("true", "usr/bin/true"),
    ("sleep", "usr/bin/sleep"),
    ("dash", "usr/bin/dash"),
];

/// What programs open by name, where they look for it.
const BESIDE: [&str; 8] = [
    "usr/sbin/init.lxc",
    "usr/sbin/init.lxc.static",
    "usr/libexec/lxc",
    "usr/lib/x86_64-linux-gnu/lxc",
    "usr/lib/x86_64-linux-gnu/finit",
    "usr/share/terminfo",
    "lib/terminfo",
    // tmux wants a UTF-8 locale.
    "usr/lib/locale/C.utf8",
];

/// Room on the disk beside what is on it.
const SPARE: u64 = 96 << 20;

/// The unpacked packages of the board's processor.
pub(super) struct Peers {
    tree: PathBuf,
}

/// One program with its libraries.
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) libraries: BTreeSet<PathBuf>,
}

impl Peers {
    /// The tree that the script made, or why there is none.
    pub(super) fn find(tree: Option<&Path>, board: &Board) -> Result<Self, String> {
        match tree {
            Some(tree) if tree.is_dir() => Ok(Self { tree: tree.to_owned() }),
            Some(tree) => Err(format!("no folder {}", tree.display())),
            None if board.processor == "x86_64" => Err("the peers were left out (POUCH_NO_PEERS)".to_owned()),
            None => Err(format!("peers are fetched for x86-64 alone, not for {}", board.processor)),
        }
    }

    /// A program by its name, with the libraries that its loader would load.
    ///
    /// # Errors
    /// No package has it; a library that none has.
    pub(super) fn program(&self, name: &str) -> Result<Program> {
        let (_, place) = PROGRAMS
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| Error::new(format!("no peer is called {name}")))?;
        let path = self.tree.join(place);
        if !path.is_file() {
            return Err(Error::new(format!("no package has {place}")));
        }
        let mut libraries = BTreeSet::new();
        self.needed(&path, &mut libraries)?;
        Ok(Program { path, libraries })
    }

    fn needed(&self, path: &Path, found: &mut BTreeSet<PathBuf>) -> Result<()> {
        for name in needs(path).context(|| path.display().to_string())? {
            let library = self
                .library(&name)
                .ok_or_else(|| Error::new(format!("no package has {name}, which {} needs", path.display())))?;
            if found.insert(library.clone()) {
                self.needed(&library, found)?;
            }
        }
        Ok(())
    }

    fn library(&self, name: &str) -> Option<PathBuf> {
        ["usr/lib/x86_64-linux-gnu", "usr/lib", "usr/lib64", "usr/lib/x86_64-linux-gnu/systemd"]
            .iter()
            .map(|folder| self.tree.join(folder).join(name.trim_start_matches('/').trim_start_matches("lib64/")))
            .find(|path| path.exists())
    }

    /// The disk's file; made when the image or the packages are newer.
    ///
    /// # Errors
    /// A program that no package has, and what the tools say.
    pub(super) fn disk(&self, folder: &Path) -> Result<PathBuf> {
        let (disk, image) = (folder.join("disk.ext4"), folder.join("initramfs.cpio.gz"));
        let time = |path: &Path| std::fs::metadata(path).and_then(|data| data.modified()).ok();
        let tool = std::env::current_exe().ok();
        if time(&disk) > time(&image)
            && time(&disk) > time(&self.tree)
            && time(&disk) > tool.and_then(|tool| time(&tool))
        {
            return Ok(disk);
        }
        let root = folder.join(format!("root.{}", std::process::id()));
        let made = self.fill(&root, folder).and_then(|()| format(&root, &disk));
        std::fs::remove_dir_all(&root)?;
        made.map(|()| disk)
    }

    fn fill(&self, root: &Path, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(root)?;
        guest::unpack(folder, root)?;
        let (programs, libraries) = (root.join("peers/bin"), root.join("lib/x86_64-linux-gnu"));
        for folder in [&programs, &libraries, &root.join("lib64")] {
            std::fs::create_dir_all(folder)?;
        }
        let mut all = BTreeSet::new();
        for (name, _) in PROGRAMS {
            // What a package lacks shows where it would have been run.
            let Ok(program) = self.program(name) else { continue };
            std::fs::copy(&program.path, programs.join(name)).context(|| name)?;
            all.extend(program.libraries);
        }
        std::fs::create_dir_all(root.join("var/lib/lxc"))?;
        for beside in BESIDE {
            let from = self.tree.join(beside);
            if from.exists() {
                self.beside(&from, &root.join(beside), &mut all)?;
            }
        }
        for library in &all {
            let name = library.file_name().unwrap_or_default();
            let folder = if name.to_string_lossy().starts_with("ld-linux") { "lib64" } else { "lib/x86_64-linux-gnu" };
            std::fs::copy(library, root.join(folder).join(name)).context(|| library.display())?;
        }
        Ok(())
    }

    /// Copies a file or a folder as it is, and notes what libraries it needs.
    fn beside(&self, from: &Path, to: &Path, libraries: &mut BTreeSet<PathBuf>) -> Result<()> {
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent)?;
        }
        if from.is_dir() {
            for entry in std::fs::read_dir(from)? {
                let entry = entry?;
                self.beside(&entry.path(), &to.join(entry.file_name()), libraries)?;
            }
            return std::fs::create_dir_all(to).context(|| to.display());
        }
        std::fs::copy(from, to).context(|| from.display())?;
        // No ELF, no needs.
        if needs(from).is_ok() {
            self.needed(from, libraries)?;
        }
        Ok(())
    }
}

/// A file system with all of `root` in it, made without root's rights.
fn format(root: &Path, disk: &Path) -> Result<()> {
    let new = disk.with_extension("new");
    let _ = std::fs::remove_file(&new);
    let size = bytes(root)? * 5 / 4 + SPARE;
    std::fs::File::create(&new)?.set_len(size)?;
    let made = Command::new("mke2fs")
        .args(["-q", "-F", "-t", "ext4", "-E", "root_owner=0:0", "-d"])
        .args([root, &new])
        .output()
        .context(|| "unable to run mke2fs (Debian has it in e2fsprogs)")?;
    if !made.status.success() {
        return Err(Error::new(format!("mke2fs: {}", String::from_utf8_lossy(&made.stderr).trim())));
    }
    std::fs::rename(&new, disk).context(|| disk.display())
}

/// Bytes of all files below `folder`.
fn bytes(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let data = entry.metadata()?;
        sum += if data.is_dir() { bytes(&entry.path())? } else { data.len().div_ceil(4096) * 4096 };
    }
    Ok(sum)
}

/// The libraries that an ELF file names, and its loader.
fn needs(path: &Path) -> Result<Vec<String>> {
    let data = guest::read(path)?;
    let data = data.as_slice();
    let elf = |error: object::Error| Error::new(error.to_string());
    let header = object::elf::FileHeader64::<object::Endianness>::parse(data).map_err(elf)?;
    let endian = header.endian().map_err(elf)?;
    let mut names = Vec::new();
    for segment in header.program_headers(endian, data).map_err(elf)? {
        if let Ok(Some(loader)) = segment.interpreter(endian, data) {
            names.push(String::from_utf8_lossy(loader).into_owned());
        }
    }
    let sections = header.sections(endian, data).map_err(elf)?;
    if let Some((entries, link)) = sections.dynamic(endian, data).map_err(elf)? {
        let strings = sections.strings(endian, data, link).map_err(elf)?;
        for entry in entries {
            if entry.tag32(endian) == Some(object::elf::DT_NEEDED)
                && let Ok(name) = entry.string(endian, strings)
            {
                names.push(String::from_utf8_lossy(name).into_owned());
            }
        }
    }
    Ok(names)
}
