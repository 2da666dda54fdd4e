//! `GET /v1/status`: how far everything is behind, and how much there is. Groups and jobs are paged by the groups' names.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use axum::{extract::State, response::Response};
use bus::Lag;
use runtime::{meter::Reading, problem::Problem};
use serde::Serialize;

use super::{
    Api, failed, json,
    params::{self, Params},
    unavailable,
};
use crate::store::{Page, Totals};

/// The name in its cursors.
const LIST: &str = "groups";

#[derive(Serialize)]
struct Answer {
    /// The number of the process that answers: the one in the lock of its data folder.
    process: u32,
    results: Totals,
    groups: BTreeMap<String, Group>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    jobs: BTreeMap<String, serde_json::Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    troubles: BTreeMap<&'static str, String>,
    topics: usize,
    /// What each task of this process has cost since it began, with what it wrote.
    tasks: BTreeMap<&'static str, Reading>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct Group {
    /// Over all partitions; holes count.
    lag: u64,
    partitions: Vec<Partition>,
}

#[derive(Serialize)]
struct Partition {
    topic: String,
    partition: u32,
    position: u64,
    end: u64,
    lag: u64,
}

pub(super) async fn show(State(api): State<Api>, params: Params) -> Result<Response, Problem> {
    params.only(&["cursor", "limit"])?;
    let (page, _) = params.page(LIST, |text| Some(text.to_owned()).filter(|_| !text.is_empty()))?;
    let results = api.handle.ask(|reader| reader.totals()).await.map_err(|error| failed(&error))?;
    let (groups, jobs): (BTreeSet<String>, _) = ((api.groups)().into_iter().collect(), (api.jobs)());
    let names: BTreeSet<&str> =
        groups.iter().map(String::as_str).chain(jobs.iter().map(|(group, _)| group.as_str())).collect();
    let (shown, next) = cut(&names, &page);
    let asked: Vec<String> = groups.iter().filter(|name| shown.contains(name.as_str())).cloned().collect();
    let _turn = api.handle.page_turn().await;
    let lags = api.bus.lags(&asked).await.map_err(|error| unavailable(&error))?;
    let topics = api.bus.topics().await.map_err(|error| unavailable(&error))?.len();
    let of = |name: String| (Group::of(lags.get(&name).map_or(&[], Vec::as_slice)), name);
    Ok(json(&Answer {
        process: std::process::id(),
        results,
        groups: asked.into_iter().map(of).map(|(group, name)| (name, group)).collect(),
        jobs: jobs
            .iter()
            .filter(|(group, _)| shown.contains(group.as_str()))
            .map(|(group, job)| (group.full_name().to_owned(), job.clone()))
            .collect(),
        troubles: (api.troubles)().into_iter().collect(),
        topics,
        tasks: api.meters.read(),
        next: params::next(LIST, next),
    }))
}

/// The names of a page, and the last of them if there are more.
fn cut<'a>(names: &BTreeSet<&'a str>, page: &Page) -> (BTreeSet<&'a str>, Option<String>) {
    let after = page.after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let mut rest = names.range::<str, _>((after, Bound::Unbounded)).copied();
    let shown: BTreeSet<&str> = rest.by_ref().take(page.limit).collect();
    let next = shown.last().filter(|_| rest.next().is_some()).map(|last| (*last).to_owned());
    (shown, next)
}

impl Group {
    fn of(lags: &[Lag]) -> Self {
        let partitions = lags.iter().map(|lag| Partition {
            topic: lag.partition.topic.to_string(),
            partition: lag.partition.partition.0,
            position: lag.position.0,
            end: lag.end.0,
            lag: lag.records,
        });
        Self { lag: lags.iter().map(|lag| lag.records).sum(), partitions: partitions.collect() }
    }
}
