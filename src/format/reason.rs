//! Why a word of a definition cannot be read.
//!
//! The same reasons serve the kernel command line and the commands. Whoever shows one
//! puts the word that was meant before it: *WORD: reason*.

use super::text::Plain;
use ufmt::uDisplay;

/// Why a word cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason<'a> {
    /// No word of pouch begins with pouch. and goes on like this.
    UnknownWord,
    /// No option of that name.
    UnknownKey,
    /// It wants a value and has none.
    NoValue,
    /// It wants no value and has one.
    TakesNoValue,
    /// Its value must be what the text says.
    MustBe(&'static str),
    /// Its value must be one of these words, with blanks between.
    OneOf(&'static str),
    /// A capability's name that no kernel knows.
    NoCapability(&'a [u8]),
    /// A mount option that is none.
    NoMountOption(&'a [u8]),
    /// The name is none a container may have.
    BadName,
    /// A quote is opened and not closed, or text follows the closing one.
    Quote,
    /// It does not fit.
    TooLong,
    /// A NUL or a line's end stands in it.
    Control,
    /// There is no image of that name.
    NoImage(&'a [u8]),
}

impl uDisplay for Reason<'_> {
    fn fmt<W: ufmt::uWrite + ?Sized>(
        &self,
        f: &mut ufmt::Formatter<'_, W>,
    ) -> Result<(), W::Error> {
        let (before, name, behind): (_, &[u8], _) = match *self {
            Reason::UnknownWord => ("unknown word", b"", ""),
            Reason::UnknownKey => ("unknown key", b"", ""),
            Reason::NoValue => ("value missing", b"", ""),
            Reason::TakesNoValue => ("takes no value", b"", ""),
            Reason::MustBe(what) => ("must be ", what.as_bytes(), ""),
            Reason::OneOf(words) => ("must be one of: ", words.as_bytes(), ""),
            Reason::NoCapability(name) => ("unknown capability ", name, ""),
            Reason::NoMountOption(name) => ("unknown mount option ", name, ""),
            Reason::BadName => (
                "must be 1 to 63 letters, digits, _ . -, begin with no . or -, and be no ttyN",
                b"",
                "",
            ),
            Reason::Quote => ("unclosed quote, or text behind a closed one", b"", ""),
            Reason::TooLong => ("too long", b"", ""),
            Reason::Control => ("a NUL or a line's end in the value", b"", ""),
            Reason::NoImage(name) => ("no image ", name, " in the store"),
        };
        f.write_str(before)?;
        Plain(name).fmt(f)?;
        f.write_str(behind)
    }
}

impl From<super::spec::BadSpec> for Reason<'_> {
    fn from(bad: super::spec::BadSpec) -> Self {
        use super::spec::BadSpec;
        match bad {
            BadSpec::TooLong => Reason::TooLong,
            BadSpec::Malformed => Reason::Control,
            BadSpec::BadName => Reason::BadName,
        }
    }
}
