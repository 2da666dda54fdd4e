//! What is told of a raw record, whatever becomes of it.

use catalog::Change;
use contracts::{
    hasura,
    progress::{Occurrence, Origin},
    raw::{Place, RawHeaders},
};
use serde_json::Value;

use crate::measure;

pub(crate) fn occurrence(headers: &RawHeaders, raw: Place) -> Occurrence {
    Occurrence {
        invocation: headers.invocation,
        correlation: headers.correlation.clone(),
        raw,
        received: headers.received,
    }
}

/// As much as can be known without reading the body.
pub(crate) fn bare(headers: &RawHeaders) -> Origin {
    Origin {
        body: headers.kind,
        source: measure::name_of(&headers.source),
        table: None,
        op: None,
        trigger: None,
        user: None,
        depth: headers.depth,
        related_to: headers.related_to.clone(),
    }
}

/// What a change adds to it.
pub(crate) fn of_change(headers: &RawHeaders, change: &Change<'_>) -> Origin {
    Origin {
        table: Some(format!("{}.{}", measure::name_of(change.schema()), measure::name_of(change.table()))),
        op: Some(change.operation()),
        trigger: change.trigger().map(measure::name_of),
        user: change.user().map(measure::name_of),
        ..bare(headers)
    }
}

/// A scheduled body's trigger.
pub(crate) fn of_scheduled(headers: &RawHeaders, body: &Value) -> Origin {
    let name = hasura::unwrap(body).get("name").and_then(Value::as_str);
    Origin { trigger: name.map(measure::name_of), ..bare(headers) }
}
