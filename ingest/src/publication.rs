//! What is published by name becomes raw records of the kind `named`: the value is the data as they were sent, and all else
//! is in headers. Pure, as `interpret` is for what Hasura sends.

use bytes::Bytes;
use contracts::{
    hasura,
    ids::{CorrelationId, InvocationId},
    names::EventRef,
    raw::{Kind, Named, PUBLISHER, RawHeaders},
};
use hyper::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::{
    admission,
    cloud_event::{self, CloudEvent, MAX_ATTRIBUTE},
    config::Rules,
    correlation::Correlated,
    interpret::{Interpreted, id_of_request},
    refusal::Refusal,
    trace,
};

/// How many events a batch may have.
pub(crate) const MAX_BATCH: usize = 1000;

/// A request that publishes.
pub(crate) struct Given<'a> {
    pub(crate) event: &'a EventRef,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a Bytes,
    pub(crate) received: Timestamp,
}

/// What a request publishes.
#[derive(Debug)]
pub(crate) struct Publication {
    /// The raw records, each with its value.
    pub(crate) records: Vec<(Interpreted, Bytes)>,
    /// Whether they came as a list, so that the answer is one.
    pub(crate) is_batch: bool,
}

/// Interprets a request.
///
/// # Errors
/// It is none that can ever be taken.
pub(crate) fn interpret(rules: &Rules, given: &Given<'_>) -> Result<Publication, Refusal> {
    let one = |record| Ok(Publication { records: vec![record], is_batch: false });
    let media_type = given.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(admission::essence);
    match media_type.as_deref() {
        Some("application/cloudevents+json") => one(structured(rules, given, hasura::document(given.body)?)?),
        Some("application/cloudevents-batch+json") => {
            let whole = hasura::document(given.body)?;
            let events: Vec<&RawValue> = serde_json::from_str(whole.get())
                .map_err(|_| Refusal::cloud_event("a batch of CloudEvents is a JSON list"))?;
            if events.len() > MAX_BATCH {
                return Err(Refusal {
                    status: StatusCode::PAYLOAD_TOO_LARGE,
                    reason: "too-many",
                    detail: format!("the batch has {} events, and at most {MAX_BATCH} are taken", events.len()),
                    code: None,
                });
            }
            let each = events.into_iter().zip(1..);
            let record =
                |(event, number)| structured(rules, given, event).map_err(|error: Refusal| error.of_batch(number));
            Ok(Publication { records: each.map(record).collect::<Result<_, _>>()?, is_batch: true })
        }
        _ if given.headers.contains_key("ce-specversion") => {
            let attributes = cloud_event::of_headers(given.event, given.headers)?;
            let data = if given.body.is_empty() { None } else { Some(hasura::document(given.body)?) };
            one(record(rules, given, Some(attributes), data)?)
        }
        _ => one(plain(rules, given)?),
    }
}

/// Data alone; what is known of them beside is in headers that any request may have.
fn plain(rules: &Rules, given: &Given<'_>) -> Result<(Interpreted, Bytes), Refusal> {
    if let Some(name) = ["ce-source", "ce-type"].into_iter().find(|name| given.headers.contains_key(*name)) {
        let detail = format!("the header `{name}` is of a CloudEvent, whose header `ce-specversion` is missing");
        return Err(Refusal::cloud_event(detail));
    }
    record(rules, given, None, Some(hasura::document(given.body)?))
}

fn structured(rules: &Rules, given: &Given<'_>, document: &RawValue) -> Result<(Interpreted, Bytes), Refusal> {
    let (attributes, data) = cloud_event::of_document(given.event, document)?;
    record(rules, given, Some(attributes), data)
}

fn record(
    rules: &Rules,
    given: &Given<'_>,
    attributes: Option<CloudEvent>,
    data: Option<&RawValue>,
) -> Result<(Interpreted, Bytes), Refusal> {
    let mut correlated = Correlated::by_header(rules, given.headers);
    if let Some(attributes) = &attributes {
        correlated.candidate("the attribute `correlationid`", attributes.correlation.as_deref());
    }
    let (source_id, source) = match &attributes {
        Some(attributes) => (Some(attributes.id.clone()), attributes.source.as_str()),
        None => (id_of_request(given.headers), PUBLISHER),
    };
    if let Some(length) = source_id.as_ref().map(String::len).filter(|length| *length > MAX_ATTRIBUTE) {
        let detail = format!("the id has {length} bytes, and at most {MAX_ATTRIBUTE} are possible");
        return Err(Refusal::cloud_event(detail));
    }
    let invocation = source_id.as_ref().map_or_else(InvocationId::fresh, |id| InvocationId::published(source, id));
    let correlation = correlated.named.unwrap_or_else(|| match &source_id {
        Some(id) => CorrelationId::published(source, id),
        None => CorrelationId::of_fresh(invocation),
    });
    let of_event = |of: fn(&CloudEvent) -> &Option<String>| attributes.as_ref().and_then(|it| of(it).clone());
    let key = match &attributes {
        Some(_) => of_event(|it| &it.partition_key).or_else(|| of_event(|it| &it.subject)),
        None => cloud_event::header(given.headers, "partitionkey")?,
    };
    let trace = of_event(|it| &it.traceparent).and_then(|text| text.parse().ok());
    let headers = RawHeaders {
        kind: Kind::Named,
        source: source.to_owned(),
        received: given.received,
        invocation,
        correlation,
        depth: correlated.depth,
        related_to: None,
        traceparent: Some(trace.unwrap_or_else(|| trace::traceparent(given.headers, &[])).to_string()),
        named: Some(Box::new(Named {
            event: given.event.clone(),
            cause: None,
            user: of_event(|it| &it.user),
            organisation: of_event(|it| &it.organisation),
        })),
        source_id,
    };
    let key = key.or_else(|| headers.source_id.clone()).unwrap_or_else(|| invocation.to_string());
    let value = data.map_or_else(|| Bytes::from_static(b"null"), |data| given.body.slice_ref(data.get().as_bytes()));
    Ok((Interpreted { key, headers, notices: correlated.notices }, value))
}

#[cfg(test)]
mod tests;
