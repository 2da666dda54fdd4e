//! Work that takes its time, on a thread of its own: a file of a disk that hangs, a compilation of thousands of rules.
//!
//! Not on the threads that serve, nor on the few that may block: one that never comes back would keep its place among those,
//! and hold up the end of the process.

use std::{any::Any, panic, thread};

use tokio::sync::oneshot;

/// What the work makes. Whoever stops waiting leaves the thread to itself.
///
/// # Errors
/// No thread can be started.
///
/// # Panics
/// Where the work does.
pub async fn aside<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<T> {
    let (tell, told) = oneshot::channel::<Result<T, Box<dyn Any + Send>>>();
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        // Nobody may wait any more.
        let _ = tell.send(panic::catch_unwind(panic::AssertUnwindSafe(work)));
    })?;
    match told.await {
        Ok(Ok(made)) => Ok(made),
        Ok(Err(panic)) => panic::resume_unwind(panic),
        Err(_) => Err(std::io::Error::other("the thread went away")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_hangs_keeps_no_thread_from_serving() {
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let hanging = tokio::spawn(aside("hangs", move || ended.recv()));
        // The runtime of this test has one thread, and it is free.
        assert_eq!(aside("adds", || 1 + 1).await.expect("a thread"), 2);
        hanging.abort();
        drop(end);
    }

    #[tokio::test]
    #[should_panic(expected = "as it was")]
    async fn a_panic_is_passed_on() {
        let _ = aside("panics", || panic!("as it was")).await;
    }
}
