//! The properties of a node: small and quick, and strict where Herald depends on it.

use std::path::Path;

/// What a node's properties depend on.
pub(crate) struct Given<'a> {
    pub(crate) id: i32,
    /// The nodes of its cluster.
    pub(crate) nodes: usize,
    /// `1@127.0.0.1:4711,…`: who votes in the quorum.
    pub(crate) voters: &'a str,
    /// Name, own address, and the address that clients are told.
    pub(crate) listeners: &'a [(&'static str, String, String)],
    pub(crate) data: &'a Path,
    /// The user's, which override ours.
    pub(crate) extra: &'a [(String, String)],
}

/// The listener of brokers among each other and of most clients.
pub(crate) const CLIENT: &str = "CLIENT";
/// The listener of clients that come through the proxy.
pub(crate) const PROXIED: &str = "PROXIED";
/// The listener of the quorum.
pub(crate) const CONTROLLER: &str = "CONTROLLER";

/// More than the largest record: 4 MiB and 64 KiB, and what surrounds it.
const LARGEST_BATCH: usize = 5 * 1024 * 1024;

/// The content of `server.properties`.
pub(crate) fn text(given: &Given<'_>) -> String {
    let replicas = given.nodes;
    let in_sync = if replicas > 1 { replicas - 1 } else { 1 };
    let join = |parts: Vec<String>| parts.join(",");
    let listeners = join(given.listeners.iter().map(|(name, own, _)| format!("{name}://{own}")).collect());
    let told = given.listeners.iter().filter(|(name, ..)| *name != CONTROLLER);
    let advertised = join(told.map(|(name, _, told)| format!("{name}://{told}")).collect());
    let protocols = join(given.listeners.iter().map(|(name, ..)| format!("{name}:PLAINTEXT")).collect());
    let (id, voters, data) = (given.id, given.voters, given.data.display());
    let mut text = format!(
        "process.roles=broker,controller
node.id={id}
controller.quorum.voters={voters}
controller.listener.names={CONTROLLER}
inter.broker.listener.name={CLIENT}
listeners={listeners}
advertised.listeners={advertised}
listener.security.protocol.map={protocols}
log.dirs={data}

default.replication.factor={replicas}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={replicas}
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={in_sync}

# Topics are made by whoever needs them, with settings that count.
auto.create.topics.enable=false
message.max.bytes={LARGEST_BATCH}
replica.fetch.max.bytes={LARGEST_BATCH}

# A test does not wait for timeouts that are made for the long run.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
# A node that was killed is let in again only after its old session.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500

# Small: few partitions of its own topics, little memory set aside.
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
share.coordinator.state.topic.num.partitions=4
log.index.size.max.bytes=1048576
log.preallocate=false
log.cleaner.dedupe.buffer.size=16777216
"
    );
    for (key, value) in given.extra {
        // The last of a name counts.
        text.push_str(&format!("{key}={value}\n"));
    }
    text
}
