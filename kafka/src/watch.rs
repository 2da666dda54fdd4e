//! Wakes those who wait for a partition to grow: one question for all of them, several times a second while something happens,
//! less often while nothing does, and none while nobody waits.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::threads::lock;
use bus::{Offset, TopicPartition};

/// How soon the ends are asked for again while somebody waits: at first, and when nothing has happened for a while.
const PERIOD: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(400));
/// After how long a waiting reader is woken whose partition's end cannot be told, or is another's.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many places are remembered as quiet: more than anybody follows at once, since those that are forgotten are read anew.
const QUIET: usize = 64 * 1024;

/// Who waits for what.
#[derive(Default)]
pub(crate) struct Watch {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    waiting: HashMap<TopicPartition, Vec<Waiter>>,
    /// From where to where a partition is known to hold no record: markers of transactions stand there.
    quiet: HashMap<TopicPartition, (Offset, Offset)>,
}

struct Waiter {
    end: Offset,
    since: Instant,
    done: oneshot::Sender<()>,
}

impl Watch {
    /// Starts watching, until told to stop.
    pub(crate) fn start(cluster: Arc<Cluster>, stop: CancellationToken) -> Arc<Self> {
        let watch = Arc::new(Self::default());
        let watching = watch.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = watching.run(&cluster) => {}
            }
        });
        watch
    }

    /// That there is no record from one offset to another.
    pub(crate) fn quiet(&self, at: &TopicPartition, from: Offset, end: Offset) {
        let mut state = lock(&self.state);
        if state.quiet.len() >= QUIET {
            state.quiet.clear();
        }
        state.quiet.insert(at.clone(), (from, end));
    }

    /// Whether it is known that there is no record from one offset to another.
    pub(crate) fn is_quiet(&self, at: &TopicPartition, from: Offset, end: Offset) -> bool {
        lock(&self.state).quiet.get(at).is_some_and(|(begin, known)| *begin <= from && end <= *known)
    }

    /// Ends when the partition has grown beyond what is known to be quiet from there, or after a while where that cannot be
    /// told. Who follows thousands of quiet partitions is woken by none of them.
    pub(crate) async fn changed(&self, at: &TopicPartition, from: Offset) {
        let (done, waiting) = oneshot::channel();
        {
            let mut state = lock(&self.state);
            let end = state.quiet.get(at).filter(|(begin, _)| *begin == from).map_or(from, |(_, end)| *end);
            let waiter = Waiter { end, since: Instant::now(), done };
            state.waiting.entry(at.clone()).or_default().push(waiter);
        }
        self.wake.notify_one();
        // A watch that has stopped wakes everybody.
        let _ = waiting.await;
    }

    async fn run(&self, cluster: &Cluster) {
        let mut period = PERIOD.0;
        loop {
            let places = self.places();
            if places.is_empty() {
                self.wake.notified().await;
                continue;
            }
            // Who cannot be told is woken after a while, asks itself, and gets the error.
            let ends = cluster.ends(&places).await.unwrap_or_default();
            let news = self.tell(&ends, Instant::now());
            period = if news { PERIOD.0 } else { (period * 5 / 4).min(PERIOD.1) };
            tokio::time::sleep(period).await;
        }
    }

    fn places(&self) -> Vec<TopicPartition> {
        let mut state = lock(&self.state);
        state.waiting.retain(|_, waiters| {
            waiters.retain(|waiter| !waiter.done.is_closed());
            !waiters.is_empty()
        });
        state.waiting.keys().cloned().collect()
    }

    /// Wakes those whose partition has grown, and those who have waited for long and may have been forgotten: whose partition's
    /// end is not told, or is before where they stand, so that it is another. True if one has grown.
    fn tell(&self, ends: &HashMap<TopicPartition, Offset>, now: Instant) -> bool {
        let mut news = false;
        let mut state = lock(&self.state);
        for (at, waiters) in &mut state.waiting {
            let end = ends.get(at);
            for waiter in waiters.extract_if(.., |waiter| {
                let is_late = now.duration_since(waiter.since) > PATIENCE;
                end.is_some_and(|end| *end > waiter.end) || is_late && end != Some(&waiter.end)
            }) {
                news |= end.is_some_and(|end| *end > waiter.end);
                // Who went away is gone.
                let _ = waiter.done.send(());
            }
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn only_who_has_something_to_read_or_was_forgotten_is_woken() {
        let watch = Watch::default();
        let at = TopicPartition::new("in", 0);
        let late = Instant::now() + PATIENCE * 2;
        watch.quiet(&at, Offset(3), Offset(5));
        for (end, woken) in [(Some(5), false), (Some(6), true), (None, true), (Some(0), true)] {
            let mut waiting = Box::pin(watch.changed(&at, Offset(3)));
            assert!(waiting.as_mut().now_or_never().is_none());
            let ends = end.map(|end| (at.clone(), Offset(end))).into_iter().collect();
            assert_eq!(watch.tell(&ends, late), end == Some(6), "{end:?}");
            assert_eq!(waiting.as_mut().now_or_never().is_some(), woken, "{end:?}");
            drop(waiting);
            watch.places();
        }
    }
}
