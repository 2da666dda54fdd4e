//! What no layout may say: partitions that do not fit, and settings under which the pipeline would lose records.

use std::collections::BTreeMap;

use contracts::{pattern, topics};

use super::{Kind, Layout};

/// The smallest limit of a record that makes sense: Herald's own records beside the webhook's body.
const LEAST_RECORD: usize = 16 * 1024;

/// Settings that have a key of their own, so that no topic is told two things.
const OWN_KEY: [(&str, &str); 3] =
    [("retention.ms", "retention"), ("cleanup.policy", "compacted"), ("max.message.bytes", "max-record")];

/// Why a layout cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    #[error("the topics of `{0}` have no partitions; say at least 1")]
    NoPartitions(String),
    /// `seen` has as many partitions as `raw`, whatever is said.
    #[error("`{0}` says how many partitions `seen` has, but it always has as many as `raw`: say it for `raw` alone")]
    SeenFollowsRaw(String),
    /// More than one partition of what is read as one.
    #[error("`{0}` has {1} partitions, but a table is read as one: leave it at 1")]
    TableOfMany(String, u32),
    #[error("the replication of `{0}` is 0; say at least 1, or leave it out for the cluster's default")]
    NoReplica(String),
    /// Compaction where every record counts, or none where a table needs it.
    #[error(
        "`{0}` says whether its topics are compacted, but the pipeline decides that for every topic except the logs \
         (`completed`, `rejected`): leave it out"
    )]
    Compaction(String),
    #[error("`{0}` keeps its records for a time, but a table keeps the last of each key for ever: leave it out")]
    TableForgets(String),
    /// Too small for Herald's own records.
    #[error("`{0}` takes records of at most {1} bytes; Herald's own need {LEAST_RECORD}")]
    TooSmall(String, usize),
    /// A topic-level setting that has a key of its own.
    #[error("`{0}` sets `{1}`, which is said as `{2}`")]
    OwnKey(String, String, &'static str),
    /// A topic-level setting that every topic needs as it is.
    #[error("`{0}` sets `{1}` to `{2}`, which must not be: {3}")]
    Forbidden(String, String, String, &'static str),
}

impl Layout {
    /// Whether it can be used.
    ///
    /// # Errors
    /// The first thing that cannot be, in the words of the configuration.
    pub fn check(&self) -> Result<(), LayoutError> {
        replication("topics", self.replication)?;
        free("topics", &self.config)?;
        for (kind, settings) in &self.kinds {
            let name = kind.as_str();
            match (kind, settings.partitions) {
                (_, 0) => return Err(LayoutError::NoPartitions(name.into())),
                (Kind::Table, many @ 2..) => return Err(LayoutError::TableOfMany(name.into(), many)),
                // The default is raw's default; anything else would be a wish that is not obeyed.
                (Kind::Seen, many) if many != Self::default_of(Kind::Seen) && Some(many) != self.of(Kind::Raw) => {
                    return Err(LayoutError::SeenFollowsRaw(name.into()));
                }
                _ => {}
            }
            if *kind == Kind::Table && settings.retention.is_some() {
                return Err(LayoutError::TableForgets(name.into()));
            }
            if settings.compacted.is_some() && *kind != Kind::Log {
                return Err(LayoutError::Compaction(name.into()));
            }
            replication(name, settings.replication)?;
            size(name, settings.max_record)?;
            free(name, &settings.config)?;
        }
        self.check_names()
    }

    fn check_names(&self) -> Result<(), LayoutError> {
        for (name, overrides) in &self.names {
            let is_about = |topic: &str| pattern::fits(name, topic);
            if overrides.partitions == Some(0) {
                return Err(LayoutError::NoPartitions(name.clone()));
            }
            if overrides.partitions.is_some() && is_about(topics::SEEN) && !is_about(topics::RAW) {
                return Err(LayoutError::SeenFollowsRaw(name.clone()));
            }
            let is_table = is_about(topics::CATALOG) || is_about(topics::CONTROL);
            if is_table && overrides.retention.is_some() {
                return Err(LayoutError::TableForgets(name.clone()));
            }
            let is_log = [topics::COMPLETED, topics::REJECTED].contains(&name.as_str());
            if overrides.compacted.is_some() && !is_log {
                return Err(LayoutError::Compaction(name.clone()));
            }
            replication(name, overrides.replication)?;
            size(name, overrides.max_record)?;
            free(name, &overrides.config)?;
        }
        Ok(())
    }

    fn of(&self, kind: Kind) -> Option<u32> {
        self.kinds.get(&kind).map(|settings| settings.partitions)
    }

    fn default_of(kind: Kind) -> u32 {
        Self::default().of(kind).unwrap_or(1)
    }
}

fn replication(name: &str, replication: Option<u16>) -> Result<(), LayoutError> {
    if replication == Some(0) { Err(LayoutError::NoReplica(name.to_owned())) } else { Ok(()) }
}

fn size(name: &str, max_record: Option<usize>) -> Result<(), LayoutError> {
    match max_record {
        Some(small) if small < LEAST_RECORD => Err(LayoutError::TooSmall(name.to_owned(), small)),
        _ => Ok(()),
    }
}

fn free(name: &str, config: &BTreeMap<String, String>) -> Result<(), LayoutError> {
    for (key, value) in config {
        if let Some((_, said)) = OWN_KEY.iter().find(|(own, _)| own == key) {
            return Err(LayoutError::OwnKey(name.to_owned(), key.clone(), said));
        }
        if (key.as_str(), value.as_str()) == ("unclean.leader.election.enable", "true") {
            let why = "a leader that lags would lose acknowledged records";
            return Err(LayoutError::Forbidden(name.to_owned(), key.clone(), value.clone(), why));
        }
    }
    Ok(())
}
