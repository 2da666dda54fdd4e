//! One assigned partition: its memory, and what waits for the next commit.

use std::sync::Arc;

use bus::{Assignment, Bus, Generation, Offset, Outgoing, Position, Record, Share, Start, TopicPartition};
use contracts::topics;

use crate::{
    config::Config,
    decide::Decider,
    error::Error,
    handle::Counts,
    seen::{self, Entry, Seen, SeenError},
};

/// How many bytes of the side topic are read at once while a memory is rebuilt.
const REBUILD_BYTES: usize = 1024 * 1024;

pub(crate) struct Partition {
    at: TopicPartition,
    generation: Generation,
    seen: Seen,
    outputs: Vec<Outgoing>,
    ids: Vec<Entry>,
    next: Option<Offset>,
    bytes: usize,
    cut_said: bool,
}

impl Partition {
    /// Rebuilds the memory of recent ids from the side topic, up to its barrier.
    pub(crate) async fn rebuild(
        bus: Arc<dyn Bus>,
        config: Arc<Config>,
        assignment: Assignment,
    ) -> Result<(Self, Offset), Error> {
        let at = assignment.partition.clone();
        let failed = |source: SeenError| Error::Memory { partition: at.clone(), source };
        let start = match &assignment.position {
            Some(position) => position.next,
            None => bus.offset(&at, Start::Earliest).await?,
        };
        let mut seen = Seen::new(config.window.get(), config.ids);
        let side = TopicPartition { topic: topics::SEEN.into(), partition: at.partition };
        // What the next record to be read may repeat was written at most a window before it.
        let oldest =
            bus.read(&at, start, 1).await?.first().map_or_else(jiff::Timestamp::now, |record| record.published);
        let from = oldest.checked_sub(config.window.get()).unwrap_or(jiff::Timestamp::MIN);
        let barrier = bus.offset(&side, Start::End).await?;
        let mut offset = bus.offset(&side, Start::Time(from)).await?;
        while offset < barrier {
            let records = bus.read(&side, offset, REBUILD_BYTES).await?;
            let Some(last) = records.last() else { break };
            offset = last.offset.next();
            for record in records.iter().filter(|record| record.offset < barrier) {
                seen::decode(record.value()).map_err(failed)?.for_each(|entry| seen.remember(entry));
            }
        }
        tracing::debug!(partition = %at, ids = seen.len(), "recent ids rebuilt");
        let generation = assignment.generation;
        // A group that never committed anything commits its start: from then on retention keeps what it has yet to read.
        let next = assignment.position.is_none().then_some(start);
        let part = Self { at, generation, seen, outputs: vec![], ids: vec![], next, bytes: 0, cut_said: false };
        Ok((part, start))
    }

    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    /// Decides about records, in order, for the next commit.
    pub(crate) fn take(&mut self, decider: &Decider<'_>, records: &[Record]) -> Counts {
        let mut counts = Counts::default();
        for record in records {
            let decision = decider.decide(record, &mut self.seen);
            self.bytes += decision.outputs.iter().map(Outgoing::size).sum::<usize>();
            self.outputs.extend(decision.outputs);
            self.ids.extend(decision.seen);
            self.next = Some(record.offset.next());
            counts.records += decision.counts.records;
            counts.events += decision.counts.events;
            counts.duplicates += decision.counts.duplicates;
            counts.refused += decision.counts.refused;
            counts.failed += decision.counts.failed;
        }
        self.say_cut();
        counts
    }

    /// How many bytes wait for the next commit.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing waits for the next commit.
    pub(crate) fn is_idle(&self) -> bool {
        self.next.is_none()
    }

    /// What waits, as a share; none if nothing does.
    pub(crate) fn share(&mut self) -> Option<Share> {
        let next = self.next.take()?;
        let mut outputs = std::mem::take(&mut self.outputs);
        if !self.ids.is_empty() {
            let side = Outgoing::new(topics::SEEN, "", seen::encode(&self.ids)).to_partition(self.at.partition);
            outputs.push(Outgoing { key: None, ..side });
            self.ids.clear();
        }
        self.bytes = 0;
        Some(Share { partition: self.at.clone(), generation: self.generation, outputs, position: Position::at(next) })
    }

    fn say_cut(&mut self) {
        if let Some(age) = self.seen.cut()
            && !self.cut_said
        {
            self.cut_said = true;
            tracing::warn!(
                partition = %self.at,
                window.seconds = age.as_secs(),
                ids = self.seen.len(),
                "more ids arrive than are remembered, so that duplicates are recognised for a shorter time; raise `detector.ids`"
            );
        }
    }
}
