//! The event log for programs: a JSON object a line.

use crate::format::text::{Sink, Take, Text, cut, put};
use crate::format::unit::quoted;

/// The line that is not whole yet; PID 1 writes none that is longer.
#[derive(Default)]
pub struct Lines(Text<1024>);

impl Lines {
    /// Takes a piece of the log and shows the lines that are whole.
    #[inline(never)]
    pub fn take(&mut self, out: &mut Sink<'_>, mut bytes: &[u8]) {
        while let (line, Some(rest)) = cut(bytes, b'\n') {
            self.0.take(line);
            show(out, self.0.as_bytes());
            self.0 = Text::new();
            bytes = rest;
        }
        self.0.take(bytes);
    }
}

/// `[TIME] EVENT NAME REASON`; what is none, as the rest of a line whose beginning is lost, is left out.
fn show(out: &mut Sink<'_>, line: &[u8]) {
    let Some((b'[', line)) = line.split_first() else {
        return;
    };
    let (time, line) = cut(line, b']');
    let (event, line) = cut(line.and_then(|l| l.get(1..)).unwrap_or_default(), b' ');
    let (name, reason) = cut(line.unwrap_or_default(), b' ');
    put!(out, "{\"time\":");
    out.take(time);
    for (key, value) in [("event", event), ("name", name)] {
        put!(out, ",\"{}\":", key);
        quoted(out, value);
    }
    put!(out, ",\"reason\":");
    match reason {
        Some(reason) => quoted(out, reason),
        None => out.take(b"null"),
    }
    put!(out, "}\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_objects_however_they_are_cut() {
        let log = b"of a line\n[0.001] start web\n[12.345] exit w\"b exited with status 1\n";
        for at in 0..log.len() {
            let mut out = Text::<1024>::new();
            let mut lines = Lines::default();
            lines.take(&mut out, &log[..at]);
            lines.take(&mut out, &log[at..]);
            assert_eq!(
                out.as_str(),
                "{\"time\":0.001,\"event\":\"start\",\"name\":\"web\",\"reason\":null}\n\
                 {\"time\":12.345,\"event\":\"exit\",\"name\":\"w\\\"b\",\
                 \"reason\":\"exited with status 1\"}\n"
            );
        }
    }
}
