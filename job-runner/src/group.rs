//! The one file that awaits the bus: a group from its joining to its leaving.
//!
//! It owns no decision: it tells [`Core`] what happens and carries out what comes of it. Reading goes on while a commit is
//! under way, and one commit at a time is. An idle group is one pending future without any timer.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use bus::{Bus, Committed, Delivery, Generation, Member, Record, Share, Start, TopicPartition, Waiting};
use contracts::{names::GroupName, outcomes::BoxFuture};
use jiff::Timestamp;
use runtime::meter;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant as Deadline, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    OUTAGE,
    attempt::{self, Ended},
    config::Config,
    core::{Core, Counts, Effect, Launch, Layout, Limits, Now, Reading, RunKey},
    error::GroupError,
    handle::Cell,
    orders::{self, Found},
    plan::Draft,
    rebuild::{Rebuilt, layout, rebuild},
    registry::Registry,
    word::Word,
};

/// How long leaving may take before the member is dropped, which leaves as a crash would.
const LEAVE: Duration = Duration::from_secs(5);

/// How often it is looked how many partitions the events of a job with a rate have.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// What a group needs.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) registry: Registry,
    pub(crate) config: Arc<Config>,
    pub(crate) cell: Arc<Cell>,
}

/// What a group is told while it runs.
pub(crate) struct Told {
    /// How its job is run.
    pub(crate) drafts: watch::Receiver<Arc<Draft>>,
    /// What an operator has said about it.
    pub(crate) words: watch::Receiver<Word>,
}

impl Context {
    /// Reads again what was delivered once, however long the bus is away.
    fn read(&self, group: GroupName, reading: Reading) -> BoxFuture<'_, Result<Vec<Record>, bus::Error>> {
        Box::pin(async move { OUTAGE.patiently(|| reread(&*self.bus, &group, &reading)).await })
    }
}

async fn reread(bus: &dyn Bus, group: &GroupName, reading: &Reading) -> Result<Vec<Record>, bus::Error> {
    let Reading { partition, from, max_bytes, .. } = reading;
    let records = bus.read(partition, *from, *max_bytes).await?;
    if reading.is_of_lane() {
        if records.is_empty() {
            // It was committed, and can be seen soon.
            bus.changed(partition, *from).await?;
            return bus.read(partition, *from, *max_bytes).await;
        }
        return Ok(records);
    }
    if records.first().is_some_and(|first| first.offset == *from) {
        return Ok(records);
    }
    // What begins there is a hole, or was deleted.
    let begins = bus.offset(partition, Start::Earliest).await?;
    if begins > *from {
        let (group, partition) = (group.to_string(), partition.clone());
        return Err(bus::Error::PositionLost { group, partition, position: *from, begins });
    }
    if records.is_empty() {
        return Err(bus::Error::Unavailable(format!(
            "nothing to be read at {from} of `{partition}`, where records are"
        )));
    }
    Ok(records)
}

/// A group while it is a member.
struct Group<'m> {
    context: &'m Context,
    member: &'m dyn Member,
    core: Core,
    commit: Option<BoxFuture<'m, Result<Committed, bus::Error>>>,
    reading: Option<BoxFuture<'m, Result<Vec<Record>, bus::Error>>>,
    rebuilding: Option<BoxFuture<'m, Result<Rebuilt, GroupError>>>,
    /// How many partitions the job's events have, looked at again from time to time where that matters.
    layout: Option<BoxFuture<'m, Result<Layout, bus::Error>>>,
    look_again: Instant,
    /// What an order is about.
    ordering: Option<BoxFuture<'m, Result<Found, GroupError>>>,
    /// Partitions of which it is yet to be found out what waits.
    unbuilt: Vec<(TopicPartition, Generation)>,
    runs: JoinSet<(RunKey, Ended)>,
    stops: HashMap<RunKey, CancellationToken>,
    /// When those that leave are cancelled.
    grace: Option<Instant>,
    counted: Counts,
    /// When somebody last let the job go on, as far as it was heard.
    resumed: Option<Timestamp>,
    /// The catalog that was awaited last, which is said once.
    awaited: Option<u64>,
}

/// What happened next.
enum Happened {
    Stop,
    GraceOver,
    Committed(Result<Committed, bus::Error>),
    Ended(RunKey, Ended),
    Read(Result<Vec<Record>, bus::Error>),
    Rebuilt(Result<Rebuilt, GroupError>),
    Ordered(Result<Found, GroupError>),
    LaidOut(Result<Layout, bus::Error>),
    /// Something that waits is due.
    Due,
    Replanned,
    Said,
    Delivered(Result<Delivery, bus::Error>),
}

/// Runs a job until it is told to stop. Who waited for the bus to join waits no longer once it is joined.
pub(crate) async fn run(
    context: &Context,
    waiting: &mut Option<Waiting<'_>>,
    told: &mut Told,
    shutdown: &CancellationToken,
) -> Result<(), GroupError> {
    let plan = Arc::new(told.drafts.borrow_and_update().plan(&context.registry)?);
    let member = tokio::select! {
        biased;
        () = shutdown.cancelled() => return Ok(()),
        joined = context.bus.join(plan.group.as_str(), plan.reads.clone()) => joined?,
    };
    *waiting = None;
    let full_name = plan.group.full_name().to_owned();
    let limits = Limits { queue_records: context.config.queue_records, queue_bytes: context.config.queue_bytes.len() };
    let mut group = Group {
        context,
        member: member.as_ref(),
        core: Core::new(plan, limits, Now::read()),
        commit: None,
        reading: None,
        rebuilding: None,
        layout: None,
        look_again: Instant::now() + LOOK_AGAIN,
        ordering: None,
        unbuilt: Vec::new(),
        runs: JoinSet::new(),
        stops: HashMap::new(),
        grace: None,
        counted: Counts::default(),
        resumed: None,
        awaited: None,
    };
    group.hear(&told.words.borrow_and_update());
    let ended = group.work(told, shutdown).await;
    // What still runs after a failure ends with the set, as its kinds end with their futures.
    drop(group);
    if !matches!(ended, Err(GroupError::Bus(bus::Error::Stopped(_)))) {
        let left = timeout(LEAVE, member.leave()).await;
        if left.is_err() {
            tracing::debug!(job.name = full_name, "the group was not left in time; it is dropped");
        }
    }
    ended
}

/// A group that is to end: nothing more is taken, and what runs may finish.
#[derive(Default)]
struct Stopping {
    /// Why, if not because it was told to.
    failure: Option<GroupError>,
    /// The member has said all it will say.
    is_deaf: bool,
}

impl Group<'_> {
    async fn work(&mut self, told: &mut Told, shutdown: &CancellationToken) -> Result<(), GroupError> {
        let mut stopping: Option<Stopping> = None;
        loop {
            self.advance();
            if let Some(stopped) = stopping.take_if(|_| self.core.partitions() == 0 && self.commit.is_none()) {
                return stopped.failure.map_or(Ok(()), Err);
            }
            let is_deaf = stopping.as_ref().is_some_and(|stopping| stopping.is_deaf);
            let happened = self.next(told, shutdown, stopping.is_some(), is_deaf).await;
            let is_end = matches!(happened, Happened::Stop);
            let is_word = matches!(happened, Happened::Delivered(_));
            let failure = self.handle(happened, told, stopping.is_some()).err();
            if let Some(GroupError::Bus(bus::Error::Stopped(_))) = failure {
                return failure.map_or(Ok(()), Err);
            }
            // A failure of one partition is no reason to cut off what runs of the others: it ends as at a shutdown.
            if (is_end || failure.is_some()) && stopping.is_none() {
                self.core.revoke_all();
                self.grace_until(Instant::now() + self.context.config.grace.get());
                stopping = Some(Stopping::default());
            }
            if let (Some(stopping), Some(failure)) = (&mut stopping, failure) {
                stopping.is_deaf |= is_word;
                stopping.failure.get_or_insert(failure);
            }
        }
    }

    fn handle(&mut self, happened: Happened, told: &mut Told, is_stopping: bool) -> Result<(), GroupError> {
        match happened {
            Happened::Stop => {}
            Happened::GraceOver => {
                self.grace = None;
                let (runs, job) = (self.core.cancel_leaving(), self.core.plan().group.full_name());
                if runs > 0 {
                    let grace = self.context.config.grace;
                    tracing::warn!(
                        job.name = job, runs, %grace,
                        "runs are cancelled, since the grace is over; the next start takes them up again"
                    );
                }
            }
            Happened::Committed(committed) => {
                self.commit = None;
                match committed {
                    Ok(committed) => self.core.committed(committed)?,
                    Err(error) => {
                        self.core.commit_failed();
                        return Err(error.into());
                    }
                }
            }
            Happened::Ended(key, ended) => {
                self.stops.remove(&key);
                self.core.ended(key, ended, Now::read());
            }
            Happened::Read(records) => {
                self.reading = None;
                self.core.read_again(records?)?;
            }
            Happened::Rebuilt(rebuilt) => {
                self.rebuilding = None;
                self.core.rebuilt(rebuilt?, Now::read());
            }
            Happened::Ordered(found) => {
                self.ordering = None;
                self.core.carry_out(found?, Now::read());
            }
            Happened::LaidOut(layout) => {
                self.layout = None;
                self.core.lay_out(layout?, Now::read());
            }
            Happened::Due => {}
            Happened::Replanned => self.replan(&mut told.drafts)?,
            Happened::Said => self.hear(&told.words.borrow_and_update()),
            Happened::Delivered(delivery) => self.delivered(delivery?, is_stopping)?,
        }
        Ok(())
    }

    /// Takes, commits and carries out whatever is possible now.
    fn advance(&mut self) {
        if self.core.abandon_reading() {
            self.reading = None;
        }
        let now = Now::read();
        self.core.admit(now);
        if let Some(shares) = self.core.gather(now) {
            let (records, bytes) = Share::outputs(&shares);
            meter::commit(records, bytes);
            self.commit = Some(self.member.commit(shares));
        }
        for effect in self.core.effects() {
            self.carry_out(effect);
        }
        if self.ordering.is_none()
            && let Some(task) = self.core.next_task()
        {
            let (bus, plan) = (&*self.context.bus, self.core.plan().clone());
            self.ordering = Some(Box::pin(async move { orders::find(bus, &plan, task).await }));
        }
        if self.rebuilding.is_none() && !self.unbuilt.is_empty() {
            let (bus, plan) = (&*self.context.bus, self.core.plan().clone());
            let inputs = std::mem::take(&mut self.unbuilt);
            self.rebuilding = Some(Box::pin(async move { rebuild(bus, &plan, inputs).await }));
        }
        if self.layout.is_none() && self.core.wants_layout() && self.look_again <= now.steady {
            self.look_again = now.steady + LOOK_AGAIN;
            let (bus, plan) = (&*self.context.bus, self.core.plan().clone());
            self.layout = Some(Box::pin(async move { layout(bus, &plan).await }));
        }
        if !self.core.is_leaving() {
            // What left is gone: its time is not that of whatever leaves next.
            self.grace = None;
        }
        self.context.cell.show(&self.core);
        let awaited = self.core.awaited_catalog();
        if let Some(number) = awaited.filter(|_| awaited != self.awaited) {
            let job = self.core.plan().group.full_name();
            tracing::info!(job.name = job, catalog.number = number, "events wait for the catalog that named the job");
        }
        self.awaited = awaited;
        let (now, before) = (self.core.counts(), self.counted);
        if now != before {
            self.context.cell.count(now, before);
            self.counted = now;
        }
    }

    /// In this order: what ends things before what begins things.
    async fn next(
        &mut self,
        told: &mut Told,
        shutdown: &CancellationToken,
        is_stopping: bool,
        is_deaf: bool,
    ) -> Happened {
        let wants_more = self.core.wants_more() && !is_deaf;
        let look_again = Some(self.look_again).filter(|_| self.core.wants_layout() && self.layout.is_none());
        let due = self.core.next_due().into_iter().chain(look_again).min();
        tokio::select! {
            biased;
            () = shutdown.cancelled(), if !is_stopping => Happened::Stop,
            committed = pending(&mut self.commit), if self.commit.is_some() => Happened::Committed(committed),
            Some(ended) = self.runs.join_next(), if !self.runs.is_empty() => {
                let (key, ended) = ended.expect("invariant: an attempt catches its panics and is never aborted");
                Happened::Ended(key, ended)
            }
            () = until(self.grace), if self.grace.is_some() => Happened::GraceOver,
            records = pending(&mut self.reading), if self.reading.is_some() => Happened::Read(records),
            rebuilt = pending(&mut self.rebuilding), if self.rebuilding.is_some() => Happened::Rebuilt(rebuilt),
            layout = pending(&mut self.layout), if self.layout.is_some() => Happened::LaidOut(layout),
            found = pending(&mut self.ordering), if self.ordering.is_some() => Happened::Ordered(found),
            () = until(due), if due.is_some() => Happened::Due,
            Ok(()) = told.drafts.changed() => Happened::Replanned,
            Ok(()) = told.words.changed() => Happened::Said,
            delivery = self.member.next(), if wants_more => Happened::Delivered(delivery),
        }
    }

    fn delivered(&mut self, delivery: Delivery, is_stopping: bool) -> Result<(), GroupError> {
        match delivery {
            Delivery::Assigned(assignments) => {
                for assignment in assignments {
                    let partition = assignment.partition.clone();
                    self.core.assign(assignment)?;
                    if is_stopping {
                        self.core.revoke(&[partition]);
                    }
                }
            }
            Delivery::Records(partition, generation, records) => self.core.deliver(&partition, generation, records),
            Delivery::Revoking { partitions, deadline } => {
                self.core.revoke(&partitions);
                let now = Instant::now();
                // A quarter of what is left is for cancelling and for the last commit.
                let left = deadline.saturating_duration_since(now) / 4 * 3;
                self.grace_until(now + left.min(self.context.config.grace.get()));
            }
            Delivery::Lost(partitions) => partitions.iter().for_each(|partition| self.core.lose(partition)),
        }
        Ok(())
    }

    fn grace_until(&mut self, until: Instant) {
        self.grace = Some(self.grace.map_or(until, |grace| grace.min(until)));
    }

    fn replan(&mut self, drafts: &mut watch::Receiver<Arc<Draft>>) -> Result<(), GroupError> {
        let plan = drafts.borrow_and_update().plan(&self.context.registry)?;
        if plan.reads != self.core.plan().reads {
            self.member.subscribe(plan.reads.clone());
            self.look_again = Instant::now();
        }
        // A rate that is new wants to know.
        self.look_again = self.look_again.min(Instant::now());
        self.core.replan(Arc::new(plan));
        Ok(())
    }

    /// Does what an operator has said.
    fn hear(&mut self, word: &Word) {
        self.core.hold(word.hold.is_some());
        // Whoever lets it go on means that the target works by now.
        if word.resumed != self.resumed {
            self.resumed = word.resumed;
            self.core.probe_now(Now::read());
        }
        self.core.orders(word.orders.clone());
        self.context.cell.hold(word.hold.clone());
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Rebuild(partition, generation) => self.unbuilt.push((partition, generation)),
            Effect::Open(partition, generation, from) => {
                // It may still be paused: by us, for an assignment that was over without our knowing it yet.
                self.member.resume(&partition);
                self.member.open(&partition, generation, from);
            }
            Effect::Pause(partition) => self.member.pause(&partition),
            Effect::Resume(partition) => self.member.resume(&partition),
            Effect::Read(reading) => self.reading = Some(self.context.read(self.core.plan().group.clone(), reading)),
            Effect::Release(partitions) => self.member.release(&partitions),
            Effect::Launch(launch) => self.launch(launch),
            Effect::Cancel(key) => {
                if let Some(stop) = self.stops.get(&key) {
                    stop.cancel();
                }
            }
        }
    }

    fn launch(&mut self, launch: Launch) {
        let (key, stop) = (launch.key, CancellationToken::new());
        self.stops.insert(key, stop.clone());
        let (bus, plan) = (self.context.bus.clone(), self.core.plan().clone());
        self.runs.spawn(meter::inherit(async move { (key, attempt::run(bus, plan, launch, stop).await) }));
    }
}

async fn pending<T>(future: &mut Option<BoxFuture<'_, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(Deadline::from_std(instant)).await,
        None => std::future::pending().await,
    }
}
