//! Following a correlation over an API that knows it late, breaks off, and answers in parts.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::render::samples;

const MISSING: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 23\r\n\r\nnothing is known of c-1";
const NO_API: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 19\r\n\r\nwebhooks come in at";

/// A stream of those summaries, which then breaks off or ends.
fn stream(summaries: &[&Summary], end: &str) -> String {
    let mut answer = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n".to_owned();
    for summary in summaries {
        answer.push_str(&format!("event: summary\ndata: {}\n\n", serde_json::to_string(summary).expect("JSON")));
    }
    answer + end
}

/// An API that gives one answer per connection, and then is gone.
async fn api(answers: Vec<String>) -> (Api, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let api = Api { api: listener.local_addr().expect("bound").to_string().parse().expect("a base"), token: None };
    let asked = tokio::spawn(async move {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut connection, _) = listener.accept().await.expect("a connection");
            let mut request = vec![0; 4096];
            let length = connection.read(&mut request).await.expect("a request");
            asked.push(String::from_utf8_lossy(&request[..length]).lines().next().unwrap_or_default().to_owned());
            connection.write_all(answer.as_bytes()).await.expect("written");
        }
        asked
    });
    (api, asked)
}

fn awaited(correlation: &CorrelationId, invocation: Option<InvocationId>) -> Awaited<'_> {
    Awaited { correlation, invocation, raw: None, timeout: Duration::from_secs(20) }
}

#[tokio::test]
async fn a_correlation_is_followed_over_a_late_start_and_a_broken_stream() {
    let (under_way, done) = (samples::under_way(), samples::two_events());
    let (api, asked) = api(vec![MISSING.to_owned(), stream(&[&under_way], ""), stream(&[&under_way, &done], "")]).await;
    let correlation = done.correlation.clone();
    let page = follow(&api, &awaited(&correlation, Some(done.invocations[0].invocation)), false).await;
    let page = page.expect("it is there in the end").expect("something is known");
    assert_eq!(page.summary.state, State::Complete);
    let asked = asked.await.expect("the API ends");
    let invocation = done.invocations[0].invocation;
    assert!(asked[0].starts_with("GET /v1/correlations/c-1?until=complete&wait="), "{asked:?}");
    assert!(asked[0].contains(&format!("&invocation={invocation} ")), "{asked:?}");
    assert_eq!(asked.len(), 3);
}

#[tokio::test]
async fn another_server_is_not_waited_for() {
    let (api, asked) = api(vec![NO_API.to_owned()]).await;
    let correlation = samples::two_events().correlation;
    let error = follow(&api, &awaited(&correlation, None), false).await.expect_err("no API answers there");
    assert!(error.to_string().contains("webhooks come in at"), "{error}");
    assert_eq!(asked.await.expect("the API ends").len(), 1);
}

#[tokio::test]
async fn a_complete_correlation_that_does_not_know_the_invocation_yet_is_not_the_answer() {
    let done = samples::two_events();
    let mut later = done.clone();
    let sent = InvocationId::derived("default", "sent later");
    later.invocations[0].invocation = sent;
    let (api, _) = api(vec![stream(&[&done], "event: end\ndata: {}\n\n"), stream(&[&later], "")]).await;
    let page = follow(&api, &awaited(&done.correlation, Some(sent)), false).await;
    let page = page.expect("it is there in the end").expect("something is known");
    assert_eq!(page.summary.invocations[0].invocation, sent);
}

#[tokio::test]
async fn an_invocation_beyond_the_first_page_is_waited_for_by_the_api_itself() {
    let mut done = samples::two_events();
    done.next = Some("7".into());
    let mut confirmed = done.clone();
    confirmed.revision += 1;
    let body = serde_json::to_string(&confirmed).expect("JSON");
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let (api, asked) = api(vec![stream(&[&done], ""), answer]).await;
    let sent = InvocationId::derived("default", "the last of many");
    let page = follow(&api, &awaited(&done.correlation, Some(sent)), false).await.expect("it answers");
    assert_eq!(page.map(|page| page.summary.revision), Some(confirmed.revision));
    let asked = asked.await.expect("the API ends");
    assert!(asked[1].contains("?wait=") && asked[1].contains(&format!("&invocation={sent}")), "{asked:?}");
}

#[tokio::test]
async fn an_api_that_is_not_there_from_the_start_is_unreachable() {
    let (api, asked) = api(Vec::new()).await;
    asked.await.expect("it is gone");
    let correlation = "c-1".parse().expect("an id");
    let error = follow(&api, &awaited(&correlation, None), false).await.expect_err("nobody is there");
    assert!(error.downcast_ref().is_some_and(Error::is_unreachable), "{error:#}");
}

#[tokio::test]
async fn when_time_runs_out_the_last_state_is_the_answer() {
    let under_way = samples::under_way();
    let (api, _) = api(vec![stream(&[&under_way], ""); 50]).await;
    let awaited = Awaited { timeout: Duration::from_millis(300), ..awaited(&under_way.correlation, None) };
    let page = follow(&api, &awaited, false).await.expect("it answers").expect("something is known");
    assert_eq!(page.summary.state, State::InProcess);
}

/// A stream that is cut within a piece, as by a killed process.
fn cut() -> String {
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\nff\r\n: ali".to_owned()
}

#[tokio::test]
async fn a_herald_that_is_killed_is_waited_for_and_told_of_when_it_does_not_return() {
    let done = samples::two_events();
    let (returns, _) = api(vec![cut(), stream(&[&done], "")]).await;
    let page = follow(&returns, &awaited(&done.correlation, None), false).await.expect("it returns");
    assert_eq!(page.map(|page| page.summary.state), Some(State::Complete));
    let (gone, _) = api(vec![cut()]).await;
    let awaited = Awaited { timeout: Duration::from_millis(500), ..awaited(&done.correlation, None) };
    let error = follow(&gone, &awaited, false).await.expect_err("nobody is there");
    assert!(error.downcast_ref().is_some_and(Error::is_unreachable), "{error:#}");
}

#[tokio::test]
async fn that_nothing_is_known_is_an_answer_and_another_servers_404_is_none() {
    let correlation = "c-1".parse().expect("an id");
    for (detail, is_answer) in
        [("nothing is known of the correlation `c-1`", true), ("webhooks come in at /hasura", false)]
    {
        let body = format!(r#"{{"title":"Not Found","detail":"{detail}"}}"#);
        let answer = format!("HTTP/1.1 404 Not Found\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let (api, _) = api(vec![answer]).await;
        match known(&api, &correlation).await {
            Ok(page) => assert!(is_answer && page.is_none()),
            Err(error) => assert!(!is_answer && error.to_string().contains(detail), "{error:#}"),
        }
    }
}

#[test]
fn a_document_stands_on_one_line_with_its_digits() {
    assert_eq!(one_line("{\n \"a\": 12345678901234567890.10\n}"), "{\"a\":12345678901234567890.10}");
    assert_eq!(one_line(" {\"a\": 1} "), "{\"a\": 1}");
}
