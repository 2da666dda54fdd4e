//! Where orders are taken: which job is meant, and the record on `control` that says so.

use std::{sync::Arc, time::Duration};

use axum::http::{HeaderValue, StatusCode, header};
use bus::{Outgoing, PublishError};
use bytes::Bytes;
use contracts::{
    control::{Control, Standing, What, order_key},
    names::GroupName,
    topics::{self, CONTROL},
};
use jiff::Timestamp;
use runtime::problem::Problem;
use tokio::time::timeout;

use super::{Api, events::topic, failed, unavailable};
use crate::jobs::{Job, Jobs};

/// How long an answer waits until what was ordered is known here, too, so that who asks next is told.
const KNOWN: Duration = Duration::from_secs(2);
/// How many names are listed where several are meant.
const NAMED: usize = 5;

/// The desk, as things stand.
pub(super) struct Desk<'a> {
    pub(super) api: &'a Api,
    pub(super) jobs: &'a Arc<dyn Jobs>,
    pub(super) standing: Arc<Standing>,
}

/// A job that is meant.
pub(super) struct Meant {
    pub(super) group: GroupName,
    /// As the catalog has it; none if it knows the job no more.
    pub(super) job: Option<Job>,
}

impl Meant {
    pub(super) fn name(&self) -> &str {
        self.group.full_name()
    }

    /// Whether it is in the catalog.
    pub(super) fn is_listed(&self) -> bool {
        self.job.as_ref().is_some_and(|job| !job.retired)
    }
}

impl<'a> Desk<'a> {
    /// Opens it.
    pub(super) fn open(api: &'a Api) -> Result<Self, Problem> {
        let later = |detail: &str| {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
                .with(header::RETRY_AFTER, HeaderValue::from_static("1"))
        };
        let Some(jobs) = api.handle.jobs() else {
            return Err(Problem::new(StatusCode::NOT_FOUND, "nobody here knows the jobs"));
        };
        let standing = jobs.said().borrow().clone();
        let standing = standing.ok_or_else(|| later("it is not known yet what was ordered before; ask again"))?;
        Ok(Self { api, jobs, standing })
    }

    /// The job of that full name, or the only one of that short name. One that the catalog knows no more is known by its dead
    /// letters, or by what was said about it.
    pub(super) async fn find(&self, text: &str) -> Result<Meant, Problem> {
        let all = self.jobs.all();
        if let Some(job) = all.iter().find(|job| job.group.full_name() == text) {
            return Ok(Meant { group: job.group.clone(), job: Some(job.clone()) });
        }
        let mut short = all.into_iter().filter(|job| job.name.as_str() == text);
        if let Some(first) = short.next() {
            let others: Vec<Job> = short.collect();
            if others.is_empty() {
                return Ok(Meant { group: first.group.clone(), job: Some(first) });
            }
            let names: Vec<&str> = [&first].into_iter().chain(&others).map(|job| job.group.full_name()).collect();
            let detail = format!("`{text}` may be {} jobs; give the full name: {}", names.len(), listed(&names));
            return Err(Problem::new(StatusCode::CONFLICT, detail));
        }
        let group = GroupName::of_full_name(text);
        if self.standing.hold_of(&group).is_some() || topic(self.api, &topics::dead(&group)).await?.is_some() {
            return Ok(Meant { group, job: None });
        }
        let detail = format!("there is no job `{text}`; `GET /v1/jobs` (`herald jobs`) lists them");
        Err(Problem::new(StatusCode::NOT_FOUND, detail))
    }

    /// Writes what was ordered, and with it the deletion of orders that nobody begins any more.
    pub(super) async fn write(&self, controls: &[Control]) -> Result<(), Problem> {
        let orders = controls.iter().map(|one| Outgoing::new(CONTROL, one.key(), one.encode()));
        let expired = self.standing.expired(Timestamp::now());
        let expired = expired.map(|id| Outgoing { value: None, ..Outgoing::new(CONTROL, order_key(id), Bytes::new()) });
        self.api.bus.publish(orders.chain(expired).collect()).await.map_err(|error| refused(&error))?;
        let mut said = self.jobs.said();
        let all_known = said.wait_for(|standing| {
            standing.as_ref().is_some_and(|standing| controls.iter().all(|control| is_known(standing, control)))
        });
        // It counts all the same.
        let _ = timeout(KNOWN, all_known).await;
        Ok(())
    }
}

/// The first of many names.
pub(super) fn listed(names: &[&str]) -> String {
    let more = names.len().saturating_sub(NAMED);
    let first = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{first} and {more} more") } else { first }
}

fn is_known(standing: &Standing, control: &Control) -> bool {
    let hold = standing.hold_of(&control.group);
    match &control.what {
        What::Pause => hold.is_some_and(|hold| hold.said == control.said),
        What::Resume => hold.is_none(),
        What::Order(id, _) => standing.order(*id).is_some(),
        What::Unknown(..) => true,
    }
}

fn refused(error: &PublishError) -> Problem {
    match error {
        PublishError::Unavailable(reason) => unavailable(&bus::Error::Unavailable(reason.clone())),
        PublishError::Full { .. } => unavailable(&bus::Error::Unavailable(error.to_string())),
        PublishError::Refused(_) => failed(error),
    }
}
