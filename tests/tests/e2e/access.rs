//! Who may come in.

use serde_json::{Value, json};
use tests::{Herald, body, client::Request};

use crate::support::noted;

#[tokio::test]
async fn with_secrets_the_webhook_takes_any_of_them_and_nothing_else() {
    let herald = Herald::build().event("thing.made", &noted("things")).secrets(&["new one", "old one"]).start().await;
    let post = || Request::post("/hasura", body::insert("a", "things", json!({ "id": 1 })).to_string());
    let missing = herald.ask(herald.webhook(), post()).await;
    let wrong = herald.ask(herald.webhook(), post().header("x-herald-secret", "new on")).await;
    for refused in [&missing, &wrong] {
        assert_eq!(refused.status, 401, "{}", refused.text());
    }
    assert_eq!(missing.text(), wrong.text(), "no hint which it was");
    for secret in ["new one", "old one"] {
        herald.ask(herald.webhook(), post().header("x-herald-secret", secret)).await.expect(200);
    }
    // Nothing is said of methods and paths to who may not come in.
    assert_eq!(herald.ask(herald.webhook(), Request::get("/nowhere")).await.status, 401);
    let sent = herald.cli(&["send", "-"]).await;
    assert_ne!(sent.code, Some(0), "an empty stdin is no payload");
    assert!(!format!("{}{}", herald.stdout(), herald.stderr()).contains("old one"), "secrets stay secret");
    // The duplicate is the sentinel: what was refused before it is in no list.
    let list: Value = herald.get("/v1/rejected").await.json();
    assert_eq!(list["rejected"], json!([]), "strangers write nothing");
}

#[tokio::test]
async fn with_a_token_the_api_is_for_those_who_have_it() {
    let herald = Herald::build().event("thing.made", &noted("things")).token("let me in").start().await;
    let accepted = herald.post(body::insert("a", "things", json!({ "id": 1 }))).await;
    let path = format!("/v1/correlations/{}", accepted.correlation_id);
    for path in [path.as_str(), "/v1/status", "/v1/rejected", "/v1/events", "/v1/schemas/thing.made/1", "/nowhere"] {
        let refused = herald.ask(herald.api(), Request::get(path)).await;
        assert_eq!((refused.status, refused.header("www-authenticate")), (401, "Bearer"), "{path}");
        let wrong = Request::get(path).header("authorization", "Bearer let me out");
        assert_eq!(herald.ask(herald.api(), wrong).await.status, 401, "{path}");
    }
    for open in ["/healthz", "/readyz"] {
        herald.ask(herald.api(), Request::get(open)).await.expect(200);
    }
    herald.complete(&accepted.correlation_id, 1).await;
    herald.cli(&["show", accepted.correlation_id.as_str()]).await.expect(0);
    let refused = herald.cli(&["show", accepted.correlation_id.as_str(), "--token", "none"]).await.expect(1);
    assert!(refused.stderr.contains("401") && refused.stderr.contains("--token"), "{}", refused.stderr);
}

#[tokio::test]
async fn beyond_loopback_nobody_listens_without_a_secret() {
    for (flag, setting) in [("--listen", "ingest.listen"), ("--api", "api.listen")] {
        let ended = Herald::build().event("thing.made", &noted("things")).flag(flag, "0.0.0.0:0").refused().await;
        assert_eq!(ended.code, Some(2), "{}", ended.printed);
        let variable = format!("HERALD__{}__AUTH", setting.replace('.', "__").to_uppercase());
        for part in [setting, "0.0.0.0:0", "auth = \"none\"", &variable] {
            assert!(ended.printed.contains(part), "{part:?} is not in {}", ended.printed);
        }
    }
    // Said in so many words, it does.
    let herald = Herald::build()
        .event("thing.made", &noted("things"))
        .flag("--listen", "0.0.0.0:0")
        .config("[ingest.listen]\nauth = \"none\"\n")
        .start()
        .await;
    assert!(herald.webhook().ip().is_unspecified());
}

#[tokio::test]
async fn a_setting_that_cannot_be_used_is_named_before_anything_starts() {
    let cases = [
        (Herald::build().setting("ingest.max-bodi", "1MiB"), "max-bodi"),
        (Herald::build().setting("ingest.max-body", "5"), "max-body"),
        (Herald::build().setting("ingest.max-body", "5MiB"), "max-body"),
        (Herald::build().config("[detector]\nwindow = \"soon\"\n"), "window"),
        (Herald::build().config("[[[\n"), "herald.toml"),
    ];
    for (builder, named) in cases {
        let ended = builder.refused().await;
        assert_eq!(ended.code, Some(2), "{}", ended.printed);
        assert!(ended.printed.contains(named), "{named} is not in {}", ended.printed);
    }
}
