//! A contestant's process: its log, what it used, and its end.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    Stage,
    contestant::{Contestant, Turn},
};

/// How long it may take to end.
const END: Duration = Duration::from_secs(30);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How much of its log is shown when it fails, in bytes.
const LAST_WORDS: usize = 4000;
/// Linux counts CPU time for `/proc` in hundredths of a second, on every architecture (`USER_HZ`).
const TICKS: f64 = 100.0;

/// A running contestant; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    contestant: Contestant,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(stage: &Stage, turn: &Turn) -> anyhow::Result<Self> {
        let folder = stage.scratch.path().join(&turn.prefix);
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let log = folder.join("log");
        let file = File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let mut command = turn.command(stage, &folder.join("state"));
        command.current_dir(&folder).stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { contestant: turn.contestant, child, log })
    }

    /// Fails if it has ended by itself.
    ///
    /// # Errors
    /// It has ended; with the end of its log.
    pub(crate) fn runs(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            Some(status) => Err(self.ended(status)),
            None => Ok(()),
        }
    }

    /// CPU seconds of all its threads so far, where that can be told.
    pub(crate) fn cpu(&self) -> Option<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // The second field is the name in parentheses and may hold anything, so count from the last of them.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let mut ticks = || fields.next()?.parse::<f64>().ok();
        Some((ticks()? + ticks()?) / TICKS)
    }

    /// Asks it to end, and waits until it has. How it ends is not judged: its outputs are.
    ///
    /// # Errors
    /// It had ended before, or cannot be asked.
    pub(crate) fn end(mut self) -> anyhow::Result<()> {
        self.runs()?;
        self.stop()
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("a child has an id")?;
        kill_process(pid, Signal::TERM)?;
        let deadline = Instant::now() + END;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                eprintln!("{} does not end after {} s, and is killed", self.contestant, END.as_secs());
                self.child.kill()?;
                self.child.wait()?;
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// The end of its log.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(LAST_WORDS)..]).trim().to_owned()
    }

    fn ended(&self, status: ExitStatus) -> anyhow::Error {
        anyhow::anyhow!("{} ended with {status}; the end of its log:\n{}", self.contestant, self.last_words())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // However the measurement ends, nothing of it is left running; one that has ended by itself is no error.
        if matches!(self.child.try_wait(), Ok(None)) && self.stop().is_err() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}
