//! The topics that every process needs, whatever its catalog.

use bus::TopicSpec;
use contracts::topics;

/// Every topic on Kafka that does not belong to an event.
pub fn kafka_topics() -> Vec<TopicSpec> {
    let mut specs = base_topics();
    specs.push(TopicSpec::table(topics::STARTS));
    specs
}

/// Every topic on any bus that does not belong to an event.
pub fn base_topics() -> Vec<TopicSpec> {
    let logs = [topics::RAW, topics::REJECTED, topics::PROGRESS, topics::COMPLETED, topics::SEEN];
    let mut specs: Vec<TopicSpec> = logs.map(TopicSpec::new).to_vec();
    specs.extend([topics::CATALOG, topics::CONTROL].map(TopicSpec::table));
    specs
}
