//! What a refusal looks like over HTTP: a problem document (RFC 9457).

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use serde::Serialize;

/// The media type of a problem.
pub const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// One problem. Its type is `about:blank`, so that its title is that of the status.
#[derive(Debug, Clone)]
pub struct Problem {
    pub status: StatusCode,
    /// What it is, the same for every problem of its status.
    pub title: &'static str,
    /// What is wrong this time, and what to do.
    pub detail: String,
    /// Headers beside the media type.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Where the caller of a Hasura action reads it, who knows a message and a code: the code.
    pub code: Option<String>,
}

/// A code as Hasura reads it.
#[derive(Serialize)]
struct Extensions<'a> {
    code: &'a str,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extensions: Option<Extensions<'a>>,
}

impl Problem {
    /// A problem of that status.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self { status, title, detail: detail.into(), headers: Vec::new(), code: None }
    }

    /// The same problem with a header.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same problem, as Hasura reads it, too: with `message` and `extensions.code`.
    #[must_use]
    pub fn for_action(self, code: impl Into<String>) -> Self {
        Self { code: Some(code.into()), ..self }
    }

    /// The document.
    pub fn to_json(&self) -> Vec<u8> {
        let code = self.code.as_deref();
        let document = Document {
            kind: "about:blank",
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            message: code.map(|_| self.detail.as_str()),
            extensions: code.map(|code| Extensions { code }),
        };
        serde_json::to_vec(&document).expect("invariant: a problem is plain text and a number")
    }

    /// The response, whatever the type of its body.
    pub fn into_http<B: From<Vec<u8>>>(self) -> Response<B> {
        let mut response = Response::new(B::from(self.to_json()));
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        response.headers_mut().insert(header::CONTENT_TYPE, CONTENT_TYPE);
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        self.into_http()
    }
}

/// The answer to every other method where something is only read. For `method_not_allowed_fallback`.
pub async fn read_only() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this is only read; use GET")
        .with(header::ALLOW, HeaderValue::from_static("GET,HEAD"))
}

/// How much of a refusal in plain text is passed on, in bytes.
const SHOWN: usize = 4096;

/// Makes of each answer one of this API: nobody may keep it, and a refusal is a problem document, also where a library
/// refused in plain text (a path that is no UTF-8). For [`axum::middleware::map_response`].
pub async fn answered(response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    parts.headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let is_refusal = parts.status.is_client_error() || parts.status.is_server_error();
    let is_structured = parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| {
        let kind = kind.as_bytes();
        kind == CONTENT_TYPE.as_bytes() || kind == b"application/json"
    });
    if !is_refusal || is_structured {
        return Response::from_parts(parts, body);
    }
    let text = axum::body::to_bytes(body, SHOWN).await.unwrap_or_default();
    let problem = match parts.status {
        status if !text.is_empty() => Problem::new(status, String::from_utf8_lossy(&text)),
        status => Problem::new(status, "the request was refused, and nothing more is known of why"),
    };
    let mut response: Response<Body> = problem.into_http();
    parts.headers.remove(header::CONTENT_TYPE);
    parts.headers.remove(header::CONTENT_LENGTH);
    response.headers_mut().extend(parts.headers);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_what_is_wrong() {
        let problem = Problem::new(StatusCode::NOT_FOUND, "there is no \"x\"")
            .with(header::ALLOW, HeaderValue::from_static("GET"));
        insta::assert_snapshot!(
            String::from_utf8_lossy(&problem.to_json()),
            @r#"{"type":"about:blank","title":"Not Found","status":404,"detail":"there is no \"x\""}"#
        );
        let response = problem.into_response();
        assert_eq!((response.status().as_u16(), &response.headers()["content-type"]), (404, &CONTENT_TYPE));
        assert_eq!(response.headers()["allow"], "GET");
    }

    #[tokio::test]
    async fn a_refusal_in_plain_text_becomes_a_document() {
        let plain = (StatusCode::BAD_REQUEST, [(header::ALLOW, "GET")], "Invalid `UTF-8`").into_response();
        let response = answered(plain).await;
        assert_eq!((response.status().as_u16(), &response.headers()["content-type"]), (400, &CONTENT_TYPE));
        assert!(response.headers()["allow"] == "GET" && response.headers()["cache-control"] == "no-store");
        let body = axum::body::to_bytes(response.into_body(), SHOWN).await.expect("a body");
        assert!(String::from_utf8_lossy(&body).contains(r#""detail":"Invalid `UTF-8`""#), "{body:?}");
        let silent = answered(StatusCode::BAD_REQUEST.into_response()).await;
        let body = axum::body::to_bytes(silent.into_body(), SHOWN).await.expect("a body");
        assert!(!String::from_utf8_lossy(&body).contains(r#""detail":"""#), "{body:?}");
        let fine = answered("alive".into_response()).await;
        assert_eq!(fine.headers()["cache-control"], "no-store");
        assert!(fine.headers()["content-type"].as_bytes().starts_with(b"text/plain"));
    }
}
