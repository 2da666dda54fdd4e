//! Why positions are fetched and assigned by us.
//!
//! A process is stopped between sending positions and ending its transaction, and loses its partitions. Until that transaction
//! has timed out the broker tells its successor that the positions are *unstable*. If the assignment changes meanwhile,
//! librdkafka forgets that there are positions, and begins where `auto.offset.reset` says: with `earliest` it repeats what
//! was copied, with `latest` it would lose what was not. The same script runs against both; only who copies differs.

use std::time::Duration;

use kafka::Kafka;
use rdkafka::consumer::Consumer as _;

use crate::{
    count::{Count, blocking, client, count},
    given::{Given, Kind},
    harness::{PATIENCE, behind, bus, prefix, publish, wait_for},
    process::Worker,
    storm::report,
};

const SESSION: Duration = Duration::from_secs(2);
/// Long enough for the group to lose two members meanwhile.
const TRANSACTION: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it shows what librdkafka does, not what we do: `just long` runs it"]
async fn librdkafka_left_to_itself_repeats_records_while_a_transaction_is_open() {
    let count = script(Kind::Naive).await;
    report(&format!("librdkafka repeated {} of {} records", count.repeated.len(), count.inputs));
    assert!(
        !count.repeated.is_empty(),
        "if librdkafka no longer does this, the bus may look up positions as others do"
    );
    assert_eq!(count.lost, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_members_repeat_nothing_while_a_transaction_is_open() {
    script(Kind::Ours).await.assert_each_once();
}

async fn script(kind: Kind) -> Count {
    let given = Given::new(broker::shared(), &prefix("positions")).times(SESSION, TRANSACTION);
    let bus = bus(&given).await;

    // There are positions to forget.
    publish(&bus, 0, 300).await;
    let mut holder = Worker::start(given.named("holder").of(Kind::Holder));
    copied(&bus).await;

    // Three members of two partitions each; the holder stops between sending its positions and the end of its transaction.
    let stays = Worker::start(given.named("stays").of(kind));
    let leaves = Worker::start(given.named("leaves").of(kind));
    members(&given, 3).await;
    wait_for("the holder to have two partitions", async || {
        holder.said().iter().rfind(|line| line.contains(", has ")).filter(|line| line.ends_with("has 2")).map(drop)
    })
    .await;
    holder.tell("hold");
    holder.says("will hold", 0).await;
    publish(&bus, 300, 360).await;
    assert_eq!(holder.says("holding", 0).await, "holding 2");
    holder.freeze();

    // The broker gives one of its partitions to each of the others; then the assignment of the one that stays changes again.
    members(&given, 2).await;
    leaves.leave().await;
    members(&given, 1).await;
    publish(&bus, 360, 420).await;
    copied(&bus).await;

    // What the holder began does not count.
    holder.thaw();
    assert!(!holder.end().await.success(), "{}", holder.story());
    stays.leave().await;
    blocking(move || count(&given, 420)).await
}

async fn copied(bus: &Kafka) {
    wait_for("every record to be copied", async || behind(bus).await.filter(|behind| *behind == 0)).await;
}

/// Waits until the group has settled with so many members.
async fn members(given: &Given, wanted: usize) {
    let group = format!("{}copy", given.prefix);
    let observer = std::sync::Arc::new(client(given, "read_committed"));
    wait_for(&format!("a group of {wanted}"), async || {
        let (observer, group) = (observer.clone(), group.clone());
        blocking(move || {
            let list = observer.fetch_group_list(Some(&group), PATIENCE).ok()?;
            let group = list.groups().first()?;
            (group.state() == "Stable" && group.members().len() == wanted).then_some(())
        })
        .await
    })
    .await;
}
