//! The accounting of one assignment of one partition: which of our records were taken, started, finished, and what of that
//! the position says.
//!
//! The position's next offset is the *frontier*: everything before it is finished. What is finished or begun beyond it is in
//! the position's note. A record that does not concern the job is like a hole: it takes no room here.
//!
//! The ledger runs ahead of the log: `start` and `finish` count at once, and become true with the commit that carries
//! [`Ledger::position`]. If that commit fails, the assignment is over, and the ledger with it.

mod note;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use bus::{Note, Offset, Position};

pub use note::NoteError;
use note::{Code, Span};

/// No further records are taken when the note could come to this many characters (75 % of what fits).
const FULL: usize = Note::MAX / 4 * 3;

/// Over how many entries it is looked for the one before that is written.
const LOOK_BACK: usize = 32;

/// What has begun of a record that is not running.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Begun {
    /// How many attempts have begun.
    pub(crate) attempts: u32,
    /// Whether the end of the last of them is in the log; otherwise its process died under it.
    pub(crate) told: bool,
}

/// What is to be done with a record that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Nothing: it is finished already, or was taken before.
    Again,
    /// Run it, after what has begun before.
    New(Begun),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is not to be started before it is unparked.
    Parked(Begun),
    Waiting(Begun),
    Running(u32),
    Finished,
}

impl State {
    fn code(self) -> Option<Code> {
        match self {
            Self::Parked(Begun { attempts: 0, .. }) | Self::Waiting(Begun { attempts: 0, .. }) => None,
            Self::Parked(begun) | Self::Waiting(begun) => Some(Code::Begun(begun)),
            Self::Running(attempts) => Some(Code::Begun(Begun { attempts, told: false })),
            Self::Finished => Some(Code::Finished),
        }
    }

    /// The largest code that it can come to within one more step.
    fn worst(self) -> Code {
        match self {
            Self::Parked(Begun { attempts, .. }) | Self::Waiting(Begun { attempts, .. }) | Self::Running(attempts) => {
                Code::Begun(Begun { attempts: attempts.saturating_add(1), told: true })
            }
            Self::Finished => Code::Finished,
        }
    }

    /// Whether it is in no note before something else becomes of it.
    fn is_silent(self) -> bool {
        matches!(self, Self::Parked(Begun { attempts: 0, .. }))
    }
}

/// One record that is not finished, or a row of neighbours that are. Neighbours have no record of ours between them.
#[derive(Debug)]
struct Entry {
    first: u64,
    last: u64,
    state: State,
    /// The most characters that it can take in a note.
    weight: usize,
}

#[derive(Debug)]
pub(crate) struct Ledger {
    /// The next offset to be read.
    read_to: u64,
    /// Beyond the frontier, in order. The first is never finished.
    entries: VecDeque<Entry>,
    /// What the position said at the assignment about records that are not read yet.
    restored: VecDeque<(Span, usize)>,
    weight: usize,
    restored_weight: usize,
    unfinished: usize,
}

impl Ledger {
    /// The ledger of a new assignment.
    pub(crate) fn open(position: &Position) -> Result<Self, NoteError> {
        let mut before = position.next.0;
        let mut weighed = |span: Span| {
            let weight = note::weight(span.first - before, span.last - span.first, span.code);
            before = span.last;
            (span, weight)
        };
        let restored: VecDeque<_> = note::decode(position)?.into_iter().map(&mut weighed).collect();
        Ok(Self {
            read_to: position.next.0,
            entries: VecDeque::new(),
            weight: 0,
            restored_weight: restored.iter().map(|(_, weight)| weight).sum(),
            restored,
            unfinished: 0,
        })
    }

    /// Passes over a record that does not concern the job.
    pub(crate) fn pass(&mut self, offset: Offset) {
        self.read_to = self.read_to.max(offset.next().0);
    }

    /// Takes a record of the job. Offsets come in order.
    pub(crate) fn take(&mut self, offset: Offset) -> Taken {
        let at = offset.0;
        if at < self.read_to {
            return Taken::Again;
        }
        self.read_to = offset.next().0;
        match self.restored_code(at) {
            Some(Code::Finished) => {
                self.push(at, State::Finished);
                self.settle(self.entries.len() - 1);
                Taken::Again
            }
            code => {
                let begun = match code {
                    Some(Code::Begun(begun)) => begun,
                    _ => Begun::default(),
                };
                self.push(at, State::Waiting(begun));
                self.unfinished += 1;
                Taken::New(begun)
            }
        }
    }

    /// Sets the record that was taken last aside: until it is unparked, it takes no room in the note.
    pub(crate) fn park(&mut self, offset: Offset) {
        let index = self.index(offset);
        if let State::Waiting(begun) = self.entries[index].state
            && index + 1 == self.entries.len()
        {
            self.entries[index].state = State::Parked(begun);
            self.weigh(index);
        }
    }

    /// Whether a parked record may be started: there is room in the note, or everything waits for this one.
    pub(crate) fn may_unpark(&self, offset: Offset) -> bool {
        !self.is_full() || self.frontier() == offset.0
    }

    /// Lets a parked record be started again.
    pub(crate) fn unpark(&mut self, offset: Offset) {
        let index = self.index(offset);
        if let State::Parked(begun) = self.entries[index].state {
            self.entries[index].state = State::Waiting(begun);
            self.weigh(index);
            if index + 1 < self.entries.len() {
                self.weigh(index + 1);
            }
        }
    }

    /// Starts an attempt of a waiting record, and returns its number.
    pub(crate) fn start(&mut self, offset: Offset) -> u32 {
        let index = self.index(offset);
        let State::Waiting(begun) = self.entries[index].state else {
            unreachable!("invariant: only a waiting record is started");
        };
        let attempt = begun.attempts.saturating_add(1);
        self.entries[index].state = State::Running(attempt);
        self.weigh(index);
        attempt
    }

    /// Gives back the attempt of a running record: as if it had never started. What began before is in the log since.
    pub(crate) fn give_back(&mut self, offset: Offset) {
        let index = self.index(offset);
        if let State::Running(attempt) = self.entries[index].state {
            self.entries[index].state = State::Waiting(Begun { attempts: attempt - 1, told: true });
            self.weigh(index);
        }
    }

    /// Finishes a record.
    pub(crate) fn finish(&mut self, offset: Offset) {
        let index = self.index(offset);
        self.entries[index].state = State::Finished;
        self.unfinished -= 1;
        self.settle(index);
    }

    /// Whether there is nothing more to do for a record, as far as its input is concerned.
    pub(crate) fn is_finished(&self, offset: Offset) -> bool {
        let (at, is_in) = (offset.0, |first: u64, last: u64| (first..=last).contains(&offset.0));
        if at < self.read_to {
            let entry = self.entries.iter().find(|entry| is_in(entry.first, entry.last));
            return entry.is_none_or(|entry| entry.state == State::Finished);
        }
        self.restored.iter().any(|(span, _)| is_in(span.first, span.last) && matches!(span.code, Code::Finished))
    }

    /// What a commit made now has to carry.
    pub(crate) fn position(&self) -> Position {
        let next = self.frontier();
        let mut spans: Vec<Span> = Vec::new();
        let mut touches = false;
        for entry in &self.entries {
            let Some(code) = entry.state.code() else {
                touches = false;
                continue;
            };
            match spans.last_mut() {
                Some(last) if touches && last.code == code => last.last = entry.last,
                _ => spans.push(Span { first: entry.first, last: entry.last, code }),
            }
            touches = true;
        }
        let unread = self.restored.iter().map(|(span, _)| span).filter(|span| span.last >= self.read_to);
        spans.extend(unread.map(|span| Span { first: span.first.max(self.read_to), ..*span }));
        Position { next: Offset(next), note: note::encode(next, &spans) }
    }

    /// Whether no further record may be taken, since the note could grow too long.
    pub(crate) fn is_full(&self) -> bool {
        self.unfinished > 0 && self.weight + self.restored_weight >= FULL
    }

    /// How many records were taken and are not finished.
    #[cfg(test)]
    pub(crate) fn unfinished(&self) -> usize {
        self.unfinished
    }

    fn frontier(&self) -> u64 {
        self.entries.front().map_or(self.read_to, |entry| entry.first)
    }

    /// What the note at the assignment said of this record; what it said of earlier ones is forgotten.
    fn restored_code(&mut self, at: u64) -> Option<Code> {
        while let Some((_, weight)) = self.restored.pop_front_if(|(span, _)| span.last < at) {
            self.restored_weight -= weight;
        }
        self.restored.front().filter(|(span, _)| span.first <= at).map(|(span, _)| span.code)
    }

    fn push(&mut self, at: u64, state: State) {
        self.entries.push_back(Entry { first: at, last: at, state, weight: 0 });
        self.weigh(self.entries.len() - 1);
    }

    fn index(&self, offset: Offset) -> usize {
        let index = self.entries.partition_point(|entry| entry.last < offset.0);
        assert!(
            self.entries.get(index).is_some_and(|entry| entry.first == offset.0 && entry.state != State::Finished),
            "invariant: offset {offset} was taken and is not finished"
        );
        index
    }

    /// Joins a finished entry with finished neighbours, and moves the frontier.
    fn settle(&mut self, mut index: usize) {
        if index > 0 && self.entries[index - 1].state == State::Finished {
            self.absorb(index - 1);
            index -= 1;
        }
        if self.entries.get(index + 1).is_some_and(|entry| entry.state == State::Finished) {
            self.absorb(index);
        }
        if index == 0 {
            if let Some(gone) = self.entries.pop_front() {
                self.weight -= gone.weight;
            }
            if !self.entries.is_empty() {
                self.weigh(0);
            }
            return;
        }
        self.weigh(index);
        if index + 1 < self.entries.len() {
            self.weigh(index + 1);
        }
    }

    /// Joins an entry with the one behind it.
    fn absorb(&mut self, index: usize) {
        if let Some(next) = self.entries.remove(index + 1) {
            self.weight -= next.weight;
            self.entries[index].last = next.last;
        }
    }

    /// Weighs an entry: at least what it takes in a note, whatever becomes of the others.
    fn weigh(&mut self, index: usize) {
        // Over entries of which nothing is written the gap reaches further back: to the frontier at most.
        let mut before = self.entries.range(..index).rev().take(LOOK_BACK);
        let before = before.find(|entry| !entry.state.is_silent()).map_or(self.entries[0].first, |entry| entry.last);
        let entry = &mut self.entries[index];
        let weight = if entry.state.is_silent() {
            0
        } else {
            note::weight(entry.first - before, entry.last - entry.first, entry.state.worst())
        };
        self.weight = self.weight - entry.weight + weight;
        entry.weight = weight;
    }
}
