//! The one place that awaits: progress is gathered while a transaction is under way, and becomes the next one.
//!
//! Everything that writes goes through one [`Writer`], handed to a blocking thread and back, so there is never more than
//! one transaction under way. Once a second what was committed is made durable, and only then is the bus advised of it.

mod gather;
mod work;

use std::{sync::Arc, time::Duration};

use bus::{Begin, Bus, Delivery, Member, Outage, Start, Subscription, TopicPartition, TopicSpec};
use contracts::topics::{COMPLETED, PROGRESS};
use runtime::meter;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use self::{
    gather::Gathered,
    work::{Done, Maintenance, PIECE, Work},
};
use crate::{
    AfterLoss, Config, Error, GROUP, Handle,
    announce::{self, Queued},
    pace::Pace,
    store::{Announced, Applied, Durable, Options, StoreError, Waiting, Writer},
    watch::Watches,
};

/// How often what was committed is made durable and the bus advised, and how often a failed transaction is tried again.
const TICK: Duration = Duration::from_secs(1);
/// How many bytes of announcements wait in memory to be published; more wait in the outbox.
const ANNOUNCED: usize = 16 * 1024 * 1024;
/// How long the last progress is read for when the stage ends, and how long the next of it is waited for.
const CATCH_UP: Duration = Duration::from_secs(1);
const LAST_WORD: Duration = Duration::from_millis(50);
/// How long the last announcements may take when the stage ends; what is left stays in the outbox.
const FAREWELL: Duration = Duration::from_secs(2);

/// What the stage needs of others.
#[derive(Clone)]
pub struct Deps {
    pub bus: Arc<dyn Bus>,
}

/// The stage.
pub struct Service {
    config: Config,
    bus: Arc<dyn Bus>,
    writer: Writer,
    watches: Watches,
    pace: Pace,
}

impl Service {
    /// Opens the store; blocks while it is migrated.
    ///
    /// # Errors
    /// [`Error::Store`]: the file is in use, foreign, of a newer format, or cannot be opened.
    pub fn new(config: Config, deps: Deps) -> Result<Self, Error> {
        let options = Options { memory_bytes: config.memory.len(), ..Options::new(config.path.clone()) };
        let writer = Writer::open(options)?;
        Ok(Self { config, bus: deps.bus, writer, watches: Watches::default(), pace: Pace::default() })
    }

    /// How others ask, before and while it runs.
    pub fn handle(&self) -> Handle {
        Handle::new(self.writer.reader(), self.watches.clone(), self.pace.clone())
    }

    /// Runs until it is told to end: then what has been read is written, and the group is left.
    ///
    /// # Errors
    /// See [`Error`]; everything that was committed stays.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let bus = &self.bus;
        let joined = OUTAGE.patiently(|| async {
            bus.create(vec![TopicSpec::new(PROGRESS), TopicSpec::new(COMPLETED)]).await?;
            bus.join(GROUP, Subscription { begin: Begin::Elsewhere, ..Subscription::to([PROGRESS]) }).await
        });
        let Some(member) = shutdown.run_until_cancelled(joined).await else { return Ok(()) };
        let member = member?;
        let (announced, to_publish) = mpsc::unbounded_channel();
        let (sent_to, sent) = watch::channel(0);
        let publisher = tokio::spawn(meter::inherit(announce::publish(self.bus.clone(), to_publish, sent_to)));
        let mut stage = Stage {
            gathered: Gathered::new(self.writer.positions()?, self.config.batch_size.len()),
            maintenance: Maintenance::new(&self.config),
            durable: self.writer.durable(),
            writer: Hands::Idle(Box::new(self.writer)),
            config: self.config,
            bus: self.bus,
            member,
            watches: self.watches,
            pace: self.pace,
            announced: Some(announced),
            publisher: AbortOnDropHandle::new(publisher),
            sent,
            room: Arc::new(Semaphore::new(ANNOUNCED)),
            behind: Some(Waiting::default()),
            syncing: None,
            held: false,
        };
        stage.serve(&shutdown).await
    }
}

/// Who waits, in the log.
static OUTAGE: Outage = Outage::of("results");

/// The positions that are durable now.
type Synced = Result<Vec<(u32, bus::Offset)>, StoreError>;

/// Where the writer is.
enum Hands {
    Idle(Box<Writer>),
    Busy(JoinHandle<(Box<Writer>, Done)>),
    /// Only while it changes hands.
    Empty,
}

/// The stage while it runs.
struct Stage {
    config: Config,
    bus: Arc<dyn Bus>,
    member: Box<dyn Member>,
    watches: Watches,
    pace: Pace,
    writer: Hands,
    gathered: Gathered,
    maintenance: Maintenance,
    durable: Durable,
    /// None once the stage ends.
    announced: Option<mpsc::UnboundedSender<Queued>>,
    publisher: AbortOnDropHandle<()>,
    sent: watch::Receiver<i64>,
    /// A permit for each byte that may still wait in memory.
    room: Arc<Semaphore>,
    /// While announcements are read from the outbox, where it goes on.
    behind: Option<Waiting>,
    syncing: Option<JoinHandle<Synced>>,
    /// Whether a transaction failed and is not tried again before the next tick.
    held: bool,
}

impl Stage {
    async fn serve(&mut self, shutdown: &CancellationToken) -> Result<(), Error> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.begin();
            // In this order: an end that was asked for, then what frees the writer or gives it something to do, then more to
            // read.
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                done = finished(&mut self.writer) => self.finish(done?)?,
                _ = self.room.clone().acquire_many_owned(PIECE as u32), if self.behind.is_some() && !self.has_room() => {}
                positions = synced(&mut self.syncing) => self.advise(positions??),
                delivery = self.member.next() => self.take(delivery?, shutdown).await?,
                _ = tick.tick() => self.tick()?,
            }
        }
        self.catch_up(shutdown).await?;
        self.end().await
    }

    /// Reads what the stages before told last, which have ended by now: their last progress is on the bus, and on its way.
    async fn catch_up(&mut self, shutdown: &CancellationToken) -> Result<(), Error> {
        let until = Instant::now() + CATCH_UP;
        while !self.gathered.is_full() && Instant::now() < until {
            match timeout(LAST_WORD, self.member.next()).await {
                Ok(Ok(delivery)) => self.take(delivery, shutdown).await?,
                // What cannot be read now is read by whoever comes next.
                Ok(Err(_)) | Err(_) => break,
            }
        }
        Ok(())
    }

    /// Hands the writer what is to be done next, if it is idle and there is anything.
    fn begin(&mut self) {
        let Hands::Idle(_) = self.writer else { return };
        let sent = *self.sent.borrow();
        let backlog = self.behind.filter(|_| self.announced.is_some() && self.has_room());
        let Some(work) = self.maintenance.next(&mut self.gathered, self.held, sent, backlog) else { return };
        if matches!(work, Work::Apply(_)) && self.gathered.is_paused() {
            self.gathered.resume(&*self.member);
        }
        if let Hands::Idle(writer) = std::mem::replace(&mut self.writer, Hands::Empty) {
            self.writer = Hands::Busy(tokio::task::spawn_blocking(meter::blocking(move || work.run(writer))));
        }
    }

    fn finish(&mut self, (writer, done): (Box<Writer>, Done)) -> Result<(), Error> {
        self.writer = Hands::Idle(writer);
        match done {
            Done::Applied(batch, Ok(applied)) => {
                self.gathered.committed(&batch);
                self.tell(applied);
            }
            Done::Applied(batch, Err(error)) if error.is_passing() => {
                tracing::error!(%error, records = batch.records.len(), "progress waits until the store takes it");
                self.gathered.put_back(batch);
                self.held = true;
            }
            Done::Applied(_, Err(error)) => return Err(error.into()),
            Done::Expired(Ok((applied, done))) => {
                self.maintenance.expired(done);
                self.tell(applied);
            }
            Done::Trimmed(Ok(trimmed)) => {
                self.maintenance.trimmed(trimmed.more);
                if trimmed.deleted > 0 {
                    tracing::info!(store.deleted = trimmed.deleted, "retention deleted invocations");
                }
            }
            Done::Outbox(Ok(None)) => self.behind = None,
            Done::Outbox(Ok(Some(announced))) => {
                let next = announced.next();
                if self.hand_on(announced) {
                    self.behind = Some(next);
                }
            }
            Done::Expired(Err(error)) | Done::Trimmed(Err(error)) | Done::Outbox(Err(error)) => {
                if !error.is_passing() {
                    return Err(error.into());
                }
                tracing::warn!(%error, "the store's upkeep waits");
                self.maintenance.postpone();
            }
        }
        Ok(())
    }

    /// Tells whoever watches, and whoever publishes.
    fn tell(&mut self, applied: Applied) {
        self.watches.tell(&applied.changes);
        self.pace.hear(applied.steps);
        let Some(announced) = applied.announced else { return };
        // Behind what still waits in the outbox, everything waits there.
        if self.behind.is_none() {
            let (whole, rest) = (Waiting { id: announced.id, index: 0 }, announced.rest.map(|_| announced.next()));
            let fits = announced.bytes <= self.room.available_permits();
            self.behind = if fits && self.hand_on(announced) { rest } else { Some(whole) };
        }
    }

    /// Whether more may be read from the outbox.
    fn has_room(&self) -> bool {
        self.room.available_permits() >= PIECE
    }

    /// Hands on what is to be published, in the room that there is: what is too large for it is one summary. False once
    /// nothing is published any more.
    fn hand_on(&self, announced: Announced) -> bool {
        let bytes = announced.bytes.min(self.room.available_permits()) as u32;
        // Only this takes room.
        let Ok(room) = self.room.clone().try_acquire_many_owned(bytes) else { return false };
        self.announced.as_ref().is_some_and(|to| to.send((announced, room)).is_ok())
    }

    fn tick(&mut self) -> Result<(), Error> {
        self.durable.check()?;
        self.held = false;
        self.maintenance.tick(Instant::now());
        if self.syncing.is_none() && self.gathered.is_unadvised() {
            let (durable, positions) = (self.durable.clone(), self.gathered.unadvised());
            self.syncing = Some(tokio::task::spawn_blocking(move || durable.sync().map(|()| positions)));
        }
        Ok(())
    }

    fn advise(&mut self, positions: Vec<(u32, bus::Offset)>) {
        for (partition, next) in positions {
            self.member.advise(&TopicPartition::new(PROGRESS, partition), next);
        }
    }

    async fn take(&mut self, delivery: Delivery, shutdown: &CancellationToken) -> Result<(), Error> {
        match delivery {
            Delivery::Records(at, generation, records) => {
                self.gathered.add(at.partition.0, generation, records);
                if self.gathered.is_full() {
                    self.gathered.pause(&*self.member);
                }
            }
            Delivery::Assigned(assignments) => {
                self.settle().await?;
                for assignment in assignments {
                    let Some(from) = self.start(&assignment.partition, shutdown).await? else { return Ok(()) };
                    self.gathered.assign(assignment.partition.partition.0, assignment.generation);
                    self.member.open(&assignment.partition, assignment.generation, from);
                    // From now on retention keeps what is yet to be read.
                    self.member.advise(&assignment.partition, from);
                }
            }
            Delivery::Revoking { partitions, .. } => {
                self.settle().await?;
                self.gathered.drop_partitions(&partitions);
                self.member.release(&partitions);
            }
            Delivery::Lost(partitions) => {
                self.settle().await?;
                self.gathered.drop_partitions(&partitions);
            }
        }
        Ok(())
    }

    /// Where a partition is opened: at the store's own position, else at its begin; none if the shutdown came first.
    async fn start(&mut self, at: &TopicPartition, shutdown: &CancellationToken) -> Result<Option<bus::Offset>, Error> {
        let bus = &self.bus;
        let extent = OUTAGE
            .patiently(|| async { Ok((bus.offset(at, Start::Earliest).await?, bus.offset(at, Start::End).await?)) });
        let Some(extent) = shutdown.run_until_cancelled(extent).await else { return Ok(None) };
        let (begins, end) = extent?;
        let Some(position) = self.gathered.position(at.partition.0) else { return Ok(Some(begins)) };
        if position > end {
            return Err(Error::OtherBus { partition: at.clone(), position, end });
        }
        if position >= begins {
            return Ok(Some(position));
        }
        let error = Error::Deleted { partition: at.clone(), position, begins };
        match self.config.after_loss {
            AfterLoss::Stop => Err(error),
            AfterLoss::Continue => {
                tracing::error!(%error, bus.partition = at.partition.0, "going on without the progress that was deleted");
                Ok(Some(begins))
            }
        }
    }

    /// Waits until the writer is idle.
    async fn settle(&mut self) -> Result<(), Error> {
        if let Hands::Busy(_) = self.writer {
            let done = finished(&mut self.writer).await?;
            self.finish(done)?;
        }
        Ok(())
    }

    /// Writes what was read, makes it durable, and leaves.
    async fn end(&mut self) -> Result<(), Error> {
        self.settle().await?;
        self.maintenance.stop();
        self.begin();
        self.settle().await?;
        // What is published in time leaves the outbox; the rest is published by whoever opens the store next.
        self.announced = None;
        if timeout(FAREWELL, &mut self.publisher).await.is_err() {
            tracing::warn!("summaries are left in the outbox: the bus did not take them in time");
        }
        self.maintenance.flush();
        self.begin();
        self.settle().await?;
        let (durable, positions) = (self.durable.clone(), self.gathered.unadvised());
        let synced = tokio::task::spawn_blocking(move || durable.sync().map(|()| positions)).await?;
        self.advise(synced?);
        self.member.leave().await;
        Ok(())
    }
}

/// Ends when the writer comes back; never while it is idle. Safe to cancel.
async fn finished(writer: &mut Hands) -> Result<(Box<Writer>, Done), tokio::task::JoinError> {
    match writer {
        Hands::Busy(task) => task.await,
        Hands::Idle(_) | Hands::Empty => std::future::pending().await,
    }
}

/// Ends when a sync has ended; never while there is none. Safe to cancel.
async fn synced(syncing: &mut Option<JoinHandle<Synced>>) -> Result<Synced, tokio::task::JoinError> {
    let Some(task) = syncing else { return std::future::pending().await };
    let done = task.await;
    *syncing = None;
    done
}

#[cfg(test)]
mod tests;
