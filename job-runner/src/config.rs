//! What an operator can say about this stage.

use std::{collections::BTreeMap, path::PathBuf};

use runtime::config::{Duration, SecretPlace, Size};
use serde::{Deserialize, Serialize};

/// The settings of the job runner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Which jobs run in this process: patterns over their full names, in which `*` stands for anything. The others are for
    /// other processes.
    pub jobs: Vec<String>,
    /// The folder in which commands run, and to which their `dir` is relative: the catalog's.
    pub folder: PathBuf,
    /// Which variables of the process's environment commands get, beside PATH, HOME, LANG, LC_*, TZ and TMPDIR.
    pub environment: Vec<String>,
    /// The secrets that jobs may use, by the names that catalogs have for them.
    pub secrets: BTreeMap<String, SecretPlace>,
    /// How long running jobs may go on at shutdown, or when their partition moves to another process, before they are
    /// cancelled and their attempt is given back.
    pub grace: Duration,
    /// How many records of one job may be ready to run or run, at least; twice its concurrency, if that is more. As many may
    /// be held behind their keys, and of 64 times as many only the place is kept.
    pub queue_records: usize,
    /// How many bytes of records of one job may wait in memory, over all its partitions together; one record may go beyond.
    pub queue_bytes: Size,
    /// How long a job whose bus failed waits before it joins again; doubled each time.
    pub rejoin_initial: Duration,
    /// The longest wait before it joins again.
    pub rejoin_max: Duration,
}

/// How long the last commits may take at shutdown, beyond the grace period.
const LAST_COMMIT: std::time::Duration = std::time::Duration::from_secs(5);

/// How long whoever waits for the stage should wait beyond that, so that it ends by itself.
const MARGIN: std::time::Duration = std::time::Duration::from_secs(2);

impl Config {
    /// How long the stage takes to end, at most.
    pub fn longest_end(&self) -> std::time::Duration {
        self.grace.get() + LAST_COMMIT
    }

    /// How long whoever told it to end should wait for it.
    pub fn shutdown_budget(&self) -> std::time::Duration {
        self.longest_end() + MARGIN
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            jobs: vec!["*".to_owned()],
            folder: PathBuf::from("."),
            environment: Vec::new(),
            secrets: BTreeMap::new(),
            grace: Duration::secs(10),
            queue_records: 256,
            queue_bytes: Size::mib(16),
            rejoin_initial: Duration::secs(1),
            rejoin_max: Duration::secs(60),
        }
    }
}
