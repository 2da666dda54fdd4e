//! What a worker is told, as one text in its environment.

use std::{collections::BTreeMap, time::Duration};

use kafka::{Config, layout::Settings};

/// The variable that makes this binary a worker.
pub(crate) const VARIABLE: &str = "HERALD_TEST_WORKER";
/// How many partitions every topic of these tests has.
pub(crate) const PARTITIONS: u32 = 6;

/// What kind of process a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A member of the bus on Kafka.
    Ours,
    /// What one would write with librdkafka: it looks up positions itself.
    Naive,
    /// As naive, but on request it stays within a transaction that carries positions.
    Holder,
}

/// What a worker is told.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) kind: Kind,
    pub(crate) brokers: String,
    pub(crate) prefix: String,
    pub(crate) instance: String,
    pub(crate) session: Duration,
    pub(crate) transaction: Duration,
    /// Whether copies go to any partition, or to that of their original.
    pub(crate) spread: bool,
}

impl Given {
    /// A member of the bus with the times of a deployment.
    pub(crate) fn new(brokers: &str, prefix: &str) -> Self {
        let config = Config::new([brokers]);
        Self {
            kind: Kind::Ours,
            brokers: brokers.to_owned(),
            prefix: prefix.to_owned(),
            instance: "1".to_owned(),
            session: config.session_timeout,
            transaction: config.transaction_timeout,
            spread: false,
        }
    }

    /// The same with other times.
    pub(crate) fn times(self, session: Duration, transaction: Duration) -> Self {
        Self { session, transaction, ..self }
    }

    /// The same for another process.
    pub(crate) fn named(&self, instance: &str) -> Self {
        Self { instance: instance.to_owned(), ..self.clone() }
    }

    /// The same for another kind of process.
    pub(crate) fn of(&self, kind: Kind) -> Self {
        Self { kind, ..self.clone() }
    }

    /// The configuration of a bus.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new(self.brokers.split(','));
        config.prefix.clone_from(&self.prefix);
        config.role = "copy".to_owned();
        config.instance.clone_from(&self.instance);
        (config.session_timeout, config.transaction_timeout) = (self.session, self.transaction);
        for settings in config.layout.kinds.values_mut() {
            *settings = Settings { partitions: PARTITIONS, ..settings.clone() };
        }
        config
    }

    pub(crate) fn write(&self) -> String {
        let Self { kind, brokers, prefix, instance, session, transaction, spread } = self;
        let (session, transaction) = (session.as_millis(), transaction.as_millis());
        format!(
            "kind={kind:?} brokers={brokers} prefix={prefix} instance={instance} session={session} \
             transaction={transaction} spread={spread}"
        )
    }

    pub(crate) fn read(text: &str) -> Self {
        let pairs: BTreeMap<&str, &str> = text.split(' ').map(|pair| pair.split_once('=').unwrap()).collect();
        let millis = |name: &str| Duration::from_millis(pairs[name].parse().unwrap());
        Self {
            kind: match pairs["kind"] {
                "Ours" => Kind::Ours,
                "Naive" => Kind::Naive,
                _ => Kind::Holder,
            },
            brokers: pairs["brokers"].to_owned(),
            prefix: pairs["prefix"].to_owned(),
            instance: pairs["instance"].to_owned(),
            session: millis("session"),
            transaction: millis("transaction"),
            spread: pairs["spread"] == "true",
        }
    }
}
