//! The buses that the suite runs on.

use std::{path::Path, sync::Arc};

use bus::{Bus, embedded};

/// The bus under the pipeline. Tests are written once and know nothing of it; `HERALD_TEST_BUS` chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Every stage in one process, on one SQLite file.
    Embedded,
}

impl Engine {
    /// The bus of this run of the suite. An unknown one fails: tests that are not run must not look as if they passed.
    pub fn of_suite() -> Self {
        match std::env::var("HERALD_TEST_BUS").as_deref() {
            Err(_) | Ok("embedded") => Self::Embedded,
            Ok(other) => panic!("HERALD_TEST_BUS is {other:?}; there is: embedded"),
        }
    }

    /// Opens what a stopped pipeline left in its data folder.
    pub(crate) fn open(self, data: &Path) -> Arc<dyn Bus> {
        match self {
            Self::Embedded => {
                let bus = embedded::Embedded::open(&embedded::Config::new(data));
                Arc::new(bus.unwrap_or_else(|error| panic!("cannot open the log: {error}")))
            }
        }
    }
}
