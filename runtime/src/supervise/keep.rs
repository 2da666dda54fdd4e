//! One task, started again where its policy says so.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    task::{JoinError, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{Cause, OnFailure, Task};
use crate::{
    health::Check,
    meter::{Meter, metered},
};

/// Runs a task, again after a failure where its policy says so. One that fails again before it has run for long is in
/// trouble until it has.
pub(super) async fn keep_running(
    mut task: Task,
    check: Check,
    meter: Arc<Meter>,
    shutdown: CancellationToken,
) -> Result<(), Cause> {
    let (mut pause, mut trouble) = (None, Trouble::new(check));
    loop {
        let begun = Instant::now();
        let longest = match task.on_failure {
            OnFailure::Restart { max, .. } => max,
            OnFailure::Stop => Duration::MAX,
        };
        let ended = {
            let running = run_once(&mut task, meter.clone(), shutdown.clone());
            tokio::pin!(running);
            match tokio::time::timeout(longest, running.as_mut()).await {
                Ok(ended) => ended,
                Err(_) => {
                    trouble.is_over();
                    running.await
                }
            }
        };
        let cause = match ended {
            Ok(()) if shutdown.is_cancelled() => return Ok(()),
            Ok(()) => Cause::Ended,
            Err(cause) => cause,
        };
        let OnFailure::Restart { initial, max } = task.on_failure else { return Err(cause) };
        let is_final = matches!(&cause, Cause::Failed(fault) if (task.is_final)(fault.as_ref()));
        if is_final || shutdown.is_cancelled() {
            return Err(cause);
        }
        let next = pause.filter(|_| begun.elapsed() <= max).map_or(initial, |pause: Duration| (pause * 2).min(max));
        pause = Some(next);
        trouble.add(&cause);
        tracing::error!(task = task.name, error = %cause, pause = ?next, "a task failed and will be started again");
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(next) => {}
        }
    }
}

/// How many failures in a row are no passing one any more.
const IN_A_ROW: u32 = 3;

/// The failures of a task since it last ran for long.
struct Trouble {
    check: Check,
    failures: u32,
    since: Timestamp,
}

impl Trouble {
    fn new(check: Check) -> Self {
        Self { check, failures: 0, since: Timestamp::UNIX_EPOCH }
    }

    fn add(&mut self, cause: &Cause) {
        if self.failures == 0 {
            self.since = Timestamp::now();
        }
        self.failures += 1;
        if self.failures >= IN_A_ROW {
            let Self { failures, since, .. } = self;
            let why =
                format!("it has failed {failures} times since {since:.0} and is started again each time: {cause}");
            self.check.not_ready(why);
        }
    }

    fn is_over(&mut self) {
        self.failures = 0;
        self.check.ready();
    }
}

/// A task of its own, so that a panic is caught; dropped with whoever waits for it.
async fn run_once(task: &mut Task, meter: Arc<Meter>, shutdown: CancellationToken) -> Result<(), Cause> {
    let mut inner = JoinSet::new();
    inner.spawn(metered(meter, (task.run)(shutdown)));
    match inner.join_next().await {
        Some(Ok(result)) => result.map_err(Cause::Failed),
        Some(Err(error)) => Err(Cause::Panicked(panic_text(error))),
        None => Err(Cause::Ended),
    }
}

fn panic_text(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
            (Some(text), _) => (*text).to_owned(),
            (None, Some(text)) => text.clone(),
            (None, None) => "without a message".to_owned(),
        },
        Err(error) => error.to_string(),
    }
}
