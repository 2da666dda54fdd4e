//! What a run is given of its event: the job's parameters, what it works on, and the options of its kind.

use std::sync::{Arc, LazyLock};

use bus::{Bus, Offset, Start, TopicPartition};
use bytes::Bytes;
use catalog::{By, Filling, JobContext, Template};
use contracts::{document, envelope::EventHeaders, hasura, raw::Place, topics};
use serde_json::{Map, Value, json};

use crate::kind::{Failure, Kind};

/// How a job is filled in; what has no hole is filled in once.
pub(crate) struct Options {
    filling: Arc<Filling>,
    literal: Option<Arc<Value>>,
    /// Whether nothing but the options is made, which are literal.
    is_fixed: bool,
    takes_payload: bool,
}

/// What one run is given.
pub(crate) struct Given {
    pub(crate) options: Arc<Value>,
    pub(crate) params: Arc<Value>,
    /// The event's data, or else what the job works on.
    pub(crate) data: Bytes,
}

impl Options {
    pub(crate) fn new(filling: &Arc<Filling>) -> Self {
        let literal = literal(filling.options()).map(Arc::new);
        let is_fixed = literal.is_some() && !filling.has_input() && filling.parameters().is_empty();
        Self { literal, is_fixed, takes_payload: filling.takes_payload(), filling: filling.clone() }
    }

    /// Whether [`payload`] is to be read for each run.
    pub(crate) fn takes_payload(&self) -> bool {
        self.takes_payload
    }

    /// What a run is told apart by, of one of the job's options.
    pub(crate) fn told_apart((option, by): (&str, &By), event: &EventHeaders, data: &Bytes) -> Result<String, Failure> {
        let parsed = match data.is_empty() {
            true => Value::Null,
            false => document::parse_bytes(data)
                .map_err(|error| Failure::last(format!("the event's data is not JSON: {error}")))?,
        };
        let context = JobContext { data: &parsed, event: &attributes(event), payload: None };
        catalog::told_apart(by, &context).map_err(|error| Failure::last(format!("the job's `{option}`: {error}")))
    }

    /// Everything for one event.
    pub(crate) fn fill(
        &self,
        kind: &dyn Kind,
        event: &EventHeaders,
        data: Bytes,
        payload: Option<&Value>,
    ) -> Result<Given, Failure> {
        if let Some(options) = self.literal.as_ref().filter(|_| self.is_fixed) {
            return Ok(Given { options: options.clone(), params: no_params(), data });
        }
        let parsed = parsed(&data)?;
        let context = JobContext { data: &parsed, event: &attributes(event), payload };
        let filled = self
            .filling
            .fill_by(&event.event, &context, |options, filler| kind.fill(options, filler))
            .map_err(|error| Failure::last(format!("the job's options cannot be filled in: {error}")))?;
        let options = self.literal.clone().unwrap_or_else(|| Arc::new(filled.options));
        let params = if self.filling.parameters().is_empty() { no_params() } else { Arc::new(filled.params) };
        let data = filled.input.map_or(data, |input| input.to_string().into());
        Ok(Given { options, params, data })
    }
}

fn parsed(data: &Bytes) -> Result<Value, Failure> {
    if data.is_empty() {
        return Ok(Value::Null);
    }
    document::parse_bytes(data).map_err(|error| Failure::last(format!("the event's data is not JSON: {error}")))
}

/// What expressions over an event alone see.
pub(crate) fn with_context<T>(
    event: &EventHeaders,
    data: &Bytes,
    see: impl FnOnce(&JobContext<'_>) -> T,
) -> Result<T, Failure> {
    let parsed = parsed(data)?;
    Ok(see(&JobContext { data: &parsed, event: &attributes(event), payload: None }))
}

/// The parameters of a job that has none.
pub(crate) fn no_params() -> Arc<Value> {
    static NONE: LazyLock<Arc<Value>> = LazyLock::new(|| Arc::new(Value::Object(Map::new())));
    NONE.clone()
}

/// The payload that an event was found in, as it was received, without what the console wraps it in.
pub(crate) async fn payload(bus: &dyn Bus, place: Place) -> Result<Value, Failure> {
    let unread =
        |error: &dyn std::fmt::Display| Failure::new(format!("cannot read the payload at {place} of `raw`: {error}"));
    let (at, offset) = (TopicPartition::new(topics::RAW, place.partition), Offset(place.offset));
    let records = bus.read(&at, offset, 1).await.map_err(|error| unread(&error))?;
    let Some(record) = records.into_iter().find(|record| record.offset == offset) else {
        let begins = bus.offset(&at, Start::Earliest).await.map_err(|error| unread(&error))?;
        if begins > offset {
            return Err(Failure::last(format!(
                "the payload at {place} of `raw`, which the job's `input` takes, is no longer kept: the partition begins at \
                 {begins}; keep `raw` longer, or publish what the job needs in the event's `data`"
            )));
        }
        return Err(unread(&"it is not there"));
    };
    let body = record.value.unwrap_or_default();
    let mut value = hasura::parse(&body)
        .map_err(|error| Failure::last(format!("the payload at {place} of `raw` is not JSON: {error}")))?;
    Ok(hasura::unwrap_mut(&mut value).take())
}

fn literal(template: &Template) -> Option<Value> {
    match template {
        Template::Value(value) => Some(value.clone()),
        Template::Expression(_) | Template::Text(_) => None,
        Template::List(items) => items.iter().map(literal).collect::<Option<Vec<_>>>().map(Value::Array),
        Template::Map(entries) => {
            let entries = entries.iter().map(|(key, template)| Some((key.clone(), literal(template)?)));
            entries.collect::<Option<Map<_, _>>>().map(Value::Object)
        }
    }
}

/// What `event` is in a job's options.
fn attributes(event: &EventHeaders) -> Value {
    json!({
        "id": event.id,
        "name": event.event,
        "version": event.event.version,
        "source": event.source_name(),
        "subject": event.subject,
        "time": event.time,
        "correlationId": event.correlation,
        "causationId": event.causation(),
        "userId": event.user,
        "organisationId": event.organisation,
        "depth": event.depth,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::attributes;
    use crate::steps::tests::event;

    #[test]
    fn what_an_event_has_is_what_a_catalog_is_checked_against() {
        let made = attributes(&event("order.paid", 1));
        let names: BTreeSet<&str> = made.as_object().expect("a map").keys().map(String::as_str).collect();
        assert_eq!(names, catalog::ATTRIBUTES.into_iter().collect());
    }
}
