//! What happened to one invocation and why, at length: what was decided of each event, each job, and what is still awaited. Pure.

use std::{fmt::Write as _, time::Duration};

use contracts::{
    names::{EventRef, JobName},
    progress::{AttemptState, FailedEvent},
    raw::Kind,
    summary::{Attempt, Event, Invocation, Job, Outcome, State},
    why::{Failing, Happened, Why},
};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, value::RawValue};

use super::{LONGEST, again, count, head, job, time, tree, wrote};
use crate::{
    print::{BOLD, DIM, RED, clean, cut},
    status::Status,
};

/// The most that is shown of an event's data, in characters.
const DATA: usize = 2000;

/// What is known beside the invocation itself.
#[derive(Debug)]
pub struct Known<'a> {
    /// Why events happened or did not; none if nobody can tell, as `untold` says.
    pub why: Option<&'a Why>,
    /// Why that is not known.
    pub untold: Option<String>,
    /// How the groups and jobs are now; asked only where something is awaited.
    pub status: Option<&'a Status>,
    /// The moment.
    pub now: Timestamp,
    /// Where times are shown as of.
    pub zone: &'a TimeZone,
}

/// The invocation at length.
pub fn text(one: &Invocation, known: &Known<'_>) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}", head(one));
    came(&mut out, one, known);
    for event in &one.events {
        let happened = known.why.and_then(|why| why.detected.iter().find(|it| it.event == event.event));
        let place = happened.and_then(|it| it.place.as_deref());
        tree::head(&mut out, "✓", &event.event.to_string(), place);
        happened.into_iter().for_each(|it| made(&mut out, it));
        jobs(&mut out, event, known);
    }
    one.failed.iter().for_each(|failed| tree::failed(&mut out, &failing(failed, known)));
    if one.failed_more > 0 {
        let _ = writeln!(out, "❌ and {} failed", count(one.failed_more as usize, "other event"));
    }
    not(&mut out, one, known);
    if is_undecided(one) {
        let _ = writeln!(out, "⏳ the detector has not decided yet{}", lag(known.status, "detector"));
    }
    let mut rest = Vec::new();
    again(one, &mut rest);
    for line in rest {
        let _ = writeln!(out, "{line}");
    }
    out.trim_end().to_owned()
}

/// What was recorded of an event that failed, with what is found out now.
fn failing(failed: &FailedEvent, known: &Known<'_>) -> Failing {
    let found = known.why.and_then(|why| why.failed.iter().find(|it| it.event == failed.event));
    // What fails now in another part did not fail in this one for what is seen there.
    let (place, explanation) = found
        .filter(|found| found.stage == failed.stage)
        .map(|found| (found.place.clone(), found.explanation.clone()))
        .unwrap_or_default();
    let FailedEvent { event, stage, error } = failed.clone();
    Failing { event, stage, place, error, explanation }
}

/// Whether something of it is still awaited, so that it matters who holds it.
pub fn is_open(one: &Invocation) -> bool {
    one.state != State::Complete
}

fn is_undecided(one: &Invocation) -> bool {
    one.catalog.is_none() && one.rejected.is_none() && one.duplicate_of.is_none()
}

/// When it came, under which ids, and as what.
fn came(out: &mut String, one: &Invocation, known: &Known<'_>) {
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(out, "   {DIM}{name:<11}{DIM:#} {value}");
    };
    line("received", &moment(one.received, known.zone, "%Y-%m-%d %H:%M:%S.%3f %:z"));
    line("correlation", &one.correlation.to_string());
    line("invocation", &one.invocation.to_string());
    let mut what = Vec::new();
    if let Some(origin) = &one.origin {
        let is_sent = matches!(origin.body, Kind::Hasura | Kind::Scheduled | Kind::Action);
        let source = is_sent.then(|| origin.source.clone());
        let parts = [("row", &origin.key), ("source", &source), ("trigger", &origin.trigger), ("user", &origin.user)];
        what.extend(parts.iter().filter_map(|(name, value)| Some(format!("{name} {}", clean(value.as_ref()?)))));
        if let Some(related) = &origin.related_to {
            what.push(format!("related to correlation {related}"));
        }
    }
    if !what.is_empty() {
        line("as", &what.join(", "));
    }
    let catalog = one.catalog.map(|number| format!(", decided by catalog {number}")).unwrap_or_default();
    line("raw record", &format!("{}{catalog}", one.raw));
}

fn moment(at: Timestamp, zone: &TimeZone, form: &str) -> String {
    at.to_zoned(zone.clone()).strftime(form).to_string()
}

/// What made an event happen, and what was made of the change.
fn made(out: &mut String, it: &Happened) {
    it.terms.iter().for_each(|term| tree::clause(out, term));
    if let Some(key) = &it.key {
        let _ = writeln!(out, "    {DIM}key  {DIM:#} {}", clean(key));
    }
    let data = it
        .data
        .as_ref()
        .map_or_else(|| "too large to be shown here".to_owned(), |data| cut(&clean(&data.to_string()), DATA));
    let _ = writeln!(out, "    {DIM}data {DIM:#} {data}");
}

fn jobs(out: &mut String, event: &Event, known: &Known<'_>) {
    if event.jobs.is_empty() {
        let _ = writeln!(out, "    {DIM}no jobs{DIM:#}");
    }
    for one in &event.jobs {
        let (sign, said) = job(one, known.now);
        let _ = writeln!(out, "    {sign} {BOLD}{}{BOLD:#}{said}", one.job);
        for past in &one.earlier {
            let _ = writeln!(out, "       {DIM}{}{DIM:#}", attempt(past, known));
        }
        if let Some(started) = one.started {
            let _ = writeln!(out, "       {DIM}{}{DIM:#}", ran(one, started, known));
        }
        if let Some(result) = one.result.as_deref().filter(|result| says_more(result)) {
            let _ = writeln!(out, "       {DIM}result{DIM:#} {}", cut(&clean(result.get()), DATA));
        }
        if one.outcome == Some(Outcome::Failure) {
            let mut lines = Vec::new();
            wrote(one, &mut lines);
            for line in lines {
                let _ = writeln!(out, "{line}");
            }
        }
        let window = window(one, known);
        if let Some(window) = &window {
            let _ = writeln!(out, "       {DIM}{window}{DIM:#}");
        }
        // One that waits for the end of its window is held by nobody else, unless its job stands still.
        let goes_on = window.is_some() || one.state == State::InProcess;
        let held = held(known.status, &event.event, one, goes_on);
        if let Some(held) = held.filter(|_| one.state != State::Complete) {
            let _ = writeln!(out, "       {held}");
        }
    }
}

/// Whether a result has more in it than the line of its job says.
fn says_more(result: &RawValue) -> bool {
    match serde_json::from_str(result.get()) {
        Ok(Value::Object(members)) => members.len() > 1 || !members.contains_key("message"),
        Ok(value) => matches!(value, Value::Array(_)),
        Err(_) => false,
    }
}

/// An attempt that another one followed, and why it did.
fn attempt(past: &Attempt, known: &Known<'_>) -> String {
    let at = |time| moment(time, known.zone, "%H:%M:%S.%3f");
    let error = past.error.as_deref().map(|error| cut(&clean(error), LONGEST));
    let how = match past.state {
        AttemptState::Started | AttemptState::Interrupted => "the process ended while it was under way".to_owned(),
        AttemptState::Unknown(state) => clean(state.as_str()),
        _ => "it failed".to_owned(),
    };
    let when = past.started.map(|started| format!(" from {}", at(started))).unwrap_or_default();
    let until = past.ended.map(|ended| format!(" to {}", at(ended))).unwrap_or_default();
    format!("attempt {}{when}{until}: {}", past.attempt, error.unwrap_or(how))
}

/// When the latest attempt ran, and as which run.
fn ran(job: &Job, started: Timestamp, known: &Known<'_>) -> String {
    let at = |time| moment(time, known.zone, "%H:%M:%S.%3f");
    let attempt = if job.attempts > 1 { format!("attempt {} ", job.attempts) } else { String::new() };
    let until = match (job.ended, job.state) {
        (Some(ended), _) => format!(" to {}", at(ended)),
        (None, State::InProcess) => {
            let so_far = Duration::try_from(known.now.duration_since(started)).unwrap_or_default();
            format!(", for {} now", time(so_far))
        }
        (None, _) => String::new(),
    };
    format!("{attempt}from {}{until}, run {}", at(started), job.run)
}

/// What a run waits for whose event gathers in a window, and what took the place of one that was superseded.
fn window(one: &Job, known: &Known<'_>) -> Option<String> {
    let at = |time| moment(time, known.zone, "%H:%M:%S");
    if let Some(by) = one.superseded_by {
        return Some(format!("run {} of event {} took the place of run {}", by.run, by.event_id, one.run));
    }
    let (gathered, ends) = (one.gathered?, one.again?);
    let so_far = format!("{} so far, the first at {}", count(gathered.events as usize, "event"), at(gathered.since));
    (one.state == State::Pending && one.paused.is_none() && ends > known.now)
        .then(|| format!("waits until {} for the end of its window: {so_far}", at(ends)))
}

/// Who holds a job that has not ended, as far as the process that answers knows.
fn held(status: Option<&Status>, event: &EventRef, one: &Job, goes_on: bool) -> Option<String> {
    let status = status?;
    let names = names(event, &one.job);
    let Some((name, here)) = names.iter().find_map(|name| Some((name, status.jobs.get(name)?))) else {
        let group = names.iter().map(|name| format!("job.{name}")).find(|name| status.groups.contains_key(name))?;
        return Some(format!("it runs in another process{}", lag(Some(status), &group)));
    };
    let why = match here.state.as_str() {
        "running" if goes_on => return None,
        "running" if here.in_flight + here.queued > 0 => {
            let queued = if here.queued > 0 { format!(", {} queued", here.queued) } else { String::new() };
            format!("{name} has {} under way{queued}", count(here.in_flight as usize, "run"))
        }
        "running" => format!("{name} is about to take it"),
        "stopped" => format!("{name} is stopped, and somebody must act"),
        "waiting" => format!("{name} waits, and tries again by itself"),
        "circuitOpen" => "its target fails throughout, and is tried from time to time".to_owned(),
        "paused" => format!("`herald jobs resume {name}` lets it go on"),
        other => format!("{name} is {}", clean(other)),
    };
    let error = here.error.as_deref().map(|error| format!(": {RED}{}{RED:#}", cut(&clean(error), LONGEST)));
    Some(format!("{why}{}", error.unwrap_or_default()))
}

/// The full names that a job of an event may have: its own, or that of a shared definition.
fn names(event: &EventRef, job: &JobName) -> [String; 2] {
    [format!("{event}.{job}"), job.to_string()]
}

fn lag(status: Option<&Status>, group: &str) -> String {
    let lag = status.and_then(|status| status.groups.get(group)).map(|group| group.lag);
    match lag {
        Some(lag) if lag > 0 => format!("; it has {} yet to read", count(lag as usize, "record")),
        _ => String::new(),
    }
}

/// Every candidate that did not happen, with the part of its condition that decided.
fn not(out: &mut String, one: &Invocation, known: &Known<'_>) {
    let Some(why) = known.why else {
        for not in &one.undetected {
            tree::head(out, "✗", &not.event.to_string(), None);
        }
        if let Some(untold) = &known.untold {
            let _ = writeln!(out, "why is not known: {}", clean(untold));
        }
        return;
    };
    if let Some(because) = &why.because {
        let _ = writeln!(out, "✗ {}", clean(because));
    }
    // One that failed is told above, with its error.
    let failed = |event: &EventRef| one.failed.iter().any(|failed| failed.event == *event);
    why.undetected.iter().filter(|not| !failed(&not.event)).for_each(|not| tree::not_detected(out, not));
    if why.undetected_more > 0 {
        let _ = writeln!(out, "and {} not detected", count(why.undetected_more as usize, "other event"));
    }
    let happens = why.detected.iter().filter(|it| !one.events.iter().any(|event| event.event == it.event));
    for it in happens.filter(|_| one.rejected.is_none() && one.duplicate_of.is_none()) {
        let _ = writeln!(out, "❔ {} would be detected by catalog {}, and was not", it.event, why.catalog);
    }
}

#[cfg(test)]
mod tests {
    use contracts::why::{Explanation, NotDetected};

    use super::*;
    use crate::render::samples;

    fn told(one: &Invocation, why: Option<&Why>, untold: Option<&str>, status: Option<&Status>) -> String {
        let untold = untold.map(str::to_owned);
        let known = Known { why, untold, status, now: samples::at("2026-11-21T10:00:09Z"), zone: &TimeZone::UTC };
        anstream::adapter::strip_str(&text(one, &known)).to_string()
    }

    fn why() -> Why {
        let term = |text: &str, value: &str, because: Option<&str>, parts: Vec<Explanation>| Explanation {
            text: text.into(),
            value: Some(value.into()),
            because: because.map(str::to_owned),
            parts,
            ..Explanation::default()
        };
        let seen = vec![term("old.status", "\"en route\"", None, vec![])];
        Why {
            detected: vec![Happened {
                event: "move.pickup.successful".parse().expect("a name"),
                place: Some("events/move.pickup.successful.yaml:3".into()),
                terms: vec![term("changed(\"status\")", "true", None, seen)],
                key: Some("13107".into()),
                data: Some(serde_json::json!({ "moveId": 13107 })),
            }],
            undetected: vec![NotDetected {
                event: "move.new".parse().expect("a name"),
                place: Some("events/move.new.yaml:2".into()),
                because: "it is for INSERT".into(),
                explanation: None,
            }],
            undetected_more: 3,
            because: None,
            ..Why::only(contracts::raw::Place { partition: 3, offset: 17 }, 1, "")
        }
    }

    #[test]
    fn an_invocation_is_explained_at_length() {
        let mut one = samples::two_events().invocations.remove(0);
        let job = &mut one.events[1].jobs[0];
        job.attempts = 3;
        job.earlier = [(1, AttemptState::Interrupted, None), (2, AttemptState::Failed, Some("no \u{1b}[31mdisk"))]
            .map(|(attempt, state, error)| Attempt {
                attempt,
                state,
                started: Some(samples::at("2026-11-21T10:00:01Z")),
                ended: (state == AttemptState::Failed).then(|| samples::at("2026-11-21T10:00:02Z")),
                error: error.map(str::to_owned),
            })
            .into();
        insta::assert_snapshot!(told(&one, Some(&why()), None, None));
    }

    const NOTHING: &str = r#"{"results": {"invocations": 1, "open": 1}, "groups": {}}"#;

    #[test]
    fn what_is_awaited_says_who_holds_it() {
        let status = r#"{
            "results": {"invocations": 1, "open": 1}, "groups": {"job.job-2": {"lag": 1}, "detector": {"lag": 7}},
            "jobs": {"move.cancel.pending.job-1": {"state": "stopped", "since": null, "error": "no position"},
                     "job-1": {"state": "running", "since": null, "error": null, "inFlight": 1, "queued": 2}}}"#;
        let status: Status = serde_json::from_str(status).expect("a status");
        let mut one = samples::under_way().invocations.remove(0);
        one.events[0].jobs[0].state = State::Pending;
        let shown = told(&one, None, Some("the record is gone"), Some(&status));
        assert!(shown.contains("move.cancel.pending.job-1 is stopped, and somebody must act: no position"), "{shown}");
        assert!(shown.ends_with("why is not known: the record is gone"), "{shown}");
        let event: EventRef = "move.new".parse().expect("a name");
        let pending = samples::job_of("job-1", State::Pending, None);
        assert_eq!(
            held(Some(&status), &event, &pending, false).as_deref(),
            Some("job-1 has 1 run under way, 2 queued")
        );
        let elsewhere = samples::job_of("job-2", State::Pending, None);
        let held = held(Some(&status), &event, &elsewhere, false);
        assert_eq!(held.as_deref(), Some("it runs in another process; it has 1 record yet to read"));
        let waits = |state| {
            let (job, mut one) = (samples::gathering("job-1"), one.clone());
            one.events[0].event = event.clone();
            one.events[0].jobs = vec![job];
            let mut status: Status = serde_json::from_str(NOTHING).expect("a status");
            status.jobs.insert("job-1".to_owned(), state);
            told(&one, None, None, Some(&status))
        };
        let shown = waits(serde_json::from_str(r#"{"state": "running"}"#).expect("a job"));
        assert!(
            shown.contains("waits until 10:00:35 for the end of its window: 3 events so far, the first at 10:00:02"),
            "{shown}"
        );
        assert!(!shown.contains("take it"), "{shown}");
        let shown = waits(serde_json::from_str(r#"{"state": "stopped", "error": "no position"}"#).expect("a job"));
        assert!(shown.contains("job-1 is stopped, and somebody must act: no position"), "{shown}");
        (one.catalog, one.events) = (None, vec![]);
        let shown = told(&one, None, None, Some(&status));
        assert!(shown.contains("⏳ the detector has not decided yet; it has 7 records yet to read"), "{shown}");
    }
}
