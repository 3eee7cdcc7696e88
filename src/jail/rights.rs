//! What the container's processes may do: capabilities, user, no_new_privs, system calls.

use rustix::thread::{CapabilitySet, CapabilitySets};

use super::user::User;
use super::{Now, seccomp};
use crate::format::capability;
use crate::format::fault::Step;
use crate::format::spec::{Record, Spec, Tag, flags};
use crate::format::wire::Reader;
use crate::policy::size::MANY;
use crate::sys::{Errno, process};

/// Resource limits. A user namespace has no say in raising them: before one is entered they become as high as they are
/// to be, and no lower, since there is more to do than the container may.
pub(super) fn limits<'a>(spec: Spec<'a>, raise: bool, now: &Now<'a>) {
    now.at(Step::Rlimit, spec.name());
    let files = |r: Record<'_>| r.tag == Tag::Rlimit && r.bytes.first() == Some(&process::NOFILE);
    if MANY && !raise && !spec.records().any(files) {
        usual_files();
    }
    for record in spec.records().filter(|r| r.tag == Tag::Rlimit) {
        let mut r = Reader::new(record.bytes);
        let (which, soft, hard) = (r.u8(), r.u64(), r.u64());
        now.ok(match raise {
            true => process::raise_limit(which, hard),
            false => process::set_limit(which, [soft, hard]),
        });
    }
}

/// As many descriptors as the kernel gives its first process, where PID 1 has more for itself: programs that were
/// written for select(2) go by the soft limit. Said last: until its execve a child of PID 1's has all of those open.
pub fn usual_files() {
    if MANY {
        let _ = process::set_limit(process::NOFILE, [1024, 4096]);
    }
}

/// Takes rights away, in the order in which the taking still is allowed.
pub(super) fn drop_all<'a>(spec: Spec<'a>, user: &User, privileged: bool, now: &Now<'a>) {
    // Limits while they may still be raised.
    limits(spec, false, now);
    let mut kept = if privileged {
        u64::MAX
    } else {
        spec.capabilities().unwrap_or(capability::DEFAULT)
    };
    if now.unruled.get() {
        kept &= !capability::MKNOD;
    }
    // Keys that whoever started this holds are not the container's. Without keys there are none to hide.
    let _ = process::own_keyring();
    // The bounding set first: it takes SETPCAP, which is about to go.
    now.at(Step::Capabilities, spec.name());
    bound(kept, now);
    let locked = spec.flags() & flags::NEW_PRIVS == 0 && !privileged;
    let filtered = spec.flags() & flags::NO_SECCOMP == 0 && !privileged;
    if locked {
        now.at(Step::NoNewPrivs, spec.name());
        now.ok(rustix::thread::set_no_new_privs(true));
    } else if filtered {
        // Without no_new_privs it takes SYS_ADMIN, which is about to go; what is left to do is allowed.
        filter(spec, kept, now);
    }
    // Groups and user while SETGID and SETUID are there; another user than root keeps no capability.
    now.at(Step::User, spec.name());
    now.ok(process::become_user(user.uid, user.gid, &user.groups));
    now.at(Step::Capabilities, spec.name());
    now.ok(hold(if user.uid == 0 { kept } else { 0 }));
    if locked && filtered {
        filter(spec, kept, now);
    }
}

fn filter<'a>(spec: Spec<'a>, kept: u64, now: &Now<'a>) {
    now.at(Step::Seccomp, spec.name());
    now.ok(seccomp::install(kept));
}

/// Drops what is not kept from the bounding set, up to the last capability that this kernel has.
fn bound(kept: u64, now: &Now<'_>) {
    for number in 0..64u32 {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if kept & (1 << number) != 0 {
            continue;
        }
        match rustix::thread::remove_capability_from_bounding_set(one) {
            Ok(()) => {}
            Err(Errno::INVAL) => break,
            Err(e) => now.end(e),
        }
    }
}

/// Effective and permitted become `held`; nothing is inheritable (CVE-2022-29162) nor ambient.
pub(super) fn hold(held: u64) -> Result<(), Errno> {
    let now = rustix::thread::capabilities(None)?;
    let set = CapabilitySet::from_bits_retain(held) & now.permitted;
    rustix::thread::set_capabilities(
        None,
        CapabilitySets {
            effective: set,
            permitted: set,
            inheritable: CapabilitySet::empty(),
        },
    )
}
