//! How the jobs of this process are, as `/v1/status` shows it.

use contracts::names::GroupName;
use job_runner::{Board, CircuitOpen, GroupState, GroupStatus};
use serde_json::{Value, json};

/// Every job by its group.
pub(super) fn shown(board: &Board) -> Vec<(GroupName, Value)> {
    board.status().into_iter().map(|status| (status.group.clone(), one(&status))).collect()
}

fn one(status: &GroupStatus) -> Value {
    let (state, error) = match &status.state {
        GroupState::Joining => ("joining", None),
        GroupState::Running => ("running", None),
        GroupState::AwaitsCatalog(number) => ("awaitsCatalog", Some(format!("its events name catalog {number}"))),
        GroupState::Waiting(error) => ("waiting", Some(error.to_string())),
        GroupState::Stopped(error) => ("stopped", Some(error.to_string())),
    };
    // One that stands still is no better for being paused.
    let state = if error.is_none() && status.hold.is_some() { "paused" } else { state };
    let state = if state == "running" && status.circuit.is_some() { "circuitOpen" } else { state };
    let mut out = json!({
        "state": state,
        "partitions": status.partitions,
        "inFlight": status.in_flight,
        "queued": status.queued,
        "waiting": status.waiting,
        "gathering": status.gathering,
        "succeeded": status.succeeded,
        "failed": status.failed,
        "retried": status.retried,
        "superseded": status.superseded,
        "rejected": status.rejected,
    });
    let more = [
        ("retired", status.retired.then_some(Value::Bool(true))),
        ("since", status.since.map(|since| Value::String(since.to_string()))),
        ("error", error.map(Value::String)),
        ("limited", (status.limited > 0).then(|| json!(status.limited))),
        ("crowded", (status.crowded > 0).then(|| json!(status.crowded))),
        (
            "circuit",
            status
                .circuit
                .as_ref()
                .map(|CircuitOpen { error, since, probe }| json!({ "error": error, "since": since, "probe": probe })),
        ),
        ("paused", status.hold.as_ref().map(|hold| json!(hold.said))),
    ];
    if let Value::Object(out) = &mut out {
        out.extend(more.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    }
    out
}
