//! The loop: records in, decisions, one hop under way at a time.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use bus::{Assignment, Bus, Committed, Delivery, Generation, Member, Offset, TopicPartition};
use catalog::Catalog;
use contracts::{outcomes::BoxFuture, topics};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    decide::Decider,
    error::Error,
    handle::{Counters, Handle},
    partition::Partition,
};

/// The detector's consumer group.
pub const GROUP: &str = "detector";
/// How many bytes may wait for the commit under way before no more records are taken.
const PENDING_BYTES: usize = 8 * 1024 * 1024;

/// A numbered catalog.
#[derive(Debug, Clone)]
pub struct CatalogView {
    /// Its number, which events and results name.
    pub number: u64,
    /// What it compiled to.
    pub catalog: Arc<Catalog>,
}

/// What the detector needs of others.
pub struct Deps {
    /// The bus.
    pub bus: Arc<dyn Bus>,
    /// The catalog that counts; none until there is a record of one.
    pub catalog: watch::Receiver<Option<CatalogView>>,
}

/// The stage. See the crate.
pub struct Service {
    config: Arc<Config>,
    deps: Deps,
    counters: Arc<Counters>,
}

/// What is known of the partitions of one membership.
#[derive(Default)]
struct Partitions {
    /// Rebuilt: what is read of these is decided.
    open: HashMap<TopicPartition, Partition>,
    /// Rebuilt, and to be opened from there once there is a catalog.
    closed: Vec<(TopicPartition, Offset)>,
    /// Assigned, and not rebuilt yet.
    expected: HashMap<TopicPartition, Generation>,
    /// What the commit under way is about: what is said of its shares concerns these assignments alone.
    committing: HashMap<TopicPartition, Generation>,
    /// To be given back as soon as what is decided about them is committed.
    revoking: HashSet<TopicPartition>,
    rebuilds: JoinSet<Result<(TopicPartition, Partition, Offset), Error>>,
}

type Commit<'m> = BoxFuture<'m, Result<Committed, bus::Error>>;

impl Service {
    /// The stage, not started yet.
    pub fn new(config: Config, deps: Deps) -> Self {
        Self { config: Arc::new(config), deps, counters: Arc::default() }
    }

    /// What others may ask while it runs.
    pub fn handle(&self) -> Handle {
        Handle(self.counters.clone())
    }

    /// Runs until `shutdown`, then commits what is decided and leaves.
    ///
    /// # Errors
    /// The bus refuses for good, or a memory cannot be rebuilt; the stage may be started again.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), Error> {
        let member = self.deps.bus.join(GROUP, vec![topics::RAW.into()]).await?;
        let mut view = self.deps.catalog.borrow_and_update().clone();
        if view.is_none() {
            tracing::info!("the detector waits for a catalog");
        }
        let mut partitions = Partitions::default();
        let mut commit: Option<Commit<'_>> = None;
        loop {
            if view.is_some() {
                partitions.open(&*member);
            }
            if commit.is_none() {
                partitions.release(&*member);
                commit = partitions.begin_commit(&*member);
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                // What is done comes first, so that the next commit starts before more is read.
                done = finished(&mut commit) => {
                    commit = None;
                    partitions.committed(&done?);
                }
                Some(rebuilt) = partitions.rebuilds.join_next() => partitions.rebuilt(rebuilt??),
                // A follower that is gone gives no catalog any more; what there is goes on counting.
                Ok(()) = self.deps.catalog.changed(), if view.is_none() => self.adopt_newer(&mut view),
                told = member.next(), if partitions.bytes() < PENDING_BYTES => {
                    if self.deps.catalog.has_changed().unwrap_or(false) {
                        self.adopt_newer(&mut view);
                    }
                    self.told(view.as_ref(), &mut partitions, told?);
                    // A delivery may take milliseconds; others have their turn.
                    tokio::task::yield_now().await;
                }
            }
        }
        if let Some(commit) = commit {
            commit.await?;
        }
        if let Some(last) = partitions.begin_commit(&*member) {
            last.await?;
        }
        member.leave().await;
        Ok(())
    }

    fn adopt_newer(&mut self, view: &mut Option<CatalogView>) {
        if let Some(newer) = self.deps.catalog.borrow_and_update().clone() {
            *view = Some(newer);
        }
    }

    fn told(&self, view: Option<&CatalogView>, partitions: &mut Partitions, told: Delivery) {
        match told {
            Delivery::Records(at, generation, records) => {
                // Nothing is opened, and so nothing delivered, before there is a catalog.
                let Some(view) = view else { return };
                let decider = Decider { catalog: &view.catalog, number: view.number, config: &self.config };
                let open = partitions.open.get_mut(&at).filter(|open| open.generation() == generation);
                if let Some(partition) = open {
                    self.counters.add(partition.take(&decider, &records));
                }
            }
            Delivery::Assigned(assignments) => partitions.assigned(&self.deps.bus, &self.config, assignments),
            Delivery::Revoking { partitions: going, .. } => partitions.revoking.extend(going),
            Delivery::Lost(gone) => partitions.forget(&gone),
        }
    }
}

/// Ends with the commit under way; never, if there is none.
async fn finished(commit: &mut Option<Commit<'_>>) -> Result<Committed, bus::Error> {
    match commit {
        Some(commit) => commit.await,
        None => std::future::pending().await,
    }
}

impl Partitions {
    fn bytes(&self) -> usize {
        self.open.values().map(Partition::bytes).sum()
    }

    /// Begins to rebuild the memory of each; what is read meanwhile of others goes on.
    fn assigned(&mut self, bus: &Arc<dyn Bus>, config: &Arc<Config>, assignments: Vec<Assignment>) {
        for assignment in assignments {
            let at = assignment.partition.clone();
            self.revoking.remove(&at);
            self.expected.insert(at.clone(), assignment.generation);
            let (bus, config) = (bus.clone(), config.clone());
            self.rebuilds.spawn(async move {
                let (partition, start) = Partition::rebuild(bus, config, assignment).await?;
                Ok((at, partition, start))
            });
        }
    }

    fn rebuilt(&mut self, (at, partition, start): (TopicPartition, Partition, Offset)) {
        // Meanwhile it may have been lost, or assigned anew.
        if self.expected.get(&at) == Some(&partition.generation()) {
            self.expected.remove(&at);
            self.closed.push((at.clone(), start));
            self.open.insert(at, partition);
        }
    }

    fn open(&mut self, member: &dyn Member) {
        for (at, start) in self.closed.drain(..) {
            if let Some(partition) = self.open.get(&at) {
                member.open(&at, partition.generation(), start);
            }
        }
    }

    fn begin_commit<'m>(&mut self, member: &'m dyn Member) -> Option<Commit<'m>> {
        let shares: Vec<_> = self.open.values_mut().filter_map(Partition::share).collect();
        self.committing = shares.iter().map(|share| (share.partition.clone(), share.generation)).collect();
        (!shares.is_empty()).then(|| member.commit(shares))
    }

    fn committed(&mut self, committed: &Committed) {
        for at in committed.left_out.iter().chain(&committed.lost) {
            let current = self.open.get(at).map(Partition::generation);
            if current.is_some() && current == self.committing.get(at).copied() {
                self.open.remove(at);
                self.closed.retain(|(closed, _)| closed != at);
                self.revoking.remove(at);
            }
        }
    }

    /// Gives back what is being revoked; called when no commit is under way and nothing else of it is decided.
    fn release(&mut self, member: &dyn Member) {
        let idle = |at: &TopicPartition| self.open.get(at).is_none_or(|partition| partition.is_idle());
        let going: Vec<TopicPartition> = self.revoking.iter().filter(|at| idle(at)).cloned().collect();
        if !going.is_empty() {
            self.forget(&going);
            member.release(&going);
        }
    }

    fn forget(&mut self, partitions: &[TopicPartition]) {
        for at in partitions {
            self.open.remove(at);
            self.closed.retain(|(closed, _)| closed != at);
            self.expected.remove(at);
            self.revoking.remove(at);
        }
    }
}
