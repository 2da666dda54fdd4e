//! `GET /v1/raw/{partition}/{offset}`: the payload that a result points to, byte for byte.

use axum::{
    extract::{Path, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bus::{Offset, Record, TopicPartition};
use contracts::{
    headers::CONTENT_TYPE,
    raw::{NoPlace, Place},
    topics::RAW,
};
use runtime::problem::Problem;

use super::{Api, params::Params, unavailable};

pub(super) async fn show(
    State(api): State<Api>,
    Path((partition, offset)): Path<(String, String)>,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let place: Place = format!("{partition}/{offset}")
        .parse()
        .map_err(|error: NoPlace| Problem::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    let _turn = api.handle.page_turn().await;
    let record = record(&api, place).await?;
    let mut response = record.value.clone().unwrap_or_default().into_response();
    let headers = response.headers_mut();
    for (name, value) in record.headers.iter().filter(|(name, _)| name.starts_with("herald-")) {
        let pair = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value));
        if let (Ok(name), Ok(value)) = pair {
            headers.insert(name, value);
        }
    }
    // Somebody else wrote this: a browser must neither guess what it is nor run it.
    let json = record.headers.text(CONTENT_TYPE).is_none_or(|kind| kind.contains("json"));
    let kind = if json { "application/json" } else { "application/octet-stream" };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The record at a place of `raw`, or 404.
pub(super) async fn record(api: &Api, place: Place) -> Result<Record, Problem> {
    let gone = || {
        let detail = format!("there is no record at {place} of `{RAW}`: retention may have deleted it");
        Problem::new(StatusCode::NOT_FOUND, detail)
    };
    let (at, offset) = (TopicPartition::new(RAW, place.partition), Offset(place.offset));
    let records = match api.bus.read(&at, offset, 1).await {
        Err(bus::Error::UnknownTopic(_)) => return Err(gone()),
        other => other.map_err(|error| unavailable(&error))?,
    };
    records.into_iter().find(|record| record.offset == offset).ok_or_else(gone)
}
