//! How long others' progress stops when a process leaves, dies and comes back, or dies for good: measured at a plain
//! `read_committed` reader downstream, and told, not asserted. With the times of a deployment.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{Message as _, Offset, TopicPartitionList, consumer::Consumer as _};
use tokio::task::JoinHandle;

use crate::{
    count::{blocking, client, count, partitions},
    given::Given,
    harness::{Input, behind, bus, prefix, wait_for},
    process::{Worker, freeze_in_commit},
    storm::report,
};

/// How long it is watched before and after: longer than a session and a transaction may last.
const WATCH: Duration = Duration::from_secs(14);

/// When copies of each input partition were seen.
type Seen = HashMap<String, Vec<Instant>>;

/// Reads copies as they come, until told to stop.
struct Downstream {
    stopped: Arc<AtomicBool>,
    task: JoinHandle<Seen>,
}

impl Downstream {
    fn start(given: &Given) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let (stop, given) = (stopped.clone(), given.clone());
        let task = tokio::task::spawn_blocking(move || {
            let reader = client(&given, "read_committed");
            let mut list = TopicPartitionList::new();
            for partition in partitions() {
                list.add_partition_offset(&format!("{}out", given.prefix), partition, Offset::End).unwrap();
            }
            reader.assign(&list).unwrap();
            let mut seen = Seen::new();
            while !stop.load(Ordering::Acquire) {
                if let Some(Ok(message)) = reader.poll(Duration::from_millis(20)) {
                    let key = std::str::from_utf8(message.key().unwrap()).unwrap();
                    let (partition, _) = key.split_once('@').unwrap();
                    seen.entry(partition.to_owned()).or_default().push(Instant::now());
                }
            }
            seen
        });
        Self { stopped, task }
    }

    async fn stop(self) -> Seen {
        self.stopped.store(true, Ordering::Release);
        self.task.await.unwrap()
    }
}

/// The longest time without a copy of a partition, from a moment on.
fn gap(seen: &[Instant], from: Instant) -> Duration {
    let before = seen.iter().rfind(|at| **at <= from).copied().unwrap_or(from);
    let after = seen.iter().filter(|at| **at > from).copied();
    let mut last = before;
    after.map(|at| std::mem::replace(&mut last, at).elapsed().saturating_sub(at.elapsed())).max().unwrap_or_default()
}

/// Which partitions a worker has now, by what it said.
fn has(worker: &Worker) -> Vec<String> {
    let mut has: Vec<String> = Vec::new();
    for line in worker.said() {
        let mut words = line.split(' ');
        match words.next() {
            Some("opened") => has.extend(words.next().map(str::to_owned)),
            Some("revoking" | "lost") => {
                let gone: Vec<&str> = words.collect();
                has.retain(|at| !gone.contains(&at.as_str()));
            }
            _ => {}
        }
    }
    has
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures, for a minute: `just long` runs it"]
async fn how_long_others_stop_is_told() {
    let given = Given { spread: true, ..Given::new(broker::shared(), &prefix("stops")) };
    let bus = bus(&given).await;
    let input = Input::start(bus.clone(), 1000);
    let mut workers: Vec<Worker> = ["1", "2", "3"].map(|name| Worker::start(given.named(name))).into();
    for what in ["a graceful leave", "kill -9 with a restart", "kill -9 without a successor"] {
        wait_for("two partitions each", async || workers.iter().all(|worker| has(worker).len() == 2).then_some(()))
            .await;
        let downstream = Downstream::start(&given);
        tokio::time::sleep(Duration::from_secs(4)).await;
        let victim = workers.swap_remove(0);
        let own = has(&victim);
        if what.starts_with("kill") {
            // Within a transaction, if it can be helped: its records hold up readers downstream until it is ended.
            freeze_in_commit(&victim, Duration::from_millis(4)).await;
        }
        let happened = Instant::now();
        let again = match what {
            "a graceful leave" => victim.leave().await,
            "kill -9 with a restart" => {
                let given = victim.kill();
                workers.push(Worker::start(given.clone()));
                given
            }
            _ => victim.kill(),
        };
        tokio::time::sleep(WATCH).await;
        let seen = downstream.stop().await;
        let of = |mine: bool| {
            let gaps = seen.iter().filter(|(at, _)| own.contains(at) == mine).map(|(_, seen)| gap(seen, happened));
            gaps.max().unwrap_or_default()
        };
        report(&format!("{what}: others stop for {:.2?}, its own partitions for {:.2?}", of(false), of(true)));
        if workers.len() < 3 {
            workers.push(Worker::start(again));
        }
    }
    let accepted = input.stop().await;
    wait_for("every record to be copied", async || behind(&bus).await.filter(|behind| *behind == 0)).await;
    for worker in workers {
        worker.leave().await;
    }
    let count = blocking(move || count(&given, accepted)).await;
    assert!(
        count.lost.is_empty() && count.repeated.is_empty(),
        "{} lost, {} repeated",
        count.lost.len(),
        count.repeated.len()
    );
}
