//! Whether our clock and the brokers' agree.
//!
//! Kafka tells nobody its time, but stamps a record of a topic that says so. That takes a write, so it is done only where it
//! is asked for, in a topic of its own that is deleted afterwards. Without it only what is impossible shows: a record from
//! the future.

use std::time::Duration;

use jiff::Timestamp;
use rdkafka::{
    Offset, TopicPartitionList,
    admin::{NewTopic, TopicReplication},
    consumer::Consumer as _,
    message::Timestamp as Stamp,
    producer::{FutureProducer, FutureRecord},
};

use super::{Finding, finding::span};
use crate::{ANSWER, Admin, Error, options, patiently};
use kafka::{blocking, client::configured};

const CHECK: &str = "clock";
/// How far clocks may differ.
const FAIR: Duration = Duration::from_secs(2);
/// Beyond this, windows, retention and deadlines are plainly wrong.
const WRONG: Duration = Duration::from_secs(300);
/// How far in the future a record must be to be impossible.
const AHEAD: Duration = Duration::from_secs(10);

const ADVICE: &str = "let a time service (NTP) set the clocks of this machine, of the brokers and of every role";

/// Looks for records of these topics from the future.
pub(crate) async fn without_writing(admin: &Admin, topics: Vec<(String, u32)>) -> Result<Finding, Error> {
    if topics.is_empty() {
        return Ok(Finding::ok(CHECK, "there are no records yet to look at; `--probe` compares it with the brokers'"));
    }
    let client = admin.observer().clone();
    let at = Timestamp::now().as_millisecond().saturating_add(millis(AHEAD));
    let asked = blocking(move || {
        let mut list = TopicPartitionList::new();
        for (name, count) in &topics {
            for partition in 0..*count {
                list.add_partition_offset(name, partition.cast_signed(), Offset::Offset(at))?;
            }
        }
        let found = patiently(|| client.offsets_for_times(list.clone(), ANSWER))?;
        let ahead = found.elements().into_iter().filter(|element| matches!(element.offset(), Offset::Offset(_)));
        Ok(ahead.map(|element| format!("{}/{}", element.topic(), element.partition())).collect())
    });
    let asked: Result<Vec<String>, rdkafka::error::KafkaError> =
        asked.await.map_err(|error| admin.refused("looking for records from the future", &error))?;
    let ahead = asked.map_err(|error| admin.failed("looking for records from the future", &error))?;
    if ahead.is_empty() {
        let what = "no record is from the future; `--probe` writes one to compare this clock with the brokers'";
        return Ok(Finding::ok(CHECK, what));
    }
    let what = format!("there are records that are {} or more ahead of this machine's clock", span(AHEAD));
    Ok(ahead.into_iter().fold(Finding::warning(CHECK, what, ADVICE), Finding::at))
}

/// Compares the clocks: writes one record into a topic of its own, which is deleted afterwards.
pub(crate) async fn by_writing(admin: &Admin) -> Result<Finding, Error> {
    let name = format!("{}doctor.{}", admin.config().prefix, Timestamp::now().as_millisecond());
    let new = NewTopic::new(&name, 1, TopicReplication::Fixed(-1))
        .set("message.timestamp.type", "LogAppendTime")
        .set("retention.ms", "3600000");
    let doing = "writing to compare the clocks";
    let created = admin.client().create_topics(&[new], &options()).await;
    if let Some(Err((_, code))) = created.map_err(|error| admin.failed(doing, &error))?.pop() {
        return Err(admin.refused(doing, &code));
    }
    let compared = stamped(admin, &name).await;
    let deleted = admin.client().delete_topics(&[&name], &options()).await;
    let finding = compared?;
    match deleted.map_err(|error| admin.failed(doing, &error))?.pop() {
        Some(Err((_, code))) => {
            let what = format!("{}; the topic that was written to cannot be deleted: {code}", finding.what);
            Ok(Finding::warning(CHECK, what, "delete it by hand").at(name))
        }
        _ => Ok(finding),
    }
}

async fn stamped(admin: &Admin, name: &str) -> Result<Finding, Error> {
    let doing = "writing to compare the clocks";
    let required = [("acks", "all".to_owned()), ("message.timeout.ms", millis(ANSWER).to_string())];
    let producer: FutureProducer = configured(admin.config(), &[("linger.ms", "0".to_owned())], &required)
        .create()
        .map_err(|error| admin.failed(doing, &error))?;
    let record = || FutureRecord::<str, str>::to(name).payload("herald doctor").partition(0);
    // The first one finds the leader and connects: only the second is a fair comparison.
    producer.send(record(), ANSWER).await.map_err(|(error, _)| admin.failed(doing, &error))?;
    let before = Timestamp::now().as_millisecond();
    let delivery = producer.send(record(), ANSWER).await.map_err(|(error, _)| admin.failed(doing, &error))?;
    let after = Timestamp::now().as_millisecond();
    match delivery.timestamp {
        Stamp::LogAppendTime(theirs) => Ok(compared(theirs, before, after)),
        Stamp::CreateTime(_) | Stamp::NotAvailable => {
            Ok(Finding::warning(CHECK, "the broker does not tell when it took a record", ADVICE))
        }
    }
}

/// What a stamp that was set between two moments of ours means.
pub(crate) fn compared(theirs: i64, before: i64, after: i64) -> Finding {
    // Within the two moments there is nothing to tell.
    let off = if theirs < before { theirs - before } else { (theirs - after).max(0) };
    let by = Duration::from_millis(off.unsigned_abs());
    let side = if off < 0 { "behind" } else { "ahead of" };
    let what = format!("the broker's clock is {} {side} this machine's", span(by));
    if by > WRONG {
        Finding::problem(CHECK, what, ADVICE)
    } else if by > FAIR {
        Finding::warning(CHECK, what, ADVICE)
    } else {
        Finding::ok(
            CHECK,
            format!("the broker's and this machine's agree, within {}", span(by.max(Duration::from_millis(1)))),
        )
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn clocks_that_differ_by_more_than_the_way_takes_are_told() {
        assert_eq!(compared(1500, 1000, 2000).level, Level::Ok);
        assert_eq!(compared(3999, 1000, 2000).level, Level::Ok);
        let ahead = compared(9000, 1000, 2000);
        assert_eq!(
            (ahead.level, ahead.what.as_str()),
            (Level::Warning, "the broker's clock is 7 s ahead of this machine's")
        );
        let behind = compared(0, 1_000_000, 1_000_100);
        assert_eq!(behind.level, Level::Problem);
        assert!(behind.what.contains("behind"), "{behind:?}");
    }
}
