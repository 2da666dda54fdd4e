//! `GET /v1/ids/{text}`: what an id that somebody typed, or the beginning of one, may mean.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use contracts::names::{SOURCE, is_source};
use runtime::problem::Problem;

use super::{Api, failed, json, params::Params};

/// How many are named.
const MOST: usize = 20;

pub(super) async fn show(
    State(api): State<Api>,
    Path(text): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&["source"])?;
    let source = params.get("source").unwrap_or("default").to_owned();
    if !is_source(&source) {
        return Err(Problem::new(StatusCode::BAD_REQUEST, format!("a source is {SOURCE}")));
    }
    let found = api.handle.ask(move |reader| reader.find(&text, &source, MOST)).await;
    Ok(json(&found.map_err(|error| failed(&error))?))
}
