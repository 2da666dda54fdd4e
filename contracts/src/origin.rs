//! Where a record of any topic stands: the name by which what became of it later (a wait, a dead letter, an order) calls it.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

/// A record's topic (without the configured prefix), partition and offset, written `topic/partition/offset`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Origin {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// The record's own offset.
    pub offset: u64,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

/// The text is not `topic/partition/offset`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the place of a record is written topic/partition/offset")]
pub struct NoOrigin;

impl FromStr for Origin {
    type Err = NoOrigin;
    fn from_str(text: &str) -> Result<Self, NoOrigin> {
        let mut parts = text.rsplitn(3, '/');
        let mut next = || parts.next().filter(|part| !part.is_empty()).ok_or(NoOrigin);
        let (offset, partition, topic) = (next()?, next()?, next()?);
        Ok(Self {
            topic: topic.to_owned(),
            partition: partition.parse().map_err(|_| NoOrigin)?,
            offset: offset.parse().map_err(|_| NoOrigin)?,
        })
    }
}

impl TryFrom<String> for Origin {
    type Error = NoOrigin;
    fn try_from(text: String) -> Result<Self, NoOrigin> {
        text.parse()
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_reads_as_it_was_written() {
        let origin = Origin { topic: "event.move.new.v2".into(), partition: 3, offset: 17 };
        assert_eq!(origin.to_string(), "event.move.new.v2/3/17");
        assert_eq!("event.move.new.v2/3/17".parse(), Ok(origin));
        for wrong in ["", "3/17", "/3/17", "a/b/1", "a/1/b", "a/1", "a//1", "a/-1/1"] {
            assert_eq!(wrong.parse::<Origin>(), Err(NoOrigin), "{wrong}");
        }
    }
}
