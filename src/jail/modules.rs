//! Kernel modules, with what they need, by modules.dep(5) and finit_module(2).
//!
//! Children do it: a module may take its time, and a disk may hang. No modprobe is
//! expected on the board.

use rustix::fs::OFlags;

use super::fs::{self, Lines};
use crate::format::text::cut;
use crate::sys::{Errno, file, lend};

/// Where they lie, by the kernel's release.
const FOLDER: &[u8] = b"/lib/modules/";

/// Loads a module after what it depends on. One that is there already is a success.
///
/// # Errors
/// ENOENT for one that modules.dep does not know, or the kernel's reason.
pub fn load(name: &[u8]) -> Result<(), Errno> {
    let uts = rustix::system::uname();
    let release = uts.release().to_bytes();
    let mut room: fs::Path = [0; 1024];
    let list = fs::c_string(&[FOLDER, release, b"/modules.dep"], &mut room)?;
    let mut lines = Lines::open(list)?;
    while let Some(line) = lines.next() {
        let (own, needs) = cut(line, b':');
        if !is_module(own, name) {
            continue;
        }
        // modules.dep names the nearest need first, so the farthest is loaded first.
        for path in needs.unwrap_or_default().rsplit(|b| *b == b' ') {
            if !path.is_empty() {
                insert(release, path)?;
            }
        }
        return insert(release, own);
    }
    Err(Errno::NOENT)
}

#[inline(never)]
fn insert(release: &[u8], path: &[u8]) -> Result<(), Errno> {
    let mut room: fs::Path = [0; 1024];
    let path = fs::c_string(&[FOLDER, release, b"/", path], &mut room)?;
    let fd = file::open_at(None, path, OFlags::empty())?;
    // The kernel unpacks what it was built to unpack.
    let flags = match path.to_bytes().ends_with(b".ko") {
        true => 0,
        false => MODULE_INIT_COMPRESSED_FILE,
    };
    match rustix::system::finit_module(lend(&fd), c"", flags) {
        Err(Errno::EXIST) => Ok(()),
        other => other,
    }
}

/// finit_module(2): the file is compressed.
const MODULE_INIT_COMPRESSED_FILE: i32 = 4;

/// Whether the path is `.../NAME.ko[.xz]`; in names `-` and `_` are one letter.
fn is_module(path: &[u8], name: &[u8]) -> bool {
    let file = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let base = cut(file, b'.').0;
    let same = |b: &u8| if *b == b'_' { b'-' } else { *b };
    base.len() == name.len() && base.iter().map(same).eq(name.iter().map(same))
}
