//! How others ask what became of something, in this process.

use std::{sync::Arc, time::Duration};

use contracts::{
    ids::CorrelationId,
    outcomes::{Awaited, BoxFuture, Outcomes, Unavailable, Waited},
    summary::{State, Summary},
    why::Explains,
};
use runtime::meter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    api::{Seen, dead::Letters},
    jobs::{Jobs, Knows},
    pace::Pace,
    store::{Page, Reader, StoreError},
    watch::{Changes, Subscription, Watches},
    why::Reasons,
};

/// How many questions are answered at once. They share the threads that may block with those who write, so that however
/// many ask, the pipeline has threads left.
const QUESTIONS: usize = 2;

/// How many pages of the bus are read at once: each is megabytes until it is an answer.
const PAGES: usize = 4;
/// How many streams of events there are at most: each may hold an event of megabytes for a reader who does not read.
const STREAMS: usize = 64;

/// Asks the store and watches it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    reader: Reader,
    watches: Watches,
    questions: Arc<Semaphore>,
    pages: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    seen: Seen,
    reasons: Reasons,
    knows: Knows,
    pace: Pace,
    letters: Letters,
}

/// A question could not be answered.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The thread that read it ended: the process is shutting down, or this is a bug.
    #[error("the question was broken off: {0}")]
    BrokenOff(#[from] tokio::task::JoinError),
}

impl Handle {
    pub(crate) fn new(reader: Reader, watches: Watches, pace: Pace) -> Self {
        let [questions, pages, streams] = [QUESTIONS, PAGES, STREAMS].map(|most| Arc::new(Semaphore::new(most)));
        Self {
            reader,
            watches,
            questions,
            pages,
            streams,
            seen: Seen::default(),
            reasons: Reasons::default(),
            knows: Knows::default(),
            pace,
            letters: Letters::default(),
        }
    }

    /// The same, with someone who knows jobs: orders are taken, and summaries say what waits for a paused job.
    #[must_use]
    pub fn knowing(self, jobs: Arc<dyn Jobs>) -> Self {
        Self { knows: Knows(Some(jobs)), ..self }
    }

    /// Who knows jobs, if anybody does.
    pub(crate) fn jobs(&self) -> Option<&Arc<dyn Jobs>> {
        self.knows.0.as_ref()
    }

    /// What is known of jobs.
    pub(crate) fn knows(&self) -> &Knows {
        &self.knows
    }

    /// How fast jobs run.
    pub(crate) fn pace(&self) -> &Pace {
        &self.pace
    }

    /// The dead letters, as far as they were read.
    pub(crate) fn letters(&self) -> &Letters {
        &self.letters
    }

    /// The same, with someone who knows why events did not happen: summaries say so.
    #[must_use]
    pub fn explained_by(self, explains: Arc<dyn Explains>) -> Self {
        Self { reasons: Reasons(Some(explains)), ..self }
    }

    /// Who knows why events did not happen, if anybody does.
    pub(crate) fn explains(&self) -> Option<&Arc<dyn Explains>> {
        self.reasons.0.as_ref()
    }

    /// Waits for a turn to read from the bus for the API; it lasts until it is dropped.
    pub(crate) async fn page_turn(&self) -> OwnedSemaphorePermit {
        self.pages.clone().acquire_owned().await.expect("invariant: the semaphore is never closed")
    }

    /// A place for one more stream of events, until it is dropped; none if all are taken.
    pub(crate) fn stream_place(&self) -> Option<OwnedSemaphorePermit> {
        self.streams.clone().try_acquire_owned().ok()
    }

    /// The topics as the streams see them.
    pub(crate) fn topics_seen(&self) -> Seen {
        self.seen.clone()
    }

    /// Runs a blocking question on a thread where it may block.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, AskError> {
        let reader = self.reader.clone();
        // Held until the question is answered, also for a caller who has left.
        let slot = self.questions.clone().acquire_owned().await.expect("invariant: the semaphore is never closed");
        let answer = meter::blocking(move || {
            let answer = question(&reader);
            drop(slot);
            answer
        });
        Ok(tokio::task::spawn_blocking(answer).await??)
    }

    /// What happened under a correlation, with a page of its invocations; none if it is unknown.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn summary(&self, correlation: CorrelationId, page: Page) -> Result<Option<Summary>, AskError> {
        let mut found = self.ask(move |reader| reader.summary(&correlation, &page)).await?;
        if let Some(summary) = &mut found {
            self.knows.say_held(&self.pace, summary);
            self.reasons.explain(summary).await;
        }
        Ok(found)
    }

    /// Watches a correlation, known or not. Changes before this call are not told: subscribe first, then ask.
    pub fn watch(&self, correlation: CorrelationId) -> Subscription {
        self.watches.watch(correlation)
    }

    /// Follows every change of every correlation from now on.
    pub fn changes(&self) -> Changes {
        self.watches.changes()
    }

    /// Waits until what is awaited has come true, or `timeout` has passed; then reads a page.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn wait_for(&self, awaited: Awaited, timeout: Duration, page: Page) -> Result<Waited, AskError> {
        let mut watch = self.watch(awaited.correlation.clone());
        let (correlation, invocation) = (awaited.correlation.clone(), awaited.invocation);
        let came_true = async {
            while !self.is_true(awaited.clone()).await? {
                // A change that leaves it open cannot be what is awaited.
                while !watch.changed().await {}
            }
            Ok::<(), AskError>(())
        };
        let complete = match tokio::time::timeout(timeout, came_true).await {
            Ok(done) => done.map(|()| true)?,
            Err(_) => self.is_true(awaited.clone()).await?,
        };
        let mut summary = self.summary(correlation, page).await?;
        // Complete without what is awaited is not what was asked for.
        if let (false, Some(summary), Some(invocation)) = (complete, &mut summary, invocation)
            && summary.state == State::Complete
        {
            summary.awaits(invocation);
        }
        Ok(Waited { complete, summary })
    }

    async fn is_true(&self, awaited: Awaited) -> Result<bool, AskError> {
        self.ask(move |reader| {
            let complete = reader.tally(&awaited.correlation)?.is_some_and(|tally| tally.is_complete());
            match awaited.invocation {
                Some(invocation) if complete => reader.knows(&awaited.correlation, invocation, awaited.raw),
                _ => Ok(complete),
            }
        })
        .await
    }
}

impl Outcomes for Handle {
    fn wait(&self, awaited: Awaited, timeout: Duration) -> BoxFuture<'_, Result<Waited, Unavailable>> {
        Box::pin(async move {
            let waited = self.wait_for(awaited, timeout, Page::default()).await;
            waited.map_err(|error| Unavailable(error.to_string()))
        })
    }
}
