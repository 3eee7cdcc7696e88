//! Who the command is: by numbers, or by names of the container's own passwd and group files.

use core::ffi::CStr;

use heapless::Vec;

use super::Now;
use super::fs::{self, Lines};
use crate::format::fault::Step;
use crate::format::number;
use crate::format::spec::{Spec, Tag};
use crate::format::text::cut;
use crate::sys::Errno;

/// The most groups beside the first.
const GROUPS: usize = 32;

/// A user.
pub(super) struct User {
    /// Its number.
    pub uid: u32,
    /// Its group's.
    pub gid: u32,
    /// The groups beside that.
    pub groups: Vec<u32, GROUPS>,
    /// HOME=, with a NUL behind it; empty where no file says it.
    home: [u8; 256],
}

impl User {
    /// HOME for its environment.
    pub(super) fn home(&self) -> &CStr {
        match CStr::from_bytes_until_nul(&self.home) {
            Ok(home) if !home.is_empty() => home,
            _ if self.uid == 0 => c"HOME=/root",
            _ => c"HOME=/",
        }
    }
}

/// The user of a spec. This is done inside, where /etc is the container's.
pub(super) fn find<'a>(spec: Spec<'a>, now: &Now<'a>) -> User {
    let (uid, gid) = spec.user();
    let mut user = User {
        uid,
        gid,
        groups: Vec::new(),
        home: [0; 256],
    };
    if let Some(name) = spec.string(Tag::UserName) {
        now.at(Step::FindUser, name);
        now.ok(look_up(name.to_bytes(), &mut user));
    }
    user
}

/// NAME[:GROUP], both by name or by number.
fn look_up(who: &[u8], user: &mut User) -> Result<(), Errno> {
    let (name, group) = cut(who, b':');
    let mut found = number::u32(name);
    (user.uid, user.gid) = (found.unwrap_or(0), found.unwrap_or(0));
    let mut lines = Lines::open(c"/etc/passwd")?;
    while let Some(line) = lines.next() {
        let (Some(uid), Some(gid)) = (number_of(line, 2), number_of(line, 3)) else {
            continue;
        };
        if field(line, 0) == name {
            found = Some(uid);
            (user.uid, user.gid) = (uid, gid);
            let _ = fs::c_string(&[b"HOME=", field(line, 5)], &mut user.home);
            break;
        }
    }
    found.ok_or(Errno::NOENT)?;
    let mut found = group.is_none();
    if let Some(gid) = group.and_then(number::u32) {
        (user.gid, found) = (gid, true);
    }
    // A root without that file has no groups by name, and no others to be in.
    let mut lines = Lines::open(c"/etc/group").ok();
    while let Some(line) = lines.as_mut().and_then(Lines::next) {
        let Some(gid) = number_of(line, 2) else {
            continue;
        };
        if Some(field(line, 0)) == group {
            (user.gid, found) = (gid, true);
        }
        // A group that is asked for stands alone, as docker has it.
        if group.is_none()
            && field(line, 3)
                .split(|b| *b == b',')
                .any(|member| member == name)
        {
            let _ = user.groups.push(gid);
        }
    }
    found.then_some(()).ok_or(Errno::NOENT)
}

/// A field of a line, with colons between, counted from 0.
#[inline(never)]
fn field(line: &[u8], number: usize) -> &[u8] {
    let mut rest = Some(line);
    for _ in 0..number {
        rest = rest.and_then(|rest| cut(rest, b':').1);
    }
    cut(rest.unwrap_or_default(), b':').0
}

/// The same as a number: -1 is none, it means "leave it as it is" to the kernel.
fn number_of(line: &[u8], at: usize) -> Option<u32> {
    number::u32(field(line, at)).filter(|n| *n != u32::MAX)
}
