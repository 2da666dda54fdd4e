//! A running ingest on a bus, and a client that says exactly what it means.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bus::{
    Bus, Offset, Record, TopicPartition, TopicSpec,
    hostile::{Hostile, Manners},
};
use catalog::Catalog;
use contracts::{outcomes::Outcomes, raw::RawHeaders, rejected::Rejected, topics};
use ingest::{Catalogs, Config, Deps, Service};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Ingest {
    pub(crate) address: SocketAddr,
    pub(crate) bus: Arc<Hostile>,
    pub(crate) counters: Arc<ingest::Counters>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) running: JoinHandle<Result<(), ingest::Error>>,
}

/// A catalog that never changes.
struct Fixed(Option<Arc<Catalog>>);

impl Catalogs for Fixed {
    fn current(&self) -> Option<Arc<Catalog>> {
        self.0.clone()
    }
}

/// A bus of one partition that behaves.
pub(crate) async fn bus() -> Arc<Hostile> {
    let bus = Hostile::with(1, 1, Manners::MILD);
    bus.create(vec![TopicSpec::new(topics::RAW), TopicSpec::new(topics::REJECTED)]).await.expect("topics");
    Arc::new(bus)
}

impl Ingest {
    pub(crate) async fn start(config: Config) -> Self {
        let bus = bus().await;
        Self::with(config, bus.clone(), bus, None).await
    }

    /// `to` is where it publishes, which a test may have put in front of `bus`.
    pub(crate) async fn with(
        config: Config,
        bus: Arc<Hostile>,
        to: Arc<dyn Bus>,
        outcomes: Option<Arc<dyn Outcomes>>,
    ) -> Self {
        Self::answering(Some(Catalog::default()), config, bus, to, outcomes).await
    }

    /// Actions are answered by that catalog.
    pub(crate) async fn answering(
        catalog: Option<Catalog>,
        config: Config,
        bus: Arc<Hostile>,
        to: Arc<dyn Bus>,
        outcomes: Option<Arc<dyn Outcomes>>,
    ) -> Self {
        let deps = Deps { bus: to, outcomes, catalogs: Arc::new(Fixed(catalog.map(Arc::new))) };
        let mut service = Service::new(config, deps).expect("settings");
        let address = service.bind().await.expect("bound");
        let (counters, shutdown) = (service.counters(), CancellationToken::new());
        let running = tokio::spawn(service.run(shutdown.clone()));
        Self { address, bus, counters, shutdown, running }
    }

    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
        send(self.address, &request("POST", path, headers, body.as_bytes())).await
    }

    pub(crate) async fn records(&self, topic: &'static str) -> Vec<Record> {
        self.bus.read(&TopicPartition::new(topic, 0), Offset::ZERO, usize::MAX).await.expect("read")
    }

    pub(crate) async fn raw(&self) -> Vec<(RawHeaders, Record)> {
        let records = self.records(topics::RAW).await;
        records.into_iter().map(|r| (RawHeaders::decode(&r.headers).expect("raw headers"), r)).collect()
    }

    /// Waits until so many refusals are recorded.
    pub(crate) async fn rejected(&self, count: usize) -> Vec<Rejected> {
        let at = TopicPartition::new(topics::REJECTED, 0);
        let waiting = async {
            loop {
                let records = self.records(topics::REJECTED).await;
                if records.len() >= count {
                    return records;
                }
                let from = records.last().map_or(Offset::ZERO, |last| last.offset.next());
                self.bus.changed(&at, from).await.expect("watched");
            }
        };
        let records = tokio::time::timeout(PATIENCE, waiting).await.expect("refusals are recorded");
        records.iter().map(|r| serde_json::from_slice(r.value()).expect("a rejection")).collect()
    }

    /// Stops it, and expects that it ends well.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.running).await.expect("in time").expect("no panic").expect("no error");
    }
}

pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut out = format!("{method} {path} HTTP/1.1\r\nhost: herald\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    out.push_str("\r\n");
    let mut out = out.into_bytes();
    out.extend_from_slice(body);
    out
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// Sends bytes over a connection of their own, and reads one response.
pub(crate) async fn send(address: SocketAddr, bytes: &[u8]) -> Response {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    // What is refused unread may be cut before all of it is sent.
    let _ = stream.write_all(bytes).await;
    receive(&mut stream).await
}

/// Reads one response.
pub(crate) async fn receive(stream: &mut TcpStream) -> Response {
    tokio::time::timeout(PATIENCE, read_response(stream)).await.expect("a response in time")
}

async fn read_response(stream: &mut TcpStream) -> Response {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        assert!(stream.read_buf(&mut bytes).await.expect("read") > 0, "no response: {bytes:?}");
    };
    let head = String::from_utf8(bytes[..end].to_vec()).expect("text");
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|s| s.parse().ok()).expect("a status");
    let headers: Vec<_> =
        lines.filter_map(|l| l.split_once(": ")).map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned())).collect();
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, v)| v.parse().expect("length"));
    let mut body = bytes.split_off(end + 4);
    while body.len() < length {
        assert!(stream.read_buf(&mut body).await.expect("read") > 0, "the body ended early");
    }
    Response { status, headers, body: String::from_utf8(body).expect("text") }
}

/// Whether the other side has closed the connection.
pub(crate) async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut byte)).await.expect("closed in time");
    matches!(read, Ok(0) | Err(_))
}

pub(crate) const INSERT: &str = r#"{"id":"e1","table":{"schema":"public","name":"moves"},
    "event":{"op":"INSERT","data":{"old":null,"new":{"id":7}}}}"#;
