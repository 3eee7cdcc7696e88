//! One board, as `board/NAME/board.conf` describes it
//!
//! `KEY = value` a line, `#` begins a comment line. The scripts read the same file with sed, so there is no
//! quoting, no section and no continuation. A key that nobody knows is an error: it would be a wish unheard.

use crate::{Context, Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A board's description; the fields are the file's keys.
#[derive(Clone, Debug)]
pub struct Board {
    /// The folder's name.
    pub name: String,
    /// Processor, in the kernel's words.
    pub processor: String,
    /// The Rust target triple.
    pub target: String,
    /// The kernel's file in its package; one `*` stands for the version.
    pub kernel: String,
    /// The device tree's file in the kernel's package, the same way.
    pub dtb: Option<String>,
    /// QEMU's program.
    pub qemu: String,
    /// QEMU's `-machine`.
    pub machine: String,
    /// QEMU's `-cpu`, empty for the machine's own.
    pub cpu: String,
    /// Processors.
    pub smp: u32,
    /// QEMU's `-m`.
    pub memory: String,
    /// Further arguments for QEMU.
    pub qemu_arguments: Vec<String>,
    /// The device behind the kernel's last `console=`.
    pub console: String,
    /// How many serial ports the machine has.
    pub serials: usize,
    /// Which of the serial ports the console is; a Raspberry Pi's is its second.
    pub console_serial: usize,
    /// Whether /dev/tty1 and its like exist.
    pub vts: bool,
    /// Whether a power-off ends QEMU; some boards only halt.
    pub poweroff: bool,
    /// Kernel words.
    pub words: String,
    /// Modules in the image, with what they need.
    pub modules: Vec<String>,
    /// Who loads the kernel from a card.
    pub loader: Loader,
}

/// Who loads the kernel from a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loader {
    /// U-Boot, which runs `boot.scr`.
    UBoot,
    /// The Raspberry Pi's firmware, which reads `config.txt`.
    RaspberryPi,
}

/// Keys that only the scripts read.
const SCRIPT_KEYS: [&str; 5] = ["debian", "kernel_package", "busybox_package", "qemu_package", "dtb_overlay"];

impl Board {
    /// Reads `root/board/NAME/board.conf`.
    ///
    /// # Errors
    /// A board that is not there, and what [`Board::parse`] refuses.
    pub fn load(root: &Path, name: &str) -> Result<Self> {
        let path = root.join("board").join(name).join("board.conf");
        let text = std::fs::read_to_string(&path).context(|| format!("unable to read {}", path.display()))?;
        Self::parse(name, &text).context(|| path.display().to_string())
    }

    /// Parses a description.
    ///
    /// # Errors
    /// The line that can't be read, the key that is unknown, twice, or missing.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let mut keys = BTreeMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, value) =
                line.split_once('=').ok_or_else(|| Error::new(format!("line {number}: not KEY = value")))?;
            if keys.insert(key.trim().to_owned(), value.trim().to_owned()).is_some() {
                return Err(Error::new(format!("line {number}: {} stands twice", key.trim())));
            }
        }
        for key in SCRIPT_KEYS {
            keys.remove(key);
        }
        let mut take = |key: &str| keys.remove(key).ok_or_else(|| Error::new(format!("{key} is missing")));
        let board = Self {
            name: name.to_owned(),
            dtb: take("dtb").ok(),
            console_serial: take("console_serial").map_or(Ok(0), |text| number(&text, "console_serial"))?,
            processor: take("processor")?,
            target: take("target")?,
            kernel: take("kernel")?,
            qemu: take("qemu")?,
            machine: take("machine")?,
            cpu: take("cpu")?,
            smp: number(&take("smp")?, "smp")?,
            memory: take("memory")?,
            qemu_arguments: take("qemu_arguments")?.split_whitespace().map(str::to_owned).collect(),
            console: take("console")?,
            serials: number(&take("serials")?, "serials")?,
            vts: yes(&take("vts")?, "vts")?,
            poweroff: yes(&take("poweroff")?, "poweroff")?,
            words: take("words")?,
            loader: match take("loader")?.as_str() {
                "u-boot" => Loader::UBoot,
                "raspberrypi" => Loader::RaspberryPi,
                other => return Err(Error::new(format!("loader is u-boot or raspberrypi, not {other}"))),
            },
            modules: take("modules")?.split_whitespace().map(str::to_owned).collect(),
        };
        if let Some(key) = keys.keys().next() {
            return Err(Error::new(format!("unknown key {key}")));
        }
        if board.console_serial >= board.serials {
            return Err(Error::new("console_serial is not one of the serial ports"));
        }
        if !board.words.contains(&format!("console={}", board.console)) {
            return Err(Error::new(format!("words name no console={}", board.console)));
        }
        Ok(board)
    }

    /// Where the board's built files stand.
    #[must_use]
    pub fn folder(&self, root: &Path) -> PathBuf {
        root.join("target/boards").join(&self.name)
    }
}

fn yes(value: &str, key: &str) -> Result<bool> {
    match value {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(Error::new(format!("{key} is yes or no, not {value}"))),
    }
}

fn number<T: std::str::FromStr<Err: std::fmt::Display>>(value: &str, key: &str) -> Result<T> {
    value.parse().context(|| format!("{key} = {value}"))
}

/// The project's folder: where `board/` stands, from the working directory upward.
///
/// # Errors
/// None of them has one.
pub fn project_root() -> Result<PathBuf> {
    let start = std::env::current_dir()?;
    let found = start.ancestors().find(|folder| folder.join("board").is_dir() && folder.join("Cargo.toml").is_file());
    found.map(Path::to_owned).ok_or_else(|| Error::new("not inside the project's folder"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_board_of_the_project_can_be_read() {
        let root = project_root().unwrap();
        for entry in std::fs::read_dir(root.join("board")).unwrap() {
            let entry = entry.unwrap();
            if entry.path().join("board.conf").is_file() {
                Board::load(&root, entry.file_name().to_str().unwrap()).unwrap();
            }
        }
    }

    fn good() -> String {
        std::fs::read_to_string(project_root().unwrap().join("board/qemu-x86_64/board.conf")).unwrap()
    }

    #[test]
    fn a_wrong_line_is_named() {
        let error = Board::parse("b", &format!("{}\nturbo = on\n", good())).unwrap_err().to_string();
        assert!(error.contains("turbo"), "{error}");
        let error = Board::parse("b", &good().replace("memory ", "# memory ")).unwrap_err().to_string();
        assert!(error.contains("memory is missing"), "{error}");
        let error =
            Board::parse("b", &good().replace("vts            = yes", "vts = perhaps")).unwrap_err().to_string();
        assert!(error.contains("vts is yes or no"), "{error}");
    }

    #[test]
    fn the_console_has_to_be_one_the_kernel_is_told_of() {
        assert!(Board::parse("b", &good().replace("console        = ttyS0", "console = ttyS1")).is_err());
    }
}
