//! The table `starts`: which groups have begun in which partitions. A group that has begun there and has no position has lost
//! it.
//!
//! Kafka forgets the positions of a group that nobody was in for `offsets.retention.minutes`, and any tool can delete them; to
//! the broker such a group is a new one, which would do everything again. So a group's first position in a partition is
//! committed in one transaction with a record of this table, under the key `<group>/<topic>/<partition>`.

use std::{collections::HashSet, sync::Arc};

use contracts::topics;
use tokio::sync::Mutex;

use crate::{cluster::Cluster, read::Readers};
use bus::{Error, Offset, Outgoing, Topic, TopicPartition, TopicSpec};

/// How many bytes of the table are read at once.
const STEP: usize = 1024 * 1024;

/// Reads the table, each record once.
pub(crate) struct Starts {
    cluster: Arc<Cluster>,
    readers: Arc<Readers>,
    table: Mutex<Table>,
}

struct Table {
    next: Offset,
    keys: HashSet<String>,
}

fn key(group: &str, at: &TopicPartition) -> String {
    format!("{group}/{at}")
}

/// The record that a group has begun in a partition.
pub(crate) fn begun(group: &str, at: &TopicPartition) -> Outgoing {
    Outgoing::new(topics::STARTS, key(group, at), "{}")
}

impl Starts {
    pub(crate) fn new(cluster: Arc<Cluster>, readers: Arc<Readers>) -> Self {
        Self { cluster, readers, table: Mutex::new(Table { next: Offset::ZERO, keys: HashSet::new() }) }
    }

    /// In which of these partitions the group has begun.
    ///
    /// # Errors
    /// The table cannot be read, or is missing and may not be created.
    pub(crate) async fn known(&self, group: &str, of: Vec<TopicPartition>) -> Result<Vec<TopicPartition>, Error> {
        self.asked(|keys| of.into_iter().filter(|at| keys.contains(&key(group, at))).collect()).await
    }

    /// The records by which everything is forgotten that is known of a group, or of a topic.
    ///
    /// # Errors
    /// As [`Self::known`].
    pub(crate) async fn tombstones(&self, of: impl Fn(&str, &str) -> bool) -> Result<Vec<Outgoing>, Error> {
        let its = |key: &&String| {
            let mut parts = key.rsplitn(3, '/').skip(1);
            matches!((parts.next(), parts.next()), (Some(topic), Some(group)) if of(group, topic))
        };
        let tombstone = |key: &String| Outgoing { value: None, ..Outgoing::new(topics::STARTS, key.clone(), "") };
        self.asked(|keys| keys.iter().filter(its).map(tombstone).collect()).await
    }

    /// Asks the table as it is now, with everything in it that was begun to be written before.
    async fn asked<T>(&self, ask: impl FnOnce(&HashSet<String>) -> T) -> Result<T, Error> {
        let at = TopicPartition::new(topics::STARTS, 0);
        let mut table = self.table.lock().await;
        if matches!(self.cluster.check(&at).await, Err(Error::UnknownTopic(_))) {
            self.cluster.create(vec![TopicSpec::table(Topic::from(topics::STARTS))]).await?;
        }
        loop {
            let (end, records) = self.readers.read(&at, table.next, STEP).await?;
            if end < table.next {
                // It was deleted, and is another one by now.
                *table = Table { next: Offset::ZERO, keys: HashSet::new() };
                continue;
            }
            let Some(last) = records.last() else { return Ok(ask(&table.keys)) };
            table.next = last.offset.next();
            for record in records {
                let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
                if record.value.is_some() {
                    table.keys.insert(key);
                } else {
                    table.keys.remove(&key);
                }
            }
        }
    }
}
