//! Whether a cluster is fit for Herald: what is looked at, what it means, and what to do.
//!
//! Each check gathers facts thinly and judges them purely. Nothing is written, unless the caller asks for the clocks to be
//! compared.

mod brokers;
mod clock;
mod finding;
mod groups;
mod own;
mod reach;
mod topics;

use std::{collections::BTreeMap, time::Duration};

use contracts::topics as names;

use crate::{Admin, Cluster, Error, version::Version};
use bus::{Topic, TopicSpec};
use kafka::Config;
use runtime::finding::{Finding, Level};

/// What the stages need of the bus.
#[derive(Debug, Clone)]
pub struct Expected {
    /// For how long a detector recognises duplicates.
    pub window: Duration,
    /// How many recent ids it remembers per partition.
    pub ids: usize,
    /// After how long ingest gives up a publication.
    pub publish_timeout: Duration,
    /// The topics that are needed.
    pub specs: Vec<TopicSpec>,
    /// The groups that read, and which topics.
    pub groups: Vec<(String, Vec<Topic>)>,
    /// Whether one record may be written to compare the clocks.
    pub probe: bool,
}

impl Default for Expected {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(3600),
            ids: 1_000_000,
            publish_timeout: Duration::from_secs(5),
            specs: Vec::new(),
            groups: Vec::new(),
            probe: false,
        }
    }
}

/// Whether the brokers that are configured answer, each by itself.
pub async fn reach(config: &Config) -> Vec<Finding> {
    reach::bootstrap(config).await
}

/// Looks at everything else, where one of the brokers that were reached ([`reach()`]) is well. What cannot be looked at, for
/// what was found before it, is left out.
pub async fn examine(config: &Config, expected: &Expected, reached: Vec<Finding>) -> Vec<Finding> {
    let mut found = own::check(config, expected);
    let somebody = reached.iter().any(|finding| finding.level == Level::Ok);
    found.extend(reached);
    if somebody {
        match Admin::open(config) {
            Ok(admin) => cluster(&admin, expected, &mut found).await,
            Err(error) => found.push(Finding::problem("configuration", error.to_string(), "mend `bus.kafka`")),
        }
    }
    finding::merged(found)
}

/// What a check that could not be made says.
fn not_known(check: &'static str, error: &Error) -> Finding {
    let advice = match error {
        Error::Refused { reason, .. } if reason.contains("uthoriz") => {
            "give this principal what `herald topics acl --herald` prints for the operator"
        }
        _ => "see what the other checks say, and try again",
    };
    Finding::warning(check, error.to_string(), advice)
}

async fn cluster(admin: &Admin, expected: &Expected, found: &mut Vec<Finding>) {
    let cluster = match admin.cluster().await {
        Ok(cluster) => cluster,
        Err(error) => return found.push(not_known("brokers", &error)),
    };
    let config = admin.config();
    let addresses: Vec<String> = cluster.brokers.iter().map(|broker| broker.address.clone()).collect();
    found.push(count(&cluster, config));
    found.extend(reach::announced(config, &addresses).await);
    found.push(version(Version::at_least(&admin.heard().features())));
    broker_settings(admin, &cluster, found).await;
    let existing = match admin.existing(&expected.specs).await {
        Ok(existing) => existing,
        Err(error) => return found.push(not_known("topics", &error)),
    };
    match admin.plan(&expected.specs, &[]).await {
        Ok(plan) => {
            let brokers = cluster.brokers.len();
            let may_create = config.create_topics;
            let facts = topics::Facts { plan: &plan, existing: &existing, brokers, may_create };
            found.extend(topics::check(&facts, expected));
        }
        Err(error) => found.push(not_known("topics", &error)),
    }
    match groups::look(admin, &existing, expected).await {
        Ok(findings) => found.extend(findings),
        Err(error) => found.push(not_known("lag", &error)),
    }
    let clock = if expected.probe {
        clock::by_writing(admin).await
    } else {
        let dated = [names::RAW, names::PROGRESS].into_iter().filter_map(|name| {
            let topic = Topic::from(name);
            Some((admin.full_name(&topic), existing.get(&topic)?.count()))
        });
        clock::without_writing(admin, dated.collect()).await
    };
    found.push(clock.unwrap_or_else(|error| not_known("clock", &error)));
}

async fn broker_settings(admin: &Admin, cluster: &Cluster, found: &mut Vec<Finding>) {
    let mut settings = BTreeMap::new();
    for broker in &cluster.brokers {
        match admin.broker_settings(broker.id).await {
            Ok(of) => drop(settings.insert(broker.id, of)),
            Err(error) => found.push(not_known("broker settings", &error).at(format!("broker {}", broker.id))),
        }
    }
    found.extend(brokers::check(&settings, admin.config()));
}

fn count(cluster: &Cluster, config: &Config) -> Finding {
    let places = |finding: Finding| cluster.brokers.iter().fold(finding, |it, broker| it.at(broker.address.clone()));
    match cluster.brokers.len() {
        1 => {
            let what = "there is one broker: while it is away, webhooks are answered with 503";
            places(Finding::warning("brokers", what, "run three, on machines that do not fail together"))
        }
        many if config.brokers.len() == 1 => {
            let what = format!("there are {many}, but `bus.kafka.brokers` names one: a start needs that very one");
            places(Finding::warning("brokers", what, "name two or three of them"))
        }
        many => places(Finding::ok("brokers", format!("there are {many}"))),
    }
}

fn version(version: Option<Version>) -> Finding {
    const CHECK: &str = "broker version";
    match version {
        Some(version) if version >= Version::ADVISED => {
            Finding::ok(CHECK, format!("they can do what Apache Kafka {version} can, or more"))
        }
        Some(version) => {
            let what = format!("they can do no more than Apache Kafka {version}");
            let why = "from 3.6 on, what a producer that was cut off still sends cannot block readers for good";
            Finding::warning(CHECK, what, format!("update them to {} or newer: {why}", Version::ADVISED))
        }
        None => {
            let least = Version::LEAST;
            let what =
                format!("they do not say that they can do what Apache Kafka {least} can: transactions with groups");
            Finding::problem(CHECK, what, format!("update them to {} or newer", Version::ADVISED))
        }
    }
}
