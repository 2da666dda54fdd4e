//! Every shape that a summary has, as it is shown.

use anstream::adapter::strip_str;
use contracts::{dead::Reason, progress::Successor};
use insta::assert_snapshot;

use super::{samples::*, *};

fn now() -> Timestamp {
    at("2026-11-21T10:00:05Z")
}

fn plain(of: &Summary) -> String {
    strip_str(&summary(of, now())).to_string()
}

#[test]
fn two_events_with_their_jobs() {
    assert_snapshot!(plain(&two_events()));
}

#[test]
fn what_is_still_waiting_or_running_is_shown_as_such() {
    assert_snapshot!(plain(&under_way()));
}

#[test]
fn an_invocation_without_events_says_why_for_each() {
    assert_snapshot!(plain(&nothing_detected()));
}

#[test]
fn a_long_list_of_reasons_is_cut_and_the_rest_counted() {
    let mut summary = nothing_detected();
    let reason = summary.invocations[0].undetected[0].clone();
    summary.invocations[0].undetected = vec![reason; 23];
    let shown = plain(&summary);
    assert_eq!(shown.lines().count(), 2 + 20 + 1);
    assert!(shown.ends_with("   · and 3 other events not detected"), "{shown}");
}

#[test]
fn duplicates_refusals_and_failed_events_are_told_apart() {
    assert_snapshot!(plain(&troubles()));
}

#[test]
fn what_the_deadline_cut_off_is_named() {
    assert_snapshot!(plain(&incomplete()));
}

#[test]
fn several_invocations_with_cascades_end_in_totals() {
    assert_snapshot!(plain(&cascade()));
}

#[test]
fn a_list_longer_than_its_page_says_how_to_see_the_rest() {
    let mut summary = cascade();
    summary.counters.invocations = 5000;
    summary.next = Some("2".into());
    let shown = plain(&summary);
    assert!(shown.ends_with("… and 4997 more; `herald show --all c-1` shows them"), "{shown}");
}

#[test]
fn a_correlation_of_which_nothing_is_known_is_shown() {
    let mut summary = two_events();
    summary.invocations.clear();
    assert_eq!(plain(&summary), "⏳ Nothing is known of it yet\n   correlation c-1");
}

#[test]
fn results_of_every_kind_fit_on_a_line() {
    for (result, shown) in [
        (r#"{"message":"Done","rows":3}"#, "Done"),
        (r#"{ "rows": 12345678901234567890.10 }"#, r#"{"rows":12345678901234567890.10}"#),
        (r#""plain text""#, "plain text"),
        ("null", ""),
        (r#"{"message":7}"#, r#"{"message":7}"#),
        (r#"{"message":"two\nlines\u001b[31m"}"#, "two lines"),
    ] {
        assert_eq!(message(&raw(result)), shown, "{result}");
    }
    let long = format!("\"{}\"", "x".repeat(1000));
    assert_eq!(message(&raw(&long)).chars().count(), LONGEST);
}

#[test]
fn times_below_a_tenth_of_a_second_are_left_out() {
    let mut job = job_of("job-1", State::Complete, Some(Outcome::Success));
    job.result = None;
    job.started = Some(at("2026-11-21T10:00:00Z"));
    for (ended, shown) in [
        ("2026-11-21T10:00:00.099Z", ""),
        ("2026-11-21T10:00:00.100Z", "  (0.1 s)"),
        ("2026-11-21T10:02:05Z", "  (2 min 5 s)"),
        ("2026-11-21T11:03:05Z", "  (1 h 3 min)"),
        ("2026-11-21T09:00:00Z", ""),
    ] {
        job.ended = Some(at(ended));
        assert_eq!(strip_str(&super::job(&job, now()).1).to_string(), shown, "{ended}");
    }
}

fn block_of(of: &Summary, closest: Option<Undetected>) -> String {
    let blocks = of.invocations.iter().map(|one| block(one, closest.as_ref(), now()));
    strip_str(&blocks.collect::<Vec<_>>().join("\n")).to_string()
}

#[test]
fn a_block_has_what_happened_and_the_closest_of_what_did_not() {
    let closest = nothing_detected().invocations[0].undetected.first().cloned();
    assert_snapshot!(
        [two_events(), nothing_detected(), troubles()].map(|one| block_of(&one, closest.clone())).join("\n")
    );
    assert!(block_of(&nothing_detected(), None).ends_with("2 events not detected"), "no reason is no closest");
}

#[test]
fn what_is_under_way_says_what_it_waits_for() {
    assert_snapshot!(strip_str(&awaits(&incomplete()).expect("it waits")).to_string());
}

#[test]
fn of_progress_that_is_written_over_itself_the_last_is_shown() {
    let shown = |line: &str| strip_str(&output("job", line)).to_string();
    assert_eq!(shown("10 %\r50 %\r100 %\r"), "job │ 100 %");
    assert_eq!(shown("  whole\r"), "job │   whole");
    assert_eq!(shown("\r"), "job │ ");
}

#[test]
fn a_run_that_was_tried_says_how_often_and_what_follows() {
    let again = |when: &str| {
        let job = job_of("charge", State::InProcess, None);
        let error = Some("429 from payments".to_owned());
        Job { attempts: 2, of: Some(8), again: Some(at(when)), error, ..job }
    };
    let failed = || {
        let job = job_of("charge", State::Complete, Some(Outcome::Failure));
        Job { attempts: 5, of: Some(5), error: Some("503 from billing".to_owned()), ..job }
    };
    let dead = Job { dead: Some(Reason::Attempts), ..failed() };
    let by = Some("ann\u{1b}[2J".to_owned());
    let granted = Job { attempts: 6, by: by.clone(), ..job_of("charge", State::InProcess, None) };
    let skipped = Job { by: by.clone(), ..job_of("charge", State::Complete, Some(Outcome::Skipped)) };
    let nil = "00000000-0000-0000-0000-000000000000";
    let nil = Successor { event_id: nil.parse().expect("an id"), run: nil.parse().expect("an id") };
    let superseded = Job { superseded_by: Some(nil), ..job_of("index", State::Complete, Some(Outcome::Superseded)) };
    for (job, sign, shown) in [
        (again("2026-11-21T10:00:46Z"), "↻", "  429 from payments, attempt 2 of 8, again in 41 s"),
        (again("2026-11-21T10:02:10Z"), "↻", "  429 from payments, attempt 2 of 8, again in 2 min 5 s"),
        (again("2026-11-21T10:00:05.2Z"), "↻", "  429 from payments, attempt 2 of 8, again in less than 1 s"),
        (again("2026-11-21T09:00:00Z"), "↻", "  429 from payments, attempt 2 of 8, again as soon as it can"),
        (dead, "❌", "  503 from billing, attempt 5 of 5, dead-lettered · herald dlq redrive charge"),
        (Job { by, ..failed() }, "❌", "  503 from billing, attempt 5 of 5, discarded by ann"),
        (granted, "⏳", "  waiting for attempt 6, which ann ordered"),
        (skipped, "⏩", "  skipped by ann"),
        (gathering("index"), "⏳", "  its window ends in 30 s, unless more comes: 3 events so far"),
        (superseded, "⏭", "  superseded by a later event · run 00000000-0000-0000-0000-000000000000"),
    ] {
        let (found, said) = super::job(&job, now());
        assert_eq!((found, strip_str(&said).to_string().as_str()), (sign, shown));
    }
}

#[test]
fn what_holds_back_a_run_is_told_apart_from_a_retry() {
    let said = |of: &Job| strip_str(&job(of, now()).1).to_string();
    let held = |held, because: &str, until| Some(Waits { held, because: because.into(), until });
    let pending = Job { attempts: 0, ..job_of("call", State::Pending, None) };
    let rate = Job { waits: held(Held::Rate, "10/s by data.x", None), ..pending.clone() };
    assert_eq!(said(&rate), "  waiting, at most 10/s by data.x begin");
    let open = Job { waits: held(Held::Circuit, "503 from billing", Some(at("2026-11-21T10:00:46Z"))), ..pending };
    assert_eq!(said(&open), "  waiting, circuit open, 503 from billing, probing again in 41 s");
    let failed = Job {
        again: Some(at("2026-11-21T10:00:01Z")),
        error: Some("503 from billing".into()),
        of: Some(5),
        ..job_of("call", State::InProcess, None)
    };
    let due = Job { waits: held(Held::Circuit, "503 from billing", None), ..failed };
    assert_eq!(
        said(&due),
        "  503 from billing, attempt 1 of 5, waiting, circuit open, 503 from billing, probing with the next run"
    );
}
