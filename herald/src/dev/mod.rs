//! All stages in one process on the embedded bus: wiring, read from top to bottom.

mod banner;
mod follow;
mod publish;
mod schemas;
mod watch;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use bus::{Bus, TopicSpec, embedded::Embedded};
use contracts::topics;
use runtime::{
    config::{Layers, load},
    health::Health,
    listener::Bound,
    supervise::{OnFailure, Phase, Supervisor, Task, stop_on_signals},
    telemetry,
};
use tokio_util::sync::CancellationToken;

use crate::{
    cli::DevOptions,
    config::{Config, DEFAULTS},
    exit::Usage,
};

/// A stage that fails is started again: what it was doing is in the log.
const AGAIN: OnFailure = OnFailure::Restart { initial: Duration::from_millis(200), max: Duration::from_secs(30) };

/// How many threads may block at once: the results' writer, their readers, and whoever reads behind the log's tail. Each
/// thread more is a heap more that its frees are scattered over: with sixteen the process took three times the memory.
const BLOCKING: usize = 4;

/// Runs every stage until it is told to stop, or until one of them fails for good.
///
/// # Errors
/// The configuration cannot be used, a stage could not start, or one ended unasked.
pub(crate) fn run(options: DevOptions) -> anyhow::Result<ExitCode> {
    let config = configure(&options)?;
    telemetry::init(&config.telemetry)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING)
        .build()
        .context("cannot start a runtime")?;
    runtime.block_on(serve(config, options))
}

fn configure(options: &DevOptions) -> anyhow::Result<Config> {
    let mut layers = Layers::new(DEFAULTS).file(options.config.as_deref()).process_env()?;
    if let Some(address) = options.listen {
        layers = layers.flag("--listen", "ingest.listen.address", address.to_string());
    }
    if let Some(address) = options.api {
        layers = layers.flag("--api", "api.listen.address", address.to_string());
    }
    if let Some(data) = &options.data {
        layers = layers.flag("--data", "data", data.display().to_string());
    }
    let mut config: Config = load(layers).map_err(|error| Usage(error.to_string()))?;
    if !options.catalog.is_dir() {
        let message =
            format!("{} is no folder; name the folder of a catalog, as in examples/moves", options.catalog.display());
        return Err(Usage(message).into());
    }
    config.job_runner.folder = options.catalog.clone();
    if config.results.path == Path::new("results.db") {
        config.results.path = config.data.join("results.db");
    }
    config.api.listen.check("api.listen").map_err(|error| Usage(error.to_string()))?;
    config.ingest.check().map_err(|error| Usage(error.to_string()))?;
    Ok(config)
}

async fn serve(config: Config, options: DevOptions) -> anyhow::Result<ExitCode> {
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone()).context("cannot listen for signals")?;
    let embedded = Arc::new(Embedded::open(&config.embedded())?);
    let bus: Arc<dyn Bus> = embedded.clone();
    bus.create(base_topics()).await.context("cannot create the topics")?;

    let results = results::Service::new(config.results.clone(), results::Deps { bus: bus.clone() })?;
    let outcomes = results.handle();
    let deps = ingest::Deps { bus: bus.clone(), outcomes: Some(Arc::new(outcomes.clone())) };
    let mut ingest = ingest::Service::new(config.ingest.clone(), deps)?;
    let webhook = ingest.bind().await?;
    let api = Bound::bind("api.listen", &config.api.listen).await?;
    let api_address = api.address();

    let registry = job_runner::Registry::standard(&config.job_runner);
    let catalogs = follow::Catalogs::new();
    let detector_config =
        detector::Config { schemas_url: schemas_url(&config, api_address), ..config.detector.clone() };
    let health = Health::new();
    let check = health.register("catalog");

    let mut supervisor = Supervisor::new();
    supervisor.add(Task::once("ingest", Phase::Intake, |shutdown| ingest.run(shutdown)));
    supervisor.add({
        let (bus, registry, catalogs) = (bus.clone(), registry.clone(), catalogs.clone());
        let follow = move |shutdown| follow::run(bus.clone(), registry.clone(), catalogs.clone(), shutdown);
        Task::new("catalog", Phase::Gather, follow).on_failure(AGAIN)
    });
    supervisor.add({
        let publisher =
            publish::Publisher { bus: bus.clone(), registry: registry.clone(), folder: options.catalog.clone() };
        let banner =
            banner::Banner { webhook, api: api_address, config: config.clone(), catalogs: catalogs.clone(), check };
        Task::once("catalog files", Phase::Intake, |shutdown| watch::run(publisher, banner, shutdown))
    });
    supervisor.add({
        let (bus, catalogs) = (bus.clone(), catalogs.clone());
        let detect = move |shutdown| {
            let deps = detector::Deps { bus: bus.clone(), catalog: catalogs.for_detector() };
            detector::Service::new(detector_config.clone(), deps).run(shutdown)
        };
        Task::new("detector", Phase::Detect, detect).on_failure(AGAIN)
    });
    supervisor.add({
        let (bus, catalogs, config) = (bus.clone(), catalogs.clone(), config.job_runner.clone());
        let budget = config.grace.get() + Duration::from_secs(5);
        let run = move |shutdown| {
            let deps =
                job_runner::Deps { bus: bus.clone(), catalog: catalogs.for_runner(), registry: registry.clone() };
            job_runner::Service::new(config.clone(), deps).run(shutdown)
        };
        Task::new("job-runner", Phase::Run, run).on_failure(AGAIN).budget(budget)
    });
    supervisor.add(Task::once("results", Phase::Gather, |shutdown| results.run(shutdown)));
    supervisor.add({
        let auth = config.api.listen.auth.clone();
        let (groups, catalogs) = (groups_of(&catalogs), catalogs.clone());
        Task::once("api", Phase::Gather, move |shutdown| async move {
            let asked = results::api::Api { handle: outcomes, bus, groups, shutdown: shutdown.clone() };
            let router = results::api::router(asked).merge(schemas::router(catalogs)).fallback(schemas::nowhere);
            let router = runtime::auth::bearer(router, &auth).merge(health.router());
            api.serve(router, shutdown).await;
            Ok::<(), std::convert::Infallible>(())
        })
    });
    supervisor.run(stop).await?;
    embedded.close();
    Ok(ExitCode::SUCCESS)
}

/// The consumer groups whose lag is shown: every stage's and every job's.
fn groups_of(catalogs: &follow::Catalogs) -> Arc<dyn Fn() -> Vec<String> + Send + Sync> {
    let catalogs = catalogs.follow();
    Arc::new(move || {
        let mut groups = vec![detector::GROUP.to_owned(), results::GROUP.to_owned()];
        if let Some(followed) = &*catalogs.borrow() {
            let jobs = followed.catalog.jobs().chain(followed.catalog.retired());
            groups.extend(jobs.map(|job| job.group().to_string()));
        }
        groups
    })
}

/// Every topic that does not belong to an event.
fn base_topics() -> Vec<TopicSpec> {
    let logs = [topics::RAW, topics::REJECTED, topics::PROGRESS, topics::COMPLETED, topics::SEEN];
    let mut specs: Vec<TopicSpec> = logs.map(TopicSpec::new).to_vec();
    specs.push(TopicSpec::table(topics::CATALOG));
    specs
}

/// The configured base of `dataschema`; the API that is really there, if that is the default.
fn schemas_url(config: &Config, api: SocketAddr) -> String {
    if config.detector.schemas_url == detector::Config::default().schemas_url {
        // What is reached at every address is reached at this one.
        let host = if api.ip().is_unspecified() { IpAddr::from(Ipv4Addr::LOCALHOST) } else { api.ip() };
        return format!("http://{}", SocketAddr::new(host, api.port()));
    }
    config.detector.schemas_url.clone()
}
