//! How much is left to do, and how long it takes until nothing is, once nothing more is sent.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::{cli::Api, http::Call};

/// How often to look.
const PAUSE: Duration = Duration::from_millis(50);

/// What is read of `/v1/status`.
#[derive(Debug, Deserialize)]
struct Status {
    results: Totals,
    groups: BTreeMap<String, Group>,
}

#[derive(Debug, Deserialize)]
struct Totals {
    invocations: u64,
    open: u64,
    unpublished: u64,
}

#[derive(Debug, Deserialize)]
struct Group {
    lag: u64,
}

/// How things stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    /// Records that the groups have yet to read.
    lag: u64,
    /// Invocations of which something is still awaited.
    open: u64,
    /// Invocations of which nothing is.
    finished: u64,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Drained {
    /// Records that the groups still had to read when the last webhook was answered.
    pub(super) lag: u64,
    /// Records, and invocations, left when nothing more was waited for; 0 is drained.
    pub(super) left: u64,
    /// Seconds from the last answer until none was left.
    pub(super) seconds: f64,
    /// Invocations that were finished since the first webhook.
    pub(super) completed: u64,
}

/// Waits until there is no more to do than there was before, or the deadline; nothing if the API does not tell.
pub(super) async fn wait(api: &Api, before: Option<Look>, ended: Instant, deadline: Instant) -> Option<Drained> {
    let before = before?;
    let first = look(api).await?;
    let mut last = first;
    while last.left(&before) > 0 && Instant::now() < deadline {
        sleep(PAUSE).await;
        last = look(api).await?;
    }
    Some(Drained {
        lag: first.lag,
        left: last.left(&before),
        seconds: ended.elapsed().as_secs_f64(),
        completed: last.finished.saturating_sub(before.finished),
    })
}

/// Looks once; nothing if the API does not tell.
pub(super) async fn look(api: &Api) -> Option<Look> {
    let answer = Call::get(&api.api, "/v1/status").token(api.token.as_deref()).ok()?.answer().await.ok()?;
    let status: Status = serde_json::from_slice(&answer).ok()?;
    Some(Look::of(&status))
}

impl Look {
    fn of(status: &Status) -> Self {
        let Totals { invocations, open, unpublished } = status.results;
        let lag: u64 = status.groups.values().map(|group| group.lag).sum();
        Self { lag: lag + unpublished, open, finished: invocations.saturating_sub(open) }
    }

    /// What is left to do beyond what was open before, which may wait for something else.
    fn left(&self, before: &Self) -> u64 {
        self.lag + self.open.saturating_sub(before.open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_the_lag_of_all_groups_and_what_is_open_since() {
        let status = |open: u64, lag: u64| {
            let json = format!(
                r#"{{"results":{{"invocations":10,"open":{open},"completed":7,"unpublished":0,"bytes":1}},
                     "groups":{{"detector":{{"lag":{lag},"partitions":[{{"lag":{lag}}}]}},"job.log":{{"lag":1,"partitions":[]}}}},
                     "topics":3}}"#
            );
            Look::of(&serde_json::from_str(&json).expect("as the API writes it"))
        };
        let before = status(1, 0);
        assert_eq!(before.finished, 9);
        assert_eq!(status(3, 4).left(&before), 4 + 1 + 2);
    }
}
