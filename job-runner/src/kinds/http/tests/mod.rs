//! Calls to receivers on this machine, over real connections.

mod receiver;

use serde_json::json;

use self::receiver::{PEM, Receiver, Reply, answer, server};
use runtime::config::SecretPlace;

use super::*;
use crate::{
    kind::{MAX_RESULT, Then},
    steps::tests::event,
};

fn run_of(options: Value) -> Run {
    Run::new("job".parse().expect("a name"), event("move.new", 1), "{\"price\":1.10}".into(), options, 2)
}

fn kind(secrets: &[(&str, &std::path::Path)]) -> Http {
    let places = secrets.iter().map(|(name, path)| ((*name).to_owned(), SecretPlace::File((*path).to_owned())));
    Http::new(&Config { folder: PEM.into(), secrets: places.collect(), ..Config::default() })
}

async fn call(options: Value) -> Outcome {
    kind(&[]).run(run_of(options)).await
}

fn result(outcome: Outcome) -> String {
    outcome.expect("success").result.map_or_else(String::new, |result| result.get().to_owned())
}

fn failure(outcome: Outcome) -> Failure {
    outcome.expect_err("a failure")
}

/// The same answer to everything.
async fn always(reply: Reply) -> Receiver {
    Receiver::start(move |_, _| reply.clone()).await
}

#[tokio::test]
async fn the_event_is_posted_as_it_is_with_what_tells_the_run_from_others() {
    let receiver = always(answer("200 OK", "", "{\"invoice\": 7, \"total\": 1.10}")).await;
    let http = kind(&[]);
    let run = run_of(json!(receiver.url("/invoices?a=b")));
    let told = [run.id.to_string(), run.event.id.to_string(), run.token().to_string()];
    assert_eq!(result(http.run(run.clone()).await), r#"{"invoice": 7, "total": 1.10}"#);
    assert_eq!(result(http.run(Run { attempt: 3, ..run }).await), r#"{"invoice": 7, "total": 1.10}"#);
    let [first, second] = &receiver.seen()[..] else { panic!("{:?}", receiver.seen()) };
    assert!(first.head.starts_with("POST /invoices?a=b HTTP/1.1\r\n"), "{}", first.head);
    assert_eq!(first.header("host"), Some(receiver.address.to_string().as_str()));
    for (name, value) in [
        ("content-type", "application/cloudevents+json"),
        ("idempotency-key", told[0].as_str()),
        ("x-herald-run-id", told[0].as_str()),
        ("x-herald-attempt", "2"),
        ("x-herald-event-id", told[1].as_str()),
        ("x-herald-event-name", "move.new"),
        ("x-herald-correlation-id", "c-1"),
        ("x-herald-token", told[2].as_str()),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ] {
        assert_eq!(first.header(name), Some(value), "{name}");
    }
    assert!(first.header("user-agent").is_some_and(|agent| agent.starts_with("Herald/")));
    assert!(first.body.ends_with(r#""data":{"price":1.10}}"#), "{}", first.body);
    assert_eq!((second.header("idempotency-key"), second.header("x-herald-attempt")), (Some(&*told[0]), Some("3")));
    assert_eq!(first.connection, second.connection, "the connection is kept");
}

#[tokio::test]
async fn method_headers_and_body_are_what_the_job_says() {
    let receiver = always(answer("204 No Content", "", "")).await;
    for (options, line, content_type, body) in [
        (json!({ "format": "data" }), "POST", Some("application/json"), "{\"price\":1.10}"),
        (json!({ "method": "put", "body": { "a": 1 } }), "PUT", Some("application/json"), "{\"a\":1}"),
        (json!({ "body": "a=b", "headers": { "Content-Type": "text/x" } }), "POST", Some("text/x"), "a=b"),
        (json!({ "body": "é" }), "POST", Some("text/plain; charset=utf-8"), "é"),
        (json!({ "method": "GET" }), "GET", None, ""),
        (json!({ "method": "delete" }), "DELETE", None, ""),
    ] {
        let mut options = options;
        options["url"] = json!(receiver.url("/"));
        assert_eq!(result(call(options.clone()).await), "", "{options}");
        let seen = receiver.seen().pop().expect("a request");
        assert!(seen.head.starts_with(&format!("{line} / ")), "{}", seen.head);
        assert_eq!((seen.header("content-type"), seen.body.as_str()), (content_type, body), "{options}");
    }
    let options = json!({ "url": receiver.url("/"), "headers": { "x-name": "Zoë", "user-agent": "me" } });
    result(call(options).await);
    let seen = receiver.seen().pop().expect("a request");
    assert_eq!((seen.header("x-name"), seen.header("user-agent")), (Some("Zoë"), Some("me")));
    let before = receiver.seen().len();
    let failed = failure(call(json!({ "url": receiver.url("/"), "headers": { "x-a": "1\r\nx-b: 2" } })).await);
    assert!(failed.error.contains("line break") && failed.then == Then::GiveUp, "{failed:?}");
    assert_eq!(receiver.seen().len(), before, "nothing was sent");
}

#[tokio::test]
async fn a_status_says_what_follows_and_the_answer_is_kept() {
    let receiver = Receiver::start(|_, seen| {
        let case = |name: &str| seen.head.contains(&format!("/{name} "));
        if case("busy") {
            answer("503 Service Unavailable", "retry-after: 3600\r\n", "{\"why\": \"busy\"}")
        } else if case("odd") {
            answer("429 Too Many Requests", "Retry-After: whenever\r\n", "")
        } else if case("moved") {
            answer("302 Found", "Location: https://other.example/hook?token=hunter2\r\n", "")
        } else if case("wrong") {
            answer("422 Unprocessable Entity", "retry-after: 5\r\n", &"é".repeat(4000))
        } else if case("again") {
            answer("202 Accepted", "x-herald-then: retry\r\nretry-after: 30\r\n", "")
        } else if case("known") {
            answer("409 Conflict", "x-herald-then: done\r\n", "{\"known\": true}")
        } else {
            answer("500 Internal Server Error", "x-herald-then: give-up\r\n", "")
        }
    })
    .await;
    let host = receiver.address;
    let of = async |path: &str| failure(call(json!(receiver.url(path))).await);
    let busy = of("/busy").await;
    assert_eq!((busy.error, busy.stdout.as_deref()), (format!("503 from {host}"), Some("{\"why\": \"busy\"}")));
    assert_eq!(busy.then, Then::RetryAfter(Duration::from_secs(3600)));
    let odd = of("/odd").await;
    assert_eq!((odd.error, odd.then, odd.stdout), (format!("429 from {host}"), Then::Retry, None));
    let moved = of("/moved").await;
    let told = format!("302 from {host}: it redirects to https://other.example/hook, and redirects are not followed: ");
    assert!(moved.error.starts_with(&told) && moved.then == Then::GiveUp, "{moved:?}");
    let wrong = of("/wrong").await;
    assert_eq!((wrong.error, wrong.then), (format!("422 from {host}"), Then::GiveUp));
    assert_eq!(wrong.stdout, Some("é".repeat(2048)), "its beginning is kept");
    assert_eq!(of("/again").await.then, Then::RetryAfter(Duration::from_secs(30)));
    assert_eq!(result(call(json!(receiver.url("/known"))).await), r#"{"known": true}"#);
    assert_eq!(of("/fatal").await.then, Then::GiveUp);
}

#[tokio::test]
async fn a_result_is_json_or_text_and_bounded() {
    let large = format!("\"{}\"", "x".repeat(MAX_RESULT));
    let bodies = ["[1.10]", "done", " \n", &large, "{\"half\":"].map(str::to_owned);
    let answers = bodies.clone();
    let receiver = Receiver::start(move |number, _| answer("200 OK", "", &answers[number])).await;
    let mut results = Vec::new();
    for _ in &bodies {
        results.push(result(call(json!(receiver.url("/"))).await));
    }
    assert_eq!(results[..3], ["[1.10]", "\"done\"", ""]);
    assert!(results[3].starts_with("{\"") && results[3].contains("\"cut\":true") && results[3].len() < MAX_RESULT);
    assert_eq!(results[4], r#""{\"half\":""#);
}

#[tokio::test]
async fn of_a_hundred_megabytes_a_megabyte_is_read() {
    let receiver = always(Reply::Flood(100 * 1024 * 1024)).await;
    let result: Value = serde_json::from_str(&result(call(json!(receiver.url("/"))).await)).expect("JSON");
    assert_eq!((&result["cut"], &result["bytes"]), (&json!(true), &json!(100 * 1024 * 1024)));
    assert_eq!(result["begins"].as_str().map(str::len), Some(8 * 1024));
    let sent = receiver.sent.load(std::sync::atomic::Ordering::Relaxed);
    assert!(sent < 50 * 1024 * 1024, "{sent}");
}

#[tokio::test]
async fn what_goes_wrong_on_the_way_says_whether_the_request_may_have_been_received() {
    let received = "it may have received the request";
    for (reply, told) in [
        (Reply::Close(String::new()), format!(": the connection was closed in the middle; {received}")),
        (Reply::Reset, format!(": the connection was reset; {received}")),
        (Reply::Close("HTTP/1.1 2".into()), format!(": the connection was closed in the middle; {received}")),
        (Reply::Close("SMTP ready\r\n\r\n".into()), format!(": the answer is not HTTP; {received}")),
        (
            Reply::Close(format!("HTTP/1.1 200 OK\r\nx-a: {}\r\n\r\n", "a".repeat(1024 * 1024))),
            format!(": the head of the answer is too large; {received}"),
        ),
    ] {
        let receiver = always(reply).await;
        let failed = failure(call(json!(receiver.url("/"))).await);
        assert_eq!(failed.error, format!("no answer from {}{told}", receiver.address));
        assert_eq!(failed.then, Then::Retry);
    }
    let receiver = always(Reply::Close("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".into())).await;
    let failed = failure(call(json!(receiver.url("/"))).await);
    let told = format!("200 from {}, but its body broke off after 4 bytes (", receiver.address);
    assert!(failed.error.starts_with(&told) && failed.error.ends_with("; it has received the request"), "{failed:?}");
    assert_eq!(failed.then, Then::Retry);
    // A failure whose body breaks off is that failure, with what came of it.
    let receiver = always(Reply::Close("HTTP/1.1 404 No\r\ncontent-length: 100\r\n\r\nhalf".into())).await;
    let failed = failure(call(json!(receiver.url("/"))).await);
    assert_eq!((failed.error, failed.stdout.as_deref()), (format!("404 from {}", receiver.address), Some("half")));
    let gone = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let failed = failure(call(json!(format!("http://{gone}/"))).await);
    assert_eq!((failed.error, failed.then), (format!("no connection to {gone}: connection refused"), Then::Retry));
    let failed = failure(call(json!("http://no-such-host.invalid/")).await);
    assert!(failed.error.starts_with("no connection to no-such-host.invalid: its name "), "{}", failed.error);
}

#[tokio::test]
async fn what_is_said_before_the_answer_is_passed_over() {
    let early = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(3);
    let receiver = always(Reply::Close(format!("{early}HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{{}}"))).await;
    assert_eq!(result(call(json!(receiver.url("/"))).await), "{}");
    let receiver =
        always(Reply::Close("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n".into()))
            .await;
    assert_eq!(failure(call(json!(receiver.url("/"))).await).then, Then::GiveUp);
}

#[tokio::test]
async fn a_call_that_is_cancelled_ends_with_its_connection_and_says_how_far_it_came() {
    for begun in ["", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"] {
        let receiver = always(Reply::Hang(begun.to_owned())).await;
        let run = run_of(json!(receiver.url("/")));
        let cancelled = run.cancelled.clone();
        let task = tokio::spawn(async move { kind(&[]).run(run).await });
        while receiver.seen().is_empty() {
            tokio::task::yield_now().await;
        }
        cancelled.cancel();
        let failed = failure(task.await.expect("it ends"));
        let told = format!("no complete answer came from {}; it may have received the request", receiver.address);
        assert_eq!(failed.error, told);
    }
}

#[tokio::test]
async fn a_host_from_a_row_is_called_only_where_it_may_be() {
    let receiver = always(answer("200 OK", "", "[]")).await;
    let port = receiver.address.port();
    let filled = |host: &str, allowed: Value| json!({ "url": { fill::FILLED: format!("http://{host}:{port}/") }, "allowPrivate": allowed });
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0", "[::]", "LOCALHOST", "localhost."]
    {
        let failed = failure(call(filled(host, json!([]))).await);
        assert!(failed.error.contains("and the host comes from the event: nothing was sent"), "{host}: {failed:?}");
        assert_eq!(failed.then, Then::GiveUp);
    }
    // Other spellings of addresses are names, which nobody has.
    for host in ["0x7f.0.0.1", "2130706433", "127.1", "0177.0.0.1"] {
        let failed = failure(call(filled(host, json!([]))).await);
        assert!(failed.error.starts_with("no connection to "), "{host}: {failed:?}");
    }
    assert!(receiver.seen().is_empty());
    for (host, allowed) in [("127.0.0.1", "127.0.0.0/8"), ("localhost", "localhost"), ("localhost", "127.0.0.1")] {
        assert_eq!(result(call(filled(host, json!([allowed]))).await), "[]");
    }
    // A host that is written is trusted; a connection to it is not one for a host that a row chose.
    let http = kind(&[]);
    assert_eq!(result(http.run(run_of(json!(receiver.url("/")))).await), "[]");
    failure(http.run(run_of(filled("127.0.0.1", json!([])))).await);
    failure(http.run(run_of(filled("localhost", json!(["10.0.0.0/8"])))).await);
    assert_eq!(receiver.seen().len(), 4);
}

#[tokio::test]
async fn secrets_are_sent_and_never_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    // A target that repeats what it was told.
    let receiver = Receiver::start(|number, seen| {
        let echo = json!({ "head": seen.head, "body": seen.body }).to_string();
        answer(if number % 2 == 0 { "200 OK" } else { "400 Bad Request" }, "", &echo)
    })
    .await;
    let (key, url) = (write("key", "hun\"ter2\n"), write("url", &receiver.url("/services/T0/xyzzy")));
    let http = kind(&[("key", &key), ("url", &url)]);
    for options in [
        json!({ "url": receiver.url("/"), "headers": { "x-key": { "secret": "key", "prefix": "Key " } } }),
        json!({ "url": receiver.url("/"), "auth": { "bearer": { "secret": "key" } } }),
        json!({ "url": receiver.url("/"), "auth": { "basic": { "user": "me", "password": { "secret": "key" } } } }),
        json!({ "url": { "secret": "url" } }),
    ] {
        let shown = result(http.run(run_of(options.clone())).await);
        let failed = failure(http.run(run_of(options.clone())).await);
        let seen = receiver.seen().pop().expect("a request");
        let told = ["Key hun\"ter2", "Bearer hun\"ter2", "Basic bWU6aHVuInRlcjI=", "/services/T0/xyzzy"];
        assert!(told.iter().any(|told| seen.head.contains(told)), "{}", seen.head);
        let shown = format!("{shown} {failed:?} {options:?}");
        for secret in ["ter2", "bWU6aHVu", "xyzzy"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
        assert!(shown.contains("***"), "{shown}");
    }
    // One that redirects, and one that writes JSON as PHP does.
    for (status, headers, body) in [
        ("301 Moved Permanently", "location: /services/T0/xyzzy/\r\n", ""),
        ("200 OK", "", r#"{"you":"\/services\/T0\/xyzzy"}"#),
        ("404 Not Found", "", r#"{"you":"\/services\/T0\/xyzzy"}"#),
    ] {
        let receiver = always(answer(status, headers, body)).await;
        std::fs::write(&url, receiver.url("/services/T0/xyzzy")).expect("written");
        let shown = format!("{:?}", kind(&[("url", &url)]).run(run_of(json!({ "url": { "secret": "url" } }))).await);
        assert!(shown.contains("***") && !shown.contains("xyzzy"), "{shown}");
    }
    std::fs::remove_file(&key).expect("removed");
    let missing = |name: &str| json!({ "url": receiver.url("/"), "headers": { "x-key": { "secret": name } } });
    let failed = failure(kind(&[("key", &key)]).run(run_of(missing("key"))).await);
    assert!(failed.error.starts_with("the secret `key` is not there: the file `"), "{failed:?}");
    assert_eq!(failed.then, Then::Retry, "it may come back");
    assert!(failure(call(missing("other")).await).error.starts_with("`job-runner.secrets` has no `other`"));
    let (told, _) = http.absent(&missing("other")).expect("a warning");
    assert!(told.contains("the secret `other`") && http.absent(&missing("key")).is_none(), "{told}");
}

#[tokio::test]
async fn a_request_is_signed_by_each_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let [new, old] = ["new", "old"].map(|name| folder.path().join(name));
    std::fs::write(&new, "whsec_bmV3IG5ldyBuZXcgbmV3IG5ldyBuZXc=\n").expect("written");
    std::fs::write(&old, "b2xkIG9sZCBvbGQgb2xkIG9sZCBvbGQ=").expect("written");
    let receiver = always(answer("200 OK", "", "")).await;
    let http = kind(&[("new", &new), ("old", &old)]);
    let run = run_of(json!({ "url": receiver.url("/"), "sign": [{ "secret": "new" }, { "secret": "old" }] }));
    result(http.run(run.clone()).await);
    let seen = receiver.seen().pop().expect("a request");
    let header = |name: &str| seen.header(name).expect("a header").to_owned();
    assert_eq!(header("webhook-id"), run.id.to_string());
    let at: u64 = header("webhook-timestamp").parse().expect("seconds");
    let signatures = ["bmV3IG5ldyBuZXcgbmV3IG5ldyBuZXc=", "whsec_b2xkIG9sZCBvbGQgb2xkIG9sZCBvbGQ="]
        .map(|key| sign::signature(&header("webhook-id"), at, seen.body.as_bytes(), key).expect("a signature"));
    assert_eq!(header("webhook-signature"), signatures.join(" "));
    std::fs::write(&new, "not a key").expect("written");
    let failed = failure(kind(&[("new", &new), ("old", &old)]).run(run).await);
    assert!(failed.error.starts_with("the secret `new` is no key") && failed.then == Then::Retry, "{failed:?}");
}

#[tokio::test]
async fn tls_is_spoken_with_whom_it_should_be() {
    let hello = || answer("200 OK", "", "[]");
    let receiver = Receiver::tls(server("server", false, &["http/1.1"]), move |_, _| hello()).await;
    let known = |url: String| json!({ "url": url, "tls": { "ca": "ca.pem" } });
    assert_eq!(result(call(known(receiver.tls_url("/"))).await), "[]");
    let address = format!("https://{}/", receiver.address);
    assert_eq!(result(call(known(address)).await), "[]", "an address may be in a certificate, too");
    let failed = failure(call(json!(receiver.tls_url("/"))).await);
    assert!(failed.error.contains("an authority that is not trusted here; name that one in `tls.ca`"), "{failed:?}");
    assert_eq!(failed.then, Then::Retry);
    let other = Receiver::tls(server("other", false, &[]), move |_, _| hello()).await;
    let failed = failure(call(known(other.tls_url("/"))).await);
    assert!(failed.error.ends_with(": its certificate is for another name"), "{failed:?}");
    // One that speaks first, and no TLS.
    let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = plain.local_addr().expect("an address").port();
    let speaks = tokio::spawn(async move {
        let (mut stream, _) = plain.accept().await.expect("a connection");
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"220 mail.example ESMTP\r\n").await.expect("written");
        stream
    });
    let failed = failure(call(known(format!("https://localhost:{port}/"))).await);
    assert_eq!(failed.error, format!("no connection to localhost:{port}: it does not speak TLS there"));
    drop(speaks.await);
    let failed = failure(call(json!({ "url": receiver.tls_url("/"), "tls": { "ca": "none.pem" } })).await);
    assert!(failed.error.contains("none.pem: ") && failed.then == Then::Retry, "{failed:?}");
}

#[tokio::test]
async fn who_we_are_is_shown_by_a_certificate_that_may_be_renewed() {
    let receiver = Receiver::tls(server("server", true, &[]), |_, _| answer("200 OK", "", "[]")).await;
    let key = PathBuf::from(format!("{PEM}/client.key"));
    let http = kind(&[("key", &key)]);
    let tls = json!({ "ca": "ca.pem", "cert": "client.pem", "key": { "secret": "key" } });
    assert_eq!(result(http.run(run_of(json!({ "url": receiver.tls_url("/"), "tls": tls }))).await), "[]");
    let failed = failure(http.run(run_of(json!({ "url": receiver.tls_url("/"), "tls": { "ca": "ca.pem" } }))).await);
    assert!(failed.error.contains("TLS alert CertificateRequired"), "{failed:?}");
    let wrong = json!({ "ca": "ca.pem", "cert": "server.pem", "key": { "secret": "key" } });
    let failed = failure(http.run(run_of(json!({ "url": receiver.tls_url("/"), "tls": wrong }))).await);
    assert!(failed.error.contains("do not fit") && !failed.error.contains("BEGIN"), "{failed:?}");
}

#[tokio::test]
async fn http_2_is_spoken_where_the_target_does_and_its_connection_shared() {
    let receiver = Receiver::tls(server("server", false, &["h2", "http/1.1"]), |_, _| Reply::Reset).await;
    let http = Arc::new(kind(&[]));
    let options = json!({ "url": receiver.tls_url("/a?b=c"), "tls": { "ca": "ca.pem" } });
    let told = format!("\"POST {} HTTP/2.0\"", receiver.tls_url("/a?b=c"));
    assert_eq!(result(http.run(run_of(options.clone())).await), told);
    let calls = (0..20).map(|_| http.run(run_of(options.clone())));
    for outcome in futures_util::future::join_all(calls).await {
        assert_eq!(result(outcome), told);
    }
    assert!(receiver.seen().iter().all(|seen| seen.connection == 0));
}
