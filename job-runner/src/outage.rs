//! Whether the bus is there, as the jobs of one process see it: an outage concerns them all, so that it is said once.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use contracts::names::GroupName;

/// The jobs that wait for the bus.
#[derive(Debug, Default)]
pub(crate) struct Outage(Mutex<HashSet<GroupName>>);

impl Outage {
    /// The bus is unavailable for a job, which tries again by itself.
    pub(crate) fn begins(&self, group: &GroupName, error: &bus::Error) {
        let mut waiting = self.lock();
        if waiting.insert(group.clone()) && waiting.len() == 1 {
            tracing::warn!(job.name = group.full_name(), %error, "jobs wait for the bus; they try again by themselves");
        } else {
            tracing::debug!(job.name = group.full_name(), %error, "a job waits for the bus");
        }
    }

    /// The bus answered a job, or the job is gone.
    pub(crate) fn ends(&self, group: &GroupName) {
        let mut waiting = self.lock();
        if waiting.remove(group) && waiting.is_empty() {
            tracing::info!("the bus is there again, for every job");
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<GroupName>> {
        // Nothing that holds the lock can panic half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
