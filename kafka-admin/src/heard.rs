//! What librdkafka says of its connections: the reason why nobody answers, and what the brokers can do.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    consumer::ConsumerContext,
    error::{KafkaError, RDKafkaErrorCode},
};

use kafka::{client, lock};

/// How many troubles are remembered.
const MOST: usize = 32;

/// One trouble of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What kind, as librdkafka has it.
    pub code: Option<RDKafkaErrorCode>,
    /// In its words.
    pub reason: String,
}

/// The versions of each request that brokers take, as librdkafka tells while it connects: the highest by number.
pub(crate) type Features = BTreeMap<i16, i16>;

/// Remembers the last troubles and what brokers can do. Clones share what they heard.
#[derive(Clone, Default)]
pub(crate) struct Heard {
    troubles: Arc<Mutex<VecDeque<Trouble>>>,
    features: Arc<Mutex<Features>>,
}

impl Heard {
    /// The last troubles, the oldest first.
    pub(crate) fn troubles(&self) -> Vec<Trouble> {
        lock(&self.troubles).iter().cloned().collect()
    }

    /// What the brokers can do, as far as was told.
    pub(crate) fn features(&self) -> Features {
        lock(&self.features).clone()
    }
}

impl ClientContext for Heard {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        match feature(message) {
            // Brokers that differ are one cluster in an upgrade: what the oldest can do counts.
            Some((key, version)) if facility == "APIVERSION" => {
                let mut features = lock(&self.features);
                let known = features.entry(key).or_insert(version);
                *known = version.min(*known);
            }
            _ => client::log(facility, message),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::global(&error, reason);
        let trouble = Trouble { code: error.rdkafka_error_code(), reason: reason.to_owned() };
        // It comes over and over, and says nothing that the others do not.
        if trouble.code == Some(RDKafkaErrorCode::AllBrokersDown) {
            return;
        }
        let mut troubles = lock(&self.troubles);
        if troubles.back() != Some(&trouble) {
            troubles.push_back(trouble);
        }
        if troubles.len() > MOST {
            troubles.pop_front();
        }
    }
}

impl ConsumerContext for Heard {}

/// Reads `…  ApiKey Fetch (1) Versions 4..17`.
fn feature(message: &str) -> Option<(i16, i16)> {
    let (_, rest) = message.split_once("ApiKey ")?;
    let (name, versions) = rest.split_once(" Versions ")?;
    let key = name.rsplit_once('(')?.1.strip_suffix(')')?;
    let (_, highest) = versions.split_once("..")?;
    Some((key.trim().parse().ok()?, highest.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_brokers_can_do_is_read_from_librdkafkas_words_and_the_oldest_counts() {
        let heard = Heard::default();
        for line in [
            "[thrd:h:9092/1]: h:9092/1:   ApiKey Fetch (1) Versions 4..17",
            "[thrd:h:9093/2]: h:9093/2:   ApiKey Fetch (1) Versions 0..16",
            "[thrd:h:9093/2]: h:9093/2:   ApiKey Unknown-99? (99) Versions 0..0",
            "[thrd:h:9093/2]: h:9093/2: Enabling feature MsgVer1",
        ] {
            heard.log(RDKafkaLogLevel::Debug, "APIVERSION", line);
        }
        assert_eq!(heard.features(), Features::from([(1, 16), (99, 0)]));
    }

    #[test]
    fn the_same_trouble_over_and_over_is_one_and_that_all_are_down_is_none() {
        let heard = Heard::default();
        for number in 0..MOST + 5 {
            heard.error(KafkaError::Global(RDKafkaErrorCode::Resolve), &number.to_string());
        }
        assert_eq!(heard.troubles().len(), MOST);
        let one = Heard::default();
        one.error(KafkaError::Global(RDKafkaErrorCode::Authentication), "no");
        one.error(KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down");
        one.error(KafkaError::Global(RDKafkaErrorCode::Authentication), "no");
        assert_eq!(one.troubles().len(), 1);
    }
}
