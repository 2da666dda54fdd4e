//! `GET /v1/schemas/{event}/{version}`: where an event's `dataschema` points; and `GET /v1/file-schemas/{name}`: the schemas of a
//! catalog's files, for editors.

use axum::{
    Router,
    extract::{Path, RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use catalog::{DataSchema, schema::FILES};
use contracts::names::{EventName, EventRef};
use runtime::{
    problem::{Problem, read_only},
    routes::{self, Route},
};

use super::Catalogs;

pub(super) const ROUTES: [Route<Catalogs>; 2] =
    [("/v1/file-schemas/{name}", || get(of_file)), ("/v1/schemas/{event}/{version}", || get(show))];

pub(super) fn router(catalogs: Catalogs) -> Router {
    routes::router(&ROUTES).method_not_allowed_fallback(read_only).with_state(catalogs)
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
