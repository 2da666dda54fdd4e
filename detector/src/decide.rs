//! What becomes of one raw record: pure, so that a replay decides the same.

use bus::{Outgoing, Record};
use catalog::{Catalog, Change, ChangeParts, Event, Glance, Occasion, Stage, Verdict};
use contracts::{
    document,
    envelope::{self, EventHeaders},
    hasura,
    ids::EventId,
    names::EventRef,
    progress::{Duplicate, Fact, FailedEvent, Occurrence, Origin, Refused},
    raw::{Place, RawHeaders},
    rejected::ID_REUSED,
};
use serde_json::Value;

use crate::{
    config::Config,
    found::{Found, WHEN_FAILED},
    handle::Counts,
    measure::{self, TooLarge},
    origin::{self, Subject},
    publish::{self, Refusal},
    seen::{Entry, First, Seen},
};

/// Decides with one catalog.
pub struct Decider<'a> {
    pub catalog: &'a Catalog,
    pub number: u64,
    /// The settings.
    pub config: &'a Config,
}

/// What is to be written for one raw record.
#[derive(Debug, Default)]
pub struct Decision {
    /// The records, in order.
    pub outputs: Vec<Outgoing>,
    pub counts: Counts,
    pub(crate) seen: Option<Entry>,
    /// The first event that failed, for the log.
    pub(crate) failed: Option<FailedEvent>,
    /// Why the record was refused, as a label and a sentence, for the log.
    pub(crate) refused: Option<(&'static str, String)>,
}

/// A raw record that is known to be one.
pub(crate) struct Input<'a> {
    record: &'a Record,
    pub(crate) headers: RawHeaders,
    pub(crate) occurrence: Occurrence,
}

impl Decider<'_> {
    /// Decides about a record, and remembers its id.
    pub fn decide(&self, record: &Record, seen: &mut Seen) -> Decision {
        let raw = Place { partition: record.partition.0, offset: record.offset.0 };
        // Most often an event and its progress.
        let outputs = Vec::with_capacity(2);
        let mut decision =
            Decision { outputs, counts: Counts { records: 1, ..Counts::default() }, ..Decision::default() };
        let headers = match RawHeaders::decode(&record.headers) {
            Ok(headers) => headers,
            Err(error) => {
                decision.counts.refused = 1;
                let (reason, detail) = ("malformed-headers", measure::detail(&error.to_string()));
                decision.refused = Some((reason, detail.clone()));
                decision.outputs.push(publish::rejected(Refusal {
                    reason,
                    detail,
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
        let body = self.parse(&input);
        let print = body.as_ref().map_or(0, |(_, print)| *print);
        let duplicate = self.recognise(&input, print, seen, &mut decision);
        match body {
            Err(error) => {
                let origin = origin::bare(&input.headers);
                refuse(&input, origin, "malformed", &error.to_string(), &mut decision);
            }
            Ok((body, _)) => match &input.headers.named {
                Some(named) => {
                    let origin = origin::of_named(&input.headers, record.key.as_deref(), named);
                    if let Some(origin) = self.may_run(&input, origin, duplicate, &mut decision) {
                        self.publish(&input, origin, named, body, &mut decision);
                    }
                }
                None => self.decide_body(&input, &body, duplicate, &mut decision),
            },
        }
        decision
    }

    /// The body as far as it is looked at, and what tells it apart from another.
    fn parse(&self, input: &Input<'_>) -> Result<(Value, u32), serde_json::Error> {
        let body = input.record.value();
        let Some(named) = &input.headers.named else {
            let occasion = input.headers.kind.occasion().unwrap_or(Occasion::Change);
            return self.catalog.parse_as(occasion, body, &input.headers.source);
        };
        let data = document::parse_bytes(body)?;
        let print = hasura::print_of_publication(&named.event, &data);
        Ok((data, print))
    }

    fn recognise(&self, input: &Input<'_>, print: u32, seen: &mut Seen, decision: &mut Decision) -> Option<First> {
        let RawHeaders { invocation, received, correlation, source_id, .. } = &input.headers;
        // Without an id of its own an invocation is its record's alone: what repeats it is the same record.
        let print = if source_id.is_some() { print } else { 0 };
        let entry = Entry::new(*invocation, input.record.offset.0, *received, correlation).with_body(print);
        match seen.first(entry) {
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
        let change = headers.kind.occasion().map(|occasion| Change::of(occasion, parts));
        let origin = match &change {
            Some(Ok(change)) => origin::of(headers, input.record.key.as_deref(), change),
            Some(Err(_)) | None => origin::bare(headers),
        };
        let Some(origin) = self.may_run(input, origin, duplicate, decision) else { return };
        match change {
            Some(Ok(change)) => self.detect(input, origin, &change, decision),
            Some(Err(error)) => refuse(input, origin, "incomplete", &error.to_string(), decision),
            None => {
                let detail = format!("this herald knows no records of the kind `{}`", headers.kind.as_str());
                refuse(input, origin, "unknown-kind", &detail, decision);
            }
        }
    }

    /// The origin, of what is no duplicate and not too deep in a cascade; of the others it is said what they are.
    fn may_run(
        &self,
        input: &Input<'_>,
        origin: Origin,
        duplicate: Option<First>,
        decision: &mut Decision,
    ) -> Option<Origin> {
        let headers = &input.headers;
        if let Some(first) = duplicate {
            repeat(input, origin, first, decision);
            return None;
        }
        if headers.depth <= self.config.max_depth {
            return Some(origin);
        }
        let detail = format!(
            "{} cascades deep under correlation {}, and {} are allowed: do its jobs trigger themselves?",
            headers.depth, headers.correlation, self.config.max_depth
        );
        refuse(input, origin, "depth", &detail, decision);
        None
    }

    fn detect(&self, input: &Input<'_>, origin: Origin, change: &Change<'_>, decision: &mut Decision) {
        let mut found = Found::new(origin, self.number);
        let subject = Subject::of(change);
        let mut glance = Glance::new(change);
        for event in self.catalog.candidates(change) {
            if glance.rules_out(event) {
                found.undetected(event);
                continue;
            }
            // Once there is no room for an event, there is none for the others: their data are not made.
            let verdict = if found.is_full() { event.refuses(change) } else { Some(event.evaluate(change)) };
            let made = match verdict {
                Some(Verdict::NotDetected(_)) => {
                    found.undetected(event);
                    continue;
                }
                Some(Verdict::Failed { stage, error }) => {
                    found.failed(event, reason(stage), stage.as_str().to_owned(), &error);
                    continue;
                }
                Some(Verdict::Detected { data, key }) => self.event(input, &subject, event, &data, key),
                Some(Verdict::TooLarge { stage, error }) => Err(TooLarge { stage: stage.as_str().to_owned(), error }),
                None => Err(measure::beyond_all()),
            };
            if let Err(error) = made.and_then(|made| found.detected(event, made)) {
                found.too_large(event, error);
            }
        }
        found.write(input, decision);
    }

    /// The record of an event, if it fits the bus.
    pub(crate) fn event(
        &self,
        input: &Input<'_>,
        subject: &Subject<'_>,
        event: &Event,
        data: &Value,
        key: Option<String>,
    ) -> Result<(EventId, Outgoing), TooLarge> {
        let headers = &input.headers;
        let id = EventId::derived(headers.invocation, event.name());
        let name = event.name();
        let key = key.map(bytes::Bytes::from).or_else(|| input.record.key.clone());
        measure::key(key.as_deref().unwrap_or_default())?;
        let source =
            if headers.named.is_some() { headers.source.clone() } else { envelope::source_of(&headers.source) };
        let envelope = EventHeaders {
            id,
            event: name.clone(),
            source,
            subject: key.as_deref().map(|key| String::from_utf8_lossy(key).into_owned()),
            time: headers.received,
            dataschema: Some(format!("{}/v1/schemas/{}/{}", self.config.schemas_url, name.name, name.version)),
            correlation: headers.correlation.clone(),
            invocation: headers.invocation,
            cause: headers.named.as_ref().and_then(|named| named.cause),
            user: subject.user.map(str::to_owned),
            organisation: subject.organisation.map(str::to_owned),
            traceparent: headers.traceparent.clone(),
            jobs: event.stamp().to_vec(),
            catalog: self.number,
            depth: headers.depth,
            raw: input.occurrence.raw,
        };
        let made = publish::event(event.topic().clone().into(), &envelope, key, measure::data(data)?);
        measure::event(&made, data)?;
        Ok((id, made))
    }
}

/// Why an event failed in a part of it, as a label.
pub(crate) fn reason(stage: Stage) -> &'static str {
    match stage {
        Stage::When => WHEN_FAILED,
        Stage::Schema => "refused-by-schema",
        Stage::Data | Stage::Key => "data-failed",
    }
}

/// The same invocation again, within the window: nothing runs for it.
fn repeat(input: &Input<'_>, origin: Origin, first: First, decision: &mut Decision) {
    let First { offset, elsewhere, reused } = first;
    let of = Place { offset, ..input.occurrence.raw };
    if !reused {
        decision.counts.duplicates = 1;
        let fact = Fact::Duplicate(Duplicate { origin, of, elsewhere, reused });
        return decision.outputs.push(publish::progress(input.occurrence.clone(), fact));
    }
    let id = input.headers.source_id.as_deref().unwrap_or_default();
    let detail = format!(
        "raw record {of} came under the id `{}` with another table, operation, event or data; this one is not run: each change \
         needs an id of its own",
        measure::name_of(id)
    );
    decision.counts.reused = 1;
    if elsewhere {
        return refuse(input, origin, ID_REUSED, &detail, decision);
    }
    // The invocation is the first record's: what became of that one stands, and says that this one came.
    decision.counts.refused = 1;
    decision.outputs.push(input.rejected(ID_REUSED, measure::detail(&detail), None));
    let fact = Fact::Duplicate(Duplicate { origin, of, elsewhere, reused });
    decision.outputs.push(publish::progress(input.occurrence.clone(), fact));
}

/// The record had been accepted, and nothing can run for it: said in `rejected` and in `progress`.
pub(crate) fn refuse(input: &Input<'_>, origin: Origin, reason: &'static str, detail: &str, decision: &mut Decision) {
    decision.counts.refused = 1;
    let detail = measure::detail(detail);
    decision.refused = Some((reason, detail.clone()));
    decision.outputs.push(input.rejected(reason, detail.clone(), None));
    let fact = Fact::Refused(Refused { origin, reason: reason.into(), detail });
    decision.outputs.push(publish::progress(input.occurrence.clone(), fact));
}

impl Input<'_> {
    /// A rejection of this record, or of one event in it.
    pub(crate) fn rejected(&self, reason: &'static str, detail: String, event: Option<EventRef>) -> Outgoing {
        publish::rejected(Refusal {
            reason,
            detail,
            source: &self.headers.source,
            at: self.headers.received,
            occurrence: Some(&self.occurrence),
            raw: self.occurrence.raw,
            event,
        })
    }
}
