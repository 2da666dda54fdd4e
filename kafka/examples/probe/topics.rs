//! Topics that are made, and what is removed afterwards.

use std::collections::HashSet;

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::Consumer as _,
    error::RDKafkaErrorCode,
};

use crate::{Arguments, Outcome, PATIENCE, reader};

/// Makes `topics=` (joined by commas) of `partitions=`; ends when each has its leaders.
pub(crate) fn create(given: &Arguments) -> Outcome<()> {
    let names: Vec<&str> = given.text("topics")?.split(',').collect();
    let partitions = given.or("partitions", 6)?;
    let topics: Vec<_> = names.iter().map(|name| NewTopic::new(name, partitions, TopicReplication::Fixed(1))).collect();
    let made = wait(admin(given)?.create_topics(&topics, &options()))??;
    for one in made {
        one.map_err(|(topic, error)| format!("cannot create `{topic}`: {error}"))?;
    }
    let consumer = reader(given)?;
    let mut missing: HashSet<&str> = names.into_iter().collect();
    while !missing.is_empty() {
        let metadata = consumer.fetch_metadata(None, PATIENCE)?;
        let led = |topic: &rdkafka::metadata::MetadataTopic| topic.partitions().iter().all(|one| one.leader() >= 0);
        for topic in metadata.topics().iter().filter(|topic| led(topic)) {
            missing.remove(topic.name());
        }
    }
    Ok(())
}

/// Removes every topic and every group whose name begins with `prefix=`.
pub(crate) fn drop(given: &Arguments) -> Outcome<()> {
    let prefix = given.text("prefix")?;
    if prefix.is_empty() {
        return Err("`prefix=` is empty: that would be everything".into());
    }
    let consumer = reader(given)?;
    let metadata = consumer.fetch_metadata(None, PATIENCE)?;
    let topics: Vec<_> =
        metadata.topics().iter().map(|topic| topic.name()).filter(|name| name.starts_with(prefix)).collect();
    let listed = consumer.fetch_group_list(None, PATIENCE)?;
    let groups: Vec<_> =
        listed.groups().iter().map(|group| group.name()).filter(|name| name.starts_with(prefix)).collect();
    let admin = admin(given)?;
    if !topics.is_empty() {
        for one in wait(admin.delete_topics(&topics, &options()))?? {
            one.map_err(|(topic, error)| format!("cannot delete `{topic}`: {error}"))?;
        }
    }
    if !groups.is_empty() {
        for one in wait(admin.delete_groups(&groups, &options()))?? {
            match one {
                // Kafka Streams does not leave its group when it ends; without members the broker forgets it in time.
                Ok(_) | Err((_, RDKafkaErrorCode::NonEmptyGroup)) => {}
                Err((group, error)) => return Err(format!("cannot delete the group `{group}`: {error}").into()),
            }
        }
    }
    Ok(())
}

fn admin(given: &Arguments) -> Outcome<AdminClient<DefaultClientContext>> {
    Ok(ClientConfig::new().set("bootstrap.servers", given.text("brokers")?).create()?)
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE))
}

fn wait<F: Future>(future: F) -> Outcome<F::Output> {
    Ok(tokio::runtime::Builder::new_current_thread().build()?.block_on(future))
}
