//! One Herald under test: its life, and everything that a test asks of it.

use std::{
    collections::VecDeque,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::Command,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use contracts::{
    ids::{CorrelationId, InvocationId},
    summary::{State, Summary},
};
use rustix::process::Signal;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;

use crate::{
    Builder, Engine, Ended, LOOK, Log, Output, PATIENCE, Tool, binary,
    client::{self, Answer, Connection, Events, Request},
    home,
    process::Process,
    tool::clean,
};

/// How many requests the history keeps.
const HISTORY: usize = 40;
/// How long work that a test leaves behind may take to end before it counts as left over.
const SETTLE: Duration = Duration::from_secs(15);

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
        let arguments: Vec<String> = [catalog.display().to_string(), "--data".into(), data.display().to_string()].into();
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

    // ---- What is asked of it -----------------------------------------------------------------------------------------

    /// Where webhooks are taken.
    pub fn webhook(&self) -> SocketAddr {
        self.addresses.expect("it is running").webhook
    }

    /// Where webhooks are taken, over deaths and restarts.
    pub fn webhooks(&self) -> watch::Receiver<Option<SocketAddr>> {
        self.webhooks.subscribe()
    }

    /// Where the API is.
    pub fn api(&self) -> SocketAddr {
        self.addresses.expect("it is running").api
    }

    /// Asks the webhook, with the secret where there is one.
    pub async fn hook(&self, mut request: Request) -> Answer {
        if let Some(secret) = &self.given.secret {
            request = request.header("x-herald-secret", secret);
        }
        self.ask(self.webhook(), request).await
    }

    /// Asks the API, with the token where there is one.
    pub async fn get(&self, path: &str) -> Answer {
        self.ask(self.api(), self.authorised(Request::get(path))).await
    }

    /// Asks anybody, and notes it in the history.
    pub async fn ask(&self, address: SocketAddr, request: Request) -> Answer {
        let answer = client::send(address, &request).await;
        let said = match &answer {
            Ok(answer) => format!("{} {}", answer.status, answer.text()),
            Err(error) => format!("{error:#}"),
        };
        self.note(format!("{} -> {said}", request.line()));
        answer.unwrap_or_else(|error| panic!("{}: {error:#}\n{}", request.line(), self.story()))
    }

    fn authorised(&self, request: Request) -> Request {
        match &self.given.token {
            Some(token) => request.header("authorization", &format!("Bearer {token}")),
            None => request,
        }
    }

    /// Follows a live stream of the API.
    pub async fn stream(&self, path: &str) -> Events {
        let connection = Connection::open(self.api()).await.expect("the API");
        connection.stream(self.authorised(Request::get(path))).await.unwrap_or_else(|error| panic!("{path}: {error:#}"))
    }

    /// Posts a body to `/hasura`, which must be accepted.
    pub async fn post(&self, body: impl ToString) -> Accepted {
        self.hook(Request::post("/hasura", Bytes::from(body.to_string()))).await.expect(200).json()
    }

    /// What is known of a correlation.
    pub async fn summary(&self, correlation: &CorrelationId) -> Option<Summary> {
        let answer = self.get(&format!("/v1/correlations/{correlation}")).await;
        (answer.status == 200).then(|| answer.json())
    }

    /// Waits until a correlation is complete, with that many invocations.
    pub async fn complete(&self, correlation: &CorrelationId, invocations: u64) -> Summary {
        self.wait_for(&format!("{correlation} to be complete with {invocations} invocations"), async || {
            let answer = self.get(&format!("/v1/correlations/{correlation}?wait=2s")).await;
            let summary: Summary = (answer.status == 200).then(|| answer.json())?;
            (summary.state == State::Complete && summary.counters.invocations == invocations).then_some(summary)
        })
        .await
    }

    /// Posts a body, and waits until everything it caused has ended.
    pub async fn run(&self, body: Value) -> Summary {
        let accepted = self.post(body).await;
        self.complete(&accepted.correlation_id, 1).await
    }

    /// Runs a tool against it to its end.
    pub async fn cli(&self, arguments: &[&str]) -> Output {
        self.tool(arguments).output().await
    }

    /// Starts a tool against it.
    pub fn tool(&self, arguments: &[&str]) -> Tool {
        let mut variables = vec![
            ("HERALD_URL".to_owned(), format!("http://{}", self.webhook())),
            ("HERALD_API".to_owned(), format!("http://{}", self.api())),
        ];
        variables.extend(self.given.secret.clone().map(|secret| ("HERALD_SECRET".to_owned(), secret)));
        variables.extend(self.given.token.clone().map(|token| ("HERALD_API_TOKEN".to_owned(), token)));
        Tool::start(arguments, &variables, None)
    }

    /// Looks until there is something, and gives up with the whole story when there is nothing for long, or when the
    /// process has died.
    pub async fn wait_for<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}\n{}", self.story());
            let dead = self.process.as_ref().is_some_and(|process| !crate::process_exists(process.id() as i32));
            assert!(!dead, "it died while {what} was awaited\n{}", self.story());
            tokio::time::sleep(LOOK).await;
        }
    }

    fn note(&self, line: String) {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        if history.len() == HISTORY {
            history.pop_front();
        }
        history.push_back(line.chars().take(2000).collect());
    }

    /// What was printed and asked, for whoever must find out why.
    fn story(&self) -> String {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let asked: String = history.iter().map(|line| format!("  {line}\n")).collect();
        let (stdout, stderr) = (self.stdout(), self.stderr());
        format!("{}--- running\n{stdout}{stderr}--- asked last\n{asked}", self.before)
    }

    // ---- Its end -----------------------------------------------------------------------------------------------------

    /// What is unfinished, if anything is. Blocking, for a destructor.
    fn left_over(&self) -> Option<String> {
        let addresses = self.addresses?;
        for state in ["pending", "inProcess"] {
            let found = get_blocking(addresses.api, &format!("/v1/invocations?state={state}&limit=3"), &self.given.token);
            let list = found["invocations"].as_array().map_or(1, Vec::len);
            if list > 0 {
                return Some(format!("invocations that are {state}: {found}"));
            }
        }
        let status = get_blocking(addresses.api, "/v1/status", &self.given.token);
        let behind = |(name, group): (&String, &Value)| {
            (group["lag"] != 0).then(|| format!("the group {name} is behind: {group}"))
        };
        match status["groups"].as_object() {
            Some(groups) => groups.iter().find_map(behind),
            None => Some(format!("a status without groups: {status}")),
        }
    }
}

impl Drop for Herald {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The panic itself may not have told the story.
            let mut to = std::io::stderr().lock();
            let _ = writeln!(to, "{}", self.story());
            return;
        }
        let Some(process) = &mut self.process else { return };
        if let Some(status) = process.ended() {
            process.last_words();
            panic!("herald died unasked: {status}\n{}", self.story());
        }
        let begun = Instant::now();
        while !self.may_leave_work {
            let Some(left) = self.left_over() else { break };
            assert!(begun.elapsed() < SETTLE, "work was left over: {left}\n{}", self.story());
            std::thread::sleep(LOOK);
        }
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

fn get_blocking(address: SocketAddr, path: &str, token: &Option<String>) -> Value {
    let asked = || -> std::io::Result<Value> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(SETTLE))?;
        let token = token.as_ref().map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\n{token}connection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        Ok(serde_json::from_str(body).unwrap_or(Value::String(answer)))
    };
    asked().unwrap_or_else(|error| Value::String(error.to_string()))
}
