//! A `herald dev` of the benchmark's own, on folders that are thrown away.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child as Process, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{Options, catalog};
use client::{exit::Usage, http::Base};

/// How long it may take to listen, and to end.
const START: Duration = Duration::from_secs(30);
const END: Duration = Duration::from_secs(20);
/// How much of its log is shown when it fails, in bytes.
const LAST_WORDS: usize = 4000;

/// The process, and its folders.
pub(super) struct Child {
    process: Process,
    folder: TempDir,
}

impl Child {
    /// Starts it on free ports, and points the options at it.
    ///
    /// # Errors
    /// The options name a Herald already, or it does not listen in time.
    pub(super) fn start(options: &mut Options) -> anyhow::Result<Self> {
        if options.pid.is_some() {
            return Err(Usage("--dev starts a process of its own; leave --pid out".to_owned()).into());
        }
        let folder = tempfile::Builder::new().prefix("herald-bench-").tempdir().context("cannot create a folder")?;
        catalog::write(&folder.path().join("catalog"), options.rules, options.other_rules)?;
        let (webhook, api) = (free_port()?, free_port()?);
        let log = File::create(folder.path().join("log")).context("cannot create a log file")?;
        let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
        command.arg("dev").arg(folder.path().join("catalog"));
        command.args(["--listen", &webhook.to_string(), "--api", &api.to_string()]);
        command.arg("--data").arg(folder.path().join("data"));
        // Fifteen thousand lines a second would measure the log. Whoever wants them says so.
        if std::env::var_os("HERALD__TELEMETRY__FILTER").is_none() {
            command.env("HERALD__TELEMETRY__FILTER", "warn");
        }
        if std::env::var_os("HERALD__RESULTS__KEEP_COUNT").is_none() {
            // All of them are counted at the end; the log's own retention stays as it is.
            command.env("HERALD__RESULTS__KEEP_COUNT", "100000000");
        }
        command.env_remove("HERALD_CONFIG").stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let process = command.spawn().context("cannot start `herald dev`")?;
        let mut child = Self { process, folder };
        child.until_it_listens([webhook, api])?;
        options.webhook.url = base(webhook)?;
        options.webhook.secret = None;
        options.api.api = base(api)?;
        options.api.token = None;
        Ok(child)
    }

    /// Its id, while it runs.
    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    fn until_it_listens(&mut self, addresses: [SocketAddr; 2]) -> anyhow::Result<()> {
        let deadline = Instant::now() + START;
        while !addresses.iter().all(|address| TcpStream::connect(address).is_ok()) {
            if let Some(status) = self.process.try_wait()? {
                anyhow::bail!("`herald dev` ended at once with {status}{}", self.last_words());
            }
            anyhow::ensure!(
                Instant::now() < deadline,
                "`herald dev` does not listen after {} s{}",
                START.as_secs(),
                self.last_words()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The end of its log, to tell what went wrong.
    pub(super) fn last_words(&self) -> String {
        let log = fs::read(self.folder.path().join("log")).unwrap_or_default();
        let end = String::from_utf8_lossy(&log[log.len().saturating_sub(LAST_WORDS)..]).trim().to_owned();
        if end.is_empty() { String::new() } else { format!("; the end of its log:\n{end}\n") }
    }

    /// Asks it to end, and waits until it has.
    pub(super) fn end(self) {
        drop(self);
    }

    fn stop(&mut self) -> std::io::Result<()> {
        if let Some(pid) = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM)?;
        }
        let deadline = Instant::now() + END;
        while self.process.try_wait()?.is_none() {
            if Instant::now() > deadline {
                self.process.kill()?;
                self.process.wait()?;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // However the measurement ends, nothing of it is left running; one that has ended by itself is no error.
        if matches!(self.process.try_wait(), Ok(None)) && self.stop().is_err() {
            drop(self.process.kill());
        }
    }
}

fn base(address: SocketAddr) -> anyhow::Result<Base> {
    address.to_string().parse().map_err(anyhow::Error::msg)
}

/// A port that is free now. Somebody may take it before the child does, which then says so and ends.
fn free_port() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("there is no free port")?;
    Ok(listener.local_addr()?)
}
