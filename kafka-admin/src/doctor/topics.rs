//! Whether the topics can carry what Herald asks of them. Pure.

use std::{collections::BTreeMap, time::Duration};

use contracts::topics;

use super::{Expected, Finding, finding::span};
use crate::{
    Existing, Plan,
    plan::{Difference, State, Step, TopicPlan},
};
use bus::Topic;
use kafka::layout::Kind;

const CHECK: &str = "topics";
const COPIES: &str = "replicas";
const APPLY: &str = "`herald topics plan` shows it, `herald topics apply` mends it";
const PLAN: &str = "`herald topics plan` says what to do first";

/// What is known of the topics.
pub(crate) struct Facts<'f> {
    pub(crate) plan: &'f Plan,
    pub(crate) existing: &'f BTreeMap<Topic, Existing>,
    pub(crate) brokers: usize,
    /// Whether roles create what is missing.
    pub(crate) may_create: bool,
}

/// Checks the topics.
pub(crate) fn check(facts: &Facts<'_>, expected: &Expected) -> Vec<Finding> {
    let mut found = Vec::new();
    for topic in &facts.plan.topics {
        match (&topic.state, facts.existing.get(&topic.topic)) {
            (State::Exists(_, differences), Some(existing)) => {
                found.extend(differences.iter().filter_map(|it| difference(topic, it)));
                memory(topic, existing, expected, &mut found);
                copies(topic, existing, facts.brokers, &mut found);
            }
            _ => found.push(missing(topic, facts.may_create)),
        }
    }
    let count = facts.existing.len();
    for (check, what) in [(CHECK, "are as laid out"), (COPIES, "are complete and led")] {
        if count > 0 && !found.iter().any(|finding| finding.check == check) {
            found.push(Finding::ok(check, format!("{count} topics {what}")));
        }
    }
    found
}

fn missing(topic: &TopicPlan, may_create: bool) -> Finding {
    let finding = if may_create {
        let what = "does not exist yet; the roles create it as they start, or with the catalog";
        Finding::warning(CHECK, what, "`herald topics apply` creates it now")
    } else {
        let what = "does not exist, and `bus.kafka.create-topics` is false";
        Finding::problem(CHECK, what, "create it with `herald topics apply`")
    };
    finding.at(&topic.name)
}

fn difference(topic: &TopicPlan, difference: &Difference) -> Option<Finding> {
    let Difference { what, is, planned, step } = difference;
    let told = format!("{what} is {is}, planned is {planned}");
    let advice = match step {
        Step::Left(_) => return None,
        Step::Apply | Step::ApplyDrained => APPLY,
        Step::Refused(_) | Step::ByHand(_) => PLAN,
    };
    let finding = match what.as_str() {
        "partitions" if topic.kind == Kind::Seen => {
            let what =
                format!("it has {is} partitions, but `raw` has {planned}: a detector cannot remember all it reads");
            Finding::problem(CHECK, what, advice)
        }
        "max.message.bytes" => {
            let what = format!("records beyond {is} bytes are refused, but the layout promises {planned}");
            Finding::problem(CHECK, what, advice)
        }
        "cleanup.policy" if topic.kind == Kind::Table => {
            Finding::problem(CHECK, format!("{told}: the table will lose its records"), advice)
        }
        "cleanup.policy" if is.contains("compact") => {
            Finding::problem(CHECK, format!("{told}: records are deleted before they are read"), advice)
        }
        _ => Finding::warning(CHECK, told, advice),
    };
    Some(finding.at(&topic.name))
}

/// Whether records are kept long enough to recognise duplicates.
fn memory(topic: &TopicPlan, existing: &Existing, expected: &Expected, found: &mut Vec<Finding>) {
    let kept = existing.number("retention.ms").and_then(|millis| u64::try_from(millis).ok()).map(Duration::from_millis);
    let remembers = [topics::RAW, topics::SEEN].contains(&topic.topic.as_str());
    if let Some(kept) = kept.filter(|kept| remembers && *kept < expected.window) {
        let what = format!(
            "records are kept for {}, but duplicates are to be recognised for {}",
            span(kept),
            span(expected.window)
        );
        let advice = format!("raise its retention, or lower `detector.window` to {}", span(kept));
        found.push(Finding::warning(CHECK, what, advice).at(&topic.name));
    }
    if topic.kind != Kind::Table && existing.number("retention.bytes").is_some_and(|bytes| bytes >= 0) {
        let what = "`retention.bytes` deletes the oldest records whether they were read or not";
        found.push(Finding::warning(CHECK, what, "set it to -1, and keep by time").at(&topic.name));
    }
    if existing.setting("unclean.leader.election.enable") == Some("true") {
        let what = "a replica that lags may become the leader, and acknowledged records are gone";
        found.push(Finding::warning(CHECK, what, "set `unclean.leader.election.enable=false`").at(&topic.name));
    }
}

fn copies(topic: &TopicPlan, existing: &Existing, brokers: usize, found: &mut Vec<Finding>) {
    let copies = existing.replication();
    let least = existing.number("min.insync.replicas").and_then(|least| usize::try_from(least).ok()).unwrap_or(1);
    let mut tell = |finding: Finding| found.push(finding.at(&topic.name));
    if copies == 1 && brokers == 1 {
        let what = "there is one broker and one copy: it ends where that disk does";
        tell(Finding::warning(COPIES, what, "three brokers, replication 3 and `min.insync.replicas=2` survive one"));
    } else if copies == 1 {
        let what = "there is one copy: while its broker is away nothing can be written or read";
        tell(Finding::warning(
            COPIES,
            what,
            "raise `bus.kafka.topics.replication` to 3; `herald topics plan` says how",
        ));
    } else if least >= copies {
        let what =
            format!("`min.insync.replicas` is {least} of {copies} copies: one broker that is away stops all writes");
        tell(Finding::problem(COPIES, what, format!("lower it to {}, or keep more copies", copies - 1)));
    } else if least == 1 && copies >= 3 {
        let what =
            format!("`min.insync.replicas` is 1 of {copies} copies: what is acknowledged may be on one disk alone");
        tell(Finding::warning(COPIES, what, "set it to 2 (`bus.kafka.topics.config`)"));
    }
    let count = |test: &dyn Fn(&crate::Replicas) -> bool| {
        existing.partitions.iter().filter(|partition| test(partition)).count()
    };
    let of = existing.partitions.len();
    let leaderless = count(&|it| it.leader.is_none());
    let stuck = count(&|it| it.leader.is_some() && it.in_sync < least);
    let behind = count(&|it| it.leader.is_some() && it.in_sync >= least && it.in_sync < it.all);
    if leaderless > 0 {
        let what = format!("{leaderless} of {of} partitions have no leader: they can be neither written nor read");
        tell(Finding::problem(COPIES, what, "bring the brokers back that keep them"));
    }
    if stuck > 0 {
        let what = format!("{stuck} of {of} partitions have fewer than {least} replicas in sync: writes are refused");
        tell(Finding::problem(COPIES, what, "bring the brokers back that keep them"));
    }
    if behind > 0 {
        let what = format!("{behind} of {of} partitions have replicas that are not in sync");
        tell(Finding::warning(COPIES, what, "a broker is away or behind: see its log"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Replicas, Setting, doctor::Level, plan};
    use bus::TopicSpec;
    use kafka::layout::Layout;

    /// `raw`, `seen` and `catalog` as laid out on three brokers, three copies of which two must be in sync.
    fn healthy() -> (Layout, Vec<TopicSpec>, BTreeMap<Topic, Existing>) {
        let mut layout = Layout { replication: Some(3), ..Layout::default() };
        layout.config.insert("min.insync.replicas".into(), "2".into());
        let specs = vec![TopicSpec::new("raw"), TopicSpec::new("seen"), TopicSpec::table("catalog")];
        let exists = |spec: &TopicSpec| {
            let planned = layout.plan(spec);
            let setting = |(key, value): (String, String)| (key, Setting { value, is_own: true });
            let partition = Replicas { leader: Some(1), all: 3, in_sync: 3 };
            let partitions = vec![partition; planned.partitions as usize];
            let existing = Existing { partitions, settings: planned.config.into_iter().map(setting).collect() };
            (spec.topic.clone(), existing)
        };
        let existing = specs.iter().map(exists).collect();
        (layout, specs, existing)
    }

    fn found_with(change: impl FnOnce(&mut BTreeMap<Topic, Existing>), may_create: bool) -> Vec<(Level, String)> {
        let (layout, specs, mut existing) = healthy();
        change(&mut existing);
        let wanted = plan::Wanted { layout: &layout, prefix: "", specs: &specs, drained: &[] };
        let plan = plan::of(&wanted, &existing);
        let facts = Facts { plan: &plan, existing: &existing, brokers: 3, may_create };
        let found = check(&facts, &Expected::default());
        found.into_iter().filter(|it| it.level != Level::Ok).map(|it| (it.level, it.what)).collect()
    }

    fn found(topic: &str, change: impl FnOnce(&mut Existing)) -> Vec<(Level, String)> {
        found_with(|existing| change(existing.get_mut(&Topic::from(topic)).expect("a topic")), false)
    }

    fn set(topic: &str, key: &str, value: &str) -> Vec<(Level, String)> {
        let setting = Setting { value: value.into(), is_own: false };
        found(topic, |existing| drop(existing.settings.insert(key.into(), setting)))
    }

    #[track_caller]
    fn only(found: &[(Level, String)], level: Level, part: &str) {
        let matching = found.iter().filter(|(is, what)| *is == level && what.contains(part)).count();
        assert_eq!(matching, 1, "{level:?} {part:?} in {found:?}");
    }

    #[test]
    fn topics_as_laid_out_are_ok() {
        assert_eq!(found("raw", |_| {}), []);
    }

    #[test]
    fn a_missing_topic_is_a_problem_only_where_nobody_creates_it() {
        let gone = |existing: &mut BTreeMap<Topic, Existing>| drop(existing.remove(&Topic::from("catalog")));
        only(&found_with(gone, false), Level::Problem, "create-topics");
        only(&found_with(gone, true), Level::Warning, "does not exist yet");
    }

    #[test]
    fn settings_under_which_records_are_lost_or_refused_are_told() {
        only(&set("raw", "max.message.bytes", "1048588"), Level::Problem, "1048588");
        only(&set("raw", "cleanup.policy", "compact"), Level::Problem, "before they are read");
        only(&set("catalog", "cleanup.policy", "delete"), Level::Problem, "lose its records");
        only(&set("raw", "retention.bytes", "1000"), Level::Warning, "retention.bytes");
        only(&set("raw", "unclean.leader.election.enable", "true"), Level::Warning, "replica that lags");
        let short = set("seen", "retention.ms", "60000");
        only(&short, Level::Warning, "kept for 1 min");
        only(&found("seen", |it| it.partitions.truncate(2)), Level::Problem, "it has 2 partitions, but `raw` has 6");
    }

    #[test]
    fn copies_that_stop_writes_or_do_not_last_are_told() {
        only(&set("raw", "min.insync.replicas", "3"), Level::Problem, "stops all writes");
        only(&set("raw", "min.insync.replicas", "1"), Level::Warning, "one disk alone");
        only(&found("raw", |it| it.partitions[0].leader = None), Level::Problem, "1 of 6 partitions have no leader");
        only(&found("raw", |it| it.partitions[0].in_sync = 1), Level::Problem, "fewer than 2 replicas");
        only(&found("raw", |it| it.partitions[0].in_sync = 2), Level::Warning, "not in sync");
        let alone = |it: &mut Existing| it.partitions.iter_mut().for_each(|one| (one.all, one.in_sync) = (1, 1));
        only(&found("raw", alone), Level::Warning, "there is one copy");
    }
}
