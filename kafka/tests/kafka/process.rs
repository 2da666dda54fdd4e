//! A worker, as the test that started it sees it.

use std::{
    io::{BufRead as _, BufReader, Read, Write as _},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    given::{Given, VARIABLE},
    harness::{LOOK, PATIENCE},
};

/// A process of this binary that does as it is told; killed when this is dropped.
pub(crate) struct Worker {
    pub(crate) given: Given,
    child: Child,
    stdin: Option<ChildStdin>,
    said: Arc<Mutex<Vec<String>>>,
    logged: Arc<Mutex<Vec<String>>>,
}

impl Worker {
    pub(crate) fn start(given: Given) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["worker::a_process_of_another_test", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env(VARIABLE, given.write())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = keep(child.stdout.take().unwrap());
        let logged = keep(child.stderr.take().unwrap());
        let stdin = child.stdin.take();
        Self { given, child, stdin, said, logged }
    }

    /// Everything that it has said so far.
    pub(crate) fn said(&self) -> Vec<String> {
        let text = |line: &String| line.split('\t').next().unwrap_or_default().to_owned();
        self.said.lock().unwrap().iter().map(text).collect()
    }

    /// How often it has said something that begins so.
    pub(crate) fn times(&self, beginning: &str) -> usize {
        self.said.lock().unwrap().iter().filter(|line| line.starts_with(beginning)).count()
    }

    /// Whether it has logged something.
    pub(crate) fn logged(&self, text: &str) -> bool {
        self.logged.lock().unwrap().iter().any(|line| line.contains(text))
    }

    /// Waits until it has said something that begins so, more often than before.
    pub(crate) async fn says(&mut self, beginning: &str, before: usize) -> String {
        let begun = Instant::now();
        loop {
            let line = self.said.lock().unwrap().iter().filter(|line| line.starts_with(beginning)).nth(before).cloned();
            if let Some(line) = line {
                return line.split('\t').next().unwrap_or_default().to_owned();
            }
            let ended = self.ended();
            assert!(ended.is_none() && begun.elapsed() < PATIENCE, "no `{beginning}` ({ended:?})\n{}", self.story());
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(crate) fn tell(&mut self, command: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{command}").unwrap();
    }

    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// kill -9, and its end.
    pub(crate) fn kill(mut self) -> Given {
        assert!(self.ended().is_none(), "it had died before it was killed\n{}", self.story());
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.check();
        self.given.clone()
    }

    /// Lets it leave, and waits until it has, without an error.
    pub(crate) async fn leave(mut self) -> Given {
        self.tell("leave");
        let status = self.end().await;
        assert!(status.success(), "{status}\n{}", self.story());
        self.check();
        self.given.clone()
    }

    /// Waits for its end.
    pub(crate) async fn end(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end\n{}", self.story());
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// A worker that saw something impossible has said so.
    pub(crate) fn check(&self) {
        assert_eq!(self.times("WRONG"), 0, "{}", self.story());
    }

    /// The last of what it said and logged.
    pub(crate) fn story(&self) -> String {
        let last = |lines: &Mutex<Vec<String>>, count: usize| {
            let lines = lines.lock().unwrap();
            lines[lines.len().saturating_sub(count)..].join("\n")
        };
        let (said, logged) = (last(&self.said, 30), last(&self.logged, 80));
        format!("worker {} said:\n{said}\nand logged:\n{logged}\n", self.given.instance)
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(id, signal).unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // For whoever must find out why: everything, of every process.
        if let Ok(folder) = std::env::var("HERALD_TEST_STORIES") {
            let text =
                format!("{}\n====\n{}", self.said.lock().unwrap().join("\n"), self.logged.lock().unwrap().join("\n"));
            std::fs::write(format!("{folder}/{}-{}.log", self.given.instance, self.child.id()), text).unwrap();
        }
        // One that has ended cannot be killed, nor need it be.
        let _ended = (self.child.kill(), self.child.wait());
    }
}

fn keep(stream: impl Read + Send + 'static) -> Arc<Mutex<Vec<String>>> {
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = lines.clone();
    std::thread::spawn(move || {
        // What cannot be read any more has ended.
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            kept.lock().unwrap().push(line);
        }
    });
    lines
}

/// Stops a worker somewhere within its next commit, if it makes one soon.
pub(crate) async fn freeze_in_commit(worker: &Worker, after: Duration) {
    let (before, begun) = (worker.times("committing"), Instant::now());
    while worker.times("committing") == before && begun.elapsed() < Duration::from_secs(2) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(after).await;
    worker.freeze();
}
