//! What became of each webhook, as blocks on a terminal: read from the results as everybody else does, and never in their way.

use std::{collections::HashMap, convert::Infallible, sync::Arc, time::Duration};

use client::{live::News, print::Speaker, render};
use contracts::{
    ids::CorrelationId,
    progress::Undetected,
    summary::{Invocation, State, Summary},
    why::{Explains, Why},
};
use jiff::Timestamp;
use job_runner::Board;
use results::{Changes, Handle, store::Page};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::{outputs::Outputs, pace::Pace};

/// How often it is looked what is still under way.
const LOOK: Duration = Duration::from_millis(250);
/// How many jobs are named that the end waits for.
const NAMED: usize = 5;
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
    /// What was told of those that are under way for long.
    news: HashMap<CorrelationId, News>,
    ending: Ending,
}

/// What is said of the end.
pub(super) struct Ending {
    /// The process is told to stop.
    pub(super) stop: CancellationToken,
    /// Which jobs run then.
    pub(super) board: Board,
    /// How long they may go on.
    pub(super) grace: Duration,
}

impl Blocks {
    /// Of everything that changes from now on.
    pub(super) fn new(
        handle: Handle,
        explains: Arc<dyn Explains>,
        speaker: Speaker,
        outputs: Option<Outputs>,
        ending: Ending,
    ) -> Self {
        let changes = handle.changes();
        Self {
            handle,
            changes,
            explains,
            speaker,
            outputs,
            pace: Pace::new(Instant::now()),
            news: HashMap::new(),
            ending,
        }
    }

    /// Shows them until the shutdown, which comes after that of the results.
    pub(super) async fn run(mut self, shutdown: CancellationToken) -> Result<(), Infallible> {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_told = false;
        loop {
            tokio::select! {
                // In this order: what is due while many come, and what has ended before the end.
                biased;
                () = self.ending.stop.cancelled(), if !is_told => {
                    is_told = true;
                    self.speaker.show(&self.ending.says());
                }
                _ = look.tick() => self.look().await,
                change = self.changes.next() => match change {
                    Ok(change) => {
                        if change.complete {
                            self.news.remove(&change.correlation);
                        }
                        if self.pace.change(&change, Instant::now()) {
                            self.show(change.correlation).await;
                        }
                    }
                    Err(missed) => {
                        self.pace.missed(missed, Instant::now());
                        self.news.clear();
                    }
                },
                () = shutdown.cancelled() => break,
            }
        }
        // What was only counted until now is said at once.
        if let Some(line) = self.pace.counted(Instant::now() + Duration::from_secs(1)) {
            self.speaker.show(&line);
        }
        self.say_unfinished().await;
        Ok(())
    }

    /// Says what the next start goes on with. The results have gathered what was told last.
    async fn say_unfinished(&self) {
        let totals = timeout(PATIENCE, self.handle.ask(|reader| reader.totals())).await;
        match totals.map(|totals| totals.map_or(0, |totals| totals.open)) {
            Ok(0) | Err(_) => {}
            Ok(1) => self.speaker.show("⏸ 1 invocation is not finished; the next start goes on with it"),
            Ok(open) => {
                self.speaker.show(&format!("⏸ {open} invocations are not finished; the next start goes on with them"));
            }
        }
    }

    async fn look(&mut self) {
        for correlation in self.pace.slow(Instant::now()) {
            self.tell_news(correlation, true).await;
        }
        for correlation in self.pace.moved(Instant::now()) {
            self.tell_news(correlation, false).await;
        }
        if let Some(line) = self.pace.counted(Instant::now()) {
            self.speaker.show(&line);
        }
        if let Some(outputs) = &self.outputs {
            outputs.say_more();
        }
    }

    /// What is new of something that is under way for long, the first time with what it waits for.
    async fn tell_news(&mut self, correlation: CorrelationId, first: bool) {
        let Some(summary) = self.summary(correlation.clone()).await else { return };
        // What has ended meanwhile is told as a block.
        if summary.state == State::Complete {
            return;
        }
        let awaits = render::awaits(&summary).filter(|_| first);
        let news = self.news.entry(correlation).or_default().of(&summary, Timestamp::now());
        for line in awaits.into_iter().chain(news.into_iter().map(|line| format!("   {line}"))) {
            self.speaker.show(&line);
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
            let block = render::block(one, closest.as_ref(), Timestamp::now());
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

impl Ending {
    /// For whom the end waits, and for how long.
    fn says(&self) -> String {
        let running = self.board.status().into_iter().filter(|job| job.in_flight > 0);
        let running: Vec<_> = running.map(|job| (job.group.full_name().to_owned(), job.in_flight)).collect();
        told_to_stop(&running, self.grace)
    }
}

/// `running`: each job with how many runs of it are under way.
fn told_to_stop(running: &[(String, usize)], grace: Duration) -> String {
    if running.is_empty() {
        return "⏹ Told to stop".to_owned();
    }
    let runs: usize = running.iter().map(|(_, runs)| runs).sum();
    let runs = if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") };
    let names: Vec<&str> = running.iter().take(NAMED).map(|(name, _)| name.as_str()).collect();
    let others = running.len().checked_sub(NAMED).filter(|more| *more > 0);
    let others = others.map(|more| format!(" and {more} more jobs")).unwrap_or_default();
    let grace = render::time(grace);
    format!(
        "⏹ Told to stop; waits up to {grace} for {runs} of {}{others}; once more (Ctrl-C) ends them at once",
        names.join(", ")
    )
}

/// The nearest is the first of an explanation.
fn closest(why: Why) -> Option<Undetected> {
    let nearest = why.undetected.into_iter().next()?;
    Some(Undetected { event: nearest.event, because: nearest.because })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_names_the_jobs_that_it_waits_for() {
        let grace = Duration::from_secs(10);
        let running: Vec<_> = (1..=7).map(|n| (format!("move.new.job-{n}"), n)).collect();
        let jobs = "move.new.job-1, move.new.job-2, move.new.job-3, move.new.job-4, move.new.job-5 and 2 more jobs";
        assert_eq!(
            told_to_stop(&running, grace),
            format!("⏹ Told to stop; waits up to 10.0 s for 28 runs of {jobs}; once more (Ctrl-C) ends them at once")
        );
        assert!(told_to_stop(&running[..1], grace).contains("for 1 run of move.new.job-1; once more"));
        assert_eq!(told_to_stop(&[], grace), "⏹ Told to stop");
    }
}
