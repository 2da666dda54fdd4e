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
use bytes::Bytes;
use contracts::{
    outcomes::{Awaited, Outcomes, Unavailable},
    raw::{Kind, Place, RawHeaders},
    rejected::Rejected,
    summary::Summary,
    topics,
};
use futures_util::future::join_all;
use hyper::{Request, StatusCode, body::Incoming, http::request::Parts, service::service_fn};
use jiff::Timestamp;
use runtime::{
    config::Secrets,
    listener::{Bound, Listen, ListenError},
    meter,
    problem::Problem,
};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    action::{self, Catalogs},
    admission::{self, Door},
    answer::{self, Answer, Ids},
    body::{Unread, collect},
    budget::{Budget, Taken},
    config::{Config, ConfigError, Rules},
    interpret::{self, Interpreted},
    notices::Said,
    publication::{self, Publication},
    refusal::Refusal,
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
    /// The catalog in force, by which actions are answered.
    pub catalogs: Arc<dyn Catalogs>,
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
            None => Bound::bind("ingest.listen", "--listen", &self.listen).await?,
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
        let door = admission::door(&head.uri)?;
        admission::check_form(&head)?;
        admission::check_query(&head.uri).inspect_err(|problem| {
            self.record(&door, "parameter", problem.detail.clone(), admission::announced(&head.headers), &[]);
        })?;
        let wait = self.wait_of(&head, &door)?;
        let (body, taken) = self.read(&head, &door, body).await?;
        let received = received();
        let Publication { records, is_batch } =
            self.interpret(&door, &head, &body, received).map_err(|refusal| self.refuse(refusal, &door, &body))?;
        let told = match &records[..] {
            [(one, _)] if one.headers.kind == Kind::Action => Some(self.ask(&door, &one.headers, &body)?),
            _ => None,
        };
        let published = self.publish(&door, records, body).await;
        let each = match told {
            Some(_) => published.map_err(|problem| problem.for_action("unavailable"))?,
            None => published?,
        };
        drop(taken);
        for ids in &each {
            tracing::debug!(
                event.source = door.source(),
                correlation.id = ids.correlation_id.as_str(),
                invocation.id = %ids.invocation_id,
                "a webhook was accepted"
            );
        }
        if let (Some(told), [ids]) = (told, &each[..]) {
            if let Some(wait) = wait {
                self.outcome(&wait, ids, received).await;
            }
            return Ok(answer::of_action(&told, ids));
        }
        match (wait, &each[..]) {
            (Some(wait), [ids]) if !is_batch => self.wait(&wait, &door, ids, received).await,
            (None, [ids]) if !is_batch => Ok(answer::accepted(StatusCode::OK, ids)),
            (None, each) => Ok(answer::accepted(StatusCode::OK, &each)),
            (Some(wait), each) => {
                let waited = join_all(each.iter().map(|ids| self.outcome(&wait, ids, received))).await;
                let summaries = waited.iter().map(|(_, summary)| summary);
                answer::check_ids(&door, each.iter().zip(summaries))?;
                Ok(answer::waited_for_all(&waited))
            }
        }
    }

    /// What the caller of an action is answered once it is durable.
    fn ask(&self, door: &Door<'_>, headers: &RawHeaders, body: &Bytes) -> Result<Value, Problem> {
        let Some(catalog) = self.deps.catalogs.current() else {
            let detail = "no catalog is known yet by which an action could be answered; try again";
            return Err(answer::unavailable(self.rules.retry_after, detail).for_action("unavailable"));
        };
        action::answer(&catalog, headers, body).map_err(|refusal| self.refuse(refusal, door, body))
    }

    fn interpret(
        &self,
        door: &Door<'_>,
        head: &Parts,
        body: &Bytes,
        received: Timestamp,
    ) -> Result<Publication, Refusal> {
        let headers = &head.headers;
        match door {
            Door::Hasura(source) => {
                let given = interpret::Given { source, headers, body, received };
                let interpreted = interpret::interpret(&self.rules, &given)?;
                Ok(Publication { records: vec![(interpreted, body.clone())], is_batch: false })
            }
            Door::Events(event) => {
                publication::interpret(&self.rules, &publication::Given { event, headers, body, received })
            }
        }
    }

    /// How long the caller wants to wait and whom to ask: checked before anything is accepted.
    fn wait_of(&self, head: &Parts, door: &Door<'_>) -> Result<Option<Wait<'_>>, Problem> {
        let asked = admission::wait_of(head).map_err(|error| {
            self.record(door, "wait", error.to_string(), admission::announced(&head.headers), &[]);
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

    async fn read(&self, head: &Parts, door: &Door<'_>, body: Incoming) -> Result<(Bytes, Taken), Problem> {
        let busy = || answer::unavailable(self.rules.retry_after, "too many webhooks are under way; try again");
        let announced = admission::announced(&head.headers);
        if let Some(size) = announced.filter(|size| *size > self.rules.max_body as u64) {
            return Err(self.refuse_size(door, Some(size), &[]));
        }
        let mut taken = self.budget.take().ok_or_else(busy)?;
        let collected = collect(body, self.rules.max_body, &mut taken);
        let collected = tokio::time::timeout(self.body_timeout, collected).await.unwrap_or(Err(Unread::Slow));
        match collected {
            Ok(body) => Ok((body, taken)),
            Err(Unread::TooLarge(read)) => Err(self.refuse_size(door, announced, &read)),
            Err(Unread::NoRoom) => Err(busy()),
            Err(Unread::Slow) => {
                Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time; send it again"))
            }
            Err(Unread::Cut) => Err(Problem::new(StatusCode::BAD_REQUEST, "the body ended early")),
        }
    }

    fn refuse_size(&self, door: &Door<'_>, size: Option<u64>, read: &[u8]) -> Problem {
        let problem = answer::too_large(self.rules.max_body);
        self.record(door, "too-large", problem.detail.clone(), size, read);
        problem
    }

    fn refuse(&self, refusal: Refusal, door: &Door<'_>, body: &[u8]) -> Problem {
        if refusal.is_recorded() {
            self.record(door, refusal.reason, refusal.detail.clone(), Some(body.len() as u64), body);
        }
        let problem = Problem::new(refusal.status, refusal.detail);
        match refusal.code {
            Some(code) => problem.for_action(code),
            None => problem,
        }
    }

    /// Hands a refusal to whoever records it, or counts that nobody could.
    fn record(&self, door: &Door<'_>, reason: &'static str, detail: String, size: Option<u64>, read: &[u8]) {
        let (source, event) = (door.source(), door.event());
        let refused = Refused { reason, detail, source, event, at: received(), size, read };
        if self.rejections.try_send(refused.into_record()).is_err() {
            self.counters.unrecorded.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Publishes what a request brought, and tells the ids of each once all of it is durable. Where that is not known,
    /// some may be: sent again, they are recognised.
    async fn publish(
        &self,
        door: &Door<'_>,
        records: Vec<(Interpreted, Bytes)>,
        body: Bytes,
    ) -> Result<Vec<Ids>, Problem> {
        let (mut each, mut outgoing) = (Vec::with_capacity(records.len()), Vec::with_capacity(records.len()));
        for (Interpreted { key, headers, notices }, value) in records {
            notices.into_iter().for_each(|notice| self.said.once(notice));
            outgoing.push(Outgoing::new(self.raw.clone(), key, value).with_headers(headers.encode()));
            each.push(Ids { correlation_id: headers.correlation, invocation_id: headers.invocation, raw: None });
        }
        if outgoing.is_empty() {
            return Ok(each);
        }
        meter::commit(outgoing.len(), outgoing.iter().map(Outgoing::size).sum());
        let published = tokio::time::timeout(self.publish_timeout, self.deps.bus.publish(outgoing)).await;
        let error = match published {
            Ok(Ok(spots)) => {
                let place = |spot: &Spot| Place { partition: spot.partition.0, offset: spot.offset.0 };
                each.iter_mut().zip(&spots).for_each(|(ids, spot)| ids.raw = Some(place(spot)));
                return Ok(each);
            }
            Ok(Err(error)) => error,
            Err(_) => PublishError::Unavailable(format!("it did not answer within {:?}", self.publish_timeout)),
        };
        match error {
            PublishError::Refused(bus::Refusal { code: RefusalCode::TooLarge, .. }) => {
                let detail = format!("with its key and headers, {error}");
                self.record(door, "too-large", detail.clone(), Some(body.len() as u64), &body);
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

    async fn wait(&self, wait: &Wait<'_>, door: &Door<'_>, ids: &Ids, received: Timestamp) -> Result<Answer, Problem> {
        let (complete, summary) = self.outcome(wait, ids, received).await;
        answer::check_ids(door, [(ids, &summary)])?;
        Ok(answer::waited(complete, &summary, ids))
    }

    /// Waits for the outcome of what is durable already, with at least what ingest itself knows.
    /// A process that stops waits no longer than it takes to ask what is known.
    async fn outcome(&self, wait: &Wait<'_>, ids: &Ids, received: Timestamp) -> (bool, Summary) {
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
            Ok(waited) => (waited.complete, waited.summary.unwrap_or_else(sent)),
            Err(error) => {
                tracing::warn!(%error, "a caller could not wait for the outcome");
                (false, sent())
            }
        }
    }
}

/// The time of receipt, in microseconds as everywhere.
fn received() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}
