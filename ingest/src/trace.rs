//! The trace that a request belongs to, from whichever of its places tells.

use contracts::hasura::Fields;
use hyper::{HeaderMap, header::HeaderValue};
use runtime::telemetry::TraceParent;
use serde_json::value::RawValue;

/// The request's `traceparent`; else Hasura's B3 headers; else `event.trace_context` in the body; else a new one.
pub(crate) fn traceparent(headers: &HeaderMap, body: &[u8]) -> TraceParent {
    text(headers, "traceparent")
        .and_then(|text| text.trim().parse().ok())
        .or_else(|| from_b3(headers))
        .or_else(|| from_body(body))
        .unwrap_or_else(TraceParent::generate)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(HeaderValue::to_str)?.ok()
}

fn from_b3(headers: &HeaderMap) -> Option<TraceParent> {
    TraceParent::from_b3(text(headers, "x-b3-traceid")?, text(headers, "x-b3-spanid")?, text(headers, "x-b3-sampled"))
}

/// Read only where no header tells. Hasura always sends one, so this is not the hot path.
fn from_body(body: &[u8]) -> Option<TraceParent> {
    let whole: &RawValue = serde_json::from_slice(body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body)).ok()?;
    let whole = Fields::of(whole)?;
    let event = match whole.get("event") {
        Some(event) => event,
        None => Fields::of(whole.get("payload")?)?.get("event")?,
    };
    let context = Fields::of(Fields::of(event)?.get("trace_context")?)?;
    let text = |name| context.get(name).and_then(|value| serde_json::from_str::<String>(value.get()).ok());
    TraceParent::from_b3(&text("trace_id")?, &text("span_id")?, text("sampling_state").as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    const W3C: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const CONTEXT: &str =
        r#"{"sampling_state":"1","span_id":"d609edaf610bade9","trace_id":"c74abd6e9ebbedf2ee5c232e79afdf73"}"#;

    fn trace(headers: &[(&'static str, &str)], body: &str) -> String {
        let headers =
            headers.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")));
        traceparent(&headers.collect(), body.as_bytes()).to_string()
    }

    #[test]
    fn the_first_place_that_tells_counts() {
        let body = format!(r#"{{"event":{{"trace_context":{CONTEXT}}}}}"#);
        let b3 = [("x-b3-traceid", "4bf92f3577b34da6a3ce929d0e0e4736"), ("x-b3-spanid", "00f067aa0ba902b7")];
        assert_eq!(trace(&[("traceparent", W3C), b3[0], b3[1]], &body), W3C);
        assert_eq!(trace(&[("traceparent", "nonsense"), b3[0], b3[1]], &body), W3C.replace("-01", "-00"));
        let from_body = "00-c74abd6e9ebbedf2ee5c232e79afdf73-d609edaf610bade9-01";
        assert_eq!(trace(&b3[..1], &body), from_body);
        assert_eq!(trace(&[], &format!(r#"{{"payload":{body}}}"#)), from_body);
    }

    #[test]
    fn where_none_tells_a_new_trace_begins() {
        for body in ["{}", r#"{"event":{"trace_context":null}}"#, r#"{"event":{"trace_context":{"trace_id":7}}}"#] {
            assert_ne!(trace(&[], body), trace(&[], body));
        }
    }
}
