//! `GET /v1/schemas/{event}/{version}`: where an event's `dataschema` points; and `GET /v1/file-schemas/{name}`: the schemas of a
//! catalog's files, for editors.

use axum::{
    Router,
    extract::{Path, RawQuery, State},
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use catalog::{DataSchema, schema::FILES};
use contracts::names::{EventName, EventRef};
use runtime::problem::{Problem, read_only};

use super::Catalogs;

pub(super) fn router(catalogs: Catalogs) -> Router {
    Router::new()
        .route("/v1/schemas/{event}/{version}", get(show))
        .route("/v1/file-schemas/{name}", get(of_file))
        .method_not_allowed_fallback(read_only)
        .with_state(catalogs)
}

/// The answer to a path that nobody serves.
pub(super) async fn nowhere(uri: Uri) -> Problem {
    if uri.path().len() > 1 && uri.path().ends_with('/') {
        return Problem::new(StatusCode::NOT_FOUND, "no path of the API ends with a slash; ask without it");
    }
    Problem::new(
        StatusCode::NOT_FOUND,
        "the API has /v1/correlations/{id}, /v1/invocations, /v1/events, /v1/events/{name}, /v1/rejected, \
         /v1/raw/{partition}/{offset}, /v1/raw/{partition}/{offset}/why, /v1/schemas/{event}/{version}, /v1/file-schemas/{name}, \
         /v1/catalogs, /v1/catalogs/{number}, /v1/status, /healthz and /readyz",
    )
}

async fn of_file(Path(name): Path<String>) -> Response {
    match FILES.iter().find(|(_, file, _)| *file == name) {
        Some((.., text)) => ([(header::CONTENT_TYPE, "application/schema+json")], *text).into_response(),
        None => {
            let known: Vec<&str> = FILES.iter().map(|(_, file, _)| *file).collect();
            let detail = format!("there are {} and no `{name}`", known.join(", "));
            Problem::new(StatusCode::NOT_FOUND, detail).into_response()
        }
    }
}

async fn show(
    State(catalogs): State<Catalogs>,
    Path((event, version)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Response {
    if query.is_some_and(|query| !query.is_empty()) {
        return Problem::new(StatusCode::BAD_REQUEST, "there are no parameters here").into_response();
    }
    let unknown =
        || Problem::new(StatusCode::NOT_FOUND, format!("no event `{event}` of version {version} has a schema"));
    let (Ok(name), Ok(version)) = (event.parse::<EventName>(), version.parse::<u32>()) else {
        return unknown().into_response();
    };
    let followed = catalogs.follow().borrow().clone();
    let found = followed.as_ref().and_then(|followed| followed.catalog.event(&EventRef { name, version }));
    match found.and_then(|event| event.schema()).map(DataSchema::document) {
        Some(schema) if schema.is_object() || schema.is_boolean() => {
            ([(header::CONTENT_TYPE, "application/schema+json")], schema.to_string()).into_response()
        }
        _ => unknown().into_response(),
    }
}
