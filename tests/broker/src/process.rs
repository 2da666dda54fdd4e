//! One run of a node: Java, and the keeper that does not let it outlive us.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Error, LOOK, error::io};

const KEEPER: &str = include_str!("keeper.sh");

/// A running Java, killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    keeper: Child,
    /// As long as this is open, the keeper keeps.
    _hold: ChildStdin,
    java: Pid,
}

impl Process {
    /// Starts the command, which writes to the log. The folder is removed if we die before it does.
    pub(crate) fn spawn(command: &[String], log: &Path, folder: &Path) -> Result<Self, Error> {
        let complaints = File::options().append(true).create(true).open(log);
        let complaints = complaints.map_err(io(format!("open {}", log.display())))?;
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .args([log, folder])
            .args(command)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(complaints)
            // A Ctrl-C is for the test, whose end is then ours.
            .process_group(0)
            .spawn()
            .map_err(io("start `sh`, the keeper of Kafka"))?;
        let hold = keeper.stdin.take().expect("invariant: stdin is piped");
        let mut said = String::new();
        let stdout = keeper.stdout.take().expect("invariant: stdout is piped");
        BufReader::new(stdout).read_line(&mut said).map_err(io("read from the keeper of Kafka"))?;
        let java = said.trim().parse().ok().and_then(Pid::from_raw).ok_or_else(|| {
            let source = std::io::Error::other(format!("it said {said:?}"));
            io("learn Java's process id from the keeper of Kafka")(source)
        })?;
        Ok(Self { keeper, _hold: hold, java })
    }

    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.keeper.try_wait().expect("invariant: a child can be asked for its end")
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self, patience: Duration) -> Option<ExitStatus> {
        let begun = Instant::now();
        loop {
            match self.ended() {
                None if begun.elapsed() < patience => std::thread::sleep(LOOK),
                ended => return ended,
            }
        }
    }

    /// Sends a signal to Java; one that has just ended does not mind.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            let _gone = kill_process(self.java, signal);
        }
    }

    /// Stops Java, and waits until all its threads have: the kernel answers before they do.
    pub(crate) fn freeze(&mut self) {
        self.signal(Signal::STOP);
        let begun = Instant::now();
        while !self.is_frozen() && self.ended().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(10), "a broker does not freeze");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn is_frozen(&self) -> bool {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{}/task", self.java())) else { return false };
        // After the name, which ends with the last bracket, comes the state.
        let runs = |stat: &str| stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['T', 't']));
        threads
            .flatten()
            .all(|thread| !std::fs::read_to_string(thread.path().join("stat")).is_ok_and(|stat| runs(&stat)))
    }

    pub(crate) fn java(&self) -> i32 {
        self.java.as_raw_nonzero().get()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        // The keeper ends with Java, at once.
        let _ended = self.keeper.wait();
    }
}
