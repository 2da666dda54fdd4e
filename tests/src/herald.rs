//! One Herald under test: all its processes, its folders and what it prints.

mod ask;
mod end;

use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

use contracts::ids::{CorrelationId, InvocationId};
use serde::Deserialize;
use tokio::sync::watch;

use crate::{Builder, Ended, Engine, FIRST, Fleet, Log, Role, fleet};

/// What the webhook answers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    pub correlation_id: CorrelationId,
    pub invocation_id: InvocationId,
}

/// One Herald under test: `dev` on the embedded bus, one process of each role on Kafka.
#[derive(Debug)]
pub struct Herald {
    fleet: Fleet,
    webhooks: watch::Sender<Option<SocketAddr>>,
    may_leave_work: bool,
}

impl Herald {
    /// A Herald with folders of its own, on the bus of this run of the suite.
    pub fn build() -> Builder {
        Self::on(Engine::of_suite())
    }

    /// A Herald with folders of its own, on that bus.
    pub fn on(engine: Engine) -> Builder {
        Builder::new(engine)
    }

    pub(crate) fn new(given: Builder) -> Self {
        Self { fleet: Fleet::new(given), webhooks: watch::Sender::new(None), may_leave_work: false }
    }

    // ---- Its life ----------------------------------------------------------------------------------------------------

    /// Starts its processes, and waits for nothing. The folder of its catalog is applied.
    pub fn launch(&mut self) {
        assert!(self.fleet.running().is_empty(), "it is running already");
        self.fleet.move_away();
        for role in self.engine().roles() {
            self.fleet.launch(*role, FIRST);
        }
        if self.engine() != &Engine::Embedded {
            self.fleet.launch_apply();
        }
    }

    /// Starts its processes, and waits until its webhook and its API answer and its catalog counts.
    pub async fn start(&mut self) {
        self.launch();
        self.ready().await;
    }

    /// Waits until its webhook and its API answer and its catalog counts.
    pub async fn ready(&mut self) {
        // One that is refused is told by whoever asks for the complaint; the roles may have a catalog of before.
        let applied = self.fleet.applied().await;
        for (role, instance) in self.fleet.running() {
            self.fleet.ready(role, &instance).await;
        }
        if let Some(number) = applied.and_then(|output| version(&output.stdout)) {
            self.fleet.follow(number).await;
        }
        fs::write(self.scratch().join("webhook"), self.webhook().to_string()).expect("a mark");
        self.webhooks.send_replace(Some(self.webhook()));
    }

    /// kill -9 of every process.
    pub fn kill9(&mut self) {
        self.webhooks.send_replace(None);
        self.fleet.kill9_all();
    }

    /// Asks it to stop, and waits until it has, which must be without an error. Tells how long it took.
    pub async fn sigterm(&mut self) -> Duration {
        self.webhooks.send_replace(None);
        self.fleet.sigterm_all().await
    }

    /// Asks its process that runs jobs to stop, again and again, until it has.
    pub async fn insist(&mut self) -> Ended {
        self.webhooks.send_replace(None);
        let running = self.fleet.running().into_iter().find(|(role, _)| matches!(role, Role::Dev | Role::JobRunner));
        let (role, instance) = running.expect("it runs");
        self.fleet.insist(role, &instance).await
    }

    /// Waits until one of its processes has ended by itself, and tells how; the others are ended.
    pub async fn death(&mut self) -> Ended {
        let ended = self.fleet.death().await;
        self.webhooks.send_replace(None);
        ended
    }

    /// Starts it again on the same folders, and waits until it answers.
    pub async fn restart(&mut self) {
        if !self.fleet.running().is_empty() {
            self.sigterm().await;
        }
        self.start().await;
    }

    /// Says that this test leaves unfinished work behind.
    pub fn leave_work(&mut self) {
        self.may_leave_work = true;
    }

    /// Starts a second process where there may be only one; it must end.
    pub async fn second(&mut self) -> Ended {
        const SECOND: &str = "2";
        let role = match self.engine() {
            Engine::Embedded => Role::Dev,
            Engine::Kafka(_) => Role::Results,
        };
        self.fleet.launch(role, SECOND);
        self.fleet.end(role, SECOND).await
    }

    // ---- What it has -------------------------------------------------------------------------------------------------

    /// Its bus.
    pub fn engine(&self) -> &Engine {
        &self.fleet.given.engine
    }

    /// Its processes, to be looked at one by one.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Its processes, to be started and ended one by one. What this Herald itself asks stays the first instance of a role.
    pub fn fleet_mut(&mut self) -> &mut Fleet {
        &mut self.fleet
    }

    /// The data folder of `dev`.
    pub fn data(&self) -> PathBuf {
        self.fleet.data(Role::Dev, FIRST)
    }

    /// A folder for the marks of jobs: `$SCRATCH` to their scripts.
    pub fn scratch(&self) -> PathBuf {
        self.fleet.scratch()
    }

    /// Leaves a mark for jobs that wait for it.
    pub fn mark(&self, name: &str) {
        fs::write(self.scratch().join(name), "").expect("a mark");
    }

    /// The lines of a mark that jobs write; none if there is no such mark.
    pub fn marks(&self, name: &str) -> Vec<String> {
        self.fleet.marks(name)
    }

    /// What it has on its bus; on the embedded one it must have stopped.
    pub fn log(&self) -> Log {
        self.fleet.log()
    }

    /// What the running processes have printed.
    pub fn stdout(&self) -> String {
        self.fleet.running().iter().map(|(role, instance)| self.fleet.stdout_of(*role, instance)).collect()
    }

    /// What the running processes have logged.
    pub fn stderr(&self) -> String {
        self.fleet.running().iter().map(|(role, instance)| self.fleet.stderr_of(*role, instance)).collect()
    }

    // ---- Its catalog -------------------------------------------------------------------------------------------------

    /// Its catalog's folder.
    pub fn catalog(&self) -> PathBuf {
        self.fleet.catalog()
    }

    /// Writes files of its catalog, and does with them what a user does: nothing beside `dev`, which sees them; on Kafka they
    /// are applied, if anything runs that follows them.
    pub async fn edit(&self, files: &[(&str, &str)]) {
        for (path, text) in files {
            self.fleet.write(path, text);
        }
        self.edited().await;
    }

    /// Writes a file of its catalog while it runs, and waits until it counts. Tells the catalog's version.
    pub async fn apply(&self, path: &str, text: &str) -> u64 {
        let before = self.told_of_catalogs();
        self.edit(&[(path, text)]).await;
        self.counts(&before).await
    }

    /// Removes a file of its catalog while it runs, and waits until that counts. Tells the catalog's version.
    pub async fn remove(&self, path: &str) -> u64 {
        let before = self.told_of_catalogs();
        fs::remove_file(self.catalog().join(path)).expect("a file that is there");
        self.edited().await;
        self.counts(&before).await
    }

    /// Waits until it says that the files of its catalog cannot be used, and tells what it says.
    pub async fn complaint(&self) -> String {
        self.wait_for("the complaint about the files", async || {
            Some(self.told_of_catalogs()).filter(|told| told.contains("❌ The catalog has "))
        })
        .await
    }

    async fn edited(&self) {
        if self.engine() != &Engine::Embedded && !self.fleet.running().is_empty() {
            self.fleet.apply().await;
        }
    }

    /// What was said of the files of the catalog, by whoever reads them.
    fn told_of_catalogs(&self) -> String {
        match self.engine() {
            Engine::Embedded => self.stdout(),
            Engine::Kafka(_) => self.fleet.said_of_catalogs(),
        }
    }

    /// Waits for a version of the catalog that is told of after what was told before.
    pub async fn counts(&self, before: &str) -> u64 {
        let number = self.wait_for("the next version of the catalog", async || {
            let told = self.told_of_catalogs();
            version(told.get(before.len()..)?)
        });
        let number = number.await;
        self.fleet.follow(number).await;
        number
    }
}

/// The last version of the catalog that counts, as `dev` and `catalog apply` say it.
fn version(text: &str) -> Option<u64> {
    fleet::version("Catalog version ", text)
}
