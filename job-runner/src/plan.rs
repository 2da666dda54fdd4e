//! How a group runs its job, as one catalog says it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bus::{Begin, Offset, Subscription, TopicPartition};
use catalog::{JobContext, Order, Template};
use contracts::{
    document,
    envelope::EventHeaders,
    names::{GroupName, JobName},
};
use serde_json::{Map, Value, json};

use crate::{
    error::GroupError,
    kind::{Failure, Kind},
    registry::Registry,
    view::JobSpec,
};

/// A job that can be run.
pub(crate) struct Plan {
    /// The catalog's number.
    pub(crate) number: u64,
    pub(crate) name: JobName,
    pub(crate) group: GroupName,
    pub(crate) kind: Arc<dyn Kind>,
    pub(crate) options: Options,
    pub(crate) timeout: Duration,
    pub(crate) attempts: u32,
    pub(crate) concurrency: usize,
    pub(crate) order: Order,
    /// The topics of its events, and the marks at which its group begins there.
    pub(crate) reads: Subscription,
}

/// A job as the catalog has it; whether it can be run is seen when its group starts.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) number: u64,
    pub(crate) job: JobSpec,
    pub(crate) starts: Arc<HashMap<TopicPartition, Offset>>,
}

impl Draft {
    pub(crate) fn plan(&self, registry: &Registry) -> Result<Plan, GroupError> {
        let job = &self.job;
        let kind = registry.get(&job.kind).ok_or_else(|| GroupError::UnknownKind {
            kind: job.kind.clone(),
            known: catalog::Kinds::names(registry).join(", "),
        })?;
        Ok(Plan {
            number: self.number,
            name: job.name.clone(),
            group: job.group.clone(),
            kind,
            options: Options::new(&job.options),
            timeout: job.timeout,
            attempts: job.attempts.max(1),
            concurrency: job.concurrency.max(1),
            order: job.order,
            reads: Subscription {
                begin: Begin::At(self.starts.clone()),
                ..Subscription::to(job.events.iter().map(|event| event.topic()))
            },
        })
    }
}

/// A job's options: those without any hole are filled in once.
pub(crate) enum Options {
    Literal(Arc<Value>),
    Template(Template),
}

impl Options {
    fn new(template: &Template) -> Self {
        match literal(template) {
            Some(value) => Self::Literal(Arc::new(value)),
            None => Self::Template(template.clone()),
        }
    }

    /// The options for one event.
    pub(crate) fn fill(&self, event: &EventHeaders, data: &[u8]) -> Result<Arc<Value>, Failure> {
        let template = match self {
            Self::Literal(value) => return Ok(value.clone()),
            Self::Template(template) => template,
        };
        let data: Value = if data.is_empty() {
            Value::Null
        } else {
            document::parse_bytes(data)
                .map_err(|error| Failure::last(format!("the event's data is not JSON: {error}")))?
        };
        template
            .render(&JobContext { data: &data, event: &attributes(event) })
            .map(Arc::new)
            .map_err(|error| Failure::last(format!("the job's options cannot be filled in: {error}")))
    }
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
        "source": event.source,
        "subject": event.subject,
        "time": event.time,
        "correlationId": event.correlation,
        "causationId": event.causation,
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
