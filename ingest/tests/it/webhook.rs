//! Every answer of the webhook, over a real listener and a bus.

use std::sync::atomic::Ordering;

use crate::support::{INSERT, Ingest, PATIENCE, is_closed, receive, request, send};
use contracts::{
    ids::{CorrelationId, InvocationId},
    raw::Kind,
};
use ingest::Config;
use runtime::config::{self, Auth, Secret, Secrets, Size};
use tokio::{io::AsyncWriteExt, net::TcpStream};

fn with_secrets() -> Config {
    let mut config = Config::default();
    let secrets = ["old-secret", "new-secret"].into_iter().filter_map(Secret::new).collect();
    config.listen.auth = Auth::Secrets(Secrets::new(secrets).expect("secrets"));
    config
}

#[tokio::test]
async fn a_webhook_is_durable_byte_for_byte_and_answered_with_its_ids() {
    let ingest = Ingest::start(Config::default()).await;
    let answer = ingest.post("/hasura/shop", &[("content-type", "application/json")], INSERT).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let raw = ingest.raw().await;
    let [(headers, record)] = &raw[..] else { panic!("{raw:?}") };
    assert_eq!(record.value(), INSERT.as_bytes());
    assert_eq!(record.key.as_deref(), Some(&b"shop|public.moves|7"[..]));
    assert_eq!((headers.kind, headers.source.as_str(), headers.depth), (Kind::Hasura, "shop", 0));
    assert_eq!(headers.invocation, InvocationId::derived("shop", "e1"));
    assert_eq!(headers.received.subsec_nanosecond() % 1000, 0);
    let expected = |offset: u64| {
        serde_json::json!({
            "correlationId": CorrelationId::derived("shop", "e1"), "invocationId": headers.invocation,
            "raw": format!("{}/{offset}", record.partition.0),
        })
    };
    assert_eq!(answer.json(), expected(0));
    let again = ingest.post("/hasura/shop", &[], INSERT).await;
    assert_eq!(again.json(), expected(1), "the same ids, and a record of its own");
    assert_eq!(ingest.counters.accepted.load(Ordering::Relaxed), 2);
    ingest.stop().await;
}

#[tokio::test]
async fn each_body_that_hasura_sends_is_taken() {
    let ingest = Ingest::start(Config::default()).await;
    let cron = r#"{"scheduled_time":"2026-01-01T00:00:00Z","name":"nightly","id":"s1","payload":{}}"#;
    let wrapped = format!(r#"{{"headers":[],"payload":{INSERT},"version":"2"}}"#);
    let marked = format!("\u{feff}{INSERT}");
    for body in [INSERT, cron, &wrapped, &marked] {
        assert_eq!(ingest.post("/hasura", &[], body).await.status, 200, "{body}");
    }
    let raw = ingest.raw().await;
    let kinds: Vec<_> = raw.iter().map(|(headers, _)| headers.kind).collect();
    assert_eq!(kinds, [Kind::Hasura, Kind::Scheduled, Kind::Hasura, Kind::Hasura]);
    assert_eq!(raw[3].1.value(), marked.as_bytes());
    ingest.stop().await;
}

#[tokio::test]
async fn a_missing_and_a_wrong_secret_get_the_same_answer_and_a_closed_connection() {
    let ingest = Ingest::start(with_secrets()).await;
    let mut answers = Vec::new();
    for headers in [&[][..], &[("x-herald-secret", "wrong")], &[("x-herald-secret", "old-secre")]] {
        let mut stream = TcpStream::connect(ingest.address).await.expect("connected");
        // The body never comes, and is not waited for.
        let head = request("POST", "/hasura", headers, b"");
        let head = String::from_utf8(head).expect("text").replace("content-length: 0", "content-length: 1000");
        stream.write_all(head.as_bytes()).await.expect("sent");
        let answer = receive(&mut stream).await;
        assert_eq!((answer.status, answer.header("content-type")), (401, Some("application/problem+json")));
        assert!(is_closed(&mut stream).await);
        answers.push(answer.body);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    for secret in ["old-secret", "new-secret"] {
        assert_eq!(ingest.post("/hasura", &[("x-herald-secret", secret)], INSERT).await.status, 200);
    }
    assert_eq!(ingest.post("/elsewhere", &[], INSERT).await.status, 401);
    assert_eq!(ingest.raw().await.len(), 2);
    ingest.stop().await;
}

#[tokio::test]
async fn what_can_never_be_taken_is_refused_without_retry_after() {
    let ingest = Ingest::start(Config::default()).await;
    for (method, path, headers, body, status, part) in [
        ("GET", "/hasura", &[][..], "", 405, "POST"),
        ("PUT", "/hasura", &[], INSERT, 405, "POST"),
        ("POST", "/", &[], INSERT, 404, "/hasura/{source}"),
        ("POST", "/hasura/a%20b", &[], INSERT, 404, "/hasura/{source}"),
        ("POST", "/hasura", &[("content-type", "text/plain")], INSERT, 415, "application/json"),
        ("POST", "/hasura", &[("content-type", "application/json; charset=latin-1")], INSERT, 415, "UTF-8"),
        ("POST", "/hasura", &[("content-encoding", "gzip")], INSERT, 415, "compressed"),
        ("POST", "/hasura", &[], "", 400, "not JSON"),
        ("POST", "/hasura", &[], "{\n x}", 400, "line 2"),
        ("POST", "/hasura", &[], "{}", 400, "none of `event`"),
        ("POST", "/hasura", &[], r#"{"action":{"name":"x"}}"#, 400, "no event of the catalog is about the action `x`"),
        ("POST", "/hasura", &[], r#"{"event":{"op":"INSERT","data":{}}}"#, 400, "`table` is missing"),
        ("POST", "/hasura?wait=soon", &[], INSERT, 400, "`soon`"),
        ("POST", "/hasura?wait=-1", &[], INSERT, 400, "`-1`"),
        ("POST", "/hasura?wait=30s", &[], INSERT, 501, "cannot wait"),
        ("POST", "/hasura", &[("prefer", "wait=30")], INSERT, 501, "cannot wait"),
    ] {
        let answer = send(ingest.address, &request(method, path, headers, body.as_bytes())).await;
        let what = format!("{method} {path} {headers:?} {body}: {answer:?}");
        assert_eq!(answer.status, status, "{what}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
        assert!(answer.body.contains(part), "{what}");
        assert_eq!(answer.header("retry-after"), None, "{what}");
        assert_eq!(answer.header("allow"), (status == 405).then_some("POST"), "{what}");
    }
    assert!(ingest.raw().await.is_empty());
    ingest.stop().await;
}

#[tokio::test]
async fn what_is_refused_for_its_content_is_recorded_and_malformed_json_is_not() {
    let config = Config { max_body: Size(200), ..Config::default() };
    let ingest = Ingest::start(config).await;
    assert_eq!(ingest.post("/hasura", &[], "{").await.status, 400);
    assert_eq!(ingest.post("/hasura/a", &[], r#"{"action":{}}"#).await.status, 400);
    assert_eq!(ingest.post("/hasura/b", &[], r#"{"event":{}}"#).await.status, 400);
    assert_eq!(ingest.post("/hasura/c", &[], "[1]").await.status, 400);
    assert_eq!(ingest.post("/hasura/d", &[], &"x".repeat(201)).await.status, 413);
    let rejected = ingest.rejected(4).await;
    let told: Vec<_> = rejected.iter().map(|r| (r.source.as_str(), r.reason.as_str(), r.size)).collect();
    assert_eq!(
        told,
        [
            ("a", "action", Some(13)),
            ("b", "incomplete", Some(12)),
            ("c", "unknown-body", Some(3)),
            ("d", "too-large", Some(201))
        ]
    );
    // `printf '[1]' | sha256sum`
    let hash = "080a9ed428559ef602668b4c00f114f1a11c3f6b02a435f0bdc154578e4d7f22";
    assert_eq!(rejected[2].sha256.as_deref(), Some(hash));
    assert_eq!(rejected[3].sha256, None, "it was refused unread");
    assert!(rejected.iter().all(|r| r.stage == "ingest" && !r.detail.is_empty()));
    ingest.stop().await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_unread_or_where_it_becomes_too_large() {
    let config = Config { max_body: Size(1000), ..Config::default() };
    let ingest = Ingest::start(config).await;
    let mut stream = TcpStream::connect(ingest.address).await.expect("connected");
    stream.write_all(b"POST /hasura HTTP/1.1\r\nhost: h\r\ncontent-length: 5000000\r\n\r\n").await.expect("sent");
    assert_eq!(receive(&mut stream).await.status, 413);
    let mut stream = TcpStream::connect(ingest.address).await.expect("connected");
    let head = b"POST /hasura HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head).await.expect("sent");
    for _ in 0..3 {
        stream.write_all(format!("190\r\n{}\r\n", "x".repeat(400)).as_bytes()).await.expect("sent");
    }
    assert_eq!(receive(&mut stream).await.status, 413);
    let rejected = ingest.rejected(2).await;
    assert_eq!((rejected[0].size, rejected[0].sha256.is_some()), (Some(5_000_000), false));
    assert_eq!((rejected[1].size, rejected[1].sha256.is_some()), (None, true));
    ingest.stop().await;
}

#[tokio::test]
async fn a_body_in_pieces_is_put_together() {
    let ingest = Ingest::start(Config::default()).await;
    let mut stream = TcpStream::connect(ingest.address).await.expect("connected");
    let head = b"POST /hasura HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head).await.expect("sent");
    for piece in INSERT.as_bytes().chunks(17) {
        stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await.expect("sent");
        stream.write_all(piece).await.expect("sent");
        stream.write_all(b"\r\n").await.expect("sent");
        stream.flush().await.expect("sent");
    }
    stream.write_all(b"0\r\n\r\n").await.expect("sent");
    assert_eq!(receive(&mut stream).await.status, 200);
    assert_eq!(ingest.raw().await[0].1.value(), INSERT.as_bytes());
    // The connection goes on.
    stream.write_all(&request("POST", "/hasura", &[], INSERT.as_bytes())).await.expect("sent");
    assert_eq!(receive(&mut stream).await.status, 200);
    ingest.stop().await;
}

#[tokio::test]
async fn slow_clients_are_cut() {
    let mut config = Config::default();
    config.body_timeout = config::Duration::millis(50);
    config.listen.header_timeout = config::Duration::millis(500);
    let ingest = Ingest::start(config).await;
    let mut slow_body = TcpStream::connect(ingest.address).await.expect("connected");
    slow_body.write_all(b"POST /hasura HTTP/1.1\r\nhost: h\r\ncontent-length: 50\r\n\r\n{").await.expect("sent");
    assert_eq!(receive(&mut slow_body).await.status, 408);
    assert!(is_closed(&mut slow_body).await);
    let mut slow_head = TcpStream::connect(ingest.address).await.expect("connected");
    slow_head.write_all(b"POST /hasura HTTP/1.1\r\nhost").await.expect("sent");
    assert!(is_closed(&mut slow_head).await);
    ingest.stop().await;
}

#[tokio::test]
async fn a_stop_lets_a_request_under_way_finish() {
    let ingest = Ingest::start(Config::default()).await;
    let mut stream = TcpStream::connect(ingest.address).await.expect("connected");
    let whole = request("POST", "/hasura", &[("expect", "100-continue")], INSERT.as_bytes());
    let head = whole.len() - INSERT.len();
    stream.write_all(&whole[..head]).await.expect("sent");
    // It has begun once it asks for the body.
    assert_eq!(receive(&mut stream).await.status, 100);
    ingest.shutdown.cancel();
    stream.write_all(&whole[head..]).await.expect("sent");
    assert_eq!(receive(&mut stream).await.status, 200);
    assert!(is_closed(&mut stream).await);
    let ended = tokio::time::timeout(PATIENCE, ingest.running).await;
    ended.expect("in time").expect("no panic").expect("no error");
}

#[tokio::test]
async fn it_takes_requests_after_the_start() {
    let ingest = Ingest::start(Config::default()).await;
    assert_eq!(ingest.post("/hasura", &[], INSERT).await.status, 200);
    ingest.stop().await;
}
