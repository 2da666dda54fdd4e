//! A change that is made up for an event is that event.

mod common;

use catalog::{Catalog, Change, ChangeParts, Likely, Sources, Verdict};
use common::{TestKinds, catalog};
use jiff::Timestamp;
use serde_json::json;

fn now() -> Timestamp {
    "2026-03-02T09:41:07.6Z".parse().expect("a timestamp")
}

fn likely(event: &str) -> Result<Likely, String> {
    let catalog = catalog(&[("events/a.yaml", event)]);
    catalog.events()[0].likely(now())
}

#[test]
fn a_test_that_expects_the_event_is_sent() {
    let event = "from: { table: shop.orders, operations: [update], source: eu }\nwhen: |\n  new.n > old.n + 3\n\
        sample: { id: 1 }\ndata: { id: new.id }\ntests:\n\
        - name: not so much\n  change: { op: update, old: { n: 1, id: 1 }, new: { n: 2, id: 1 } }\n  expect: none\n\
        - name: much more\n  change: { op: update, old: { n: 1, id: 7 }, new: { n: 9, id: 7 } }\n  expect: detected\n";
    let likely = likely(event).expect("a change");
    assert_eq!((likely.source.as_str(), likely.test.as_deref()), ("eu", Some("much more")));
    assert_eq!(likely.body["event"]["data"]["new"], json!({ "n": 9, "id": 7 }));
    assert_eq!(likely.body["table"], json!({ "schema": "shop", "name": "orders" }));
}

#[test]
fn without_one_it_is_made_of_the_sample_and_the_condition() {
    for (event, old, new) in [
        (
            "from: { table: a, operations: [update] }\nwhen: became(\"status\", \"paid\") && new.kind in [\"x\", \"y\"]\n\
             sample: { id: 1.10, was: open }\ndata: { id: new.id, was: old.status }\n",
            r#"{"id":1.10,"kind":"x","status":"open"}"#,
            r#"{"id":1.10,"kind":"x","status":"paid"}"#,
        ),
        (
            "from: { table: a, operations: [update] }\nwhen: changed(\"price\")\nsample: { price: 5 }\ndata: { price: new.price }\n",
            r#"{"price":0}"#,
            r#"{"price":5}"#,
        ),
        ("from: { table: a, operations: [insert] }\nsample: { id: 1 }\ndata: { id: new.id }\n", "null", r#"{"id":1}"#),
        ("from: { table: a, operations: [delete] }\nsample: { id: 1 }\ndata: { id: old.id }\n", r#"{"id":1}"#, "null"),
        ("from: { table: \"*\" }\n", "null", "{}"),
    ] {
        let likely = likely(event).expect(event);
        let data = &likely.body["event"]["data"];
        assert_eq!((data["old"].to_string().as_str(), data["new"].to_string().as_str()), (old, new), "{event}");
    }
}

#[test]
fn what_a_condition_wants_is_made_up() {
    for when in [
        r#"was("status", "paid") && became("status", "shipped")"#,
        r#"op == "INSERT" && new.paid"#,
        r#"op == "UPDATE" && !new.paid && !old.paid"#,
        r#"changed("note") && role == "clerk""#,
        r#"user == "u1" && session["x-hasura-shop"] == "berlin""#,
        r#"new.total > 1000 && new.total < 2000 && became("status", "paid")"#,
        r#"new.total > 1000 && new.total >= 5"#,
        r#"!(new.total < 10) && !(new.rest >= 3) && 5 < new.a && 5 >= new.b && !(5 > new.c) && !(5 <= new.d)"#,
        r#"num(new.total) >= 5 && new.status in ["paid"]"#,
        r#"new.total > 1.5 && old.total < 0.5"#,
        r#"!(new.status in ["paid"]) && new.kind != "x""#,
        r#"new.number.startsWith("A-") && new.mail.endsWith("@x.de") && !new.mail.contains("spam")"#,
        r#"has(new.note) && new.note != null"#,
        r#"new.options.color == "red" && get(new, "options.size", 0) > 3"#,
        r#"changedAny("a", "b")"#,
        r#"lower(new.status) == "paid" || new.n > old.n + 3"#,
        r#"row.kind == "x""#,
    ] {
        // A sample that shows no column.
        let event =
            format!("from: {{ table: a }}\nwhen: '{when}'\nsample: {{ x: 1 }}\ndata: {{ x: size(table.name) }}\n");
        likely(&event).unwrap_or_else(|why| panic!("{when}: {why}"));
    }
}

#[test]
fn what_cannot_be_made_up_says_what_is_in_the_way() {
    let why = likely(
        "from: { table: a, operations: [update] }\nwhen: new.n > old.n + 3\nsample: { id: 1 }\ndata: { id: new.id }\n",
    );
    assert!(
        why.as_ref().is_err_and(|why| why.contains("`new.n > old.n + 3`") && why.contains("new.n is missing")),
        "{why:?}"
    );
    let why = likely("description: by name\njobs: []\n");
    assert!(why.is_err_and(|why| why.contains("published by name")));
}

#[test]
fn whatever_is_made_up_for_the_example_is_detected() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/moves");
    let sources = Sources::read(root.as_ref()).expect("a folder");
    let catalog = Catalog::compile(&sources, &TestKinds).catalog.expect("a catalog");
    for event in catalog.events() {
        let likely = event.likely(now()).unwrap_or_else(|why| panic!("{}: {why}", event.name()));
        let parts = ChangeParts { body: &likely.body, source: &likely.source, received: now() };
        let change = Change::new(parts).expect("a change");
        assert!(matches!(event.evaluate(&change), Verdict::Detected { .. }), "{}", event.name());
    }
}
