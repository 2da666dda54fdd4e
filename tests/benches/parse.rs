//! What reading a webhook's body costs: what ingest reads of it, the whole, and what ten rules look at.

mod common;

use std::hint::black_box;

use contracts::hasura;
use criterion::{Criterion, Throughput};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let body =
        std::fs::read(tests::root().join("examples/moves/payloads/pickup-successful.json")).expect("the example");
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("recognise", |bencher| {
        bencher.iter(|| hasura::recognise(black_box(&body)).is_ok());
    });
    group.bench_function("whole", |bencher| {
        bencher.iter(|| hasura::parse(black_box(&body)).is_ok());
    });
    let catalog = common::ten_rules();
    group.bench_function("partly", |bencher| {
        bencher.iter(|| catalog.parse(black_box(&body), "default").is_ok());
    });
    group.finish();
    criterion.final_summary();
}
