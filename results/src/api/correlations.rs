//! `GET /v1/correlations/{id}`: what happened under a correlation id, now, after a wait, or as a live stream.

use std::time::Duration;

use axum::{
    extract::{Path, State},
    http::{HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response, sse::Event},
};
use contracts::{
    ids::{CorrelationId, InvocationId},
    outcomes::Awaited,
    raw::Place,
    summary::{State as Progress, Summary},
};
use futures_util::{Stream, stream};
use runtime::problem::Problem;
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::{Api, failed, json, params::Params, stream as sse};
use crate::{
    handle::AskError,
    store::{Cursor, Page},
    watch::Subscription,
};

/// Whether what a wait was for came true: a state alone does not tell whether the invocation is known in it.
const WAIT_COMPLETE: HeaderName = HeaderName::from_static("x-wait-complete");

/// The least time between two states of a live stream: what changes meanwhile is shown at once.
const COALESCED: Duration = Duration::from_millis(100);

pub(super) async fn show(State(api): State<Api>, Path(id): Path<String>, params: Params) -> Result<Response, Problem> {
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    params.only(&["wait", "cursor", "limit", "invocation", "raw", "until"])?;
    let correlation: CorrelationId = id.parse().map_err(|error| bad(format!("{id:?}: {error}")))?;
    let invocation = params.get("invocation").map(str::parse::<InvocationId>).transpose();
    let invocation = invocation.map_err(|_| bad("`invocation` is a UUID".to_owned()))?;
    let raw = params.get("raw").map(str::parse::<Place>).transpose();
    let raw = raw.map_err(|error| bad(format!("`raw`: {error}")))?;
    if raw.is_some() && invocation.is_none() {
        return Err(bad("`raw` is the delivery of an invocation: give that as `invocation`, too".to_owned()));
    }
    let until = params.one_of("until", &[("complete", ())])?.is_some();
    let (page, _) = params.page("", Cursor::parse)?;
    let wait = params.wait()?;
    if params.stream {
        let live = Live::new(&api, correlation, page, until);
        return Ok(sse::answer(live.stream(), api.shutdown));
    }
    let found = match wait {
        Some(wait) => {
            let awaited = Awaited { correlation: correlation.clone(), invocation, raw };
            let waited = api.handle.wait_for(awaited, wait, page);
            // A process that ends answers with what it has instead of keeping its callers.
            match api.shutdown.run_until_cancelled(waited).await {
                Some(waited) => waited.map(|waited| (Some(waited.complete), waited.summary)),
                None => {
                    let summary = api.handle.summary(correlation.clone(), Page::default()).await;
                    summary.map(|summary| (Some(false), summary))
                }
            }
        }
        None => api.handle.summary(correlation.clone(), page).await.map(|summary| (None, summary)),
    };
    let (complete, summary) = found.map_err(|error| failed(&error))?;
    let mut answer = match summary {
        Some(summary) => json(&summary),
        None => unknown(&correlation).into_response(),
    };
    if let Some(complete) = complete {
        let value = HeaderValue::from_static(if complete { "true" } else { "false" });
        answer.headers_mut().insert(WAIT_COMPLETE, value);
    }
    Ok(answer)
}

fn unknown(correlation: &CorrelationId) -> Problem {
    let detail = format!("nothing is known of the correlation `{correlation}`; with `?wait=30s` it is waited for");
    Problem::new(StatusCode::NOT_FOUND, detail)
}

/// A live stream of one correlation.
struct Live {
    api: Api,
    watch: Subscription,
    page: Page,
    /// Whether it ends when the correlation is complete.
    until: bool,
    phase: Phase,
    /// What was shown last.
    shown: Option<(u64, Progress)>,
    next: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The state is to be sent, whatever it is.
    First,
    /// Changes are awaited.
    Changes,
    /// It is complete, and the stream is to say so.
    End,
    Over,
}

/// What a stream says of a correlation of which nothing is known yet.
#[derive(Serialize)]
struct Unknown<'a> {
    correlation: &'a CorrelationId,
}

impl Live {
    fn new(api: &Api, correlation: CorrelationId, page: Page, until: bool) -> Self {
        // Watched before it is first read, so that no change is missed.
        let watch = api.handle.watch(correlation);
        Self { api: api.clone(), watch, page, until, phase: Phase::First, shown: None, next: Instant::now() }
    }

    fn stream(self) -> impl Stream<Item = Event> + Send {
        stream::unfold(self, |mut live| async move { live.next().await.map(|event| (event, live)) })
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            match self.phase {
                Phase::First => {
                    let found = self.read().await;
                    self.phase = Phase::Changes;
                    match self.show(found) {
                        Some(event) => return Some(event),
                        None => return Some(sse::event("unknown", &Unknown { correlation: self.watch.correlation() })),
                    }
                }
                Phase::Changes => {
                    self.watch.changed().await;
                    sleep_until(self.next).await;
                    let found = self.read().await;
                    if let Some(event) = self.show(found) {
                        return Some(event);
                    }
                }
                Phase::End => {
                    self.phase = Phase::Over;
                    return Some(sse::event("end", &Unknown { correlation: self.watch.correlation() }));
                }
                Phase::Over => return None,
            }
        }
    }

    async fn read(&self) -> Result<Option<Summary>, AskError> {
        self.api.handle.summary(self.watch.correlation().clone(), self.page.clone()).await
    }

    /// The event of what was read, if it is not what was shown last.
    fn show(&mut self, found: Result<Option<Summary>, AskError>) -> Option<Event> {
        self.next = Instant::now() + COALESCED;
        let summary = match found {
            Ok(summary) => summary?,
            Err(error) => {
                self.phase = Phase::Over;
                return Some(sse::event("error", &failed(&error).detail));
            }
        };
        let state = (summary.revision, summary.state);
        if self.shown == Some(state) {
            return None;
        }
        self.shown = Some(state);
        if self.until && summary.state == Progress::Complete {
            self.phase = Phase::End;
        }
        Some(sse::event("summary", &summary).id(summary.revision.to_string()))
    }
}
