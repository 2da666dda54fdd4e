//! The topics of the pipeline, without the configured prefix, and how a key chooses a partition.

use crate::names::GroupName;

/// What came in, as received: see [`crate::raw`].
pub const RAW: &str = "raw";
/// What was refused, with the reason: see [`crate::rejected`].
pub const REJECTED: &str = "rejected";
/// What happened to invocations, events and job runs: see [`crate::progress`].
pub const PROGRESS: &str = "progress";
/// The summary of each correlation that completed: see [`crate::summary`].
pub const COMPLETED: &str = "completed";
/// The catalog, whole, in numbered records.
pub const CATALOG: &str = "catalog";
/// Orders to runners.
pub const CONTROL: &str = "control";
/// The detector's side topic of recent ids, partitioned as [`RAW`].
pub const SEEN: &str = "seen";
/// Which consumer groups have begun in which partitions, on Kafka.
pub const STARTS: &str = "starts";
/// What every event topic begins with.
pub const EVENT_PREFIX: &str = "event.";
/// What the topics begin with in which jobs keep what waits: see [`crate::lane`].
pub const LANE_PREFIX: &str = "lane.";
/// What the topics of dead letters begin with: see [`crate::dead`].
pub const DEAD_PREFIX: &str = "dead.";

/// Where a job keeps what waits.
pub fn lane(group: &GroupName) -> String {
    format!("{LANE_PREFIX}{group}")
}

/// Where a job's dead letters are.
pub fn dead(group: &GroupName) -> String {
    format!("{DEAD_PREFIX}{group}")
}

/// The topics whose values are lines, so that of one commit's records those of one partition may be joined to one.
pub const LINES: &[&str] = &[PROGRESS];

/// The partition of a key, as Kafka's Java clients choose it: murmur2 of the bytes, its sign bit cleared, modulo the
/// number of partitions. Done by us on every bus, so that a key has one partition everywhere.
pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partitions.max(1)
}

/// Murmur2 with the seed that Kafka uses (`org.apache.kafka.common.utils.Utils.murmur2`).
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_hashed_as_java_clients_do() {
        // The vectors of Kafka's own UtilsTest.testMurmur2.
        for (key, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
        assert_eq!(partition_of(b"abc", 1), 0);
        assert!(partition_of(b"21", 6) < 6);
    }
}
