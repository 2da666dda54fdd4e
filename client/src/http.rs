//! The HTTP client of the tools: plain HTTP/1.1, a connection per request, nothing kept in between.
//!
//! Deliberately small, since everything that speaks HTTP is already in the binary: no TLS (a proxy or a port-forward in
//! front of a remote Herald has it), no redirects, no cookies, no pool.

use std::{fmt, io, str::FromStr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    HeaderMap, Method, Request, StatusCode, Uri,
    body::{Body as _, Incoming},
    client::conn::http1,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use crate::sse;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);
/// A body beyond this is none that a Herald takes, in bytes.
const LARGE: u64 = 4 * 1024 * 1024;
/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 256 * 1024 * 1024;

/// Where a Herald listens: `http://host:port`, with a path in front of everything where a proxy wants one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// `host:port`, as it is dialled.
    pub address: String,
    authority: String,
    prefix: String,
}

impl Base {
    /// `host[:port]` as it was given, for the header `host`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// What stands before every path; empty, or `/…` without a slash at the end.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The same without that end of the prefix, if it has it.
    pub fn without(mut self, end: &str) -> Self {
        if let Some(before) = self.prefix.strip_suffix(end) {
            self.prefix = before.to_owned();
        }
        self
    }
}

impl FromStr for Base {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("the URL is empty; unset the variable, or set it to one as in http://127.0.0.1:8081".to_owned());
        }
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: Uri = with_scheme.parse().map_err(|error| format!("`{text}` is no URL: {error}"))?;
        if uri.scheme_str() == Some("https") {
            return Err(
                "this client speaks plain HTTP only; reach a Herald behind TLS through a port-forward or a local \
                        proxy that does TLS, and give its http:// URL"
                    .to_owned(),
            );
        }
        let authority = uri.authority().filter(|a| uri.scheme_str() == Some("http") && !a.host().is_empty());
        let Some(authority) = authority else { return Err(format!("`{text}` is no http:// URL")) };
        if authority.as_str().contains('@') {
            return Err("a URL with a password ends up in logs; use --token or --secret".to_owned());
        }
        if uri.query().is_some() {
            return Err(format!("`{text}` has a query; give only scheme, host and port"));
        }
        let port =
            match authority.as_str()[authority.host().len()..].strip_prefix(':') {
                None => 80_u16,
                Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or_else(|| {
                    format!("`{text}` has the port `{port}`; a port is a number from 1 to {}", u16::MAX)
                })?,
            };
        Ok(Self {
            address: format!("{}:{port}", authority.host()),
            authority: authority.as_str().to_owned(),
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.prefix)
    }
}

/// Why a request has no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection.
    #[error("cannot reach {base}: {reason}; is `{} dev` running?", crate::print::command())]
    Unreachable {
        /// Whom.
        base: String,
        reason: String,
    },
    /// The connection broke in the middle.
    #[error("the connection to {base} broke off: {reason}")]
    Broken {
        /// With whom.
        base: String,
        reason: String,
    },
    /// An answer that is not 2xx.
    #[error("{base} answered {status}: {detail}")]
    Refused {
        base: String,
        /// The HTTP status.
        status: u16,
        /// What it says.
        detail: String,
    },
    /// A 2xx whose body is not what Herald answers.
    #[error("{base} answered something that is not Herald's: {reason}")]
    Unexpected {
        base: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// Whether nobody could answer, rather than that the answer was no.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } => true,
            Self::Refused { status, .. } => matches!(status, 502..=504),
            Self::Unexpected { .. } => false,
        }
    }

    /// The HTTP status of a refusal.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// A request under construction.
#[derive(Debug)]
pub struct Call<'a> {
    base: &'a Base,
    request: Request<Full<Bytes>>,
}

impl<'a> Call<'a> {
    /// `GET` of a path, which begins with `/` and may have a query.
    pub fn get(base: &'a Base, path: &str) -> Self {
        Self::new(base, Method::GET, path, Bytes::new())
    }

    /// `POST` of a JSON body.
    pub fn post(base: &'a Base, path: &str, json: impl Into<Bytes>) -> Self {
        let mut call = Self::new(base, Method::POST, path, json.into());
        call.request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        call
    }

    fn new(base: &'a Base, method: Method, path: &str, body: Bytes) -> Self {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = format!("{}{path}", base.prefix).parse().expect("invariant: callers encode their paths");
        let host = HeaderValue::from_str(&base.authority).expect("invariant: an authority is printable ASCII");
        request.headers_mut().insert(HOST, host);
        Self { base, request }
    }

    /// Adds a header, if there is a value for it.
    ///
    /// # Errors
    /// The value has characters that no header can carry.
    pub fn header(mut self, name: &'static str, value: Option<&str>) -> Result<Self, crate::exit::Usage> {
        if let Some(value) = value {
            let mut value = HeaderValue::from_str(value)
                .map_err(|_| crate::exit::Usage(format!("the value for `{name}` cannot stand in an HTTP header")))?;
            value.set_sensitive(name == AUTHORIZATION.as_str());
            self.request.headers_mut().insert(HeaderName::from_static(name), value);
        }
        Ok(self)
    }

    /// Adds the API's token, if there is one.
    ///
    /// # Errors
    /// The token has characters that no header can carry.
    pub fn token(self, token: Option<&str>) -> Result<Self, crate::exit::Usage> {
        self.header(AUTHORIZATION.as_str(), token.map(|token| format!("Bearer {token}")).as_deref())
    }

    /// Sends it and reads the whole answer.
    ///
    /// # Errors
    /// See [`Error`]; any status that is not 2xx is one.
    pub async fn answer(self) -> Result<Bytes, Error> {
        let base = self.base;
        let response = self.send().await?;
        read(base, response).await
    }

    /// Sends it and reads the whole answer, with its headers.
    ///
    /// # Errors
    /// See [`Error`]; any status that is not 2xx is one.
    pub async fn whole(self) -> Result<(HeaderMap, Bytes), Error> {
        let base = self.base;
        let mut response = self.send().await?;
        let headers = std::mem::take(response.headers_mut());
        Ok((headers, read(base, response).await?))
    }

    /// Sends it and reads the answer as a live stream.
    ///
    /// # Errors
    /// See [`Error`]; any status that is not 2xx is one.
    pub async fn stream(mut self) -> Result<Stream, Error> {
        self.request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        let base = self.base;
        let response = self.send().await?;
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.starts_with("text/event-stream") {
            let reason = format!("a live stream was asked for, and `{kind}` came");
            return Err(Error::Unexpected { base: base.to_string(), reason });
        }
        Ok(Stream { base: base.clone(), body: response.into_body(), parser: sse::Parser::default(), ready: Vec::new() })
    }

    async fn send(self) -> Result<hyper::Response<Incoming>, Error> {
        let Self { base, request } = self;
        let unreachable = |reason| Error::Unreachable { base: base.to_string(), reason };
        let connection = match timeout(CONNECT, TcpStream::connect(&base.address)).await {
            Ok(connected) => connected.map_err(|error| unreachable(io_reason(&error)))?,
            Err(_) => return Err(unreachable(format!("no connection within {} s", CONNECT.as_secs()))),
        };
        let (mut sender, driver) =
            http1::handshake(TokioIo::new(connection)).await.map_err(|error| unreachable(reason(&error)))?;
        // Ends with the connection; what broke it is told to whoever waits for the answer.
        drop(tokio::spawn(driver));
        let length = request.body().size_hint().exact().unwrap_or_default();
        let response = sender.send_request(request).await.map_err(|error| unfinished(base, &error, length))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = read(base, response).await.unwrap_or_default();
        Err(Error::Refused { base: base.to_string(), status: status.as_u16(), detail: explain(status, &body) })
    }
}

async fn read(base: &Base, response: hyper::Response<Incoming>) -> Result<Bytes, Error> {
    match Limited::new(response.into_body(), MAX_ANSWER).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => Err(Error::Broken { base: base.to_string(), reason: error.to_string() }),
    }
}

fn broken(base: &Base, error: &hyper::Error) -> Error {
    Error::Broken { base: base.to_string(), reason: reason(error) }
}

/// That no answer came. Whoever refuses a body at once, and reads no more of it, may be gone before its answer is read.
fn unfinished(base: &Base, error: &hyper::Error, length: u64) -> Error {
    let reason = match length > LARGE {
        true => format!(
            "{} after a part of {length} bytes, which are more than a webhook takes (`ingest.max-body`, 4MiB at most)",
            reason(error)
        ),
        false => reason(error),
    };
    Error::Broken { base: base.to_string(), reason }
}

/// The innermost cause, which is what says something.
fn reason(error: &hyper::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.downcast_ref::<io::Error>().map_or_else(|| cause.to_string(), io_reason)
}

fn io_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset | io::ErrorKind::TimedOut => {
            error.kind().to_string()
        }
        _ => error.to_string(),
    }
}

/// What a refusal says: the detail of problem+json, else the text, else the status.
fn explain(status: StatusCode, body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Problem {
        title: Option<String>,
        detail: Option<String>,
    }
    let said = match serde_json::from_slice::<Problem>(body) {
        Ok(Problem { detail: Some(detail), .. }) => detail,
        Ok(Problem { title: Some(title), .. }) => title,
        _ => page(body).unwrap_or_else(|| String::from_utf8_lossy(body).into_owned()),
    };
    let said = crate::print::cut(&crate::print::clean(&said), 1000);
    match status {
        StatusCode::UNAUTHORIZED => {
            format!(
                "{} (the API's token: --token or HERALD_API_TOKEN; the webhook's secret: --secret or HERALD_SECRET)",
                or_status(said, status)
            )
        }
        _ => or_status(said, status),
    }
}

/// What a page says that a proxy or another server sent: its title.
fn page(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if !text.starts_with('<') {
        return None;
    }
    let title = text.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
    let title = title.map(|(title, _)| format!(", `{}`", title.trim())).unwrap_or_default();
    Some(format!("a page of HTML{title}, which is not Herald's: is that its address, and what stands before it?"))
}

fn or_status(said: String, status: StatusCode) -> String {
    if said.is_empty() { status.canonical_reason().unwrap_or("nothing more").to_lowercase() } else { said }
}

/// A live stream of events.
#[derive(Debug)]
pub struct Stream {
    base: Base,
    body: Incoming,
    parser: sse::Parser,
    /// Events that have arrived, the next one last.
    ready: Vec<sse::Event>,
}

impl Stream {
    /// The next event; `None` when the stream has ended.
    ///
    /// # Errors
    /// [`Error::Broken`], and [`Error::Unexpected`] for an event beyond all bounds.
    pub async fn next(&mut self) -> Result<Option<sse::Event>, Error> {
        loop {
            if let Some(event) = self.ready.pop() {
                return Ok(Some(event));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            let frame = frame.map_err(|error| broken(&self.base, &error))?;
            let Some(piece) = frame.data_ref() else { continue };
            self.parser
                .push(piece, |event| self.ready.push(event))
                .map_err(|error| Error::Unexpected { base: self.base.to_string(), reason: error.to_string() })?;
            self.ready.reverse();
        }
    }
}

/// A text as one segment of a path or one value of a query: everything but letters, digits and `-._~` is encoded.
pub fn encode(text: &str) -> String {
    use fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("invariant: a String takes everything");
        }
        out
    })
}

#[cfg(test)]
mod tests;
