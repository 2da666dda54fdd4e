//! What the bus on Kafka owes its stages when things fail: processes that are killed, frozen and thawed, members that come
//! and go, brokers that go away, topics and records that vanish. Most tests end with a count by a plain `read_committed` reader:
//! each record is there exactly once.
//!
//! Members live in processes of their own ([`worker`]): this very binary, started again. `HERALD_LONG=1` makes the storms
//! minutes long; `HERALD_STORM_SEED` repeats the choices of one. `docs/failures.md` says what is tried and what is guaranteed.
#![expect(clippy::unwrap_used, reason = "tests")]

mod away;
mod count;
mod frozen;
mod given;
mod harness;
mod instance;
mod once;
mod positions;
mod process;
mod refused;
mod stops;
mod storm;
mod vanished;
mod worker;
