//! What an operator has said about one job, as its group is told.

use std::sync::Arc;

use contracts::{
    control::{Given, Hold, Standing},
    names::GroupName,
};
use jiff::Timestamp;

/// The state of a job and its orders. The orders are all that may still be begun: which of them are done, the log says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Word {
    /// Why the job starts nothing; none if it may.
    pub(crate) hold: Option<Arc<Hold>>,
    /// In the order in which they were given.
    pub(crate) orders: Vec<Arc<Given>>,
    /// When somebody last let it go on.
    pub(crate) resumed: Option<Timestamp>,
}

impl Word {
    /// What all that was said comes to for one job.
    pub(crate) fn of(standing: &Standing, group: &GroupName, now: Timestamp) -> Self {
        let (hold, orders) = (standing.hold_of(group).cloned(), standing.orders_of(group, now).cloned().collect());
        Self { hold, orders, resumed: standing.resumed(group) }
    }
}
