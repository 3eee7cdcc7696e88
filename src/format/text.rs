//! Bytes of others on their way to a person's terminal.
//!
//! A file or a container can be named by whoever wants to attack the terminal of the
//! person who lists it, so control bytes and what is no UTF-8 are shown as `?`.

/// Bytes shown with control characters and broken UTF-8 as `?`.
#[derive(Clone, Copy)]
pub struct Plain<'a>(pub &'a [u8]);

impl ufmt::uDisplay for Plain<'_> {
    fn fmt<W: ufmt::uWrite + ?Sized>(
        &self,
        f: &mut ufmt::Formatter<'_, W>,
    ) -> Result<(), W::Error> {
        for chunk in self.0.utf8_chunks() {
            for part in chunk.valid().split_inclusive(char::is_control) {
                let clean = part.trim_end_matches(char::is_control);
                f.write_str(clean)?;
                if clean.len() < part.len() {
                    f.write_str("?")?;
                }
            }
            if !chunk.invalid().is_empty() {
                f.write_str("?")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_are_neutralised() {
        let mut s = heapless::String::<64>::new();
        ufmt::uwrite!(s, "{}", Plain(b"a\x1b[2Jb\n\xffc \xc3\xa4\xc2\x9b")).unwrap();
        assert_eq!(s.as_str(), "a?[2Jb??c ä?");
    }
}
