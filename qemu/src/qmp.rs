//! QEMU's control socket: keys, pictures, the end
//!
//! One thread reads; answers go to who asked, events are kept until somebody looks for them. The shutdown
//! event is the only place where QEMU says whether the board went off or wanted a reboot.

use crate::deadline;
use crate::{Context, Error, Result};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// The control socket of one QEMU.
pub struct Qmp {
    writer: UnixStream,
    answers: Receiver<Value>,
    events: Arc<Mutex<Vec<Value>>>,
}

impl Qmp {
    /// Takes the connected socket and agrees on the protocol.
    ///
    /// # Errors
    /// QEMU does not greet or answer.
    pub fn new(socket: UnixStream) -> Result<Self> {
        let reader = BufReader::new(socket.try_clone()?);
        let (sender, answers) = channel();
        let events = Arc::new(Mutex::new(Vec::new()));
        let theirs = Arc::clone(&events);
        std::thread::spawn(move || {
            for line in reader.lines() {
                let Ok(value) = line.and_then(|line| serde_json::from_str::<Value>(&line).map_err(Into::into)) else {
                    return;
                };
                if value.get("event").is_some() {
                    theirs.lock().unwrap_or_else(PoisonError::into_inner).push(value);
                } else if sender.send(value).is_err() {
                    return;
                }
            }
        });
        let mut qmp = Self { writer: socket, answers, events };
        qmp.answer().context(|| "QEMU does not greet")?;
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    fn answer(&self) -> Result<Value> {
        self.answers
            .recv_timeout(deadline::MONITOR.length())
            .map_err(|_| Error::new(format!("not within the limit: {}", deadline::MONITOR.name)))
    }

    /// Executes one command.
    ///
    /// # Errors
    /// QEMU's own words when it refuses.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let text = json!({ "execute": command, "arguments": arguments }).to_string();
        self.writer.write_all(format!("{text}\n").as_bytes()).context(|| format!("QMP {command}"))?;
        let answer = self.answer().context(|| format!("QMP {command}"))?;
        match answer.get("error").and_then(|error| error.get("desc")).and_then(Value::as_str) {
            Some(reason) => Err(Error::new(format!("QMP {command}: {reason}"))),
            None => Ok(answer.get("return").cloned().unwrap_or(Value::Null)),
        }
    }

    /// Presses keys together and lets them go: `["alt", "f2"]`. Names are QEMU's QKeyCode.
    ///
    /// # Errors
    /// A key that QEMU does not know.
    pub fn keys(&mut self, keys: &[&str]) -> Result<()> {
        let keys: Vec<Value> = keys.iter().map(|key| json!({ "type": "qcode", "data": key })).collect();
        self.execute("send-key", json!({ "keys": keys, "hold-time": 50 })).map(drop)
    }

    /// Types text on the keyboard and, at the end, Enter where the text has a line end.
    ///
    /// # Errors
    /// A character that the plain US keyboard does not have.
    pub fn type_text(&mut self, text: &str) -> Result<()> {
        for character in text.chars() {
            let plain = character.to_ascii_lowercase().to_string();
            let (key, shift) = match character {
                'a'..='z' | '0'..='9' => (plain.as_str(), false),
                'A'..='Z' => (plain.as_str(), true),
                ' ' => ("spc", false),
                '\n' => ("ret", false),
                '-' => ("minus", false),
                '_' => ("minus", true),
                '=' => ("equal", false),
                '.' => ("dot", false),
                '/' => ("slash", false),
                ',' => ("comma", false),
                ';' => ("semicolon", false),
                '\'' => ("apostrophe", false),
                '"' => ("apostrophe", true),
                '$' => ("4", true),
                '&' => ("7", true),
                '>' => ("dot", true),
                '<' => ("comma", true),
                '|' => ("backslash", true),
                ']' => ("bracket_right", false),
                '[' => ("bracket_left", false),
                other => return Err(Error::new(format!("no key for '{other}'"))),
            };
            let both = ["shift", key];
            self.keys(if shift { &both } else { &both[1..] })?;
            // The emulated controller has a queue of sixteen codes; its hold time is when the key comes up.
            std::thread::sleep(std::time::Duration::from_millis(110));
        }
        Ok(())
    }

    /// Takes a picture of the screen as PPM.
    ///
    /// # Errors
    /// A board without a screen, a path QEMU can't write.
    pub fn screendump(&mut self, path: &Path) -> Result<()> {
        self.execute("screendump", json!({ "filename": path.to_string_lossy() })).map(drop)
    }

    /// Presses the power button.
    ///
    /// # Errors
    /// QEMU is gone.
    pub fn press_power(&mut self) -> Result<()> {
        self.execute("system_powerdown", json!({})).map(drop)
    }

    /// Ends QEMU at once.
    ///
    /// # Errors
    /// QEMU is gone.
    pub fn quit(&mut self) -> Result<()> {
        self.execute("quit", json!({})).map(drop)
    }

    /// The events of that name so far.
    #[must_use]
    pub fn events(&self, name: &str) -> Vec<Value> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.iter().filter(|event| event.get("event").and_then(Value::as_str) == Some(name)).cloned().collect()
    }

    /// Why QEMU shut down, in its words: guest-shutdown, guest-reset, host-qmp-quit...
    #[must_use]
    pub fn shutdown_reason(&self) -> Option<String> {
        let event = self.events("SHUTDOWN").pop()?;
        event.get("data")?.get("reason")?.as_str().map(str::to_owned)
    }
}
