//! One terminal of a board, driven as a person would: type, read, wait
//!
//! A thread reads the line all the time, so the board never waits for a test; what was read is kept whole,
//! and `expect` walks a cursor through it. Each call that waits has a deadline with a name, and its failure
//! shows what the terminal showed.

use crate::deadline::{self, Deadline};
use crate::listener::Listener;
use crate::screen;
use crate::{Error, Result};
use regex_lite::Regex;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// What the kernel says last.
const PANIC: &str = "Kernel panic - not syncing";

/// A terminal with somebody at it.
pub struct Serial {
    name: String,
    line: File,
    heard: Listener,
    cursor: usize,
}

impl Serial {
    /// Sits down at `line`; `name` is what failures call it.
    ///
    /// # Errors
    /// The descriptor can't be duplicated for the reading thread.
    pub fn new(name: impl Into<String>, line: OwnedFd) -> Result<Self> {
        let line = File::from(line);
        let heard = Listener::new(line.try_clone()?);
        Ok(Self { name: name.into(), line, heard, cursor: 0 })
    }

    /// Sends bytes as they are and waits for nothing.
    ///
    /// # Errors
    /// The line is gone.
    pub fn send(&mut self, bytes: &[u8]) -> Result<&mut Self> {
        // A line that shows nothing any more is no place to type: say so with what it showed last.
        self.line.write_all(bytes).map_err(|error| self.failure(&format!("unable to type: {error}")))?;
        Ok(self)
    }

    /// Types a line without its end, waits for its echo, then presses Enter. Pacing by the echo loses nothing
    /// on a slow line, and what `expect` finds afterwards is an answer and never the echo.
    ///
    /// # Errors
    /// The echo does not come: nobody reads, or echo is off (use [`Serial::send`] there).
    pub fn type_line(&mut self, line: &str) -> Result<&mut Self> {
        // Input queues hold 4095 bytes and less on some UARTs: long lines go in pieces.
        let characters: Vec<char> = line.chars().collect();
        for piece in characters.chunks(64) {
            let piece: String = piece.iter().collect();
            self.send(piece.as_bytes())?;
            let start = Instant::now();
            self.wait(deadline::ECHO, &format!("echo of '{line}'"), |text| {
                screen::find_echo(text, &piece).or_else(|| {
                    if start.elapsed() > deadline::WHOLE_ECHO.length() {
                        screen::find_scattered(text, &piece)
                    } else {
                        None
                    }
                })
            })?;
        }
        self.send(b"\r")
    }

    /// Waits for `text` after what was already expected, and moves on behind it.
    ///
    /// # Errors
    /// It does not come within [`deadline::ANSWER`], the line ends or the kernel panics.
    pub fn expect(&mut self, text: &str) -> Result<&mut Self> {
        self.expect_within(deadline::ANSWER, text)
    }

    /// As [`Serial::expect`], with a deadline of one's own.
    ///
    /// # Errors
    /// As [`Serial::expect`].
    pub fn expect_within(&mut self, deadline: Deadline, text: &str) -> Result<&mut Self> {
        self.wait(deadline, &format!("'{text}'"), |shown| shown.find(text).map(|at| at + text.len()))?;
        Ok(self)
    }

    /// Waits for a pattern and returns its groups, the whole match first. `(?m)` makes ^ and $ work on lines.
    ///
    /// # Errors
    /// As [`Serial::expect`]; a pattern that is none.
    pub fn expect_pattern(&mut self, pattern: &str) -> Result<Vec<String>> {
        let regex = Regex::new(pattern).map_err(|error| Error::new(format!("pattern {pattern}: {error}")))?;
        let start = self.cursor;
        let end =
            self.wait(deadline::ANSWER, &format!("/{pattern}/"), |shown| regex.find(shown).map(|found| found.end()))?;
        let state = self.heard.lock();
        let shown = state.screen.text().get(start..end).unwrap_or_default();
        let groups = regex
            .captures(shown)
            .map(|groups| groups.iter().map(|group| group.map_or("", |group| group.as_str()).to_owned()).collect());
        Ok(groups.unwrap_or_default())
    }

    /// Waits until a shell waits: the text ends in a prompt.
    ///
    /// # Errors
    /// As [`Serial::expect`].
    pub fn prompt(&mut self) -> Result<&mut Self> {
        self.prompt_within(deadline::ANSWER)
    }

    /// As [`Serial::prompt`], with a deadline of one's own.
    ///
    /// # Errors
    /// As [`Serial::expect`].
    pub fn prompt_within(&mut self, deadline: Deadline) -> Result<&mut Self> {
        self.wait(deadline, "a prompt", |shown| screen::at_prompt(shown).then_some(shown.len()))?;
        Ok(self)
    }

    /// From a fresh board to its prompt: presses Enter where the board offers a shell.
    ///
    /// # Errors
    /// Neither comes within [`deadline::BOOT`].
    pub fn reach_prompt(&mut self) -> Result<&mut Self> {
        let offer = |shown: &str| shown.find("ress Enter").map(|at| at + "ress Enter".len());
        let at_prompt = |shown: &str| screen::at_prompt(shown).then_some(shown.len());
        // What PID 1 has to say about a kernel word may come behind the first prompt.
        let behind = |shown: &str| shown.rfind("# \n").map(|at| at + "# \n".len());
        let found = |shown: &str| offer(shown).or_else(|| at_prompt(shown)).or_else(|| behind(shown));
        self.wait(deadline::BOOT, "'press Enter' or a prompt", found)?;
        let here = self.text_after(0);
        if !screen::at_prompt(&here) {
            self.send(b"\r")?;
            self.prompt_within(deadline::BOOT)?;
        }
        Ok(self)
    }

    /// Types a command at a shell's prompt and returns what it printed, without the echo and the next prompt.
    ///
    /// # Errors
    /// As [`Serial::type_line`] and [`Serial::prompt`].
    pub fn run(&mut self, command: &str) -> Result<String> {
        self.run_within(deadline::ANSWER, command)
    }

    /// As [`Serial::run`], with a deadline of one's own.
    ///
    /// # Errors
    /// As [`Serial::run`].
    pub fn run_within(&mut self, deadline: Deadline, command: &str) -> Result<String> {
        self.type_line(command)?;
        // The echo ends where Enter was pressed; the terminal's answer to it is the line end.
        self.expect("\n")?;
        let start = self.cursor;
        self.prompt_within(deadline)?;
        let shown = self.text_after(start);
        Ok(shown.rsplit_once('\n').map_or(String::new(), |(answer, _prompt)| answer.to_owned()))
    }

    /// As [`Serial::run`], and the command's exit status, asked of the shell.
    ///
    /// # Errors
    /// As [`Serial::run`].
    pub fn run_status(&mut self, command: &str) -> Result<(String, i32)> {
        let answer = self.run_within(deadline::HEAVY, &format!("{command}; echo \"<$?>\""))?;
        let split = answer
            .rsplit_once('<')
            .and_then(|(answer, status)| Some((answer, status.trim().strip_suffix('>')?.parse().ok()?)));
        let (answer, status) = split.ok_or_else(|| self.failure(&format!("no status after '{command}'")))?;
        Ok((answer.trim_end_matches('\n').to_owned(), status))
    }

    /// Holds if nothing of `text` was shown after the cursor so far; it does not wait.
    ///
    /// # Errors
    /// It was.
    pub fn expect_none(&mut self, text: &str) -> Result<&mut Self> {
        if self.text_after(self.cursor).contains(text) {
            return Err(self.failure(&format!("'{text}' was shown and should not have been")));
        }
        Ok(self)
    }

    /// Waits until the line ends: QEMU, or whatever held the other side, is gone.
    ///
    /// # Errors
    /// It stays beyond the deadline.
    pub fn expect_end(&mut self, deadline: Deadline) -> Result<()> {
        let limit = deadline.from_now();
        let mut state = self.heard.lock();
        while !state.ended {
            if Instant::now() >= limit {
                drop(state);
                return Err(self.late(deadline, "the end of the line"));
            }
            state = self.heard.wait(state);
        }
        Ok(())
    }

    /// Waits until nothing was shown for `quiet`; then there is nothing behind the cursor.
    ///
    /// # Errors
    /// The line is never quiet within [`deadline::ANSWER`].
    pub fn settle(&mut self, quiet: Duration) -> Result<&mut Self> {
        let limit = deadline::ANSWER.from_now();
        let mut length = self.heard.lock().screen.raw().len();
        let mut since = Instant::now();
        while since.elapsed() < quiet {
            if Instant::now() >= limit {
                return Err(self.late(deadline::ANSWER, "quiet"));
            }
            let state = self.heard.lock();
            let state = self.heard.wait(state);
            if state.screen.raw().len() != length {
                length = state.screen.raw().len();
                since = Instant::now();
            }
        }
        let end = self.heard.lock().screen.text().len();
        self.cursor = end;
        Ok(self)
    }

    /// Everything shown since the first byte, as text.
    #[must_use]
    pub fn transcript(&self) -> String {
        self.text_after(0)
    }

    /// What was shown and not yet expected.
    #[must_use]
    pub fn rest(&self) -> String {
        self.text_after(self.cursor)
    }

    /// Every byte that came.
    #[must_use]
    pub fn raw(&self) -> Vec<u8> {
        self.heard.lock().screen.raw().to_vec()
    }

    /// Stops or resumes reading: a line whose other end nobody reads stalls, as with flow control.
    pub fn stop_reading(&self, stopped: bool) {
        self.heard.stop(stopped);
    }

    fn text_after(&self, at: usize) -> String {
        self.heard.lock().screen.text().get(at..).unwrap_or_default().to_owned()
    }

    /// Waits until `found` says where in the text after the cursor it ends, and moves the cursor there.
    fn wait(&mut self, deadline: Deadline, what: &str, found: impl Fn(&str) -> Option<usize>) -> Result<usize> {
        let limit = deadline.from_now();
        let mut state = self.heard.lock();
        let length = loop {
            // A backspace can take back what lies before the cursor.
            let shown = state.screen.text().get(self.cursor..).unwrap_or_default();
            if let Some(length) = found(shown) {
                break length;
            }
            let reason = if state.screen.text().contains(PANIC) {
                "the kernel panicked"
            } else if state.ended {
                "the line ended"
            } else if Instant::now() >= limit {
                drop(state);
                return Err(self.late(deadline, what));
            } else {
                state = self.heard.wait(state);
                continue;
            };
            drop(state);
            return Err(self.failure(&format!("waiting for {what}: {reason}")));
        };
        drop(state);
        self.cursor += length;
        Ok(length)
    }

    fn late(&self, deadline: Deadline, what: &str) -> Error {
        self.failure(&format!("waiting for {what}: not within {} s: {}", deadline.length().as_secs(), deadline.name))
    }

    /// An error that shows this terminal's last lines and where the cursor stands.
    #[must_use]
    pub fn failure(&self, reason: &str) -> Error {
        let text = self.transcript();
        let cursor = self.cursor.min(text.len());
        let (before, after) = (text.get(..cursor).unwrap_or(&text), text.get(cursor..).unwrap_or_default());
        let skip = before.lines().count().saturating_sub(40);
        let before: String = before.split_inclusive('\n').skip(skip).collect();
        Error::new(format!(
            "{}: {reason}\n--- transcript ---\n{before}\u{25b8}{after}\n--- end of transcript ---",
            self.name
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    fn pair() -> (Serial, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Serial::new("test", ours.into()).unwrap(), theirs)
    }

    #[test]
    fn expect_moves_on_behind_what_it_found() {
        let (mut serial, mut board) = pair();
        board.write_all(b"one two one\r\n").unwrap();
        serial.expect("one").unwrap().expect("one").unwrap().expect_none("one").unwrap();
    }

    #[test]
    fn a_typed_line_waits_for_its_echo_so_that_expect_finds_the_answer() {
        let (mut serial, mut board) = pair();
        let shell = std::thread::spawn(move || {
            let mut typed = [0; 7];
            board.read_exact(&mut typed).unwrap();
            board.write_all(b"echo hi").unwrap();
            board.read_exact(&mut typed[..1]).unwrap();
            board.write_all(b"\r\nhi\r\n~ # ").unwrap();
            board
        });
        assert_eq!(serial.run("echo hi").unwrap(), "hi");
        drop(shell.join().unwrap());
        serial.expect_end(deadline::END).unwrap();
    }

    #[test]
    fn a_failure_shows_what_the_terminal_showed() {
        let (mut serial, mut board) = pair();
        board.write_all(b"sorry\r\n").unwrap();
        drop(board);
        let error = serial.expect("tty1 connected").map(drop).unwrap_err().to_string();
        assert!(error.contains("the line ended") && error.contains("sorry"), "{error}");
    }

    #[test]
    fn groups_of_a_pattern_come_back() {
        let (mut serial, mut board) = pair();
        board.write_all(b"pid 42 and\r\n").unwrap();
        assert_eq!(serial.expect_pattern(r"pid (\d+)").unwrap(), ["pid 42", "42"]);
    }
}
