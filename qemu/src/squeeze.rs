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
    can_take_its_place(&code).context(|| format!("{}", binary.display()))?;
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

/// Whether src/packed/place.rs can map it: its parts' headers within the first 512 bytes, each part in windows of its own,
/// and none where the stub lies that maps them (scripts/link.rs).
fn can_take_its_place(code: &[u8]) -> Result<()> {
    const STUB: u64 = 0x400_0000;
    let word = |at: usize, len: usize| {
        let bytes = code.get(at..at + len).unwrap_or_default();
        bytes.iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte))
    };
    let wide = code.get(4) == Some(&2);
    let (first, len, count) = if wide { (64, 56, word(56, 2)) } else { (52, 32, word(44, 2)) };
    let (begin, fields) = if wide { (word(32, 8), [16, 40, 48]) } else { (word(28, 4), [8, 20, 28]) };
    let width = if wide { 8 } else { 4 };
    let (mut free, mut good) = (0, begin == first as u64 && first + len * count as usize <= 512);
    for part in 0..count as usize {
        let at = first + len * part;
        let [from, room, align] = fields.map(|field| word(at + field, width));
        if word(at, 4) == 1 {
            good &= align >= 4096 && from & !(align - 1) >= free && from + room <= STUB;
            free = from + room;
        }
    }
    if good { Ok(()) } else { Err(Error::new("its parts do not lie as src/packed/place.rs wants them")) }
}

/// How each processor's code is looked at: the smallest of what was tried.
fn manner(machine: u8) -> Manner {
    match machine {
        183 => Manner { place_bits: 2, behind_match: false, groups: 8 },
        40 => Manner { place_bits: 1, behind_match: false, groups: 8 },
        _ => Manner { place_bits: 0, behind_match: true, groups: 16 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of 64 bits with two parts to load: where each begins, how long it is; windows of 4 KiB.
    fn file(parts: [(u64, u64); 2]) -> Vec<u8> {
        let mut file = vec![0; 64 + 2 * 56];
        (file[4], file[32], file[56]) = (2, 64, 2);
        for (header, (from, room)) in file[64..].chunks_exact_mut(56).zip(parts) {
            header[0] = 1;
            for (at, number) in [(16, from), (40, room), (48, 4096)] {
                header[at..at + 8].copy_from_slice(&number.to_le_bytes());
            }
        }
        file
    }

    #[test]
    fn only_what_the_stub_can_map_is_packed() {
        assert!(can_take_its_place(&file([(0x20_0000, 0x6000), (0x20_6e00, 0x1000)])).is_ok());
        // The second in the first one's last window; where the stub lies; headers that are somewhere else, or too many.
        assert!(can_take_its_place(&file([(0x20_0000, 0x6e58), (0x20_6f00, 0x1000)])).is_err());
        assert!(can_take_its_place(&file([(0x20_0000, 0x6000), (0x3ff_f000, 0x1001)])).is_err());
        let mut other = file([(0x20_0000, 0x6000), (0x20_7000, 0x1000)]);
        other[32] = 128;
        assert!(can_take_its_place(&other).is_err());
        (other[32], other[56]) = (64, 9);
        assert!(can_take_its_place(&other).is_err());
    }
}
