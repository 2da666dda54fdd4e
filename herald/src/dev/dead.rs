//! Groups of jobs that left the catalog while nobody ran: their positions would hold back retention for ever.

use std::{sync::Arc, time::Duration};

use bus::Bus;
use tokio_util::sync::CancellationToken;

use crate::stages::{Catalogs, Followed};

/// What begins the names of jobs' groups.
const JOB: &str = "job.";
/// How long until a group that could not be forgotten is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// The groups of jobs that are on the bus before anything runs.
///
/// # Errors
/// The bus has stopped.
pub(super) async fn found(bus: &dyn Bus) -> Result<Vec<String>, bus::Error> {
    let groups = bus.groups().await?;
    Ok(groups.into_iter().map(|group| group.name).filter(|name| name.starts_with(JOB)).collect())
}

/// Forgets those of the groups found at the start that no catalog names, not even as retired.
pub(super) async fn forget(bus: Arc<dyn Bus>, mut found: Vec<String>, catalogs: Catalogs, shutdown: CancellationToken) {
    let work = async {
        loop {
            let named = catalogs.some().await;
            found.retain(|group| !names(&named, group));
            let mut left = Vec::new();
            for group in found {
                match bus.forget(&group).await {
                    Ok(()) => tracing::info!(group, "forgot the position of a job that no catalog names"),
                    Err(error) => {
                        tracing::warn!(group, %error, "a position that no catalog names holds back retention");
                        left.push(group);
                    }
                }
            }
            found = left;
            if found.is_empty() {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => return,
        () = work => {}
    }
    shutdown.cancelled().await;
}

fn names(followed: &Followed, group: &str) -> bool {
    followed.catalog.jobs().chain(followed.catalog.retired()).any(|job| job.group().as_str() == group)
}

#[cfg(test)]
mod tests {
    use bus::{TopicPartition, TopicSpec, embedded::Embedded};

    use super::*;

    #[tokio::test]
    async fn only_groups_of_jobs_are_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let bus = Embedded::open(&bus::embedded::Config::new(folder.path())).expect("a bus");
        bus.create(vec![TopicSpec::new("in")]).await.expect("created");
        for group in ["detector", "job.gone"] {
            bus.place(group, vec![(TopicPartition::new("in", 0), bus::Offset::ZERO)]).await.expect("placed");
        }
        assert_eq!(found(&bus).await.expect("a list"), ["job.gone"]);
    }
}
