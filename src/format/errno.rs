//! The kernel's reasons in words, as strerror(3) has them.
//!
//! Only those that a start, a mount, a terminal or a cgroup can give; another is
//! shown by its number (include/uapi/asm-generic/errno*.h).

use super::text::{Sink, put};

macro_rules! reasons {
    ($($number:literal $words:literal)*) => {
        /// The errnos known here.
        const NUMBERS: &[u8] = &[$($number),*];
        /// Their words, a line each, in the same order.
        const WORDS: &str = concat!($($words, "\n"),*);
    };
}

reasons! {
    1 "Operation not permitted"
    2 "No such file or directory"
    3 "No such process"
    4 "Interrupted system call"
    5 "Input/output error"
    6 "No such device or address"
    7 "Argument list too long"
    8 "Exec format error"
    9 "Bad file descriptor"
    10 "No child processes"
    11 "Resource temporarily unavailable"
    12 "Cannot allocate memory"
    13 "Permission denied"
    14 "Bad address"
    15 "Block device required"
    16 "Device or resource busy"
    17 "File exists"
    18 "Invalid cross-device link"
    19 "No such device"
    20 "Not a directory"
    21 "Is a directory"
    22 "Invalid argument"
    23 "Too many open files in system"
    24 "Too many open files"
    25 "Inappropriate ioctl for device"
    26 "Text file busy"
    27 "File too large"
    28 "No space left on device"
    29 "Illegal seek"
    30 "Read-only file system"
    31 "Too many links"
    32 "Broken pipe"
    34 "Numerical result out of range"
    36 "File name too long"
    38 "Function not implemented"
    39 "Directory not empty"
    40 "Too many levels of symbolic links"
    61 "No data available"
    62 "Timer expired"
    71 "Protocol error"
    75 "Value too large for defined data type"
    90 "Message too long"
    93 "Protocol not supported"
    95 "Operation not supported"
    97 "Address family not supported by protocol"
    98 "Address already in use"
    99 "Cannot assign requested address"
    100 "Network is down"
    101 "Network is unreachable"
    103 "Software caused connection abort"
    104 "Connection reset by peer"
    105 "No buffer space available"
    110 "Connection timed out"
    111 "Connection refused"
    113 "No route to host"
    116 "Stale file handle"
    117 "Structure needs cleaning"
    122 "Disk quota exceeded"
    123 "No medium found"
    129 "Key was rejected by service"
}

/// An errno on its way to a person.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reason(pub u16);

impl Reason {
    /// The words, if it is one of those known here.
    pub fn words(self) -> Option<&'static str> {
        let at = NUMBERS.iter().position(|n| u16::from(*n) == self.0)?;
        super::text::line(WORDS, at)
    }
}

/// Writes a reason's words, or its number.
pub fn show(sink: &mut Sink<'_>, number: u16) {
    match Reason(number).words() {
        Some(words) => sink.take(words.as_bytes()),
        None => put!(sink, "error {}", u32::from(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_its_words() {
        assert_eq!(WORDS.lines().count(), NUMBERS.len());
        assert_eq!(Reason(1).words(), Some("Operation not permitted"));
        assert_eq!(Reason(17).words(), Some("File exists"));
        assert_eq!(Reason(129).words(), Some("Key was rejected by service"));
        assert_eq!(Reason(0).words(), None);
        assert_eq!(Reason(300).words(), None);
    }
}
