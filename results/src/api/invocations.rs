//! `GET /v1/invocations`: what came in, newest first.

use axum::{extract::State, http::StatusCode, response::Response};
use contracts::{
    names::EventRef,
    summary::{Invocation, State as Progress},
};
use jiff::Timestamp;
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
    params.only(&["state", "events", "table", "key", "event", "since", "cursor", "limit"])?;
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
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
    let event = params.get("event").map(str::parse::<EventRef>).transpose();
    let event = event.map_err(|error| bad(format!("`event` is the name of one event: {error}")))?;
    let table = params.get("table").map(|table| match table.contains('.') {
        true => table.to_owned(),
        false => format!("public.{table}"),
    });
    let key = params.get("key").map(str::to_owned);
    if key.is_some() && table.is_none() {
        return Err(bad("`key` is that of a row: give its table as `table`, too".to_owned()));
    }
    let since = params.get("since").map(str::parse::<Timestamp>).transpose();
    let since = since.map_err(|_| bad("`since` is a time with its zone, as in 2026-01-02T03:04:05Z".to_owned()))?;
    let filter = Filter { eventless, table, key, event, since, ..filter.unwrap_or_default() };
    let row = |text: &str| text.parse::<i64>().ok().filter(|row| *row > 0);
    let (page, _) = params.page(LIST, row)?;
    let found = api.handle.ask(move |reader| reader.invocations(&filter, &page)).await;
    let (mut invocations, next) = found.map_err(|error| failed(&error))?;
    invocations.iter_mut().for_each(|one| api.handle.knows().say_held_of(api.handle.pace(), one));
    Ok(json(&Answer { invocations, next: params::next(LIST, next) }))
}
