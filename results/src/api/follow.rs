//! A live stream of named events, from the end of their topics on, and of topics that appear later from their begin.

use std::{collections::HashSet, sync::Arc, time::Duration};

use axum::{http::StatusCode, response::sse::Event};
use bus::{Bus, Offset, Record, Start, TopicInfo, TopicPartition};
use contracts::{pattern::fits, topics::EVENT_PREFIX};
use futures_util::{Stream, stream};
use runtime::problem::Problem;
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{stream as sse, structured::Structured};

/// How often new topics are looked for, and how long to wait when the bus cannot be read.
const LOOK: Duration = Duration::from_secs(1);
/// How many bytes wait for a slow reader, whichever partitions they are of; then reading waits, and nothing is passed
/// over. One event may be larger.
const AHEAD: usize = 128 * 1024;
/// What an event takes beside its bytes: an empty one takes room, too.
const EMPTY: usize = 1024;
/// How many bytes are read at once.
const CHUNK: usize = 64 * 1024;
/// How many patterns a stream may name.
const PATTERNS: usize = 100;

/// Which events are wanted: names in which `*` stands for anything.
#[derive(Debug, Clone)]
pub(super) struct Wanted(Vec<String>);

impl Wanted {
    /// Any of these; everything if there are none.
    pub(super) fn new<'a>(patterns: impl Iterator<Item = &'a str>) -> Result<Self, Problem> {
        let patterns: Vec<String> = patterns.map(str::to_owned).collect();
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '*');
        match patterns.iter().find(|pattern| pattern.is_empty() || !pattern.chars().all(allowed)) {
            _ if patterns.len() > PATTERNS => {
                Err(Problem::new(StatusCode::BAD_REQUEST, format!("at most {PATTERNS} names can be given")))
            }
            Some(bad) => {
                let detail = format!("{bad:?} is no name of events; `*` stands for any part, as in `move.*`");
                Err(Problem::new(StatusCode::BAD_REQUEST, detail))
            }
            None => Ok(Self(patterns)),
        }
    }

    /// Whether an event is wanted.
    pub(super) fn takes(&self, event: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| fits(pattern, event))
    }

    fn takes_topic(&self, info: &TopicInfo) -> bool {
        info.topic.as_str().strip_prefix(EVENT_PREFIX).is_some_and(|event| self.takes(event))
    }
}

/// The stream. It begins where the topics end at this call, and has its place until it ends.
pub(super) async fn events(
    bus: Arc<dyn Bus>,
    seen: Seen,
    wanted: Wanted,
    place: OwnedSemaphorePermit,
) -> Result<impl Stream<Item = Event> + Send, bus::Error> {
    let topics = bus.topics().await?;
    let partitions: Vec<_> = topics.iter().filter(|info| wanted.takes_topic(info)).flat_map(TopicInfo::each).collect();
    let mut ends = bus.offsets(&partitions, Start::End).await?;
    let starts = partitions.into_iter().map(|at| (ends.remove(&at), at)).collect();
    let (to, from) = mpsc::unbounded_channel();
    let to = Reader { to, room: Arc::new(Semaphore::new(AHEAD)), reading: Arc::new(Semaphore::new(1)) };
    tokio::spawn(follow(bus, seen, wanted, starts, to));
    // The bytes of an event are free again when the next one is asked for: then it has been handed on.
    Ok(stream::unfold((from, None, place), |(mut from, sent, place)| async move {
        drop(sent);
        let (event, held): (Event, OwnedSemaphorePermit) = from.recv().await?;
        Some((event, (from, Some(held), place)))
    }))
}

/// Where the events of a stream go. Each holds its bytes of the room until its reader has taken it.
#[derive(Clone)]
struct Reader {
    to: mpsc::UnboundedSender<(Event, OwnedSemaphorePermit)>,
    room: Arc<Semaphore>,
    /// Held by the partition that reads from the bus, until what it read is in the room: what has been read and has no
    /// room yet is that of one partition.
    reading: Arc<Semaphore>,
}

impl Reader {
    /// Waits for room; false once the reader is gone.
    async fn send(&self, record: &Record, at: &TopicPartition) -> bool {
        let size = (record.value().len() + EMPTY).min(AHEAD) as u32;
        let held = tokio::select! {
            () = self.to.closed() => return false,
            held = self.room.clone().acquire_many_owned(size) => held.expect("invariant: the room is never closed"),
        };
        let event = sse::event("event", &Structured(record)).id(format!("{at}/{}", record.offset));
        self.to.send((event, held)).is_ok()
    }
}

/// Follows each partition in a task of its own, until the reader is gone.
async fn follow(
    bus: Arc<dyn Bus>,
    seen: Seen,
    wanted: Wanted,
    starts: Vec<(Option<Offset>, TopicPartition)>,
    to: Reader,
) {
    let mut tasks = JoinSet::new();
    let mut known: HashSet<TopicPartition> = HashSet::new();
    for (from, at) in starts {
        known.insert(at.clone());
        tasks.spawn(partition(bus.clone(), at, from, to.clone()));
    }
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = to.to.closed() => return,
            _ = look.tick() => {}
        }
        // A topic that ended was deleted; if it is there again, it is followed again.
        while let Some(ended) = tasks.try_join_next() {
            match ended {
                Ok(ended) => drop(known.remove(&ended)),
                Err(error) => {
                    tracing::error!(%error, "a live stream lost a partition, and ends: whoever reads it begins again");
                    return;
                }
            }
        }
        let Ok(topics) = seen.topics(&*bus).await else { continue };
        for at in topics.iter().filter(|info| wanted.takes_topic(info)).flat_map(TopicInfo::each) {
            if known.insert(at.clone()) {
                tasks.spawn(partition(bus.clone(), at, Some(Offset::ZERO), to.clone()));
            }
        }
    }
}

/// Follows one partition, from its end if it is not said from where; answers it when its topic is gone, or the bus, or the
/// reader.
async fn partition(bus: Arc<dyn Bus>, at: TopicPartition, from: Option<Offset>, to: Reader) -> TopicPartition {
    let mut from = match from {
        Some(from) => from,
        None => match end(&*bus, &at).await {
            Ok(end) => end,
            Err(_) => return at,
        },
    };
    loop {
        let changed = bus.changed(&at, from).await;
        let reading = to.reading.acquire().await;
        let read = match changed {
            Ok(()) => bus.read(&at, from, CHUNK).await,
            Err(error) => Err(error),
        };
        match read {
            Ok(records) => {
                for record in records {
                    from = record.offset.next();
                    if !to.send(&record, &at).await {
                        return at;
                    }
                }
            }
            Err(bus::Error::Unavailable(_)) => {
                drop(reading);
                tokio::time::sleep(LOOK).await;
            }
            Err(_) => return at,
        }
    }
}

/// Where a partition ends, once that can be told.
async fn end(bus: &dyn Bus, at: &TopicPartition) -> Result<Offset, bus::Error> {
    loop {
        match bus.offset(at, Start::End).await {
            Err(bus::Error::Unavailable(_)) => tokio::time::sleep(LOOK).await,
            told => return told,
        }
    }
}

/// The topics as one of the streams saw them last: however many there are, they are asked for twice a second at most. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Option<Look>>>);

type Look = (Instant, Arc<[TopicInfo]>);

impl Seen {
    async fn topics(&self, bus: &dyn Bus) -> Result<Arc<[TopicInfo]>, bus::Error> {
        let mut seen = self.0.lock().await;
        if let Some((at, topics)) = &*seen
            && at.elapsed() < LOOK / 2
        {
            return Ok(topics.clone());
        }
        let topics: Arc<[TopicInfo]> = bus.topics().await?.into();
        *seen = Some((Instant::now(), topics.clone()));
        Ok(topics)
    }
}
