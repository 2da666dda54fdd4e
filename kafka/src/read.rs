//! Reading without a group: a few consumers that are pointed at whatever is asked for.
//!
//! Nothing is told to be the end before everything is decided that was begun before it was asked: a reader that comes to an
//! open transaction waits for its end. So an empty answer means that there is no record up to [`bus::Start::End`].

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use rdkafka::{
    Offset as RawOffset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::sync::Semaphore;

use crate::{
    client::{Quiet, configured, reading, retire, strict},
    cluster::{Cluster, add},
    codec::{self, Names},
    threads::{blocking, lock},
    verdict::unavailable,
    watermarks::extent,
};
use bus::{Error, Offset, Record, TopicPartition};
use kafka_config::Config;

/// How many partitions are read at once.
const READERS: usize = 4;
/// How long a reader waits for records that must be there, or for an open transaction to end.
const PATIENCE: Duration = Duration::from_secs(20);
/// How soon an open transaction is looked at again.
const AGAIN: Duration = Duration::from_millis(5);

/// A few readers.
pub(crate) struct Readers {
    config: Config,
    names: Names,
    cluster: Arc<Cluster>,
    idle: Mutex<Vec<Reader>>,
    turns: Semaphore,
}

struct Reader {
    consumer: BaseConsumer<Quiet>,
    /// What it fetches now, and what it delivers next; none if that is not known.
    at: Option<(TopicPartition, Offset)>,
}

/// What is asked.
struct Question {
    at: TopicPartition,
    name: String,
    from: Offset,
    end: Offset,
    max_bytes: usize,
}

impl Readers {
    pub(crate) fn new(config: &Config, cluster: Arc<Cluster>) -> Self {
        let names = Names::new(&config.prefix);
        Self { config: config.clone(), names, cluster, idle: Mutex::default(), turns: Semaphore::new(READERS) }
    }

    /// The partition's end when it was asked, and records from an offset on.
    pub(crate) async fn read(
        self: &Arc<Self>,
        at: &TopicPartition,
        from: Offset,
        max_bytes: usize,
    ) -> Result<(Offset, Vec<Record>), Error> {
        let (begin, end) = self.cluster.extent(at).await?;
        let from = from.max(begin);
        if from >= end {
            return Ok((end, Vec::new()));
        }
        // Never closed.
        let _turn = self.turns.acquire().await;
        let name = self.names.outer(at.topic.as_str());
        let question = Question { at: at.clone(), name, from, end, max_bytes };
        let readers = self.clone();
        let records = blocking(move || {
            let mut reader = readers.take(&question)?;
            let records = reader.read(&readers.names, &question)?;
            lock(&readers.idle).push(reader);
            Ok::<_, Error>(records)
        });
        Ok((end, records.await??))
    }

    /// Lets idle readers rest, and serves what they were told meanwhile, which would gather. Blocks for moments.
    pub(crate) fn serve(&self) {
        for reader in lock(&self.idle).iter_mut() {
            if reader.at.is_some() {
                reader.rest();
            }
            while reader.consumer.poll(Duration::ZERO).is_some() {}
        }
    }

    /// The reader that is there already, else an idle one, else a new one.
    fn take(&self, question: &Question) -> Result<Reader, Error> {
        let mut idle = lock(&self.idle);
        let there =
            |reader: &Reader| matches!(&reader.at, Some((at, next)) if *at == question.at && *next == question.from);
        if let Some(index) = idle.iter().position(there).or(if idle.len() >= READERS { Some(0) } else { None }) {
            return Ok(idle.remove(index));
        }
        if let Some(index) = idle.iter().position(|reader| reader.at.is_none()) {
            return Ok(idle.remove(index));
        }
        drop(idle);
        let mut required = strict();
        required.extend([
            ("isolation.level", "read_committed".to_owned()),
            ("enable.partition.eof", "true".to_owned()),
            // Never joined: librdkafka wants a name to be assigned partitions.
            ("group.id", self.names.outer("reader")),
        ]);
        let mut preferred = reading(self.config.fetch_ahead.min(4 * 1024 * 1024));
        preferred.push(("fetch.wait.max.ms", "10".to_owned()));
        let consumer = configured(&self.config, &preferred, &required).create_with_context(Quiet);
        Ok(Reader { consumer: consumer.map_err(|error| unavailable(&error))?, at: None })
    }
}

/// Closing a client takes a while.
impl Drop for Readers {
    fn drop(&mut self) {
        let idle = std::mem::take(&mut *lock(&self.idle));
        idle.into_iter().for_each(|reader| retire(Arc::new(reader)));
    }
}

impl Reader {
    fn read(&mut self, names: &Names, question: &Question) -> Result<Vec<Record>, Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // Before reading: what is stable now is read to its end below.
            let (_, stable) = extent(&self.consumer, &question.name, &question.at)?;
            let records = self.read_stable(names, question, deadline)?;
            if !records.is_empty() || stable >= question.end {
                return Ok(records);
            }
            if Instant::now() > deadline {
                return Err(Error::Unavailable(format!("a transaction on `{}` does not end", question.at)));
            }
            std::thread::sleep(AGAIN);
        }
    }

    /// Reads until there is enough, or until the last stable offset.
    fn read_stable(&mut self, names: &Names, question: &Question, deadline: Instant) -> Result<Vec<Record>, Error> {
        let mut fresh = self.point(names, question)?;
        let (mut records, mut bytes, mut next) = (Vec::new(), 0, question.from);
        let ended = loop {
            match self.consumer.poll(Duration::from_millis(if records.is_empty() { 100 } else { 1 })) {
                Some(Ok(message)) => {
                    let record = codec::incoming(&question.at.topic, &message);
                    bytes += record.value().len() + record.key.as_ref().map_or(0, bytes::Bytes::len);
                    if record.offset < next {
                        continue;
                    }
                    next = record.offset.next();
                    records.push(record);
                    if bytes >= question.max_bytes {
                        break false;
                    }
                }
                // What stood in the queue since the last question says nothing about now.
                Some(Err(KafkaError::PartitionEOF(_))) if records.is_empty() && !fresh => {
                    self.rest();
                    fresh = self.point(names, question)?;
                }
                Some(Err(KafkaError::PartitionEOF(_))) => break true,
                Some(Err(error)) => self.judge(names, question, &error)?,
                None if !records.is_empty() => break false,
                None if Instant::now() > deadline => {
                    self.rest();
                    return Err(Error::Unavailable(format!("`{}` cannot be read: no answer", question.at)));
                }
                None => {}
            }
        };
        if ended {
            self.rest();
        } else {
            self.at = Some((question.at.clone(), next));
        }
        Ok(records)
    }

    /// Fetches what is asked for, unless it does already; true if it does so only now.
    fn point(&mut self, names: &Names, question: &Question) -> Result<bool, Error> {
        if self.at.as_ref().is_some_and(|(at, next)| *at == question.at && *next == question.from) {
            return Ok(false);
        }
        let mut list = TopicPartitionList::new();
        add(&mut list, names, &question.at, RawOffset::Offset(codec::raw(question.from)))?;
        self.consumer.assign(&list).map_err(|error| unavailable(&error))?;
        Ok(true)
    }

    /// Fetches nothing until it is asked again.
    fn rest(&mut self) {
        self.at = None;
        if let Err(error) = self.consumer.unassign() {
            tracing::debug!(%error, "a reader could not rest");
        }
    }

    fn judge(&mut self, names: &Names, question: &Question, error: &KafkaError) -> Result<(), Error> {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                self.rest();
                Err(Error::UnknownTopic(question.at.topic.clone()))
            }
            // Deleted while we read: from its begin, then.
            Some(RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::AutoOffsetReset) => {
                let (begin, _) = extent(&self.consumer, &question.name, &question.at)?;
                self.at = None;
                let (from, name, at) = (question.from.max(begin), question.name.clone(), question.at.clone());
                self.point(names, &Question { from, name, at, ..*question }).map(drop)
            }
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                self.rest();
                Err(Error::Unavailable(format!("`{}` may not be read: {error}", question.name)))
            }
            // A broker that is away for a moment; the deadline bounds it.
            _ => Ok(()),
        }
    }
}
