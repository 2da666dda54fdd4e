//! A webhook's bytes, made once; what differs from one to the next is written over in place.

use std::ops::Range;

use anyhow::Context as _;
use uuid::Uuid;

use client::{
    http::Base,
    send::{CORRELATION_HEADER, SECRET_HEADER},
};

/// How many rows change in turn: enough to spread over every partition.
const ROWS: u64 = 10_000;
/// The first row's id; all of them have as many digits.
const FIRST_ROW: u64 = 1_000_000_000;
const ID: &str = "00000000-0000-0000-0000-000000000000";
/// How long a sample's correlation id is.
const CORRELATION: usize = "bench-0123456789abcdef-0123456789".len();

/// What all webhooks of a run have in common.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    /// Where they go.
    pub(super) base: Base,
    /// The webhook's secret.
    pub(super) secret: Option<String>,
    /// The size of a body in bytes.
    pub(super) size: usize,
    /// A number of this run alone, so that no id was ever seen before.
    pub(super) run: u64,
}

/// What a webhook is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be answered as soon as it is durable.
    Load,
    /// To be followed to its end: answered then, or after so many seconds.
    Sample {
        /// The longest wait, in seconds.
        wait: u64,
    },
}

/// One request, again and again.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    bytes: Vec<u8>,
    id: Range<usize>,
    rows: [Range<usize>; 2],
    correlation: Option<Range<usize>>,
    run: u64,
}

impl Prepared {
    /// The request of that shape.
    ///
    /// # Errors
    /// The size is smaller than a body without any padding.
    pub(super) fn new(shape: &Shape, purpose: Purpose) -> anyhow::Result<Self> {
        let status = if purpose == Purpose::Load { "changed" } else { "sampled" };
        let body = body(status, shape.size)?;
        let mut head = match purpose {
            Purpose::Load => format!("POST {}/hasura HTTP/1.1\r\n", shape.base.prefix()),
            Purpose::Sample { wait } => format!("POST {}/hasura?wait={wait}s HTTP/1.1\r\n", shape.base.prefix()),
        };
        let mut header = |name: &str, value: &str| {
            head.push_str(&format!("{name}: {value}\r\n"));
            head.len() - 2 - value.len()..head.len() - 2
        };
        header("host", shape.base.authority());
        header("content-type", "application/json");
        header("content-length", &body.len().to_string());
        if let Some(secret) = &shape.secret {
            anyhow::ensure!(
                secret.bytes().all(|b| (0x20..0x7f).contains(&b)),
                "the secret cannot stand in an HTTP header"
            );
            header(SECRET_HEADER, secret);
        }
        let correlation = (purpose != Purpose::Load).then(|| header(CORRELATION_HEADER, &"-".repeat(CORRELATION)));
        head.push_str("\r\n");
        let whole = head + &body;
        let at = |text: &str, from: usize| {
            let start = whole[from..].find(text).map(|place| from + place);
            start.map(|start| start..start + text.len()).context("invariant: the body has its placeholders")
        };
        let first = at(&FIRST_ROW.to_string(), 0)?;
        let rows = [first.clone(), at(&FIRST_ROW.to_string(), first.end)?];
        Ok(Self { id: at(ID, 0)?, rows, correlation, run: shape.run, bytes: whole.into_bytes() })
    }

    /// The bytes of the webhook of that number.
    pub(super) fn number(&mut self, number: u64) -> &[u8] {
        // Samples are numbered apart from the load; the same id would make one a duplicate of the other.
        let of_samples = if self.correlation.is_some() { 1 << 63 } else { 0 };
        Uuid::from_u64_pair(self.run, of_samples | number).hyphenated().encode_lower(&mut self.bytes[self.id.clone()]);
        let row = FIRST_ROW + number % ROWS;
        for place in &self.rows {
            write_digits(&mut self.bytes[place.clone()], row);
        }
        if let Some(place) = &self.correlation {
            let name = format!("bench-{:016x}-{number:010}", self.run);
            self.bytes[place.clone()].copy_from_slice(name.as_bytes());
        }
        &self.bytes
    }
}

/// The number of the sample that has this correlation id, if it is one of this run.
pub(super) fn number_of(correlation: &str, run: u64) -> Option<u64> {
    let (name, number) = correlation.strip_prefix("bench-")?.split_once('-')?;
    (u64::from_str_radix(name, 16).ok()? == run).then_some(())?;
    number.parse().ok()
}

fn write_digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// An UPDATE of `public.bench` as Hasura sends it, padded to that many bytes.
fn body(status: &str, size: usize) -> anyhow::Result<String> {
    let with = |old_note: &str, new_note: &str| {
        let row = |status: &str, note: &str| {
            format!(
                r#"{{"amount":129.95,"customer_id":7,"id":{FIRST_ROW},"note":"{note}","status":"{status}","updated_at":"2026-11-21T10:00:00.123456+00:00"}}"#
            )
        };
        let (old, new) = (row("waiting", old_note), row(status, new_note));
        format!(
            r#"{{"created_at":"2026-11-21T10:00:00.123456Z","delivery_info":{{"current_retry":0,"max_retries":0}},"event":{{"data":{{"new":{new},"old":{old}}},"op":"UPDATE","session_variables":{{"x-hasura-role":"user","x-hasura-user-id":"7"}},"trace_context":null}},"id":"{ID}","table":{{"name":"bench","schema":"public"}},"trigger":{{"name":"bench"}}}}"#
        )
    };
    let bare = with("", "").len();
    let padding = size.checked_sub(bare).with_context(|| format!("a body has at least {bare} bytes"))?;
    Ok(with(&"o".repeat(padding / 2), &"n".repeat(padding - padding / 2)))
}

#[cfg(test)]
mod tests {
    use contracts::hasura::{Body, Op, recognise};

    use super::*;

    fn shape() -> Shape {
        Shape {
            base: "http://127.0.0.1:8080".parse().expect("a base"),
            secret: Some("s".into()),
            size: 1536,
            run: 0xabc,
        }
    }

    fn split(request: &[u8]) -> (&str, &str) {
        std::str::from_utf8(request).expect("text").split_once("\r\n\r\n").expect("a head")
    }

    #[test]
    fn every_request_is_a_webhook_of_its_own_and_of_the_size_that_was_asked_for() {
        let mut prepared = Prepared::new(&shape(), Purpose::Load).expect("it fits");
        let first = prepared.number(1).to_vec();
        let second = prepared.number(2).to_vec();
        let (head, body) = split(&second);
        assert!(head.starts_with("POST /hasura HTTP/1.1\r\nhost: 127.0.0.1:8080\r\n"), "{head}");
        assert!(head.contains("content-length: 1536\r\n") && head.contains("x-herald-secret: s"), "{head}");
        assert_eq!(body.len(), 1536);
        let Ok(Body::Event(event)) = recognise(body.as_bytes()) else { panic!("no event: {body}") };
        assert_eq!((event.qualified_table().as_str(), event.op), ("public.bench", Op::Update));
        assert_eq!(event.id.as_deref(), Some("00000000-0000-0abc-0000-000000000002"));
        assert!(event.new.is_some_and(|new| new.get().contains("\"id\":1000000002") && new.get().contains("changed")));
        assert!(event.old.is_some_and(|old| old.get().contains("\"id\":1000000002")));
        assert_ne!(first, second);
    }

    #[test]
    fn a_sample_waits_and_is_known_by_its_correlation() {
        let mut prepared = Prepared::new(&shape(), Purpose::Sample { wait: 60 }).expect("it fits");
        let (head, _) = split(prepared.number(42));
        assert!(head.starts_with("POST /hasura?wait=60s "), "{head}");
        let correlation = head.rsplit_once("x-correlation-id: ").expect("the last header").1;
        assert_eq!(number_of(correlation, 0xabc), Some(42));
        assert_eq!(number_of(correlation, 0xabd), None);
        assert_eq!(number_of("c-1", 0xabc), None);
    }

    #[test]
    fn a_sample_is_no_duplicate_of_a_webhook_of_the_load() {
        let id = |purpose| {
            let mut prepared = Prepared::new(&shape(), purpose).expect("it fits");
            let Ok(Body::Event(event)) = recognise(split(prepared.number(5)).1.as_bytes()) else { panic!("no event") };
            event.id
        };
        assert_ne!(id(Purpose::Load), id(Purpose::Sample { wait: 1 }));
    }

    #[test]
    fn a_body_smaller_than_its_members_is_refused() {
        assert!(Prepared::new(&Shape { size: 100, ..shape() }, Purpose::Load).is_err());
    }
}
