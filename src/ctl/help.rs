//! What `--help` says: a line for each command, and an example with each.

use super::args::Verb;
use super::out::{Out, put};

/// A command, how it is written, what it does, how it is used.
type Entry = (Verb, &'static str, &'static str);

const ENTRIES: [Entry; 17] = [
    (
        Verb::Start,
        "pouch start NAME [DIR] [OPTIONS] [-- COMMAND [ARG...]]",
        "pouch start web /srv/web --memory.max 16M -- /bin/httpd -f",
    ),
    (
        Verb::StartHere,
        "pouch_start NAME [--tty ttyN] [--demonize] [OPTIONS] [-- COMMAND [ARG...]]",
        "pouch_start c1 --tty tty2 &",
    ),
    (
        Verb::Connect,
        "connect NAME|ttyN [--watch]",
        "connect tty1     (back: disconnect inside, or Ctrl-] three times)",
    ),
    (Verb::Attach, "pouch attach NAME", "pouch_attach c1"),
    (
        Verb::Disconnect,
        "disconnect",
        "disconnect     (inside a container)",
    ),
    (Verb::Destroy, "pouch destroy NAME", "pouch_destroy c1"),
    (Verb::Stop, "pouch stop NAME", "pouch stop c1"),
    (Verb::Restart, "pouch restart NAME", "pouch restart c1"),
    (
        Verb::Kill,
        "pouch kill [-s SIG] NAME",
        "pouch kill -s HUP c1",
    ),
    (Verb::Freeze, "pouch freeze NAME", "pouch freeze c1"),
    (Verb::Thaw, "pouch thaw NAME", "pouch thaw c1"),
    (Verb::List, "pouch list [--json]", "pouch list"),
    (Verb::Info, "pouch info [NAME] [--json]", "pouch info c1"),
    (Verb::Logs, "pouch logs NAME [-f]", "pouch logs c1 -f"),
    (Verb::PowerOff, "pouch poweroff", "init 0"),
    (Verb::Reboot, "pouch reboot", "init 6"),
    (Verb::Halt, "pouch halt", "halt"),
];

/// The options of a start.
const OPTIONS: &str = "\
OPTIONS (also as --key=value):
  --tty tty0..tty3|auto|none   its console slot
  --hostname H  --env K=V  --user UID[:GID]  --cwd DIR
  --net none|host
  --mount SRC:DST[:ro,...]  --tmpfs DST  --read-only
  --memory.max 64M  --cpu.max 50%  --pids.max N  or any cgroup v2 file
  --cap-add, --cap-drop NAME[,NAME]|ALL  --privileged
  --no-new-privs=no  --seccomp off
  --restart no|on-failure[:N]|always  --stop-timeout S
";

/// Tells about one command, or about all.
pub fn show(out: &mut Out, verb: Verb) {
    let mut known = false;
    for (_, form, example) in ENTRIES.iter().filter(|(v, ..)| *v == verb) {
        put!(out, "{}\nExample: {}\n", *form, *example);
        known = true;
    }
    if !known {
        for (_, form, _) in &ENTRIES {
            put!(out, "{}\n", *form);
        }
        put!(out, "COMMAND --help for an example, pouch --version\n");
    }
    if !known || matches!(verb, Verb::Start | Verb::StartHere) {
        put!(out, "{}", OPTIONS);
    }
}
