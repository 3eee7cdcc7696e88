//! Why a word of a definition cannot be read.
//!
//! The same reasons serve the kernel command line and the commands. Whoever shows one
//! puts the word that was meant before it: *WORD: reason*.

use super::text::Plain;

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

impl ufmt::uDisplay for Reason<'_> {
    fn fmt<W: ufmt::uWrite + ?Sized>(
        &self,
        f: &mut ufmt::Formatter<'_, W>,
    ) -> Result<(), W::Error> {
        let named = |f: &mut ufmt::Formatter<'_, W>, before: &str, name: &[u8], behind: &str| {
            f.write_str(before)?;
            ufmt::uDisplay::fmt(&Plain(name), f)?;
            f.write_str(behind)
        };
        match *self {
            Reason::UnknownWord => f.write_str("unknown word"),
            Reason::UnknownKey => f.write_str("unknown key"),
            Reason::NoValue => f.write_str("value missing"),
            Reason::TakesNoValue => f.write_str("takes no value"),
            Reason::MustBe(what) => named(f, "must be ", what.as_bytes(), ""),
            Reason::NoCapability(name) => named(f, "unknown capability ", name, ""),
            Reason::NoMountOption(name) => named(f, "unknown mount option ", name, ""),
            Reason::BadName => f.write_str(
                "a name is 1 to 63 letters, digits, _ . or -, begins with no . or -, and is no ttyN",
            ),
            Reason::Quote => f.write_str("unclosed quote, or text behind a closed one"),
            Reason::TooLong => f.write_str("too long"),
            Reason::Control => f.write_str("a NUL or a line's end in the value"),
            Reason::NoImage(name) => named(f, "no image ", name, " in the store"),
        }
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
