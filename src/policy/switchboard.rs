//! Which session each line shows.
//!
//! `connect` pushes, `disconnect` returns to where that line came from, the end of a
//! session returns every line that shows it. A line nobody is working on shows the
//! container that holds its slot, and with none offers the host shell. Nothing else
//! moves a line.

use heapless::Vec;

use super::size::{Place, UNITS};
use crate::format::fields::{Field, fields};

/// The most lines at once: physical ones and handed ones.
pub const LINES: usize = 16;
/// The most sessions at once: one a container, one host shell a line, the event log.
pub const SESSIONS: usize = UNITS + LINES + 1;
/// How many sessions a line remembers to return to.
pub const BACK: usize = 8;

/// A line's place in the table.
pub type Line = Place;
/// A session's place in the table.
pub type Session = Place;

/// What a line goes back to when nobody works on it and no container holds its slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(test, derive(Hash))]
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
#[cfg_attr(test, derive(Hash))]
struct Entry {
    home: Home,
    slot: Option<u8>,
    shows: Option<Session>,
    watch: bool,
    /// Its person asked for what it shows, or typed into it.
    works: bool,
    back: Vec<Session, BACK>,
    shell: Option<Session>,
    /// A host shell was asked for and is not up yet.
    awaits_shell: bool,
}

/// The table.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(test, derive(Hash))]
pub struct Switchboard {
    lines: [Option<Entry>; LINES],
    /// Which session holds which slot.
    slots: [Option<Session>; 4],
    /// Which line typed last into each session.
    typist: [Option<Line>; SESSIONS],
}

/// What another version is told of it.
pub const FIELDS: &[Field] = fields!(Switchboard: lines slots typist);

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

    /// Whether somebody works on the line in what it shows: not one who only watches, and not
    /// a line that nobody has touched since.
    pub fn works(&self, line: Line) -> bool {
        self.entry(line).is_some_and(|e| e.works && !e.watch)
    }

    /// Whether what is asked of the terminal in what the line shows is for that terminal to
    /// answer: with several lines on one session, each hears the question.
    pub fn answers(&self, line: Line) -> bool {
        let mover = self.shows(line).and_then(|session| self.mover(session));
        self.works(line) && mover == Some(line)
    }

    /// Somebody typed on the line: a request out of what it shows is theirs. True when nobody
    /// did there before. One who watches types nowhere.
    pub fn typed(&mut self, line: Line) -> bool {
        let Some(entry) = self.entry_mut(line).filter(|e| !e.watch) else {
            return false;
        };
        let first = !entry.works;
        entry.works = true;
        let Some(session) = entry.shows else {
            return false;
        };
        if let Some(typist) = self.typist.get_mut(usize::from(session)) {
            *typist = Some(line);
        }
        first
    }

    /// The line that a request out of this session moves: of those that show it the one that
    /// typed last, else the first on which somebody works, else the first. One that shows another is where its person moved on to.
    pub fn mover(&self, session: Session) -> Option<Line> {
        let typed = self.typist.get(usize::from(session)).copied().flatten();
        typed
            .filter(|l| self.shows(*l) == Some(session))
            .or_else(|| self.lines_showing(session).find(|l| self.works(*l)))
            .or_else(|| self.lines_showing(session).next())
    }

    /// The line that shows `to` and came there from `from`.
    pub fn moved(&self, from: Session, to: Session) -> Option<Line> {
        self.lines_showing(to).find(|l| {
            self.entry(*l)
                .is_some_and(|e| e.back.contains(&from) || e.shell == Some(from))
        })
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
                works: false,
                back: Vec::new(),
                shell: None,
                awaits_shell: false,
            });
            // One that a command brought is there for the session that it names next.
            if home != Home::Release {
                self.go_home(line, None, &mut out);
            }
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

    /// A container was accepted for the slot, or the slot is free again (its session ends by
    /// [`Switchboard::session_gone`]): lines of that slot on which nobody works, or waits for a shell, show it,
    /// and a console that waited for it to come again has its host shell.
    pub fn slot_held(&mut self, slot: u8, by: Option<Session>) -> Actions {
        let mut out = Actions::new();
        if let Some(place) = self.slots.get_mut(usize::from(slot)) {
            *place = by;
        }
        for line in Self::each_line() {
            let idle = self.entry(line).is_some_and(|e| {
                e.slot == Some(slot)
                    && e.shows.is_none()
                    && !e.awaits_shell
                    && (by.is_some() || e.home == Home::Shell)
            });
            if idle {
                self.go_home(line, None, &mut out);
            }
        }
        out
    }

    /// The person on the line wants to see the session. `None` when the line already shows it.
    pub fn connect(&mut self, line: Line, session: Session, watch: bool) -> Option<Action> {
        let entry = self.entry_mut(line)?;
        entry.watch = watch;
        entry.works = true;
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
        if left.is_none() || (left == entry.shell && entry.back.is_empty()) {
            return out; // at the host shell, or waiting for it: there is nothing to leave
        }
        let watch = entry.watch;
        entry.shows = None;
        entry.watch = false;
        self.go_back(line, left, &mut out);
        if out.is_empty() {
            // Nowhere else to go (no shell, the slot's container is what was left): it stays.
            if let Some(entry) = self.entry_mut(line) {
                (entry.shows, entry.watch) = (left, watch);
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
        let mut held = None;
        for (slot, holder) in (0..).zip(&mut self.slots) {
            if *holder == Some(session) {
                *holder = None;
                held = Some(slot);
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
            if entry.shows == Some(session) {
                entry.shows = None;
                entry.watch = false;
                // A console on which nobody works waits for its container, which may come again, until
                // its slot is free.
                let waits = entry.home == Home::Shell
                    && held.is_some()
                    && entry.slot == held
                    && !entry.works
                    && entry.back.is_empty()
                    && entry.shell.is_none();
                if !waits {
                    self.go_back(line, None, &mut out);
                }
            }
        }
        out
    }

    /// Pops the way back, or goes home. `left` is what the person on the line just left.
    fn go_back(&mut self, line: Line, left: Option<Session>, out: &mut Actions) {
        let Some(entry) = self.entry_mut(line) else {
            return;
        };
        entry.works = false;
        match entry.back.pop() {
            Some(session) => {
                entry.shows = Some(session);
                let _ = out.push(Action::Show {
                    line,
                    session,
                    why: Why::Returned,
                });
            }
            None => self.go_home(line, left, out),
        }
    }

    /// Where a line is that nobody moved: its open shell, else its slot's container, else a shell offered.
    fn go_home(&mut self, line: Line, left: Option<Session>, out: &mut Actions) {
        let Some(entry) = self.entry(line) else {
            return;
        };
        let holder = entry.slot.and_then(|s| self.slot(s));
        let Some(entry) = self.entry_mut(line) else {
            return;
        };
        let action = match (entry.shell, holder, entry.home) {
            (Some(session), _, _) => Action::Show {
                line,
                session,
                why: Why::Returned,
            },
            (None, Some(session), _) if left != Some(session) => Action::Show {
                line,
                session,
                why: Why::Idle,
            },
            (None, _, Home::Shell) => Action::OpenShell { line },
            // A person left, and there is nothing to return to: they want the host.
            (None, _, Home::Offer) if left.is_some() => Action::OpenShell { line },
            (None, Some(_), Home::Locked) => return,
            (None, _, Home::Offer) => Action::Offer { line },
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of the walk: the system console with slot 0, one of slot 1, and one that a command
    /// brings and takes away.
    const A: Line = 0;
    const B: Line = 1;
    const C: Line = 2;
    const EVERY: [Line; 3] = [A, B, C];
    /// Sessions 10 and 11 are containers'; the shells of the first two lines get 20 and 21.
    const CONTAINERS: [Session; 2] = [10, 11];
    const ALL: [Session; 4] = [10, 11, 20, 21];

    /// What happens.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    enum Step {
        Start,
        /// A container was accepted for a slot.
        Take(u8, Session),
        /// It ended, and may be started again.
        End(Session),
        /// It ended for good.
        Over(u8, Session),
        ShellUp(Line),
        ShellEnds(Line),
        Typed(Line),
        Enter(Line),
        Disconnect(Line),
        /// The line is gone, and is there again where it is the board's.
        Vanish(Line),
        Connect(Line, Session, bool),
    }

    /// What the rest of PID 1 knows while the table is walked.
    #[derive(Clone, PartialEq, Eq, Hash)]
    struct World {
        board: Switchboard,
        /// Which of [`ALL`] live.
        alive: [bool; 4],
        homes: [Home; 2],
    }

    impl World {
        fn new(homes: [Home; 2]) -> World {
            let mut w = World {
                board: Switchboard::new(),
                alive: [false; 4],
                homes,
            };
            for line in [A, B] {
                let actions = w
                    .board
                    .line_up(line, homes[usize::from(line)], Some(line as u8));
                w.perform(&actions);
            }
            w
        }

        fn lives(&self, session: Session) -> bool {
            ALL.iter()
                .zip(self.alive)
                .any(|(s, alive)| *s == session && alive)
        }

        fn set(&mut self, session: Session, alive: bool) {
            for (s, place) in ALL.iter().zip(&mut self.alive) {
                if *s == session {
                    *place = alive;
                }
            }
        }

        fn perform(&mut self, actions: &[Action]) {
            for action in actions {
                match *action {
                    Action::Show { line, session, .. } => {
                        assert!(
                            self.lives(session),
                            "line {line} was sent to the dead {session}"
                        );
                        assert_eq!(
                            self.board.shows(line),
                            Some(session),
                            "an action and the table differ"
                        );
                    }
                    Action::Release { line } => {
                        assert_eq!(self.board.line_down(line), None);
                    }
                    _ => {}
                }
            }
        }

        /// Every event that can happen now.
        fn steps(&self) -> std::vec::Vec<Step> {
            let mut all = std::vec::Vec::new();
            for (slot, session) in (0..).zip(CONTAINERS) {
                match self.lives(session) {
                    true => all.extend([Step::End(session), Step::Over(slot, session)]),
                    false => all.push(Step::Take(slot, session)),
                }
            }
            for line in EVERY {
                // A command brings its terminal for the session that it names.
                let there = self.board.entry(line).is_some();
                if !there || self.board.shows(line).is_some() {
                    for session in CONTAINERS {
                        if self.lives(session) {
                            all.push(Step::Connect(line, session, false));
                            all.push(Step::Connect(line, session, true));
                        }
                    }
                }
                if !there {
                    continue;
                }
                all.extend([
                    Step::Typed(line),
                    Step::Enter(line),
                    Step::Disconnect(line),
                    Step::Vanish(line),
                ]);
                if self.board.awaits_shell(line) {
                    all.push(Step::ShellUp(line));
                }
                if line != C && self.lives(20 + line) {
                    all.push(Step::ShellEnds(line));
                }
            }
            all
        }

        fn go(&mut self, step: Step) {
            let board = &mut self.board;
            match step {
                Step::Start => {}
                Step::Take(slot, session) => {
                    let actions = board.slot_held(slot, Some(session));
                    self.set(session, true);
                    self.perform(&actions);
                }
                Step::End(session) => {
                    let actions = board.session_gone(session);
                    self.set(session, false);
                    self.perform(&actions);
                }
                Step::Over(slot, session) => {
                    self.go(Step::End(session));
                    let actions = self.board.slot_held(slot, None);
                    self.perform(&actions);
                }
                Step::ShellUp(line) => {
                    let action = board.shell_up(line, 20 + line);
                    self.set(20 + line, true);
                    self.perform(action.as_slice());
                }
                Step::ShellEnds(line) => self.go(Step::End(20 + line)),
                Step::Typed(line) => {
                    board.typed(line);
                }
                Step::Enter(line) => {
                    let action = board.enter(line);
                    self.perform(action.as_slice());
                }
                Step::Disconnect(line) => {
                    let actions = board.disconnect(line);
                    self.perform(&actions);
                }
                Step::Vanish(line) => {
                    if let Some(shell) = board.line_down(line) {
                        self.go(Step::End(shell));
                    }
                    if let Some(home) = self.homes.get(usize::from(line)) {
                        let actions = self.board.line_up(line, *home, Some(line as u8));
                        self.perform(&actions);
                    }
                }
                Step::Connect(line, session, watch) => {
                    if board.entry(line).is_none() {
                        assert!(board.line_up(line, Home::Release, None).is_empty());
                    } else {
                        board.typed(line);
                    }
                    let action = board.connect(line, session, watch);
                    self.perform(action.as_slice());
                    assert_eq!(self.board.shows(line), Some(session));
                    assert_eq!(self.board.watches(line), watch);
                }
            }
        }

        // The invariants. Each is asked after every step of the walk; `before` is where the step began.

        fn a_line_shows_exactly_one_session(&self, _: Step, _: &World) -> bool {
            EVERY.into_iter().all(|line| {
                let showing = ALL
                    .into_iter()
                    .filter(|s| self.board.lines_showing(*s).any(|l| l == line))
                    .count();
                let Some(entry) = self.board.entry(line) else {
                    return showing == 0;
                };
                let holder = entry.slot.and_then(|s| self.board.slot(s));
                match entry.shows {
                    Some(session) => {
                        showing == 1 && !entry.awaits_shell && !entry.back.contains(&session)
                    }
                    // Or it waits for its shell, or is idle: then nothing is there for it to show.
                    None => {
                        showing == 0
                            && entry.back.is_empty()
                            && entry.shell.is_none()
                            && (entry.awaits_shell || holder.is_none())
                    }
                }
            })
        }

        fn nobody_moves_a_line_that_somebody_works_on(&self, step: Step, before: &World) -> bool {
            let own = match step {
                Step::Disconnect(line) | Step::Vanish(line) | Step::Connect(line, ..) => Some(line),
                _ => None,
            };
            // Even where nobody works: only the end of what a line shows moves it, or its person.
            EVERY.into_iter().all(|line| {
                let was = before.board.shows(line);
                let ended = was.is_some_and(|s| !self.lives(s));
                own == Some(line)
                    || was.is_none()
                    || ended
                    || (self.board.shows(line) == was
                        && (!before.board.works(line) || self.board.works(line)))
            })
        }

        fn every_byte_typed_goes_to_one_session(&self, step: Step, before: &World) -> bool {
            let Step::Typed(line) = step else {
                return true;
            };
            let shows = before
                .board
                .shows(line)
                .filter(|_| !before.board.watches(line));
            ALL.into_iter().all(|session| {
                let typist = self.board.typist[usize::from(session)];
                match shows == Some(session) {
                    // It is this line's from now on, which moves and answers for it.
                    true => {
                        typist == Some(line)
                            && self.board.mover(session) == Some(line)
                            && self.board.answers(line)
                    }
                    false => typist == before.board.typist[usize::from(session)],
                }
            })
        }

        fn no_route_to_a_dead_session_survives(&self, _: Step, _: &World) -> bool {
            let lines = self.board.lines.iter().flatten().all(|entry| {
                let mut routes = entry.back.iter().chain(&entry.shows).chain(&entry.shell);
                routes.all(|s| self.lives(*s))
            });
            let slots = self.board.slots.iter().flatten().all(|s| self.lives(*s));
            lines
                && slots
                && ALL.into_iter().all(|session| {
                    self.lives(session)
                        || (self.board.typist[usize::from(session)].is_none()
                            && self.board.mover(session).is_none())
                })
        }

        fn a_disconnect_lands_on_something_alive(&self, step: Step, before: &World) -> bool {
            let Step::Disconnect(line) = step else {
                return true;
            };
            let was = before.board.shows(line);
            let Some(entry) = self.board.entry(line) else {
                return line == C; // let go: its command's terminal is its own again
            };
            match entry.shows {
                // Where it stays there is nothing to return to, and no other shell to open.
                Some(session) if was == Some(session) => {
                    entry.back.is_empty() && (entry.shell == was || entry.home == Home::Locked)
                }
                Some(session) => self.lives(session),
                None => entry.awaits_shell || was.is_none() || entry.home == Home::Locked,
            }
        }
    }

    /// Deeper than the walk gets: it ends where no step leads to a world that is not known yet.
    const DEPTH: u32 = 60;

    type Invariant = fn(&World, Step, &World) -> bool;
    const INVARIANTS: [(&str, Invariant); 5] = [
        (
            "a line shows exactly one session",
            World::a_line_shows_exactly_one_session,
        ),
        (
            "nobody moves a line that somebody works on",
            World::nobody_moves_a_line_that_somebody_works_on,
        ),
        (
            "every byte typed goes to one session",
            World::every_byte_typed_goes_to_one_session,
        ),
        (
            "no route to a dead session survives",
            World::no_route_to_a_dead_session_survives,
        ),
        (
            "a disconnect lands on something alive",
            World::a_disconnect_lands_on_something_alive,
        ),
    ];

    /// Walks every row of events to `depth`; each world is gone on from once, however it was reached.
    /// How many there are, and whether that was all that can ever be.
    fn walk(homes: [Home; 2], depth: u32) -> (usize, bool) {
        let mut known = std::collections::HashSet::new();
        // Each world of the last depth, and where it came from by which step, for whoever reads a failure.
        let mut worlds = std::vec![(World::new(homes), 0, Step::Start)];
        known.insert(worlds[0].0.clone());
        let mut from = 0;
        for _ in 0..depth {
            let until = worlds.len();
            for at in from..until {
                for step in worlds[at].0.steps() {
                    let before = &worlds[at].0;
                    let mut after = before.clone();
                    after.go(step);
                    for (name, holds) in INVARIANTS {
                        if !holds(&after, step, before) {
                            let mut row = std::vec![step];
                            let mut back = at;
                            while back != 0 {
                                row.insert(0, worlds[back].2);
                                back = worlds[back].1;
                            }
                            panic!("{name}: not after {row:?}");
                        }
                    }
                    if known.insert(after.clone()) {
                        worlds.push((after, at, step));
                    }
                }
            }
            from = until;
        }
        (worlds.len(), from == worlds.len())
    }

    #[test]
    fn every_row_of_events_keeps_the_invariants() {
        let (count, all) = walk([Home::Shell, Home::Offer], DEPTH);
        assert!(all && count > 100_000, "{count} worlds were walked");
        for homes in [[Home::Offer, Home::Offer], [Home::Locked, Home::Locked]] {
            let (count, _) = walk(homes, 8);
            assert!(count > 3_000, "only {count} worlds were walked");
        }
    }

    fn world(homes: [Home; 2]) -> World {
        World::new(homes)
    }

    #[test]
    fn a_handed_line_shows_one_session_and_is_let_go_after_it() {
        for leaves in [true, false] {
            let mut board = Switchboard::new();
            assert!(board.line_up(A, Home::Release, None).is_empty());
            assert!(board.connect(A, 10, false).is_some());
            let actions = match leaves {
                true => board.disconnect(A),
                false => board.session_gone(10),
            };
            assert_eq!(actions.as_slice(), [Action::Release { line: A }]);
            assert_eq!((board.shows(A), board.enter(A)), (None, None));
        }
    }

    #[test]
    fn one_who_moved_on_is_not_moved_from_behind() {
        let mut w = world([Home::Shell, Home::Offer]);
        let _ = w.board.shell_up(A, 20);
        w.board.typed(A);
        let _ = w.board.connect(A, 10, false);
        assert_eq!(w.board.mover(20), None);
        assert_eq!(
            (w.board.moved(20, 10), w.board.moved(20, 11)),
            (Some(A), None)
        );
    }

    #[test]
    fn the_line_that_typed_is_the_line_that_moves() {
        let mut w = world([Home::Shell, Home::Offer]);
        for line in [A, B] {
            let _ = w.board.enter(line);
            let _ = w.board.shell_up(line, 20 + line);
        }
        let _ = w.board.slot_held(0, Some(10));
        let _ = w.board.connect(A, 10, false);
        let _ = w.board.connect(B, 10, false);
        w.board.typed(B);
        assert_eq!(w.board.mover(10), Some(B));
        w.board.typed(A);
        assert_eq!(w.board.mover(10), Some(A));
        let _ = w.board.disconnect(A);
        assert_eq!(w.board.shows(A), Some(20));
        assert_eq!(w.board.shows(B), Some(10));
    }

    #[test]
    fn the_way_back_is_the_way_that_was_come() {
        let mut w = world([Home::Shell, Home::Offer]);
        let _ = w.board.shell_up(A, 20);
        for (slot, session) in [(1, 10), (2, 11)] {
            let _ = w.board.slot_held(slot, Some(session));
            let _ = w.board.connect(A, session, false);
        }
        assert_eq!(
            w.board.disconnect(A).as_slice(),
            [Action::Show {
                line: A,
                session: 10,
                why: Why::Returned
            }]
        );
        assert_eq!(
            w.board.disconnect(A).as_slice(),
            [Action::Show {
                line: A,
                session: 20,
                why: Why::Returned
            }]
        );
        assert!(
            w.board.disconnect(A).is_empty(),
            "there is nothing to leave at the host's shell"
        );
    }

    #[test]
    fn a_console_on_which_nobody_works_waits_for_its_container() {
        let mut board = Switchboard::new();
        let _ = board.slot_held(0, Some(10));
        let _ = board.line_up(A, Home::Shell, Some(0));
        let shown = [Action::Show {
            line: A,
            session: 10,
            why: Why::Idle,
        }];
        // It is started again, and once more.
        for _ in 0..2 {
            assert!(board.session_gone(10).is_empty());
            assert_eq!(board.slot_held(0, Some(10)).as_slice(), shown);
        }
        // It ended for good.
        assert!(board.session_gone(10).is_empty());
        let shell = [Action::OpenShell { line: A }];
        assert_eq!(board.slot_held(0, None).as_slice(), shell);
        // Somebody works there: the host's shell is his.
        let mut board = Switchboard::new();
        let _ = board.slot_held(0, Some(10));
        let _ = board.line_up(A, Home::Shell, Some(0));
        board.typed(A);
        assert_eq!(board.session_gone(10).as_slice(), shell);
        assert!(board.slot_held(0, Some(10)).is_empty());
    }

    #[test]
    fn leaving_the_slots_own_container_opens_the_hosts_shell() {
        let mut w = world([Home::Shell, Home::Offer]);
        let mut board = Switchboard::new();
        let _ = board.slot_held(0, Some(10));
        assert_eq!(
            board.line_up(A, Home::Shell, Some(0)).as_slice(),
            [Action::Show {
                line: A,
                session: 10,
                why: Why::Idle
            }]
        );
        assert_eq!(
            board.disconnect(A).as_slice(),
            [Action::OpenShell { line: A }]
        );
        // With the shell locked away the line stays where it is.
        let _ = w.board.slot_held(0, Some(10));
        let mut locked = Switchboard::new();
        let _ = locked.slot_held(0, Some(10));
        let _ = locked.line_up(A, Home::Locked, Some(0));
        assert!(locked.disconnect(A).is_empty());
        assert_eq!(locked.shows(A), Some(10));
    }
}
