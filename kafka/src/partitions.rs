//! The partitions of one member, as a state machine without any I/O and without a clock: what the group gives and takes, what is
//! found out about positions, and what the stage asks for go in; what is to be done comes out, in order, as [`Effect`]s.
//!
//! A partition goes from *found* (its position is being asked for) by *begun* (its group's first one is being committed) to *told*
//! (the stage knows of it) and *open* (it is fetched). What is told of each is: assigned, records, then revoking or lost.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use bus::{Assignment, Delivery, Generation, Offset, Position, Record, Topic, TopicPartition};

/// Assignments are numbered over the whole process.
static GENERATIONS: AtomicU64 = AtomicU64::new(1);

/// A partition, and where its group stands in it.
#[derive(Debug, Clone)]
pub(crate) struct Fetched {
    pub(crate) at: TopicPartition,
    pub(crate) position: Position,
    /// It is to be committed before the partition is told: the group has none there.
    pub(crate) is_first: bool,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Ask for the positions of partitions, and say so by [`Partitions::found`].
    Find(Generation, Vec<TopicPartition>),
    /// Commit first positions, and say so by [`Partitions::found`].
    Begin(Generation, Vec<(TopicPartition, Position)>),
    Tell(Delivery),
    /// Let records of a partition in.
    Admit(TopicPartition, Generation),
    /// Drop what is undelivered of partitions, and let no more in.
    Close(Vec<TopicPartition>),
    /// Have librdkafka fetch partitions, each from an offset.
    Assign(HashMap<TopicPartition, Offset>),
    /// Have librdkafka let go of partitions, as far as it has them.
    Unassign(Vec<TopicPartition>),
    /// Have librdkafka fetch what it has been assigned, or not.
    Flow(Vec<TopicPartition>, bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Found,
    Begun,
    Told,
    /// With the next offset to deliver.
    Open(Offset),
    /// The end of a commit of it is unknown.
    Expelled,
}

#[derive(Debug)]
struct Part {
    generation: Generation,
    /// Under which membership the group gave it to us.
    membership: u64,
    phase: Phase,
    /// Whether the stage was told of it, and has not given it back.
    is_told: bool,
    /// Nothing of it is fetched, since the stage has paused it.
    is_stopped: bool,
    /// The position that the stage has advised last, until it is sent.
    advice: Option<Offset>,
}

/// What is being taken from us.
#[derive(Debug)]
struct Revocation {
    partitions: Vec<TopicPartition>,
    left: HashSet<TopicPartition>,
    deadline: Instant,
    /// Because our subscription changed, not because of others.
    given_up: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Partitions {
    parts: HashMap<TopicPartition, Part>,
    revocation: Option<Revocation>,
    /// What librdkafka was told not to fetch. It still knows when it is assigned the same partition anew.
    halted: HashSet<TopicPartition>,
    /// Everything is stopped, because the stage takes nothing.
    is_choked: bool,
    /// The member leaves: nothing of it can be committed any more.
    is_over: bool,
    effects: Vec<Effect>,
}

impl Partitions {
    /// What is to be done since this was last asked.
    pub(crate) fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    // ---- The group ------------------------------------------------------------------------------------------------------

    /// The group gives us partitions.
    pub(crate) fn assigned(&mut self, partitions: Vec<TopicPartition>, membership: u64) {
        // What was being taken when the group went on without our answer is given anew, or gone.
        self.let_go();
        // What we have although it is given: the membership that we had it by is over, and nobody said so.
        let had: Vec<TopicPartition> = partitions.iter().filter(|at| self.parts.contains_key(at)).cloned().collect();
        if !had.is_empty() {
            self.lose(&had);
            self.effects.push(Effect::Unassign(had));
        }
        self.find(partitions, membership);
    }

    fn find(&mut self, partitions: Vec<TopicPartition>, membership: u64) {
        if partitions.is_empty() {
            return;
        }
        let generation = Generation(GENERATIONS.fetch_add(1, Ordering::Relaxed));
        for at in &partitions {
            let phase = Phase::Found;
            let part = Part { generation, membership, phase, is_told: false, is_stopped: false, advice: None };
            self.parts.insert(at.clone(), part);
        }
        self.effects.push(Effect::Find(generation, partitions));
    }

    /// The group takes partitions from us; `lost` says that it has them already. What we gave up ourselves is called lost, too, but
    /// our membership stands, and so does the last commit.
    pub(crate) fn revoked(
        &mut self,
        partitions: Vec<TopicPartition>,
        lost: bool,
        wanted: &BTreeSet<Topic>,
        deadline: Instant,
    ) {
        self.let_go();
        let told = self.told(&partitions);
        self.effects.push(Effect::Close(told.clone()));
        let given_up = told.iter().all(|at| !wanted.contains(&at.topic));
        if (lost && !given_up) || told.is_empty() {
            self.lose(&partitions);
            self.effects.push(Effect::Unassign(partitions));
            return;
        }
        self.effects.push(Effect::Tell(Delivery::Revoking { partitions: told.clone(), deadline }));
        self.revocation = Some(Revocation { partitions, left: told.into_iter().collect(), deadline, given_up });
    }

    /// When what is being taken from us is gone in any case.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.revocation.as_ref().map(|revocation| revocation.deadline)
    }

    /// Whether others take partitions from us.
    pub(crate) fn is_taken_from(&self) -> bool {
        self.revocation.as_ref().is_some_and(|revocation| !revocation.given_up)
    }

    /// Ends a revocation: from here on nothing of it can be committed.
    pub(crate) fn let_go(&mut self) {
        let Some(Revocation { partitions, left, .. }) = self.revocation.take() else { return };
        self.drop_parts(&partitions);
        if !left.is_empty() {
            self.effects.push(Effect::Tell(Delivery::Lost(left.into_iter().collect())));
        }
        self.effects.push(Effect::Unassign(partitions));
    }

    /// Whether what we have was given to us under another membership than this.
    pub(crate) fn was_evicted(&self, membership: u64) -> bool {
        self.parts.values().any(|part| part.membership != membership)
    }

    /// The consumer is replaced, and everything lost.
    pub(crate) fn lose_all(&mut self) {
        self.revocation = None;
        let all: Vec<TopicPartition> = self.parts.keys().cloned().collect();
        self.lose(&all);
    }

    /// Another consumer has taken the place of ours: nothing is known to it.
    pub(crate) fn renewed(&mut self) {
        self.halted.clear();
    }

    /// The member leaves.
    pub(crate) fn end(&mut self) {
        self.is_over = true;
    }

    // ---- Positions ------------------------------------------------------------------------------------------------------

    /// Positions of an assignment are known.
    pub(crate) fn found(&mut self, generation: Generation, found: Vec<Fetched>) {
        let (mut assignments, mut first) = (Vec::with_capacity(found.len()), Vec::new());
        for Fetched { at, position, is_first } in found {
            // What is being taken from us is ours no more, and who would be told of it would not be told of its end.
            if self.is_going(&at) {
                continue;
            }
            let Some(part) = self.parts.get_mut(&at).filter(|part| part.generation == generation) else { continue };
            match (part.phase, is_first) {
                (Phase::Found, true) => {
                    part.phase = Phase::Begun;
                    first.push((at, position));
                }
                (Phase::Found | Phase::Begun, false) => {
                    (part.phase, part.is_told) = (Phase::Told, true);
                    assignments.push(Assignment { partition: at, generation, position });
                }
                _ => {}
            }
        }
        if !first.is_empty() {
            self.effects.push(Effect::Begin(generation, first));
        }
        if !assignments.is_empty() {
            self.effects.push(Effect::Tell(Delivery::Assigned(assignments)));
        }
    }

    /// The membership by which a partition may be committed, if that assignment of it is not over.
    pub(crate) fn owned(&self, at: &TopicPartition, generation: Generation) -> Option<u64> {
        let part = self.parts.get(at).filter(|part| part.generation == generation && !self.is_over)?;
        (!matches!(part.phase, Phase::Found | Phase::Expelled)).then_some(part.membership)
    }

    /// The end of a commit of these is unknown: from now on nothing of them can be committed, until [`Self::expel`].
    pub(crate) fn doubt(&mut self, partitions: &[TopicPartition]) {
        for at in partitions {
            if let Some(part) = self.parts.get_mut(at) {
                part.phase = Phase::Expelled;
            }
        }
    }

    /// The positions of what is in doubt are asked for anew. The group's assignment stands.
    pub(crate) fn expel(&mut self) {
        let expelled = |(_, part): &(&TopicPartition, &Part)| part.phase == Phase::Expelled;
        let ours: Vec<(TopicPartition, u64)> =
            self.parts.iter().filter(expelled).map(|(at, part)| (at.clone(), part.membership)).collect();
        let Some(membership) = ours.iter().map(|(_, membership)| *membership).min() else { return };
        let ours: Vec<TopicPartition> = ours.into_iter().map(|(at, _)| at).collect();
        let told = self.told(&ours);
        self.drop_parts(&ours);
        self.effects.push(Effect::Unassign(ours.clone()));
        if !told.is_empty() {
            self.effects.push(Effect::Tell(Delivery::Lost(told)));
        }
        let mut ours = ours;
        if let Some(revocation) = &mut self.revocation {
            revocation.left.retain(|at| !ours.contains(at));
            ours.retain(|at| !revocation.partitions.contains(at));
            if revocation.left.is_empty() {
                self.let_go();
            }
        }
        self.find(ours, membership);
    }

    // ---- The stage ------------------------------------------------------------------------------------------------------

    /// The stage opens partitions.
    pub(crate) fn open(&mut self, all: Vec<(TopicPartition, Generation, Offset)>) {
        let (mut again, mut opened) = (Vec::new(), HashMap::with_capacity(all.len()));
        for (at, generation, from) in all {
            // What is being taken from us delivers nothing more.
            if self.is_going(&at) {
                continue;
            }
            let ours =
                |part: &&mut Part| part.generation == generation && matches!(part.phase, Phase::Told | Phase::Open(_));
            let Some(part) = self.parts.get_mut(&at).filter(ours) else { continue };
            if part.phase != Phase::Told && !opened.contains_key(&at) {
                again.push(at.clone());
            }
            (part.phase, part.is_stopped) = (Phase::Open(from), false);
            self.effects.push(Effect::Admit(at.clone(), generation));
            opened.insert(at, from);
        }
        if !again.is_empty() {
            self.effects.push(Effect::Unassign(again));
        }
        let halted: Vec<TopicPartition> = opened.keys().filter(|at| self.halted.contains(*at)).cloned().collect();
        if !halted.is_empty() {
            self.flow(halted, true);
        }
        if !opened.is_empty() {
            self.effects.push(Effect::Assign(opened));
        }
    }

    /// Records were fetched: what of them is to be delivered stays.
    pub(crate) fn take(&mut self, at: &TopicPartition, records: &mut Vec<Record>) {
        match self.parts.get_mut(at).map(|part| &mut part.phase) {
            Some(Phase::Open(next)) => records.retain(|record| {
                let is_due = record.offset >= *next;
                if is_due {
                    *next = record.offset.next();
                }
                is_due
            }),
            _ => records.clear(),
        }
    }

    /// Nothing more of a partition is to be fetched, since what is there waits.
    pub(crate) fn stop(&mut self, at: &TopicPartition) {
        if let Some(part) = self.parts.get_mut(at).filter(|part| !part.is_stopped) {
            part.is_stopped = true;
            self.flow(vec![at.clone()], false);
        }
    }

    /// The stage takes more of a partition.
    pub(crate) fn resume(&mut self, at: &TopicPartition) {
        if let Some(part) = self.parts.get_mut(at).filter(|part| part.is_stopped) {
            part.is_stopped = false;
            self.flow(vec![at.clone()], true);
        }
    }

    /// The stage takes nothing at all: what it does not take must not keep the group waiting.
    pub(crate) fn choke(&mut self) {
        if !std::mem::replace(&mut self.is_choked, true) {
            let open = self.open_parts().map(|(at, ..)| at.clone()).collect();
            self.flow(open, false);
        }
    }

    /// The stage takes something again.
    pub(crate) fn unchoke(&mut self) {
        if std::mem::replace(&mut self.is_choked, false) {
            let flowing = self.open_parts().filter(|(.., part)| !part.is_stopped).map(|(at, ..)| at.clone()).collect();
            self.flow(flowing, true);
        }
    }

    fn flow(&mut self, partitions: Vec<TopicPartition>, on: bool) {
        for at in &partitions {
            if on {
                self.halted.remove(at);
            } else {
                self.halted.insert(at.clone());
            }
        }
        self.effects.push(Effect::Flow(partitions, on));
    }

    /// The stage gives back what is being taken from us.
    pub(crate) fn released(&mut self, partitions: &[TopicPartition]) {
        let Some(revocation) = &mut self.revocation else { return };
        for at in partitions {
            if revocation.left.remove(at)
                && let Some(part) = self.parts.get_mut(at)
            {
                part.is_told = false;
            }
        }
        if revocation.left.is_empty() {
            self.let_go();
        }
    }

    /// The stage tells a position that it keeps elsewhere.
    pub(crate) fn advise(&mut self, at: &TopicPartition, next: Offset) {
        if let Some(part) = self.parts.get_mut(at) {
            part.advice = Some(next);
        }
    }

    /// What was advised since this was last asked.
    pub(crate) fn advice(&mut self) -> Vec<(TopicPartition, Offset)> {
        let each = |(at, part): (&TopicPartition, &mut Part)| Some((at.clone(), part.advice.take()?));
        self.parts.iter_mut().filter_map(each).collect()
    }

    // ---- Where librdkafka stands ----------------------------------------------------------------------------------------

    /// What is open, and where it is read next.
    pub(crate) fn places(&self) -> Vec<(TopicPartition, Generation, Offset)> {
        self.open_parts().map(|(at, next, part)| (at.clone(), part.generation, next)).collect()
    }

    /// Has partitions fetched anew from where they are; tells how many.
    pub(crate) fn reopen(&mut self, partitions: &[(TopicPartition, Generation)]) -> usize {
        let named =
            |at: &TopicPartition, part: &Part| partitions.iter().any(|(it, of)| it == at && *of == part.generation);
        let from: HashMap<TopicPartition, Offset> =
            self.open_parts().filter(|(at, _, part)| named(at, part)).map(|(at, next, _)| (at.clone(), next)).collect();
        let count = from.len();
        if count > 0 {
            self.effects.push(Effect::Unassign(from.keys().cloned().collect()));
            self.effects.push(Effect::Assign(from));
        }
        count
    }

    fn open_parts(&self) -> impl Iterator<Item = (&TopicPartition, Offset, &Part)> {
        self.parts.iter().filter_map(|(at, part)| match part.phase {
            Phase::Open(next) => Some((at, next, part)),
            _ => None,
        })
    }

    /// Whether a partition is being taken from us.
    fn is_going(&self, at: &TopicPartition) -> bool {
        self.revocation.as_ref().is_some_and(|revocation| revocation.partitions.contains(at))
    }

    fn told(&self, of: &[TopicPartition]) -> Vec<TopicPartition> {
        of.iter().filter(|at| self.parts.get(at).is_some_and(|part| part.is_told)).cloned().collect()
    }

    /// Drops partitions, and tells the stage of those that it knows.
    fn lose(&mut self, partitions: &[TopicPartition]) {
        let told = self.told(partitions);
        self.drop_parts(partitions);
        if !told.is_empty() {
            self.effects.push(Effect::Tell(Delivery::Lost(told)));
        }
    }

    fn drop_parts(&mut self, partitions: &[TopicPartition]) {
        for at in partitions {
            self.parts.remove(at);
        }
        self.effects.push(Effect::Close(partitions.to_vec()));
    }
}
