//! A quick look at a change passes over nothing that evaluating it would find.

mod common;

use catalog::{Catalog, Glance, Reason, Verdict};
use common::{catalog, change, compile};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

const TERMS: &[&str] = &[
    "changed(\"a\")",
    "changed(\"b\")",
    "changed(\"missing\")",
    "became(\"a\", 1)",
    "became(\"a\", 2)",
    "became(\"a\", new.b)",
    "became(\"b\", size(new.a))",
    "was(\"a\", 1)",
    "new.a == 1",
    "new.a in [1, \"x\"]",
    "new.a > 1",
    "new.b.startsWith(\"x\")",
    "new.missing == 1",
    "size(new.b) > 1",
    "old.a != null",
    "!changed(\"a\")",
    "(changed(\"a\") || new.b == 1)",
    "new.a.exists(x, x == 7)",
    "op == \"UPDATE\"",
];

fn files(conditions: &[String]) -> Vec<(String, String)> {
    let file = |(at, when): (usize, &String)| {
        (format!("events/e{at}.yaml"), format!("from: {{ table: \"*\" }}\nwhen: |\n  {when}\nsample: {{}}\n"))
    };
    conditions.iter().enumerate().map(file).collect()
}

fn catalog_of(conditions: &[String]) -> Catalog {
    let files = files(conditions);
    catalog(&files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect::<Vec<_>>())
}

fn body(op: &str, old: Value, new: Value) -> Value {
    json!({ "table": { "name": "t" }, "event": { "op": op, "data": { "old": old, "new": new } } })
}

/// The positions of the events that a look at the change rules out, all of which did not happen.
fn ruled_out(catalog: &Catalog, body: &Value) -> Vec<usize> {
    let change = change(body, "default");
    let mut glance: Glance<'_> = catalog.glance(&change);
    let ruled_out = |event: &_| glance.rules_out(event);
    let found: Vec<bool> = catalog.events().iter().map(ruled_out).collect();
    for (event, _) in catalog.events().iter().zip(&found).filter(|(_, out)| **out) {
        let verdict = event.evaluate(&change);
        assert_eq!(verdict, Verdict::NotDetected(Reason::False), "{:?}", event.when().map(ToString::to_string));
    }
    (0..found.len()).filter(|at| found[*at]).collect()
}

#[test]
fn what_several_events_begin_with_is_asked_once() {
    let conditions = ["became(\"a\", 1) && new.b == 1", "became(\"a\", 2)", "new.b == 2 && new.a == 1", "new.b == 2"];
    let catalog = catalog_of(&conditions.map(str::to_owned));
    let of = |old, new| ruled_out(&catalog, &body("UPDATE", old, new));
    assert_eq!(of(json!({ "a": 1 }), json!({ "a": 1.0, "b": 2 })), [0, 1]);
    assert_eq!(of(json!({ "a": 3 }), json!({ "a": 1, "b": 1 })), [2, 3]);
    // What is absent is not false.
    assert_eq!(of(json!({ "a": 3 }), json!({ "a": 1 })), [0; 0]);
}

#[test]
fn what_takes_too_many_steps_is_ruled_out_by_nobody() {
    let items = |count| body("INSERT", Value::Null, json!({ "a": vec![0; count] }));
    // An element is some steps: with so many before, one of the terms takes just one more than there are.
    for before in 0..5 {
        let first = format!("({}new.a.exists(x, x == 7))", "false || ".repeat(before));
        let catalog = catalog_of(&[format!("{first} && new.b == 1"), first]);
        let fails = |count: &usize| {
            let body = items(*count);
            matches!(catalog.events()[0].evaluate(&change(&body, "default")), Verdict::Failed { .. })
        };
        let counts: Vec<usize> = (0..100_000).collect();
        let least = counts.partition_point(|count| !fails(count));
        assert!((1000..100_000).contains(&least));
        assert_eq!(ruled_out(&catalog, &items(least - 2)), [0, 1]);
        assert_eq!(ruled_out(&catalog, &items(least)), [0; 0]);
    }
}

fn condition() -> impl Strategy<Value = String> {
    (prop::collection::vec(select(TERMS), 1..4), select(&[" && ", " && ", " || "][..]))
        .prop_map(|(terms, operator)| terms.join(operator))
        .prop_filter("a condition that may hold", |when| {
            let files = files(std::slice::from_ref(when));
            compile(&[(&files[0].0, &files[0].1)]).catalog.is_some()
        })
}

fn row() -> impl Strategy<Value = Value> {
    let column = || select(vec![Value::Null, json!(1), json!(2), json!("x"), json!([1, 7]), json!([1])]);
    let row = (prop::option::of(column()), prop::option::of(column())).prop_map(|(a, b)| {
        let columns = [("a", a), ("b", b)].into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(columns.collect())
    });
    prop_oneof![9 => row, 1 => Just(Value::Null)]
}

proptest! {
    #[test]
    fn what_is_ruled_out_did_not_happen(
        conditions in prop::collection::vec(condition(), 2..8),
        changes in prop::collection::vec((select(&["UPDATE", "UPDATE", "INSERT", "DELETE"][..]), row(), row()), 1..20),
    ) {
        let catalog = catalog_of(&conditions);
        for (op, old, new) in changes {
            ruled_out(&catalog, &body(op, old, new));
        }
    }
}
