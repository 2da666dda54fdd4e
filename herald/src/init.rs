//! What process 1 of a container owes the others: to reap whoever lost its parent, and to pass on signals.
//!
//! The stages cannot do that themselves: to reap any child is to take the exit status of a command away from whoever waits
//! for it. So Herald as process 1 starts itself once more, as its only child, and ends as that one ends.

use std::{
    env, io,
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitCode},
};

use anyhow::Context as _;
use runtime::signals::is_hangup_ignored;
use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait},
};
use tokio::signal::unix::{SignalKind, signal};

/// Whether this is process 1.
pub(crate) fn is_wanted() -> bool {
    std::process::id() == 1
}

/// Runs the same command line as a child, and ends with its status.
///
/// # Errors
/// It cannot be started.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start a runtime")?;
    runtime.block_on(async {
        // Before there is a child, so that none of its signals is missed.
        let signals = Signals::listen().context("cannot listen for signals")?;
        let mut command = Command::new(env::current_exe().context("cannot find the program of this process")?);
        let mut arguments = env::args_os();
        if let Some(name) = arguments.next() {
            command.arg0(name);
        }
        // A group of its own: a terminal's Ctrl-C comes to this process alone, and is passed on once.
        let child = command.args(arguments).process_group(0).spawn().context("cannot start the child of process 1")?;
        Ok(signals.pass_on(&child).await?)
    })
}

struct Signals {
    child: tokio::signal::unix::Signal,
    term: tokio::signal::unix::Signal,
    int: tokio::signal::unix::Signal,
    hangup: Option<tokio::signal::unix::Signal>,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        let hangup = if is_hangup_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(Self {
            child: signal(SignalKind::child())?,
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hangup,
        })
    }

    /// Passes signals on to the child and reaps whoever ends, until the child has.
    async fn pass_on(mut self, child: &Child) -> io::Result<ExitCode> {
        let pid = Pid::from_child(child);
        loop {
            let hangup = async {
                match &mut self.hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            let signal = tokio::select! {
                _ = self.child.recv() => match reap(pid)? {
                    Some(status) => return Ok(code(status)),
                    None => continue,
                },
                _ = self.term.recv() => Signal::TERM,
                _ = self.int.recv() => Signal::INT,
                _ = hangup => Signal::HUP,
            };
            // It may have ended at this very moment, and is reaped next.
            let _ = kill_process(pid, signal);
        }
    }
}

/// Reaps whoever has ended, and tells how the child has, if it has.
fn reap(child: Pid) -> io::Result<Option<WaitStatus>> {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == child => return Ok(Some(status)),
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) | Err(Errno::CHILD) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}

/// A child's status as one's own; as shells tell it where a signal ended it.
fn code(status: WaitStatus) -> ExitCode {
    let code = status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
