//! The first process of a namespace bed, before it becomes pouch
//!
//! Runs as PID 1 of fresh namespaces and prepares what a kernel would have: a root of its own with the image
//! unpacked, the pty as /dev/console, the words in /proc/cmdline. The root is a tmpfs and never a folder of
//! the machine: what an init remounts read-only at its end must not be the machine's disk.

use crate::{Context, Error, Result, cpio};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, unmount};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Devices of the machine that a program may expect: name, major, minor.
const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// The variable that names a folder for /srv/in.
pub const FILES: &str = "POUCH_BED_FILES";

/// Prepares the root and becomes /init in it; only returns to say why not.
///
/// # Errors
/// The step that failed.
pub fn become_init(image: &Path, console: &Path, words: &str) -> Result<i32> {
    if std::process::id() != 1 {
        return Err(Error::new("`bed` is what the tests start as PID 1 of a namespace"));
    }
    let packed = std::fs::read(image).context(|| format!("unable to read {} (./scripts/build)", image.display()))?;
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)
        .context(|| "unable to make mounts private")?;
    // Any folder will do: the mount over it is seen in this namespace alone.
    let root = Path::new("/mnt");
    mount("pouch-bed", root, c"tmpfs", MountFlags::empty(), None).context(|| "unable to mount the root")?;
    cpio::unpack(&packed, root)?;
    if let Some(files) = std::env::var_os(FILES) {
        // cp keeps links, devices and holes as they are.
        let copied = Command::new("cp").arg("-a").arg(files).arg(root.join("srv/in")).status();
        if !copied.is_ok_and(|status| status.success()) {
            return Err(Error::new("unable to copy the bed's files"));
        }
    }
    let dev = root.join("dev");
    mount("pouch-dev", &dev, c"tmpfs", MountFlags::NOSUID, None).context(|| "unable to mount /dev")?;
    for (name, major, minor) in DEVICES {
        mknodat(CWD, dev.join(name), FileType::CharacterDevice, Mode::from_raw_mode(0o666), makedev(major, minor))
            .context(|| format!("unable to make {name}"))?;
    }
    std::fs::write(dev.join("console"), "")?;
    mount_bind(console, dev.join("console")).context(|| "unable to bind the console")?;
    let proc = root.join("proc");
    mount("proc", &proc, c"proc", MountFlags::empty(), None).context(|| "unable to mount /proc")?;
    std::fs::write(root.join("run/cmdline"), format!("{words}\n"))?;
    mount_bind(root.join("run/cmdline"), proc.join("cmdline")).context(|| "unable to set the kernel words")?;
    rustix::process::chdir(root)?;
    rustix::process::pivot_root(".", "mnt").context(|| "unable to pivot")?;
    rustix::process::chroot(".")?;
    rustix::process::chdir("/")?;
    unmount("/mnt", UnmountFlags::DETACH).context(|| "unable to leave the machine's root")?;
    // The kernel's own environment for an init.
    let error = Command::new("/init").env_clear().env("HOME", "/").env("TERM", "linux").exec();
    Err(error).context(|| "unable to start /init")
}
