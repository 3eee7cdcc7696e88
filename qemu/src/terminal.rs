//! The operator's terminal: raw while it is a board's serial port, and back
//!
//! The settings found at the start are put back on every way out: the guard's drop, a signal, a panic.

use crate::Result;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use std::sync::{Mutex, PoisonError};

static FOUND: Mutex<Option<Termios>> = Mutex::new(None);

/// Raw mode, until it is dropped.
pub struct Raw(());

impl Raw {
    /// Makes standard input's terminal raw.
    ///
    /// # Errors
    /// The terminal's, when it refuses.
    pub fn enter() -> Result<Self> {
        let input = rustix::stdio::stdin();
        let found = tcgetattr(input)?;
        let mut raw = found.clone();
        raw.make_raw();
        *FOUND.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        // A panic aborts in this profile: no drop runs, the hook does.
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            restore();
            usual(info);
        }));
        tcsetattr(input, OptionalActions::Now, &raw)?;
        Ok(Self(()))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

/// Puts the settings back that [`Raw::enter`] found; harmless when there are none.
pub fn restore() {
    if let Some(found) = FOUND.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // A terminal that hung up has no settings to put back.
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &found);
    }
}

/// Whether standard input is a terminal.
#[must_use]
pub fn is_interactive() -> bool {
    isatty(rustix::stdio::stdin())
}

/// Rows and columns of standard input's terminal, if it is one and knows them.
#[must_use]
pub fn size() -> Option<(u16, u16)> {
    let size = tcgetwinsize(rustix::stdio::stdin()).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}
