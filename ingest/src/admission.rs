//! Whether a request may come in, told from its head alone: nothing here reads a body.

use std::time::Duration;

use contracts::{
    duration::NoDuration,
    names::{EventRef, MAX_SOURCE, SOURCE, is_source},
    raw::PUBLISHER,
    wait,
};
use hyper::{
    HeaderMap, Method, StatusCode, Uri,
    header::{self, HeaderName, HeaderValue},
    http::request::Parts,
};
use runtime::{config::Secrets, problem::Problem};

/// The source of plain `/hasura`.
const DEFAULT_SOURCE: &str = "default";

/// The secret is missing or wrong, which the answer does not tell apart. The body stays unread, so the connection ends.
///
/// # Errors
/// 401.
pub(crate) fn authenticate(headers: &HeaderMap, name: &HeaderName, secrets: Option<&Secrets>) -> Result<(), Problem> {
    let Some(secrets) = secrets else { return Ok(()) };
    if headers.get(name).is_some_and(|sent| secrets.matches(sent.as_bytes())) {
        return Ok(());
    }
    Err(Problem::new(StatusCode::UNAUTHORIZED, format!("this webhook needs its shared secret, in the header `{name}`"))
        .with(header::CONNECTION, HeaderValue::from_static("close")))
}

/// What a request may bring, by its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Door<'a> {
    /// What Hasura sends, under the name of a source.
    Hasura(&'a str),
    /// An event, by its name.
    Events(EventRef),
}

impl Door<'_> {
    /// Who is said to have sent what was refused.
    pub(crate) fn source(&self) -> &str {
        match self {
            Self::Hasura(source) => source,
            Self::Events(_) => PUBLISHER,
        }
    }

    /// The event that is published.
    pub(crate) fn event(&self) -> Option<&EventRef> {
        match self {
            Self::Hasura(_) => None,
            Self::Events(event) => Some(event),
        }
    }
}

/// What the path is for.
///
/// # Errors
/// 404: nothing comes in there.
pub(crate) fn door(uri: &Uri) -> Result<Door<'_>, Problem> {
    match uri.path().strip_prefix("/events/") {
        Some(name) => name.parse().map(Door::Events).map_err(|error| {
            Problem::new(
                StatusCode::NOT_FOUND,
                format!("no event is published here, as in `/events/order.paid`: {error}"),
            )
        }),
        None => source_of(uri).map(Door::Hasura),
    }
}

/// The source that a path names.
fn source_of(uri: &Uri) -> Result<&str, Problem> {
    match uri.path().strip_prefix("/hasura") {
        Some("") => Ok(DEFAULT_SOURCE),
        Some(rest) => rest.strip_prefix('/').filter(|source| is_source(source)).ok_or_else(not_found),
        None => Err(not_found()),
    }
}

fn not_found() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        format!(
            "webhooks come in at `/hasura` and `/hasura/{{source}}`, where a source is {SOURCE}; events are published at \
             `/events/{{name}}`"
        ),
    )
}

/// Whether the method and what the head says of the body can be taken.
///
/// # Errors
/// 405 or 415.
pub(crate) fn check_form(head: &Parts) -> Result<(), Problem> {
    if head.method != Method::POST {
        return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "a webhook is a POST")
            .with(header::ALLOW, HeaderValue::from_static("POST")));
    }
    if head.headers.get(header::CONTENT_TYPE).is_some_and(|media_type| !is_json(media_type)) {
        return Err(unsupported(
            "the body must be JSON in UTF-8: send it as `content-type: application/json`, or with no media type at all; with \
             curl add -H 'content-type: application/json'",
        ));
    }
    match head.headers.get(header::CONTENT_ENCODING) {
        Some(coding) if !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity") => {
            Err(unsupported("the body must not be compressed: send it without `content-encoding`")
                .with(header::ACCEPT_ENCODING, HeaderValue::from_static("identity")))
        }
        _ => Ok(()),
    }
}

fn unsupported(detail: &str) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
}

/// `application/json` or `application/*+json`, and no other charset than UTF-8.
pub(crate) fn is_json(media_type: &HeaderValue) -> bool {
    if media_type == "application/json" {
        return true;
    }
    let Ok(text) = media_type.to_str() else { return false };
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let json = match essence.strip_prefix("application/") {
        Some(subtype) => subtype == "json" || subtype.strip_suffix("+json").is_some_and(|name| !name.is_empty()),
        None => essence.is_empty(),
    };
    json && parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            let value = value.trim().trim_matches('"');
            value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("utf8")
        }
        _ => true,
    })
}

/// A media type without its parameters, in lower case.
pub(crate) fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The parameters of the query, decoded.
fn parameters(uri: &Uri) -> form_urlencoded::Parse<'_> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
}

/// Whether the query has nothing but `wait`, once.
///
/// # Errors
/// 400, naming what else there is.
pub(crate) fn check_query(uri: &Uri) -> Result<(), Problem> {
    let mut waits = 0;
    for (name, _) in parameters(uri) {
        if name != "wait" {
            let name: String = name.chars().take(MAX_SOURCE).collect();
            let detail = format!("there is no parameter `{name}` here; there is wait, as in `?wait=30s`");
            return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        }
        waits += 1;
    }
    if waits > 1 {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "`wait` is there more than once"));
    }
    Ok(())
}

/// How long the caller wants to wait for the outcome: `?wait=30s`, else `Prefer: wait=30`.
///
/// # Errors
/// The text is no duration.
pub(crate) fn wait_of(head: &Parts) -> Result<Option<Duration>, NoDuration> {
    let asked = parameters(&head.uri).find_map(|(name, value)| (name == "wait").then_some(value));
    let asked = asked.or_else(|| {
        let preferences = head.headers.get_all(PREFER).into_iter().filter_map(|value| value.to_str().ok());
        preferences.flat_map(|value| value.split([',', ';'])).find_map(|preference| {
            let (name, value) = preference.split_once('=')?;
            name.trim().eq_ignore_ascii_case("wait").then(|| value.trim().trim_matches('"').into())
        })
    });
    asked.map(|asked| wait::parse(&asked)).transpose()
}

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// The announced size of the body, if there is one.
pub(crate) fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn head(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn a_path_names_its_source() {
        for (path, source) in [("/hasura", "default"), ("/hasura/shop", "shop"), ("/hasura/a.B_c-1?wait=1", "a.B_c-1")]
        {
            assert_eq!(door(&path.parse().expect(path)).expect(path), Door::Hasura(source));
        }
        let long = format!("/hasura/{}", "x".repeat(65));
        for path in ["/", "/hasura/", "/hasuraa", "/hasura/a/b", "/hasura/a%20b", "/Hasura", long.as_str()] {
            assert_eq!(door(&path.parse().expect(path)).expect_err(path).status, 404, "{path}");
        }
    }

    #[test]
    fn a_path_names_the_event_that_is_published() {
        let door = |path: &str| door(&path.parse().expect(path)).map(|door| door.event().map(EventRef::to_string));
        assert_eq!(door("/events/order.paid?wait=1s").ok().flatten().as_deref(), Some("order.paid"));
        assert_eq!(door("/events/order.paid.v2").ok().flatten().as_deref(), Some("order.paid.v2"));
        for path in ["/events", "/events/", "/events/a/b", "/events/a_b", "/events/a.v1", "/events/a%20b"] {
            assert_eq!(door(path).expect_err(path).status, 404, "{path}");
        }
    }

    #[test]
    fn json_in_utf8_is_taken_under_each_of_its_names() {
        for media_type in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\"; q=1",
            "application/cloudevents+json",
            "",
        ] {
            assert!(is_json(&media_type.parse().expect(media_type)), "{media_type}");
        }
        for media_type in
            ["text/plain", "application/jsonx", "application/+json", "application/json; charset=latin-1", "json"]
        {
            assert!(!is_json(&media_type.parse().expect(media_type)), "{media_type}");
        }
        assert!(check_form(&head("POST", "/", &[])).is_ok());
        assert!(check_form(&head("POST", "/", &[("content-encoding", "identity")])).is_ok());
        assert_eq!(check_form(&head("POST", "/", &[("content-encoding", "gzip")])).expect_err("gzip").status, 415);
        assert_eq!(check_form(&head("GET", "/", &[])).expect_err("GET").status, 405);
    }

    #[test]
    fn a_parameter_that_means_nothing_is_refused_by_name() {
        let check = |uri: &str| check_query(&uri.parse().expect(uri)).map_err(|problem| problem.detail);
        for right in ["/hasura", "/hasura?", "/hasura?wait=1s", "/hasura?wait=1s&", "/hasura?w%61it=1s"] {
            assert_eq!(check(right), Ok(()), "{right}");
        }
        assert!(check("/hasura?wiat=1s").expect_err("unknown").contains("`wiat`"));
        assert!(check("/hasura?wait=1s&wait=2s").expect_err("twice").contains("more than once"));
    }

    #[test]
    fn a_wait_is_asked_for_in_the_query_or_as_a_preference() {
        let wait = |uri: &str, headers: &[(&str, &str)]| wait_of(&head("POST", uri, headers)).map_err(|_| ());
        let seconds = |s| Ok(Some(Duration::from_secs(s)));
        assert_eq!(wait("/hasura", &[]), Ok(None));
        assert_eq!(wait("/hasura?a=b&wait=30s", &[("prefer", "wait=7")]), seconds(30));
        assert_eq!(wait("/hasura?await=1", &[("prefer", "respond-async, Wait = \"7\"; x=1")]), seconds(7));
        assert_eq!(wait("/hasura?wait=%33%30s", &[]), seconds(30));
        assert_eq!(wait("/hasura?w%61it=30s", &[]), seconds(30));
        for nonsense in ["/hasura?wait", "/hasura?wait=", "/hasura?wait=-1", "/hasura?wait=soon"] {
            assert_eq!(wait(nonsense, &[]), Err(()), "{nonsense}");
        }
    }
}
