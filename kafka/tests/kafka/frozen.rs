//! A process that is frozen within a transaction for longer than the transaction may live: it goes on by itself.

use std::time::Duration;

use crate::{
    count::{blocking, count},
    given::Given,
    harness::{Input, behind, bus, long, prefix, wait_for},
    process::{Worker, freeze_in_commit},
    storm::report,
};

/// The session is the longer one, so that it is still a member when its transaction has been ended.
const SESSION: Duration = Duration::from_secs(20);
const TRANSACTION: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_whose_transaction_outlived_its_timeout_goes_on_by_itself() {
    let given = Given::new(broker::shared(), &prefix("frozen")).times(SESSION, TRANSACTION);
    let bus = bus(&given).await;
    let input = Input::start(bus.clone(), 1500);
    let mut worker = Worker::start(given.clone());
    worker.says("committed", 20).await;
    let tries = if long() { 40 } else { 3 };
    for round in 0..tries {
        freeze_in_commit(&worker, Duration::from_millis(round % 8)).await;
        // Longer than its transaction may live, and than it takes the broker to look.
        tokio::time::sleep(TRANSACTION + Duration::from_millis(1500)).await;
        let before = worker.times("committed");
        worker.thaw();
        worker.says("committed", before + 3).await;
    }
    let outlived = worker.logged("is replaced") || worker.logged("is not known") || worker.logged("was aborted");
    report(&format!("of {tries} freezes, some within a transaction: {outlived}"));
    let accepted = input.stop().await;
    wait_for("every record to be copied", async || behind(&bus).await.filter(|behind| *behind == 0)).await;
    worker.leave().await;
    blocking(move || count(&given, accepted)).await.assert_each_once();
}
