//! What the group gives and takes.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use rdkafka::consumer::Consumer as _;

use super::{Part, Revocation, Task};
use crate::{
    cluster::lock,
    member::Owned,
    position::{self, Fetched},
    starts,
};
use bus::{Assignment, Committed, Delivery, Error, Generation, Position, Refusal, RefusalCode, Share, TopicPartition};

/// Assignments are numbered over the whole process.
static GENERATIONS: AtomicU64 = AtomicU64::new(1);

impl Task {
    pub(super) fn assigned(&mut self, partitions: Vec<TopicPartition>, membership: u64) {
        // What was being taken when the group went on without our answer is given anew, or gone.
        self.let_go();
        self.forget(&partitions);
        self.find(partitions, membership);
    }

    /// Drops what the group gives although we have it: the membership that we had it by is over, and nobody said so.
    fn forget(&mut self, partitions: &[TopicPartition]) {
        let had: Vec<TopicPartition> = partitions.iter().filter(|at| self.parts.contains_key(at)).cloned().collect();
        if had.is_empty() {
            return;
        }
        let announced = |at: &&TopicPartition| self.parts.get(at).is_some_and(|part| part.announced);
        let told: Vec<TopicPartition> = had.iter().filter(announced).cloned().collect();
        self.drop_parts(&had);
        if !told.is_empty() {
            self.shared.outbox.tell(Delivery::Lost(told));
        }
        let consumer = self.shared.consumer();
        consumer.context().unassign(&consumer, &had);
    }

    /// Finds out the positions of partitions that are ours now, to announce them.
    pub(super) fn find(&mut self, partitions: Vec<TopicPartition>, membership: u64) {
        if partitions.is_empty() {
            return;
        }
        let generation = Generation(GENERATIONS.fetch_add(1, Ordering::Relaxed));
        for at in &partitions {
            self.parts
                .insert(at.clone(), Part { generation, membership, announced: false, next: None, stopped: false });
        }
        let (shared, cluster, begin) = (self.shared.clone(), self.cluster.clone(), self.wanted.begin.clone());
        let found = self.found.0.clone();
        tokio::spawn(position::fetch(shared, cluster, begin, partitions, move |positions| {
            if positions.is_empty() { !found.is_closed() } else { found.send((generation, positions)).is_ok() }
        }));
    }

    /// Announces partitions whose positions are known, and commits first positions, to announce those partitions afterwards.
    pub(super) fn announce(&mut self, generation: Generation, found: Vec<Fetched>) {
        let (mut assignments, mut first) = (Vec::with_capacity(found.len()), Vec::new());
        for Fetched { at: partition, position, is_first } in found {
            // What is being taken from us is ours no more, and who would be told of it would not be told of its end.
            if self.revocation.as_ref().is_some_and(|revocation| revocation.partitions.contains(&partition)) {
                continue;
            }
            let waiting = |part: &&mut Part| part.generation == generation && !part.announced;
            if let Some(part) = self.parts.get_mut(&partition).filter(waiting) {
                lock(&self.shared.owned).insert(partition.clone(), Owned { generation, membership: part.membership });
                if is_first {
                    first.push((partition, position));
                } else {
                    part.announced = true;
                    assignments.push(Assignment { partition, generation, position });
                }
            }
        }
        if !first.is_empty() {
            self.begin(generation, first);
        }
        if !assignments.is_empty() {
            self.shared.outbox.tell(Delivery::Assigned(assignments));
        }
    }

    /// Commits first positions, each with the record that the group has begun there.
    fn begin(&self, generation: Generation, first: Vec<(TopicPartition, Position)>) {
        let group = &self.shared.group;
        let share = |(partition, position): (TopicPartition, Position)| Share {
            outputs: vec![starts::begun(group, &partition)],
            partition,
            generation,
            position,
        };
        let shares: Vec<Share> = first.iter().cloned().map(share).collect();
        let done = self.committer.commit(self.shared.clone(), shares);
        let (shared, found) = (self.shared.clone(), self.found.0.clone());
        tokio::spawn(async move {
            let Committed { left_out, lost, refused } = match done.await {
                Ok(committed) => committed,
                Err(error) => return shared.outbox.fail(error),
            };
            if let Some(refusal) = refused.into_iter().flat_map(|share| share.refusals).next() {
                // Without the record the position cannot be.
                let refusal = Refusal { record: None, code: RefusalCode::Position, ..refusal };
                return shared.outbox.fail(Error::Refused(refusal));
            }
            // What is not ours any more was let go, and of what is unknown the positions are fetched anew.
            let is_done = |at: &TopicPartition| left_out.iter().chain(&lost).all(|(gone, _)| gone != at);
            let each = |(at, position)| Fetched { at, position, is_first: false };
            let begun = first.into_iter().filter(|(at, _)| is_done(at)).map(each).collect();
            // A task that has ended announces nothing.
            let _ = found.send((generation, begun));
        });
    }

    pub(super) fn revoked(&mut self, partitions: Vec<TopicPartition>, lost: bool) {
        self.let_go();
        let told: Vec<TopicPartition> =
            partitions.iter().filter(|at| self.parts.get(at).is_some_and(|part| part.announced)).cloned().collect();
        self.shared.outbox.close(&told);
        // librdkafka calls it lost, too, when we gave up a topic ourselves: the membership stands, and so does the last commit.
        let given_up = told.iter().all(|at| !self.wanted.topics.contains(&at.topic));
        if (lost && !given_up) || told.is_empty() {
            self.drop_parts(&partitions);
            if !told.is_empty() {
                self.shared.outbox.tell(Delivery::Lost(told));
            }
            let consumer = self.shared.consumer();
            consumer.context().unassign(&consumer, &partitions);
            return;
        }
        let deadline = Instant::now() + self.config.revocation;
        self.shared.outbox.tell(Delivery::Revoking { partitions: told.clone(), deadline });
        self.revocation = Some(Revocation { partitions, left: told.into_iter().collect(), deadline, given_up });
    }

    /// Ends a revocation: from here on nothing of it can be committed.
    pub(super) fn let_go(&mut self) {
        let Some(revocation) = self.revocation.take() else { return };
        self.drop_parts(&revocation.partitions);
        if !revocation.left.is_empty() {
            self.shared.outbox.tell(Delivery::Lost(revocation.left.into_iter().collect()));
        }
        let consumer = self.shared.consumer();
        consumer.context().unassign(&consumer, &revocation.partitions);
    }

    pub(super) fn drop_parts(&mut self, partitions: &[TopicPartition]) {
        self.shared.outbox.close(partitions);
        let mut owned = lock(&self.shared.owned);
        for at in partitions {
            owned.remove(at);
            self.parts.remove(at);
            self.advice.remove(at);
        }
    }
}
