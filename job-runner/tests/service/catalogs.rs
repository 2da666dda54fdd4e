//! The runner with catalogs as they travel.

use std::sync::Arc;

use bus::Bus;
use catalog::{
    Catalog, Sources,
    wire::{CatalogRecord, KEEP_RETIRED, Plan, plan_next},
};
use job_runner::{CatalogView, Registry};
use serde_json::json;

use crate::support::*;

const EVENT: &str = "
description: Something happened.
from: { table: public.moves }
sample: { id: 1 }
data:
  id: new.id
jobs:
";

fn compiled(
    registry: &Registry,
    jobs: &str,
    previous: Option<&CatalogRecord>,
    ends: u64,
) -> (CatalogRecord, CatalogView) {
    let shared = ("jobs/shared.yaml", "log: { message: \"shared ${data.id}\" }\n");
    let sources = Sources::new([("events/a.yaml", format!("{EVENT}{jobs}").as_str()), shared]);
    let outcome = Catalog::compile(&sources, registry);
    let catalog = outcome.catalog.unwrap_or_else(|| panic!("{:#?}", outcome.report));
    let ends = |_: &str| vec![(0, ends), (1, ends)];
    let record = plan_next(Plan {
        previous,
        sources,
        folder: None,
        catalog: &catalog,
        ends: &ends,
        now: "2026-01-02T03:04:05Z".parse().expect("a time"),
        keep_retired: KEEP_RETIRED,
        drained: &|_| true,
    });
    let record = CatalogRecord::decode(&record.encode()).expect("what was written");
    let catalog = record.compile(registry).catalog.expect("it compiled before");
    let view = CatalogView::new(&record, &catalog);
    (record, view)
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_run_as_their_files_say_and_go_on_when_they_have_left_the_catalog() {
    let (bus, registry) = (mild(), standard());
    topics(&*bus, &["a"]).await;
    let jobs = "
  - shared
  - id: job-1
    simulate: { delay: 3ms, message: Job 1 }
  - id: job-2
    command: [sh, -c, 'echo \"$1\"', sh, '${data.id}']
";
    let (first, view) = compiled(&registry, jobs, None, 0);
    let runner = Runner::start(bus.clone(), registry.clone(), view);
    let stamp = ["shared", "job-1", "job-2"];
    publish(&*bus, vec![record(&event("a", 7, &stamp, 1), "k", json!({ "id": 7 }))]).await;
    let steps = until(&*bus, "three jobs ended", |steps| ended(steps, 3)).await;
    let result = |steps: &Steps, job: &str, n| {
        let last = steps[&run_id("a", n, job)].last().cloned().expect("steps");
        last.result.map_or(last.error.unwrap_or_default(), |result| result.get().to_owned())
    };
    assert_eq!(result(&steps, "shared", 7), r#"{"message":"shared 7"}"#);
    assert_eq!(result(&steps, "job-1", 7), r#"{"message":"Job 1 complete!"}"#);
    assert_eq!(result(&steps, "job-2", 7), "7");

    let (_, view) = compiled(&registry, "  - shared\n", Some(&first), 0);
    assert_eq!((view.jobs.len(), view.retired.len()), (1, 2));
    runner.catalog.send_replace(Some(Arc::new(view)));
    runner.until("two are retired", |all| all.values().filter(|status| status.retired).count() == 2).await;
    publish(&*bus, vec![record(&event("a", 8, &stamp, 1), "k", json!({ "id": 8 }))]).await;
    let steps = until(&*bus, "three more ended", |steps| ended(steps, 6)).await;
    assert_eq!(result(&steps, "job-2", 8), "8");
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_comes_later_starts_where_the_topic_ended() {
    let (bus, registry) = (mild(), standard());
    topics(&*bus, &["a"]).await;
    publish(&*bus, (0..9).map(|n| record(&event("a", n, &["shared"], 1), &n.to_string(), json!({}))).collect()).await;
    // As if the job had been new in this catalog: what lies before its mark is not read, whatever its stamp says.
    let (_, view) = compiled(&registry, "  - shared\n", None, 1000);
    let runner = Runner::start(bus.clone(), registry, view);
    runner.until("it has its partitions", |all| all.get("shared").is_some_and(|status| status.partitions == 2)).await;
    runner.stop().await;
    assert!(steps(&*bus).await.is_empty());
    let lag = bus.lag("job.shared").await.expect("lag");
    assert!(lag.iter().all(|lag| lag.position == bus::Offset(1000)), "{lag:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_that_cannot_be_filled_in_fail_the_run_and_are_named() {
    let (bus, registry) = (mild(), standard());
    topics(&*bus, &["a"]).await;
    let jobs = "
  - id: inline
    log: { message: \"to ${data.id.none}\" }
  - id: program
    command: { run: [sh], env: { NAME: \"x ${data.id.none}\" } }
";
    let (_, view) = compiled(&registry, jobs, None, 0);
    let runner = Runner::start(bus.clone(), registry, view);
    publish(&*bus, vec![record(&event("a", 7, &["inline", "program"], 1), "k", json!({ "id": 7 }))]).await;
    let steps = until(&*bus, "both ended", |steps| ended(steps, 2)).await;
    for (job, option) in [("inline", "message"), ("program", "env.NAME")] {
        let last = steps[&run_id("a", 7, job)].last().expect("steps");
        let error = last.error.as_deref().unwrap_or_default();
        let begins = "the job's options cannot be filled in: ";
        assert!(error.starts_with(begins) && error.contains(option), "{error}");
    }
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_left_and_that_this_version_cannot_run_is_shown() {
    let (bus, registry) = (mild(), standard());
    topics(&*bus, &["a"]).await;
    let mut other = standard();
    other.function("fax", |_| async { Ok(job_runner::Answer::nothing()) });
    let (first, _) = compiled(&other, "  - shared\n  - id: old\n    fax: {}\n", None, 0);
    let (second, _) = compiled(&other, "  - shared\n", Some(&first), 0);
    let compiled = second.compile(&registry).catalog.expect("what is in use can be run");
    let runner = Runner::start(bus.clone(), registry, CatalogView::new(&second, &compiled));
    runner
        .until("it is shown", |all| {
            let is_unusable = |one: &job_runner::GroupStatus| {
                matches!(&one.state, job_runner::GroupState::Stopped(error) if error.kind() == "unusable")
            };
            all.len() == 2 && all.get("a.old").is_some_and(is_unusable)
        })
        .await;
    assert!(runner.board.complaint().is_some_and(|complaint| complaint.contains("`a.old`")));
    runner.stop().await;
}
