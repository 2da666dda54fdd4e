//! An event that is published by name: from outside, by a schedule, or by a job. Its publisher has said which event it is, so
//! that no condition is asked and its data are as they are given; all else is as for what is detected.

use catalog::Verdict;
use contracts::{progress::Origin, raw::Named};
use serde_json::Value;

use crate::{
    decide::{Decider, Decision, Input, reason, refuse},
    found::Found,
    measure::TooLarge,
};

impl Decider<'_> {
    /// Publishes it, if the catalog has it.
    pub(crate) fn publish(
        &self,
        input: &Input<'_>,
        origin: Origin,
        named: &Named,
        data: Value,
        decision: &mut Decision,
    ) {
        let Some(event) = self.catalog.event(&named.event) else {
            let meant = self.catalog.meant_by(&named.event).map(|meant| format!("; did you mean {meant}?"));
            let detail =
                format!("the catalog {} has no event {}{}", self.number, named.event, meant.unwrap_or_default());
            return refuse(input, origin, "unknown-event", &detail, decision);
        };
        let mut found = Found::new(origin, self.number);
        let made = match event.published(data) {
            Verdict::Detected { data, key } => self.event(input, &named.into(), event, &data, key),
            Verdict::TooLarge { stage, error } => Err(TooLarge { stage: stage.as_str().to_owned(), error }),
            Verdict::Failed { stage, error } => {
                found.failed(event, reason(stage), stage.as_str().to_owned(), &error);
                return found.write(input, decision);
            }
            Verdict::NotDetected(_) => return found.write(input, decision),
        };
        if let Err(error) = made.and_then(|made| found.detected(event, made)) {
            found.too_large(event, error);
        }
        found.write(input, decision);
    }
}
