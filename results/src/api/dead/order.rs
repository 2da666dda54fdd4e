//! What becomes of dead letters: they are redriven, or discarded, by whoever owns their partition.

use std::collections::BTreeMap;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use contracts::{
    control::{Control, Filter, Letters, Order, What},
    ids::{CorrelationId, OrderId},
    names::{EventRef, GroupName},
};
use jiff::Timestamp;
use runtime::problem::Problem;
use serde::{Deserialize, Serialize};

use super::{check, meant};
use crate::api::{
    Api,
    asked::{Asked, bad},
    desk::{Desk, Meant},
    json, unavailable,
};

/// How many ids an order names at most.
const MOST_IDS: usize = 1000;

/// Which dead letters are meant, and why.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::api) struct Ordered {
    job: Option<String>,
    /// Of runs, or the beginnings of them.
    ids: Vec<String>,
    event: Option<EventRef>,
    reason: Option<String>,
    correlation: Option<CorrelationId>,
    since: Option<Timestamp>,
    before: Option<Timestamp>,
    /// Every one.
    all: bool,
    /// The version of the catalog by which a job runs that has left it.
    definition: Option<u64>,
    because: Option<String>,
    dry_run: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
    /// How many are concerned.
    letters: usize,
    orders: Vec<Given>,
}

/// The order about the letters of one job.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Given {
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<OrderId>,
    job: String,
    letters: usize,
    /// Whether the job is paused, so that what is redriven waits.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    paused: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    definition: Option<u64>,
}

/// What is done with letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Deed {
    Redrive,
    Discard,
}

impl Deed {
    fn order(self, letters: Letters) -> Order {
        match self {
            Self::Redrive => Order::Redrive(letters),
            Self::Discard => Order::Discard(letters),
        }
    }
}

pub(in crate::api) async fn redrive(State(api): State<Api>, asked: Asked<Ordered>) -> Result<Response, Problem> {
    order(&api, &asked, Deed::Redrive).await
}

pub(in crate::api) async fn discard(State(api): State<Api>, asked: Asked<Ordered>) -> Result<Response, Problem> {
    order(&api, &asked, Deed::Discard).await
}

/// The letters of one job.
struct Concerned {
    letters: usize,
    until: BTreeMap<u32, u64>,
}

async fn order(api: &Api, asked: &Asked<Ordered>, deed: Deed) -> Result<Response, Problem> {
    let ordered = &asked.body;
    let desk = Desk::open(api)?;
    let job = match &ordered.job {
        Some(job) => Some(desk.find(job).await?),
        None => None,
    };
    let (filter, concerned) = look(&desk, ordered, job.as_ref()).await?;
    let said = asked.said(ordered.because.as_deref())?;
    let (mut controls, mut orders) = (Vec::new(), Vec::new());
    for (group, Concerned { letters, until }) in concerned {
        let meant = desk.find(group.full_name()).await?;
        let definition = definition(&desk, &meant, ordered.definition, deed).await?;
        let id = asked.order(&group);
        let what = What::Order(id, deed.order(Letters { until, filter: filter.clone(), definition }));
        if desk.standing.order(id).is_none() {
            controls.push(Control { group: group.clone(), said: said.clone(), what });
        }
        orders.push(Given {
            order: (!ordered.dry_run).then_some(id),
            job: group.full_name().to_owned(),
            letters,
            paused: desk.standing.hold_of(&group).is_some(),
            definition,
        });
    }
    let answer = Answer { dry_run: ordered.dry_run, letters: orders.iter().map(|one| one.letters).sum(), orders };
    if ordered.dry_run || answer.orders.is_empty() {
        return Ok(json(&answer));
    }
    desk.write(&controls).await?;
    Ok((StatusCode::ACCEPTED, json(&answer)).into_response())
}

/// What is meant, and the letters of each job that fit.
async fn look(
    desk: &Desk<'_>,
    ordered: &Ordered,
    job: Option<&Meant>,
) -> Result<(Filter, BTreeMap<GroupName, Concerned>), Problem> {
    let Ordered { ids, event, reason, correlation, since, before, .. } = ordered;
    if ids.len() > MOST_IDS {
        return Err(bad(format!("an order names at most {MOST_IDS} ids; say what they have in common, or order more")));
    }
    let api = desk.api;
    let _turn = api.handle.page_turn().await;
    let index = api.handle.letters().now(&*api.bus).await.map_err(|error| unavailable(&error))?;
    let filter = Filter {
        runs: ids.iter().map(|id| meant(&index, id)).collect::<Result<_, _>>()?,
        event: event.clone(),
        reason: reason.clone(),
        correlation: correlation.clone(),
        since: *since,
        before: *before,
    };
    check(&filter, &index, desk)?;
    if filter.is_any() && job.is_none() && !ordered.all {
        let detail = "say which dead letters are meant: `job`, `ids`, `event`, `reason`, `correlation`, `since` or `before`; \
                      `\"all\": true` for every one";
        return Err(bad(detail));
    }
    let mut concerned: BTreeMap<GroupName, Concerned> = BTreeMap::new();
    for one in index.find(job.map(|job| &job.group), &filter) {
        let group = concerned.entry(one.group.clone());
        group.or_insert_with(|| Concerned { letters: 0, until: index.until(&one.group) }).letters += 1;
    }
    Ok((filter, concerned))
}

/// The version by which a job that has left the catalog runs: the one that is named; for a discard, which runs nothing, the
/// last that had it will do.
pub(in crate::api) async fn definition(
    desk: &Desk<'_>,
    meant: &Meant,
    named: Option<u64>,
    deed: Deed,
) -> Result<Option<u64>, Problem> {
    let name = meant.name();
    if meant.is_listed() {
        return match named {
            Some(_) => Err(bad(format!("`{name}` is in the catalog and runs as that says; leave `definition` out"))),
            None => Ok(None),
        };
    }
    let versions = desk.jobs.versions_with(&meant.group).await.map_err(|error| unavailable(&error))?;
    let conflict = |detail: String| Err(Problem::new(StatusCode::CONFLICT, detail));
    let Some(last) = versions.last() else {
        return conflict(format!(
            "`{name}` has left the catalog, and no version that is kept had it: put it back into the catalog first"
        ));
    };
    match named {
        Some(version) if !versions.contains(&version) => conflict(format!(
            "version {version} of the catalog did not have `{name}`; version {last} was the last that had it"
        )),
        Some(version) => Ok(Some(version)),
        None if deed == Deed::Discard => Ok(Some(*last)),
        None => conflict(format!(
            "`{name}` has left the catalog; version {last} was the last that had it. Put it back, or let it run by that \
             definition: `\"definition\": {last}` (`--definition {last}`)"
        )),
    }
}
