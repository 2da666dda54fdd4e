//! `GET /v1/dead`: the dead letters, the one that died last first; `GET /v1/dead/{id}`: one of them, whole; and
//! `POST /v1/dead/redrive` and `…/discard`: what becomes of them.

mod index;
mod order;

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use bus::Record;
use contracts::{
    cloud_event::CloudEvent,
    control::Filter,
    dead::{DeadLetter, Reason},
    envelope::EventHeaders,
    headers,
    ids::{CorrelationId, JobRunId},
    names::EventRef,
    origin::Origin,
};
use jiff::Timestamp;
use runtime::problem::Problem;
use serde::Serialize;

pub(crate) use self::index::Letters;
use self::index::{Entry, Index, Place};
pub(super) use self::order::{Deed, definition, discard, redrive};
use super::{
    Api,
    asked::bad,
    desk::{Desk, listed},
    json,
    params::{self, Params},
    unavailable,
};

/// The name in its cursors.
const LIST: &str = "dead";
/// The least characters that are taken for the beginning of an id.
const LEAST: usize = 4;
/// How many bytes are read to find one record.
const ONE: usize = 1;

#[derive(Serialize)]
struct Answer {
    dead: Vec<Shown>,
    /// How many there are in all that fit.
    count: usize,
    /// How many are not listed: the oldest beyond a hundred thousand, and what is no letter of Herald's.
    #[serde(skip_serializing_if = "is_none")]
    unlisted: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

fn is_none(unlisted: &u64) -> bool {
    *unlisted == 0
}

/// A dead letter.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    /// The run's id, which is the idempotency key of its attempts.
    id: JobRunId,
    job: String,
    event: EventRef,
    correlation: CorrelationId,
    reason: Reason,
    error: String,
    attempts: u32,
    first: Timestamp,
    last: Timestamp,
    origin: Origin,
    catalog: u64,
}

impl Shown {
    fn of(entry: &Entry, letter: DeadLetter) -> Self {
        let DeadLetter { run, reason, error, attempts, first, last, origin, catalog, .. } = letter;
        Self {
            id: run,
            job: entry.group.full_name().to_owned(),
            event: entry.event.clone(),
            correlation: entry.correlation.clone(),
            reason,
            error,
            attempts,
            first,
            last,
            origin,
            catalog,
        }
    }
}

/// A dead letter with the event that it is of.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    letter: Shown,
    /// The event's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// The event, as CloudEvents' structured form; none if it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    cloud_event: Option<CloudEvent<'a>>,
    headers: BTreeMap<&'a str, String>,
}

pub(super) async fn list(State(api): State<Api>, params: Params) -> Result<Response, Problem> {
    params.only(&["job", "event", "reason", "correlation", "since", "before", "cursor", "limit"])?;
    let (page, after) = params.page(LIST, Place::parse)?;
    let desk = Desk::open(&api)?;
    let group = match params.get("job") {
        Some(job) => Some(desk.find(job).await?.group),
        None => None,
    };
    let filter = Filter {
        runs: Vec::new(),
        event: read(&params, "event", "the name of an event")?,
        reason: params.get("reason").map(str::to_owned),
        correlation: read(&params, "correlation", "a correlation's id")?,
        since: read(&params, "since", "a time with its zone, as in 2026-01-02T03:04:05Z")?,
        before: read(&params, "before", "a time with its zone, as in 2026-01-02T03:04:05Z")?,
    };
    let _turn = api.handle.page_turn().await;
    let index = api.handle.letters().now(&*api.bus).await.map_err(|error| unavailable(&error))?;
    check(&filter, &index, &desk)?;
    let found = index.find(group.as_ref(), &filter);
    let mut rest = found.iter().skip_while(|one| after.as_ref().is_some_and(|after| one.place() >= *after));
    let shown: Vec<&&Entry> = rest.by_ref().take(page.limit).collect();
    let next = shown.last().filter(|_| rest.next().is_some()).map(|last| last.place());
    let dead = shown.into_iter().map(|one| Shown::of(one, one.letter.clone())).collect();
    Ok(json(&Answer { dead, count: found.len(), unlisted: index.unlisted, next: params::next(LIST, next) }))
}

fn read<T: std::str::FromStr>(params: &Params, name: &str, what: &str) -> Result<Option<T>, Problem> {
    let read = params.get(name).map(str::parse).transpose();
    read.map_err(|_| bad(format!("`{name}` is {what}")))
}

pub(super) async fn show(State(api): State<Api>, Path(id): Path<String>, params: Params) -> Result<Response, Problem> {
    params.only(&[])?;
    let _turn = api.handle.page_turn().await;
    let entry = {
        let index = api.handle.letters().now(&*api.bus).await.map_err(|error| unavailable(&error))?;
        let run = meant(&index, &id)?;
        let mut all: Vec<&Entry> = index.all().filter(|one| one.letter.run == run).collect();
        all.sort_by_key(|one| one.place());
        all.last().map(|one| (*one).clone()).ok_or_else(|| unknown(&id))?
    };
    let records = api.bus.read(&entry.at, entry.offset, ONE).await.map_err(|error| unavailable(&error))?;
    let record = records.into_iter().find(|record| record.offset == entry.offset).ok_or_else(|| unknown(&id))?;
    let letter = DeadLetter::of(&record.headers).map_err(|_| unknown(&id))?;
    let event = EventHeaders::decode(&letter.origin.topic, &record.headers).ok();
    let text = |(name, value): (_, &[u8])| (name, String::from_utf8_lossy(value).into_owned());
    Ok(json(&Whole {
        letter: Shown::of(&entry, letter),
        key: record.headers.text(headers::KEY).map(str::to_owned),
        cloud_event: event.as_ref().and_then(|event| structured(event, &record)),
        headers: record.headers.iter().filter(|(name, _)| *name != headers::DEAD).map(text).collect(),
    }))
}

/// That there can be what a filter is about: of a word that is none, no letter would be found, as if none had died.
fn check(filter: &Filter, index: &Index, desk: &Desk<'_>) -> Result<(), Problem> {
    let refused = |what: &str, text: &str, there: BTreeSet<String>| {
        let there: Vec<&str> = there.iter().map(String::as_str).collect();
        let there = if there.is_empty() { "none".to_owned() } else { listed(&there) };
        Err(bad(format!("{what} `{text}`; there are {there}")))
    };
    if let Some(reason) = &filter.reason {
        let there = Reason::KNOWN.into_iter().chain(index.all().map(|one| one.letter.reason.as_str()));
        let there: BTreeSet<String> = there.map(str::to_owned).collect();
        if !there.contains(reason) {
            return refused("no job dies for the reason", reason, there);
        }
    }
    if let Some(event) = &filter.event {
        let of_jobs = desk.jobs.all().into_iter().flat_map(|job| job.events);
        let there: BTreeSet<EventRef> = of_jobs.chain(index.all().map(|one| one.event.clone())).collect();
        if !there.contains(event) {
            return refused(
                "no job is of an event",
                &event.to_string(),
                there.iter().map(EventRef::to_string).collect(),
            );
        }
    }
    match (filter.since, filter.before) {
        (Some(since), Some(before)) if since >= before => {
            Err(bad(format!("nothing dies since {since} and before {before}: `since` is the earlier of the two")))
        }
        _ => Ok(()),
    }
}

fn structured<'a>(event: &'a EventHeaders, record: &'a Record) -> Option<CloudEvent<'a>> {
    CloudEvent::new(event, record.value()).ok()
}

/// The run of that id, or the only dead one whose id begins so.
fn meant(index: &Index, id: &str) -> Result<JobRunId, Problem> {
    let id = id.to_ascii_lowercase();
    if id.len() < LEAST {
        return Err(bad(format!("the beginning of an id has {LEAST} characters or more")));
    }
    let mut runs: Vec<JobRunId> =
        index.all().map(|one| one.letter.run).filter(|run| run.to_string().starts_with(&id)).collect();
    runs.sort_unstable();
    runs.dedup();
    match runs.as_slice() {
        [run] => Ok(*run),
        [] => Err(unknown(&id)),
        many => {
            let names: Vec<String> = many.iter().map(ToString::to_string).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let detail = format!(
                "`{id}` may be {} dead letters; give more of the one that is meant: {}",
                names.len(),
                listed(&names)
            );
            Err(Problem::new(StatusCode::CONFLICT, detail))
        }
    }
}

fn unknown(id: &str) -> Problem {
    let detail = format!("there is no dead letter `{id}` (any more); `GET /v1/dead` (`herald dlq list`) lists them");
    Problem::new(StatusCode::NOT_FOUND, detail)
}
