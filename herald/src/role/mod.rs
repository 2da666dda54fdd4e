//! One stage in a process of its own, on Kafka: the very same stages and the same supervision as in `dev`.
//!
//! A role waits for what it needs (the brokers, its topics, a catalog), says once what it waits for, and prints one line when
//! it is ready.

pub(crate) mod detector;
pub(crate) mod ingest;
pub(crate) mod job_runner;
mod outcomes;
pub(crate) mod results;
mod single;
mod topics;

use std::{convert::Infallible, error::Error, fmt::Write as _, iter, net::SocketAddr, process::ExitCode, sync::Arc};

use anyhow::Context as _;
use bus::TopicSpec;
use kafka::Kafka;
use runtime::{
    config::Layers,
    health::{Check, Health},
    listener::Bound,
    signals::stop_on_signals,
    supervise::{Phase, Supervisor, Task},
    telemetry,
};
use tokio_util::sync::CancellationToken;

use self::topics::Topics;
use crate::stages::{Catalogs, Controls, Gate, Stages};
use client::{exit::Usage, print::Speaker};
use settings::{BusOptions, Config, HealthOptions, Kind, kafka_topics};

/// How many threads may block at once: questions to the brokers, and the results' store.
const BLOCKING: usize = 64;

/// What is said of a bus without a catalog.
const NO_CATALOG: &str = "no catalog on the bus yet; put one there: herald catalog apply <folder>";

/// What makes a role.
#[derive(Debug, Clone, Copy)]
struct Role {
    name: &'static str,
    /// The topics beside those of events that it reads or writes.
    topics: &'static [&'static str],
    /// Whether it is ready only with a catalog.
    needs_catalog: bool,
}

/// A process that is being put together.
struct Process {
    role: Role,
    kafka: Arc<Kafka>,
    told: kafka::Config,
    config: Arc<Config>,
    stages: Stages,
    /// What must be open, too, before it is ready.
    also: Option<Gate>,
    health: Health,
    supervisor: Supervisor,
    stop: CancellationToken,
    speaker: Speaker,
}

/// What is told whoever asks `herald dev` for Kafka.
pub(crate) fn instead_of_dev() -> Usage {
    let message = "`herald dev` runs every stage in one process, on the embedded bus; with `bus.kind = \"kafka\"` start \
                   the roles: herald ingest, detector, job-runner and results";
    Usage(message.to_owned())
}

/// The configuration of a role: its layers, and `change` for what its own flags say.
fn configure(role: Role, options: &BusOptions, change: impl FnOnce(Layers) -> Layers) -> Result<Config, Usage> {
    let config = Config::load(change(settings::layers(options)?))?;
    if config.bus.kind == Kind::Embedded {
        return Err(Usage(format!(
            "the embedded bus is for one process: `herald dev <folder>` runs every stage in it; for `herald {}` in a \
             process of its own give --brokers host:9092",
            role.name
        )));
    }
    Ok(config)
}

/// What `--health` says.
fn health(layers: Layers, options: &HealthOptions) -> Layers {
    match options.address {
        Some(address) => layers.flag("--health", "health.address", address.to_string()),
        None => layers,
    }
}

/// Runs a role until it is told to stop, or until something fails for good.
fn run(
    role: Role,
    config: Config,
    serve: impl AsyncFnOnce(Process) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    let told = config.kafka(role.name)?;
    let _log = telemetry::init(&config.telemetry).map_err(|error| config.refuse(error))?;
    let (speaker, _said) = Speaker::new().context("cannot write to stdout")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING)
        .build()
        .context("cannot start a runtime")?;
    runtime.block_on(async {
        let process = Process::open(role, config, told, speaker)?;
        serve(process).await
    })
}

impl Process {
    fn open(role: Role, config: Config, told: kafka::Config, speaker: Speaker) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let registry = ::job_runner::Registry::standard(&config.job_runner);
        let commands = registry.clone();
        stop_on_signals(stop.clone(), move || commands.kill()).context("cannot listen for signals")?;
        let kafka = Arc::new(Kafka::open(&told).map_err(|error| Usage(error.to_string()))?);
        let config = Arc::new(config);
        let stages = Stages {
            bus: kafka.clone(),
            config: config.clone(),
            registry,
            catalogs: Catalogs::new(),
            controls: Controls::new(),
            gate: Gate::closed(),
            board: ::job_runner::Board::default(),
            is_final,
        };
        let health = Health::new();
        let supervisor = Supervisor::new(health.clone());
        Ok(Self { role, kafka, told, config, stages, also: None, health, supervisor, stop, speaker })
    }

    /// Serves the health, where that is wanted.
    async fn serve_health(&mut self) -> anyhow::Result<Option<SocketAddr>> {
        let Some(listen) = self.config.health.listen() else { return Ok(None) };
        let bound = Bound::bind("health", "--health", &listen).await?;
        let (address, router) = (bound.address(), self.health.router());
        self.supervisor.add(Task::once("health", Phase::Bus, |shutdown| async move {
            bound.serve(router, shutdown).await;
            Ok::<(), Infallible>(())
        }));
        Ok(Some(address))
    }

    /// Runs what was put together, and tells when it is ready, with these facts.
    async fn run(mut self, facts: Vec<(&'static str, String)>) -> anyhow::Result<ExitCode> {
        let needed = |spec: &TopicSpec| self.role.topics.contains(&spec.topic.as_str());
        let topics = Topics {
            bus: self.kafka.clone(),
            specs: kafka_topics().into_iter().filter(needed).collect(),
            create: self.told.create_topics,
            reach: self.kafka.reach().clone(),
            check: self.health.register("bus"),
        };
        let gate = self.stages.gate.clone();
        self.supervisor.add(Task::once("topics", Phase::Bus, |shutdown| topics.keep(gate, shutdown)));
        let ready = Ready {
            role: self.role,
            line: self.line(facts),
            gates: iter::once(self.stages.gate.clone()).chain(self.also.clone()).collect(),
            catalogs: self.stages.catalogs.clone(),
            check: self.role.needs_catalog.then(|| self.health.register("catalog")),
            speaker: self.speaker.clone(),
        };
        self.supervisor.add(Task::once("ready", Phase::Bus, |shutdown| ready.tell(shutdown)));
        self.supervisor.run(self.stop).await?;
        Ok(ExitCode::SUCCESS)
    }

    fn line(&self, facts: Vec<(&'static str, String)>) -> String {
        let mut line = format!("🔔 Herald {} is ready", self.role.name);
        let own = [("instance", self.told.instance.clone()), ("brokers", self.told.brokers.join(","))];
        for (name, fact) in facts.into_iter().chain(own) {
            let _ = write!(line, "   {name} {fact}");
        }
        line
    }
}

/// Says when the role is ready, and what it still waits for.
struct Ready {
    role: Role,
    line: String,
    gates: Vec<Gate>,
    catalogs: Catalogs,
    check: Option<Check>,
    speaker: Speaker,
}

impl Ready {
    async fn tell(self, shutdown: CancellationToken) -> Result<(), Infallible> {
        if shutdown.run_until_cancelled(self.wait_and_tell()).await.is_some() {
            shutdown.cancelled().await;
        }
        Ok(())
    }

    async fn wait_and_tell(&self) {
        for gate in &self.gates {
            gate.opened().await;
        }
        let Some(check) = &self.check else { return self.speaker.line(&self.line) };
        let followed = tokio::select! {
            // A catalog that is there by now is no longer waited for.
            biased;
            followed = self.catalogs.some() => followed,
            () = self.catalogs.none.opened() => {
                check.not_ready(NO_CATALOG);
                self.speaker.line(&format!("⏳ Herald {} waits: {NO_CATALOG}", self.role.name));
                self.catalogs.some().await
            }
        };
        check.ready();
        self.speaker.line(&format!(
            "{}   catalog version {}, {}",
            self.line,
            followed.number,
            tools::report::counted(&followed.catalog)
        ));
        self.tell_next(followed.number).await;
    }

    /// Says each version of the catalog that is followed from then on.
    async fn tell_next(&self, mut told: u64) {
        let mut catalogs = self.catalogs.follow();
        loop {
            // The sender lives as long as this value.
            let next = catalogs.wait_for(|next| next.as_ref().is_some_and(|next| next.number > told)).await;
            let Some(next) = next.ok().and_then(|next| next.clone()) else { return };
            told = next.number;
            self.speaker.line(&format!("📖 Catalog version {told}: {}", tools::report::counted(&next.catalog)));
        }
    }
}

/// Whether the bus has stopped for good, wherever it was met: the process must be started again, if at all.
fn is_final(error: &(dyn Error + 'static)) -> bool {
    let mut chain = iter::successors(Some(error), |error: &&(dyn Error + 'static)| (*error).source());
    chain.any(|error| matches!(error.downcast_ref(), Some(bus::Error::Stopped(_))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_that_has_stopped_is_final_wherever_it_is_met_and_one_that_is_away_is_not() {
        let stopped = || bus::Error::Stopped("another process uses instance 1".into());
        assert!(is_final(&stopped()));
        assert!(is_final(&::detector::Error::Bus(stopped())));
        assert!(is_final(&::job_runner::Error::Bus(stopped())));
        assert!(is_final(&::results::Error::Bus(stopped())));
        assert!(!is_final(&::detector::Error::Bus(bus::Error::Unavailable("a broker is away".into()))));
    }

    #[test]
    fn a_role_on_the_embedded_bus_is_refused_with_what_to_do() {
        let role = Role { name: "detector", topics: &[], needs_catalog: true };
        let error = configure(role, &BusOptions::default(), |layers| layers).expect_err("a refusal").to_string();
        assert!(error.contains("`herald dev <folder>`") && error.contains("--brokers"), "{error}");
    }
}
