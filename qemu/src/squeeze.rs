//! Packs a board's binary for the stub that unpacks it (src/packed)
//!
//! Calls are rewritten to name the place they lead to, which repeats where the way there does not; then deflate,
//! as small as zopfli finds it. A mark at the binary's end tells one build from another. Same input, same bytes.

use crate::{Context, Error, Result};
use std::num::NonZeroU64;
use std::path::Path;

/// What stands in front of the digest in the mark.
const MAGIC: &[u8; 8] = b"pouch\0\0\x01";

/// Packs the ELF file `binary` into `payload`, and the mark into `payload`.mark.
///
/// # Errors
/// No ELF file, or files that cannot be read or written.
pub fn squeeze(binary: &Path, payload: &Path) -> Result<String> {
    let mut code = std::fs::read(binary).context(|| format!("reading {}", binary.display()))?;
    if !code.starts_with(b"\x7fELF") {
        return Err(Error::new(format!("{} is no ELF file", binary.display())));
    }
    let mut mark = MAGIC.to_vec();
    mark.extend_from_slice(&digest(&code).to_le_bytes());
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
    let options =
        zopfli::Options { iteration_count: NonZeroU64::new(25).unwrap_or(NonZeroU64::MIN), ..Default::default() };
    zopfli::compress(options, zopfli::Format::Deflate, code.as_slice(), &mut packed)?;
    std::fs::write(payload, &packed).context(|| format!("writing {}", payload.display()))?;
    let beside = format!("{}.mark", payload.display());
    std::fs::write(&beside, &mark).context(|| format!("writing {beside}"))?;
    Ok(format!("{unpacked} bytes packed into {}", packed.len()))
}

/// FNV-1a, which tells builds apart; nobody's word depends on it.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
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
