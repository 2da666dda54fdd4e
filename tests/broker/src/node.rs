//! One Kafka node: a broker that is its own controller.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{Error, LOOK, PATIENCE, Proxy, artifacts::Kafka, error::io, ports::Port, process::Process};

/// What a node logs once it serves clients: it has registered, caught up, and is not fenced.
const STARTED: &str = "Kafka Server started";
const LOGGING: &str = include_str!("log4j2.properties");
/// A small heap, and a compiler that is soon done.
const JAVA: [&str; 3] = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/// One node of a [`Cluster`](crate::Cluster), with folders and ports of its own that it keeps for life.
#[derive(Debug)]
pub struct Node {
    id: i32,
    client: SocketAddr,
    proxy: Option<Proxy>,
    kafka: Arc<Kafka>,
    options: Vec<String>,
    // In the order in which they end: the process, then what it uses.
    process: Mutex<Option<Process>>,
    home: TempDir,
    _ports: Vec<Port>,
}

/// What a node is made of.
pub(crate) struct Parts {
    pub(crate) id: i32,
    pub(crate) client: SocketAddr,
    pub(crate) ports: Vec<Port>,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) kafka: Arc<Kafka>,
    pub(crate) home: TempDir,
    /// The text of `server.properties`.
    pub(crate) properties: String,
    /// The user's options for Java, which override ours.
    pub(crate) options: Vec<String>,
}

impl Node {
    /// A node that is not started yet; its data folder is formatted.
    pub(crate) fn new(parts: Parts) -> Result<Self, Error> {
        for (name, text) in [("server.properties", parts.properties.as_str()), ("log4j2.properties", LOGGING)] {
            let path = parts.home.path().join(name);
            fs::write(&path, text).map_err(io(format!("write {}", path.display())))?;
        }
        Ok(Self {
            id: parts.id,
            client: parts.client,
            proxy: parts.proxy,
            kafka: parts.kafka,
            options: parts.options,
            process: Mutex::default(),
            home: parts.home,
            _ports: parts.ports,
        })
    }

    // ---- What it is -------------------------------------------------------------------------------------------------

    /// Its id, as Kafka's metadata names it: 1, 2 or 3.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// Where clients reach it.
    pub fn address(&self) -> SocketAddr {
        self.client
    }

    /// The proxy before it, if its cluster was built with proxies.
    pub fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// Its folder: properties, log, and (unless another place was given) its data.
    pub fn folder(&self) -> &Path {
        self.home.path()
    }

    /// The process id of its Java, while it runs.
    pub fn process_id(&self) -> Option<i32> {
        self.locked().as_mut().and_then(|process| process.ended().is_none().then(|| process.java()))
    }

    /// Whether its process is there, frozen or not. It may have ended by itself, as on a full disk.
    pub fn is_running(&self) -> bool {
        self.process_id().is_some()
    }

    /// The last lines of its log, over all its starts.
    pub fn log_tail(&self) -> String {
        const LINES: usize = 40;
        let log = self.log_from(0);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }

    // ---- Its life ---------------------------------------------------------------------------------------------------

    /// Starts it on the same folders and ports as before, and waits until it serves clients. Nothing happens if
    /// it runs.
    ///
    /// # Errors
    /// If it ends or does not get ready in time; with the end of its log.
    pub fn start(&self) -> Result<(), Error> {
        let from = self.launch()?;
        self.ready(from)
    }

    /// Starts it, and waits for nothing. Tells from where on its log is of this start.
    pub(crate) fn launch(&self) -> Result<u64, Error> {
        let from = fs::metadata(self.log()).map_or(0, |metadata| metadata.len());
        let mut process = self.locked();
        if process.as_mut().is_some_and(|process| process.ended().is_none()) {
            return Ok(0);
        }
        let mut options: Vec<_> = JAVA.map(str::to_owned).into();
        options.extend_from_slice(&self.options);
        options.push(format!("-Dlog4j2.configurationFile={}", self.file("log4j2.properties").display()));
        let mut command = self.kafka.java(&options);
        command.extend(["kafka.Kafka".to_owned(), self.file("server.properties").display().to_string()]);
        *process = Some(Process::spawn(&command, &self.log(), self.home.path())?);
        Ok(from)
    }

    /// Waits until it serves clients.
    pub(crate) fn ready(&self, from: u64) -> Result<(), Error> {
        let begun = Instant::now();
        while !self.log_from(from).contains(STARTED) {
            if let Some(status) = self.locked().as_mut().and_then(Process::ended) {
                return Err(self.failed(format!("ended while it started ({status})")));
            }
            if begun.elapsed() > PATIENCE {
                return Err(self.failed(format!("is not ready after {PATIENCE:?}")));
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Asks it to end (SIGTERM), and waits until it has: it hands over what it leads, and closes its logs. Nothing
    /// happens if it does not run.
    ///
    /// # Errors
    /// If it does not end in time, as one that has lost its quorum; then it is killed.
    pub fn stop(&self) -> Result<(), Error> {
        let Some(mut process) = self.locked().take() else { return Ok(()) };
        process.signal(Signal::CONT);
        process.signal(Signal::TERM);
        match process.end(PATIENCE) {
            Some(_) => Ok(()),
            None => Err(self.failed(format!("does not stop within {PATIENCE:?}, and was killed"))),
        }
    }

    /// kill -9, and its end.
    pub fn kill(&self) {
        drop(self.locked().take());
    }

    /// Stops its process in its tracks (SIGSTOP): connections stay, nothing answers.
    pub fn freeze(&self) {
        if let Some(process) = self.locked().as_mut() {
            process.freeze();
        }
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(process) = self.locked().as_mut() {
            process.signal(signal);
        }
    }

    // ---- Inside -----------------------------------------------------------------------------------------------------

    fn locked(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn log(&self) -> PathBuf {
        self.file("broker.log")
    }

    /// Its log from a place on; empty while there is none.
    fn log_from(&self, from: u64) -> String {
        let mut bytes = Vec::new();
        let read = File::open(self.log()).and_then(|mut file| {
            file.seek(SeekFrom::Start(from))?;
            file.read_to_end(&mut bytes)
        });
        read.map(|_| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    fn failed(&self, what: String) -> Error {
        Error::Node { node: self.id, what, log: self.log_tail() }
    }
}
