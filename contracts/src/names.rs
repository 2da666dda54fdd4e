//! Names of events, jobs and consumer groups, and the rules they obey.
//!
//! An event's name is the suffix of its topic and the stem of its file, so the rules are those of a Kafka topic and of
//! a file name that survives a case-insensitive disk.

use std::{borrow::Borrow, cmp::Ordering, fmt, str::FromStr, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

/// The longest event name, in characters.
pub const MAX_EVENT_NAME: usize = 180;
/// The longest name of a job or of a shared job definition, in characters.
pub const MAX_JOB_NAME: usize = 40;

/// The longest name of a source, in characters.
pub const MAX_SOURCE: usize = 64;
/// What the name of a source is made of, for messages.
pub const SOURCE: &str = "1 to 64 letters, digits, `.`, `_` or `-`";

/// Whether a text is the name of a source: who sends, as in `/hasura/{source}`.
pub fn is_source(text: &str) -> bool {
    (1..=MAX_SOURCE).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing at all, or an empty part between two dots.
    #[error("an event name is parts of letters, digits and '-' joined by single dots; `{0}` has an empty part")]
    EmptyPart(String),
    /// No name at all.
    #[error("a job has a name: letters, digits and '-'")]
    NoJobName,
    /// A character that no name may have.
    #[error("`{name}` has the character {found:?}; allowed are letters, digits, '-'{dot}")]
    Character {
        /// The text as given.
        name: String,
        /// The first character that is not allowed.
        found: char,
        /// What else is allowed, for the message.
        dot: &'static str,
    },
    /// Longer than topics, files or groups allow.
    #[error("`{name}` has {length} characters; at most {limit} are allowed")]
    TooLong {
        /// The text as given.
        name: String,
        /// Its length in characters.
        length: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// `.v<number>` at the end marks a version and is no part of a name.
    #[error(
        "`{0}` ends in a version; a version is written `.v2`, `.v3` … without leading zeros, and version 1 has no mark"
    )]
    VersionSuffix(String),
}

fn check_event_name(name: &str) -> Result<(), NameError> {
    if name.len() > MAX_EVENT_NAME {
        return Err(NameError::TooLong { name: name.into(), length: name.chars().count(), limit: MAX_EVENT_NAME });
    }
    if let Some(found) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || *c == '-' || *c == '.')) {
        return Err(NameError::Character { name: name.into(), found, dot: " and '.'" });
    }
    if name.split('.').any(str::is_empty) {
        return Err(NameError::EmptyPart(name.into()));
    }
    if split_version(name).is_some() {
        return Err(NameError::VersionSuffix(name.into()));
    }
    Ok(())
}

/// Splits `name.v2` into the name and the digits of its version.
fn split_version(text: &str) -> Option<(&str, &str)> {
    let (name, last) = text.rsplit_once('.')?;
    let digits = last.strip_prefix('v').or_else(|| last.strip_prefix('V'))?;
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then_some((name, digits))
}

macro_rules! text_name {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, JsonSchema)]
        #[serde(try_from = "String")]
        #[schemars(with = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                $check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_name!(
    /// The name of a business event, `move.pickup.successful`: parts of ASCII letters, digits and `-`, joined by dots.
    EventName,
    check_event_name
);

fn check_job_name(name: &str) -> Result<(), NameError> {
    if let Some(found) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || *c == '-')) {
        return Err(NameError::Character { name: name.into(), found, dot: "" });
    }
    if name.is_empty() {
        return Err(NameError::NoJobName);
    }
    if name.len() > MAX_JOB_NAME {
        return Err(NameError::TooLong { name: name.into(), length: name.len(), limit: MAX_JOB_NAME });
    }
    Ok(())
}

text_name!(
    /// The name of a job within its event, or of a shared definition: ASCII letters, digits and `-`, at most 40.
    JobName,
    check_job_name
);

/// One version of one event: what a topic, a file and a schema are about.
///
/// Written `move.pickup.successful` for version 1 and `move.pickup.successful.v2` from version 2 on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct EventRef {
    /// The name without its version.
    pub name: EventName,
    /// The version, from 1.
    pub version: u32,
}

impl EventRef {
    /// Version 1 of a name.
    pub fn first(name: EventName) -> Self {
        Self { name, version: 1 }
    }

    /// The stem of the event's file, which is also how the event is written everywhere.
    pub fn file_stem(&self) -> String {
        self.to_string()
    }

    /// The event's topic without the configured prefix: `event.<name>[.v<n>]`.
    pub fn topic(&self) -> String {
        format!("event.{self}")
    }

    /// Reads the event back out of a topic without prefix, as [`EventRef::topic`] wrote it.
    pub fn from_topic(topic: &str) -> Option<Self> {
        topic.strip_prefix("event.")?.parse().ok()
    }
}

impl FromStr for EventRef {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let Some((name, digits)) = split_version(text) else {
            return Ok(Self::first(text.parse()?));
        };
        match digits.parse::<u32>() {
            Ok(version) if version > 1 && !digits.starts_with('0') && text.contains(".v") => {
                Ok(Self { name: name.parse()?, version })
            }
            _ => Err(NameError::VersionSuffix(text.into())),
        }
    }
}

impl TryFrom<String> for EventRef {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl Serialize for EventRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.version {
            1 => serializer.serialize_str(self.name.as_str()),
            _ => serializer.collect_str(self),
        }
    }
}

impl fmt::Display for EventRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            1 => self.name.fmt(f),
            version => write!(f, "{}.v{version}", self.name),
        }
    }
}

impl PartialOrd for EventRef {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for EventRef {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.name, self.version).cmp(&(&other.name, other.version))
    }
}

/// The consumer group of a job: `job.<full name>`, where the full name is the definition's, or `<event>.<id>` for a
/// job that is written inside its event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(with = "String")]
pub struct GroupName(Arc<str>);

impl GroupName {
    /// The group of a shared definition, over all events that list it.
    pub fn of_definition(definition: &JobName) -> Self {
        Self(format!("job.{definition}").into())
    }

    /// The group of a job that one event defines inline.
    pub fn of_inline(event: &EventRef, job: &JobName) -> Self {
        Self(format!("job.{event}.{job}").into())
    }

    /// The group of a job, by the job's full name.
    pub fn of_full_name(name: &str) -> Self {
        Self(format!("job.{name}").into())
    }

    /// A group that is no job's: a stage's own.
    pub fn of_stage(stage: &'static str) -> Self {
        Self(stage.into())
    }

    /// The group as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The job's full name, which commands take: the group without `job.`.
    pub fn full_name(&self) -> &str {
        self.0.strip_prefix("job.").unwrap_or(&self.0)
    }
}

impl From<&str> for GroupName {
    fn from(group: &str) -> Self {
        Self(group.into())
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_events_are_dotted_parts() {
        for good in ["move.pickup.successful", "a", "A-1.b", "move.v", "move.v2x"] {
            assert_eq!(good.parse::<EventName>().expect(good).as_str(), good);
        }
        for bad in ["", ".", "a.", ".a", "a..b", "a b", "ä", "a_b", "a.v2", "a.v1", "a.V7"] {
            assert!(bad.parse::<EventName>().is_err(), "{bad}");
        }
        assert!("a".repeat(180).parse::<EventName>().is_ok());
        assert!("a".repeat(181).parse::<EventName>().is_err());
    }

    #[test]
    fn a_version_is_written_behind_the_name_from_two_on() {
        let first: EventRef = "move.new".parse().expect("a name");
        assert_eq!((first.version, first.topic().as_str()), (1, "event.move.new"));
        let second: EventRef = "move.new.v12".parse().expect("a versioned name");
        assert_eq!((second.name.as_str(), second.version), ("move.new", 12));
        assert_eq!(second.to_string(), "move.new.v12");
        assert_eq!(EventRef::from_topic("event.move.new.v12"), Some(second));
        for bad in ["move.new.v1", "move.new.v02", "move.new.v0", "move.new.V2", "move.v2.v3", "move.v99999999999"] {
            assert!(bad.parse::<EventRef>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_group_knows_its_full_name() {
        let event: EventRef = "move.new.v2".parse().expect("a name");
        let job: JobName = "job-1".parse().expect("a name");
        assert_eq!(GroupName::of_inline(&event, &job).as_str(), "job.move.new.v2.job-1");
        assert_eq!(GroupName::of_inline(&event, &job).full_name(), "move.new.v2.job-1");
        assert_eq!(GroupName::of_definition(&job).full_name(), "job-1");
        assert_eq!(GroupName::of_full_name("move.new.v2.job-1"), GroupName::of_inline(&event, &job));
        assert!("job.1".parse::<JobName>().is_err());
        assert_eq!("".parse::<JobName>(), Err(NameError::NoJobName));
        assert!("j".repeat(41).parse::<JobName>().is_err());
    }
}
