use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::embedded::schema;

const HOUR: i64 = 3_600_000;
const AT: Trimmable =
    Trimmable { topic: TopicId(1), partition: Partition(0), compacted: true, keep_from: Offset(u64::MAX) };

/// A partition: what is written to it, and what is read of it.
struct Given {
    connection: Connection,
    end: u64,
}

impl Given {
    fn new() -> Self {
        let mut connection = Connection::open_in_memory().expect("a store");
        schema::migrate(&mut connection).expect("tables");
        Self { connection, end: 0 }
    }

    /// Appends a batch: keys with values, or tombstones.
    fn write(&mut self, records: &[(&str, Option<&str>)]) {
        let base = self.end;
        let mut builder = Builder::new(Offset(base));
        for (key, value) in records {
            let record =
                Outgoing { value: value.map(|v| v.to_owned().into()), ..Outgoing::new("t", key.to_string(), "") };
            builder.push(Offset(self.end), &record);
            self.end += 1;
        }
        let stored = builder.finish(Timestamp::UNIX_EPOCH, Offset(self.end));
        self.connection
            .execute(
                "INSERT INTO batches (topic, partition, base, next, at, body) VALUES (1, 0, ?1, ?2, 0, ?3)",
                params![base.cast_signed(), self.end.cast_signed(), body::pack(&stored.body)],
            )
            .expect("written");
    }

    /// Runs a pass and writes at most so many of its changes, each by itself; answers how many batches it read.
    fn pass(&mut self, now: i64, most: usize) -> usize {
        let mut steps = Vec::new();
        let read = pass(&self.connection, &AT, now, &mut |step| {
            let Step { changes, done, .. } = step;
            steps.extend(changes.into_iter().map(|change| Step { changes: vec![change], ..Step::new(&AT) }));
            steps.push(Step { done, ..Step::new(&AT) });
            true
        });
        for step in steps.iter().take(most) {
            step.write(&mut self.connection).expect("a step");
        }
        read.expect("a pass")
    }

    /// Every record: its offset, key and value.
    fn records(&self) -> Vec<(u64, String, Option<String>)> {
        let text = |bytes: &bytes::Bytes| String::from_utf8(bytes.to_vec()).expect("text");
        let batches = batches(&self.connection, &AT, 0, i64::MAX).expect("batches");
        let records = batches.into_iter().flat_map(|batch| batch.records);
        records
            .map(|record| {
                (record.offset.0, record.key.as_ref().map(text).unwrap_or_default(), record.value.as_ref().map(text))
            })
            .collect()
    }

    /// What a reader of the whole table knows.
    fn table(&self) -> BTreeMap<String, String> {
        let mut table = BTreeMap::new();
        for (_, key, value) in self.records() {
            match value {
                Some(value) => table.insert(key, value),
                None => table.remove(&key),
            };
        }
        table
    }

    fn offsets(&self) -> Vec<u64> {
        self.records().into_iter().map(|(offset, ..)| offset).collect()
    }
}

#[test]
fn records_that_are_replaced_go_also_out_of_batches_that_stay() {
    let mut given = Given::new();
    given.write(&[("a", Some("1")), ("b", Some("1"))]);
    given.write(&[("a", Some("2"))]);
    given.write(&[("a", Some("3")), ("c", Some("1"))]);
    // The last batch tells where the partition ends: it is left alone.
    given.write(&[("c", Some("2")), ("c", Some("3"))]);
    let table = given.table();
    given.pass(0, usize::MAX);
    assert_eq!((given.offsets(), given.table()), (vec![1, 3, 5, 6], table));
}

#[test]
fn a_tombstone_goes_a_day_after_what_it_deleted() {
    let mut given = Given::new();
    given.write(&[("a", Some("1"))]);
    given.write(&[("a", None)]);
    given.write(&[("b", Some("1"))]);
    given.pass(0, usize::MAX);
    assert_eq!(given.offsets(), [1, 2], "who has read a is to learn that it is deleted");
    given.pass(23 * HOUR, usize::MAX);
    assert_eq!(given.offsets(), [1, 2]);
    given.pass(25 * HOUR, usize::MAX);
    assert_eq!(given.offsets(), [2]);
    assert_eq!(given.pass(100 * HOUR, usize::MAX), 0, "nothing is left to be done");
}

#[test]
fn a_step_that_cannot_be_written_stays_the_next_one() {
    let mut given = Given::new();
    given.write(&[("a", Some("1"))]);
    given.write(&[("a", Some("2"))]);
    let mut step = None;
    pass(&given.connection, &AT, 0, &mut |taken| {
        step = Some(taken);
        true
    })
    .expect("a pass");
    let mut compaction = Compaction { next: step, ..Compaction::of(Path::new("")) };
    let mut write = |connection: &mut Connection| compaction.step(connection, &mut Vec::new, Timestamp::UNIX_EPOCH);
    given.connection.execute_batch("PRAGMA query_only = 1").expect("read only");
    assert!(!write(&mut given.connection) && !write(&mut given.connection));
    assert_eq!(given.offsets(), [0, 1]);
    given.connection.execute_batch("PRAGMA query_only = 0").expect("writable");
    assert!(write(&mut given.connection) && !write(&mut given.connection));
    assert_eq!(given.offsets(), [1]);
}

#[test]
fn what_a_pass_reads_follows_what_is_new() {
    let mut given = Given::new();
    let keys: Vec<String> = (0..100).map(|key| format!("k{key}")).collect();
    for key in &keys {
        given.write(&[(key, Some("1"))]);
    }
    given.write(&[("last", Some("1"))]);
    assert!(given.pass(0, usize::MAX) >= 100);
    let mut read = 0;
    for turn in 0..1000 {
        given.write(&[("k0", Some("2"))]);
        read += given.pass(turn, usize::MAX);
    }
    assert!(given.records().len() < 300, "{}", given.records().len());
    assert!(read < 10_000, "{read} batches were read for 1,000 that are new");
}

proptest! {
    #[test]
    fn wherever_a_pass_is_cut_short_the_table_is_what_was_written(
        turns in prop::collection::vec((prop::collection::vec((0..6u8, prop::option::of(0..3u8)), 1..5), 0..30 * HOUR, 0..6usize), 1..20),
    ) {
        let (mut given, mut now) = (Given::new(), 0);
        for (records, passed, most) in turns {
            let texts: Vec<_> = records.iter().map(|(key, value)| (key.to_string(), value.map(|v| v.to_string()))).collect();
            given.write(&texts.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect::<Vec<_>>());
            let (table, before) = (given.table(), given.records());
            now += passed;
            given.pass(now, most);
            prop_assert_eq!(given.table(), table);
            let after = given.records();
            prop_assert!(after.iter().all(|record| before.contains(record)), "{:?} was not there: {:?}", after, before);
        }
    }
}
