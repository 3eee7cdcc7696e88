//! What `--help` says: a line for each command, and an example with each.

use super::args::Verb;
use crate::format::text::{Sink, line, put};

/// How each command is written, a line each, in the order of [`Verb`].
const FORMS: &str = "\
pouch start NAME [IMAGE|DIR] [OPTIONS] [-- COMMAND [ARG...]]
pouch_start NAME [--tty ttyN] [--demonize] [OPTIONS] [-- COMMAND [ARG...]]
connect NAME|ttyN [--watch]
pouch attach NAME
disconnect
pouch destroy NAME
pouch stop NAME
pouch restart NAME
pouch kill [-s SIG] NAME
pouch freeze NAME
pouch thaw NAME
pouch list [--json]
pouch info [NAME] [--json]
pouch logs NAME [-f]
pouch run NAME [IMAGE|DIR] [OPTIONS] [-- COMMAND [ARG...]]
pouch exec NAME [--] COMMAND [ARG...]
pouch cgroup NAME [FILE [VALUE[,VALUE...]]]
pouch stats [--watch|--json|--prometheus]
pouch events [-f] [--json]
pouch import NAME FILE.tar[.gz]|DIR
pouch images
pouch rmi IMAGE
pouch build [--file POUCHFILE] [--tag IMAGE] [DIR]
pouch reexec [BINARY]
pouch check [FILE | -- KERNEL-WORDS]
nsinit exec COMMAND [ARG...]     (in a folder with a container.json)
pouch poweroff
pouch reboot
pouch halt
";

/// An example of each, in the same order.
const EXAMPLES: &str = "\
pouch start web /srv/web --memory.max 16M -- /bin/httpd -f
pouch_start c1 --tty tty2 &
connect tty1     (back: disconnect inside, or Ctrl-] three times)
pouch_attach c1
disconnect     (inside a container)
pouch_destroy c1
pouch stop c1
pouch restart c1
pouch kill -s HUP c1
pouch freeze c1
pouch thaw c1
pouch list
pouch info c1
pouch logs c1 -f
pouch run c1 -- sort <list >sorted     (exit: its status, or 125 126 127)
pouch exec c1 ps
pouch cgroup c1 memory.max 32M     (until it ends; without FILE: all)
pouch stats --watch     (q leaves)
pouch events -f
pouch import web web.tar.gz     (of docker export or save, an OCI layout, a folder)
pouch images
pouch rmi web
pouch build --tag web     (by the Pouchfile, or Dockerfile, of this folder)
pouch reexec /mnt/pouch     (another version takes over, containers go on)
pouch check /srv/web/container.json
nsinit exec /bin/sh
init 0
init 6
halt
";

/// The options of a start.
const OPTIONS: &str = "\
OPTIONS (also as --key=value):
  --config FILE                a container.json; the other options hold over it
  --tty tty0..tty3|auto|none   its console slot
  --hostname H  --env K=V  --user USER[:GROUP]  --cwd DIR
  --net none|host|ADDR/BITS  --gateway ADDR  --bridge NAME  --mtu N
  --publish HOST:CONT[/udp]
  --mount SRC:DST[:ro,...]  --tmpfs DST  --read-only
  --persist DIR|NAME (what an image's container writes)  --init (a reaper inside)
  --memory.max 64M  --cpu.max 50%  --pids.max N  or any cgroup v2 file
  --cap-add, --cap-drop NAME[,NAME]|ALL  --privileged
  --no-new-privs=no  --seccomp off  --device PATH[:rwm]
  --userns              its root is nobody on the host
  --restart no|on-failure[:N]|always  --stop-timeout S
  --after NAME[,NAME]   starts when those are ready
  --ready fd:N          ready when it writes a newline there
  --health COMMAND      run in it; --health-interval 30 --health-timeout 30 (s) --health-retries 3
";

/// Tells about one command, or about all that can be done here.
pub fn show(out: &mut Sink<'_>, verb: Verb, inside: bool) {
    // The last line is the empty one behind the last break.
    let at = verb as usize;
    match (line(FORMS, at), line(EXAMPLES, at)) {
        (Some(form), Some(example)) => put!(out, "{}\nExample: {}\n", form, example),
        // What can be asked from inside, by the same words.
        _ if inside => {
            return put!(
                out,
                "{}\n{}\n",
                line(FORMS, Verb::Disconnect as usize).unwrap_or_default(),
                line(FORMS, Verb::Info as usize).unwrap_or_default()
            );
        }
        _ => put!(
            out,
            "{}COMMAND --help for an example, pouch --version\n",
            FORMS
        ),
    }
    if matches!(
        verb,
        Verb::Start | Verb::StartHere | Verb::Run | Verb::Init | Verb::Help | Verb::Version
    ) {
        put!(out, OPTIONS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::text::Text;
    use std::string::String;

    fn shown(verb: Verb) -> String {
        let mut text = Text::<4096>::new();
        show(&mut text, verb, false);
        assert!(!text.is_cut());
        text.as_str().into()
    }

    #[test]
    fn each_command_has_its_own_lines() {
        for (verb, form) in [
            (Verb::Start, "pouch start"),
            (Verb::StartHere, "pouch_start"),
            (Verb::Connect, "connect"),
            (Verb::Attach, "pouch attach"),
            (Verb::Disconnect, "disconnect"),
            (Verb::Destroy, "pouch destroy"),
            (Verb::Stop, "pouch stop"),
            (Verb::Restart, "pouch restart"),
            (Verb::Kill, "pouch kill"),
            (Verb::Freeze, "pouch freeze"),
            (Verb::Thaw, "pouch thaw"),
            (Verb::List, "pouch list"),
            (Verb::Info, "pouch info"),
            (Verb::Logs, "pouch logs"),
            (Verb::PowerOff, "pouch poweroff"),
            (Verb::Reboot, "pouch reboot"),
            (Verb::Halt, "pouch halt"),
        ] {
            let text = shown(verb);
            let mut lines = text.lines();
            let first = lines.next().unwrap();
            assert!(first.starts_with(form), "{text}");
            assert!(lines.next().unwrap().starts_with("Example: "), "{text}");
            let starts = matches!(verb, Verb::Start | Verb::StartHere);
            assert_eq!(lines.next().is_some(), starts, "{text}");
        }
        assert!(shown(Verb::Help).contains("--seccomp"));
        let mut inside = Text::<4096>::new();
        show(&mut inside, Verb::Help, true);
        assert_eq!(inside.as_str(), "disconnect\npouch info [NAME] [--json]\n");
        assert!(shown(Verb::Version).contains("pouch list"));
    }
}
