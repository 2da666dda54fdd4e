//! One kept process: a message is written, and the line that answers it read, one after another.

use std::{
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use futures_util::{
    FutureExt,
    future::{FusedFuture, OptionFuture},
};
use runtime::config::Size;
use tokio::{
    io::AsyncWriteExt,
    process::{ChildStderr, ChildStdin},
    task::JoinHandle,
    time::{Instant as Deadline, sleep, sleep_until, timeout},
};

use super::{
    super::{
        output::{self, Tail},
        process::{Group, LINGER, Program, drain, told},
        running::Running,
    },
    lines::{Lines, Next},
    protocol,
};
use crate::{
    kind::{Failure, Run},
    line,
    registry::Hears,
};

/// How long a process may take to end once its stdin is closed.
const END: Duration = Duration::from_secs(1);
/// How often it is looked how much memory a process takes.
const LOOK: Duration = Duration::from_secs(1);

pub(super) struct Process {
    group: Group,
    stdin: ChildStdin,
    stdout: Lines,
    stderr: Errors,
    memory: Option<Size>,
    looked: Instant,
    /// When its file was written last.
    pub(super) made: Option<SystemTime>,
    /// Whether it has begun as a kept program does.
    has_greeted: bool,
    /// Whether it has answered an event.
    pub(super) has_answered: bool,
    /// Since when it waits.
    pub(super) since: Instant,
}

/// Why a process is of no further use.
pub(super) enum Fault {
    /// It ended, or will not be heard any more.
    Ended { within_a_line: bool },
    /// It broke the protocol, or grew.
    Broken(String),
    /// Its time was up.
    Cancelled,
}

impl Process {
    /// Starts one, and waits until it is ready.
    pub(super) async fn start(
        mut program: Program,
        running: &Running,
        run: &Run,
        hears: Option<&Hears>,
        memory: Option<Size>,
    ) -> Result<Self, Failure> {
        let hello = protocol::hello(run)?;
        let mut child = program.start(run).await?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let group = Group::new(child, running);
        let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
            return Err(Failure::new("the program was started without pipes"));
        };
        let now = Instant::now();
        let mut process = Self {
            group,
            stdin,
            stdout: Lines::new(stdout),
            stderr: Errors::of(stderr, hears, run),
            memory,
            looked: now,
            made: None,
            has_greeted: false,
            has_answered: false,
            since: now,
        };
        match process.ask(&hello, run, protocol::hello_back).await {
            Ok(()) => Ok(Self { has_greeted: true, ..process }),
            Err(fault) => Err(process.fail(fault).await),
        }
    }

    /// Writes a message, and takes the line that comes.
    pub(super) async fn ask<T>(
        &mut self,
        message: &[u8],
        run: &Run,
        read: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<T, Fault> {
        self.stderr.forget();
        tokio::select! {
            biased;
            answer = self.exchange(message, read) => answer,
            () = run.cancelled.cancelled() => Err(Fault::Cancelled),
        }
    }

    async fn exchange<T>(&mut self, message: &[u8], read: impl Fn(&[u8]) -> Result<T, String>) -> Result<T, Fault> {
        let Self { group, stdin, stdout, memory, .. } = self;
        let (leader, memory) = (group.leader(), *memory);
        let mut writing = pin!(stdin.write_all(message).fuse());
        let mut ended_until = None;
        loop {
            tokio::select! {
                biased;
                // One that has closed its stdin ends, or answers all the same.
                _ = &mut writing, if !writing.is_terminated() => {}
                next = stdout.next() => return match next {
                    Next::Line(line) if !writing.is_terminated() => Err(Fault::Broken(format!(
                        "the program wrote `{}` before it had read its message",
                        protocol::shown(line)
                    ))),
                    Next::Line(line) => read(line).map_err(Fault::Broken),
                    Next::End(rest) => Err(Fault::Ended { within_a_line: !rest.is_empty() }),
                    Next::TooLong(line) => Err(Fault::Broken(format!(
                        "the program wrote a line of more than {} bytes; it begins with `{}`",
                        output::MAX_JSON,
                        protocol::shown(line)
                    ))),
                },
                // Its last words may still be in the pipe.
                _ = group.wait(), if ended_until.is_none() => ended_until = Some(Deadline::now() + LINGER),
                Some(()) = OptionFuture::from(ended_until.map(sleep_until)) => {
                    return Err(Fault::Ended { within_a_line: !stdout.rest().is_empty() });
                }
                Some(()) = OptionFuture::from(memory.map(|_| sleep(LOOK))) => {
                    if let Some(grown) = grown(leader, memory) {
                        return Err(Fault::Broken(grown));
                    }
                }
            }
        }
    }

    /// Whether it waits in silence, as it must; else why not.
    pub(super) fn is_fit(&mut self) -> Result<(), String> {
        let wrote = |line: &[u8]| format!("it wrote `{}` without being asked", protocol::shown(line));
        // That its stdout has ended may not be known yet.
        if self.group.has_ended() {
            return Err("it ended while it waited".to_owned());
        }
        match self.stdout.next().now_or_never() {
            None => {}
            Some(Next::Line(line) | Next::TooLong(line)) => return Err(wrote(line)),
            Some(Next::End(_)) => return Err("it ended while it waited".to_owned()),
        }
        match self.stdout.rest() {
            [] => Ok(()),
            rest => Err(wrote(rest)),
        }
    }

    /// Whether it has grown beyond what it may; looked at now and then.
    pub(super) fn has_grown(&mut self) -> Option<String> {
        if self.memory.is_none() || self.looked.elapsed() < LOOK {
            return None;
        }
        self.looked = Instant::now();
        grown(self.group.leader(), self.memory)
    }

    /// The end of what it wrote to stderr since it was asked.
    pub(super) fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Ends it and everything in its process group, and says what was wrong.
    pub(super) async fn fail(mut self, fault: Fault) -> Failure {
        let status = match fault {
            Fault::Ended { .. } => timeout(LINGER, self.group.wait()).await.ok(),
            Fault::Broken(_) | Fault::Cancelled => None,
        };
        // What it started itself ends with it.
        self.group.kill();
        self.stderr.end().await;
        let stderr = self.stderr.text();
        let error = match (fault, status) {
            (Fault::Broken(what), _) => what,
            (Fault::Cancelled, _) if !self.has_greeted => format!("the program was killed: {}", protocol::SILENT),
            (Fault::Cancelled, _) => "the program was killed before it answered".to_owned(),
            (Fault::Ended { within_a_line: false }, Some(Ok(status))) if !self.has_greeted && status.success() => {
                format!("the program ended: {}", protocol::SILENT)
            }
            (Fault::Ended { within_a_line }, Some(Ok(status))) => {
                let when = if within_a_line { "in the middle of its answer" } else { "before it answered" };
                format!("the program ended {when}: {}", told(status, &stderr))
            }
            (Fault::Ended { .. }, Some(Err(error))) => format!("lost track of the program: {error}"),
            (Fault::Ended { .. }, None) => "the program closed its stdout before it answered".to_owned(),
        };
        Failure::new(error).with_stderr(stderr)
    }

    /// Lets it end by itself, and sees to it that it does.
    pub(super) async fn end(self) {
        let Self { mut group, stdin, mut stderr, .. } = self;
        drop(stdin);
        if timeout(END, group.wait()).await.is_err() {
            group.kill();
        }
        stderr.end().await;
    }
}

/// That a process takes more memory than it may. Where the system has no `/proc` nothing is known of it.
fn grown(leader: Option<rustix::process::Pid>, memory: Option<Size>) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", leader?.as_raw_nonzero())).ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().trim_end_matches(" kB");
    let (bytes, memory) = (kib.parse::<u64>().ok()?.saturating_mul(1024), memory?);
    (bytes > memory.0).then(|| format!("the program takes {} of memory, and may take {memory}", Size(bytes)))
}

/// Its stderr: read as long as it lives, whoever asks it.
struct Errors {
    tail: Arc<Mutex<Tail>>,
    task: JoinHandle<()>,
}

impl Errors {
    fn of(pipe: ChildStderr, hears: Option<&Hears>, run: &Run) -> Self {
        let (tail, job) = (Arc::<Mutex<Tail>>::default(), run.group.full_name().to_owned());
        let hears = hears
            .cloned()
            .unwrap_or_else(|| Arc::new(|job: &str, said: &str| tracing::info!(job.name = job, "{}", line::cut(said))));
        let to = tail.clone();
        let task = tokio::spawn(async move {
            let mut lines = output::Lines::of_stderr(Some(&hears), &job);
            drain(Some(pipe), |bytes| {
                to.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
                lines.push(bytes);
            })
            .await;
            lines.end();
        });
        Self { tail, task }
    }

    fn forget(&self) {
        *self.tail.lock().unwrap_or_else(PoisonError::into_inner) = Tail::default();
    }

    fn text(&self) -> String {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).text()
    }

    /// Waits until all of it is read, unless somebody else holds it open.
    async fn end(&mut self) {
        // It cannot fail in a way that matters: what it read is there.
        let _ = timeout(LINGER, &mut self.task).await;
    }
}

impl Drop for Errors {
    fn drop(&mut self) {
        self.task.abort();
    }
}
