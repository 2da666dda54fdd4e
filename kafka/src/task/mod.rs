//! What a member's task knows, and the loop that it is. See [`super::consume`].

mod astray;
mod group;
mod poll;
mod replace;
#[cfg(test)]
mod tests;
mod vigil;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset as RawOffset, TopicPartitionList,
    consumer::{CommitMode, Consumer as _},
    error::RDKafkaErrorCode,
};
use tokio::sync::{Notify, mpsc, oneshot, watch};

pub(crate) use self::{
    astray::Astray,
    vigil::{Asked, Vigil},
};
use crate::{
    cluster::{Cluster, Known, add, blocking, lock},
    codec,
    commit::Committer,
    config::Config,
    consume,
    member::{Command, Process, Shared},
    position::Fetched,
    slots::Slot,
};
use bus::{Delivery, Generation, Offset, Subscription, Topic, TopicPartition};

/// How often what nothing wakes us for is looked at.
const TICK: Duration = Duration::from_secs(1);

/// One partition that the group gave us.
struct Part {
    generation: Generation,
    /// Under which membership the group gave it to us.
    membership: u64,
    /// What the stage may be told of: its position is known.
    announced: bool,
    /// The next offset to deliver, once it is open.
    next: Option<Offset>,
    /// Whether librdkafka was told to pause it.
    stopped: bool,
}

/// What is being taken from us.
struct Revocation {
    partitions: Vec<TopicPartition>,
    left: HashSet<TopicPartition>,
    deadline: Instant,
    /// Because our subscription changed, not because of others.
    given_up: bool,
}

/// Positions that were found for an assignment.
type Found = (Generation, Vec<Fetched>);

/// The task.
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
    parts: HashMap<TopicPartition, Part>,
    revocation: Option<Revocation>,
    advice: HashMap<TopicPartition, Offset>,
    advised: Option<Instant>,
    /// Everything is stopped, because the stage takes nothing.
    choked: bool,
    /// What librdkafka was told not to fetch. It still knows when it is assigned the same partition anew.
    halted: HashSet<TopicPartition>,
    /// When consumers that had met no outage were fenced.
    fenced: Vec<Instant>,
    vigil: Vigil,
    asked: (mpsc::UnboundedSender<Asked>, mpsc::UnboundedReceiver<Asked>),
    astray: Astray,
    places: (mpsc::UnboundedSender<astray::Places>, mpsc::UnboundedReceiver<astray::Places>),
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
            parts: HashMap::new(),
            revocation: None,
            advice: HashMap::new(),
            advised: None,
            choked: false,
            halted: HashSet::new(),
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
            if self.choked && !full {
                self.unchoke();
            }
            let deadline = self.revocation.as_ref().map_or(tick, |revocation| tick.min(revocation.deadline));
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
                Some((generation, found)) = self.found.1.recv() => self.announce(generation, found),
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
        lock(&self.shared.owned).clear();
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
            Command::Resume(at) => self.resume(&at),
            Command::Subscribe(to) => {
                self.wanted = to;
                self.known.mark_changed();
            }
            Command::Advise(at, next) => {
                self.advice.insert(at, next);
                if self.advised.is_none_or(|at| at.elapsed() > TICK / 2) {
                    self.advise();
                }
            }
            Command::Release(partitions) => {
                if let Some(revocation) = &mut self.revocation {
                    partitions.iter().for_each(|at| {
                        revocation.left.remove(at);
                    });
                    if revocation.left.is_empty() {
                        self.let_go();
                    }
                }
            }
            Command::Expel(partitions) => self.expel(partitions),
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
        let (mut again, mut opened) = (Vec::new(), HashMap::with_capacity(all.len()));
        for (at, generation, from) in all {
            let ours = |part: &&mut Part| part.generation == generation && part.announced;
            let Some(part) = self.parts.get_mut(&at).filter(ours) else { continue };
            if part.next.is_some() && !opened.contains_key(&at) {
                again.push(at.clone());
            }
            (part.next, part.stopped) = (Some(from), false);
            self.shared.outbox.open(&at, generation);
            self.topics.entry(self.shared.names.outer(at.topic.as_str())).or_insert_with(|| at.topic.clone());
            opened.insert(at, from);
        }
        let consumer = self.shared.consumer();
        if !again.is_empty() {
            consumer.context().unassign(&consumer, &again);
        }
        let halted: Vec<TopicPartition> = opened.keys().filter(|at| self.halted.contains(*at)).cloned().collect();
        if !halted.is_empty() {
            self.flow(&halted, true);
        }
        if let Err(error) = consumer.context().assign(&consumer, &opened) {
            // Some are being taken from us: that is told next.
            tracing::debug!(%error, "partitions could not be opened");
        }
        next
    }

    fn resume(&mut self, at: &TopicPartition) {
        if let Some(part) = self.parts.get_mut(at).filter(|part| part.stopped) {
            part.stopped = false;
            self.flow(std::slice::from_ref(at), true);
        }
    }

    /// Tells librdkafka to fetch partitions, or not to.
    fn flow(&mut self, partitions: &[TopicPartition], on: bool) {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for at in partitions {
            if on {
                self.halted.remove(at);
            } else {
                self.halted.insert(at.clone());
            }
            list.add_partition(&self.shared.names.outer(at.topic.as_str()), at.partition.0.cast_signed());
        }
        let consumer = self.shared.consumer();
        let done = if on { consumer.resume(&list) } else { consumer.pause(&list) };
        if let Err(error) = done {
            tracing::debug!(%error, "a partition was gone before it was paused or resumed");
        }
    }

    fn advise(&mut self) {
        self.advised = Some(Instant::now());
        let mut list = TopicPartitionList::with_capacity(self.advice.len());
        for (at, next) in self.advice.drain() {
            if !self.parts.contains_key(&at) {
                continue;
            }
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

    fn expel(&mut self, partitions: Vec<TopicPartition>) {
        let ours: Vec<TopicPartition> = partitions.into_iter().filter(|at| self.parts.contains_key(at)).collect();
        if ours.is_empty() {
            return;
        }
        let membership = ours.iter().filter_map(|at| self.parts.get(at)).map(|part| part.membership).min();
        let announced = |at: &&TopicPartition| self.parts.get(at).is_some_and(|part| part.announced);
        let told: Vec<TopicPartition> = ours.iter().filter(announced).cloned().collect();
        self.drop_parts(&ours);
        let consumer = self.shared.consumer();
        consumer.context().unassign(&consumer, &ours);
        if !told.is_empty() {
            self.shared.outbox.tell(Delivery::Lost(told));
        }
        // The group's assignment stands; only what was committed must be found out.
        let revoking = self.revocation.as_ref().map(|revocation| revocation.partitions.clone()).unwrap_or_default();
        self.find(ours.into_iter().filter(|at| !revoking.contains(at)).collect(), membership.unwrap_or_default());
    }
}
