//! What the cluster has: topics with their partitions, where partitions begin and end, who is in a group. Each question is
//! asked by a client that is in no group and reads uncommitted, so that an end includes open transactions: librdkafka would
//! answer a `read_committed` client with the last stable offset.

mod topics;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rdkafka::{
    Offset as RawOffset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::sync::watch;

use crate::{
    client::{Client, OpenError, QUESTION, Quiet, UNUSABLE, configured, reading, strict},
    codec::{self, Names},
    reach::Reach,
    threads::{blocking, lock},
    verdict::unavailable,
    watermarks::{extent, with_leader},
};
use bus::{Error, GroupInfo, Offset, Start, Topic, TopicPartition};
use kafka_config::Config;

/// Who asks, in what is said of those who reach no broker.
const WHO: &str = "asking the brokers";

/// The topics with their numbers of partitions, as last told.
pub(crate) type Known = Arc<HashMap<Topic, u32>>;

/// Asks the cluster.
pub(crate) struct Cluster {
    config: Config,
    names: Names,
    observer: Client<BaseConsumer<Quiet>>,
    admin: Client<AdminClient<Quiet>>,
    reach: Reach,
    known: watch::Sender<Known>,
    /// When all topics were last asked for, and why in vain, if so. Held meanwhile, so that those who ask at once ask once.
    told: tokio::sync::Mutex<Option<(Instant, Option<String>)>>,
    answers: Mutex<Answers>,
    compacted: Mutex<HashMap<Topic, bool>>,
}

/// Whether the brokers answer us.
struct Answers {
    /// When they last did.
    last: Instant,
    /// Since when they have, without a question in vain.
    since: Option<Instant>,
}

/// One member of a consumer group, as the broker knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// The Herald instance, if it is one with our prefix.
    pub instance: Option<String>,
    /// What its client calls itself.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
}

impl GroupMember {
    fn of(prefix: &str, client_id: &str, host: &str) -> Self {
        // As `client::client_id` writes it: the prefix, the role, the instance.
        let rest = client_id.strip_prefix(prefix);
        let instance = rest.and_then(|rest| rest.split_once('.')).map(|(_, instance)| instance.to_owned());
        Self { instance, client_id: client_id.to_owned(), host: host.trim_start_matches('/').to_owned() }
    }
}

impl Cluster {
    pub(crate) fn open(config: &Config) -> Result<Self, OpenError> {
        let (observer, admin) = clients(config).map_err(OpenError::of)?;
        Ok(Self {
            config: config.clone(),
            names: Names::new(&config.prefix),
            observer: Client::new(observer),
            admin: Client::new(admin),
            reach: Reach::default(),
            known: watch::Sender::default(),
            told: tokio::sync::Mutex::default(),
            answers: Mutex::new(Answers { last: Instant::now(), since: None }),
            compacted: Mutex::default(),
        })
    }

    /// Who of the process reaches no broker.
    pub(crate) fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Since when the brokers answer; none while they do not, as far as is known.
    pub(crate) fn answers_since(&self) -> Option<Instant> {
        lock(&self.answers).since
    }

    /// Takes note of whether a question was answered. Clients that have had no answer for long are replaced.
    async fn note(&self, failed: Option<&Error>) {
        let now = Instant::now();
        let Some(error) = failed else {
            let mut answers = lock(&self.answers);
            answers.last = now;
            answers.since.get_or_insert(now);
            drop(answers);
            self.reach.found(WHO);
            return;
        };
        self.reach.lost(WHO, "the brokers do not answer");
        tracing::debug!(%error, "a question to the brokers was not answered");
        {
            let mut answers = lock(&self.answers);
            answers.since = None;
            if now.duration_since(answers.last) < UNUSABLE {
                return;
            }
            // The new ones have as long.
            answers.last = now;
        }
        let config = self.config.clone();
        match blocking(move || clients(&config)).await {
            Ok(Ok((observer, admin))) => {
                self.observer.replace(observer);
                self.admin.replace(admin);
                tracing::debug!("the clients that ask the brokers are replaced");
            }
            Ok(Err(error)) => tracing::warn!(%error, "another client that asks the brokers cannot be created"),
            Err(error) => tracing::warn!(%error, "another client that asks the brokers cannot be created"),
        }
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
        self.recent(Duration::ZERO).await
    }

    /// All topics, asked for unless they were told within that time. A cluster has thousands: not for each group anew.
    pub(crate) async fn recent(&self, within: Duration) -> Result<Known, Error> {
        let asked = Instant::now();
        let mut told = self.told.lock().await;
        match &*told {
            // Somebody has asked while we waited for our turn.
            Some((begun, Some(failed))) if *begun > asked => return Err(Error::Unavailable(failed.clone())),
            Some((begun, None)) if *begun > asked || begun.elapsed() < within => {
                return Ok(self.known.borrow().clone());
            }
            _ => {}
        }
        let begun = Instant::now();
        let (observer, names, last) = (self.observer.get(), self.names.clone(), self.known.borrow().clone());
        let answer = blocking(move || known(&observer, &names, &last)).await.and_then(|known| known);
        self.note(answer.as_ref().err()).await;
        *told = Some((begun, answer.as_ref().err().map(ToString::to_string)));
        let known = answer?;
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
            let (observer, name, asked) = (self.observer.get(), self.names.outer(at.topic.as_str()), at.clone());
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

    /// Where many partitions begin and end, open transactions included; those that cannot be told are left out.
    pub(crate) async fn extents(
        &self,
        of: &[TopicPartition],
    ) -> Result<HashMap<TopicPartition, (Offset, Offset)>, Error> {
        let begins = self.places(of, RawOffset::Beginning).await?;
        let ends = self.places(of, RawOffset::End).await?;
        let both = |(at, begin): (TopicPartition, Offset)| ends.get(&at).map(|end| (at.clone(), (begin, *end)));
        Ok(begins.into_iter().filter_map(both).collect())
    }

    /// The offsets of a place in many partitions; those that there are not, or that cannot be told, are left out.
    pub(crate) async fn offsets(
        &self,
        of: &[TopicPartition],
        place: Start,
    ) -> Result<HashMap<TopicPartition, Offset>, Error> {
        // One that is new may not be known yet.
        let is_known = |known: &Known, at: &TopicPartition| known.get(&at.topic).is_some_and(|n| at.partition.0 < *n);
        let mut known = self.known.borrow().clone();
        if !of.iter().all(|at| is_known(&known, at)) {
            known = self.refresh().await?;
        }
        let of: Vec<TopicPartition> = of.iter().filter(|at| is_known(&known, at)).cloned().collect();
        match place {
            Start::Earliest => self.places(&of, RawOffset::Beginning).await,
            Start::End => self.ends(&of).await,
            Start::Time(time) => {
                let mut found = self.places(&of, RawOffset::Offset(time.as_millisecond().max(0))).await?;
                let later: Vec<TopicPartition> = of.into_iter().filter(|at| !found.contains_key(at)).collect();
                found.extend(self.ends(&later).await?);
                Ok(found)
            }
        }
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
        let (observer, names, of) = (self.observer.get(), self.names.clone(), of.to_vec());
        blocking(move || {
            let mut list = TopicPartitionList::with_capacity(of.len());
            for at in &of {
                add(&mut list, &names, at, place)?;
            }
            let found = with_leader(|| observer.offsets_for_times(list.clone(), QUESTION))
                .map_err(|error| unavailable(&error))?;
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

    pub(crate) async fn members(&self, group: &str) -> Result<Vec<GroupMember>, Error> {
        let (observer, name) = (self.observer.get(), self.names.outer(group));
        let prefix = self.config.prefix.clone();
        blocking(move || {
            let list = observer.fetch_group_list(Some(&name), QUESTION).map_err(|error| unavailable(&error))?;
            let members = list.groups().iter().flat_map(|group| group.members());
            Ok(members.map(|member| GroupMember::of(&prefix, member.client_id(), member.client_host())).collect())
        })
        .await?
    }

    /// Every group of ours.
    pub(crate) async fn groups(&self) -> Result<Vec<GroupInfo>, Error> {
        let (observer, names) = (self.observer.get(), self.names.clone());
        blocking(move || {
            let list = observer.fetch_group_list(None, QUESTION).map_err(|error| unavailable(&error))?;
            let ours = list.groups().iter().filter_map(|group| {
                let name = names.inner(group.name())?.to_string();
                Some(GroupInfo { name, has_members: !group.members().is_empty() })
            });
            let mut groups: Vec<GroupInfo> = ours.collect();
            groups.sort();
            Ok(groups)
        })
        .await?
    }

    pub(crate) async fn forget(&self, group: &str) -> Result<(), Error> {
        let name = self.names.outer(group);
        let results =
            self.admin.get().delete_groups(&[&name], &options()).await.map_err(|error| unavailable(&error))?;
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
        let observer = self.observer.get();
        while observer.poll(Duration::ZERO).is_some() {}
    }
}

fn clients(config: &Config) -> Result<(BaseConsumer<Quiet>, AdminClient<Quiet>), KafkaError> {
    let mut required = strict();
    required.push(("isolation.level", "read_uncommitted".to_owned()));
    let observer = configured(config, &reading(1024 * 1024), &required).create_with_context(Quiet)?;
    Ok((observer, configured(config, &[], &[]).create_with_context(Quiet)?))
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
