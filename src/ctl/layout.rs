//! What `docker save` writes, and OCI layouts: descriptions in JSON, layers in tar.
//!
//! A file that is named by its digest must have it: a description before anything of it is used, a
//! layer by the end of its unpacking, which nobody sees before all are well.

use super::stream::{Stream, Why};
use super::unpack::{Pass, Unpack};
use crate::format::json::{Reader, kind};
use crate::format::options;
use crate::format::reason::Reason;
use crate::format::sha256::{Hex, Sha256};
use crate::format::spec::{BadSpec, SpecBuf, Tag};
use crate::format::text::{Text, behind, cut};
use crate::jail;
use crate::sys::mount::{Within, place};
use crate::sys::{Errno, file, lend};
use heapless::Vec;
use rustix::fd::OwnedFd;

/// The longest description that is read.
const JSON: usize = 128 * 1024;
/// The longest name of a file in it.
pub type Path = Vec<u8, 512>;

/// What OCI calls this processor.
const PROCESSOR: &[u8] = if cfg!(target_arch = "x86_64") {
    b"amd64"
} else if cfg!(target_arch = "aarch64") {
    b"arm64"
} else {
    b"arm"
};

impl From<Reason> for Why {
    fn from(_: Reason) -> Self {
        Why::SHAPE
    }
}

impl From<BadSpec> for Why {
    fn from(_: BadSpec) -> Self {
        Why::LONG
    }
}

/// A file of the layout, and the digest that it is called by, if it is.
#[inline(never)]
fn open(layout: &OwnedFd, path: &[u8]) -> Result<(OwnedFd, Option<Hex>), Why> {
    let mut room = [0; 512];
    let name = jail::c_string(&[path], &mut room)?;
    let digest = cut(jail::apart(path).1, b'.').0;
    let named = Hex::try_from(digest).ok();
    Ok((
        place(lend(layout), name, Within::Read)?,
        named.filter(|d| d.iter().all(u8::is_ascii_hexdigit)),
    ))
}

/// A description: its text, and its digest.
fn description<'r>(
    layout: &OwnedFd,
    path: &[u8],
    unpack: &mut Unpack<'_>,
    room: &'r mut [u8; JSON],
) -> Result<(&'r [u8], Hex), Why> {
    unpack.named(path);
    let (file, named) = open(layout, path)?;
    let mut len = 0;
    while let Some(rest) = room.get_mut(len..) {
        match file::read(&file, rest)? {
            0 if rest.is_empty() => return Err(Why::LONG),
            0 => break,
            some => len += some,
        }
    }
    let text = room.get(..len).unwrap_or_default();
    let mut sha = Sha256::new();
    sha.take(text);
    let hex = sha.hex();
    match named {
        Some(named) if named != hex => Err(Why::DIGEST),
        _ => Ok((text, hex)),
    }
}

/// Where a value leads: a string is a path, an object has a digest, which is a path too.
///
/// # Errors
/// It is neither, or too long.
pub fn path(r: &mut Reader<'_, '_>) -> Result<Path, Why> {
    let mut path = Path::new();
    r.string.clear();
    if r.peek() == b'{' {
        let mut places = [0];
        r.fields("digest", &mut places)?;
        let after = r.place();
        r.value(places[0], kind::TEXT)?;
        let digest = behind(&r.string, b"sha256:")
            .filter(|d| d.len() == 64 && d.iter().all(u8::is_ascii_hexdigit));
        path.extend_from_slice(b"blobs/sha256/")
            .map_err(|_| Why::LONG)?;
        path.extend_from_slice(digest.ok_or(Why::SHAPE)?)
            .map_err(|_| Why::LONG)?;
        r.go(after);
    } else {
        r.text(kind::TEXT)?;
        path.extend_from_slice(&r.string).map_err(|_| Why::LONG)?;
    }
    Ok(path)
}

/// Puts the image together: its layers into `root`, what it runs into `config`. Its digest is its
/// configuration's, as docker has it.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn image(
    layout: &OwnedFd,
    root: &OwnedFd,
    unpack: &mut Unpack<'_>,
    config: &mut SpecBuf,
) -> Result<Hex, Why> {
    let (mut room, mut notes) = ([0; JSON], Text::<0>::new());
    let mut next = Path::from_slice(b"manifest.json").unwrap_or_default();
    // From an index to the image for this processor, perhaps by another index.
    for _ in 0..4 {
        let text = match description(layout, &next, unpack, &mut room) {
            Err(Why::Kernel(Errno::NOENT)) if next == b"manifest.json" => {
                next = Path::from_slice(b"index.json").unwrap_or_default();
                continue;
            }
            text => text?.0,
        };
        let mut r = Reader::new(b"", text, &mut notes);
        let (name, layers) = match manifest(&mut r)? {
            Found::Next(path) => {
                next = path;
                continue;
            }
            Found::Image { config, layers } => (config, layers),
        };
        let mut other = [0; JSON];
        let (text, digest) = description(layout, &name, unpack, &mut other)?;
        let mut notes = Text::<0>::new();
        let mut told = Reader::new(b"", text, &mut notes);
        let (diffs, mut left) = configure(&mut told, config)?;
        if r.go(layers) {
            let close = r.list()?;
            let mut lowest = true;
            while r.more(close)? {
                let name = path(&mut r)?;
                let after = told.place();
                let mut wanted = None;
                if left && told.more(diffs)? {
                    told.string.clear();
                    told.text(kind::TEXT)?;
                    wanted = behind(&told.string, b"sha256:");
                } else {
                    left = false;
                    told.go(after);
                }
                let passes: &[Pass] = match core::mem::take(&mut lowest) {
                    // There is nothing that it could take away.
                    true => &[Pass::Layer],
                    false => &[Pass::Whiteouts, Pass::Layer],
                };
                for pass in passes {
                    layer(layout, &name, wanted, root, unpack, *pass)?;
                }
            }
        }
        return Ok(digest);
    }
    Err(Why::SHAPE)
}

/// What a description leads to.
#[allow(missing_docs)] // the fields are what the variant's line says
pub enum Found {
    /// Another description: that of this processor's image.
    Next(Path),
    /// An image: the path of what it runs, and where the list of its layers' paths lies.
    Image { config: Path, layers: usize },
}

/// Reads an index or a manifest, from its beginning.
///
/// # Errors
/// It is neither, or has no image for this processor.
pub fn manifest(r: &mut Reader<'_, '_>) -> Result<Found, Why> {
    if r.peek() == b'[' {
        // Of the images that were saved together the first is meant.
        let close = r.list()?;
        r.more(close)?;
    }
    let mut places = [0; 3];
    r.fields("config layers manifests", &mut places)?;
    let [config, layers, manifests] = places;
    if r.go(manifests) {
        return chosen(r).map(Found::Next);
    }
    if !r.go(config) {
        return Err(Why::SHAPE);
    }
    let config = path(r)?;
    Ok(Found::Image { config, layers })
}

/// Of an index's images the one for this processor; one that says nothing is for all.
fn chosen(r: &mut Reader<'_, '_>) -> Result<Path, Why> {
    let close = r.list()?;
    while r.more(close)? {
        let at = r.place();
        let mut places = [0];
        r.fields("platform", &mut places)?;
        let after = r.place();
        let mut fits = true;
        if r.go(places[0]) {
            r.fields("architecture", &mut places)?;
            fits = !r.value(places[0], kind::TEXT)? || r.string == PROCESSOR;
        }
        if fits {
            r.go(at);
            return path(r);
        }
        r.go(after);
    }
    Err(Why::PROCESSOR)
}

/// One way through a layer, of that digest when it is unpacked, over those below it.
fn layer(
    layout: &OwnedFd,
    name: &[u8],
    wanted: Option<&[u8]>,
    root: &OwnedFd,
    unpack: &mut Unpack<'_>,
    pass: Pass,
) -> Result<(), Why> {
    unpack.named(name);
    let (file, named) = open(layout, name)?;
    let mut stream = Stream::open(file, named)?;
    unpack.named(b"");
    unpack.archive(&mut stream, root, pass)?;
    unpack.named(name);
    let digest = stream.end()?;
    match wanted {
        Some(wanted) if wanted != digest => Err(Why::DIGEST),
        _ => Ok(()),
    }
}

/// What the image runs. Gives back the bracket of the list of its layers' digests, and whether there is
/// one; the reader stands in it.
///
/// # Errors
/// It cannot be read, or does not fit.
pub fn configure(r: &mut Reader<'_, '_>, config: &mut SpecBuf) -> Result<(u8, bool), Why> {
    let mut top = [0; 2];
    r.fields("config rootfs", &mut top)?;
    let [own, rootfs] = top;
    if r.go(own) {
        let mut places = [0; 5];
        r.fields("entrypoint cmd env user workingdir", &mut places)?;
        for (number, place) in places.into_iter().enumerate() {
            if !r.go(place) {
                continue;
            }
            if number > 2 {
                if r.value(place, kind::TEXT)? {
                    let key: &[u8] = if number == 3 { b"user" } else { b"cwd" };
                    options::apply(config, key, Some(&r.string))?;
                }
                continue;
            }
            let close = r.list()?;
            while r.more(close)? {
                r.string.clear();
                r.text(kind::TEXT)?;
                let tag = if number == 2 { Tag::Env } else { Tag::Arg };
                // The way back is on the path, wherever an image looks for its programs.
                let way: &[u8] = match (tag, behind(&r.string, b"PATH=")) {
                    (Tag::Env, Some(_)) => b":/dev/pouch",
                    _ => b"",
                };
                let _ = r.string.extend_from_slice(way);
                config.push_str(tag, &r.string)?;
            }
        }
    }
    let mut places = [0];
    if r.go(rootfs) {
        r.fields("diff_ids", &mut places)?;
    }
    match r.go(places[0]) {
        true => Ok((r.list()?, true)),
        false => Ok((b']', false)),
    }
}
