//! What a caller is told.

use std::num::NonZeroU64;

use bytes::Bytes;
use contracts::{
    ids::{CorrelationId, InvocationId},
    raw::Place,
    summary::Summary,
};
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER},
};
use runtime::problem::Problem;
use serde::Serialize;
use serde_json::Value;

use crate::admission::Door;

/// A response, whole.
pub(crate) type Answer = Response<Full<Bytes>>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The ids of what was accepted.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ids {
    pub(crate) correlation_id: CorrelationId,
    pub(crate) invocation_id: InvocationId,
    /// Where its raw record stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) raw: Option<Place>,
}

/// It is durable, and these are its ids; those of each event of a batch.
pub(crate) fn accepted(status: StatusCode, ids: &impl Serialize) -> Answer {
    json(status, ids)
}

/// It is durable, and this is what has become of it: 200 when all of it is done, else 202. The summary is the
/// correlation's, so the ids of what was sent stand in headers.
pub(crate) fn waited(complete: bool, summary: &Summary, ids: &Ids) -> Answer {
    with_ids(json(if complete { StatusCode::OK } else { StatusCode::ACCEPTED }, summary), ids)
}

fn with_ids(mut answer: Answer, ids: &Ids) -> Answer {
    for (name, value) in [
        ("x-correlation-id", ids.correlation_id.as_str().to_owned()),
        ("x-invocation-id", ids.invocation_id.to_string()),
    ] {
        if let Ok(value) = value.parse() {
            answer.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    answer
}

/// Refuses publications that did not run, for their id had been that of another. Hasura's ids are its own, and a refusal would be
/// sent again: to it the summary says so.
pub(crate) fn check_ids<'a>(
    door: &Door<'_>,
    each: impl IntoIterator<Item = (&'a Ids, &'a Summary)>,
) -> Result<(), Problem> {
    let Door::Events(event) = door else { return Ok(()) };
    let is_reused = |(ids, summary): (&Ids, &Summary)| {
        summary.invocations.iter().any(|one| one.invocation == ids.invocation_id && one.reuses(ids.raw))
    };
    let reused: Vec<usize> = (1..).zip(each).filter(|(_, one)| is_reused(*one)).map(|(number, _)| number).collect();
    let Some(first) = reused.first() else { return Ok(()) };
    let of_batch =
        if reused.len() > 1 { format!(" of {} events, number {first} the first", reused.len()) } else { String::new() };
    let detail = format!(
        "id-reused: the id{of_batch} came before with another event or other data, so that {event} was not published; each \
         publication needs an id of its own"
    );
    Err(Problem::new(StatusCode::CONFLICT, detail))
}

/// What the file of an action's event answers; the ids stand in headers.
pub(crate) fn of_action(told: &Value, ids: &Ids) -> Answer {
    with_ids(json(StatusCode::OK, told), ids)
}

/// The same of each event of a batch, in its order: 200 when all of it is done.
pub(crate) fn waited_for_all(each: &[(bool, Summary)]) -> Answer {
    let summaries: Vec<&Summary> = each.iter().map(|(_, summary)| summary).collect();
    let complete = each.iter().all(|(complete, _)| *complete);
    json(if complete { StatusCode::OK } else { StatusCode::ACCEPTED }, &summaries)
}

fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(body).expect("invariant: ids and summaries are plain data with string keys");
    let mut answer = Response::new(Full::from(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, JSON);
    answer
}

/// Nothing can be taken now, and the same request may succeed later. Never for a body that cannot.
pub(crate) fn unavailable(retry_after: NonZeroU64, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).with(RETRY_AFTER, HeaderValue::from(retry_after.get()))
}

/// The body is larger than what is taken.
pub(crate) fn too_large(limit: usize) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than the {limit} bytes that are taken"))
}
