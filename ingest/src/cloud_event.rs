//! The attributes of a CloudEvent that somebody publishes, in each of its forms on HTTP: as headers (binary), and as members
//! of a JSON document (structured, and each of a batch).
//!
//! Sources: CloudEvents 1.0.2, *HTTP Protocol Binding* section 3 and *JSON Event Format* sections 2 to 4. Of the attributes
//! those are read that mean something here; what becomes of each is in `docs/http.md`.

use contracts::{hasura::Fields, names::EventRef};
use hyper::{HeaderMap, header::HeaderValue};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::{Value, value::RawValue};

use crate::refusal::Refusal;

/// The most bytes that an attribute may have.
pub(crate) const MAX_ATTRIBUTE: usize = 1024;

/// What is read of a CloudEvent beside its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CloudEvent {
    pub(crate) id: String,
    pub(crate) source: String,
    pub(crate) subject: Option<String>,
    pub(crate) partition_key: Option<String>,
    pub(crate) correlation: Option<String>,
    pub(crate) traceparent: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) organisation: Option<String>,
}

/// Where an attribute is found, by its name.
type Find<'f> = dyn Fn(&'static str) -> Result<Option<String>, Refusal> + 'f;

/// The attributes that stand in headers.
pub(crate) fn of_headers(event: &EventRef, headers: &HeaderMap) -> Result<CloudEvent, Refusal> {
    read(event, &|name| header(headers, name))
}

/// The attributes of a document, and its data.
pub(crate) fn of_document<'a>(
    event: &EventRef,
    document: &'a RawValue,
) -> Result<(CloudEvent, Option<&'a RawValue>), Refusal> {
    let fields = Fields::of(document).ok_or_else(|| Refusal::cloud_event("a CloudEvent is a JSON object"))?;
    let attributes = read(event, &|name| member(&fields, name))?;
    if let Some(media_type) = member(&fields, "datacontenttype")?
        && !HeaderValue::from_str(&media_type).is_ok_and(|media_type| crate::admission::is_json(&media_type))
    {
        let detail = format!("the data are {}, and JSON in UTF-8 is taken", shown(&media_type));
        return Err(Refusal::media_type(detail));
    }
    if fields.get("data_base64").is_some_and(|data| data.get() != "null") {
        let detail = "the data are bytes in base64 (`data_base64`), and JSON is taken: send them as `data`";
        return Err(Refusal::media_type(detail));
    }
    Ok((attributes, fields.get("data")))
}

fn read(event: &EventRef, find: &Find<'_>) -> Result<CloudEvent, Refusal> {
    let wanted = |name| find(name)?.ok_or_else(|| Refusal::cloud_event(format!("the attribute `{name}` is missing")));
    let version = wanted("specversion")?;
    if version != "1.0" {
        let detail = format!("`specversion` is {}, and 1.0 is read", shown(&version));
        return Err(Refusal::cloud_event(detail));
    }
    let (id, source, r#type) = (wanted("id")?, wanted("source")?, wanted("type")?);
    if !source.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Refusal::cloud_event(format!(
            "`source` is {}, and a URI reference has printable ASCII characters without space",
            shown(&source)
        )));
    }
    if r#type != event.name.as_str() && r#type != event.to_string() {
        let detail = format!("`type` is {}, and this is where {event} is published", shown(&r#type));
        return Err(Refusal::cloud_event(detail));
    }
    if let Some(time) = find("time")?.filter(|time| time.parse::<Timestamp>().is_err()) {
        let detail = format!("`time` is {}, and 2026-01-31T12:00:00Z is how a time is written", shown(&time));
        return Err(Refusal::cloud_event(detail));
    }
    Ok(CloudEvent {
        id,
        source,
        subject: find("subject")?,
        partition_key: find("partitionkey")?,
        correlation: find("correlationid")?,
        traceparent: find("traceparent")?,
        user: find("userid")?,
        organisation: find("organisationid")?,
    })
}

/// An attribute as a header: `ce-<name>`. None if it is empty.
pub(crate) fn header(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all(format!("ce-{name}")).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::cloud_event(format!("the header `ce-{name}` is there more than once")));
    }
    let value = value.as_bytes().trim_ascii();
    // Some senders write what is not ASCII as it is, in UTF-8 or, as HTTP had it once, in Latin-1.
    let text = str::from_utf8(value).map_or_else(|_| value.iter().copied().map(char::from).collect(), str::to_owned);
    let unquoted = unquoted(&text);
    let decoded = percent_decode_str(&unquoted).decode_utf8();
    let text = decoded.map_err(|_| Refusal::cloud_event(format!("the header `ce-{name}` is no UTF-8")))?;
    bounded(name, text.into_owned())
}

/// What stands between double quotes, as older versions of the binding wrote values: `\` makes the next character literal.
fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return value.to_owned() };
    let mut characters = inner.chars();
    std::iter::from_fn(|| characters.next().and_then(|c| if c == '\\' { characters.next() } else { Some(c) })).collect()
}

/// An attribute as a member: a text, or a number or truth value as its text. None if it is null or empty.
fn member(fields: &Fields<'_>, name: &'static str) -> Result<Option<String>, Refusal> {
    let Some(value) = fields.get(name) else { return Ok(None) };
    let text = match serde_json::from_str(value.get()) {
        Ok(Value::Null) => return Ok(None),
        Ok(Value::String(text)) => text,
        Ok(value @ (Value::Bool(_) | Value::Number(_))) => value.to_string(),
        _ => return Err(Refusal::cloud_event(format!("the attribute `{name}` is no text"))),
    };
    bounded(name, text)
}

fn bounded(name: &str, text: String) -> Result<Option<String>, Refusal> {
    if text.len() > MAX_ATTRIBUTE {
        let detail =
            format!("the attribute `{name}` has {} bytes, and at most {MAX_ATTRIBUTE} are possible", text.len());
        return Err(Refusal::cloud_event(detail));
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// A value for an error: quoted, and cut.
fn shown(text: &str) -> String {
    format!("{:?}", &text[..text.floor_char_boundary(100)])
}
