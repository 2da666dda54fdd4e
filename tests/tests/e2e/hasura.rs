//! Connecting Hasura: the example, and every command of its page that can run without Hasura and Docker.

use std::{
    fs,
    process::{Command, Output},
};

use contracts::summary::Summary;
use serde_json::{Value, json};
use tests::{Builder, Herald, client::Request, root};

use crate::support::{job, names, result};

const SECRET: &str = "only for this test";

/// The example, with the configuration of its container.
fn example() -> Builder {
    let config = text("examples/hasura/herald.toml");
    Herald::build().example("hasura/catalog").config(&config).variable("HERALD_SECRET", SECRET)
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Runs `herald` in the repository's folder.
fn herald(arguments: &[&str]) -> Output {
    let mut command = Command::new(tests::binary());
    command.args(arguments).current_dir(root()).env("NO_COLOR", "1").output().unwrap()
}

fn printed(arguments: &[&str]) -> String {
    let output = herald(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The commands of a page that begin with `herald`, without what a shell does with their output.
fn commands(page: &str) -> Vec<Vec<String>> {
    let lines = page.lines().map(str::trim).filter_map(|line| line.strip_prefix("herald "));
    let words = |line: &str| line.split(" > ").next().unwrap().split_whitespace().map(str::to_owned).collect();
    lines.map(words).collect()
}

#[tokio::test]
async fn every_command_of_the_page_that_is_for_herald_runs() {
    let herald = example().start().await;
    let folder = root().join("examples").display().to_string();
    let (mut sent, mut written, mut shown) = (String::new(), 0, 0);
    let pages = ["docs/hasura.md", "examples/hasura/README.md"];
    for command in pages.iter().flat_map(|page| commands(&text(page))) {
        let told = command.iter().map(|word| word.replace("examples", &folder)).collect::<Vec<_>>();
        let told: Vec<&str> = told.iter().map(String::as_str).collect();
        match told[0] {
            "hasura" => {
                let says =
                    if told.contains(&"--check") { "Everything is as it should be" } else { "herald-public-orders" };
                herald.cli(&told).await.expect(0).has(&[says]);
                written += 1;
            }
            "send" => {
                let told = [&told[..], &["--secret", SECRET]].concat();
                let output = herald.cli(&told).await.expect(0);
                if told.iter().any(|word| word.contains("unpaid")) {
                    output.has(&["⭐ orders.unpaid", "✅ remind  Reminded who has not paid for 7 days"]);
                    continue;
                }
                output.has(&["🔔 Detected 1 event from UPDATE public.orders\n   correlation ", "⭐ order.paid"]);
                output.has(&["✅ send-receipt  A receipt for order 1 went to ada@example.com"]);
                sent =
                    output.stdout.split_once("correlation ").unwrap().1.split_whitespace().next().unwrap().to_owned();
            }
            "why" => {
                let told = if told[1].starts_with('<') { vec!["why", &sent] } else { told };
                herald.cli(&told).await.expect(0).has(&["✓ order.paid", "✅ send-receipt"]);
                shown += 1;
            }
            other => panic!("the page has a command that no test runs: {other}"),
        }
    }
    assert_eq!((written, shown), (4, 3));
    let all = pages.map(text).concat();
    let routes: Vec<&str> =
        all.split("http://127.0.0.1:8081").skip(1).filter_map(|rest| rest.split(['`', '\n']).next()).collect();
    for route in &routes {
        herald.get(route).await.expect(200);
    }
    assert_eq!(routes.len(), 1, "{routes:?}");
}

#[tokio::test]
async fn the_example_takes_what_hasura_delivers() {
    let herald = example().start().await;
    let body = text("examples/hasura/catalog/payloads/order-paid.json");
    // As Hasura writes it: on one line, with its headers, once more after a failure it saw.
    let mut delivery: Value = serde_json::from_str(&body).unwrap();
    let post = |delivery: &Value| {
        let trace = &delivery["event"]["trace_context"]["trace_id"];
        Request::post("/hasura?wait=30s", delivery.to_string())
            .header("user-agent", "hasura-graphql-engine/v2.42.0")
            .header("x-b3-traceid", trace.as_str().unwrap())
            .header("x-b3-spanid", "d609edaf610bade9")
            .header("x-b3-sampled", "1")
    };
    let without = herald.ask(herald.webhook(), post(&delivery)).await.expect(401);
    assert!(without.text().contains("x-herald-secret"), "{}", without.text());
    let first = herald.ask(herald.webhook(), post(&delivery).header("x-herald-secret", SECRET)).await.expect(200);
    let summary: Summary = first.json();
    assert_eq!(names(&summary), ["order.paid"]);
    assert_eq!(result(job(&summary, "send-receipt")), r#""A receipt for order 1 went to ada@example.com""#);

    delivery["delivery_info"] = json!({ "current_retry": 1, "max_retries": 480 });
    let again = herald.ask(herald.webhook(), post(&delivery).header("x-herald-secret", SECRET)).await.expect(200);
    let again: Summary = again.json();
    assert_eq!((again.correlation, again.counters.jobs), (summary.correlation, 1), "it runs once");
}

#[tokio::test]
async fn the_cron_trigger_of_the_example_is_an_event_and_stands_on_the_page() {
    let trigger = text("examples/hasura/metadata/cron_triggers.yaml");
    let page = text("docs/hasura.md");
    assert!(
        page.contains(&format!("```yaml\n# cron_triggers.yaml\n{trigger}```\n")),
        "another trigger than\n{trigger}"
    );
    let herald = example().start().await;
    let body = text("examples/hasura/catalog/payloads/orders-unpaid.json");
    let request = Request::post("/hasura?wait=60s", body).header("x-herald-secret", SECRET);
    let summary: Summary = herald.ask(herald.webhook(), request).await.expect(200).json();
    assert_eq!(names(&summary), ["orders.unpaid"]);
    assert_eq!(result(job(&summary, "remind")), r#""Reminded who has not paid for 7 days""#);
}

#[test]
fn the_metadata_of_the_example_is_what_the_command_prints() {
    let told = ["hasura", "triggers", "--catalog", "examples/hasura/catalog"];
    let metadata = printed(&[&told[..], &["--url", "http://herald:8080"]].concat());
    assert_eq!(metadata, text("examples/hasura/metadata/databases/default/tables/public_orders.yaml"));
    let page = text("docs/hasura.md");
    assert!(page.contains(&format!("```yaml\n{metadata}```\n")), "the page shows another trigger than\n{metadata}");
    let checked = printed(&[&told[..], &["--check", "examples/hasura/metadata"]].concat());
    assert!(checked.contains("✅ Everything is as it should be"), "{checked}");

    let other = herald(&["hasura", "triggers", "--catalog", "examples/moves", "--check", "examples/hasura/metadata"]);
    let said = String::from_utf8(other.stdout).unwrap();
    assert_eq!(other.status.code(), Some(1), "{said}");
    assert!(said.contains("❌ missing: Hasura does not track public.moves"), "{said}");
    assert!(said.contains("⚠️  unwanted: herald-public-orders tells Herald of UPDATE"), "{said}");
}

#[test]
fn what_cannot_be_used_is_told_with_what_to_write() {
    let told = ["hasura", "triggers", "--catalog", "examples/moves"];
    for (more, says) in [
        (&[][..], "--url <URL>"),
        (&["--url", "herald:8080"], "begins with http://"),
        (&["--url", "http://herald:8080/hasura/billing"], "leave /hasura/billing out"),
        (&["--check", "examples/moves"], "hasura metadata export"),
    ] {
        let output = herald(&[&told[..], more].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && stderr.contains(says), "{more:?}: {stderr}");
        assert!(!stderr.contains("HERALD_URL"), "that is where a running Herald is: {stderr}");
    }
}

#[test]
fn the_image_is_built_with_the_compiler_of_the_workspace() {
    let toolchain = text("rust-toolchain.toml");
    let version = toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).unwrap().trim_matches('"');
    let image = text("examples/hasura/Dockerfile");
    for line in [format!("FROM rust:{version}-"), format!("RUSTUP_TOOLCHAIN={version}\n")] {
        assert!(image.contains(&line), "{line}");
    }
}
