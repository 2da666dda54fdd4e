//! One commit after another: what gathers for the next, and what becomes of it.

mod refused;

use std::collections::HashSet;

use bus::{Committed, Generation, Offset, Outgoing, Refusal, Share, TopicPartition};
use contracts::origin::Origin;
use refused::Mended;

use super::{Core, Effect, Launch, Now, Phase, RunKey, Running, desk::Desk, gate::Pass, pending::Pending};
use crate::{attempt::Ended, error::GroupError, queue::Item};

/// A commit under way.
#[derive(Default)]
pub(super) struct Commit {
    /// The assignments whose shares it carries.
    shares: Vec<(TopicPartition, Generation)>,
    /// What is launched once it is done.
    starting: Vec<RunKey>,
}

impl Core {
    /// The next commit, unless one is under way or there is nothing to commit. Starts what may start.
    pub(crate) fn gather(&mut self, now: Now) -> Option<Vec<Share>> {
        self.now = now;
        if self.commit.is_some() {
            return None;
        }
        let mut commit = Commit { starting: std::mem::take(&mut self.starting), ..Commit::default() };
        while self.may_begin() {
            let Some(item) = self.queue.pop() else { break };
            commit.starting.extend(self.begin(item));
        }
        let mut shares = Vec::new();
        for partition in self.dirty.drain(..) {
            // It may be gone, or be another one by now that has nothing to commit, or said twice.
            let Some(part) = self.parts.get_mut(&partition).filter(|part| part.dirty) else { continue };
            part.dirty = false;
            part.committing = true;
            part.shares += 1;
            commit.shares.push((partition.clone(), part.generation));
            shares.push(Share {
                partition,
                generation: part.generation,
                outputs: std::mem::take(&mut part.outputs),
                position: part.ledger.position(),
            });
        }
        if shares.is_empty() {
            self.starting = commit.starting;
            return None;
        }
        self.outputs = Pending::default();
        self.commit = Some(commit);
        Some(shares)
    }

    pub(super) fn start(&mut self, item: Item, pass: Pass) -> Option<RunKey> {
        let part = self.parts.get_mut(&item.partition).filter(|part| part.generation == item.generation)?;
        part.running += 1;
        part.touch(&item.partition, &mut self.dirty);
        let mut desk =
            Desk { plan: &self.plan, part, outputs: &mut self.outputs, counts: &mut self.counts, now: self.now };
        let attempt = desk.start(&item);
        let key = RunKey(self.next_run);
        self.next_run += 1;
        self.gate.begun(key);
        self.running.insert(key, Running { item, attempt, started: self.now, pass });
        Some(key)
    }

    /// The commit is done: what it started is launched. What the bus will never take as it is goes into
    /// the next commit without what was refused; where that cannot be, the partition is given up, and the first refusal told.
    pub(crate) fn committed(&mut self, committed: Committed) -> Result<(), GroupError> {
        let Some(commit) = self.commit.take() else { return Ok(()) };
        for (gone, generation) in committed.left_out.into_iter().chain(committed.lost) {
            if self.part(&gone, generation).is_some() {
                self.lose(&gone);
            }
        }
        let refused: HashSet<_> = committed.refused.iter().map(|refused| refused.share.assigned()).collect();
        for share in &commit.shares {
            if let Some(part) = self.part(&share.0, share.1) {
                part.committing = false;
                if !refused.contains(share) {
                    self.is_written(&share.0);
                }
            }
        }
        let mut refusal = Ok(());
        let mut again = HashSet::new();
        for refused in committed.refused {
            let (partition, generation) = refused.share.assigned();
            let mended = refused::mend(refused);
            let Some(part) = self.parts.get_mut(&partition).filter(|part| part.generation == generation) else {
                continue;
            };
            match mended {
                Ok(Mended { mut outputs, unkept }) => {
                    outputs.iter().for_each(|output| self.outputs.add(output));
                    outputs.append(&mut part.outputs);
                    part.outputs = outputs;
                    part.touch(&partition, &mut self.dirty);
                    unkept.into_iter().for_each(|unkept| self.cannot_wait(&partition, generation, unkept));
                    again.insert((partition, generation));
                }
                Err(error) => {
                    self.lose(&partition);
                    refusal = refusal.and(Err(GroupError::Refused(error)));
                }
            }
        }
        for key in commit.starting {
            let item = self.running.get(&key).map(|running| &running.item);
            if item.is_some_and(|item| again.contains(&(item.partition.clone(), item.generation))) {
                self.starting.push(key);
            } else {
                self.launch(key);
            }
        }
        self.release_idle();
        refusal
    }

    /// An event is too large to be kept while it waits, so that its run has failed for good.
    fn cannot_wait(
        &mut self,
        partition: &TopicPartition,
        generation: Generation,
        (origin, event, refusal): (Origin, Outgoing, Refusal),
    ) {
        let desk = self.desk(partition, generation);
        let Some(entry) = desk.and_then(|mut desk| desk.cannot_wait(&origin, &event, &refusal)) else { return };
        self.restore(partition, Offset(origin.offset), &entry);
        if let Some(key) = entry.key {
            self.next_of(partition, key);
        }
    }

    /// The commit ended in an error. What became of it is unknown, so that its partitions are given up, and whoever is
    /// assigned them next finds out.
    pub(crate) fn commit_failed(&mut self) {
        let Some(commit) = self.commit.take() else { return };
        for (partition, generation) in commit.shares {
            if self.part(&partition, generation).is_some() {
                self.lose(&partition);
            }
        }
        commit.starting.into_iter().for_each(|key| self.launch(key));
        self.release_idle();
    }

    fn launch(&mut self, key: RunKey) {
        let Some(running) = self.running.get(&key) else { return };
        let (item, attempt, pass) = (running.item.clone(), running.attempt, running.pass);
        match self.part(&item.partition, item.generation).map(|part| part.phase) {
            Some(Phase::Open) => {
                self.launched.push(pass);
                self.effects.push(Effect::Launch(Launch { key, item, attempt }));
            }
            // Its partition goes: it never ran, so that its attempt is given back.
            _ => self.settle(key, Ended::GivenBack),
        }
    }
}
