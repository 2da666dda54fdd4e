//! What is found out about a consumer in doubt: where its partitions stand, and whether it can use its brokers.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use bus::{Error, TopicPartition};
use rdkafka::consumer::Consumer as _;

use super::Task;
use crate::{
    astray::Places,
    threads::lock,
    vigil::{ANSWER, Asked},
};

/// How soon what the brokers do not tell is asked for again.
const AGAIN: Duration = Duration::from_secs(1);

impl Task {
    /// That a position of this member is outside of its partition; of which one is not said.
    pub(super) fn astray(&mut self, truncated: bool) {
        self.astray.truncated |= truncated;
        if self.astray.asking {
            self.astray.again = true;
        } else {
            self.look(Duration::ZERO);
        }
    }

    /// Asks where all that is open begins and ends.
    fn look(&mut self, wait: Duration) {
        self.astray.asking = true;
        self.astray.again = false;
        let asked = lock(&self.shared.partitions).places();
        let (cluster, told) = (self.cluster.clone(), self.places.0.clone());
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let places: Vec<TopicPartition> = asked.iter().map(|(at, ..)| at.clone()).collect();
            let extents = cluster.extents(&places).await.unwrap_or_else(|error| {
                tracing::debug!(%error, "where partitions begin and end is not known");
                HashMap::new()
            });
            // A task that has ended asks no more.
            let _ = told.send(Places { asked, extents });
        });
    }

    /// Goes on with what is where it should be, and stops at what is not: going on there would skip records.
    pub(super) fn found_astray(&mut self, places: Places) {
        self.astray.asking = false;
        let verdicts = places.judge();
        for (partition, position, begins) in &verdicts.lost {
            let (group, partition) = (self.shared.group.clone(), partition.clone());
            self.shared.outbox.fail(Error::PositionLost { group, partition, position: *position, begins: *begins });
        }
        if self.astray.truncated && verdicts.lost.is_empty() && !verdicts.unknown {
            self.shared.outbox.fail(Error::Stopped(format!(
                "the brokers have lost records that `{}` had read already (a log was truncated, as after an unclean election of \
                 a leader); compare what was made of them, then start this process again: it goes on behind them",
                self.shared.group
            )));
        }
        let reopened = self.with(|partitions| partitions.reopen(&verdicts.reopened));
        if reopened > 0 {
            let group = &self.shared.group;
            tracing::info!(group, partitions = reopened, "partitions are fetched anew from where they are");
        }
        if verdicts.unknown || self.astray.again {
            self.look(AGAIN);
        } else {
            self.astray.truncated = false;
        }
    }

    /// Asks the consumer where that is due.
    pub(super) fn watch_over(&mut self) {
        let consumer = self.shared.consumer();
        if consumer.context().doubts() {
            self.vigil.doubt();
        }
        let Some(topic) = self.subscribed.first() else { return };
        let at = Instant::now();
        if self.vigil.ask(at, self.cluster.answers_since()) {
            let (topic, told) = (self.shared.names.outer(topic.as_str()), self.asked.0.clone());
            tokio::task::spawn_blocking(move || {
                let answered = consumer.fetch_metadata(Some(&topic), ANSWER).is_ok();
                // A task that has ended asks no more.
                let _ = told.send(Asked { at, answered });
            });
        }
    }

    pub(super) async fn told(&mut self, asked: Asked) {
        if self.vigil.told(&asked, Instant::now(), self.cluster.answers_since()) {
            self.abandon().await;
        } else if asked.answered {
            self.cluster.reach().found(&self.name());
        }
    }

    /// Who this member is, in what is said of those who reach no broker.
    pub(super) fn name(&self) -> String {
        format!("group {} ({})", self.shared.group, self.slot.number)
    }
}
