//! Which kernel modules an image wants: those named and what they need
//!
//! Reads the `modules.dep` that depmod made for the unpacked kernel package and writes one that knows the
//! packed modules alone, at the same place, so that pouch and busybox's modprobe both find their way.

use crate::cpio::{Archive, Kind};
use crate::{Context, Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A kernel's modules and their needs.
#[derive(Debug, Default)]
pub struct Modules {
    /// Path below /lib/modules/VERSION, and the paths it needs, nearest last, as modules.dep has them.
    needs: BTreeMap<String, Vec<String>>,
    /// Module name to path.
    names: BTreeMap<String, String>,
    /// Names that are part of the kernel itself.
    builtin: BTreeSet<String>,
}

/// The name a module goes by: file names and module names differ in `-` and `_` alone.
fn name_of(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

impl Modules {
    /// Parses the texts of `modules.dep` and `modules.builtin`.
    ///
    /// # Errors
    /// A line without a colon.
    pub fn parse(dep: &str, builtin: &str) -> Result<Self> {
        let mut modules = Self { builtin: builtin.lines().map(name_of).collect(), ..Self::default() };
        for line in dep.lines() {
            let (path, needs) =
                line.split_once(':').ok_or_else(|| Error::new(format!("modules.dep: no colon in '{line}'")))?;
            modules.names.insert(name_of(path), path.to_owned());
            modules.needs.insert(path.to_owned(), needs.split_whitespace().map(str::to_owned).collect());
        }
        Ok(modules)
    }

    /// The modules behind `names` and all they need, as paths in order of the alphabet. What is built into the
    /// kernel is there already and wants no file.
    ///
    /// # Errors
    /// A name that the kernel has neither as a module nor built in.
    pub fn resolve<S: AsRef<str>>(&self, names: &[S]) -> Result<BTreeSet<String>> {
        let mut chosen = BTreeSet::new();
        for name in names {
            let name = name.as_ref().replace('-', "_");
            if let Some(path) = self.names.get(&name) {
                // modules.dep lists what a module needs all the way down.
                chosen.extend(self.needs.get(path).into_iter().flatten().cloned());
                chosen.insert(path.clone());
            } else if !self.builtin.contains(&name) {
                return Err(Error::new(format!("the kernel has no module {name}")));
            }
        }
        Ok(chosen)
    }

    /// The lines of modules.dep for `paths`.
    #[must_use]
    pub fn trimmed(&self, paths: &BTreeSet<String>) -> String {
        let lines = paths.iter().map(|path| {
            let needs = self.needs.get(path).map(|needs| needs.join(" ")).unwrap_or_default();
            format!("{path}: {needs}").trim_end().to_owned() + "\n"
        });
        lines.collect()
    }
}

/// The one /lib/modules/VERSION of an unpacked kernel package.
///
/// # Errors
/// None there, or more than one: a guess would boot with modules that don't fit.
pub fn version_folder(tree: &Path) -> Result<PathBuf> {
    let candidates = ["lib/modules", "usr/lib/modules"].map(|part| tree.join(part));
    let folder = candidates
        .iter()
        .find(|folder| folder.is_dir())
        .ok_or_else(|| Error::new(format!("no lib/modules in {}", tree.display())))?;
    let mut versions = std::fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    match (versions.pop(), versions.is_empty()) {
        (Some(version), true) => Ok(version.path()),
        _ => Err(Error::new(format!("{} does not hold exactly one kernel version", folder.display()))),
    }
}

/// Adds `names`, what they need and their modules.dep to the image.
///
/// # Errors
/// A module that is not there, files that can't be read.
pub fn pack(archive: &mut Archive, tree: &Path, names: &[String]) -> Result<usize> {
    let folder = version_folder(tree)?;
    let read = |name: &str| {
        std::fs::read_to_string(folder.join(name)).context(|| format!("unable to read {name} in {}", folder.display()))
    };
    let modules = Modules::parse(&read("modules.dep")?, &read("modules.builtin")?)?;
    let paths = modules.resolve(names)?;
    let version = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let place = format!("lib/modules/{version}");
    archive.add_folders(&place)?;
    archive.add(&format!("{place}/modules.dep"), 0o644, Kind::File(modules.trimmed(&paths).into_bytes()))?;
    for path in &paths {
        let bytes = std::fs::read(folder.join(path)).context(|| format!("unable to read the module {path}"))?;
        let inside = format!("{place}/{path}");
        if let Some((parent, _)) = inside.rsplit_once('/') {
            archive.add_folders(parent)?;
        }
        archive.add(&inside, 0o644, Kind::File(bytes))?;
    }
    Ok(paths.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "kernel/net/bridge/bridge.ko: kernel/net/802/stp.ko kernel/net/llc/llc.ko\n\
                       kernel/net/802/stp.ko: kernel/net/llc/llc.ko\nkernel/net/llc/llc.ko:\n\
                       kernel/drivers/md/dm-verity.ko:\n";

    fn modules() -> Modules {
        Modules::parse(DEP, "kernel/fs/ext4/ext4.ko\n").unwrap()
    }

    #[test]
    fn what_a_module_needs_comes_with_it() {
        let paths = modules().resolve(&["bridge"]).unwrap();
        assert_eq!(
            paths.into_iter().collect::<Vec<_>>(),
            ["kernel/net/802/stp.ko", "kernel/net/bridge/bridge.ko", "kernel/net/llc/llc.ko"]
        );
    }

    #[test]
    fn the_trimmed_file_knows_the_packed_modules_alone() {
        let text = modules().trimmed(&modules().resolve(&["stp"]).unwrap());
        assert_eq!(text, "kernel/net/802/stp.ko: kernel/net/llc/llc.ko\nkernel/net/llc/llc.ko:\n");
    }

    #[test]
    fn a_dash_and_an_underscore_are_one_name_and_builtins_want_no_file() {
        assert_eq!(modules().resolve(&["dm_verity"]).unwrap(), modules().resolve(&["dm-verity"]).unwrap());
        assert!(modules().resolve(&["ext4"]).unwrap().is_empty());
    }

    #[test]
    fn an_unknown_module_is_named() {
        assert!(modules().resolve(&["nonesuch"]).unwrap_err().to_string().contains("nonesuch"));
    }
}
