//! What failed and why: a step, an object, an errno.
//!
//! A fault is a small value on its way from the child half of a launch to PID 1 and
//! on to a client. Words are made where a person reads them, by one grammar:
//! *unable to VERB OBJECT: reason*.

use super::errno::Reason;
use super::text::{Plain, Sink, put};
use super::wire::{Reader, Writer};

/// The longest object a fault carries, in bytes; a longer one loses its front.
pub const OBJECT_MAX: usize = 120;

macro_rules! steps {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $verb:literal;)*) => {
        /// A step on the way to a running process, or another thing PID 1 does for a person.
        ///
        /// Numbers are the wire's and are never used again for another step.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum Step { $($(#[$doc])* $name = $number,)* }

        const STEPS: &[Step] = &[$(Step::$name),*];

        impl Step {
            /// The step of that number on the wire.
            pub fn from_number(number: u8) -> Option<Step> {
                STEPS.iter().find(|step| **step as u8 == number).copied()
            }

            /// The VERB of "unable to VERB OBJECT: reason".
            pub fn verb(self) -> &'static str {
                const VERBS: &str = concat!($($verb, "\n"),*);
                let at = STEPS.iter().position(|step| *step == self);
                at.and_then(|at| super::text::line(VERBS, at)).unwrap_or_default()
            }
        }
    };
}

steps! {
    /// Opening a pseudo-terminal for the session; object: /dev/ptmx.
    Terminal = 1, "open a terminal from";
    /// Making the container's cgroup; object: its path.
    CgroupMake = 2, "create cgroup";
    /// Writing a file of the cgroup; object: FILE=VALUE.
    CgroupWrite = 3, "set cgroup file";
    /// clone3; object: the container.
    Clone = 4, "create a process for";
    /// Making a session of its own with that terminal.
    Session = 5, "take the terminal";
    /// Making mounts private.
    Private = 6, "make mounts private below";
    /// Binding the root; object: the folder.
    Root = 7, "mount";
    /// Mounting something in it; object: the destination.
    Mount = 8, "mount";
    /// Making a folder or file to mount on, or a device node.
    Make = 9, "create";
    /// Opening something; object: the path.
    Open = 10, "open";
    /// pivot_root; object: the new root.
    PivotRoot = 11, "pivot_root into";
    /// Letting the old root go.
    Unmount = 12, "unmount";
    /// Entering the working directory.
    Chdir = 13, "enter";
    /// sethostname.
    Hostname = 14, "set hostname";
    /// Bringing the loopback interface up.
    Loopback = 15, "bring up interface";
    /// Dropping capabilities.
    Capabilities = 16, "set capabilities";
    /// setgroups, setresgid, setresuid.
    User = 17, "become user";
    /// prctl(PR_SET_NO_NEW_PRIVS).
    NoNewPrivs = 18, "set no_new_privs for";
    /// The seccomp filter.
    Seccomp = 19, "install the seccomp filter for";
    /// Resource limits; object: the limit.
    Rlimit = 20, "set resource limit";
    /// The container's socket.
    Socket = 21, "bind";
    /// Copying pouch's binary into the container.
    Copy = 22, "copy pouch to";
    /// execve; object: the command.
    Exec = 23, "execute";
    /// Signalling; object: the container.
    Signal = 24, "signal";
    /// Loading a kernel module.
    Module = 25, "load module";
    /// Making a path read-only or hiding it.
    Mask = 26, "protect";
    /// Device rules.
    Devices = 27, "set device rules for";
    /// Reading or writing a file for a person.
    Write = 28, "write";
    /// Closing inherited descriptors.
    Close = 29, "close descriptors of";
    /// The launch was not heard of within its deadline.
    Launch = 30, "launch";
    /// Joining namespaces; object: the container.
    Join = 31, "join";
    /// Removing something; object: the path.
    Remove = 32, "remove";
    /// Reading something; object: the path.
    Read = 33, "read";
    /// Opening an image of the store; object: its name.
    Image = 34, "find image";
    /// Showing an image file by a loop device; object: the file.
    Loop = 35, "attach a loop device to";
    /// Laying an overlay over what is below; object: the image.
    Overlay = 36, "put an overlay over";
    /// Looking a user or group up in the container's files; object: NAME[:GROUP].
    FindUser = 37, "find user";
    /// Making a bridge; object: its name.
    Bridge = 38, "create bridge";
    /// Making a pair of interfaces; object: the bridge.
    Link = 39, "make a link to";
    /// Giving the container's interface its address; object: the address, and who has it.
    Address = 40, "set address";
    /// The default route; object: the gateway.
    Gateway = 41, "set gateway";
    /// Rules for published ports; object: the container, or a port.
    Publish = 42, "publish";
    /// Making, mapping or entering a user namespace; object: the container.
    UserNamespace = 43, "make a user namespace for";
    /// Mapping the owners of the root's files; object: the root.
    Owners = 44, "map the owners of";
}

/// What failed, on what, and the kernel's reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault<'a> {
    /// The step that failed.
    pub step: Step,
    /// The kernel's errno, positive; 0 where the kernel was not asked.
    pub errno: u16,
    /// What it was done to: a path, a name.
    pub object: &'a [u8],
}

impl<'a> Fault<'a> {
    /// Puts it into a message.
    pub fn emit(&self, w: &mut Writer<'_>) {
        w.u8(self.step as u8);
        w.u16(self.errno);
        let from = self.object.len().saturating_sub(OBJECT_MAX);
        w.bytes(self.object.get(from..).unwrap_or_default());
    }

    /// Takes it out of a message.
    #[inline(never)]
    pub fn parse(r: &mut Reader<'a>) -> Self {
        let step = Step::from_number(r.u8());
        let fault = Fault {
            step: r.some(step, Step::Launch),
            errno: r.u16(),
            object: r.bytes(),
        };
        // Nobody writes a longer one, and who reads has no more room.
        r.check(fault.object.len() <= OBJECT_MAX);
        fault
    }
}

impl Fault<'_> {
    /// Writes it for people.
    pub fn show(&self, sink: &mut Sink<'_>) {
        put!(
            sink,
            "unable to {} {}: {}",
            self.step.verb(),
            Plain(self.object),
            Reason(self.errno)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_unable_to_verb_object_reason() {
        let mut s = super::super::text::Text::<128>::new();
        let fault = Fault {
            step: Step::Root,
            errno: 2,
            object: b"/srv/web",
        };
        put!(&mut s, "{}", &fault);
        assert_eq!(
            s.as_str(),
            "unable to mount /srv/web: No such file or directory"
        );
    }

    #[test]
    fn every_step_has_its_verb() {
        assert_eq!(Step::Terminal.verb(), "open a terminal from");
        assert_eq!(Step::Read.verb(), "read");
        for number in 0..=u8::MAX {
            if let Some(step) = Step::from_number(number) {
                assert!(!step.verb().is_empty(), "{step:?}");
            }
        }
    }

    #[test]
    fn it_crosses_the_wire() {
        let fault = Fault {
            step: Step::Exec,
            errno: 13,
            object: b"/bin/x",
        };
        let mut room = [0; 64];
        let mut w = Writer::new(&mut room);
        fault.emit(&mut w);
        let mut r = Reader::new(w.finish().unwrap());
        assert_eq!(Fault::parse(&mut r), fault);
        assert!(r.is_whole());
    }
}
