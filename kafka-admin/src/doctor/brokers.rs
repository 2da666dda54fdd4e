//! Whether the brokers' own settings suit Herald. Pure.

use std::{collections::BTreeMap, time::Duration};

use super::{Finding, finding::span};
use crate::Settings;
use bus::Note;
use kafka::Config;

const CHECK: &str = "broker settings";
/// What the note of a position may take, as it is written.
const LEAST_METADATA: i64 = 4096;
const DAY: i64 = 24 * 3600 * 1000;

/// Checks what each broker says of itself.
pub(crate) fn check(brokers: &BTreeMap<i32, Settings>, config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    for (id, settings) in brokers {
        let mut own = Vec::new();
        one(settings, config, brokers.len(), &mut own);
        found.extend(own.into_iter().map(|finding| finding.at(format!("broker {id}"))));
    }
    if found.is_empty() && !brokers.is_empty() {
        found.push(Finding::ok(CHECK, "they suit Herald"));
    }
    found
}

fn one(settings: &Settings, config: &Config, count: usize, found: &mut Vec<Finding>) {
    let text = |name: &str| settings.get(name).map(|setting| setting.value.as_str());
    let number = |name: &str| text(name).and_then(|value| value.parse::<i64>().ok());
    if text("auto.create.topics.enable") == Some("true") {
        found.push(Finding::warning(
            CHECK,
            "topics come into being by being asked for, with the brokers' defaults instead of the layout's",
            "set `auto.create.topics.enable=false`; Herald itself asks in a way that creates none",
        ));
    }
    sessions(&number, config, found);
    transactions(&number, config, found);
    positions(&number, config, found);
    for name in ["transaction.state.log.replication.factor", "offsets.topic.replication.factor"] {
        if let Some(copies) = number(name).filter(|copies| *copies < 2 && count > 1) {
            let what = format!("`{name}` is {copies}: without that one broker no stage commits anything");
            let advice = "raise it to 3, and reassign the internal topic that exists already";
            found.push(Finding::warning(CHECK, what, advice));
        }
    }
}

fn sessions(number: &dyn Fn(&str) -> Option<i64>, config: &Config, found: &mut Vec<Finding>) {
    let session = millis(config.session_timeout);
    let within = |least: Option<i64>, most: Option<i64>| {
        least.is_none_or(|least| session >= least) && most.is_none_or(|most| session <= most)
    };
    let (least, most) = (number("group.min.session.timeout.ms"), number("group.max.session.timeout.ms"));
    if !within(least, most) {
        let what = format!(
            "sessions take {} to {} here, but ours is {}: nobody could join a group",
            least.map_or_else(|| "?".to_owned(), told),
            most.map_or_else(|| "?".to_owned(), told),
            span(config.session_timeout)
        );
        let advice = "change `bus.kafka.session-timeout`, or `group.min.session.timeout.ms` and its kin";
        found.push(Finding::problem(CHECK, what, advice));
    }
}

fn transactions(number: &dyn Fn(&str) -> Option<i64>, config: &Config, found: &mut Vec<Finding>) {
    let own = millis(config.transaction_timeout);
    if let Some(most) = number("transaction.max.timeout.ms").filter(|most| *most < own) {
        let what = format!("transactions may take {} here, but ours {}: none could begin", told(most), told(own));
        let advice = "lower `bus.kafka.transaction-timeout`, or raise `transaction.max.timeout.ms`";
        found.push(Finding::problem(CHECK, what, advice));
    }
    let cleanup = number("transaction.abort.timed.out.transaction.cleanup.interval.ms");
    if let Some(every) = cleanup.filter(|every| *every > 1000) {
        let what = format!(
            "timed out transactions are looked for every {} only: what a killed process left open blocks readers so much longer",
            told(every)
        );
        let advice =
            "set `transaction.abort.timed.out.transaction.cleanup.interval.ms=1000`, where the brokers are yours";
        found.push(Finding::warning(CHECK, what, advice));
    }
    if let Some(expires) = number("transactional.id.expiration.ms").filter(|expires| *expires < DAY) {
        let what = format!("a `transactional.id` is forgotten after {} of rest", told(expires));
        let advice = "set `transactional.id.expiration.ms` to 7 days, its default";
        found.push(Finding::warning(CHECK, what, advice));
    }
}

fn positions(number: &dyn Fn(&str) -> Option<i64>, config: &Config, found: &mut Vec<Finding>) {
    if let Some(most) = number("offset.metadata.max.bytes").filter(|most| *most < LEAST_METADATA) {
        let what = format!(
            "beside a position only {most} bytes can be kept, but jobs note up to {} there: they could not commit",
            Note::MAX
        );
        found.push(Finding::problem(CHECK, what, "set `offset.metadata.max.bytes=4096`, its default, or more"));
    }
    let kept = number("offsets.retention.minutes").map(|minutes| minutes.saturating_mul(60_000));
    let longest = config.layout.kinds.values().filter_map(|kind| kind.retention).max().map(millis);
    if let (Some(kept), Some(longest)) = (kept, longest)
        && kept < longest
    {
        let what = format!(
            "positions of a group without members are forgotten after {}, records only after {}: a stage that rests longer \
             finds none, and stops",
            told(kept),
            told(longest)
        );
        let advice = format!("set `offsets.retention.minutes` to {} or more", longest / 60_000);
        found.push(Finding::warning(CHECK, what, advice));
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn told(millis: i64) -> String {
    span(Duration::from_millis(millis.max(0).cast_unsigned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Setting, doctor::Level};

    /// As a broker of today has them by default, but for what the advice says.
    const GOOD: &[(&str, &str)] = &[
        ("auto.create.topics.enable", "false"),
        ("group.min.session.timeout.ms", "6000"),
        ("group.max.session.timeout.ms", "1800000"),
        ("transaction.max.timeout.ms", "900000"),
        ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "1000"),
        ("transactional.id.expiration.ms", "604800000"),
        ("offset.metadata.max.bytes", "4096"),
        ("offsets.retention.minutes", "10080"),
        ("transaction.state.log.replication.factor", "3"),
        ("offsets.topic.replication.factor", "3"),
    ];

    fn found(changes: &[(&str, &str)]) -> Vec<Finding> {
        let setting =
            |(name, value): &(&str, &str)| ((*name).to_owned(), Setting { value: (*value).to_owned(), is_own: false });
        let settings: Settings = GOOD.iter().chain(changes).map(setting).collect();
        let brokers = [1, 2, 3].map(|id| (id, settings.clone()));
        check(&brokers.into(), &Config::new(["h:1"]))
    }

    #[test]
    fn brokers_that_suit_are_ok_and_so_is_what_cannot_be_known() {
        assert_eq!(found(&[]), [Finding::ok(CHECK, "they suit Herald")]);
        let silent = BTreeMap::from([(1, Settings::new())]);
        assert_eq!(check(&silent, &Config::new(["h:1"])), [Finding::ok(CHECK, "they suit Herald")]);
    }

    #[test]
    fn each_setting_that_does_not_suit_is_told_of_every_broker() {
        for (name, value, level) in [
            ("auto.create.topics.enable", "true", Level::Warning),
            ("group.min.session.timeout.ms", "10000", Level::Problem),
            ("group.max.session.timeout.ms", "5000", Level::Problem),
            ("transaction.max.timeout.ms", "4000", Level::Problem),
            ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "10000", Level::Warning),
            ("transactional.id.expiration.ms", "3600000", Level::Warning),
            ("offset.metadata.max.bytes", "1024", Level::Problem),
            ("offsets.retention.minutes", "1440", Level::Warning),
            ("transaction.state.log.replication.factor", "1", Level::Warning),
        ] {
            let found = super::super::finding::merged(found(&[(name, value)]));
            assert_eq!(found.len(), 1, "{name}: {found:?}");
            assert_eq!(found[0].level, level, "{name}");
            assert_eq!(found[0].places, ["broker 1", "broker 2", "broker 3"], "{name}");
            assert!(!found[0].advice.is_empty(), "{name}");
        }
    }
}
