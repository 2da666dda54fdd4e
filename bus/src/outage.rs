//! What is done while the bus is unavailable: the question is asked again, later and later, and the outage is said once.

use std::{
    future::Future,
    sync::atomic::{AtomicUsize, Ordering::AcqRel},
    time::Duration,
};

use tokio::time::sleep;

use crate::{BackOff, Error};

/// How long the first wait is, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// Those of one stage that wait for the bus: as long as anybody does, it is one outage.
#[derive(Debug)]
pub struct Outage {
    who: &'static str,
    waiting: AtomicUsize,
}

/// One who waits.
#[derive(Debug)]
pub struct Waiting<'o> {
    outage: &'o Outage,
    back_off: BackOff,
}

impl Outage {
    /// Nobody waits yet; the log calls them as `who` says, as `the detector`.
    pub const fn of(who: &'static str) -> Self {
        Self { who, waiting: AtomicUsize::new(0) }
    }

    /// Somebody begins to wait, because of this error, until the answer is dropped.
    pub fn begins(&self, error: &Error) -> Waiting<'_> {
        if self.waiting.fetch_add(1, AcqRel) == 0 {
            tracing::warn!(%error, "{} waits for the bus, and tries again by itself", self.who);
        }
        Waiting { outage: self, back_off: BackOff::new(WAITS.0, WAITS.1) }
    }

    /// Asks the bus until it is available.
    ///
    /// # Errors
    /// Whatever asking again cannot mend: all but [`Error::Unavailable`].
    pub async fn patiently<T, F>(&self, mut ask: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut waiting = None;
        loop {
            match ask().await {
                Err(error @ Error::Unavailable(_)) => {
                    waiting.get_or_insert_with(|| self.begins(&error)).pause().await;
                }
                answer => return answer,
            }
        }
    }
}

impl Waiting<'_> {
    /// Waits, longer each time.
    pub async fn pause(&mut self) {
        sleep(self.back_off.next()).await;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.outage.waiting.fetch_sub(1, AcqRel) == 1 {
            tracing::info!("{} waits for the bus no longer", self.outage.who);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::ready, sync::atomic::Ordering::Acquire};

    use super::*;

    #[tokio::test]
    async fn a_bus_that_is_away_is_asked_until_it_answers_and_everybody_waits_for_one_outage() {
        let outage = Outage::of("a test");
        let away = || Error::Unavailable("no broker answers".into());
        let other = outage.begins(&away());
        let mut asked = 0;
        let answer = outage.patiently(|| {
            asked += 1;
            assert_eq!(outage.waiting.load(Acquire), 1 + usize::from(asked > 1));
            ready(if asked < 2 { Err(away()) } else { Ok(asked) })
        });
        assert!(matches!(answer.await, Ok(2)));
        drop(other);
        assert_eq!(outage.waiting.load(Acquire), 0);
        let stopped = outage.patiently(|| ready(Err::<(), _>(Error::Stopped("for good".into()))));
        assert!(matches!(stopped.await, Err(Error::Stopped(_))));
    }
}
