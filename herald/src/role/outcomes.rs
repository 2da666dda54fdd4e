//! Asks results over HTTP for a caller of the webhook who waits.

use std::{fmt, time::Duration};

use contracts::outcomes::{Awaited, BoxFuture, Outcomes, Unavailable, Waited};
use runtime::config::Secret;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, timeout_at},
};

use client::http::{Base, Call, Error, encode};

/// How many callers may wait at once: each is a connection to the API.
const WAITING: usize = 512;
/// How long until results that are away, or that answered early, are asked again.
const AGAIN: Duration = Duration::from_millis(200);
/// How much later than the wait itself an answer may come.
const SLACK: Duration = Duration::from_secs(2);
/// The header that tells whether what was awaited came true.
const COMPLETE: &str = "x-wait-complete";

/// The API of results.
pub(super) struct Remote {
    base: Base,
    token: Option<Secret>,
    slots: Semaphore,
}

impl Remote {
    pub(super) fn new(base: Base, token: Option<Secret>) -> Self {
        Self { base, token, slots: Semaphore::new(WAITING) }
    }

    async fn ask(&self, awaited: &Awaited, timeout: Duration) -> Result<Waited, Error> {
        let invocation = awaited.invocation.map(|id| format!("&invocation={id}")).unwrap_or_default();
        let raw = awaited.raw.map(|raw| format!("&raw={raw}")).unwrap_or_default();
        let correlation = encode(awaited.correlation.as_str());
        let path = format!("/v1/correlations/{correlation}?wait={}ms{invocation}{raw}", timeout.as_millis());
        let unexpected = |reason: String| Error::Unexpected { base: self.base.to_string(), reason };
        let call = Call::get(&self.base, &path).token(self.token.as_ref().map(Secret::expose));
        let (headers, body) = call.map_err(|error| unexpected(error.to_string()))?.whole().await?;
        let summary = serde_json::from_slice(&body)
            .map_err(|error| unexpected(format!("its summary cannot be read: {error}")))?;
        Ok(Waited { complete: headers.get(COMPLETE).is_some_and(|value| value == "true"), summary: Some(summary) })
    }

    /// Asks until it has come true or time is up: results may be started again meanwhile.
    async fn wait_until(&self, awaited: &Awaited, deadline: Instant) -> Result<Waited, Unavailable> {
        let mut last = Err(Unavailable(format!("{} did not answer in time", self.base)));
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(answer) = timeout_at(deadline + SLACK, self.ask(awaited, left)).await else { return last };
            match answer {
                Ok(waited) if waited.complete => return Ok(waited),
                Ok(waited) => last = Ok(waited),
                Err(error) if error.status() == Some(404) => last = Ok(Waited { complete: false, summary: None }),
                Err(Error::Unreachable { base, reason }) => {
                    last = last.or(Err(Unavailable(format!("{base} cannot be reached: {reason}"))));
                }
                Err(error) if error.is_unreachable() => last = last.or(Err(Unavailable(error.to_string()))),
                Err(error) => return Err(Unavailable(error.to_string())),
            }
            if Instant::now() + AGAIN >= deadline {
                return last;
            }
            sleep(AGAIN).await;
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.base.fmt(f)
    }
}

impl Outcomes for Remote {
    fn wait(&self, awaited: Awaited, timeout: Duration) -> BoxFuture<'_, Result<Waited, Unavailable>> {
        Box::pin(async move {
            let slot = self.slots.try_acquire();
            let _slot = slot.map_err(|_| Unavailable(format!("{WAITING} callers wait already, and no more can")))?;
            self.wait_until(&awaited, Instant::now() + timeout).await
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use axum::{Json, Router, extract::RawQuery, http::StatusCode, response::IntoResponse, routing::get};
    use runtime::listener::{Bound, Listen};
    use tokio_util::sync::CancellationToken;

    use super::*;

    /// An API that answers 404, then with an open correlation, then that it is complete.
    async fn api() -> (Base, Arc<AtomicU32>) {
        let asked = Arc::new(AtomicU32::new(0));
        let count = asked.clone();
        let summary = |state: &str| {
            serde_json::json!({"v": 1, "correlation": "order-7", "state": state, "revision": 1,
                "received": "2026-11-21T10:00:00Z", "counters": {}, "invocations": []})
        };
        let answer = get(move |RawQuery(query): RawQuery| {
            let asked = count.fetch_add(1, Ordering::Relaxed);
            async move {
                assert!(query.is_some_and(|query| query.starts_with("wait=") && query.contains("&invocation=")));
                match asked {
                    0 => StatusCode::NOT_FOUND.into_response(),
                    1 => ([(COMPLETE, "false")], Json(summary("inProcess"))).into_response(),
                    _ => ([(COMPLETE, "true")], Json(summary("complete"))).into_response(),
                }
            }
        });
        let bound = Bound::bind("api.listen", "--api", &Listen::default()).await.expect("an address");
        let base = format!("http://{}", bound.address()).parse().expect("a URL");
        let router = Router::new().route("/v1/correlations/{id}", answer);
        tokio::spawn(bound.serve(router, CancellationToken::new()));
        (base, asked)
    }

    fn awaited() -> Awaited {
        let invocation = "2075a2ac-ce33-5a73-9873-c05a475102eb".parse().expect("an id");
        Awaited { correlation: "order-7".parse().expect("an id"), invocation: Some(invocation), raw: None }
    }

    #[tokio::test]
    async fn a_wait_goes_on_until_results_say_that_it_has_come_true() {
        let (base, asked) = api().await;
        let waited = Remote::new(base, None).wait(awaited(), Duration::from_secs(30)).await.expect("an answer");
        assert!(waited.complete && waited.summary.is_some());
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn results_that_are_away_are_named_when_the_time_is_up() {
        let base: Base = "http://127.0.0.1:1".parse().expect("a URL");
        let error =
            Remote::new(base, None).wait(awaited(), Duration::from_millis(500)).await.expect_err("nobody there");
        assert!(error.to_string().contains("http://127.0.0.1:1 cannot be reached"), "{error}");
    }
}
