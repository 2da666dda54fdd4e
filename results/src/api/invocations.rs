//! `GET /v1/invocations`: what came in, newest first.

use axum::{extract::State, response::Response};
use contracts::summary::{Invocation, State as Progress};
use runtime::problem::Problem;
use serde::Serialize;

use super::{
    Api, failed, json,
    params::{self, Params},
};
use crate::store::Filter;

/// The name in its cursors.
const LIST: &str = "invocations";

#[derive(Serialize)]
struct Answer {
    invocations: Vec<Invocation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

pub(super) async fn list(State(api): State<Api>, params: Params) -> Result<Response, Problem> {
    params.only(&["state", "events", "cursor", "limit"])?;
    let state = |state| Filter { state: Some(state), ..Filter::default() };
    let filter = params.one_of(
        "state",
        &[
            ("pending", state(Progress::Pending)),
            ("inProcess", state(Progress::InProcess)),
            ("complete", state(Progress::Complete)),
            ("failed", Filter { failed: true, ..Filter::default() }),
            ("incomplete", Filter { overdue: true, ..Filter::default() }),
        ],
    )?;
    let eventless = params.one_of("events", &[("none", ())])?.is_some();
    let filter = Filter { eventless, ..filter.unwrap_or_default() };
    let row = |text: &str| text.parse::<i64>().ok().filter(|row| *row > 0);
    let (page, _) = params.page(LIST, row)?;
    let found = api.handle.ask(move |reader| reader.invocations(filter, &page)).await;
    let (invocations, next) = found.map_err(|error| failed(&error))?;
    Ok(json(&Answer { invocations, next: params::next(LIST, next) }))
}
