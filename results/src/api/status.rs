//! `GET /v1/status`: how far everything is behind, and how much there is.

use std::collections::BTreeMap;

use axum::{extract::State, response::Response};
use runtime::problem::Problem;
use serde::Serialize;

use super::{Api, failed, json, params::Params, unavailable};
use crate::store::Totals;

#[derive(Serialize)]
struct Answer {
    results: Totals,
    groups: BTreeMap<String, Group>,
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
    let mut groups = BTreeMap::new();
    for name in (api.groups)() {
        let lags = api.bus.lag(&name).await.map_err(|error| unavailable(&error))?;
        let partitions = lags.iter().map(|lag| Partition {
            topic: lag.partition.topic.to_string(),
            partition: lag.partition.partition.0,
            position: lag.position.0,
            end: lag.end.0,
            lag: lag.records,
        });
        let group = Group { lag: lags.iter().map(|lag| lag.records).sum(), partitions: partitions.collect() };
        groups.insert(name, group);
    }
    let topics = api.bus.topics().await.map_err(|error| unavailable(&error))?.len();
    Ok(json(&Answer { results, groups, topics }))
}
