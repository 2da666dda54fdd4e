//! What the partitions of a member have done to the outbox, to librdkafka, and to the log.

use rdkafka::{TopicPartitionList, consumer::Consumer as _};

use super::Task;
use crate::{
    partitions::{Effect, Fetched},
    position, starts,
};
use bus::{Committed, Error, Generation, Position, Refusal, RefusalCode, Share, TopicPartition};

impl Task {
    pub(super) fn carry_out(&mut self, effect: Effect) {
        let consumer = self.shared.consumer();
        match effect {
            Effect::Find(generation, partitions) => self.find(generation, partitions),
            Effect::Begin(generation, first) => self.begin(generation, first),
            Effect::Tell(delivery) => self.shared.outbox.tell(delivery),
            Effect::Admit(at, generation) => {
                self.shared.outbox.open(&at, generation);
                self.topics.entry(self.shared.names.outer(at.topic.as_str())).or_insert(at.topic);
            }
            Effect::Close(partitions) => self.shared.outbox.close(&partitions),
            Effect::Assign(places) => {
                if let Err(error) = consumer.context().assign(&consumer, &places) {
                    // Some are being taken from us: that is told next.
                    tracing::debug!(%error, "partitions could not be opened");
                }
            }
            Effect::Unassign(partitions) => consumer.context().unassign(&consumer, &partitions),
            Effect::Flow(partitions, on) => {
                let mut list = TopicPartitionList::with_capacity(partitions.len());
                for at in &partitions {
                    let topic = self.shared.names.outer(at.topic.as_str());
                    list.add_partition(&topic, at.partition.0.cast_signed());
                }
                let done = if on { consumer.resume(&list) } else { consumer.pause(&list) };
                if let Err(error) = done {
                    tracing::debug!(%error, "a partition was gone before it was paused or resumed");
                }
            }
        }
    }

    /// Finds out positions.
    fn find(&self, generation: Generation, partitions: Vec<TopicPartition>) {
        let (shared, cluster, begin) = (self.shared.clone(), self.cluster.clone(), self.wanted.begin.clone());
        let found = self.found.0.clone();
        tokio::spawn(position::fetch(shared, cluster, begin, partitions, move |positions| {
            if positions.is_empty() { !found.is_closed() } else { found.send((generation, positions)).is_ok() }
        }));
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
}
