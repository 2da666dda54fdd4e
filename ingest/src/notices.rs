//! What is worth saying once, and not for every request.

use std::{
    collections::HashSet,
    hash::{BuildHasher as _, RandomState},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

/// Something that a deployment should know of, met while a body was interpreted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Notice {
    /// A correlation id that is none was passed over.
    NoCorrelationId {
        /// Where it stood.
        place: &'static str,
    },
    /// A table whose rows do not carry its key columns.
    TableAsKey {
        source: String,
        /// `schema.table`.
        table: String,
        /// A column that a row did not have.
        missing: String,
    },
}

/// The most notices that are remembered; beyond, nothing new is said.
const MAX_NOTICES: usize = 10_000;
/// How many refusals are logged per second.
const REFUSALS_PER_SECOND: u64 = 10;

/// What has been said.
#[derive(Debug)]
pub(crate) struct Said {
    /// Their hashes: a table's name may have megabytes.
    notices: Mutex<HashSet<u64>>,
    hasher: RandomState,
    begun: Instant,
    /// The second that is counted, times 2^32, and the refusals in it.
    refusals: AtomicU64,
}

impl Said {
    pub(crate) fn new() -> Self {
        Self {
            notices: Mutex::default(),
            hasher: RandomState::new(),
            begun: Instant::now(),
            refusals: AtomicU64::new(0),
        }
    }

    /// Logs the notice if it is new.
    pub(crate) fn once(&self, notice: Notice) {
        let is_new = {
            let mut said = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
            said.len() < MAX_NOTICES && said.insert(self.hasher.hash_one(&notice))
        };
        if !is_new {
            return;
        }
        match notice {
            Notice::NoCorrelationId { place } => tracing::warn!(
                correlation.place = place,
                "a correlation id was passed over: it must have 1 to 128 printable ASCII characters without space; said once"
            ),
            Notice::TableAsKey { source, table, missing } => tracing::warn!(
                event.source = source,
                event.table = shown(&table),
                column = shown(&missing),
                setting = format!("\"{}\" = [\"<its key column>\"]", shown(&table)),
                "rows do not carry the key column of their raw record, so the whole table is one key and its changes wait for each \
                 other, whatever `key` its events have; write the setting below [ingest.keys]; said once"
            ),
        }
    }

    /// Whether one more refusal may be logged in this second.
    pub(crate) fn may_log_refusal(&self) -> bool {
        let second = self.begun.elapsed().as_secs() << 32;
        let counted = self.refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |seen| {
            if seen >> 32 != second >> 32 {
                Some(second | 1)
            } else if seen & 0xffff_ffff < REFUSALS_PER_SECOND {
                Some(seen + 1)
            } else {
                None
            }
        });
        counted.is_ok()
    }
}

/// The beginning of a name that a caller chose.
fn shown(name: &str) -> &str {
    &name[..name.floor_char_boundary(200)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_remembered_and_shown_in_little() {
        let said = Said::new();
        for column in ["id", "id", "key"] {
            let table = "x".repeat(1_000_000);
            said.once(Notice::TableAsKey { source: "default".into(), table, missing: column.into() });
        }
        assert_eq!(said.notices.lock().expect("a lock").len(), 2);
        assert_eq!(shown(&"ä".repeat(150)).len(), 200);
    }

    #[test]
    fn refusals_are_logged_a_few_times_a_second() {
        let said = Said::new();
        let logged = (0..1000).filter(|_| said.may_log_refusal()).count() as u64;
        assert!((REFUSALS_PER_SECOND..=REFUSALS_PER_SECOND * 3).contains(&logged), "{logged}");
    }
}
