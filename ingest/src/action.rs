//! What the caller of a Hasura action is answered: by the catalog in force, before anything is published.

use std::sync::Arc;

use catalog::{Answer, Catalog, Change, ChangeParts, Occasion};
use contracts::{envelope, hasura, ids::EventId, names::EventRef, raw::RawHeaders};
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::refusal::Refusal;

/// Where ingest finds the catalog in force.
pub trait Catalogs: Send + Sync {
    /// None while none is known.
    fn current(&self) -> Option<Arc<Catalog>>;
}

/// What the caller is answered once the record is durable.
///
/// # Errors
/// No event is about the action, none happened, or one fails.
pub(crate) fn answer(catalog: &Catalog, headers: &RawHeaders, body: &[u8]) -> Result<Value, Refusal> {
    let body = hasura::parse(body).map_err(|error| refusal("malformed", "malformed", error.to_string()))?;
    let body = hasura::unwrap(&body);
    let parts = ChangeParts { body, source: &headers.source, received: headers.received };
    let change = Change::of(Occasion::Action, parts).map_err(|error| refusal("action", "action", error.to_string()))?;
    match catalog.answer(&change, &|event| attributes(headers, &change, event)) {
        Some(Answer::Given(answer)) => Ok(answer),
        Some(Answer::Refused { code, message }) => Err(refusal("action-refused", &code, message)),
        None => {
            let name = change.name().unwrap_or_default();
            let detail = format!(
                "no event of the catalog is about the action `{name}` of the source {}: add one with `from: {{ action: {name} }}`",
                headers.source
            );
            Err(refusal("action", "no-such-action", detail))
        }
    }
}

/// What `event` is where the answer is made, of what is known before the event is.
fn attributes(headers: &RawHeaders, change: &Change<'_>, event: &EventRef) -> Value {
    json!({
        "id": EventId::derived(headers.invocation, event),
        "name": event.name,
        "version": event.version,
        "source": envelope::source_of(&headers.source),
        "time": headers.received,
        "correlationId": headers.correlation,
        "causationId": headers.invocation,
        "userId": change.user(),
        "organisationId": change.organisation(),
        "depth": headers.depth,
    })
}

fn refusal(reason: &'static str, code: &str, detail: String) -> Refusal {
    Refusal { code: Some(code.to_owned()), status: StatusCode::BAD_REQUEST, reason, detail }
}
