//! Follows the log: what is new in it, once its end was reached.

use std::time::Duration;

use bus::{Bus, Error};
use catalog::wire::{CatalogRecord, DecodeError};

use crate::log::{Log, Newest};

/// How long until a bus that cannot be read is asked again.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub enum News<'f> {
    /// The log has no catalog yet.
    None,
    /// This catalog counts from now on.
    Counts(&'f CatalogRecord),
    /// A record that this version cannot read; the catalog before it goes on counting.
    Unreadable(DecodeError),
}

/// A reader of the log from its begin. It outlasts outages of the bus.
pub struct Follower<'b> {
    log: Log<'b>,
    newest: Newest,
    /// The number that was told last; the inner one is none where it was told that there is none.
    told: Option<Option<u64>>,
    away: bool,
}

impl<'b> Follower<'b> {
    /// Nothing has been told yet.
    pub fn new(bus: &'b dyn Bus) -> Self {
        Self { log: Log::new(bus), newest: Newest::default(), told: None, away: false }
    }

    /// Ends with what is new, once something is. It may be dropped and called again: nothing is passed over, nor told twice.
    ///
    /// # Errors
    /// The topic does not exist, or the bus has stopped.
    pub async fn next(&mut self) -> Result<News<'_>, Error> {
        loop {
            match self.newest.catch_up(&mut self.log).await {
                Ok(()) if self.has_news() => return Ok(self.news()),
                Ok(()) => self.outlast(self.log.changed().await).await?,
                away => self.outlast(away).await?,
            }
        }
    }

    fn number(&self) -> Option<u64> {
        self.newest.record.as_ref().map(|record| record.number)
    }

    fn has_news(&self) -> bool {
        self.newest.unreadable.is_some() || self.told != Some(self.number())
    }

    fn news(&mut self) -> News<'_> {
        if let Some(error) = self.newest.unreadable.take() {
            return News::Unreadable(error);
        }
        self.told = Some(self.number());
        self.newest.record.as_ref().map_or(News::None, News::Counts)
    }

    /// Waits where the bus is away, which is logged once.
    async fn outlast(&mut self, step: Result<(), Error>) -> Result<(), Error> {
        match step {
            Ok(()) => self.away = false,
            Err(Error::Unavailable(reason)) => {
                if !std::mem::replace(&mut self.away, true) {
                    tracing::warn!(reason, "the catalog on the bus cannot be read for now; trying again");
                }
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
