//! Why a request whose body is whole is refused: sending it again as it is cannot help.

use contracts::hasura;
use hyper::StatusCode;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// The label for metrics and for `rejected`.
    pub(crate) reason: &'static str,
    /// What is wrong, in a sentence.
    pub(crate) detail: String,
    /// What the caller of an action, who reads another form, is told for its program.
    pub(crate) code: Option<String>,
}

impl Refusal {
    /// A CloudEvent that is none: 400.
    pub(crate) fn cloud_event(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, reason: "cloud-event", detail: detail.into(), code: None }
    }

    /// Data of another kind than JSON: 415.
    pub(crate) fn media_type(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, reason: "media-type", detail: detail.into(), code: None }
    }

    /// Whether it is recorded in `rejected`: what has no content that anybody could look for is not.
    pub(crate) fn is_recorded(&self) -> bool {
        self.reason != "malformed" && self.status != StatusCode::UNSUPPORTED_MEDIA_TYPE
    }

    /// The same refusal, of one event of a batch.
    pub(crate) fn of_batch(self, number: usize) -> Self {
        Self { detail: format!("event {number} of the batch: {}", self.detail), ..self }
    }
}

impl From<hasura::Refusal> for Refusal {
    fn from(refusal: hasura::Refusal) -> Self {
        let code = matches!(refusal, hasura::Refusal::Action(_)).then(|| refusal.kind().to_owned());
        Self { status: StatusCode::BAD_REQUEST, reason: refusal.kind(), detail: refusal.to_string(), code }
    }
}
