//! The modules that the words name, loaded by a child before anything else starts.
//!
//! A child does it: a module may take its time, and a disk may hang.

use log::Level;

use super::Init;
use super::words::{Words, unable};
use crate::format::fault::Step;
use crate::jail;
use crate::sys::{self, process};

impl Init {
    /// Starts the child that loads them in this order. Containers wait for its end.
    pub(super) fn load_modules(&mut self, names: &[&[u8]]) {
        match process::fork(0, None) {
            Ok(process::Fork::Parent { pid, .. }) => self.t.helper = Some(pid),
            Ok(process::Fork::Child) => {
                sys::enter_child();
                load_all(names);
                sys::exit(0)
            }
            Err(e) => {
                unable("load modules", e);
                self.modules_there();
            }
        }
    }
}

/// Loads them in this order; what fails is told.
pub(super) fn load_all(names: &[&[u8]]) {
    for name in names {
        if let Err(e) = jail::load_module(name) {
            let mut words = Words::new("");
            words.fault(&jail::unable(Step::Module, e, name));
            words.log(Level::Error);
        }
    }
}
