//! One commit after another: what gathers for the next, and what becomes of it.

mod refused;

use std::collections::HashSet;

use bus::{Committed, Generation, Share, TopicPartition};
use jiff::Timestamp;

use super::{Core, Effect, Launch, Phase, RunKey, Running, admit};
use crate::{attempt::Ended, error::GroupError, queue::Item, steps::Attempt};

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
    pub(crate) fn gather(&mut self, now: Timestamp) -> Option<Vec<Share>> {
        if self.commit.is_some() {
            return None;
        }
        let mut commit = Commit { starting: std::mem::take(&mut self.starting), ..Commit::default() };
        while self.running.len() < self.plan.concurrency {
            let Some(item) = self.queue.pop() else { break };
            commit.starting.push(self.start(item, now));
        }
        let mut shares = Vec::new();
        for partition in self.dirty.drain(..) {
            // It may be gone, or be another one by now that has nothing to commit, or said twice.
            let Some(part) = self.parts.get_mut(&partition).filter(|part| part.dirty) else { continue };
            part.dirty = false;
            part.committing = true;
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
        self.outputs = admit::Pending::default();
        self.commit = Some(commit);
        Some(shares)
    }

    fn start(&mut self, item: Item, now: Timestamp) -> RunKey {
        let part = self.parts.get_mut(&item.partition).expect("invariant: what waits is of partitions that are ours");
        let attempt = part.ledger.start(item.offset);
        let told = Attempt::new(&item.event, &self.plan.name, attempt, now);
        if item.begun.attempts > 0 && !item.begun.told {
            part.outputs.push(Attempt { number: item.begun.attempts, ..told }.interrupted());
        }
        part.outputs.push(told.started());
        part.running += 1;
        part.touch(&item.partition, &mut self.dirty);
        let key = RunKey(self.next_run);
        self.next_run += 1;
        self.running.insert(key, Running { item, attempt, started: now });
        key
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
        for (partition, generation) in &commit.shares {
            if let Some(part) = self.part(partition, *generation) {
                part.committing = false;
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
                Ok(mut outputs) => {
                    outputs.iter().for_each(|output| self.outputs.add(output));
                    outputs.append(&mut part.outputs);
                    part.outputs = outputs;
                    part.touch(&partition, &mut self.dirty);
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
        let (item, attempt, running_since) = (running.item.clone(), running.attempt, running.started);
        match self.part(&item.partition, item.generation).map(|part| part.phase) {
            Some(Phase::Open) => self.effects.push(Effect::Launch(Launch { key, item, attempt })),
            // Its partition goes: it never ran, so that its attempt is given back.
            _ => self.settle(key, Ended::GivenBack, running_since),
        }
    }
}
