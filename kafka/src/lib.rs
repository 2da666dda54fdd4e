//! The bus on Apache Kafka, through librdkafka: the same contract for many processes on many machines.
//!
//! - `Cluster` asks what the cluster has. `read` reads without a group, `publish` writes without one.
//! - A member is a task (`consume`) around a consumer of its own: it follows the group's rebalances, fetches positions
//!   *itself* (`position`), and assigns a partition to librdkafka only when its stage opens it, with an explicit offset. So
//!   librdkafka never looks up a position, which it can get wrong while a transaction is open.
//! - All members of a process commit through one thread with one transactional producer (`commit`).
//!
//! Partitions are chosen by us (`contracts::topics::partition_of`), as on every bus.

mod astray;
pub mod client;
mod closed;
mod cluster;
pub mod codec;
mod commit;
mod consume;
mod context;
mod lag;
mod member;
mod outbox;
mod partitions;
mod position;
mod process;
mod publish;
mod reach;
mod read;
mod reports;
mod shared;
mod slots;
mod starts;
mod task;
mod threads;
mod transaction;
mod verdict;
mod vigil;
mod watch;
mod watermarks;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, OnceLock},
    time::Duration,
};

use contracts::outcomes::BoxFuture;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use client::OpenError;
pub use cluster::GroupMember;
pub use kafka_config::{Config, layout};
pub use reach::Reach;
pub use threads::{blocking, lock};

use crate::{
    cluster::Cluster, commit::Committer, lag::Lags, member::KafkaMember, process::Process, publish::Publisher,
    read::Readers, slots::Slots, starts::Starts, watch::Watch,
};
use bus::{
    Bus, Error, GroupInfo, Lag, Member, Offset, Outgoing, PublishError, Record, Spot, Start, Subscription, Topic,
    TopicInfo, TopicPartition, TopicSpec,
};

/// How often what the cluster has is asked for again.
const REFRESH: Duration = Duration::from_secs(5);
/// How soon after it was not answered.
const AGAIN: Duration = Duration::from_secs(1);

/// A bus on Kafka.
pub struct Kafka {
    config: Config,
    cluster: Arc<Cluster>,
    publisher: Publisher,
    /// Only a process with members has transactions.
    committer: OnceLock<Committer>,
    readers: Arc<Readers>,
    watch: Arc<Watch>,
    lags: Arc<Lags>,
    slots: Arc<Slots>,
    starts: Arc<Starts>,
    _upkeep: DropGuard,
}

impl Kafka {
    /// Sets up the clients, which connect as soon as they are needed. To be called within a tokio runtime.
    ///
    /// # Errors
    /// The configuration is refused by librdkafka.
    pub fn open(config: &Config) -> Result<Self, OpenError> {
        if config.brokers.is_empty() {
            return Err(OpenError::Config("`bus.kafka.brokers` names no broker".into()));
        }
        let cluster = Arc::new(Cluster::open(config)?);
        let stop = CancellationToken::new();
        let readers = Arc::new(Readers::new(config, cluster.clone()));
        let watch = Watch::start(cluster.clone(), stop.clone());
        let lags = Arc::new(Lags::new(config, cluster.clone(), readers.clone(), watch.clone()));
        tokio::spawn(upkeep(cluster.clone(), readers.clone(), lags.clone(), stop.clone()));
        Ok(Self {
            publisher: Publisher::open(config, cluster.clone())?,
            lags,
            watch,
            slots: Arc::default(),
            starts: Arc::new(Starts::new(cluster.clone(), readers.clone())),
            readers,
            committer: OnceLock::new(),
            config: config.clone(),
            cluster,
            _upkeep: stop.drop_guard(),
        })
    }

    /// Which of its clients reach no broker now.
    pub fn reach(&self) -> &Reach {
        self.cluster.reach()
    }

    /// Who is in a consumer group now.
    ///
    /// # Errors
    /// The cluster cannot be asked.
    pub async fn members(&self, group: &str) -> Result<Vec<GroupMember>, Error> {
        self.cluster.members(group).await
    }

    /// The one thread that commits; with it, what a predecessor of this instance left open is aborted.
    fn committer(&self) -> &Committer {
        self.committer.get_or_init(|| Committer::start(&self.config, self.cluster.clone()))
    }

    /// Forgets that groups have begun in partitions, of which these say the group and the topic.
    async fn unbegin(&self, which: impl Fn(&str, &str) -> bool) -> Result<(), Error> {
        let tombstones = self.starts.tombstones(which).await?;
        if !tombstones.is_empty() {
            self.publish(tombstones).await.map_err(|error| Error::Unavailable(error.to_string()))?;
        }
        Ok(())
    }

    async fn join_group(&self, group: &str, to: Subscription) -> Result<Box<dyn Member>, Error> {
        // What is known of the topics decides what is subscribed to. Many groups join at once.
        self.cluster.recent(REFRESH).await?;
        let process = Process {
            config: self.config.clone(),
            cluster: self.cluster.clone(),
            starts: self.starts.clone(),
            committer: self.committer().clone(),
        };
        let (slots, group) = (self.slots.clone(), group.to_owned());
        let runtime = tokio::runtime::Handle::current();
        // Creating a client starts threads and reads certificates.
        let member = blocking(move || {
            let _runtime = runtime.enter();
            KafkaMember::start(process, &slots, &group, to)
        });
        Ok(Box::new(member.await??))
    }
}

/// Keeps what is known of the cluster fresh, and serves its clients.
async fn upkeep(cluster: Arc<Cluster>, readers: Arc<Readers>, lags: Arc<Lags>, stop: CancellationToken) {
    let mut wait = REFRESH;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        // What fails is told by who asked.
        wait = if cluster.refresh().await.is_ok() { REFRESH } else { AGAIN };
        let (cluster, readers, lags) = (cluster.clone(), readers.clone(), lags.clone());
        let served = blocking(move || {
            cluster.serve();
            readers.serve();
            lags.serve();
        });
        if let Err(error) = served.await {
            tracing::debug!(%error, "clients could not be served");
        }
    }
}

impl Bus for Kafka {
    fn publish(&self, batch: Vec<Outgoing>) -> BoxFuture<'_, Result<Vec<Spot>, PublishError>> {
        Box::pin(self.publisher.publish(batch))
    }

    fn join(&self, group: &str, to: Subscription) -> BoxFuture<'_, Result<Box<dyn Member>, Error>> {
        let group = group.to_owned();
        Box::pin(async move { self.join_group(&group, to).await })
    }

    fn read<'a>(
        &'a self,
        at: &'a TopicPartition,
        from: Offset,
        max_bytes: usize,
    ) -> BoxFuture<'a, Result<Vec<Record>, Error>> {
        Box::pin(async move {
            self.cluster.check(at).await?;
            let (end, records) = self.readers.read(at, from, max_bytes).await?;
            if records.is_empty() {
                self.watch.quiet(at, from, end);
            }
            Ok(records)
        })
    }

    fn changed<'a>(&'a self, at: &'a TopicPartition, from: Offset) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            self.cluster.check(at).await?;
            self.watch.changed(at, from).await;
            Ok(())
        })
    }

    fn offset<'a>(&'a self, at: &'a TopicPartition, place: Start) -> BoxFuture<'a, Result<Offset, Error>> {
        Box::pin(async move {
            self.cluster.check(at).await?;
            match place {
                Start::Earliest => self.cluster.extent(at).await.map(|(begin, _)| begin),
                Start::End => self.cluster.extent(at).await.map(|(_, end)| end),
                Start::Time(time) => self.cluster.at_time(at, time).await,
            }
        })
    }

    fn offsets<'a>(
        &'a self,
        of: &'a [TopicPartition],
        place: Start,
    ) -> BoxFuture<'a, Result<HashMap<TopicPartition, Offset>, Error>> {
        Box::pin(self.cluster.offsets(of, place))
    }

    fn create(&self, topics: Vec<TopicSpec>) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.cluster.create(topics))
    }

    fn delete<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            self.cluster.delete(topic).await?;
            self.unbegin(|_, of| of == topic.as_str()).await
        })
    }

    fn topics(&self) -> BoxFuture<'_, Result<Vec<TopicInfo>, Error>> {
        Box::pin(self.cluster.topics())
    }

    fn lags<'a>(&'a self, groups: &'a [String]) -> BoxFuture<'a, Result<BTreeMap<String, Vec<Lag>>, Error>> {
        Box::pin(self.lags.of(groups))
    }

    fn groups(&self) -> BoxFuture<'_, Result<Vec<GroupInfo>, Error>> {
        Box::pin(self.cluster.groups())
    }

    fn place<'a>(
        &'a self,
        group: &'a str,
        positions: Vec<(TopicPartition, Offset)>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            if !self.cluster.members(group).await?.is_empty() {
                return Err(Error::Unavailable(format!("the group `{group}` has members; stop them first")));
            }
            for (at, _) in &positions {
                self.cluster.check(at).await?;
            }
            // Asked so that the table is there.
            self.starts.known(group, Vec::new()).await?;
            let begun = positions.iter().map(|(at, _)| starts::begun(group, at)).collect();
            self.publish(begun).await.map_err(|error| Error::Unavailable(error.to_string()))?;
            self.lags.place(group, positions).await
        })
    }

    fn forget<'a>(&'a self, group: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            self.cluster.forget(group).await?;
            self.unbegin(|of, _| of == group).await
        })
    }
}
