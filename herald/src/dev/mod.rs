//! All stages in one process on the embedded bus: wiring, read from top to bottom.

mod banner;
mod blocks;
mod data;
mod dead;
mod files;
mod fresh;
mod goes_on;
mod links;
mod outputs;
mod owner;
mod pace;
mod watch;

use std::{
    convert::Infallible,
    io::{self, IsTerminal as _},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use bus::{Bus, embedded::Embedded};
use runtime::{
    health::Health,
    listener::Bound,
    signals::stop_on_signals,
    supervise::{Phase, Supervisor, Task},
    telemetry,
};
use tokio_util::sync::CancellationToken;

use self::{
    blocks::{Blocks, Ending},
    outputs::Outputs,
};
use crate::role;
use crate::stages::{Catalogs, Controls, Explainer, Gate, Known, Stages};
use catalog_log::{Publisher, Writers};
use clap::{Args, ValueEnum};
use client::{exit::Usage, print::Speaker};
use settings::{BusOptions, Config, Kind, base_topics};
use std::path::PathBuf;

/// What `herald dev` is told; what is absent comes from the configuration file, the environment or the defaults.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// The catalog: a folder with `events/` and, where wanted, `jobs/`; it is read again whenever a file changes
    #[arg(value_name = "FOLDER")]
    pub(crate) catalog: PathBuf,
    /// Where the webhook listens [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", value_parser = runtime::config::address)]
    pub(crate) listen: Option<SocketAddr>,
    /// Where the API listens [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS", value_parser = runtime::config::address)]
    pub(crate) api: Option<SocketAddr>,
    /// The folder of the log and the results [default: .herald]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    /// A configuration file; `herald config` prints the default one
    #[arg(long, env = "HERALD_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What is printed of each webhook: a block as `send --wait` prints it, or no more than the log
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub(crate) print: Print,
    /// The same as --print log
    #[arg(long, short, conflicts_with = "print")]
    pub(crate) quiet: bool,
    /// Delete the log and the results of before, and start anew
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Where blocks are printed, print none of what the jobs' programs write
    #[arg(long)]
    pub(crate) no_output: bool,
}

/// What is printed of each webhook.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Print {
    /// Blocks on a terminal, else the log alone
    #[default]
    Auto,
    /// A block for each
    Blocks,
    /// The log alone, which has every failure
    Log,
}

impl Options {
    /// Whether each webhook is a block on stdout.
    fn blocks(&self) -> bool {
        match self.print {
            _ if self.quiet => false,
            Print::Auto => io::stdout().is_terminal(),
            Print::Blocks => true,
            Print::Log => false,
        }
    }
}

/// How many threads may block at once: the results' writer, their readers, and whoever reads behind the log's tail. Each
/// thread more is a heap more that its frees are scattered over: with sixteen the process took three times the memory.
const BLOCKING: usize = 4;

/// Runs every stage until it is told to stop, or until one of them fails for good.
///
/// # Errors
/// The configuration cannot be used, a stage could not start, or one ended unasked.
pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    let config = configure(&options)?;
    let _log = telemetry::init(&config.telemetry).map_err(|error| config.refuse(error))?;
    let (speaker, _said) = Speaker::new().context("cannot write to stdout")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING)
        .build()
        .context("cannot start a runtime")?;
    runtime.block_on(serve(config, options, speaker))
}

/// What is logged on the terminal that has blocks: what they do not say.
fn beside_blocks() -> String {
    format!("warn,{}=off,{}=off", job_runner::FAILED, detector::FAILED)
}

fn configure(options: &Options) -> anyhow::Result<Config> {
    let mut layers = settings::layers(&BusOptions { config: options.config.clone(), ..BusOptions::default() })?;
    if let Some(address) = options.listen {
        layers = layers.flag("--listen", "ingest.listen.address", address.to_string());
    }
    if let Some(address) = options.api {
        layers = layers.flag("--api", "api.listen.address", address.to_string());
    }
    if let Some(data) = &options.data {
        layers = layers.flag("--data", "data", data.display().to_string());
    }
    let mut config = Config::load(layers)?;
    let is_default = config.telemetry.filter == telemetry::Config::default().filter;
    if is_default && options.blocks() && io::stderr().is_terminal() {
        config.telemetry.filter = beside_blocks();
    }
    if config.bus.kind == Kind::Kafka {
        return Err(role::instead_of_dev().into());
    }
    Usage::catalog(&options.catalog)?;
    config.job_runner.folder = options.catalog.clone();
    if config.results.path == Path::new("results.db") {
        config.results.path = config.data.join("results.db");
    }
    config.api.listen.check("api.listen").map_err(|error| config.refuse(error))?;
    config.ingest.check().map_err(|error| config.refuse(error))?;
    config.check_places()?;
    Ok(config)
}

async fn serve(config: Config, options: Options, speaker: Speaker) -> anyhow::Result<ExitCode> {
    if !config.data.exists() {
        // One that cannot listen leaves no folder behind.
        drop(Bound::bind("ingest.listen", "--listen", &config.ingest.listen).await?);
        drop(Bound::bind("api.listen", "--api", &config.api.listen).await?);
    }
    if options.fresh
        && let Some(erased) = fresh::start(&config, &options.catalog).await?
    {
        speaker.show(&erased);
    }
    if let Some(remark) = tools::folder::remark(&options.catalog) {
        speaker.show(&format!("⚠️  {remark}"));
    }
    let stop = CancellationToken::new();
    let outputs = (options.blocks() && !options.no_output).then(|| Outputs::new(speaker.clone()));
    let registry = job_runner::Registry::heard(&config.job_runner, outputs.as_ref().map(Outputs::hears));
    let commands = registry.clone();
    stop_on_signals(stop.clone(), move || commands.kill()).context("cannot listen for signals")?;
    let embedded = Arc::new(Embedded::open(&config.embedded())?);
    let bus: Arc<dyn Bus> = embedded.clone();
    bus.create(base_topics()).await.context("cannot create the topics")?;
    let gate = Gate::closed();
    gate.pass();

    let jobs = dead::found(&*bus).await.context("cannot list the groups")?;
    let results = results::Service::new(config.results.clone(), results::Deps { bus: bus.clone() })?;
    let (catalogs, controls) = (Catalogs::of(&options.catalog), Controls::new());
    let explainer = Arc::new(Explainer::new(bus.clone(), registry.clone(), catalogs.clone()));
    let known = Arc::new(Known::new(bus.clone(), catalogs.clone(), controls.clone()));
    let outcomes = results.handle().explained_by(explainer.clone()).knowing(known);
    let former = owner::former(&*bus, &outcomes, &options.catalog, &config.data).await?;
    let goes_on = goes_on::told(&outcomes).await;
    let board = job_runner::Board::default();
    let ending = Ending { stop: stop.clone(), board: board.clone(), grace: config.job_runner.grace.get() };
    let blocks = options.blocks().then(|| Blocks::new(outcomes.clone(), explainer, speaker.clone(), outputs, ending));
    let deps = ingest::Deps {
        bus: bus.clone(),
        outcomes: Some(Arc::new(outcomes.clone())),
        catalogs: Arc::new(catalogs.clone()),
    };
    let mut ingest = ingest::Service::new(config.ingest.clone(), deps)?;
    let webhook = ingest.bind().await?;
    let api = Bound::bind("api.listen", "--api", &config.api.listen).await?;
    let api_address = api.address();

    let health = Health::new();
    let check = health.register("catalog");
    let data_check = health.register("data folder");
    let stages = Stages {
        bus: bus.clone(),
        config: Arc::new(config.clone()),
        registry,
        catalogs: catalogs.clone(),
        controls,
        gate,
        board,
        is_final: |_| false,
    };
    let idle = (bus.clone(), jobs, catalogs.clone());
    let publisher = Publisher {
        bus,
        kinds: Arc::new(stages.registry.here()),
        folder: options.catalog,
        writers: Writers::Us,
        create_topics: true,
        may_empty: false,
    };
    let schemas_url = schemas_url(&config, api_address);
    let banner = banner::Banner { webhook, api: api_address, config, goes_on, catalogs, check, speaker, former };

    let open = embedded.clone();
    let mut supervisor = Supervisor::new(health.clone());
    supervisor.add(stages.ingest(ingest));
    supervisor.add(stages.follow());
    supervisor.add(stages.heed());
    supervisor.add(stages.revive());
    supervisor.add(Task::once("catalog files", Phase::Intake, |shutdown| watch::run(publisher, banner, shutdown)));
    supervisor.add(stages.detector(schemas_url));
    supervisor.add(stages.job_runner(&health));
    supervisor.add(Task::once("results", Phase::Gather, |shutdown| results.run(shutdown)));
    if let Some(blocks) = blocks {
        supervisor.add(Task::once("blocks", Phase::Bus, |shutdown| blocks.run(shutdown)));
    }
    supervisor.add(stages.progress(detector::GROUP, &health));
    supervisor.add(stages.progress(results::GROUP, &health));
    supervisor.add(stages.api(api, outcomes, health, supervisor.meters()));
    supervisor.add(Task::once("forgotten groups", Phase::Run, |shutdown| async move {
        let (bus, jobs, catalogs) = idle;
        dead::forget(bus, jobs, catalogs, shutdown).await;
        Ok::<(), Infallible>(())
    }));
    supervisor.add(Task::once("data folder", Phase::Bus, |shutdown| data::run(embedded, data_check, shutdown)));
    supervisor.run(stop).await?;
    open.close();
    Ok(ExitCode::SUCCESS)
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
