//! Capabilities by name and number, as capabilities(7) has them.
//!
//! A set is a u64 with one bit for each number, the way the kernel keeps it.

use super::text::{alike, cut, which_from};

/// Names in the order of their numbers, from 0, without their CAP_.
pub(super) const NAMES: &str = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID \
    SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER \
    SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE \
    SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP \
    MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF \
    CHECKPOINT_RESTORE";

/// How many there are (CAP_LAST_CAP and one, Linux 5.9).
pub const COUNT: u32 = 41;

/// Every capability.
pub const ALL: u64 = (1 << COUNT) - 1;

/// Docker's fourteen, what a container has without a word about it: chown, dac_override,
/// fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service, net_raw, sys_chroot,
/// mknod, audit_write, setfcap.
pub const DEFAULT: u64 = 0xa804_25fb;

/// That of mount(2), and much else.
pub const SYS_ADMIN: u64 = 1 << 21;

/// That of mknod(2).
pub const MKNOD: u64 = 1 << 27;

/// The set that `NET_ADMIN`, `CAP_NET_ADMIN`, `cap_net_admin` or `ALL` means.
pub(super) fn one(name: &[u8]) -> Option<u64> {
    if alike(name, b"ALL") {
        return Some(ALL);
    }
    let bare = match name.split_at_checked(4) {
        Some((start, rest)) if alike(start, b"CAP_") => rest,
        _ => name,
    };
    Some(1 << which_from(NAMES, 0, bare)?)
}

/// The name of that number, without its CAP_.
pub fn name(number: u32) -> Option<&'static str> {
    super::text::nth(NAMES, b' ', usize::try_from(number).ok()?)
}

/// The set of `NAME[,NAME]...` or `ALL`; `None` where one of them is no capability.
pub fn set(list: &[u8]) -> Option<u64> {
    let (mut set, mut rest) = (0, Some(list));
    while let Some(some) = rest {
        let (word, behind) = cut(some, b',');
        set |= one(word)?;
        rest = behind;
    }
    Some(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_forty_one_and_names_and_numbers_are_inverse() {
        assert_eq!(NAMES.split(' ').count(), 41);
        for n in 0..COUNT {
            let known = name(n).unwrap();
            assert_eq!(one(known.as_bytes()), Some(1 << n));
            assert_eq!(one(std::format!("cap_{known}").as_bytes()), Some(1 << n));
        }
        assert_eq!(name(COUNT), None);
        assert_eq!(one(b"SYS_ADMIN"), Some(1 << 21));
        assert_eq!(one(b"CHECKPOINT_RESTORE"), Some(1 << 40));
        for bad in ["", "CAP_", "SYS", "SYS_ADMIN ", "CAP_ALL", "CAP_CAP_KILL"] {
            assert_eq!(one(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn the_default_is_dockers_fourteen() {
        let list = b"CHOWN,DAC_OVERRIDE,FSETID,FOWNER,MKNOD,NET_RAW,SETGID,SETUID,SETFCAP,\
            SETPCAP,NET_BIND_SERVICE,SYS_CHROOT,KILL,AUDIT_WRITE";
        assert_eq!(set(list), Some(DEFAULT));
        assert_eq!(DEFAULT.count_ones(), 14);
    }

    #[test]
    fn a_wrong_name_spoils_the_list() {
        assert_eq!(set(b"all"), Some(ALL));
        assert_eq!(set(b"CHOWN,NOPE,KILL"), None);
        assert_eq!(set(b"CHOWN,"), None);
    }
}
