//! For a cron trigger: an event for each time that it fires, and a payload to try that with.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{files::Plan, values::yaml};
use crate::hasura::{DEFAULT_SOURCE, document::scalar, metadata::Schedule};

/// How long the beginning of an event's name may be.
const LONGEST: usize = 100;

/// Adds the files for these.
pub(super) fn add(plan: &mut Plan, schedules: &[Schedule]) {
    let mut taken = BTreeSet::new();
    for schedule in schedules {
        let event = event_name(&schedule.name, &mut taken);
        plan.add(format!("events/{event}.yaml"), event_file(schedule, &event));
        let payload = format!("payloads/{event}.json");
        plan.add(payload.clone(), self::payload(schedule));
        if plan.payloads.is_empty() {
            plan.payloads.push((payload, DEFAULT_SOURCE.to_owned()));
        }
    }
}

/// `nightly-report.due`; none twice.
fn event_name(name: &str, taken: &mut BTreeSet<String>) -> String {
    let parts = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    let mut stem = parts.collect::<Vec<_>>().join("-");
    stem.truncate(LONGEST);
    let stem = if stem.is_empty() { "schedule".to_owned() } else { stem };
    let numbered = (2..).map(|number| format!("{stem}-{number}.due"));
    let mut all = std::iter::once(format!("{stem}.due")).chain(numbered);
    all.find(|name| taken.insert(name.to_lowercase())).unwrap_or_default()
}

fn event_file(schedule: &Schedule, event: &str) -> String {
    let Schedule { name, comment, payload } = schedule;
    let about =
        comment.clone().unwrap_or_else(|| format!("The cron trigger {name} has fired. What is to be done then?"));
    let sample = yaml(payload);
    let expected = if payload.is_object() || payload.is_array() { sample.clone() } else { "detected".to_owned() };
    format!(
        "description: {about}\nfrom:\n  scheduled: {name}\nsample: {sample}\njobs:\n  - id: note\n    log: {{ message: {message} }}\n\
         tests:\n  - name: it fires\n    scheduled:\n      payload: {sample}\n    expect: {expected}\n  - name: another fires\n    \
         scheduled:\n      name: {other}\n    expect: none\n",
        about = scalar(&about),
        name = scalar(name),
        message = scalar(&format!("{event}: it is time")),
        other = scalar(&format!("not {name}")),
    )
}

/// What Hasura would send.
fn payload(schedule: &Schedule) -> String {
    let mut body = json!({
        "id": "00000000-0000-0000-0000-000000000001",
        "name": schedule.name,
        "payload": schedule.payload,
        "scheduled_time": "2026-01-31T12:00:00Z",
    });
    if let Some(comment) = &schedule.comment {
        body["comment"] = Value::from(comment.as_str());
    }
    format!("{body:#}\n")
}
