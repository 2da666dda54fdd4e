//! What the tests share: catalogs, and short ways to ask a summary.

use contracts::summary::{Event, Job, Summary};
use tests::Engine;

/// An event for every insert into a table, with one job that only logs.
pub(crate) fn noted(table: &str) -> String {
    with_jobs(table, "  - id: note\n    log: { message: \"row ${data.id}\" }\n")
}

/// An event for every insert into a table, with these lines under `jobs`.
pub(crate) fn with_jobs(table: &str, jobs: &str) -> String {
    format!(
        "from: {{ table: public.{table}, operations: [insert] }}\n\
         data: {{ id: new.id }}\n\
         key: data.id\n\
         sample: {{ id: 1 }}\n\
         jobs:\n{jobs}"
    )
}

/// A job that runs a script in the shell.
pub(crate) fn shell(id: &str, script: &str, options: &str) -> String {
    let script = serde_json::to_string(script).unwrap();
    format!("  - id: {id}\n    command: [sh, -c, {script}, sh, \"${{data.id}}\"]\n{options}")
}

/// What a job that waits for a mark does. It ends with the test's folder, too, if its Herald was killed.
pub(crate) fn until(mark: &str) -> String {
    format!("while [ -d \"$SCRATCH\" ] && [ ! -e \"$SCRATCH/{mark}\" ]; do sleep 0.05; done")
}

/// Every event of a summary.
pub(crate) fn events(summary: &Summary) -> Vec<&Event> {
    summary.invocations.iter().flat_map(|invocation| &invocation.events).collect()
}

/// The names of every event of a summary, in order.
pub(crate) fn names(summary: &Summary) -> Vec<String> {
    let mut names: Vec<String> = events(summary).iter().map(|event| event.event.to_string()).collect();
    names.sort();
    names
}

/// The first job of that name.
#[track_caller]
pub(crate) fn job<'a>(summary: &'a Summary, name: &str) -> &'a Job {
    let mut jobs = events(summary).into_iter().flat_map(|event| &event.jobs);
    jobs.find(|job| job.job.as_str() == name).unwrap_or_else(|| panic!("no job {name} in {summary:#?}"))
}

/// A job's result as JSON text.
pub(crate) fn result(job: &Job) -> &str {
    job.result.as_deref().map_or("", |result| result.get())
}

/// Whether this run of the suite is on Kafka, for what cannot be said of it; tells why a test is passed over.
#[expect(clippy::print_stderr, reason = "shown with --nocapture")]
pub(crate) fn is_kafka(why: &str) -> bool {
    let is_kafka = Engine::of_suite() != Engine::Embedded;
    if is_kafka {
        eprintln!("passed over on Kafka: {why}");
    }
    is_kafka
}
