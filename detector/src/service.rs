//! The loop: records in, decisions, one hop under way at a time.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use bus::{
    Assignment, Bus, Committed, Delivery, Generation, Member, Offset, Share, Subscription, TopicPartition, Waiting,
};
use catalog::Catalog;
use contracts::{outcomes::BoxFuture, topics};
use jiff::Timestamp;
use runtime::meter;
use tokio::{
    sync::watch,
    task::{AbortHandle, JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::{
    OUTAGE, aside,
    config::Config,
    decide::Decider,
    error::Error,
    handle::{Counters, Handle},
    partition::Partition,
    rebuild::Rebuilder,
    seen::Seen,
};

/// The detector's consumer group.
pub const GROUP: &str = "detector";
/// How many bytes may wait for the commit under way before no more records are taken.
const PENDING_BYTES: usize = 16 * 1024 * 1024;

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
struct Partitions {
    /// Rebuilt: what is read of these is decided.
    open: HashMap<TopicPartition, Partition<Seen>>,
    /// Rebuilt, and to be opened from there once there is a catalog, and one that is new enough.
    closed: Vec<(TopicPartition, Offset)>,
    /// Assigned, and not rebuilt yet.
    rebuilding: HashMap<TopicPartition, (Generation, AbortHandle)>,
    /// The newest catalog that was said to be waited for.
    awaited: u64,
    /// To be given back as soon as what is decided about them is committed.
    revoking: HashSet<TopicPartition>,
    rebuilder: Rebuilder,
    rebuilds: JoinSet<Rebuilt>,
}

type Rebuilt = Result<(TopicPartition, Partition<Seen>, Offset), Error>;
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
        let mut waiting = None;
        loop {
            let bus = self.deps.bus.clone();
            let member = tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                joined = OUTAGE.patiently(|| bus.join(GROUP, Subscription::to([topics::RAW]))) => joined?,
            };
            let rebuilder = Rebuilder::new(bus.clone(), self.config.clone());
            match self.work(&*member, Partitions::new(rebuilder), &mut waiting, &shutdown).await {
                Ok(()) => {
                    member.leave().await;
                    return Ok(());
                }
                // What was decided and not committed is decided again.
                Err(Error::Bus(error @ bus::Error::Unavailable(_))) => {
                    drop(member);
                    let pause = waiting.get_or_insert_with(|| OUTAGE.begins(&error)).pause();
                    tokio::select! {
                        () = shutdown.cancelled() => return Ok(()),
                        () = pause => {}
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Works as a member of the group until the shutdown.
    async fn work(
        &mut self,
        member: &dyn Member,
        mut partitions: Partitions,
        waiting: &mut Option<Waiting<'_>>,
        shutdown: &CancellationToken,
    ) -> Result<(), Error> {
        let mut view = self.deps.catalog.borrow_and_update().clone();
        if view.is_none() {
            tracing::info!("the detector waits for a catalog");
        }
        let mut commit: Option<Commit<'_>> = None;
        loop {
            if let Some(view) = &view {
                partitions.open(member, view.number);
            }
            if commit.is_none() {
                partitions.release(member);
                commit = partitions.begin_commit(member);
            }
            if self.decide(view.as_ref(), &mut partitions) && commit.is_none() {
                continue;
            }
            let awaits_catalog = view.is_none() || !partitions.closed.is_empty();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                // What is done comes first, so that the next commit starts before more is read.
                done = finished(&mut commit) => {
                    commit = None;
                    partitions.committed(done?)?;
                }
                Some(rebuilt) = partitions.rebuilds.join_next() => partitions.rebuilt(rebuilt)?,
                // A follower that is gone gives no catalog any more; what there is goes on counting.
                Ok(()) = self.deps.catalog.changed(), if awaits_catalog => self.adopt_newer(&mut view),
                told = member.next(), if partitions.have_room() => {
                    if self.deps.catalog.has_changed().unwrap_or(false) {
                        self.adopt_newer(&mut view);
                    }
                    partitions.told(told?);
                    *waiting = None;
                    // A delivery may take milliseconds; others have their turn.
                    tokio::task::yield_now().await;
                }
            }
        }
        if let Some(commit) = commit {
            partitions.committed(commit.await?)?;
        }
        // What is refused of the last is set aside and committed, too; each time less is left to refuse.
        while let Some(last) = partitions.begin_commit(member) {
            partitions.committed(last.await?)?;
        }
        Ok(())
    }

    fn adopt_newer(&mut self, view: &mut Option<CatalogView>) {
        if let Some(newer) = self.deps.catalog.borrow_and_update().clone() {
            *view = Some(newer);
        }
    }

    /// Decides about what was delivered, as far as there is room for what comes of it; tells whether anything was decided.
    fn decide(&self, view: Option<&CatalogView>, partitions: &mut Partitions) -> bool {
        // Nothing is opened, and so nothing delivered, before there is a catalog.
        let Some(view) = view else { return false };
        let decider = Decider { catalog: &view.catalog, number: view.number, config: &self.config };
        let mut room = PENDING_BYTES.saturating_sub(partitions.bytes());
        let mut decided = false;
        for partition in partitions.open.values_mut().filter(|partition| partition.is_behind()) {
            let before = partition.bytes();
            self.counters.add(partition.decide(&decider, before + room, Timestamp::now()));
            decided |= partition.bytes() > before;
            room = room.saturating_sub(partition.bytes() - before);
        }
        decided
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
    fn new(rebuilder: Rebuilder) -> Self {
        Self {
            open: HashMap::new(),
            closed: Vec::new(),
            rebuilding: HashMap::new(),
            awaited: 0,
            revoking: HashSet::new(),
            rebuilder,
            rebuilds: JoinSet::new(),
        }
    }

    fn bytes(&self) -> usize {
        self.open.values().map(Partition::bytes).sum()
    }

    /// Whether more is read: everything that was is decided, and there is room for what comes of it.
    fn have_room(&self) -> bool {
        self.bytes() < PENDING_BYTES && !self.open.values().any(Partition::is_behind)
    }

    fn told(&mut self, told: Delivery) {
        match told {
            Delivery::Records(at, generation, records) => {
                if let Some(partition) = self.open.get_mut(&at).filter(|open| open.generation() == generation) {
                    partition.take(records);
                }
            }
            Delivery::Assigned(assignments) => self.assigned(assignments),
            Delivery::Revoking { partitions: going, .. } => {
                for at in going {
                    if let Some(partition) = self.open.get_mut(&at) {
                        partition.stop();
                    }
                    self.revoking.insert(at);
                }
            }
            Delivery::Lost(gone) => self.forget(&gone),
        }
    }

    /// Begins to rebuild the memory of each; what is read meanwhile of others goes on.
    fn assigned(&mut self, assignments: Vec<Assignment>) {
        for assignment in assignments {
            let (at, generation) = (assignment.partition.clone(), assignment.generation);
            self.forget(std::slice::from_ref(&at));
            let (rebuilder, key) = (self.rebuilder.clone(), at.clone());
            let rebuild = self.rebuilds.spawn(meter::inherit(async move {
                let (partition, start) = rebuilder.run(assignment).await?;
                Ok((key, partition, start))
            }));
            self.rebuilding.insert(at, (generation, rebuild));
        }
    }

    fn rebuilt(&mut self, rebuilt: Result<Rebuilt, JoinError>) -> Result<(), Error> {
        let (at, partition, start) = match rebuilt {
            // It was lost meanwhile, and the rebuild with it.
            Err(error) if error.is_cancelled() => return Ok(()),
            rebuilt => rebuilt??,
        };
        // It may also have ended a moment before it was lost, or assigned anew.
        let is_current = |(generation, _): &(Generation, AbortHandle)| *generation == partition.generation();
        if self.rebuilding.get(&at).is_some_and(is_current) {
            self.rebuilding.remove(&at);
            self.closed.push((at.clone(), start));
            self.open.insert(at, partition);
        }
        Ok(())
    }

    /// Opens what is rebuilt and was never decided by a newer catalog than this one.
    fn open(&mut self, member: &dyn Member, catalog: u64) {
        self.closed.retain(|(at, start)| {
            let Some(partition) = self.open.get(at) else { return false };
            let needs = partition.needs();
            if needs <= catalog {
                member.open(at, partition.generation(), *start);
            } else if needs > self.awaited {
                self.awaited = needs;
                tracing::info!(
                    partition = %at, catalog.number = needs,
                    "records wait for the catalog that decided those before them, in another process"
                );
            }
            needs > catalog
        });
    }

    fn begin_commit<'m>(&mut self, member: &'m dyn Member) -> Option<Commit<'m>> {
        let shares: Vec<_> = self.open.values_mut().filter_map(Partition::share).collect();
        if shares.is_empty() {
            return None;
        }
        let (records, bytes) = Share::outputs(&shares);
        meter::commit(records, bytes);
        Some(member.commit(shares))
    }

    fn committed(&mut self, committed: Committed) -> Result<(), Error> {
        for (at, generation) in committed.left_out.iter().chain(&committed.lost) {
            if self.open.get(at).is_some_and(|open| open.generation() == *generation) {
                self.forget(std::slice::from_ref(at));
            }
        }
        for refused in committed.refused {
            let (at, generation) = refused.share.assigned();
            let share = aside::set_aside(refused)?;
            // What was decided stands: it is committed before what has been decided meanwhile.
            if let Some(open) = self.open.get_mut(&at).filter(|open| open.generation() == generation) {
                open.put_back(share);
            }
        }
        Ok(())
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
            self.revoking.remove(at);
            if let Some((_, rebuild)) = self.rebuilding.remove(at) {
                rebuild.abort();
            }
        }
    }
}
