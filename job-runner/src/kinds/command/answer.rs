//! What a program says of what is to follow its failure: whether another attempt makes sense, and when.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::kind::{Failure, Then, bounded, head};

/// How much of what is not understood is shown.
const SHOWN: usize = 80;

/// What a program that failed wrote into the file of its result.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    error: Option<String>,
    retry: Option<Value>,
}

/// A failure, with what the program wrote of it into the file of its result; anything else there is of no account.
pub(super) fn of_file(failure: Failure, written: Option<&RawValue>, now: Timestamp) -> Failure {
    match written.and_then(|written| serde_json::from_str(written.get()).ok()) {
        Some(Told { error, retry }) => {
            let error = error.filter(|error| !error.trim().is_empty()).map(bounded);
            followed(Failure { error: error.unwrap_or(failure.error), ..failure }, retry.as_ref(), now)
        }
        None => failure,
    }
}

/// A failure, with what was said of its retry: `false`, a time to wait, or a time of day; without a word it is retried as the job
/// says.
pub(super) fn followed(failure: Failure, retry: Option<&Value>, now: Timestamp) -> Failure {
    match retry.map_or(Ok(None), |retry| then(retry, now)) {
        Ok(None) => failure,
        // What the program says itself counts more than what its exit code means.
        Ok(Some(then)) => Failure { then, code: None, ..failure },
        Err(unknown) => Failure {
            error: bounded(format!(
                "{} (its `retry` is {}, which is neither true or false, nor a time to wait like \"90s\", nor a time like \
                 \"2026-01-31T12:00:00Z\")",
                failure.error,
                head(&unknown, SHOWN)
            )),
            ..failure
        },
    }
}

fn then(retry: &Value, now: Timestamp) -> Result<Option<Then>, String> {
    let unknown = || retry.to_string();
    match retry {
        Value::Null => Ok(None),
        Value::Bool(true) => Ok(Some(Then::Retry)),
        Value::Bool(false) => Ok(Some(Then::GiveUp)),
        Value::String(text) => {
            let wait = contracts::duration::parse(text).ok();
            let until = || Some(text.parse::<Timestamp>().ok()?.duration_since(now).try_into().unwrap_or_default());
            wait.or_else(until).map(|wait| Some(Then::RetryAfter(wait))).ok_or_else(unknown)
        }
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{json, value::to_raw_value};

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn a_program_says_whether_and_when_it_is_tried_again() {
        for (retry, then) in [
            (json!(null), Then::Retry),
            (json!(true), Then::Retry),
            (json!(false), Then::GiveUp),
            (json!("1m 30s"), Then::RetryAfter(Duration::from_secs(90))),
            (json!("1970-01-01T01:00:00Z"), Then::RetryAfter(Duration::from_secs(3600))),
            (json!("1969-01-01T01:00:00Z"), Then::RetryAfter(Duration::ZERO)),
        ] {
            let failure = followed(Failure::new("no"), Some(&retry), NOW);
            assert_eq!((failure.error.as_str(), failure.then), ("no", then), "{retry}");
        }
        for wrong in [json!(30), json!("soon"), json!({})] {
            let failure = followed(Failure::new("no"), Some(&wrong), NOW);
            assert!(failure.error.starts_with(&format!("no (its `retry` is {wrong}, which is neither")), "{failure:?}");
            assert_eq!(failure.then, Then::Retry);
        }
    }

    #[test]
    fn what_a_failed_program_wrote_counts_more_than_its_code() {
        let failure = || Failure { code: Some(3), ..Failure::new("exit status 3") };
        let told = |written: Value| of_file(failure(), Some(&to_raw_value(&written).expect("JSON")), NOW);
        let gave_up = told(json!({ "error": "no such order", "retry": false }));
        assert_eq!((gave_up.error.as_str(), gave_up.then, gave_up.code), ("no such order", Then::GiveUp, None));
        assert_eq!(told(json!({ "error": "busy" })), Failure { error: "busy".into(), ..failure() });
        for other in [json!({ "n": 1 }), json!("text"), json!({ "error": 5 }), json!({ "error": " " })] {
            assert_eq!(told(other.clone()), failure(), "{other}");
        }
        assert_eq!(of_file(failure(), None, NOW), failure());
    }
}
