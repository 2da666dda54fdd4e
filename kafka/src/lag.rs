//! How far groups are behind. Only a client of a group may ask for its positions: a few are kept, and where more groups are
//! asked for than that, each gets one for the moment, on a thread where it may be closed; a few at once, however many ask.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rdkafka::{
    ClientConfig, Offset as RawOffset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
};

use tokio::sync::Semaphore;

use crate::{
    client::{Client, QUESTION, Quiet, configured, reading, strict},
    cluster::{Cluster, add},
    codec::{self, Names},
    read::Readers,
    threads::{blocking, lock},
    verdict::unavailable,
    watch::Watch,
};
use bus::{Error, Lag, Offset, TopicPartition};
use kafka_config::Config;

/// How old what is known of the topics may be: one who asks for many groups asks once.
const FRESH: Duration = Duration::from_secs(5);
/// How many clients are kept.
const KEPT: usize = 8;
/// Up to how many offsets it is looked whether there are records.
const LITTLE: u64 = 1000;
/// How many groups are asked for at once in the whole process, and how many partitions are looked into for one question.
const AT_ONCE: usize = 4;

/// Asks for the positions of any group.
pub(crate) struct Lags {
    config: Config,
    names: Names,
    cluster: Arc<Cluster>,
    readers: Arc<Readers>,
    watch: Arc<Watch>,
    clients: Mutex<VecDeque<(String, Client<BaseConsumer<Quiet>>)>>,
    turns: Semaphore,
}

impl Lags {
    pub(crate) fn new(config: &Config, cluster: Arc<Cluster>, readers: Arc<Readers>, watch: Arc<Watch>) -> Self {
        let names = Names::new(&config.prefix);
        Self {
            config: config.clone(),
            names,
            cluster,
            readers,
            watch,
            clients: Mutex::default(),
            turns: Semaphore::new(AT_ONCE),
        }
    }

    /// By group and partition; those without a position are left out.
    pub(crate) async fn of(&self, groups: &[String]) -> Result<BTreeMap<String, Vec<Lag>>, Error> {
        let known = self.cluster.recent(FRESH).await?;
        let each = |(topic, count): (&bus::Topic, &u32)| {
            let topic = topic.clone();
            (0..*count).map(move |partition| TopicPartition::new(topic.clone(), partition))
        };
        let mut all: Vec<TopicPartition> = known.iter().flat_map(each).collect();
        all.sort_unstable();
        let all: Arc<[TopicPartition]> = all.into();
        let keep = groups.len() <= KEPT;
        let asked: Vec<_> =
            groups.iter().map(async |group| Ok((group, self.positions(group, all.clone(), keep).await?))).collect();
        let positions: Vec<_> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
        let mut stands: BTreeMap<&TopicPartition, BTreeSet<Offset>> = BTreeMap::new();
        for (at, position) in positions.iter().flat_map(|(_, positions)| positions) {
            stands.entry(at).or_default().insert(*position);
        }
        let places: Vec<TopicPartition> = stands.keys().map(|at| (*at).clone()).collect();
        let ends = self.cluster.ends(&places).await?;
        let looked: Vec<_> = stands
            .into_iter()
            .map(async |(at, stands)| Ok((at, self.partition(at, stands, ends.get(at).copied()).await?)))
            .collect();
        let lags: HashMap<_, _> =
            stream::iter(looked).buffered(AT_ONCE).try_collect::<Vec<_>>().await?.into_iter().collect();
        let lag = |(at, position): &(TopicPartition, Offset)| lags.get(at)?.get(position).cloned();
        let of =
            |(group, positions): &(&String, Vec<_>)| ((*group).clone(), positions.iter().filter_map(lag).collect());
        Ok(positions.iter().map(of).collect())
    }

    /// How far each position in a partition is behind. Where little is left it may be markers of transactions alone, and
    /// then it is nothing.
    async fn partition(
        &self,
        at: &TopicPartition,
        positions: BTreeSet<Offset>,
        end: Option<Offset>,
    ) -> Result<HashMap<Offset, Lag>, Error> {
        let mut lags = HashMap::with_capacity(positions.len());
        // Where one finds a record, there is one for all before it; so the first is asked last.
        let mut found = None;
        for position in positions.into_iter().rev() {
            let end = end.unwrap_or(position).max(position);
            let mut records = end.0 - position.0;
            if (1..=LITTLE).contains(&records) && found.is_none() {
                found = self.first(at, position, end).await?;
                if found.is_none() {
                    records = 0;
                }
            }
            lags.insert(position, Lag { partition: at.clone(), position, end, records });
        }
        Ok(lags)
    }

    /// The first record between two offsets, if there is one.
    async fn first(&self, at: &TopicPartition, from: Offset, end: Offset) -> Result<Option<Offset>, Error> {
        if self.watch.is_quiet(at, from, end) {
            return Ok(None);
        }
        let (until, records) = self.readers.read(at, from, 1).await?;
        if records.is_empty() {
            self.watch.quiet(at, from, until);
        }
        Ok(records.first().map(|record| record.offset))
    }

    async fn positions(
        &self,
        group: &str,
        all: Arc<[TopicPartition]>,
        keep: bool,
    ) -> Result<Vec<(TopicPartition, Offset)>, Error> {
        // Never closed.
        let _turn = self.turns.acquire().await;
        let names = self.names.clone();
        let kept = self.kept(group);
        if kept.is_none() && !keep {
            let config = self.configured(group);
            return blocking(move || {
                let client: BaseConsumer<Quiet> =
                    config.create_with_context(Quiet).map_err(|error| unavailable(&error))?;
                committed(&client, &names, &all)
            })
            .await?;
        }
        let client = match kept {
            Some(client) => client,
            None => self.client(group).await?,
        };
        let asked = client.clone();
        let answer = blocking(move || committed(&asked, &names, &all)).await.and_then(|answer| answer);
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

    fn configured(&self, group: &str) -> ClientConfig {
        let mut required = strict();
        // What counts is what is committed; that a transaction is open is no reason to have no answer.
        required.push(("isolation.level", "read_uncommitted".to_owned()));
        required.push(("group.id", self.names.outer(group)));
        configured(&self.config, &reading(1024 * 1024), &required)
    }

    async fn client(&self, group: &str) -> Result<Arc<BaseConsumer<Quiet>>, Error> {
        if let Some(client) = self.kept(group) {
            return Ok(client);
        }
        let config = self.configured(group);
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

/// The positions of the client's group. Blocks.
fn committed(
    client: &BaseConsumer<Quiet>,
    names: &Names,
    all: &[TopicPartition],
) -> Result<Vec<(TopicPartition, Offset)>, Error> {
    let mut list = TopicPartitionList::with_capacity(all.len());
    for at in all {
        add(&mut list, names, at, RawOffset::Invalid)?;
    }
    let found = client.committed_offsets(list, QUESTION).map_err(|error| unavailable(&error))?;
    let mut out = Vec::new();
    for element in found.elements() {
        if let (Some(topic), RawOffset::Offset(next)) = (names.inner(element.topic()), element.offset()) {
            out.push((TopicPartition::new(topic, element.partition().cast_unsigned()), codec::offset(next)));
        }
    }
    Ok(out)
}
