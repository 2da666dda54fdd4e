//! `GET /v1/catalogs` and `GET /v1/catalogs/{number}`: the versions of the catalog that are on the bus.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, RawQuery, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bus::Bus;
use catalog_log::{history, version};
use runtime::{
    problem::{Problem, read_only},
    routes::{self, Route},
};
use serde_json::json;
use tokio::sync::Mutex;

/// The bus; whoever holds it may read its catalogs, which are large when they are unpacked.
pub(super) type Shelf = Arc<Mutex<Arc<dyn Bus>>>;

pub(super) const ROUTES: [Route<Shelf>; 2] = [("/v1/catalogs", || get(list)), ("/v1/catalogs/{number}", || get(show))];

pub(super) fn router(bus: Arc<dyn Bus>) -> Router {
    routes::router(&ROUTES).method_not_allowed_fallback(read_only).with_state(Arc::new(Mutex::new(bus)))
}

/// All of them, newest first: there are at most a hundred or so.
async fn list(State(shelf): State<Shelf>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    none(query)?;
    let bus = shelf.lock().await;
    let mut versions = history(&**bus).await.map_err(unavailable)?;
    versions.reverse();
    Ok(answer(json!({ "catalogs": versions })))
}

async fn show(
    State(shelf): State<Shelf>,
    Path(number): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    none(query)?;
    let asked = number.parse::<u64>();
    let asked = asked.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "a version of the catalog is a number"))?;
    let bus = shelf.lock().await;
    let Some(record) = version(&**bus, Some(asked)).await.map_err(unavailable)? else {
        let detail = format!("version {asked} of the catalog is not on the bus (any more)");
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    Ok(answer(json!({
        "number": record.number,
        "written": record.written,
        "folder": record.folder,
        "files": record.sources,
        "retired": record.retired.iter().map(|job| job.group.full_name()).collect::<Vec<_>>(),
    })))
}

fn none(query: Option<String>) -> Result<(), Problem> {
    match query.filter(|query| !query.is_empty()) {
        Some(_) => Err(Problem::new(StatusCode::BAD_REQUEST, "there are no parameters here")),
        None => Ok(()),
    }
}

fn answer(value: serde_json::Value) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(value)).into_response()
}

fn unavailable(error: bus::Error) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
        .with(header::RETRY_AFTER, HeaderValue::from_static("1"))
}
