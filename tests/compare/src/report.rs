//! What was measured, as text, and whether it is what was wished for.

use std::fmt::Write as _;

use crate::contestant::Contestant;

/// What is wished of Herald's detector: at least so many times the rate of whom.
const WISHES: [(Contestant, f64); 2] = [(Contestant::Copy, 0.5), (Contestant::Streams, 3.0)];
/// What a hop may take, in milliseconds: the median, and the 99th percentile.
const HOP: (f64, f64) = (25.0, 100.0);

/// A turn of throughput.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    /// Records a second, from the first output to the last.
    pub(crate) rate: f64,
    /// The same from the first tenth of the outputs to the last.
    pub(crate) middle: f64,
    /// CPU seconds for each record, from the start of the process.
    pub(crate) cpu: Option<f64>,
    /// Of all outputs.
    pub(crate) digest: String,
}

/// A turn of latency, in milliseconds.
#[derive(Debug, Clone)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

/// The least, the middle and the most of some figures.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Measured {
    pub(crate) fn line(&self) -> String {
        let cpu = self.cpu.map(|seconds| format!(", {:.1} µs of CPU per record", seconds * 1e6));
        format!("{:>8.0} records/s{}", self.rate, cpu.unwrap_or_default())
    }
}

impl Latency {
    pub(crate) fn line(&self) -> String {
        format!("p50 {:.1} ms, p99 {:.1} ms", self.p50, self.p99)
    }
}

impl Spread {
    /// None of nothing.
    fn of(figures: impl Iterator<Item = f64>) -> Option<Self> {
        let mut all: Vec<f64> = figures.collect();
        all.sort_by(f64::total_cmp);
        let half = all.len() / 2;
        let median = if all.len() % 2 == 1 { all[half] } else { (all.get(half.checked_sub(1)?)? + all[half]) / 2.0 };
        Some(Self { least: *all.first()?, median, most: *all.last()? })
    }
}

/// The table of throughput, and the ratios that were wished for: each of one round, and of these the middle counts.
pub(crate) fn throughput(records: u64, size: u32, contestants: &[Contestant], measured: &[Vec<Measured>]) -> String {
    let rounds = measured.first().map_or(0, Vec::len);
    let mut out =
        format!("\n{records} records of {size} bytes, six partitions, rounds: {rounds}; records a second\n\n");
    let _ = writeln!(
        out,
        "{:<14}{:>10}{:>10}{:>10}{:>14}{:>14}",
        "", "least", "median", "most", "middle 80 %", "CPU/record"
    );
    for (contestant, turns) in contestants.iter().zip(measured) {
        let rate = Spread::of(turns.iter().map(|turn| turn.rate));
        let middle = Spread::of(turns.iter().map(|turn| turn.middle));
        let cpu = Spread::of(turns.iter().filter_map(|turn| turn.cpu));
        let (Some(rate), Some(middle)) = (rate, middle) else { continue };
        let cpu = cpu.map_or_else(|| "?".to_owned(), |cpu| format!("{:.1} µs", cpu.median * 1e6));
        let _ = writeln!(
            out,
            "{contestant:<14}{:>10.0}{:>10.0}{:>10.0}{:>14.0}{cpu:>14}",
            rate.least, rate.median, rate.most, middle.median
        );
    }
    out.push('\n');
    let turns = |of: Contestant| contestants.iter().position(|one| *one == of).and_then(|place| measured.get(place));
    let Some(herald) = turns(Contestant::Herald) else { return out };
    for other in contestants.iter().filter(|other| **other != Contestant::Herald) {
        let ratios =
            herald.iter().zip(turns(*other).into_iter().flatten()).map(|(herald, other)| herald.rate / other.rate);
        let Some(ratio) = Spread::of(ratios) else { continue };
        let wish = WISHES.iter().find(|(of, _)| of == other).map(|(_, wish)| *wish);
        let verdict = wish.map(|wish| verdict(ratio.median >= wish, &format!("at least {wish}"))).unwrap_or_default();
        let _ = writeln!(
            out,
            "herald is {:>5.2} × {other:<14} (least {:.2}, most {:.2}){verdict}",
            ratio.median, ratio.least, ratio.most
        );
    }
    out
}

/// The table of latencies: of several rounds, the middle of each figure.
pub(crate) fn latency(rate: u32, size: u32, contestants: &[Contestant], measured: &[Vec<Latency>]) -> String {
    let rounds = measured.first().map_or(0, Vec::len);
    let mut out =
        format!("\n{rate} records a second of {size} bytes, rounds: {rounds}; from when a record is due until a\n");
    out.push_str("read_committed reader has its output, in ms\n\n");
    let _ = writeln!(out, "{:<14}{:>10}{:>10}{:>10}{:>10}", "", "p50", "p90", "p99", "max");
    let mut hop = None;
    for (contestant, turns) in contestants.iter().zip(measured) {
        let median =
            |figure: fn(&Latency) -> f64| Spread::of(turns.iter().map(figure)).map_or(f64::NAN, |all| all.median);
        let (p50, p99) = (median(|turn| turn.p50), median(|turn| turn.p99));
        let (p90, max) = (median(|turn| turn.p90), median(|turn| turn.max));
        let _ = writeln!(out, "{contestant:<14}{p50:>10.1}{p90:>10.1}{p99:>10.1}{max:>10.1}");
        if *contestant == Contestant::Herald {
            hop = Some((p50, p99));
        }
    }
    if let Some((p50, p99)) = hop {
        let (wished, at_most) = (p50 < HOP.0 && p99 < HOP.1, format!("under {} and {} ms", HOP.0, HOP.1));
        let _ = writeln!(out, "\nherald takes {p50:.1} ms, and at p99 {p99:.1} ms{}", verdict(wished, &at_most));
    }
    out
}

fn verdict(reached: bool, wish: &str) -> String {
    format!("; wished {wish}: {}", if reached { "reached" } else { "MISSED" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(rates: &[f64]) -> Vec<Measured> {
        let turn =
            |rate: &f64| Measured { rate: *rate, middle: rate * 1.1, cpu: Some(12.5e-6), digest: "d".to_owned() };
        rates.iter().map(turn).collect()
    }

    #[test]
    fn the_ratio_that_counts_is_the_middle_one_of_those_within_a_round() {
        let contestants = [Contestant::Copy, Contestant::Herald, Contestant::Streams];
        // The machine is at half its speed in the second round: the ratios are 0.6, 0.5, 0.4 and 3, 3, 2.
        let all = [measured(&[100.0, 50.0, 100.0]), measured(&[60.0, 25.0, 40.0]), measured(&[20.0, 12.5, 20.0])];
        let text = throughput(1000, 1536, &contestants, &all);
        assert!(
            text.contains("herald is  0.50 × copy           (least 0.40, most 0.60); wished at least 0.5: reached"),
            "{text}"
        );
        assert!(
            text.contains("herald is  2.00 × streams        (least 2.00, most 3.00); wished at least 3: MISSED"),
            "{text}"
        );
        assert!(text.contains("12.5 µs"), "{text}");
    }

    #[test]
    fn without_herald_there_is_no_verdict() {
        let text = throughput(1000, 1536, &[Contestant::Copy], &[measured(&[100.0, 200.0])]);
        assert!(text.contains("150") && !text.contains("wished"), "{text}");
    }

    #[test]
    fn a_hop_is_slow_by_its_median_or_by_its_tail() {
        let of =
            |p50, p99| latency(100, 1536, &[Contestant::Herald], &[vec![Latency { p50, p90: 1.0, p99, max: 300.0 }]]);
        assert!(of(24.9, 99.9).contains("reached"));
        assert!(of(25.1, 60.0).contains("MISSED") && of(8.0, 100.1).contains("MISSED"));
    }
}
