//! What the caller of an action is answered, before any job has run: what the file of the event says, or why not.

use contracts::{hasura::Change, names::EventRef};
use expressions::{Bindings, Room};
use serde_json::{Value, json};

use crate::{
    catalog::Catalog,
    data::{Data, MAX_DATA},
    event::{Event, Verdict},
};

/// How long a message is, in characters.
const MESSAGE: usize = 500;

/// What the caller of an action is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The event happened, and this is what its file answers.
    Given(Value),
    /// It did not.
    Refused {
        /// For programs.
        code: String,
        /// For people.
        message: String,
    },
}

impl Catalog {
    /// What the caller of an action is answered; `attributes` are those of the event, as its jobs would see them. Of several events
    /// that happen the first by name answers. None where no event is about the action.
    pub fn answer(&self, change: &Change<'_>, attributes: &dyn Fn(&EventRef) -> Value) -> Option<Answer> {
        let (mut refused, mut failed) = (None, None);
        for event in self.candidates(change) {
            let answer = event.answer(change, &attributes(event.name()));
            match answer {
                Ok(answer) => return Some(Answer::Given(answer)),
                Err(Refusal::Undetected(told)) => drop(refused.get_or_insert(told)),
                Err(Refusal::Failed(told)) => drop(failed.get_or_insert(told)),
            }
        }
        failed.or(refused)
    }
}

/// Why an event has no answer.
enum Refusal {
    Undetected(Answer),
    Failed(Answer),
}

impl Event {
    /// What the caller of an action is answered; or where the event does not happen, the message and the code that it is told.
    pub(crate) fn told(&self, change: &Change<'_>, attributes: &Value) -> Value {
        match self.answer(change, attributes) {
            Ok(answer) | Err(Refusal::Undetected(Answer::Given(answer)) | Refusal::Failed(Answer::Given(answer))) => {
                answer
            }
            Err(
                Refusal::Undetected(Answer::Refused { code, message })
                | Refusal::Failed(Answer::Refused { code, message }),
            ) => json!({ "message": message, "code": code }),
        }
    }

    /// What its file answers to an action that is this event.
    fn answer(&self, change: &Change<'_>, attributes: &Value) -> Result<Value, Refusal> {
        let bindings = Bindings { change: Some(change), event: Some(attributes), ..Bindings::default() };
        let made = |shape: &Data, bindings: &Bindings<'_>| shape.value(bindings, &Room::new(MAX_DATA));
        match self.evaluate(change) {
            Verdict::Detected { data, .. } => match &self.answer {
                None => Ok(json!({ "id": attributes["id"], "correlationId": attributes["correlationId"] })),
                Some(answer) => made(answer, &Bindings { data: Some(&data), ..bindings })
                    .map_err(|error| Refusal::Failed(refusal("answer-failed", &format!("`answer` failed: {error}")))),
            },
            Verdict::Failed { error, .. } | Verdict::TooLarge { error, .. } => {
                Err(Refusal::Failed(refusal("invalid-input", &error)))
            }
            Verdict::NotDetected(_) => {
                let told = self.otherwise.as_ref().and_then(|otherwise| made(otherwise, &bindings).ok());
                Err(Refusal::Undetected(undetected(told.as_ref().unwrap_or(&Value::Null))))
            }
        }
    }
}

/// What `otherwise` says: a message, or a message and a code.
fn undetected(told: &Value) -> Answer {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let message = text(Some(told)).or_else(|| text(told.get("message")));
    refusal(
        &text(told.get("code")).unwrap_or_else(|| "not-accepted".to_owned()),
        &message.unwrap_or_else(|| "this is not accepted".to_owned()),
    )
}

fn refusal(code: &str, message: &str) -> Answer {
    Answer::Refused { code: code.to_owned(), message: message.chars().take(MESSAGE).collect() }
}
