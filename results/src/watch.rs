//! Who watches which correlation. One that nobody watches costs a look into an empty map per transaction.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use contracts::ids::CorrelationId;
use tokio::sync::{broadcast, watch};

/// How many changes wait for whoever follows all of them; one that is slower misses the oldest.
const WAITING: usize = 4096;

/// A correlation changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub correlation: CorrelationId,
    /// The number of facts known of it now.
    pub revision: u64,
    /// Whether it is complete now.
    pub complete: bool,
    /// Whether it is, and something of it failed.
    pub failed: bool,
}

#[derive(Debug)]
struct Watched {
    sender: watch::Sender<bool>,
    watchers: usize,
}

/// The correlations that are watched.
#[derive(Debug, Clone)]
pub(crate) struct Watches {
    one: Arc<Mutex<HashMap<CorrelationId, Watched>>>,
    all: broadcast::Sender<Change>,
}

impl Default for Watches {
    fn default() -> Self {
        Self { one: Arc::default(), all: broadcast::Sender::new(WAITING) }
    }
}

impl Watches {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<CorrelationId, Watched>> {
        self.one.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows every change from now on.
    pub(crate) fn changes(&self) -> Changes {
        Changes(self.all.subscribe())
    }

    /// Watches a correlation from now on.
    pub(crate) fn watch(&self, correlation: CorrelationId) -> Subscription {
        let mut all = self.lock();
        let watched = all
            .entry(correlation.clone())
            .or_insert_with(|| Watched { sender: watch::Sender::new(false), watchers: 0 });
        watched.watchers += 1;
        Subscription { receiver: watched.sender.subscribe(), correlation, watches: self.clone() }
    }

    /// Tells what changed, after it was committed.
    pub(crate) fn tell(&self, changes: &[Change]) {
        if self.all.receiver_count() > 0 {
            for change in changes {
                // Whoever followed may have left by now.
                let _ = self.all.send(change.clone());
            }
        }
        let all = self.lock();
        if all.is_empty() {
            return;
        }
        for change in changes {
            if let Some(watched) = all.get(&change.correlation) {
                watched.sender.send_replace(change.complete);
            }
        }
    }
}

/// Every change, for whoever follows all of them. It holds up nobody.
#[derive(Debug)]
pub struct Changes(broadcast::Receiver<Change>);

impl Changes {
    /// The next change, or how many were missed. Never ends by itself. Safe to cancel.
    ///
    /// # Errors
    /// So many changes came in the meantime that the oldest of them, as many as are named, are gone.
    pub async fn next(&mut self) -> Result<Change, u64> {
        match self.0.recv().await {
            Ok(change) => Ok(change),
            Err(broadcast::error::RecvError::Lagged(missed)) => Err(missed),
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// A watch over one correlation; changes between two looks are one. Ends when it is dropped.
#[derive(Debug)]
pub struct Subscription {
    receiver: watch::Receiver<bool>,
    correlation: CorrelationId,
    watches: Watches,
}

impl Subscription {
    pub fn correlation(&self) -> &CorrelationId {
        &self.correlation
    }

    /// Ends when the correlation has changed since the last call, or since the subscription; answers whether it was
    /// complete then. Safe to cancel.
    pub async fn changed(&mut self) -> bool {
        // The sender lives in the map as long as anybody watches, and so as long as this does.
        if self.receiver.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        *self.receiver.borrow_and_update()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut all = self.watches.lock();
        if let Some(watched) = all.get_mut(&self.correlation) {
            watched.watchers -= 1;
            if watched.watchers == 0 {
                all.remove(&self.correlation);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_watcher_sees_changes_of_its_correlation_and_leaves_nothing_behind() {
        let watches = Watches::default();
        let change =
            |id: &str| Change { correlation: id.parse().expect("an id"), revision: 1, complete: false, failed: false };
        let mut mine = watches.watch("mine".parse().expect("an id"));
        let other = watches.watch("mine".parse().expect("an id"));
        watches.tell(&[change("other"), change("mine"), change("mine")]);
        mine.changed().await;
        assert!(!mine.receiver.has_changed().expect("a sender"), "two changes are one");
        drop((mine, other));
        assert!(watches.lock().is_empty());
    }

    #[tokio::test]
    async fn who_follows_all_and_is_slow_misses_the_oldest_and_holds_up_nobody() {
        let watches = Watches::default();
        let change = Change { correlation: "c".parse().expect("an id"), revision: 1, complete: true, failed: false };
        let mut all = watches.changes();
        watches.tell(&vec![change.clone(); WAITING + 3]);
        assert_eq!(all.next().await, Err(3));
        assert_eq!(all.next().await, Ok(change));
    }
}
