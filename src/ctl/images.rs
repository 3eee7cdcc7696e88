//! The store of images: what is there, and what goes.

use crate::jail::{self, IMAGES};
use core::ffi::CStr;
use rustix::fs::{Access, access};

/// Whether the store has an image of that name.
pub fn is_there(image: &[u8]) -> bool {
    let mut room = [0; 128];
    let path = jail::c_string(&[IMAGES.to_bytes(), b"/", image, b"/root"], &mut room);
    path.is_ok_and(|path: &CStr| access(path, Access::EXISTS).is_ok())
}
