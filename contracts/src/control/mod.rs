//! What an operator says about jobs: the records of the topic `control`, a compacted table of one partition.
//!
//! Pause and resume are **state**, keyed by the job's group: the last one counts, across restarts, until another is written.
//! Redrive, discard and rerun are **orders**, keyed by their id: each is done once in every partition that it
//! concerns, by whoever owns that partition then, and none is begun that is older than [`EXPIRY`]. Each record says who
//! ordered it, when, and where one was given, why.
//!
//! A record is `{v, kind, group, id, by, at, because, body}`, of which orders alone have an `id` and a `body`. [`Standing`] is what all
//! records together come to.

mod order;
mod standing;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use self::{
    order::{Filter, Letter, Letters, Order, Rerun},
    standing::{Given, Hold, Standing},
};
use crate::{ids::OrderId, names::GroupName};

/// The version of the records written here.
pub const VERSION: u32 = 1;

/// How old an order may be and still be begun. Whoever writes the next record deletes those that are older.
pub const EXPIRY: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The most bytes that a name of an operator has.
pub const MAX_BY: usize = 128;
/// The most bytes that a reason has.
pub const MAX_BECAUSE: usize = 1024;

/// What stands before an order's id in its key.
const ORDER_KEY: &str = "order/";

/// Who said something, when, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Said {
    /// Who: an operator's name as it was given, else user@host.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// What is said about a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// It starts nothing more, until it is resumed.
    Pause,
    /// It goes on.
    Resume,
    /// Something to be done once in each partition.
    Order(OrderId, Order),
    /// A kind that this version does not know, and whether it is an order.
    Unknown(String, Option<OrderId>),
}

/// A record of the topic `control`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// The job's group.
    pub group: GroupName,
    /// Who, when and why.
    pub said: Said,
    /// What.
    pub what: What,
}

/// The record on the wire. Two steps (kind, then body), as all that travels with kinds.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// [`VERSION`].
    v: u32,
    /// `pause`, `resume`, `redrive`, `discard` or `rerun`.
    kind: String,
    /// The job's group.
    group: GroupName,
    /// The order's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<OrderId>,
    /// Who said it.
    by: String,
    /// When.
    at: Timestamp,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    because: Option<String>,
    /// What is ordered, by its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    body: Option<Box<RawValue>>,
}

/// A record of the topic `control` that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// It is none of Herald's.
    #[error("no order of Herald: {0}")]
    Malformed(#[from] serde_json::Error),
    /// An order without an id or without what is ordered.
    #[error("no order of Herald: a `{0}` has an `id` and a `body`")]
    Incomplete(String),
}

impl Control {
    /// The record's key: the group for state, the id for an order.
    pub fn key(&self) -> String {
        match &self.what {
            What::Pause | What::Resume | What::Unknown(_, None) => self.group.to_string(),
            What::Order(id, _) | What::Unknown(_, Some(id)) => order_key(*id),
        }
    }

    /// The record's value as it travels.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, id, body) = match &self.what {
            What::Pause => ("pause", None, None),
            What::Resume => ("resume", None, None),
            What::Order(id, order) => (order.kind(), Some(*id), Some(order.body())),
            What::Unknown(kind, id) => (kind.as_str(), *id, None),
        };
        let Said { by, at, because } = self.said.clone();
        let record = Record { v: VERSION, kind: kind.to_owned(), group: self.group.clone(), id, by, at, because, body };
        serde_json::to_vec(&record).expect("invariant: an order is plain data with string keys")
    }

    /// Reads a record's value.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub fn decode(value: &[u8]) -> Result<Self, ControlError> {
        let Record { kind, group, id, by, at, because, body, .. } = serde_json::from_slice(value)?;
        let said = Said { by, at, because };
        let what = match (kind.as_str(), id, body) {
            ("pause", ..) => What::Pause,
            ("resume", ..) => What::Resume,
            (kind, id, body) if Order::KINDS.contains(&kind) => {
                let incomplete = || ControlError::Incomplete(kind.to_owned());
                let (id, body) = (id.ok_or_else(incomplete)?, body.ok_or_else(incomplete)?);
                What::Order(id, Order::read(kind, body.get())?)
            }
            (kind, id, _) => What::Unknown(kind.to_owned(), id),
        };
        Ok(Self { group, said, what })
    }
}

/// The key of an order's record.
pub fn order_key(id: OrderId) -> String {
    format!("{ORDER_KEY}{id}")
}

impl Said {
    /// Whether what was said then is no longer begun now.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now.duration_since(self.at) > EXPIRY
    }
}

#[cfg(test)]
mod tests;
