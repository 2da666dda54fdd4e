//! The whole pipeline on Kafka, each role with several instances, while processes, brokers and the network fail under load;
//! then a count of webhooks, events, runs and results: nothing lost, nothing twice.
//!
//! One test at a time, since each of them starts many processes. `HERALD_LONG=1` makes them minutes long and adds those that
//! are long by nature; `HERALD_CRASH_SEED` repeats the choices of a run. `docs/failures.md` says what is tried and what is
//! guaranteed.
#![expect(clippy::unwrap_used, reason = "tests")]

mod brokers;
mod disk;
mod frozen;
mod jobs;
mod kills;
mod pipeline;
mod storm;
mod topics;
