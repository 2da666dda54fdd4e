//! How long a condition takes: a bound far above what is measured, so that only an accident of another order fails.

mod common;

use std::{hint::black_box, time::Instant};

use catalog::Verdict;
use common::{catalog, change};

const ROUNDS: u32 = 100_000;

#[test]
fn a_typical_condition_costs_far_less_than_the_webhook_around_it() {
    let catalog = catalog(&[(
        "events/a.yaml",
        "from: { table: moves }\nwhen: |\n  became(\"status\", \"x\") && new.price > 5\ndata: { id: new.id }\n",
    )]);
    let columns: String = (0..40).map(|index| format!("\"column_{index}\": \"value {index}\", ")).collect();
    let row = |status: &str| format!("{{ {columns} \"id\": 1, \"status\": \"{status}\", \"price\": 4.99e0 }}");
    let body = format!(
        r#"{{ "table": {{ "schema": "public", "name": "moves" }}, "event": {{ "op": "UPDATE", "data": {{ "old": {}, "new": {} }} }} }}"#,
        row("y"),
        row("x")
    );
    let body = serde_json::from_str(&body).expect("JSON");
    let started = Instant::now();
    for _ in 0..ROUNDS {
        let change = change(black_box(&body), "default");
        let found = catalog.candidates(&change);
        for event in found {
            assert!(matches!(black_box(event.evaluate(&change)), Verdict::NotDetected(_)));
        }
    }
    let each = started.elapsed() / ROUNDS;
    assert!(each.as_micros() < 20, "{each:?}");
}
