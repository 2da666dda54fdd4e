//! A small plain HTTP/1.1 client: what Hasura, `curl` and a browser would send.

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

use anyhow::Context as _;
use bytes::Bytes;
use client::sse::{Event, Parser};
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

/// How long an answer may take: more than the longest wait that a test asks for.
const PATIENCE: Duration = Duration::from_secs(90);

/// A request under construction.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Request {
    /// Any method on a path, which may have a query.
    pub fn new(method: &str, path: impl Into<String>) -> Self {
        Self { method: method.to_owned(), path: path.into(), headers: Vec::new(), body: Bytes::new() }
    }

    /// `GET` of a path.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    /// `POST` of a body as `application/json`.
    pub fn post(path: impl Into<String>, body: impl Into<Bytes>) -> Self {
        let mut request = Self::new("POST", path).header("content-type", "application/json");
        request.body = body.into();
        request
    }

    /// Sets a header, instead of one of the same name.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(have, _)| have != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Leaves a header out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(have, _)| have != name);
        self
    }

    /// What it asks for, for the history.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn build(&self, address: SocketAddr) -> anyhow::Result<hyper::Request<Full<Bytes>>> {
        let mut request = hyper::Request::builder().method(self.method.as_str()).uri(&self.path);
        request = request.header("host", address.to_string());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(self.body.clone())).context("a request that cannot be written")
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body, which must be JSON of that shape.
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{} is not what was expected: {error}\n{}", self.status, self.text()))
    }

    /// A header's value; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The same answer, which must have that status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

/// A connection that is kept between requests, as a busy sender does.
#[derive(Debug)]
pub struct Connection {
    address: SocketAddr,
    sender: http1::SendRequest<Full<Bytes>>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the connection; what broke it is told to whoever waits for an answer.
        drop(tokio::spawn(driver));
        Ok(Self { address, sender })
    }

    /// Whom it is to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a request and reads its whole answer.
    ///
    /// # Errors
    /// The connection broke, or the answer does not come.
    pub async fn send(&mut self, request: &Request) -> anyhow::Result<Answer> {
        let answered = async {
            self.sender.ready().await?;
            let (head, body) = self.sender.send_request(request.build(self.address)?).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            anyhow::Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
        };
        tokio::time::timeout(PATIENCE, answered).await.with_context(|| format!("no answer to {}", request.line()))?
    }

    /// Sends a request and reads its answer as a live stream.
    ///
    /// # Errors
    /// The connection broke, or the answer is no stream.
    pub async fn stream(mut self, request: Request) -> anyhow::Result<Events> {
        let request = request.header("accept", "text/event-stream").build(self.address)?;
        let response = self.sender.send_request(request).await?;
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        anyhow::ensure!(kind.starts_with("text/event-stream"), "{} with `{kind}`", response.status());
        Ok(Events {
            body: response.into_body(),
            parser: Parser::default(),
            ready: VecDeque::new(),
            _sender: self.sender,
        })
    }
}

/// Sends one request on a connection of its own.
///
/// # Errors
/// Nobody listens, the connection broke, or the answer does not come.
pub async fn send(address: SocketAddr, request: &Request) -> anyhow::Result<Answer> {
    Connection::open(address).await?.send(request).await
}

/// A live stream of Server-Sent Events.
#[derive(Debug)]
pub struct Events {
    body: Incoming,
    parser: Parser,
    ready: VecDeque<Event>,
    _sender: http1::SendRequest<Full<Bytes>>,
}

impl Events {
    /// The next event; none when the stream has ended.
    ///
    /// # Errors
    /// The connection broke, or nothing comes.
    pub async fn next(&mut self) -> anyhow::Result<Option<Event>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await.context("a stream that is silent")?;
            let Some(frame) = frame else { return Ok(None) };
            if let Some(data) = frame?.data_ref() {
                self.parser.push(data, |event| self.ready.push_back(event))?;
            }
        }
    }
}
