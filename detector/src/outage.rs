//! What is done while the bus is unavailable: the question is asked again, later and later, and the outage is said once.

use std::{
    future::Future,
    sync::atomic::{AtomicUsize, Ordering::AcqRel},
    time::Duration,
};

use tokio::time::sleep;

/// How long the first wait is, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// Who waits for the bus: as long as anybody does, it is one outage.
#[derive(Debug, Default)]
pub(crate) struct Outage(AtomicUsize);

/// One who waits, longer each time.
pub(crate) struct Waiting<'o> {
    outage: &'o Outage,
    wait: Duration,
}

impl Outage {
    /// Somebody begins to wait, because of this error.
    pub(crate) fn begins(&self, error: &bus::Error) -> Waiting<'_> {
        if self.0.fetch_add(1, AcqRel) == 0 {
            tracing::warn!(%error, "the detector waits for the bus; it tries again by itself");
        }
        Waiting { outage: self, wait: WAITS.0 }
    }

    /// Asks the bus until it is available.
    pub(crate) async fn patiently<T, F>(&self, mut ask: impl FnMut() -> F) -> Result<T, bus::Error>
    where
        F: Future<Output = Result<T, bus::Error>>,
    {
        let mut waiting = None;
        loop {
            match ask().await {
                Err(error @ bus::Error::Unavailable(_)) => {
                    waiting.get_or_insert_with(|| self.begins(&error)).pause().await;
                }
                answer => return answer,
            }
        }
    }
}

impl Waiting<'_> {
    /// Waits twice as long as the time before.
    pub(crate) async fn pause(&mut self) {
        let wait = self.wait;
        self.wait = (wait * 2).min(WAITS.1);
        sleep(wait).await;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.outage.0.fetch_sub(1, AcqRel) == 1 {
            tracing::info!("the detector waits for the bus no longer");
        }
    }
}
