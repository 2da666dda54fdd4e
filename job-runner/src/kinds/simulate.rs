//! `simulate { delay, message, failureRate }`: a job that only takes its time, for trying things out.

use std::time::Duration;

use contracts::{duration, ids::JobRunId, outcomes::BoxFuture};
use serde_json::{Value, json};

use super::{is_template, map, text};
use crate::kind::{Answer, Failure, Kind, Outcome, Run};

pub(crate) struct Simulate;

#[derive(Debug, PartialEq)]
struct Options {
    delay: Duration,
    message: Option<String>,
    failure_rate: f64,
}

impl Kind for Simulate {
    fn check(&self, options: &Value) -> Result<(), String> {
        options_of(options).map(|_| ())
    }

    fn run(&self, run: Run) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            let options = options_of(&run.options).map_err(Failure::last)?;
            let message = options.message.unwrap_or_else(|| run.job.to_string());
            tokio::select! {
                () = run.cancelled.cancelled() => return Err(Failure::new(format!("{message} was cancelled"))),
                () = tokio::time::sleep(options.delay) => {}
            }
            if chance(run.id, run.attempt) < options.failure_rate {
                return Err(Failure::new(format!("{message} failed, as a simulation may")));
            }
            Ok(Answer::of(&json!({ "message": format!("{message} complete!") })))
        })
    }
}

fn options_of(options: &Value) -> Result<Options, String> {
    let mut out = Options { delay: Duration::ZERO, message: None, failure_rate: 0.0 };
    let Some(map) = map("simulate", options, &["delay", "message", "failureRate"])? else { return Ok(out) };
    if let Some(delay) = map.get("delay").filter(|delay| !delay.as_str().is_some_and(is_template)) {
        let told = delay.as_str().map_or_else(|| delay.to_string(), str::to_owned);
        out.delay = duration::parse(&told).map_err(|error| format!("`delay`: {error}"))?;
    }
    if let Some(message) = map.get("message") {
        out.message = Some(text(message).ok_or_else(|| format!("`message` is {message}; it is a text"))?);
    }
    if let Some(rate) = map.get("failureRate").filter(|rate| !rate.as_str().is_some_and(is_template)) {
        out.failure_rate = rate
            .as_f64()
            .filter(|rate| (0.0..=1.0).contains(rate))
            .ok_or_else(|| format!("`failureRate` is {rate}; it is a number from 0 to 1"))?;
    }
    Ok(out)
}

/// A number from 0 to below 1 that is the same whenever this attempt of this run is made again.
fn chance(run: JobRunId, attempt: u32) -> f64 {
    // The id is a hash already; the steps of splitmix64 keep neighbouring attempts apart.
    let (high, low) = run.0.as_u64_pair();
    let mut mixed = high ^ low ^ u64::from(attempt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use contracts::ids::EventId;

    use super::*;
    use crate::steps::tests::event;

    #[test]
    fn options_that_are_wrong_are_named() {
        let good = json!({ "delay": "1.5s", "message": "Job 1", "failureRate": 0.25 });
        let options = Options { delay: Duration::from_millis(1500), message: Some("Job 1".into()), failure_rate: 0.25 };
        assert_eq!(options_of(&good), Ok(options));
        for (wrong, named) in [
            (json!({ "delay": 3 }), "delay"),
            (json!({ "delay": "-3s" }), "delay"),
            (json!({ "failureRate": 2 }), "failureRate"),
            (json!({ "pause": "3s" }), "pause"),
            (json!("3s"), "simulate"),
        ] {
            assert!(Simulate.check(&wrong).expect_err("wrong").contains(named), "{wrong}");
        }
        assert_eq!(Simulate.check(&json!({ "delay": "${data.delay}", "failureRate": "${data.rate}" })), Ok(()));
    }

    #[test]
    fn failures_come_as_often_as_asked_and_are_the_same_again() {
        let id = |number: u64| -> EventId { event("a", number).id };
        let job = "job".parse().expect("a name");
        let chances = |attempt| (0..1000).map(move |n| (n, attempt));
        let failed: Vec<bool> = chances(1)
            .chain(chances(2))
            .map(|(n, attempt)| chance(JobRunId::derived(id(n), &job), attempt) < 0.3)
            .collect();
        let rate = failed.iter().filter(|failed| **failed).count();
        assert!((500..700).contains(&rate), "{rate} of 2000");
        assert_ne!(failed[..1000], failed[1000..]);
    }
}
