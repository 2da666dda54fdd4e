//! Latencies, gathered in bounded memory.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Latencies of one kind, in microseconds, to three digits.
#[derive(Debug)]
pub(super) struct Latencies(Histogram<u64>);

/// What is told of them, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Quantiles {
    /// How many there were.
    pub(super) count: u64,
    /// The median.
    pub(super) p50: f64,
    /// One in a hundred took longer.
    pub(super) p99: f64,
    /// One in a thousand took longer.
    pub(super) p999: f64,
    /// The longest.
    pub(super) max: f64,
}

impl Latencies {
    /// None yet.
    pub(super) fn new() -> Self {
        Self(Histogram::new_with_max(3_600_000_000, 3).expect("invariant: an hour in microseconds to three digits"))
    }

    /// One more; what is longer than an hour counts as an hour.
    pub(super) fn record(&mut self, took: Duration) {
        self.0.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// What is told of them; nothing if there are none.
    pub(super) fn quantiles(&self) -> Option<Quantiles> {
        let at = |quantile| self.0.value_at_quantile(quantile) as f64 / 1000.0;
        let all = Quantiles {
            count: self.0.len(),
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
            max: self.0.max() as f64 / 1000.0,
        };
        (all.count > 0).then_some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_in_milliseconds() {
        let mut latencies = Latencies::new();
        assert_eq!(latencies.quantiles(), None);
        for milliseconds in 1..=1000 {
            latencies.record(Duration::from_millis(milliseconds));
        }
        let told = latencies.quantiles().expect("there are some");
        assert_eq!(told.count, 1000);
        for (value, expected) in [(told.p50, 500.0), (told.p99, 990.0), (told.p999, 999.0), (told.max, 1000.0)] {
            assert!((value - expected).abs() <= expected / 500.0, "{value} is not {expected}");
        }
        latencies.record(Duration::MAX);
        assert_eq!(latencies.quantiles().map(|told| told.count), Some(1001));
    }
}
