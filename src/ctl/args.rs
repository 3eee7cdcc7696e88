//! From the words of a command line to what is to be done.
//!
//! The name the binary was called by, or the word behind `pouch`, picks the command.
//! Options may stand before and behind the names, as `--key value` and `--key=value`;
//! what stands behind `--` is the container's command. Nothing is asked of the system.

use crate::format::message::{Power, Request};
use crate::format::options::{self, Arity};
use crate::format::reason::Reason;
use crate::format::spec::{Restart, Spec, SpecBuf, Tag, flags};
use crate::format::text::{behind, cut, pick};
use crate::format::{name, signal};
use core::ffi::CStr;

/// A command.
#[allow(missing_docs)] // each is the word that calls it
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    Start,
    /// `pouch_start`, which keeps the container under the calling shell.
    StartHere,
    Connect,
    Attach,
    Disconnect,
    Destroy,
    Stop,
    Restart,
    Kill,
    Freeze,
    Thaw,
    List,
    Info,
    Logs,
    Run,
    Exec,
    Cgroup,
    Stats,
    Events,
    Import,
    Images,
    Rmi,
    Build,
    Reexec,
    Check,
    /// `nsinit`, the command line of 2014.
    Nsinit,
    PowerOff,
    Reboot,
    Halt,
    /// `init` or `telinit`, called while not PID 1.
    Init,
    Help,
    Version,
    /// `pouch_define`, by which PID 1 lets definitions be read.
    Define,
}

/// Words behind `pouch`, and what they call, in the same order.
const WORDS: &str = "start connect attach disconnect destroy distroy stop restart kill freeze thaw \
    list info logs run exec cgroup stats events import images rmi build reexec check poweroff reboot halt help --help version --version";
const WORD_VERBS: [Verb; 32] = [
    Verb::Start,
    Verb::Connect,
    Verb::Attach,
    Verb::Disconnect,
    Verb::Destroy,
    Verb::Destroy,
    Verb::Stop,
    Verb::Restart,
    Verb::Kill,
    Verb::Freeze,
    Verb::Thaw,
    Verb::List,
    Verb::Info,
    Verb::Logs,
    Verb::Run,
    Verb::Exec,
    Verb::Cgroup,
    Verb::Stats,
    Verb::Events,
    Verb::Import,
    Verb::Images,
    Verb::Rmi,
    Verb::Build,
    Verb::Reexec,
    Verb::Check,
    Verb::PowerOff,
    Verb::Reboot,
    Verb::Halt,
    Verb::Help,
    Verb::Help,
    Verb::Version,
    Verb::Version,
];

/// Names of the links to the binary, and what they call.
const LINKS: &str = "pouch_start pouch_attach pouch_destroy connect disconnect info poweroff reboot \
    halt init telinit nsinit pouch_define";
const LINK_VERBS: [Verb; 13] = [
    Verb::StartHere,
    Verb::Attach,
    Verb::Destroy,
    Verb::Connect,
    Verb::Disconnect,
    Verb::Info,
    Verb::PowerOff,
    Verb::Reboot,
    Verb::Halt,
    Verb::Init,
    Verb::Init,
    Verb::Nsinit,
    Verb::Define,
];

/// Which command is called, and the words that are left for it.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The command.
    pub verb: Verb,
    /// The word that called it, for messages.
    pub word: &'a [u8],
    /// Whether `--help` stands among its words.
    pub help: bool,
    rest: &'a [&'a CStr],
}

/// Why a command line is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Usage<'a> {
    /// No command of that name.
    UnknownCommand(&'a [u8]),
    /// No option of that name for that command.
    UnknownOption(&'a [u8]),
    /// A word too many, or one without meaning there.
    Unexpected(&'a [u8]),
    /// Too few or too many names.
    Count,
    /// A slot's name where a container's is wanted.
    NoContainer(&'a [u8]),
    /// The store has no such image.
    NoImage {
        /// The container's name.
        name: &'a [u8],
        /// The image's.
        image: &'a [u8],
    },
    /// A word that cannot be read.
    Bad {
        /// The option or the name.
        what: &'a [u8],
        /// The value behind it, if it stood apart.
        value: Option<&'a [u8]>,
        /// Why.
        reason: Reason,
    },
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command<'a> {
    /// Start what the spec says; the root folder and what depends on the caller's own
    /// terminal and folder are still missing in it.
    Start {
        /// The container's name.
        name: &'a [u8],
        /// The folder that is to be its root, as it was typed.
        dir: Option<&'a [u8]>,
        /// Whether it lives only as long as this command, and who waits: ATTACHED, RUN or 0.
        flags: u32,
    },
    /// What the command does by itself: its words, not read yet.
    Own(&'a [&'a CStr]),
    /// Ask PID 1 and show the answer.
    Ask {
        /// What is asked.
        request: Request<'a>,
        /// Whether programs read the answer.
        json: bool,
    },
    /// SIGHUP to PID 1.
    Reread,
}

impl<'a> Call<'a> {
    /// Finds the command.
    ///
    /// # Errors
    /// The word behind `pouch` is no command.
    #[inline(never)]
    pub fn of(args: &'a [&'a CStr]) -> Result<Call<'a>, Usage<'a>> {
        let (called, rest) = match args.split_first() {
            Some((called, rest)) => (called.to_bytes(), rest),
            None => (&b"pouch"[..], args),
        };
        let base = called.rsplit(|b| *b == b'/').next().unwrap_or(called);
        let (word, verb, rest) = match pick(LINKS, &LINK_VERBS, base) {
            Some(verb) => (base, verb, rest),
            None => match rest.split_first() {
                Some((word, rest)) => {
                    let word = word.to_bytes();
                    let verb = pick(WORDS, &WORD_VERBS, word).ok_or(match word {
                        [b'-', ..] => Usage::UnknownOption(word),
                        _ => Usage::UnknownCommand(word),
                    })?;
                    (word, verb, rest)
                }
                None => (base, Verb::Help, rest),
            },
        };
        // What stands behind the container's name is a command with options of its own.
        let most = match verb {
            Verb::Exec | Verb::Nsinit => 1,
            _ => rest.len(),
        };
        let help = rest
            .iter()
            .take(most)
            .take_while(|a| a.to_bytes() != b"--")
            .any(|a| a.to_bytes() == b"--help");
        let mut call = Call {
            verb,
            word,
            help,
            rest,
        };
        // `pouch help start` is `pouch start --help`.
        if let (Verb::Help, Some(topic)) = (verb, rest.first().map(|t| t.to_bytes())) {
            call.verb = pick(WORDS, &WORD_VERBS, topic).ok_or(Usage::UnknownCommand(topic))?;
            call.help = true;
        }
        Ok(call)
    }

    /// Whether its words define a container.
    pub fn starts(&self) -> bool {
        matches!(self.verb, Verb::Start | Verb::StartHere | Verb::Run)
    }

    /// The exit code where pouch fails: 125 for `run`, whose others are the command's.
    pub fn failed(&self) -> u8 {
        match self.verb {
            Verb::Run => 125,
            _ => 1,
        }
    }

    /// The FILE of a start's `--config`, the last one where there are several. It is read
    /// before the other options, which are said of what it defines.
    pub fn config(&self) -> Option<&'a [u8]> {
        let mut found = None;
        let mut args = self.rest.iter();
        while let Some(arg) = next(&mut args).filter(|arg| *arg != b"--") {
            match behind(arg, CONFIG) {
                Some([]) => found = next(&mut args),
                // One without a name is told of where all words are read.
                Some([b'=', file @ ..]) => found = Some(file).filter(|f| !f.is_empty()),
                _ => {}
            }
        }
        found
    }

    /// Reads the command's words; a start's options go into `spec`.
    ///
    /// # Errors
    /// The first word that cannot be read, or a wrong count of names.
    #[inline(never)] // its parts are copied about where it is taken apart
    pub fn parse(&self, inside: bool, spec: &mut SpecBuf) -> Result<Command<'a>, Usage<'a>> {
        let mut words = Words {
            name: None,
            dir: None,
            demonize: false,
            json: false,
            more: if self.verb == Verb::Kill { SIGKILL } else { 0 },
        };
        if matches!(
            self.verb,
            Verb::Exec
                | Verb::Cgroup
                | Verb::Stats
                | Verb::Import
                | Verb::Images
                | Verb::Rmi
                | Verb::Build
                | Verb::Check
                | Verb::Nsinit
                | Verb::Define
        ) {
            // None of these has options of its own, and none of their names begins with a dash.
            let first = self.rest.first().map_or(&b""[..], |word| word.to_bytes());
            if let (
                [b'-', _, ..],
                Verb::Exec | Verb::Cgroup | Verb::Import | Verb::Images | Verb::Rmi,
            ) = (first, self.verb)
            {
                return Err(Usage::UnknownOption(first));
            }
            return Ok(Command::Own(self.rest));
        }
        words.read(self.verb, self.rest, spec)?;
        // A missing name is empty until it is known whether the command wants one.
        let name = words.name.unwrap_or_default();
        let optional = !takes_name(self.verb)
            || (inside && self.verb == Verb::Info)
            || self.verb == Verb::Reexec;
        if words.name.is_none() && !optional {
            return Err(Usage::Count);
        }
        match self.verb {
            Verb::Start | Verb::StartHere | Verb::Run => {
                let flags = match self.verb {
                    Verb::Run => flags::RUN,
                    Verb::StartHere if !words.demonize => flags::ATTACHED,
                    _ => 0,
                };
                return start(name, words.dir, flags, spec);
            }
            Verb::Init => match name {
                b"0" => words.more = Power::PowerOff as u8,
                b"6" => words.more = Power::Reboot as u8,
                b"q" | b"Q" => return Ok(Command::Reread),
                // What sysvinit's telinit calls it.
                b"u" | b"U" => {
                    let request = Request::Reexec { name: b"" };
                    let json = false;
                    return Ok(Command::Ask { request, json });
                }
                word => return Err(Usage::Unexpected(word)),
            },
            Verb::Attach if name::looks_like_slot(name) => return Err(Usage::NoContainer(name)),
            Verb::PowerOff => words.more = Power::PowerOff as u8,
            Verb::Reboot => words.more = Power::Reboot as u8,
            _ => {}
        }
        let number = NUMBERS.get(self.verb as usize).copied().unwrap_or(0);
        Ok(Command::Ask {
            request: Request::of(number, name, words.more).unwrap_or(Request::List),
            json: words.json,
        })
    }
}

/// The number on the wire of what each verb asks, in the order of [`Verb`].
const NUMBERS: [u8; 32] = [
    1, 1, 2, 2, 3, 6, 7, 8, 9, 10, 11, 4, 5, 12, 1, 14, 14, 4, 15, 0, 0, 0, 0, 16, 0, 0, 13, 13,
    13, 13, 4, 4,
];

/// Checks a start's names and ends its spec.
#[inline(never)]
fn start<'a>(
    name: &'a [u8],
    dir: Option<&'a [u8]>,
    flags: u32,
    spec: &mut SpecBuf,
) -> Result<Command<'a>, Usage<'a>> {
    let bad = |reason| Usage::Bad {
        what: name,
        value: None,
        reason,
    };
    if !name::is_valid(name) {
        return Err(bad(Reason::BadName));
    }
    match dir {
        None | Some(b"." | b"..") => {}
        Some(dir) if cut(dir, b'/').1.is_some() => {}
        // Whether the store has it is for the caller to see.
        Some(image) if name::is_valid(image) => {}
        Some(image) => return Err(Usage::NoImage { name, image }),
    }
    spec.set_str(Tag::Name, name).map_err(|e| bad(e.into()))?;
    // Too many words of a command or of the environment are seen only here.
    Spec::parse(spec.as_bytes()).map_err(|e| bad(e.into()))?;
    Ok(Command::Start { name, dir, flags })
}

/// Options of the commands themselves; a start takes those of its container beside them.
#[derive(Clone, Copy)]
enum Opt {
    Demonize,
    Watch,
    Json,
    Follow,
    Signal,
}

const OPTIONS: &str = "--demonize --daemonize --watch --json -f --follow -s --signal";
const OPTION_OF: [Opt; 8] = [
    Opt::Demonize,
    Opt::Demonize,
    Opt::Watch,
    Opt::Json,
    Opt::Follow,
    Opt::Follow,
    Opt::Signal,
    Opt::Signal,
];

/// The file that defines a container; it is read by [`Call::config`].
const CONFIG: &[u8] = b"--config";

/// What the words of one command said.
struct Words<'a> {
    name: Option<&'a [u8]>,
    dir: Option<&'a [u8]>,
    demonize: bool,
    json: bool,
    /// What stands behind the name in the request: `--watch`, `--follow`, a signal.
    more: u8,
}

/// What `kill` sends without a word about it: as docker does, since an init without
/// handlers does not feel TERM.
const SIGKILL: u8 = 9;

impl<'a> Words<'a> {
    #[inline(never)]
    fn read(
        &mut self,
        verb: Verb,
        args: &'a [&'a CStr],
        spec: &mut SpecBuf,
    ) -> Result<(), Usage<'a>> {
        let starts = matches!(verb, Verb::Start | Verb::StartHere | Verb::Run);
        let (mut literal, mut command) = (false, false);
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let arg = arg.to_bytes();
            if command {
                let pushed = spec.push_str(Tag::Arg, arg);
                pushed.map_err(|e| bad(arg, None, e.into()))?;
                continue;
            }
            match arg {
                b"--" if starts => {
                    // Not the file's.
                    spec.remove(Tag::Arg);
                    command = true;
                }
                b"--" if !literal => literal = true,
                [b'-', _, ..] if !literal => match (verb, pick(OPTIONS, &OPTION_OF, arg)) {
                    (Verb::Start | Verb::StartHere, Some(Opt::Demonize)) => self.demonize = true,
                    (Verb::Connect | Verb::Attach, Some(Opt::Watch))
                    | (Verb::Logs | Verb::Events, Some(Opt::Follow)) => self.more = 1,
                    (Verb::List | Verb::Info | Verb::Events, Some(Opt::Json)) => self.json = true,
                    (Verb::Kill, option) => {
                        // -s SIG, --signal SIG, --signal=SIG or -SIG.
                        let inline = behind(arg, b"--signal=");
                        let apart = match option {
                            Some(Opt::Signal) => Some(next(&mut args).unwrap_or_default()),
                            _ => None,
                        };
                        let name = apart.or(inline).or(arg.get(1..)).unwrap_or_default();
                        self.more = signal::number(name).ok_or(bad(arg, apart, Reason::Signal))?;
                    }
                    _ if starts => {
                        apply(spec, arg, &mut args)?;
                        // It goes when it ends; a file's word about it means other starts.
                        if verb == Verb::Run
                            && arg.starts_with(b"--restart")
                            && spec.view().restart() != Restart::No
                        {
                            return Err(bad(arg, None, Reason::RunsOnce));
                        }
                    }
                    _ => return Err(Usage::UnknownOption(arg)),
                },
                _ if self.name.is_none() && takes_name(verb) => self.name = Some(arg),
                _ if starts && self.dir.is_none() => self.dir = Some(arg),
                _ if starts => return Err(Usage::Unexpected(arg)),
                _ => return Err(Usage::Count),
            }
        }
        Ok(())
    }
}

type Args<'a> = core::slice::Iter<'a, &'a CStr>;

fn next<'a>(args: &mut Args<'a>) -> Option<&'a [u8]> {
    args.next().map(|arg| arg.to_bytes())
}

fn bad<'a>(what: &'a [u8], value: Option<&'a [u8]>, reason: Reason) -> Usage<'a> {
    Usage::Bad {
        what,
        value,
        reason,
    }
}

fn takes_name(verb: Verb) -> bool {
    !matches!(
        verb,
        Verb::List | Verb::Events | Verb::Disconnect | Verb::PowerOff | Verb::Reboot | Verb::Halt
    )
}

/// One option of a start, its value behind `=` or in the next word.
fn apply<'a>(spec: &mut SpecBuf, arg: &'a [u8], args: &mut Args<'a>) -> Result<(), Usage<'a>> {
    let unknown = Usage::UnknownOption(arg);
    let (key, inline) = cut(behind(arg, b"--").ok_or(unknown)?, b'=');
    if cut(arg, b'=').0 == CONFIG {
        let file = inline.or_else(|| next(args)).filter(|f| !f.is_empty());
        return file.map(drop).ok_or(bad(arg, None, Reason::NoValue));
    }
    let apart = match (options::arity(key).ok_or(unknown)?, inline) {
        (Arity::Value, None) => next(args),
        _ => None,
    };
    options::apply(spec, key, inline.or(apart)).map_err(|reason| bad(arg, apart, reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::vec::Vec;

    /// Reads a line that is split at blanks, and gives what it was read to.
    fn read<T>(line: &str, inside: bool, show: impl FnOnce(Outcome<'_>, &SpecBuf) -> T) -> T {
        let owned: Vec<CString> = line
            .split_whitespace()
            .map(|w| CString::new(w).unwrap())
            .collect();
        let args: Vec<&CStr> = owned.iter().map(|w| w.as_c_str()).collect();
        let mut spec = SpecBuf::new();
        let outcome = Call::of(&args).and_then(|call| call.parse(inside, &mut spec));
        show(outcome, &spec)
    }

    type Outcome<'a> = Result<Command<'a>, Usage<'a>>;

    fn asks(line: &str, wanted: Request<'_>) {
        read(line, false, |outcome, _| match outcome {
            Ok(Command::Ask { request, .. }) => assert_eq!(request, wanted, "{line}"),
            other => panic!("{line}: {other:?}"),
        });
    }

    #[test]
    fn every_command_asks_for_its_thing() {
        let name = b"c1";
        let connect = |target| Request::Connect {
            target,
            watch: false,
        };
        let logs = |follow| Request::Logs { name, follow };
        let kill = |signal| Request::Kill { name, signal };
        let power = |how| Request::Power { how };
        for (line, wanted) in [
            ("pouch connect tty1", connect(b"tty1")),
            ("connect c1", connect(b"c1")),
            ("pouch_attach c1", connect(b"c1")),
            ("pouch disconnect", Request::Disconnect),
            ("/dev/pouch/disconnect", Request::Disconnect),
            ("pouch destroy c1", Request::Destroy { name }),
            ("pouch distroy c1", Request::Destroy { name }),
            ("pouch_destroy c1", Request::Destroy { name }),
            ("pouch stop c1", Request::Stop { name }),
            ("pouch restart c1", Request::Restart { name }),
            ("pouch kill c1", kill(9)),
            ("pouch kill -s TERM c1", kill(15)),
            ("pouch kill --signal TERM c1", kill(15)),
            ("pouch kill --signal=SIGUSR1 c1", kill(10)),
            ("pouch kill c1 -HUP", kill(1)),
            ("pouch kill -2 c1", kill(2)),
            ("pouch freeze c1", Request::Freeze { name }),
            ("pouch thaw c1", Request::Thaw { name }),
            ("pouch list", Request::List),
            ("pouch info c1", Request::Info { name }),
            ("pouch logs c1", logs(false)),
            ("pouch logs -f c1", logs(true)),
            ("pouch logs -- c1", logs(false)),
            ("/sbin/poweroff", power(Power::PowerOff)),
            ("pouch reboot", power(Power::Reboot)),
            ("halt", power(Power::Halt)),
            ("init 0", power(Power::PowerOff)),
            ("/sbin/telinit 6", power(Power::Reboot)),
            ("telinit u", Request::Reexec { name: b"" }),
        ] {
            asks(line, wanted);
        }
        read("pouch connect --watch c1", false, |got, _| {
            let watch = Request::Connect {
                target: b"c1",
                watch: true,
            };
            assert_eq!(
                got,
                Ok(Command::Ask {
                    request: watch,
                    json: false
                })
            );
        });
        read("pouch list --json", false, |got, _| {
            assert!(matches!(got, Ok(Command::Ask { json: true, .. })));
        });
        read("init q", false, |got, _| {
            assert_eq!(got, Ok(Command::Reread))
        });
        read("pouch info", true, |got, _| {
            let request = Request::Info { name: b"" };
            assert_eq!(
                got,
                Ok(Command::Ask {
                    request,
                    json: false
                })
            );
        });
    }

    #[test]
    fn a_start_fills_the_spec() {
        for line in [
            "pouch start c1 /srv/x --tty tty2 --memory.max 1M -- /bin/a -b --tty",
            "pouch start --tty=tty2 c1 --memory.max=1M /srv/x -- /bin/a -b --tty",
        ] {
            read(line, false, |got, spec| {
                let start = Command::Start {
                    name: b"c1",
                    dir: Some(b"/srv/x"),
                    flags: 0,
                };
                assert_eq!(got, Ok(start), "{line}");
                let spec = spec.view();
                assert_eq!((spec.name(), spec.tty()), (c"c1", 2));
                let args: Vec<_> = spec.all(Tag::Arg).collect();
                assert_eq!(args, [c"/bin/a", c"-b", c"--tty"]);
                assert_eq!(spec.cgroup().next(), Some((c"memory.max", c"1048576")));
            });
        }
        for (line, wanted) in [
            ("pouch_start c1", flags::ATTACHED),
            ("pouch_start c1 --demonize", 0),
            ("pouch_start --daemonize c1 --tty tty0", 0),
            ("pouch start c1", 0),
            ("pouch start c1 --demonize", 0),
            ("pouch run c1", flags::RUN),
        ] {
            read(line, false, |got, _| match got {
                Ok(Command::Start { flags, dir, .. }) => {
                    assert_eq!((flags, dir), (wanted, None), "{line}");
                }
                other => panic!("{line}: {other:?}"),
            });
        }
    }

    #[test]
    fn every_wrong_line_is_told() {
        let slot = Reason::Tty;
        for (line, wanted) in [
            ("pouch fly", Usage::UnknownCommand(b"fly")),
            ("pouch help fly", Usage::UnknownCommand(b"fly")),
            ("pouch --fly", Usage::UnknownOption(b"--fly")),
            ("pouch start", Usage::Count),
            ("pouch info", Usage::Count),
            ("pouch info a b", Usage::Count),
            ("pouch list a", Usage::Count),
            ("connect", Usage::Count),
            ("init", Usage::Count),
            ("init 5", Usage::Unexpected(b"5")),
            ("disconnect now", Usage::Count),
            ("pouch stop c1 --fly", Usage::UnknownOption(b"--fly")),
            ("pouch stop c1 -f", Usage::UnknownOption(b"-f")),
            ("pouch cgroup --fly c1", Usage::UnknownOption(b"--fly")),
            ("pouch exec -it c1 sh", Usage::UnknownOption(b"-it")),
            ("pouch import --fly", Usage::UnknownOption(b"--fly")),
            ("pouch images --fly", Usage::UnknownOption(b"--fly")),
            ("pouch rmi --fly", Usage::UnknownOption(b"--fly")),
            ("pouch start c1 --fly=1", Usage::UnknownOption(b"--fly=1")),
            ("pouch start c1 --json", Usage::UnknownOption(b"--json")),
            ("pouch start c1 -t", Usage::UnknownOption(b"-t")),
            ("pouch start c1 /x sleep", Usage::Unexpected(b"sleep")),
            ("pouch attach tty1", Usage::NoContainer(b"tty1")),
            ("pouch start c1 sleep 5", Usage::Unexpected(b"5")),
            (
                "pouch start c1 sleep:5",
                Usage::NoImage {
                    name: b"c1",
                    image: b"sleep:5",
                },
            ),
            ("pouch start a/b", bad(b"a/b", None, Reason::BadName)),
            ("pouch_start tty1", bad(b"tty1", None, Reason::BadName)),
            ("pouch start c1 --tty", bad(b"--tty", None, Reason::NoValue)),
            (
                "pouch start c1 --tty=",
                bad(b"--tty=", None, Reason::NoValue),
            ),
            (
                "pouch start c1 --tty tty9",
                bad(b"--tty", Some(b"tty9"), slot),
            ),
            ("pouch start c1 --tty=tty9", bad(b"--tty=tty9", None, slot)),
            (
                "pouch start c1 --privileged=1",
                bad(b"--privileged=1", None, Reason::TakesNoValue),
            ),
            ("pouch kill -s c1", bad(b"-s", Some(b"c1"), Reason::Signal)),
            ("pouch kill -s", bad(b"-s", Some(b""), Reason::Signal)),
            (
                "pouch run c1 --restart always",
                bad(b"--restart", None, Reason::RunsOnce),
            ),
            ("pouch kill -NOPE c1", bad(b"-NOPE", None, Reason::Signal)),
            ("pouch kill --fly c1", bad(b"--fly", None, Reason::Signal)),
        ] {
            read(line, false, |got, _| assert_eq!(got, Err(wanted), "{line}"));
        }
    }

    #[test]
    fn too_many_words_are_refused() {
        let words = "x ".repeat(65);
        read(
            &std::format!("pouch start c1 -- {words}"),
            false,
            |got, _| {
                assert_eq!(got, Err(bad(b"c1", None, Reason::Words)));
            },
        );
    }

    #[test]
    fn help_is_found_before_the_command_alone() {
        for (line, help) in [
            ("pouch start --help", true),
            ("connect --help", true),
            ("pouch help start", true),
            ("pouch start c1 -- x --help", false),
        ] {
            let owned: Vec<CString> = line
                .split_whitespace()
                .map(|w| CString::new(w).unwrap())
                .collect();
            let args: Vec<&CStr> = owned.iter().map(|w| w.as_c_str()).collect();
            assert_eq!(Call::of(&args).map(|c| c.help).ok(), Some(help), "{line}");
        }
        assert_eq!(Call::of(&[]).map(|c| c.verb).ok(), Some(Verb::Help));
        assert_eq!(Call::of(&[c"pouch"]).map(|c| c.verb).ok(), Some(Verb::Help));
    }
}
