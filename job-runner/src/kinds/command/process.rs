//! The life of a program: it is fed, drained and awaited in one future, and ends with it.

use std::{
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    pin::pin,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use futures_util::{FutureExt, future::FusedFuture};
use rustix::{io::Errno, process::Pid};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, Command},
    time::{sleep, timeout},
};

use super::{
    output::{Lines, Stdout, Tail},
    running::{self, Running},
    script,
};
use crate::{
    kind::{Failure, Run, bounded},
    registry::Hears,
};

/// How long what a program left behind may go on holding its pipes, once it has ended itself.
pub(super) const LINGER: Duration = Duration::from_millis(500);

/// How long until it is tried again to start a program for which the system has no room.
const AGAIN: Duration = Duration::from_millis(200);

/// What passes by itself: too many files or processes, no memory, a program that is being written.
const PASSING: [Errno; 5] = [Errno::MFILE, Errno::NFILE, Errno::AGAIN, Errno::NOMEM, Errno::TXTBSY];

/// How a program ended, and what it printed.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) stdout: Stdout,
    pub(super) stderr: Tail,
}

/// The process group of a program, which is killed unless the program has ended by itself.
pub(super) struct Group {
    child: Child,
    /// None once it was killed, or has ended; then its number may belong to another process.
    id: Option<Pid>,
    running: Running,
}

impl Group {
    pub(super) fn new(child: Child, running: &Running) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        running.add(id);
        Self { child, id, running: running.clone() }
    }

    pub(super) async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.take();
        Ok(status)
    }

    /// The number of its leader, as long as that runs for all that is known.
    pub(super) fn leader(&self) -> Option<Pid> {
        self.id
    }

    /// Whether its leader has ended.
    pub(super) fn has_ended(&mut self) -> bool {
        let has_ended = self.child.try_wait().is_ok_and(|status| status.is_some());
        if has_ended {
            self.take();
        }
        has_ended
    }

    fn take(&mut self) -> Option<Pid> {
        let id = self.id.take()?;
        self.running.remove(id);
        Some(id)
    }

    pub(super) fn kill(&mut self) {
        self.take().into_iter().for_each(running::kill);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A program that is to be run.
pub(super) struct Program {
    pub(super) command: Command,
    pub(super) dir: PathBuf,
    pub(super) stdin: Vec<u8>,
}

impl Program {
    /// Starts it in a process group of its own, with pipes to it, as soon as the system has what that takes: too many files or processes are a matter of the moment.
    pub(super) async fn start(&mut self, run: &Run) -> Result<Child, Failure> {
        let command = &mut self.command;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        let mut is_said = false;
        loop {
            let error = match self.command.spawn() {
                Ok(child) => return Ok(child),
                Err(error) => error,
            };
            let passes = error.raw_os_error().is_some_and(|code| PASSING.contains(&Errno::from_raw_os_error(code)));
            if !passes {
                let told = self.cannot_start(&error);
                return Err(if never_starts(&error) { Failure::last(told) } else { Failure::new(told) });
            }
            if !std::mem::replace(&mut is_said, true) {
                let job = run.group.full_name();
                tracing::warn!(job.name = job, %error, "a program cannot be started now; it is tried again until it can");
            }
            run.held.add(AGAIN);
            if run.cancelled.run_until_cancelled(sleep(AGAIN)).await.is_none() {
                return Err(Failure::new(self.cannot_start(&error)));
            }
        }
    }

    /// What is in the way, and what to do.
    fn cannot_start(&self, error: &std::io::Error) -> String {
        let path = Path::new(self.command.as_std().get_program());
        let program = path.display();
        if !self.dir.is_dir() {
            return format!("cannot start `{program}`: its `dir`, {}, is no folder", self.dir.display());
        }
        let code = error.raw_os_error().map(Errno::from_raw_os_error);
        if let Some((what, help)) = script::trouble(path).filter(|_| matches!(code, Some(Errno::NOEXEC | Errno::NOENT)))
        {
            return format!("cannot start `{program}`: {error}; {what}; {help}");
        }
        let remedy = match code {
            Some(Errno::ACCESS) if path.is_dir() => "it is a folder".to_owned(),
            Some(Errno::ACCESS) => format!("make it executable (chmod +x), or name what runs it: [sh, {program}]"),
            Some(Errno::NOENT) if path.exists() => "it is there, but what it is linked to is not".to_owned(),
            Some(Errno::NOENT) if path.components().count() == 1 => {
                "no folder of PATH has it; write its path, or ./ before it if it is in `dir`".to_owned()
            }
            Some(Errno::TOOBIG) => {
                "its arguments and variables are too long; the event is on stdin, whatever its size".to_owned()
            }
            _ if error.kind() == std::io::ErrorKind::InvalidInput => {
                "an argument or a variable has a zero byte in it".to_owned()
            }
            _ => return format!("cannot start `{program}`: {error}"),
        };
        format!("cannot start `{program}`: {error}; {remedy}")
    }
}

/// Whether it is what a run is given that cannot be started, which no further attempt mends: a zero byte, or more than fits.
fn never_starts(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::InvalidInput || error.raw_os_error() == Some(Errno::TOOBIG.raw_os_error())
}

/// Runs a program to its end, or kills it and everything in its process group when cancelled or dropped.
/// What it writes is heard line by line by whoever `hears`.
pub(super) async fn run(
    mut program: Program,
    running: &Running,
    run: &Run,
    hears: Option<&Hears>,
) -> Result<Ended, Failure> {
    let mut child = program.start(run).await?;
    let (stdin, name) = (program.stdin, program.command.as_std().get_program().to_string_lossy().into_owned());
    let (input, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let mut group = Group::new(child, running);
    let (mut stdout, mut stderr) = (Stdout::default(), Tail::default());
    let (mut lines, mut errors) =
        (Lines::of_stdout(hears, run.group.full_name()), Lines::of_stderr(hears, run.group.full_name()));
    let status = {
        let pipes = async {
            tokio::join!(
                feed(input, &stdin),
                drain(out, |bytes| {
                    stdout.push(bytes);
                    lines.push(bytes);
                }),
                drain(err, |bytes| {
                    stderr.push(bytes);
                    errors.push(bytes);
                })
            );
        };
        let mut pipes = pin!(pipes.fuse());
        let status = loop {
            tokio::select! {
                biased;
                status = group.wait() => break status,
                () = run.cancelled.cancelled(), if group.id.is_some() => group.kill(),
                () = &mut pipes, if !pipes.is_terminated() => {}
            }
        };
        // Its last words may still be in the pipes; what holds them open after that is not waited for.
        if !pipes.is_terminated() {
            let _ = timeout(LINGER, pipes).await;
        }
        status
    };
    lines.end();
    errors.end();
    let status = status.map_err(|error| Failure::new(format!("lost track of `{name}`: {error}")))?;
    Ok(Ended { status, stdout, stderr })
}

/// Writes all of it, unless the program does not want it.
async fn feed(stdin: Option<ChildStdin>, bytes: &[u8]) {
    let Some(mut stdin) = stdin else { return };
    // A program need not read its event: a closed pipe is no error.
    if stdin.write_all(bytes).await.is_ok() {
        let _ = stdin.shutdown().await;
    }
}

pub(super) async fn drain(pipe: Option<impl AsyncRead + Unpin>, mut keep: impl FnMut(&[u8])) {
    let Some(mut pipe) = pipe else { return };
    let mut buffer = vec![0; 16 * 1024];
    // What cannot be read any more has ended.
    while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
        keep(&buffer[..count]);
    }
}

/// What is wrong with how a program ended; nothing, if it succeeded.
pub(super) fn complaint(status: ExitStatus, stderr: &str) -> Option<String> {
    (!status.success()).then(|| bounded(told(status, stderr)))
}

/// How a program ended, and the last that it said.
pub(super) fn told(status: ExitStatus, stderr: &str) -> String {
    let what = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by {}", signal_name(signal)),
        (None, None) => status.to_string(),
    };
    let last = stderr.lines().rev().map(str::trim).find(|line| !line.is_empty());
    last.map_or_else(|| what.clone(), |last| format!("{what}: {last}"))
}

fn signal_name(signal: i32) -> String {
    let names = [
        (1, "SIGHUP"),
        (2, "SIGINT"),
        (3, "SIGQUIT"),
        (4, "SIGILL"),
        (6, "SIGABRT"),
        (7, "SIGBUS"),
        (8, "SIGFPE"),
        (9, "SIGKILL"),
        (11, "SIGSEGV"),
        (13, "SIGPIPE"),
        (14, "SIGALRM"),
        (15, "SIGTERM"),
    ];
    names
        .iter()
        .find(|(number, _)| *number == signal)
        .map_or_else(|| format!("signal {signal}"), |(_, name)| (*name).into())
}
