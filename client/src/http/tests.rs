//! The client against a server that says what a test wants.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

/// Answers one request with `answer`, and hands back what was asked.
async fn serve(answer: &'static str) -> (Base, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base = listener.local_addr().expect("it is bound").to_string().parse().expect("an address is a base");
    let asked = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.expect("a connection");
        let mut asked = vec![0; 4096];
        let length = connection.read(&mut asked).await.expect("a request");
        connection.write_all(answer.as_bytes()).await.expect("the answer is written");
        String::from_utf8_lossy(&asked[..length]).into_owned()
    });
    (base, asked)
}

#[test]
fn a_base_is_plain_http() {
    let base: Base = "http://localhost:8081/herald/".parse().expect("a base");
    assert_eq!((base.to_string().as_str(), base.address.as_str()), ("http://localhost:8081/herald", "localhost:8081"));
    let base: Base = "[::1]:8080".parse().expect("a base");
    assert_eq!(base.address, "[::1]:8080");
    assert_eq!("http://h".parse::<Base>().expect("a base").address, "h:80");
    for wrong in ["https://h", "ftp://h", "http://u:p@h", "http://", "", "http://h/?a=b", "/x"] {
        assert!(wrong.parse::<Base>().is_err(), "{wrong:?} is taken for a base");
    }
    for port in ["99999", "65536", "0", ""] {
        let error = format!("http://127.0.0.1:{port}").parse::<Base>().expect_err(port);
        assert!(error.contains("from 1 to 65535"), "{error}");
    }
    assert_eq!("http://[::1]".parse::<Base>().expect("a base").address, "[::1]:80");
    assert!("https://h".parse::<Base>().expect_err("no TLS here").contains("port-forward"));
}

#[tokio::test]
async fn nobody_there_is_told_with_the_address_and_what_to_do() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base: Base = listener.local_addr().expect("it is bound").to_string().parse().expect("a base");
    drop(listener);
    let error = Call::get(&base, "/v1/status").answer().await.expect_err("nobody listens");
    assert_eq!(error.to_string(), format!("cannot reach {base}: connection refused; is `herald dev` running?"));
    assert!(error.is_unreachable());
}

#[tokio::test]
async fn a_refusal_is_told_with_its_detail() {
    let (base, _) = serve(
        "HTTP/1.1 404 Not Found\r\ncontent-length: 53\r\n\r\n{\"title\":\"unknown\",\"detail\":\"nothing is known of x\" }",
    )
    .await;
    let error = Call::get(&base, "/v1/correlations/x").answer().await.expect_err("404 is no answer");
    assert_eq!(error.to_string(), format!("{base} answered 404: nothing is known of x"));
    assert_eq!(error.status(), Some(404));
}

#[tokio::test]
async fn a_page_of_something_else_is_told_as_such() {
    let page = "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 72\r\n\r\n\
                <html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body></body></html>";
    let (base, _) = serve(page).await;
    let error = Call::get(&base, "/v1/status").answer().await.expect_err("no answer").to_string();
    let told = format!("{base} answered 502: a page of HTML, `502 Bad Gateway`, which is not Herald's: ");
    assert!(error.starts_with(&told), "{error}");
}

#[tokio::test]
async fn a_request_carries_its_token_and_body() {
    let (base, asked) = serve("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let call = Call::post(&base, "/hasura", "{}").token(Some("t")).expect("a plain token");
    assert_eq!(call.answer().await.expect("it answers"), "ok");
    let asked = asked.await.expect("the server ends");
    assert!(asked.starts_with("POST /hasura HTTP/1.1\r\n") && asked.ends_with("\r\n\r\n{}"), "{asked}");
    assert!(asked.contains("authorization: Bearer t\r\n") && asked.contains("content-type: application/json\r\n"));
}

#[tokio::test]
async fn a_stream_is_read_in_order_until_it_ends() {
    let (base, _) =
        serve("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\ndata: 1\n\ndata: 2\n\n")
            .await;
    let mut stream = Call::get(&base, "/").stream().await.expect("a stream");
    let mut seen = Vec::new();
    while let Some(event) = stream.next().await.expect("it is well-formed") {
        seen.push(event.data);
    }
    assert_eq!(seen, ["1", "2"]);
}

#[test]
fn a_correlation_id_may_stand_in_a_path() {
    assert_eq!(encode("Order-7/~!?#%"), "Order-7%2F~%21%3F%23%25");
}
