//! How much is left to do, and how long it takes until nothing is, once nothing more is sent.

use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep};

use client::{
    address::Api,
    status::{Status, Totals},
};

/// The group that gathers results: what the load waits for, too.
const RESULTS: &str = "results";

/// How often to look.
const PAUSE: Duration = Duration::from_millis(50);

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

/// What draining is counted from.
#[derive(Debug, Clone, Copy)]
pub(super) struct From {
    /// How things stood before the first webhook.
    pub(super) before: Look,
    /// How many webhooks were accepted since.
    pub(super) accepted: u64,
    /// When the last answer came.
    pub(super) ended: Instant,
}

/// Waits until there is no more to do than there was before, or the deadline; nothing if the API does not tell.
pub(super) async fn wait(api: &Api, from: Option<From>, deadline: Instant) -> Option<Drained> {
    let From { before, accepted, ended } = from?;
    let first = look(api).await?;
    let mut last = first;
    while last.left(&before, accepted) > 0 && Instant::now() < deadline {
        sleep(PAUSE).await;
        last = look(api).await?;
    }
    Some(Drained {
        lag: first.lag,
        left: last.left(&before, accepted),
        seconds: ended.elapsed().as_secs_f64(),
        completed: last.finished.saturating_sub(before.finished),
    })
}

/// Looks once; nothing if the API does not tell.
async fn look(api: &Api) -> Option<Look> {
    Some(Look::of(&Status::ask(api).await.ok()?))
}

impl Look {
    pub(super) fn of(status: &Status) -> Self {
        let Totals { invocations, open } = status.results;
        // What results have read shows in what is finished; their position on the bus follows seconds later.
        let groups = status.groups.iter().filter(|(name, _)| *name != RESULTS);
        let lag = groups.map(|(_, group)| group.lag).sum();
        Self { lag, open, finished: invocations.saturating_sub(open) }
    }

    /// What is left to do: records to be read, what was opened since, and what results do not know of yet.
    fn left(&self, before: &Self, accepted: u64) -> u64 {
        let opened = self.open.saturating_sub(before.open);
        let finished = self.finished.saturating_sub(before.finished);
        self.lag + opened + accepted.saturating_sub(finished + opened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_what_groups_have_yet_to_read_what_is_open_and_what_is_not_known_yet() {
        let status = |invocations: u64, open: u64, lag: u64| {
            let json = format!(
                r#"{{"results":{{"invocations":{invocations},"open":{open},"completed":7,"unpublished":0,"bytes":1}},
                     "groups":{{"detector":{{"lag":{lag},"partitions":[{{"lag":{lag}}}]}},"results":{{"lag":500}}}},
                     "topics":3}}"#
            );
            Look::of(&serde_json::from_str(&json).expect("as the API writes it"))
        };
        let before = status(10, 1, 0);
        assert_eq!(before.finished, 9);
        assert_eq!(status(15, 3, 4).left(&before, 8), 4 + 2 + 3);
        assert_eq!(status(18, 1, 0).left(&before, 8), 0);
    }
}
