//! What the transactor makes of what brokers answer, against librdkafka's mock cluster: it keeps no records, but answers as told.

use rdkafka::{
    ClientConfig, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};

use super::*;
use bus::RefusalCode;

type Mock = MockCluster<'static, DefaultProducerContext>;

fn mock() -> (Mock, Transactor) {
    let mock = MockCluster::new(1).expect("a mock cluster");
    for topic in ["t.good", "t.bad", "t.in"] {
        mock.create_topic(topic, 1, 1).expect("a topic");
    }
    let config = Config { prefix: "t.".to_owned(), ..Config::new([mock.bootstrap_servers()]) };
    let transactor = Transactor::start(&config, 100_000).expect("a producer");
    (mock, transactor)
}

fn group(mock: &Mock) -> Positions {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", mock.bootstrap_servers())
        .set("group.id", "t.group")
        .create()
        .expect("a consumer");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("t.in", 0, rdkafka::Offset::Offset(1)).expect("a position");
    Positions { list, group: Arc::new(consumer.group_metadata().expect("a group")) }
}

fn outgoing(topics: &[&str]) -> Vec<Outgoing> {
    topics.iter().map(|topic| Outgoing::new(*topic, "k", "v")).collect()
}

fn placed(records: &[Outgoing]) -> Vec<(Cow<'_, Outgoing>, Partition)> {
    records.iter().map(|record| (Cow::Borrowed(record), Partition(0))).collect()
}

/// Commits; once a record was not written, the numbers of those behind it have a gap, which the next transaction ends with.
fn committed(mock: &Mock, transactor: &mut Transactor, records: &[Outgoing]) {
    for _ in 0..3 {
        match transactor.commit(&placed(records), || Some(vec![group(mock)])) {
            Ok(()) => return,
            Err(Failure::Aborted(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    panic!("nothing is committed any more");
}

#[test]
fn what_a_broker_never_takes_is_told_by_its_record_and_the_next_transaction_is_committed() {
    let (mock, mut transactor) = mock();
    let one = outgoing(&["bad"]);
    for (error, expected) in [
        (RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RefusalCode::TooLarge),
        (RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD, RefusalCode::Invalid),
        (RDKafkaRespErr::RD_KAFKA_RESP_ERR_POLICY_VIOLATION, RefusalCode::Invalid),
        (RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, RefusalCode::Invalid),
    ] {
        mock.request_errors(RDKafkaApiKey::Produce, &[error]);
        let failure = transactor.commit(&placed(&one), || Some(vec![group(&mock)])).expect_err("refused");
        let Failure::Outputs(faults) = failure else { panic!("{failure:?}") };
        let [Fault { record: 0, error: told }] = &faults[..] else { panic!("{faults:?}") };
        assert_eq!(verdict::of_record(code(told)), Verdict::Never(expected), "{error:?} was told as {told:?}");
        committed(&mock, &mut transactor, &one);
    }
}

#[test]
fn what_may_not_be_added_to_a_transaction_is_found_alone() {
    let (mock, mut transactor) = mock();
    let two = outgoing(&["good", "bad"]);
    let forbidden = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    mock.request_errors(RDKafkaApiKey::AddPartitionsToTxn, &[forbidden]);
    let failure = transactor.commit(&placed(&two), || Some(vec![group(&mock)])).expect_err("refused");
    let Failure::Outputs(faults) = failure else { panic!("{failure:?}") };
    let all = |verdict| faults.iter().all(|fault| verdict::of_record(code(&fault.error)) == verdict);
    assert!(all(Verdict::Innocent), "{faults:?}");
    // Together, then the first alone, which is taken; then the second, which is not.
    let taken = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
    mock.request_errors(RDKafkaApiKey::AddPartitionsToTxn, &[forbidden, taken, forbidden]);
    let guilty = transactor.guilty(&placed(&two)).expect("the producer lives");
    let [Fault { record: 1, error }] = &guilty[..] else { panic!("{guilty:?}") };
    assert_eq!(verdict::of_record(code(error)), Verdict::Never(RefusalCode::Forbidden));
    committed(&mock, &mut transactor, &two);
}

#[test]
fn a_producer_of_whose_transaction_the_broker_let_nothing_in_is_replaced_and_the_guilty_are_found() {
    let (mock, mut transactor) = mock();
    let one = outgoing(&["bad"]);
    let forbidden = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    mock.request_errors(RDKafkaApiKey::AddPartitionsToTxn, &[forbidden]);
    // What a real broker says to the end of a transaction that it has never heard of.
    mock.request_errors(RDKafkaApiKey::EndTxn, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_TXN_STATE]);
    let failure = transactor.commit(&placed(&one), || Some(vec![group(&mock)])).expect_err("refused");
    assert!(matches!(failure, Failure::Outputs(_)), "{failure:?}");
    assert!(transactor.is_spent());
    mock.request_errors(RDKafkaApiKey::AddPartitionsToTxn, &[forbidden]);
    let guilty = transactor.guilty(&placed(&one)).expect("its successor lives");
    let [Fault { record: 0, error }] = &guilty[..] else { panic!("{guilty:?}") };
    assert_eq!(verdict::of_record(code(error)), Verdict::Never(RefusalCode::Forbidden));
    assert!(!transactor.is_spent());
    committed(&mock, &mut transactor, &one);
}

#[test]
fn positions_that_are_not_taken_are_told_by_their_member() {
    let (mock, mut transactor) = mock();
    for (error, expected) in [
        (RDKafkaRespErr::RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE, Verdict::Never(RefusalCode::Position)),
        (RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, Verdict::Never(RefusalCode::Position)),
        (RDKafkaRespErr::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, Verdict::Stale),
        (RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, Verdict::Stale),
    ] {
        mock.request_errors(RDKafkaApiKey::TxnOffsetCommit, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR, error]);
        let one = outgoing(&["good"]);
        let positions = || Some(vec![group(&mock), group(&mock)]);
        let failure = transactor.commit(&placed(&one), positions).expect_err("refused");
        let Failure::Position(1, told) = failure else { panic!("{failure:?}") };
        assert_eq!(verdict::of_position(code(&told)), expected, "{error:?} was told as {told:?}");
        committed(&mock, &mut transactor, &one);
    }
}
