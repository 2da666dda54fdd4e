//! What is held in memory, and whom a key holds back: a group against logs of any shape.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bus::{Committed, Record, Topic};
use bytes::Bytes;
use proptest::prelude::*;

use super::{
    tests::{now, with},
    *,
};
use crate::{Answer, rebuild::Rebuilt, steps::tests::event};

/// A record of a log: its key, and the size of its value.
type Shape = (u8, usize);

/// A group, the logs that it reads, and what it did so far.
struct World {
    core: Core,
    logs: HashMap<TopicPartition, Vec<Record>>,
    /// Where each partition is delivered next, and whether it is paused.
    cursors: BTreeMap<TopicPartition, (usize, bool)>,
    reading: Option<Reading>,
    running: Vec<Launch>,
    /// Every run that began, in order.
    begun: Vec<(TopicPartition, Offset, Option<Bytes>)>,
    most_held: usize,
    reads: usize,
}

impl World {
    fn new(limits: Limits, concurrency: usize, logs: &[Vec<Shape>]) -> Self {
        let mut core = with("work", limits, concurrency);
        let mut out = HashMap::new();
        for (number, shapes) in (0..).zip(logs) {
            let partition = TopicPartition::new("event.a", number);
            let (assigned, position) = (partition.clone(), bus::Position::at(Offset::ZERO));
            core.assign(Assignment { partition: assigned, generation: Generation(1), position }).expect("a position");
            let inputs = vec![(partition.clone(), Generation(1))];
            core.rebuilt(Rebuilt { inputs, ..Rebuilt::default() }, now());
            let record = |(at, (key, size)): (usize, &Shape)| Record {
                topic: Topic::from("event.a"),
                partition: partition.partition,
                // With holes.
                offset: Offset(at as u64 * 3),
                published: now().wall,
                key: Some(format!("{key}").into()),
                value: Some(vec![b' '; *size].into()),
                headers: event("a", at as u64).encode(),
            };
            out.insert(partition.clone(), shapes.iter().enumerate().map(record).collect());
        }
        let cursors = out.keys().map(|at: &TopicPartition| (at.clone(), (0, false))).collect();
        let (reading, running, begun) = (None, Vec::new(), Vec::new());
        Self { core, logs: out, cursors, reading, running, begun, most_held: 0, reads: 0 }
    }

    /// Lets it decide, and does what it says.
    fn advance(&mut self) {
        self.core.admit(now());
        if self.core.gather(now()).is_some() {
            self.core.committed(Committed::default()).expect("nothing is refused");
        }
        self.most_held = self.most_held.max(self.core.queue.bytes() + self.core.backlog_bytes);
        for effect in self.core.effects() {
            match effect {
                Effect::Pause(at) => self.cursors.get_mut(&at).expect("a cursor").1 = true,
                Effect::Resume(at) => self.cursors.get_mut(&at).expect("a cursor").1 = false,
                Effect::Read(reading) => {
                    self.reads += 1;
                    assert!(self.reading.replace(reading).is_none(), "two reads at once");
                }
                Effect::Launch(launch) => {
                    let key = launch.item.key.as_ref().map(|key| key.key.clone());
                    self.begun.push((launch.item.partition.clone(), launch.item.offset, key));
                    self.running.push(launch);
                }
                _ => {}
            }
        }
    }

    /// Delivers up to so many records of a partition.
    fn deliver(&mut self, pick: usize, count: usize) -> bool {
        let open = self.cursors.iter_mut().filter(|(at, (next, paused))| !paused && *next < self.logs[at].len());
        let mut open: Vec<_> = open.collect();
        if open.is_empty() {
            return false;
        }
        let pick = pick % open.len();
        let (at, (next, _)) = &mut open[pick];
        let records = self.logs[*at][*next..].iter().take(count).cloned().collect::<Vec<_>>();
        *next += records.len();
        let at = at.clone();
        self.core.deliver(&at, Generation(1), records);
        true
    }

    fn read(&mut self) -> bool {
        let Some(reading) = self.reading.take() else { return false };
        let log = &self.logs[&reading.partition];
        let mut bytes = 0;
        let records = log[log.partition_point(|record| record.offset < reading.from)..].iter().take_while(|record| {
            let fits = bytes == 0 || bytes + record.size() <= reading.max_bytes;
            bytes += record.size();
            fits
        });
        self.core.read_again(records.cloned().collect()).expect("everything is there");
        true
    }

    fn end(&mut self, pick: usize) -> bool {
        if self.running.is_empty() {
            return false;
        }
        let launch = self.running.swap_remove(pick % self.running.len());
        self.core.ended(launch.key, Ended::Done(Ok(Answer::nothing())), now());
        true
    }

    fn step(&mut self, (what, pick, count): (u8, usize, usize)) {
        match what {
            0 => self.deliver(pick, count),
            1 => self.read(),
            _ => self.end(pick),
        };
        self.advance();
    }

    /// Goes on until nothing is left to do.
    fn drain(&mut self) {
        while self.deliver(0, 64) | self.read() | self.end(0) {
            self.advance();
        }
    }

    /// Everything ran once, and that of one key of one partition in its order.
    fn check(&self) {
        let every: usize = self.logs.values().map(Vec::len).sum();
        let runs: BTreeSet<_> = self.begun.iter().map(|(at, offset, _)| (at, offset)).collect();
        assert_eq!((self.begun.len(), runs.len()), (every, every));
        let mut last = HashMap::new();
        for (at, offset, key) in &self.begun {
            assert!(last.insert((at, key), offset).is_none_or(|last| last < offset), "{at} {offset} came too late");
        }
        for (at, log) in &self.logs {
            let end = log.last().map_or(Offset::ZERO, |record| record.offset.next());
            assert_eq!(self.core.parts[at].ledger.position().next, end, "{at}");
        }
        assert_eq!((self.core.queue.len(), self.core.queue.bytes(), self.core.backlog_bytes), (0, 0, 0));
        assert!(self.cursors.values().all(|(_, paused)| !paused), "something is paused for ever");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_logs_are_everything_runs_in_order_and_memory_is_bounded(
        logs in prop::collection::vec(prop::collection::vec((0..4_u8, 1..3000_usize), 0..80), 1..6),
        steps in prop::collection::vec((0..4_u8, any::<usize>(), 1..40_usize), 0..200),
        queue_records in 1..12_usize,
        queue_bytes in 1..40_000_usize,
        concurrency in 1..5_usize,
    ) {
        let mut world = World::new(Limits { queue_records, queue_bytes }, concurrency, &logs);
        let largest = world.logs.values().flatten().map(Record::size).max().unwrap_or(0);
        steps.into_iter().for_each(|step| world.step(step));
        world.drain();
        world.check();
        // One record is taken however large it is where nothing is held, and one by the read that was under way meanwhile.
        let most = queue_bytes.max(largest) + largest;
        prop_assert!(world.most_held <= most, "{} bytes were held, at most {most} may be", world.most_held);
    }
}

const LIMITS: Limits = Limits { queue_records: 256, queue_bytes: 16 << 20 };

#[test]
fn behind_three_hundred_records_of_one_key_another_runs_at_once() {
    let mut log = vec![(b'a', 10); 300];
    log.extend([(b'b', 10), (b'c', 10)]);
    let mut world = World::new(LIMITS, 16, &[log]);
    while world.deliver(0, 64) {
        world.advance();
    }
    let runs: Vec<u64> = world.begun.iter().map(|(_, offset, _)| offset.0 / 3).collect();
    assert_eq!(runs, [0, 300, 301]);
    world.drain();
    world.check();
    assert!(world.reads <= 300 / 8, "{} reads for 300 records", world.reads);
}

#[test]
fn the_note_is_what_bounds_how_far_others_pass_a_key() {
    // Every second record is of the key that stands still: the most spans that a note can come to.
    let log: Vec<Shape> = (0..4000_u32).map(|n| (if n % 2 == 0 { 0 } else { 1 + (n / 2 % 200) as u8 }, 10)).collect();
    let mut world = World::new(LIMITS, 16, &[log]);
    loop {
        let moved = world.deliver(0, 64) | world.read();
        let others = world.running.iter().position(|launch| launch.item.offset != Offset::ZERO);
        if !moved && others.is_none_or(|at| !world.end(at)) {
            break;
        }
        world.advance();
    }
    let passed = world.begun.len() - 1;
    assert!((900..1000).contains(&passed), "{passed} records of others ran beyond the key that stands still");
    world.drain();
    world.check();
}

#[test]
fn what_many_partitions_deliver_at_once_is_bounded_over_all_of_them() {
    let logs = vec![vec![(0, 16 * 1024); 64]; 200];
    let mut world = World::new(Limits { queue_records: 256, queue_bytes: 1 << 20 }, 16, &logs);
    for _ in 0..200 {
        world.deliver(0, 64);
        world.advance();
    }
    assert!(world.most_held <= (1 << 20) + 17 * 1024, "{}", world.most_held);
    let delivered = world.cursors.values().filter(|(next, _)| *next > 0).count();
    assert!(delivered > 150, "only {delivered} partitions had delivered");
    world.drain();
    world.check();
    assert!(world.most_held <= (1 << 20) + 17 * 1024, "{}", world.most_held);
}
