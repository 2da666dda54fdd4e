//! Topics that take nothing for now: what is for them is refused without trying, until it is time to try again.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use bus::{Error, Refusal, Topic};

/// For how long a topic that may not be written is not tried.
const FORBIDDEN: Duration = Duration::from_secs(10);
/// For how long a missing topic is waited for, before what is for it is refused: it may be made anew.
const MISSING: Duration = Duration::from_secs(15);
/// How often a missing topic is asked for at most.
const ASK: Duration = Duration::from_millis(200);

#[derive(Default)]
pub(crate) struct Closed {
    forbidden: HashMap<Topic, (Refusal, Instant)>,
    missing: HashMap<Topic, Gone>,
}

struct Gone {
    since: Instant,
    asked: Instant,
}

/// What is known of a topic.
pub(crate) enum Found {
    /// It has so many partitions.
    There(u32),
    /// It is missing, which may pass.
    Missing,
    /// It has been missing for long.
    Gone,
    /// It could not be asked for.
    Unknown,
}

impl Closed {
    /// Notes that a topic takes nothing.
    pub(crate) fn forbid(&mut self, refusal: Refusal) {
        let until = Instant::now() + FORBIDDEN;
        if !self.forbidden.contains_key(&refusal.topic) {
            tracing::error!(topic = %refusal.topic, %refusal, "a topic takes no records; tried again every {FORBIDDEN:?}");
        }
        self.forbidden.insert(refusal.topic.clone(), (refusal, until));
    }

    /// Why a record for a topic is not to be tried now.
    pub(crate) fn refusal(&self, record: usize, topic: &Topic) -> Option<Refusal> {
        let (refusal, until) = self.forbidden.get(topic)?;
        (Instant::now() < *until).then(|| Refusal { record: Some(record), ..refusal.clone() })
    }

    /// Notes that a topic is there.
    pub(crate) fn found(&mut self, topic: &Topic) {
        if !self.missing.is_empty() {
            self.missing.remove(topic);
        }
    }

    /// Asks for a topic that is not known, unless it was asked for a moment ago.
    pub(crate) fn missing(&mut self, topic: &Topic, ask: impl FnOnce() -> Result<u32, Error>) -> Found {
        let now = Instant::now();
        let gone = self.missing.get(topic);
        if gone.is_none_or(|gone| now.duration_since(gone.asked) >= ASK) {
            match ask() {
                Ok(partitions) => {
                    self.missing.remove(topic);
                    return Found::There(partitions);
                }
                Err(Error::UnknownTopic(_)) => {}
                Err(_) => return Found::Unknown,
            }
            let since = gone.map_or(now, |gone| gone.since);
            if gone.is_none() {
                tracing::warn!(%topic, "hops wait for a topic that is missing; `herald topics apply` creates what is missing");
            }
            self.missing.insert(topic.clone(), Gone { since, asked: Instant::now() });
        }
        let since = self.missing.get(topic).map_or(now, |gone| gone.since);
        if now.duration_since(since) >= MISSING { Found::Gone } else { Found::Missing }
    }
}
