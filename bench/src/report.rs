//! What a benchmark found, as text and as JSON.

use std::time::Duration;

use serde::Serialize;

use super::{
    drain::Drained,
    latency::{Latencies, Quantiles},
    load::{Rate, Sent},
    process::Used,
    samples::{Completed, Events},
    stages::Stage,
};

/// Everything that was measured.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) rate: Rate,
    pub(super) duration: Duration,
    pub(super) connections: u32,
    pub(super) size: u32,
    /// Rules on the table and on others, where the catalog is the generated one.
    pub(super) rules: Option<(u32, u32)>,
    /// From the first webhook to the last answer.
    pub(super) took: Duration,
    pub(super) sent: Sent,
    pub(super) completed: Completed,
    pub(super) events: Events,
    pub(super) drained: Option<Drained>,
    pub(super) stages: Vec<Stage>,
    pub(super) server: Option<Used>,
    pub(super) own: Option<Used>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    rate: String,
    duration_seconds: f64,
    connections: u32,
    size: u32,
    rules: Option<u32>,
    other_rules: Option<u32>,
    took_seconds: f64,
    sent: u64,
    accepted: u64,
    refused: u64,
    failed: u64,
    throughput: f64,
    samples: u64,
    samples_incomplete: u64,
    events_missing: u64,
    durable_ms: Option<Quantiles>,
    event_ms: Option<Quantiles>,
    completed_ms: Option<Quantiles>,
    drained: Option<&'a Drained>,
    stages: &'a [Stage],
    server: Option<&'a Used>,
    server_cpu_micros_per_webhook: Option<f64>,
    client: Option<&'a Used>,
    troubles: Vec<&'a str>,
}

impl Report {
    /// Whether every webhook was accepted, every sample became complete and an event, and nothing was left.
    pub(super) fn is_good(&self) -> bool {
        let sent = &self.sent;
        sent.accepted == sent.sent
            && sent.sent > 0
            && self.completed.missing == 0
            && self.events.missing == 0
            && self.drained.as_ref().is_none_or(|drained| drained.left == 0 && drained.completed >= self.taken())
    }

    /// 2xx a second.
    fn throughput(&self) -> f64 {
        self.sent.accepted as f64 / self.took.as_secs_f64().max(1e-9)
    }

    /// Webhooks and samples that were taken; a sample that was not complete in time may or may not be one of them.
    fn taken(&self) -> u64 {
        self.sent.accepted + self.completed.sent - self.completed.missing
    }

    /// CPU time of the server for each webhook and sample that it took, in microseconds.
    fn cost(&self) -> Option<f64> {
        let webhooks = self.taken();
        let cpu = self.server.as_ref()?.cpu_seconds;
        (webhooks > 0).then(|| cpu * 1e6 / webhooks as f64)
    }

    fn troubles(&self) -> Vec<&str> {
        [&self.sent.trouble, &self.completed.trouble, &self.events.trouble]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect()
    }

    /// One JSON document.
    ///
    /// # Errors
    /// None in practice: it is plain data.
    pub(super) fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string(&Document {
            rate: self.rate.to_string(),
            duration_seconds: self.duration.as_secs_f64(),
            connections: self.connections,
            size: self.size,
            rules: self.rules.map(|rules| rules.0),
            other_rules: self.rules.map(|rules| rules.1),
            took_seconds: self.took.as_secs_f64(),
            sent: self.sent.sent,
            accepted: self.sent.accepted,
            refused: self.sent.refused,
            failed: self.sent.failed,
            throughput: self.throughput(),
            samples: self.completed.sent,
            samples_incomplete: self.completed.missing,
            events_missing: self.events.missing,
            durable_ms: self.sent.durable.quantiles(),
            event_ms: self.events.latencies.quantiles(),
            completed_ms: self.completed.latencies.quantiles(),
            drained: self.drained.as_ref(),
            stages: &self.stages,
            server: self.server.as_ref(),
            server_cpu_micros_per_webhook: self.cost(),
            client: self.own.as_ref(),
            troubles: self.troubles(),
        })?)
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut lines = vec![self.conditions(), String::new(), self.counts()];
        lines.extend([
            quantiles("durable 2xx", &self.sent.durable),
            quantiles("event", &self.events.latencies),
            quantiles("completed", &self.completed.latencies),
        ]);
        if self.completed.missing + self.events.missing > 0 {
            lines.push(format!(
                "missing      of {} samples, {} not complete and {} without their event",
                self.completed.sent, self.completed.missing, self.events.missing
            ));
        }
        lines.push(match &self.drained {
            None => "drained      not known: the API does not tell how far the groups are".to_owned(),
            Some(Drained { left: 0, seconds, lag, .. }) => {
                format!(
                    "drained      {seconds:.2} s after the last answer, when {} records were left to read",
                    grouped(*lag)
                )
            }
            Some(Drained { left, seconds, .. }) => {
                format!("drained      not after {seconds:.0} s: {} records and invocations are left", grouped(*left))
            }
        });
        lines.extend(self.drained.as_ref().map(|drained| {
            let (completed, taken) = (grouped(drained.completed), grouped(self.taken()));
            format!("in all       {completed} invocations completed of {taken} webhooks and samples")
        }));
        lines.extend(self.used());
        lines.extend(self.costs());
        lines.extend(self.troubles().into_iter().map(|trouble| format!("trouble      {trouble}")));
        lines.join("\n")
    }

    fn conditions(&self) -> String {
        let rules = self.rules.map(|(rules, others)| match others {
            0 => format!(", {rules} rules"),
            _ => format!(", {rules} rules and {} on other tables", grouped(others.into())),
        });
        format!(
            "{} for {} over {} connections, {} bytes each{}",
            self.rate,
            client::render::time(self.duration),
            self.connections,
            grouped(self.size.into()),
            rules.unwrap_or_default(),
        )
    }

    fn counts(&self) -> String {
        let sent = &self.sent;
        format!(
            "webhooks     {} sent, {} accepted, {} refused, {} failed: {}/s",
            grouped(sent.sent),
            grouped(sent.accepted),
            grouped(sent.refused),
            grouped(sent.failed),
            grouped(self.throughput().round() as u64),
        )
    }

    fn used(&self) -> Vec<String> {
        let one = |name: &str, used: &Used, note: String| {
            let memory = used.peak_memory / (1024 * 1024);
            format!("{name:<12} {:.2} s of CPU{note}, at most {memory} MiB of memory", used.cpu_seconds)
        };
        let cost = self.cost().map(|cost| format!(" ({cost:.0} µs per webhook)")).unwrap_or_default();
        let written = |used: &Used| match self.taken() {
            0 => String::new(),
            webhooks => format!(", {} bytes on the disk per webhook", grouped(used.written / webhooks)),
        };
        let server = self.server.as_ref().map(|used| one("server", used, cost) + &written(used));
        server.into_iter().chain(self.own.as_ref().map(|used| one("this client", used, String::new()))).collect()
    }

    /// What each stage cost, and what of the process is no stage's.
    fn costs(&self) -> Vec<String> {
        if self.stages.is_empty() {
            return Vec::new();
        }
        let head = "stage        CPU per webhook   commits/s   records/commit   bytes written per webhook".to_owned();
        let stages = self.stages.iter().map(|it| {
            let bytes = grouped(it.bytes_per_webhook.round() as u64);
            let (commits, records) = (grouped(it.commits_per_second.round() as u64), it.records_per_commit);
            format!("{:<12} {:>12.1} µs {commits:>11} {records:>16.1} {bytes:>27}", it.stage, it.cpu_micros_per_webhook)
        });
        let rest = self.server.as_ref().filter(|_| self.taken() > 0).map(|used| {
            let per_webhook = |seconds: f64| seconds * 1e6 / self.taken() as f64;
            let of_stages: f64 = self.stages.iter().map(|it| it.cpu_micros_per_webhook).sum();
            let (all, bus) = (per_webhook(used.cpu_seconds), per_webhook(used.bus_cpu_seconds));
            let others = (all - bus - of_stages).max(0.0);
            [format!("{:<12} {bus:>12.1} µs", "bus"), format!("{:<12} {others:>12.1} µs", "the rest")]
        });
        std::iter::once(head).chain(stages).chain(rest.into_iter().flatten()).collect()
    }
}

fn quantiles(name: &str, latencies: &Latencies) -> String {
    match latencies.quantiles() {
        None => format!("{name:<12} not measured"),
        Some(Quantiles { count, p50, p99, p999, max }) => format!(
            "{name:<12} p50 {p50:.2} ms, p99 {p99:.2} ms, p99.9 {p999:.2} ms, longest {max:.2} ms ({} of them)",
            grouped(count)
        ),
    }
}

/// A number with its digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latencies(milliseconds: &[u64]) -> Latencies {
        let mut latencies = Latencies::new();
        milliseconds.iter().for_each(|ms| latencies.record(Duration::from_millis(*ms)));
        latencies
    }

    fn report() -> Report {
        Report {
            rate: Rate::PerSecond(2000.0),
            duration: Duration::from_secs(10),
            connections: 64,
            size: 1536,
            rules: Some((10, 1000)),
            took: Duration::from_secs(10),
            sent: Sent {
                sent: 20_000,
                accepted: 20_000,
                refused: 0,
                failed: 0,
                trouble: None,
                durable: latencies(&[1, 2, 3]),
            },
            completed: Completed { sent: 200, missing: 0, trouble: None, latencies: latencies(&[4]) },
            events: Events { missing: 0, trouble: None, latencies: latencies(&[2]) },
            drained: Some(Drained { lag: 1200, left: 0, seconds: 0.25, completed: 20_200 }),
            stages: vec![Stage {
                stage: "detector",
                cpu_micros_per_webhook: 21.25,
                commits_per_second: 150.0,
                records_per_commit: 13.4,
                bytes_per_webhook: 2100.0,
            }],
            server: Some(Used {
                cpu_seconds: 1.818,
                bus_cpu_seconds: 0.909,
                written: 101_000_000,
                peak_memory: 100 * 1024 * 1024,
            }),
            own: Some(Used { cpu_seconds: 0.5, bus_cpu_seconds: 0.0, written: 0, peak_memory: 10 * 1024 * 1024 }),
        }
    }

    #[test]
    fn a_report_of_a_good_run() {
        insta::assert_snapshot!(report().text());
        insta::assert_snapshot!(report().json().expect("plain data"));
        assert!(report().is_good());
    }

    #[test]
    fn a_report_of_a_run_with_troubles() {
        let mut report = report();
        report.rules = None;
        report.sent.accepted = 19_990;
        report.sent.refused = 10;
        report.sent.trouble = Some("a webhook was answered 503".into());
        report.events =
            Events { missing: 200, trouble: Some("the live stream of events ended".into()), latencies: latencies(&[]) };
        report.drained = Some(Drained { lag: 1200, left: 7, seconds: 60.0, completed: 20_183 });
        report.server = None;
        insta::assert_snapshot!(report.text());
        assert!(!report.is_good());
        report.drained = None;
        assert!(report.text().contains("drained      not known"));
    }

    #[test]
    fn long_numbers_are_grouped() {
        assert_eq!(
            ["0", "999", "1,000", "1,234,567"],
            [0, 999, 1000, 1_234_567].map(grouped).each_ref().map(String::as_str)
        );
    }
}
