//! The log of ingest: it says what happened, and never a secret or a body. A process of its own, because a log is the
//! process's.

#[expect(dead_code, reason = "only a part of it is needed here")]
#[path = "it/support.rs"]
mod support;

use std::{
    io,
    sync::{Arc, Mutex},
};

use ingest::Config;
use runtime::config::{Auth, Secret, Secrets};
use support::{INSERT, Ingest};
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("a lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;
    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_secret_and_no_body_is_ever_logged_and_what_is_odd_is_said_once() {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).with_ansi(false);
    subscriber.init();
    let mut config = Config::default();
    let secrets = Secrets::new(Secret::new("the-shared-secret").into_iter().collect());
    config.listen.auth = Auth::Secrets(secrets.expect("a secret"));
    let settings = format!("{config:?}");
    let ingest = Ingest::start(config).await;
    let (right, wrong) = (("x-herald-secret", "the-shared-secret"), ("x-herald-secret", "a-guessed-secret"));
    let body = INSERT.replace(r#"{"id":7}"#, r#"{"note":"private-note"}"#);
    for _ in 0..3 {
        assert_eq!(ingest.post("/hasura", &[right, ("x-correlation-id", "no id")], &body).await.status, 200);
        assert_eq!(ingest.post("/hasura?token=query-secret", &[wrong], &body).await.status, 401);
        assert_eq!(ingest.post("/hasura", &[right], r#"{"private-note":"private-note"}"#).await.status, 400);
        assert_eq!(ingest.post("/hasura", &[right], r#"{"private-note" "private-note"}"#).await.status, 400);
    }
    ingest.rejected(3).await;
    ingest.stop().await;
    let text = String::from_utf8(log.0.lock().expect("a lock").clone()).expect("text") + &settings;
    for secret in ["the-shared-secret", "a-guessed-secret", "query-secret", "private-note"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    for (said, times) in [
        ("a correlation id was passed over", 1),
        ("the whole table is one key", 1),
        ("a webhook was accepted", 3),
        ("http.status=401", 3),
        ("http.status=400", 6),
    ] {
        assert_eq!(text.matches(said).count(), times, "{said} in {text}");
    }
}
