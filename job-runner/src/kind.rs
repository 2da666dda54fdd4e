//! What a job can be.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use catalog::{Filler, RenderError, Template};
use contracts::{
    envelope::EventHeaders,
    ids::JobRunId,
    names::{GroupName, JobName},
    outcomes::BoxFuture,
    token::Token,
};
use serde_json::{Value, json, value::RawValue};
use tokio_util::sync::CancellationToken;

use crate::publication::Publication;

/// The most bytes that a result may have as JSON; a larger one is cut, and says so.
pub const MAX_RESULT: usize = 64 * 1024;
/// The most bytes of an error's text, and of the ends of stderr and stdout.
pub const MAX_TEXT: usize = 4 * 1024;
/// How much of a result that is too large is kept.
const KEPT: usize = 8 * 1024;

/// What to do about something that is not there.
pub(crate) const ABSENT: &str =
    "put it there, or correct its name; if job runners are other machines, it must be there";

/// A kind of job: what `command`, `log` … mean.
pub trait Kind: Send + Sync + 'static {
    /// Checks a job's options as they stand in the catalog; strings with `${` in them are not known yet.
    ///
    /// # Errors
    /// What is wrong with them, in a sentence that names the option.
    fn check(&self, options: &Value) -> Result<(), String>;

    /// What a row can do by options that are fine and that nobody means it to do; and the safe way.
    fn danger(&self, _options: &Value) -> Option<(String, String)> {
        None
    }

    /// What options that are fine name and is not there now, on this machine, or cannot be used as it is; and what to do.
    fn absent(&self, _options: &Value) -> Option<(String, String)> {
        None
    }

    /// Whether it is given the job's parameters as they are, beside what is filled into its options.
    fn takes_params(&self, _options: &Value) -> bool {
        false
    }

    /// Fills a job's options in for one event: what [`Run::options`] is. A kind with options that are more than values, a URL
    /// say, has its own way; options without anything to fill in do not come here.
    ///
    /// # Errors
    /// Which option cannot be filled in, and why.
    fn fill(&self, options: &Template, filler: &Filler<'_>) -> Result<Value, RenderError> {
        filler.value("", options)
    }

    /// Whether it works for something elsewhere that may fail throughout: then its circuit opens, unless the job says otherwise.
    fn has_target(&self) -> bool {
        false
    }

    /// The way to run it at once, for a kind that takes microseconds and cannot kill or hold up the process. Its runs are
    /// known in the log when they have ended, not before: what they lose is only the record of their start.
    fn inline(&self) -> Option<&dyn Inline> {
        None
    }

    /// Runs one attempt. When [`Run::cancelled`] is, it should end within a second; then it is dropped, and what it
    /// started must end with it. The job's timeout is enforced by the caller.
    fn run(&self, run: Run) -> BoxFuture<'_, Outcome>;

    /// Ends what it keeps for further runs, of which there will be none.
    fn end(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// Ends at once what of it would outlive the process, which is about to end.
    fn kill(&self) {}
}

/// A kind that runs within the batch that read its record: see [`Kind::inline`].
pub trait Inline: Send + Sync {
    /// Runs one attempt, in microseconds.
    fn run_inline(&self, run: &Run) -> Outcome;
}

/// One attempt of one run. Its `Debug` leaves out the data and the options, which may hold what is nobody's business.
#[derive(Clone)]
pub struct Run {
    /// The job's name within the event.
    pub job: JobName,
    /// Its group, which knows its full name.
    pub group: GroupName,
    /// The event.
    pub event: Arc<EventHeaders>,
    /// What it works on: the event's data, JSON, exactly as published; or what the job's `input` makes of the event.
    pub data: Bytes,
    /// The job's options, filled in for this event.
    pub options: Arc<Value>,
    /// What the event gives to the job's parameters, a map.
    pub params: Arc<Value>,
    /// The run: the idempotency key, the same for every attempt.
    pub id: JobRunId,
    /// The attempt, from 1.
    pub attempt: u32,
    /// How long it may take; the caller sees to that.
    pub timeout: Duration,
    /// Cancelled when the attempt must end: its time is up, or the process or the partition goes.
    pub cancelled: CancellationToken,
    /// What of its time does not count.
    pub(crate) held: Held,
}

/// How long an attempt was held up by a system without room for it (files, processes, memory). Its timeout is that much later.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held(Option<Arc<AtomicU64>>);

impl Held {
    /// Of an attempt with a timeout.
    pub(crate) fn counted() -> Self {
        Self(Some(Arc::default()))
    }

    pub(crate) fn add(&self, more: Duration) {
        if let Some(micros) = &self.0 {
            micros.fetch_add(u64::try_from(more.as_micros()).unwrap_or(u64::MAX), Relaxed);
        }
    }

    pub(crate) fn get(&self) -> Duration {
        Duration::from_micros(self.0.as_ref().map_or(0, |micros| micros.load(Relaxed)))
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { job, group, event, id, attempt, .. } = self;
        let mut out = f.debug_struct("Run");
        out.field("job", job).field("group", group).field("event", &event.id).field("id", id).field("attempt", attempt);
        out.finish_non_exhaustive()
    }
}

impl Run {
    /// An attempt of a job's run for an event, with its options filled in: for whoever tries a kind. Nothing limits its time.
    pub fn new(job: JobName, event: EventHeaders, data: Bytes, options: Value, attempt: u32) -> Self {
        Self {
            group: GroupName::of_definition(&job),
            id: JobRunId::derived(event.id, &job),
            job,
            event: Arc::new(event),
            data,
            options: Arc::new(options),
            params: Arc::new(json!({})),
            attempt,
            timeout: Duration::MAX,
            cancelled: CancellationToken::new(),
            held: Held::default(),
        }
    }

    /// The tracking token: written into the configured column, it brings the job's own writes into the same correlation.
    pub fn token(&self) -> Token {
        Token::of_job(self.event.depth, self.event.correlation.clone(), self.id)
    }

    /// W3C Trace Context of the event.
    pub fn traceparent(&self) -> Option<&str> {
        self.event.traceparent.as_deref()
    }
}

/// How an attempt ended.
pub type Outcome = Result<Answer, Failure>;

/// What a job answered.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// Its result as JSON, at most [`MAX_RESULT`] bytes.
    pub result: Option<Box<RawValue>>,
    /// The event that it publishes by name, in the commit that ends its run.
    pub publishes: Option<Publication>,
}

impl Answer {
    /// An event that is published by name.
    pub fn publishing(publication: Publication) -> Self {
        Self { result: None, publishes: Some(publication) }
    }

    /// No result.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// A result.
    pub fn of(value: &Value) -> Self {
        Self::raw(serde_json::value::to_raw_value(value).expect("invariant: a JSON value is JSON"))
    }

    /// A result that is JSON text already. One that is too large becomes `{"cut": true, "bytes": …, "begins": "…"}`.
    pub fn raw(result: Box<RawValue>) -> Self {
        let text = result.get();
        if text.len() <= MAX_RESULT {
            return Self { result: Some(result), publishes: None };
        }
        Self::of(&json!({ "cut": true, "bytes": text.len(), "begins": head(text, KEPT) }))
    }
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong, in a sentence; at most [`MAX_TEXT`] bytes are kept.
    pub error: String,
    /// Whether another attempt makes sense.
    pub then: Then,
    /// The exit code of a program, which the job may have among its `finalExitCodes`.
    pub code: Option<i32>,
    /// Whose failure it is, where the kind knows; else the target's, if another attempt makes sense.
    pub blame: Option<Blame>,
    /// The end of what it wrote to stderr.
    pub stderr: Option<String>,
    /// The end of what it wrote to stdout.
    pub stdout: Option<String>,
}

/// Whose failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The target's: it cannot be reached, or cannot do now what it is asked.
    Target,
    /// The run's: the target works, and refuses it.
    Run,
    /// Ours: the target was not asked.
    Own,
}

/// What follows a failed attempt, as far as its kind can tell; the number of attempts counts all the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Then {
    /// Another attempt, when the job's back-off says.
    #[default]
    Retry,
    /// Another attempt, so long after this one has ended.
    RetryAfter(Duration),
    /// No other: it would fail in the same way.
    GiveUp,
}

impl Failure {
    /// A failure that wrote nothing, and may pass.
    pub fn new(error: impl Into<String>) -> Self {
        Self { error: bounded(error.into()), then: Then::Retry, code: None, blame: None, stderr: None, stdout: None }
    }

    /// A failure that would come again each time.
    pub fn last(error: impl Into<String>) -> Self {
        Self { then: Then::GiveUp, ..Self::new(error) }
    }

    /// The same failure, whoever it is that failed.
    #[must_use]
    pub fn blamed(self, blame: Blame) -> Self {
        Self { blame: Some(blame), ..self }
    }

    /// Whose failure it is; none where nobody can tell.
    pub(crate) fn whose(&self) -> Option<Blame> {
        self.blame.or(match self.then {
            Then::Retry | Then::RetryAfter(_) => Some(Blame::Target),
            // A program that says so has run.
            Then::GiveUp => self.code.map(|_| Blame::Run),
        })
    }

    /// The same failure of a program that ended with that code.
    #[must_use]
    pub fn with_code(self, code: Option<i32>) -> Self {
        Self { code, ..self }
    }

    /// No other attempt makes sense after one of these exit codes.
    pub(crate) fn judge(&mut self, last: &[i32]) {
        if self.code.is_some_and(|code| last.contains(&code)) {
            self.then = Then::GiveUp;
        }
    }

    /// The same failure with the end of stderr, unless there is none.
    #[must_use]
    pub fn with_stderr(self, stderr: String) -> Self {
        Self { stderr: ending(&stderr), ..self }
    }

    /// The same failure with the end of stdout, unless there is none.
    #[must_use]
    pub fn with_stdout(self, stdout: String) -> Self {
        Self { stdout: ending(&stdout), ..self }
    }
}

/// The end of a text, unless it is empty.
fn ending(text: &str) -> Option<String> {
    Some(tail(text, MAX_TEXT)).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The text, cut to [`MAX_TEXT`] bytes; what is cut says so.
pub(crate) fn bounded(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        let length = text.len();
        text.truncate(head(&text, MAX_TEXT - 64).len());
        text.push_str(&format!("… (cut, {length} bytes in all)"));
    }
    text
}

/// The longest beginning of at most `bytes` bytes that ends between two characters.
pub(crate) fn head(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// The longest end of at most `bytes` bytes that begins between two characters.
pub(crate) fn tail(text: &str, bytes: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(bytes))..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_that_is_too_large_is_cut_and_says_so() {
        let fits = Answer::of(&Value::String("x".repeat(MAX_RESULT - 2)));
        assert_eq!(fits.result.expect("a result").get().len(), MAX_RESULT);
        let cut = Answer::of(&Value::String("\u{1}é".repeat(MAX_RESULT)));
        let cut = cut.result.expect("a result");
        assert!(cut.get().len() <= MAX_RESULT);
        let cut: Value = serde_json::from_str(cut.get()).expect("JSON");
        assert_eq!(cut["cut"], Value::Bool(true));
        assert!(cut["begins"].as_str().expect("text").starts_with("\"\\u0001é"));
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!((head("aé", 2), tail("éa", 2)), ("a", "a"));
        assert_eq!((head("aé", 9), tail("éa", 9)), ("aé", "éa"));
        let cut = bounded("é".repeat(MAX_TEXT));
        assert!(cut.len() <= MAX_TEXT && cut.ends_with("(cut, 8192 bytes in all)"), "{cut}");
    }
}
