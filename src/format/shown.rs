//! A spec in words: what a definition would be, a line for each of its records.

use super::spec::{Record, Spec, TTY_AUTO, TTY_NONE, Tag, namespaces};
use super::text::{Plain, Sink, cut, decimal, nth, put};
use super::wire::Reader;
use super::{capability, container, inet};

/// What each record is called, by its number from 1.
const LABELS: &str = "name root image tty command environment hostname user cwd flags namespaces \
    capabilities mount cgroup restart stop-timeout net gateway mtu bridge publish device after \
    ready health health-times persist rlimit user capabilities-are";
/// Bits of [`super::spec::flags`].
const FLAGS: &str = "attached read-only privileged new-privs no-seccomp host-net userns init run \
    given-environment-alone terminal-in terminal-out terminal-err no-net";
/// How a list of capabilities was read, by the value of [`Tag::Reading`].
const READINGS: &str = "default taken-away kept";
/// Restart policies by the first byte of their record.
const RESTARTS: &str = "no on-failure always";

/// How a list of capabilities was read, in a word.
pub fn reading(number: u8) -> &'static str {
    nth(READINGS, b' ', number.into()).unwrap_or_default()
}

/// Shows it: its name, then `  LABEL: VALUE` lines.
#[inline(never)]
pub fn show(spec: Spec<'_>, sink: &mut Sink<'_>) {
    put!(sink, "{}\n", Plain(spec.name().to_bytes()));
    for record in spec.records() {
        let twice = record.tag == Tag::Image && spec.string(Tag::Root) == spec.string(Tag::Image);
        if record.tag != Tag::Name && !twice {
            let label = nth(LABELS, b' ', record.tag as usize - 1).unwrap_or_default();
            put!(sink, "  {}:", label);
            value(record, sink);
            sink.take(b"\n");
        }
    }
}

/// What a record says, a blank before each of its words.
fn value(record: Record<'_>, sink: &mut Sink<'_>) {
    let mut r = Reader::new(record.bytes);
    let (word, numbers, between) = match record.tag {
        Tag::Flags => return bits(FLAGS, r.u32().into(), sink),
        Tag::Capabilities => return bits(capability::NAMES, r.u64(), sink),
        Tag::Namespaces => {
            let all = r.u32();
            let mounts = u32::from(all & namespaces::MOUNTS != 0);
            return bits(namespaces::NAMES, (all >> 24 | mounts).into(), sink);
        }
        Tag::Tty => match r.u8() {
            TTY_AUTO => ("auto", 0, ""),
            TTY_NONE => ("none", 0, ""),
            slot => (
                nth("tty0 tty1 tty2 tty3", b' ', slot.into()).unwrap_or_default(),
                0,
                "",
            ),
        },
        Tag::Restart => {
            let policy = r.u8();
            let word = nth(RESTARTS, b' ', policy.into()).unwrap_or_default();
            (word, if policy == 1 { 4 } else { 0 }, " ")
        }
        Tag::Reading => (reading(r.u8()), 0, ""),
        Tag::Rlimit => (
            nth(container::RLIMIT_NAMES, b' ', r.u8().into()).unwrap_or_default(),
            8,
            " ",
        ),
        Tag::User => ("", 4, ":"),
        Tag::Address => {
            let [a, b, c, d] = [r.u8(), r.u8(), r.u8(), r.u8()];
            sink.take(b" ");
            let address = [a, b, c, d];
            return inet::show(
                sink,
                inet::Cidr {
                    address,
                    bits: r.u8(),
                },
            );
        }
        Tag::Gateway => ("", 1, "."),
        Tag::Publish => ("", 2, ":"),
        Tag::StopTimeout | Tag::Mtu | Tag::Ready | Tag::HealthTimes => ("", 4, " "),
        _ => {
            let mut rest = record.bytes;
            while let (string, Some(behind)) = cut(rest, 0) {
                put!(sink, " {}", Plain(string));
                rest = behind;
            }
            return;
        }
    };
    put!(sink, " {}", word);
    let mut lead = if word.is_empty() { "" } else { between };
    while numbers > 0 && !r.is_whole() && r.is_good() {
        sink.take(lead.as_bytes());
        decimal(sink, r.number(numbers));
        lead = between;
    }
}

/// The names of the bits that are set.
fn bits(names: &'static str, set: u64, sink: &mut Sink<'_>) {
    for bit in 0..64 {
        if set >> bit & 1 != 0 {
            let name = nth(names, b' ', bit).unwrap_or("?");
            put!(sink, " {}", name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::spec::SpecBuf;
    use super::super::text::Text;
    use super::super::{cmdline, options};
    use super::*;

    #[test]
    fn every_record_has_its_line() {
        let mut spec = SpecBuf::new();
        let words = b"web,rootfs=/srv/web,tty=tty1,command='/bin/httpd -f',memory.max=16M,\
            restart=on-failure:3,stop-timeout=0.5,user=7:8,cap-drop=ALL,cap-add=KILL,read-only";
        cmdline::container(words, &mut spec).unwrap();
        spec.push(Tag::Namespaces, &0x6c02_0000u32.to_le_bytes())
            .unwrap();
        spec.push(Tag::Reading, &[1]).unwrap();
        spec.push(Tag::Gateway, &[10, 0, 0, 1]).unwrap();
        options::apply(&mut spec, b"mount", Some(b"/a:/b:ro")).unwrap();
        let mut text = Text::<1024>::new();
        show(spec.view(), &mut text);
        assert_eq!(
            text.as_str(),
            "web\n  root: /srv/web\n  tty: tty1\n  command: /bin/httpd\n  command: -f\n  \
             cgroup: memory.max 16777216\n  restart: on-failure 3\n  stop-timeout: 500\n  \
             user: 7:8\n  capabilities: KILL\n  flags: read-only\n  \
             namespaces: NEWNS NEWUTS NEWIPC NEWPID NEWNET\n  capabilities-are: taken-away\n  \
             gateway: 10.0.0.1\n  mount: /a /b bind ro\n"
        );
    }
}
