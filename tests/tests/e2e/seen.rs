//! What came is listed, found by the beginning of an id, and explained.

use contracts::ids::InvocationId;
use serde_json::{Value, json};
use tests::{Herald, body};

use crate::support::{is_kafka, noted, shell, until, with_jobs};

/// The lines of a listing, without the time, in words.
fn words(stdout: &str) -> Vec<Vec<&str>> {
    stdout.lines().map(|line| line.split_whitespace().skip(1).collect()).collect()
}

#[tokio::test]
async fn what_is_followed_begins_with_as_many_as_are_wanted() {
    let herald = Herald::build().event("thing.made", &noted("things")).start().await;
    for id in ["a", "b", "c"] {
        herald.run(body::insert(id, "things", json!({ "id": 1 }))).await;
    }
    let followed = herald.tool(&["ls", "-f", "-n", "1", "--json"]);
    let ids = || -> Vec<Value> {
        let lines: Vec<Value> = followed.stdout().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        lines.iter().map(|one| one["invocation"].clone()).collect()
    };
    herald.wait_for("the one that came last", async || (!ids().is_empty()).then_some(())).await;
    for id in ["d", "e"] {
        herald.run(body::insert(id, "things", json!({ "id": 1 }))).await;
        let told = json!(InvocationId::derived("default", id));
        herald.wait_for("what came since", async || ids().contains(&told).then_some(())).await;
    }
    assert_eq!(ids(), ["c", "d", "e"].map(|id| json!(InvocationId::derived("default", id))));
}

#[tokio::test]
async fn what_came_is_listed_filtered_and_found_by_the_beginning_of_its_id() {
    let herald = Herald::build()
        .event("thing.made", &noted("things"))
        .event("thing.made.v2", &noted("things"))
        .event("gadget.broken", &with_jobs("gadgets", &shell("fail", "echo no >&2; exit 1", "    attempts: 1\n")))
        .start()
        .await;
    let empty = herald.cli(&["ls"]).await.expect(0);
    assert_eq!((empty.stdout.as_str(), empty.stderr.as_str()), ("", "nothing has come yet\n"));
    herald.cli(&["show", "--last"]).await.expect(1);
    let thing = herald.run(body::insert("a", "things", json!({ "id": 7 }))).await;
    herald.run(body::insert("b", "gadgets", json!({ "id": "7" }))).await;
    herald.run(body::insert("c", "others", json!({ "id": 7 }))).await;
    let short = &thing.correlation.as_str()[..8];
    let all = herald.cli(&["ls"]).await.expect(0);
    let lines = words(&all.stdout);
    assert_eq!(lines.len(), 3, "{}", all.stdout);
    assert_eq!(lines[0][1..], ["🔕", "INSERT", "public.others", "no", "event"]);
    assert_eq!(lines[1][1..], ["❌", "INSERT", "public.gadgets", "gadget.broken", "1", "of", "1", "job", "failed"]);
    assert_eq!(lines[2], [short, "✅", "INSERT", "public.things", "thing.made,", "thing.made.v2", "2", "jobs"]);
    assert_eq!(all.stderr, "");
    for (arguments, ids) in [
        (&["--failed"][..], &["b"][..]),
        (&["--undetected"], &["c"]),
        (&["--table", "things"], &["a"]),
        (&["--table", "public.gadgets", "--key", "7"], &["b"]),
        (&["--table", "gadgets", "--key", "8"], &[]),
        (&["--event", "thing.made.v2"], &["a"]),
        (&["--since", "1h", "--failed"], &["b"]),
        (&["--since", "2999-01-01T00:00:00Z"], &[]),
    ] {
        let listed = herald.cli(&[&["ls", "--json"], arguments].concat()).await.expect(0);
        let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
        let found: Vec<_> =
            listed["invocations"].as_array().unwrap().iter().map(|one| one["invocation"].clone()).collect();
        let wanted: Vec<_> = ids.iter().map(|id| json!(InvocationId::derived("default", id))).collect();
        assert_eq!(found, wanted, "{arguments:?}");
        assert_eq!(listed.get("next"), None);
    }
    // A list that is cut says so, and one that ends there does not.
    assert!(herald.cli(&["ls", "-n", "2"]).await.expect(0).stderr.contains("older ones"));
    assert_eq!(herald.cli(&["ls", "-n", "3"]).await.expect(0).stderr, "");
    // The beginning of an id is enough, of the correlation or of the invocation, and so is being the last.
    herald.cli(&["show", short]).await.expect(0).has(&[thing.correlation.as_str(), "thing.made.v2"]);
    herald.cli(&["show", &thing.invocations[0].invocation.to_string()[..13]]).await.expect(0).has(&["thing.made"]);
    herald.cli(&["show", "--last"]).await.expect(0).has(&["public.others"]);
    let nothing = herald.cli(&["show", "ffff0000"]).await.expect(1);
    assert!(nothing.stderr.contains("nothing is known of `ffff0000`"), "{}", nothing.stderr);
    for id in ["order-1", "order-2"] {
        let named = body::insert(id, "things", json!({ "id": 1, "updated_by": format!("me|{id}|x") }));
        herald.complete(&herald.post(named).await.correlation_id, 1).await;
    }
    let several = herald.cli(&["show", "order"]).await.expect(2);
    assert!(several.stderr.contains("`order` may be 2 ids"), "{}", several.stderr);
    assert!(several.stderr.contains("order-1  ✅ INSERT public.things"), "{}", several.stderr);
    herald.cli(&["show", "order-2"]).await.expect(0).has(&["correlation order-2"]);
}

#[tokio::test]
async fn why_says_what_was_decided_of_each_event_and_what_became_of_each_job() {
    let herald = Herald::build()
        .event("thing.made", &noted("things"))
        .event(
            "thing.shipped",
            "from: { table: public.things, operations: [insert, update] }\n\
             when: |\n  became(\"status\", \"shipped\")\nsample: { id: 1 }\ndata: { id: new.id }\n",
        )
        .start()
        .await;
    let row = json!({ "id": 7, "status": "shiped" });
    let summary = herald.run(body::insert("hasura-id-1", "things", row)).await;
    let one = &summary.invocations[0];
    let told = [
        "Detected 1 event from INSERT public.things",
        summary.correlation.as_str(),
        &one.invocation.to_string(),
        "row 7",
        "✓ thing.made",
        "events/thing.made.yaml:1",
        "data  {\"id\":7}",
        "✅ note",
        "from ",
        "✗ thing.shipped",
        "events/thing.shipped.yaml:2",
        "INSERT has no old row",
    ];
    let ids = [summary.correlation.to_string(), one.invocation.to_string()[..8].to_owned(), "hasura-id-1".to_owned()];
    for id in &ids {
        herald.cli(&["why", id]).await.expect(0).has(&told);
    }
    herald.cli(&["why", "--table", "things", "--key", "7", "--since", "1h"]).await.expect(0).has(&told);
    herald.cli(&["why", "--last"]).await.expect(0).has(&told);
    for what in [&["--id", &ids[1]][..], &["--id", "hasura-id-1"], &["--last"]] {
        let value = herald.cli(&[&["eval", "new.status + source"], what].concat()).await.expect(0).stdout;
        assert_eq!(value, "\"shipeddefault\"\n", "{what:?}");
    }
    herald.cli(&["why", "--table", "things", "--key", "8"]).await.expect(1);
    herald.cli(&["why", "no-such-id"]).await.expect(1);
    herald.cli(&["why"]).await.expect(2);
    let document = herald.cli(&["why", "--last", "--json"]).await.expect(0).stdout;
    let document: Value = serde_json::from_str(&document).unwrap();
    let first = &document["invocations"][0];
    assert_eq!(first["why"]["detected"][0]["data"], json!({ "id": 7 }));
    assert_eq!(first["why"]["undetected"][0]["event"], "thing.shipped");
    let asked: Value = herald.get(&format!("/v1/invocations/{}/why", one.invocation)).await.expect(200).json();
    assert_eq!((&asked["why"], &asked["invocation"]["raw"]), (&first["why"], &first["invocation"]["raw"]));
    assert_eq!((&document["status"], document.get("next")), (&Value::Null, Some(&Value::Null)));
}

/// What a page shows below a command, up to the end of its block.
fn shown(page: &str, command: &str) -> String {
    let (_, rest) = page.split_once(&format!("$ {command}\n")).expect("the page has the command");
    rest.split_once("```").expect("a block ends").0.to_owned()
}

/// The same without ids, days and times, which differ each time.
fn masked(text: &str) -> String {
    let word = |word: &str| match word {
        id if id.len() == 36 && id.matches('-').count() == 4 => "<id>".to_owned(),
        time if time.contains(':') && time.starts_with(|c: char| c.is_ascii_digit() || c == '+') => "<time>".to_owned(),
        day if day.starts_with("20") && day.matches('-').count() == 2 => "<day>".to_owned(),
        other => other.to_owned(),
    };
    text.lines().map(|line| line.split(' ').map(word).collect::<Vec<_>>().join(" ") + "\n").collect()
}

#[tokio::test]
async fn the_page_on_seeing_shows_what_is_printed() {
    if is_kafka("the place of a record is another one there") {
        return;
    }
    let event = |when: &str, more: &str| {
        format!(
            "from: {{ table: public.orders, operations: [update] }}\nwhen: {when}\n\
             data: {{ orderId: new.id }}\nsample: {{ orderId: 7 }}\n{more}"
        )
    };
    let job = "jobs:\n  - id: receipt\n    log: { message: \"A receipt for order ${data.orderId}\" }\n";
    let herald = Herald::build()
        .event("order.paid", &event("became(\"status\", \"paid\")", job))
        .event("order.shipped", &event("became(\"status\", \"shipped\")", ""))
        .event("order.large", &event("new.total > 1000", ""))
        .start()
        .await;
    let (old, new) = (
        json!({ "id": 7, "status": "placed", "total": "12.50" }),
        json!({ "id": 7, "status": "paid", "total": "12.50" }),
    );
    let change = body::with_session(body::update("a", "orders", old, new), "x-hasura-user-id", "42");
    let summary = herald.run(change).await;
    let page = std::fs::read_to_string(tests::root().join("docs/seeing.md")).unwrap();
    let printed = herald.cli(&["why", summary.correlation.as_str()]).await.expect(0).stdout;
    assert_eq!(masked(&shown(&page, "herald why 5b0c")), masked(&printed));
    let (expression, told) = shown(&page, "herald eval")
        .split_once("» new.")
        .map(|(_, rest)| {
            let (line, told) = rest.split_once('\n').expect("an answer");
            (format!("new.{line}"), told.to_owned())
        })
        .expect("an expression");
    assert_eq!(herald.cli(&["eval", &expression, "--set", "new.status=payd"]).await.expect(1).stdout, told);
}

#[tokio::test]
async fn a_change_that_is_made_up_is_sent_as_hasura_would() {
    let herald = Herald::build().event("thing.made", &noted("things")).start().await;
    let made = herald.cli(&["send", "--table", "things", "--set", "id=7", "--wait"]).await.expect(0);
    made.has(&["Detected 1 event from INSERT public.things", "⭐ thing.made", "✅ note  row 7"]);
    // What is made up has an id of its own each time.
    herald.cli(&["send", "--table", "things", "--set", "id=7", "--wait"]).await.expect(0).has(&["⭐ thing.made"]);
    herald.cli(&["send", "--table", "others", "--set", "id=7", "--wait"]).await.expect(0).has(&["no event"]);
}

#[tokio::test]
async fn why_says_who_holds_what_is_awaited() {
    let slow = shell("slow", &until("mark"), "    concurrency: 1\n    order: key\n");
    let herald = Herald::build().event("thing.made", &with_jobs("things", &slow)).start().await;
    let first = herald.post(body::insert("a", "things", json!({ "id": 7 }))).await.correlation_id;
    let running = herald
        .wait_for("the job to run", async || {
            // It may not be known yet.
            let why = herald.cli(&["why", first.as_str()]).await;
            why.stdout.contains("running").then_some(why)
        })
        .await;
    running.has(&["🔄 slow", "now, run "]);
    if is_kafka("its runner is another process there, which this one knows no more of than its lag") {
        herald.mark("mark");
        return;
    }
    let second = herald.post(body::insert("b", "things", json!({ "id": 7 }))).await.correlation_id;
    herald
        .wait_for("the second to wait behind the first", async || {
            let why = herald.cli(&["why", second.as_str()]).await.stdout;
            (why.contains("⏳ slow") && why.contains("thing.made.slow has 1 run under way")).then_some(())
        })
        .await;
    herald.mark("mark");
    herald.complete(&second, 1).await;
}
