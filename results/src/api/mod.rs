//! The HTTP API of results: a router, and nothing of its listener or of who may use it.
//!
//! Every refusal is a problem document. Lists are paged by `cursor` and `limit`; a page's `next`, if there is one, is the
//! cursor of the page behind it. Streams are Server-Sent Events: they are pulled by their reader, so that a slow one gets
//! fewer and fresher states, and they end when the process does.

mod asked;
mod correlations;
pub(crate) mod dead;
mod desk;
mod events;
mod follow;
mod ids;
mod invocations;
mod jobs;
mod newest;
mod params;
mod raw;
mod rejected;
mod rerun;
mod status;
mod stream;
mod structured;
mod why;

use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bus::Bus;
use contracts::names::GroupName;
use runtime::{
    meter::Meters,
    problem::{Problem, read_only},
    routes::{self, Route},
};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

pub(crate) use self::follow::Seen;
use crate::Handle;

/// What the API needs.
#[derive(Clone)]
pub struct Api {
    /// Whom to ask what happened.
    pub handle: Handle,
    /// Where events, refusals and payloads are read.
    pub bus: Arc<dyn Bus>,
    /// Names the consumer groups whose lag `/v1/status` shows.
    pub groups: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
    /// How each job of this process is, for `/v1/status`; none where jobs run in other processes.
    pub jobs: Arc<dyn Fn() -> Vec<(GroupName, serde_json::Value)> + Send + Sync>,
    /// What is wrong with the process, by part.
    pub troubles: Arc<dyn Fn() -> Vec<(&'static str, String)> + Send + Sync>,
    /// What each task of the process costs, for `/v1/status`.
    pub meters: Meters,
    /// Ends the streams.
    pub shutdown: CancellationToken,
}

const QUESTIONS: [Route<Api>; 13] = [
    ("/v1/correlations/{id}", || get(correlations::show)),
    ("/v1/dead", || get(dead::list)),
    ("/v1/dead/{id}", || get(dead::show)),
    ("/v1/events", || get(events::list)),
    ("/v1/events/{name}", || get(events::show)),
    ("/v1/ids/{text}", || get(ids::show)),
    ("/v1/invocations", || get(invocations::list)),
    ("/v1/invocations/{id}/why", || get(why::of_invocation)),
    ("/v1/jobs", || get(jobs::list)),
    ("/v1/raw/{partition}/{offset}", || get(raw::show)),
    ("/v1/raw/{partition}/{offset}/why", || get(why::show)),
    ("/v1/rejected", || get(rejected::list)),
    ("/v1/status", || get(status::show)),
];

const ORDERS: [Route<Api>; 5] = [
    ("/v1/correlations/{id}/rerun", || post(rerun::order)),
    ("/v1/dead/discard", || post(dead::discard)),
    ("/v1/dead/redrive", || post(dead::redrive)),
    ("/v1/jobs/{job}/pause", || post(jobs::pause)),
    ("/v1/jobs/{job}/resume", || post(jobs::resume)),
];

/// The routes of the API, all under `/v1`. They have no fallback, so that they can be merged with others.
pub fn router(api: Api) -> Router {
    let orders = routes::router(&ORDERS).method_not_allowed_fallback(order_only).with_state(api.clone());
    routes::router(&QUESTIONS).method_not_allowed_fallback(read_only).with_state(api).merge(orders)
}

/// Their paths.
pub fn paths() -> impl Iterator<Item = &'static str> {
    routes::paths(&QUESTIONS).chain(routes::paths(&ORDERS))
}

/// The answer to every other method where something is ordered.
async fn order_only() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this is an order; use POST")
        .with(header::ALLOW, HeaderValue::from_static("POST"))
}

/// A JSON answer that nobody may keep: it is of this moment.
fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => {
            let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
            (headers, body).into_response()
        }
        Err(error) => failed(&error).into_response(),
    }
}

/// Something failed that the caller can do nothing about.
fn failed(error: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%error, "a question to the API could not be answered");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the question could not be answered; the log says why")
}

/// The bus cannot be asked now.
fn unavailable(error: &bus::Error) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
        .with(header::RETRY_AFTER, HeaderValue::from_static("1"))
}

#[cfg(test)]
mod tests;
