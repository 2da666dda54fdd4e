//! A target of `http` jobs, which a test answers itself, request by request.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};

use crate::PATIENCE;

type Requests = mpsc::UnboundedSender<Received>;

/// A target that listens on a port of its own.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    requests: mpsc::UnboundedReceiver<Received>,
    task: JoinHandle<()>,
    /// How long a request is waited for.
    patience: Duration,
}

/// A request, until it is answered. Dropping it closes its connection.
#[derive(Debug)]
pub struct Received {
    /// The request line and the headers.
    pub head: String,
    pub body: String,
    stream: TcpStream,
    requests: Requests,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    /// A target that waits to be answered for.
    pub async fn start() -> Self {
        Self::waiting(PATIENCE).await
    }

    /// The same, that waits for requests as long as a test lasts.
    pub async fn endless() -> Self {
        Self::waiting(Duration::from_secs(3600)).await
    }

    async fn waiting(patience: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (sender, requests) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(read(stream, sender.clone()));
            }
        });
        Self { address, requests, task, patience }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Where it listens.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The next request.
    pub async fn next(&mut self) -> Received {
        let next = timeout(self.patience, self.requests.recv()).await;
        next.expect("a request did not come").expect("invariant: the listener has a sender")
    }
}

impl Received {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    /// Answers with a status alone, if who asked is still there.
    pub async fn try_answer(self, status: &str) {
        let Self { mut stream, requests, .. } = self;
        let text = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        if stream.write_all(text.as_bytes()).await.is_ok() {
            tokio::spawn(read(stream, requests));
        }
    }

    /// Answers with a status line, headers (each with its line's end) and a body, and goes on with the connection.
    pub async fn answer(self, status: &str, headers: &str, body: &str) {
        let Self { mut stream, requests, .. } = self;
        let text = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len());
        stream.write_all(text.as_bytes()).await.expect("the answer is taken");
        tokio::spawn(read(stream, requests));
    }
}

/// Reads the next request of a connection; what is none ends it.
async fn read(mut stream: TcpStream, requests: Requests) {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if !matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
            return;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut request = Received { head, body: String::new(), stream, requests: requests.clone() };
    let length = request.header("content-length").and_then(|length| length.parse::<usize>().ok()).unwrap_or(0);
    while bytes.len() < end + 4 + length {
        if !matches!(request.stream.read_buf(&mut bytes).await, Ok(1..)) {
            return;
        }
    }
    request.body = String::from_utf8_lossy(&bytes[end + 4..]).into_owned();
    // A test that has ended asks for no more.
    let _ = requests.send(request);
}
