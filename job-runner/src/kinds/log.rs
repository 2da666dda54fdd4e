//! `log { message }`: a line in Herald's own log, and the message as the result.

use contracts::outcomes::BoxFuture;
use serde_json::Value;

use super::{map, text};
use crate::{
    kind::{Answer, Failure, Inline, Kind, Outcome, Run},
    line,
};

pub(crate) struct Log;

impl Kind for Log {
    fn check(&self, options: &Value) -> Result<(), String> {
        message(options).map(|_| ())
    }

    fn inline(&self) -> Option<&dyn Inline> {
        Some(self)
    }

    fn run(&self, run: Run) -> BoxFuture<'_, Outcome> {
        Box::pin(async move { self.run_inline(&run) })
    }
}

impl Inline for Log {
    fn run_inline(&self, run: &Run) -> Outcome {
        let message = message(&run.options).map_err(Failure::last)?.unwrap_or_else(|| run.event.event.to_string());
        tracing::info!(
            job.name = run.group.full_name(),
            job.run = %run.id,
            event.name = %run.event.event,
            event.id = %run.event.id,
            correlation.id = %run.event.correlation,
            "{}",
            line::cut(&message)
        );
        Ok(Answer::of(&Value::Object([("message".to_owned(), Value::String(message))].into_iter().collect())))
    }
}

fn message(options: &Value) -> Result<Option<String>, String> {
    let Some(message) = map("log", options, &["message"])?.and_then(|map| map.get("message")) else { return Ok(None) };
    // A template may well be a list or a map: it is logged as JSON.
    Ok(Some(text(message).unwrap_or_else(|| message.to_string())))
}
