//! A pipeline under load: what it is, and how it is counted.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use contracts::{
    progress::{self, Fact, Progress},
    raw::Place,
    topics,
};
use tests::{
    Builder, Engine, FIRST, Herald, Role,
    rows::{self, CATALOG, CLIENTS, Load},
};
use tokio::{
    sync::{Mutex, MutexGuard, watch},
    task::JoinSet,
};

/// The second instance of a role.
pub(crate) const SECOND: &str = "2";

/// Whether the long variants are wanted.
pub(crate) fn long() -> bool {
    std::env::var("HERALD_LONG").is_ok_and(|value| !value.is_empty() && value != "0")
}

/// One test at a time.
pub(crate) async fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}

#[expect(clippy::print_stderr, reason = "shown when a test fails, and with --nocapture")]
pub(crate) fn report(line: &str) {
    eprintln!("{line}");
}

/// A Herald of several instances on a Kafka, and who posts to it.
pub(crate) struct Pipeline {
    pub(crate) herald: Herald,
    pub(crate) load: Arc<Load>,
    clients: Vec<JoinSet<()>>,
    // Ends the clients if it goes before them.
    _webhooks: Vec<watch::Sender<Option<SocketAddr>>>,
    begun: Instant,
}

/// A Herald with the catalog of the count.
pub(crate) fn build(kafka: &str) -> Builder {
    // A line of log for each row would be kept by the harness.
    let filter = std::env::var("HERALD_TEST_FILTER").unwrap_or_else(|_| "warn".to_owned());
    let builder = Herald::on(Engine::Kafka(kafka.to_owned())).setting("telemetry.filter", &filter);
    CATALOG.iter().fold(builder, |builder, (name, text)| builder.event(name, text))
}

impl Pipeline {
    /// Two of every role that may have two, under load.
    pub(crate) async fn start(builder: Builder) -> Self {
        let begun = Instant::now();
        let mut herald = builder.start().await;
        for role in [Role::Ingest, Role::Detector, Role::JobRunner] {
            herald.fleet_mut().launch(role, SECOND);
        }
        for role in [Role::Ingest, Role::Detector, Role::JobRunner] {
            herald.fleet().ready(role, SECOND).await;
        }
        let load = Arc::new(Load::default());
        let (mut clients, mut webhooks) = (Vec::new(), Vec::new());
        for instance in [FIRST, SECOND] {
            let (sender, receiver) = watch::channel(Some(herald.fleet().address(Role::Ingest, instance)));
            clients.push(load.start(receiver));
            webhooks.push(sender);
        }
        load.more();
        Self { herald, load, clients, _webhooks: webhooks, begun }
    }

    /// Waits until some more were accepted: it goes on.
    pub(crate) async fn goes_on(&self) {
        let before = self.load.accepted().len();
        self.load.more();
        self.herald
            .wait_for("more webhooks to be accepted", async || {
                (self.load.accepted().len() > before + CLIENTS * 10).then_some(())
            })
            .await;
    }

    /// Starts what was ended, and waits until it is ready.
    pub(crate) async fn restart(&mut self, role: Role, instance: &str) {
        self.herald.fleet_mut().launch(role, instance);
        self.herald.fleet().ready(role, instance).await;
    }

    /// Ends the load, waits for everything that it caused, and counts.
    pub(crate) async fn count(mut self, what: &str) {
        self.load.stop();
        for clients in &mut self.clients {
            while let Some(client) = clients.join_next().await {
                client.unwrap();
            }
        }
        let accepted = self.load.accepted();
        assert!(accepted.len() > CLIENTS * 10, "there was hardly any load: {}", accepted.len());
        let stopped = Instant::now();
        let summaries = rows::settled(&self.herald, &accepted).await;
        let settled = stopped.elapsed();
        let effects = self.herald.marks("effects");
        self.herald.sigterm().await;
        tell_doubles(&self.herald).await;
        let log = rows::of_log(&self.herald.log(), &accepted).await;
        rows::of_effects(&effects, &log);
        rows::of_results(&summaries, &log, &accepted);
        report(&format!(
            "{what}: {} webhooks, {log}, {} effects; settled {settled:.1?} after the last, {:.1?} in all",
            accepted.len(),
            effects.len(),
            self.begun.elapsed()
        ));
    }
}

/// What was decided more than once, and where that stands, for whoever must find out why; the count fails on it next.
async fn tell_doubles(herald: &Herald) {
    let mut told: BTreeMap<Place, Vec<String>> = BTreeMap::new();
    for record in herald.log().records(topics::PROGRESS).await {
        for line in progress::lines(record.value()) {
            let progress = Progress::decode(line).unwrap();
            if matches!(progress.fact, Fact::Detected(_) | Fact::Duplicate(_)) {
                let what = format!("{}@{} at {}", record.at(), record.offset, record.published);
                told.entry(progress.occurrence.raw).or_default().push(what);
            }
        }
    }
    told.retain(|_, told| told.len() > 1);
    if !told.is_empty() {
        report(&format!(
            "{} raw records were decided more than once: {told:?}\n{}",
            told.len(),
            herald.fleet().story()
        ));
    }
}

/// Waits for something that blocks.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::time::timeout(Duration::from_secs(200), tokio::task::spawn_blocking(work)).await.unwrap().unwrap()
}
