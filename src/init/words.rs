//! What PID 1 says, put together piece by piece in one buffer of one size.
//!
//! One type for every sentence and every path, and one call for every piece: a format
//! string would be compiled anew at each place that uses one.

use core::ffi::CStr;

use log::Level;

use super::log::note;
use crate::format::ended::Ended;
use crate::format::errno;
use crate::format::fault::Fault;
use crate::format::inet::{self, Cidr};
use crate::format::message::{Hurt, Unit};
use crate::format::reason::Reason;
use crate::format::text::{Plain, Text, put};
use crate::format::unit;
use crate::sys::{Errno, letters};

/// The longest sentence or path; what does not fit is left out.
const LONGEST: usize = 900;

/// A sentence or a path on its way.
pub(super) struct Words(Text<LONGEST>);

impl Words {
    /// Begins with that.
    #[inline(never)]
    pub(super) fn new(text: &str) -> Words {
        let mut words = Words(Text::new());
        words.add(text);
        words
    }

    /// Text as it is.
    #[inline(never)]
    pub(super) fn add(&mut self, text: &str) -> &mut Words {
        let Ok(()) = ufmt::uWrite::write_str(&mut self.0, text);
        self
    }

    /// Bytes of others, with what would disturb a terminal as `?`.
    #[inline(never)]
    pub(super) fn plain(&mut self, bytes: &[u8]) -> &mut Words {
        put!(&mut self.0, "{}", Plain(bytes));
        self
    }

    /// A number.
    #[inline(never)]
    pub(super) fn num(&mut self, number: u64) -> &mut Words {
        put!(&mut self.0, "{}", number);
        self
    }

    /// An address.
    #[inline(never)]
    pub(super) fn address(&mut self, cidr: Cidr) -> &mut Words {
        inet::show(&mut self.0, cidr);
        self
    }

    /// What failed, and why.
    #[inline(never)]
    pub(super) fn fault(&mut self, fault: &Fault<'_>) -> &mut Words {
        put!(&mut self.0, "{}", fault);
        self
    }

    /// How a process ended.
    #[inline(never)]
    pub(super) fn ended(&mut self, ended: Ended) -> &mut Words {
        put!(&mut self.0, "{}", ended);
        self
    }

    /// What the kernel did to it before that.
    pub(super) fn hurt(&mut self, hurt: &Hurt) -> &mut Words {
        unit::hurt(&mut self.0, hurt);
        self
    }

    /// Why a word cannot be read.
    pub(super) fn reason(&mut self, reason: Reason) -> &mut Words {
        put!(&mut self.0, "{}", reason);
        self
    }

    /// A container's state as programs read it.
    pub(super) fn unit(&mut self, view: Unit<'_>) {
        unit::show(&mut self.0, unit::Form::File, &view);
    }

    /// `: ` and the kernel's reason.
    pub(super) fn reason_of(&mut self, e: Errno) {
        put!(&mut self.0, ": {}", errno::Reason(e.raw_os_error() as u16));
    }

    /// `: error N`.
    pub(super) fn errno(&mut self, e: Errno) -> &mut Words {
        self.add(": error ").num(e.raw_os_error() as u64)
    }

    /// What was written.
    pub(super) fn as_str(&self) -> &str {
        letters::text(self.0.as_bytes()).unwrap_or_default()
    }

    /// Into the log.
    pub(super) fn log(&self, level: Level) {
        note(level, self.as_str());
    }

    /// As a path, its NUL behind it. A path that was cut is none.
    #[inline(never)]
    pub(super) fn path(&mut self) -> &CStr {
        self.add("\0");
        CStr::from_bytes_with_nul(self.0.as_bytes()).unwrap_or(c"")
    }
}

/// `unable to VERB OBJECT: error N`, into the log.
#[inline(never)]
pub(super) fn unable(what: &str, e: Errno) {
    Words::new("unable to ")
        .add(what)
        .errno(e)
        .log(Level::Error);
}
