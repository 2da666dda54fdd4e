//! How a stage asks what became of something, without knowing the stage that gathers results.

use std::{future::Future, pin::Pin, time::Duration};

use crate::{
    ids::{CorrelationId, InvocationId},
    raw::Place,
    summary::Summary,
};

/// A future that can be sent and boxed.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What is waited for: the correlation to be complete, and this occurrence of this invocation to be known in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    /// The correlation.
    pub correlation: CorrelationId,
    /// The invocation that must be known first, if one is meant.
    pub invocation: Option<InvocationId>,
    /// Where its raw record stands, if this delivery of it is meant and not any.
    pub raw: Option<Place>,
}

/// What a wait ended with.
#[derive(Debug, Clone)]
pub struct Waited {
    /// Whether what was awaited came true; otherwise the time ran out.
    pub complete: bool,
    /// The state at that moment; nothing is known of the correlation if absent.
    pub summary: Option<Summary>,
}

/// Results cannot be asked now.
#[derive(Debug, Clone, thiserror::Error)]
#[error("results cannot be asked: {0}")]
pub struct Unavailable(pub String);

/// Whoever knows what became of a correlation.
pub trait Outcomes: Send + Sync + 'static {
    /// Waits until what is awaited has come true, or `timeout` has passed.
    ///
    /// # Errors
    /// [`Unavailable`] when results cannot be asked.
    fn wait(&self, awaited: Awaited, timeout: Duration) -> BoxFuture<'_, Result<Waited, Unavailable>>;
}
