//! One Herald under test: its life, its folders and what it prints.

mod ask;
mod end;

use std::{
    collections::VecDeque,
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::Command,
    sync::Mutex,
    time::{Duration, Instant},
};

use contracts::ids::{CorrelationId, InvocationId};
use rustix::process::Signal;
use serde::Deserialize;
use tokio::sync::watch;

use crate::{Builder, Ended, Engine, Log, Tool, binary, client, client::Request, home, process::Process, tool::clean};

/// Where a running Herald listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Addresses {
    webhook: SocketAddr,
    api: SocketAddr,
}

/// What the webhook answers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// The correlation.
    pub correlation_id: CorrelationId,
    /// The invocation.
    pub invocation_id: InvocationId,
}

/// One Herald under test.
#[derive(Debug)]
pub struct Herald {
    given: Builder,
    process: Option<Process>,
    addresses: Option<Addresses>,
    webhooks: watch::Sender<Option<SocketAddr>>,
    /// What earlier processes on the same folder printed.
    before: String,
    history: Mutex<VecDeque<String>>,
    may_leave_work: bool,
}

impl Herald {
    /// A Herald with folders of its own, on the bus of this run of the suite.
    pub fn build() -> Builder {
        Builder::new(Engine::of_suite())
    }

    pub(crate) fn new(given: Builder) -> Self {
        Self {
            given,
            process: None,
            addresses: None,
            webhooks: watch::Sender::new(None),
            before: String::new(),
            history: Mutex::default(),
            may_leave_work: false,
        }
    }

    // ---- Its life ----------------------------------------------------------------------------------------------------

    /// Starts the process, and waits for nothing.
    pub fn launch(&mut self) {
        assert!(self.process.is_none(), "it is running already");
        let home = self.given.home.path();
        let mut command = Command::new(binary());
        command.arg("dev").arg(home::catalog(home)).arg("--data").arg(self.data());
        for (flag, value) in [("--listen", "127.0.0.1:0"), ("--api", "127.0.0.1:0")] {
            if !self.given.flags.iter().any(|given| given == flag) {
                command.args([flag, value]);
            }
        }
        command.args(&self.given.flags).current_dir(home).stdin(std::process::Stdio::null());
        // For the scripts of jobs: a folder to leave marks in, and the tool to send with.
        clean(&mut command).env("SCRATCH", self.scratch()).env("SENDER", binary());
        command.env("EVENT_LOG", self.scratch().join("event-log.jsonl"));
        command.envs(self.given.variables.iter().cloned());
        self.process = Some(Process::spawn(command));
    }

    /// Starts the process, and waits until its webhook and its API answer.
    pub async fn start(&mut self) {
        self.launch();
        self.ready().await;
    }

    /// Waits until its webhook and its API answer.
    pub async fn ready(&mut self) {
        let addresses = self.wait_for("the addresses that it prints", async || addresses(&self.stdout())).await;
        self.addresses = Some(addresses);
        self.wait_for("the webhook", async || {
            client::send(addresses.webhook, &Request::get("/hasura")).await.ok().filter(|a| a.status != 503)
        })
        .await;
        self.wait_for("the API", async || {
            client::send(addresses.api, &Request::get("/readyz")).await.ok().filter(|a| a.status == 200)
        })
        .await;
        fs::write(self.scratch().join("webhook"), addresses.webhook.to_string()).expect("a mark");
        self.webhooks.send_replace(Some(addresses.webhook));
    }

    /// kill -9.
    pub fn kill9(&mut self) {
        self.webhooks.send_replace(None);
        let mut process = self.process.take().expect("it is running");
        assert!(process.ended().is_none(), "it had died before it was killed\n{}", self.story());
        process.kill();
        self.bury(process);
    }

    /// Asks it to stop, and waits until it has, which must be without an error. Tells how long it took.
    pub async fn sigterm(&mut self) -> Duration {
        let begun = Instant::now();
        self.webhooks.send_replace(None);
        let mut process = self.process.take().expect("it is running");
        process.signal(Signal::TERM);
        let status = process.end().await;
        self.bury(process);
        assert_eq!(status.code(), Some(0), "a graceful end with {status}\n{}", self.before);
        begun.elapsed()
    }

    /// Waits until it has ended by itself, and tells how.
    pub async fn death(&mut self) -> Ended {
        let mut process = self.process.take().expect("it is running");
        let status = process.end().await;
        self.webhooks.send_replace(None);
        process.last_words();
        let printed = format!("{}{}", process.printed.stdout(), process.printed.stderr());
        self.bury(process);
        Ended { code: status.code(), printed }
    }

    /// Starts it again on the same folders, and waits until it answers.
    pub async fn restart(&mut self) {
        if self.process.is_some() {
            self.sigterm().await;
        }
        self.start().await;
    }

    /// Says that this test leaves unfinished work behind.
    pub fn leave_work(&mut self) {
        self.may_leave_work = true;
    }

    /// Starts a second process on the same data folder, which must end.
    pub async fn second(&self) -> Ended {
        let home = self.given.home.path();
        let (data, catalog) = (self.data(), home::catalog(home));
        let arguments: Vec<String> =
            [catalog.display().to_string(), "--data".into(), data.display().to_string()].into();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let always = ["dev", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"];
        let output = Tool::start(&[&always, arguments.as_slice()].concat(), &[], None).output().await;
        Ended { code: output.code, printed: format!("{}{}", output.stdout, output.stderr) }
    }

    fn bury(&mut self, mut process: Process) {
        process.last_words();
        let (stdout, stderr) = (process.printed.stdout(), process.printed.stderr());
        self.before.push_str(&format!("--- process {}\n{stdout}{stderr}", process.id()));
        self.addresses = None;
    }

    // ---- What it has -------------------------------------------------------------------------------------------------

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.given.home.path().join("data")
    }

    /// A folder for the marks of jobs: `$SCRATCH` to their scripts.
    pub fn scratch(&self) -> PathBuf {
        self.given.home.path().join("scratch")
    }

    /// Leaves a mark for jobs that wait for it.
    pub fn mark(&self, name: &str) {
        fs::write(self.scratch().join(name), "").expect("a mark");
    }

    /// The lines of a mark that jobs write; none if there is no such mark.
    pub fn marks(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.scratch().join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Its catalog's folder.
    pub fn catalog(&self) -> PathBuf {
        home::catalog(self.given.home.path())
    }

    /// Writes a file of its catalog while it runs.
    pub fn edit(&self, path: &str, text: &str) {
        home::write(&self.catalog(), path, text);
    }

    /// Writes a file of its catalog while it runs, and waits until it counts.
    pub async fn apply(&self, path: &str, text: &str) {
        let versions = || self.stdout().matches("Catalog version").count();
        let before = versions();
        self.edit(path, text);
        self.wait_for("the next version of the catalog", async || (versions() > before).then_some(())).await;
    }

    /// What the running process has printed.
    pub fn stdout(&self) -> String {
        self.process.as_ref().map(|process| process.printed.stdout()).unwrap_or_default()
    }

    /// What the running process has logged.
    pub fn stderr(&self) -> String {
        self.process.as_ref().map(|process| process.printed.stderr()).unwrap_or_default()
    }

    /// What it left on its bus. It must have stopped.
    pub fn log(&self) -> Log {
        assert!(self.process.is_none(), "the log is read after it has stopped");
        Log::open(self.given.engine, &self.data())
    }
}

/// The addresses in what it prints once it is ready.
fn addresses(stdout: &str) -> Option<Addresses> {
    let banner = &stdout[stdout.find("Herald is listening")?..];
    let after = |label: &str| {
        let line = banner.lines().find_map(|line| line.trim().strip_prefix(label))?;
        line.trim().strip_prefix("http://")?.split('/').next()?.parse().ok()
    };
    Some(Addresses { webhook: after("webhook")?, api: after("API")? })
}
