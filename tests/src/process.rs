//! A child process whose output is kept as it comes.

use std::{
    io::{BufRead as _, BufReader, Read},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Instant,
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::{LOOK, PATIENCE};

/// What a process has printed so far, each stream on its own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Printed {
    pub(crate) stdout: Arc<Mutex<String>>,
    pub(crate) stderr: Arc<Mutex<String>>,
}

impl Printed {
    pub(crate) fn stdout(&self) -> String {
        self.stdout.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A running process, killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pub(crate) printed: Printed,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    pub(crate) fn spawn(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let printed = Printed::default();
        let readers = vec![
            keep(child.stdout.take().expect("it is piped"), printed.stdout.clone()),
            keep(child.stderr.take().expect("it is piped"), printed.stderr.clone()),
        ];
        Self { child, printed, readers }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its stdin, once, where it is piped.
    pub(crate) fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Whether it is there and runs, or is frozen.
    pub(crate) fn exists(&self) -> bool {
        i32::try_from(self.id()).is_ok_and(exists)
    }

    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked for its end")
    }

    /// Waits for its end.
    pub(crate) async fn end(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "process {} does not end", self.id());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Reads its last words, once it has ended. What it left running may hold its pipes for ever, so only a moment.
    pub(crate) fn last_words(&mut self) {
        let begun = Instant::now();
        while self.readers.iter().any(|reader| !reader.is_finished()) && begun.elapsed().as_millis() < 500 {
            std::thread::sleep(LOOK / 5);
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id()).ok().and_then(Pid::from_raw).expect("a child has an id");
        kill_process(id, signal).unwrap_or_else(|error| panic!("cannot send {signal:?} to {}: {error}", self.id()));
    }

    /// kill -9, and its end.
    pub(crate) fn kill(&mut self) -> ExitStatus {
        if self.ended().is_none() {
            self.child.kill().expect("a child can be killed");
        }
        self.child.wait().expect("a killed child ends")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn keep(stream: impl Read + Send + 'static, into: Arc<Mutex<String>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        // What cannot be read any more has ended.
        while stream.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            into.lock().unwrap_or_else(PoisonError::into_inner).push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}

/// Whether a process is there and runs; one that waits to be buried is gone.
pub fn exists(id: i32) -> bool {
    let Some(pid) = Pid::from_raw(id) else { return false };
    let buried = std::fs::read_to_string(format!("/proc/{id}/stat"))
        .is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')));
    test_kill_process(pid).is_ok() && !buried
}
