//! A partition's memory, rebuilt from the side topic before its first record is taken.
//!
//! Everything that was written of it before the assignment lies before the barrier, which is asked for afterwards. Reading
//! begins at the window, or later where the count had cut the memory, as the position's note says.

use std::{sync::Arc, time::Duration};

use bus::{Assignment, Bus, Error as BusError, Offset, Replay, Start, TopicPartition};
use contracts::{raw::RawHeaders, topics};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;

use crate::{OUTAGE, config::Config, error::Error, memory::Memory, note::Memo, partition::Partition, seen::Seen};

/// How many partitions are rebuilt side by side, so that their reads stay within a few megabytes.
const AT_ONCE: usize = 8;
/// How much earlier reading begins: what clocks of several machines may differ, and what a record may take from being
/// received to being published.
const MARGIN: SignedDuration = SignedDuration::from_secs(60);

/// What rebuilding needs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Rebuilder {
    bus: Arc<dyn Bus>,
    config: Arc<Config>,
    turns: Arc<Semaphore>,
}

impl Rebuilder {
    pub(crate) fn new(bus: Arc<dyn Bus>, config: Arc<Config>) -> Self {
        Self { bus, config, turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// The partition with its memory, and where it is to be opened.
    pub(crate) async fn run(self, assignment: Assignment) -> Result<(Partition<Seen>, Offset), Error> {
        let _turn = self.turns.acquire().await.expect("invariant: the semaphore is never closed");
        let at = &assignment.partition;
        let start = assignment.position.next;
        let memo = Memo::read(&assignment.position.note);
        let mut seen = Seen::new(self.config.window.get(), self.config.ids);
        self.remember(&mut seen, at, start, memo).await?;
        tracing::debug!(partition = %at, ids = seen.len(), "recent ids rebuilt");
        Ok((Partition::new(&assignment, seen, memo), start))
    }

    async fn remember<M: Memory>(
        &self,
        memory: &mut M,
        at: &TopicPartition,
        start: Offset,
        memo: Memo,
    ) -> Result<(), Error> {
        let side = TopicPartition { topic: M::SIDE.into(), partition: at.partition };
        let from = self.from(at, start, memo).await?;
        let mut replay = match Replay::of(&*self.bus, &OUTAGE, &side, Start::Time(from)).await {
            Err(BusError::UnknownTopic(_)) => return Err(self.no_side(at).await?),
            replay => replay?,
        };
        while let Some(records) = replay.next().await? {
            for record in records {
                memory.written(record.published);
                memory.fold(record.value()).map_err(|source| Error::Memory { partition: at.clone(), source })?;
            }
        }
        Ok(())
    }

    /// From when on the side topic is to be read: what the next record may repeat was written at most a window before it.
    async fn from(&self, at: &TopicPartition, start: Offset, memo: Memo) -> Result<Timestamp, Error> {
        let next = OUTAGE.patiently(|| self.bus.read(at, start, 1)).await?;
        let next = next.first().map_or_else(Timestamp::now, |record| {
            let received = RawHeaders::decode(&record.headers).map(|headers| headers.received);
            received.map_or(record.published, |received| received.min(record.published))
        });
        Ok(begin(next, self.config.window.get(), memo.since))
    }

    /// Why a partition has no place for its recent ids.
    async fn no_side(&self, at: &TopicPartition) -> Result<Error, BusError> {
        let topics = OUTAGE.patiently(|| self.bus.topics()).await?;
        let count =
            |name: &str| topics.iter().find(|info| info.topic.as_str() == name).map_or(0, |info| info.partitions);
        Ok(Error::NoSide { partition: at.clone(), have: count(topics::SEEN), need: count(topics::RAW) })
    }
}

/// From when on the side topic is read, if the next record was received at that time.
fn begin(next: Timestamp, window: Duration, since: Option<u32>) -> Timestamp {
    let window = next.checked_sub(window).unwrap_or(Timestamp::MIN);
    let since = since.and_then(|since| Timestamp::from_second(since.into()).ok()).unwrap_or(Timestamp::MIN);
    window.max(since).checked_sub(MARGIN).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_begins_at_the_window_or_where_the_count_cut_it() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let hour = Duration::from_secs(3600);
        assert_eq!(begin(at(10_000), hour, None), at(10_000 - 3600 - 60));
        assert_eq!(begin(at(10_000), hour, Some(100)), at(10_000 - 3600 - 60));
        assert_eq!(begin(at(10_000), hour, Some(9_000)), at(9_000 - 60));
        assert_eq!(begin(Timestamp::MIN, hour, None), Timestamp::MIN);
    }
}
