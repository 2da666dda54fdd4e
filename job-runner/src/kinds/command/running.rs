//! The process groups of the programs that run, and who kills them when Herald itself is killed.
//!
//! A process that is killed kills nobody. So a small shell, the *guard*, reads from a pipe which groups run, and when that ends,
//! since whoever held its other end is gone, it kills those that are left.

use std::{
    collections::HashSet,
    io::{self, Write as _},
    os::unix::process::CommandExt as _,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustix::{
    fs::{OFlags, fcntl_setfl},
    process::{Pid, Signal, kill_process_group},
};

/// `+ 17` and `- 17`, line by line; at the end those that were not taken back are killed.
const SCRIPT: &str = "trap '' HUP INT TERM
while read -r sign group; do
  case $sign in
    +) eval \"g$group=1\" ;;
    -) unset \"g$group\" ;;
  esac
done
set | while IFS== read -r name _; do
  case $name in
    g[0-9]*) kill -s KILL -- \"-${name#g}\" ;;
  esac
done";

/// The groups that run. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Running(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    groups: HashSet<Pid>,
    guard: Option<Guard>,
    /// Whether it was said that there can be no guard.
    said: bool,
}

#[derive(Debug)]
struct Guard {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Running {
    pub(super) fn add(&self, group: Option<Pid>) {
        let Some(group) = group else { return };
        let mut state = self.lock();
        state.groups.insert(group);
        state.tell('+', group);
    }

    pub(super) fn remove(&self, group: Pid) {
        let mut state = self.lock();
        if state.groups.remove(&group) {
            state.tell('-', group);
        }
    }

    /// Kills them all.
    pub(super) fn kill(&self) {
        let groups: Vec<Pid> = self.lock().groups.drain().collect();
        groups.into_iter().for_each(kill);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can panic half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Kills a group.
pub(super) fn kill(group: Pid) {
    if let Err(error) = kill_process_group(group, Signal::KILL) {
        tracing::warn!(process.group = group.as_raw_nonzero().get(), %error, "cannot kill a job's processes");
    }
}

impl State {
    /// Tells the guard; one that does not listen is replaced by one that is told everything.
    fn tell(&mut self, sign: char, group: Pid) {
        let line = format!("{sign} {}\n", group.as_raw_nonzero());
        if self.guard.as_mut().is_some_and(|guard| guard.write(&line).is_ok()) {
            return;
        }
        if let Some(guard) = self.guard.take() {
            guard.dismiss();
        }
        if self.groups.is_empty() {
            return;
        }
        let all: String = self.groups.iter().map(|group| format!("+ {}\n", group.as_raw_nonzero())).collect();
        match Guard::start().and_then(|mut guard| guard.write(&all).map(|()| guard)) {
            Ok(guard) => (self.guard, self.said) = (Some(guard), false),
            Err(error) if !self.said => {
                self.said = true;
                tracing::warn!(%error, "no shell can be started that ends the jobs' programs if Herald is killed");
            }
            Err(_) => {}
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if let Some(guard) = self.guard.take().filter(|_| self.groups.is_empty()) {
            guard.dismiss();
        }
    }
}

impl Guard {
    fn start() -> io::Result<Self> {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", SCRIPT]).env_clear().stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Whoever interrupts Herald on a terminal does not mean the guard.
        let mut shell = shell.current_dir("/").process_group(0).spawn()?;
        let pipe = shell.stdin.take();
        // A guard that was stopped must not stop Herald.
        pipe.iter().try_for_each(|pipe| fcntl_setfl(pipe, OFlags::NONBLOCK))?;
        Ok(Self { shell, pipe })
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.pipe.as_mut().map_or(Err(io::ErrorKind::BrokenPipe.into()), |pipe| pipe.write_all(text.as_bytes()))
    }

    /// Ends it, and nothing else.
    fn dismiss(mut self) {
        // One that has ended already is as good.
        let _ = self.shell.kill().and_then(|()| self.shell.wait());
    }
}
