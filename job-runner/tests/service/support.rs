//! A job runner on a bus of the test's choice, and what it told.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use bus::{
    Bus, Offset, Outgoing, PublishError, Topic, TopicPartition, TopicSpec,
    hostile::{Hostile, Manners},
};
use catalog::{Backoff, Order, Template};
use contracts::{
    control::Standing,
    envelope::EventHeaders,
    ids::{EventId, InvocationId, JobRunId},
    names::{EventRef, GroupName, JobName},
    progress::{self, AttemptState, Fact, JobStep, Progress},
    raw::Place,
};
use job_runner::{Answer, Board, CatalogView, Config, Deps, Handle, JobSpec, Registry, Run, Service};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// What was told of each run, in the order of the log.
pub(crate) type Steps = BTreeMap<JobRunId, Vec<JobStep>>;

/// How long a test waits for a condition before it gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A bus in memory that behaves, with two partitions per topic.
pub(crate) fn mild() -> Arc<Hostile> {
    Arc::new(Hostile::with(1, 2, Manners::MILD))
}

/// The kinds that Herald brings.
pub(crate) fn standard() -> Registry {
    Registry::standard(&Config::default())
}

/// The run of a job for an event.
pub(crate) fn run_id(name: &str, number: u64, job: &str) -> JobRunId {
    JobRunId::derived(event(name, number, &[], 1).id, &job.parse().expect("a name"))
}

/// A job of a kind, listed on events.
pub(crate) fn job(name: &str, kind: &str, options: Value, events: &[&str]) -> JobSpec {
    let name: JobName = name.parse().expect("a name");
    JobSpec {
        group: GroupName::of_definition(&name),
        name,
        kind: kind.into(),
        filling: Arc::new(Template::Value(options).into()),
        timeout: Duration::from_secs(30),
        attempts: 5,
        backoff: Backoff { initial: Duration::from_millis(20), ..Backoff::default() },
        give_up_after: None,
        final_exit_codes: Vec::new(),
        concurrency: 16,
        order: Order::Key,
        gathering: None,
        flow: Default::default(),
        events: events.iter().map(|event| event.parse().expect("an event")).collect(),
    }
}

/// A catalog of jobs.
pub(crate) fn view(number: u64, jobs: Vec<JobSpec>) -> CatalogView {
    CatalogView { number, jobs, ..CatalogView::default() }
}

/// The event of that number, with its stamp.
pub(crate) fn event(name: &str, number: u64, jobs: &[&str], catalog: u64) -> EventHeaders {
    let invocation = InvocationId::derived("test", &number.to_string());
    let event: EventRef = name.parse().expect("a name");
    EventHeaders {
        id: EventId::derived(invocation, &event),
        event,
        source: contracts::envelope::source_of("test"),
        subject: None,
        time: "2026-01-02T03:04:05Z".parse().expect("a time"),
        dataschema: None,
        correlation: format!("c-{number}").parse().expect("an id"),
        invocation,
        cause: None,
        user: None,
        organisation: None,
        traceparent: None,
        jobs: jobs.iter().map(|job| job.parse().expect("a name")).collect(),
        catalog,
        depth: 0,
        raw: Place { partition: 0, offset: number },
    }
}

/// A record of an event.
pub(crate) fn record(headers: &EventHeaders, key: &str, data: Value) -> Outgoing {
    let topic = Topic::from(headers.event.topic());
    Outgoing::new(topic, key.to_owned(), data.to_string()).with_headers(headers.encode())
}

/// Publishes until it is accepted; what was refused and written all the same is a second record of the same event.
pub(crate) async fn publish(bus: &dyn Bus, batch: Vec<Outgoing>) {
    for record in batch {
        while let Err(error) = bus.publish(vec![record.clone()]).await {
            assert!(matches!(error, PublishError::Unavailable(_)), "{error}");
        }
    }
}

/// Creates the topics that a test needs.
pub(crate) async fn topics(bus: &dyn Bus, events: &[&str]) {
    let mut specs = vec![TopicSpec::new("progress"), TopicSpec::new("rejected")];
    specs.extend(events.iter().map(|event| TopicSpec::new(format!("event.{event}"))));
    bus.create(specs).await.expect("topics");
}

/// Everything in a topic, partition by partition.
pub(crate) async fn everything(bus: &dyn Bus, topic: &str) -> Vec<bus::Record> {
    let infos = bus.topics().await.expect("topics");
    let info = infos.iter().find(|info| info.topic.as_str() == topic).expect("the topic");
    let mut out = Vec::new();
    for at in info.each().collect::<Vec<TopicPartition>>() {
        let mut from = Offset::ZERO;
        loop {
            let records = bus.read(&at, from, 1 << 20).await.expect("records");
            let Some(last) = records.last() else { break };
            from = last.offset.next();
            out.extend(records);
        }
    }
    out
}

/// Every step in `progress`, by run, in the order of the log.
pub(crate) async fn steps(bus: &dyn Bus) -> Steps {
    let mut out: Steps = Steps::new();
    for record in everything(bus, "progress").await {
        for line in progress::lines(record.value()) {
            let progress = Progress::decode(line).expect("progress");
            let Fact::Job(step) = progress.fact else { panic!("a step of a job") };
            let correlation = progress.occurrence.correlation.as_str().as_bytes();
            assert!(record.key.as_deref().is_none_or(|key| key == correlation), "{:?}", record.key);
            out.entry(step.run).or_default().push(step);
        }
    }
    out
}

/// The states of a run's steps.
pub(crate) fn states(steps: &[JobStep]) -> Vec<(u32, AttemptState)> {
    steps.iter().map(|step| (step.attempt, step.state)).collect()
}

/// Waits until something is true of the steps, and says what they were if it never is.
pub(crate) async fn until(bus: &dyn Bus, what: &str, is_true: impl Fn(&Steps) -> bool) -> Steps {
    let begun = std::time::Instant::now();
    loop {
        let steps = steps(bus).await;
        if is_true(&steps) {
            return steps;
        }
        assert!(begun.elapsed() < PATIENCE, "gave up waiting until {what}: {steps:#?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether that many runs have ended.
pub(crate) fn ended(steps: &Steps, count: usize) -> bool {
    let is_end = |step: &JobStep| matches!(step.state, AttemptState::Succeeded | AttemptState::Failed);
    steps.values().filter(|steps| steps.iter().any(is_end)).count() >= count
}

/// What happened inside jobs, in order: who began (`true`) and who ended.
#[derive(Clone, Default)]
pub(crate) struct Diary(Arc<Mutex<Vec<(JobRunId, bool)>>>);

impl Diary {
    pub(crate) fn write(&self, run: JobRunId, begins: bool) {
        self.0.lock().expect("a diary").push((run, begins));
    }

    pub(crate) fn entries(&self) -> Vec<(JobRunId, bool)> {
        self.0.lock().expect("a diary").clone()
    }

    /// A kind that writes here, works a moment, and answers with its attempt.
    pub(crate) fn kind(&self, registry: &mut Registry) {
        let diary = self.clone();
        registry.function("work", move |run: Run| {
            let diary = diary.clone();
            async move {
                diary.write(run.id, true);
                tokio::task::yield_now().await;
                diary.write(run.id, false);
                Ok(Answer::of(&json!({ "attempt": run.attempt })))
            }
        });
    }
}

/// A running service.
pub(crate) struct Runner {
    pub(crate) handle: Handle,
    pub(crate) board: Board,
    pub(crate) catalog: watch::Sender<Option<Arc<CatalogView>>>,
    pub(crate) control: watch::Sender<Option<Arc<Standing>>>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), job_runner::Error>>,
}

impl Runner {
    pub(crate) fn start(bus: Arc<dyn Bus>, registry: Registry, view: CatalogView) -> Self {
        Self::with(bus, registry, view, Config::default())
    }

    pub(crate) fn with(bus: Arc<dyn Bus>, registry: Registry, view: CatalogView, config: Config) -> Self {
        let told = Some(Arc::new(Standing::default()));
        Self::told(bus, registry, view, config, told)
    }

    /// A service that does not know yet what was said about jobs.
    pub(crate) fn start_untold(bus: Arc<dyn Bus>, registry: Registry, view: CatalogView) -> Self {
        Self::told(bus, registry, view, Config::default(), None)
    }

    fn told(
        bus: Arc<dyn Bus>,
        registry: Registry,
        view: CatalogView,
        config: Config,
        told: Option<Arc<Standing>>,
    ) -> Self {
        let (catalog, receiver) = watch::channel(Some(Arc::new(view)));
        let (control, said) = watch::channel(told);
        let board = Board::default();
        let deps = Deps { bus, catalog: receiver, control: said, registry, board: board.clone() };
        let service = Service::new(config, deps);
        let (handle, stop) = (service.handle(), CancellationToken::new());
        let task = tokio::spawn(service.run(stop.clone()));
        Self { handle, board, catalog, control, stop, task }
    }

    /// Ends as at shutdown.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("no panic").expect("a good end");
    }

    /// Ends as in a crash: no last commit, no leaving.
    pub(crate) async fn crash(self) {
        self.task.abort();
        assert!(self.task.await.is_err_and(|error| error.is_cancelled()));
    }

    /// Waits until the status of a group is as wanted.
    pub(crate) async fn until(&self, what: &str, is_true: impl Fn(&HashMap<String, job_runner::GroupStatus>) -> bool) {
        let begun = std::time::Instant::now();
        loop {
            let all = self.handle.status().into_iter().map(|status| (status.group.full_name().to_owned(), status));
            let all: HashMap<_, _> = all.collect();
            if is_true(&all) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "gave up waiting until {what}: {all:#?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
