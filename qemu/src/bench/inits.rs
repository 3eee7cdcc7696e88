//! The other inits' image: Debian's finit and s6 beside busybox's init, all with the same work before the prompt
//!
//! s6-linux-init is no package of Debian's, so s6-svscan is what a script becomes. Each has one shell on the console,
//! and a container to start: pouch by its kernel word, the others by their script, which makes of it what a script can.

use super::{Bench, guest};
use crate::cpio::{Archive, Kind};
use crate::{Error, Result};
use std::path::PathBuf;

/// The container of pouch's kernel line: the same program in the same folder as the script's.
pub(super) const FIRST: &str = "\"pouch.container=first,rootfs=/srv/web,tty=none,command='/bin/timer first /first'\"";

const PROGRAMS: [(&str, &str); 4] = [
    ("finit", "bench/finit"),
    ("s6-svscan", "usr/bin/s6-svscan"),
    ("s6-supervise", "usr/bin/s6-supervise"),
    ("tini-static", "bench/tini"),
];

const S6: &str = "#!/bin/sh\n/bench/rcS\nexport PATH=/bin:/sbin:/usr/bin:/usr/sbin\nexec s6-svscan /bench/service\n";
const FINIT: &str = "host pouch\nrunlevel 2\nrun [S] /bench/rcS -- mounts\nservice [S2345] /bench/console -- console\n";

/// Makes the image, once a run, and returns its folder.
///
/// # Errors
/// The board has no peers; a program that no package has.
pub(super) fn prepare(bench: &Bench) -> Result<PathBuf> {
    let folder = bench.folder.join("inits");
    let mark = folder.join(format!("made.{}", std::process::id()));
    if mark.exists() {
        return Ok(folder);
    }
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;
    guest::image_with(&bench.folder, &folder, &archive(bench)?)?;
    std::fs::write(mark, "")?;
    Ok(folder)
}

fn archive(bench: &Bench) -> Result<Archive> {
    let mut archive = Archive::new();
    for name in
        ["bench/service/console", "usr/bin", "lib/x86_64-linux-gnu/finit/plugins", "lib64", "etc", "srv/web/bin"]
    {
        archive.add_folders(name)?;
    }
    let timer = guest::read(&bench.board.folder(bench.root).join("timer"))?;
    archive.add("bench/timer", 0o755, Kind::File(timer.clone()))?;
    archive.add("srv/web/bin/timer", 0o755, Kind::File(timer))?;
    archive.add("bench/first", 0o644, Kind::File(vec![]))?;
    // A board without peers still has busybox's init.
    if let Ok(peers) = &bench.peers {
        for (name, place) in PROGRAMS {
            let program = peers.program(name)?;
            archive.add(place, 0o755, Kind::File(guest::read(&program.path)?))?;
            for library in program.libraries {
                let name = library.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let folder = if name.starts_with("ld-linux") { "lib64" } else { "lib/x86_64-linux-gnu" };
                let path = format!("{folder}/{name}");
                if !archive.contains(&path) {
                    archive.add(&path, 0o755, Kind::File(guest::read(&library)?))?;
                }
            }
        }
    }
    let console = &bench.board.console;
    if console.is_empty() {
        return Err(Error::new("the board has no console"));
    }
    // finit and s6-supervise make a session of it, whose terminal the first one opened becomes. setsid would make
    // another one in a child and end, and s6 would take that for the shell's end: one more on the line each second.
    let shell = format!("#!/bin/sh\nexec /bin/sh -l </dev/{console} >/dev/{console} 2>&1\n");
    for (path, text) in [
        ("bench/console", shell.as_str()),
        ("bench/service/console/run", &shell),
        ("bench/s6", S6),
        ("etc/finit.conf", FINIT),
    ] {
        archive.add(path, 0o755, Kind::File(text.as_bytes().to_vec()))?;
    }
    Ok(archive)
}
