//! The stages as tasks of a process: wired here once, for `dev`, which has all of them, and for the roles, which have one.

mod catalogs;
mod control;
mod follow;
mod gate;
mod jobs;
mod known;
mod nowhere;
mod revive;
mod schemas;
mod still;
mod why;

use std::{convert::Infallible, error::Error, sync::Arc, time::Duration};

use axum::middleware::map_response;
use bus::Bus;
use job_runner::{Board, Registry};
use runtime::{
    health::Health,
    listener::Bound,
    meter::Meters,
    problem::answered,
    supervise::{OnFailure, Phase, Task},
};

pub(crate) use self::{
    control::Controls,
    follow::{Catalogs, Followed},
    gate::Gate,
    known::Known,
    why::Explainer,
};
use settings::Config;

/// A stage that fails is started again: what it was doing is in the log.
const AGAIN: OnFailure = OnFailure::Restart { initial: Duration::from_millis(200), max: Duration::from_secs(30) };

/// What the stages of a process share.
#[derive(Clone)]
pub(crate) struct Stages {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) config: Arc<Config>,
    pub(crate) registry: Registry,
    pub(crate) catalogs: Catalogs,
    /// What an operator has said about jobs.
    pub(crate) controls: Controls,
    /// What every stage waits for.
    pub(crate) gate: Gate,
    /// How each job of this process is.
    pub(crate) board: Board,
    /// Which errors starting a stage again cannot mend.
    pub(crate) is_final: fn(&(dyn Error + 'static)) -> bool,
}

impl Stages {
    /// Takes webhooks. It does not wait for the gate: until then it answers that they are to come again.
    pub(crate) fn ingest(&self, ingest: ingest::Service) -> Task {
        let budget = self.config.ingest.listen.shutdown_budget();
        Task::once("ingest", Phase::Intake, |shutdown| ingest.run(shutdown)).budget(budget)
    }

    /// Follows the catalog for whoever asks [`Catalogs`].
    pub(crate) fn follow(&self) -> Task {
        let stages = self.clone();
        let follow = move |shutdown| {
            let Self { bus, registry, catalogs, gate, .. } = stages.clone();
            gate.behind(shutdown, |shutdown| follow::run(bus, registry, catalogs, shutdown))
        };
        Task::new("catalog", Phase::Gather, follow).on_failure(AGAIN).final_if(self.is_final)
    }

    /// Follows what is said about jobs for whoever asks [`Controls`].
    pub(crate) fn heed(&self) -> Task {
        let stages = self.clone();
        let heed = move |shutdown| {
            let Self { bus, controls, gate, .. } = stages.clone();
            gate.behind(shutdown, |shutdown| control::run(bus, controls, shutdown))
        };
        Task::new("control", Phase::Gather, heed).on_failure(AGAIN).final_if(self.is_final)
    }

    /// Runs jobs once more that have left the catalog, where an order wants it.
    pub(crate) fn revive(&self) -> Task {
        let stages = self.clone();
        let revive = move |shutdown| {
            let Self { bus, registry, catalogs, controls, gate, .. } = stages.clone();
            gate.behind(shutdown, |shutdown| revive::run(bus, registry, catalogs, controls, shutdown))
        };
        Task::new("revive", Phase::Gather, revive).on_failure(AGAIN).final_if(self.is_final)
    }

    /// Turns changes into events, whose schemas are at that address.
    pub(crate) fn detector(&self, schemas_url: String) -> Task {
        let stages = self.clone();
        let config = detector::Config { schemas_url, ..self.config.detector.clone() };
        let detect = move |shutdown| {
            let deps = detector::Deps { bus: stages.bus.clone(), catalog: stages.catalogs.for_detector() };
            let detector = detector::Service::new(config.clone(), deps);
            stages.gate.clone().behind(shutdown, |shutdown| detector.run(shutdown))
        };
        Task::new("detector", Phase::Detect, detect).on_failure(AGAIN).final_if(self.is_final)
    }

    /// Runs jobs. One that stands still leaves the process ready, since the others go on; its health tells of it.
    pub(crate) fn job_runner(&self, health: &Health) -> Task {
        let board = self.board.clone();
        health.report("jobs", move || board.complaint());
        let stages = self.clone();
        let budget = self.config.job_runner.shutdown_budget();
        let run = move |shutdown| {
            let Self { bus, registry, board, .. } = stages.clone();
            let (catalog, control) = (stages.catalogs.for_runner(), stages.controls.follow());
            let deps = job_runner::Deps { bus, catalog, control, registry, board };
            let runner = job_runner::Service::new(stages.config.job_runner.clone(), deps);
            stages.gate.clone().behind(shutdown, |shutdown| runner.run(shutdown))
        };
        Task::new("job-runner", Phase::Run, run).on_failure(AGAIN).final_if(self.is_final).budget(budget)
    }

    /// Answers over HTTP what became of something.
    pub(crate) fn api(&self, bound: Bound, handle: results::Handle, health: Health, meters: Meters) -> Task {
        let board = self.board.clone();
        let jobs = Arc::new(move || jobs::shown(&board));
        let (stages, auth) = (self.clone(), self.config.api.listen.auth.clone());
        Task::once("api", Phase::Gather, move |shutdown| async move {
            let groups = stages.groups();
            let seen = health.clone();
            let troubles = Arc::new(move || seen.troubles());
            let versions = catalogs::router(stages.bus.clone());
            let asked = results::api::Api {
                handle,
                bus: stages.bus,
                groups,
                jobs,
                troubles,
                meters,
                shutdown: shutdown.clone(),
            };
            let router = results::api::router(asked)
                .merge(schemas::router(stages.catalogs))
                .merge(versions)
                .fallback(nowhere::nowhere);
            let router = runtime::auth::bearer(runtime::answers::bounded(router), &auth);
            let router = router.merge(health.router()).layer(map_response(answered));
            bound.serve(router, shutdown).await;
            Ok::<(), Infallible>(())
        })
        .budget(self.config.api.listen.shutdown_budget())
    }

    /// Sees that the stage of a group gets on. Its name is the group's in `/readyz`.
    pub(crate) fn progress(&self, group: &'static str, health: &Health) -> Task {
        still::watch(self.bus.clone(), group, health.watch(group))
    }

    /// The consumer groups whose lag is shown: every stage's and every job's.
    fn groups(&self) -> Arc<dyn Fn() -> Vec<String> + Send + Sync> {
        let catalogs = self.catalogs.follow();
        Arc::new(move || {
            let mut groups = vec![detector::GROUP.to_owned(), results::GROUP.to_owned()];
            if let Some(followed) = &*catalogs.borrow() {
                let jobs = followed.catalog.jobs().chain(followed.catalog.retired());
                groups.extend(jobs.map(|job| job.group().to_string()));
            }
            groups
        })
    }
}
