//! What became of each webhook, as blocks on a terminal: read from the results as everybody else does, and never in their way.

use std::{convert::Infallible, sync::Arc, time::Duration};

use client::{print::Speaker, render};
use contracts::{
    ids::CorrelationId,
    progress::Undetected,
    summary::{Invocation, Summary},
    why::{Explains, Why},
};
use results::{Changes, Handle, store::Page};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::{outputs::Outputs, pace::Pace};

/// How often it is looked what is still under way.
const LOOK: Duration = Duration::from_millis(250);
/// How long a block waits for what is to be found out for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Shows them.
pub(super) struct Blocks {
    handle: Handle,
    changes: Changes,
    explains: Arc<dyn Explains>,
    speaker: Speaker,
    outputs: Option<Outputs>,
    pace: Pace,
}

impl Blocks {
    /// Of everything that changes from now on.
    pub(super) fn new(handle: Handle, explains: Arc<dyn Explains>, speaker: Speaker, outputs: Option<Outputs>) -> Self {
        let changes = handle.changes();
        Self { handle, changes, explains, speaker, outputs, pace: Pace::new(Instant::now()) }
    }

    /// Shows them until the shutdown, which comes after that of the results.
    pub(super) async fn run(mut self, shutdown: CancellationToken) -> Result<(), Infallible> {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // In this order: what is due while many come, and what has ended before the end.
                biased;
                _ = look.tick() => self.look().await,
                change = self.changes.next() => match change {
                    Ok(change) => {
                        if self.pace.change(&change, Instant::now()) {
                            self.show(change.correlation).await;
                        }
                    }
                    Err(missed) => self.pace.missed(missed),
                },
                () = shutdown.cancelled() => return Ok(()),
            }
        }
    }

    async fn look(&mut self) {
        for correlation in self.pace.slow(Instant::now()) {
            if let Some(summary) = self.summary(correlation).await
                && let Some(line) = render::awaits(&summary)
            {
                self.speaker.show(&line);
            }
        }
        if let Some(line) = self.pace.counted(Instant::now()) {
            self.speaker.show(&line);
        }
        if let Some(outputs) = &self.outputs {
            outputs.say_more();
        }
    }

    async fn summary(&self, correlation: CorrelationId) -> Option<Summary> {
        // What cannot be asked now is in the log of whoever met it, and `show` has it later.
        timeout(PATIENCE, self.handle.summary(correlation, Page::default())).await.ok()?.ok()?
    }

    async fn show(&mut self, correlation: CorrelationId) {
        let Some(summary) = self.summary(correlation).await else { return };
        for one in &summary.invocations {
            let closest = self.closest(one).await;
            let block = render::block(one, closest.as_ref());
            if self.pace.is_new(one.invocation, &block) {
                self.speaker.show(&block);
            }
        }
        if let Some(rest) = render::rest(&summary) {
            self.speaker.show(&rest);
        }
    }

    /// The event that came closest to what came in without happening.
    async fn closest(&self, one: &Invocation) -> Option<Undetected> {
        if one.undetected.is_empty() && one.undetected_more == 0 {
            return None;
        }
        let why = timeout(PATIENCE, self.explains.why(one.raw, one.catalog)).await;
        closest(why.ok()?.ok()?)
    }
}

/// The nearest is the first of an explanation.
fn closest(why: Why) -> Option<Undetected> {
    let nearest = why.undetected.into_iter().next()?;
    Some(Undetected { event: nearest.event, because: nearest.because })
}
