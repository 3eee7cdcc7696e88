//! What is waited for, and to whom it is handed.

use linux_raw_sys::general::epoll_event;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;

use super::Init;
use super::tables::NEVER;
use crate::policy::size::Place;
use crate::sys::{Errno, file, lend, time};

/// Who waits for a descriptor. The number goes into epoll's data beside the place in the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Token {
    Signals = 0,
    Control = 1,
    Line = 2,
    Session = 3,
    Client = 4,
    Report = 5,
    Cgroup = 6,
    Listener = 7,
    Owner = 8,
    ShellReport = 9,
    Ready = 10,
}

const TOKENS: [Token; 11] = [
    Token::Signals,
    Token::Control,
    Token::Line,
    Token::Session,
    Token::Client,
    Token::Report,
    Token::Cgroup,
    Token::Listener,
    Token::Owner,
    Token::ShellReport,
    Token::Ready,
];

/// The most events taken in one turn, so that none of many is far behind.
const BATCH: usize = 32;
/// Milliseconds in which nothing but bytes to pass on comes before PID 1 gives memory back.
pub(super) const QUIET: u64 = 50;

/// What epoll gives back with an event.
fn number(token: Token, id: Place) -> u32 {
    (token as u32) << Place::BITS | u32::from(id)
}

pub(super) fn new() -> Result<OwnedFd, Errno> {
    file::epoll()
}

/// epoll_ctl(2): `change` what is waited for, or wait for it from now on.
#[inline(never)]
fn control(
    epoll: &OwnedFd,
    fd: &OwnedFd,
    number: u32,
    flags: EventFlags,
    change: bool,
) -> Result<(), Errno> {
    let data = EventData::new_u64(number.into());
    if !change {
        match epoll::add(lend(epoll), lend(fd), data, flags) {
            Err(Errno::EXIST) => {}
            other => return other,
        }
    }
    epoll::modify(lend(epoll), lend(fd), data, flags)
}

/// Waits for a descriptor from now on: for bytes to read, of cgroup.events for news.
pub(super) fn watch(epoll: &OwnedFd, fd: &OwnedFd, token: Token, id: Place) -> Result<(), Errno> {
    let flags = match token {
        Token::Cgroup => EventFlags::PRI,
        _ => EventFlags::IN,
    };
    control(epoll, fd, number(token, id), flags, false)
}

/// Waits for a descriptor to take bytes too, or no more.
pub(super) fn rewatch(epoll: &OwnedFd, fd: &OwnedFd, token: Token, id: Place, out: bool) {
    rewatch_held(epoll, fd, token, id, out, false);
}

/// The same; one that is held is not read for now.
pub(super) fn rewatch_held(
    epoll: &OwnedFd,
    fd: &OwnedFd,
    token: Token,
    id: Place,
    out: bool,
    held: bool,
) {
    let mut flags = EventFlags::empty();
    flags.set(EventFlags::OUT, out);
    flags.set(EventFlags::IN, !held);
    let _ = control(epoll, fd, number(token, id), flags, true);
}

/// Waits no more, and closes it.
#[inline(never)]
pub(super) fn unwatch(epoll: &OwnedFd, fd: &mut Option<OwnedFd>) {
    if let Some(fd) = fd.take() {
        let _ = epoll::delete(lend(epoll), lend(&fd));
    }
}

/// The longest that the kernel waits in a turn which closes sockets, in microseconds.
const GUARD_US: usize = 50_000;

impl Init {
    /// From here on this turn closes sockets of Unix, or takes packets. Descriptors may come along with those, from a
    /// container, which PID 1 then closes as the last; the kernel even has it close what anybody sent on its way and
    /// forgot (unix_gc, up to Linux 6.9). A TCP connection among them waits for its peer as long as its maker likes
    /// (SO_LINGER). It does so until a signal comes: the alarm, and if that came too early the next one.
    #[inline(never)]
    pub(super) fn guard(&mut self) {
        if !self.guarded {
            self.guarded = true;
            time::alarm_each(GUARD_US);
        }
    }

    /// Waits for an event or the next deadline, and hands the events on.
    pub(super) fn wait(&mut self) {
        if core::mem::take(&mut self.guarded) {
            time::alarm_each(0);
        }
        let at = self.deadline().min(self.shrink_at);
        let timeout = match at {
            NEVER => -1,
            _ => at.saturating_sub(time::now_ms()).min(1_000_000_000) as i32,
        };
        let mut room = [epoll_event { events: 0, data: 0 }; BATCH];
        // EINTR, and nothing else can be, is no event.
        let count = file::wait(&self.epoll, &mut room, timeout).unwrap_or(0);
        let events = room.get(..count).unwrap_or_default();
        // Signals first: a child's end is known before the silence of its descriptors is read.
        for event in events {
            if event.data == 0 {
                self.signals_ready();
            }
        }
        if self.reap_at != NEVER && events.iter().any(|event| event.data != 0) {
            self.reap();
        }
        let passes_on = |event: &epoll_event| {
            let token = event.data as u32 >> Place::BITS;
            token == Token::Line as u32 || token == Token::Session as u32
        };
        if !events.iter().all(passes_on) {
            self.shrink_at = time::now_ms() + QUIET;
        }
        for event in events {
            self.dispatch(
                event.data as u32,
                EventFlags::from_bits_retain(event.events),
            );
        }
    }

    fn dispatch(&mut self, number: u32, flags: EventFlags) {
        let id = number as Place;
        let Some(token) = TOKENS.get((number >> Place::BITS) as usize) else {
            return;
        };
        match token {
            Token::Signals => {} // heard before
            Token::Control => self.control_ready(),
            Token::Line => self.line_ready(id, flags),
            Token::Session => self.session_ready(id, flags),
            Token::Client => self.client_ready(id, flags),
            Token::Report => self.report_ready(id),
            Token::Cgroup => self.cgroup_ready(id),
            Token::Listener => self.listener_ready(id),
            Token::Owner => self.owner_gone(id),
            Token::ShellReport => self.shell_report_ready(id),
            Token::Ready => self.ready_ready(id),
        }
    }
}
