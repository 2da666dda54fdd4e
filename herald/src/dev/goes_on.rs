//! What a start takes up again, as the results know it before anything runs.

use client::print::count;
use contracts::summary::{Invocation, State};
use results::{
    Handle,
    store::{Filter, Page},
};

/// How many jobs are named.
const NAMED: usize = 5;

/// The lines of the banner; none if all was finished. What the store cannot tell now it tells whoever asks later.
pub(super) async fn told(results: &Handle) -> Vec<String> {
    let open = results.ask(|reader| reader.totals()).await.map_or(0, |totals| totals.open);
    if open == 0 {
        return Vec::new();
    }
    let begun = Filter { state: Some(State::InProcess), ..Filter::default() };
    let found = results.ask(move |reader| reader.invocations(&begun, &Page::default())).await;
    let jobs = found.map(|(invocations, next)| jobs(&invocations, next.is_some())).unwrap_or_default();
    let invocations = match open {
        1 => "1 invocation that was not finished".to_owned(),
        more => format!("{more} invocations that were not finished"),
    };
    [invocations].into_iter().chain(jobs).collect()
}

/// `↻ 2 jobs: mail (attempt 1 had begun), audit`.
fn jobs(invocations: &[Invocation], is_cut: bool) -> Option<String> {
    let jobs = invocations.iter().flat_map(|one| &one.events).flat_map(|event| &event.jobs);
    let open: Vec<String> = jobs
        .filter(|job| job.state != State::Complete)
        .map(|job| match job.attempts {
            0 => job.job.to_string(),
            attempt => format!("{} (attempt {attempt} had begun)", job.job),
        })
        .collect();
    if open.is_empty() {
        return None;
    }
    let more = open.len().saturating_sub(NAMED);
    let rest = match (more, is_cut) {
        (0, false) => String::new(),
        (0, true) => " and more".to_owned(),
        (more, _) => format!(" and {more} more"),
    };
    let least = if is_cut { "at least " } else { "" };
    let named: Vec<&str> = open.iter().take(NAMED).map(String::as_str).collect();
    Some(format!("↻ {least}{}: {}{rest}", count(open.len(), "job"), named.join(", ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn invocation(jobs: &[(&str, &str, u32)]) -> Invocation {
        let id = "00000000-0000-0000-0000-000000000000";
        let jobs: Vec<_> = jobs
            .iter()
            .map(|(job, state, attempts)| json!({ "job": job, "run": id, "state": state, "attempts": attempts }))
            .collect();
        serde_json::from_value(json!({
            "invocation": id, "correlation": "c", "state": "inProcess", "received": "2026-01-01T00:00:00Z", "raw": "0/1",
            "repeated": 0, "events": [{ "id": id, "event": "a.b", "jobs": jobs }],
        }))
        .expect("an invocation")
    }

    #[test]
    fn jobs_that_go_on_are_named_with_the_attempt_that_had_begun() {
        let one = invocation(&[("mail", "inProcess", 1), ("audit", "pending", 0), ("done", "complete", 1)]);
        assert_eq!(jobs(&[one], false).as_deref(), Some("↻ 2 jobs: mail (attempt 1 had begun), audit"));
        assert_eq!(jobs(&[invocation(&[("done", "complete", 1)])], false), None);
        let many: Vec<_> = (0..7).map(|_| invocation(&[("mail", "pending", 0)])).collect();
        assert_eq!(jobs(&many, true).as_deref(), Some("↻ at least 7 jobs: mail, mail, mail, mail, mail and 2 more"));
    }
}
