//! Carries out a plan.
//!
//! librdkafka's binding has only the older way of changing settings, which replaces *all* that were set on a topic. So what
//! is set on it is read just before and sent along. Who changes the same topic's settings at the same moment may be undone.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use contracts::topics;
use rdkafka::{
    admin::{AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication},
    error::RDKafkaErrorCode,
};

use super::{
    Admin, Error, Existing, Plan, options,
    plan::{Difference, State, Step, TopicPlan},
};
use bus::TopicSpec;

/// How many topics are created by one request: a controller takes at most 10,000 partitions.
const AT_ONCE: usize = 200;
/// How long what was changed may take to be known everywhere.
const PROPAGATION: Duration = Duration::from_secs(30);

/// One thing that was done, or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The topic's name on the cluster.
    pub name: String,
    /// What, as in `created with 6 partitions`.
    pub what: String,
    /// Why it was not done.
    pub failed: Option<String>,
}

impl Done {
    fn new(name: &str, what: String, result: Result<(), String>) -> Self {
        Self { name: name.to_owned(), what, failed: result.err() }
    }
}

impl Admin {
    /// Does what a plan says is to be done, and says what it did; what is to be done by hand, or is refused, is left. When
    /// it returns, what it created is known to the cluster.
    ///
    /// # Errors
    /// Nobody answers. What was refused for one topic alone is said in its [`Done`].
    pub async fn apply(&self, plan: &Plan) -> Result<Vec<Done>, Error> {
        let mut done = self.create_missing(plan).await?;
        for topic in &plan.topics {
            done.extend(self.alter(topic).await?);
        }
        done.extend(self.add_partitions(plan).await?);
        self.settle(&done, plan).await?;
        Ok(done)
    }

    async fn create_missing(&self, plan: &Plan) -> Result<Vec<Done>, Error> {
        let missing: Vec<&TopicPlan> = plan.topics.iter().filter(|topic| topic.state == State::Missing).collect();
        let mut done = Vec::with_capacity(missing.len());
        for some in missing.chunks(AT_ONCE) {
            let new = some.iter().map(|topic| {
                let planned = &topic.planned;
                let replication = TopicReplication::Fixed(planned.replication.map_or(-1, i32::from));
                let new = NewTopic::new(&topic.name, planned.partitions.cast_signed(), replication);
                planned.config.iter().fold(new, |new, (key, value)| new.set(key, value))
            });
            let new: Vec<NewTopic<'_>> = new.collect();
            let results = self.admin.create_topics(&new, &options()).await;
            for (topic, result) in some.iter().zip(results.map_err(|error| self.failed("creating topics", &error))?) {
                let count = topic.planned.partitions;
                let what = format!("created with {count} partition{}", if count == 1 { "" } else { "s" });
                let result = match result {
                    Ok(_) => Ok(()),
                    Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {
                        Err("somebody else created it just now, perhaps otherwise; plan again".to_owned())
                    }
                    Err((_, code)) => Err(refusal(code)),
                };
                done.push(Done::new(&topic.name, what, result));
            }
        }
        Ok(done)
    }

    async fn alter(&self, topic: &TopicPlan) -> Result<Vec<Done>, Error> {
        let changes: Vec<&Difference> = applied(topic).filter(|it| it.what != "partitions").collect();
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let settings = self.settings(std::slice::from_ref(&topic.topic)).await?;
        let Some((_, settings)) = settings.into_iter().next() else {
            let gone = Done::new(&topic.name, "set".to_owned(), Err("it was deleted meanwhile".to_owned()));
            return Ok(vec![gone]);
        };
        let own = settings.iter().filter(|(_, setting)| setting.is_own);
        let mut entries: BTreeMap<&str, &str> = own.map(|(key, it)| (key.as_str(), it.value.as_str())).collect();
        entries.extend(changes.iter().map(|it| (it.what.as_str(), it.planned.as_str())));
        let alter = AlterConfig::new(ResourceSpecifier::Topic(&topic.name));
        let alter = entries.into_iter().fold(alter, |alter, (key, value)| alter.set(key, value));
        let results = self.admin.alter_configs(&[alter], &options()).await;
        let result = results.map_err(|error| self.failed("changing settings", &error))?.pop();
        let result = result.unwrap_or(Err((
            rdkafka::admin::OwnedResourceSpecifier::Topic(topic.name.clone()),
            RDKafkaErrorCode::Unknown,
        )));
        let result = result.map(|_| ()).map_err(|(_, code)| refusal(code));
        let told = |it: &&Difference| {
            Done::new(&topic.name, format!("set {} from {} to {}", it.what, it.is, it.planned), result.clone())
        };
        Ok(changes.iter().map(told).collect())
    }

    async fn add_partitions(&self, plan: &Plan) -> Result<Vec<Done>, Error> {
        let mut done = Vec::new();
        // What is not drained, and what follows it, stays as it is.
        let mut kept = BTreeSet::new();
        let mut adding: Vec<(&TopicPlan, &Difference)> = Vec::new();
        for topic in &plan.topics {
            let Some(difference) = applied(topic).find(|it| it.what == "partitions") else { continue };
            if difference.step == Step::ApplyDrained {
                let undrained = self.drained(&topic.topic).await?.0;
                if !undrained.is_empty() {
                    kept.insert(topic.topic.as_str());
                    let reason = format!("it is not drained: {}", undrained.join("; "));
                    done.push(Done::new(&topic.name, added(difference), Err(reason)));
                    continue;
                }
            }
            adding.push((topic, difference));
        }
        adding.retain(|(topic, _)| !(topic.topic.as_str() == topics::SEEN && kept.contains(topics::RAW)));
        for (topic, difference) in adding {
            let count = usize::try_from(topic.planned.partitions).unwrap_or(usize::MAX);
            let new = [NewPartitions::new(&topic.name, count)];
            let results = self.admin.create_partitions(&new, &options()).await;
            let result = results.map_err(|error| self.failed("adding partitions", &error))?.pop();
            let result = match result {
                Some(Err((_, code))) => Err(refusal(code)),
                Some(Ok(_)) | None => Ok(()),
            };
            done.push(Done::new(&topic.name, added(difference), result));
        }
        Ok(done)
    }

    /// Waits until the cluster shows what was done.
    async fn settle(&self, done: &[Done], plan: &Plan) -> Result<(), Error> {
        let failed: BTreeSet<&str> =
            done.iter().filter(|done| done.failed.is_some()).map(|done| done.name.as_str()).collect();
        let touched: BTreeSet<&str> = done.iter().map(|done| done.name.as_str()).collect();
        let is_awaited =
            |topic: &&TopicPlan| touched.contains(topic.name.as_str()) && !failed.contains(topic.name.as_str());
        let mut awaited: Vec<&TopicPlan> = plan.topics.iter().filter(is_awaited).collect();
        let deadline = Instant::now() + PROPAGATION;
        loop {
            let specs: Vec<TopicSpec> = awaited.iter().map(|topic| TopicSpec::new(topic.topic.clone())).collect();
            let existing = self.existing(&specs).await?;
            awaited.retain(|topic| !existing.get(&topic.topic).is_some_and(|existing| shows(topic, existing)));
            if awaited.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                let names: Vec<&str> = awaited.iter().map(|topic| topic.name.as_str()).collect();
                let reason = format!("the cluster does not show it: {}", names.join(", "));
                return Err(self.refused("waiting for what was changed", &reason));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Whether a topic is as it is to be once the plan is carried out.
fn shows(topic: &TopicPlan, existing: &Existing) -> bool {
    let is_led = existing.partitions.iter().all(|partition| partition.leader.is_some());
    let is_there = match &topic.state {
        State::Missing => existing.count() >= topic.planned.partitions,
        State::Exists(..) => applied(topic).all(|it| match it.what.as_str() {
            "partitions" => existing.count() >= topic.planned.partitions,
            setting => existing.setting(setting) == Some(it.planned.as_str()),
        }),
    };
    is_led && is_there
}

fn applied(topic: &TopicPlan) -> impl Iterator<Item = &Difference> {
    let differences = match &topic.state {
        State::Exists(_, differences) => differences.as_slice(),
        State::Missing => &[],
    };
    differences.iter().filter(|it| matches!(it.step, Step::Apply | Step::ApplyDrained))
}

fn added(difference: &Difference) -> String {
    format!("partitions from {} to {}", difference.is, difference.planned)
}

/// What a refusal means, where the broker's word alone does not say what to do.
fn refusal(code: RDKafkaErrorCode) -> String {
    let advice = match code {
        RDKafkaErrorCode::InvalidReplicationFactor => {
            "there are fewer brokers than copies are wanted; lower `replication`"
        }
        RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed => {
            "this principal may not; `herald topics acl --herald` prints what the operator needs"
        }
        RDKafkaErrorCode::PolicyViolation => "a policy of the cluster forbids these settings",
        RDKafkaErrorCode::InvalidConfig => "the cluster does not take one of the settings; see its log",
        _ => return code.to_string(),
    };
    format!("{code}: {advice}")
}
