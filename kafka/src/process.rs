//! What all members of a process share.

use std::sync::Arc;

use kafka_config::Config;

use crate::{cluster::Cluster, commit::Committer, starts::Starts};

/// What all members of a process share.
#[derive(Clone)]
pub(crate) struct Process {
    pub(crate) config: Config,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) starts: Arc<Starts>,
    pub(crate) committer: Committer,
}
