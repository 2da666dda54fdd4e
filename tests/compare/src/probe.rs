//! The program that asks the broker (`kafka/examples/probe`): only `kafka` knows how to speak to Kafka.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    str::FromStr,
    time::Duration,
};

use anyhow::Context as _;

use crate::{process::Process, programs::Programs};

/// How often it is looked at whether a contestant still runs.
const LOOK: Duration = Duration::from_millis(100);

/// How it is called.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    program: PathBuf,
    brokers: String,
}

/// A command of it that runs beside a contestant.
#[derive(Debug)]
pub(crate) struct Beside {
    what: String,
    child: Child,
    lines: BufReader<ChildStdout>,
}

/// Figures by name, as it prints them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures(BTreeMap<String, String>);

impl Probe {
    pub(crate) fn new(programs: &Programs, brokers: &str) -> Self {
        Self { program: programs.probe.clone(), brokers: brokers.to_owned() }
    }

    /// Makes topics of six partitions.
    ///
    /// # Errors
    /// They cannot be made.
    pub(crate) fn create(&self, topics: &[String]) -> anyhow::Result<()> {
        self.run("create", &[("topics", topics.join(",")), ("partitions", "6".to_owned())]).map(drop)
    }

    /// Removes every topic and group of a prefix.
    ///
    /// # Errors
    /// They cannot be removed.
    pub(crate) fn remove(&self, prefix: &str) -> anyhow::Result<()> {
        self.run("drop", &[("prefix", prefix.to_owned())]).map(drop)
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// It fails; with what it said.
    pub(crate) fn run(&self, what: &str, given: &[(&str, String)]) -> anyhow::Result<Figures> {
        let output = self.command(what, given).output().with_context(|| self.missing())?;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "`probe {what}` failed: {}", said.trim());
        Ok(String::from_utf8_lossy(&output.stdout).lines().next_back().map(Figures::parse).unwrap_or_default())
    }

    /// Starts a command, and waits until it is ready.
    ///
    /// # Errors
    /// It fails; what it said is on stderr.
    pub(crate) fn beside(&self, what: &str, given: &[(&str, String)]) -> anyhow::Result<Beside> {
        let mut command = self.command(what, given);
        let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| self.missing())?;
        let stdout = child.stdout.take().context("invariant: it is piped")?;
        let mut lines = BufReader::new(stdout);
        let mut ready = String::new();
        lines.read_line(&mut ready)?;
        let beside = Beside { what: what.to_owned(), child, lines };
        anyhow::ensure!(!ready.is_empty(), "`probe {what}` failed; what it said is above");
        Ok(beside)
    }

    fn command(&self, what: &str, given: &[(&str, String)]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(what).arg(format!("brokers={}", self.brokers)).stdin(Stdio::null());
        command.args(given.iter().map(|(name, value)| format!("{name}={value}")));
        command
    }

    fn missing(&self) -> String {
        format!("cannot start {}", self.program.display())
    }
}

impl Beside {
    /// Waits for its figures, for as long as the contestant runs.
    ///
    /// # Errors
    /// It fails, or the contestant ends.
    pub(crate) fn figures(mut self, process: &mut Process) -> anyhow::Result<Figures> {
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            process.runs()?;
            std::thread::sleep(LOOK);
        };
        let what = &self.what;
        anyhow::ensure!(
            status.success(),
            "`probe {what}` failed; what it said is above. The end of the contestant's log:\n{}",
            process.last_words()
        );
        let last = self.lines.by_ref().lines().last().with_context(|| format!("`probe {what}` tells no figures"))??;
        Ok(Figures::parse(&last))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // It only looks: it may be killed at any time, and has mostly ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Figures {
    fn parse(line: impl AsRef<str>) -> Self {
        let pairs = line.as_ref().split_whitespace().filter_map(|word| word.split_once('='));
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// A figure that was told.
    ///
    /// # Errors
    /// It was not, or is none.
    pub(crate) fn get<T: FromStr>(&self, name: &str) -> anyhow::Result<T> {
        let text = self.0.get(name).with_context(|| format!("the probe tells no `{name}`"))?;
        text.parse().ok().with_context(|| format!("the probe tells `{name}={text}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_by_name_and_a_missing_one_is_named() {
        let figures = Figures::parse("seconds=7.159 rate=83732");
        assert_eq!(figures.get::<f64>("seconds").ok(), Some(7.159));
        assert_eq!(figures.get::<u64>("rate").ok(), Some(83732));
        assert!(figures.get::<u64>("p99").expect_err("not told").to_string().contains("`p99`"));
        assert!(figures.get::<u64>("seconds").expect_err("no whole number").to_string().contains("7.159"));
    }
}
