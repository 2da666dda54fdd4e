//! What somebody orders: who it is, and what the body says.
//!
//! Who orders something says so in a header. So it is on record, and no page of a stranger's can order anything through the
//! browser of somebody who may: a header of one's own is asked for beforehand, which nothing here allows.

use axum::{
    body::to_bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode},
};
use contracts::{
    control::{MAX_BECAUSE, MAX_BY, Said},
    ids::OrderId,
    names::GroupName,
};
use jiff::Timestamp;
use runtime::problem::Problem;
use serde::de::DeserializeOwned;

/// Who orders it.
const BY: &str = "x-herald-by";
/// The same request again is the same order.
const KEY: &str = "idempotency-key";
/// The largest body, in bytes.
const MAX_BODY: usize = 256 * 1024;

/// An order as it came.
#[derive(Debug)]
pub(super) struct Asked<T> {
    by: String,
    key: Option<String>,
    pub(super) body: T,
}

pub(super) fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if parts.uri.query().is_some_and(|query| !query.is_empty()) {
            return Err(bad("there are no parameters here: what is ordered stands in the body, as JSON"));
        }
        let by = text(&parts.headers, BY, MAX_BY)?.ok_or_else(|| {
            bad(format!("say who orders it, in the header `{BY}`, as in `{BY}: ann`: it is kept with the order"))
        })?;
        let key = text(&parts.headers, KEY, MAX_BY)?;
        let too_large =
            |_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("an order has at most {MAX_BODY} bytes"));
        let bytes = to_bytes(body, MAX_BODY).await.map_err(too_large)?;
        let body = match bytes.trim_ascii() {
            [] => T::default(),
            json => serde_json::from_slice(json).map_err(|error| bad(format!("the body says no order: {error}")))?,
        };
        Ok(Self { by, key, body })
    }
}

/// The value of a header, which is a text of a line.
fn text(headers: &HeaderMap, name: &str, most: usize) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = str::from_utf8(value.as_bytes()).map(str::trim).unwrap_or_default();
    if text.is_empty() || text.len() > most || text.chars().any(char::is_control) {
        return Err(bad(format!("`{name}` is a text of 1 to {most} bytes on one line")));
    }
    Ok(Some(text.to_owned()))
}

impl<T> Asked<T> {
    /// Who said it, now, and why.
    pub(super) fn said(&self, because: Option<&str>) -> Result<Said, Problem> {
        let because = because.map(str::trim).filter(|because| !because.is_empty());
        if because.is_some_and(|because| because.len() > MAX_BECAUSE) {
            return Err(bad(format!("`because` has at most {MAX_BECAUSE} bytes")));
        }
        Ok(Said { by: self.by.clone(), at: Timestamp::now(), because: because.map(str::to_owned) })
    }

    /// The id of the order about a job.
    pub(super) fn order(&self, group: &GroupName) -> OrderId {
        self.key.as_ref().map_or_else(OrderId::fresh, |key| OrderId::derived(group, key))
    }
}
