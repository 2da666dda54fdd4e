//! The example catalogs: they compile without a word, and that of the moves says of its payloads what its README says.

mod common;

use std::{fs, path::Path};

use catalog::{Catalog, JobContext, Sources, Verdict};
use common::{TestKinds, change};
use serde_json::{Value, json};

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/moves"))
}

fn moves() -> Catalog {
    catalog_in(folder())
}

fn catalog_in(folder: &Path) -> Catalog {
    let sources = Sources::read(folder).expect("the folder is there");
    let outcome = Catalog::compile(&sources, &TestKinds);
    assert!(outcome.report.problems.is_empty(), "{}", outcome.report);
    outcome.catalog.expect("a catalog without problems")
}

fn payload(name: &str) -> Value {
    let text = fs::read_to_string(folder().join("payloads").join(name)).expect("the payload is there");
    serde_json::from_str(&text).expect("the payload is JSON")
}

/// The events that a payload detects, with their data and keys.
fn detected(catalog: &Catalog, payload: &Value) -> Vec<(String, Value, Option<String>)> {
    let change = change(payload, "default");
    catalog
        .candidates(&change)
        .filter_map(|event| match event.evaluate(&change) {
            Verdict::Detected { data, key } => Some((event.name().to_string(), data, key)),
            Verdict::NotDetected(_) => None,
            Verdict::Failed { stage, error } | Verdict::TooLarge { stage, error } => {
                panic!("{}: {} {error}", event.name(), stage.as_str())
            }
        })
        .collect()
}

#[test]
fn one_update_is_two_events_in_the_order_of_their_names() {
    let catalog = moves();
    let found = detected(&catalog, &payload("pickup-successful.json"));
    assert_eq!(
        found,
        [
            (
                "move.cancel.pending".into(),
                json!({"moveId": 13107, "customerId": 7, "status": "pickup successful", "reason": "bought another car"}),
                Some("13107".into())
            ),
            (
                "move.pickup.successful".into(),
                json!({"moveId": 13107, "customerId": 7, "driverId": 42, "pickedUpAt": "2026-03-02T09:41:07.512+00:00"}),
                Some("13107".into())
            ),
        ]
    );
    let stamp = |name: &str| {
        let event = catalog.event(&name.parse().expect("a name")).expect("the event is there");
        event.stamp().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(stamp("move.cancel.pending"), ["job-1"]);
    assert_eq!(stamp("move.pickup.successful"), ["job-1", "publish-event-log", "rerun-ar"]);
}

#[test]
fn the_other_payloads_are_what_the_readme_says() {
    let catalog = moves();
    let names = |file: &str| detected(&catalog, &payload(file)).into_iter().map(|(name, ..)| name).collect::<Vec<_>>();
    assert_eq!(names("move-requested.json"), ["move.requested"]);
    assert_eq!(names("damage-reported.json"), ["vehicle.damage.reported"]);
    assert!(names("price-corrected.json").is_empty());
}

#[test]
fn what_was_not_detected_is_explained() {
    let catalog = moves();
    let payload = payload("price-corrected.json");
    let change = change(&payload, "default");
    let why = |name: &str| catalog.event(&name.parse().expect("a name")).expect("the event is there").why_not(&change);
    assert_eq!(
        why("move.pickup.successful"),
        "became(\"status\", \"pickup successful\"): status did not change (it is \"pickup successful\")"
    );
    assert_eq!(why("move.rescheduled"), "pickup_at did not change");
    assert_eq!(why("move.requested"), "the change is UPDATE, and the event listens to INSERT");
    assert_eq!(why("vehicle.damage.reported"), "the change is of public.moves, not of public.inspections");
}

#[test]
fn the_tests_in_their_files_pass() {
    let hasura = catalog_in(&folder().with_file_name("hasura").join("catalog"));
    for catalog in [moves(), hasura] {
        for event in catalog.events() {
            assert!(!event.tests().is_empty(), "{} has no tests", event.name());
            for test in event.tests() {
                assert_eq!(catalog.test(event, test), Ok(()), "{}: {}", event.name(), test.name);
            }
        }
    }
}

#[test]
fn a_shared_job_is_one_group_and_an_inline_one_is_its_events() {
    let catalog = moves();
    let jobs: Vec<(&str, usize)> = catalog.jobs().map(|job| (job.full_name(), job.events().len())).collect();
    assert_eq!(
        jobs,
        [
            ("move.cancel.pending.job-1", 1),
            ("move.pickup.successful.job-1", 1),
            ("move.pickup.successful.rerun-ar", 1),
            ("move.requested.greet", 1),
            ("publish-event-log", 4),
        ]
    );
    let shared = catalog.jobs().find(|job| job.full_name() == "publish-event-log").expect("the job is there");
    let context = JobContext { data: &json!({}), event: &json!({"name": "move.requested"}), payload: None };
    let options = shared.options().render(&context).expect("it renders");
    assert_eq!(options, json!({"run": ["sh", "scripts/publish-event-log.sh", "move.requested"]}));
    assert_eq!((shared.timeout().as_secs(), shared.attempts(), shared.concurrency()), (10, 3, 16));
    let failing = catalog.jobs().find(|job| job.name().as_str() == "rerun-ar").expect("the job is there");
    assert_eq!(failing.final_exit_codes(), [3]);
}

#[test]
fn a_folder_without_events_is_an_empty_catalog() {
    let empty = Sources::read(&folder().join("payloads")).expect("the folder is there");
    assert!(empty.files().is_empty());
}
