//! `POST /v1/correlations/{id}/rerun`: one job of one event is run again, and no sibling of it.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use bus::{Offset, Start, TopicInfo};
use contracts::{
    control::{Control, Filter, Letters, Order, Rerun, What},
    headers::ce,
    ids::{CorrelationId, EventId, JobRunId, OrderId},
    names::EventRef,
    origin::Origin,
    summary::{Job, State as Progress},
};
use jiff::{SignedDuration, Timestamp};
use runtime::problem::Problem;
use serde::{Deserialize, Serialize};

use super::{
    Api,
    asked::{Asked, bad},
    dead::{Deed, definition},
    desk::{Desk, Meant, listed},
    events::topic,
    failed, json, unavailable,
};
use crate::store::Page;

/// How many pages of a correlation's invocations are looked through, of a thousand each.
const PAGES: usize = 20;
const PAGE: usize = 1000;
/// How much earlier than an event was received it may stand in its topic: clocks differ.
const EARLIER: SignedDuration = SignedDuration::from_mins(5);
/// How many bytes of its topic are looked through, and how many are read at once.
const LOOKED_AT: usize = 256 * 1024 * 1024;
const STEP: usize = 1024 * 1024;

/// Which run.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Which {
    job: Option<String>,
    event: Option<EventRef>,
    run: Option<JobRunId>,
    definition: Option<u64>,
    because: Option<String>,
    dry_run: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<OrderId>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
    job: String,
    event: EventRef,
    run: JobRunId,
    /// How many attempts of it have begun.
    attempts: u32,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    paused: bool,
}

/// A run that fits.
struct Found {
    event: EventRef,
    event_id: EventId,
    received: Timestamp,
    job: Job,
}

pub(super) async fn order(
    State(api): State<Api>,
    Path(id): Path<String>,
    asked: Asked<Which>,
) -> Result<Response, Problem> {
    let correlation: CorrelationId = id.parse().map_err(|error| bad(format!("{id:?}: {error}")))?;
    let which = &asked.body;
    let Some(name) = &which.job else { return Err(bad("say which job is run again, as in {\"job\":\"send-mail\"}")) };
    let desk = Desk::open(&api)?;
    let found = find(&api, &desk, &correlation, which, name).await?;
    let meant = desk.find(desk.jobs.group(&found.event, &found.job.job).full_name()).await?;
    if found.job.state != Progress::Complete {
        let detail = format!("this run of `{}` has not ended: it is not begun again beside itself", meant.name());
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    let definition = definition(&desk, &meant, which.definition, Deed::Redrive).await?;
    let order = what(&api, &meant, &found, definition).await?;
    let (id, said) = (asked.order(&meant.group), asked.said(which.because.as_deref())?);
    let mut answer = Answer {
        order: None,
        dry_run: which.dry_run,
        job: meant.name().to_owned(),
        event: found.event,
        run: found.job.run,
        attempts: found.job.attempts,
        paused: desk.standing.hold_of(&meant.group).is_some(),
    };
    if which.dry_run {
        return Ok(json(&answer));
    }
    if desk.standing.order(id).is_none() {
        desk.write(&[Control { group: meant.group, said, what: What::Order(id, order) }]).await?;
    }
    answer.order = Some(id);
    Ok((StatusCode::ACCEPTED, json(&answer)).into_response())
}

/// One that is a dead letter is redriven; of another the event is looked for.
async fn what(api: &Api, meant: &Meant, found: &Found, definition: Option<u64>) -> Result<Order, Problem> {
    let _turn = api.handle.page_turn().await;
    let run = found.job.run;
    {
        let index = api.handle.letters().now(&*api.bus).await.map_err(|error| unavailable(&error))?;
        let filter = Filter { runs: vec![run], ..Filter::default() };
        if !index.find(Some(&meant.group), &filter).is_empty() {
            return Ok(Order::Redrive(Letters { until: index.until(&meant.group), filter, definition }));
        }
    }
    let origin = place(api, found).await?;
    Ok(Order::Rerun(Rerun { run, event_id: found.event_id, origin, attempts: found.job.attempts, definition }))
}

/// The only run of a correlation that fits.
async fn find(
    api: &Api,
    desk: &Desk<'_>,
    correlation: &CorrelationId,
    which: &Which,
    name: &str,
) -> Result<Found, Problem> {
    let fits = |event: &EventRef, job: &Job| {
        which.event.as_ref().is_none_or(|wanted| wanted == event)
            && which.run.is_none_or(|run| run == job.run)
            && (job.job.as_str() == name || desk.jobs.group(event, &job.job).full_name() == name)
    };
    let (mut found, mut after) = (Vec::new(), None);
    for _ in 0..PAGES {
        let page = Page { after, limit: PAGE };
        let correlation = correlation.clone();
        let summary = api.handle.ask(move |reader| reader.summary(&correlation, &page)).await;
        let Some(summary) = summary.map_err(|error| failed(&error))? else { break };
        for invocation in summary.invocations {
            for event in invocation.events {
                let jobs = event.jobs.into_iter().filter(|job| fits(&event.event, job));
                found.extend(jobs.map(|job| Found {
                    event: event.event.clone(),
                    event_id: event.id,
                    received: invocation.received,
                    job,
                }));
            }
        }
        after = summary.next;
        if after.is_none() {
            break;
        }
    }
    let names: Vec<String> =
        found.iter().map(|one| format!("{} {} (run {})", one.event, one.job.job, one.job.run)).collect();
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(_), false) => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let detail = format!(
                "{} runs of `{name}` are under this correlation; say which, with `event` or `run`: {}",
                names.len(),
                listed(&names)
            );
            Err(Problem::new(StatusCode::CONFLICT, detail))
        }
        (None, _) => {
            let detail =
                format!("nothing is known of a run of `{name}` under the correlation `{correlation}` (any more)");
            Err(Problem::new(StatusCode::NOT_FOUND, detail))
        }
    }
}

/// Where an event stands: at or soon after the time at which its change was received.
async fn place(api: &Api, found: &Found) -> Result<Origin, Problem> {
    let gone = || {
        let detail = format!("the event {} is not kept any more, so that nothing can be run for it", found.event);
        Problem::new(StatusCode::NOT_FOUND, detail)
    };
    let topic: TopicInfo = topic(api, &found.event.topic()).await?.ok_or_else(gone)?;
    let id = found.event_id.to_string();
    let since = found.received.checked_sub(EARLIER).unwrap_or(Timestamp::MIN);
    let mut bytes = 0;
    for at in topic.each() {
        let mut from = api.bus.offset(&at, Start::Time(since)).await.map_err(|error| unavailable(&error))?;
        loop {
            let records = api.bus.read(&at, from, STEP).await.map_err(|error| unavailable(&error))?;
            let Some(last) = records.last() else { break };
            from = last.offset.next();
            bytes += records.iter().map(|record| record.size()).sum::<usize>();
            let is_it = |record: &&bus::Record| record.headers.text(ce::ID) == Some(&id);
            if let Some(Offset(offset)) = records.iter().find(is_it).map(|record| record.offset) {
                return Ok(Origin { topic: at.topic.to_string(), partition: at.partition.0, offset });
            }
            if bytes > LOOKED_AT {
                let detail = format!(
                    "the event {} was not found among the {LOOKED_AT} bytes that came after it: send its change again",
                    found.event
                );
                return Err(Problem::new(StatusCode::NOT_FOUND, detail));
            }
        }
    }
    Err(gone())
}
