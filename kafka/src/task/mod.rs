//! What a member's task knows, and the loop that it is. See [`super::consume`].

mod doubts;
mod effects;
mod poll;
mod replace;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset as RawOffset, TopicPartitionList,
    consumer::{CommitMode, Consumer as _},
    error::RDKafkaErrorCode,
};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::{
    astray::{Astray, Places},
    cluster::{Cluster, Known, add},
    codec,
    commit::Committer,
    consume,
    partitions::{Fetched, Partitions},
    process::Process,
    shared::{Command, Shared},
    slots::Slot,
    threads::{blocking, lock},
    vigil::{Asked, Vigil},
};
use bus::{Generation, Offset, Subscription, Topic, TopicPartition};
use kafka_config::Config;

/// How often what nothing wakes us for is looked at.
const TICK: Duration = Duration::from_secs(1);

/// Positions that were found for an assignment.
type Found = (Generation, Vec<Fetched>);

pub(crate) struct Task {
    config: Config,
    cluster: Arc<Cluster>,
    shared: Arc<Shared>,
    /// Shared only with what runs for moments, so that it is free once we have left.
    slot: Arc<Slot>,
    committer: Committer,
    inbox: mpsc::UnboundedReceiver<Command>,
    wake: Arc<Notify>,
    known: watch::Receiver<Known>,
    found: (mpsc::UnboundedSender<Found>, mpsc::UnboundedReceiver<Found>),
    wanted: Subscription,
    subscribed: Vec<Topic>,
    topics: HashMap<String, Topic>,
    advised: Option<Instant>,
    /// When consumers that had met no outage were fenced.
    fenced: Vec<Instant>,
    vigil: Vigil,
    asked: (mpsc::UnboundedSender<Asked>, mpsc::UnboundedReceiver<Asked>),
    astray: Astray,
    places: (mpsc::UnboundedSender<Places>, mpsc::UnboundedReceiver<Places>),
    said: Vec<RDKafkaErrorCode>,
}

impl Task {
    pub(crate) fn new(
        process: Process,
        shared: Arc<Shared>,
        slot: Slot,
        wanted: Subscription,
        inbox: mpsc::UnboundedReceiver<Command>,
        wake: Arc<Notify>,
    ) -> Self {
        let Process { config, cluster, committer, .. } = process;
        let known = cluster.follow();
        Self {
            config,
            cluster,
            shared,
            slot: Arc::new(slot),
            committer,
            inbox,
            wake,
            known,
            found: mpsc::unbounded_channel(),
            wanted,
            subscribed: Vec::new(),
            topics: HashMap::new(),
            advised: None,
            fenced: Vec::new(),
            vigil: Vigil::new(Instant::now()),
            asked: mpsc::unbounded_channel(),
            astray: Astray::default(),
            places: mpsc::unbounded_channel(),
            said: Vec::new(),
        }
    }

    /// Runs until the member leaves or fails.
    pub(crate) async fn run(mut self) {
        self.resubscribe().await;
        let (mut more, mut tick) = (true, Instant::now() + TICK);
        let room = self.shared.outbox.room.clone();
        let left = 'life: loop {
            let full = !self.shared.outbox.has_room();
            if !full {
                self.with(Partitions::unchoke);
            }
            let deadline = lock(&self.shared.partitions).deadline().map_or(tick, |deadline| tick.min(deadline));
            tokio::select! {
                biased;
                command = self.inbox.recv() => {
                    let Some(command) = command else { break None };
                    let mut next = Some(command);
                    while let Some(command) = next {
                        if let Command::Leave(done) = command {
                            break 'life Some(done);
                        }
                        next = self.obey(command);
                    }
                }
                Some((generation, found)) = self.found.1.recv() => {
                    self.with(|partitions| partitions.found(generation, found));
                }
                Some(asked) = self.asked.1.recv() => self.told(asked).await,
                Some(places) = self.places.1.recv() => self.found_astray(places),
                Ok(()) = self.known.changed() => self.resubscribe().await,
                () = tokio::time::sleep_until(deadline.into()) => {
                    if tick.elapsed() > self.config.session_timeout / 2 {
                        // We were stopped for a while, which looks like an outage to us, and like our end to the group.
                        self.shared.consumer().context().shaken().note();
                    }
                    tick = Instant::now() + TICK;
                    self.tick(full);
                    more = true;
                    if full {
                        self.burst().await;
                    }
                }
                () = tokio::task::yield_now(), if more && !full => more = self.burst().await,
                () = self.wake.notified(), if !full => more = self.burst().await,
                () = room.notified(), if full => {}
            }
        };
        self.leave(left).await;
    }

    async fn leave(mut self, left: Option<oneshot::Sender<()>>) {
        self.cluster.reach().found(&self.name());
        self.shared.end();
        self.advise();
        let (consumer, slot) = (self.shared.consumer(), self.slot);
        let closed = blocking(move || {
            consume::farewell(&consumer);
            drop((consumer, slot));
        });
        if let Err(error) = closed.await {
            tracing::debug!(%error, "a member left without a farewell");
        }
        if let Some(left) = left {
            // Who dropped the member does not wait.
            let _ = left.send(());
        }
    }

    // ---- What the stage asks for ---------------------------------------------------------------------------------------

    /// Does it, and what is alike behind it; the next one, if it was taken from the queue for that.
    fn obey(&mut self, command: Command) -> Option<Command> {
        match command {
            Command::Open(at, generation, from) => return self.open_all((at, generation, from)),
            // Ends the task before it comes here.
            Command::Leave(_) => {}
            Command::Resume(at) => self.with(|partitions| partitions.resume(&at)),
            Command::Subscribe(to) => {
                self.wanted = to;
                self.known.mark_changed();
            }
            Command::Advise(at, next) => {
                lock(&self.shared.partitions).advise(&at, next);
                if self.advised.is_none_or(|at| at.elapsed() > TICK / 2) {
                    self.advise();
                }
            }
            Command::Release(which) => self.with(|partitions| partitions.released(&which)),
            Command::Expel => self.with(Partitions::expel),
        }
        None
    }

    /// Opens whatever is to be opened now, at once: librdkafka sorts all it has for each change.
    fn open_all(&mut self, first: (TopicPartition, Generation, Offset)) -> Option<Command> {
        let (mut all, mut next) = (vec![first], None);
        while let Ok(command) = self.inbox.try_recv() {
            match command {
                Command::Open(at, generation, from) => all.push((at, generation, from)),
                other => {
                    next = Some(other);
                    break;
                }
            }
        }
        self.with(|partitions| partitions.open(all));
        next
    }

    fn advise(&mut self) {
        let advice = lock(&self.shared.partitions).advice();
        if advice.is_empty() {
            return;
        }
        self.advised = Some(Instant::now());
        let mut list = TopicPartitionList::with_capacity(advice.len());
        for (at, next) in advice {
            if let Err(error) = add(&mut list, &self.shared.names, &at, RawOffset::Offset(codec::raw(next))) {
                tracing::debug!(partition = %at, %error, "a position could not be advised");
            }
        }
        if list.count() > 0
            && let Err(error) = self.shared.consumer().commit(&list, CommitMode::Async)
        {
            tracing::debug!(%error, "positions could not be advised");
        }
    }

    /// Tells the partitions something, and does what comes of it.
    fn with<T>(&mut self, tell: impl FnOnce(&mut Partitions) -> T) -> T {
        let mut partitions = lock(&self.shared.partitions);
        let told = tell(&mut partitions);
        let effects = partitions.effects();
        drop(partitions);
        effects.into_iter().for_each(|effect| self.carry_out(effect));
        told
    }
}
