//! A bus within one process: one thread, the [`broker`], owns every offset, position and group, and commits whatever has
//! been queued as one transaction of a [`storage::Storage`]. [`crate::embedded`] gives it SQLite, [`crate::hostile`]
//! memory and bad manners.
//!
//! Why one thread: offsets are drawn, shares checked and partitions handed over in one order, so that no lock decides
//! whether a commit or a rebalance came first. Readers never go through it: they read the [`log`], and the store behind it.

pub(crate) mod batch;
pub(crate) mod broker;
pub(crate) mod bus;
pub(crate) mod chaos;
pub(crate) mod commit;
pub(crate) mod group;
pub(crate) mod groups;
pub(crate) mod inbox;
pub(crate) mod log;
pub(crate) mod member;
pub(crate) mod storage;

pub(crate) use bus::{Local, Within};
