//! What a role needs before its stages begin: the bus, and its topics. Until then they wait, and it is said why.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use bus::{Bus, TopicSpec};
use kafka::Reach;
use runtime::health::Check;
use tokio_util::sync::CancellationToken;

use crate::stages::Gate;

/// How long until a bus that is away, or a topic that is missing, is looked for again.
const AGAIN: Duration = Duration::from_secs(1);

/// The topics that a role needs.
pub(super) struct Topics {
    pub(super) bus: Arc<dyn Bus>,
    pub(super) specs: Vec<TopicSpec>,
    /// Whether those that are missing are created, or awaited.
    pub(super) create: bool,
    /// Who of the process reaches no broker.
    pub(super) reach: Reach,
    pub(super) check: Check,
}

impl Topics {
    /// Makes sure of the topics, opens the gate, and tells whether the brokers can be reached until the shutdown.
    ///
    /// # Errors
    /// The bus has stopped for good.
    pub(super) async fn keep(self, gate: Gate, shutdown: CancellationToken) -> Result<(), bus::Error> {
        if let Some(there) = shutdown.run_until_cancelled(self.there()).await {
            there?;
            self.check.ready();
            gate.pass();
            shutdown.run_until_cancelled(self.tell_reach()).await;
        }
        Ok(())
    }

    /// Is not ready while somebody reaches no broker, because.
    async fn tell_reach(&self) {
        let mut told = self.reach.follow();
        loop {
            let lost: BTreeMap<String, String> = told.borrow_and_update().clone();
            if lost.is_empty() {
                self.check.ready();
            } else {
                let each = lost.iter().map(|(who, why)| format!("{who}: {why}"));
                self.check.not_ready(each.collect::<Vec<_>>().join("; "));
            }
            // Its sender is in `reach`.
            if told.changed().await.is_err() {
                return;
            }
        }
    }

    /// Ends once all of them are there. What is in the way is said once, until it is something else.
    async fn there(&self) -> Result<(), bus::Error> {
        let mut said = String::new();
        loop {
            let in_the_way = match self.look().await {
                Ok(None) => return Ok(()),
                Ok(Some(missing)) => missing,
                Err(error @ bus::Error::Stopped(_)) => return Err(error),
                Err(error) => error.to_string(),
            };
            if said != in_the_way {
                tracing::warn!(reason = in_the_way, "waiting until the bus can be used; trying again every second");
                self.check.not_ready(in_the_way.clone());
                said = in_the_way;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// What is missing, and what to do about it.
    async fn look(&self) -> Result<Option<String>, bus::Error> {
        let there: HashSet<_> = self.bus.topics().await?.into_iter().map(|info| info.topic).collect();
        let missing: Vec<TopicSpec> = self.specs.iter().filter(|spec| !there.contains(&spec.topic)).cloned().collect();
        if missing.is_empty() {
            return Ok(None);
        }
        if self.create {
            self.bus.create(missing).await?;
            return Ok(None);
        }
        let names: Vec<String> = missing.iter().map(|spec| format!("`{}`", spec.topic)).collect();
        Ok(Some(format!(
            "the topics {} are missing, and `bus.kafka.create-topics` is off: run `herald topics apply`, or create them \
             as `herald topics plan` shows",
            names.join(", ")
        )))
    }
}
