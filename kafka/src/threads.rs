//! What tasks and the threads that call librdkafka share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bus::Error;

/// A lock that is only ever held for moments; a panic elsewhere leaves plain data behind.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs what blocks where blocking is allowed.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::Stopped(format!("a question to Kafka ended: {error}")))
}
