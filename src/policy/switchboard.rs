//! Which session each line shows.
//!
//! `connect` pushes, `disconnect` returns to where that line came from, the end of a
//! session returns every line that shows it. A line nobody is working on shows the
//! container that holds its slot, and with none offers the host shell. Nothing else
//! moves a line.

use heapless::Vec;

/// The most lines at once: physical ones and handed ones.
pub const LINES: usize = 16;
/// The most sessions at once: one a container, one host shell a line.
pub const SESSIONS: usize = 80;
/// How many sessions a line remembers to return to.
pub const BACK: usize = 8;

/// A line's place in the table.
pub type Line = u8;
/// A session's place in the table.
pub type Session = u8;

/// What a line goes back to when nobody works on it and no container holds its slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Home {
    /// A host shell by itself: the system console.
    Shell,
    /// A host shell on Enter.
    Offer,
    /// Nothing: the shell is locked away (`pouch.shell=none`).
    Locked,
    /// It is let go: a terminal that is no line of the board's.
    Release,
}

/// Why a session is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// The person on the line asked for it.
    Connected,
    /// The line returned to it.
    Returned,
    /// Nobody works on the line, and the session holds its slot.
    Idle,
    /// The line's host shell came up.
    Shell,
}

/// What PID 1 is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the fields are what the variant's line says
pub enum Action {
    /// Show that session's ring on that line from where the line has not seen it.
    Show {
        line: Line,
        session: Session,
        why: Why,
    },
    /// Make a host shell for the line, after its back-off, and say [`Switchboard::shell_up`].
    OpenShell { line: Line },
    /// Say that Enter opens a host shell.
    Offer { line: Line },
    /// Say that the line is locked.
    Lock { line: Line },
    /// Let the line go.
    Release { line: Line },
}

/// What one event can bring about: at most one move a line.
pub type Actions = Vec<Action, LINES>;

/// What one line shows, and where it came from.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Entry {
    home: Home,
    slot: Option<u8>,
    shows: Option<Session>,
    watch: bool,
    back: Vec<Session, BACK>,
    shell: Option<Session>,
    /// A host shell was asked for and is not up yet.
    awaits_shell: bool,
    /// A person went away from the session that its slot's container has.
    shunned: Option<Session>,
}

/// The table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Switchboard {
    lines: [Option<Entry>; LINES],
    /// Which session holds which slot.
    slots: [Option<Session>; 4],
    /// Which line typed last into each session.
    typist: [Option<Line>; SESSIONS],
}

impl Default for Switchboard {
    fn default() -> Self {
        Self::new()
    }
}

impl Switchboard {
    /// No lines, no sessions.
    pub const fn new() -> Self {
        Switchboard {
            lines: [const { None }; LINES],
            slots: [None; 4],
            typist: [None; SESSIONS],
        }
    }

    fn entry(&self, line: Line) -> Option<&Entry> {
        self.lines.get(usize::from(line))?.as_ref()
    }

    fn entry_mut(&mut self, line: Line) -> Option<&mut Entry> {
        self.lines.get_mut(usize::from(line))?.as_mut()
    }

    fn each_line() -> impl Iterator<Item = Line> {
        (0..LINES).filter_map(|i| Line::try_from(i).ok())
    }

    /// The session that the line shows.
    pub fn shows(&self, line: Line) -> Option<Session> {
        self.entry(line)?.shows
    }

    /// Whether the line may not type into what it shows.
    pub fn watches(&self, line: Line) -> bool {
        self.entry(line).is_some_and(|e| e.watch)
    }

    /// Whether the line waits for its host shell.
    pub fn awaits_shell(&self, line: Line) -> bool {
        self.entry(line).is_some_and(|e| e.awaits_shell)
    }

    /// The lines that show the session.
    pub fn lines_showing(&self, session: Session) -> impl Iterator<Item = Line> {
        Self::each_line().filter(move |l| self.shows(*l) == Some(session))
    }

    /// The session that holds the slot.
    pub fn slot(&self, slot: u8) -> Option<Session> {
        self.slots.get(usize::from(slot)).copied().flatten()
    }

    /// Somebody typed on the line: a request out of what it shows is theirs.
    pub fn typed(&mut self, line: Line) {
        let Some(session) = self.shows(line) else {
            return;
        };
        if let Some(typist) = self.typist.get_mut(usize::from(session)) {
            *typist = Some(line);
        }
    }

    /// The line that a request out of this session moves: the one that typed, else one that shows it, else one that came from it.
    pub fn mover(&self, session: Session) -> Option<Line> {
        let typed = self.typist.get(usize::from(session)).copied().flatten();
        let came_from = |l: Line| {
            self.entry(l)
                .is_some_and(|e| e.back.contains(&session) || e.shell == Some(session))
        };
        typed
            .filter(|l| self.shows(*l) == Some(session) || came_from(*l))
            .or_else(|| self.lines_showing(session).next())
            .or_else(|| Self::each_line().find(|l| came_from(*l)))
    }

    /// A line is there.
    pub fn line_up(&mut self, line: Line, home: Home, slot: Option<u8>) -> Actions {
        let mut out = Actions::new();
        if let Some(place) = self.lines.get_mut(usize::from(line)) {
            *place = Some(Entry {
                home,
                slot,
                shows: None,
                watch: false,
                back: Vec::new(),
                shell: None,
                awaits_shell: false,
                shunned: None,
            });
            self.go_home(line, &mut out);
        }
        out
    }

    /// The line is no more. Its host shell's session, if it had one, is handed back to be ended.
    pub fn line_down(&mut self, line: Line) -> Option<Session> {
        for typist in &mut self.typist {
            if *typist == Some(line) {
                *typist = None;
            }
        }
        self.lines.get_mut(usize::from(line))?.take()?.shell
    }

    /// A container was accepted for the slot: lines of that slot on which nobody works show it.
    pub fn slot_taken(&mut self, slot: u8, session: Session) -> Actions {
        let mut out = Actions::new();
        if let Some(place) = self.slots.get_mut(usize::from(slot)) {
            *place = Some(session);
        }
        for line in Self::each_line() {
            let idle = self
                .entry(line)
                .is_some_and(|e| e.slot == Some(slot) && e.shows.is_none());
            if idle {
                self.go_home(line, &mut out);
            }
        }
        out
    }

    /// The slot is free again. (Its session ends by [`Switchboard::session_gone`].)
    pub fn slot_freed(&mut self, slot: u8) {
        if let Some(place) = self.slots.get_mut(usize::from(slot)) {
            *place = None;
        }
    }

    /// The person on the line wants to see the session. `None` when the line already shows it.
    pub fn connect(&mut self, line: Line, session: Session, watch: bool) -> Option<Action> {
        let entry = self.entry_mut(line)?;
        entry.watch = watch;
        if entry.shows == Some(session) {
            return None;
        }
        if let Some(from) = entry.shows.take() {
            // Each session stands once among those to return to, so the way back has no loops.
            entry.back.retain(|s| *s != from);
            if entry.back.is_full() {
                entry.back.remove(0);
            }
            let _ = entry.back.push(from);
        }
        entry.back.retain(|s| *s != session);
        entry.shows = Some(session);
        entry.awaits_shell = false;
        entry.shunned = None;
        Some(Action::Show {
            line,
            session,
            why: Why::Connected,
        })
    }

    /// The line returns to where it came from; with nothing to return to, to a host shell.
    pub fn disconnect(&mut self, line: Line) -> Actions {
        let mut out = Actions::new();
        let Some(entry) = self.entry_mut(line) else {
            return out;
        };
        let left = entry.shows;
        if left.is_some() && left == entry.shell && entry.back.is_empty() {
            return out; // already at the host shell: there is nothing to leave
        }
        entry.shows = None;
        entry.watch = false;
        entry.shunned = left;
        self.go_back(line, &mut out);
        if out.is_empty() {
            // Nowhere else to go (no shell, the slot's container is what was left): it stays.
            if let Some(entry) = self.entry_mut(line) {
                entry.shows = left;
            }
        }
        out
    }

    /// Enter was pressed on a line that shows nothing.
    pub fn enter(&mut self, line: Line) -> Option<Action> {
        let entry = self.entry_mut(line)?;
        match (entry.shows, entry.home) {
            (None, Home::Shell | Home::Offer) if !entry.awaits_shell => {
                entry.awaits_shell = true;
                Some(Action::OpenShell { line })
            }
            (None, Home::Locked) => Some(Action::Lock { line }),
            _ => None,
        }
    }

    /// The line's host shell runs in that session. `None` when the line shows another by now.
    pub fn shell_up(&mut self, line: Line, session: Session) -> Option<Action> {
        let entry = self.entry_mut(line)?;
        entry.shell = Some(session);
        entry.awaits_shell = false;
        if entry.shows.is_some() {
            return None;
        }
        entry.shows = Some(session);
        Some(Action::Show {
            line,
            session,
            why: Why::Shell,
        })
    }

    /// The session is no more, or ended: every line that shows it returns, and none returns to it.
    ///
    /// With `kept` the session stays to be looked at (an ended container), and its slot's lines
    /// may show it again on asking; it is only not a place to be.
    pub fn session_gone(&mut self, session: Session) -> Actions {
        let mut out = Actions::new();
        if let Some(typist) = self.typist.get_mut(usize::from(session)) {
            *typist = None;
        }
        for slot in &mut self.slots {
            if *slot == Some(session) {
                *slot = None;
            }
        }
        for line in Self::each_line() {
            let Some(entry) = self.entry_mut(line) else {
                continue;
            };
            entry.back.retain(|s| *s != session);
            if entry.shell == Some(session) {
                entry.shell = None;
            }
            if entry.shunned == Some(session) {
                entry.shunned = None;
            }
            if entry.shows == Some(session) {
                entry.shows = None;
                entry.watch = false;
                self.go_back(line, &mut out);
            }
        }
        out
    }

    /// Pops the way back, or goes home.
    fn go_back(&mut self, line: Line, out: &mut Actions) {
        let Some(entry) = self.entry_mut(line) else {
            return;
        };
        match entry.back.pop() {
            Some(session) => {
                entry.shows = Some(session);
                let _ = out.push(Action::Show {
                    line,
                    session,
                    why: Why::Returned,
                });
            }
            None => self.go_home(line, out),
        }
    }

    /// Where a line is that nobody moved: its open shell, else its slot's container, else a shell offered.
    fn go_home(&mut self, line: Line, out: &mut Actions) {
        let Some(entry) = self.entry(line) else {
            return;
        };
        let holder = entry.slot.and_then(|s| self.slot(s));
        let shunned = entry.shunned;
        let Some(entry) = self.entry_mut(line) else {
            return;
        };
        entry.shunned = None;
        let action = match (entry.shell, holder, entry.home) {
            (Some(session), _, _) => Action::Show {
                line,
                session,
                why: Why::Returned,
            },
            (None, Some(session), _) if shunned != Some(session) => Action::Show {
                line,
                session,
                why: Why::Idle,
            },
            // A person left the slot's own container: they want the host.
            (None, _, Home::Shell) => Action::OpenShell { line },
            (None, Some(_), Home::Offer) => Action::OpenShell { line },
            (None, Some(_), Home::Locked) => return,
            (None, None, Home::Offer) => Action::Offer { line },
            (None, None, Home::Locked) => Action::Lock { line },
            (None, _, Home::Release) => Action::Release { line },
        };
        match action {
            Action::Show { session, .. } => entry.shows = Some(session),
            Action::OpenShell { .. } => entry.awaits_shell = true,
            Action::Offer { .. } | Action::Lock { .. } | Action::Release { .. } => {}
        }
        let _ = out.push(action);
    }
}
