//! How far groups are behind what retention will delete, and whether recent ids are remembered long enough.

use std::{collections::BTreeMap, time::Duration};

use contracts::topics;
use rdkafka::{Offset, TopicPartitionList, consumer::Consumer as _, error::KafkaError};

use super::{Expected, Finding, finding::span};
use crate::{
    ANSWER, Admin, Error, Existing, Failure, Found, Unread, committed, first, hear, nobody, patiently, reader,
};
use bus::Topic;
use kafka::blocking;

const LAG: &str = "lag";
const IDS: &str = "recent ids";
/// How many places are asked for at once.
const AT_ONCE: usize = 2000;
/// How many partitions are read into, to see how old what is unread is.
const MOST_READS: usize = 100;

/// A partition, by the topic's name on the cluster.
pub(crate) type Place = (String, i32);

/// How a group stands in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) group: String,
    pub(crate) place: Place,
    pub(crate) position: i64,
    pub(crate) begin: i64,
    /// How old the oldest unread record is, if that was looked for.
    pub(crate) oldest: Option<Duration>,
    pub(crate) retention: Option<Duration>,
}

/// What a standing means; none if it is as it should be.
pub(crate) fn standing(it: &Standing) -> Option<Finding> {
    let place = format!("{} in {}/{}", it.group, it.place.0, it.place.1);
    if it.position < it.begin {
        let what = "records were deleted before the group read them";
        let advice = "the group stops by itself; stop its processes, say from where it goes on with `herald groups set <group> \
                      begin|end|<time>`, and start them again";
        let at = format!("{place} (at {}, which begins at {})", it.position, it.begin);
        return Some(Finding::problem(LAG, what, advice).at(at));
    }
    let (oldest, retention) = (it.oldest?, it.retention?);
    let advice = "see why the group does not read, or raise the topic's retention now (`herald topics apply`)";
    let percent = oldest.as_millis().saturating_mul(100) / retention.as_millis().max(1);
    let at = format!("{place} ({} old of {} kept)", span(oldest), span(retention));
    match percent {
        80.. => Some(Finding::problem(LAG, "records will soon be deleted unread", advice).at(at)),
        50..80 => Some(Finding::warning(LAG, "the oldest unread record is past half of its life", advice).at(at)),
        _ => None,
    }
}

/// Whether as many ids are remembered as came within the window. `counts` are upper bounds, by partition: offsets have holes.
pub(crate) fn ids(counts: &BTreeMap<i32, i64>, expected: &Expected) -> Finding {
    let limit = i64::try_from(expected.ids).unwrap_or(i64::MAX);
    let over: Vec<(&i32, &i64)> = counts.iter().filter(|(_, count)| **count > limit).collect();
    let window = span(expected.window);
    let Some(most) = over.iter().map(|(_, count)| **count).max() else {
        let most = counts.values().max().copied().unwrap_or(0);
        return Finding::ok(
            IDS,
            format!("at most {most} per partition within {window}, of {limit} that are remembered"),
        );
    };
    let lasts = expected.window.as_secs_f64() * (limit as f64 / most as f64);
    let what = format!(
        "up to {most} came within {window}, but only {limit} are remembered per partition: a redelivery after about {} counts \
         as new",
        span(Duration::from_secs(lasts as u64))
    );
    let advice = format!("raise `detector.ids` to {most} (48 bytes each), or lower `detector.window`");
    let finding = Finding::warning(IDS, what, advice);
    over.iter().fold(finding, |finding, (partition, _)| finding.at(format!("raw/{partition}")))
}

/// Looks at every group, and at what came to `raw`.
pub(crate) async fn look(
    admin: &Admin,
    existing: &BTreeMap<Topic, Existing>,
    expected: &Expected,
) -> Result<Vec<Finding>, Error> {
    let look = Look::new(admin, existing, expected);
    let looked = blocking(move || look.run()).await.map_err(|error| admin.refused("looking at groups", &error))?;
    looked.map_err(|failure| match failure {
        Failure::Kafka(error) => admin.failed("looking at groups", &error),
        Failure::Setup(error) => error,
    })
}

struct Look {
    config: kafka::Config,
    heard: crate::Heard,
    client: std::sync::Arc<rdkafka::consumer::BaseConsumer<crate::Heard>>,
    now: i64,
    expected: Expected,
    /// The partitions and the retention of topics, by their names on the cluster.
    topics: BTreeMap<String, (Vec<i32>, Option<Duration>)>,
    raw: String,
    /// Groups with the topics that they read, all by their names on the cluster.
    groups: Vec<(String, Vec<String>)>,
}

impl Look {
    fn new(admin: &Admin, existing: &BTreeMap<Topic, Existing>, expected: &Expected) -> Self {
        let names = admin.names();
        let topic = |(topic, existing): (&Topic, &Existing)| {
            let kept = existing.number("retention.ms").and_then(|millis| u64::try_from(millis).ok());
            let partitions = (0..existing.count()).map(u32::cast_signed).collect();
            (names.outer(topic.as_str()), (partitions, kept.map(Duration::from_millis)))
        };
        let group = |(group, topics): &(String, Vec<Topic>)| {
            let topics = topics.iter().filter(|topic| existing.contains_key(*topic));
            (names.outer(group), topics.map(|topic| names.outer(topic.as_str())).collect())
        };
        Self {
            config: admin.config().clone(),
            heard: admin.heard().clone(),
            client: admin.observer().clone(),
            now: jiff::Timestamp::now().as_millisecond(),
            expected: expected.clone(),
            topics: existing.iter().map(topic).collect(),
            raw: names.outer(topics::RAW),
            groups: expected.groups.iter().map(group).collect(),
        }
    }

    fn run(self) -> Result<Vec<Finding>, Failure> {
        let mut found = self.lag()?;
        if self.topics.contains_key(&self.raw) {
            found.push(ids(&self.recent()?, &self.expected));
        }
        hear(&self.client);
        Ok(found)
    }

    fn lag(&self) -> Result<Vec<Finding>, Failure> {
        let all: Vec<Place> = self.topics.iter().flat_map(|(name, (partitions, _))| places(name, partitions)).collect();
        let begins = self.offsets(&all, |_| Offset::Beginning)?;
        let ends = self.offsets(&all, |_| Offset::End)?;
        // What is unread and older than half of its life is behind this place.
        let halves = self.offsets(&all, |place| {
            let kept = self.topics.get(&place.0).and_then(|(_, kept)| *kept).unwrap_or_default();
            Offset::Offset(self.now.saturating_sub(millis(kept / 2)).max(0))
        })?;
        let reader = reader(&self.config, self.heard.clone(), &nobody(&self.config))?;
        let mut found = Vec::new();
        let (mut standing_well, mut absent, mut reads) = (0, Vec::new(), 0);
        for (group, topics) in &self.groups {
            let positions = self.positions(group, topics)?;
            if positions.is_empty() {
                absent.push(group.clone());
                continue;
            }
            let before = found.len();
            for (place, position) in positions {
                let begin = begins.get(&place).copied().unwrap_or(0);
                let end = ends.get(&place).copied().unwrap_or(0);
                let half = halves.get(&place).copied().unwrap_or(end);
                let retention = self.topics.get(&place.0).and_then(|(_, kept)| *kept);
                let mut it = Standing { group: group.clone(), place, position, begin, oldest: None, retention };
                let is_old = position >= begin && position < half && retention.is_some();
                if is_old && reads < MOST_READS {
                    reads += 1;
                    it.oldest = self.age(first(&reader, &it.place.0, it.place.1, position))?;
                }
                found.extend(standing(&it));
            }
            standing_well += usize::from(found.len() == before);
        }
        hear(&reader);
        if !absent.is_empty() {
            // Before a first start, and after a rest beyond what brokers keep positions for.
            let what = "the group has no positions: it never ran, or its positions were deleted";
            let advice = "start its role if it never ran; if it stops because its position is gone, say from where it goes on with \
                          `herald groups set <group> begin|end|<time> --topic <topic>`";
            let told = Finding::warning(LAG, what, advice);
            found.push(absent.into_iter().fold(told, Finding::at));
        }
        if standing_well > 0 {
            found.push(Finding::ok(LAG, format!("{standing_well} groups are far from what retention deletes")));
        }
        Ok(found)
    }

    fn age(&self, first: Result<Option<Found>, Unread>) -> Result<Option<Duration>, Failure> {
        match first {
            Ok(found) => {
                let published = found.and_then(|found| found.published);
                Ok(published.map(|at| Duration::from_millis(self.now.saturating_sub(at).max(0).cast_unsigned())))
            }
            // It was deleted while we looked; the next look tells.
            Err(Unread::Gone) => Ok(None),
            Err(Unread::Failed(error)) => Err(error.into()),
        }
    }

    fn positions(&self, group: &str, topics: &[String]) -> Result<Vec<(Place, i64)>, Failure> {
        let of = topics.iter().filter_map(|topic| {
            let (partitions, _) = self.topics.get(topic)?;
            Some((topic.as_str(), partitions.as_slice()))
        });
        let of: Vec<(&str, &[i32])> = of.collect();
        let positions = committed(&self.config, &self.heard, group, &of)?;
        let all = of.iter().flat_map(|(name, partitions)| places(name, partitions));
        Ok(all.zip(positions).filter_map(|(place, position)| Some((place, position?))).collect())
    }

    /// How many records came to each partition of `raw` within the window, at most.
    fn recent(&self) -> Result<BTreeMap<i32, i64>, Failure> {
        let all: Vec<Place> =
            self.topics.get(&self.raw).map(|(all, _)| places(&self.raw, all).collect()).unwrap_or_default();
        let since = self.now.saturating_sub(millis(self.expected.window)).max(0);
        let begins = self.offsets(&all, |_| Offset::Offset(since))?;
        let ends = self.offsets(&all, |_| Offset::End)?;
        let count = |place: Place| {
            Some((place.1, begins.get(&place).map_or(0, |begin| ends.get(&place).copied().unwrap_or(*begin) - begin)))
        };
        Ok(all.into_iter().filter_map(count).collect())
    }

    /// The offsets of places; what is behind the last record is left out.
    fn offsets(&self, all: &[Place], of: impl Fn(&Place) -> Offset) -> Result<BTreeMap<Place, i64>, KafkaError> {
        let mut found = BTreeMap::new();
        for some in all.chunks(AT_ONCE) {
            let mut list = TopicPartitionList::with_capacity(some.len());
            for place in some {
                list.add_partition_offset(&place.0, place.1, of(place))?;
            }
            for element in patiently(|| self.client.offsets_for_times(list.clone(), ANSWER))?.elements() {
                if let Offset::Offset(offset) = element.offset() {
                    found.insert((element.topic().to_owned(), element.partition()), offset);
                }
            }
        }
        Ok(found)
    }
}

fn places<'p>(name: &'p str, partitions: &'p [i32]) -> impl Iterator<Item = Place> + 'p {
    partitions.iter().map(move |partition| (name.to_owned(), *partition))
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(position: i64, oldest: Option<Duration>) -> Option<(Level, String)> {
        let place = ("herald.raw".to_owned(), 3);
        let retention = Some(10 * HOUR);
        let it = Standing { group: "herald.detector".into(), place, position, begin: 100, oldest, retention };
        standing(&it).map(|it| (it.level, it.places.join("")))
    }

    #[test]
    fn who_nears_the_edge_of_retention_is_told_by_how_much() {
        assert_eq!(at(100, None), None);
        assert_eq!(at(100, Some(4 * HOUR)), None);
        let (level, place) = at(100, Some(6 * HOUR)).expect("told");
        assert_eq!((level, place.as_str()), (Level::Warning, "herald.detector in herald.raw/3 (6 h old of 10 h kept)"));
        assert_eq!(at(100, Some(9 * HOUR)).expect("told").0, Level::Problem);
        let (level, place) = at(99, None).expect("told");
        assert!(level == Level::Problem && place.contains("(at 99, which begins at 100)"), "{place}");
        let place = ("herald.raw".to_owned(), 3);
        let lost = Standing { group: String::new(), place, position: 1, begin: 2, oldest: None, retention: None };
        assert!(
            standing(&lost).expect("told").advice.contains("herald groups set"),
            "a position that is deleted stops it, too"
        );
    }

    #[test]
    fn a_count_that_cuts_the_window_is_told_with_what_it_leaves() {
        let expected = Expected { ids: 1000, window: HOUR, ..Expected::default() };
        assert_eq!(ids(&[(0, 1000), (1, 3)].into(), &expected).level, Level::Ok);
        let cut = ids(&[(0, 4000), (1, 3), (2, 2000)].into(), &expected);
        assert_eq!(
            (cut.level, cut.places.as_slice()),
            (Level::Warning, ["raw/0".to_owned(), "raw/2".to_owned()].as_slice())
        );
        assert!(cut.what.contains("about 15 min") && cut.advice.contains("4000"), "{cut:?}");
    }
}
