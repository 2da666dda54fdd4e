//! What results cost for one webhook: one transaction of a hundred, each with its detection and its job's end.

use bus::{Offset, Partition, Record};
use contracts::{
    headers::Headers,
    ids::{EventId, InvocationId, JobRunId},
    names::{EventRef, JobName},
    progress::{AttemptState, Detected, DetectedEvent, Fact, JobStep, Occurrence, Origin, Progress},
    raw::{Kind, Place},
    topics,
};
use criterion::{BatchSize, Criterion, Throughput};
use jiff::Timestamp;
use results::store::{Batch, Options, Read, Writer};

/// How many webhooks a transaction holds.
const WEBHOOKS: u64 = 100;

fn facts(number: u64) -> [Progress; 2] {
    let id = number.to_string();
    let occurrence = Occurrence {
        invocation: InvocationId::derived("default", &id),
        correlation: contracts::ids::CorrelationId::derived("default", &id),
        raw: Place { partition: 0, offset: number },
        received: Timestamp::UNIX_EPOCH,
    };
    let event: EventRef = "bench.changed".parse().expect("a name");
    let job: JobName = "log".parse().expect("a name");
    let event_id = EventId::derived(occurrence.invocation, &event);
    let origin = Origin {
        body: Kind::Hasura,
        source: "default".into(),
        table: Some("public.moves".into()),
        key: None,
        op: None,
        trigger: Some("moves".into()),
        user: None,
        depth: 0,
        related_to: None,
        event: None,
        cause: None,
    };
    let detected = Detected {
        origin,
        catalog: 1,
        events: vec![DetectedEvent { id: event_id, event: event.clone(), jobs: vec![job.clone()] }],
        undetected: vec![],
        undetected_more: 0,
        failed_more: 0,
        failed: vec![],
    };
    let step = JobStep {
        event_id,
        event,
        run: JobRunId::derived(event_id, &job),
        job,
        attempt: 1,
        state: AttemptState::Succeeded,
        started: Timestamp::UNIX_EPOCH,
        ended: Some(Timestamp::UNIX_EPOCH),
        result: None,
        error: None,
        stderr: None,
        stdout: None,
        published: None,
        of: None,
        again: None,
        gathered: None,
        superseded_by: None,
        dead: None,
        by: None,
        probe: None,
    };
    [Fact::Detected(detected), Fact::Job(step)].map(|fact| Progress { occurrence: occurrence.clone(), fact })
}

/// The next transaction: records from that offset on.
fn batch(from: u64) -> Batch {
    let mut records = Vec::new();
    for number in from / 2..from / 2 + WEBHOOKS {
        for progress in facts(number) {
            let offset = Offset(from + records.len() as u64);
            let value = Some(progress.encode().into());
            let (topic, partition, published) = (topics::PROGRESS.into(), Partition(0), Timestamp::UNIX_EPOCH);
            records.push(Record { topic, partition, offset, published, key: None, value, headers: Headers::default() });
        }
    }
    let to = Offset(from + records.len() as u64);
    let read = Read { from: (from > 0).then_some(Offset(from)), to };
    Batch { records, read: [(0, read)].into(), sent: None }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = Writer::open(Options::new(folder.path().join("results.db"))).expect("a store");
    let mut next = 0;
    let mut group = criterion.benchmark_group("results");
    group.throughput(Throughput::Elements(WEBHOOKS));
    group.bench_function("a transaction of 100 webhooks", |bencher| {
        bencher.iter_batched(
            || {
                let made = batch(next);
                next += 2 * WEBHOOKS;
                made
            },
            |batch| writer.apply(&batch).expect("applied"),
            BatchSize::PerIteration,
        );
    });
    group.finish();
    criterion.final_summary();
}
