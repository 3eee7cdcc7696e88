//! Packs a board's binary for the stub that unpacks it (src/packed)
//!
//! Calls are rewritten to name the place they lead to, which repeats where the way there does not; then LZMA,
//! whose reader is src/format/lzma.rs. A mark at the binary's end tells one build from another. Same input, same bytes.

use crate::{Context, Error, Result};
use lzma_rust2::{LzmaOptions, LzmaWriter, MfType};
use pouch::format::mark;
use std::io::Write as _;
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
        62 => near_calls_x86(&mut code),
        183 => near_calls_arm64(&mut code),
        _ => {}
    }
    let size = u32::try_from(unpacked).map_err(|_| Error::new("a binary of more than 4 GiB"))?;
    let mut packed = size.to_le_bytes().to_vec();
    packed.extend_from_slice(&lzma(&code, machine)?);
    std::fs::write(payload, &packed).context(|| format!("writing {}", payload.display()))?;
    let beside = format!("{}.mark", payload.display());
    std::fs::write(&beside, &mark).context(|| format!("writing {beside}"))?;
    Ok(format!("{unpacked} bytes packed into {}", packed.len()))
}

/// The byte of properties and the stream of [`pouch::format::lzma`].
fn lzma(code: &[u8], machine: u8) -> Result<Vec<u8>> {
    // How many bits of the byte before, and of the place, tell what comes: each processor's smallest.
    let (lc, lp, pb) = match machine {
        183 => (1, 2, 2),
        40 => (3, 1, 1),
        _ => (3, 0, 0),
    };
    let options =
        LzmaOptions { lc, lp, pb, nice_len: 273, mf: MfType::Bt4, depth_limit: 1000, ..LzmaOptions::with_preset(9) };
    let mut packed = vec![options.get_props()];
    let mut writer = LzmaWriter::new_no_header(&mut packed, &options, false)?;
    writer.write_all(code)?;
    writer.finish()?;
    Ok(packed)
}

/// `call` on x86-64: its way becomes a place, big end first; places and ways trade ranges, so it can be undone.
fn near_calls_x86(code: &mut [u8]) {
    let len = i32::try_from(code.len()).unwrap_or(i32::MAX);
    let mut at = 0;
    while at + 5 <= code.len() {
        if code[at] != 0xe8 {
            at += 1;
            continue;
        }
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&code[at + 1..at + 5]);
        let way = i32::from_le_bytes(bytes);
        let here = i32::try_from(at).unwrap_or(i32::MAX);
        let to = if (-here..len - here).contains(&way) {
            way + here
        } else if (len - here..len).contains(&way) {
            way - len
        } else {
            way
        };
        code[at + 1..at + 5].copy_from_slice(&to.to_be_bytes());
        at += 5;
    }
}

/// BL on aarch64.
fn near_calls_arm64(code: &mut [u8]) {
    for (at, word) in code.chunks_exact_mut(4).enumerate() {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(word);
        let value = u32::from_le_bytes(bytes);
        if value >> 26 == 0x25 {
            let place = u32::try_from(at).unwrap_or(0);
            let to = value.wrapping_add(place) & 0x03ff_ffff;
            word.copy_from_slice(&(0x25 << 26 | to).to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_unpacks() {
        let text = include_bytes!("squeeze.rs");
        for machine in [62, 183, 40] {
            let packed = lzma(text, machine).unwrap();
            assert!(packed.len() < text.len() / 2, "{}", packed.len());
            let mut room = vec![0; text.len()];
            assert_eq!(pouch::format::lzma::unpack(&packed, &mut room), Some(()));
            assert_eq!(room, text);
        }
    }
}
