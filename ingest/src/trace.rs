//! The trace that a request belongs to, from whichever of its places tells.

use contracts::hasura::Fields;
use hyper::{HeaderMap, header::HeaderValue};
use runtime::telemetry::TraceParent;
use serde_json::value::RawValue;

/// The request's `traceparent`; else B3 in one header or in several, as Hasura sends them; else `event.trace_context` in the body; else a new one.
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
    if let Some(trace) = text(headers, "b3").and_then(TraceParent::from_b3_single) {
        return Some(trace);
    }
    // The debug flag implies the decision to sample.
    let debug = text(headers, "x-b3-flags").is_some_and(|flags| flags.trim() == "1").then_some("d");
    let sampled = debug.or_else(|| text(headers, "x-b3-sampled").map(str::trim));
    TraceParent::from_b3(text(headers, "x-b3-traceid")?.trim(), text(headers, "x-b3-spanid")?.trim(), sampled)
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
    fn both_encodings_of_b3_are_read() {
        let (trace_id, span_id) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let one = format!("{trace_id}-{span_id}-1");
        let other = ("x-b3-traceid", "c74abd6e9ebbedf2ee5c232e79afdf73");
        assert_eq!(trace(&[("b3", &one), other, ("x-b3-spanid", span_id)], "{}"), W3C);
        let several = [("x-b3-traceid", trace_id), ("x-b3-spanid", span_id)];
        assert_eq!(trace(&[several[0], several[1], ("x-b3-flags", "1")], "{}"), W3C);
        assert_eq!(trace(&[several[0], several[1], ("x-b3-flags", "1"), ("x-b3-sampled", "0")], "{}"), W3C);
        assert_eq!(trace(&[("b3", "0"), several[0], several[1], ("x-b3-sampled", "1")], "{}"), W3C);
    }

    #[test]
    fn where_none_tells_a_new_trace_begins() {
        for body in ["{}", r#"{"event":{"trace_context":null}}"#, r#"{"event":{"trace_context":{"trace_id":7}}}"#] {
            assert_ne!(trace(&[], body), trace(&[], body));
        }
    }
}
