//! Copying while processes are killed, frozen beyond their session, thawed, leave and join; then a count.

use std::time::{Duration, Instant};

use crate::{
    count::{blocking, count},
    given::Given,
    harness::{Input, behind, bus, long, prefix, wait_for},
    process::{Worker, freeze_in_commit},
};

/// Short, so that a storm is dense.
const SESSION: Duration = Duration::from_secs(2);
const TRANSACTION: Duration = Duration::from_secs(2);

/// Numbers that look random, the same ones for the same seed (xorshift64*).
struct Random(u64);

impl Random {
    fn of_environment() -> Self {
        let clock = jiff::Timestamp::now().as_nanosecond() as u64;
        let given = std::env::var("HERALD_STORM_SEED").ok().map(|text| text.parse().unwrap());
        let seed = given.unwrap_or(clock) | 1;
        report(&format!("HERALD_STORM_SEED={seed}"));
        Self(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

#[expect(clippy::print_stderr, reason = "shown when it fails, and with --nocapture")]
pub(crate) fn report(line: &str) {
    eprintln!("{line}");
}

/// The workers, and those that are frozen until some time.
struct Workers {
    given: Given,
    running: Vec<Worker>,
    frozen: Vec<(Instant, Worker)>,
    /// Instances that may be started again, from some time on.
    gone: Vec<(Instant, Given)>,
    next: u32,
}

impl Workers {
    fn start(given: Given, count: u32) -> Self {
        let mut workers = Self { given, running: Vec::new(), frozen: Vec::new(), gone: Vec::new(), next: 1 };
        (0..count).for_each(|_| workers.join());
        workers
    }

    fn join(&mut self) {
        self.running.push(Worker::start(self.given.named(&self.next.to_string())));
        self.next += 1;
    }

    /// What is due: frozen ones are thawed, gone ones come back.
    fn due(&mut self) {
        let now = Instant::now();
        let (frozen, gone) = (&mut self.frozen, &mut self.gone);
        for (_, worker) in frozen.extract_if(.., |(at, _)| *at <= now) {
            worker.thaw();
            self.running.push(worker);
        }
        for (_, given) in gone.extract_if(.., |(at, _)| *at <= now) {
            self.running.push(Worker::start(given));
        }
        for worker in &mut self.running {
            worker.check();
            assert!(worker.ended().is_none(), "a worker ended by itself\n{}", worker.story());
        }
    }

    /// One thing that happens to a worker.
    async fn something(&mut self, random: &mut Random) -> &'static str {
        // One is always left in peace, so that there is progress.
        if self.running.len() < 2 {
            self.join();
            return "join";
        }
        let index = usize::try_from(random.below(self.running.len() as u64)).unwrap();
        let victim = self.running.swap_remove(index);
        let now = Instant::now();
        match random.below(7) {
            0 => {
                self.gone.push((now, victim.kill()));
                "kill -9, and a restart"
            }
            1 => {
                self.gone.push((now + SESSION * 2, victim.kill()));
                "kill -9"
            }
            2 => {
                let again = victim.leave().await;
                self.gone.push((now + random.millis(0, 1500), again));
                "leave"
            }
            3 if self.running.len() < 4 => {
                self.running.push(victim);
                self.join();
                "join"
            }
            // Where librdkafka waits to join when it is evicted, it keeps what it had.
            4 if self.running.len() < 5 => {
                self.join();
                tokio::time::sleep(random.millis(100, 900)).await;
                victim.freeze();
                self.frozen.push((Instant::now() + SESSION + TRANSACTION / 2 + random.millis(0, 2000), victim));
                "a join, and a freeze within its rebalance"
            }
            5 => {
                freeze_in_commit(&victim, random.millis(0, 12)).await;
                self.frozen.push((now + random.millis(100, 900), victim));
                "a short freeze"
            }
            _ => {
                freeze_in_commit(&victim, random.millis(0, 12)).await;
                self.frozen.push((now + SESSION + TRANSACTION / 2 + random.millis(0, 2000), victim));
                "a freeze beyond the session"
            }
        }
    }

    fn all_back(&mut self) {
        self.frozen.iter_mut().for_each(|(at, _)| *at = Instant::now());
        self.gone.iter_mut().for_each(|(at, _)| *at = Instant::now());
        self.due();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_kills_freezes_leaves_and_joins_loses_nothing_and_doubles_nothing() {
    let given = Given::new(broker::shared(), &prefix("storm")).times(SESSION, TRANSACTION);
    let bus = bus(&given).await;
    let mut random = Random::of_environment();
    let mut workers = Workers::start(given.clone(), 3);
    let input = Input::start(bus.clone(), 1500);
    let end = Instant::now() + if long() { Duration::from_secs(600) } else { Duration::from_secs(18) };
    let mut happened = Vec::new();
    while Instant::now() < end {
        workers.due();
        happened.push(workers.something(&mut random).await);
        // The moment itself is what is random here: nothing is hoped for.
        tokio::time::sleep(random.millis(200, 1800)).await;
    }
    workers.all_back();
    let accepted = input.stop().await;
    wait_for("every record to be copied", async || {
        workers.due();
        behind(&bus).await.filter(|behind| *behind == 0)
    })
    .await;
    for worker in workers.running {
        worker.leave().await;
    }
    let count = blocking(move || count(&given, accepted)).await;
    happened.sort_unstable();
    let kinds = happened.chunk_by(|a, b| a == b).map(|same| format!("{} × {}", same.len(), same[0]));
    report(&format!("{} records, each once, through {}", count.inputs, kinds.collect::<Vec<_>>().join(", ")));
    count.assert_each_once();
}
