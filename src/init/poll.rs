//! What is waited for, and to whom it is handed.

use core::mem::MaybeUninit;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::{BorrowedFd, OwnedFd};

use super::Init;
use crate::sys::{Errno, time};

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
}

const TOKENS: [Token; 10] = [
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
];

/// The most events taken in one turn, so that none of many is far behind.
const BATCH: usize = 32;

pub(super) fn new() -> Result<OwnedFd, Errno> {
    epoll::create(CreateFlags::CLOEXEC)
}

fn data(token: Token, id: u8) -> EventData {
    EventData::new_u64(u64::from(token as u8) << 8 | u64::from(id))
}

/// Waits for a descriptor from now on.
pub(super) fn watch(
    epoll: &OwnedFd,
    fd: BorrowedFd<'_>,
    token: Token,
    id: u8,
    flags: EventFlags,
) -> Result<(), Errno> {
    match epoll::add(epoll, fd, data(token, id), flags) {
        Err(Errno::EXIST) => epoll::modify(epoll, fd, data(token, id), flags),
        other => other,
    }
}

/// Waits for other events of a descriptor.
pub(super) fn rewatch(
    epoll: &OwnedFd,
    fd: BorrowedFd<'_>,
    token: Token,
    id: u8,
    flags: EventFlags,
) {
    let _ = epoll::modify(epoll, fd, data(token, id), flags);
}

/// Waits no more. (A descriptor that is closed everywhere needs none of this.)
pub(super) fn unwatch(epoll: &OwnedFd, fd: BorrowedFd<'_>) {
    let _ = epoll::delete(epoll, fd);
}

impl Init {
    /// Waits for an event or the next deadline, and hands the events on.
    pub(super) fn wait(&mut self) {
        let timeout = self.deadline().map(|at| {
            let ms = at.saturating_sub(time::now_ms()).min(1_000_000_000);
            Timespec {
                tv_sec: (ms / 1000) as i64,
                tv_nsec: (ms % 1000 * 1_000_000) as _,
            }
        });
        let mut room = [MaybeUninit::uninit(); BATCH];
        let events = match epoll::wait(&self.epoll, &mut room, timeout.as_ref()) {
            Ok((events, _)) => events,
            Err(_) => return, // EINTR, and nothing else can be
        };
        // Signals first: a child's end is known before the silence of its descriptors is read.
        for pass in [true, false] {
            for event in events.iter() {
                let number = event.data.u64();
                let Some(token) = TOKENS.get((number >> 8) as usize).copied() else {
                    continue;
                };
                if (token == Token::Signals) == pass {
                    self.dispatch(token, number as u8, event.flags);
                }
            }
        }
    }

    fn dispatch(&mut self, token: Token, id: u8, flags: EventFlags) {
        match token {
            Token::Signals => self.signals_ready(),
            Token::Control => self.control_ready(),
            Token::Line => self.line_ready(id, flags),
            Token::Session => self.session_ready(id, flags),
            Token::Client => self.client_ready(id, flags),
            Token::Report => self.report_ready(id),
            Token::Cgroup => self.cgroup_ready(id),
            Token::Listener => self.listener_ready(id),
            Token::Owner => self.owner_gone(id),
            Token::ShellReport => self.shell_report_ready(id),
        }
    }
}
