//! Which Apache Kafka the brokers are, as far as what they can do tells. Pure.
//!
//! librdkafka does not hand out what brokers answer about themselves, but it says so in its words. A release is known by the
//! requests that it was the first to take.

use std::fmt;

use crate::Features;

/// Requests by number, as the protocol has them.
mod api {
    pub(super) const PRODUCE: i16 = 0;
    pub(super) const FETCH: i16 = 1;
    pub(super) const TXN_OFFSET_COMMIT: i16 = 28;
    pub(super) const CONSUMER_GROUP_HEARTBEAT: i16 = 68;
}

/// A release of Apache Kafka, or something that can do as much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    /// The first number.
    pub(crate) major: u8,
    /// The second.
    pub(crate) minor: u8,
}

impl Version {
    const fn new(major: u8, minor: u8) -> Self {
        Self { major, minor }
    }

    /// The oldest that Herald works on: from it on, a transaction knows the group whose positions it carries.
    pub(crate) const LEAST: Self = Self::new(2, 5);
    /// The oldest that is advised: from it on, brokers refuse what a producer sends into a transaction that has ended, which
    /// would block readers for good.
    pub(crate) const ADVISED: Self = Self::new(3, 6);

    /// The release that brokers are at least, by what they can do; none if that is not known, or older than all.
    pub(crate) fn at_least(features: &Features) -> Option<Self> {
        const KNOWN: [(i16, i16, Version); 10] = [
            (api::FETCH, 18, Version::new(4, 1)),
            (api::PRODUCE, 12, Version::new(4, 0)),
            (api::CONSUMER_GROUP_HEARTBEAT, 1, Version::new(4, 0)),
            (api::FETCH, 17, Version::new(3, 9)),
            (api::TXN_OFFSET_COMMIT, 4, Version::new(3, 8)),
            (api::FETCH, 16, Version::new(3, 7)),
            (api::FETCH, 15, Version::new(3, 5)),
            (api::FETCH, 13, Version::new(3, 1)),
            (api::FETCH, 12, Version::new(2, 7)),
            (api::TXN_OFFSET_COMMIT, 3, Version::new(2, 5)),
        ];
        let can = |key: &i16, version: &i16| features.get(key).is_some_and(|highest| highest >= version);
        KNOWN.iter().find(|(key, version, _)| can(key, version)).map(|(_, _, release)| *release)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_known_by_what_it_was_the_first_to_do() {
        let at_least = |features: &[(i16, i16)]| Version::at_least(&features.iter().copied().collect());
        assert_eq!(at_least(&[(1, 18), (0, 13), (28, 5)]), Some(Version::new(4, 1)));
        assert_eq!(at_least(&[(1, 17), (0, 12)]), Some(Version::new(4, 0)));
        assert_eq!(at_least(&[(1, 15), (0, 9), (28, 3)]), Some(Version::new(3, 5)));
        assert_eq!(at_least(&[(1, 11), (28, 3)]), Some(Version::LEAST));
        assert_eq!(at_least(&[(1, 11), (28, 2)]), None);
        assert_eq!(at_least(&[]), None);
    }
}
