//! Fetching a group's positions ourselves, until they are stable.
//!
//! librdkafka would fetch them on an assignment. While a transaction with a position is open the broker answers
//! UNSTABLE_OFFSET_COMMIT, and if the assignment changes before the next try, librdkafka forgets that there is one and begins
//! where `auto.offset.reset` says: records are repeated or skipped. So it is never asked to.

use std::{collections::HashMap, sync::Arc, time::Duration};

use rdkafka::{
    Offset as RawOffset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};

use crate::{
    cluster::{Cluster, add},
    codec::{self, Names},
    context::Rebalances,
    partitions::Fetched,
    shared::Shared,
    threads::blocking,
    verdict::unavailable,
};
use bus::{Begin, Error, Note, Position, Start, TopicPartition};

/// How long the broker may take to answer once.
const QUESTION: Duration = Duration::from_secs(2);
/// How soon it is asked again.
const AGAIN: Duration = Duration::from_millis(20);

/// What is committed for a partition; none if nothing is.
type Committed = (TopicPartition, Option<Position>);

/// Fetches positions, and hands each over as soon as it is stable. Ends when all are, when nobody takes them any more, or when
/// the member has another consumer, which fetches its own.
pub(crate) async fn fetch(
    shared: Arc<Shared>,
    cluster: Arc<Cluster>,
    begin: Begin,
    mut wanted: Vec<TopicPartition>,
    mut found: impl FnMut(Vec<Fetched>) -> bool,
) {
    let consumer = shared.consumer();
    let mut said = false;
    while !wanted.is_empty() {
        let (client, outer, asked) = (consumer.clone(), shared.names.clone(), wanted.clone());
        let answer = blocking(move || ask(&client, &outer, &asked)).await.and_then(|answer| answer);
        let answer = match answer {
            Ok(stable) => begun(&shared, &cluster, &begin, stable).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(stable) => {
                wanted.retain(|at| stable.iter().all(|found| found.at != *at));
                if !stable.is_empty() && !found(stable) {
                    return;
                }
            }
            Err(gone @ Error::PositionGone { .. }) => return shared.outbox.fail(gone),
            Err(error) if !said => {
                said = true;
                let group = &shared.group;
                tracing::info!(group, %error, "positions cannot be fetched yet; trying again until they can");
            }
            Err(_) => {}
        }
        // Nobody to find them for: the member is gone, or has begun anew.
        if !wanted.is_empty() {
            let goes_on = Arc::ptr_eq(&consumer, &shared.consumer()) && found(Vec::new());
            if !goes_on {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// Adds where the group begins in partitions in which it has no position. What the brokers do not tell is left out.
async fn begun(
    shared: &Shared,
    cluster: &Cluster,
    begin: &Begin,
    found: Vec<Committed>,
) -> Result<Vec<Fetched>, Error> {
    let without: Vec<_> = found.iter().filter(|(_, position)| position.is_none()).map(|(at, _)| at.clone()).collect();
    let is_first = *begin != Begin::Elsewhere;
    let mut begins = HashMap::new();
    if !without.is_empty() {
        if is_first && let Some(partition) = shared.starts.known(&shared.group, without.clone()).await?.pop() {
            return Err(Error::PositionGone { group: shared.group.clone(), partition });
        }
        let (said, earliest): (Vec<_>, Vec<_>) = without.into_iter().partition(|at| begin.at(at).is_some());
        begins.extend(said.into_iter().filter_map(|at| begin.at(&at).map(|offset| (at, offset))));
        begins.extend(cluster.offsets(&earliest, Start::Earliest).await?);
    }
    let each = |(at, position): Committed| match position {
        Some(position) => Some(Fetched { at, position, is_first: false }),
        None => begins.get(&at).map(|next| Fetched { position: Position::at(*next), at, is_first }),
    };
    Ok(found.into_iter().filter_map(each).collect())
}

/// Asks once; what is not stable is left out. Blocks.
fn ask(consumer: &BaseConsumer<Rebalances>, names: &Names, wanted: &[TopicPartition]) -> Result<Vec<Committed>, Error> {
    let mut list = TopicPartitionList::with_capacity(wanted.len());
    for at in wanted {
        add(&mut list, names, at, RawOffset::Invalid)?;
    }
    let answer = consumer.committed_offsets(list, QUESTION).map_err(|error| unavailable(&error))?;
    let mut stable = Vec::with_capacity(wanted.len());
    for element in answer.elements() {
        let Some(topic) = names.inner(element.topic()) else { continue };
        // Unstable: asked for again.
        if element.error().is_err() {
            continue;
        }
        let at = TopicPartition::new(topic, element.partition().cast_unsigned());
        let position = match element.offset() {
            RawOffset::Offset(next) => {
                Some(Position { next: codec::offset(next), note: note(&at, element.metadata()) })
            }
            _ => None,
        };
        stable.push((at, position));
    }
    Ok(stable)
}

/// A note that is not ours, as a tool leaves one, counts as none.
fn note(at: &TopicPartition, metadata: &str) -> Note {
    Note::new(metadata).unwrap_or_else(|error| {
        tracing::warn!(partition = %at, %error, "a position's note is not ours and is passed over");
        Note::default()
    })
}
