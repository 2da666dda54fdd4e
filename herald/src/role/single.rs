//! That results are gathered by one process alone: its store is a file that no other can see.

use std::{sync::Arc, time::Duration};

use kafka::{GroupMember, Kafka};
use results::{GROUP, Service};
use runtime::health::Check;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::stages::Gate;

/// How often it is looked whether a predecessor is gone.
const LOOK: Duration = Duration::from_millis(250);
/// How often it is looked whether somebody else has come.
const WATCH: Duration = Duration::from_secs(5);

/// Why results are not gathered here.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Somebody else gathers them.
    #[error(
        "another process gathers results already: {0}; results keeps its store in SQLite, which one process owns, so \
         there can be no second one: stop that one first"
    )]
    Another(String),
    /// The stage itself failed.
    #[error(transparent)]
    Results(#[from] results::Error),
}

/// The only process that gathers results.
pub(super) struct Single {
    kafka: Arc<Kafka>,
    instance: String,
    expiry: Duration,
    check: Check,
    /// Open once it is known that nobody else gathers them.
    pub(super) alone: Gate,
}

impl Single {
    /// `expiry` is how long a process that was killed may still seem to be there.
    pub(super) fn new(kafka: Arc<Kafka>, told: &kafka::Config, expiry: Duration, check: Check) -> Self {
        Self { kafka, instance: told.instance.clone(), expiry, check, alone: Gate::closed() }
    }

    /// Gathers results, if nobody else does.
    ///
    /// # Errors
    /// See [`Error`].
    pub(super) async fn run(self, results: Service, shutdown: CancellationToken) -> Result<(), Error> {
        match shutdown.run_until_cancelled(self.alone()).await {
            Some(alone) => alone?,
            None => return Ok(()),
        }
        self.check.ready();
        self.alone.pass();
        tokio::select! {
            ended = results.run(shutdown) => Ok(ended?),
            another = self.another() => Err(Error::Another(another)),
        }
    }

    /// Ends once nobody else is in the group. A predecessor that was killed is, until it expires.
    async fn alone(&self) -> Result<(), Error> {
        let begun = Instant::now();
        let mut said = false;
        loop {
            match self.kafka.members(GROUP).await {
                Ok(members) if members.is_empty() => return Ok(()),
                Ok(members) if begun.elapsed() >= self.expiry => return Err(Error::Another(named(&members))),
                Ok(members) => {
                    if !std::mem::replace(&mut said, true) {
                        let members = named(&members);
                        self.check.not_ready(format!("{members} gathered results before, and is not gone yet"));
                        tracing::info!(members, "waiting for whoever gathered results before to be gone");
                    }
                }
                Err(bus::Error::Unavailable(reason)) => {
                    tracing::debug!(reason, "it cannot be seen who gathers results; trying again");
                }
                Err(error) => return Err(results::Error::Bus(error).into()),
            }
            sleep(LOOK).await;
        }
    }

    /// Ends when somebody came at the same time and has the right of way: one of the two must go, and both know which.
    async fn another(&self) -> String {
        loop {
            sleep(WATCH).await;
            // A bus that cannot be asked now cannot be joined by others either.
            let Ok(members) = self.kafka.members(GROUP).await else { continue };
            let before = |member: &GroupMember| member.instance.as_ref().is_none_or(|it| *it < self.instance);
            let others: Vec<GroupMember> = members.into_iter().filter(before).collect();
            if !others.is_empty() {
                return named(&others);
            }
        }
    }
}

/// `instance a on 10.0.0.7`, for each.
fn named(members: &[GroupMember]) -> String {
    let name = |member: &GroupMember| match &member.instance {
        Some(instance) => format!("instance {instance} on {}", member.host),
        None => format!("`{}` on {}", member.client_id, member.host),
    };
    members.iter().map(name).collect::<Vec<_>>().join(", ")
}
