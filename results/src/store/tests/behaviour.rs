use std::collections::BTreeMap;

use bus::Offset;
use contracts::{
    ids::CorrelationId,
    progress::{AttemptState, Progress},
    summary::{Outcome, State, Summary},
};
use jiff::ToSpan;
use proptest::prelude::*;

use super::facts::{self, detected, done, large, occurrence, step};
use crate::{
    fold::Tally,
    store::{Applied, Batch, Filter, Kept, Options, Page, Read, StoreError, Waiting, Writer},
};

pub(super) struct Fixture {
    folder: tempfile::TempDir,
    options: Options,
    writer: Option<Writer>,
    next: u64,
}

impl Fixture {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut options = Options::new(folder.path().join("sub/results.db"));
        change(&mut options);
        let writer = Some(Writer::open(options.clone()).expect("a store"));
        Self { folder, options, writer, next: 0 }
    }

    pub(super) fn writer(&mut self) -> &mut Writer {
        self.writer.as_mut().expect("an open store")
    }

    /// As if the process had been killed and started again.
    pub(super) fn restart(&mut self) {
        drop(self.writer.take());
        self.writer = Some(Writer::open(self.options.clone()).expect("a store"));
    }

    fn batch(&mut self, progress: &[Progress]) -> Batch {
        let from = (self.next > 0).then_some(Offset(self.next));
        let records = progress.iter().zip(self.next..).map(|(one, offset)| facts::record(offset, one)).collect();
        self.next += progress.len() as u64;
        Batch { records, read: [(0, Read { from, to: Offset(self.next) })].into(), sent: None }
    }

    pub(super) fn apply(&mut self, progress: &[Progress]) -> Applied {
        let batch = self.batch(progress);
        self.writer().apply(&batch).expect("applied")
    }

    fn summary(&mut self, correlation: &str) -> Option<Summary> {
        self.page(correlation, Page::default())
    }

    fn page(&mut self, correlation: &str, page: Page) -> Option<Summary> {
        let id = correlation.parse().expect("an id");
        self.writer().reader().summary(&id, &page).expect("read")
    }

    fn json(&mut self, correlation: &str) -> String {
        serde_json::to_string(&self.summary(correlation).expect("known")).expect("JSON")
    }
}

impl Fixture {
    /// Every invocation that fits, by its raw record, read in pages of three.
    pub(super) fn listed(&mut self, filter: &Filter) -> Vec<u64> {
        let (reader, mut page) = (self.writer().reader(), Page { after: None, limit: 3 });
        let mut all = Vec::new();
        loop {
            let (found, next) = reader.invocations(filter, &page).expect("read");
            all.extend(found.iter().map(|one| one.raw.offset));
            let Some(next) = next else { return all };
            page.after = Some(next);
        }
    }

    /// How many rows a table has.
    pub(super) fn count(&mut self, table: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        self.writer().connection.query_row(&sql, [], |row| row.get(0)).expect("a count")
    }
}

fn announced(applied: &Applied) -> Vec<(&str, u64, bool)> {
    let summaries = applied.announced.iter().flat_map(|announced| &announced.summaries);
    summaries.map(|summary| (summary.correlation.as_str(), summary.revision, summary.incomplete)).collect()
}

#[test]
fn what_was_applied_is_there_after_a_restart_and_goes_on_from_its_position() {
    let mut store = Fixture::new();
    let first = occurrence("order-7", 1);
    let applied = store.apply(&[detected(&first, &["a", "b"]), step(&first, "a", 1, AttemptState::Succeeded)]);
    assert!(applied.announced.is_none());
    store.restart();
    assert_eq!(store.writer().positions().expect("read"), BTreeMap::from([(0, Offset(2))]));
    let summary = store.summary("order-7").expect("known");
    assert_eq!((summary.state, summary.revision, summary.expected.len()), (State::InProcess, 2, 1));
    let applied = store.apply(&[step(&first, "b", 1, AttemptState::Failed)]);
    assert_eq!(announced(&applied), [("order-7", 3, false)]);
    let summary = store.summary("order-7").expect("known");
    assert_eq!((summary.state, summary.outcome), (State::Complete, Some(Outcome::Failure)));
    assert_eq!(summary.ended, Some(first.received + 9.milliseconds()));
}

#[test]
fn a_batch_from_another_position_is_refused_whole() {
    let mut store = Fixture::new();
    let batch = store.batch(&done("a", 1));
    store.writer().apply(&batch).expect("applied");
    let error = store.writer().apply(&batch).expect_err("the position has moved");
    assert!(matches!(error, StoreError::Moved { expected: None, found: Some(2), .. }), "{error}");
    let mut ahead = store.batch(&done("b", 2));
    ahead.read.insert(0, Read { from: Some(Offset(1)), to: Offset(9) });
    assert!(store.writer().apply(&ahead).is_err());
    assert!(store.summary("b").is_none());
    assert_eq!(store.writer().positions().expect("read")[&0], Offset(2));
}

#[test]
fn facts_told_again_change_nothing_and_announce_nothing() {
    let mut store = Fixture::new();
    let facts = done("a", 1);
    assert_eq!(announced(&store.apply(&facts)), [("a", 2, false)]);
    let before = store.json("a");
    let again = store.apply(&facts);
    assert!(again.announced.is_none() && again.changes.is_empty());
    store.restart();
    assert!(store.apply(&facts).changes.is_empty());
    assert_eq!(store.json("a"), before);
    assert_eq!(store.writer().reader().totals().expect("read").invocations, 1);
}

#[test]
fn a_correlation_that_reopens_completes_again_with_a_higher_revision() {
    let mut store = Fixture::new();
    assert_eq!(announced(&store.apply(&done("a", 1))), [("a", 2, false)]);
    let second = occurrence("a", 2);
    let applied = store.apply(&[detected(&second, &["log"])]);
    assert!(applied.announced.is_none());
    assert_eq!(applied.changes.iter().map(|change| change.complete).collect::<Vec<_>>(), [false]);
    store.restart();
    assert_eq!(announced(&store.apply(&[step(&second, "log", 1, AttemptState::Succeeded)])), [("a", 4, false)]);
    let summary = store.summary("a").expect("known");
    assert_eq!((summary.counters.invocations, summary.invocations.len()), (2, 2));
}

#[test]
fn the_deadline_completes_as_incomplete_naming_what_is_missing() {
    let mut store = Fixture::new();
    let (stuck, young) = (occurrence("a", 1), occurrence("a", 5_000));
    store.apply(&[detected(&stuck, &["never", "log"]), step(&stuck, "log", 1, AttemptState::Succeeded)]);
    store.apply(&[detected(&young, &["log"])]);
    let (applied, done) = store.writer().expire(facts::start() + 2.seconds()).expect("swept");
    assert!(done && applied.announced.is_none(), "one that is not due is still awaited");
    let applied = store.apply(&[step(&young, "log", 1, AttemptState::Succeeded)]);
    assert_eq!(announced(&applied), [("a", 4, true)]);
    let summary = store.summary("a").expect("known");
    assert_eq!((summary.state, summary.outcome, summary.incomplete), (State::Complete, Some(Outcome::Failure), true));
    assert_eq!(summary.expected.len(), 1);
    assert_eq!(summary.expected[0].job.as_ref().map(ToString::to_string).as_deref(), Some("never"));
    let overdue = Filter { overdue: true, ..Filter::default() };
    assert_eq!(store.writer().reader().invocations(&overdue, &Page::default()).expect("read").0.len(), 1);
    // Swept again it is no news; and when it does end, it is complete after all.
    assert!(store.writer().expire(facts::start() + 2.seconds()).expect("swept").0.changes.is_empty());
    let applied = store.apply(&[step(&stuck, "never", 1, AttemptState::Succeeded)]);
    assert_eq!(announced(&applied), [("a", 5, false)]);
}

#[test]
fn a_single_invocation_beyond_its_deadline_is_announced_once() {
    let mut store = Fixture::new();
    for number in 0..30 {
        store.apply(&[detected(&occurrence(&format!("c{number}"), number), &["log"])]);
    }
    let mut found = Vec::new();
    for _ in 0..3 {
        let (applied, done) = store.writer().expire(facts::start() + 10.milliseconds()).expect("swept");
        assert!(done);
        found.extend(announced(&applied).into_iter().map(|(id, _, incomplete)| (id.to_owned(), incomplete)));
    }
    found.sort();
    assert_eq!(found, (0..10).map(|number| (format!("c{number}"), true)).collect::<Vec<_>>());
}

#[test]
fn summaries_are_made_within_bytes_and_the_rest_of_a_transaction_waits_in_the_outbox() {
    let mut store = Fixture::new();
    let mebi = 1 << 20;
    let names: Vec<String> = (0..10).map(|number| format!("c{number}")).collect();
    let facts = names.iter().zip(0..).flat_map(|(name, number)| large(name, number, mebi)).collect::<Vec<_>>();
    let first = store.apply(&facts).announced.expect("announced");
    assert!((4 * mebi..6 * mebi).contains(&first.bytes), "{}", first.bytes);
    let mut seen: Vec<String> = first.summaries.iter().map(|one| one.correlation.to_string()).collect();
    let mut from = first.next();
    assert!(first.rest.is_some());
    store.restart();
    while let Some(more) = store.writer().outbox(from, mebi).expect("read") {
        assert!((1..=2).contains(&more.summaries.len()) && more.bytes < 3 * mebi, "{}", more.bytes);
        seen.extend(more.summaries.iter().map(|one| one.correlation.to_string()));
        from = more.next();
    }
    assert_eq!((seen, from), (names, Waiting { id: first.id + 1, index: 0 }));
}

#[test]
fn what_was_not_published_waits_in_the_outbox_as_it_stands_now() {
    let mut store = Fixture::new();
    store.apply(&done("a", 1));
    let last = store.apply(&done("b", 2)).announced.expect("announced").id;
    store.apply(&[detected(&occurrence("b", 3), &["log"])]);
    store.restart();
    let first = store.writer().outbox(Waiting::default(), usize::MAX).expect("read").expect("a row");
    assert_eq!(first.summaries.iter().map(|one| one.correlation.as_str()).collect::<Vec<_>>(), ["a"]);
    let second = store.writer().outbox(first.next(), usize::MAX).expect("read").expect("a row");
    assert_eq!((second.id, second.summaries.len()), (last, 0), "it has reopened, and will be announced again");
    store.writer().apply(&Batch { sent: Some(last), ..Batch::default() }).expect("applied");
    assert!(store.writer().outbox(Waiting::default(), usize::MAX).expect("read").is_none());
}

#[test]
fn pages_of_a_correlation_hold_everything_once_oldest_first() {
    let mut store = Fixture::with(|options| options.memory_bytes = 0);
    let numbers: Vec<u64> = (0..250).rev().collect();
    for chunk in numbers.chunks(7) {
        store.apply(&chunk.iter().flat_map(|number| done("big", *number)).collect::<Vec<_>>());
    }
    let announced =
        store.writer().outbox(Waiting::default(), usize::MAX).expect("read").expect("a row").summaries.remove(0);
    assert_eq!((announced.counters.invocations, announced.invocations.len()), (250, 0), "too many to be listed");
    let (mut after, mut seen) = (announced.next, Vec::new());
    while let Some(cursor) = after {
        let summary = store.page("big", Page { after: Some(cursor), limit: 60 }).expect("known");
        assert_eq!((summary.counters.invocations, summary.counters.succeeded), (250, 250));
        seen.extend(summary.invocations.iter().map(|invocation| invocation.raw.offset));
        after = summary.next;
    }
    assert_eq!(seen, (0..250).collect::<Vec<u64>>());
}

#[test]
fn invocations_are_listed_newest_first_and_filtered() {
    let mut store = Fixture::new();
    for number in 0..10 {
        store.apply(&done(&format!("c{number}"), number));
    }
    store.apply(&[facts::undetected(&occurrence("none", 10))]);
    let failed = occurrence("bad", 11);
    store.apply(&[detected(&failed, &["log"]), step(&failed, "log", 1, AttemptState::Failed)]);
    store.apply(&[detected(&occurrence("open", 12), &["log"])]);
    let reader = store.writer().reader();
    let list = |filter, after| {
        let (found, next) = reader.invocations(&filter, &Page { after, limit: 4 }).expect("read");
        (found.into_iter().map(|one| one.raw.offset).collect::<Vec<_>>(), next)
    };
    let (found, next) = list(Filter::default(), None);
    assert_eq!(found, [12, 11, 10, 9]);
    assert_eq!(list(Filter::default(), next).0, [8, 7, 6, 5]);
    assert_eq!(list(Filter { eventless: true, ..Filter::default() }, None), (vec![10], None));
    assert_eq!(list(Filter { failed: true, ..Filter::default() }, None), (vec![11], None));
    assert_eq!(list(Filter { state: Some(State::Pending), ..Filter::default() }, None), (vec![12], None));
}

#[test]
fn retention_deletes_the_oldest_and_no_open_one_before_its_deadline() {
    let mut store = Fixture::new();
    store.apply(&[detected(&occurrence("open", 0), &["log"])]);
    for number in 1..=20 {
        store.apply(&done(if number % 2 == 0 { "shared" } else { "alone" }, number));
    }
    let kept = Kept { since: facts::start(), count: 15, open_since: facts::start() };
    assert_eq!(store.writer().trim(kept).expect("trimmed").deleted, 6);
    assert!(store.summary("open").is_some());
    let before = store.summary("shared").expect("known");
    assert_eq!((before.counters.invocations, before.counters.succeeded, before.revision), (7, 7, 20));
    // What comes later is counted on top, and the revision never goes back.
    store.apply(&done("shared", 40));
    let after = store.summary("shared").expect("known");
    assert_eq!((after.counters.invocations, after.revision), (8, 22));
    let kept = Kept { since: facts::start() + 1.hour(), count: 100, open_since: facts::start() + 1.hour() };
    assert_eq!(store.writer().trim(kept).expect("trimmed").deleted, 16);
    assert!(store.summary("shared").is_none() && store.summary("open").is_none());
    assert_eq!(store.writer().reader().totals().expect("read").invocations, 0);
}

#[test]
fn a_record_that_is_no_progress_is_noted_and_passed_over() {
    let mut store = Fixture::new();
    let mut batch = store.batch(&done("a", 1));
    batch.records[0].value = Some("{\"v\":1}".into());
    assert_eq!(store.writer().apply(&batch).expect("applied").unreadable, 1);
    assert_eq!(store.writer().reader().totals().expect("read").unreadable, 1);
    assert_eq!(store.writer().positions().expect("read")[&0], Offset(2));
}

#[test]
fn of_unreadable_records_the_newest_are_kept_and_all_are_counted() {
    let mut store = Fixture::new();
    let one = done("c", 1).remove(0);
    let count = crate::store::transaction::UNREADABLE as usize + 50;
    let mut batch = store.batch(&vec![one; count]);
    for record in &mut batch.records {
        record.value = Some("nonsense".into());
    }
    assert_eq!(store.writer().apply(&batch).expect("applied").unreadable, count as u64);
    assert_eq!(store.writer().reader().totals().expect("totals").unreadable, count as u64);
    let (kept, first): (i64, i64) = store
        .writer()
        .connection
        .query_row("SELECT count(*), min(at) FROM unreadable", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("a count");
    assert_eq!((kept, first), (count as i64 - 50, 50));
}

/// Asks for the steps of a statement's plan.
fn plan(connection: &rusqlite::Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("a plan");
    statement.raw_query().mapped(|row| row.get(3)).map(|row| row.expect("a step")).collect()
}

#[test]
fn every_question_searches_along_an_index_and_sorts_nothing() {
    use crate::store::{
        find::{BEGINNING, BETWEEN},
        list::{ALL, EVENTLESS_ONES, FAILED_ONES, OF_EVENT, OF_ROW, OF_TABLE, SPANS, UNFINISHED},
        reader::{OPEN_OF, PAGE_OF},
        row::{CORRELATION, FIND, SINGLE},
        trim::{OLDEST, SWEEP},
    };
    let mut store = Fixture::new();
    let connection = &store.writer().connection;
    let lists = [ALL, EVENTLESS_ONES, FAILED_ONES, OF_EVENT, OF_ROW, OF_TABLE, OPEN_OF, PAGE_OF, UNFINISHED];
    let others = [OLDEST, SWEEP, CORRELATION, FIND, SINGLE, BEGINNING, BETWEEN, SPANS];
    for sql in lists.into_iter().chain(others) {
        // One step: no second one that sorts, and none that reads a whole index.
        let plan = plan(connection, sql);
        assert!(plan.len() == 1 && plan[0].starts_with("SEARCH"), "{sql}: {plan:?}");
    }
    // Every value of the cursor bounds the search, or a page would read again what came before it.
    for (sql, bound) in [
        (ALL, "(rowid>? AND rowid<?)"),
        (UNFINISHED, "invocation_unfinished (id>? AND id<?)"),
        (FAILED_ONES, "invocation_failed (id>? AND id<?)"),
        (EVENTLESS_ONES, "invocation_eventless (id>? AND id<?)"),
        (OF_TABLE, "invocation_by_table (about=? AND rowid>? AND rowid<?)"),
        (OF_EVENT, "(event=? AND invocation>? AND invocation<?)"),
        (OF_ROW, "invocation_by_row (<expr>=? AND subject=? AND rowid>? AND rowid<?)"),
        (BEGINNING, "(name>? AND name<?)"),
        (BETWEEN, "invocation_by_beginning (<expr>=? AND invocation>? AND invocation<?)"),
        (SPANS, "(rowid>? AND rowid<?)"),
        (PAGE_OF, "invocation_by_time (correlation=? AND (received,invocation)>(?,?))"),
    ] {
        let plan = plan(connection, sql);
        assert!(plan[0].ends_with(bound), "{sql}: {plan:?}");
    }
}

#[test]
fn a_correlation_that_returns_after_retention_is_announced_under_another_id() {
    let mut store = Fixture::new();
    let ids = |applied: Applied| -> Vec<_> {
        let all = applied.announced.expect("an announcement").summaries;
        all.iter().map(|summary| (summary.revision, crate::announce::id(summary))).collect()
    };
    let first = ids(store.apply(&done("c", 1)));
    let (since, open_since) = (jiff::Timestamp::MAX, jiff::Timestamp::MAX);
    store.writer().trim(Kept { since, count: 0, open_since }).expect("trimmed");
    assert!(store.summary("c").is_none());
    let second = ids(store.apply(&done("c", 2)));
    assert_eq!(first[0].0, second[0].0, "the revision begins anew");
    assert_ne!(first[0].1, second[0].1);
}

#[test]
fn a_file_of_an_older_format_is_migrated_with_what_it_holds() {
    /// Fills a file whose rows are found by hashes, and whose bodies hold the ids.
    const FILL: &str = "
        INSERT INTO old.correlation SELECT 7, name, tally FROM correlation WHERE tally IS NOT NULL;
        INSERT INTO old.invocation SELECT i.id, 7, 9, received, state, flags, CAST(char(1) || json_set(
                CAST(substr(body, 2) AS TEXT), '$.c', name, '$.i',
                lower(format('%s-%s-%s-%s-%s', substr(hex(invocation), 1, 8), substr(hex(invocation), 9, 4),
                    substr(hex(invocation), 13, 4), substr(hex(invocation), 17, 4), substr(hex(invocation), 21)))
            ) AS BLOB)
            FROM invocation i JOIN correlation c ON c.id = i.correlation;
        INSERT INTO old.position SELECT * FROM position;
        UPDATE old.total SET value = t.value FROM main.total t WHERE t.name = total.name;";
    /// Fills a file whose correlations have rows.
    const FILL_3: &str = "
        INSERT INTO old.correlation SELECT id, name, tally FROM main.correlation;
        INSERT INTO old.invocation SELECT id, correlation, invocation, received, state, flags, body FROM main.invocation;
        INSERT INTO old.position SELECT * FROM main.position;
        UPDATE old.total SET value = t.value FROM main.total t WHERE t.name = total.name;";
    let mut store = Fixture::new();
    store.apply(&done("alone", 1));
    store.apply(&done("shared", 2));
    store.apply(&[detected(&occurrence("shared", 3), &["log"])]);
    let shown = |store: &mut Fixture| {
        let all = ["alone", "shared"].map(|id| store.json(id));
        let positions = store.writer().positions().expect("read");
        let totals = store.writer().reader().totals().expect("read");
        let of_event = Filter { event: Some(facts::EVENT.parse().expect("a name")), ..Filter::default() };
        let of_table = Filter { table: Some("public.moves".into()), ..Filter::default() };
        let of_row = Filter { key: Some("7".into()), ..of_table.clone() };
        let found = [of_event, of_table, of_row].map(|filter| store.listed(&filter));
        (all, positions, (totals.invocations, totals.open, totals.completed), found)
    };
    let before = shown(&mut store);
    for format in 1..crate::store::file::MIGRATIONS.len() {
        let path = store.folder.path().join(format!("format-{format}.db"));
        let old = rusqlite::Connection::open(&path).expect("a file");
        old.execute_batch(&crate::store::file::MIGRATIONS[..format].concat()).expect("the older format");
        let marks = format!("PRAGMA application_id = 1215458386; PRAGMA user_version = {format};");
        old.execute_batch(&marks).expect("the older format");
        let connection = &store.writer().connection;
        connection.execute("ATTACH ?1 AS old", [path.to_str()]).expect("attached");
        connection.execute_batch(if format < 3 { FILL } else { FILL_3 }).expect("filled");
        connection.execute_batch("DETACH old").expect("detached");
        let writer = Some(Writer::open(Options::new(&path)).expect("migrated"));
        let folder = tempfile::tempdir().expect("a folder");
        let mut migrated = Fixture { folder, options: Options::new(&path), writer, next: store.next };
        assert_eq!(shown(&mut migrated), before, "format {format}");
        // What comes later is folded into what was there.
        let last = step(&occurrence("shared", 3), "log", 1, AttemptState::Succeeded);
        assert_eq!(announced(&migrated.apply(&[last])), [("shared", 4, false)]);
    }
}

#[test]
fn files_of_others_of_newer_versions_and_in_use_are_refused() {
    let mut store = Fixture::new();
    let path = store.options.path.clone();
    assert!(matches!(Writer::open(store.options.clone()), Err(StoreError::InUse(_))));
    drop(store.writer.take());
    let file = rusqlite::Connection::open(&path).expect("a file");
    file.execute_batch("PRAGMA user_version = 99").expect("written");
    let error = Writer::open(store.options.clone()).expect_err("a newer format");
    assert!(error.to_string().contains("format 99, and this version of Herald knows formats up to 4"), "{error}");
    let other = store.folder.path().join("other.db");
    rusqlite::Connection::open(&other).expect("a file").execute_batch("CREATE TABLE t (x)").expect("written");
    assert!(matches!(Writer::open(Options::new(&other)), Err(StoreError::Foreign(_))));
    std::fs::write(store.folder.path().join("text.db"), "x".repeat(5000)).expect("written");
    assert!(matches!(Writer::open(Options::new(store.folder.path().join("text.db"))), Err(StoreError::Foreign(_))));
}

/// Facts of a few invocations under a few correlations.
#[test]
fn a_file_that_cannot_be_read_is_named() {
    let store = Fixture::new();
    let reader = store.writer.as_ref().expect("it is open").reader();
    store.writer.as_ref().expect("it is open").connection.execute_batch("DROP TABLE total").expect("broken");
    let told = reader.totals().expect_err("a table is gone").to_string();
    assert!(told.starts_with("failed to read the results store `/") && told.contains(".db`: "), "{told}");
}

#[test]
fn a_store_is_erased_whatever_its_format_and_nothing_else_is() {
    let mut store = Fixture::new();
    let path = store.options.path.clone();
    assert!(matches!(crate::store::erase(&path), Err(StoreError::InUse(_))));
    store.writer = None;
    assert!(crate::store::erase(&path).expect("erased") && !path.exists());
    assert!(!crate::store::erase(&path).expect("nothing to do"));
    std::fs::write(&path, "a letter").expect("written");
    assert!(matches!(crate::store::erase(&path), Err(StoreError::Foreign(_))));
    rusqlite::Connection::open(path.with_extension("x"))
        .and_then(|it| it.execute_batch("CREATE TABLE a (b)"))
        .expect("a file");
    assert!(matches!(crate::store::erase(&path.with_extension("x")), Err(StoreError::Foreign(_))));
}

fn any_progress() -> impl Strategy<Value = Progress> {
    let states = prop_oneof![
        Just(AttemptState::Started),
        Just(AttemptState::Failed),
        Just(AttemptState::Succeeded),
        Just(AttemptState::Skipped),
    ];
    (0..3_u64, 0..5_u64, any::<bool>(), 1..3_u32, states).prop_map(|(correlation, number, decision, attempt, state)| {
        let occurrence = occurrence(&format!("c{correlation}"), number);
        if decision { detected(&occurrence, &["log"]) } else { step(&occurrence, "log", attempt, state) }
    })
}

/// Everything that is shown, by correlation.
fn everything(store: &mut Fixture) -> Vec<Option<String>> {
    let ids = ["c0", "c1", "c2"];
    ids.map(|id| store.summary(id).map(|summary| serde_json::to_string(&summary).expect("JSON"))).to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_order_any_batches_and_any_memory_give_the_same_store(
        facts in prop::collection::vec(any_progress(), 1..30),
        order in any::<prop::sample::Index>(),
        sizes in (1..9_usize, 1..9_usize),
    ) {
        let mut plain = Fixture::new();
        for chunk in facts.chunks(sizes.0) {
            plain.apply(chunk);
        }
        let mut other = Fixture::with(|options| options.memory_bytes = 0);
        let mut turned = facts.clone();
        turned.rotate_left(order.index(facts.len()));
        turned.reverse();
        turned.extend_from_slice(&facts[..facts.len() / 2]);
        for chunk in turned.chunks(sizes.1) {
            other.apply(chunk);
            other.restart();
        }
        prop_assert_eq!(everything(&mut plain), everything(&mut other));
    }

    #[test]
    fn the_counters_of_a_correlation_are_those_of_its_invocations(
        facts in prop::collection::vec(any_progress(), 1..40),
        size in 1..6_usize,
        memory in prop_oneof![Just(0_usize), Just(1 << 20)],
    ) {
        let mut store = Fixture::with(|options| options.memory_bytes = memory);
        for chunk in facts.chunks(size) {
            store.apply(chunk);
        }
        for correlation in 0..3 {
            let id: CorrelationId = format!("c{correlation}").parse().expect("an id");
            let kept = store.writer().reader().tally(&id).expect("read");
            prop_assert_eq!(kept, counted(&store.writer().connection, &id));
        }
    }
}

/// The counters as they are when every row is counted anew.
fn counted(connection: &rusqlite::Connection, id: &CorrelationId) -> Option<Tally> {
    let sql = "SELECT id, invocation, body FROM invocation \
        WHERE correlation = (SELECT id FROM correlation WHERE name = ?1)";
    let mut rows = connection.prepare(sql).expect("a statement");
    let mut rows = rows.query([id.as_str()]).expect("rows");
    let mut tally: Option<Tally> = None;
    while let Some(row) = crate::store::row::next(&mut rows).expect("a row") {
        match &mut tally {
            Some(tally) => tally.add(&row.state.part()),
            None => tally = Some(Tally::of(&row.state.part())),
        }
    }
    tally
}
