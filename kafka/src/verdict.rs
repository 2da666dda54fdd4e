//! What each of librdkafka's codes means for who must act: the one table of them.
//!
//! The same code means different things in different places (a topic that may not be written, a topic whose position may not
//! be committed), so there is a table for each. What is not named passes: it is tried again, which is never wrong for long,
//! because it concerns the requests that it was told of, and nobody else.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use bus::{Error, Refusal, RefusalCode, Topic};

/// Who must act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Whoever made it: it is never taken as it is.
    Never(RefusalCode),
    /// Nobody: the same is tried again after a while.
    Later,
    /// Nobody: it failed because another of the same transaction did.
    Innocent,
    /// The stage finds out by itself: the partition goes to another member.
    Stale,
}

/// Of a record that was not written.
pub(crate) fn of_record(code: Code) -> Verdict {
    match code {
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge => Verdict::Never(RefusalCode::TooLarge),
        Code::TopicAuthorizationFailed => Verdict::Never(RefusalCode::Forbidden),
        // The broker's own checks of a record: no key in a compacted topic, a time too far away, a name or a format it has not.
        Code::InvalidRecord
        | Code::InvalidMessageSize
        | Code::InvalidTimestamp
        | Code::InvalidTopic
        | Code::UnsupportedForMessageFormat
        | Code::UnsupportedCompressionType
        | Code::PolicyViolation => Verdict::Never(RefusalCode::Invalid),
        Code::PurgeQueue
        | Code::PurgeInflight
        | Code::State
        | Code::InvalidDifferentRecord
        | Code::OperationNotAttempted
        | Code::OutOfOrderSequenceNumber => Verdict::Innocent,
        _ => Verdict::Later,
    }
}

/// Of positions that were not taken.
pub(crate) fn of_position(code: Code) -> Verdict {
    match code {
        Code::OffsetMetadataTooLarge
        | Code::InvalidCommitOffsetSize
        | Code::InvalidGroupId
        | Code::GroupAuthorizationFailed
        | Code::TopicAuthorizationFailed => Verdict::Never(RefusalCode::Position),
        // The member finds out by its heartbeat.
        Code::IllegalGeneration
        | Code::UnknownMemberId
        | Code::FencedInstanceId
        | Code::StaleMemberEpoch
        | Code::FencedMemberEpoch
        | Code::RebalanceInProgress => Verdict::Stale,
        _ => Verdict::Later,
    }
}

/// Whether a transaction failed because somebody else has its id: another process, or the broker whose patience is over.
pub(crate) fn is_fenced(code: Code) -> bool {
    matches!(code, Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch)
}

/// Whether a partition's leader is being elected, as that of a topic that was created a moment ago, or has just moved.
pub(crate) fn is_leaderless(code: Code) -> bool {
    matches!(
        code,
        Code::NotLeaderForPartition | Code::LeaderNotAvailable | Code::UnknownLeaderEpoch | Code::FencedLeaderEpoch
    )
}

/// A cluster that cannot be reached, or refuses.
pub(crate) fn unavailable(error: &KafkaError) -> Error {
    Error::Unavailable(error.to_string())
}

/// The code of an error, wherever librdkafka put it.
pub(crate) fn code(error: &KafkaError) -> Code {
    match error {
        KafkaError::Transaction(error) => error.code(),
        error => error.rdkafka_error_code().unwrap_or(Code::Unknown),
    }
}

/// What to do about what is never taken, for people.
pub(crate) fn advice(code: Code) -> &'static str {
    match code {
        Code::MessageSizeTooLarge => "raise the topic's `max.message.bytes`, or make the record smaller",
        Code::TopicAuthorizationFailed => "give this user the right to write there",
        Code::GroupAuthorizationFailed => "give this user the right to read the group",
        Code::OffsetMetadataTooLarge => "set the brokers' `offset.metadata.max.bytes` to 4096, its default, or more",
        _ => "look at the topic's configuration and the brokers' log",
    }
}

/// Whether a broker found a batch too large.
pub(crate) fn is_too_large(error: &KafkaError) -> bool {
    of_record(code(error)) == Verdict::Never(RefusalCode::TooLarge)
}

/// Why one record is never taken.
pub(crate) fn refusal(record: usize, topic: &Topic, code: RefusalCode, error: &KafkaError) -> Refusal {
    let reason = format!("{}; {}", self::code(error), advice(self::code(error)));
    Refusal { record: Some(record), topic: topic.clone(), code, reason }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
