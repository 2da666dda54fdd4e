//! Measurements, run by hand: `cargo test -p results --release -- --ignored --nocapture measure`.

use std::time::{Duration, Instant};

use bus::Offset;
use contracts::progress::AttemptState;

use super::facts;
use crate::store::{Batch, Options, Page, Read, Writer};

/// What this thread has used of a processor: the machine may be busy with other things.
fn used() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("a number"))
}

fn batches(per: u64, count: u64, apart: bool) -> Vec<Batch> {
    let mut out = Vec::new();
    let mut offset = 0;
    let mut push = |records: Vec<contracts::progress::Progress>| {
        let from = offset;
        let records = records
            .iter()
            .map(|progress| {
                offset += 1;
                facts::record(offset - 1, progress)
            })
            .collect();
        let from = (from > 0).then_some(Offset(from));
        out.push(Batch { records, read: [(0, Read { from, to: Offset(offset) })].into(), sent: None });
    };
    for batch in 0..count {
        let all: Vec<_> = (batch * per..(batch + 1) * per)
            .map(|number| facts::occurrence(&format!("{:032x}", u128::from(number) * 0x9e37_79b9_7f4a_7c15), number))
            .collect();
        let detected = all.iter().map(|occurrence| facts::detected(occurrence, &["log"]));
        let jobs = all.iter().map(|occurrence| facts::step(occurrence, "log", 1, AttemptState::Succeeded));
        if apart {
            push(detected.collect());
            push(jobs.collect());
        } else {
            push(detected.chain(jobs).collect());
        }
    }
    out
}

#[test]
#[ignore = "a measurement"]
fn measure_the_cost_of_a_webhook() {
    for (per, apart) in [(20, false), (100, false), (500, false), (20, true), (100, true), (500, true)] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut writer = Writer::open(Options::new(folder.path().join("results.db"))).expect("a store");
        let count = 200_000 / per;
        let batches = batches(per, count, apart);
        let (started, before) = (Instant::now(), used());
        let mut announced = 0;
        for batch in &batches {
            announced += writer.apply(batch).expect("applied").announced.map_or(0, |one| one.summaries.len());
        }
        let all = (per * count) as u32;
        let (each, cpu) = (started.elapsed() / all, (used() - before) / all);
        assert_eq!(announced as u64, per * count);
        let bytes = std::fs::metadata(writer.path()).expect("a file").len() / (per * count);
        println!("{per} webhooks per batch, facts in {} batches: {cpu:?} of processor each ({each:?} in all), {bytes} bytes", 1 + u8::from(apart));
    }
}

#[test]
#[ignore = "a measurement"]
fn measure_a_correlation_of_a_hundred_thousand() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = Writer::open(Options::new(folder.path().join("results.db"))).expect("a store");
    let mut offset = 0;
    let mut slowest = Duration::ZERO;
    for batch in 0..1000_u64 {
        let progress: Vec<_> = (0..100).flat_map(|n| facts::done("everything", batch * 100 + n)).collect();
        let records = progress.iter().zip(offset..).map(|(progress, offset)| facts::record(offset, progress)).collect();
        let from = (offset > 0).then_some(Offset(offset));
        offset += 200;
        let batch = Batch { records, read: [(0, Read { from, to: Offset(offset) })].into(), sent: None };
        let started = Instant::now();
        writer.apply(&batch).expect("applied");
        slowest = slowest.max(started.elapsed());
    }
    println!("slowest transaction of 100 webhooks: {slowest:?}");
    let reader = writer.reader();
    let id = "everything".parse().expect("an id");
    for _ in 0..3 {
        let started = Instant::now();
        let summary = reader.summary(&id, &Page::default()).expect("read").expect("known");
        println!("summary of {}: {:?}", summary.counters.invocations, started.elapsed());
        let started = Instant::now();
        reader.tally(&id).expect("read").expect("known");
        println!("tally: {:?}", started.elapsed());
    }
}

#[test]
#[ignore = "a measurement"]
fn measure_the_parts() {
    use crate::fold::{Invocation, Told};
    let batches = batches(1000, 50, false);
    let values: Vec<_> = batches.iter().flat_map(|batch| &batch.records).map(|record| record.value()).collect();
    let each = |what: &str, before: Duration| println!("{what}: {:?} per webhook", (used() - before) / 50_000);
    let before = used();
    let told: Vec<Told> = values.iter().map(|value| Told::read(value).expect("progress")).collect();
    each("read both facts", before);
    let mut states = std::collections::HashMap::new();
    let before = used();
    for told in told {
        let key = (told.progress.occurrence.correlation.clone(), told.progress.occurrence.invocation);
        match states.entry(key) {
            std::collections::hash_map::Entry::Vacant(new) => { new.insert(Invocation::first(told)); },
            std::collections::hash_map::Entry::Occupied(mut have) => { have.get_mut().apply(told); },
        }
    }
    each("fold", before);
    let before = used();
    let bytes: usize = states.values().map(|state| crate::store::body::encode(state, 1024).len()).sum();
    each("encode", before);
    println!("{} bytes a row, {} bytes both facts", bytes / 50_000, values.iter().map(|v| v.len()).sum::<usize>() / 50_000);
    let before = used();
    let views: Vec<_> = states
        .values()
        .map(|state| crate::store::reader::alone(state, &crate::fold::Tally::of(&state.part())))
        .collect();
    each("summarise", before);
    let before = used();
    let bytes: usize = views.into_iter().map(|view| crate::announce::record(view).size()).sum();
    each("announce", before);
    println!("{} bytes an announcement", bytes / 50_000);
}
