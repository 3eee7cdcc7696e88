//! Why a word of a definition cannot be read.
//!
//! The same reasons serve the kernel command line and the commands. Whoever shows one
//! puts the word that was meant before it: *WORD: reason*. One byte, since it is handed
//! up through every function that reads.

use super::spec::BadSpec;
use super::text::line;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident $words:literal;)*) => {
        /// Why a word cannot be read.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
        #[repr(u8)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        /// Their words, a line each, in the same order.
        const WORDS: &str = concat!($($words, "\n"),*);
    };
}

reasons! {
    /// No word of pouch begins with pouch. and goes on like this.
    UnknownWord "unknown word";
    /// No option of that name.
    UnknownKey "unknown key";
    /// It wants a value and has none.
    NoValue "value missing";
    /// It wants no value and has one.
    TakesNoValue "takes no value";
    /// The name is none a container may have.
    BadName "must be 1 to 63 letters, digits, _ . -, begin with no . or -, and be no ttyN";
    /// A quote is opened and not closed, or text follows the closing one.
    Quote "unclosed quote, or text behind a closed one";
    /// It does not fit.
    TooLong "too long";
    /// A NUL or a line's end stands in it.
    Control "a NUL or a line's end in the value";
    /// There is no image of that name.
    NoImage "no such image in the store";
    /// No absolute path, or one that climbs.
    Path "must be an absolute path without ..";
    /// No slot.
    Tty "must be tty0 to tty3, auto or none";
    /// No host name.
    Hostname "must be letters, digits, - _ and .";
    /// No environment entry.
    Environment "must be KEY=VALUE";
    /// No user.
    User "must be a user or USER:GROUP, by number or name";
    /// A network of another kind.
    Net "must be none, host or an address like 10.0.0.2/24";
    /// Something that a link to a bridge alone can have.
    NoLink "goes with no network of none or host";
    /// No address of a gateway.
    Gateway "must be an address like 10.0.0.1";
    /// No name of an interface.
    Bridge "must be an interface's name, 1 to 15 letters without / : %";
    /// No MTU that a link can have.
    Mtu "must be 68 to 65535";
    /// No ports.
    Publish "must be HOST:CONT[/udp], ports from 1 to 65535";
    /// Neither yes nor no.
    YesNo "must be yes or no";
    /// Neither on nor off.
    OnOff "must be on or off";
    /// A name that no kernel knows is among them.
    Capability "unknown capability";
    /// No source and destination.
    Mount "must be SRC:DST[:ro,nosuid,nodev,noexec,rbind]";
    /// An option that is none is among them.
    MountOption "unknown mount option";
    /// No device with what is allowed.
    Device "must be PATH[:rwm]";
    /// No time.
    Seconds "must be seconds, like 2 or 0.5";
    /// No restart policy.
    Restart "must be no, on-failure[:N] or always";
    /// No size.
    Size "must be a size like 64M, or max";
    /// No share of a processor.
    Share "must be N%, QUOTA,PERIOD or max";
    /// No signal.
    Signal "unknown signal";
    /// No list of names.
    List "must be names with commas between";
    /// No address with its prefix.
    Address "must be an address like 10.0.0.1/24";
    /// No level.
    Log "must be error, warn, info, debug or trace";
    /// No watchdog.
    Watchdog "must be DEV or DEV,SECONDS";
    /// Nothing to do at a crash.
    OnCrash "must be reexec, reboot or halt";
    /// No number.
    Number "must be a number";
    /// No descriptor.
    Ready "must be fd:N, N from 3 to 255";
    /// Nothing where something is wanted.
    Zero "must be more than 0";
    /// More records than a spec holds.
    SpecFull "too long: at most 8192 bytes for all of a container's words";
    /// More words in the command than are handed on.
    Words "at most 64 words in a command";
    /// More entries in the environment than are handed on.
    Entries "at most 128 entries in an environment";
    /// Files of its own without a mount namespace of its own.
    NeedsMounts "a root or mounts of its own want NEWNS among the namespaces, else the board's would change";
    /// A host name without a UTS namespace of its own.
    NeedsUts "a hostname wants NEWUTS among the namespaces, else the board's would change";
    /// An interface without a network namespace of its own.
    NeedsNet "an interface of its own wants NEWNET among the namespaces";
    /// No key of that name in a file: a warning.
    LeftOut "unknown key, left out";
    /// The file ends before its first object does.
    End "the file ends here, and something is missing";
    /// No value of JSON.
    Json "a JSON value must stand here";
    /// No key of a JSON object.
    JsonKey "a key in double quotes must stand here";
    /// Nothing that goes on with a JSON object or list.
    JsonNext "one of : , ] } must stand here";
    /// A JSON string that is none.
    JsonString "unclosed string, or a control character or a wrong escape in it";
    /// JSON in JSON, without end.
    JsonDepth "nested too deep, 16 levels at most";
    /// A file that is too large.
    JsonSize "the file is too large, 32768 bytes at most";
    /// Another kind of JSON value than a string.
    JsonText "must be a string";
    /// Another kind of JSON value than a list.
    JsonList "must be a list of strings";
    /// Another kind of JSON value than an object.
    JsonObject "must be an object, { ... }";
    /// Another kind of JSON value than true and false.
    JsonBool "must be true or false";
    /// No namespace.
    Namespace "must be NEWNS, NEWUTS, NEWIPC, NEWPID, NEWNET, NEWUSER or NEWCGROUP";
    /// Two ages of the format in one file.
    Mixture "kept or taken away? The file mixes two ages of its format: say capabilities_keep or capabilities_drop";
    /// Nothing in the file tells its age.
    Age "kept or taken away? Nothing in the file tells: say capabilities_keep or capabilities_drop";
    /// An interface of another kind.
    NetworkType "must be veth or loopback, and one veth at most";
    /// No resource limit.
    Rlimit "must be limits by name (nofile), each a number, unlimited, or {soft, hard}";
    /// No instruction of that name in a Pouchfile.
    Instruction "unknown instruction";
    /// A Pouchfile that begins with another instruction, or has two beginnings.
    From "one FROM stands before all others";
    /// No variable's value.
    Variable "must be $NAME, ${NAME}, ${NAME:-WORD} or ${NAME:+WORD}";
    /// No sources and destination.
    Copy "must be SRC... DST, without options and ..";
    /// A policy for what is removed when it ends.
    RunsOnce "goes not with run, which removes it when it ends";
}

impl Reason {
    /// What a person is told.
    pub fn words(self) -> &'static str {
        line(WORDS, usize::from(self as u8)).unwrap_or_default()
    }
}

impl From<BadSpec> for Reason {
    fn from(bad: BadSpec) -> Self {
        match bad {
            BadSpec::TooLong => Reason::SpecFull,
            BadSpec::Words => Reason::Words,
            BadSpec::Entries => Reason::Entries,
            BadSpec::NeedsMounts => Reason::NeedsMounts,
            BadSpec::NeedsUts => Reason::NeedsUts,
            BadSpec::Malformed => Reason::Control,
            BadSpec::BadName => Reason::BadName,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::{Text, put};
    use super::*;

    #[test]
    fn each_reason_has_its_words() {
        for (reason, words) in [
            (Reason::UnknownWord, "unknown word"),
            (Reason::Path, "must be an absolute path without .."),
            (Reason::Number, "must be a number"),
        ] {
            let mut text = Text::<80>::new();
            put!(&mut text, "{}", reason);
            assert_eq!(text.as_str(), words);
        }
        assert_eq!(WORDS.lines().count(), Reason::RunsOnce as usize + 1);
    }
}
