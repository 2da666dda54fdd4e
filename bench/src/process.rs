//! What a process used, as Linux tells it under `/proc`; nothing elsewhere.

use std::{fs, time::Duration};

use serde::Serialize;

/// Linux counts CPU time for `/proc` in hundredths of a second, on every architecture (`USER_HZ`).
const TICKS: u64 = 100;

/// What a process has used since it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    cpu: Duration,
    bus_cpu: Duration,
    peak_memory: u64,
    written: u64,
}

/// What a process used over a while.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Used {
    /// CPU time of all its threads, in seconds.
    pub(super) cpu_seconds: f64,
    /// That of the bus's own threads, in seconds.
    pub(super) bus_cpu_seconds: f64,
    /// How many bytes it had written to the disk.
    pub(super) written: u64,
    /// The most memory it ever had, in bytes.
    pub(super) peak_memory: u64,
}

impl Usage {
    /// What that process has used so far; none if it cannot be told.
    pub(super) fn of(pid: u32) -> Option<Self> {
        let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).ok();
        let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        // One that has just ended is not counted.
        let threads: Vec<String> =
            threads.filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok()).collect();
        Self::parse(&read("stat")?, &read("status")?, &read("io").unwrap_or_default(), &threads)
    }

    fn parse(stat: &str, status: &str, io: &str, threads: &[String]) -> Option<Self> {
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kibibytes: u64 = peak.trim().strip_suffix("kB")?.trim().parse().ok()?;
        let written = io.lines().find_map(|line| line.strip_prefix("write_bytes:"));
        let of_bus = threads.iter().filter_map(|stat| cpu(stat)).filter(|(name, _)| is_of_bus(name));
        Some(Self {
            cpu: cpu(stat)?.1,
            bus_cpu: of_bus.map(|(_, cpu)| cpu).sum(),
            peak_memory: kibibytes * 1024,
            written: written.and_then(|bytes| bytes.trim().parse().ok()).unwrap_or_default(),
        })
    }
}

/// The name of a process or thread, and its CPU time.
fn cpu(stat: &str) -> Option<(&str, Duration)> {
    // The second field is the name in parentheses and may hold anything, so count from the last of them.
    let (name, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let ticks = ticks()? + ticks()?;
    Some((name.split_once('(')?.1, Duration::from_millis(ticks * 1000 / TICKS)))
}

/// Whether a thread is one of the embedded bus, of Kafka's client, or of what Herald has around that.
fn is_of_bus(thread: &str) -> bool {
    ["bus", "compaction", "kafka-", "rdk:"].iter().any(|name| thread.starts_with(name))
}

/// What was used between two looks.
pub(super) fn between(before: Option<Usage>, after: Option<Usage>) -> Option<Used> {
    let (before, after) = (before?, after?);
    let seconds = |before: Duration, after: Duration| after.saturating_sub(before).as_secs_f64();
    Some(Used {
        cpu_seconds: seconds(before.cpu, after.cpu),
        bus_cpu_seconds: seconds(before.bus_cpu, after.bus_cpu),
        written: after.written.saturating_sub(before.written),
        peak_memory: after.peak_memory,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_used_is_read_whatever_it_is_called() {
        let stat = |name: &str, user: u64| {
            format!("42 ({name}) S 1 42 42 0 -1 4194560 1000 0 0 0 {user} 25 0 0 20 0 4 0 1 1 1")
        };
        let threads = [stat("a) b (c)", 1), stat("bus", 50), stat("rdk:broker1", 0), stat("other", 0)];
        let (status, io) = ("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n", "wchar: 9\nwrite_bytes: 4096\n");
        let usage = Usage::parse(&stat("a) b (c)", 150), status, io, &threads).expect("it is well-formed");
        let (cpu, bus_cpu) = (Duration::from_millis(1750), Duration::from_millis(750 + 250));
        assert_eq!(usage, Usage { cpu, bus_cpu, peak_memory: 2 * 1024 * 1024, written: 4096 });
        assert_eq!(Usage::parse("42 (a)", "", "", &[]), None);
    }
}
