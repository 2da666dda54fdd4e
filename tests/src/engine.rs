//! The buses that the suite runs on.

use std::{path::Path, sync::Arc};

use bus::{Bus, embedded};

use crate::Role;

/// The bus under the pipeline. Tests are written once and know nothing of it; `HERALD_TEST_BUS` chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    /// Every stage in one process, on one SQLite file.
    Embedded,
    /// Each role in a process of its own, on the Kafka of these bootstrap servers.
    Kafka(String),
}

impl Engine {
    /// The bus of this run of the suite. An unknown one fails: tests that are not run must not look as if they passed.
    pub fn of_suite() -> Self {
        match std::env::var("HERALD_TEST_BUS").as_deref() {
            Err(_) | Ok("embedded") => Self::Embedded,
            Ok("kafka") => Self::Kafka(broker::shared().to_owned()),
            Ok(other) => panic!("HERALD_TEST_BUS is {other:?}; there are: embedded, kafka"),
        }
    }

    /// The processes that make a whole Herald.
    pub(crate) fn roles(&self) -> &'static [Role] {
        match self {
            Self::Embedded => &[Role::Dev],
            Self::Kafka(_) => &Role::ALL,
        }
    }

    /// Opens what a pipeline left: in its data folder, or under its prefix.
    pub(crate) fn open(&self, data: &Path, prefix: &str) -> Arc<dyn Bus> {
        match self {
            Self::Embedded => {
                let bus = embedded::Embedded::open(&embedded::Config::new(data));
                Arc::new(bus.unwrap_or_else(|error| panic!("cannot open the log: {error}")))
            }
            Self::Kafka(bootstrap) => {
                let config = kafka::Config {
                    prefix: prefix.to_owned(),
                    role: "tests".to_owned(),
                    ..kafka::Config::new(bootstrap.split(','))
                };
                let bus = kafka::Kafka::open(&config);
                Arc::new(bus.unwrap_or_else(|error| panic!("cannot open the bus: {error}")))
            }
        }
    }
}
