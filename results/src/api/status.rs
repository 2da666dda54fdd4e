//! `GET /v1/status`: how far everything is behind, and how much there is.

use std::collections::BTreeMap;

use axum::{extract::State, response::Response};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use runtime::problem::Problem;
use serde::Serialize;

use super::{Api, failed, json, params::Params, unavailable};
use crate::store::Totals;

/// How many groups are asked for at once.
const QUESTIONS: usize = 32;

#[derive(Serialize)]
struct Answer {
    results: Totals,
    groups: BTreeMap<String, Group>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jobs: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    troubles: BTreeMap<&'static str, String>,
    topics: usize,
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
    params.only(&[])?;
    let results = api.handle.ask(|reader| reader.totals()).await.map_err(|error| failed(&error))?;
    let asked = (api.groups)().into_iter().map(async |name| {
        let lags = api.bus.lag(&name).await.map_err(|error| unavailable(&error))?;
        let partitions = lags.iter().map(|lag| Partition {
            topic: lag.partition.topic.to_string(),
            partition: lag.partition.partition.0,
            position: lag.position.0,
            end: lag.end.0,
            lag: lag.records,
        });
        let group = Group { lag: lags.iter().map(|lag| lag.records).sum(), partitions: partitions.collect() };
        Ok::<_, Problem>((name, group))
    });
    let groups = stream::iter(asked).buffer_unordered(QUESTIONS).try_collect().await?;
    let topics = api.bus.topics().await.map_err(|error| unavailable(&error))?.len();
    Ok(json(&Answer { results, groups, jobs: (api.jobs)(), troubles: (api.troubles)().into_iter().collect(), topics }))
}
