//! What a process used, as Linux tells it under `/proc`; nothing elsewhere.

use std::{fs, time::Duration};

use serde::Serialize;

/// Linux counts CPU time for `/proc` in hundredths of a second, on every architecture (`USER_HZ`).
const TICKS: u64 = 100;

/// What a process has used since it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    cpu: Duration,
    peak_memory: u64,
}

/// What a process used over a while.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Used {
    /// CPU time of all its threads, in seconds.
    pub(super) cpu_seconds: f64,
    /// The most memory it ever had, in bytes.
    pub(super) peak_memory: u64,
}

impl Usage {
    /// What that process has used so far; none if it cannot be told.
    pub(super) fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        Self::parse(&stat, &status)
    }

    fn parse(stat: &str, status: &str) -> Option<Self> {
        // The second field is the name in parentheses and may hold anything, so count from the last of them.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let mut ticks = || fields.next()?.parse::<u64>().ok();
        let ticks = ticks()? + ticks()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kibibytes: u64 = peak.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(Self { cpu: Duration::from_millis(ticks * 1000 / TICKS), peak_memory: kibibytes * 1024 })
    }
}

/// What was used between two looks.
pub(super) fn between(before: Option<Usage>, after: Option<Usage>) -> Option<Used> {
    let (before, after) = (before?, after?);
    let cpu_seconds = after.cpu.saturating_sub(before.cpu).as_secs_f64();
    Some(Used { cpu_seconds, peak_memory: after.peak_memory })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_and_peak_memory_are_read_whatever_the_process_is_called() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1000 0 0 0 150 25 0 0 20 0 4 0 1 1 1";
        let usage = Usage::parse(stat, "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n").expect("it is well-formed");
        assert_eq!(usage, Usage { cpu: Duration::from_millis(1750), peak_memory: 2 * 1024 * 1024 });
        assert_eq!(Usage::parse("42 (a)", ""), None);
    }
}
