//! Why events did not happen in a raw record: asked again, for whoever wants to know.

use bus::Record;
use catalog::{Catalog, Change, ChangeParts, Effort, Occasion, Verdict, Whys};
use contracts::{
    hasura,
    raw::{Kind, Place, RawHeaders},
    why::{Failing, Happened, Why},
};

/// Why the events of a catalog of that number did not happen in a raw record. Bounded in work and in bytes.
pub fn why(catalog: &Catalog, number: u64, record: &Record) -> Why {
    let raw = Place { partition: record.partition.0, offset: record.offset.0 };
    let only = |because: &str| Why::only(raw, number, because);
    let headers = match RawHeaders::decode(&record.headers) {
        Ok(headers) => headers,
        Err(_) => return only("the record is none that Herald wrote"),
    };
    let occasion = match headers.kind {
        Kind::Hasura => Occasion::Change,
        Kind::Scheduled => Occasion::Scheduled,
        Kind::Action => Occasion::Action,
        Kind::Named => {
            let event = headers.named.map(|named| named.event);
            let known = event.as_ref().and_then(|event| catalog.event(event));
            let event = event.map(|event| event.to_string()).unwrap_or_default();
            return only(&match known {
                Some(_) => format!("it was published by name, as {event}: no condition is asked"),
                None => format!("it was published by name, as {event}, and this catalog has no such event"),
            });
        }
        Kind::Unknown(kind) => return only(&format!("this herald knows no records of the kind `{kind}`")),
    };
    let parsed = catalog.parse_as(occasion, record.value(), &headers.source);
    let Ok((body, _)) = parsed else { return only("the body is no JSON") };
    let parts = ChangeParts { body: hasura::unwrap(&body), source: &headers.source, received: headers.received };
    match Change::of(occasion, parts) {
        Err(error) => only(&error.to_string()),
        Ok(change) => {
            let Whys { mut events, more, nothing } = catalog.why_not(&change);
            let (detected, failed) = happened(catalog, &change);
            events.retain(|not| failed.iter().all(|failed| failed.event != not.event));
            Why { raw, catalog: number, because: nothing, detected, failed, undetected: events, undetected_more: more }
        }
    }
}

/// How many events that happened or failed are shown, and how many bytes their data may have as JSON.
const SHOWN: usize = 50;
const DATA: usize = 16 * 1024;

/// The events that happened in a change, whose data are made anew, and those that failed.
fn happened(catalog: &Catalog, change: &Change<'_>) -> (Vec<Happened>, Vec<Failing>) {
    let (mut detected, mut failed, effort) = (Vec::new(), Vec::new(), Effort::default());
    for event in catalog.candidates(change) {
        if detected.len() + failed.len() == SHOWN {
            break;
        }
        let Verdict::Detected { data, key } = event.evaluate(change) else {
            failed.extend(event.failing(change, &effort));
            continue;
        };
        detected.push(Happened {
            event: event.name().clone(),
            place: event.decided_at(if event.when().is_some() { "when" } else { "from" }),
            terms: event.why(change, &effort),
            key,
            data: Some(data).filter(|data| contracts::json::size(data) <= DATA),
        });
    }
    (detected, failed)
}
