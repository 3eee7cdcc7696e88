//! The screen's picture: from what QEMU dumps to what a README shows

use crate::{Context, Error, Result};
use std::path::Path;

/// Turns a binary PPM (`P6`, as QEMU's screendump writes it) into a PNG of 16 colours at most, as a console has.
///
/// # Errors
/// No such picture, one of more colours, or files that cannot be read or written.
pub fn to_png(from: &Path, to: &Path) -> Result<()> {
    let bytes = std::fs::read(from).context(|| format!("reading {}", from.display()))?;
    let wrong = || Error::new(format!("{} is no binary PPM", from.display()));
    let mut rest = bytes.as_slice();
    let mut words = Vec::new();
    while words.len() < 4 {
        let end = rest.iter().position(u8::is_ascii_whitespace).ok_or_else(wrong)?;
        words.push(String::from_utf8_lossy(rest.get(..end).unwrap_or_default()).into_owned());
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<u32>().ok()).ok_or_else(wrong);
    let (width, height) = (number(1)?, number(2)?);
    if words.first().is_none_or(|word| word != "P6") || rest.len() != (width * height * 3) as usize {
        return Err(wrong());
    }
    let mut palette: Vec<[u8; 3]> = Vec::new();
    let mut pixels = Vec::with_capacity(rest.len() / 3);
    for pixel in rest.chunks_exact(3) {
        let colour = [pixel[0], pixel[1], pixel[2]];
        let at = palette.iter().position(|known| *known == colour).unwrap_or_else(|| {
            palette.push(colour);
            palette.len() - 1
        });
        pixels.push(u8::try_from(at).map_err(|_| Error::new("more than 256 colours"))?);
    }
    let file = std::fs::File::create(to).context(|| format!("writing {}", to.display()))?;
    let mut encoder = png::Encoder::new(std::io::BufWriter::new(file), width, height);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(palette.concat());
    encoder.set_compression(png::Compression::High);
    let write = |error: png::EncodingError| Error::new(format!("writing {}: {error}", to.display()));
    encoder.write_header().map_err(write)?.write_image_data(&pixels).map_err(write)
}
