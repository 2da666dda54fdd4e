//! `GET /v1/jobs`: how each job is; `POST /v1/jobs/{job}/pause` and `…/resume`: what it is to do.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
};

use axum::{
    extract::{Path, State},
    response::Response,
};
use bus::Lag;
use contracts::{
    control::{Control, Said, What},
    names::{EventRef, GroupName},
};
use jiff::Timestamp;
use runtime::problem::Problem;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Api,
    asked::Asked,
    desk::{Desk, Meant},
    json,
    params::{self, Params},
    unavailable,
};
use crate::pace::{Circuit, OVER, Seen};

/// The name in its cursors.
const LIST: &str = "jobs";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    catalog: Option<u64>,
    /// Since when `rate`, and what is under way in other processes, are counted.
    since: Timestamp,
    jobs: Vec<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// How a job is.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    job: String,
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<Said>,
    /// What was said, where it is a state that this version does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
    /// Since when it stands still, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    retired: bool,
    events: Vec<EventRef>,
    /// Records that it has yet to read, over all processes; holes count.
    lag: u64,
    /// Runs that ended, a second.
    rate: f64,
    running: u64,
    retrying: u64,
    /// Events that wait for the end of their window.
    #[serde(skip_serializing_if = "is_none")]
    gathering: u64,
    /// Runs that wait for the job's rate, and for others of theirs to end, in this process.
    #[serde(skip_serializing_if = "is_none")]
    limited: u64,
    #[serde(skip_serializing_if = "is_none")]
    crowded: u64,
    /// How the target fails throughout.
    #[serde(skip_serializing_if = "Option::is_none")]
    circuit: Option<Value>,
    dead: usize,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

/// What is asked of the bus and of others, once for all jobs of a page.
struct Look {
    lags: BTreeMap<String, Vec<Lag>>,
    attended: BTreeSet<String>,
    here: HashMap<GroupName, Value>,
    seen: HashMap<GroupName, Seen>,
    circuits: HashMap<GroupName, Circuit>,
    dead: BTreeMap<GroupName, usize>,
}

pub(super) async fn list(State(api): State<Api>, params: Params) -> Result<Response, Problem> {
    params.only(&["cursor", "limit"])?;
    let (page, _) = params.page(LIST, |text| Some(text.to_owned()).filter(|_| !text.is_empty()))?;
    let desk = Desk::open(&api)?;
    let _turn = api.handle.page_turn().await;
    let dead = api.handle.letters().counts(&*api.bus).await.map_err(|error| unavailable(&error))?;
    let mut all: BTreeMap<GroupName, Meant> = BTreeMap::new();
    for job in desk.jobs.all() {
        all.insert(job.group.clone(), Meant { group: job.group.clone(), job: Some(job) });
    }
    let here: HashMap<GroupName, Value> = (api.jobs)().into_iter().collect();
    for group in desk.standing.held().map(|(group, _)| group).chain(dead.keys()).chain(here.keys()) {
        all.entry(group.clone()).or_insert_with(|| Meant { group: group.clone(), job: None });
    }
    let after = page.after.as_deref().map(GroupName::of_full_name);
    let after = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let mut rest = all.range((after, Bound::Unbounded)).map(|(_, meant)| meant);
    let shown: Vec<&Meant> = rest.by_ref().take(page.limit).collect();
    let next = shown.last().filter(|_| rest.next().is_some()).map(|last| last.name());
    let next = params::next(LIST, next);
    let look = Look::at(&api, &desk, &shown, here, dead).await?;
    let jobs = shown.into_iter().map(|meant| look.show(&desk, meant)).collect();
    Ok(json(&Answer { catalog: desk.jobs.catalog(), since: api.handle.pace().since(), jobs, next }))
}

impl Look {
    async fn at(
        api: &Api,
        desk: &Desk<'_>,
        shown: &[&Meant],
        here: HashMap<GroupName, Value>,
        dead: BTreeMap<GroupName, usize>,
    ) -> Result<Self, Problem> {
        let names: Vec<String> = shown.iter().map(|meant| meant.group.to_string()).collect();
        let lags = api.bus.lags(&names).await.map_err(|error| unavailable(&error))?;
        let groups = api.bus.groups().await.map_err(|error| unavailable(&error))?;
        let attended = groups.into_iter().filter(|group| group.has_members).map(|group| group.name).collect();
        let circuits = api.handle.pace().circuits(|event, job| desk.jobs.group(event, job));
        Ok(Self { lags, attended, here, seen: paces(api, desk), circuits, dead })
    }

    fn show(&self, desk: &Desk<'_>, meant: &Meant) -> Shown {
        let Meant { group, job } = meant;
        let (here, hold) = (self.here.get(group), desk.standing.hold_of(group));
        let told = |name: &str| here.and_then(|here| here.get(name)).cloned();
        let seen = self.seen.get(group).copied().unwrap_or_default();
        let attended = self.attended.contains(group.as_str());
        let state = told("state").and_then(|state| state.as_str().map(str::to_owned));
        let state =
            state.filter(|state| matches!(state.as_str(), "stopped" | "waiting" | "awaitsCatalog") || hold.is_none());
        // Whoever runs it here knows; else what was told last counts.
        let elsewhere = self.circuits.get(group).filter(|_| here.is_none_or(|here| here.get("inFlight").is_none()));
        let circuit = told("circuit").or_else(|| elsewhere.and_then(|circuit| serde_json::to_value(circuit).ok()));
        let is_open = circuit.is_some() && hold.is_none();
        let state = state.filter(|state| state != "running" || !is_open);
        let otherwise = || {
            if is_open {
                "circuitOpen"
            } else if hold.is_some() {
                "paused"
            } else if attended {
                "running"
            } else {
                "unattended"
            }
        };
        Shown {
            job: group.full_name().to_owned(),
            state: state.unwrap_or_else(|| otherwise().to_owned()),
            paused: hold.map(|hold| hold.said.clone()),
            unknown: hold.and_then(|hold| hold.unknown.clone()),
            since: told("since"),
            error: told("error"),
            retired: !meant.is_listed(),
            events: job.as_ref().map(|job| job.events.clone()).unwrap_or_default(),
            lag: self.lags.get(group.as_str()).into_iter().flatten().map(|lag| lag.records).sum(),
            rate: seen.ended as f64 / OVER as f64,
            running: here.and_then(|here| of_runs(here, "inFlight")).unwrap_or(seen.running),
            retrying: here.and_then(|here| of_runs(here, "waiting")).unwrap_or(seen.retrying),
            gathering: here.and_then(|here| of_runs(here, "gathering")).unwrap_or(seen.gathering),
            limited: here.and_then(|here| of_runs(here, "limited")).unwrap_or(0),
            crowded: here.and_then(|here| of_runs(here, "crowded")).unwrap_or(0),
            circuit,
            dead: self.dead.get(group).copied().unwrap_or(0),
        }
    }
}

/// A count of runs, as the process that has the job tells it.
fn of_runs(here: &Value, name: &str) -> Option<u64> {
    here.get(name)?.as_u64()
}

/// What goes on in each job, wherever it runs.
fn paces(api: &Api, desk: &Desk<'_>) -> HashMap<GroupName, Seen> {
    let mut seen: HashMap<GroupName, Seen> = HashMap::new();
    for ((event, job), one) in api.handle.pace().now(Timestamp::now()) {
        let sum = seen.entry(desk.jobs.group(&event, &job)).or_default();
        sum.ended += one.ended;
        sum.running += one.running;
        sum.retrying += one.retrying;
        sum.gathering += one.gathering;
    }
    seen
}

/// What is said of a pause and of its end.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Why {
    because: Option<String>,
    dry_run: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Held {
    job: String,
    /// Whether it was not so before.
    changed: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<Said>,
    /// Records that it has yet to read: they wait, or run now.
    lag: u64,
    /// Runs that it has read and that wait: for their retry, or behind one of their key.
    retrying: u64,
    /// Whether its target fails throughout, and is tried at once by that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    probed: bool,
}

pub(super) async fn pause(
    State(api): State<Api>,
    Path(name): Path<String>,
    asked: Asked<Why>,
) -> Result<Response, Problem> {
    hold(&api, &name, &asked, What::Pause).await
}

pub(super) async fn resume(
    State(api): State<Api>,
    Path(name): Path<String>,
    asked: Asked<Why>,
) -> Result<Response, Problem> {
    hold(&api, &name, &asked, What::Resume).await
}

async fn hold(api: &Api, name: &str, asked: &Asked<Why>, what: What) -> Result<Response, Problem> {
    let desk = Desk::open(api)?;
    let meant = desk.find(name).await?;
    let said = asked.said(asked.body.because.as_deref())?;
    let (before, dry_run) = (desk.standing.hold_of(&meant.group), asked.body.dry_run);
    let lag = api.bus.lag(meant.group.as_str()).await.map_err(|error| unavailable(&error))?;
    let paused = (what == What::Pause).then(|| said.clone());
    let changed = before.is_some() != paused.is_some();
    let circuits = api.handle.pace().circuits(|event, job| desk.jobs.group(event, job));
    let probed = what == What::Resume && circuits.contains_key(&meant.group);
    // Who pauses again says why now, and who resumes what waits for its target has that tried.
    if !dry_run && (changed || paused.is_some() || probed) {
        desk.write(&[Control { group: meant.group.clone(), said, what }]).await?;
    }
    let lag = lag.iter().map(|lag| lag.records).sum();
    let here = (api.jobs)().into_iter().find(|(group, _)| *group == meant.group);
    let retrying = here.and_then(|(_, here)| of_runs(&here, "waiting"));
    let retrying = retrying.unwrap_or_else(|| paces(api, &desk).get(&meant.group).map_or(0, |seen| seen.retrying));
    Ok(json(&Held { job: meant.name().to_owned(), changed, dry_run, paused, lag, retrying, probed }))
}
