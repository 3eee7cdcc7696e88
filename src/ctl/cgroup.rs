//! `cgroup`: the files of a live container's cgroup, to read and to set.

use super::args::Usage;
use super::exec::{Access, ask};
use super::out::Out;
use super::say;
use crate::format::fault::Step;
use crate::format::message::Refusal;
use crate::format::options;
use crate::format::reason::Reason;
use crate::format::spec::SpecBuf;
use crate::format::text::{Plain, cut, put};
use crate::jail;
use crate::sys::{Errno, file, lend};
use core::ffi::CStr;
use rustix::fd::OwnedFd;
use rustix::fs::OFlags;

/// `pouch cgroup NAME [FILE [VALUE[,VALUE...]]]`: its exit code.
///
/// # Errors
/// The words are no such line, or the value is none.
#[inline(never)]
pub fn command<'a>(words: &'a [&'a CStr], out: &mut Out, err: &mut Out) -> Result<u8, Usage<'a>> {
    let (name, rest) = words.split_first().ok_or(Usage::Count)?;
    let name = name.to_bytes();
    let (file, value) = match *rest {
        [] => (c"", None),
        [file] => (file, None),
        [file, value] => (file, Some(value.to_bytes())),
        _ => return Err(Usage::Count),
    };
    let what = file.to_bytes();
    let mut access = Access::default();
    if !ask(&mut access, name, err) {
        return Ok(say::FAILED);
    }
    let [_, cgroup] = &access.handed;
    let (mut step, mut done) = (Step::Read, Err(Errno::NOTSUP));
    if let Some(cgroup) = cgroup {
        done = match value {
            None if what.is_empty() => {
                let each = &mut |file: &CStr, is_folder: bool| {
                    // What can only be written is left out.
                    if !is_folder {
                        let _ = show(cgroup, file, true, out);
                    }
                };
                // What PID 1 handed out is one open folder for all who ask: its end would be the next one's beginning.
                open(cgroup, c".", OFlags::DIRECTORY).and_then(|own| file::entries(&own, each))
            }
            None => show(cgroup, file, false, out),
            Some(value) => {
                step = Step::CgroupWrite;
                let mut spec = SpecBuf::new();
                match options::apply(&mut spec, what, Some(value)) {
                    Ok(()) | Err(Reason::UnknownKey) => {}
                    Err(reason) => {
                        let value = Some(value);
                        return Err(Usage::Bad {
                            what,
                            value,
                            reason,
                        });
                    }
                }
                // In one step: the options are not heard of a file that would move or hold its processes.
                let made = spec.view().cgroup().next();
                set(cgroup, file, made.map(|(_, value)| value))
            }
        };
    }
    match done {
        Ok(()) if value.is_some() => put!(out, "Pouch: {} cgroup applied\n", Plain(name)),
        Ok(()) => {}
        Err(error) => {
            let fault = jail::unable(step, error, what);
            return Ok(say::refusal(err, Refusal::Fault(fault), b"", name));
        }
    }
    Ok(0)
}

/// Only a file of the cgroup itself.
#[inline(never)]
fn open(cgroup: &OwnedFd, file: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    if cut(file.to_bytes(), b'/').1.is_some() {
        return Err(Errno::NOENT);
    }
    file::open_at(Some(lend(cgroup)), file, flags | OFlags::NOFOLLOW)
}

#[inline(never)]
fn set(cgroup: &OwnedFd, file: &CStr, value: Option<&CStr>) -> Result<(), Errno> {
    let fd = open(cgroup, file, OFlags::WRONLY)?;
    let value = value.ok_or(Errno::PERM)?;
    file::write(&fd, value.to_bytes()).map(drop)
}

/// Shows what a file says, each line behind the file's name where several are shown.
fn show(cgroup: &OwnedFd, file: &CStr, named: bool, out: &mut Out) -> Result<(), Errno> {
    let fd = open(cgroup, file, OFlags::RDONLY)?;
    let mut room = [0; 8192];
    loop {
        let len = file::read(&fd, &mut room)?;
        let mut rest = room.get(..len).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        while named && !rest.is_empty() {
            let (line, behind) = cut(rest, b'\n');
            put!(out, "{} {}\n", Plain(file.to_bytes()), Plain(line));
            rest = behind.unwrap_or_default();
        }
        out.raw(rest);
    }
}
