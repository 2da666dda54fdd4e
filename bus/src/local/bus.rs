//! The handle that stages hold: it checks what can be checked at once and queues the rest for the broker.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use contracts::outcomes::BoxFuture;
use tokio::sync::{oneshot, watch};

use crate::{
    Bus, Error, PublishError,
    local::{
        broker::{Act, Broker, Request, Standing, Work},
        chaos::Chaos,
        log::{Log, lock},
        member::LocalMember,
        storage::{Reader, Storage, StorageError},
    },
    member::{Member, Subscription},
    record::{Offset, Outgoing, Record, Spot, Topic, TopicPartition},
    refusal::check_sizes,
    topic::{GroupInfo, Lag, Start, TopicInfo, TopicSpec},
};

/// How many bytes of publications may be queued; beyond it they are refused at once instead of late.
const QUEUE_BYTES: usize = 64 * 1024 * 1024;

/// A bus within this process.
pub(crate) struct Local {
    log: Arc<Log>,
    requests: mpsc::Sender<Request>,
    queued: Arc<AtomicUsize>,
    chaos: Option<Arc<Chaos>>,
    standing: watch::Receiver<Standing>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Local {
    /// Loads what is in the store and starts the broker's thread.
    pub(crate) fn start(
        storage: Box<dyn Storage>,
        reader: Arc<dyn Reader>,
        partitions: u32,
        chaos: Option<Arc<Chaos>>,
    ) -> Result<Self, StorageError> {
        let (requests, inbox) = mpsc::channel();
        let (log, queued) = (Arc::new(Log::new(reader)), Arc::new(AtomicUsize::new(0)));
        let (tell, standing) = watch::channel(Standing::default());
        let broker = Broker::load(storage, log.clone(), partitions, queued.clone(), chaos.clone(), tell)?;
        let thread = std::thread::Builder::new()
            .name("bus".into())
            .spawn(move || broker.run(&inbox))
            .map_err(|error| StorageError(format!("cannot start a thread: {error}")))?;
        Ok(Self { log, requests, queued, chaos, standing, thread: Mutex::new(Some(thread)) })
    }

    /// Commits what is queued and ends the thread. Members and publishers are told that the bus has stopped.
    pub(crate) fn stop(&self) {
        // If the thread is gone already there is nothing to tell it.
        let _ = self.requests.send(Request::Stop);
        if let Some(thread) = lock(&self.thread).take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }

    /// Whether it can write, now and later.
    pub(crate) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    fn reason(&self) -> String {
        match &*self.standing.borrow() {
            Standing::Ended(reason) => reason.clone(),
            Standing::Writes | Standing::Fails(_) => "its thread has ended".to_owned(),
        }
    }

    /// Asks the broker, by a request that carries what it is to do.
    async fn ask<T: Send + 'static>(
        &self,
        request: fn(Act) -> Request,
        act: impl FnOnce(&mut Broker) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        // Whoever asked may have given up.
        let act = Box::new(move |broker: &mut Broker| drop(reply.send(act(broker))));
        self.requests.send(request(act)).map_err(|_| Error::Stopped(self.reason()))?;
        answer.await.unwrap_or_else(|_| Err(Error::Stopped(self.reason())))
    }

    async fn join_group(&self, group: Arc<str>, to: Subscription) -> Result<Box<dyn Member>, Error> {
        let (log, requests, chaos) = (self.log.clone(), self.requests.clone(), self.chaos.clone());
        let join = move |broker: &mut Broker| {
            let (id, inbox) = broker.groups.join(&group, to);
            // Whoever gives up joining drops it, which leaves.
            Ok(LocalMember { id, group, inbox, log, requests, chaos })
        };
        Ok(Box::new(self.ask(Request::Do, join).await?))
    }

    async fn publish_batch(&self, batch: Vec<Outgoing>) -> Result<Vec<Spot>, PublishError> {
        check_sizes(&batch)?;
        let bytes: usize = batch.iter().map(Outgoing::size).sum();
        if self.queued.fetch_add(bytes, Ordering::AcqRel) > QUEUE_BYTES {
            self.queued.fetch_sub(bytes, Ordering::AcqRel);
            return Err(PublishError::Unavailable("more is published than the disk takes".into()));
        }
        let (reply, answer) = oneshot::channel();
        let sent = self.requests.send(Request::Work(Work::Publish { batch, bytes, reply }));
        sent.map_err(|_| PublishError::Unavailable(self.reason()))?;
        answer.await.unwrap_or_else(|_| Err(PublishError::Unavailable(self.reason())))
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A bus that is one within this process, whatever stores it.
pub(crate) trait Within: Send + Sync + 'static {
    fn local(&self) -> &Local;
}

impl<W: Within> Bus for W {
    fn publish(&self, batch: Vec<Outgoing>) -> BoxFuture<'_, Result<Vec<Spot>, PublishError>> {
        Box::pin(self.local().publish_batch(batch))
    }

    fn join(&self, group: &str, to: Subscription) -> BoxFuture<'_, Result<Box<dyn Member>, Error>> {
        Box::pin(self.local().join_group(group.into(), to))
    }

    fn read<'a>(
        &'a self,
        at: &'a TopicPartition,
        from: Offset,
        max_bytes: usize,
    ) -> BoxFuture<'a, Result<Vec<Record>, Error>> {
        Box::pin(async move {
            let topic = self.local().log.find(at)?;
            let mut from = from.max(topic.extent(at.partition).begin);
            loop {
                let chunk = self.local().log.read(&topic, at.partition, from, max_bytes).await?;
                // A batch may hold nothing but a hole at its end; what follows is what was asked for.
                if !chunk.records.is_empty() || chunk.next <= from {
                    return Ok(chunk.records);
                }
                from = chunk.next;
            }
        })
    }

    fn changed<'a>(&'a self, at: &'a TopicPartition, from: Offset) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let topic = self.local().log.find(at)?;
            self.local().log.changed(&topic, at.partition, from).await
        })
    }

    fn offset<'a>(&'a self, at: &'a TopicPartition, place: Start) -> BoxFuture<'a, Result<Offset, Error>> {
        Box::pin(async move {
            let topic = self.local().log.find(at)?;
            self.local().log.offset(&topic, at.partition, place).await
        })
    }

    fn offsets<'a>(
        &'a self,
        of: &'a [TopicPartition],
        place: Start,
    ) -> BoxFuture<'a, Result<HashMap<TopicPartition, Offset>, Error>> {
        Box::pin(async move {
            let mut found = HashMap::with_capacity(of.len());
            for at in of {
                match self.offset(at, place).await {
                    Ok(offset) => drop(found.insert(at.clone(), offset)),
                    Err(Error::UnknownTopic(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(found)
        })
    }

    fn create(&self, topics: Vec<TopicSpec>) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.local().ask(Request::Do, |broker| broker.create(topics)))
    }

    fn delete<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<(), Error>> {
        let topic = topic.clone();
        Box::pin(self.local().ask(Request::Do, move |broker| broker.delete(&topic)))
    }

    fn topics(&self) -> BoxFuture<'_, Result<Vec<TopicInfo>, Error>> {
        Box::pin(async move { Ok(self.local().log.list().iter().map(|topic| topic.info.clone()).collect()) })
    }

    fn lags<'a>(&'a self, groups: &'a [String]) -> BoxFuture<'a, Result<BTreeMap<String, Vec<Lag>>, Error>> {
        Box::pin(async move {
            let groups = groups.to_vec();
            let positions = |broker: &mut Broker| {
                Ok(groups.into_iter().map(|group| (broker.groups.positions(&group), group)).collect::<Vec<_>>())
            };
            let found = self.local().ask(Request::Ask, positions).await?;
            let lag = |(partition, position): (TopicPartition, Offset)| {
                let end = self.local().log.get(&partition.topic)?.extent(partition.partition).end;
                Some(Lag { partition, position, end, records: end.0.saturating_sub(position.0) })
            };
            let each = |(positions, group): (Vec<_>, String)| (group, positions.into_iter().filter_map(lag).collect());
            Ok(found.into_iter().map(each).collect())
        })
    }

    fn groups(&self) -> BoxFuture<'_, Result<Vec<GroupInfo>, Error>> {
        Box::pin(self.local().ask(Request::Ask, |broker| Ok(broker.groups.list())))
    }

    fn place<'a>(
        &'a self,
        group: &'a str,
        positions: Vec<(TopicPartition, Offset)>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        let group = group.into();
        Box::pin(self.local().ask(Request::Do, move |broker| broker.place(&group, positions)))
    }

    fn forget<'a>(&'a self, group: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        let group = group.to_owned();
        Box::pin(self.local().ask(Request::Do, move |broker| broker.forget(&group)))
    }
}
