//! Whether our own settings fit each other. Pure; no broker is needed.

use std::time::Duration;

use super::{Expected, Finding, finding::span};
use kafka::Config;

const CHECK: &str = "configuration";

/// Checks the settings.
pub(crate) fn check(config: &Config, expected: &Expected) -> Vec<Finding> {
    let mut found = Vec::new();
    times(config, expected, &mut found);
    security(config, &mut found);
    if let Err(error) = config.layout.check() {
        found.push(Finding::problem(CHECK, error.to_string(), "mend it under `bus.kafka.topics`"));
    }
    if found.is_empty() {
        found.push(Finding::ok(CHECK, "the settings fit each other"));
    }
    found
}

fn times(config: &Config, expected: &Expected, found: &mut Vec<Finding>) {
    // What members are told unless a property says otherwise.
    let property = |name: &str| config.properties.get(name).and_then(|millis| millis.trim().parse().ok());
    let heartbeat = property("heartbeat.interval.ms").map_or(config.session_timeout / 6, Duration::from_millis);
    if config.session_timeout < heartbeat * 3 {
        let what = format!(
            "a member says that it lives every {}, and is given up after {}: one lost heartbeat costs it its partitions",
            span(heartbeat),
            span(config.session_timeout)
        );
        let advice = "take `heartbeat.interval.ms` out of `bus.kafka.properties`, or raise `bus.kafka.session-timeout`";
        found.push(Finding::warning(CHECK, what, advice).at("bus.kafka.session-timeout"));
    }
    if config.delivery_timeout >= expected.publish_timeout {
        let what = format!(
            "a publication may take {}, but a webhook is answered after {}: one that is answered with 503 may still be written",
            span(config.delivery_timeout),
            span(expected.publish_timeout)
        );
        let advice = "set `bus.kafka.delivery-timeout` below `ingest.publish-timeout`";
        found.push(Finding::problem(CHECK, what, advice).at("bus.kafka.delivery-timeout"));
    }
    if config.session_timeout > Duration::from_secs(30) {
        let what = format!("the partitions of a process that died rest for {}", span(config.session_timeout));
        let advice = "lower `bus.kafka.session-timeout`; 6 s is the default";
        found.push(Finding::warning(CHECK, what, advice).at("bus.kafka.session-timeout"));
    }
    if config.transaction_timeout > Duration::from_secs(30) {
        let what =
            format!("what a process that died left open blocks every reader for {}", span(config.transaction_timeout));
        let advice = "lower `bus.kafka.transaction-timeout`; 5 s is the default";
        found.push(Finding::warning(CHECK, what, advice).at("bus.kafka.transaction-timeout"));
    }
}

fn security(config: &Config, found: &mut Vec<Finding>) {
    let property = |name: &str| config.properties.get(name).map(|value| value.trim().to_ascii_lowercase());
    let protocol = property("security.protocol").unwrap_or_else(|| "plaintext".to_owned());
    let at_home = config.brokers.iter().all(|broker| is_loopback(broker));
    if !protocol.ends_with("ssl") && !at_home {
        let (what, level_is_bad) = match protocol.as_str() {
            "sasl_plaintext" => ("passwords and records travel in the clear", true),
            _ => ("records travel in the clear, and whoever reaches the brokers may do everything", false),
        };
        let advice = "set `security.protocol` to `SASL_SSL` (or `SSL`) in `bus.kafka.properties`, where the network is not trusted";
        let finding = if level_is_bad && property("sasl.mechanism").is_none_or(|it| it == "plain") {
            Finding::problem(CHECK, what, advice)
        } else {
            Finding::warning(CHECK, what, advice)
        };
        found.push(finding.at("security.protocol"));
    }
    let unchecked = property("enable.ssl.certificate.verification").is_some_and(|it| it == "false")
        || property("ssl.endpoint.identification.algorithm").is_some_and(|it| it == "none");
    if unchecked {
        let advice = "name the authority that signed the brokers' certificates as `ssl.ca.location` instead";
        let what = "the brokers' certificates are not checked: anyone in between may read and write";
        found.push(Finding::warning(CHECK, what, advice).at("bus.kafka.properties"));
    }
}

fn is_loopback(broker: &str) -> bool {
    let host = broker.rsplit_once("://").map_or(broker, |(_, rest)| rest);
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    fn found(change: impl FnOnce(&mut Config)) -> Vec<(Level, String)> {
        let mut config = Config::new(["127.0.0.1:9092"]);
        change(&mut config);
        let found = check(&config, &Expected::default());
        found.into_iter().map(|it| (it.level, it.places.first().cloned().unwrap_or_default())).collect()
    }

    #[test]
    fn the_defaults_fit_each_other() {
        assert_eq!(found(|_| {}), [(Level::Ok, String::new())]);
    }

    #[test]
    fn times_that_do_not_fit_are_told() {
        let session = (Level::Warning, "bus.kafka.session-timeout".to_owned());
        let set = |config: &mut Config| {
            config.properties.insert("heartbeat.interval.ms".into(), "3000".into());
        };
        assert_eq!(found(set), std::slice::from_ref(&session));
        assert_eq!(found(|config| config.session_timeout = Duration::from_secs(45)), [session]);
        let delivery = (Level::Problem, "bus.kafka.delivery-timeout".to_owned());
        assert_eq!(found(|config| config.delivery_timeout = Duration::from_secs(5)), [delivery]);
        let transaction = (Level::Warning, "bus.kafka.transaction-timeout".to_owned());
        assert_eq!(found(|config| config.transaction_timeout = Duration::from_secs(60)), [transaction]);
    }

    #[test]
    fn what_travels_in_the_clear_is_told_beyond_this_machine() {
        let on = |properties: &[(&str, &str)]| {
            found(|config| {
                config.brokers = vec!["broker.example:9092".into()];
                config.properties = properties.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
            })
        };
        assert_eq!(on(&[]), [(Level::Warning, "security.protocol".into())]);
        assert_eq!(on(&[("security.protocol", "SASL_PLAINTEXT")]), [(Level::Problem, "security.protocol".into())]);
        let scram = [("security.protocol", "SASL_PLAINTEXT"), ("sasl.mechanism", "SCRAM-SHA-512")];
        assert_eq!(on(&scram), [(Level::Warning, "security.protocol".into())]);
        assert_eq!(on(&[("security.protocol", "SASL_SSL")]), [(Level::Ok, String::new())]);
        let unchecked = [("security.protocol", "SSL"), ("enable.ssl.certificate.verification", "false")];
        assert_eq!(on(&unchecked), [(Level::Warning, "bus.kafka.properties".into())]);
        assert!(is_loopback("PLAINTEXT://[::1]:9092") && is_loopback("localhost") && !is_loopback("10.0.0.1:9092"));
    }
}
