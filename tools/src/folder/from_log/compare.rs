//! One recorded change, as it was detected and as a catalog would detect it. Pure.

use std::collections::BTreeMap;

use catalog::{Catalog, Change, ChangeParts, Event, Key, Verdict, differences as values};
use contracts::{hasura, names::EventRef, raw::Kind, summary::Invocation};
use jiff::Timestamp;
use serde_json::{Value, json};

/// A recorded change.
pub(super) struct Recorded<'r> {
    pub(super) invocation: &'r Invocation,
    /// The catalog that decided, where it is kept.
    pub(super) then: Option<&'r Catalog>,
    pub(super) source: &'r str,
    pub(super) received: Timestamp,
    pub(super) body: &'r [u8],
}

/// An event that would be detected differently.
#[derive(Debug, Clone)]
pub(super) struct Difference {
    pub(super) event: EventRef,
    pub(super) what: What,
    pub(super) invocation: Invocation,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    /// It was detected, and would not be, for this reason.
    Gone(String),
    /// It was not, and would be.
    New,
    /// It would fail, for this reason.
    Fails(String),
    /// It failed, and would not.
    Mended,
    /// Its data, its key or its jobs would be others.
    Other(Vec<Key>),
}

/// What became of an event.
#[derive(PartialEq)]
enum Became {
    /// Its jobs, and what of it is known beside: `data` and `key`.
    Detected {
        jobs: Vec<String>,
        known: Option<(Value, Value)>,
    },
    Failed(String),
}

/// What would be different; none if it is no change of a table.
pub(super) fn differences(now: &Catalog, name: &str, recorded: &Recorded<'_>) -> Option<Vec<Difference>> {
    let (before, after) = (was(recorded)?, would_be(now, recorded)?);
    let events = before.keys().chain(after.keys().filter(|event| !before.contains_key(*event)));
    let found = events.filter(|event| event.to_string().contains(name)).filter_map(|event| {
        let what = match (before.get(event), after.get(event)) {
            (Some(Became::Detected { .. }), None) => What::Gone(why(now, event, recorded)),
            (Some(Became::Failed(_)), None | Some(Became::Detected { .. })) => What::Mended,
            (None, Some(Became::Detected { .. })) => What::New,
            (None | Some(Became::Detected { .. }), Some(Became::Failed(error))) => What::Fails(error.clone()),
            (Some(before @ Became::Detected { .. }), Some(after @ Became::Detected { .. })) => {
                let keys = others(before, after);
                if keys.is_empty() {
                    return None;
                }
                What::Other(keys)
            }
            (Some(Became::Failed(_)), Some(Became::Failed(_))) | (None, None) => return None,
        };
        Some(Difference { event: event.clone(), what, invocation: recorded.invocation.clone() })
    });
    Some(found.collect())
}

/// What was detected, as it was recorded, with the data that the catalog of then makes.
fn was(recorded: &Recorded<'_>) -> Option<BTreeMap<EventRef, Became>> {
    let made = recorded.then.and_then(|then| would_be(then, recorded)).unwrap_or_default();
    let mut all = BTreeMap::new();
    for event in &recorded.invocation.events {
        let jobs = event.jobs.iter().map(|job| job.job.to_string()).collect();
        let known = match made.get(&event.event) {
            Some(Became::Detected { known, .. }) => known.clone(),
            _ => None,
        };
        all.insert(event.event.clone(), Became::Detected { jobs, known });
    }
    for failed in &recorded.invocation.failed {
        all.insert(failed.event.clone(), Became::Failed(String::new()));
    }
    Some(all)
}

fn would_be(catalog: &Catalog, recorded: &Recorded<'_>) -> Option<BTreeMap<EventRef, Became>> {
    with_change(catalog, recorded, |change| {
        let mut all = BTreeMap::new();
        for event in catalog.candidates(change) {
            if let Some(became) = became(event, change) {
                all.insert(event.name().clone(), became);
            }
        }
        all
    })
}

fn became(event: &Event, change: &Change<'_>) -> Option<Became> {
    match event.evaluate(change) {
        Verdict::Detected { data, key } => {
            let jobs = event.stamp().iter().map(ToString::to_string).collect();
            Some(Became::Detected { jobs, known: Some((data, json!(key))) })
        }
        Verdict::Failed { stage, error } | Verdict::TooLarge { stage, error } => {
            Some(Became::Failed(format!("`{}` fails: {error}", stage.as_str())))
        }
        Verdict::NotDetected(_) => None,
    }
}

fn with_change<T>(catalog: &Catalog, recorded: &Recorded<'_>, ask: impl FnOnce(&Change<'_>) -> T) -> Option<T> {
    let kind = recorded.invocation.origin.as_ref().map_or(Kind::Hasura, |origin| origin.body);
    let occasion = kind.occasion()?;
    let (body, _) = catalog.parse_as(occasion, recorded.body, recorded.source).ok()?;
    let parts = ChangeParts { body: hasura::unwrap(&body), source: recorded.source, received: recorded.received };
    Some(ask(&Change::of(occasion, parts).ok()?))
}

/// What two detections of an event have differently, as far as both are known.
fn others(before: &Became, after: &Became) -> Vec<Key> {
    let (Became::Detected { jobs: old, known: then }, Became::Detected { jobs: new, known: now }) = (before, after)
    else {
        return Vec::new();
    };
    let mut sides = [json!({}), json!({})];
    if let (Some((old_data, old_key)), Some((data, key))) = (then, now) {
        sides = [json!({ "data": old_data, "key": old_key }), json!({ "data": data, "key": key })];
    }
    let sorted = |jobs: &[String]| {
        let mut jobs = jobs.to_vec();
        jobs.sort();
        json!(jobs)
    };
    sides[0]["jobs"] = sorted(old);
    sides[1]["jobs"] = sorted(new);
    values(&sides[0], &sides[1])
}

/// Why a catalog does not detect an event.
fn why(now: &Catalog, event: &EventRef, recorded: &Recorded<'_>) -> String {
    let Some(event) = now.event(event) else { return "the catalog has no such event".to_owned() };
    with_change(now, recorded, |change| event.why_not(change)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use catalog::Sources;
    use job_runner::{Config, Registry};

    use super::*;

    fn catalog(event: &str) -> Catalog {
        let sources = Sources::new([
            ("events/order.paid.yaml", event),
            ("jobs/mail.yaml", "log: {}"),
            ("jobs/audit.yaml", "log: {}"),
        ]);
        let outcome = Catalog::compile(&sources, &Registry::standard(&Config::default()));
        outcome.catalog.unwrap_or_else(|| panic!("{}", outcome.report))
    }

    fn event(when: &str, data: &str, jobs: &str) -> String {
        format!("from: {{ table: orders }}\nwhen: {when}\ndata: {data}\njobs: [{jobs}]\nsample: {{}}\n")
    }

    /// What would be different of a change that made the event, or failed it, or neither.
    fn differences_of(then: Option<&str>, now: &str, recorded: &str) -> Vec<What> {
        let id = "00000000-0000-0000-0000-000000000000";
        let made = json!([{ "id": id, "event": "order.paid", "jobs": [{ "job": "mail", "run": id, "state": "pending", "attempts": 0 }] }]);
        let mut invocation = json!({
            "invocation": id, "correlation": "c", "state": "complete", "received": "2026-01-01T00:00:00Z", "raw": "0/1", "repeated": 0,
            "catalog": 1, "events": if recorded == "made" { made } else { json!([]) },
        });
        if recorded == "failed" {
            invocation["failed"] = json!([{ "event": "order.paid", "stage": "data", "error": "x" }]);
        }
        let body = json!({
            "table": { "schema": "public", "name": "orders" },
            "event": { "op": "UPDATE", "data": { "old": { "id": 7, "status": "new" }, "new": { "id": 7, "status": "paid" } } },
        })
        .to_string()
        .into_bytes();
        let (then, now) = (then.map(catalog), catalog(now));
        let recorded = Recorded {
            invocation: &serde_json::from_value(invocation).expect("an invocation"),
            then: then.as_ref(),
            source: "default",
            received: Timestamp::UNIX_EPOCH,
            body: &body,
        };
        let found = differences(&now, "", &recorded).expect("a change");
        found.into_iter().map(|difference| difference.what).collect()
    }

    #[test]
    fn what_would_be_detected_differently_is_told_and_nothing_else() {
        let then = event(r#"became("status", "paid")"#, "{ id: new.id }", "mail");
        let gone = event(r#"became("status", "shipped")"#, "{ id: new.id }", "mail");
        assert_eq!(differences_of(Some(&then), &then, "made"), []);
        assert_eq!(differences_of(None, &then, "made"), []);
        assert!(
            matches!(&differences_of(Some(&then), &gone, "made")[..], [What::Gone(why)] if why.contains("shipped"))
        );
        assert_eq!(differences_of(Some(&gone), &then, ""), [What::New]);
        assert_eq!(differences_of(Some(&then), &then, "failed"), [What::Mended]);
        let fails = event("true", "{ id: new.no }", "mail");
        assert!(
            matches!(&differences_of(Some(&then), &fails, "made")[..], [What::Fails(why)] if why.starts_with("`data` fails"))
        );
        let other = event("true", "{ id: string(new.id) }", "mail, audit");
        let [What::Other(keys)] = &differences_of(Some(&then), &other, "made")[..] else { panic!("its data differ") };
        assert_eq!(keys.iter().map(|key| key.path.as_str()).collect::<Vec<_>>(), ["data.id", "jobs[audit]"]);
        let [What::Other(keys)] = &differences_of(None, &other, "made")[..] else { panic!("its jobs differ") };
        assert_eq!(keys.iter().map(|key| key.path.as_str()).collect::<Vec<_>>(), ["jobs[audit]"]);
    }
}
