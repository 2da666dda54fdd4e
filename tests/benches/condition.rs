//! What ten conditions on one table cost, of which one holds: finding the candidates, and evaluating each.

mod common;

use std::hint::black_box;

use catalog::{Change, ChangeParts, Verdict};
use contracts::hasura;
use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let catalog = common::ten_rules();
    let body = hasura::parse(&common::body()).expect("the example is JSON");
    criterion.bench_function("condition/ten rules, one holds", |bencher| {
        bencher.iter(|| {
            let parts =
                ChangeParts { body: black_box(&body), source: "default", received: jiff::Timestamp::UNIX_EPOCH };
            let change = Change::new(parts).expect("the example is a change");
            let events = catalog.candidates(&change);
            let held = events.filter(|event| matches!(event.evaluate(&change), Verdict::Detected { .. })).count();
            assert_eq!(held, 1);
        });
    });
    criterion.final_summary();
}
