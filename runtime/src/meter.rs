//! What each task of a process costs: processor time, and what it writes.
//!
//! The supervisor gives each of its tasks a [`Meter`]; what a task spawns belongs to it as long as that goes through
//! [`inherit`] or [`blocking`]. Asking the system for a thread's processor time takes most of a microsecond, so that of the polls of a
//! task one in sixteen is measured, at random, and counts for all of them.

use std::{
    cell::Cell,
    collections::BTreeMap,
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// One poll in so many is measured.
const SAMPLED: u64 = 16;

tokio::task_local! {
    static CURRENT: Arc<Meter>;
}

/// What one task has cost since the process began, with all that it spawned.
#[derive(Debug, Default)]
pub struct Meter {
    cpu_nanos: AtomicU64,
    commits: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
}

/// What a [`Meter`] shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reading {
    /// Processor time in microseconds, of its share of the asynchronous threads and of its blocking work; an estimate.
    pub cpu_micros: u64,
    /// How often it wrote.
    pub commits: u64,
    /// How many records.
    pub records: u64,
    /// How many bytes of records, with their keys and headers.
    pub bytes: u64,
}

/// The meters of a process, by task.
#[derive(Debug, Clone, Default)]
pub struct Meters(Arc<Mutex<BTreeMap<&'static str, Arc<Meter>>>>);

impl Meters {
    /// The meter of a task, which goes on where it was when the task is started again.
    pub(crate) fn of(&self, task: &'static str) -> Arc<Meter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(task).or_default().clone()
    }

    /// What each shows now.
    pub fn read(&self) -> BTreeMap<&'static str, Reading> {
        let meters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        meters.iter().map(|(task, meter)| (*task, meter.read())).collect()
    }
}

impl Meter {
    fn read(&self) -> Reading {
        Reading {
            cpu_micros: self.cpu_nanos.load(Relaxed) / 1000,
            commits: self.commits.load(Relaxed),
            records: self.records.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
        }
    }

    /// Does something on this thread, whose processor time counts so many times.
    fn measure<T>(self: &Arc<Self>, times: u64, work: impl FnOnce() -> T) -> T {
        let before = thread_nanos();
        let done = CURRENT.sync_scope(self.clone(), work);
        self.cpu_nanos.fetch_add(thread_nanos().saturating_sub(before).saturating_mul(times), Relaxed);
        done
    }
}

/// Runs a future on a meter.
pub(crate) async fn metered<F: Future>(meter: Arc<Meter>, work: F) -> F::Output {
    let mut work = pin!(work);
    poll_fn(|context| {
        if is_sampled() {
            meter.measure(SAMPLED, || work.as_mut().poll(context))
        } else {
            CURRENT.sync_scope(meter.clone(), || work.as_mut().poll(context))
        }
    })
    .await
}

/// A future on the meter of the task that calls this: to be spawned.
pub fn inherit<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let meter = CURRENT.try_with(Arc::clone).ok();
    async move {
        match meter {
            Some(meter) => metered(meter, work).await,
            None => work.await,
        }
    }
}

/// Blocking work on the meter of the task that calls this: to be given to a thread.
pub fn blocking<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let meter = CURRENT.try_with(Arc::clone).ok();
    move || match meter {
        Some(meter) => meter.measure(1, work),
        None => work(),
    }
}

/// The task that calls this writes so many records of so many bytes, at once.
pub fn commit(records: usize, bytes: usize) {
    // Outside the supervisor's tasks nobody counts.
    let _ = CURRENT.try_with(|meter| {
        meter.commits.fetch_add(1, Relaxed);
        meter.records.fetch_add(records as u64, Relaxed);
        meter.bytes.fetch_add(bytes as u64, Relaxed);
    });
}

fn thread_nanos() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// Whether this poll is measured: at random (xorshift), so that nothing that repeats is always measured, or never.
fn is_sampled() -> bool {
    thread_local! {
        static RANDOM: Cell<u64> = const { Cell::new(0x9E37_79B9_7F4A_7C15) };
    }
    RANDOM.with(|random| {
        let mut next = random.get();
        next ^= next << 13;
        next ^= next >> 7;
        next ^= next << 17;
        random.set(next);
        next.is_multiple_of(SAMPLED)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spin(rounds: u64) -> u64 {
        (0..rounds).fold(1, |sum: u64, round| std::hint::black_box(sum.wrapping_mul(31).wrapping_add(round)))
    }

    #[tokio::test]
    async fn what_a_task_and_all_that_it_spawns_cost_is_its_own() {
        let meters = Meters::default();
        let task = async {
            let spawned = tokio::spawn(inherit(async {
                commit(2, 100);
                for _ in 0..400 {
                    spin(20_000);
                    tokio::task::yield_now().await;
                }
            }));
            spawned.await.expect("it ends");
            tokio::task::spawn_blocking(blocking(|| commit(3, 50))).await.expect("it ends");
        };
        metered(meters.of("one"), task).await;
        metered(meters.of("other"), async { tokio::task::yield_now().await }).await;
        let read = meters.read();
        let (one, other) = (read["one"], read["other"]);
        assert_eq!((one.commits, one.records, one.bytes), (2, 5, 150));
        assert!(one.cpu_micros > other.cpu_micros, "{one:?} {other:?}");
        assert_eq!(other.commits, 0);
    }

    #[tokio::test]
    async fn outside_a_task_nobody_counts() {
        assert_eq!(inherit(async { 1 }).await, 1);
        assert_eq!(blocking(|| 2)(), 2);
        commit(1, 1);
    }

    #[test]
    fn about_one_in_so_many_is_measured() {
        let sampled = (0..160_000).filter(|_| is_sampled()).count();
        assert!((8_000..12_000).contains(&sampled), "{sampled}");
    }
}
