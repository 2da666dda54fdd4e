//! What the cluster has: topics with their partitions, where partitions begin and end, who is in a group. Each question is
//! asked by a client that is in no group and reads uncommitted, so that an end includes open transactions: librdkafka would
//! answer a `read_committed` client with the last stable offset.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rdkafka::{
    Offset as RawOffset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::sync::watch;

use crate::{
    Error,
    kafka::{
        GroupMember, OpenError,
        client::{QUESTION, Quiet, configured, reading, strict},
        codec::{self, Names},
        config::Config,
    },
    record::{Offset, Topic, TopicPartition},
    topic::{TopicInfo, TopicSpec},
};

/// How many topics are created by one request: a controller takes at most 10,000 partitions.
const AT_ONCE: usize = 200;
/// How long a topic that was created or deleted may take to be known everywhere.
const PROPAGATION: Duration = Duration::from_secs(60);

/// The topics with their numbers of partitions, as last told.
pub(crate) type Known = Arc<HashMap<Topic, u32>>;

/// Asks the cluster.
pub(crate) struct Cluster {
    config: Config,
    names: Names,
    observer: Arc<BaseConsumer<Quiet>>,
    admin: AdminClient<Quiet>,
    known: watch::Sender<Known>,
    compacted: Mutex<HashMap<Topic, bool>>,
}

/// A lock that is only ever held for moments; a panic elsewhere leaves plain data behind.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs what blocks where blocking is allowed.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::Stopped(format!("a question to Kafka ended: {error}")))
}

impl Cluster {
    pub(crate) fn open(config: &Config) -> Result<Self, OpenError> {
        let mut required = strict();
        required.push(("isolation.level", "read_uncommitted".to_owned()));
        let client = configured(config, &reading(1024 * 1024), &required);
        let observer = client.create_with_context(Quiet).map_err(OpenError::of)?;
        let admin = configured(config, &[], &[]).create_with_context(Quiet).map_err(OpenError::of)?;
        Ok(Self {
            config: config.clone(),
            names: Names::new(&config.prefix),
            observer: Arc::new(observer),
            admin,
            known: watch::Sender::default(),
            compacted: Mutex::default(),
        })
    }

    /// The topics as last told, and whenever that changes.
    pub(crate) fn follow(&self) -> watch::Receiver<Known> {
        self.known.subscribe()
    }

    /// How many partitions a topic had when last told.
    pub(crate) fn partitions(&self, topic: &Topic) -> Option<u32> {
        self.known.borrow().get(topic).copied()
    }

    /// Asks for all topics.
    pub(crate) async fn refresh(&self) -> Result<Known, Error> {
        let (observer, names, last) = (self.observer.clone(), self.names.clone(), self.known.borrow().clone());
        let known = blocking(move || known(&observer, &names, &last)).await??;
        self.known.send_if_modified(|last| {
            let changed = **last != *known;
            *last = known.clone();
            changed
        });
        Ok(known)
    }

    /// How many partitions a topic has; asked for if it was not known.
    pub(crate) async fn expect(&self, topic: &Topic) -> Result<u32, Error> {
        if let Some(partitions) = self.partitions(topic) {
            return Ok(partitions);
        }
        self.refresh().await?.get(topic).copied().ok_or_else(|| Error::UnknownTopic(topic.clone()))
    }

    /// That a partition exists.
    pub(crate) async fn check(&self, at: &TopicPartition) -> Result<(), Error> {
        if at.partition.0 < self.expect(&at.topic).await? { Ok(()) } else { Err(Error::UnknownTopic(at.topic.clone())) }
    }

    /// Where a partition begins and where it ends, open transactions included.
    pub(crate) async fn extent(&self, at: &TopicPartition) -> Result<(Offset, Offset), Error> {
        let deadline = Instant::now() + QUESTION;
        loop {
            let (observer, name, asked) = (self.observer.clone(), self.names.outer(at.topic.as_str()), at.clone());
            let answer = blocking(move || extent(&observer, &name, &asked)).await?;
            // A topic that is new, or a leader that moves, is not known to every broker at once.
            let again = match &answer {
                Ok(_) => false,
                Err(Error::UnknownTopic(topic)) => self.refresh().await?.contains_key(topic),
                Err(_) => true,
            };
            if !again || Instant::now() > deadline {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The ends of many partitions, open transactions included; those that cannot be told are left out.
    pub(crate) async fn ends(&self, of: &[TopicPartition]) -> Result<HashMap<TopicPartition, Offset>, Error> {
        self.places(of, RawOffset::End).await
    }

    /// The first offsets at or after a time; the end where there is none.
    pub(crate) async fn at_time(&self, at: &TopicPartition, time: Timestamp) -> Result<Offset, Error> {
        let place = RawOffset::Offset(time.as_millisecond().max(0));
        match self.places(std::slice::from_ref(at), place).await?.get(at) {
            Some(offset) => Ok(*offset),
            None => self.extent(at).await.map(|(_, end)| end),
        }
    }

    async fn places(&self, of: &[TopicPartition], place: RawOffset) -> Result<HashMap<TopicPartition, Offset>, Error> {
        if of.is_empty() {
            return Ok(HashMap::new());
        }
        let (observer, names, of) = (self.observer.clone(), self.names.clone(), of.to_vec());
        blocking(move || {
            let mut list = TopicPartitionList::with_capacity(of.len());
            for at in &of {
                add(&mut list, &names, at, place)?;
            }
            let found = observer.offsets_for_times(list, QUESTION).map_err(|error| unavailable(&error))?;
            let mut out = HashMap::with_capacity(of.len());
            for element in found.elements() {
                let (Some(topic), RawOffset::Offset(offset)) = (names.inner(element.topic()), element.offset()) else {
                    continue;
                };
                if element.error().is_ok() && offset >= 0 {
                    out.insert(TopicPartition::new(topic, element.partition().cast_unsigned()), codec::offset(offset));
                }
            }
            Ok(out)
        })
        .await?
    }

    /// Creates what is missing, where that is allowed, and waits until it can be used.
    pub(crate) async fn create(&self, specs: Vec<TopicSpec>) -> Result<(), Error> {
        let known = self.refresh().await?;
        let missing: Vec<TopicSpec> = specs.into_iter().filter(|spec| !known.contains_key(&spec.topic)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        if !self.config.create_topics {
            let names: Vec<String> = missing.iter().map(|spec| self.names.outer(spec.topic.as_str())).collect();
            return Err(Error::Unavailable(format!(
                "these topics are missing, and `bus.kafka.create-topics` is false: {}; create them with `herald topics apply`",
                names.join(", ")
            )));
        }
        for specs in missing.chunks(AT_ONCE) {
            self.create_some(specs).await?;
        }
        let topics: HashSet<&Topic> = missing.iter().map(|spec| &spec.topic).collect();
        self.settle(|known| topics.iter().all(|topic| known.contains_key(*topic))).await
    }

    async fn create_some(&self, specs: &[TopicSpec]) -> Result<(), Error> {
        let planned: Vec<_> =
            specs.iter().map(|spec| (self.names.outer(spec.topic.as_str()), self.config.layout.plan(spec))).collect();
        let new = planned.iter().map(|(name, plan)| {
            let replication = TopicReplication::Fixed(plan.replication.map_or(-1, i32::from));
            let new = NewTopic::new(name, plan.partitions.cast_signed(), replication);
            plan.config.iter().fold(new, |new, (key, value)| new.set(key, value))
        });
        let new: Vec<NewTopic<'_>> = new.collect();
        let results = self.admin.create_topics(&new, &options()).await.map_err(|error| unavailable(&error))?;
        for result in results {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => {
                    return Err(Error::Unavailable(format!("the topic `{name}` cannot be created: {code}")));
                }
            }
        }
        Ok(())
    }

    /// Deletes a topic, and waits until it is gone.
    pub(crate) async fn delete(&self, topic: &Topic) -> Result<(), Error> {
        let name = self.names.outer(topic.as_str());
        let results = self.admin.delete_topics(&[&name], &options()).await.map_err(|error| unavailable(&error))?;
        for result in results {
            match result {
                Ok(_) => {}
                Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => return Err(Error::UnknownTopic(topic.clone())),
                Err((name, code)) => {
                    return Err(Error::Unavailable(format!("the topic `{name}` cannot be deleted: {code}")));
                }
            }
        }
        lock(&self.compacted).remove(topic);
        self.settle(|known| !known.contains_key(topic)).await
    }

    async fn settle(&self, done: impl Fn(&Known) -> bool) -> Result<(), Error> {
        let (deadline, mut wait) = (Instant::now() + PROPAGATION, Duration::from_millis(20));
        while !done(&self.refresh().await?) {
            if Instant::now() > deadline {
                return Err(Error::Unavailable("the cluster does not show what was changed on it".into()));
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(1));
        }
        Ok(())
    }

    /// Every topic, by name.
    pub(crate) async fn topics(&self) -> Result<Vec<TopicInfo>, Error> {
        let known: BTreeMap<Topic, u32> = self.refresh().await?.iter().map(|(topic, n)| (topic.clone(), *n)).collect();
        let unknown: Vec<Topic> = {
            let compacted = lock(&self.compacted);
            known.keys().filter(|topic| !compacted.contains_key(*topic)).cloned().collect()
        };
        for topics in unknown.chunks(AT_ONCE) {
            self.describe(topics).await?;
        }
        let compacted = lock(&self.compacted);
        let info = |(topic, partitions): (Topic, u32)| {
            let compacted = compacted.get(&topic).copied().unwrap_or_default();
            TopicInfo { topic, partitions, compacted }
        };
        Ok(known.into_iter().map(info).collect())
    }

    async fn describe(&self, topics: &[Topic]) -> Result<(), Error> {
        let names: Vec<String> = topics.iter().map(|topic| self.names.outer(topic.as_str())).collect();
        let specifiers: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
        let results =
            self.admin.describe_configs(&specifiers, &options()).await.map_err(|error| unavailable(&error))?;
        let mut compacted = lock(&self.compacted);
        for (topic, result) in topics.iter().zip(results) {
            // One that was deleted meanwhile is no error of the others.
            let Ok(resource) = result else { continue };
            let policy = resource.get("cleanup.policy").and_then(|entry| entry.value.clone()).unwrap_or_default();
            compacted.insert(topic.clone(), policy.contains("compact"));
        }
        Ok(())
    }

    /// Who is in a group.
    pub(crate) async fn members(&self, group: &str) -> Result<Vec<GroupMember>, Error> {
        let (observer, name) = (self.observer.clone(), self.names.outer(group));
        let prefix = self.config.prefix.clone();
        blocking(move || {
            let list = observer.fetch_group_list(Some(&name), QUESTION).map_err(|error| unavailable(&error))?;
            let members = list.groups().iter().flat_map(|group| group.members());
            Ok(members.map(|member| GroupMember::of(&prefix, member.client_id(), member.client_host())).collect())
        })
        .await?
    }

    /// Forgets a group.
    pub(crate) async fn forget(&self, group: &str) -> Result<(), Error> {
        let name = self.names.outer(group);
        let results = self.admin.delete_groups(&[&name], &options()).await.map_err(|error| unavailable(&error))?;
        for result in results {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::GroupIdNotFound)) => {}
                Err((name, code)) => {
                    return Err(Error::Unavailable(format!("the group `{name}` cannot be forgotten: {code}")));
                }
            }
        }
        Ok(())
    }

    /// Serves what the observer was told meanwhile, which would gather.
    pub(crate) fn serve(&self) {
        while self.observer.poll(Duration::ZERO).is_some() {}
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(Duration::from_secs(20))).operation_timeout(Some(Duration::from_secs(20)))
}

fn known(observer: &BaseConsumer<Quiet>, names: &Names, last: &Known) -> Result<Known, Error> {
    let metadata = observer.fetch_metadata(None, QUESTION).map_err(|error| unavailable(&error))?;
    let mut known = HashMap::new();
    for topic in metadata.topics() {
        let Some(name) = names.inner(topic.name()) else { continue };
        // One that is being created has partitions without a leader: it cannot be used yet. One that we know has lost them only
        // for now, with its brokers.
        let usable = topic.error().is_none() && !topic.partitions().is_empty();
        let led = topic.partitions().iter().any(|partition| partition.leader() >= 0);
        if usable && (led || last.contains_key(&name)) {
            known.insert(name, u32::try_from(topic.partitions().len()).unwrap_or(u32::MAX));
        }
    }
    Ok(Arc::new(known))
}

/// Where a partition begins and ends for a client; for one that reads committed, the end is the last stable offset.
pub(crate) fn extent(
    client: &BaseConsumer<impl rdkafka::consumer::ConsumerContext>,
    name: &str,
    at: &TopicPartition,
) -> Result<(Offset, Offset), Error> {
    match client.fetch_watermarks(name, at.partition.0.cast_signed(), QUESTION) {
        Ok((begin, end)) => Ok((codec::offset(begin), codec::offset(end))),
        Err(error) => Err(match error.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition,
            ) => Error::UnknownTopic(at.topic.clone()),
            _ => unavailable(&error),
        }),
    }
}

/// Adds a partition with an offset to a list.
pub(crate) fn add(
    list: &mut TopicPartitionList,
    names: &Names,
    at: &TopicPartition,
    offset: RawOffset,
) -> Result<(), Error> {
    let name = names.outer(at.topic.as_str());
    list.add_partition_offset(&name, at.partition.0.cast_signed(), offset).map_err(|error| unavailable(&error))
}

/// A cluster that cannot be reached, or refuses.
pub(crate) fn unavailable(error: &KafkaError) -> Error {
    Error::Unavailable(error.to_string())
}
