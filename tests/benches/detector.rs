//! What the detector decides about one raw record: parsing, ten conditions, one event and its progress, deduplication.
//!
//! `undetected` is the most common case: fifty conditions, none of which holds. It is to cost less than `decide`; in
//! `undetected-others` no two of the conditions begin alike. `decide-schema` is `decide` with a schema that the data are held against.

mod common;

use bus::{Offset, Partition, Record};
use catalog::Catalog;
use contracts::{
    ids::{CorrelationId, InvocationId},
    raw::{Kind, RawHeaders},
    topics,
};
use criterion::{BatchSize, Criterion};
use detector::{Config, Decider, Seen};
use jiff::Timestamp;

fn record(number: u64, body: &[u8]) -> Record {
    let id = number.to_string();
    let headers = RawHeaders {
        kind: Kind::Hasura,
        source: "default".into(),
        source_id: Some(id.clone()),
        received: Timestamp::UNIX_EPOCH,
        invocation: InvocationId::derived("default", &id),
        correlation: CorrelationId::derived("default", &id),
        depth: 0,
        related_to: None,
        traceparent: None,
        named: None,
    };
    Record {
        topic: topics::RAW.into(),
        partition: Partition(0),
        offset: Offset(number),
        published: Timestamp::UNIX_EPOCH,
        key: Some("default|public.moves|13107".into()),
        value: Some(body.to_vec().into()),
        headers: headers.encode(),
    }
}

fn bench(criterion: &mut Criterion, name: &str, catalog: &Catalog, body: &[u8]) {
    let config = Config::default();
    let decider = Decider { catalog, number: 1, config: &config };
    let mut seen = Seen::new(config.window.get(), config.ids);
    let mut number = 0;
    criterion.bench_function(name, |bencher| {
        let next = || {
            number += 1;
            record(number, body)
        };
        bencher.iter_batched(next, |record| decider.decide(&record, &mut seen), BatchSize::SmallInput);
    });
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let body = common::body();
    bench(&mut criterion, "detector/decide", &common::ten_rules(), &body);
    bench(&mut criterion, "detector/decide-schema", &common::ten_rules_with_schemas(), &body);
    bench(&mut criterion, "detector/undetected", &common::fifty_rules(), &body);
    bench(&mut criterion, "detector/undetected-others", &common::fifty_others(), &body);
    criterion.final_summary();
}
