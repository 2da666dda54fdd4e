//! Where a partition begins and ends.

use std::time::{Duration, Instant};

use rdkafka::{
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::{KafkaResult, RDKafkaErrorCode as Code},
};

use crate::{
    client::QUESTION,
    codec,
    verdict::{self, unavailable},
};
use bus::{Error, Offset, TopicPartition};

/// The low and the high watermark of a partition for a client; for one that reads committed, the end is the last stable offset.
///
/// # Errors
/// There is no such partition, or the brokers do not answer.
pub(crate) fn extent(
    client: &BaseConsumer<impl ConsumerContext>,
    name: &str,
    at: &TopicPartition,
) -> Result<(Offset, Offset), Error> {
    match with_leader(|| client.fetch_watermarks(name, at.partition.0.cast_signed(), QUESTION)) {
        Ok((begin, end)) => Ok((codec::offset(begin), codec::offset(end))),
        Err(error) => match verdict::code(&error) {
            Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
                Err(Error::UnknownTopic(at.topic.clone()))
            }
            _ => Err(unavailable(&error)),
        },
    }
}

/// Asks the leader of a partition. While the partition has none it asks again, for five seconds: librdkafka does not do so for
/// questions about offsets.
pub(crate) fn with_leader<T>(mut ask: impl FnMut() -> KafkaResult<T>) -> KafkaResult<T> {
    let deadline = Instant::now() + QUESTION;
    loop {
        match ask() {
            Err(error) if verdict::is_leaderless(verdict::code(&error)) && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(20));
            }
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::{
        ClientConfig, TopicPartitionList,
        mocking::MockCluster,
        types::{RDKafkaApiKey, RDKafkaRespErr},
    };

    use super::*;

    #[test]
    fn a_leader_that_is_not_elected_yet_is_waited_for_and_a_topic_that_is_not_there_is_told() {
        let mock = MockCluster::new(1).expect("a mock cluster");
        mock.create_topic("new", 1, 1).expect("a topic");
        let client: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", mock.bootstrap_servers()).create().expect("a consumer");
        let of_new = TopicPartition::new("new", 0);
        let (no_leader, not_there) = (
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
        );
        mock.request_errors(RDKafkaApiKey::ListOffsets, &[no_leader; 4]);
        assert_eq!(extent(&client, "new", &of_new).expect("it has a leader then"), (Offset::ZERO, Offset::ZERO));
        let mut list = TopicPartitionList::new();
        list.add_partition("new", 0).set_offset(rdkafka::Offset::Beginning).expect("an offset");
        mock.request_errors(RDKafkaApiKey::ListOffsets, &[no_leader; 4]);
        with_leader(|| client.offsets_for_times(list.clone(), QUESTION)).expect("it has a leader then");
        mock.request_errors(RDKafkaApiKey::ListOffsets, &[not_there; 4]);
        let told = extent(&client, "new", &of_new).expect_err("it is not there");
        assert!(matches!(told, Error::UnknownTopic(_)), "{told:?}");
    }
}
