//! What the detector decides about one raw record: parsing, ten conditions, one event and its progress, deduplication.

mod common;

use bus::{Offset, Partition, Record};
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

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let (catalog, config, body) = (common::ten_rules(), Config::default(), common::body());
    let decider = Decider { catalog: &catalog, number: 1, config: &config };
    let mut seen = Seen::new(config.window.get(), config.ids);
    let mut number = 0;
    criterion.bench_function("detector/decide", |bencher| {
        let next = || {
            number += 1;
            record(number, &body)
        };
        bencher.iter_batched(next, |record| decider.decide(&record, &mut seen), BatchSize::SmallInput);
    });
    criterion.final_summary();
}
