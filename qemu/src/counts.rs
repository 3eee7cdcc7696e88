//! What a launch and a turn of PID 1's loop cost in instructions, and what they cost when that was written down
//!
//! Times wobble, counts do not: [`FILE`] keeps them, every test run counts anew, and a launch that became dearer by
//! more than [`TOLERANCE`] fails it. They are those of the x86-64 binary as the compiler in the file made it, counted
//! by [`crate::steps`] in namespaces of this machine. The kernel's own work is not in them.

use crate::bed::{Namespace, beside};
use crate::steps::{EVENT, Run, Stepper};
use crate::{Context, Error, Result};
use nix::libc::{SYS_clone3, SYS_write, c_long};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Where the counts are kept, from the project's folder on.
pub const FILE: &str = "qemu/counts.txt";
/// What a count may be above the kept one, with the compiler that made that one.
const TOLERANCE: f64 = 0.03;
/// The same with another compiler.
const OTHER_COMPILER: f64 = 0.20;

/// What is counted, in the words of the file.
pub const NAMES: [&str; 6] = [
    "launch: PID 1's turn, from the request to its next wait",
    "launch: the child, from clone3 to execve",
    "launch: the command `pouch start`, to its end",
    "turn: a key from the line to the shell",
    "turn: its echo from the shell to the line",
    "turn: a line of 64 bytes from a program to the line",
];

const START: &str = "pouch start counted /srv/web --tty none -- /bin/true";

/// Counts everything once, in the order of [`NAMES`].
///
/// # Errors
/// No namespaces or no ptrace to be had here, or a process that does not do what is counted.
pub fn measure(namespace: &mut Namespace) -> Result<[u64; NAMES.len()]> {
    namespace.serial().reach_prompt()?;
    let pid = namespace.init_pid()?;
    // What is made once for good (folders of the store, of cgroups) is there from now on.
    done(pid, &format!("{START}; pouch destroy counted"))?;

    let mut init = before_wait(pid)?;
    let mut client = spawn(pid, START)?;
    let launch = turn_with(&mut init, SYS_clone3)?;
    drop(init);
    finish(&mut client)?;
    done(pid, "pouch destroy counted")?;

    let init = Stepper::seize(pid)?;
    let mut client = spawn(pid, START)?;
    let child = init.follow_child(EVENT)?.until_exec()?;
    finish(&mut client)?;
    done(pid, "pouch destroy counted")?;

    let command = command(pid)?;
    done(pid, "pouch destroy counted")?;

    let mut init = before_wait(pid)?;
    namespace.serial().send(b"k")?;
    let key = turn_with(&mut init, SYS_write)?;
    let echo = turn_with(&mut init, SYS_write)?;
    // All of it is there before PID 1 looks.
    let line = "sixty-three characters, and the end of the line is one character";
    done(pid, &format!("echo '{}' >/proc/{}/fd/1", &line[..63], shell(pid)?))?;
    let output = turn_with(&mut init, SYS_write)?;
    drop(init);
    namespace.serial().send(b"\x15")?;

    Ok([launch, child, command, key, echo, output].map(|run: Run| run.instructions))
}

/// PID 1 on its way into the wait, with nothing left to do.
fn before_wait(pid: i32) -> Result<Stepper> {
    let mut init = Stepper::seize(pid)?;
    init.until_wait()?;
    Ok(init)
}

/// The next turn that makes this call: one that only gives memory back, or hears of a child, is none of those counted.
fn turn_with(init: &mut Stepper, call: c_long) -> Result<Run> {
    loop {
        let turn = init.turn()?;
        if turn.calls.contains(&call) {
            return Ok(turn);
        }
    }
}

/// The command from its execve to its end: a shell waits for a line, so that it can be taken hold of before.
fn command(pid: i32) -> Result<Run> {
    let mut child = spawn(pid, &format!("read -r line; exec {START}"))?;
    let inner = loop {
        if let Some(inner) = first_child(child.id())?
            && std::fs::read_link(format!("/proc/{inner}/exe")).is_ok_and(|exe| exe.ends_with("busybox"))
        {
            break inner;
        }
        if let Some(status) = child.try_wait()? {
            return Err(Error::new(format!("nsenter: {status}")));
        }
        std::thread::yield_now();
    };
    let mut stepper = Stepper::seize(inner)?;
    child.stdin.take().ok_or_else(|| Error::new("no standard input"))?.write_all(b"go\n")?;
    stepper.run_to_exec(EVENT)?;
    let run = stepper.until_end()?;
    drop(stepper);
    finish(&mut child)?;
    Ok(run)
}

/// The host shell: PID 1's one child.
fn shell(pid: i32) -> Result<String> {
    let own = first_child(u32::try_from(pid).context(|| "PID 1's number")?)?;
    let pid = own.ok_or_else(|| Error::new("PID 1 has no shell"))?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let inside = status.lines().find_map(|line| line.strip_prefix("NSpid:")?.split_whitespace().next_back());
    inside.map(str::to_owned).ok_or_else(|| Error::new("no NSpid in the shell's status"))
}

fn first_child(pid: u32) -> Result<Option<i32>> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    Ok(children.split_whitespace().next().and_then(|child| child.parse().ok()))
}

fn spawn(pid: i32, line: &str) -> Result<std::process::Child> {
    let mut command = beside(pid, line);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    command.spawn().context(|| "nsenter (Debian package util-linux)")
}

fn finish(child: &mut std::process::Child) -> Result<()> {
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(Error::new(format!("{START}: {status}"))) }
}

fn done(pid: i32, line: &str) -> Result<()> {
    finish(&mut spawn(pid, line)?)
}

/// What the counts are of: the compiler, as it says it itself.
fn compiler(root: &Path) -> Result<String> {
    let said = Command::new("rustc").arg("--version").current_dir(root).output().context(|| "rustc")?;
    Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

/// Writes the counts down.
///
/// # Errors
/// Those of writing a file.
pub fn keep(root: &Path, counts: &[u64; NAMES.len()]) -> Result<()> {
    let mut text = String::from(
        "# Instructions of the x86-64 binary, counted one by one in namespaces of this machine. Every test run counts them\n\
         # anew and fails above three percent more; `./scripts/counts --write` writes them down after a change that is worth it.\n",
    );
    let _ = writeln!(text, "{}", compiler(root)?);
    for (name, count) in NAMES.iter().zip(counts) {
        let _ = writeln!(text, "{count:>8} {name}");
    }
    std::fs::write(root.join(FILE), text).context(|| format!("unable to write {FILE}"))
}

/// The counts beside the kept ones, as a table; an error where one is dearer than it may be.
///
/// # Errors
/// The same table, with what to do; or the file cannot be read.
pub fn compare(root: &Path, counts: &[u64; NAMES.len()]) -> Result<String> {
    let kept = std::fs::read_to_string(root.join(FILE)).context(|| format!("unable to read {FILE}"))?;
    judge(&kept, &compiler(root)?, counts)
}

fn judge(kept: &str, compiler: &str, counts: &[u64; NAMES.len()]) -> Result<String> {
    let mut lines = kept.lines().filter(|line| !line.starts_with('#'));
    let theirs = lines.next().unwrap_or_default();
    let kept: Vec<&str> = lines.collect();
    let mut text = String::new();
    let mut tolerance = TOLERANCE;
    if theirs != compiler {
        tolerance = OTHER_COMPILER;
        let _ = writeln!(text, "counted with {compiler}, kept with {theirs}: {:.0} % are allowed", tolerance * 100.0);
    }
    let mut dearer = false;
    for (name, &now) in NAMES.iter().zip(counts) {
        let before = kept.iter().find_map(|line| line.trim_start().strip_suffix(name)?.trim().parse::<u32>().ok());
        let Some(before) = before else {
            let _ = writeln!(text, "{now:>8}     none kept          {name}");
            dearer = true;
            continue;
        };
        let now = u32::try_from(now).context(|| name.to_string())?;
        let change = f64::from(now) / f64::from(before) - 1.0;
        let verdict = if change > tolerance { "  <- dearer" } else { "" };
        dearer |= change > tolerance;
        let _ = writeln!(text, "{now:>8} kept {before:>8} {:>+6.1} % {name}{verdict}", change * 100.0);
    }
    if dearer {
        let _ = write!(
            text,
            "more instructions than {FILE} has, by more than {:.0} %: make it cheap again, or, where it is worth that, \
             `./scripts/counts --write`",
            tolerance * 100.0
        );
        return Err(Error::new(text));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTS: [u64; NAMES.len()] = [100_000, 200, 300, 400, 500, 600];

    fn kept() -> String {
        let lines: Vec<String> = NAMES.iter().zip(COUNTS).map(|(name, count)| format!("{count:>8} {name}\n")).collect();
        format!("# words\nrustc 1\n{}", lines.concat())
    }

    #[test]
    fn what_became_dearer_is_named_and_what_became_cheaper_is_not_a_fault() {
        let text = judge(&kept(), "rustc 1", &COUNTS).unwrap();
        assert!(!text.contains("dearer"), "{text}");
        let mut more = COUNTS;
        (more[0], more[1]) = (103_100, 20);
        let said = judge(&kept(), "rustc 1", &more).unwrap_err().to_string();
        let named: Vec<&str> = said.lines().filter(|line| line.ends_with("<- dearer")).collect();
        assert!(named.len() == 1 && named[0].contains("103100 kept   100000   +3.1 % launch: PID 1's turn"), "{said}");
        assert!(said.contains("./scripts/counts --write"), "{said}");
    }

    #[test]
    fn another_compiler_is_said_and_given_more() {
        let mut more = COUNTS;
        more[0] = 119_000;
        let text = judge(&kept(), "rustc 2", &more).unwrap();
        assert!(text.starts_with("counted with rustc 2, kept with rustc 1: 20 % are allowed"), "{text}");
        more[0] = 121_000;
        assert!(judge(&kept(), "rustc 2", &more).is_err());
    }

    #[test]
    fn a_count_that_was_never_kept_is_a_fault() {
        let said = judge("rustc 1\n", "rustc 1", &COUNTS).unwrap_err().to_string();
        assert!(said.contains("none kept"), "{said}");
    }
}
