//! What becomes of one raw record: pure, so that a replay decides the same.

use bus::{Outgoing, Record};
use catalog::{Catalog, Change, ChangeParts, Event, Stage, Verdict};
use contracts::{
    envelope::EventHeaders,
    hasura,
    ids::EventId,
    progress::{Detected, DetectedEvent, Duplicate, Fact, FailedEvent, Occurrence, Origin, Refused, Undetected},
    raw::{Kind, Place, RawHeaders},
};
use serde_json::Value;

use crate::{
    config::Config,
    handle::Counts,
    origin,
    publish::{self, Refusal},
    seen::{Entry, First, Seen},
};

/// How many undetected events are explained at most, when nothing was detected.
const EXPLAINED: usize = 50;
/// The longest explanation or error, in characters.
const DETAIL: usize = 1000;

/// Decides with one catalog.
pub struct Decider<'a> {
    /// The catalog.
    pub catalog: &'a Catalog,
    /// Its number.
    pub number: u64,
    /// The settings.
    pub config: &'a Config,
}

/// What is to be written for one raw record.
#[derive(Debug, Default)]
pub struct Decision {
    /// The records, in order.
    pub outputs: Vec<Outgoing>,
    /// What was counted.
    pub counts: Counts,
    pub(crate) seen: Option<Entry>,
}

/// A raw record that is known to be one.
struct Input<'a> {
    record: &'a Record,
    headers: RawHeaders,
    occurrence: Occurrence,
}

impl Decider<'_> {
    /// Decides about a record, and remembers its id.
    pub fn decide(&self, record: &Record, seen: &mut Seen) -> Decision {
        let raw = Place { partition: record.partition.0, offset: record.offset.0 };
        // Most often an event and its progress.
        let outputs = Vec::with_capacity(2);
        let mut decision = Decision { outputs, counts: Counts { records: 1, ..Counts::default() }, seen: None };
        let headers = match RawHeaders::decode(&record.headers) {
            Ok(headers) => headers,
            Err(error) => {
                decision.counts.refused = 1;
                decision.outputs.push(publish::rejected(Refusal {
                    reason: "malformed-headers",
                    detail: error.to_string(),
                    source: "unknown",
                    at: record.published,
                    occurrence: None,
                    raw,
                    event: None,
                }));
                return decision;
            }
        };
        let occurrence = origin::occurrence(&headers, raw);
        let input = Input { record, headers, occurrence };
        let body = self.catalog.parse(record.value());
        let duplicate = self.recognise(&input, seen, &mut decision);
        match body {
            Err(error) => {
                let origin = origin::bare(&input.headers);
                refuse(&input, origin, "malformed", error.to_string(), &mut decision);
            }
            Ok(body) => self.decide_body(&input, &body, duplicate, &mut decision),
        }
        decision
    }

    fn recognise(&self, input: &Input<'_>, seen: &mut Seen, decision: &mut Decision) -> Option<First> {
        input.headers.source_id.as_ref()?;
        let RawHeaders { invocation, received, correlation, .. } = &input.headers;
        match seen.first(Entry::new(*invocation, input.record.offset.0, *received, correlation)) {
            Ok(entry) => {
                decision.seen = Some(entry);
                None
            }
            Err(first) => Some(first),
        }
    }

    fn decide_body(&self, input: &Input<'_>, body: &Value, duplicate: Option<First>, decision: &mut Decision) {
        let headers = &input.headers;
        let parts = ChangeParts { body: hasura::unwrap(body), source: &headers.source, received: headers.received };
        let change = match headers.kind {
            Kind::Hasura => Some(Change::new(parts)),
            Kind::Scheduled | Kind::Named => None,
        };
        let origin = match &change {
            Some(Ok(change)) => origin::of_change(headers, change),
            Some(Err(_)) => origin::bare(headers),
            None => origin::of_scheduled(headers, body),
        };
        if let Some(first) = duplicate {
            decision.counts.duplicates = 1;
            let of = Place { offset: first.offset, ..input.occurrence.raw };
            let fact = Fact::Duplicate(Duplicate { origin, of, elsewhere: first.elsewhere });
            decision.outputs.push(publish::progress(input.occurrence.clone(), fact));
        } else if headers.depth > self.config.max_depth {
            let detail = format!(
                "{} cascades deep under correlation {}, and {} are allowed: do its jobs trigger themselves?",
                headers.depth, headers.correlation, self.config.max_depth
            );
            refuse(input, origin, "depth", detail, decision);
        } else {
            match change {
                Some(Ok(change)) => self.detect(input, origin, &change, decision),
                Some(Err(error)) => refuse(input, origin, "incomplete", error.to_string(), decision),
                None if headers.kind == Kind::Named => {
                    let detail = "this herald takes no events that are published by name".to_owned();
                    refuse(input, origin, "named", detail, decision);
                }
                None => self.nothing(input, origin, decision),
            }
        }
    }

    /// A scheduled body: recorded, and nothing is detected in it.
    fn nothing(&self, input: &Input<'_>, origin: Origin, decision: &mut Decision) {
        let fact = Detected { origin, catalog: self.number, events: vec![], undetected: vec![], failed: vec![] };
        decision.outputs.push(publish::progress(input.occurrence.clone(), Fact::Detected(fact)));
    }

    fn detect(&self, input: &Input<'_>, origin: Origin, change: &Change<'_>, decision: &mut Decision) {
        let mut fact = Detected { origin, catalog: self.number, events: vec![], undetected: vec![], failed: vec![] };
        let candidates =
            || self.catalog.candidates(change.source(), change.schema(), change.table(), change.operation());
        for event in candidates() {
            match event.evaluate(change) {
                Verdict::Detected { data, key } => {
                    fact.events.push(self.publish(input, change, event, &data, key, &mut decision.outputs));
                }
                Verdict::NotDetected(_) => {}
                Verdict::Failed { stage, error } => {
                    let error = cut(error);
                    if stage != Stage::When {
                        decision.outputs.push(publish::rejected(Refusal {
                            reason: "data-failed",
                            detail: format!("{}: {error}", stage.as_str()),
                            source: &input.headers.source,
                            at: input.headers.received,
                            occurrence: Some(&input.occurrence),
                            raw: input.occurrence.raw,
                            event: Some(event.name().clone()),
                        }));
                    }
                    fact.failed.push(FailedEvent { event: event.name().clone(), stage: stage.as_str().into(), error });
                }
            }
        }
        if fact.events.is_empty() {
            let failed = |event: &Event| fact.failed.iter().any(|failed| failed.event == *event.name());
            let undetected = candidates()
                .filter(|event| !failed(event))
                .take(EXPLAINED)
                .map(|event| Undetected { event: event.name().clone(), because: cut(event.why_not(change)) });
            fact.undetected = undetected.collect();
        }
        decision.counts.events = fact.events.len() as u64;
        decision.counts.failed = fact.failed.len() as u64;
        decision.outputs.push(publish::progress(input.occurrence.clone(), Fact::Detected(fact)));
    }

    fn publish(
        &self,
        input: &Input<'_>,
        change: &Change<'_>,
        event: &Event,
        data: &Value,
        key: Option<String>,
        outputs: &mut Vec<Outgoing>,
    ) -> DetectedEvent {
        let headers = &input.headers;
        let id = EventId::derived(headers.invocation, event.name());
        let name = event.name();
        let key = key.map(bytes::Bytes::from).or_else(|| input.record.key.clone());
        let envelope = EventHeaders {
            id,
            event: name.clone(),
            source: headers.source.clone(),
            subject: key.as_deref().map(|key| String::from_utf8_lossy(key).into_owned()),
            time: headers.received,
            dataschema: Some(format!("{}/v1/schemas/{}/{}", self.config.schemas_url, name.name, name.version)),
            correlation: headers.correlation.clone(),
            causation: headers.invocation,
            user: change.user().map(str::to_owned),
            organisation: change.organisation().map(str::to_owned),
            traceparent: headers.traceparent.clone(),
            jobs: event.stamp().to_vec(),
            catalog: self.number,
            depth: headers.depth,
            raw: input.occurrence.raw,
        };
        outputs.push(publish::event(event.topic().clone().into(), &envelope, key, data.to_string().into_bytes()));
        DetectedEvent { id, event: name.clone(), jobs: envelope.jobs }
    }
}

/// The record had been accepted, and nothing can run for it: said in `rejected` and in `progress`.
fn refuse(input: &Input<'_>, origin: Origin, reason: &'static str, detail: String, decision: &mut Decision) {
    decision.counts.refused = 1;
    decision.outputs.push(publish::rejected(Refusal {
        reason,
        detail: cut(detail.clone()),
        source: &input.headers.source,
        at: input.headers.received,
        occurrence: Some(&input.occurrence),
        raw: input.occurrence.raw,
        event: None,
    }));
    let fact = Fact::Refused(Refused { origin, reason: reason.into(), detail: cut(detail) });
    decision.outputs.push(publish::progress(input.occurrence.clone(), fact));
}

fn cut(text: String) -> String {
    match text.char_indices().nth(DETAIL) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
