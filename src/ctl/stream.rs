//! An archive as a stream of bytes, unpacked by a child where it is gzip's, with its digest.

use crate::format::inflate::inflate;
use crate::format::sha256::{Hex, Sha256};
use crate::format::tar;
use crate::sys::{self, Errno, file, process};
use rustix::fd::OwnedFd;
use rustix::fs::{OFlags, SeekFrom, seek};

/// Why an archive is not taken in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// The kernel's reason.
    Kernel(Errno),
    /// pouch's own, a line of [`WORDS`].
    Own(u8),
}

/// What pouch has against an archive.
pub const WORDS: &str = "\
it ends too early
it is no tar archive, nor one packed by gzip
its packed part is damaged
it leads out of the image
a sparse file or a kind that is not known here
its digest is another
its description cannot be read
no image for this processor in it
interrupted
a name or a record of it is too long
it exists already, pouch rmi it first";
macro_rules! whys {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => {
        impl Why {
            $($(#[$doc])* pub const $name: Why = Why::Own($number);)*
        }
    };
}
whys! {
    /// Cut.
    CUT = 0;
    /// Something else.
    NO_TAR = 1;
    /// Not what was packed.
    DAMAGED = 2;
    /// A path with `..` in it.
    OUTSIDE = 3;
    /// A member of another kind.
    KIND = 4;
    /// Not what was named.
    DIGEST = 5;
    /// JSON of another shape.
    SHAPE = 6;
    /// For another processor.
    PROCESSOR = 7;
    /// Somebody pressed Ctrl-C.
    INTERRUPTED = 8;
    /// It has no room.
    LONG = 9;
    /// There is one of that name.
    EXISTS = 10;
}

impl From<Errno> for Why {
    fn from(errno: Errno) -> Self {
        Why::Kernel(errno)
    }
}

/// Bytes read at once.
const ROOM: usize = 32 * 1024;

/// The stream.
pub struct Stream {
    file: OwnedFd,
    sha: Sha256,
    room: [u8; ROOM],
    at: usize,
    len: usize,
    /// Somebody unpacks, and says at its end whether all was well.
    child: bool,
    /// What the digest must be, where nobody else sees to that.
    named: Option<Hex>,
}

/// The status of who unpacks, where the packed file has another digest.
const OTHER: u8 = 2;

impl Stream {
    /// Begins at the start of an open file. If that is `named` by a digest, [`Stream::end`] tells whether it has it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(archive: OwnedFd, named: Option<Hex>) -> Result<Stream, Why> {
        let mut magic = [0; 2];
        let len = file::read(&archive, &mut magic)?;
        seek(&archive, SeekFrom::Start(0))?;
        if len == 2 && magic == GZIP {
            let mut stream = Stream::plain(unpacked(&archive, named)?);
            stream.child = true;
            return Ok(stream);
        }
        let mut stream = Stream::plain(archive);
        stream.named = named;
        Ok(stream)
    }

    /// A file as it is.
    pub fn plain(file: OwnedFd) -> Stream {
        Stream {
            file,
            sha: Sha256::new(),
            room: [0; ROOM],
            at: 0,
            len: 0,
            child: false,
            named: None,
        }
    }

    /// The next bytes, at most so many; none at the end.
    #[inline(never)]
    pub fn some(&mut self, most: u64) -> Result<&[u8], Why> {
        if self.at == self.len {
            self.len = file::read(&self.file, &mut self.room)?;
            self.at = 0;
            self.sha.take(self.room.get(..self.len).unwrap_or_default());
        }
        let have = self.len - self.at;
        let take = usize::try_from(most).map_or(have, |most| most.min(have));
        let from = self.at;
        self.at += take;
        Ok(self.room.get(from..self.at).unwrap_or_default())
    }

    /// Fills the room.
    ///
    /// # Errors
    /// [`Why::CUT`].
    pub fn fill(&mut self, room: &mut [u8]) -> Result<(), Why> {
        let mut done = 0;
        while done < room.len() {
            let some = self.some((room.len() - done) as u64)?;
            if some.is_empty() {
                return Err(Why::CUT);
            }
            for byte in some {
                if let Some(place) = room.get_mut(done) {
                    *place = *byte;
                }
                done += 1;
            }
        }
        Ok(())
    }

    /// Passes so many bytes.
    ///
    /// # Errors
    /// [`Why::CUT`].
    pub fn skip(&mut self, mut count: u64) -> Result<(), Why> {
        while count > 0 {
            let some = self.some(count)?.len();
            if some == 0 {
                return Err(Why::CUT);
            }
            count -= some as u64;
        }
        Ok(())
    }

    /// Reads no further, and has nobody unpack further.
    fn leave(self) {
        let Stream { file, child, .. } = self;
        drop(file);
        while child && process::reap().is_none() {
            rustix::thread::sched_yield();
        }
    }

    /// Reads to the end: the digest of all of it.
    ///
    /// # Errors
    /// What unpacked it was not satisfied, or the file is not what it is called.
    pub fn end(mut self) -> Result<Hex, Why> {
        while !self.some(u64::MAX)?.is_empty() {}
        if self.child {
            // Its end of the pipe is closed, so it is on its way out.
            loop {
                match process::reap() {
                    Some((_, 0)) => break,
                    Some((_, OTHER)) => return Err(Why::DIGEST),
                    Some(_) => return Err(Why::DAMAGED),
                    None => rustix::thread::sched_yield(),
                }
            }
        }
        let hex = self.sha.hex();
        match self.named {
            Some(named) if named != hex => Err(Why::DIGEST),
            _ => Ok(hex),
        }
    }
}

/// Whether an open file is a tar archive, perhaps packed by gzip: its first member tells.
///
/// # Errors
/// The kernel's.
pub fn is_tar(file: OwnedFd) -> Result<bool, Why> {
    let mut stream = Stream::open(file, None)?;
    let mut block = [0; tar::BLOCK];
    let is = stream.fill(&mut block).is_ok() && tar::head(&block).is_some();
    stream.leave();
    Ok(is)
}

const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A pipe out of which comes what a child unpacks. Without a reader the child ends.
fn unpacked(archive: &OwnedFd, named: Option<Hex>) -> Result<OwnedFd, Errno> {
    let (reading, writing) = file::pipe(OFlags::empty())?;
    match process::fork(0, None)? {
        process::Fork::Parent { .. } => Ok(reading),
        process::Fork::Child => {
            drop(reading);
            sys::exit(match gunzip(archive, &writing) {
                Some(hex) if named.is_none_or(|named| named == hex) => 0,
                Some(_) => OTHER,
                None => 1,
            })
        }
    }
}

/// Unpacks every member of a gzip file (RFC 1952); the digest of all of the file.
fn gunzip(archive: &OwnedFd, to: &OwnedFd) -> Option<Hex> {
    let (mut room, mut at, mut len) = ([0; ROOM], 0, 0);
    let mut sha = Sha256::new();
    let mut next = || {
        if at == len {
            (at, len) = (0, file::read(archive, &mut room).unwrap_or(0));
            sha.take(room.get(..len).unwrap_or_default());
        }
        let byte = room.get(at).copied().filter(|_| at < len)?;
        at += 1;
        Some(byte)
    };
    let mut window = [0; ROOM];
    let mut first = next();
    while let Some(byte) = first {
        if [byte, next()?] != GZIP || next()? != 8 {
            return None;
        }
        let flags = next()?;
        for _ in 0..6 {
            next()?;
        }
        // FEXTRA, FNAME, FCOMMENT, FHCRC.
        let mut extra = 0;
        if flags & 4 != 0 {
            extra = u16::from_le_bytes([next()?, next()?]);
        }
        for _ in 0..extra {
            next()?;
        }
        for bit in [8, 16] {
            while flags & bit != 0 && next()? != 0 {}
        }
        if flags & 2 != 0 {
            next()?;
            next()?;
        }
        let (mut check, mut count) = (!0u32, 0u32);
        let mut drain = |bytes: &[u8]| {
            check = crc(check, bytes);
            count = count.wrapping_add(bytes.len() as u32);
            let mut rest = bytes;
            while !rest.is_empty() {
                rest = rest.get(file::write(to, rest).ok()?..)?;
            }
            Some(())
        };
        let [a, b, c, d, len @ ..] = inflate(&mut next, &mut window, &mut drain)?;
        if u32::from_le_bytes([a, b, c, d]) != !check || u32::from_le_bytes(len) != count {
            return None;
        }
        // Padding behind the last is none of anybody's.
        first = next().filter(|b| *b != 0);
    }
    while next().is_some() {}
    Some(sha.hex())
}

/// CRC-32 as gzip has it.
#[inline(never)]
fn crc(mut sum: u32, bytes: &[u8]) -> u32 {
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = sum >> 1 ^ 0xedb8_8320 & (sum & 1).wrapping_neg();
        }
    }
    sum
}
