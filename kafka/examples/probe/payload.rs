//! An update of `public.moves` as Hasura sends it, and the raw record that ingest makes of it. What differs from one
//! record to the next is written over in place.

use std::ops::Range;

use contracts::{
    headers::Headers,
    ids::{CorrelationId, InvocationId},
    raw::{Kind, RawHeaders},
};
use jiff::Timestamp;

use crate::Outcome;

/// The first row's id, and the first revision: all of them have as many digits.
const FIRST: u64 = 1_000_000_000;
const ID: &str = "00000000-0000-0000-0000-000000000000";
const REVISION: &[u8] = b"\"revision\":";
const SOURCE: &str = "default";

/// One payload, again and again.
pub(crate) struct Payload {
    bytes: Vec<u8>,
    id: Range<usize>,
    rows: [Range<usize>; 2],
    revision: Range<usize>,
    /// A number of this run alone.
    run: u64,
    /// How many rows change in turn.
    spread: u64,
}

/// A raw record without its value.
pub(crate) struct Raw {
    pub(crate) key: String,
    pub(crate) headers: Headers,
}

impl Payload {
    /// A payload of that many bytes.
    ///
    /// # Errors
    /// There are too few for its members.
    pub(crate) fn new(size: usize, run: u64, spread: u64) -> Outcome<Self> {
        let body = body(size)?;
        let at = |text: &str, from: usize| {
            let start = body[from..].find(text).ok_or_else(|| format!("the payload has no {text}"))? + from;
            Ok::<_, String>(start..start + text.len())
        };
        let number = FIRST.to_string();
        let named = |name: &str, from: usize| {
            let name = at(&format!("\"{name}\":{number}"), from)?;
            Ok::<_, String>(name.end - number.len()..name.end)
        };
        let first = named("id", 0)?;
        let rows = [first.clone(), named("id", first.end)?];
        let (id, revision) = (at(ID, 0)?, named("revision", 0)?);
        Ok(Self { id, rows, revision, run, spread, bytes: body.into_bytes() })
    }

    /// Makes it the payload of that number, and tells the record around it.
    pub(crate) fn number(&mut self, number: u64) -> Raw {
        let id = uuid(self.run, number);
        self.bytes[self.id.clone()].copy_from_slice(id.as_bytes());
        let row = (FIRST + number % self.spread).to_string();
        for place in &self.rows {
            self.bytes[place.clone()].copy_from_slice(row.as_bytes());
        }
        self.bytes[self.revision.clone()].copy_from_slice((FIRST + number).to_string().as_bytes());
        let headers = RawHeaders {
            kind: Kind::Hasura,
            source: SOURCE.to_owned(),
            received: Timestamp::now(),
            invocation: InvocationId::derived(SOURCE, &id),
            correlation: CorrelationId::derived(SOURCE, &id),
            traceparent: Some(format!("00-{:016x}{number:016x}-{number:016x}-01", self.run)),
            named: None,
            source_id: Some(id),
            depth: 0,
            related_to: None,
        };
        Raw { key: format!("{SOURCE}|public.moves|{row}"), headers: headers.encode() }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The number of the payload that an output was made of: by the revision of its new row.
pub(crate) fn number_of(output: &[u8]) -> Option<u64> {
    let start = output.windows(REVISION.len()).position(|window| window == REVISION)? + REVISION.len();
    let digits = output[start..].iter().take_while(|byte| byte.is_ascii_digit());
    let number = digits.fold(0_u64, |number, digit| number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')));
    number.checked_sub(FIRST)
}

/// Two numbers in the form of a UUID.
fn uuid(high: u64, low: u64) -> String {
    let digits = format!("{high:016x}{low:016x}");
    [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]).join("-")
}

/// Padded by the notes of both rows to that many bytes.
fn body(size: usize) -> Outcome<String> {
    let with = |old: &str, new: &str| {
        let (old, new) = (row("en route", 0, old), row("pickup successful", FIRST, new));
        format!(
            concat!(
                r#"{{"created_at":"2026-11-21T10:00:00.123456","delivery_info":{{"current_retry":0,"max_retries":5}},"#,
                r#""event":{{"data":{{"new":{},"old":{}}},"op":"UPDATE","#,
                r#""session_variables":{{"x-hasura-organisation-id":"berlin","x-hasura-role":"driver","x-hasura-user-id":"42"}},"#,
                r#""trace_context":{{"sampling_state":"1","span_id":"d609edaf610bade9","trace_id":"c74abd6e9ebbedf2ee5c232e79afdf73"}}}},"#,
                r#""id":"{}","table":{{"name":"moves","schema":"public"}},"trigger":{{"name":"moves_changed"}}}}"#
            ),
            new, old, ID
        )
    };
    let bare = with("", "").len();
    let padding = size.checked_sub(bare).ok_or_else(|| format!("a payload has at least {bare} bytes"))?;
    Ok(with(&"o".repeat(padding / 2), &"n".repeat(padding - padding / 2)))
}

fn row(status: &str, revision: u64, note: &str) -> String {
    format!(
        concat!(
            r#"{{"cancel_reason":null,"cancel_status":null,"customer_id":7,"driver_id":42,"id":{},"note":"{}","#,
            r#""pickup_at":"2026-03-02T08:00:00","plate":"B-HE 1234","price":249.90,"revision":{},"status":"{}","#,
            r#""updated_at":"2026-03-02T09:41:07.512+00:00","updated_by":"driver-app","vin":"WVWZZZ1JZXW000001"}}"#
        ),
        FIRST, note, revision, status
    )
}
