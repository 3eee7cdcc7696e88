//! Packs a board's binary for the stub that unpacks it (src/packed)
//!
//! Calls are rewritten to name the place they lead to (src/format/calls.rs), then it is packed (src/format/pack.rs). A
//! mark at the binary's end tells one build from another. Same input, same bytes.

use crate::pack::{Manner, pack};
use crate::{Context, Error, Result};
use pouch::format::calls::{self, Make};
use pouch::format::mark;
use std::path::Path;

/// Packs the ELF file `binary` into `payload`, and the mark into `payload`.mark.
///
/// # Errors
/// No ELF file, or files that cannot be read or written.
pub fn squeeze(binary: &Path, payload: &Path) -> Result<String> {
    let mut code = std::fs::read(binary).context(|| format!("reading {}", binary.display()))?;
    if !code.starts_with(b"\x7fELF") {
        return Err(Error::new(format!("{} is no ELF file", binary.display())));
    }
    let mut mark = mark::MAGIC.to_vec();
    mark.extend_from_slice(&mark::digest(mark::START, &code).to_le_bytes());
    code.extend_from_slice(&mark);
    let unpacked = code.len();
    let machine = code.get(18).copied().unwrap_or_default();
    match machine {
        62 => calls::x86_64(&mut code, Make::Places),
        183 => calls::aarch64(&mut code, Make::Places),
        40 => calls::thumb(&mut code, Make::Places),
        _ => {}
    }
    let size = u32::try_from(unpacked).map_err(|_| Error::new("a binary of more than 4 GiB"))?;
    let mut packed = size.to_le_bytes().to_vec();
    packed.extend(pack(&code, manner(machine)));
    std::fs::write(payload, &packed).context(|| format!("writing {}", payload.display()))?;
    let beside = format!("{}.mark", payload.display());
    std::fs::write(&beside, &mark).context(|| format!("writing {beside}"))?;
    Ok(format!("{unpacked} bytes packed into {}", packed.len()))
}

/// How each processor's code is looked at: the smallest of what was tried.
fn manner(machine: u8) -> Manner {
    match machine {
        183 => Manner { place_bits: 2, behind_match: false, groups: 8 },
        40 => Manner { place_bits: 1, behind_match: false, groups: 8 },
        _ => Manner { place_bits: 0, behind_match: true, groups: 16 },
    }
}
