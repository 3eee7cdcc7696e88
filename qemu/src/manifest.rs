//! The image's contents, one readable line an entry
//!
//! ```text
//! dir     PATH MODE
//! file    PATH MODE SOURCE         a file of initramfs/
//! program PATH MODE NAME           what the packer was given under that name: pouch, busybox, probe
//! link    PATH TARGET              symbolic
//! hard    PATH TARGET              a second name of a file of the image: costs nothing
//! node    PATH MODE c|b MAJOR MINOR
//! links   LIST TARGET [FOLDER]     a symbolic link for each path in the file LIST, below FOLDER
//! modules                          the board's modules, with what they need
//! ```
//! `#` begins a comment line. Lines are carried out in their order, so a folder stands before what is in it.

use crate::{Context, Error, Result};

/// One line of the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A directory: path, mode.
    Dir(String, u32),
    /// A checked-in file: path, mode, source below initramfs/.
    File(String, u32, String),
    /// A built program: path, mode, name.
    Program(String, u32, String),
    /// A symbolic link: path, target.
    Link(String, String),
    /// A hard link: path, target inside the image.
    Hard(String, String),
    /// A device: path, mode, whether it is a block device, major, minor.
    Node(String, u32, bool, u32, u32),
    /// Links by list: the list below initramfs/, target, folder they stand in.
    Links(String, String, String),
    /// The board's modules go here.
    Modules,
}

/// Parses a manifest.
///
/// # Errors
/// The first line that can't be read, by its number.
pub fn parse(text: &str) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        lines.push(parse_line(&words).context(|| format!("line {number}"))?);
    }
    Ok(lines)
}

fn parse_line(words: &[&str]) -> Result<Line> {
    Ok(match *words {
        ["dir", path, mode] => Line::Dir(path.into(), octal(mode)?),
        ["file", path, mode, source] => Line::File(path.into(), octal(mode)?, source.into()),
        ["program", path, mode, name] => Line::Program(path.into(), octal(mode)?, name.into()),
        ["link", path, target] => Line::Link(path.into(), target.into()),
        ["hard", path, target] => Line::Hard(path.into(), target.into()),
        ["node", path, mode, kind @ ("c" | "b"), major, minor] => {
            Line::Node(path.into(), octal(mode)?, kind == "b", decimal(major)?, decimal(minor)?)
        }
        ["links", list, target] => Line::Links(list.into(), target.into(), String::new()),
        ["links", list, target, folder] => Line::Links(list.into(), target.into(), folder.trim_matches('/').into()),
        ["modules"] => Line::Modules,
        _ => return Err(Error::new(format!("'{}' is no line of a manifest", words.join(" ")))),
    })
}

fn octal(text: &str) -> Result<u32> {
    u32::from_str_radix(text, 8).context(|| format!("mode {text}"))
}

fn decimal(text: &str) -> Result<u32> {
    text.parse().context(|| format!("number {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_entries_in_their_order() {
        let lines = parse("# image\n\ndir /bin 755\nprogram /init 755 pouch\nnode /dev/null 666 c 1 3\nlinks applets /bin/busybox /srv/web/\nmodules\n").unwrap();
        assert_eq!(
            lines,
            [
                Line::Dir("/bin".into(), 0o755),
                Line::Program("/init".into(), 0o755, "pouch".into()),
                Line::Node("/dev/null".into(), 0o666, false, 1, 3),
                Line::Links("applets".into(), "/bin/busybox".into(), "srv/web".into()),
                Line::Modules,
            ]
        );
    }

    #[test]
    fn a_line_that_can_not_be_read_is_named_by_its_number() {
        for wrong in ["dir /bin 755\nlnk a b", "dir /bin 755\ndir /x 9z9", "dir /bin 755\nnode /dev/x 600 p 1 2"] {
            assert!(parse(wrong).unwrap_err().to_string().starts_with("line 2"), "{wrong}");
        }
    }

    #[test]
    fn the_projects_own_manifest_can_be_read() {
        let root = crate::board::project_root().unwrap();
        parse(&std::fs::read_to_string(root.join("initramfs/manifest")).unwrap()).unwrap();
    }
}
