//! Which devices a container's processes may use: the rules of its cgroup.
//!
//! On cgroup v2 the kernel asks a small program at each open(2) and mknod(2) of a device.
//! It is made here of rules, those of runc for everybody and one for each `--device`, and
//! denies what no rule allows, whoever made the node and wherever it lies.

use core::ffi::CStr;

use heapless::Vec;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, mknodat};

use super::{Now, Plan, fs};
use crate::format::fault::Step;
use crate::format::spec::Tag;
use crate::sys::{Errno, bpf, lend};

/// Uses of a device (BPF_DEVCG_ACC_*), and all of them.
const MKNOD: u32 = 1;
const READ: u32 = 2;
const WRITE: u32 = 4;
const ALL: u32 = MKNOD | READ | WRITE;
/// Kinds of devices (BPF_DEVCG_DEV_*).
const BLOCK: u32 = 1;
const CHAR: u32 = 2;

/// Registers: the answer, the context, then what was asked.
const ANSWER: u64 = 0;
const CONTEXT: u64 = 1;
const ACCESS: u64 = 2;
const MAJOR: u64 = 3;
const MINOR: u64 = 4;
const KIND: u64 = 5;

/// Instructions of eBPF (linux/bpf.h).
const LOAD: u64 = 0x61;
const SET: u64 = 0xb7;
const COPY: u64 = 0xbf;
const AND: u64 = 0x57;
const SHIFT_RIGHT: u64 = 0x77;
const IF: u64 = 0x15;
const IF_NOT: u64 = 0x55;
const SKIP: u64 = 0x05;
const EXIT: u64 = 0x95;

/// One instruction (struct bpf_insn): on which register, from which, how far it skips (or
/// where a field lies), a number.
const fn insn(code: u64, to: u64, from: u64, offset: u64, number: u32) -> u64 {
    code | to << 8 | from << 12 | offset << 16 | (number as u64) << 32
}

/// `IF` and `IF_NOT`: skips so many instructions.
const fn skip(code: u64, register: u64, number: u32, offset: u64) -> u64 {
    insn(code, register, 0, offset, number)
}

const YES: u64 = insn(SET, ANSWER, 0, 0, 1);
const NO: u64 = insn(SET, ANSWER, 0, 0, 0);
const END: u64 = insn(EXIT, 0, 0, 0, 0);

/// What everybody may do (runc's rules): make any node, since none can be opened but null,
/// zero, full, random, urandom, tty, ptmx and pts, the console among these. The rest goes
/// on to what follows.
const RULES: [u64; 22] = [
    // struct bpf_cgroup_dev_ctx: what is done in the upper half, to which kind in the lower.
    insn(LOAD, ACCESS, CONTEXT, 0, 0),
    insn(LOAD, MAJOR, CONTEXT, 4, 0),
    insn(LOAD, MINOR, CONTEXT, 8, 0),
    insn(COPY, KIND, ACCESS, 0, 0),
    insn(AND, KIND, 0, 0, 0xffff),
    insn(SHIFT_RIGHT, ACCESS, 0, 0, 16),
    skip(IF, ACCESS, MKNOD, 13),
    skip(IF_NOT, KIND, CHAR, 14),
    skip(IF, MAJOR, 136, 11),
    skip(IF_NOT, MAJOR, 1, 6),
    skip(IF, MINOR, 3, 9), // null
    skip(IF, MINOR, 5, 8), // zero
    skip(IF, MINOR, 7, 7), // full
    skip(IF, MINOR, 8, 6), // random
    skip(IF, MINOR, 9, 5), // urandom
    skip(SKIP, 0, 0, 6),
    skip(IF_NOT, MAJOR, 5, 5),
    skip(IF, MINOR, 0, 2), // tty
    skip(IF, MINOR, 2, 1), // ptmx
    skip(SKIP, 0, 0, 2),
    YES,
    END,
];

/// The most `--device`s: one more is an error, not silence.
const DEVICES_MAX: usize = 32;
/// Instructions of each.
const EACH: usize = 8;

/// One more rule: of this device, no use but these is kept from.
fn rule(kind: u32, access: u32, major: u32, minor: u32) -> [u64; EACH] {
    [
        skip(IF_NOT, KIND, kind, 7),
        skip(IF_NOT, MAJOR, major, 6),
        skip(IF_NOT, MINOR, minor, 5),
        insn(COPY, ANSWER, ACCESS, 0, 0),
        insn(AND, ANSWER, 0, 0, ALL & !access),
        skip(IF_NOT, ANSWER, 0, 2),
        YES,
        END,
    ]
}

/// The host's device of that path: its kind, numbers and mode.
fn device(path: &CStr) -> Result<(FileType, u64, u32), Errno> {
    let stat = rustix::fs::stat(path)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    match kind {
        FileType::CharacterDevice | FileType::BlockDevice => {
            Ok((kind, stat.st_rdev as u64, stat.st_mode & 0o777))
        }
        _ => Err(Errno::NODEV),
    }
}

/// Makes the node of each `--device` below `root`.
pub(super) fn nodes<'a>(plan: &Plan<'a>, root: BorrowedFd<'_>, now: &Now<'a>) {
    let mut strings = plan.spec.all(Tag::Device);
    while let (Some(path), Some(_)) = (strings.next(), strings.next()) {
        now.at(Step::Open, path);
        let (kind, number, mode) = now.ok(device(path));
        now.at(Step::Make, path);
        let (parent, name) = now.ok(fs::parent(root, path));
        let mut room = [0; 256];
        let name = now.ok(fs::c_string(&[name], &mut room));
        let mode = Mode::from_raw_mode(mode);
        match mknodat(lend(&parent), name, kind, mode, number) {
            // One of those that everybody has.
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => now.end(e),
        }
    }
}

/// The program of who was given no device: the same for all, so that the kernel checks it once.
///
/// # Errors
/// As of [`bpf::load`].
pub fn usual() -> Result<OwnedFd, Errno> {
    let mut program = [NO; RULES.len() + 2];
    for (to, from) in program.iter_mut().zip(RULES.iter().chain(&[NO, END])) {
        *to = *from;
    }
    bpf::load(&program)
}

/// Sets the rules of the plan's cgroup. Where that cannot be, no node can be made inside instead.
///
/// Done while paths are the host's still, after all that the launch itself opens.
pub(super) fn restrict<'a>(plan: &Plan<'a>, now: &Now<'a>) {
    let done = match (plan.cgroup, plan.judge) {
        (None, _) => Err(Errno::NOTSUP),
        (Some(cgroup), Some(usual)) if plan.spec.all(Tag::Device).next().is_none() => {
            now.at(Step::Devices, plan.spec.name());
            bpf::judge_devices(cgroup, usual)
        }
        (Some(cgroup), _) => {
            own(plan, now).and_then(|program| bpf::judge_devices(cgroup, lend(&program)))
        }
    };
    if let Err(e) = done {
        now.warn(plan.spec.name(), e, "no device node can be made in it");
        now.unruled.set(true);
    }
}

/// The program of who was given devices.
#[inline(never)]
fn own<'a>(plan: &Plan<'a>, now: &Now<'a>) -> Result<OwnedFd, Errno> {
    let mut program: Vec<u64, { RULES.len() + EACH * DEVICES_MAX + 2 }> = Vec::new();
    let mut fits = program.extend_from_slice(&RULES);
    let mut strings = plan.spec.all(Tag::Device);
    while let (Some(path), Some(allowed)) = (strings.next(), strings.next()) {
        now.at(Step::Open, path);
        let (kind, number, _) = now.ok(device(path));
        let kind = match kind {
            FileType::BlockDevice => BLOCK,
            _ => CHAR,
        };
        let mut access = 0;
        for letter in allowed.to_bytes() {
            access |= match letter {
                b'r' => READ,
                b'w' => WRITE,
                _ => MKNOD,
            };
        }
        let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
        fits = fits.and(program.extend_from_slice(&rule(kind, access, major, minor)));
    }
    now.at(Step::Devices, plan.spec.name());
    now.ok(fits
        .and(program.extend_from_slice(&[NO, END]))
        .map_err(|_| Errno::TOOBIG));
    bpf::load(&program)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would do: runs the program on one use of a device.
    fn judge(more: &[[u64; EACH]], kind: u32, access: u32, major: u32, minor: u32) -> bool {
        let mut program = RULES.to_vec();
        more.iter().for_each(|rule| program.extend(rule));
        program.extend([NO, END]);
        let mut r = [0u64; 6];
        let mut at = 0;
        loop {
            let i = program[at];
            let (to, from) = ((i >> 8 & 15) as usize, (i >> 12 & 15) as usize);
            let (offset, number) = ((i >> 16 & 0xffff) as usize, i >> 32);
            at += 1;
            match i & 0xff {
                LOAD => {
                    r[to] = match offset {
                        0 => u64::from(access << 16 | kind),
                        4 => major.into(),
                        _ => minor.into(),
                    }
                }
                SET => r[to] = number,
                COPY => r[to] = r[from],
                AND => r[to] &= number,
                SHIFT_RIGHT => r[to] >>= number,
                IF => at += if r[to] == number { offset } else { 0 },
                IF_NOT => at += if r[to] != number { offset } else { 0 },
                SKIP => at += offset,
                EXIT => return r[0] == 1,
                other => panic!("instruction {other:#x}"),
            }
        }
    }

    #[test]
    fn what_harms_nobody_is_allowed_and_nothing_else() {
        for kind in [BLOCK, CHAR] {
            for access in 1..=ALL {
                for (major, minor) in (0..300).flat_map(|a| (0..300).map(move |b| (a, b))) {
                    let harmless = kind == CHAR
                        && match major {
                            1 => matches!(minor, 3 | 5 | 7 | 8 | 9),
                            5 => matches!(minor, 0 | 2),
                            _ => major == 136,
                        };
                    let wanted = access == MKNOD || harmless;
                    let got = judge(&[], kind, access, major, minor);
                    assert_eq!(got, wanted, "{kind} {access} {major}:{minor}");
                }
            }
        }
    }

    #[test]
    fn a_device_given_is_allowed_as_far_as_given() {
        let more = [rule(BLOCK, READ, 254, 0), rule(CHAR, READ | WRITE, 10, 200)];
        for (kind, access, major, minor, wanted) in [
            (BLOCK, READ, 254, 0, true),
            (BLOCK, READ | WRITE, 254, 0, false),
            (BLOCK, WRITE, 254, 0, false),
            (BLOCK, READ, 254, 1, false),
            (BLOCK, READ, 10, 200, false),
            (CHAR, READ, 254, 0, false),
            (CHAR, READ | WRITE, 10, 200, true),
            (CHAR, ALL, 10, 200, false),
            (CHAR, ALL, 1, 3, true),
        ] {
            assert_eq!(judge(&more, kind, access, major, minor), wanted);
        }
    }
}
