//! Why events did not happen: always an answer, and never a dear one.

mod common;

use catalog::{Catalog, Whys};
use common::{catalog, change};
use serde_json::{Value, json};

fn shop() -> Catalog {
    catalog(&[
        ("events/order.placed.yaml", "from: { table: shop.orders, operations: [insert] }\n"),
        (
            "events/order.paid.yaml",
            "from: { table: shop.orders, operations: [update] }\nwhen: |\n  became(\"status\", \"paid\")\n",
        ),
        (
            "events/order.typo.yaml",
            "from: { table: shop.orders, operations: [update] }\nwhen: |\n  changed(\"statuss\")\n",
        ),
        ("events/order.wrong.yaml", "from: { table: shop.orders, operations: [update] }\nwhen: |\n  new.status > 5\n"),
        ("events/order.touched.yaml", "from: { table: shop.orders, operations: [update] }\n"),
        ("events/order.billed.yaml", "from: { table: shop.bills, source: billing }\n"),
        ("events/order.triggered.yaml", "from: { table: shop.parcels, trigger: parcels }\n"),
    ])
}

fn why(catalog: &Catalog, schema: &str, table: &str, op: &str) -> Whys {
    let body = json!({
        "table": { "schema": schema, "name": table }, "trigger": { "name": "t" },
        "event": { "op": op, "data": { "old": { "status": "new" }, "new": { "status": "open" } } },
    });
    catalog.why_not(&change(&body, "default"))
}

#[test]
fn an_event_that_did_not_happen_says_why_also_beside_one_that_did() {
    let found = why(&shop(), "shop", "orders", "UPDATE");
    let text: Vec<String> = found.events.iter().map(|not| format!("{}: {}", not.event, not.because)).collect();
    assert_eq!(
        text,
        [
            "order.paid: became(\"status\", \"paid\"): status changed to \"open\"",
            "order.wrong: a string has no order with an int; \"open\" is no number (new.status = \"open\")",
            "order.typo: neither row has a column statuss",
            "order.placed: the change is UPDATE, and the event listens to INSERT",
        ]
    );
    assert_eq!((found.more, found.nothing), (0, None));
}

#[test]
fn what_no_event_is_about_names_the_closest() {
    let shop = shop();
    for (schema, table, op, expected) in [
        (
            "public",
            "orders",
            "UPDATE",
            "no event is about public.orders; closest: shop.orders (order.paid, order.placed, order.touched and 2 more)",
        ),
        (
            "shop",
            "order",
            "UPDATE",
            "no event is about shop.order; closest: shop.orders (order.paid, order.placed, order.touched and 2 more)",
        ),
        (
            "shop",
            "customers",
            "UPDATE",
            "no event is about shop.customers; the catalog is about shop.bills, shop.orders, shop.parcels",
        ),
        (
            "shop",
            "orders",
            "DELETE",
            "no event is about DELETE of shop.orders; order.paid is about UPDATE only, order.placed is about INSERT only, order.touched is about UPDATE only and 2 more",
        ),
        (
            "shop",
            "bills",
            "UPDATE",
            "no event is about shop.bills of the source default; order.billed wants the source billing",
        ),
    ] {
        assert_eq!(why(&shop, schema, table, op).nothing.as_deref(), Some(expected), "{schema}.{table} {op}");
    }
    let trigger = why(&shop, "shop", "parcels", "UPDATE");
    assert_eq!(trigger.nothing, None);
    assert!(trigger.events[0].because.contains("not from parcels"), "{:?}", trigger.events);
    let empty = why(&catalog(&[]), "public", "orders", "UPDATE").nothing.expect("a reason");
    assert!(empty.contains("has no event"), "{empty}");
}

#[test]
fn a_wrong_operation_is_told_before_a_wrong_source() {
    let catalog = catalog(&[
        ("events/order.a.yaml", "from: { table: shop.x, operations: [insert] }\n"),
        ("events/order.b.yaml", "from: { table: shop.x, operations: [delete], source: billing }\n"),
        ("events/order.c.yaml", "from: { table: shop.x, operations: [insert], source: billing }\n"),
    ]);
    let expected = "no event is about DELETE of shop.x; order.a is about INSERT only";
    assert_eq!(why(&catalog, "shop", "x", "DELETE").nothing.as_deref(), Some(expected));
}

#[test]
fn the_closest_is_the_one_whose_condition_looks_at_what_changed() {
    let from = "from: { table: shop.orders, operations: [update] }\nwhen: |\n  ";
    let catalog = catalog(&[
        ("events/a.yaml", &format!("{from}changed(\"price\")\n")),
        ("events/b.yaml", &format!("{from}became(\"status\", \"opne\")\n")),
    ]);
    let found = why(&catalog, "shop", "orders", "UPDATE");
    assert_eq!(found.events.iter().map(|not| not.event.to_string()).collect::<Vec<_>>(), ["b", "a"]);
}

#[test]
fn many_explanations_share_one_effort_and_are_bounded_in_bytes() {
    let terms = ["new.items.all(x, x >= 0) && new.items.exists(x, x < 0)"; 12].join(" || ");
    let files: Vec<(String, String)> = (0..500)
        .map(|number| (format!("events/e{number}.yaml"), format!("from: {{ table: t }}\nwhen: |\n  {terms}\n")))
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let catalog = catalog(&files);
    let items: Vec<Value> = (0..3000).map(Value::from).collect();
    let body = json!({ "table": { "name": "t" },
        "event": { "op": "INSERT", "data": { "old": null, "new": { "items": items, "doc": "x".repeat(3_000_000) } } } });
    let found = catalog.why_not(&change(&body, "default"));
    assert!(found.events.len() < 200 && found.more as usize + found.events.len() == 500, "{}", found.events.len());
    let bytes: usize = found.events.iter().map(|not| contracts::json::size(&not)).sum();
    assert!(bytes < 70_000, "{bytes}");
}
