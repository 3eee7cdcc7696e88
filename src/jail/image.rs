//! Roots that are no folder of the host: images of the store, image files, under an overlay.
//!
//! What is below is shared and read-only; what the container writes lies on a tmpfs that is
//! charged to it, or in the folder that keeps it. All of it is mounted on the stage, so that
//! it goes with the stage when the new root is entered.

use core::ffi::CStr;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, mkdirat};

use super::fs;
use super::userns::Users;
use super::{Now, modules};
use crate::format::fault::Step;
use crate::format::spec::{SPEC_MAX, Spec, SpecBuf, Tag};
use crate::format::text::{Text, put};
use crate::sys::mount::Within;
use crate::sys::{Errno, device, file, lend, mount};

/// The store.
pub const IMAGES: &CStr = c"/var/lib/pouch/images";
/// Where `--persist NAME` keeps what a container wrote.
const KEPT: &[u8] = b"/var/lib/pouch/containers/";

/// The overlay's parts, all below [`super::STAGE`].
const PARTS: &str = "lowerdir=/run/pouch/stage/lower,upperdir=/run/pouch/stage/keep/upper,\
    workdir=/run/pouch/stage/keep/work";

/// The spec with what the image's config has and it has not. Anything but an image is handed back as it is.
pub(super) fn configured<'a>(spec: Spec<'a>, merged: &'a mut SpecBuf, now: &Now<'a>) -> Spec<'a> {
    let (Some(image), None) = (spec.string(Tag::Image), spec.string(Tag::Root)) else {
        return spec;
    };
    now.at(Step::Image, image);
    let mut room: fs::Path = [0; 1024];
    let path = now.ok(path_in(image, b"/config", &mut room));
    let config = match file::open_at(None, path, OFlags::empty()) {
        // An image that somebody put there by hand needs none.
        Err(Errno::NOENT) => return spec,
        config => now.ok(config),
    };
    let mut room = [0; SPEC_MAX];
    let len = now.ok(file::read(&config, &mut room));
    let config = Spec::parse(room.get(..len).unwrap_or_default());
    now.ok(config
        .and_then(|config| merged.merge(spec, config))
        .map_err(|_| Errno::TOOBIG));
    merged.view()
}

fn path_in<'r>(image: &CStr, part: &[u8], room: &'r mut fs::Path) -> Result<&'r CStr, Errno> {
    fs::c_string(&[IMAGES.to_bytes(), b"/", image.to_bytes(), part], room)
}

/// The root as the spec names it, a mount that is not yet anywhere; `from` is what it is called.
pub(super) fn tree<'a>(
    spec: Spec<'a>,
    from: &'a CStr,
    stage: BorrowedFd<'_>,
    users: Option<&Users>,
    now: &Now<'a>,
) -> OwnedFd {
    let persist = spec.string(Tag::Persist);
    let mut room: fs::Path = [0; 1024];
    let (own, image) = (spec.string(Tag::Root), spec.string(Tag::Image));
    let path = match (own, image) {
        (None, Some(image)) => {
            now.at(Step::Image, image);
            now.ok(path_in(image, b"/root", &mut room))
        }
        _ => {
            now.at(Step::Root, from);
            from
        }
    };
    let place = now.ok(file::open_at(None, path, OFlags::PATH));
    now.at(Step::Root, from);
    let stat = now.ok(rustix::fs::fstat(lend(&place)));
    let lower = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => now.ok(mount::copy(CWD, path, true)),
        FileType::RegularFile => image_file(from, now),
        _ => now.end(Errno::NOTDIR),
    };
    if let Some(users) = users {
        users.own(spec, from, lend(&lower), now);
    }
    let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    if is_folder && (persist.is_none() || from == c"/") && (own.is_some() || image.is_none()) {
        return lower;
    }

    now.at(Step::Overlay, from);
    let scratch = now.ok(fs::new(c"tmpfs", None, b"mode=0755", 0));
    let scratch = lay(scratch, stage, now);
    let place = now.ok(fs::folder(lend(&scratch), b"lower", 0o755, Within::Folder));
    lay(lower, lend(&place), now);
    let mut keep = now.ok(fs::folder(lend(&scratch), b"keep", 0o755, Within::Folder));
    if let Some(persist) = persist {
        now.at(Step::Make, persist);
        // On the host it is the host root's, whoever that is inside.
        if let Some(users) = users {
            users.host(true, now);
        }
        let start = if persist.to_bytes().first() == Some(&b'/') {
            &b""[..]
        } else {
            KEPT
        };
        let folder = now.ok(fs::c_string(&[start, persist.to_bytes()], &mut room));
        let root = now.ok(file::open_at(None, c"/", OFlags::PATH));
        let folder = now.ok(fs::folder(
            lend(&root),
            folder.to_bytes(),
            0o755,
            Within::Follow,
        ));
        parts(lend(&folder), now);
        let tree = now.ok(mount::copy(lend(&folder), c"", false));
        if let Some(users) = users {
            users.host(false, now);
            users.own(spec, persist, lend(&tree), now);
        }
        keep = lay(tree, lend(&keep), now);
    }
    parts(lend(&keep), now);
    now.at(Step::Overlay, from);
    now.ok(fs::new(c"overlay", Some(c"overlay"), PARTS.as_bytes(), 0))
}

/// The folders that an overlay writes to; what is there stays.
fn parts(keep: BorrowedFd<'_>, now: &Now<'_>) {
    for name in [c"upper", c"work"] {
        match mkdirat(keep, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => now.end(e),
        }
    }
}

fn lay(tree: OwnedFd, place: BorrowedFd<'_>, now: &Now<'_>) -> OwnedFd {
    now.ok(mount::put(lend(&tree), place));
    tree
}

/// What tells each kind of image file: where, and the bytes there.
const MAGIC: [(&CStr, usize, &[u8]); 3] = [
    (c"squashfs", 0, b"hsqs"),
    (c"ext4", 1024 + 56, b"\x53\xef"),
    (c"erofs", 1024, b"\xe2\xe1\xf5\xe0"),
];

/// An image file, mounted read-only by a loop device that lets go by itself.
fn image_file<'a>(from: &'a CStr, now: &Now<'a>) -> OwnedFd {
    now.at(Step::Open, from);
    let image = now.ok(file::open_at(None, from, OFlags::empty()));
    let mut head = [0; 2048];
    let len = now.ok(file::read(&image, &mut head));
    now.at(Step::Root, from);
    let head = head.get(..len).unwrap_or_default();
    let Some((kind, ..)) = MAGIC
        .iter()
        .find(|(_, at, bytes)| head.get(*at..).is_some_and(|head| head.starts_with(bytes)))
    else {
        // Neither a folder nor a file system that is known here.
        now.end(Errno::NOTDIR)
    };
    now.at(Step::Loop, from);
    const CONTROL: &CStr = c"/dev/loop-control";
    let control = match file::open_at(None, CONTROL, OFlags::empty()) {
        Err(Errno::NOENT | Errno::NODEV | Errno::NXIO) => {
            now.ok(modules::load(b"loop"));
            file::open_at(None, CONTROL, OFlags::empty())
        }
        opened => opened,
    };
    let control = now.ok(control);
    let mut room = [0; 32];
    // Another start may take the free one first; each of these is taken once at most.
    for _ in 0..64 {
        let number = now.ok(device::free_loop(&control));
        let mut name = Text::<32>::new();
        put!(&mut name, "/dev/loop{}", number);
        let path = now.ok(fs::c_string(&[name.as_bytes()], &mut room));
        let device = now.ok(file::open_at(None, path, OFlags::empty()));
        match device::set_loop(&device, &image) {
            Err(Errno::BUSY) => continue,
            set => now.ok(set),
        }
        now.at(Step::Root, from);
        let context = now.ok(fs::context(kind));
        now.ok(context.set(c"source", Some(path)));
        now.ok(context.set(c"ro", None));
        // Mounted, it is the mount that holds the device.
        return now.ok(context.mount(mount::RDONLY));
    }
    now.end(Errno::BUSY)
}
