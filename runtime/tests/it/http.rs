//! Listening: who may, how it ends, and what is served about the process itself.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use runtime::{
    auth,
    config::{self, Auth, Secret, Secrets},
    health::Health,
    listener::{Bound, Listen, ListenError},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);

struct Server {
    address: SocketAddr,
    shutdown: CancellationToken,
    running: JoinHandle<()>,
}

async fn serve(listen: Listen, router: Router) -> Server {
    let bound = Bound::bind("test.listen", "--listen", &listen).await.expect("bound");
    let (address, shutdown) = (bound.address(), CancellationToken::new());
    let running = tokio::spawn(bound.serve(router, shutdown.clone()));
    Server { address, shutdown, running }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("connected")
    }

    async fn get(&self, path: &str, headers: &str) -> String {
        let mut stream = self.connect().await;
        let request = format!("GET {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        rest(&mut stream).await
    }

    async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.running).await.expect("in time").expect("no panic");
    }
}

/// Everything until the connection ends.
async fn rest(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    // A connection that is cut has told all it will.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut text)).await.expect("an end");
    text
}

#[tokio::test]
async fn beyond_loopback_a_secret_or_a_spelt_out_none_is_wanted() {
    let listen =
        |address: &str, auth| Listen { address: address.parse().expect("an address"), auth, ..Listen::default() };
    let secret = || Auth::Secrets(Secrets::new(Secret::new("s").into_iter().collect()).expect("a secret"));
    for address in ["127.0.0.1:0", "127.9.9.9:0", "[::1]:0", "[::ffff:127.0.0.1]:0"] {
        assert!(listen(address, Auth::Unset).check("x").is_ok(), "{address}");
    }
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80", "[::ffff:192.0.2.1]:0"] {
        let error = listen(address, Auth::Unset).check("ingest.listen").expect_err(address).to_string();
        assert!(error.contains("`ingest.listen.auth` is not set") && error.contains("auth = \"none\""), "{error}");
        assert!(listen(address, Auth::None).check("x").is_ok() && listen(address, secret()).check("x").is_ok());
    }
}

#[tokio::test]
async fn an_address_in_use_is_named_with_its_setting() {
    let first = Bound::bind("a.listen", "--a", &Listen::default()).await.expect("bound");
    assert_ne!(first.address().port(), 0);
    let again = Listen { address: first.address(), ..Listen::default() };
    let error = Bound::bind("b.listen", "--b", &again).await.expect_err("in use");
    let other = SocketAddr::new(first.address().ip(), first.address().port().checked_add(2).unwrap_or(0));
    assert!(error.to_string().ends_with(&format!("stop what uses it, or choose another: --b {other}")), "{error}");
    assert!(matches!(error, ListenError::Bind { setting: "b.listen", address, .. } if address == first.address()));
}

#[tokio::test]
async fn an_address_of_another_machine_is_told_from_one_in_use() {
    let elsewhere =
        Listen { address: "192.0.2.1:8080".parse().expect("an address"), auth: Auth::None, ..Listen::default() };
    let error = Bound::bind("a.listen", "--a", &elsewhere).await.expect_err("not ours").to_string();
    assert!(error.ends_with("no address of this machine; choose one that is: --a 127.0.0.1:8080"), "{error}");
}

#[tokio::test]
async fn a_request_under_way_finishes_and_a_stuck_one_is_cut() {
    let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (telling, going) = (arrived.clone(), go.clone());
    let held = async move || {
        telling.notify_one();
        going.notified().await;
        "done"
    };
    let listen = Listen { drain_timeout: config::Duration::millis(500), ..Listen::default() };
    let server = serve(listen, Router::new().route("/held", get(held))).await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    for stream in [&mut first, &mut second] {
        stream.write_all(b"GET /held HTTP/1.1\r\nhost: h\r\n\r\n").await.expect("sent");
        arrived.notified().await;
    }
    server.shutdown.cancel();
    go.notify_one();
    let (first, second) = (rest(&mut first).await, rest(&mut second).await);
    let mut answers = [first, second];
    answers.sort();
    assert!(
        answers[0].is_empty() && answers[1].starts_with("HTTP/1.1 200") && answers[1].ends_with("done"),
        "{answers:?}"
    );
    server.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_slot() {
    let listen = Listen { max_connections: 1, ..Listen::default() };
    let server = serve(listen, Router::new().route("/", get(async || "hello"))).await;
    let mut first = server.connect().await;
    first.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await.expect("sent");
    let mut byte = [0];
    first.read_exact(&mut byte).await.expect("an answer");
    let mut second = server.connect().await;
    second.write_all(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await.expect("sent");
    let waiting = tokio::time::timeout(Duration::from_millis(50), second.read_exact(&mut byte)).await;
    assert!(waiting.is_err(), "it was served beyond the limit");
    drop(first);
    assert!(rest(&mut second).await.ends_with("hello"));
    server.stop().await;
}

#[tokio::test]
async fn only_a_token_opens_the_api() {
    let tokens = Secrets::new(Secret::new("token-1").into_iter().collect()).expect("a secret");
    let router = auth::bearer(Router::new().route("/", get(async || "hello")), &Auth::Secrets(tokens));
    let server = serve(Listen::default(), router).await;
    for headers in ["", "authorization: Bearer wrong\r\n", "authorization: Basic token-1\r\n"] {
        let answer = server.get("/", headers).await;
        assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("application/problem+json"), "{answer}");
    }
    assert!(server.get("/", "authorization: Bearer token-1\r\n").await.ends_with("hello"));
    server.stop().await;
}

#[tokio::test]
async fn a_process_is_ready_once_each_of_its_parts_is() {
    let health = Health::new();
    let (bus, ingest) = (health.register("bus"), health.register("ingest"));
    let server = serve(Listen::default(), health.router()).await;
    assert!(server.get("/healthz", "").await.starts_with("HTTP/1.1 200"));
    bus.ready();
    let answer = server.get("/readyz", "").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains(r#""reason":"it is starting""#), "{answer}");
    ingest.ready();
    let answer = server.get("/readyz", "").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains(r#"{"ready":true,"checks":[{"name":"bus","ready":true},{"name":"ingest","ready":true}]}"#));
    bus.not_ready("the disk is full");
    assert!(!health.is_ready() && server.get("/readyz", "").await.contains("the disk is full"));
    server.stop().await;
}

/// Asks again and again on one connection and reads nothing, until no more can be sent.
async fn ask_and_read_nothing(stream: &mut TcpStream, path: &str) {
    let asked = format!("GET {path} HTTP/1.1\r\nhost: h\r\n\r\n").repeat(1000);
    let sending = async { while stream.write_all(asked.as_bytes()).await.is_ok() {} };
    let _ = tokio::time::timeout(Duration::from_millis(500), sending).await;
}

#[tokio::test]
async fn who_reads_nothing_holds_no_connection() {
    let write_timeout = config::Duration::millis(100);
    let listen = Listen { max_connections: 2, write_timeout, ..Listen::default() };
    let answer = "x".repeat(100_000);
    let router = Router::new().route("/", get(async move || answer.clone())).merge(Health::new().router());
    let server = serve(listen, router).await;
    for path in ["/", "/healthz"] {
        let mut stalled = [server.connect().await, server.connect().await];
        for stream in &mut stalled {
            ask_and_read_nothing(stream, path).await;
        }
        assert!(server.get("/healthz", "").await.ends_with("alive\n"), "{path}");
        drop(stalled);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_refusal_reaches_who_sends_a_large_body_before_it_reads() {
    let refuse = async || axum::http::StatusCode::PAYLOAD_TOO_LARGE;
    let server = serve(Listen::default(), Router::new().route("/", axum::routing::post(refuse))).await;
    let body = vec![b'x'; 6_000_000];
    for _ in 0..5 {
        let mut stream = server.connect().await;
        let head = format!("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.expect("sent");
        stream.write_all(&body).await.expect("all of it is taken");
        assert!(rest(&mut stream).await.starts_with("HTTP/1.1 413"));
    }
    server.stop().await;
}

#[tokio::test]
async fn who_closes_its_side_after_the_request_is_answered() {
    let slowly = async || {
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        "done"
    };
    let server = serve(Listen::default(), Router::new().route("/", get(slowly))).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await.expect("sent");
    stream.shutdown().await.expect("closed on this side");
    assert!(rest(&mut stream).await.ends_with("done"));
    server.stop().await;
}
