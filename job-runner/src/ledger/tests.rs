//! The ledger against a model of the log, and notes at their edges.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const ATTEMPTS: u32 = 3;

/// What the log knows of one record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Known {
    started: u32,
    ended: u32,
    finished: u32,
}

/// A partition, a job that crashes, and what has been committed.
struct World {
    /// Offsets in order, and whether the record is the job's.
    records: Vec<(u64, bool)>,
    log: BTreeMap<u64, Known>,
    /// What the next commit writes.
    staged: BTreeMap<u64, Known>,
    position: Position,
    ledger: Ledger,
    reading: usize,
    waiting: Vec<(u64, Begun)>,
    parked: Vec<(u64, Begun)>,
    running: Vec<u64>,
}

#[derive(Debug, Clone)]
enum Step {
    Read(u8),
    Park,
    Unpark(u16),
    Start(u16),
    Finish(u16),
    GiveBack(u16),
    Commit,
    Crash,
}

impl World {
    fn new(records: Vec<(u64, bool)>) -> Self {
        let position = Position::at(Offset(records.first().map_or(0, |(at, _)| *at)));
        Self {
            ledger: Ledger::open(&position).expect("no note"),
            log: BTreeMap::new(),
            staged: BTreeMap::new(),
            position,
            records,
            reading: 0,
            waiting: Vec::new(),
            parked: Vec::new(),
            running: Vec::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Read(count) => (0..*count).for_each(|_| self.read()),
            Step::Park => {
                let last = self.ledger.entries.back().map_or(0, |entry| entry.first);
                if let Some(parked) = self.waiting.pop_if(|(at, _)| *at == last) {
                    self.ledger.park(Offset(parked.0));
                    self.parked.push(parked);
                }
            }
            Step::Unpark(pick) if !self.parked.is_empty() => self.unpark(usize::from(*pick) % self.parked.len()),
            Step::Start(pick) if !self.waiting.is_empty() => {
                let (at, begun) = self.waiting.remove(usize::from(*pick) % self.waiting.len());
                self.start(at, begun);
            }
            Step::Finish(pick) if !self.running.is_empty() => {
                let at = self.running.swap_remove(usize::from(*pick) % self.running.len());
                self.finish(at);
            }
            Step::GiveBack(pick) if !self.running.is_empty() => {
                let at = self.running.swap_remove(usize::from(*pick) % self.running.len());
                self.ledger.give_back(Offset(at));
                let staged = self.staged.get_mut(&at).expect("staged");
                staged.started -= 1;
                let begun = Begun { attempts: staged.started, told: true };
                self.waiting.push((at, begun));
            }
            Step::Commit => self.commit(),
            Step::Crash => self.crash(),
            _ => {}
        }
    }

    fn unpark(&mut self, index: usize) {
        let at = Offset(self.parked[index].0);
        if self.ledger.may_unpark(at) {
            self.ledger.unpark(at);
            self.waiting.push(self.parked.swap_remove(index));
        }
    }

    fn read(&mut self) {
        let Some(&(at, ours)) = self.records.get(self.reading) else { return };
        if self.ledger.is_full() {
            let may_unpark = self.parked.iter().any(|(at, _)| self.ledger.may_unpark(Offset(*at)));
            assert!(!self.waiting.is_empty() || !self.running.is_empty() || may_unpark, "full, with nothing to do");
            return;
        }
        self.reading += 1;
        if !ours {
            return self.ledger.pass(Offset(at));
        }
        let known = self.staged.get(&at).cloned().unwrap_or_default();
        match self.ledger.take(Offset(at)) {
            Taken::Again => assert_eq!(known.finished, 1, "{at} was passed over"),
            Taken::New(begun) => {
                assert_eq!(known.finished, 0, "{at} would run again");
                assert_eq!(begun.attempts, known.started, "attempts of {at}");
                assert_eq!(begun.attempts > 0 && !begun.told, known.started > known.ended, "what is told of {at}");
                self.waiting.push((at, begun));
            }
        }
    }

    fn start(&mut self, at: u64, begun: Begun) {
        let staged = self.staged.entry(at).or_default();
        staged.ended = staged.started;
        if begun.attempts >= ATTEMPTS {
            self.finish(at);
        } else {
            staged.started += 1;
            assert_eq!(self.ledger.start(Offset(at)), staged.started);
            self.running.push(at);
        }
    }

    fn finish(&mut self, at: u64) {
        let staged = self.staged.entry(at).or_default();
        staged.ended = staged.started;
        staged.finished += 1;
        self.ledger.finish(Offset(at));
    }

    fn commit(&mut self) {
        self.position = self.ledger.position();
        assert!(self.position.note.as_str().len() <= Note::MAX);
        self.log = self.staged.clone();
    }

    fn crash(&mut self) {
        self.ledger = Ledger::open(&self.position).expect("our own note");
        self.staged = self.log.clone();
        self.waiting.clear();
        self.parked.clear();
        self.running.clear();
        self.reading = self.records.partition_point(|(at, _)| *at < self.position.next.0);
        let skipped = self.records[..self.reading].iter().filter(|(_, ours)| *ours);
        skipped.for_each(|(at, _)| assert_eq!(self.log[at].finished, 1, "{at} lies before the position"));
    }

    fn drain(&mut self) {
        while self.reading < self.records.len() || self.ledger.unfinished() > 0 {
            self.read();
            (0..self.parked.len()).rev().for_each(|index| self.unpark(index));
            while let Some((at, begun)) = self.waiting.pop() {
                self.start(at, begun);
            }
            while let Some(at) = self.running.pop() {
                self.finish(at);
            }
        }
        self.commit();
    }
}

fn records(most: usize) -> impl Strategy<Value = Vec<(u64, bool)>> {
    let gap = prop_oneof![8 => 1..3_u64, 2 => 1..300_u64, 1 => 1..5_000_000_u64];
    let record = (gap, prop::bool::weighted(0.8));
    (0..1_000_000_u64, prop::collection::vec(record, 1..most)).prop_map(|(mut at, gaps)| {
        gaps.into_iter()
            .map(|(gap, ours)| {
                at += gap;
                (at, ours)
            })
            .collect()
    })
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1..40_u8).prop_map(Step::Read),
        2 => Just(Step::Park),
        2 => any::<u16>().prop_map(Step::Unpark),
        6 => any::<u16>().prop_map(Step::Start),
        6 => any::<u16>().prop_map(Step::Finish),
        1 => any::<u16>().prop_map(Step::GiveBack),
        3 => Just(Step::Commit),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 0..most)
}

fn check(records: Vec<(u64, bool)>, steps: &[Step]) {
    let ours: Vec<u64> = records.iter().filter(|(_, ours)| *ours).map(|(at, _)| *at).collect();
    let last = records.last().map(|(at, _)| *at).expect("records");
    let mut world = World::new(records);
    steps.iter().for_each(|step| world.step(step));
    world.drain();
    for at in &ours {
        let known = &world.log[at];
        assert_eq!((known.finished, known.ended), (1, known.started), "{at}");
        assert!(known.started <= ATTEMPTS, "{at} was attempted {} times", known.started);
    }
    assert_eq!(world.log.len(), ours.len());
    assert_eq!(world.position.next, Offset(last + 1));
    assert_eq!(world.ledger.weight + world.ledger.entries.len(), 0, "nothing is left over");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn each_record_is_finished_exactly_once_whatever_happens(records in records(120), steps in steps(200)) {
        check(records, &steps);
    }

    #[test]
    fn a_note_never_grows_too_long(records in records(4000), picks in prop::collection::vec(any::<u16>(), 6000), order in 1..4_u8, parks in any::<bool>()) {
        // Reading as much as is possible, and finishing every second or third: as many spans as can be.
        let mut steps = Vec::new();
        for (index, pick) in picks.iter().enumerate() {
            steps.push(Step::Read(2));
            if parks {
                // Of two that are read, the last: so that those that are not parked stand apart.
                steps.push(Step::Park);
            }
            steps.push(Step::Start(if order == 1 { 0 } else { *pick }));
            if index % usize::from(order + 1) == 0 {
                steps.push(Step::Finish(*pick));
            }
            if index % 500 == 499 {
                steps.push(Step::Commit);
            }
            if index % 2500 == 2499 {
                steps.push(Step::Crash);
            }
        }
        check(records, &steps);
    }

    #[test]
    fn a_note_that_is_no_note_is_an_error_and_never_a_panic(next in any::<u64>(), text in "[ -~]{0,60}", digits in "[A-Za-z0-9_-]{0,60}") {
        for text in [text.clone(), format!("2{text}"), format!("2{digits}")] {
            let position = Position { next: Offset(next), note: Note::new(text).expect("short and printable") };
            if let Ok(ledger) = Ledger::open(&position) {
                prop_assert_eq!(ledger.position().next, position.next);
            }
        }
    }

    #[test]
    fn a_note_reads_as_it_was_written_and_is_as_long_as_its_spans_weigh(
        next in 0..1_u64 << 40,
        parts in prop::collection::vec((1..1_u64 << 40, 0..1_u64 << 20, any::<u16>(), any::<bool>()), 0..60),
    ) {
        let (mut before, mut weight) = (next, 0);
        let spans: Vec<Span> = parts.into_iter().map(|(gap, length, attempts, told)| {
            let (first, attempts) = (before + gap, u32::from(attempts));
            let code = if attempts == 0 { Code::Finished } else { Code::Begun(Begun { attempts, told }) };
            weight += note::weight(gap, length, code);
            before = first + length;
            Span { first, last: before, code }
        }).collect();
        let note = note::encode(next, &spans);
        prop_assert_eq!(note.as_str().len(), 1 + weight);
        prop_assert_eq!(note::decode(&Position { next: Offset(next), note }), Ok(spans));
    }
}

#[test]
fn the_frontier_passes_over_holes_and_what_is_not_ours() {
    let mut ledger = Ledger::open(&Position::at(Offset(5))).expect("no note");
    assert_eq!(ledger.take(Offset(7)), Taken::New(Begun::default()));
    ledger.pass(Offset(9));
    assert_eq!(ledger.take(Offset(20)), Taken::New(Begun::default()));
    assert_eq!(ledger.position().next, Offset(7));
    assert_eq!(ledger.start(Offset(20)), 1);
    ledger.finish(Offset(20));
    assert_eq!(ledger.position().next, Offset(7));
    assert_eq!(ledger.start(Offset(7)), 1);
    ledger.finish(Offset(7));
    assert_eq!(ledger.position(), Position { next: Offset(21), note: Note::new("2").expect("short") });
}

#[test]
fn an_attempt_that_was_given_back_is_not_spent_and_one_whose_process_died_is() {
    let mut ledger = Ledger::open(&Position::at(Offset(0))).expect("no note");
    for at in [0, 1] {
        ledger.take(Offset(at));
        ledger.start(Offset(at));
    }
    ledger.give_back(Offset(0));
    let mut next = Ledger::open(&ledger.position()).expect("our own note");
    assert_eq!(next.take(Offset(0)), Taken::New(Begun::default()));
    assert_eq!(next.take(Offset(1)), Taken::New(Begun { attempts: 1, told: false }));
    assert_eq!(next.start(Offset(1)), 2);
    next.give_back(Offset(1));
    let mut third = Ledger::open(&next.position()).expect("our own note");
    assert_eq!(third.take(Offset(1)), Taken::New(Begun { attempts: 1, told: true }));
}

#[test]
fn a_note_of_another_format_names_it() {
    let position = Position { next: Offset(3), note: Note::new("9A").expect("short") };
    assert_eq!(Ledger::open(&position).err(), Some(NoteError::Format('9')));
}

#[test]
fn what_is_in_a_note_never_changes_its_meaning() {
    // Written down, so that positions of an earlier version are read as they were meant: 7 is finished, the third attempt
    // of 40 has begun, and two of 41 have ended.
    let mut ledger = Ledger::open(&Position::at(Offset(5))).expect("no note");
    for (at, attempts) in [(5, 0), (7, 1), (40, 3), (41, 2)] {
        ledger.take(Offset(at));
        for attempt in 1..=attempts {
            assert_eq!(ledger.start(Offset(at)), attempt);
            if attempt < attempts {
                ledger.entries.back_mut().expect("the record").state =
                    State::Waiting(Begun { attempts: attempt, told: true });
            }
        }
    }
    ledger.finish(Offset(7));
    ledger.entries.back_mut().expect("41").state = State::Waiting(Begun { attempts: 2, told: true });
    let position = ledger.position();
    assert_eq!((position.next, position.note.as_str()), (Offset(5), "2CAAhBAFBAE"));
}
