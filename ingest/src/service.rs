//! The webhook itself: the one file of ingest that awaits.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bus::{Bus, Outgoing, PublishError, RefusalCode, Spot, Topic};
use bytes::{Bytes, BytesMut};
use contracts::{
    hasura::Refusal,
    outcomes::{Awaited, Outcomes, Unavailable},
    raw::Place,
    rejected::Rejected,
    summary::Summary,
    topics,
};
use http_body_util::BodyExt as _;
use hyper::{Request, StatusCode, body::Incoming, http::request::Parts, service::service_fn};
use jiff::Timestamp;
use runtime::{
    config::Secrets,
    listener::{Bound, Listen, ListenError},
    problem::Problem,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    admission,
    answer::{self, Answer, Ids},
    budget::{Budget, Taken},
    config::{Config, ConfigError, Rules},
    interpret::{Given, Interpreted, interpret},
    notices::Said,
    rejections::{self, Refused},
};

/// How long a process that stops asks what has become of what its callers wait for.
const LAST: Duration = Duration::from_millis(500);

/// What ingest needs of others.
pub struct Deps {
    /// Where records are published. `raw` and `rejected` must exist.
    pub bus: Arc<dyn Bus>,
    /// Whom to ask what became of something; without, no caller can wait.
    pub outcomes: Option<Arc<dyn Outcomes>>,
}

/// Why ingest cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

/// What has been counted since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests that were accepted: their records are durable.
    pub accepted: AtomicU64,
    /// Requests that were refused as they are (4xx, 500 where the bus refuses for good, 501 where nobody can wait).
    pub refused: AtomicU64,
    /// Requests that were told to come again (503).
    pub unavailable: AtomicU64,
    /// Refusals that could not be recorded in `rejected`.
    pub unrecorded: AtomicU64,
}

/// Ingest: takes webhooks and publishes them to `raw`.
pub struct Service {
    listen: Listen,
    bound: Option<Bound>,
    webhook: Webhook,
    refused: mpsc::Receiver<Rejected>,
}

impl Service {
    /// Ingest with these settings; nothing is bound yet.
    ///
    /// # Errors
    /// A setting is wrong.
    pub fn new(config: Config, deps: Deps) -> Result<Self, Error> {
        let rules = config.compile()?;
        let (rejections, refused) = rejections::channel();
        let webhook = Webhook {
            secrets: config.listen.auth.secrets().cloned(),
            budget: Budget::new(config.max_in_flight, config.max_in_flight_bytes.len()),
            body_timeout: config.body_timeout.get(),
            publish_timeout: config.publish_timeout.get(),
            raw: Topic::from(topics::RAW),
            said: Said::new(),
            counters: Arc::default(),
            stopping: CancellationToken::new(),
            rules,
            deps,
            rejections,
        };
        Ok(Self { listen: config.listen, bound: None, webhook, refused })
    }

    /// What has been counted since the start.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.webhook.counters)
    }

    /// Listens, and tells the address with the port that was chosen. Requests that come from now on are answered once
    /// the service runs.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn bind(&mut self) -> Result<SocketAddr, Error> {
        let bound = match self.bound.take() {
            Some(bound) => bound,
            None => Bound::bind("ingest.listen", &self.listen).await?,
        };
        Ok(self.bound.insert(bound).address())
    }

    /// Takes webhooks until the shutdown; requests under way are answered first.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), Error> {
        let address = self.bind().await?;
        let Self { bound, mut webhook, refused, .. } = self;
        let Some(bound) = bound else { return Ok(()) };
        webhook.stopping = shutdown.clone();
        tracing::info!(%address, "webhooks are taken");
        let counters = Arc::clone(&webhook.counters);
        let served = CancellationToken::new();
        let recording = rejections::publish(Arc::clone(&webhook.deps.bus), refused, served.clone(), move |lost| {
            counters.unrecorded.fetch_add(lost, Ordering::Relaxed);
        });
        let webhook = Arc::new(webhook);
        let serving = async {
            let service = service_fn(move |request| {
                let webhook = Arc::clone(&webhook);
                async move { Ok::<_, Infallible>(webhook.answer(request).await) }
            });
            bound.serve_with(service, shutdown).await;
            served.cancel();
        };
        tokio::join!(serving, recording);
        Ok(())
    }
}

struct Webhook {
    rules: Rules,
    secrets: Option<Secrets>,
    budget: Arc<Budget>,
    body_timeout: Duration,
    publish_timeout: Duration,
    raw: Topic,
    deps: Deps,
    said: Said,
    counters: Arc<Counters>,
    rejections: mpsc::Sender<Rejected>,
    stopping: CancellationToken,
}

/// Whom to ask what became of a request, and for how long.
struct Wait<'a> {
    outcomes: &'a dyn Outcomes,
    timeout: Duration,
}

/// Why a body is not whole.
enum Unread {
    /// It is larger than what is taken; what was read of it until then.
    TooLarge(Bytes),
    /// There is no room for it now.
    NoRoom,
    /// It did not arrive in time.
    Slow,
    /// The connection ended before it.
    Cut,
}

impl Webhook {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        match self.take(request).await {
            Ok(answer) => {
                self.counters.accepted.fetch_add(1, Ordering::Relaxed);
                answer
            }
            Err(problem) => {
                let status = problem.status;
                let again = status == StatusCode::SERVICE_UNAVAILABLE;
                let counter = if again { &self.counters.unavailable } else { &self.counters.refused };
                counter.fetch_add(1, Ordering::Relaxed);
                if self.said.may_log_refusal() {
                    tracing::info!(http.status = status.as_u16(), detail = problem.detail, "a webhook was refused");
                }
                problem.into_http()
            }
        }
    }

    async fn take(&self, request: Request<Incoming>) -> Result<Answer, Problem> {
        let (head, body) = request.into_parts();
        admission::authenticate(&head.headers, &self.rules.secret_header, self.secrets.as_ref())?;
        let source = admission::source_of(&head.uri)?;
        admission::check_form(&head)?;
        admission::check_query(&head.uri).map_err(|problem| self.refuse_query(problem, &head, source))?;
        let wait = self.wait_of(&head, source)?;
        let (body, taken) = self.read(&head, source, body).await?;
        let received = received();
        let given = Given { source, headers: &head.headers, body: &body, received };
        let interpreted = interpret(&self.rules, &given).map_err(|refusal| self.refuse(refusal, &given))?;
        let ids = self.publish(source, interpreted, body, received).await?;
        drop(taken);
        tracing::debug!(
            event.source = source,
            correlation.id = ids.correlation_id.as_str(),
            invocation.id = %ids.invocation_id,
            "a webhook was accepted"
        );
        Ok(match wait {
            Some(wait) => self.wait(wait, &ids, received).await,
            None => answer::accepted(StatusCode::OK, &ids),
        })
    }

    /// How long the caller wants to wait and whom to ask: checked before anything is accepted.
    fn wait_of(&self, head: &Parts, source: &str) -> Result<Option<Wait<'_>>, Problem> {
        let asked = admission::wait_of(head).map_err(|error| {
            let size = admission::announced(&head.headers);
            self.record(Refused { reason: "wait", detail: error.to_string(), source, at: received(), size, read: &[] });
            Problem::new(StatusCode::BAD_REQUEST, error.to_string())
        })?;
        match (asked, &self.deps.outcomes) {
            (None, _) => Ok(None),
            (Some(timeout), Some(outcomes)) => Ok(Some(Wait { outcomes: outcomes.as_ref(), timeout })),
            (Some(_), None) => Err(Problem::new(
                StatusCode::NOT_IMPLEMENTED,
                "this ingest cannot wait: it does not know where results are; send it without `wait`, and ask results",
            )),
        }
    }

    fn refuse_query(&self, problem: Problem, head: &Parts, source: &str) -> Problem {
        let (detail, size) = (problem.detail.clone(), admission::announced(&head.headers));
        self.record(Refused { reason: "parameter", detail, source, at: received(), size, read: &[] });
        problem
    }

    async fn read(&self, head: &Parts, source: &str, body: Incoming) -> Result<(Bytes, Taken), Problem> {
        let busy = || answer::unavailable(self.rules.retry_after, "too many webhooks are under way; try again");
        let announced = admission::announced(&head.headers);
        if let Some(size) = announced.filter(|size| *size > self.rules.max_body as u64) {
            return Err(self.refuse_size(source, Some(size), &[]));
        }
        let mut taken = self.budget.take().ok_or_else(busy)?;
        let collected = collect(body, self.rules.max_body, &mut taken);
        let collected = tokio::time::timeout(self.body_timeout, collected).await.unwrap_or(Err(Unread::Slow));
        match collected {
            Ok(body) => Ok((body, taken)),
            Err(Unread::TooLarge(read)) => Err(self.refuse_size(source, announced, &read)),
            Err(Unread::NoRoom) => Err(busy()),
            Err(Unread::Slow) => {
                Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time; send it again"))
            }
            Err(Unread::Cut) => Err(Problem::new(StatusCode::BAD_REQUEST, "the body ended early")),
        }
    }

    fn refuse_size(&self, source: &str, size: Option<u64>, read: &[u8]) -> Problem {
        let problem = answer::too_large(self.rules.max_body);
        let detail = problem.detail.clone();
        self.record(Refused { reason: "too-large", detail, source, at: received(), size, read });
        problem
    }

    fn refuse(&self, refusal: Refusal, given: &Given<'_>) -> Problem {
        let detail = refusal.to_string();
        if !matches!(refusal, Refusal::Malformed(_)) {
            self.record(Refused {
                reason: refusal.kind(),
                detail: detail.clone(),
                source: given.source,
                at: given.received,
                size: Some(given.body.len() as u64),
                read: given.body,
            });
        }
        Problem::new(StatusCode::BAD_REQUEST, detail)
    }

    /// Hands a refusal to whoever records it, or counts that nobody could.
    fn record(&self, refused: Refused<'_>) {
        if self.rejections.try_send(refused.into_record()).is_err() {
            self.counters.unrecorded.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Publishes one record, and tells its ids once it is durable.
    async fn publish(
        &self,
        source: &str,
        interpreted: Interpreted,
        body: Bytes,
        received: Timestamp,
    ) -> Result<Ids, Problem> {
        let Interpreted { key, headers, notices } = interpreted;
        notices.into_iter().for_each(|notice| self.said.once(notice));
        let record = Outgoing::new(self.raw.clone(), key, body.clone()).with_headers(headers.encode());
        let published = tokio::time::timeout(self.publish_timeout, self.deps.bus.publish(vec![record])).await;
        let error = match published {
            Ok(Ok(spots)) => {
                let place = |spot: &Spot| Place { partition: spot.partition.0, offset: spot.offset.0 };
                let raw = spots.first().map(place);
                return Ok(Ids { correlation_id: headers.correlation, invocation_id: headers.invocation, raw });
            }
            Ok(Err(error)) => error,
            // Its end is unknown. Sent again, it is recognised as the same.
            Err(_) => PublishError::Unavailable(format!("it did not answer within {:?}", self.publish_timeout)),
        };
        match error {
            PublishError::Refused(bus::Refusal { code: RefusalCode::TooLarge, .. }) => {
                let detail = format!("with its key and headers, {error}");
                let size = Some(body.len() as u64);
                let read = &body;
                self.record(Refused { reason: "too-large", detail: detail.clone(), source, at: received, size, read });
                Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail))
            }
            // It may be made at any moment, as while all of it is being set up.
            PublishError::Refused(bus::Refusal { code: RefusalCode::UnknownTopic, .. }) => {
                tracing::error!(%error, "webhooks cannot be taken; create the topics");
                Err(answer::unavailable(self.rules.retry_after, error.to_string()))
            }
            PublishError::Refused(_) => {
                tracing::error!(%error, "a webhook can never be stored as things are; an operator must act");
                Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
            }
            PublishError::Unavailable(_) | PublishError::Full { .. } => {
                Err(answer::unavailable(self.rules.retry_after, error.to_string()))
            }
        }
    }

    /// Waits for the outcome of what is durable already, so every answer is a 2xx, with at least what ingest itself knows.
    /// A process that stops waits no longer than it takes to ask what is known.
    async fn wait(&self, wait: Wait<'_>, ids: &Ids, received: Timestamp) -> Answer {
        let sent = || Summary::sent(ids.correlation_id.clone(), ids.invocation_id, received);
        let awaited =
            Awaited { correlation: ids.correlation_id.clone(), invocation: Some(ids.invocation_id), raw: ids.raw };
        let waited = tokio::select! {
            waited = wait.outcomes.wait(awaited.clone(), wait.timeout) => waited,
            () = self.stopping.cancelled() => {
                let known = tokio::time::timeout(LAST, wait.outcomes.wait(awaited, Duration::ZERO)).await;
                known.unwrap_or_else(|_| Err(Unavailable("it did not answer a process that stops".to_owned())))
            }
        };
        match waited {
            Ok(waited) => answer::waited(waited.complete, &waited.summary.unwrap_or_else(sent), ids),
            Err(error) => {
                tracing::warn!(%error, "a caller could not wait for the outcome");
                answer::waited(false, &sent(), ids)
            }
        }
    }
}

/// The time of receipt, in microseconds as everywhere.
fn received() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// Reads a body whole, without copying where it comes in one piece. Memory is taken as bytes arrive, at most twice theirs:
/// to announce a large body and not to send it keeps nobody else out.
async fn collect(mut body: Incoming, limit: usize, taken: &mut Taken) -> Result<Bytes, Unread> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Unread::Cut)?.into_data() else { continue };
        let length = first.len().max(rest.len()) + data.len();
        if length > limit {
            rest = if rest.is_empty() { BytesMut::from(&first[..]) } else { rest };
            rest.extend_from_slice(&data);
            return Err(Unread::TooLarge(rest.freeze()));
        }
        if first.is_empty() {
            taken.reach(length).ok_or(Unread::NoRoom)?;
            first = data;
            continue;
        }
        if length > rest.capacity() {
            let room = (2 * length).min(limit);
            taken.reach(room).ok_or(Unread::NoRoom)?;
            rest.reserve(room - rest.len());
        }
        if rest.is_empty() {
            rest.extend_from_slice(&first);
        }
        rest.extend_from_slice(&data);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}
