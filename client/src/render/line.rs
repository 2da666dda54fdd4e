//! What came, a line each: when, by which id, as what, and what became of it. Pure.

use contracts::{
    found::Candidate,
    ids::CorrelationId,
    summary::{Invocation, Outcome, State},
};
use jiff::{Timestamp, tz::TimeZone};

use super::{because, count, origin};
use crate::{
    fold::columns,
    print::{BOLD, DIM, RED, clean, cut},
};

/// How many characters of an id are shown: enough to be the only one of its kind among a million.
const SHORT: usize = 8;
/// How wide a column is made at most.
const WIDEST: usize = 40;
/// How many events a line names.
const EVENTS: usize = 4;

/// A line, in columns.
#[derive(Debug)]
pub struct Line {
    day: String,
    time: String,
    id: String,
    what: String,
    became: String,
}

/// The beginnings of ids by which each is told from all others of the list.
pub fn short<'a>(ids: impl Iterator<Item = &'a CorrelationId> + Clone) -> impl Fn(&CorrelationId) -> String {
    let short = beginnings(ids.map(ToString::to_string));
    move |id| short(id.as_str())
}

/// The same, of any ids.
pub fn beginnings(ids: impl Iterator<Item = String>) -> impl Fn(&str) -> String {
    let mut sorted: Vec<String> = ids.collect();
    sorted.sort_unstable();
    sorted.dedup();
    move |id| {
        // What is no UUID was named by somebody, and says something.
        if uuid::Uuid::parse_str(id).is_err() {
            return id.to_owned();
        }
        let place = sorted.partition_point(|other| other.as_str() < id);
        let near = [place.checked_sub(1), Some(place + 1)].into_iter().flatten().filter_map(|at| sorted.get(at));
        let common = |other: &String| id.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
        let most = near.map(common).max().unwrap_or(0);
        id[..id.len().min(SHORT.max(most + 1))].to_owned()
    }
}

/// Whether one of these times is of another day than now.
pub fn has_days(mut times: impl Iterator<Item = Timestamp>, now: Timestamp, zone: &TimeZone) -> bool {
    let today = now.to_zoned(zone.clone()).date();
    times.any(|time| time.to_zoned(zone.clone()).date() != today)
}

/// An invocation of a list, under the id that is shown for its correlation.
pub fn of(one: &Invocation, id: String, zone: &TimeZone) -> Line {
    let what = one.origin.as_ref().map(origin).unwrap_or_else(|| "a record".to_owned());
    let (sign, mut became) = became(one);
    if one.repeated > 0 {
        became.push_str(&format!("  {DIM}came {} times{DIM:#}", one.repeated + 1));
    }
    Line::new(one.received, id, format!("{sign} {what}"), became, zone)
}

/// A candidate for an id, with as much of its id as tells it apart.
pub fn of_candidate(one: &Candidate, zone: &TimeZone) -> Line {
    let sign = match (one.state, one.outcome) {
        (State::Complete, Some(Outcome::Failure)) => "❌",
        (State::Complete, _) if one.events.is_empty() => "🔕",
        (State::Complete, _) => "✅",
        _ => "🔄",
    };
    let what = one.origin.as_ref().map(origin).unwrap_or_else(|| "a record".to_owned());
    let id = one.invocation.map_or_else(|| one.correlation.to_string(), |id| id.to_string());
    let events: Vec<String> = one.events.iter().map(ToString::to_string).collect();
    let became = if events.is_empty() { "no event".to_owned() } else { events.join(", ") };
    Line::new(one.received, id, format!("{sign} {what}"), became, zone)
}

/// Lines whose columns begin below each other.
pub fn aligned(lines: &[Line], with_days: bool) -> Vec<String> {
    let widest = |column: fn(&Line) -> &str| {
        lines.iter().map(|line| columns(column(line))).filter(|width| *width <= WIDEST).max().unwrap_or(0)
    };
    let (id, what) = (widest(|line| &line.id), widest(|line| &line.what));
    let pad = |text: &str, width: usize| " ".repeat(width.saturating_sub(columns(text)));
    let each = lines.iter().map(|line| {
        let day = if with_days { format!("{} ", line.day) } else { String::new() };
        let text = format!(
            "{DIM}{day}{}{DIM:#}  {BOLD}{}{BOLD:#}{}  {}{}  {}",
            line.time,
            line.id,
            pad(&line.id, id),
            line.what,
            pad(&line.what, what),
            line.became
        );
        text.trim_end().to_owned()
    });
    each.collect()
}

impl Line {
    fn new(at: Timestamp, id: String, what: String, became: String, zone: &TimeZone) -> Self {
        let at = at.to_zoned(zone.clone());
        let (day, time) = (at.strftime("%m-%d").to_string(), at.strftime("%H:%M:%S").to_string());
        Self { day, time, id, what, became }
    }
}

/// What became of it: a sign, and a few words.
fn became(one: &Invocation) -> (&'static str, String) {
    if let Some(reason) = &one.rejected {
        return ("❌", format!("refused{RED}{}{RED:#}", because(reason)));
    }
    if let Some(first) = one.duplicate_of {
        return ("🔁", format!("a duplicate of raw record {first}"));
    }
    if one.origin.is_none() {
        return ("⏳", "not looked at yet".to_owned());
    }
    let failed = one.failed.len() + one.failed_more as usize;
    let mut words = Vec::new();
    if !one.events.is_empty() {
        words.push(events(one));
    }
    if failed > 0 {
        words.push(format!("{RED}{} failed{RED:#}", count(failed, "event")));
    }
    let jobs: Vec<_> = one.events.iter().flat_map(|event| &event.jobs).collect();
    let of = |state: State| jobs.iter().filter(|job| job.state == state).count();
    let bad = jobs.iter().filter(|job| job.outcome == Some(Outcome::Failure)).count();
    let (running, waiting) = (of(State::InProcess), of(State::Pending));
    let all = count(jobs.len(), "job");
    words.push(match (bad, running, waiting) {
        _ if jobs.is_empty() && words.is_empty() => "no event".to_owned(),
        _ if jobs.is_empty() => String::new(),
        (0, 0, 0) => all,
        (0, 0, waiting) => format!("{waiting} of {all} waiting"),
        (0, running, _) => format!("{running} of {all} running"),
        (bad, ..) => format!("{RED}{bad} of {all} failed{RED:#}"),
    });
    let sign = match one.state {
        _ if bad + failed > 0 => "❌",
        _ if running + waiting > 0 => "🔄",
        State::Complete if one.events.is_empty() => "🔕",
        State::Complete => "✅",
        _ => "🔄",
    };
    words.retain(|words| !words.is_empty());
    (sign, words.join("  "))
}

/// The names of its events, the first of them.
fn events(one: &Invocation) -> String {
    let names: Vec<String> = one.events.iter().take(EVENTS).map(|event| event.event.to_string()).collect();
    let more = one.events.len().saturating_sub(EVENTS);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", cut(&clean(&names.join(", ")), 400))
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;
    use crate::render::samples;

    #[test]
    fn what_came_is_a_line_each_with_what_became_of_it() {
        let all = [
            samples::two_events(),
            samples::under_way(),
            samples::nothing_detected(),
            samples::troubles(),
            samples::cascade(),
        ];
        let invocations: Vec<Invocation> = all.into_iter().flat_map(|summary| summary.invocations).collect();
        let id = short(invocations.iter().map(|one| &one.correlation));
        let lines: Vec<Line> = invocations.iter().map(|one| of(one, id(&one.correlation), &TimeZone::UTC)).collect();
        let lines: Vec<_> = aligned(&lines, true).iter().map(|line| strip_str(line).to_string()).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn an_id_is_as_long_as_it_takes_to_tell_it_apart_and_one_that_somebody_chose_is_whole() {
        let ids: Vec<CorrelationId> = [
            "8b0c5a3e-1f28-59a5-a7f5-cb74087a62b6",
            "8b0c5a3e-1f29-59a5-a7f5-cb74087a62b6",
            "9b0c5a3e-1f28-59a5-a7f5-cb74087a62b6",
            "order-number-7",
        ]
        .map(|id| id.parse().expect("an id"))
        .into();
        let short = short(ids.iter());
        let shown: Vec<String> = ids.iter().map(short).collect();
        assert_eq!(shown, ["8b0c5a3e-1f28", "8b0c5a3e-1f29", "9b0c5a3e", "order-number-7"]);
    }

    #[test]
    fn the_day_is_there_only_when_one_is_another() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        let (now, zone) = (at("2026-11-21T10:00:00Z"), TimeZone::UTC);
        assert!(!has_days([at("2026-11-21T00:00:00Z")].into_iter(), now, &zone));
        assert!(has_days([now, at("2026-11-20T23:59:59Z")].into_iter(), now, &zone));
    }
}
