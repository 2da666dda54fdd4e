//! How far a group is behind. Only a client of that group may ask for its positions, so a few are kept.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{StreamExt as _, TryStreamExt as _};
use rdkafka::{
    Offset as RawOffset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
};

use crate::{
    Error,
    kafka::{
        client::{Client, QUESTION, Quiet, configured, reading, strict},
        cluster::{Cluster, add, blocking, lock, unavailable},
        codec::{self, Names},
        config::Config,
        read::Readers,
        watch::Watch,
    },
    record::{Offset, TopicPartition},
    topic::Lag,
};

/// How old what is known of the topics may be: one who asks for many groups asks once.
const FRESH: Duration = Duration::from_secs(5);
/// How many clients are kept.
const KEPT: usize = 8;
/// Up to how many offsets it is looked whether there are records.
const LITTLE: u64 = 1000;
/// How many partitions are looked into at once.
const AT_ONCE: usize = 4;

/// Asks for the positions of any group.
pub(crate) struct Lags {
    config: Config,
    names: Names,
    cluster: Arc<Cluster>,
    readers: Arc<Readers>,
    watch: Arc<Watch>,
    clients: Mutex<VecDeque<(String, Client<BaseConsumer<Quiet>>)>>,
}

impl Lags {
    pub(crate) fn new(config: &Config, cluster: Arc<Cluster>, readers: Arc<Readers>, watch: Arc<Watch>) -> Self {
        let names = Names::new(&config.prefix);
        Self { config: config.clone(), names, cluster, readers, watch, clients: Mutex::default() }
    }

    /// By partition; those without a position are left out.
    pub(crate) async fn of(&self, group: &str) -> Result<Vec<Lag>, Error> {
        let known = self.cluster.recent(FRESH).await?;
        let each = |(topic, count): (&crate::Topic, &u32)| {
            let topic = topic.clone();
            (0..*count).map(move |partition| TopicPartition::new(topic.clone(), partition))
        };
        let mut all: Vec<TopicPartition> = known.iter().flat_map(each).collect();
        all.sort_unstable();
        let positions = self.positions(group, all).await?;
        let places: Vec<TopicPartition> = positions.iter().map(|(at, _)| at.clone()).collect();
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let ends = self.cluster.ends(&places).await?;
        let lags = futures_util::stream::iter(positions).map(|(partition, position)| {
            let end = ends.get(&partition).copied().unwrap_or(position).max(position);
            self.lag(partition, position, end)
        });
        lags.buffered(AT_ONCE).try_collect().await
    }

    /// Where little is left it may be markers of transactions alone, and then it is nothing.
    async fn lag(&self, partition: TopicPartition, position: Offset, end: Offset) -> Result<Lag, Error> {
        let mut records = end.0 - position.0;
        if (1..=LITTLE).contains(&records) {
            let mut quiet = self.watch.is_quiet(&partition, position, end);
            if !quiet {
                let (until, found) = self.readers.read(&partition, position, 1).await?;
                quiet = found.is_empty();
                if quiet {
                    self.watch.quiet(&partition, position, until);
                }
            }
            if quiet {
                records = 0;
            }
        }
        Ok(Lag { partition, position, end, records })
    }

    async fn positions(&self, group: &str, all: Vec<TopicPartition>) -> Result<Vec<(TopicPartition, Offset)>, Error> {
        let (client, names) = (self.client(group).await?, self.names.clone());
        let asked = client.clone();
        let answer = blocking(move || {
            let mut list = TopicPartitionList::with_capacity(all.len());
            for at in &all {
                add(&mut list, &names, at, RawOffset::Invalid)?;
            }
            let found = asked.committed_offsets(list, QUESTION).map_err(|error| unavailable(&error))?;
            let mut out = Vec::new();
            for element in found.elements() {
                if let (Some(topic), RawOffset::Offset(next)) = (names.inner(element.topic()), element.offset()) {
                    out.push((TopicPartition::new(topic, element.partition().cast_unsigned()), codec::offset(next)));
                }
            }
            Ok(out)
        });
        let answer = answer.await.and_then(|answer| answer);
        if answer.is_err() {
            // It may have lost its brokers for good.
            lock(&self.clients).retain(|(_, kept)| !Arc::ptr_eq(&kept.get(), &client));
        }
        answer
    }

    /// Commits positions of a group that has no members; the broker refuses those of one that has.
    pub(crate) async fn place(&self, group: &str, positions: Vec<(TopicPartition, Offset)>) -> Result<(), Error> {
        let (client, names) = (self.client(group).await?, self.names.clone());
        blocking(move || {
            let mut list = TopicPartitionList::with_capacity(positions.len());
            for (at, next) in &positions {
                add(&mut list, &names, at, RawOffset::Offset(codec::raw(*next)))?;
            }
            client.commit(&list, CommitMode::Sync).map_err(|error| unavailable(&error))
        })
        .await?
    }

    /// Serves what the clients were told meanwhile, which would gather. Blocks for moments.
    pub(crate) fn serve(&self) {
        let clients: Vec<_> = lock(&self.clients).iter().map(|(_, client)| client.get()).collect();
        for client in clients {
            while client.poll(Duration::ZERO).is_some() {}
        }
    }

    async fn client(&self, group: &str) -> Result<Arc<BaseConsumer<Quiet>>, Error> {
        if let Some(client) = self.kept(group) {
            return Ok(client);
        }
        let mut required = strict();
        // What counts is what is committed; that a transaction is open is no reason to have no answer.
        required.push(("isolation.level", "read_uncommitted".to_owned()));
        required.push(("group.id", self.names.outer(group)));
        let config = configured(&self.config, &reading(1024 * 1024), &required);
        let created = blocking(move || config.create_with_context(Quiet)).await?;
        let client: BaseConsumer<Quiet> = created.map_err(|error| unavailable(&error))?;
        let client = Client::new(client);
        let found = client.get();
        let mut clients = lock(&self.clients);
        if clients.len() >= KEPT {
            clients.pop_front();
        }
        clients.push_back((group.to_owned(), client));
        Ok(found)
    }

    /// The client of a group, if it is kept; it is then the last to go.
    fn kept(&self, group: &str) -> Option<Arc<BaseConsumer<Quiet>>> {
        let mut clients = lock(&self.clients);
        let index = clients.iter().position(|(name, _)| name == group)?;
        let found = clients.remove(index)?;
        let client = found.1.get();
        clients.push_back(found);
        Some(client)
    }
}
