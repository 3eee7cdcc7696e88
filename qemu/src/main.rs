//! The command line of the host crate; people call it by way of `scripts/`

use pouch_qemu::bench;
use pouch_qemu::board::{Board, project_root};
use pouch_qemu::card;
use pouch_qemu::image::{self, Parts};
use pouch_qemu::machine::Options;
use pouch_qemu::{Error, Result, console};
use std::process::ExitCode;

const USAGE: &str = "usage: pouch-qemu pack BOARD --kernel-tree DIR [--kernel FILE] [--program NAME=FILE]...
       pouch-qemu boot BOARD [--append WORDS] [--kvm] [-- QEMU-ARGUMENT...]
       pouch-qemu card BOARD --kernel-tree DIR [--firmware DIR] [--boot-script FILE]
       pouch-qemu picture FROM.ppm TO.png
       pouch-qemu soak BOARD SECONDS SEED
       pouch-qemu squeeze BINARY PAYLOAD
       pouch-qemu bench BOARD [PART...] [--boots N] [--markdown] [--write] [--peers DIR]
       pouch-qemu counts [--write]
       pouch-qemu check [FILE | -- KERNEL-WORDS]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(status) => ExitCode::from(u8::try_from(status).unwrap_or(1)),
        Err(error) => {
            eprintln!("pouch: error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<i32> {
    if let [command, image, console, words] = arguments
        && command == "bed"
    {
        return pouch_qemu::inside::become_init(image.as_ref(), console.as_ref(), words);
    }
    if let [command, from, to] = arguments
        && command == "picture"
    {
        pouch_qemu::picture::to_png(from.as_ref(), to.as_ref())?;
        return Ok(0);
    }
    if let [command, binary, payload] = arguments
        && command == "squeeze"
    {
        eprintln!("pouch: {}", pouch_qemu::squeeze::squeeze(binary.as_ref(), payload.as_ref())?);
        return Ok(0);
    }
    if let [command, words @ ..] = arguments
        && command == "check"
    {
        return pouch_qemu::check::run(words);
    }
    if let [command, rest @ ..] = arguments
        && command == "counts"
    {
        return counts(rest);
    }
    let [command, board, rest @ ..] = arguments else { return Err(Error::new(USAGE)) };
    let root = project_root()?;
    let board = Board::load(&root, board)?;
    match command.as_str() {
        "pack" => pack(&root, &board, rest),
        "card" => card(&root, &board, rest),
        "boot" => boot(&root, &board, rest),
        "soak" => soak(&board, rest),
        "bench" => bench::run(&root, &board, bench::Plan::from_arguments(rest)?),
        _ => Err(Error::new(USAGE)),
    }
}

#[cfg(target_arch = "x86_64")]
fn counts(rest: &[String]) -> Result<i32> {
    use pouch_qemu::{bed, counts};
    let write = match rest {
        [] => false,
        [option] if option == "--write" => true,
        _ => return Err(Error::new(USAGE)),
    };
    let root = project_root()?;
    let mut namespace = bed::Namespace::start(&std::env::current_exe()?, &bed::NamespaceOptions::default())?;
    let found = counts::measure(&mut namespace)?;
    if write {
        counts::keep(&root, &found)?;
    }
    print!("{}", counts::compare(&root, &found)?);
    Ok(0)
}

#[cfg(not(target_arch = "x86_64"))]
fn counts(_: &[String]) -> Result<i32> {
    Err(Error::new("counts are kept of the x86-64 binary, and counted where it runs"))
}

fn pack(root: &std::path::Path, board: &Board, mut rest: &[String]) -> Result<i32> {
    let mut parts = Parts::default();
    while let [option, value, more @ ..] = rest {
        match (option.as_str(), value.split_once('=')) {
            ("--kernel-tree", _) => parts.kernel_tree = value.into(),
            ("--kernel", _) => parts.kernel = Some(value.into()),
            ("--program", Some((name, file))) => drop(parts.programs.insert(name.into(), file.into())),
            _ => return Err(Error::new(USAGE)),
        }
        rest = more;
    }
    if !rest.is_empty() {
        return Err(Error::new(USAGE));
    }
    eprintln!("pouch: {}", image::pack(root, board, &parts)?);
    Ok(0)
}

fn card(root: &std::path::Path, board: &Board, mut rest: &[String]) -> Result<i32> {
    let mut parts = card::Parts::default();
    while let [option, value, more @ ..] = rest {
        match option.as_str() {
            "--kernel-tree" => parts.kernel_tree = value.into(),
            "--firmware" => parts.firmware = Some(value.into()),
            "--boot-script" => parts.boot_script = Some(value.into()),
            _ => return Err(Error::new(USAGE)),
        }
        rest = more;
    }
    eprintln!("pouch: {}", card::make(root, board, &parts)?.display());
    Ok(0)
}

fn boot(root: &std::path::Path, board: &Board, mut rest: &[String]) -> Result<i32> {
    let mut options = Options::default();
    loop {
        match rest {
            [] => break,
            [option, more @ ..] if option == "--kvm" => (options.kvm, rest) = (true, more),
            [option, words, more @ ..] if option == "--append" => {
                options.append.clone_from(words);
                rest = more;
            }
            [option, more @ ..] if option == "--" => {
                options.arguments = more.to_vec();
                break;
            }
            _ => return Err(Error::new(USAGE)),
        }
    }
    console::boot(root, board, &options)
}

fn soak(board: &Board, rest: &[String]) -> Result<i32> {
    let [seconds, seed] = rest else { return Err(Error::new(USAGE)) };
    let number = |text: &str| text.parse().map_err(|_| Error::new(format!("{text} is no number")));
    let mut bed = pouch_qemu::bed::BoardBed::new(&board.name, "pouch.crash-limit=0")?;
    let running = bed.boot()?;
    let found = pouch_qemu::soak::soak(running, std::time::Duration::from_secs(number(seconds)?), number(seed)?)?;
    println!("{found}");
    running.serial().type_line("poweroff")?;
    running.expect_power_off()?;
    Ok(0)
}
