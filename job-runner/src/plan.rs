//! How a group runs its job, as one catalog says it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bus::{Begin, Offset, Subscription, Topic, TopicPartition};
use catalog::{Backoff, Breaker, Circuit, Flow, Gathering, Order};
use contracts::{
    names::{GroupName, JobName},
    topics,
};

use crate::{
    error::GroupError,
    kind::{Inline, Kind},
    options::Options,
    registry::Registry,
    view::JobSpec,
};

/// A job that can be run.
pub(crate) struct Plan {
    /// The catalog's number.
    pub(crate) number: u64,
    pub(crate) name: JobName,
    pub(crate) group: GroupName,
    pub(crate) kind: Arc<dyn Kind>,
    pub(crate) options: Options,
    pub(crate) timeout: Duration,
    pub(crate) attempts: u32,
    pub(crate) backoff: Backoff,
    pub(crate) give_up_after: Option<Duration>,
    pub(crate) final_exit_codes: Vec<i32>,
    pub(crate) concurrency: usize,
    pub(crate) order: Order,
    pub(crate) gathering: Option<Gathering>,
    pub(crate) flow: Flow,
    /// When its target is left alone; none for never.
    pub(crate) breaker: Option<Breaker>,
    /// The topics of its events, and the marks at which its group begins there.
    pub(crate) reads: Subscription,
    /// Where what waits is kept, and what failed for good.
    pub(crate) lane: Topic,
    pub(crate) dead: Topic,
}

impl Plan {
    /// The way to run it at once, where its kind has one, nothing is to be read first, nothing gathers and nothing holds it back.
    pub(crate) fn inline(&self) -> Option<&dyn Inline> {
        let is_held = self.flow.rate.is_some() || self.flow.each.is_some() || self.gathering.is_some();
        self.kind.inline().filter(|_| !is_held && !self.options.takes_payload())
    }
}

/// A job as the catalog has it; whether it can be run is seen when its group starts.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) number: u64,
    pub(crate) job: JobSpec,
    pub(crate) starts: Arc<HashMap<TopicPartition, Offset>>,
}

impl Draft {
    pub(crate) fn plan(&self, registry: &Registry) -> Result<Plan, GroupError> {
        let job = &self.job;
        let kind = registry.get(&job.kind).ok_or_else(|| GroupError::UnknownKind {
            kind: job.kind.clone(),
            known: catalog::Kinds::names(registry).join(", "),
        })?;
        let breaker = match job.flow.circuit {
            Circuit::On(breaker) => Some(breaker),
            Circuit::Usual => kind.has_target().then(Breaker::default),
            Circuit::Off => None,
        };
        Ok(Plan {
            number: self.number,
            name: job.name.clone(),
            group: job.group.clone(),
            kind,
            options: Options::new(&job.filling),
            timeout: job.timeout,
            attempts: job.attempts.max(1),
            backoff: job.backoff,
            give_up_after: job.give_up_after,
            final_exit_codes: job.final_exit_codes.clone(),
            concurrency: job.concurrency.max(1),
            order: job.order,
            gathering: job.gathering.clone(),
            flow: job.flow.clone(),
            breaker,
            reads: Subscription {
                begin: Begin::At(self.starts.clone()),
                ..Subscription::to(job.events.iter().map(|event| event.topic()))
            },
            lane: topics::lane(&job.group).into(),
            dead: topics::dead(&job.group).into(),
        })
    }
}
