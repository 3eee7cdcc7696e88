//! Bytes to values and back: what people, files, the kernel and messages say.
//!
//! Pure: this room does not know that Linux exists. It turns words and bytes into
//! bounded values and refuses the rest with a reason that can be shown.

pub mod calls;
pub mod capability;
pub mod cmdline;
pub mod container;
pub mod ended;
pub mod errno;
pub mod fault;
pub mod fields;
pub mod inet;
pub mod inflate;
pub mod json;
pub mod mark;
pub mod message;
pub mod name;
pub mod netlink;
pub mod number;
pub mod options;
pub mod pack;
pub mod pouchfile;
pub mod reason;
pub mod sha256;
pub mod shown;
pub mod signal;
pub mod spec;
pub mod tar;
pub mod text;
pub mod unit;
pub mod wire;
