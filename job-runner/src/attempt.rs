//! One attempt, as a task: its options filled in, its time limited, its panic caught.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bus::Bus;
use contracts::{envelope::EventHeaders, ids::JobRunId, outcomes::BoxFuture};
use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    FAILED,
    core::Launch,
    kind::{Blame, Failure, Held, Outcome, Run, Then, bounded},
    line,
    options::{self, Given},
    plan::Plan,
};

/// How long a kind may take to end once it is told to, before it is dropped.
const LINGER: Duration = Duration::from_secs(1);

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// By itself, or by its timeout.
    Done(Outcome),
    /// It was cancelled for no fault of its own, so that it does not count.
    GivenBack,
}

/// Runs an attempt. `stop` cancels it.
pub(crate) async fn run(bus: Arc<dyn Bus>, plan: Arc<Plan>, launch: Launch, stop: CancellationToken) -> Ended {
    let whole = AssertUnwindSafe(limited(&*bus, &plan, launch, stop)).catch_unwind().await;
    whole.unwrap_or_else(|panic| Ended::Done(Err(panicked(panic.as_ref()))))
}

/// Says once in the log that a run has failed, and why.
pub(crate) fn say_failed(plan: &Plan, event: &EventHeaders, number: u32, failure: &Failure) {
    tracing::warn!(
        target: FAILED,
        {
            job.name = plan.group.full_name(), job.attempt = number, event.id = %event.id,
            correlation.id = %event.correlation, error = &*line::cut(&failure.error)
        },
        "a job failed"
    );
}

/// Says that an attempt has failed, why, and when the next is due.
pub(crate) fn say_retried(plan: &Plan, event: &EventHeaders, number: u32, failure: &Failure, again: Timestamp) {
    tracing::info!(
        target: FAILED,
        {
            job.name = plan.group.full_name(), job.attempt = number, job.again = %again, event.id = %event.id,
            correlation.id = %event.correlation, error = &*line::cut(&failure.error)
        },
        "an attempt failed, and another follows"
    );
}

async fn limited(bus: &dyn Bus, plan: &Plan, launch: Launch, stop: CancellationToken) -> Ended {
    let (cancelled, held) = (CancellationToken::new(), Held::counted());
    let mut running: BoxFuture<'_, Outcome> = Box::pin(carried_out(bus, plan, launch, cancelled.clone(), held.clone()));
    // In this order: what has ended has ended, even if its time is up just now.
    tokio::select! {
        biased;
        outcome = &mut running => Ended::Done(outcome),
        () = stop.cancelled() => {
            cancelled.cancel();
            match timeout(LINGER, running).await {
                Ok(Ok(answer)) => Ended::Done(Ok(answer)),
                Ok(Err(_)) | Err(_) => Ended::GivenBack,
            }
        }
        () = time_is_up(plan.timeout, &held) => {
            cancelled.cancel();
            let late = timeout(LINGER, running).await;
            let wrote = late.ok().and_then(Result::err).unwrap_or_else(|| Failure::new(""));
            let mut error = format!("timed out after {}", runtime::config::Duration(plan.timeout));
            if !wrote.error.is_empty() {
                // How far it had come.
                error = bounded(format!("{error}: {}", wrote.error));
            }
            Ended::Done(Err(Failure { error, then: Then::Retry, blame: Some(Blame::Target), ..wrote }))
        }
    }
}

/// The attempt from what it reads to its end.
async fn carried_out(bus: &dyn Bus, plan: &Plan, launch: Launch, cancelled: CancellationToken, held: Held) -> Outcome {
    let Launch { item, attempt, .. } = launch;
    let event: Arc<EventHeaders> = item.event;
    let payload = match plan.options.takes_payload() {
        true => Some(options::payload(bus, event.raw).await.map_err(|failure| failure.blamed(Blame::Own))?),
        false => None,
    };
    let Given { options, params, data } = plan.options.fill(&*plan.kind, &event, item.data, payload.as_ref())?;
    drop(payload);
    let run = Run {
        job: plan.name.clone(),
        group: plan.group.clone(),
        id: JobRunId::derived(event.id, &plan.name),
        event,
        data,
        options,
        params,
        attempt,
        timeout: plan.timeout,
        cancelled,
        held,
    };
    plan.kind.run(run).await
}

async fn time_is_up(timeout: Duration, held: &Held) {
    let begun = Instant::now();
    let mut due = begun + timeout;
    while Instant::now() < due {
        sleep_until(due).await;
        due = begun + timeout + held.get();
    }
}

/// The failure of a run that panicked.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Failure {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Failure::new(format!("the job panicked: {}", text.unwrap_or("no message"))).blamed(Blame::Own)
}
