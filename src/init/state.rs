//! All that PID 1 knows, as another version of it reads it.
//!
//! A row of records: a table, a place in it, a field, a length, bytes. Lists of fields say
//! what number is what; they only ever grow (format::fields). What is not known here is
//! passed over, what is missing stays as in a new record, and what cannot be the field of
//! its number is an answer: then the old image goes on.

use heapless::{String, Vec};
use rustix::fd::OwnedFd;

use super::tables::{
    Board, CLIENTS, ClientRecord, Config, LineRecord, SESSIONS, Session, SessionRecord,
    ShellRecord, Tables, UNITS, UnitId, UnitRecord, Waits, Whose,
};
use super::{Init, RING, files};
use crate::format::fields::{Field, fields};
use crate::format::spec::SPEC_MAX;
use crate::policy::health::Health;
use crate::policy::ring::Ring;
use crate::policy::size::Place as At;
use crate::policy::unit::Unit;
use crate::policy::{backoff::Backoff, detach, shutdown, switchboard, unit};
use crate::sys::state::{Place, memory, seal};
use crate::sys::{Errno, lend};

/// How a state begins. Another number is another way to write records, not another list of fields.
/// So is another size of the tables: a container's place would not be where this one looks for it.
const MAGIC: &[u8; 8] = match UNITS {
    64 => b"pouchst1",
    more => &[b'p', b'o', b'u', b'c', b'h', b'm', b'1', (more / 64) as u8],
};
/// The most bytes of one record: of its longest field, which is how far each session was shown.
const MOST: usize = if SESSIONS > 512 { 16384 } else { 4096 };
const _: () = assert!(size_of::<u64>() * SESSIONS <= MOST);
/// The tables of records, and behind them those of bytes.
const TABLES: core::ops::RangeInclusive<u8> = 1..=10;
const SPECS: u8 = 11;
const RINGS: u8 = 12;

const ALL: &[Field] = fields!(Board: up exit ended_by rooting watchdog watchdog_due watchdog_every
    watchdog_hungry definitions_wait helper control shell_cgroup
    definers ranges);
const CONFIG: &[Field] = fields!(Config: shell rescue bridge crash_limit on_crash log watchdog
    watchdog_seconds size nested cgroups);
const UNIT: &[Field] = fields!(UnitRecord: pid pidfd ppid slot session spec_len cgroup events report
    listener streams terminal owners link releasing address clean_again ready asked asked_fd health
    fault name owner hurt);
const SESSION: &[Field] = fields!(SessionRecord: whose held wants_out ring master slave size pts label
    epitaph);
const LINE: &[Field] = fields!(LineRecord: fd slot stuck stalled wants_out at_margin vt rdev tail size
    look_again client detach answers keys_lost keyboard look_backoff device shown typed notice lost);
const SHELL: &[Field] = fields!(ShellRecord: pid pidfd report session fault backoff due not_before);
const CLIENT: &[Field] = fields!(ClientRecord: fd inside pid waits);

/// The record at a place, made first where that is wanted and nothing is there.
#[inline(never)]
fn place<'a>(t: &'a mut Tables, table: u8, id: At, make: bool) -> Option<Place<'a>> {
    Some(match table {
        1 if id == 0 => Place::of(&mut t.small, ALL),
        2 if id == 0 => Place::of(&mut t.config, CONFIG),
        3 if id == 0 => Place::of(&mut t.ending, shutdown::FIELDS),
        4 if id == 0 => Place::of(&mut t.board, switchboard::FIELDS),
        5 | 6 => {
            let unit = t.units().get_or(id, || make.then(no_unit))?;
            match table {
                5 => Place::of(unit, UNIT),
                _ => Place::of(&mut unit.life, unit::FIELDS),
            }
        }
        7 => Place::of(t.sessions().get_or(id, || make.then(no_session))?, SESSION),
        8 | 9 => {
            let line = t.lines().get_or(id, || make.then(no_line))?;
            match table {
                8 => Place::of(line, LINE),
                _ => Place::of(&mut line.shell, SHELL),
            }
        }
        10 => {
            let new = || match make {
                false => None,
                true => Some(ClientRecord {
                    // Any descriptor: its own number comes with its fields.
                    fd: memory().ok()?,
                    inside: None,
                    pid: 0,
                    waits: Waits::Request,
                }),
            };
            Place::of(t.clients().get_or(id, new)?, CLIENT)
        }
        _ => return None,
    })
}

/// A container of which nothing is known; a new one differs from it in what it is made with.
pub(super) fn no_unit() -> UnitRecord {
    UnitRecord {
        pid: 0,
        pidfd: None,
        ppid: 1,
        slot: None,
        session: None,
        spec_len: 0,
        cgroup: None,
        events: None,
        report: None,
        listener: None,
        streams: [None, None, None],
        terminal: None,
        owners: [None, None],
        owner: 0,
        hurt: [0; 3],
        link: None,
        releasing: 0,
        address: None,
        clean_again: None,
        ready: None,
        asked: 0,
        asked_fd: None,
        health: Health::default(),
        life: Unit::past(),
        fault: None,
        name: String::new(),
    }
}

/// The same of a session.
pub(super) fn no_session() -> SessionRecord {
    SessionRecord {
        whose: Whose::Closing { until: 0 },
        held: false,
        wants_out: false,
        ring: Ring::default(),
        master: None,
        slave: None,
        size: (0, 0),
        pts: None,
        label: String::new(),
        epitaph: String::new(),
    }
}

/// The same of a line.
pub(super) fn no_line() -> LineRecord {
    LineRecord {
        fd: None,
        slot: None,
        stuck: None,
        stalled: false,
        wants_out: false,
        at_margin: false,
        vt: false,
        rdev: (0, 0),
        tail: None,
        size: super::sessions::SIZE,
        look_again: None,
        client: None,
        detach: detach::Detach::default(),
        answers: Default::default(),
        keys_lost: 0,
        lost: 0,
        keyboard: 0,
        look_backoff: Backoff::new(),
        shell: ShellRecord {
            pid: 0,
            pidfd: None,
            report: None,
            session: None,
            fault: None,
            backoff: Backoff::new(),
            due: None,
            not_before: 0,
        },
        device: String::new(),
        shown: [0; SESSIONS],
        typed: Vec::new(),
        notice: Vec::new(),
    }
}

/// One record.
#[inline(never)]
fn write(
    to: &OwnedFd,
    (table, id, field): (u8, At, u8),
    position: u64,
    bytes: &[u8],
) -> Result<(), Errno> {
    let [low, high, ..] = usize::from(id).to_le_bytes();
    let mut start = [table, low, field, high, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let numbers = (bytes.len() as u32)
        .to_le_bytes()
        .into_iter()
        .chain(position.to_le_bytes());
    for (place, byte) in start.iter_mut().skip(4).zip(numbers) {
        *place = byte;
    }
    for piece in [&start[..], bytes] {
        if files::write(to, piece)? != piece.len() {
            return Err(Errno::NOSPC);
        }
    }
    Ok(())
}

impl Init {
    /// Writes it all down.
    #[inline(never)]
    pub(super) fn save(&mut self) -> Result<OwnedFd, Errno> {
        let to = memory()?;
        files::write(&to, MAGIC)?;
        for table in TABLES {
            for id in 0..CLIENTS.max(SESSIONS) as At {
                if let Some(place) = place(self.t, table, id, false) {
                    let mut field = 0;
                    while let Some(bytes) = place.bytes(usize::from(field)) {
                        write(&to, (table, id, field), 0, bytes)?;
                        field += 1;
                    }
                }
            }
        }
        for id in 0..UNITS as UnitId {
            let from = usize::from(id) * SPEC_MAX;
            let len = self.t.unit(id).map_or(0, |u| usize::from(u.spec_len));
            let spec = self.specs.get(from..from + len).unwrap_or_default();
            for (part, bytes) in spec.chunks(MOST).enumerate() {
                write(&to, (SPECS, id, 0), (part * MOST) as u64, bytes)?;
            }
        }
        for id in 0..SESSIONS as Session {
            let mut from = 0;
            loop {
                let (lost, bytes) = self.ring_read(id, from);
                let bytes = bytes.get(..MOST).unwrap_or(bytes);
                if bytes.is_empty() {
                    break;
                }
                from += lost;
                write(&to, (RINGS, id, 0), from, bytes)?;
                from += bytes.len() as u64;
            }
        }
        seal(&to)?;
        Ok(to)
    }

    /// Reads what another image wrote down. False if this one cannot go on with it.
    #[inline(never)]
    pub(super) fn load(&mut self, from: &OwnedFd) -> bool {
        let mut room = [0u8; MOST];
        let mut at = 0;
        let mut read = |room: &mut [u8], len: usize| -> Option<()> {
            let room = room.get_mut(..len)?;
            let got = rustix::io::pread(lend(from), room, at).ok()?;
            at += got as u64;
            (got == len).then_some(())
        };
        if read(&mut room, MAGIC.len()).is_none() || !room.starts_with(MAGIC) {
            return false;
        }
        let mut start = [0u8; 16];
        while read(&mut start, 16).is_some() {
            let [table, low, field, high, l0, l1, l2, l3, position @ ..] = start;
            let id = u16::from_le_bytes([low, high]) as At;
            let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
            if read(&mut room, len).is_none() {
                return false;
            }
            let bytes = room.get(..len).unwrap_or_default();
            let position = u64::from_le_bytes(position);
            match table {
                SPECS => self.put_bytes(SPECS, usize::from(id) * SPEC_MAX, position, bytes),
                RINGS => self.put_bytes(RINGS, usize::from(id) * RING, position, bytes),
                _ => {
                    if let Some(mut place) = place(self.t, table, id, true)
                        && !place.put(usize::from(field), bytes)
                    {
                        return false;
                    }
                }
            }
        }
        self.t.up
    }

    /// Bytes of a ring, which goes round, or of a spec, which does not get that far.
    fn put_bytes(&mut self, table: u8, base: usize, position: u64, bytes: &[u8]) {
        let (room, around) = match table {
            RINGS => (&mut *self.rings, RING),
            _ => (&mut *self.specs, SPEC_MAX),
        };
        for (byte, n) in bytes.iter().zip(position..) {
            if let Some(place) = room.get_mut(base + (n % around as u64) as usize) {
                *place = *byte;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tables::LINES;
    use super::*;

    /// No more than padding lies between the fields that are listed.
    fn is_whole<T>(name: &str, fields: &[Field], beside: usize) {
        let listed: usize = fields.iter().map(|f| usize::from(f.1)).sum();
        let mut at: std::vec::Vec<_> = fields.to_vec();
        at.sort_unstable();
        let end = |f: &Field| f.0 + u32::from(f.1);
        for two in at.windows(2) {
            assert!(end(&two[0]) <= two[1].0, "{name}: fields lie on each other");
        }
        let left = size_of::<T>() - beside - listed;
        assert!(
            left < 8 * 4,
            "{name}: {left} bytes are in no field: list the new one at the end"
        );
    }

    #[test]
    fn every_field_of_a_record_is_listed() {
        is_whole::<Config>("Config", CONFIG, 0);
        is_whole::<UnitRecord>("UnitRecord", UNIT, size_of::<Unit>());
        is_whole::<Unit>("Unit", unit::FIELDS, 0);
        is_whole::<SessionRecord>("SessionRecord", SESSION, 0);
        is_whole::<LineRecord>("LineRecord", LINE, size_of::<ShellRecord>());
        is_whole::<ShellRecord>("ShellRecord", SHELL, 0);
        is_whole::<ClientRecord>("ClientRecord", CLIENT, 0);
        is_whole::<shutdown::Shutdown>("Shutdown", shutdown::FIELDS, 0);
        is_whole::<switchboard::Switchboard>("Switchboard", switchboard::FIELDS, 0);
    }

    #[test]
    fn an_older_state_is_read_and_what_cannot_be_is_refused() {
        let mut t = std::boxed::Box::new(crate::sys::arena::Table {
            small: Board::new(),
            records: Default::default(),
        });
        t.config.crash_limit = 3;
        let mut place = place(&mut t, 2, 0, true).unwrap();
        // A field of a later version is passed over.
        assert!(place.put(200, b"what nobody knows"));
        // One of the right number and another shape is not believed.
        assert!(!place.put(3, &[7, 0]));
        assert!(place.put(3, &7u32.to_le_bytes()));
        drop(place);
        assert_eq!(t.config.crash_limit, 7);
        // Records that are not there yet come to be, with what a new one has where nothing is said.
        assert!(super::place(&mut t, 5, 9, false).is_none());
        assert!(
            super::place(&mut t, 5, 9, true)
                .unwrap()
                .put(0, &77i32.to_ne_bytes())
        );
        assert_eq!(t.unit(9).map(|u| (u.pid, u.ppid)), Some((77, 1)));
        // A row that was shorter fills its beginning.
        let shown = [1u64; 40];
        let bytes: std::vec::Vec<u8> = shown.iter().flat_map(|n| n.to_ne_bytes()).collect();
        assert!(super::place(&mut t, 8, 0, true).unwrap().put(18, &bytes));
        let line = t.line(0).unwrap();
        assert_eq!((line.shown[39], line.shown[40]), (1, 0));
        // A place that this version has not.
        assert!(super::place(&mut t, 8, LINES as At, true).is_none());
        assert!(super::place(&mut t, 99, 0, true).is_none());
    }

    /// What a state says, record by record: table, place, field, position and bytes.
    fn records(state: &OwnedFd) -> std::vec::Vec<([u8; 3], u64, std::vec::Vec<u8>)> {
        let mut at = MAGIC.len() as u64;
        let mut all = std::vec::Vec::new();
        let mut head = [0; 16];
        while rustix::io::pread(lend(state), &mut head, at) == Ok(16) {
            let len = u32::from_le_bytes(head[4..8].try_into().unwrap());
            let mut bytes = std::vec![0; len as usize];
            if len > 0 {
                let got = rustix::io::pread(lend(state), &mut bytes[..], at + 16);
                assert_eq!(got, Ok(bytes.len()));
            }
            at += 16 + u64::from(len);
            let position = u64::from_le_bytes(head[8..].try_into().unwrap());
            all.push(([head[0], head[1], head[2]], position, bytes));
        }
        all
    }

    /// PID 1 as it would be on this machine; its descriptors are the test's to the end.
    fn image() -> core::mem::ManuallyDrop<Init> {
        core::mem::ManuallyDrop::new(Init::open(None).unwrap())
    }

    #[test]
    fn a_state_of_an_older_version_is_gone_on_with_and_a_cut_one_is_not() {
        let mut old = image();
        old.t.up = true;
        old.t.config.crash_limit = 9;
        old.t.ended_by = 15;
        let mut unit = no_unit();
        (unit.pid, unit.owner) = (77, 100_000);
        unit.name.push_str("web").unwrap();
        unit.spec_len = 3;
        old.t.units().put(5u8, unit);
        old.specs[5 * SPEC_MAX..][..3].copy_from_slice(b"abc");
        let mut session = no_session();
        session.whose = Whose::Unit(5);
        let room = &mut old.rings[2 * RING..3 * RING];
        for number in 0..5000u32 {
            session.ring.push(room, &number.to_le_bytes());
        }
        old.t.sessions().put(2u8, session);
        let (lost, kept) = old.ring_read(2, 0);
        let kept = (lost, kept.to_vec());
        let said = records(&old.save().unwrap());

        // The last two fields of each record are not known to the older version, which says what nobody knows now.
        let lists = [
            ALL,
            CONFIG,
            shutdown::FIELDS,
            switchboard::FIELDS,
            UNIT,
            unit::FIELDS,
        ];
        let more = [SESSION, LINE, SHELL, CLIENT];
        let to = memory().unwrap();
        files::write(&to, MAGIC).unwrap();
        for ([table, id, field], position, bytes) in &said {
            let list = lists.iter().chain(&more).nth(usize::from(*table) - 1);
            if list.is_none_or(|list| usize::from(*field) + 2 < list.len()) {
                write(&to, (*table, (*id).into(), *field), *position, bytes).unwrap();
            }
        }
        write(&to, (40, 1, 0), 0, b"a table that is no more").unwrap();
        write(&to, (1, 0, 99), 0, b"a field of the next version").unwrap();
        let mut new = image();
        assert!(new.load(&to));
        assert_eq!((new.t.config.crash_limit, new.t.ended_by), (9, 15));
        let unit = new.t.unit(5).unwrap();
        // The owner's number and what hurt it are the last two.
        assert_eq!(
            (unit.pid, unit.ppid, unit.name.as_str(), unit.owner),
            (77, 1, "web", 0)
        );
        assert_eq!(&new.specs[5 * SPEC_MAX..][..3], b"abc");
        assert!(new.t.session(2).is_some_and(|s| s.whose == Whose::Unit(5)));
        let (lost, again) = new.ring_read(2, 0);
        assert_eq!((lost, again.to_vec()), kept);

        // Cut in the middle of a record, of another kind, of a board that never came up: no state.
        let whole = rustix::fs::fstat(lend(&to)).unwrap().st_size as u64;
        let cut = memory().unwrap();
        let mut bytes = std::vec![0; whole as usize];
        rustix::io::pread(lend(&to), &mut bytes[..], 0).unwrap();
        files::write(&cut, &bytes[..bytes.len() - 5]).unwrap();
        assert!(!image().load(&cut));
        let other = memory().unwrap();
        files::write(&other, b"pouchst9").unwrap();
        files::write(&other, &bytes[8..]).unwrap();
        assert!(!image().load(&other));
        let empty = memory().unwrap();
        files::write(&empty, MAGIC).unwrap();
        assert!(!image().load(&empty));
    }
}
