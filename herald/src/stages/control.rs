//! Follows the topic `control`: what an operator has said about jobs, for all stages of the process.
//!
//! Nothing is told before the barrier is reached: a runner that knew half of it might start a job that is paused.

use std::sync::Arc;

use bus::{Bus, Outage, Record, Replay, Start, TopicPartition};
use contracts::{control::Standing, topics};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How many bytes are read at once.
const STEP: usize = 1024 * 1024;

static OUTAGE: Outage = Outage::of("whoever follows what is said about jobs");

/// What all that was said comes to, for whoever follows it; none until it is known. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Controls(watch::Sender<Option<Arc<Standing>>>);

impl Controls {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    pub(crate) fn follow(&self) -> watch::Receiver<Option<Arc<Standing>>> {
        self.0.subscribe()
    }
}

/// Follows until the shutdown.
///
/// # Errors
/// The topic does not exist, or the bus has stopped.
pub(super) async fn run(bus: Arc<dyn Bus>, controls: Controls, shutdown: CancellationToken) -> Result<(), bus::Error> {
    shutdown.run_until_cancelled(follow(&*bus, &controls)).await.unwrap_or(Ok(()))
}

async fn follow(bus: &dyn Bus, controls: &Controls) -> Result<(), bus::Error> {
    let at = TopicPartition::new(topics::CONTROL, 0);
    let mut standing = Standing::default();
    let mut replay = Replay::of(bus, &OUTAGE, &at, Start::Earliest).await?;
    while let Some(records) = replay.next().await? {
        take(&mut standing, &records);
    }
    let mut next = replay.barrier();
    loop {
        controls.0.send_replace(Some(Arc::new(standing.clone())));
        let records = loop {
            let records = OUTAGE.patiently(|| bus.read(&at, next, STEP)).await?;
            if !records.is_empty() {
                break records;
            }
            OUTAGE.patiently(|| bus.changed(&at, next)).await?;
        };
        take(&mut standing, &records);
        next = records.last().map_or(next, |last| last.offset.next());
    }
}

fn take(standing: &mut Standing, records: &[Record]) {
    for record in records {
        let key = record.key.as_deref().unwrap_or_default();
        if let Err(error) = standing.take(key, record.value.as_deref()) {
            let key = String::from_utf8_lossy(key);
            tracing::error!(%key, offset = record.offset.0, %error, "what was said about a job cannot be read");
        }
    }
}

#[cfg(test)]
mod tests {
    use bus::{
        Outgoing, TopicSpec,
        embedded::{Config, Embedded},
        hostile::Flaky,
    };
    use contracts::{
        control::{Control, Said, What},
        names::GroupName,
    };

    use super::*;

    fn said(what: What) -> Outgoing {
        let said = Said { by: "ann".into(), at: bus::now(), because: None };
        let control = Control { group: GroupName::of_full_name("charge"), said, what };
        Outgoing::new(topics::CONTROL, control.key(), control.encode())
    }

    #[tokio::test]
    async fn what_was_said_is_known_at_once_or_not_at_all_and_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let bus = Arc::new(Flaky::new(Arc::new(Embedded::open(&Config::new(folder.path())).expect("a bus"))));
        bus.create(vec![TopicSpec::table(topics::CONTROL)]).await.expect("a topic");
        bus.publish(vec![said(What::Resume), said(What::Pause)]).await.expect("published");
        let (controls, stop) = (Controls::new(), CancellationToken::new());
        let mut told = controls.follow();
        assert!(told.borrow().is_none());
        let task = tokio::spawn(run(bus.clone(), controls, stop.clone()));
        let group = GroupName::of_full_name("charge");
        let first = told.wait_for(Option::is_some).await.expect("told").clone().expect("known");
        assert!(first.hold_of(&group).is_some(), "the last that was said counts from the begin");
        bus.publish(vec![Outgoing::new(topics::CONTROL, "job.other", "{"), said(What::Resume)])
            .await
            .expect("published");
        let is_free = |told: &Option<Arc<Standing>>| told.as_ref().is_some_and(|it| it.hold_of(&group).is_none());
        let second = told.wait_for(is_free).await.expect("told").clone().expect("known");
        assert!(second.hold_of(&GroupName::of_full_name("other")).is_some(), "nothing runs by accident");
        stop.cancel();
        task.await.expect("no panic").expect("stopped");
    }
}
