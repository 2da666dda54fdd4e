//! The processes of one Herald, each started and ended on its own.
//!
//! On Kafka a role may have any number of instances, which find each other under a prefix that no other test has; on the
//! embedded bus there is one process, [`Role::Dev`]. All of them have the same catalog, settings and folders.

mod command;
mod tidy;
mod wait;

pub(crate) use wait::version;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    path::PathBuf,
    process::Stdio,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use broker::Port;
use rustix::process::Signal;

use crate::{Builder, Ended, LOOK, Log, PATIENCE, Role, Tool, home, process::Process, role};

/// A process: its role, and which of its role it is.
type Id = (Role, String);

/// The processes of one Herald.
#[derive(Debug)]
pub struct Fleet {
    // Ended before their folder goes.
    members: BTreeMap<Id, Process>,
    pub(crate) given: Builder,
    prefix: String,
    /// Where a process listens, which stays when it is started again.
    ports: Mutex<BTreeMap<Id, Port>>,
    /// A `herald catalog apply` that is under way, and what those before it said.
    applying: Option<Tool>,
    applied: Mutex<String>,
    /// What processes that are gone printed.
    before: String,
    history: Mutex<VecDeque<String>>,
}

/// A prefix that no other test has, in this process or beside it, now or before.
fn prefix() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    format!("t{now}-{}-{}.", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

impl Fleet {
    pub(crate) fn new(given: Builder) -> Self {
        Self {
            given,
            prefix: prefix(),
            members: BTreeMap::new(),
            ports: Mutex::default(),
            applying: None,
            applied: Mutex::default(),
            before: String::new(),
            history: Mutex::default(),
        }
    }

    // ---- The life of one -----------------------------------------------------------------------------------------------

    /// Starts a process, and waits for nothing.
    pub fn launch(&mut self, role: Role, instance: &str) {
        self.launch_with(role, instance, &[]);
    }

    /// Starts a process with flags of its own, and waits for nothing.
    pub fn launch_with(&mut self, role: Role, instance: &str, flags: &[&str]) {
        assert!(!self.is_running(role, instance), "{} {instance} is running already", role.name());
        let mut command = self.command(role, instance);
        command.args(flags).stdin(Stdio::null());
        self.members.insert((role, instance.to_owned()), Process::spawn(command));
    }

    /// Starts a process, and waits until it is ready; a detector or a job runner is so only with a catalog.
    pub async fn start(&mut self, role: Role, instance: &str) {
        self.launch(role, instance);
        self.ready(role, instance).await;
    }

    /// kill -9.
    pub fn kill9(&mut self, role: Role, instance: &str) {
        let mut process = self.take(role, instance);
        assert!(
            process.ended().is_none(),
            "{} {instance} had died before it was killed\n{}",
            role.name(),
            self.story()
        );
        process.kill();
        self.bury(role, instance, process);
    }

    /// Asks it to stop, and waits until it has, which must be without an error. Tells how long it took.
    pub async fn sigterm(&mut self, role: Role, instance: &str) -> Duration {
        let begun = Instant::now();
        self.member(role, instance).signal(Signal::TERM);
        let ended = self.end(role, instance).await;
        assert_eq!(ended.code, Some(0), "the end of {} {instance} is not graceful\n{}", role.name(), self.story());
        begun.elapsed()
    }

    /// Asks it to stop, again and again, until it has.
    pub async fn insist(&mut self, role: Role, instance: &str) -> Ended {
        let id = (role, instance.to_owned());
        while self.members.get_mut(&id).is_some_and(|process| process.ended().is_none()) {
            self.ask_to_stop(role, instance);
            tokio::time::sleep(LOOK).await;
        }
        self.end(role, instance).await
    }

    /// Asks it to stop, and waits for nothing: [`Fleet::end`] does.
    pub fn ask_to_stop(&self, role: Role, instance: &str) {
        self.member(role, instance).signal(Signal::TERM);
    }

    /// SIGSTOP: it is there, and does nothing.
    pub fn freeze(&self, role: Role, instance: &str) {
        self.member(role, instance).signal(Signal::STOP);
    }

    /// SIGCONT: it goes on, and knows of nothing.
    pub fn thaw(&self, role: Role, instance: &str) {
        self.member(role, instance).signal(Signal::CONT);
    }

    /// Waits until it has ended, and tells how.
    pub async fn end(&mut self, role: Role, instance: &str) -> Ended {
        let begun = Instant::now();
        let id = (role, instance.to_owned());
        loop {
            let process =
                self.members.get_mut(&id).unwrap_or_else(|| panic!("{} {instance} is not running", role.name()));
            if let Some(status) = process.ended() {
                let process = self.take(role, instance);
                let printed = self.bury(role, instance, process);
                return Ended { code: status.code(), printed };
            }
            assert!(begun.elapsed() < PATIENCE, "{} {instance} does not end\n{}", role.name(), self.story());
            tokio::time::sleep(LOOK).await;
        }
    }

    // ---- All of them ---------------------------------------------------------------------------------------------------

    /// kill -9 of every process.
    pub fn kill9_all(&mut self) {
        for (role, instance) in self.running() {
            self.kill9(role, &instance);
        }
    }

    /// Asks all to stop at once, and waits until they have, which must be without an error. Tells how long it took.
    pub async fn sigterm_all(&mut self) -> Duration {
        let begun = Instant::now();
        for (role, instance) in self.running() {
            self.ask_to_stop(role, &instance);
        }
        for (role, instance) in self.running() {
            let ended = self.end(role, &instance).await;
            assert_eq!(ended.code, Some(0), "the end of {} {instance} is not graceful\n{}", role.name(), self.story());
        }
        begun.elapsed()
    }

    /// Waits until one has ended by itself, ends the others, and tells how the first did.
    pub async fn death(&mut self) -> Ended {
        let begun = Instant::now();
        let (role, instance) = loop {
            if let Some((id, _)) = self.members.iter_mut().find_map(|(id, it)| it.ended().map(|end| (id.clone(), end)))
            {
                break id;
            }
            assert!(begun.elapsed() < PATIENCE, "waited in vain for a process to end\n{}", self.story());
            tokio::time::sleep(LOOK).await;
        };
        let ended = self.end(role, &instance).await;
        for (role, instance) in self.running() {
            let mut process = self.take(role, &instance);
            process.kill();
            self.bury(role, &instance, process);
        }
        ended
    }

    /// The first that has died unasked, if any has.
    pub(crate) fn dead(&self) -> Option<String> {
        let dead = self.members.iter().find(|(_, process)| !process.exists());
        dead.map(|((role, instance), _)| format!("{} {instance}", role.name()))
    }

    /// Those that were started and not ended, in the order of the data flow.
    pub fn running(&self) -> Vec<(Role, String)> {
        self.members.keys().cloned().collect()
    }

    /// Whether it was started and not ended.
    pub fn is_running(&self, role: Role, instance: &str) -> bool {
        self.members.contains_key(&(role, instance.to_owned()))
    }

    /// The process's id.
    pub fn process_id(&self, role: Role, instance: &str) -> u32 {
        self.member(role, instance).id()
    }

    /// What it has printed on stdout, since it was started.
    pub fn stdout_of(&self, role: Role, instance: &str) -> String {
        self.member(role, instance).printed.stdout()
    }

    /// What it has logged, since it was started.
    pub fn stderr_of(&self, role: Role, instance: &str) -> String {
        self.member(role, instance).printed.stderr()
    }

    fn member(&self, role: Role, instance: &str) -> &Process {
        let member = self.members.get(&(role, instance.to_owned()));
        member.unwrap_or_else(|| panic!("{} {instance} is not running", role.name()))
    }

    fn take(&mut self, role: Role, instance: &str) -> Process {
        let member = self.members.remove(&(role, instance.to_owned()));
        member.unwrap_or_else(|| panic!("{} {instance} is not running", role.name()))
    }

    /// Keeps the last words of a process that has ended.
    fn bury(&mut self, role: Role, instance: &str, mut process: Process) -> String {
        process.last_words();
        let printed = format!("{}{}", process.printed.stdout(), process.printed.stderr());
        self.before.push_str(&format!("--- {} {instance}, process {}\n{printed}", role.name(), process.id()));
        printed
    }

    // ---- What they have ------------------------------------------------------------------------------------------------

    /// Where a process that is ready listens: the webhook, or the API.
    pub fn address(&self, role: Role, instance: &str) -> SocketAddr {
        let label = if role == Role::Ingest { "webhook" } else { "API" };
        self.printed_address(role, instance, label).unwrap_or_else(|| panic!("{} {instance} is not ready", role.name()))
    }

    /// The address that a process printed under that label, once it is ready.
    pub(crate) fn printed_address(&self, role: Role, instance: &str, label: &str) -> Option<SocketAddr> {
        let stdout = self.members.get(&(role, instance.to_owned()))?.printed.stdout();
        role::address(role.ready(&stdout)?, label)
    }

    /// What stands before its topics and groups on Kafka.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The data folder of a process.
    pub(crate) fn data(&self, role: Role, instance: &str) -> PathBuf {
        let name = if role == Role::Dev { "data".to_owned() } else { format!("{}-{instance}", role.name()) };
        self.given.home.path().join(name)
    }

    /// A folder for the marks of jobs: `$SCRATCH` to their scripts.
    pub fn scratch(&self) -> PathBuf {
        self.given.home.path().join("scratch")
    }

    /// The lines of a mark that jobs write; none if there is no such mark.
    pub fn marks(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.scratch().join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The catalog's folder.
    pub fn catalog(&self) -> PathBuf {
        home::catalog(self.given.home.path())
    }

    /// What is on the bus; the embedded one is read after its process has stopped.
    pub fn log(&self) -> Log {
        assert!(!self.is_running(Role::Dev, crate::FIRST), "the log is read after it has stopped");
        Log::open(&self.given.engine, &self.data(Role::Dev, crate::FIRST), &self.prefix)
    }
}
