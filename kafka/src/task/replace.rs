//! Topics that come and go, and a consumer that fails.

use std::time::{Duration, Instant};

use rdkafka::{consumer::Consumer as _, error::KafkaError};

use super::{Astray, Task, Vigil};
use crate::{
    consume,
    partitions::Partitions,
    threads::{blocking, lock},
};
use bus::{Error, Topic};

/// How often within [`RELAPSE`] a consumer that has met no outage is fenced before it is another process that does it.
const FENCED: usize = 3;
const RELAPSE: Duration = Duration::from_secs(60);

impl Task {
    /// Subscribes to those of the wanted topics that exist.
    pub(super) async fn resubscribe(&mut self) {
        let known = self.known.borrow_and_update().clone();
        if let Some(topic) =
            self.subscribed.iter().find(|topic| self.wanted.topics.contains(*topic) && !known.contains_key(*topic))
        {
            // Asked twice, as one broker may know less than the others.
            match self.cluster.refresh().await {
                Ok(now) if !now.contains_key(topic) => {
                    self.shared.outbox.fail(Error::UnknownTopic(topic.clone()));
                    return;
                }
                _ => self.known.mark_changed(),
            }
        }
        let topics: Vec<Topic> =
            self.wanted.topics.iter().filter(|topic| known.contains_key(*topic)).cloned().collect();
        if topics == self.subscribed {
            return;
        }
        match consume::subscribe(&self.shared.consumer(), &self.shared.names, &topics) {
            Ok(()) => self.subscribed = topics,
            Err(error) => tracing::warn!(group = self.shared.group, %error, "topics cannot be subscribed to"),
        }
    }

    /// A consumer that has failed for good is replaced. The group calls it fenced when another member has its instance. After an
    /// outage that is its own shadow: it asked to join, the answer was lost, and it asked again. One that has met none was fenced by
    /// another process; several times in a row that is for whoever runs us.
    pub(super) async fn replace(&mut self, error: &KafkaError) {
        self.with(Partitions::lose_all);
        let (group, instance) = (&self.shared.group, &self.config.instance);
        if self.shared.consumer().context().shaken().is() {
            tracing::info!(
                group,
                "brokers were away, and its group knows this member no more; it joins anew by itself"
            );
        } else {
            self.fenced.retain(|at| at.elapsed() < RELAPSE);
            self.fenced.push(Instant::now());
            if self.fenced.len() >= FENCED {
                let reason = format!(
                    "the consumer of `{group}` has failed ({error}); another process seems to run as instance `{instance}`: give \
                     each process of a role an `--instance` of its own"
                );
                self.shared.outbox.fail(Error::Stopped(reason));
                return;
            }
            tracing::warn!(
                group,
                instance,
                "this member was put out of its group although no broker was away; it joins anew. If another process runs as the \
                 same instance, give each an `--instance` of its own"
            );
        }
        tracing::debug!(group, %error, "a consumer has failed for good");
        self.renew(false).await;
    }

    /// A consumer that can use none of the brokers, while others can, is replaced.
    pub(super) async fn abandon(&mut self) {
        self.cluster.reach().lost(&self.name(), "its client finds no broker although others do; it gets another one");
        self.with(Partitions::lose_all);
        self.renew(false).await;
        // Not before it has answered is it said that brokers are found again; that records come does not say so.
        self.vigil = Vigil::of_successor(Instant::now());
    }

    /// The group had evicted us, and took us in again under another name with what we had; librdkafka does not say so when it
    /// happens while it waits to join. Others may have had it since, and may just be finishing it. So we leave, with nothing,
    /// and join anew: until we have it again, they have ended.
    pub(super) async fn rejoin(&mut self) {
        tracing::info!(group = self.shared.group, "this member was evicted from its group; it leaves and joins anew");
        self.with(Partitions::lose_all);
        self.renew(true).await;
    }

    /// Goes on with another consumer, after a farewell of the old one where that is still able to.
    async fn renew(&mut self, farewell: bool) {
        let (config, slot, wake) = (self.config.clone(), self.slot.clone(), self.wake.clone());
        let old = self.shared.consumer();
        let new = blocking(move || {
            if farewell {
                consume::farewell(&old);
            }
            consume::consumer(&config, &slot, wake)
        });
        let new = new.await.and_then(|new| new);
        match new {
            Ok(new) => {
                self.shared.consumer.replace(new);
                self.vigil = Vigil::new(Instant::now());
                self.astray = Astray::default();
                self.subscribed.clear();
                lock(&self.shared.partitions).renewed();
                self.known.mark_changed();
                self.wake.notify_one();
            }
            Err(error) => self.shared.outbox.fail(error),
        }
    }
}
