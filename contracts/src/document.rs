//! JSON that others wrote, read into a [`Value`]: whatever its keys are called, and as deep as we promise.
//!
//! `serde_json` keeps the keys that begin with `$serde_json::private::` for itself: an object that has one first is read as
//! a number or as another document, or fails everything around it. Whoever may write a `jsonb` column could so hide the
//! change of its row. Such a key is read with one more `$` before it.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::{Map, Value, value::RawValue};

/// The deepest nesting that is read.
pub const MAX_NESTING: usize = 128;

const PRIVATE: &str = "$serde_json::private::";

/// The key under which a member is read: as it is, unless JSON readers keep it for themselves.
pub fn key(name: &str) -> Cow<'_, str> {
    if is_reserved(name) { Cow::Owned(format!("${name}")) } else { Cow::Borrowed(name) }
}

/// Whether JSON readers keep a key for themselves.
pub fn is_reserved(name: &str) -> bool {
    name.starts_with(PRIVATE)
}

/// The text with its keys as [`key`] has them. What is no JSON stays none.
pub fn escaped(text: &str) -> Cow<'_, str> {
    // Any letter of a key may be written as an escape.
    if !text.contains(PRIVATE) && !text.contains("\\u") {
        return Cow::Borrowed(text);
    }
    let (mut out, mut copied, mut at) = (String::new(), 0, 0);
    while let Some(start) = text[at..].find('"').map(|found| at + found) {
        let Some(end) = end_of_text(text.as_bytes(), start) else { break };
        if text[end..].trim_start().starts_with(':') && is_private(&text[start..end]) {
            out.push_str(&text[copied..=start]);
            out.push('$');
            copied = start + 1;
        }
        at = end;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// Behind the closing quote of a text that begins at `start`.
fn end_of_text(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn is_private(quoted: &str) -> bool {
    if quoted.contains("\\u") {
        return serde_json::from_str::<String>(quoted).is_ok_and(|key| key.starts_with(PRIVATE));
    }
    quoted[1..].starts_with(PRIVATE)
}

/// Reads a document that nests at most [`MAX_NESTING`] deep.
///
/// # Errors
/// The text is no JSON, has a lone surrogate, or nests deeper.
pub fn parse(text: &str) -> serde_json::Result<Value> {
    let text = escaped(text);
    // `serde_json` itself reads one level less than we promise.
    serde_json::from_str(&text).or_else(|error| by_members(&text).ok_or(error))
}

/// [`parse`], of bytes.
///
/// # Errors
/// Those of [`parse`], and what is no UTF-8.
pub fn parse_bytes(bytes: &[u8]) -> serde_json::Result<Value> {
    str::from_utf8(bytes).map_or_else(|_| serde_json::from_slice(bytes), parse)
}

fn by_members(text: &str) -> Option<Value> {
    if text.trim_start().starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
        let items = items.into_iter().map(|item| serde_json::from_str(item.get()).ok());
        return items.collect::<Option<Vec<_>>>().map(Value::Array);
    }
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    let members = members.into_iter().map(|(key, value)| Some((key, serde_json::from_str(value.get()).ok()?)));
    members.collect::<Option<Map<_, _>>>().map(Value::Object)
}

/// Whether a value can be read again: no deeper than [`MAX_NESTING`].
pub fn is_readable(value: &Value) -> bool {
    fn fits(value: &Value, levels: usize) -> bool {
        match value {
            Value::Array(items) => levels > 0 && items.iter().all(|item| fits(item, levels - 1)),
            Value::Object(members) => levels > 0 && members.values().all(|value| fits(value, levels - 1)),
            _ => true,
        }
    }
    fits(value, MAX_NESTING)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_key_makes_another_document_of_a_document() {
        for (text, read) in [
            (r#"{"$serde_json::private::Number":"abc"}"#, json!({"$$serde_json::private::Number": "abc"})),
            (r#"{"$serde_json::private::Number" : 5}"#, json!({"$$serde_json::private::Number": 5})),
            (r#"[{"$serde_json::private::RawValue":"[1,2]"}]"#, json!([{"$$serde_json::private::RawValue": "[1,2]"}])),
            (
                r#"{"a\"":{"\u0024serde_json::private::Number":"1"}}"#,
                json!({"a\"": {"$$serde_json::private::Number": "1"}}),
            ),
            (r#"{"$serde\u005fjson::private::RawValue":"]"}"#, json!({"$$serde_json::private::RawValue": "]"})),
            (
                r#"{"a":"$serde_json::private::Number","é\u00e9":1}"#,
                json!({"a": "$serde_json::private::Number", "éé": 1}),
            ),
        ] {
            assert_eq!(parse(text).expect(text), read);
            assert_eq!(
                parse_bytes(read.to_string().as_bytes()).expect(text),
                read,
                "what was read once stays as it is"
            );
        }
    }

    #[test]
    fn exactly_the_levels_that_are_promised_are_read() {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let nested = |levels: usize| format!("{}1.50{}", open.repeat(levels), close.repeat(levels));
            let read = parse(&nested(MAX_NESTING)).expect("as deep as promised");
            assert!(is_readable(&read) && !is_readable(&json!([read])));
            assert_eq!(read.to_string(), nested(MAX_NESTING));
            assert!(parse(&nested(MAX_NESTING + 1)).is_err());
        }
        for broken in [r#"{"$serde_json::private::Number":"#, r#"["\u12"#, r#"["\ud800"]"#, "{", "", "\""] {
            assert!(parse(broken).is_err(), "{broken}");
        }
    }
}
