//! What each setting may be, beyond its type.

use std::fs;

use runtime::config::Duration;

use super::Config;
use client::exit::Usage;

/// The smallest embedded bus, in bytes: it takes some records of the largest kind.
const LEAST_BUS: u64 = 16 * 1024 * 1024;
/// The most partitions of a topic of the embedded bus: each is a task and a row of every group.
const MOST_PARTITIONS: u64 = 256;
/// The most invocations that the detector remembers: 5 GB of them.
const MOST_IDS: u64 = 100_000_000;

impl Config {
    /// Checks that the log and the results can be where they are to be. What is not there yet is made.
    ///
    /// # Errors
    /// Something else is there.
    pub fn check_places(&self) -> Result<(), Usage> {
        let (data, results) = (&self.data, &self.results.path);
        if fs::metadata(data).is_ok_and(|found| !found.is_dir()) {
            let data = data.display();
            return Err(self.refuse(format!("`data` is {data}, which is no folder; name a folder, which may be new")));
        }
        if fs::metadata(results).is_ok_and(|found| !found.is_file()) {
            let results = results.display();
            let error = format!("`results.path` is {results}, which is no regular file; name a file, which may be new");
            return Err(self.refuse(error));
        }
        Ok(())
    }

    /// The settings with which nothing would go through, or which no machine could bear, each by its name.
    pub(crate) fn check_bounds(&self) -> Result<(), Usage> {
        let millis = |time: Duration| u64::try_from(time.get().as_millis()).unwrap_or(u64::MAX);
        let least = |name: String, value: u64, least: u64, unit: &str| {
            (value < least).then(|| format!("`{name}` must be at least {least}{unit}"))
        };
        let most =
            |name: &str, value: u64, most: u64| (value > most).then(|| format!("`{name}` can be at most {most}"));
        let listeners = [("ingest.listen", &self.ingest.listen), ("api.listen", &self.api.listen)];
        let of_listeners = listeners.into_iter().flat_map(|(name, listen)| {
            [
                least(format!("{name}.max-connections"), listen.max_connections as u64, 1, ""),
                least(format!("{name}.header-timeout"), millis(listen.header_timeout), 1, "ms"),
                least(format!("{name}.write-timeout"), millis(listen.write_timeout), 1, "ms"),
            ]
        });
        let others = [
            ("bus.partitions", u64::from(self.bus.partitions), 1, ""),
            ("bus.max-bytes", self.bus.max_bytes.bytes(), LEAST_BUS, " bytes (16MiB)"),
            ("detector.ids", self.detector.ids as u64, 1, ""),
            ("job-runner.queue-records", self.job_runner.queue_records as u64, 1, ""),
            ("job-runner.queue-bytes", self.job_runner.queue_bytes.bytes(), 1, " byte"),
            ("results.keep", millis(self.results.keep), 1, "ms"),
            ("results.keep-count", self.results.keep_count, 1, ""),
            ("results.deadline", millis(self.results.deadline), 1, "ms"),
        ];
        let others = others.map(|(name, value, bound, unit)| least(name.to_owned(), value, bound, unit));
        let upper = [
            most("bus.partitions", u64::from(self.bus.partitions), MOST_PARTITIONS),
            most("detector.ids", self.detector.ids as u64, MOST_IDS),
        ];
        let url = &self.detector.schemas_url;
        let is_url = url.split_once("://").is_some_and(|(scheme, rest)| {
            matches!(scheme, "http" | "https") && !rest.is_empty() && url.parse::<hyper::Uri>().is_ok()
        });
        let wrong_url =
            (!is_url).then(|| format!("`detector.schemas-url` must be an http or https URL, and is `{url}`"));
        let paths = [("data", &self.data), ("results.path", &self.results.path)];
        let empty = paths.map(|(name, path)| path.as_os_str().is_empty().then(|| format!("`{name}` names no path")));
        let all = of_listeners.chain(others).chain(upper).chain([wrong_url]).chain(empty);
        let wrong: Vec<String> = all.flatten().map(|error| self.places.told(&error)).collect();
        if wrong.is_empty() {
            return Ok(());
        }
        Err(Usage(format!("{}; leave it out for the default, which `herald config` shows", wrong.join("; "))))
    }
}
