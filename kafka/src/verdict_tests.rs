use rdkafka::error::RDKafkaErrorCode as Code;

use super::*;

/// A row of the table of records; the mock cluster's test of the transactor runs through the same.
pub(crate) const RECORDS: &[(Code, Verdict)] = &[
    (Code::MessageSizeTooLarge, Verdict::Never(RefusalCode::TooLarge)),
    (Code::MessageBatchTooLarge, Verdict::Never(RefusalCode::TooLarge)),
    (Code::TopicAuthorizationFailed, Verdict::Never(RefusalCode::Forbidden)),
    (Code::InvalidRecord, Verdict::Never(RefusalCode::Invalid)),
    (Code::InvalidMessageSize, Verdict::Never(RefusalCode::Invalid)),
    (Code::InvalidTimestamp, Verdict::Never(RefusalCode::Invalid)),
    (Code::InvalidTopic, Verdict::Never(RefusalCode::Invalid)),
    (Code::UnsupportedForMessageFormat, Verdict::Never(RefusalCode::Invalid)),
    (Code::UnsupportedCompressionType, Verdict::Never(RefusalCode::Invalid)),
    (Code::PolicyViolation, Verdict::Never(RefusalCode::Invalid)),
    (Code::PurgeQueue, Verdict::Innocent),
    (Code::PurgeInflight, Verdict::Innocent),
    (Code::State, Verdict::Innocent),
    (Code::InvalidDifferentRecord, Verdict::Innocent),
    (Code::OperationNotAttempted, Verdict::Innocent),
    (Code::OutOfOrderSequenceNumber, Verdict::Innocent),
    (Code::MessageTimedOut, Verdict::Later),
    (Code::UnknownTopicOrPartition, Verdict::Later),
    (Code::UnknownPartition, Verdict::Later),
    (Code::UnknownTopic, Verdict::Later),
    (Code::NotEnoughReplicas, Verdict::Later),
    (Code::InvalidMessage, Verdict::Later),
    (Code::QueueFull, Verdict::Later),
    (Code::Unknown, Verdict::Later),
];

/// A row of the table of positions.
pub(crate) const POSITIONS: &[(Code, Verdict)] = &[
    (Code::OffsetMetadataTooLarge, Verdict::Never(RefusalCode::Position)),
    (Code::InvalidCommitOffsetSize, Verdict::Never(RefusalCode::Position)),
    (Code::InvalidGroupId, Verdict::Never(RefusalCode::Position)),
    (Code::GroupAuthorizationFailed, Verdict::Never(RefusalCode::Position)),
    (Code::TopicAuthorizationFailed, Verdict::Never(RefusalCode::Position)),
    (Code::IllegalGeneration, Verdict::Stale),
    (Code::UnknownMemberId, Verdict::Stale),
    (Code::FencedInstanceId, Verdict::Stale),
    (Code::StaleMemberEpoch, Verdict::Stale),
    (Code::FencedMemberEpoch, Verdict::Stale),
    (Code::RebalanceInProgress, Verdict::Stale),
    (Code::CoordinatorNotAvailable, Verdict::Later),
    (Code::OperationTimedOut, Verdict::Later),
    (Code::Unknown, Verdict::Later),
];

#[test]
fn every_code_of_a_record_has_its_verdict() {
    for (code, verdict) in RECORDS {
        assert_eq!(of_record(*code), *verdict, "{code:?}");
    }
}

#[test]
fn every_code_of_a_position_has_its_verdict() {
    for (code, verdict) in POSITIONS {
        assert_eq!(of_position(*code), *verdict, "{code:?}");
    }
}

#[test]
fn who_has_lost_its_id_is_fenced() {
    for code in [Code::Fenced, Code::ProducerFenced, Code::InvalidProducerEpoch] {
        assert!(is_fenced(code), "{code:?}");
    }
    assert!(!is_fenced(Code::IllegalGeneration));
}
