//! What the writer is given to do, and in which order.

use std::time::Duration;

use bus::Record;
use jiff::{SignedDuration, Timestamp};
use runtime::meter;
use tokio::time::Instant;

use super::gather::Gathered;
use crate::{
    Config,
    store::{Announced, Applied, Batch, Kept, StoreError, Trimmed, Waiting, Writer},
};

/// How often retention looks for what is too old.
const TRIM: Duration = Duration::from_secs(10);
/// How often, at most, deadlines are looked at; a short deadline is looked at more often.
const EXPIRE: Duration = Duration::from_secs(60);

/// How many bytes of summaries are made from the outbox at once; the last one may go beyond it.
pub(super) const PIECE: usize = 1024 * 1024;

/// One thing to do; it blocks.
#[derive(Debug)]
pub(super) enum Work {
    Apply(Batch),
    Expire(Timestamp),
    Trim(Kept),
    Outbox(Waiting),
}

/// What came of it.
pub(super) enum Done {
    Applied(Batch, Result<Applied, StoreError>),
    Expired(Result<(Applied, bool), StoreError>),
    Trimmed(Result<Trimmed, StoreError>),
    Outbox(Result<Option<Announced>, StoreError>),
}

impl Work {
    pub(super) fn run(self, mut writer: Box<Writer>) -> (Box<Writer>, Done) {
        let done = match self {
            Self::Apply(batch) => {
                meter::commit(batch.records.len(), batch.records.iter().map(Record::size).sum());
                let applied = writer.apply(&batch);
                Done::Applied(batch, applied)
            }
            Self::Expire(since) => Done::Expired(writer.expire(since)),
            Self::Trim(kept) => Done::Trimmed(writer.trim(kept)),
            Self::Outbox(from) => Done::Outbox(writer.outbox(from, PIECE)),
        };
        (writer, done)
    }
}

/// What is due beside the batches. A step of upkeep comes between two batches, so that neither starves the other.
#[derive(Debug)]
pub(super) struct Maintenance {
    deadline: SignedDuration,
    keep: SignedDuration,
    keep_count: u64,
    expire_every: Duration,
    expire: bool,
    trim: bool,
    last_expired: Option<Instant>,
    last_trimmed: Option<Instant>,
    /// Up to where the outbox was emptied.
    sent: i64,
    /// Whether a second has passed since the outbox was last emptied for its own sake.
    idle: bool,
    /// Whether the last thing done was upkeep.
    turn: bool,
    stopped: bool,
}

impl Maintenance {
    pub(super) fn new(config: &Config) -> Self {
        let signed = |duration: Duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
        Self {
            deadline: signed(config.deadline.get()),
            keep: signed(config.keep.get()),
            keep_count: config.keep_count,
            expire_every: (config.deadline.get() / 10).min(EXPIRE),
            expire: false,
            trim: false,
            last_expired: None,
            last_trimmed: None,
            sent: 0,
            idle: false,
            turn: false,
            stopped: false,
        }
    }

    /// Looks what is due.
    pub(super) fn tick(&mut self, now: Instant) {
        let due = |last: Option<Instant>, every| last.is_none_or(|last| now.duration_since(last) >= every);
        if due(self.last_expired, self.expire_every) {
            (self.expire, self.last_expired) = (true, Some(now));
        }
        if due(self.last_trimmed, TRIM) {
            (self.trim, self.last_trimmed) = (true, Some(now));
        }
        self.idle = true;
    }

    /// What to do next. `sent` is how far the outbox was published, `behind` where reading it goes on, if that is wanted.
    pub(super) fn next(
        &mut self,
        gathered: &mut Gathered,
        held: bool,
        sent: i64,
        behind: Option<Waiting>,
    ) -> Option<Work> {
        let batch = !held && !gathered.is_empty();
        if (!batch || !self.turn)
            && let Some(work) = self.upkeep(behind)
        {
            self.turn = true;
            return Some(work);
        }
        self.turn = false;
        if batch || !held && self.idle && sent > self.sent {
            self.idle = false;
            let mut batch = gathered.take();
            batch.sent = (sent > self.sent).then_some(sent);
            self.sent = sent;
            return Some(Work::Apply(batch));
        }
        None
    }

    fn upkeep(&mut self, behind: Option<Waiting>) -> Option<Work> {
        if self.stopped {
            return None;
        }
        if let Some(from) = behind {
            return Some(Work::Outbox(from));
        }
        let ago = |length| Timestamp::now().checked_sub(length).unwrap_or(Timestamp::MIN);
        if std::mem::take(&mut self.expire) {
            return Some(Work::Expire(ago(self.deadline)));
        }
        std::mem::take(&mut self.trim)
            .then(|| Work::Trim(Kept { since: ago(self.keep), count: self.keep_count, open_since: ago(self.deadline) }))
    }

    /// A step of the sweep has ended; there may be more.
    pub(super) fn expired(&mut self, done: bool) {
        self.expire |= !done;
    }

    /// A step of retention has ended; there may be more.
    pub(super) fn trimmed(&mut self, more: bool) {
        self.trim |= more;
    }

    /// A step failed: it is tried when it is due again.
    pub(super) fn postpone(&mut self) {
        (self.expire, self.trim) = (false, false);
    }

    /// The outbox is to be emptied of what was published now.
    pub(super) fn flush(&mut self) {
        self.idle = true;
    }

    /// Nothing but batches from now on.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
    }
}
