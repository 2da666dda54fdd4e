//! Topics that are created, deleted, and told of.

use std::{
    collections::{BTreeMap, HashSet},
    time::{Duration, Instant},
};

use rdkafka::{
    admin::{NewTopic, ResourceSpecifier, TopicReplication},
    error::RDKafkaErrorCode,
};

use super::{Cluster, Known, options};
use crate::{threads::lock, verdict::unavailable};
use bus::{Error, Topic, TopicInfo, TopicSpec};

/// How many topics are created by one request: a controller takes at most 10,000 partitions.
const AT_ONCE: usize = 200;
/// How long a topic that was created or deleted may take to be known everywhere.
const PROPAGATION: Duration = Duration::from_secs(60);

impl Cluster {
    /// Creates what is missing, where that is allowed, and waits until it can be used.
    pub(crate) async fn create(&self, specs: Vec<TopicSpec>) -> Result<(), Error> {
        let known = self.refresh().await?;
        let missing: Vec<TopicSpec> = specs.into_iter().filter(|spec| !known.contains_key(&spec.topic)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        if !self.config.create_topics {
            let names: Vec<String> = missing.iter().map(|spec| self.names.outer(spec.topic.as_str())).collect();
            return Err(Error::Unavailable(format!(
                "these topics are missing, and `bus.kafka.create-topics` is false: {}; create them with `herald topics apply`",
                names.join(", ")
            )));
        }
        for specs in missing.chunks(AT_ONCE) {
            self.create_some(specs, &known).await?;
        }
        let topics: HashSet<&Topic> = missing.iter().map(|spec| &spec.topic).collect();
        self.settle(|known| topics.iter().all(|topic| known.contains_key(*topic))).await
    }

    async fn create_some(&self, specs: &[TopicSpec], known: &Known) -> Result<(), Error> {
        let plan = |spec| self.config.layout.plan_beside(spec, |topic| known.get(topic).copied());
        let planned: Vec<_> = specs.iter().map(|spec| (self.names.outer(spec.topic.as_str()), plan(spec))).collect();
        let new = planned.iter().map(|(name, plan)| {
            let replication = TopicReplication::Fixed(plan.replication.map_or(-1, i32::from));
            let new = NewTopic::new(name, plan.partitions.cast_signed(), replication);
            plan.config.iter().fold(new, |new, (key, value)| new.set(key, value))
        });
        let new: Vec<NewTopic<'_>> = new.collect();
        let results = self.admin.get().create_topics(&new, &options()).await.map_err(|error| unavailable(&error))?;
        for result in results {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => {
                    return Err(Error::Unavailable(format!("the topic `{name}` cannot be created: {code}")));
                }
            }
        }
        Ok(())
    }

    /// Deletes a topic, and waits until it is gone.
    pub(crate) async fn delete(&self, topic: &Topic) -> Result<(), Error> {
        let name = self.names.outer(topic.as_str());
        let results =
            self.admin.get().delete_topics(&[&name], &options()).await.map_err(|error| unavailable(&error))?;
        for result in results {
            match result {
                Ok(_) => {}
                Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => return Err(Error::UnknownTopic(topic.clone())),
                Err((name, code)) => {
                    return Err(Error::Unavailable(format!("the topic `{name}` cannot be deleted: {code}")));
                }
            }
        }
        lock(&self.compacted).remove(topic);
        self.settle(|known| !known.contains_key(topic)).await
    }

    async fn settle(&self, done: impl Fn(&Known) -> bool) -> Result<(), Error> {
        let (deadline, mut wait) = (Instant::now() + PROPAGATION, Duration::from_millis(20));
        while !done(&self.refresh().await?) {
            if Instant::now() > deadline {
                return Err(Error::Unavailable("the cluster does not show what was changed on it".into()));
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(1));
        }
        Ok(())
    }

    /// Every topic, by name.
    pub(crate) async fn topics(&self) -> Result<Vec<TopicInfo>, Error> {
        let known: BTreeMap<Topic, u32> = self.refresh().await?.iter().map(|(topic, n)| (topic.clone(), *n)).collect();
        let unknown: Vec<Topic> = {
            let compacted = lock(&self.compacted);
            known.keys().filter(|topic| !compacted.contains_key(*topic)).cloned().collect()
        };
        for topics in unknown.chunks(AT_ONCE) {
            self.describe(topics).await?;
        }
        let compacted = lock(&self.compacted);
        let info = |(topic, partitions): (Topic, u32)| {
            let compacted = compacted.get(&topic).copied().unwrap_or_default();
            TopicInfo { topic, partitions, compacted }
        };
        Ok(known.into_iter().map(info).collect())
    }

    async fn describe(&self, topics: &[Topic]) -> Result<(), Error> {
        let names: Vec<String> = topics.iter().map(|topic| self.names.outer(topic.as_str())).collect();
        let specifiers: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
        let results =
            self.admin.get().describe_configs(&specifiers, &options()).await.map_err(|error| unavailable(&error))?;
        let mut compacted = lock(&self.compacted);
        for (topic, result) in topics.iter().zip(results) {
            // One that was deleted meanwhile is no error of the others.
            let Ok(resource) = result else { continue };
            let policy = resource.get("cleanup.policy").and_then(|entry| entry.value.clone()).unwrap_or_default();
            compacted.insert(topic.clone(), policy.contains("compact"));
        }
        Ok(())
    }
}
