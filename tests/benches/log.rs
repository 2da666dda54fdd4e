//! What the embedded log costs, durably: appending batches, and a hop that reads, writes as much and moves its position.

use std::time::{Duration, Instant};

use bus::{
    Bus, Delivery, Member, Offset, Outgoing, Position, Share, Subscription, TopicPartition, TopicSpec, embedded,
};
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput};
use tokio::runtime::Runtime;

const BATCHES: [usize; 3] = [1, 50, 500];

fn batch(topic: &str, size: usize) -> Vec<Outgoing> {
    let value = Bytes::from(vec![b'x'; 1400]);
    (0..size).map(|_| Outgoing::new(topic, Bytes::from_static(b"default|public.moves|13107"), value.clone())).collect()
}

/// The next records of the one partition, which is opened where it is assigned.
async fn read(member: &dyn Member) -> (TopicPartition, bus::Generation, Vec<bus::Record>) {
    loop {
        match member.next().await.expect("a delivery") {
            Delivery::Records(at, generation, records) => return (at, generation, records),
            Delivery::Assigned(assignments) => {
                for assignment in assignments {
                    member.open(&assignment.partition, assignment.generation, Offset::ZERO);
                }
            }
            other => panic!("nobody else is there: {other:?}"),
        }
    }
}

/// Reads that many records, and writes as many in one commit.
async fn hop(member: &dyn Member, size: usize) {
    let (mut count, mut last) = (0, None);
    while count < size {
        let (at, generation, records) = read(member).await;
        count += records.len();
        last = records.last().map(|record| (at, generation, record.offset.next()));
    }
    let (partition, generation, next) = last.expect("at least one record");
    let share = Share { partition, generation, outputs: batch("output", size), position: Position::at(next) };
    member.commit(vec![share]).await.expect("a commit");
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .sample_size(20)
        .configure_from_args();
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = embedded::Embedded::open(&embedded::Config::new(folder.path())).expect("a log");
    runtime.block_on(log.create(["append", "input", "output"].map(TopicSpec::new).to_vec())).expect("topics");

    let mut group = criterion.benchmark_group("log/append");
    for size in BATCHES {
        group.throughput(Throughput::Elements(size as u64));
        group.bench_with_input(BenchmarkId::from_parameter(size), &size, |bencher, size| {
            bencher.iter(|| runtime.block_on(log.publish(batch("append", *size))).expect("room"));
        });
    }
    group.finish();

    let member = runtime.block_on(log.join("bench", Subscription::to(["input"]))).expect("a member");
    let mut group = criterion.benchmark_group("log/hop");
    for size in BATCHES {
        group.throughput(Throughput::Elements(size as u64));
        group.bench_with_input(BenchmarkId::from_parameter(size), &size, |bencher, size| {
            bencher.iter_custom(|rounds| {
                let mut took = Duration::ZERO;
                for _ in 0..rounds {
                    runtime.block_on(log.publish(batch("input", *size))).expect("room");
                    let begun = Instant::now();
                    runtime.block_on(hop(&*member, *size));
                    took += begun.elapsed();
                }
                took
            });
        });
    }
    group.finish();
    criterion.final_summary();
}
