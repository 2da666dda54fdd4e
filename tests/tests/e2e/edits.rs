//! A catalog that is edited while it runs.

use std::{fs, os::unix::fs::symlink, process::Command};

use serde_json::json;
use tests::{Engine, Herald, binary, body};

use crate::support::{events, job, names, noted, result, shell, until, with_jobs};

/// What is said of the catalog that goes on counting, when files cannot be used: by `dev`, or by `catalog apply`.
fn stays(herald: &Herald, counting: Option<u64>) -> &'static str {
    match (herald.engine(), counting) {
        (Engine::Embedded, Some(_)) => "catalog version 1 stays in force",
        (Engine::Embedded, None) => "waiting for files that can be used",
        (Engine::Kafka(_), _) => "nothing was written",
    }
}

#[tokio::test]
async fn a_new_event_counts_at_once() {
    let herald = Herald::build().event("thing.made", &noted("things")).start().await;
    let before = herald.run(body::insert("a", "others", json!({ "id": 1 }))).await;
    assert_eq!(before.counters.events, 0);
    let version = herald.apply("events/other.made.yaml", &noted("others")).await;
    assert_eq!(version, 2);
    let after = herald.run(body::insert("b", "others", json!({ "id": 1 }))).await;
    assert_eq!((names(&after), after.counters.succeeded), (vec!["other.made".to_owned()], 1));
    assert_eq!(after.invocations[0].catalog, before.invocations[0].catalog.map(|number| number + 1));
    assert_eq!(herald.remove("events/other.made.yaml").await, 3);
    assert_eq!(herald.run(body::insert("c", "others", json!({ "id": 1 }))).await.counters.events, 0);
    let versions: serde_json::Value = herald.get("/v1/catalogs").await.expect(200).json();
    let told: Vec<_> =
        versions["catalogs"].as_array().unwrap().iter().map(|it| (&it["number"], &it["events"])).collect();
    assert_eq!(json!(told), json!([[3, 1], [2, 2], [1, 1]]));
    let first: serde_json::Value = herald.get("/v1/catalogs/1").await.expect(200).json();
    assert_eq!(first["files"][0], json!({ "path": "events/thing.made.yaml", "text": noted("things") }));
    herald.get("/v1/catalogs/4").await.expect(404);
    herald.get("/v1/catalogs/x").await.expect(400);
    herald.tool(&["catalog", "history"]).output().await.expect(0).has(&["version 3", "- other.made", "+ other.made"]);
    herald.tool(&["catalog", "diff", "1"]).output().await.expect(0).has(&["version 1 → version 3", "say the same"]);
    let shown = herald.tool(&["catalog", "show", "2", "other.made"]).output().await.expect(0);
    shown.has(&["# events/other.made.yaml", "others"]);
    if let Engine::Kafka(brokers) = herald.engine() {
        let bus = ["--brokers", brokers, "--prefix", herald.fleet().prefix()];
        let history = [&["catalog", "history"], &bus[..]].concat();
        herald.tool(&history).output().await.expect(0).has(&["version 3", "in force", "- other.made", "version 1"]);
        let show = [&["catalog", "show", "2", "other.made"], &bus[..]].concat();
        herald.tool(&show).output().await.expect(0).has(&["# events/other.made.yaml", "others"]);
    }
    let folder = herald.catalog().display().to_string();
    let now = herald.tool(&["test", &folder, "--from-log", "100"]).output().await.expect(1);
    now.has(&[
        "other.made",
        "1 would not be detected any more",
        "the catalog has no such event",
        "3 of 3 recorded changes",
    ]);
}

#[tokio::test]
async fn files_with_an_error_change_nothing_and_say_where_and_why() {
    let herald = Herald::build().event("thing.made", &noted("things")).start().await;
    let broken = "from: { table: things }\nwhen: |\n  changd(\"status\")\nsample: { id: 1 }\n";
    herald.edit(&[("events/other.made.yaml", &noted("others")), ("events/thing.made.yaml", broken)]).await;
    let said = herald.complaint().await;
    assert!(said.contains("changd") && said.contains("events/thing.made.yaml:3"), "the place is named:\n{said}");
    assert!(said.contains(stays(&herald, Some(1))), "{said}");
    let summary = herald.run(body::insert("a", "things", json!({ "id": 1 }))).await;
    assert_eq!(names(&summary), ["thing.made"], "what was valid goes on counting");
    herald.apply("events/thing.made.yaml", &noted("things")).await;
    assert_eq!(names(&herald.run(body::insert("b", "others", json!({ "id": 1 }))).await), ["other.made"]);
}

#[tokio::test]
async fn a_table_that_is_described_meanwhile_is_read_by_its_types_and_travels_with_the_catalog() {
    let event = "from: { table: things }\nwhen: new.price > 1000\ndata: { price: new.price }\nsample: { price: 1 }\n\
                 jobs:\n  - id: note\n    log: { message: \"${data.price + 1}\" }\n";
    let mut herald = Herald::build().event("thing.dear", event).start().await;
    let sent = |id: &str| body::insert(id, "things", json!({ "id": 1, "price": "1000.50" }));
    let before = herald.run(sent("a")).await;
    assert_eq!((before.counters.errors, before.counters.events), (1, 0), "a text has no order with a number");
    herald.apply("tables/public.things.yaml", "columns: { id: bigint, price: numeric }\n").await;
    assert_eq!(result(job(&herald.run(sent("b")).await, "note")), r#"{"message":"1001.5"}"#);
    herald.edit(&[("events/thing.dear.yaml", &event.replace("new.price >", "new.prise >"))]).await;
    let said = herald.complaint().await;
    assert!(said.contains("no column `prise`") && said.contains("did you mean `price`?"), "{said}");
    herald.restart().await;
    assert_eq!(
        result(job(&herald.run(sent("c")).await, "note")),
        r#"{"message":"1001.5"}"#,
        "what is on the bus goes on"
    );
}

#[tokio::test]
async fn it_starts_on_files_with_an_error_and_waits_for_better_ones() {
    let builder = Herald::build().event("thing.made", "from: { table: things }\nwhen: [1]\n");
    let mut herald = builder.launch();
    let said = herald.complaint().await;
    assert!(said.contains(stays(&herald, None)), "{said}");
    if herald.engine() == &Engine::Embedded {
        // It says where it listens, and to who asks what it waits for.
        let api = async || {
            let said = herald.stdout();
            let (_, said) = said.split_once("and awaits a catalog")?;
            said.lines().find_map(|line| line.trim().strip_prefix("API       ").map(str::to_owned))
        };
        let api = herald.wait_for("where it listens", api).await;
        let asked = Command::new(binary()).args(["ls", "--api", &api]).output().unwrap();
        let told = String::from_utf8(asked.stderr).unwrap();
        assert!(told.contains("a catalog is awaited") && told.contains("events/thing.made.yaml:2:"), "{told}");
    }
    herald.edit(&[("events/thing.made.yaml", &noted("things"))]).await;
    herald.ready().await;
    assert_eq!(names(&herald.run(body::insert("a", "things", json!({ "id": 1 }))).await), ["thing.made"]);
}

#[tokio::test]
async fn a_job_that_leaves_the_catalog_ends_what_was_asked_of_it() {
    let leaving =
        format!("{}{}", shell("leaving", &until("go"), "    concurrency: 1\n"), "  - id: staying\n    log: {}\n");
    let herald = Herald::build().event("thing.made", &with_jobs("things", &leaving)).start().await;
    let mut before = Vec::new();
    for id in ["a", "b", "c"] {
        before.push(herald.post(body::insert(id, "things", json!({ "id": id }))).await.correlation_id);
    }
    for id in &before {
        herald
            .wait_for("its detection", async || herald.summary(id).await.filter(|summary| summary.counters.jobs == 2))
            .await;
    }
    herald.apply("events/thing.made.yaml", &with_jobs("things", "  - id: staying\n    log: {}\n")).await;
    let after = herald.run(body::insert("d", "things", json!({ "id": "d" }))).await;
    assert_eq!(events(&after)[0].jobs.len(), 1);
    herald.mark("go");
    for id in &before {
        assert_eq!(herald.complete(id, 1).await.counters.succeeded, 2);
    }
}

#[tokio::test]
async fn a_job_that_is_new_on_an_event_begins_with_events_that_name_it() {
    let mut herald = Herald::build().event("thing.made", &noted("things")).start().await;
    let before = herald.run(body::insert("a", "things", json!({ "id": 1 }))).await;
    let mark = shell("mark", "echo \"$1\" >> \"$SCRATCH/marks\"", "");
    herald.apply("events/thing.made.yaml", &with_jobs("things", &mark)).await;
    herald.run(body::insert("b", "things", json!({ "id": 2 }))).await;
    herald.restart().await;
    herald.run(body::insert("c", "things", json!({ "id": 3 }))).await;
    assert_eq!(herald.marks("marks"), ["2", "3"], "nothing of before, and nothing twice");
    let again = herald.complete(&before.correlation, 1).await;
    assert_eq!(again.counters, before.counters);
}

#[tokio::test]
async fn it_starts_again_on_files_with_an_error_with_the_catalog_of_before() {
    let mut herald = Herald::build().event("thing.made", &noted("things")).start().await;
    herald.sigterm().await;
    herald.edit(&[("events/thing.made.yaml", "when: [1]\n")]).await;
    herald.start().await;
    let said = herald.complaint().await;
    assert!(said.contains(stays(&herald, Some(1))), "{said}");
    assert_eq!(names(&herald.run(body::insert("a", "things", json!({ "id": 1 }))).await), ["thing.made"]);
    // Back to what counts already: that is said, too.
    assert_eq!(herald.apply("events/thing.made.yaml", &noted("things")).await, 1);
}

#[tokio::test]
async fn what_a_link_leads_to_is_part_of_the_catalog_and_a_link_to_nothing_hides_no_other_error() {
    let herald = Herald::build().event("thing.made", &noted("things")).start().await;
    let (outside, folder) = (tempfile::tempdir().unwrap(), herald.catalog().join("events"));
    symlink(outside.path(), folder.join("shared")).unwrap();
    symlink("/no/such/file", folder.join("gone.yaml")).unwrap();
    herald.edit(&[("events/broken.made.yaml", "x: 1\n")]).await;
    let said = herald.complaint().await;
    assert!(said.contains("a link to /no/such/file") && said.contains("`x` is unknown"), "{said}");
    fs::remove_file(folder.join("gone.yaml")).unwrap();
    herald.apply("events/broken.made.yaml", &noted("broken")).await;
    if herald.engine() == &Engine::Embedded {
        // Nobody tells that files there change but the files.
        let before = herald.stdout();
        fs::write(outside.path().join("other.made.yaml"), noted("others")).unwrap();
        assert_eq!(herald.counts(&before).await, 3);
        let summary = herald.run(body::insert("a", "others", json!({ "id": 1 }))).await;
        assert_eq!(names(&summary), ["other.made"]);
    }
}

#[tokio::test]
async fn a_folder_that_could_not_be_read_and_is_back_is_said() {
    let herald = Herald::build().event("thing.made", &noted("things")).start().await;
    if herald.engine() != &Engine::Embedded {
        // `catalog apply` reads a folder once.
        return;
    }
    let (folder, away) = (herald.catalog(), herald.catalog().with_extension("away"));
    let before = herald.stdout();
    fs::rename(&folder, &away).unwrap();
    fs::write(&folder, "no folder").unwrap();
    herald.wait_for("the complaint", async || herald.stderr().contains("could not be applied").then_some(())).await;
    fs::remove_file(&folder).unwrap();
    fs::rename(&away, &folder).unwrap();
    herald
        .wait_for("the all-clear", async || {
            let said = herald.stdout()[before.len()..].to_owned();
            (said.contains("is there again: edits count") || said.contains("Catalog version 1")).then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_folder_that_was_gone_and_is_back_is_said() {
    let herald = Herald::build().event("thing.made", &noted("things")).start().await;
    if herald.engine() != &Engine::Embedded {
        return;
    }
    let (folder, away) = (herald.catalog(), herald.catalog().with_extension("away"));
    fs::rename(&folder, &away).unwrap();
    herald.wait_for("the complaint", async || herald.stderr().contains("there is no such folder").then_some(())).await;
    fs::rename(&away, &folder).unwrap();
    let is_back = async || herald.stdout().contains("is there again: edits count from now on").then_some(());
    herald.wait_for("the all-clear", is_back).await;
    assert_eq!(herald.apply("events/other.made.yaml", &noted("others")).await, 2);
}
