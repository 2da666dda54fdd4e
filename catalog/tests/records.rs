//! The catalog on the bus: encoding, and the plan for the next record.

mod common;

use catalog::{
    Catalog, Rule, Severity, Sources,
    wire::{CatalogRecord, DecodeError, KEEP_RETIRED, Plan, plan_next},
};
use common::{TestKinds, catalog};
use jiff::{SignedDuration, Timestamp};

fn at(hour: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour)
}

fn next(previous: Option<&CatalogRecord>, files: &[(&str, &str)], end: u64, hour: i64) -> CatalogRecord {
    let compiled: Catalog = catalog(files);
    let sources = Sources::new(files.iter().copied());
    let ends = |topic: &str| if topic == "event.fresh" { Vec::new() } else { vec![(0, end), (1, end + 1)] };
    plan_next(Plan {
        previous,
        sources,
        folder: None,
        catalog: &compiled,
        ends: &ends,
        now: at(hour),
        keep_retired: KEEP_RETIRED,
        drained: &|_| true,
    })
}

const JOB: (&str, &str) = ("jobs/shared.yaml", "log: { message: \"${event.name}\" }\nattempts: 2\n");
const A: (&str, &str) = ("events/a.yaml", "from: { table: t }\njobs: [shared, { id: own, log: {} }]\n");
const A_WITHOUT: (&str, &str) = ("events/a.yaml", "from: { table: t }\n");
const B: (&str, &str) = ("events/b.yaml", "from: { table: u }\njobs: [shared]\n");

/// `group event first-offset left`, for each mark.
fn marks(record: &CatalogRecord) -> Vec<String> {
    let mark = |start: &catalog::wire::Start| {
        let offset = start.offsets.get(&0).map_or("-".into(), u64::to_string);
        format!("{} {} {offset}{}", start.group, start.event, if start.left.is_some() { " left" } else { "" })
    };
    record.starts.iter().map(mark).collect()
}

#[test]
fn a_record_survives_the_bus() {
    let record = next(None, &[JOB, A], 10, 0);
    let bytes = record.encode();
    assert_eq!(CatalogRecord::decode(&bytes).expect("it decodes"), record);
    assert!(matches!(CatalogRecord::decode(&bytes[..20]), Err(DecodeError::Unpack(_))));
    assert!(matches!(CatalogRecord::decode(b"{}"), Err(DecodeError::Unpack(_))));
    let newer = CatalogRecord { format: 2, ..record };
    assert!(matches!(CatalogRecord::decode(&newer.encode()), Err(DecodeError::Format(2))));
}

#[test]
fn a_new_job_starts_where_its_topic_ended_and_the_mark_is_carried_on() {
    let first = next(None, &[JOB, A], 10, 0);
    assert_eq!((first.number, marks(&first)), (1, vec!["job.a.own a 10".into(), "job.shared a 10".into()]));
    let second = next(Some(&first), &[JOB, A, B], 50, 1);
    assert_eq!(second.number, 2);
    assert_eq!(marks(&second), ["job.a.own a 10", "job.shared a 10", "job.shared b 50"]);
    assert_eq!(marks(&next(None, &[JOB, ("events/fresh.yaml", "jobs: [shared]\n")], 1, 0)), ["job.shared fresh -"]);
}

#[test]
fn a_job_that_left_is_retired_and_dropped_after_a_day() {
    let first = next(None, &[JOB, A], 10, 0);
    let second = next(Some(&first), &[JOB, A_WITHOUT], 50, 1);
    assert_eq!(marks(&second), ["job.a.own a 10 left", "job.shared a 10 left"]);
    let groups: Vec<&str> = second.retired.iter().map(|retired| retired.group.as_str()).collect();
    assert_eq!(groups, ["job.a.own", "job.shared"]);

    let compiled = second.compile(&TestKinds).catalog.expect("it compiles");
    assert_eq!(compiled.jobs().count(), 0);
    let shared = compiled.retired().find(|job| job.full_name() == "shared").expect("it travels on");
    assert_eq!((shared.kind(), shared.attempts(), shared.events().len()), ("log", 2, 1));
    assert!(compiled.job(shared.group()).is_some());

    let third = next(Some(&second), &[A_WITHOUT], 60, 24);
    assert_eq!((third.starts.len(), third.retired.len()), (2, 2), "a definition travels on without its file");
    let fourth = next(Some(&third), &[A_WITHOUT], 60, 26);
    assert_eq!((fourth.starts.len(), fourth.retired.len()), (0, 0));
}

#[test]
fn a_job_leaves_with_its_definition_though_the_files_before_no_longer_compile() {
    let broken = Sources::new([("events/a.yaml", "a key of an older version: 1\n")]);
    let first = CatalogRecord { sources: broken, ..next(None, &[JOB, A], 10, 0) };
    let second = next(Some(&first), &[A_WITHOUT], 50, 1);
    let outcome = second.compile(&TestKinds);
    assert_eq!(outcome.catalog.expect("it compiles").retired().count(), 2);
    assert!(!outcome.report.to_string().contains("definition"), "{}", outcome.report);

    let older = CatalogRecord { jobs: Vec::new(), ..first };
    let said = next(Some(&older), &[A_WITHOUT], 50, 1).compile(&TestKinds).report.to_string();
    assert!(said.contains("the job shared left, and its definition cannot be read"), "{said}");
    let found = next(Some(&CatalogRecord { jobs: Vec::new(), ..next(None, &[JOB, A], 10, 0) }), &[A_WITHOUT], 50, 1);
    assert_eq!(found.retired.len(), 2, "older records are compiled for what they listed");
}

#[test]
fn what_a_version_before_let_pass_is_a_warning_in_a_catalog_that_is_on_the_bus() {
    let event = ("events/a.yaml", "from: { table: moves }\nwhen: new.a == 1 || received > \"2024\"\nsample: {}\n");
    let record = CatalogRecord { sources: Sources::new([event]), ..next(None, &[], 0, 0) };
    let outcome = record.compile(&TestKinds);
    assert!(outcome.catalog.is_some_and(|catalog| catalog.events().len() == 1));
    let told = &outcome.report.problems[0];
    assert_eq!((told.rule, told.severity), (Rule::AlwaysFails, Severity::Warning));
    assert!(Catalog::compile(&record.sources, &TestKinds).catalog.is_none(), "who writes it mends it");
}

#[test]
fn a_job_that_comes_back_in_time_goes_on_where_it_was() {
    let first = next(None, &[JOB, A], 10, 0);
    let second = next(Some(&first), &[JOB, A_WITHOUT], 50, 1);
    let third = next(Some(&second), &[JOB, A], 60, 2);
    assert_eq!(marks(&third), ["job.a.own a 10", "job.shared a 10"]);
    assert!(third.retired.is_empty());
}

#[test]
fn a_job_that_left_one_event_goes_on_reading_its_topic() {
    let first = next(None, &[JOB, A, B], 10, 0);
    let second = next(Some(&first), &[JOB, A_WITHOUT, B], 50, 1);
    assert_eq!(marks(&second), ["job.a.own a 10 left", "job.shared a 10 left", "job.shared b 10"]);
    assert_eq!(second.retired.len(), 1);
    let group = &second.starts[1].group;
    assert_eq!(second.starts_of(group).count(), 2);
}
