//! Reading a small table: a compacted topic of one partition, of which the last record counts.

use crate::{
    Bus, Error,
    record::{Offset, Record, TopicPartition},
    topic::Start,
};

/// How many bytes are read at once.
const STEP: usize = 1024 * 1024;

/// The last record of a topic's first partition, as it is now and whenever it changes.
pub struct Last<'b> {
    bus: &'b dyn Bus,
    at: TopicPartition,
    next: Option<Offset>,
}

impl<'b> Last<'b> {
    /// Of that topic.
    pub fn of(bus: &'b dyn Bus, topic: &str) -> Self {
        Self { bus, at: TopicPartition::new(topic, 0), next: None }
    }

    /// The last record that is there and was not returned before; none if there is none.
    ///
    /// # Errors
    /// The topic does not exist, or the bus cannot be read.
    pub async fn current(&mut self) -> Result<Option<Record>, Error> {
        let mut last = None;
        loop {
            let from = match self.next {
                Some(next) => next,
                None => self.bus.offset(&self.at, Start::Earliest).await?,
            };
            let Some(record) = self.bus.read(&self.at, from, STEP).await?.pop() else {
                self.next = Some(from);
                return Ok(last);
            };
            self.next = Some(record.offset.next());
            last = Some(record);
        }
    }

    /// Waits for a record that was not returned before, and returns the last.
    ///
    /// # Errors
    /// The topic does not exist, or the bus cannot be read.
    pub async fn changed(&mut self) -> Result<Record, Error> {
        loop {
            if let Some(record) = self.current().await? {
                return Ok(record);
            }
            self.bus.changed(&self.at, self.next.unwrap_or(Offset::ZERO)).await?;
        }
    }
}
