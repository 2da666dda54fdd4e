//! The samples: few webhooks, beside the load, that are followed to their end.

use std::{cell::RefCell, collections::HashMap, rc::Rc, time::Duration};

use anyhow::Context as _;
use serde::Deserialize;
use tokio::{
    sync::Notify,
    task::{JoinHandle, JoinSet},
    time::{Instant, timeout_at},
};

use super::{
    Options,
    answer::Connection,
    catalog::SAMPLED,
    latency::Latencies,
    load::{Rate, exchange, pace},
    request::{Prepared, Purpose, Shape, number_of},
};
use client::http::{Call, Error, Stream, encode};

/// The longest that a sample waits for its end.
const WAIT: Duration = Duration::from_secs(120);
/// The longest that the first webhook waits: a Herald that has just started reads its catalog first.
const PROBE: Duration = Duration::from_secs(30);
/// The number of the first webhook, which no sample reaches.
const PROBE_NUMBER: u64 = 9_999_999_999;
/// How long an event of a completed sample may still take to arrive.
const GRACE: Duration = Duration::from_secs(2);

/// What became of the samples.
#[derive(Debug)]
pub(super) struct Completed {
    /// Samples that were sent.
    pub(super) sent: u64,
    /// Not complete when their wait was over, refused, or not answered.
    pub(super) missing: u64,
    /// The first thing that went wrong.
    pub(super) trouble: Option<String>,
    /// From when a sample was due to the answer that all of it is complete.
    pub(super) latencies: Latencies,
}

/// When each sample was due whose event has not arrived yet.
pub(super) type Due = Rc<RefCell<HashMap<u64, Instant>>>;

/// Sends one webhook and waits for its end: whatever is wrong is found before the load begins.
///
/// # Errors
/// The webhook cannot be reached, refuses, or does not complete in time.
pub(super) async fn probe(shape: &Shape) -> anyhow::Result<()> {
    let base = shape.base.to_string();
    let mut request = Prepared::new(shape, Purpose::Sample { wait: PROBE.as_secs() })?;
    let unreachable =
        |error: std::io::Error| Error::Unreachable { base: base.clone(), reason: error.kind().to_string() };
    let mut connection = Connection::open(&shape.base.address).await.map_err(unreachable)?;
    let (status, _) = connection.exchange(request.number(PROBE_NUMBER)).await.map_err(unreachable)?;
    let detail = match status {
        200 => return Ok(()),
        202 => format!("it is durable, but not complete after {} s", PROBE.as_secs()),
        401 => "it wants a secret: --secret or HERALD_SECRET".to_owned(),
        _ => "it does not take what Hasura sends".to_owned(),
    };
    Err(Error::Refused { base, status, detail }.into())
}

/// Sends the samples, each due on the schedule, and waits for all of them.
pub(super) async fn send(options: Rc<Options>, shape: Shape, due: Due, start: Instant) -> anyhow::Result<Completed> {
    let completed = Completed { sent: 0, missing: 0, trouble: None, latencies: Latencies::new() };
    let completed = Rc::new(RefCell::new(completed));
    let idle = Rc::new(RefCell::new(Vec::<Connection>::new()));
    let rate = f64::from(options.samples);
    let total = (rate * options.duration.as_secs_f64()) as u64;
    if total > 0 {
        let prepared = Prepared::new(&shape, Purpose::Sample { wait: WAIT.as_secs() })?;
        let tickets = pace(Rate::PerSecond(rate), start, total, 0);
        let mut under_way = JoinSet::new();
        for number in 0..total {
            tickets.acquire().await.context("invariant: the tickets are never closed")?.forget();
            let scheduled = start + Duration::from_secs_f64(number as f64 / rate);
            due.borrow_mut().insert(number, scheduled);
            let (completed, idle, due) = (Rc::clone(&completed), Rc::clone(&idle), Rc::clone(&due));
            let (mut prepared, address) = (prepared.clone(), shape.base.address.clone());
            under_way.spawn_local(async move {
                let mut connection = idle.borrow_mut().pop();
                let answered = exchange(&mut connection, &address, prepared.number(number)).await;
                idle.borrow_mut().extend(connection);
                if !completed.borrow_mut().take(answered, scheduled) {
                    due.borrow_mut().remove(&number);
                }
            });
        }
        while let Some(ended) = under_way.join_next().await {
            ended.context("a sample")?;
        }
    }
    Ok(Rc::into_inner(completed).context("invariant: every sample has ended")?.into_inner())
}

impl Completed {
    /// Counts an answer; whether the sample was accepted and so will become an event.
    fn take(&mut self, answered: Result<u16, std::io::Error>, due: Instant) -> bool {
        self.sent += 1;
        let trouble = match answered {
            Ok(200) => {
                self.latencies.record(due.elapsed());
                return true;
            }
            Ok(202) => format!("a sample was not complete after {} s", WAIT.as_secs()),
            Ok(status) => format!("a sample was answered {status}"),
            Err(ref error) => format!("a sample was not answered: {error}"),
        };
        self.missing += 1;
        self.trouble.get_or_insert(trouble);
        matches!(answered, Ok(202))
    }
}

/// What the live stream showed of the samples' events.
#[derive(Debug)]
pub(super) struct Events {
    /// Events of accepted samples that did not arrive.
    pub(super) missing: u64,
    /// Why the stream could not be followed, if so.
    pub(super) trouble: Option<String>,
    /// From when a sample was due to the arrival of its event.
    pub(super) latencies: Latencies,
}

/// The live stream of the samples' events, being read.
pub(super) struct Following {
    /// Filled by whoever sends.
    pub(super) due: Due,
    latencies: Rc<RefCell<Latencies>>,
    arrived: Rc<Notify>,
    reading: Result<JoinHandle<String>, String>,
}

impl Following {
    /// Opens the stream; without one there are no latencies of events, and the report says why.
    pub(super) async fn start(options: &Options, shape: &Shape) -> Self {
        let due = Due::default();
        let latencies = Rc::new(RefCell::new(Latencies::new()));
        let arrived = Rc::new(Notify::new());
        let reading = open(options).await.map_err(|error| format!("{error:#}")).map(|stream| {
            let reader = Reader {
                due: Rc::clone(&due),
                latencies: Rc::clone(&latencies),
                arrived: Rc::clone(&arrived),
                run: shape.run,
            };
            tokio::task::spawn_local(reader.read(stream))
        });
        Self { due, latencies, arrived, reading }
    }

    /// Waits for the events that are still missing, for a while, and tells.
    pub(super) async fn end(self, deadline: Instant) -> Events {
        let deadline = deadline.min(Instant::now() + GRACE);
        let trouble = match self.reading {
            Err(trouble) => Some(trouble),
            Ok(mut reading) => {
                let all = async {
                    while !self.due.borrow().is_empty() {
                        self.arrived.notified().await;
                    }
                };
                let broken = tokio::select! {
                    // What has arrived counts, also when the stream has ended since.
                    biased;
                    _ = timeout_at(deadline, all) => None,
                    ended = &mut reading => Some(ended.unwrap_or_else(|error| error.to_string())),
                };
                reading.abort();
                broken
            }
        };
        let missing = self.due.borrow().len() as u64;
        Events { missing, trouble, latencies: self.latencies.replace(Latencies::new()) }
    }
}

async fn open(options: &Options) -> anyhow::Result<Stream> {
    let path = format!("/v1/events?name={}", encode(SAMPLED));
    Ok(Call::get(&options.api.api, &path).token(options.api.token.as_deref())?.stream().await?)
}

struct Reader {
    due: Due,
    latencies: Rc<RefCell<Latencies>>,
    arrived: Rc<Notify>,
    run: u64,
}

/// What is read of an event.
#[derive(Deserialize)]
struct Arrived {
    correlationid: String,
}

impl Reader {
    /// Reads until the stream ends; why it did.
    async fn read(self, mut stream: Stream) -> String {
        loop {
            let event = match stream.next().await {
                Ok(Some(event)) => event,
                Ok(None) => return "the live stream of events ended".to_owned(),
                Err(error) => return error.to_string(),
            };
            let now = Instant::now();
            let Ok(arrived) = serde_json::from_str::<Arrived>(&event.data) else { continue };
            let due = number_of(&arrived.correlationid, self.run).and_then(|n| self.due.borrow_mut().remove(&n));
            if let Some(due) = due {
                self.latencies.borrow_mut().record(now - due);
                self.arrived.notify_one();
            }
        }
    }
}
