//! What a request becomes: its ids, its key and its headers. Pure: the time is an argument and nothing is logged.

use contracts::{
    hasura::{self, Body, Refusal},
    ids::{CorrelationId, InvocationId},
    raw::{Kind, RawHeaders},
};
use hyper::HeaderMap;
use jiff::Timestamp;

use crate::{
    config::Rules,
    correlation::Correlated,
    key::{self, Rows},
    notices::Notice,
    trace,
};

/// Where the id of a source event is looked for when its body has none.
const ID_HEADERS: [&str; 3] = ["idempotency-key", "webhook-id", "ce-id"];

/// A request whose body is whole.
pub(crate) struct Given<'a> {
    pub(crate) source: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    pub(crate) received: Timestamp,
}

/// The raw record that it becomes, without its value, which is the body as it is.
#[derive(Debug)]
pub(crate) struct Interpreted {
    pub(crate) key: String,
    pub(crate) headers: RawHeaders,
    pub(crate) notices: Vec<Notice>,
}

/// Interprets a request.
///
/// # Errors
/// The body is none that can ever be taken.
pub(crate) fn interpret(rules: &Rules, given: &Given<'_>) -> Result<Interpreted, Refusal> {
    let body = hasura::recognise(given.body)?;
    let source_id = body.id().map(str::to_owned).or_else(|| id_of_request(given.headers));
    let invocation = match &source_id {
        Some(id) => InvocationId::derived(given.source, id),
        None => InvocationId::fresh(),
    };
    let (kind, key, key_notice, correlated) = match &body {
        Body::Event(event) => {
            let rows = Rows::of(event);
            let correlated = Correlated::by_change(rules, given.headers, event, &rows);
            let (key, notice) = key::of_change(rules, given.source, event, &rows);
            (Kind::Hasura, key, notice, correlated)
        }
        Body::Scheduled(body) => {
            let key = key::of_scheduled(given.source, body, source_id.as_deref(), invocation);
            (Kind::Scheduled, key, None, Correlated::by_header(rules, given.headers))
        }
        Body::Action(action) => {
            let key = key::of_one(given.source, source_id.as_deref(), invocation);
            let variable = |name: &str| action.session_variable(name);
            (Kind::Action, key, None, Correlated::by_session(rules, given.headers, variable))
        }
    };
    let correlation = correlated.named.unwrap_or_else(|| match &source_id {
        Some(id) => CorrelationId::derived(given.source, id),
        None => CorrelationId::of_fresh(invocation),
    });
    let mut notices = correlated.notices;
    notices.extend(key_notice);
    let headers = RawHeaders {
        named: None,
        kind,
        source: given.source.to_owned(),
        source_id,
        received: given.received,
        invocation,
        related_to: correlated.related_to.filter(|related| *related != correlation),
        correlation,
        depth: correlated.depth,
        traceparent: Some(trace::traceparent(given.headers, given.body).to_string()),
    };
    Ok(Interpreted { key, headers, notices })
}

/// What a request says of itself, where its body has no id.
pub(crate) fn id_of_request(headers: &HeaderMap) -> Option<String> {
    ID_HEADERS.into_iter().find_map(|name| {
        let text = std::str::from_utf8(headers.get(name)?.as_bytes()).ok()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    })
}

#[cfg(test)]
mod tests;
