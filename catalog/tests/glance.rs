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
    "new.a == null",
    "1.0 == new.a",
    "new.a in [1, \"x\"]",
    "new.a in [null, 2.50, true]",
    "became(\"b\", null)",
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
    let mut glance = Glance::new(&change);
    let found: Vec<bool> = catalog.events().iter().map(|event| glance.rules_out(event)).collect();
    for (event, _) in catalog.events().iter().zip(&found).filter(|(_, out)| **out) {
        let verdict = event.evaluate(&change);
        assert_eq!(verdict, Verdict::NotDetected(Reason::False), "{:?}", event.when().map(ToString::to_string));
    }
    (0..found.len()).filter(|at| found[*at]).collect()
}

#[test]
fn what_begins_with_a_demand_on_a_column_that_is_not_met_is_ruled_out() {
    let conditions = [
        "changed(\"a\")",
        "became(\"a\", 1) && new.b == 1",
        "became(\"a\", new.b)",
        "new.a == 2.50",
        "new.a in [2, null, \"x\"] && new.b == 1",
        "new.a == null",
        // These do not begin so.
        "new.b == 2 || new.a == 1",
        "new.a != 1",
    ];
    let catalog = catalog_of(&conditions.map(str::to_owned));
    let of = |old, new| ruled_out(&catalog, &body("UPDATE", old, new));
    assert_eq!(of(json!({ "a": 1 }), json!({ "a": 1.0 })), [0, 1, 2, 3, 4, 5]);
    assert_eq!(of(json!({ "a": 3 }), json!({ "a": 2.5 })), [1, 4, 5]);
    assert_eq!(of(json!({ "a": 3 }), json!({ "a": 1 })), [3, 4, 5]);
    assert_eq!(of(json!({ "a": 3 }), json!({ "a": null })), [1, 3]);
    // What is missing is not false, beside a written null it is even true, and it is no change.
    assert_eq!(of(json!({ "a": 3 }), json!({})), [0, 1, 2]);
}

#[test]
fn of_many_columns_each_is_known() {
    let conditions: Vec<String> = (0..100).map(|at| format!("became(\"c{}\", 1)", at % 50)).collect();
    let row = |at: usize| json!({ format!("c{at}"): 1, "c40": 2 });
    let catalog = catalog_of(&conditions);
    for at in [0, 15, 16, 49] {
        let found = ruled_out(&catalog, &body("UPDATE", json!({ format!("c{at}"): 0 }), row(at)));
        assert_eq!(found.len(), 98, "{at}");
    }
}

#[test]
fn what_is_no_scalar_is_left_to_the_evaluation_with_its_budget() {
    let catalog = catalog_of(&["changed(\"a\")", "became(\"a\", 1)", "new.a == 1", "new.a in [1]"].map(str::to_owned));
    // However large: comparing those that are may fail.
    let lists = body("UPDATE", json!({ "a": [1] }), json!({ "a": [1] }));
    assert_eq!(ruled_out(&catalog, &lists), [0; 0]);
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
    let column = || {
        select(vec![Value::Null, json!(1), json!(2.5), json!(1.0), json!(true), json!("x"), json!([1, 7]), json!([1])])
    };
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
