//! What each stage of the measured process cost, as its status tells it.

use std::{collections::BTreeMap, time::Duration};

use client::status::Status;
use runtime::meter::Reading;
use serde::Serialize;

/// In the order of the data's way.
const STAGES: [&str; 5] = ["ingest", "detector", "job-runner", "results", "api"];

/// One stage over the measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stage {
    pub(super) stage: &'static str,
    /// An estimate, in microseconds.
    pub(super) cpu_micros_per_webhook: f64,
    pub(super) commits_per_second: f64,
    pub(super) records_per_commit: f64,
    /// Bytes of records that it wrote.
    pub(super) bytes_per_webhook: f64,
}

/// What the tasks of the process that serves the API have cost so far; empty if it does not tell.
pub(super) type Tasks = BTreeMap<String, Reading>;

/// As a status has it; an older Herald does not tell.
pub(super) fn tasks(status: Option<&Status>) -> Tasks {
    status.map(|status| status.tasks.clone()).unwrap_or_default()
}

/// What each stage cost between two looks, over so many webhooks in that time. Stages that did nothing are left out: they run in other
/// processes.
pub(super) fn between(before: &Tasks, after: &Tasks, webhooks: u64, took: Duration) -> Vec<Stage> {
    let (webhooks, seconds) = (webhooks.max(1) as f64, took.as_secs_f64().max(1e-9));
    let of = |stage: &'static str| {
        let (before, after) = (before.get(stage).copied().unwrap_or_default(), after.get(stage).copied()?);
        let grown = |of: fn(Reading) -> u64| of(after).saturating_sub(of(before)) as f64;
        let (cpu, commits) = (grown(|it| it.cpu_micros), grown(|it| it.commits));
        let (records, bytes) = (grown(|it| it.records), grown(|it| it.bytes));
        (cpu + commits > 0.0).then(|| Stage {
            stage,
            cpu_micros_per_webhook: cpu / webhooks,
            commits_per_second: commits / seconds,
            records_per_commit: records / commits.max(1.0),
            bytes_per_webhook: bytes / webhooks,
        })
    };
    STAGES.into_iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_grown_counts_and_who_did_nothing_is_left_out() {
        let reading = |cpu_micros, commits, records, bytes| Reading { cpu_micros, commits, records, bytes };
        let before =
            Tasks::from([("detector".into(), reading(100, 10, 20, 1000)), ("results".into(), reading(5, 1, 1, 1))]);
        let after = Tasks::from([
            ("results".into(), reading(5, 1, 1, 1)),
            ("catalog files".into(), reading(9, 9, 9, 9)),
            ("detector".into(), reading(2100, 30, 220, 101_000)),
            ("ingest".into(), reading(500, 100, 100, 200_000)),
        ]);
        let stage = |stage, cpu_micros_per_webhook, commits_per_second, records_per_commit, bytes_per_webhook| Stage {
            stage,
            cpu_micros_per_webhook,
            commits_per_second,
            records_per_commit,
            bytes_per_webhook,
        };
        assert_eq!(
            between(&before, &after, 100, Duration::from_secs(2)),
            [stage("ingest", 5.0, 50.0, 1.0, 2000.0), stage("detector", 20.0, 10.0, 10.0, 1000.0)]
        );
        assert!(between(&before, &Tasks::new(), 100, Duration::from_secs(2)).is_empty());
    }
}
