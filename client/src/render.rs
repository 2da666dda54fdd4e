//! A summary as a person reads it at a glance. Pure functions: no clock but the one that they are told, no terminal.
//!
//! The text has colours in it; whoever prints it takes them out where they cannot be seen. Whatever comes from outside
//! (results, errors, names of tables) is cleaned of control characters first.

pub mod line;
pub(crate) mod table;
pub mod tree;
pub mod why;

use std::time::Duration;

use contracts::{
    control::Said,
    ids::CorrelationId,
    progress::{Gathered, Origin, Published, Undetected},
    raw::{JOBS, Kind, PUBLISHER},
    summary::{Counters, Event, Expected, Held, Invocation, Job, Outcome, State, Summary, Waits},
};
use jiff::Timestamp;
use serde_json::{Value, value::RawValue};

use crate::print::{BOLD, DIM, RED, clean, cut, defused};

/// The longest message, result or error on a line, in characters.
const LONGEST: usize = 200;
/// How many reasons, missing jobs and lines of each stream are shown before the rest is counted.
const REASONS: usize = 20;
const MISSING: usize = 5;
const WROTE: usize = 5;

/// The whole summary, without a line feed at the end.
pub fn summary(summary: &Summary, now: Timestamp) -> String {
    let mut out = vec![invocations(summary, now)];
    footer(summary, &mut out);
    out.join("\n")
}

/// Its invocations alone, for a page that others follow.
pub fn invocations(summary: &Summary, now: Timestamp) -> String {
    let mut out = Vec::new();
    if summary.invocations.is_empty() {
        out.push("⏳ Nothing is known of it yet".to_owned());
        out.push(correlation(&summary.correlation));
    }
    for (index, one) in summary.invocations.iter().enumerate() {
        out.push(head(one));
        if index == 0 {
            out.push(correlation(&summary.correlation));
        }
        happened(one, &summary.invocations, now, &mut out);
        undetected(one, &mut out);
        again(one, &mut out);
    }
    out.join("\n")
}

/// One invocation for a terminal on which others follow: as in [`invocations`], but what did not happen is one line, with
/// the nearest of it.
pub fn block(one: &Invocation, closest: Option<&Undetected>, now: Timestamp) -> String {
    let mut out = vec![head(one), correlation(&one.correlation)];
    happened(one, &[], now, &mut out);
    let not = one.undetected.len() + one.undetected_more as usize;
    let closest = closest.map(|closest| format!("{}{}", closest.event, because(&closest.because)));
    match (not, closest) {
        (0, _) => {}
        (1, Some(closest)) => out.push(format!("   {DIM}·{DIM:#} not {closest}")),
        (_, Some(closest)) => out.push(format!("   {DIM}·{DIM:#} {not} not detected; closest {closest}")),
        (_, None) => out.push(format!("   {DIM}·{DIM:#} {} not detected", count(not, "event"))),
    }
    if let Some(because) = &one.because {
        out.push(format!("   {DIM}·{DIM:#} {}", cut(&clean(because), LONGEST)));
    }
    again(one, &mut out);
    out.join("\n")
}

/// What a correlation still waits for; none if that is not known.
pub fn awaits(summary: &Summary) -> Option<String> {
    let first = summary.expected.first()?;
    let of = summary.invocations.iter().find(|one| one.invocation == first.invocation);
    let from = of.and_then(|one| one.origin.as_ref()).map_or_else(|| "A webhook".to_owned(), origin);
    let others = more(summary.expected.len(), 1).map(|others| format!(" and {others} more")).unwrap_or_default();
    Some(format!("⏳ {from} waits for {}{others}\n{}", expected(first), correlation(&summary.correlation)))
}

/// How many invocations a page leaves out, and what shows them; none if it has all.
pub fn rest(summary: &Summary) -> Option<String> {
    let rest = summary.counters.invocations.checked_sub(summary.invocations.len() as u64).filter(|rest| *rest > 0)?;
    summary.next.as_ref()?;
    Some(format!("{DIM}… and {rest} more; `herald show --all {}` shows them{DIM:#}", summary.correlation))
}

/// `: <reason>`, if there is one.
fn because(reason: &str) -> String {
    let reason = cut(&clean(reason), LONGEST);
    if reason.is_empty() { reason } else { format!(": {reason}") }
}

/// The line of a correlation: its id alone is half of a terminal wide.
pub fn correlation(correlation: &CorrelationId) -> String {
    format!("   {DIM}correlation{DIM:#} {correlation}")
}

/// What came in and what was made of it, on one line.
pub fn head(invocation: &Invocation) -> String {
    let from = invocation.origin.as_ref().map(origin);
    let from = from.as_deref().unwrap_or("a record");
    if let Some(reason) = &invocation.rejected {
        return format!("❌ Refused {from}: {RED}{}{RED:#}", cut(&clean(reason), LONGEST));
    }
    if let Some(first) = invocation.duplicate_of {
        return format!("🔁 {from} is a duplicate of raw record {first}; nothing runs again");
    }
    if invocation.origin.is_none() {
        return "⏳ Received, and not looked at yet".to_owned();
    }
    let failed = invocation.failed.len() + invocation.failed_more as usize;
    match (invocation.events.len(), failed) {
        (0, 0) => format!("🔕 Detected no event from {from}"),
        (0, _) => format!("❌ Detected no event from {from}, since {} failed", count(failed, "event")),
        (events, _) => format!("🔔 Detected {} from {from}", count(events, "event")),
    }
}

fn origin(origin: &Origin) -> String {
    let what = match origin.body {
        Kind::Hasura => {
            let op = origin.op.as_ref().map_or("a change of", |op| op.as_str());
            format!("{op} {}", clean(origin.table.as_deref().unwrap_or("an unknown table")))
        }
        Kind::Scheduled => match &origin.trigger {
            Some(trigger) => format!("scheduled trigger {}", clean(trigger)),
            None => "a scheduled trigger".to_owned(),
        },
        Kind::Action => format!("action {}", clean(origin.trigger.as_deref().unwrap_or("without a name"))),
        Kind::Named => named(origin),
        Kind::Unknown(kind) => format!("a record of the kind {}", clean(kind.as_str())),
    };
    let mut notes = Vec::new();
    let is_said = origin.cause.is_some() || matches!(origin.source.as_str(), "default" | PUBLISHER);
    if !is_said {
        notes.push(format!("source {}", clean(&origin.source)));
    }
    if origin.depth > 0 {
        notes.push(format!("depth {}", origin.depth));
    }
    if notes.is_empty() { what } else { format!("{what} {DIM}({}){DIM:#}", notes.join(", ")) }
}

/// What was published by name, and by which job.
fn named(origin: &Origin) -> String {
    let event = origin.event.as_ref().map_or_else(|| "an event".to_owned(), ToString::to_string);
    match (origin.cause, origin.source.strip_prefix(JOBS)) {
        (Some(_), Some(job)) => format!("{event}, published by {}", clean(job)),
        _ => format!("a publication of {event}"),
    }
}

/// Its events and their jobs, and the events that failed; `all` are the invocations that are shown with it.
fn happened(invocation: &Invocation, all: &[Invocation], now: Timestamp, out: &mut Vec<String>) {
    if let Some(related) = invocation.origin.as_ref().and_then(|origin| origin.related_to.as_ref()) {
        out.push(format!("   {DIM}related to correlation{DIM:#} {related}"));
    }
    for one in &invocation.events {
        event(one, all, now, out);
    }
    for failed in &invocation.failed {
        let error = cut(&clean(&failed.error), LONGEST);
        out.push(format!(
            "   ❌ {BOLD}{}{BOLD:#}  `{}` failed: {RED}{error}{RED:#}",
            failed.event,
            clean(&failed.stage)
        ));
    }
    if invocation.failed_more > 0 {
        out.push(format!("   ❌ and {} failed", count(invocation.failed_more as usize, "other event")));
    }
}

fn undetected(invocation: &Invocation, out: &mut Vec<String>) {
    for not in invocation.undetected.iter().take(REASONS) {
        out.push(format!("   {DIM}·{DIM:#} {}{}", not.event, because(&not.because)));
    }
    if let Some(because) = &invocation.because {
        out.push(format!("   {DIM}·{DIM:#} {}", cut(&clean(because), LONGEST)));
    }
    let undetected = invocation.undetected.len() + invocation.undetected_more as usize;
    if let Some(more) = more(undetected, invocation.undetected.len().min(REASONS)) {
        out.push(format!("   {DIM}·{DIM:#} and {} not detected", count(more, "other event")));
    }
}

/// How often it came again.
fn again(invocation: &Invocation, out: &mut Vec<String>) {
    if invocation.reused > 0 {
        let came = if invocation.reused == 1 { "another change" } else { "other changes" };
        out.push(format!(
            "   ⚠ id-reused: {came} came under this id and did not run; each change needs an id of its own"
        ));
    }
    let repeated = invocation.repeated.saturating_sub(invocation.reused);
    if repeated > 0 {
        let times = if repeated == 1 { "once more".to_owned() } else { format!("{repeated} more times") };
        out.push(format!("   🔁 Received {times}; only the first one counts"));
    }
}

fn event(event: &Event, all: &[Invocation], now: Timestamp, out: &mut Vec<String>) {
    out.push(format!("   ⭐ {BOLD}{}{BOLD:#}", event.event));
    if event.jobs.is_empty() {
        out.push(format!("      {DIM}no jobs{DIM:#}"));
    }
    for one in &event.jobs {
        let (sign, said) = job(one, now);
        let became = one.published.as_ref().map(|published| became(published, all)).unwrap_or_default();
        out.push(format!("      {sign} {}{said}{became}", one.job));
        if one.outcome == Some(Outcome::Failure) {
            wrote(one, out);
        }
    }
}

/// What became of what a job published, where that is shown, too.
fn became(published: &Published, all: &[Invocation]) -> String {
    let Some(one) = all.iter().find(|one| one.invocation == published.invocation) else { return String::new() };
    match (&one.origin, one.events.first()) {
        (_, Some(event)) => format!(" → ⭐ {} (below)", event.event),
        (None, None) => " → ⏳ (below)".to_owned(),
        (Some(_), None) => " → ❌ (below)".to_owned(),
    }
}

/// A job's sign, and what there is to say of it: message and time, each after two spaces.
pub fn job(job: &Job, now: Timestamp) -> (&'static str, String) {
    let (sign, text) = match (job.state, job.outcome) {
        (State::Pending, _) => match &job.paused {
            Some(said) => ("⏸", paused(said)),
            None => match (&job.gathered, job.again) {
                (Some(gathered), Some(ends)) => ("⏳", gathers(gathered, ends, now)),
                _ => ("⏳", waiting(job, now)),
            },
        },
        (State::InProcess, _) if job.again.is_some() => return ("↻", again_in(job, now)),
        (State::InProcess, _) => match job.by.as_deref().map(clean) {
            Some(by) => return ("⏳", format!("  waiting for attempt {}, which {by} ordered", job.attempts)),
            None => ("🔄", "running".to_owned()),
        },
        (State::Unknown(state), _) => ("❔", clean(state.as_str())),
        (State::Complete, Some(Outcome::Unknown(outcome))) => ("❔", clean(outcome.as_str())),
        (State::Complete, Some(Outcome::Failure)) if job.dead.is_some() || job.by.is_some() => {
            return ("❌", put_away(job));
        }
        (State::Complete, Some(Outcome::Failure)) => ("❌", error(job)),
        (State::Complete, Some(Outcome::Skipped)) => match job.by.as_deref().map(clean) {
            Some(by) => ("⏩", format!("skipped by {by}")),
            None => ("⏩", "skipped".to_owned()),
        },
        (State::Complete, Some(Outcome::Superseded)) => match &job.superseded_by {
            Some(by) => ("⏭", format!("superseded by a later event {DIM}· run {}{DIM:#}", by.run)),
            None => ("⏭", "superseded by a later event".to_owned()),
        },
        (State::Complete, Some(Outcome::Success) | None) => match &job.published {
            Some(published) => ("✅", format!("published {}", published.event)),
            None => ("✅", job.result.as_deref().map(message).unwrap_or_default()),
        },
    };
    let mut said = if text.is_empty() { String::new() } else { format!("  {text}") };
    let mut notes = Vec::new();
    notes.extend(took(job).filter(|took| *took >= Duration::from_millis(100)).map(time));
    if job.attempts > 1 {
        notes.push(match job.state {
            State::Complete => format!("{} attempts", job.attempts),
            _ => format!("attempt {}", job.attempts),
        });
    }
    if !notes.is_empty() {
        said.push_str(&format!("  {DIM}({}){DIM:#}", notes.join(", ")));
    }
    (sign, said)
}

fn error(job: &Job) -> String {
    let error = job.error.as_deref().map(clean).filter(|error| !error.is_empty());
    format!("{RED}{}{RED:#}", cut(error.as_deref().unwrap_or("failed"), LONGEST))
}

/// `, attempt 2 of 8`.
fn attempt(job: &Job) -> String {
    let of = job.of.map(|of| format!(" of {of}")).unwrap_or_default();
    format!(", attempt {}{of}", job.attempts)
}

/// How long it takes until then, in words; none if that time has come.
fn left(until: Timestamp, now: Timestamp) -> Option<String> {
    let left = Duration::try_from(until.duration_since(now)).ok()?;
    match left.as_millis() {
        0 => None,
        1..1000 => Some("in less than 1 s".to_owned()),
        millis @ 1000..60_000 => Some(format!("in {} s", millis / 1000)),
        _ => Some(format!("in {}", time(left))),
    }
}

/// Of a run whose event waits for the end of its window: when that is, and how many have come.
fn gathers(gathered: &Gathered, ends: Timestamp, now: Timestamp) -> String {
    let so_far = format!("{} so far", count(gathered.events as usize, "event"));
    match left(ends, now) {
        Some(left) => format!("its window ends {left}, unless more comes: {so_far}"),
        None => format!("its window has ended: {so_far}"),
    }
}

/// Of a run that waits for another attempt: why, and when that is due.
fn again_in(job: &Job, now: Timestamp) -> String {
    let left = job.again.and_then(|again| left(again, now));
    let when = left.map_or_else(|| "again as soon as it can".to_owned(), |left| format!("again {left}"));
    let when = if job.waits.is_some() { waiting(job, now) } else { when };
    let when = job.paused.as_ref().map_or(when, paused);
    format!("  {}{}, {when}", error(job), attempt(job))
}

/// Of a run that could begin: what it waits for.
fn waiting(job: &Job, now: Timestamp) -> String {
    let Some(Waits { held, because, until }) = &job.waits else { return "waiting".to_owned() };
    let because = cut(&clean(because), LONGEST);
    match held {
        Held::Rate => format!("waiting, at most {because} begin"),
        Held::Circuit => format!("waiting, circuit open, {because}, {}", probing(*until, now)),
        Held::Unknown(held) => format!("waiting for {}: {because}", clean(held.as_str())),
    }
}

/// When a target is tried again that fails throughout.
pub(crate) fn probing(at: Option<Timestamp>, now: Timestamp) -> String {
    match at.and_then(|at| Duration::try_from(at.duration_since(now)).ok()).filter(|left| !left.is_zero()) {
        Some(left) if left < Duration::from_secs(1) => "probing again in less than 1 s".to_owned(),
        Some(left) if left < Duration::from_secs(60) => format!("probing again in {} s", left.as_secs()),
        Some(left) => format!("probing again in {}", time(left)),
        None => "probing with the next run".to_owned(),
    }
}

/// Of a run whose event is a dead letter, or was one.
fn put_away(job: &Job) -> String {
    let what = match job.by.as_deref().map(clean) {
        Some(by) => format!("discarded by {by}"),
        None => format!("dead-lettered {DIM}· herald dlq redrive {}{DIM:#}", job.job),
    };
    format!("  {}{}, {what}", error(job), attempt(job))
}

/// Who paused a job, since when, and why.
pub fn paused(said: &Said) -> String {
    let why = said.because.as_deref().map(because).unwrap_or_default();
    format!("paused by {} since {:.0}{why}", clean(&said.by), said.at)
}

/// The ends of what the job wrote to stdout and to stderr, unless its error says it already.
fn wrote(job: &Job, out: &mut Vec<String>) {
    let error = job.error.as_deref().unwrap_or_default();
    let told = |line: &str| line.is_empty() || error.contains(line);
    for stream in [&job.stdout, &job.stderr] {
        let lines: Vec<_> = stream.iter().flat_map(|text| text.lines()).map(defused).collect();
        for line in lines.iter().skip(lines.len().saturating_sub(WROTE)).filter(|line| !told(line.trim())) {
            out.push(format!("         {DIM}│ {}{DIM:#}", cut(line, LONGEST)));
        }
    }
}

/// A line that a job writes, with the job's name before it. Of a line that was written over itself, as progress is, what was
/// written last.
pub fn output(job: &str, line: &str) -> String {
    let last = line.rsplit('\r').find(|part| !part.trim().is_empty()).unwrap_or(line);
    format!("{DIM}{job} │{DIM:#} {}", cut(&defused(last), LONGEST))
}

/// A result in short: the `message` of an object, a text as it is, anything else as JSON.
fn message(result: &RawValue) -> String {
    let text = match serde_json::from_str(result.get()) {
        Ok(Value::Null) => String::new(),
        Ok(Value::String(text)) => text,
        Ok(Value::Object(members)) if members.get("message").is_some_and(Value::is_string) => {
            members["message"].as_str().unwrap_or_default().to_owned()
        }
        Ok(value) => value.to_string(),
        Err(_) => result.get().to_owned(),
    };
    cut(&clean(&text), LONGEST)
}

fn took(job: &Job) -> Option<Duration> {
    Duration::try_from(job.ended?.duration_since(job.started?)).ok()
}

/// `3.0 s`, `2 min 5 s`, `1 h 3 min`.
pub fn time(took: Duration) -> String {
    let seconds = took.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", took.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

fn footer(summary: &Summary, out: &mut Vec<String>) {
    if summary.incomplete {
        let missing: Vec<_> = summary.expected.iter().take(MISSING).map(expected).collect();
        let mut missing = if missing.is_empty() { "what was expected".to_owned() } else { missing.join(", ") };
        if let Some(more) = more(summary.expected.len(), MISSING) {
            missing.push_str(&format!(" and {more} more"));
        }
        out.push(format!("❗ Incomplete: its time ran out while waiting for {missing}"));
    }
    if summary.counters.invocations > 1 || summary.next.is_some() {
        out.push(format!("{DIM}In all:{DIM:#} {}", totals(&summary.counters)));
    }
    out.extend(rest(summary));
}

fn expected(expected: &Expected) -> String {
    match (&expected.event, &expected.job) {
        (Some(event), Some(job)) => format!("{event} {job}"),
        _ => format!("the detection of {}", expected.invocation),
    }
}

fn totals(counters: &Counters) -> String {
    let parts = [(counters.invocations, "invocation"), (counters.events, "event"), (counters.jobs, "job")];
    let mut text = parts.map(|(number, noun)| count(number as usize, noun)).join(", ");
    let states = [
        (counters.succeeded, "succeeded"),
        (counters.failed, "failed"),
        (counters.skipped, "skipped"),
        (counters.superseded, "superseded"),
        (counters.in_process, "running"),
        (counters.pending, "waiting"),
    ];
    let states: Vec<_> = states.iter().filter(|(n, _)| *n > 0).map(|(n, state)| format!("{n} {state}")).collect();
    if !states.is_empty() {
        text.push_str(&format!(" ({})", states.join(", ")));
    }
    let others = [
        (counters.errors, "refused or failed"),
        (counters.undetected_invocations, "not looked at yet"),
        (counters.repeated, "received again"),
    ];
    for (number, what) in others.into_iter().filter(|(number, _)| *number > 0) {
        text.push_str(&format!(", {number} {what}"));
    }
    text
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn more(all: usize, shown: usize) -> Option<usize> {
    all.checked_sub(shown).filter(|more| *more > 0)
}

#[cfg(test)]
pub mod samples;
#[cfg(test)]
mod tests;
